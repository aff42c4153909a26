//! Target `c`: standalone C99, one function per layer, no heap, no library but libm for floats.

mod example;
mod header;
mod lexical;
mod print;
mod source;
mod tile;

use crate::{
    Artifacts, EmitOptions, Emitted, Kind, Product, Program, Support, Target, estimate, manifest,
};
use tinycc_core::diagnostic::Diagnostics;
use tinycc_core::lower::{Core, Legal};
use tinycc_core::op::{Op, Signature};
use tinycc_core::pass::{self, Pass};

/// The C target.
#[derive(Clone, Copy, Debug)]
pub struct C;

impl Target for C {
    fn kind(&self) -> Kind {
        Kind::Kernels
    }

    fn name(&self) -> &'static str {
        "c"
    }

    fn about(&self) -> &'static str {
        "standalone C99 for microcontrollers and hosts"
    }

    fn passes(&self) -> &'static [Pass] {
        pass::LEGALISE
    }

    fn examples(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("host", "main.c that maps raw inputs on stdin to raw outputs on stdout"),
            ("qemu-mps2-an386", "firmware for an emulated Cortex-M4: `make run`"),
        ]
    }

    fn supports(&self, op: &Op, signature: &Signature<'_>, core: Core) -> Support {
        crate::kernel_support(op, signature, core)
    }

    fn emit(&self, legal: &Legal, options: &EmitOptions) -> Result<Emitted, Diagnostics> {
        let module = tinycc_core::lower::lower(legal)?;
        let name = &options.name;
        let (code_bytes, stack_bytes) =
            (estimate::code_bytes(&module), estimate::stack_bytes(&module));
        let mut artifacts = Artifacts::new();
        artifacts.insert(format!("{name}.h"), header::print(&module, options).into());
        artifacts.insert(format!("{name}.c"), source::print(&module, options).into());
        let manifest = manifest::print(&module, options, code_bytes, stack_bytes);
        artifacts.insert(format!("{name}.json"), manifest.into());
        for wanted in &options.examples {
            match wanted.as_str() {
                "host" => example::host(&mut artifacts, &module, options),
                "qemu-mps2-an386" => example::mps2_an386(&mut artifacts, &module, options),
                other => return Err(crate::no_such_example(self, other)),
            }
        }
        Ok(Emitted {
            artifacts,
            product: Product::Program(Program { module, code_bytes, stack_bytes }),
        })
    }
}
