//! What can go wrong in a build script. Printing is in `cargo`.

use std::fmt;
use std::path::PathBuf;
use tinycc_driver::{Diagnostics, write::WriteError};

/// Why a model was not compiled. `main` may return it: its `Debug` form is the text.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Problems in the model or the options, each with its place.
    #[error(transparent)]
    Model(#[from] Diagnostics),
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Reason.
        reason: std::io::Error,
    },
    /// The configuration file is not text.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// File.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A variable that cargo sets is missing.
    #[error("{name} is not set: call this from a build script")]
    NoCargo {
        /// Variable.
        name: &'static str,
    },
    /// The emitted C was not built.
    #[cfg(feature = "c")]
    #[error("cannot build the emitted C: {0}")]
    C(#[from] cc::Error),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
