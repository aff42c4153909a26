//! What an operator sees of the graph: its operands and results, and how it reports a misfit.

use crate::diagnostic::{Code, Diagnostic, Origin};
use crate::tensor::{DType, QuantParams, Shape, Tensor, TensorType};

/// One operand or result.
#[derive(Clone, Copy, Debug)]
pub struct ValueInfo<'a> {
    /// Name for messages.
    pub name: &'a str,
    /// Element type and shape.
    pub ty: &'a TensorType,
    /// Quantization parameters, if any.
    pub quant: Option<&'a QuantParams>,
    /// The data, when the value is a constant.
    pub constant: Option<&'a Tensor>,
}

impl<'a> ValueInfo<'a> {
    /// Extents.
    #[must_use]
    pub fn shape(&self) -> &'a Shape {
        &self.ty.shape
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// Quantization parameters, required.
    ///
    /// # Errors
    /// The value has none.
    pub fn quantized(&self) -> Result<&'a QuantParams, OpError> {
        self.quant.ok_or_else(|| {
            OpError::invalid(format!("tensor \"{}\" ({}) has no quantization", self.name, self.ty))
        })
    }

    /// Scale and zero point of a per-tensor quantized value.
    ///
    /// # Errors
    /// No quantization, or one per axis.
    pub fn per_tensor(&self) -> Result<(f32, i32), OpError> {
        let quant = self.quantized()?;
        if quant.scales.len() != 1 {
            return Err(OpError::unsupported(format!(
                "tensor \"{}\" is quantized per axis; this operator needs one scale",
                self.name
            )));
        }
        Ok((quant.scale(), quant.zero_point()))
    }
}

/// The two arithmetics of layers: quantized integers, and reals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// int8 elements.
    Int8,
    /// float32 elements.
    Real,
}

/// Elements of a tensor that a layer computes with.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// int8 elements.
    Int8(&'a [i8]),
    /// float32 elements.
    Real(&'a [f32]),
}

/// Operands in order and results in order.
#[derive(Clone, Debug, Default)]
pub struct Signature<'a> {
    /// Operands.
    pub operands: Vec<ValueInfo<'a>>,
    /// Results with the types and quantization the graph declares for them.
    pub results: Vec<ValueInfo<'a>>,
}

impl<'a> Signature<'a> {
    /// Operand `i`.
    ///
    /// # Errors
    /// There are fewer operands.
    pub fn operand(&self, i: usize) -> Result<&ValueInfo<'a>, OpError> {
        self.operands.get(i).ok_or_else(|| {
            OpError::invalid(format!("needs operand {i}, but has {} operands", self.operands.len()))
        })
    }

    /// Result `i`.
    ///
    /// # Errors
    /// There are fewer results.
    pub fn result(&self, i: usize) -> Result<&ValueInfo<'a>, OpError> {
        self.results.get(i).ok_or_else(|| {
            OpError::invalid(format!("needs result {i}, but has {} results", self.results.len()))
        })
    }

    /// Which arithmetic operand 0 calls for.
    ///
    /// # Errors
    /// No operand, or of another type.
    pub fn arithmetic(&self) -> Result<Arithmetic, OpError> {
        let dtype = self.operand(0)?.dtype();
        let known = [(DType::I8, Arithmetic::Int8), (DType::F32, Arithmetic::Real)];
        let found = known.into_iter().find(|(d, _)| *d == dtype);
        found.map(|(_, a)| a).ok_or_else(|| OpError::types(self))
    }

    /// The elements of an operand.
    ///
    /// # Errors
    /// Another type.
    pub fn elements<'t>(&self, tensor: &'t Tensor) -> Result<Elements<'t>, OpError> {
        let int8 = tensor.as_i8().map(Elements::Int8);
        let any = int8.or_else(|| tensor.as_f32().map(Elements::Real));
        any.ok_or_else(|| OpError::types(self))
    }

    /// Checks the number of operands.
    ///
    /// # Errors
    /// Fewer than `least` or more than `most`.
    pub fn expect_operands(&self, least: usize, most: usize) -> Result<(), OpError> {
        let n = self.operands.len();
        if n < least || n > most {
            let wanted =
                if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(OpError::invalid(format!("has {n} operands, expected {wanted}")));
        }
        Ok(())
    }
}

/// Why an operator does not accept its operands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OpError {
    /// `InvalidOperator` or `UnsupportedOperator` or `UnsupportedType`; readers of formats also have
    /// other ones.
    pub code: Code,
    /// What does not fit.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
}

impl OpError {
    /// The model is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: Code::InvalidOperator, message: message.into(), help: String::new() }
    }

    /// The model is right, but this combination is not handled.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { code: Code::UnsupportedOperator, message: message.into(), help: String::new() }
    }

    /// The element types are not handled.
    #[must_use]
    pub fn types(signature: &Signature<'_>) -> Self {
        let list = |v: &[ValueInfo<'_>]| {
            v.iter().map(|i| i.ty.dtype.name()).collect::<Vec<_>>().join(", ")
        };
        let (scheme, help) = scheme(signature);
        Self {
            code: Code::UnsupportedType,
            message: format!(
                "element types ({}) -> ({}) are not supported{scheme}",
                list(&signature.operands),
                list(&signature.results)
            ),
            help: help.into(),
        }
    }

    /// Adds advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Attaches the place.
    #[must_use]
    pub fn into_diagnostic(self, origin: Origin) -> Diagnostic {
        Diagnostic::new(self.code, origin, self.message).help(self.help)
    }
}

/// Names the quantization scheme behind an unsupported combination of types, and the way out.
fn scheme(signature: &Signature<'_>) -> (&'static str, &'static str) {
    let types: Vec<DType> = signature.operands.iter().map(|o| o.ty.dtype).collect();
    match types.as_slice() {
        [DType::F32, DType::I8, ..] => (
            " yet: this is a dynamic-range model (float32 activations, int8 weights)",
            "convert it with full int8 quantization (representative dataset), or without any",
        ),
        [DType::I16, DType::I8, ..] => (
            " yet: this is an int16x8 model (int16 activations, int8 weights)",
            "convert it with int8 activations",
        ),
        [DType::I16, ..] => (" yet: this is an int16 model", "convert it with int8 activations"),
        [DType::I8, DType::I8, DType::I8] => ("", "the bias of an int8 layer should be int32"),
        _other => ("", "layers compute in int8 or float32"),
    }
}
