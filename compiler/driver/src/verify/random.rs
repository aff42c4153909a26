//! Seeded inputs: the same on every machine, the full range of int8.

use tinycc_core::{DType, Tensor, TensorData, TensorType};

/// xorshift64*.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    /// 8 and 16 bits: full range. Floats: [-1, 1) or, by their bits, any number. Integers of 32 and 64
    /// bits, which are indices in most models: 0 or 1. Booleans: both.
    pub(super) fn tensor(&mut self, ty: &TensorType) -> Tensor {
        let n = ty.shape.elements();
        let mut list = || (0..n).map(|_| self.next()).collect::<Vec<u32>>();
        let data = match ty.dtype {
            DType::I8 => TensorData::I8(list().into_iter().map(|x| x as i8).collect()),
            DType::U8 => TensorData::U8(list().into_iter().map(|x| x as u8).collect()),
            DType::U16 => TensorData::U16(list().into_iter().map(|x| x as u16).collect()),
            DType::U32 => TensorData::U32(list().into_iter().map(|x| x & 1).collect()),
            DType::U64 => TensorData::U64(list().into_iter().map(|x| u64::from(x & 1)).collect()),
            // Below 1: the exponents with the top bit clear.
            DType::F16 => TensorData::F16(list().into_iter().map(|x| x as u16 & 0xBBFF).collect()),
            DType::BF16 => {
                TensorData::BF16(list().into_iter().map(|x| x as u16 & 0xBF7F).collect())
            }
            DType::F64 => {
                let unit = |x: u32| f64::from(x) / f64::from(1u32 << 31) - 1.0;
                TensorData::F64(list().into_iter().map(unit).collect())
            }
            DType::Small(small) => {
                let byte = |x: u32| small.from_bits(x as u8);
                TensorData::Small(small, list().into_iter().map(byte).collect())
            }
            DType::I16 => TensorData::I16(list().into_iter().map(|x| x as i16).collect()),
            DType::I32 => TensorData::I32(list().into_iter().map(|x| (x & 1) as i32).collect()),
            DType::I64 => TensorData::I64(list().into_iter().map(|x| i64::from(x & 1)).collect()),
            DType::F32 => {
                let unit = |x: u32| (x >> 8) as f32 / (1u32 << 23) as f32 - 1.0;
                TensorData::F32(list().into_iter().map(unit).collect())
            }
            DType::Bool => TensorData::Bool(list().into_iter().map(|x| (x & 1) as u8).collect()),
        };
        Tensor { shape: ty.shape.clone(), data }
    }
}
