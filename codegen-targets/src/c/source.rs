//! `NAME.c`: prologue, helpers, constants, one function per layer, the invocation.

use super::lexical::{c_type, comment_text, double_literal, float_literal, identifier};
use super::print::Printer;
use super::tile::ASM_MACRO;
use crate::EmitOptions;
use crate::constants::Constants;
use std::collections::BTreeSet;
use std::fmt::{Display, Write};
use tinycc_core::kir::prune::Uses;
use tinycc_core::kir::{Access, Intrinsic, Kernel, Layer, Module, Ty};
use tinycc_core::{SmallType, TensorData};

/// The source file.
#[must_use]
pub fn print(module: &Module, options: &EmitOptions) -> String {
    let constants = Constants::collect(module);
    let mut used = BTreeSet::new();
    let mut functions = String::new();
    for (k, kernel) in module.kernels.iter().enumerate() {
        function(&mut functions, kernel, &mut used, |b| {
            constants.name(k, b).unwrap_or_default().to_string()
        });
    }
    let has_tile = constants.arrays.iter().any(|a| a.words);
    let mut arrays = String::new();
    for a in &constants.arrays {
        array(&mut arrays, &a.name, a.ty, a.data, a.words);
    }
    // These two are macros of math.h, not literals.
    let is_macro = |text: &String| text.contains("NAN") || text.contains("INFINITY");
    let has_math = is_macro(&arrays) || is_macro(&functions);
    let mut out = prologue(options, &used, has_tile, has_math);
    helpers(&mut out, &used, has_tile);
    out.push_str(&arrays);
    out.push_str(&functions);
    invoke(&mut out, module, options);
    out
}

fn prologue(
    options: &EmitOptions,
    used: &BTreeSet<Intrinsic>,
    has_tile: bool,
    has_math: bool,
) -> String {
    let name = &options.name;
    let mut out = format!(
        "/* Made by tinycc {} from {}. Do not edit: compile the model again instead. */\n",
        env!("CARGO_PKG_VERSION"),
        comment_text(&options.source)
    );
    let _ = writeln!(out, "#include \"{name}.h\"\n\n#include <stdint.h>");
    let mut includes: BTreeSet<&str> = snippets(used, has_tile).flat_map(|s| s.includes).collect();
    if has_math || used.iter().any(|f| f.is_libm()) {
        includes.insert("math.h");
    }
    for include in includes {
        let _ = writeln!(out, "#include <{include}>");
    }
    out.push_str(
        "\n/* Define TCC_WEIGHTS to place the constants, for example in a flash section. */\n\
         #ifndef TCC_WEIGHTS\n#define TCC_WEIGHTS\n#endif\n\n\
         /* One stack frame per layer: keeps layers apart in profiles and the stack small. */\n\
         #if defined(__GNUC__)\n#define TCC_LAYER static __attribute__((noinline))\n\
         #else\n#define TCC_LAYER static\n#endif\n",
    );
    if has_tile {
        let _ = write!(
            out,
            "\n/* Register tiles: assembly where the core has the DSP extension. */\n\
             #if defined(__GNUC__) && defined(__ARM_FEATURE_DSP)\n#define {ASM_MACRO} 1\n#else\n\
             #define {ASM_MACRO} 0\n#endif\n#if defined(__GNUC__)\n\
             #define TCC_WORDS __attribute__((aligned(4)))\n#else\n#define TCC_WORDS\n#endif\n"
        );
    }
    out
}

struct Needed {
    text: &'static str,
    includes: Vec<&'static str>,
}

/// The run-time functions the file needs. Tiles bring `load_u32` along.
fn snippets(used: &BTreeSet<Intrinsic>, has_tile: bool) -> impl Iterator<Item = Needed> {
    let mut wanted: Vec<&str> = used.iter().filter(|f| !f.is_libm()).map(|f| f.name()).collect();
    if has_tile {
        wanted.push("load_u32");
    }
    let found: Vec<Needed> = tinycc_rt::snippet::select(&wanted)
        .map(|s| Needed { text: s.text, includes: s.includes().collect() })
        .collect();
    found.into_iter()
}

fn helpers(out: &mut String, used: &BTreeSet<Intrinsic>, has_tile: bool) {
    for snippet in snippets(used, has_tile) {
        out.push('\n');
        out.push_str(snippet.text);
    }
}

/// Numbers per line, so that lines stay below about 100 characters.
fn per_line(ty: Ty) -> usize {
    match ty {
        Ty::Bool | Ty::I8 | Ty::U8 => 20,
        Ty::I16 | Ty::U16 => 14,
        Ty::I32 | Ty::U32 | Ty::F32 => 8,
        Ty::I64 | Ty::U64 | Ty::F64 => 4,
    }
}

fn array(out: &mut String, name: &str, ty: Ty, data: &TensorData, words: bool) {
    let attribute = if words { "TCC_WORDS " } else { "" };
    let _ = write!(
        out,
        "\nstatic const {} {name}[{}] {attribute}TCC_WEIGHTS = {{",
        c_type(ty),
        data.len().max(1)
    );
    let plain = |out: &mut String, x: &dyn Display| {
        let _ = write!(out, "{x}");
    };
    match data {
        TensorData::I8(v) => numbers(out, ty, v, |out, x| plain(out, x)),
        TensorData::Small(SmallType::I2 | SmallType::I4, v) => {
            numbers(out, ty, v, |out, x| plain(out, &x.cast_signed()));
        }
        TensorData::U8(v) | TensorData::Bool(v) | TensorData::Small(_, v) => {
            numbers(out, ty, v, |out, x| plain(out, x));
        }
        TensorData::I16(v) => numbers(out, ty, v, |out, x| plain(out, x)),
        TensorData::U16(v) | TensorData::F16(v) | TensorData::BF16(v) => {
            numbers(out, ty, v, |out, x| plain(out, x));
        }
        TensorData::U32(v) => numbers(out, ty, v, |out, x| plain(out, &format_args!("{x}u"))),
        TensorData::U64(v) => {
            numbers(out, ty, v, |out, x| plain(out, &format_args!("UINT64_C({x})")));
        }
        TensorData::F64(v) => numbers(out, ty, v, |out, &x| out.push_str(&double_literal(x))),
        TensorData::I32(v) => numbers(out, ty, v, |out, &x| match x {
            i32::MIN => out.push_str("(-2147483647 - 1)"),
            x => plain(out, &x),
        }),
        TensorData::I64(v) => numbers(out, ty, v, |out, &x| match x {
            i64::MIN => plain(out, &format_args!("(-INT64_C({}) - 1)", i64::MAX)),
            x => plain(out, &format_args!("INT64_C({x})")),
        }),
        TensorData::F32(v) => numbers(out, ty, v, |out, &x| match x.is_finite() {
            true => plain(out, &format_args!("{x:?}f")),
            false => out.push_str(&float_literal(x)),
        }),
    }
    if data.len() == 0 {
        out.push('0');
    }
    out.push_str("\n};\n");
}

/// The elements of an array, straight into the text: there may be millions.
fn numbers<T>(out: &mut String, ty: Ty, values: &[T], mut one: impl FnMut(&mut String, &T)) {
    for (i, value) in values.iter().enumerate() {
        out.push_str(if i % per_line(ty) == 0 { "\n    " } else { " " });
        one(out, value);
        out.push(',');
    }
}

fn function(
    out: &mut String,
    kernel: &Kernel,
    used: &mut BTreeSet<Intrinsic>,
    constant: impl Fn(usize) -> String,
) {
    out.push('\n');
    for (i, line) in kernel.doc.iter().enumerate() {
        let (open, close) = (
            if i == 0 { "/* " } else { " * " },
            if i + 1 == kernel.doc.len() { " */" } else { "" },
        );
        let _ = writeln!(out, "{open}{}{close}", comment_text(line));
    }
    let params: Vec<String> = kernel
        .params()
        .map(|(_, b)| {
            let qualifier = if matches!(b.access, Access::In(_)) { "const " } else { "" };
            format!("{qualifier}{} *{}", c_type(b.ty), identifier(&b.name))
        })
        .collect();
    let params = if params.is_empty() { "void".into() } else { params.join(", ") };
    let _ = writeln!(out, "TCC_LAYER void {}({params})\n{{", kernel.name);
    let mut printer = Printer::new(kernel, used, constant);
    let uses = Uses::of(&kernel.body);
    for (_, b) in kernel.params().filter(|(i, _)| !uses.buffers.contains(&(*i as u32))) {
        let _ = writeln!(printer.out, "    (void){};", identifier(&b.name));
    }
    printer.block(1, &kernel.body);
    out.push_str(&printer.out);
    out.push_str("}\n");
}

fn invoke(out: &mut String, module: &Module, options: &EmitOptions) {
    let (name, upper) = (&options.name, options.name.to_uppercase());
    let _ = write!(
        out,
        "\n#ifdef {upper}_STATIC_ARENA\nvoid *{name}_arena(void)\n{{\n    static union {{\n        \
         uint8_t bytes[{upper}_ARENA_BYTES];\n        int64_t align;\n    }} arena;\n\n    \
         return arena.bytes;\n}}\n#endif\n"
    );
    let _ = write!(out, "\nvoid {name}_invoke(void *arena)\n{{\n");
    if module.calls.is_empty() {
        out.push_str("    (void)arena;\n}\n");
        return;
    }
    out.push_str("    uint8_t *const a = (uint8_t *)arena;\n\n");
    let mut layers = module.layers.iter();
    for call in &module.calls {
        views(out, layers.by_ref().take_while(|l| l.kernel.is_none()));
        let kernel = &module.kernels[call.kernel];
        let args: Vec<String> = kernel
            .params()
            .zip(&call.offsets)
            .map(|((_, b), offset)| {
                let qualifier = if matches!(b.access, Access::In(_)) { "const " } else { "" };
                format!("({qualifier}{} *)(void *)(a + {offset})", c_type(b.ty))
            })
            .collect();
        let _ = writeln!(out, "    {}({});", kernel.name, args.join(", "));
    }
    views(out, layers);
    out.push_str("}\n");
}

/// Layers without a function of their own, so that no layer of the report seems lost.
fn views<'a>(out: &mut String, layers: impl Iterator<Item = &'a Layer>) {
    for layer in layers {
        let _ = writeln!(out, "    /* {}: no code, the bytes stay where they are. */", layer.name);
    }
}
