//! Example programs around an emitted model: the host filter and the emulated board. Their fixed
//! parts are data under `boards/`.

use crate::{Artifacts, EmitOptions, dtype_letter};
use std::fmt::Write;
use tinycc_core::kir::{Module, Port};

/// Fixed files of the mps2-an386 firmware; the Makefile gets two lines on top.
const MPS2_AN386: &[(&str, &str)] = &[
    ("board.h", include_str!("../../boards/mps2-an386/board.h")),
    ("console.c", include_str!("../../boards/mps2-an386/console.c")),
    ("console.h", include_str!("../../boards/mps2-an386/console.h")),
    ("link.ld", include_str!("../../boards/mps2-an386/link.ld")),
    ("main.c", include_str!("../../boards/mps2-an386/main.c")),
    ("semihost.h", include_str!("../../boards/mps2-an386/semihost.h")),
    ("startup.c", include_str!("../../boards/mps2-an386/startup.c")),
];
const MPS2_AN386_MAKEFILE: &str = include_str!("../../boards/mps2-an386/Makefile");
const HOST_MAIN: &str = include_str!("../../boards/host/main.c");

/// `example/main.c` reading stdin and writing stdout.
pub fn host(artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
    artifacts.insert("example/main.c".into(), HOST_MAIN.into());
    artifacts.insert("example/model.h".into(), model_header(module, options).into());
}

/// `example-mps2-an386/`: firmware for the emulated Cortex-M4.
pub fn mps2_an386(artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
    let folder = "example-mps2-an386";
    for (name, text) in MPS2_AN386 {
        artifacts.insert(format!("{folder}/{name}"), (*text).into());
    }
    let makefile = format!("MODEL := {0}\nSRC := ../{0}.c\n\n{MPS2_AN386_MAKEFILE}", options.name);
    artifacts.insert(format!("{folder}/Makefile"), makefile.into());
    artifacts.insert(format!("{folder}/model.h"), model_header(module, options).into());
}

/// What the generic main programs know about the model.
fn model_header(module: &Module, options: &EmitOptions) -> String {
    let (name, upper) = (&options.name, options.name.to_uppercase());
    let mut out = format!(
        "/* What the generic main.c needs to know about the model. */\n#include \"../{name}.h\"\n\n\
         #define TCC_MODEL_ARENA_BYTES {upper}_ARENA_BYTES\n\
         #define TCC_MODEL_ARENA_ALIGN {upper}_ARENA_ALIGN\n\
         #define TCC_MODEL_INPUT_COUNT {upper}_INPUT_COUNT\n\
         #define TCC_MODEL_OUTPUT_COUNT {upper}_OUTPUT_COUNT\n\
         #define TCC_MODEL_INVOKE(arena) {name}_invoke(arena)\n\n\
         /* dtype: b int8, ? bool, h int16, i int32, q int64, f float32 */\n\
         struct io {{\n    uint32_t offset, bytes;\n    char dtype;\n}};\n"
    );
    table(&mut out, &upper, "input", &module.inputs);
    table(&mut out, &upper, "output", &module.outputs);
    out
}

fn table(out: &mut String, upper: &str, kind: &str, ports: &[Port]) {
    let _ = writeln!(out, "\nstatic const struct io model_{kind}s[] = {{");
    for (i, port) in ports.iter().enumerate() {
        let prefix = format!("{upper}_{}_{i}", kind.to_uppercase());
        let letter = dtype_letter(port.ty.dtype);
        let _ = writeln!(out, "    {{{prefix}_OFFSET, {prefix}_BYTES, '{letter}'}},");
    }
    if ports.is_empty() {
        out.push_str("    {0, 0, 'b'},\n");
    }
    out.push_str("};\n");
}
