//! SpaceToDepth: moves spatial blocks into channels, NHWC. TFLite SPACE_TO_DEPTH.

use super::conv2d::dims4;
use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// `[n, h, w, c]` to `[n, h/b, w/b, b*b*c]`; channel = (row in block * b + column in block) * c + c'.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceToDepth {
    /// Block edge b.
    pub block: usize,
}

/// The copy from the wide side `[n, h, w, c]` to the deep side; `block` divides h and w.
pub(super) fn blocks([n, h, w, c]: [usize; 4], block: usize) -> AffineCopy {
    let (rows, columns) = (h / block, w / block);
    let dim = |extent, source: usize, target: usize| Dim {
        extent,
        source: source as i64,
        target: target as i64,
    };
    let deep = block * block * c;
    AffineCopy {
        dims: vec![
            dim(n, h * w * c, h * w * c),
            dim(rows, block * w * c, columns * deep),
            dim(columns, block * c, deep),
            dim(block, w * c, block * c),
            dim(block * c, 1, 1),
        ],
        source_base: 0,
        target_base: 0,
    }
}

impl Operator for SpaceToDepth {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let [n, h, w, c] = dims4(x.shape(), "input")?;
        let b = self.block;
        if b == 0 || h % b != 0 || w % b != 0 {
            let x = x.shape();
            return Err(OpError::invalid(format!("{x} does not divide into blocks of {b}x{b}")));
        }
        let deep = c.saturating_mul(b).saturating_mul(b);
        let shape: Shape = movement::result_shape(vec![n, h / b, w / b, deep])?;
        Ok(vec![TensorType::new(x.dtype(), shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let dims = dims4(s.operand(0)?.shape(), "input")?;
        movement::eval(s, inputs, &[blocks(dims, self.block)])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        movement::alias_if(self.block == 1)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dims = dims4(s.operand(0)?.shape(), "input")?;
        movement::lower(s, k, &[blocks(dims, self.block)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for block in 1..4 {
            let x = Spec::i8(&[2, 2 * block, 3 * block, 2], 0.1, 0);
            check(SpaceToDepth { block }, &[x], &[(0.1, 0)]);
        }
    }
}
