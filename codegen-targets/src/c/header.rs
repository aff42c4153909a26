//! `NAME.h`: sizes, types, quantization and typed pointers, documented for the caller.

use super::lexical::{c_type, comment_text, float_literal};
use crate::EmitOptions;
use std::fmt::Write;
use tinycc_core::kir::{Module, Port, Ty};

/// The header file.
#[must_use]
pub fn print(module: &Module, options: &EmitOptions) -> String {
    let (name, upper) = (&options.name, options.name.to_uppercase());
    let mut out = format!(
        "/* Made by tinycc {} from {}. Do not edit: compile the model again instead.\n *\n",
        env!("CARGO_PKG_VERSION"),
        comment_text(&options.source)
    );
    let _ = write!(
        out,
        " * Usage: give {name}_invoke a block of {upper}_ARENA_BYTES bytes, aligned to\n\
         \x20* {upper}_ARENA_ALIGN. Inputs and outputs lie in it: fill the inputs, invoke, read the\n\
         \x20* outputs. Inputs are consumed: their bytes are reused while the model runs. Outputs\n\
         \x20* stay valid until the inputs are filled again. There is no other state, so several\n\
         \x20* arenas may run at the same time. */\n"
    );
    let _ = write!(
        out,
        "#ifndef {upper}_H\n#define {upper}_H\n\n#include <stdint.h>\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n"
    );
    let _ = writeln!(out, "#define {upper}_ARENA_BYTES {}", module.arena_bytes.max(1));
    let _ = writeln!(out, "#define {upper}_ARENA_ALIGN {}", module.arena_align);
    let _ = writeln!(out, "#define {upper}_INPUT_COUNT {}", module.inputs.len());
    let _ = writeln!(out, "#define {upper}_OUTPUT_COUNT {}", module.outputs.len());
    for (i, port) in module.inputs.iter().enumerate() {
        print_port(&mut out, options, "input", i, port);
    }
    for (i, port) in module.outputs.iter().enumerate() {
        print_port(&mut out, options, "output", i, port);
    }
    let _ = write!(
        out,
        "\n/* Runs the model once on the inputs in the arena. */\nvoid {name}_invoke(void *arena);\n\
         \n/* Define {upper}_STATIC_ARENA for {name}.c and its users to let the model own an arena. */\n\
         #ifdef {upper}_STATIC_ARENA\nvoid *{name}_arena(void);\n#endif\n\
         \n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    );
    out
}

fn print_port(out: &mut String, options: &EmitOptions, kind: &str, i: usize, port: &Port) {
    let (name, upper) = (&options.name, options.name.to_uppercase());
    let prefix = format!("{upper}_{}_{i}", kind.to_uppercase());
    let ty = c_type(Ty::from(port.ty.dtype));
    let quant = match &port.quant {
        Some(_) => ", real = SCALE * (value - ZERO_POINT)",
        None => "",
    };
    let _ = write!(
        out,
        "\n/* {} {i}: \"{}\", {} [{}]{quant} */\n",
        if kind == "input" { "Input" } else { "Output" },
        comment_text(&port.name),
        port.ty.dtype,
        port.ty.shape
    );
    let _ = writeln!(out, "#define {prefix}_OFFSET {}", port.offset);
    let _ = writeln!(out, "#define {prefix}_ELEMENTS {}", port.ty.shape.elements());
    let _ = writeln!(out, "#define {prefix}_BYTES {}", port.ty.bytes());
    if let Some(quant) = port.quant.as_ref().filter(|q| q.scales.len() == 1) {
        let _ = writeln!(out, "#define {prefix}_SCALE {}", float_literal(quant.scale()));
        let zero_point = quant.zero_point();
        let _ = if zero_point < 0 {
            writeln!(out, "#define {prefix}_ZERO_POINT ({zero_point})")
        } else {
            writeln!(out, "#define {prefix}_ZERO_POINT {zero_point}")
        };
    }
    let _ = write!(
        out,
        "static inline {ty} *{name}_{kind}_{i}(void *arena)\n{{\n    \
         return ({ty} *)(void *)((uint8_t *)arena + {prefix}_OFFSET);\n}}\n"
    );
}
