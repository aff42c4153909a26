//! Removes operators no output depends on.

use super::Pass;

/// The pass.
pub const PASS: Pass = Pass {
    name: "remove-dead",
    about: "remove operators whose results nobody reads",
    run: |graph| Ok(graph.remove_dead()),
};
