//! The facade: model bytes and [`Options`] in, files and a [`Report`] out. Nothing here prints or
//! exits; only [`external`], [`verify`] and [`write`](mod@write) touch the disk.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bytes = std::fs::read("model.tflite")?;
//! let output = tinycc_driver::Compiler::new(&bytes, tinycc_driver::Options::default()).compile()?;
//! println!("{}", output.report.to_text());
//! # Ok(())
//! # }
//! ```

mod budget;
mod capability;
pub mod check;
mod compiler;
pub mod external;
mod file_options;
pub mod inspect;
mod name;
mod options;
mod report;
mod rows;
mod settings;
pub mod support;
mod table;
pub mod verify;
pub mod write;

pub use capability::{survey, unsupported};
pub use compiler::{Compiler, Output};
pub use file_options::{InputType, IrVersion, Numbers, PrecisionName};
pub use name::{is_identifier, is_module, model_name, module_name};
pub use options::{CoreName, InputShape, InputValue, IoLayout, Options, RuntimeName, Size};
pub use report::{CodeTotals, LayerInfo, PortInfo, Report, Totals};
pub use rows::Rows;
pub use settings::Settings;
pub use table::{Align, Table};
pub use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics, Origin, printable};
pub use tinycc_targets::{Artifacts, Kind, TARGETS, target};
