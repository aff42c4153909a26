//! Constants before they are written: float32 or integer elements, or int8 elements with the scales that
//! make them real. They can be permuted and reshaped while compiling, so no layer does it later.

use crate::numeric::dequantize;
use crate::op::OpError;
use crate::tensor::{DType, QuantParams, Shape, Tensor, TensorData};

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The elements.
    pub data: Tensor,
    /// What makes quantized elements real numbers.
    pub factor: Option<Factor>,
    /// float32 in the file, whatever its precision.
    pub is_exact: bool,
}

/// real = scale * (q - zero). Both have the rank of the elements; an extent is 1 or that of the elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    /// float32 scales.
    pub scale: Tensor,
    /// float32 zero points.
    pub zero: Tensor,
}

/// Dimension `i` of the result is dimension `order[i]` of the operand.
fn permute(tensor: &Tensor, order: &[usize]) -> Tensor {
    let strides = tensor.shape.strides();
    let pick = |of: &[usize]| order.iter().filter_map(|&i| of.get(i).copied()).collect::<Vec<_>>();
    let (dims, steps) = (pick(&tensor.shape.0), pick(&strides));
    let mut index = vec![0usize];
    for (&extent, &step) in dims.iter().zip(&steps) {
        index = index.iter().flat_map(|&at| (0..extent).map(move |i| at + i * step)).collect();
    }
    Tensor { data: tensor.data.gather(&index), shape: Shape(dims) }
}

impl Stored {
    /// A constant of the graph with its quantization, if its elements are quantized numbers.
    #[must_use]
    pub fn new(tensor: &Tensor, quant: Option<&QuantParams>) -> Self {
        let rank = tensor.shape.rank();
        let quant = quant.filter(|_| !matches!(tensor.data.dtype(), DType::F32 | DType::Bool));
        let factor = quant.map(|q| {
            let mut dims = vec![1; rank];
            if let Some(extent) = q.axis.and_then(|axis| dims.get_mut(axis)) {
                *extent = q.scales.len();
            }
            let part = |data| Tensor { shape: Shape(dims.clone()), data: TensorData::F32(data) };
            Factor {
                scale: part(q.scales.clone()),
                zero: part(q.zero_points.iter().map(|&z| z as f32).collect()),
            }
        });
        Self { data: tensor.clone(), factor, is_exact: false }
    }

    fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        let factor = |f: &Factor| Factor { scale: change(&f.scale), zero: change(&f.zero) };
        Self {
            data: change(&self.data),
            factor: self.factor.as_ref().map(factor),
            is_exact: self.is_exact,
        }
    }

    /// Dimension `i` of the result is dimension `order[i]` of this.
    #[must_use]
    pub fn permuted(&self, order: &[usize]) -> Self {
        self.map(|t| permute(t, order))
    }

    /// The same elements with the extents that `change` makes of the old ones. It is asked for the
    /// elements and for their scales, whose extents may be 1.
    #[must_use]
    pub fn reshaped(&self, change: impl Fn(&[usize]) -> Vec<usize>) -> Self {
        self.map(|t| Tensor { shape: Shape(change(&t.shape.0)), data: t.data.clone() })
    }

    /// With dimensions of extent 1 in front, up to `rank`.
    #[must_use]
    pub fn of_rank(&self, rank: usize) -> Self {
        let missing = rank.saturating_sub(self.data.shape.rank());
        self.reshaped(|dims| std::iter::repeat_n(1, missing).chain(dims.iter().copied()).collect())
    }

    /// The real numbers. Integers that are not quantized stay what they are.
    ///
    /// # Errors
    /// Quantized elements of a type without integer values.
    pub fn real(&self) -> Result<Tensor, OpError> {
        let Some(factor) = &self.factor else { return Ok(self.data.clone()) };
        let (Some(q), Some(scale), Some(zero)) =
            (self.data.to_i64(), factor.scale.as_f32(), factor.zero.as_f32())
        else {
            return Err(OpError::unsupported(
                "a quantized constant whose elements are no integers",
            ));
        };
        let mut index = vec![0usize];
        let steps = factor.scale.shape.strides();
        for ((&extent, &own), &step) in
            self.data.shape.0.iter().zip(&factor.scale.shape.0).zip(&steps)
        {
            let step = if own == 1 { 0 } else { step };
            index = index.iter().flat_map(|&at| (0..extent).map(move |i| at + i * step)).collect();
        }
        let at = |v: &[f32], i: usize| v.get(i).copied().unwrap_or_default();
        let real = q.iter().zip(&index).map(|(&q, &i)| {
            let centred = q.saturating_sub(at(zero, i) as i64);
            dequantize(i32::try_from(centred).unwrap_or(0), at(scale, i), 0)
        });
        Ok(Tensor { shape: self.data.shape.clone(), data: TensorData::F32(real.collect()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_follow_their_axis() {
        let data = TensorData::I8(vec![1, 2, 3, 4, 5, 6]);
        let tensor = Tensor { shape: Shape(vec![2, 3]), data };
        let quant = QuantParams {
            scales: vec![1.0, 10.0, 100.0],
            zero_points: vec![0, 0, 1],
            axis: Some(1),
            ..QuantParams::per_tensor(1.0, 0)
        };
        let stored = Stored::new(&tensor, Some(&quant));
        let real = |s: &Stored| s.real().expect("integers").as_f32().expect("floats").to_vec();
        assert_eq!(real(&stored), [1.0, 20.0, 200.0, 4.0, 50.0, 500.0]);
        assert_eq!(real(&stored.permuted(&[1, 0])), [1.0, 4.0, 20.0, 50.0, 200.0, 500.0]);
        let wide = stored.of_rank(3);
        assert_eq!((wide.data.shape.0.as_slice(), real(&wide)), (&[1, 2, 3][..], real(&stored)));
    }
}
