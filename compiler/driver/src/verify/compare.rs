//! How far two results are apart.

use super::Request;
use serde::Serialize;
use tinycc_core::op::{Cast, Operator, Signature, ValueInfo};
use tinycc_core::{DType, Tensor, TensorData};

/// Elements of any type that holds reals.
fn reals(tensor: &Tensor) -> Option<Vec<f64>> {
    if let TensorData::F64(v) = &tensor.data {
        return Some(v.clone());
    }
    let ty = tensor.ty();
    let operand = ValueInfo { name: "", ty: &ty, quant: None, constant: None };
    let signature = Signature { operands: vec![operand], results: Vec::new() };
    let wide = Cast { to: DType::F32 }.eval(&signature, &[tensor]).ok()?;
    Some(wide.first()?.as_f32()?.iter().map(|&v| f64::from(v)).collect())
}

/// Comparison of one output over all samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Tensor name.
    pub name: String,
    /// Operator and its number in the file, when layers are compared; else empty.
    pub layer: String,
    /// Element type and shape.
    pub output: String,
    /// Elements compared.
    pub elements: usize,
    /// Elements that are not equal bit for bit (two NaN count as equal).
    pub different: usize,
    /// Elements outside the tolerance.
    pub outside: usize,
    /// Largest absolute difference; infinite when only one side is NaN or infinite.
    pub max_difference: f64,
}

impl Comparison {
    /// Nothing outside the tolerance.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outside == 0
    }

    /// Adds one sample.
    pub(super) fn add(&mut self, got: &Tensor, want: &Tensor, request: &Request) {
        self.elements += want.data.len();
        if let (Some(g), Some(w)) = (got.data.to_i128(), want.data.to_i128()) {
            for (g, w) in g.iter().zip(&w).filter(|(g, w)| g != w) {
                self.different += 1;
                self.outside += usize::from(g.abs_diff(*w) > u128::from(request.steps));
                self.max_difference = self.max_difference.max(g.abs_diff(*w) as f64);
            }
        } else if let (Some(g), Some(w)) = (reals(got), reals(want)) {
            for (&g, &w) in g.iter().zip(&w) {
                self.float(g, w, request.rtol, request.atol);
            }
        } else {
            // Types were checked before; never call a mismatch equal.
            self.outside += want.data.len();
            self.max_difference = f64::INFINITY;
        }
    }

    fn float(&mut self, g: f64, w: f64, rtol: f64, atol: f64) {
        if g == w || (g.is_nan() && w.is_nan()) {
            return;
        }
        self.different += 1;
        let apart = (g - w).abs();
        let apart = if apart.is_finite() { apart } else { f64::INFINITY };
        self.max_difference = self.max_difference.max(apart);
        if apart > atol + rtol * w.abs() || apart.is_infinite() {
            self.outside += 1;
        }
    }

    /// `exact`, or how many differ and by how much.
    #[must_use]
    pub fn verdict(&self) -> String {
        if self.different == 0 && self.outside == 0 {
            return "exact".into();
        }
        let (what, count) = if self.passed() {
            ("within tolerance", self.different)
        } else {
            ("DIFFERS", self.outside)
        };
        let most = self.max_difference;
        // Integers differ by whole numbers.
        let most = if most.fract() == 0.0 { most.to_string() } else { format!("{most:.2e}") };
        format!("{what}: {count} of {} elements, max difference {most}", self.elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinycc_core::Shape;

    fn compare(g: TensorData, w: TensorData) -> Comparison {
        let shape = Shape(vec![g.len()]);
        let mut c = Comparison {
            name: "y".into(),
            layer: String::new(),
            output: String::new(),
            elements: 0,
            different: 0,
            outside: 0,
            max_difference: 0.0,
        };
        let tensor = |data| Tensor { shape: shape.clone(), data };
        c.add(&tensor(g), &tensor(w), &Request { rtol: 1e-3, atol: 1e-3, ..Request::default() });
        c
    }

    #[test]
    fn integers_are_exact_and_floats_have_a_tolerance() {
        let c = compare(TensorData::I8(vec![1, 2, -128]), TensorData::I8(vec![1, 3, 127]));
        assert_eq!((c.different, c.outside, c.max_difference), (2, 2, 255.0));
        assert!(!c.passed());
        let c = compare(TensorData::F32(vec![1.0, f32::NAN]), TensorData::F32(vec![1.0, f32::NAN]));
        assert_eq!(c.verdict(), "exact");
        let c = compare(TensorData::F32(vec![1.001]), TensorData::F32(vec![1.0]));
        assert!(c.passed() && c.different == 1);
        for bad in [f32::NAN, f32::INFINITY, 1.1] {
            assert!(!compare(TensorData::F32(vec![bad]), TensorData::F32(vec![1.0])).passed());
            assert!(!compare(TensorData::F32(vec![1.0]), TensorData::F32(vec![bad])).passed());
        }
    }
}
