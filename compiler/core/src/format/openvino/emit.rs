//! Builds layers: the network while it grows, with helpers for the layers that many operators need.
//! What an operator becomes is in `ops`, how values are laid out in `held`.

use super::file::{Elem, Layer, Network, Pool, Port, Wire};
use super::half;
use super::stored::Stored;
use super::xml::list;
use super::{Device, Precision, WriteOptions};
use crate::numeric::Activation;
use crate::op::{OpError, Range};
use crate::tensor::{DType, Tensor, TensorData};
use std::collections::{BTreeMap, BTreeSet};

/// Constants of at most this many elements stay float32: compressing them saves nothing.
const KEEP: usize = 16;

/// The network under construction.
#[derive(Debug)]
pub struct Emitter<'o> {
    /// What the user wants.
    pub options: &'o WriteOptions,
    /// What is there.
    pub network: Network,
    /// The weights file.
    pub pool: Pool,
    /// What the user should know, a sentence each.
    pub notes: BTreeSet<String>,
    /// Rewrites since they were last taken.
    pub rewrites: Vec<&'static str>,
    transposes: BTreeMap<(Port, Vec<usize>), Wire>,
    constants: BTreeMap<(Elem, Vec<usize>, usize), Wire>,
}

impl<'o> Emitter<'o> {
    /// An empty network.
    #[must_use]
    pub fn new(options: &'o WriteOptions) -> Self {
        Self {
            options,
            network: Network {
                name: options.name.clone(),
                version: options.version.number(),
                ..Network::default()
            },
            pool: Pool::default(),
            notes: BTreeSet::new(),
            rewrites: Vec::new(),
            transposes: BTreeMap::new(),
            constants: BTreeMap::new(),
        }
    }

    /// Whether the file is for the Myriad X of the Neural Compute Stick 2.
    #[must_use]
    pub fn is_myriad(&self) -> bool {
        self.options.device == Device::MyriadX
    }

    /// Element type that values of the graph have in the file.
    ///
    /// # Errors
    /// A type the format, or this writer, does not have.
    pub fn elem(&self, dtype: DType) -> Result<Elem, OpError> {
        let plain = [
            (DType::F32, Elem::F32),
            (DType::I64, Elem::I64),
            (DType::I32, Elem::I32),
            (DType::I8, Elem::I8),
            (DType::U8, Elem::U8),
            (DType::Bool, Elem::Bool),
        ];
        plain.iter().find(|p| p.0 == dtype).map(|p| p.1).ok_or_else(|| {
            OpError::unsupported(format!("element type {dtype} has no place in an OpenVINO file"))
        })
    }

    /// Adds a layer with one result.
    pub fn one(
        &mut self,
        (kind, opset): (&'static str, u8),
        data: Vec<(&'static str, String)>,
        inputs: &[&Wire],
        elem: Elem,
        dims: Vec<usize>,
    ) -> Wire {
        let port = Port {
            layer: self.layer((kind, opset), data, inputs, vec![(elem, dims.clone())]),
            output: 0,
        };
        Wire { port, elem, dims }
    }

    /// Adds a layer; returns its number.
    pub fn layer(
        &mut self,
        (kind, opset): (&'static str, u8),
        data: Vec<(&'static str, String)>,
        inputs: &[&Wire],
        outputs: Vec<(Elem, Vec<usize>)>,
    ) -> usize {
        self.network.layers.push(Layer {
            kind,
            opset,
            data,
            inputs: inputs.iter().map(|w| (*w).clone()).collect(),
            outputs,
            name: None,
            is_decompression: false,
        });
        self.network.layers.len() - 1
    }

    /// A layer that maps each element on its own.
    pub fn unary(&mut self, kind: (&'static str, u8), x: &Wire) -> Wire {
        self.one(kind, Vec::new(), &[x], x.elem, x.dims.clone())
    }

    /// An elementwise layer whose operands broadcast; they have one rank.
    ///
    /// # Errors
    /// Extents that do not broadcast.
    pub fn binary(&mut self, kind: &'static str, a: &Wire, b: &Wire) -> Result<Wire, OpError> {
        let fits = |(&x, &y): (&usize, &usize)| {
            (x == y || x == 1 || y == 1).then_some(if x == 1 { y } else { x })
        };
        let dims: Option<Vec<usize>> = a.dims.iter().zip(&b.dims).map(fits).collect();
        let dims = dims.filter(|_| a.dims.len() == b.dims.len()).ok_or_else(|| {
            OpError::invalid(format!("operands {:?} and {:?} do not broadcast", a.dims, b.dims))
        })?;
        let data = vec![("auto_broadcast", "numpy".to_string())];
        Ok(self.one((kind, 1), data, &[a, b], a.elem, dims))
    }

    /// A real number that broadcasts to `rank` dimensions.
    pub fn scalar(&mut self, value: f32, rank: usize) -> Wire {
        self.reals(vec![1; rank], &[value])
    }

    /// An elementwise layer of a value and a real number.
    ///
    /// # Errors
    /// None in practice: a number broadcasts to anything.
    pub fn with_scalar(
        &mut self,
        kind: &'static str,
        x: &Wire,
        value: f32,
    ) -> Result<Wire, OpError> {
        let scalar = self.scalar(value, x.dims.len());
        self.binary(kind, x, &scalar)
    }

    /// A fused activation as a layer of its own: the graph compilers fuse it again.
    pub fn activate(&mut self, x: Wire, activation: Activation) -> Wire {
        match activation {
            Activation::None => x,
            Activation::Relu => self.unary(("ReLU", 1), &x),
            Activation::Relu6 => self.clamp(&x, 0.0, 6.0),
            Activation::ReluN1To1 => self.clamp(&x, -1.0, 1.0),
        }
    }

    /// min(max(x, low), high).
    pub fn clamp(&mut self, x: &Wire, low: f32, high: f32) -> Wire {
        let data = vec![("min", low.to_string()), ("max", high.to_string())];
        self.one(("Clamp", 1), data, &[x], x.elem, x.dims.clone())
    }

    /// The number that a constant of one element is.
    #[must_use]
    pub fn number(&self, x: &Wire) -> Option<f32> {
        let layer = self.network.layers.get(x.port.layer)?;
        if layer.kind != "Const" || x.dims.iter().any(|&d| d != 1) {
            return None;
        }
        let (_, offset) = layer.data.iter().find(|d| d.0 == "offset")?;
        let bytes = self.pool.bytes(offset.parse().ok()?, x.elem.size())?;
        match x.elem {
            Elem::F32 => Some(f32::from_le_bytes(bytes.try_into().ok()?)),
            Elem::I32 => Some(i32::from_le_bytes(bytes.try_into().ok()?) as f32),
            Elem::I64 => Some(i64::from_le_bytes(bytes.try_into().ok()?) as f32),
            Elem::F16 | Elem::I8 | Elem::U8 | Elem::Bool => None,
        }
    }

    /// Another element type.
    pub fn convert(&mut self, x: &Wire, to: Elem) -> Wire {
        if x.elem == to {
            return x.clone();
        }
        let data = vec![("destination_type", to.attribute().to_string())];
        self.one(("Convert", 1), data, &[x], to, x.dims.clone())
    }

    /// Dimension `i` of the result is dimension `order[i]` of `x`. Made once per value and order; a
    /// permutation that moves no data is a reshape or nothing.
    pub fn transpose(&mut self, x: &Wire, order: &[usize]) -> Wire {
        let dims: Vec<usize> = order.iter().filter_map(|&i| x.dims.get(i).copied()).collect();
        let moved = order.iter().filter(|&&i| x.dims.get(i).is_some_and(|&d| d != 1));
        if order.iter().copied().eq(0..x.dims.len()) {
            return x.clone();
        }
        if let Some(known) = self.transposes.get(&(x.port, order.to_vec())) {
            return known.clone();
        }
        let wire = if moved.is_sorted() {
            self.reshape(x, &dims)
        } else {
            let order: Vec<i64> = order.iter().map(|&i| i as i64).collect();
            let order = self.ints(&order);
            self.one(("Transpose", 1), Vec::new(), &[x, &order], x.elem, dims)
        };
        self.transposes.insert((x.port, order.to_vec()), wire.clone());
        wire
    }

    /// The same elements with other extents.
    pub fn reshape(&mut self, x: &Wire, dims: &[usize]) -> Wire {
        if x.dims == dims { x.clone() } else { self.reshape_always(x, dims) }
    }

    /// As [`Emitter::reshape`], a layer even where nothing changes. A shape without numbers would be a
    /// constant without bytes, on which the CPU plugin (2026.4.1) crashes.
    pub fn reshape_always(&mut self, x: &Wire, dims: &[usize]) -> Wire {
        if dims.is_empty() {
            let x = if x.dims.is_empty() { self.reshape_always(x, &[1]) } else { x.clone() };
            let all: Vec<i64> = (0..x.dims.len() as i64).collect();
            let all = self.ints(&all);
            return self.one(("Squeeze", 1), Vec::new(), &[&x, &all], x.elem, Vec::new());
        }
        let mut shape: Vec<i64> = dims.iter().map(|&d| d as i64).collect();
        // The stick's compiler takes batches apart: 0 stands for as many as there are.
        let batch = x.dims.first().filter(|&&d| d > 1 && dims.first() == Some(&d));
        let is_split = self.is_myriad() && batch.is_some() && !dims.contains(&0);
        if let Some(first) = shape.first_mut().filter(|_| is_split) {
            *first = 0;
        }
        let shape = self.ints(&shape);
        let data = vec![("special_zero", is_split.to_string())];
        self.one(("Reshape", 1), data, &[x, &shape], x.elem, dims.to_vec())
    }

    /// Some indices of every dimension.
    pub fn strided(&mut self, x: &Wire, ranges: &[Range]) -> Wire {
        // The step of a single index means nothing.
        let step = |r: &Range| if r.size == 1 { 1 } else { r.step };
        let end = |r: &Range| {
            let last = r.begin as i64 + step(r).saturating_mul(r.size as i64 - 1);
            last + step(r).signum()
        };
        let ends: Vec<i64> = ranges.iter().map(end).collect();
        // A mask of 1 leaves the bound out: one below 0 would count from the end.
        let open: Vec<u8> = ends.iter().map(|&end| u8::from(end < 0)).collect();
        let begins = self.ints(&ranges.iter().map(|r| r.begin as i64).collect::<Vec<_>>());
        let ends = self.ints(&ends.iter().map(|&e| e.max(0)).collect::<Vec<_>>());
        let steps = self.ints(&ranges.iter().map(step).collect::<Vec<_>>());
        let none = list(&vec![0u8; ranges.len()]);
        let data = vec![
            ("begin_mask", none.clone()),
            ("end_mask", list(&open)),
            ("new_axis_mask", none.clone()),
            ("shrink_axis_mask", none.clone()),
            ("ellipsis_mask", none),
        ];
        let dims = ranges.iter().map(|r| r.size).collect();
        self.one(("StridedSlice", 1), data, &[x, &begins, &ends, &steps], x.elem, dims)
    }

    /// More elements before and after those of every dimension: `value`, a scalar of their type, or whatever
    /// `mode` says.
    pub fn pad(
        &mut self,
        x: &Wire,
        [before, after]: [&[usize]; 2],
        mode: &'static str,
        value: Option<&Wire>,
    ) -> Wire {
        let sum =
            |((&d, &b), &a): ((&usize, &usize), &usize)| d.saturating_add(b).saturating_add(a);
        let dims = x.dims.iter().zip(before).zip(after).map(sum).collect();
        let numbers = |of: &[usize]| of.iter().map(|&n| n as i64).collect::<Vec<_>>();
        let (begins, ends) = (self.ints(&numbers(before)), self.ints(&numbers(after)));
        let mut inputs = vec![x, &begins, &ends];
        inputs.extend(value);
        let data = vec![("pad_mode", mode.to_string())];
        self.one(("Pad", 1), data, &inputs, x.elem, dims)
    }

    /// A list of integers.
    pub fn ints(&mut self, values: &[i64]) -> Wire {
        self.bytes(
            Elem::I64,
            vec![values.len()],
            &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>(),
        )
    }

    /// 0 without dimensions, of any element type.
    pub fn zero(&mut self, elem: Elem) -> Wire {
        let zero = self.reals(Vec::new(), &[0.0]);
        self.convert(&zero, elem)
    }

    /// An integer without dimensions.
    pub fn int(&mut self, value: i64) -> Wire {
        self.bytes(Elem::I64, Vec::new(), &value.to_le_bytes())
    }

    /// Real numbers. Between layers they are float32; float16 is a form of storage, unpacked by a Convert
    /// that every plugin folds, and that the stick's turns into its own arithmetic, which is float16.
    pub fn reals(&mut self, dims: Vec<usize>, values: &[f32]) -> Wire {
        let limited = self.within_half(&dims, values);
        let values = limited.as_slice();
        let packs = self.options.precision == Precision::F16
            && values.len() > KEEP
            && half::represents(values);
        if !packs {
            return self.floats(dims, values);
        }
        let bytes: Vec<u8> = values.iter().flat_map(|&v| half::from_f32(v).to_le_bytes()).collect();
        let wire = self.bytes(Elem::F16, dims, &bytes);
        let layers = self.network.layers.len();
        let wire = self.shared_convert(&wire, Elem::F32);
        if self.network.layers.len() > layers
            && let Some(layer) = self.network.layers.last_mut()
        {
            layer.is_decompression = true;
        }
        wire
    }

    /// The stick computes in float16: numbers beyond it are limited here, and reported.
    fn within_half(&mut self, dims: &[usize], values: &[f32]) -> Vec<f32> {
        let beyond = |v: &&f32| v.is_finite() && v.abs() > half::MAX;
        let count = values.iter().filter(beyond).count();
        if count == 0 || !self.is_myriad() {
            return values.to_vec();
        }
        self.notes.insert(format!(
            "{count} of {} elements of a constant {} are beyond the largest float16, in which the \
             stick computes, and were limited to {}",
            values.len(),
            list(dims),
            half::MAX
        ));
        let limit = |v: &f32| if v.is_finite() { v.clamp(-half::MAX, half::MAX) } else { *v };
        values.iter().map(limit).collect()
    }

    /// A conversion of a constant, made once.
    fn shared_convert(&mut self, x: &Wire, to: Elem) -> Wire {
        if x.elem == to {
            return x.clone();
        }
        let key = (x.port, Vec::new());
        if let Some(known) = self.transposes.get(&key).filter(|w| w.elem == to) {
            return known.clone();
        }
        let wire = self.convert(x, to);
        self.transposes.insert(key, wire.clone());
        wire
    }

    /// A constant of the given bytes; equal ones are one layer.
    fn bytes(&mut self, elem: Elem, dims: Vec<usize>, bytes: &[u8]) -> Wire {
        let offset = self.pool.place(bytes);
        if let Some(known) = self.constants.get(&(elem, dims.clone(), offset)) {
            return known.clone();
        }
        let data = vec![
            ("element_type", elem.attribute().to_string()),
            ("shape", list(&dims)),
            ("offset", offset.to_string()),
            ("size", bytes.len().to_string()),
        ];
        let wire = self.one(("Const", 1), data, &[], elem, dims.clone());
        self.constants.insert((elem, dims, offset), wire.clone());
        wire
    }

    /// A constant by its real numbers, or by its integers when it has no others.
    ///
    /// # Errors
    /// An element type without a place in the file.
    pub fn constant(&mut self, stored: &Stored) -> Result<Wire, OpError> {
        let Tensor { shape, data } = stored.real()?;
        let elem = self.elem(data.dtype())?;
        let dims = shape.0;
        if let TensorData::F32(v) = &data {
            if stored.is_exact {
                let limited = self.within_half(&dims, v);
                return Ok(self.floats(dims, &limited));
            }
            return Ok(self.reals(dims, v));
        }
        let bytes = raw(&data).ok_or_else(|| {
            let dtype = data.dtype();
            OpError::unsupported(format!("a constant of {dtype} has no place in an OpenVINO file"))
        })?;
        Ok(self.bytes(elem, dims, &bytes))
    }

    /// Weights: int8 elements stay int8, as Const -> Convert -> (Subtract) -> Multiply, which every
    /// plugin folds or computes with.
    ///
    /// # Errors
    /// As [`Emitter::constant`].
    pub fn weights(&mut self, stored: &Stored) -> Result<Wire, OpError> {
        let (Some(factor), TensorData::I8(q)) = (&stored.factor, &stored.data.data) else {
            return self.constant(stored);
        };
        let bytes: Vec<u8> = q.iter().flat_map(|x| x.to_le_bytes()).collect();
        let raw = self.bytes(Elem::I8, stored.data.shape.0.clone(), &bytes);
        // A float16 scale would move all weights it multiplies.
        let mut wire = self.convert(&raw, Elem::F32);
        let zeros = factor.zero.as_f32().unwrap_or_default();
        if zeros.iter().any(|&z| z != 0.0) {
            let zero = self.floats(factor.zero.shape.0.clone(), zeros);
            wire = self.binary("Subtract", &wire, &zero)?;
        }
        let scale =
            self.floats(factor.scale.shape.0.clone(), factor.scale.as_f32().unwrap_or_default());
        self.binary("Multiply", &wire, &scale)
    }

    /// float32 numbers, whatever the precision of the file.
    pub fn floats(&mut self, dims: Vec<usize>, values: &[f32]) -> Wire {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.bytes(Elem::F32, dims, &bytes)
    }
}

/// Little-endian bytes of the element types that the file has besides real numbers.
fn raw(data: &TensorData) -> Option<Vec<u8>> {
    if let TensorData::I64(v) = data {
        return Some(v.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    if let TensorData::I32(v) = data {
        return Some(v.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    if let TensorData::I8(v) = data {
        return Some(v.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    if let TensorData::Bool(v) = data { Some(v.clone()) } else { None }
}
