//! A whole cargo package around the emitted module (`--crate`).

use super::source::{Source, add_weights};
use crate::{Artifacts, EmitOptions, Runtime};

/// `Cargo.toml`, `src/lib.rs` and the side file.
pub fn wrap(artifacts: &mut Artifacts, source: Source, options: &EmitOptions) {
    let name = &options.name;
    let mut cargo = format!(
        "# Made by tinycc {0}. Do not edit: compile the model again instead.\n[package]\n\
         name = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\nrust-version = \"1.88\"\n\
         publish = false\n",
        env!("CARGO_PKG_VERSION")
    );
    if options.runtime == Runtime::Crate {
        cargo.push_str(&format!("\n[dependencies]\n{}\n", runtime_dependency()));
    }
    // The package may lie inside somebody's workspace without being a member.
    cargo.push_str("\n[workspace]\n");
    artifacts.insert("Cargo.toml".into(), cargo.into());
    let forbid = if source.is_unsafe || options.runtime == Runtime::Embedded {
        ""
    } else {
        "#![forbid(unsafe_code)]\n"
    };
    let lib = format!("#![no_std]\n{forbid}{}", source.text);
    artifacts.insert("src/lib.rs".into(), lib.into());
    add_weights(artifacts, "src/", name, source.weights);
}

/// The line that asks for the run-time crate.
#[must_use]
pub fn runtime_dependency() -> String {
    format!("tinycc-rt = \"{}\"", env!("CARGO_PKG_VERSION"))
}
