//! Reading `.npy` files (format versions 1 to 3) into sample sets. Only what models need: plain
//! C-ordered arrays of the element types tinycc knows.

use tinycc_core::{DType, Shape, Tensor, TensorData, TensorType};

/// An array of any rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: TensorData,
}

/// Parses the bytes of an `.npy` file.
///
/// # Errors
/// A sentence about what is wrong or not supported.
pub fn parse(bytes: &[u8]) -> Result<Array, String> {
    let short = || "the file is truncated".to_string();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not an .npy file")?;
    let (version, rest) = rest.split_at_checked(2).ok_or_else(short)?;
    let width = if version[0] == 1 { 2 } else { 4 };
    let (length, rest) = rest.split_at_checked(width).ok_or_else(short)?;
    let length = length.iter().rev().fold(0usize, |n, &b| n << 8 | usize::from(b));
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is not text")?;
    let field = |key: &str| {
        let at = header.find(&format!("'{key}':"))?;
        Some(header[at..].split_once(':')?.1.trim_start())
    };
    let descr = field("descr").ok_or("the header has no 'descr'")?;
    let dtype = dtype(descr)?;
    if field("fortran_order").is_none_or(|v| v.starts_with("True")) {
        return Err("column-major arrays are not supported; save with C order".into());
    }
    let shape = field("shape").and_then(shape).ok_or("the header has no valid 'shape'")?;
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let wanted = count.and_then(|n| n.checked_mul(dtype.size()));
    if wanted != Some(data.len()) {
        return Err(format!(
            "the data is {} bytes, shape {shape:?} needs another size",
            data.len()
        ));
    }
    let data = TensorData::from_le_bytes(dtype, data).ok_or_else(short)?;
    Ok(Array { shape, data })
}

fn dtype(descr: &str) -> Result<DType, String> {
    let name = descr.trim_start_matches('\'').split('\'').next().unwrap_or_default();
    match name {
        "|i1" | "<i1" => Ok(DType::I8),
        "|u1" | "<u1" => Ok(DType::U8),
        "<i2" => Ok(DType::I16),
        "<u2" => Ok(DType::U16),
        "<i4" => Ok(DType::I32),
        "<u4" => Ok(DType::U32),
        "<i8" => Ok(DType::I64),
        "<u8" => Ok(DType::U64),
        "<f2" => Ok(DType::F16),
        "<f4" => Ok(DType::F32),
        "<f8" => Ok(DType::F64),
        "|b1" => Ok(DType::Bool),
        other => Err(format!("element type '{other}' is not supported")),
    }
}

/// `(10, 1, 4), ...`
fn shape(text: &str) -> Option<Vec<usize>> {
    let inner = text.strip_prefix('(')?.split_once(')')?.0;
    inner.split(',').map(str::trim).filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect()
}

impl Array {
    /// The samples of an array for a tensor of type `ty`: one when the shapes are equal, else one
    /// per index of an additional dimension 0 (which may also stand in for a batch of 1).
    ///
    /// # Errors
    /// The shape or the element type does not fit.
    pub fn samples(&self, ty: &TensorType) -> Result<Vec<Tensor>, String> {
        let dims = &ty.shape.0;
        let fits = self.shape == *dims
            || self.shape.get(1..) == Some(dims.as_slice())
            || (dims.first() == Some(&1) && self.shape.get(1..) == dims.get(1..));
        if !fits || self.data.dtype() != ty.dtype {
            let given = TensorType::new(self.data.dtype(), Shape(self.shape.clone()));
            return Err(format!("the array is {given}, the model has {ty} (or Nx that)"));
        }
        let size = ty.shape.elements();
        if size == 0 {
            return Err("the tensor has no elements".into());
        }
        let n = self.data.len() / size;
        let sample = |i: usize| {
            let index: Vec<usize> = (i * size..(i + 1) * size).collect();
            Tensor { shape: ty.shape.clone(), data: self.data.gather(&index) }
        };
        Ok((0..n).map(sample).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn reads_arrays_and_splits_samples() {
        let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1, 3), }\n";
        let bytes = file(header, &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 255, 255]);
        let array = parse(&bytes).expect("well formed");
        assert_eq!(array.shape, [2, 1, 3]);
        assert_eq!(array.data, TensorData::I16(vec![1, 2, 3, 4, 5, -1]));
        let ty = TensorType::new(DType::I16, Shape(vec![1, 3]));
        let samples = array.samples(&ty).expect("fits");
        assert_eq!(samples[1].data, TensorData::I16(vec![4, 5, -1]));
        assert!(array.samples(&TensorType::new(DType::I8, Shape(vec![1, 3]))).is_err());
        assert!(array.samples(&TensorType::new(DType::I16, Shape(vec![3, 1]))).is_err());
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let good = "{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }";
        assert!(parse(&file(good, &[1, 2])).is_ok());
        for n in 0..file(good, &[1, 2]).len() {
            assert!(parse(&file(good, &[1, 2])[..n]).is_err(), "{n}");
        }
        for (from, to) in [("|i1", "<c8"), ("False", "True"), ("(2,)", "(3,)"), ("(2,)", "2")] {
            assert!(parse(&file(&good.replace(from, to), &[1, 2])).is_err(), "{to}");
        }
        let huge = good.replace("(2,)", "(18446744073709551615, 2)");
        assert!(parse(&file(&huge, &[1, 2])).is_err());
    }
}
