//! What surrounds a build script: cargo's variables and the lines it reads. Passed in, so that tests
//! need neither cargo nor the environment of their process.

use crate::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use tinycc_driver::{CoreName, printable};

type Vars<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

/// Cargo, seen from a build script.
pub(crate) struct Cargo<'a> {
    var: Vars<'a>,
    out: &'a mut dyn Write,
}

impl<'a> Cargo<'a> {
    /// The environment of this process.
    pub(crate) fn real(out: &'a mut dyn Write) -> Self {
        Self::new(|name| std::env::var(name).ok(), out)
    }

    /// Variables by name, and where the lines for cargo go.
    pub(crate) fn new(var: impl Fn(&str) -> Option<String> + 'a, out: &'a mut dyn Write) -> Self {
        Self { var: Box::new(var), out }
    }

    /// One of cargo's variables.
    pub(crate) fn var(&self, name: &'static str) -> Result<String, Error> {
        (self.var)(name).ok_or(Error::NoCargo { name })
    }

    /// A path of the user's: relative ones start at the package.
    pub(crate) fn resolve(&self, path: &Path) -> Result<PathBuf, Error> {
        if path.is_absolute() {
            return Ok(path.to_path_buf());
        }
        Ok(Path::new(&self.var("CARGO_MANIFEST_DIR")?).join(path))
    }

    /// One line for cargo, whatever `value` is: a second one, from a path, would be an instruction
    /// of its own. Cargo closing the pipe is not the script's business.
    pub(crate) fn say(&mut self, what: &str, value: &str) {
        let value = printable(value).replace('\n', "\\n");
        let _ = writeln!(self.out, "cargo::{what}={value}");
    }

    /// Passes a result on and shows an error: one `cargo::error=` per line of its text, which is all
    /// that the form allows.
    pub(crate) fn report<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            for line in error.to_string().lines() {
                // Cargo puts "error: PACKAGE:" in front.
                self.say("error", line.strip_prefix("error").unwrap_or(line));
            }
        }
        result
    }
}

/// The processor to specialise for, from a target triple. ARMv7E-M is ARMv7-M with the DSP
/// instructions; on ARMv8-M Mainline they are optional and the triple does not tell.
pub(crate) fn core_of(triple: &str) -> CoreName {
    if triple.starts_with("thumbv7em") { CoreName::CortexM4 } else { CoreName::Generic }
}
