//! Passes: named graph rewrites, run in a list, the verifier after each one, always.

mod dequantize_graph;
mod fold_constants;
mod fuse_activation;
mod fuse_quantization;
mod layout;
mod materialise_outputs;
mod port_quantization;
mod remove_dead;
mod tabulate;
mod widen_storage;

pub use fuse_quantization::{float_reason, is_quantized};
pub use port_quantization::label_ports;

use crate::diagnostic::Diagnostics;
use crate::graph::{Graph, verify};

/// A graph rewrite.
#[derive(Clone, Copy)]
pub struct Pass {
    /// Name on the command line, for example `fold-constants`.
    pub name: &'static str,
    /// One line for `tinycc passes`.
    pub about: &'static str,
    /// The rewrite. Returns how many changes it made.
    pub run: fn(&mut Graph) -> Result<usize, Diagnostics>,
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All passes, in the order in which targets run them.
pub const ALL: &[Pass] = &[
    fold_constants::PASS,
    layout::PASS,
    fuse_activation::PASS,
    fuse_quantization::PASS,
    tabulate::PASS,
    remove_dead::PASS,
    materialise_outputs::PASS,
];

/// What code targets need before lowering.
pub const LEGALISE: &[Pass] = ALL;

/// What graph targets need that compute with real numbers.
pub const REAL: &[Pass] = &[
    fold_constants::KEEP_QUANTIZED,
    layout::PASS,
    fuse_quantization::SETTLE_MOVES,
    dequantize_graph::DROP,
    widen_storage::PASS,
    remove_dead::PASS,
    materialise_outputs::PASS,
];

/// What graph targets need that compute with quantized numbers through FakeQuantize.
pub const FAKE_QUANTIZED: &[Pass] = &[
    fold_constants::KEEP_QUANTIZED,
    layout::PASS,
    fuse_quantization::SETTLE_MOVES,
    dequantize_graph::KEEP,
    widen_storage::PASS,
    remove_dead::PASS,
    materialise_outputs::PASS,
];

/// Runs `passes` in order, verifying before the first and after each.
///
/// # Errors
/// What a pass or the verifier reports.
pub fn run_all(graph: &mut Graph, passes: &[Pass]) -> Result<(), Diagnostics> {
    run_until(graph, passes, None)
}

/// Like [`run_all`], stopping after the pass called `last`.
///
/// # Errors
/// What a pass or the verifier reports.
pub fn run_until(
    graph: &mut Graph,
    passes: &[Pass],
    last: Option<&str>,
) -> Result<(), Diagnostics> {
    verify::verify(graph)?;
    for pass in passes {
        (pass.run)(graph)?;
        verify::verify(graph)?;
        if last == Some(pass.name) {
            break;
        }
    }
    Ok(())
}
