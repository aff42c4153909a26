//! The constant arrays of a module: a name per kernel buffer, identical data stored once. How a
//! language spells them is the printer's part.

use std::collections::{BTreeMap, BTreeSet};
use tinycc_core::TensorData;
use tinycc_core::kir::{Access, Module, Stmt, Ty};

/// One array of the emitted file.
#[derive(Debug)]
pub struct Array<'a> {
    /// Lower-case name, unique in the module.
    pub name: String,
    /// Element type.
    pub ty: Ty,
    /// Contents.
    pub data: &'a TensorData,
    /// Whether a tile reads it word by word.
    pub words: bool,
}

/// All arrays, and which of them stands for which kernel buffer.
#[derive(Debug, Default)]
pub struct Constants<'a> {
    /// (kernel, buffer) -> index into `arrays`.
    pub of: BTreeMap<(usize, usize), usize>,
    /// In order of first use.
    pub arrays: Vec<Array<'a>>,
}

impl<'a> Constants<'a> {
    /// Collects the constants of all kernels.
    #[must_use]
    pub fn collect(module: &'a Module) -> Self {
        let mut all = Self::default();
        let mut seen: BTreeMap<(Ty, Vec<u8>), usize> = BTreeMap::new();
        for (k, kernel) in module.kernels.iter().enumerate() {
            let words = word_buffers(&kernel.body);
            for (b, buffer) in kernel.buffers.iter().enumerate() {
                let Access::Const(data) = &buffer.access else { continue };
                let key = (buffer.ty, data.to_le_bytes());
                let index = *seen.entry(key).or_insert_with(|| {
                    let name = format!("{}_{}", kernel.name, buffer.name);
                    all.arrays.push(Array { name, ty: buffer.ty, data, words: false });
                    all.arrays.len() - 1
                });
                all.arrays[index].words |= words.contains(&(b as u32));
                all.of.insert((k, b), index);
            }
        }
        all
    }

    /// Name of the array behind a kernel's buffer.
    #[must_use]
    pub fn name(&self, kernel: usize, buffer: usize) -> Option<&str> {
        self.of.get(&(kernel, buffer)).map(|&i| self.arrays[i].name.as_str())
    }
}

/// Buffers that tiles read as 32-bit words and which therefore need alignment.
fn word_buffers(body: &[Stmt]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for stmt in body {
        match stmt {
            Stmt::For { body, .. } => found.extend(word_buffers(body)),
            Stmt::If { then, otherwise, .. } => {
                found.extend(word_buffers(then));
                found.extend(word_buffers(otherwise));
            }
            Stmt::Tile(tile) => found.extend(tile.cursors.iter().map(|c| c.buf.id)),
            Stmt::Let(..) | Stmt::Assign(..) | Stmt::Store(..) | Stmt::Comment(_) => {}
        }
    }
    found
}
