//! Where the numbers of a TFLite file lie: a lenient walk over the flatbuffer that collects the
//! places worth changing. It never fails; what it cannot follow it leaves out.

use std::ops::Range;

/// What a number in the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One extent of a tensor shape, 32 bits.
    Extent,
    /// A tensor, buffer or operator-code index, 32 bits.
    Index,
    /// One byte: element type, operator code, flag, enum.
    Byte,
    /// Any 32-bit field: operator code, option, quantized dimension.
    Word,
    /// float32 scale.
    Scale,
    /// int64 zero point.
    ZeroPoint,
    /// The length word of a vector.
    Length,
}

/// The places of one file.
#[derive(Clone, Debug, Default)]
pub struct Spots {
    /// Byte position and kind of every number.
    pub numbers: Vec<(usize, Kind)>,
    /// Bytes of each constant tensor's data.
    pub data: Vec<Range<usize>>,
}

impl Spots {
    /// Walks the file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut walk = Walk { bytes, spots: Self::default() };
        // Missing parts end the walk early; what was found until then counts.
        let _ = walk.model();
        walk.spots
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    spots: Spots,
}

impl Walk<'_> {
    fn u16(&self, at: usize) -> Option<usize> {
        let b = self.bytes.get(at..at.checked_add(2)?)?;
        Some(usize::from(u16::from_le_bytes([b[0], b[1]])))
    }

    fn u32(&self, at: usize) -> Option<usize> {
        let b = self.bytes.get(at..at.checked_add(4)?)?;
        usize::try_from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])).ok()
    }

    /// Position of field `id` of the table at `table`.
    fn field(&self, table: usize, id: usize) -> Option<usize> {
        let back = self.u32(table)? as u32 as i32;
        let vtable = usize::try_from(table as i64 - i64::from(back)).ok()?;
        if 4 + 2 * id + 2 > self.u16(vtable)? {
            return None;
        }
        let offset = self.u16(vtable + 4 + 2 * id)?;
        (offset != 0).then_some(table + offset)
    }

    /// What the offset in field `id` points to.
    fn target(&self, table: usize, id: usize) -> Option<usize> {
        let at = self.field(table, id)?;
        at.checked_add(self.u32(at)?)
    }

    /// Element positions of the vector in field `id`, whose elements have `size` bytes.
    fn vector(&mut self, table: usize, id: usize, size: usize) -> Vec<usize> {
        let Some(start) = self.target(table, id) else { return Vec::new() };
        let Some(n) = self.u32(start) else { return Vec::new() };
        self.spots.numbers.push((start, Kind::Length));
        let room = self.bytes.len().saturating_sub(start + 4) / size;
        (0..n.min(room)).map(|i| start + 4 + i * size).collect()
    }

    fn tables(&mut self, table: usize, id: usize) -> Vec<usize> {
        let places = self.vector(table, id, 4);
        places.into_iter().filter_map(|at| at.checked_add(self.u32(at)?)).collect()
    }

    fn add(&mut self, at: Option<usize>, kind: Kind) {
        if let Some(at) = at {
            self.spots.numbers.push((at, kind));
        }
    }

    fn add_all(&mut self, places: Vec<usize>, kind: Kind) {
        self.spots.numbers.extend(places.into_iter().map(|at| (at, kind)));
    }

    fn model(&mut self) -> Option<()> {
        let model = self.u32(0)?;
        self.add(self.field(model, 0), Kind::Word);
        for code in self.tables(model, 1) {
            self.add(self.field(code, 0), Kind::Byte);
            self.add(self.field(code, 2), Kind::Word);
            self.add(self.field(code, 3), Kind::Word);
        }
        for subgraph in self.tables(model, 2) {
            for tensor in self.tables(subgraph, 0) {
                self.tensor(tensor);
            }
            for io in [1, 2] {
                let places = self.vector(subgraph, io, 4);
                self.add_all(places, Kind::Index);
            }
            for operator in self.tables(subgraph, 3) {
                self.operator(operator);
            }
        }
        for buffer in self.tables(model, 4) {
            let places = self.vector(buffer, 0, 1);
            if let (Some(first), Some(last)) = (places.first(), places.last()) {
                self.spots.data.push(*first..last + 1);
            }
        }
        Some(())
    }

    fn tensor(&mut self, tensor: usize) {
        for id in [0, 7] {
            let places = self.vector(tensor, id, 4);
            self.add_all(places, Kind::Extent);
        }
        self.add(self.field(tensor, 1), Kind::Byte);
        self.add(self.field(tensor, 2), Kind::Index);
        self.add(self.field(tensor, 5), Kind::Byte);
        let Some(quantization) = self.target(tensor, 4) else { return };
        let places = self.vector(quantization, 2, 4);
        self.add_all(places, Kind::Scale);
        let places = self.vector(quantization, 3, 8);
        self.add_all(places, Kind::ZeroPoint);
        self.add(self.field(quantization, 6), Kind::Word);
    }

    fn operator(&mut self, operator: usize) {
        self.add(self.field(operator, 0), Kind::Index);
        for id in [1, 2] {
            let places = self.vector(operator, id, 4);
            self.add_all(places, Kind::Index);
        }
        self.add(self.field(operator, 3), Kind::Byte);
        let Some(options) = self.target(operator, 4) else { return };
        // Options differ per operator: each field as a word (or byte) covers them all.
        for id in 0..16 {
            let at = self.field(options, id);
            self.add(at, Kind::Word);
            self.add(at, Kind::Byte);
        }
    }
}
