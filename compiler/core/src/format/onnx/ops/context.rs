//! What the reader of one node sees: its attributes and operands, checked as it asks for them.

use crate::format::onnx::attribute::Attributes;
use crate::format::onnx::build::Builder;
use crate::graph::ValueId;
use crate::numeric::small_float;
use crate::op::OpError;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The option `ReadOptions::nms_rows`.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// What the user says.
    pub given: Option<usize>,
    /// Whether the reader asked for it.
    pub is_read: bool,
}

/// What the reader of one node sees.
#[derive(Debug)]
pub struct Context<'g, 'f> {
    /// Its attributes.
    pub attributes: Attributes<'f>,
    /// Version of the default domain.
    pub opset: i64,
    /// Operands; `None` where an optional one is left out.
    pub operands: Vec<Option<ValueId>>,
    /// Number of outputs the file names.
    pub outputs: usize,
    /// Rows of results whose size depends on the data.
    pub rows: Rows,
    /// Where the operators go.
    pub build: Builder<'g>,
}

impl Context<'_, '_> {
    /// Operand `i`, required.
    ///
    /// # Errors
    /// It is missing.
    pub fn operand(&self, i: usize) -> Result<ValueId, OpError> {
        self.optional(i).ok_or_else(|| OpError::invalid(format!("operand {i} is missing")))
    }

    /// Operand `i`, if given.
    #[must_use]
    pub fn optional(&self, i: usize) -> Option<ValueId> {
        self.operands.get(i).copied().flatten()
    }

    /// Rows of the result, if the user says.
    pub fn rows(&mut self) -> Option<usize> {
        self.rows.is_read = true;
        self.rows.given
    }

    /// Data of operand `i`.
    ///
    /// # Errors
    /// Missing, or computed at run time.
    pub fn constant(&self, i: usize) -> Result<Arc<Tensor>, OpError> {
        let value = self.operand(i)?;
        self.build.data(value).ok_or_else(|| {
            let names = self.build.inputs_behind(value);
            let is_input = self.build.is_input(value);
            let how = if is_input { "an input of the model" } else { "computed at run time" };
            let error =
                OpError::unsupported(format!("operand {i} is {how}; here it must be constant"));
            if names.is_empty() {
                return error;
            }
            let flags: Vec<String> =
                names.iter().map(|name| format!("--input-value {name}=...")).collect();
            error.help(format!("if it never changes, give its value: {}", flags.join(" ")))
        })
    }

    /// Operand `i` as constant integers; `None` when it is left out.
    ///
    /// # Errors
    /// Computed at run time, or not integers.
    pub fn ints(&self, i: usize) -> Result<Option<Vec<i64>>, OpError> {
        if self.optional(i).is_none() {
            return Ok(None);
        }
        let tensor = self.constant(i)?;
        tensor
            .to_i64()
            .map(Some)
            .ok_or_else(|| OpError::invalid(format!("operand {i} should hold integers")))
    }

    /// Operand `i` as one constant float; `None` when it is left out.
    ///
    /// # Errors
    /// Computed at run time, or not one float.
    pub fn float(&self, i: usize) -> Result<Option<f32>, OpError> {
        if self.optional(i).is_none() {
            return Ok(None);
        }
        match small_float::to_f32(&self.constant(i)?.data).as_deref() {
            Some([one]) => Ok(Some(*one)),
            _other => Err(OpError::invalid(format!("operand {i} should be one float"))),
        }
    }

    /// `axis` in `0..rank`, counted from the end when negative.
    ///
    /// # Errors
    /// Out of range.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, OpError> {
        let wrapped = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        usize::try_from(wrapped).ok().filter(|&a| a < rank).ok_or_else(|| {
            OpError::invalid(format!("axis {axis} does not exist in {rank} dimensions"))
        })
    }

    /// Several axes, ascending, each once.
    ///
    /// # Errors
    /// Out of range.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, OpError> {
        let mut all: Vec<usize> =
            axes.iter().map(|&a| self.axis(a, rank)).collect::<Result<_, _>>()?;
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// One float constant without dimensions.
    pub fn scalar(&mut self, value: f32) -> Result<ValueId, OpError> {
        let data = crate::TensorData::F32(vec![value]);
        let tensor = Tensor::new(crate::Shape(Vec::new()), data);
        let tensor = tensor.ok_or_else(|| OpError::invalid("a scalar has one element"))?;
        Ok(self.build.constant(tensor))
    }
}
