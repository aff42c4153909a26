//! DepthToSpace: moves channels into spatial blocks, NHWC. TFLite DEPTH_TO_SPACE.

use super::conv2d::dims4;
use super::space_to_depth::blocks;
use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::affine::AffineCopy;
use crate::kir::KernelBuilder;

/// `[n, h, w, b*b*c]` to `[n, h*b, w*b, c]`, the inverse of `SpaceToDepth`.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthToSpace {
    /// Block edge b.
    pub block: usize,
}

impl DepthToSpace {
    fn map(&self, s: &Signature<'_>) -> Result<AffineCopy, OpError> {
        let [n, h, w, c] = dims4(s.operand(0)?.shape(), "input")?;
        let b = self.block;
        Ok(blocks([n, h * b, w * b, c / (b * b)], b).reversed())
    }
}

impl Operator for DepthToSpace {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let [n, h, w, c] = dims4(x.shape(), "input")?;
        let b = self.block;
        let square = b.checked_mul(b).filter(|&n| n > 0 && c % n == 0).ok_or_else(|| {
            OpError::invalid(format!("the {c} channels of {} do not make {b}x{b} blocks", x.shape()))
        })?;
        let dims = vec![n, h.saturating_mul(b), w.saturating_mul(b), c / square];
        Ok(vec![TensorType::new(x.dtype(), movement::result_shape(dims)?)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval(s, inputs, &[self.map(s)?])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        movement::alias_if(self.block == 1)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        movement::lower(s, k, &[self.map(s)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for block in 1..4 {
            let x = Spec::i8(&[2, 2, 3, 2 * block * block], 0.1, 0);
            check(DepthToSpace { block }, &[x], &[(0.1, 0)]);
        }
    }
}
