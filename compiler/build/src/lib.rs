//! Compiles neural networks in `build.rs`: reads the model, writes the code into `OUT_DIR`, tells
//! cargo what to watch. What compiling means is in `tinycc-driver`.
//!
//! `Cargo.toml` of a firmware crate; its half of `tinycc` is `no_std` and has no dependencies:
//!
//! ```toml
//! [dependencies]
//! tinycc = { version = "0.1", default-features = false }
//!
//! [build-dependencies]
//! tinycc-build = "0.1"
//! ```
//!
//! `build.rs`:
//!
//! ```no_run
//! fn main() -> Result<(), tinycc_build::Error> {
//!     let report = tinycc_build::Config::new("models/kws.tflite")
//!         .target_from_env() // kernels for the processor cargo builds for
//!         .max_arena("32K") // more is an error that names the layers
//!         .compile()?;
//!     assert!(report.totals.code.is_some_and(|code| code.stack_bytes_estimate < 1024));
//!     Ok(())
//! }
//! ```
//!
//! `src/main.rs`:
//!
//! ```ignore
//! mod kws {
//!     tinycc::include_model!("kws");
//! }
//!
//! let mut arena = kws::Arena::new(); // const: a static may hold it as well
//! let scores = kws::invoke(&mut arena, &samples);
//! ```
//!
//! # Where options come from
//!
//! Every option has a method here, a key in `tinycc.toml` and a flag of `tinycc compile`, with one
//! name and one meaning; only `crate`, a word of Rust, is [`Config::package`] here. A method wins over the file of [`Config::config`], which wins over what
//! [`Config::target_from_env`] finds. The target is `rust` unless something else is given.
//!
//! # What goes wrong
//!
//! All problems of a model are printed as `cargo::error=` lines, which cargo shows with the name of
//! the package, and returned as an [`Error`]. They fail the build even if the script goes on.
#![cfg_attr(
    feature = "c",
    doc = "\n# C\n\nWith the feature `c`, [`Config::compile_c`] builds the C form into a static library."
)]
#![cfg_attr(
    not(feature = "c"),
    doc = "\n# C\n\nThe feature `c` adds `Config::compile_c`, which builds the C form into a static library."
)]

#[cfg(feature = "c")]
mod c;
mod cargo;
mod error;

#[cfg(feature = "c")]
pub use c::CLibrary;
pub use error::Error;
pub use tinycc_driver::{CoreName, Diagnostics, IoLayout, Options, Report, RuntimeName};

use cargo::Cargo;
use std::path::{Path, PathBuf};
use tinycc_driver::{Compiler, Settings};

/// One model to compile, and how. Nothing happens before [`compile`](Config::compile).
#[derive(Clone, Debug)]
#[must_use = "call compile()"]
pub struct Config {
    model: PathBuf,
    file: Option<PathBuf>,
    out_dir: Option<PathBuf>,
    core_from_env: bool,
    given: Settings,
}

impl Config {
    /// A model file; a relative path starts at the package (`CARGO_MANIFEST_DIR`).
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            file: None,
            out_dir: None,
            core_from_env: false,
            given: Settings::new("build.rs"),
        }
    }

    /// Reads options from a file, usually `tinycc.toml`; a relative path starts at the package.
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Where the files go instead of `OUT_DIR`.
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// Takes the processor from cargo's `TARGET`: `cortex-m4` for `thumbv7em-*`, whose processors
    /// all have the DSP instructions; `generic` for everything else. That includes
    /// `thumbv8m.main-*`, where the DSP instructions are optional and cargo does not say whether the
    /// processor has them: give [`core`](Config::core) there.
    pub fn target_from_env(mut self) -> Self {
        self.core_from_env = true;
        self
    }

    /// What to emit: `rust` (the default) or `c`.
    pub fn target(self, target: impl Into<String>) -> Self {
        self.set("target", target.into())
    }

    /// Name of the emitted files and of the model in them; the default is made from the file name:
    /// `kws_ref` for `kws-ref.tflite`.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set("name", name.into())
    }

    /// Processor to specialise the kernels for: a [`CoreName`] or its text.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn core(self, core: impl ToString) -> Self {
        self.set("core", core.to_string())
    }

    /// Also emits an example program; may be called several times.
    pub fn example(mut self, example: impl Into<String>) -> Self {
        self.given.add("example", example.into());
        self
    }

    /// Fails when the arena needs more bytes: `"32K"` or `32 * 1024`.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn max_arena(self, bytes: impl ToString) -> Self {
        self.set("max-arena", bytes.to_string())
    }

    /// Fails when weights and estimated code need more bytes of flash.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn max_flash(self, bytes: impl ToString) -> Self {
        self.set("max-flash", bytes.to_string())
    }

    /// Replaces the shape of an input: `"serving_default_x=1x96x96x3"`; may be called several times.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn input_shape(mut self, shape: impl ToString) -> Self {
        self.given.add("input-shape", shape.to_string());
        self
    }

    /// Replaces an input by constant numbers: `"axes=0,2"`; may be called several times.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn input_value(mut self, value: impl ToString) -> Self {
        self.given.add("input-value", value.to_string());
        self
    }

    /// Rows of each NonMaxSuppression's result: unused ones hold -1, and what has no row is cut.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn nms_rows(self, rows: impl ToString) -> Self {
        self.set("nms-rows", rows.to_string())
    }

    /// Order of the dimensions of inputs and outputs: an [`IoLayout`] or its text.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn io_layout(self, layout: impl ToString) -> Self {
        self.set("io-layout", layout.to_string())
    }

    /// Emits a whole cargo package around the module (`--crate`).
    pub fn package(mut self, package: bool) -> Self {
        self.given.set("crate", package);
        self
    }

    /// Source of the run-time functions: a [`RuntimeName`] or its text. `crate` needs `tinycc-rt`
    /// among the dependencies.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn runtime(self, runtime: impl ToString) -> Self {
        self.set("runtime", runtime.to_string())
    }

    /// How an OpenVINO file stores real numbers: a [`PrecisionName`](tinycc_driver::PrecisionName) or its text.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn precision(self, precision: impl ToString) -> Self {
        self.set("precision", precision.to_string())
    }

    /// Version of an OpenVINO file: an [`IrVersion`](tinycc_driver::IrVersion) or its text.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn ir_version(self, version: impl ToString) -> Self {
        self.set("ir-version", version.to_string())
    }

    /// What the real inputs of an OpenVINO file are fed with: an [`InputType`](tinycc_driver::InputType) or
    /// its text.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn input_type(self, input: impl ToString) -> Self {
        self.set("input-type", input.to_string())
    }

    /// With bytes as inputs: what is subtracted, for example `"127.5"`, or one number per channel.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn mean_values(self, numbers: impl ToString) -> Self {
        self.set("mean-values", numbers.to_string())
    }

    /// With bytes as inputs: what the difference is divided by.
    #[expect(clippy::needless_pass_by_value, reason = "builder methods take literals and values")]
    pub fn scale_values(self, numbers: impl ToString) -> Self {
        self.set("scale-values", numbers.to_string())
    }

    fn set(mut self, name: &str, value: String) -> Self {
        self.given.set(name, value);
        self
    }

    /// The options with which the model would be compiled.
    ///
    /// # Errors
    /// A configuration file that cannot be read, options that do not exist or do not fit.
    pub fn options(&self) -> Result<Options, Error> {
        self.options_in(&Cargo::real(&mut std::io::sink()), "rust")
    }

    fn options_in(&self, cargo: &Cargo<'_>, target: &str) -> Result<Options, Error> {
        let mut options = Options { target: target.into(), ..Options::default() };
        if self.core_from_env {
            options.core = cargo::core_of(&cargo.var("TARGET")?);
        }
        if let Some(file) = &self.file {
            let text = String::from_utf8(read(&cargo.resolve(file)?)?)
                .map_err(|_| Error::NotText { path: file.clone() })?;
            options = Settings::from_toml(&text, &shown(file))?.options(&options)?;
        }
        Ok(self.given.options(&options)?)
    }

    /// Compiles the model and writes `NAME.rs`, `NAME.weights` (when there are large constants) and
    /// `NAME.json` into `OUT_DIR`; for target `c` `NAME.c`, `NAME.h` and `NAME.json`. Files that
    /// would not change are not written. Asks cargo to run the script again when the model, a file
    /// that holds its weights or the configuration file changes, and only then.
    ///
    /// # Errors
    /// Everything that is wrong with the options, the model or its size, and files that cannot be
    /// read or written. Each problem was printed as a `cargo::error=` line.
    pub fn compile(&self) -> Result<Report, Error> {
        self.compile_in(&mut Cargo::real(&mut std::io::stdout()))
    }

    fn compile_in(&self, cargo: &mut Cargo<'_>) -> Result<Report, Error> {
        let result = self.try_compile(cargo, "rust");
        cargo.report(result.map(|compiled| compiled.report))
    }

    /// `target` is the default, which a given option replaces.
    fn try_compile(&self, cargo: &mut Cargo<'_>, target: &str) -> Result<Compiled, Error> {
        for watched in std::iter::once(&self.model).chain(&self.file) {
            let path = cargo.resolve(watched)?;
            cargo.say("rerun-if-changed", &shown(&path));
        }
        let options = self.options_in(cargo, target)?;
        let model = cargo.resolve(&self.model)?;
        let bytes = read(&model)?;
        let external = tinycc_driver::external::load(&bytes, &model);
        for path in &external.paths {
            cargo.say("rerun-if-changed", &shown(path));
        }
        let compiler = Compiler::new(&bytes, options).file(shown(&self.model));
        let output = compiler.external(external.files).compile()?;
        let folder = match &self.out_dir {
            Some(folder) => cargo.resolve(folder)?,
            None => cargo.var("OUT_DIR")?.into(),
        };
        tinycc_driver::write::artifacts(&output.artifacts, &folder)?;
        Ok(Compiled { report: output.report, folder })
    }
}

/// A model whose files are written.
struct Compiled {
    report: Report,
    #[cfg_attr(not(feature = "c"), expect(dead_code, reason = "only C is built further"))]
    folder: PathBuf,
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|reason| Error::Read { path: path.to_path_buf(), reason })
}

/// A path as it should appear in messages.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests;
