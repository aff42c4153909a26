//! Example packages around an emitted model: the host filter and the emulated board. Their fixed
//! parts are data under `boards/`; what they need to know of the model is written here.

use super::lexical::comment_text;
use super::package::runtime_dependency;
use crate::{Artifacts, EmitOptions, Runtime, dtype_letter};
use std::fmt::Write;
use tinycc_core::kir::{Module, Port};

/// A package's fixed files; `Cargo.toml` gets the dependencies at its end.
type Files = &'static [(&'static str, &'static str)];

const HOST: Files = &[
    ("Cargo.toml", include_str!("../../boards/rust-host/Cargo.toml")),
    ("src/main.rs", include_str!("../../boards/rust-host/src/main.rs")),
];

const MPS2_AN386: Files = &[
    (".cargo/config.toml", include_str!("../../boards/rust-mps2-an386/.cargo/config.toml")),
    ("Cargo.toml", include_str!("../../boards/rust-mps2-an386/Cargo.toml")),
    ("link.ld", include_str!("../../boards/rust-mps2-an386/link.ld")),
    ("src/board.rs", include_str!("../../boards/rust-mps2-an386/src/board.rs")),
    ("src/console.rs", include_str!("../../boards/rust-mps2-an386/src/console.rs")),
    ("src/main.rs", include_str!("../../boards/rust-mps2-an386/src/main.rs")),
    ("src/processor.rs", include_str!("../../boards/rust-mps2-an386/src/processor.rs")),
    ("src/semihost.rs", include_str!("../../boards/rust-mps2-an386/src/semihost.rs")),
    ("src/startup.rs", include_str!("../../boards/rust-mps2-an386/src/startup.rs")),
];

/// `example/` reading stdin and writing stdout.
pub fn host(artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
    package(artifacts, "example", HOST, module, options);
}

/// `example-mps2-an386/`: firmware for the emulated Cortex-M4.
pub fn mps2_an386(artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
    package(artifacts, "example-mps2-an386", MPS2_AN386, module, options);
}

fn package(
    artifacts: &mut Artifacts,
    folder: &str,
    files: Files,
    module: &Module,
    options: &EmitOptions,
) {
    for (name, text) in files {
        let mut text = (*text).to_string();
        if *name == "Cargo.toml" {
            text.push_str(&dependencies(options));
        }
        artifacts.insert(format!("{folder}/{name}"), text.into());
    }
    artifacts.insert(format!("{folder}/src/model.rs"), model(module, options).into());
}

fn dependencies(options: &EmitOptions) -> String {
    match (options.package, options.runtime) {
        (true, _) => format!("\n[dependencies]\n{} = {{ path = \"..\" }}\n", options.name),
        (false, Runtime::Crate) => format!("\n[dependencies]\n{}\n", runtime_dependency()),
        (false, Runtime::Embedded) => String::new(),
    }
}

/// What the generic main programs know about the model.
fn model(module: &Module, options: &EmitOptions) -> String {
    let name = &options.name;
    let mut out = String::from("//! What the generic main.rs needs to know about the model.\n\n");
    if !options.package {
        if name == "model" {
            out.push_str("#[allow(clippy::module_inception, reason = \"the model's name\")]\n");
        }
        let _ = writeln!(out, "#[path = \"../../{name}.rs\"]\nmod {name};\n");
    }
    let _ = write!(
        out,
        "pub use {name}::{{ARENA_BYTES, Arena, run}};\n\n\
         /// An input or output in the arena.\npub struct Port {{\n    /// First byte.\n    \
         pub offset: usize,\n    /// Number of bytes.\n    pub bytes: usize,\n    \
         /// Element type: b int8, ? bool, h int16, i int32, q int64, f float32.\n    \
         pub dtype: char,\n}}\n"
    );
    table(&mut out, "INPUTS", &module.inputs);
    table(&mut out, "OUTPUTS", &module.outputs);
    out
}

fn table(out: &mut String, name: &str, ports: &[Port]) {
    let _ = writeln!(out, "\n/// In model order.\npub const {name}: &[Port] = &[");
    for port in ports {
        let _ = writeln!(
            out,
            "    // \"{}\"\n    Port {{ offset: {}, bytes: {}, dtype: '{}' }},",
            comment_text(&port.name),
            port.offset,
            port.ty.bytes(),
            dtype_letter(port.ty.dtype)
        );
    }
    out.push_str("];\n");
}
