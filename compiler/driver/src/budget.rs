//! Memory budgets: `--max-arena` and `--max-flash`, and who uses the most.

use crate::options::Options;
use crate::report::{LayerInfo, Report};
use crate::table::{Align, Table, grouped};
use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics, Origin, shortened};

/// Contributors a message lists, and characters of a name.
const LISTED: usize = 8;
const SHOWN: usize = 60;

/// Checks the report against the budgets; both are reported when both are exceeded.
///
/// # Errors
/// One `OverBudget` per exceeded budget, with a table of the biggest contributors.
pub(crate) fn check(report: &Report, options: &Options, file: &str) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::default();
    let Some(t) = &report.totals.code else { return Ok(()) };
    let weights_bytes = report.totals.weights_bytes;
    let origin = Origin { file: file.to_string(), ..Origin::default() };
    if let Some(limit) = options.max_arena
        && t.arena_bytes > limit.0
    {
        let message = format!(
            "the arena needs {} bytes, {} more than --max-arena {limit}",
            t.arena_bytes,
            t.arena_bytes - limit.0
        );
        let layers = contributors(report, "live bytes", |l| l.live_bytes.unwrap_or(0));
        let help = "smaller activations help: a smaller input, fewer channels or an earlier \
                    stride in the layers listed";
        problems.push(
            Diagnostic::new(Code::OverBudget, origin.clone(), message).listing(layers).help(help),
        );
    }
    if let Some(limit) = options.max_flash
        && t.flash_bytes_estimate > limit.0
    {
        let message = format!(
            "flash needs about {} bytes (weights {}, code about {}), {} more than --max-flash \
             {limit}",
            t.flash_bytes_estimate,
            weights_bytes,
            t.code_bytes_estimate,
            t.flash_bytes_estimate - limit.0
        );
        let layers = contributors(report, "weights bytes", |l| l.weights_bytes.unwrap_or(0));
        let help = "fewer weights help; int8 weights are a quarter of float32";
        problems
            .push(Diagnostic::new(Code::OverBudget, origin, message).listing(layers).help(help));
    }
    problems.into_result(())
}

/// The layers with the largest `bytes`, indented, without a final newline.
fn contributors(report: &Report, title: &str, bytes: impl Fn(&LayerInfo) -> usize) -> String {
    let mut layers: Vec<&LayerInfo> = report.layers.iter().filter(|l| bytes(l) > 0).collect();
    // Stable: equal layers stay in execution order.
    layers.sort_by_key(|l| std::cmp::Reverse(bytes(l)));
    let mut table =
        Table::new(&[("layer", Align::Left), ("output", Align::Left), (title, Align::Right)]);
    for layer in layers.iter().take(LISTED) {
        let cells =
            [shortened(&layer.name, SHOWN), layer.output.clone(), grouped(bytes(layer) as u64)];
        table.row(cells.to_vec());
    }
    let mut text: Vec<String> = table.to_string().lines().map(|l| format!("    {l}")).collect();
    if layers.len() > LISTED {
        text.push(format!("    and {} more layers", layers.len() - LISTED));
    }
    text.join("\n")
}
