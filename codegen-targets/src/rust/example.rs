//! Example packages around an emitted model: the host filter and the emulated board. Their fixed
//! parts are data under `boards/`.

use super::package::runtime_dependency;
use crate::{Artifacts, EmitOptions, Runtime};
use std::fmt::Write;
use tinycc_core::DType;
use tinycc_core::kir::{Module, Port};

/// Fixed files of a package; its Cargo.toml may get dependencies.
struct Package {
    folder: &'static str,
    manifest: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const HOST: Package = Package {
    folder: "example",
    manifest: include_str!("../../boards/rust-host/Cargo.toml"),
    files: &[("src/main.rs", include_str!("../../boards/rust-host/src/main.rs"))],
};

const MPS2_AN386: Package = Package {
    folder: "example-mps2-an386",
    manifest: include_str!("../../boards/rust-mps2-an386/Cargo.toml"),
    files: &[
        (".cargo/config.toml", include_str!("../../boards/rust-mps2-an386/.cargo/config.toml")),
        ("link.ld", include_str!("../../boards/rust-mps2-an386/link.ld")),
        ("src/board.rs", include_str!("../../boards/rust-mps2-an386/src/board.rs")),
        ("src/console.rs", include_str!("../../boards/rust-mps2-an386/src/console.rs")),
        ("src/main.rs", include_str!("../../boards/rust-mps2-an386/src/main.rs")),
        ("src/processor.rs", include_str!("../../boards/rust-mps2-an386/src/processor.rs")),
        ("src/semihost.rs", include_str!("../../boards/rust-mps2-an386/src/semihost.rs")),
    ],
};

/// `example/` reading stdin and writing stdout.
pub fn host(artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
    HOST.add(artifacts, module, options);
}

/// `example-mps2-an386/`: firmware for the emulated Cortex-M4.
pub fn mps2_an386(artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
    MPS2_AN386.add(artifacts, module, options);
}

impl Package {
    fn add(&self, artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
        for (name, text) in self.files {
            artifacts.insert(format!("{}/{name}", self.folder), (*text).into());
        }
        let mut manifest = self.manifest.to_string();
        if options.package {
            let _ = write!(manifest, "\n[dependencies]\n{} = {{ path = \"..\" }}\n", options.name);
        } else if options.runtime == Runtime::Crate {
            let _ = write!(manifest, "\n[dependencies]\n{}\n", runtime_dependency());
        }
        artifacts.insert(format!("{}/Cargo.toml", self.folder), manifest.into());
        let glue = glue(module, options);
        artifacts.insert(format!("{}/src/model.rs", self.folder), glue.into());
    }
}

/// What the generic main programs know about the model.
fn glue(module: &Module, options: &EmitOptions) -> String {
    let name = &options.name;
    let source = if options.package {
        format!("use {name} as compiled;\n")
    } else {
        format!("#[path = \"../../{name}.rs\"]\nmod compiled;\n")
    };
    let mut out = format!(
        "//! What the generic main.rs needs to know about the model.\n\n{source}\n\
         pub use compiled::{{ARENA_BYTES, Arena, run}};\n\n\
         /// An input or output: its place in the arena and its element type (b int8, ? bool,\n\
         /// h int16, i int32, q int64, f float32).\n\
         pub struct Port {{\n    pub offset: usize,\n    pub bytes: usize,\n    pub dtype: char,\n}}\n"
    );
    table(&mut out, "INPUTS", &module.inputs);
    table(&mut out, "OUTPUTS", &module.outputs);
    out
}

fn table(out: &mut String, name: &str, ports: &[Port]) {
    let _ = writeln!(out, "\npub const {name}: &[Port] = &[");
    for port in ports {
        let (offset, bytes, dtype) = (port.offset, port.ty.bytes(), letter(port.ty.dtype));
        let _ = writeln!(
            out,
            "    Port {{ offset: {offset}, bytes: {bytes}, dtype: '{dtype}' }},"
        );
    }
    out.push_str("];\n");
}

fn letter(dtype: DType) -> char {
    match dtype {
        DType::I8 => 'b',
        DType::I16 => 'h',
        DType::I32 => 'i',
        DType::I64 => 'q',
        DType::F32 => 'f',
        DType::Bool => '?',
    }
}
