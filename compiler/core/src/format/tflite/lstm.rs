//! UNIDIRECTIONAL_SEQUENCE_LSTM, which becomes several operators: constants joined gate by gate, the
//! recurrence, and transposes where the batch comes first. float32 without projection; the state
//! begins at zero in every call.

use super::generated as fb;
use crate::diagnostic::Origin;
use crate::graph::{Graph, Value, ValueId};
use crate::op::{
    Constant, GateFunction, Lstm, Op, OpError, RecurrentAttributes, RecurrentOperand,
    RecurrentResult, Transpose,
};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use std::sync::Arc;

/// Name of the operator in files.
pub(super) const NAME: &str = "UNIDIRECTIONAL_SEQUENCE_LSTM";

/// An operand of the file.
#[derive(Clone, Debug)]
pub(super) struct Given {
    /// Type.
    pub ty: TensorType,
    /// Data, when constant.
    pub constant: Option<Arc<Tensor>>,
}

// Numbers of the file's operands, gates in the core's order: input, output, forget, cell.
const WEIGHTS: [usize; 4] = [1, 4, 2, 3];
const RECURRENT: [usize; 4] = [5, 8, 6, 7];
const BIASES: [usize; 4] = [12, 15, 13, 14];
/// Input, output, forget.
const PEEPHOLES: [usize; 3] = [9, 11, 10];
const PROJECTION: usize = 16;
/// Hidden and cell state.
pub(super) const STATES: std::ops::Range<usize> = 18..20;
const NORMALIZATION: std::ops::Range<usize> = 20..24;

/// Adds the operators; the value of the result. `x` is operand 0.
///
/// # Errors
/// Forms that are not supported, operands that do not fit.
pub(super) fn read(
    graph: &mut Graph,
    op: &fb::Operator<'_>,
    (x, operands): (ValueId, &[Option<Given>]),
    result: Value,
    origin: &Origin,
) -> Result<ValueId, OpError> {
    let options = op.builtin_options_as_unidirectional_sequence_lstmoptions();
    let options = options.ok_or_else(|| OpError::invalid("its options table is missing"))?;
    let file = File { operands };
    file.check(&options)?;
    let x_type = &file.given(0)?.ty;
    let &[first, second, inputs] = x_type.shape.0.as_slice() else {
        return Err(OpError::invalid(format!("input {} has no three dimensions", x_type.shape)));
    };
    let time_major = options.time_major();
    let (steps, batch) = if time_major { (first, second) } else { (second, first) };
    let hidden = file.given(RECURRENT[0])?.ty.shape.0.last().copied().unwrap_or(0);
    let mut parts = Adding { graph, name: &result.name, origin };
    let weights = parts.joined("weights", &file.floats(&WEIGHTS, hidden * inputs)?, inputs);
    let recurrent = parts.joined("recurrent", &file.floats(&RECURRENT, hidden * hidden)?, hidden);
    let bias = parts.joined("bias", &file.floats(&BIASES, hidden)?, 0);
    let mut values = vec![weights, recurrent, bias];
    let mut given = vec![RecurrentOperand::Bias];
    if operands.get(PEEPHOLES[0]).is_some_and(Option::is_some) {
        values.push(parts.joined("peepholes", &file.floats(&PEEPHOLES, hidden)?, 0));
        given.push(RecurrentOperand::Peepholes);
    }
    let steps_first = [steps, batch, inputs];
    let x = if time_major { x } else { parts.swapped(x, &steps_first) };
    values.insert(0, x);
    let lstm = Lstm {
        attributes: RecurrentAttributes {
            hidden,
            reverse: false,
            clip: None,
            operands: given,
            results: vec![RecurrentResult::Sequence],
        },
        functions: [GateFunction::Sigmoid, GateFunction::Tanh, GateFunction::Tanh],
        input_forget: false,
        // 0 is no limit.
        cell_clip: Some(options.cell_clip()).filter(|&c| c != 0.0),
    };
    let sequence = [steps, batch, hidden];
    let y = parts.add(lstm.into(), &values, &sequence);
    Ok(if time_major { y } else { parts.swapped(y, &[batch, steps, hidden]) })
}

/// The operands of the file.
struct File<'a> {
    operands: &'a [Option<Given>],
}

impl File<'_> {
    fn given(&self, i: usize) -> Result<&Given, OpError> {
        let found = self.operands.get(i).and_then(Option::as_ref);
        found
            .ok_or_else(|| OpError::unsupported(format!("without operand {i} it is not supported")))
    }

    fn check(&self, options: &fb::UnidirectionalSequenceLSTMOptions<'_>) -> Result<(), OpError> {
        if self.given(0)?.ty.dtype != DType::F32 {
            return Err(OpError::unsupported("only its float32 form is supported"));
        }
        if options.fused_activation_function() != fb::ActivationFunctionType::TANH {
            return Err(OpError::unsupported("other activations than TANH are not supported"));
        }
        let mut others = NORMALIZATION.chain([PROJECTION]);
        if others.any(|i| self.operands.get(i).is_some_and(Option::is_some)) {
            return Err(OpError::unsupported("projection and normalization are not supported"));
        }
        Ok(())
    }

    /// Constant floats of several operands, of so many elements each, joined.
    fn floats(&self, numbers: &[usize], elements: usize) -> Result<Vec<f32>, OpError> {
        let mut all = Vec::new();
        for &i in numbers {
            let constant = self.given(i)?.constant.as_deref().and_then(Tensor::as_f32);
            let data = constant.filter(|d| d.len() == elements).ok_or_else(|| {
                OpError::unsupported(format!("operand {i} should be {elements} constant floats"))
            })?;
            all.extend_from_slice(data);
        }
        Ok(all)
    }
}

/// What adds the operators, named after the result.
struct Adding<'a> {
    graph: &'a mut Graph,
    name: &'a str,
    origin: &'a Origin,
}

impl Adding<'_> {
    fn add(&mut self, op: Op, operands: &[ValueId], dims: &[usize]) -> ValueId {
        let ty = TensorType::new(DType::F32, dims.into());
        let value = Value { name: self.name.to_string(), ty, quant: None };
        self.graph.add_with(op, operands, vec![value], self.origin.clone()).result(0)
    }

    /// A constant matrix with rows of `columns`, a list for 0.
    fn joined(&mut self, part: &str, data: &[f32], columns: usize) -> ValueId {
        let shape = match columns {
            0 => Shape(vec![data.len()]),
            n => Shape(vec![data.len() / n, n]),
        };
        let tensor = Tensor { shape, data: TensorData::F32(data.to_vec()) };
        let value = Value { name: format!("{}/{part}", self.name), ty: tensor.ty(), quant: None };
        let op = Constant { tensor: Arc::new(tensor) };
        self.graph.add(op.into(), vec![value], self.origin.clone()).result(0)
    }

    /// The first two dimensions exchanged.
    fn swapped(&mut self, x: ValueId, dims: &[usize]) -> ValueId {
        self.add(Transpose { permutation: vec![1, 0, 2] }.into(), &[x], dims)
    }
}
