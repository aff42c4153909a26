//! The file's table of tensors: each checked, constants with their data, inputs with their shapes.

use super::file::operator_name;
use super::generated as fb;
use super::lstm;
use super::read::Reader;
use super::tensor::{self, Role};
use crate::diagnostic::{Code, Diagnostic, Origin};
use crate::format::bind::bind;
use crate::graph::{Value, ValueId};
use crate::op::{Constant, Input};
use crate::tensor::{DType, QuantParams, Shape, Tensor, TensorData, TensorType};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A tensor of the file after checking.
pub(super) struct TensorEntry {
    pub name: String,
    pub ty: TensorType,
    pub quant: Option<QuantParams>,
    /// Defined so far: constants at once, others when their producer was read.
    pub value: Option<ValueId>,
    pub constant: Option<Arc<Tensor>>,
    /// It or its operator was refused: readers of it are passed over, so that one problem stays one.
    pub refused: bool,
}

impl TensorEntry {
    /// Whether the file holds elements of it. An empty tensor may be a constant or computed.
    pub fn has_data(&self) -> bool {
        self.constant.as_ref().is_some_and(|c| !c.data.is_empty())
    }
}

impl Reader<'_> {
    pub fn read_tensors(&mut self) {
        let mut overrides = self.options.input_shapes.clone();
        let mut open = Vec::new();
        let inputs: Vec<i32> = self.subgraph.inputs().into_iter().flatten().collect();
        let states = self.sequence_states();
        for (index, tensor) in self.subgraph.tensors().into_iter().flatten().enumerate() {
            let name = match tensor.name() {
                Some(name) if !name.is_empty() => name.to_string(),
                _unnamed => format!("tensor_{index}"),
            };
            let is_input = inputs.contains(&(index as i32));
            let shape = overrides.remove(&name).filter(|_| is_input);
            let role = match (is_input, self.options.input_shapes.is_empty()) {
                (true, _) => Role::Input,
                (false, true) => Role::Inner,
                (false, false) => Role::Outdated,
            };
            let is_state = tensor.is_variable() && !states.contains(&(index as i32));
            let entry = match is_state {
                true => Err(self.state(&name)),
                false => self.tensor_entry(&tensor, &name, role, shape),
            };
            match entry {
                Ok(entry) => self.tensors.push(entry),
                Err(problem) => {
                    // Open inputs make everything after them open: naming the inputs is enough.
                    if problem.code != Code::DynamicShape || is_input {
                        self.problems.push(*problem);
                    } else {
                        open.push(*problem);
                    }
                    // Keeps the numbering, so that later messages name the right tensors.
                    let ty = TensorType::new(DType::I8, Shape(vec![0]));
                    let entry = TensorEntry {
                        name,
                        ty,
                        quant: None,
                        value: None,
                        constant: None,
                        refused: true,
                    };
                    self.tensors.push(entry);
                }
            }
        }
        if !self.problems.0.iter().any(|p| p.code == Code::DynamicShape) {
            self.problems.0.extend(open);
        }
        for name in overrides.into_keys() {
            let known: Vec<&str> = inputs
                .iter()
                .filter_map(|&i| self.tensors.get(usize::try_from(i).ok()?))
                .map(|t| t.name.as_str())
                .collect();
            let message = format!("--input-shape names \"{name}\", which is not an input");
            let help = format!("the inputs are: {}", known.join(", "));
            let d = Diagnostic::new(Code::BadOption, self.file.clone(), message).help(help);
            self.problems.push(d);
        }
    }

    fn state(&self, name: &str) -> Box<Diagnostic> {
        let message = "variable tensors (state between calls) are not supported yet";
        Diagnostic::new(Code::UnsupportedOperator, self.tensor_origin(name), message).into()
    }

    /// Tensors that are state of sequence operators only: it begins at zero in every call, so that
    /// nothing has to be kept.
    fn sequence_states(&self) -> BTreeSet<i32> {
        let ops = self.subgraph.operators().into_iter().flatten();
        let is_lstm =
            |op: &fb::Operator<'_>| operator_name(&self.model, op).is_ok_and(|n| n == lstm::NAME);
        let inputs = ops.filter(is_lstm).filter_map(|op| op.inputs());
        inputs.flat_map(|i| i.iter().skip(lstm::STATES.start).take(lstm::STATES.len())).collect()
    }

    fn tensor_entry(
        &self,
        file_tensor: &fb::Tensor<'_>,
        name: &str,
        role: Role,
        shape: Option<Vec<usize>>,
    ) -> Result<TensorEntry, Box<Diagnostic>> {
        let origin = self.tensor_origin(name);
        let error = |code, message: String| Diagnostic::new(code, origin.clone(), message);
        let dtype = tensor::dtype(file_tensor.type_())
            .map_err(|(m, help)| error(Code::UnsupportedType, m).help(help))?;
        if file_tensor.sparsity().is_some() {
            return Err(error(Code::UnsupportedType, "sparse tensors are not supported".into())
                .help("convert the model without sparsity")
                .into());
        }
        let shape = match shape {
            Some(dims) => tensor::checked(dims, &origin)?,
            None => tensor::static_shape(file_tensor, role, &origin)?,
        };
        let ty = TensorType::new(dtype, shape);
        let quant = tensor::quantization(file_tensor, &ty.shape, dtype)
            .map_err(|m| error(Code::InvalidOperator, m).help("quantize the model again"))?;
        let constant = self
            .constant_data(file_tensor, &ty)
            .map_err(|m| error(Code::MalformedModel, m))?
            .map(Arc::new);
        Ok(TensorEntry { name: name.to_string(), ty, quant, value: None, constant, refused: false })
    }

    /// Data of a constant tensor; `None` for one that is computed or an input.
    fn constant_data(
        &self,
        tensor: &fb::Tensor<'_>,
        ty: &TensorType,
    ) -> Result<Option<Tensor>, String> {
        let index = tensor.buffer() as usize;
        if tensor.external_buffer() != 0 {
            return Err("its data lies in an external buffer, which is not supported".into());
        }
        let buffer = self.model.buffers().and_then(|b| b.iter().nth(index));
        let Some(buffer) = buffer else {
            // Buffer 0 means "no data" and may be left out altogether.
            return if index == 0 {
                Ok(None)
            } else {
                Err(format!("buffer {index} does not exist"))
            };
        };
        if buffer.offset() > 1 {
            return Err("its data lies behind the flatbuffer, which is not supported".into());
        }
        let Some(data) = buffer.data().filter(|d| !d.is_empty()) else {
            // No bytes mean "computed", unless the tensor has none: a scalar's target shape.
            let empty = ty.bytes() == 0;
            return Ok(empty
                .then(|| Tensor::new(ty.shape.clone(), TensorData::zeros(ty.dtype, 0)))
                .flatten());
        };
        if data.len() != ty.bytes() {
            return Err(format!(
                "buffer {index} has {} bytes, {ty} needs {}",
                data.len(),
                ty.bytes()
            ));
        }
        let data = TensorData::from_le_bytes(ty.dtype, data.bytes())
            .ok_or("its buffer is not a whole number of elements")?;
        Ok(Tensor::new(ty.shape.clone(), data))
    }

    pub fn read_inputs(&mut self) {
        let mut given = self.options.input_values.clone();
        for index in self.subgraph.inputs().into_iter().flatten() {
            let Some(entry) = usize::try_from(index).ok().and_then(|i| self.tensors.get_mut(i))
            else {
                let message = format!("input: {}", self.missing(index));
                self.problem(Code::MalformedModel, self.file.clone(), message);
                self.pass_over_unwritten();
                continue;
            };
            if entry.refused {
                given.remove(&entry.name);
                continue;
            }
            if entry.value.is_some() {
                let (name, message) = (entry.name.clone(), "the tensor is listed as input twice");
                self.problem(Code::MalformedModel, self.tensor_origin(&name), message);
                continue;
            }
            if let Some(tensor) = given.remove(&entry.name) {
                let dims: Vec<Option<usize>> = entry.ty.shape.0.iter().copied().map(Some).collect();
                let origin = Origin { tensor: entry.name.clone(), ..self.file.clone() };
                let bound = bind(&tensor, entry.ty.dtype, Some(&dims));
                entry.constant = bound.as_ref().ok().map(|tensor| Arc::new(tensor.clone()));
                let used = bound.and_then(|_| self.value_of(index));
                if let Err(message) = used {
                    self.problem(Code::BadOption, origin, format!("--input-value: {message}"));
                }
                continue;
            }
            if entry.ty.shape.elements() == 0 {
                let message = format!("the input has no elements: its shape is {}", entry.ty.shape);
                let origin = Origin { tensor: entry.name.clone(), ..self.file.clone() };
                self.problems.push(
                    Diagnostic::new(Code::InvalidOperator, origin, message)
                        .help("give it a shape with --input-shape, or export the model with one"),
                );
                continue;
            }
            entry.constant = None;
            let value = Value {
                name: entry.name.clone(),
                ty: entry.ty.clone(),
                quant: entry.quant.clone(),
            };
            let origin = Origin { tensor: entry.name.clone(), ..self.file.clone() };
            let node = self.graph.add(Input { ty: entry.ty.clone() }.into(), vec![value], origin);
            entry.value = Some(node.result(0));
        }
        for name in given.into_keys() {
            let message = format!("--input-value names \"{name}\", which is not an input");
            self.problem(Code::BadOption, self.file.clone(), message);
        }
    }

    pub fn missing(&self, index: i32) -> String {
        format!("tensor {index} does not exist, the model has {}", self.tensors.len())
    }

    /// The value of tensor `index`, creating the constant at its first use.
    pub fn value_of(&mut self, index: i32) -> Result<ValueId, String> {
        let missing = self.missing(index);
        let entry =
            usize::try_from(index).ok().and_then(|i| self.tensors.get_mut(i)).ok_or(missing)?;
        if let Some(value) = entry.value {
            return Ok(value);
        }
        if entry.constant.is_none() && entry.ty.shape.elements() == 0 {
            // A tensor without elements needs no data: the target shape of RESHAPE to a scalar.
            let data = TensorData::zeros(entry.ty.dtype, 0);
            entry.constant = Tensor::new(entry.ty.shape.clone(), data).map(Arc::new);
        }
        let Some(tensor) = &entry.constant else {
            return Err(format!(
                "tensor \"{}\" has no data and is read before any operator computes it",
                entry.name
            ));
        };
        let value =
            Value { name: entry.name.clone(), ty: entry.ty.clone(), quant: entry.quant.clone() };
        let origin = Origin { tensor: entry.name.clone(), ..self.file.clone() };
        let op = Constant { tensor: tensor.clone() }.into();
        let node = self.graph.add(op, vec![value], origin);
        entry.value = Some(node.result(0));
        Ok(node.result(0))
    }

    pub fn is_refused(&self, tensor: i32) -> bool {
        usize::try_from(tensor).ok().and_then(|i| self.tensors.get(i)).is_some_and(|e| e.refused)
    }

    /// After a reference that leads nowhere, any tensor that nothing gives may be the one meant: those
    /// who read it are passed over.
    pub fn pass_over_unwritten(&mut self) {
        if std::mem::replace(&mut self.is_dangling, true) {
            return;
        }
        let ops = self.subgraph.operators().into_iter().flatten();
        let written: BTreeSet<i32> =
            ops.filter_map(|op| op.outputs()).flat_map(|o| o.iter()).collect();
        let inputs: BTreeSet<i32> = self.subgraph.inputs().into_iter().flatten().collect();
        for (i, entry) in self.tensors.iter_mut().enumerate() {
            let is_given = entry.constant.is_some() || inputs.contains(&(i as i32));
            entry.refused |= !is_given && !written.contains(&(i as i32));
        }
    }
}
