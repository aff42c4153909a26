//! Short names for the arithmetic that decompositions are made of. No ONNX operator lives here.

use crate::format::onnx::build::Builder;
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{Add, Cast, Div, Mul, Op, OpError, Pad, Sub};
use crate::tensor::{DType, Shape, Tensor, TensorData};

type Made = Result<ValueId, OpError>;

/// Constants up to this size are not counted.
const SMALL_BYTES: usize = 1 << 10;

impl Builder<'_> {
    /// a + b, with broadcasting.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn plus(&mut self, a: ValueId, b: ValueId) -> Made {
        self.add(Add { activation: Activation::None }, &[a, b])
    }

    /// a - b, with broadcasting.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn minus(&mut self, a: ValueId, b: ValueId) -> Made {
        self.add(Sub { activation: Activation::None }, &[a, b])
    }

    /// a * b, with broadcasting.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn times(&mut self, a: ValueId, b: ValueId) -> Made {
        self.add(Mul { activation: Activation::None }, &[a, b])
    }

    /// a / b, with broadcasting.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn over(&mut self, a: ValueId, b: ValueId) -> Made {
        self.add(Div { activation: Activation::None }, &[a, b])
    }

    /// Zeros around a value; of plain int8 the integer 0, whatever readers of the result take its
    /// elements for: padding of a quantized value without a value would be its zero point.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn pad_zeros(&mut self, x: ValueId, before: Vec<usize>, after: Vec<usize>) -> Made {
        let op = Pad { before, after };
        if self.ty(x).dtype != DType::I8 {
            return self.add(op, &[x]);
        }
        let zero = self.tensor(Vec::new(), TensorData::I8(vec![0]))?;
        self.add(op, &[x, zero])
    }

    /// x * factor; nothing for 1.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn scaled(&mut self, x: ValueId, factor: f32) -> Made {
        if factor == 1.0 {
            return Ok(x);
        }
        let factor = self.number(factor)?;
        self.times(x, factor)
    }

    /// x + offset.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn offset(&mut self, x: ValueId, offset: f32) -> Made {
        let offset = self.number(offset)?;
        self.plus(x, offset)
    }

    /// An operator of one operand.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn apply(&mut self, op: impl Into<Op>, x: ValueId) -> Made {
        self.add(op, &[x])
    }

    /// One float32 without dimensions.
    ///
    /// # Errors
    /// None in practice.
    pub fn number(&mut self, value: f32) -> Made {
        self.tensor(Vec::new(), TensorData::F32(vec![value]))
    }

    /// One number without dimensions, of the type that arithmetic with `like` takes.
    ///
    /// # Errors
    /// A type without numbers.
    pub fn number_like(&mut self, like: ValueId, value: f64) -> Made {
        let own = self.ty(like).dtype;
        let to = if matches!(own, DType::F16 | DType::BF16) { DType::F32 } else { own };
        let number = self.tensor(Vec::new(), TensorData::F64(vec![value]))?;
        self.add(Cast { to }, &[number])
    }

    /// A constant of these extents. Large ones take from what constants may grow to.
    ///
    /// # Errors
    /// Another number of elements; or the constants made for this model become too large.
    pub fn tensor(&mut self, dims: Vec<usize>, data: TensorData) -> Made {
        let bytes = data.len().saturating_mul(data.dtype().size());
        if bytes > SMALL_BYTES {
            *self.budget = self
                .budget
                .checked_sub(bytes)
                .ok_or_else(|| OpError::unsupported("the constants of the model grow too large"))?;
        }
        let (count, shape) = (data.len(), Shape(dims));
        let message = format!("{count} elements do not make the shape {shape}");
        let tensor = Tensor::new(shape, data).ok_or_else(|| OpError::invalid(message))?;
        Ok(self.constant(tensor))
    }
}
