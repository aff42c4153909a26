//! A prover that buffer indices lie in their buffers, so that a printer may leave out the checks.
//! It knows the kernel IR, no operator and no target language.
//!
//! Sound, not complete: what is not understood is not proved. Values are affine forms over unknowns
//! (`affine`), conditions and divisions are linear facts about those (`context`), operations say
//! what they do to either (`value`), and one walk in order of execution ties them (`walk`).
//! Arithmetic that might leave its type makes an unknown, so no proof rests on the absence of
//! overflow in computed data.

mod affine;
mod context;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use super::Kernel;

/// Which buffer accesses of a kernel are proved to lie inside their buffer.
///
/// Accesses are numbered from 0 in this order: statements as they stand; a loop is its body; `If`
/// is its condition, then both branches; `Let` and `Assign` are their value; a store is its index,
/// its value, then itself; expressions go depth first from left to right, and a load comes after
/// its index; a tile has, cursor by cursor, the start, then one access for all that the cursor
/// reads, which is proved only if every word is aligned relative to the buffer, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    accesses: Vec<bool>,
    unproved: Vec<String>,
}

impl Proof {
    /// Examines a kernel.
    #[must_use]
    pub fn of(kernel: &Kernel) -> Proof {
        let found = walk::prove(kernel);
        Proof { accesses: found.accesses, unproved: found.unproved }
    }

    /// Whether access number `access` is proved; `false` when there is no such access.
    #[must_use]
    pub fn in_range(&self, access: usize) -> bool {
        self.accesses.get(access).copied().unwrap_or(false)
    }

    /// One entry per access.
    #[must_use]
    pub fn accesses(&self) -> &[bool] {
        &self.accesses
    }

    /// Whether every access is proved.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.accesses.iter().all(|&proved| proved)
    }

    /// One line per access that is not proved: kernel, buffer, index, and the range it may take.
    pub fn unproved(&self) -> impl Iterator<Item = &str> {
        self.unproved.iter().map(String::as_str)
    }
}
