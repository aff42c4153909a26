//! Register-level tiles: a counted loop of machine-like instructions on named registers, with
//! memory read through cursors. Printed as inline assembly on cores with the DSP extension, line by
//! line as portable code elsewhere; the interpreter executes the same list.

use super::{Buf, Expr, Var};

/// A temporary 32-bit register of a tile, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileReg(pub u8);

/// A read pointer that walks through a buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// Name for the printed pointer.
    pub name: String,
    /// What it reads; the byte address of `start` must be a multiple of 4.
    pub buf: Buf,
    /// First element.
    pub start: Expr,
    /// Bytes it advances per trip.
    pub stride: usize,
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TileInst {
    /// Loads two little-endian 32-bit words at `cursor + offset` bytes (offset a multiple of 4,
    /// below 1021). With `advance` the cursor moves by its stride afterwards; its offset is then 0.
    LoadPair {
        /// First word.
        lo: TileReg,
        /// Second word.
        hi: TileReg,
        /// Index into `Tile::cursors`.
        cursor: usize,
        /// Byte offset relative to the cursor's current position; may be negative.
        offset: i32,
        /// Post-increment.
        advance: bool,
    },
    /// `dst` = int16 pair of bytes 0 and 2 of `src`, or of bytes 1 and 3 with `ror8`.
    Sxtb16 {
        /// Destination.
        dst: TileReg,
        /// Source.
        src: TileReg,
        /// Rotate right by 8 first.
        ror8: bool,
    },
    /// `acc += a.lo * b.lo + a.hi * b.hi` on int16 pairs, wrapping.
    Smlad {
        /// Index into `Tile::accumulators`.
        acc: usize,
        /// First pair.
        a: TileReg,
        /// Second pair.
        b: TileReg,
    },
}

/// The loop: `trips` times the instruction list. Cursor 0 ends it: the loop runs until that cursor
/// has advanced `trips` strides.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// Number of repetitions, at least 1.
    pub trips: usize,
    /// I32 variables updated by the tile.
    pub accumulators: Vec<Var>,
    /// Read pointers; each advances exactly once per trip.
    pub cursors: Vec<Cursor>,
    /// Number of temporaries.
    pub registers: u8,
    /// The instructions.
    pub body: Vec<TileInst>,
}
