//! The C form of a model as a static library, built by the `cc` crate. Which compiler and which
//! processor options is `cc`'s knowledge.

use crate::cargo::Cargo;
use crate::{Config, Error, Report};
use std::path::PathBuf;
use tinycc_driver::{Code, Diagnostic, Diagnostics, Origin};

/// A model built as a static library.
#[derive(Clone, Debug)]
pub struct CLibrary {
    /// Library without prefix and suffix: `tinycc_NAME`. Cargo links it already.
    pub name: String,
    /// Folder of the header, for other C code that includes it.
    pub include: PathBuf,
    /// The header.
    pub header: PathBuf,
    /// What the model costs.
    pub report: Report,
}

impl Config {
    /// Compiles the model to C in `OUT_DIR` and builds it into the static library `tinycc_NAME`,
    /// which is linked into the package. Dependent packages find the folder of the header in
    /// `DEP_LINKS_INCLUDE` when this one has a `links` key.
    ///
    /// Unoptimised builds use `-O2` all the same: kernels without optimisation are of no use, and
    /// the register tiles need all registers.
    ///
    /// # Errors
    /// As [`compile`](Config::compile), another target than `c`, and what the C compiler says.
    pub fn compile_c(&self) -> Result<CLibrary, Error> {
        self.compile_c_in(&mut Cargo::real(&mut std::io::stdout()))
    }

    pub(crate) fn compile_c_in(&self, cargo: &mut Cargo<'_>) -> Result<CLibrary, Error> {
        let result = self.try_compile_c(cargo);
        cargo.report(result)
    }

    fn try_compile_c(&self, cargo: &mut Cargo<'_>) -> Result<CLibrary, Error> {
        let compiled = self.try_compile(cargo, "c")?;
        let (report, include) = (compiled.report, compiled.folder);
        if report.target != "c" {
            let message = format!("compile_c() cannot build target {}", report.target);
            let problem = Diagnostic::new(Code::BadOption, Origin::default(), message)
                .help("leave the target out, or call compile()");
            return Err(Diagnostics::from(problem).into());
        }
        let name = format!("tinycc_{}", report.name);
        let level = match cargo.var("OPT_LEVEL")?.as_str() {
            level @ ("3" | "s" | "z") => level.to_string(),
            _less => "2".to_string(),
        };
        cc::Build::new()
            .file(include.join(format!("{}.c", report.name)))
            .std("c99")
            .out_dir(&include)
            .target(&cargo.var("TARGET")?)
            .host(&cargo.var("HOST")?)
            .opt_level_str(&level)
            .force_frame_pointer(false)
            .try_compile(&name)?;
        cargo.say("metadata", &format!("include={}", include.display()));
        let header = include.join(format!("{}.h", report.name));
        Ok(CLibrary { name, include, header, report })
    }
}
