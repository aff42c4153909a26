//! Example packages around an emitted model: the host filter and the emulated board. Their fixed
//! parts are data under `boards/`.

use super::package::runtime_dependency;
use crate::{Artifacts, EmitOptions, Runtime};
use std::fmt::Write;
use tinycc_core::DType;
use tinycc_core::kir::{Module, Port};

/// `example/` reading stdin and writing stdout.
pub fn host(artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
    let _ = (artifacts, module, options);
}

/// `example-mps2-an386/`: firmware for the emulated Cortex-M4.
pub fn mps2_an386(artifacts: &mut Artifacts, module: &Module, options: &EmitOptions) {
    let _ = (artifacts, module, options);
}
