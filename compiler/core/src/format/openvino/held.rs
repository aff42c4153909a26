//! How values of the graph lie in the file. The graph's spatial operators are channels-last, the file's
//! channels-first, and neither is undone on the way: a value keeps the order in which its layer made it
//! until somebody needs another one. So the transposes around spatial layers cancel before they exist,
//! and those of an ONNX model vanish together with the ones its reader made.

use super::emit::Emitter;
use super::file::{Elem, Wire};
use super::stored::Stored;
use crate::op::{OpError, Signature};

/// Channels-first order of channels-last dimensions.
pub const FIRST: [usize; 4] = [0, 3, 1, 2];
/// The way back.
pub const LAST: [usize; 4] = [0, 2, 3, 1];

/// A value of the graph.
#[derive(Clone, Debug)]
pub enum Held {
    /// In a layer's result: dimension `i` of the value is dimension `order[i]` of the tensor.
    Tensor {
        /// The tensor.
        wire: Wire,
        /// Where the value's dimensions are.
        order: Vec<usize>,
    },
    /// Known; not in the file yet.
    Constant(Stored),
}

impl Held {
    /// In the value's own order.
    #[must_use]
    pub fn plain(wire: Wire) -> Self {
        let order = (0..wire.dims.len()).collect();
        Held::Tensor { wire, order }
    }

    /// The channels-last value of a channels-first tensor.
    #[must_use]
    pub fn first(wire: Wire) -> Self {
        Held::Tensor { wire, order: LAST.to_vec() }
    }

    /// The value's extents.
    #[must_use]
    pub fn dims(&self) -> Vec<usize> {
        match self {
            Held::Tensor { wire, order } => {
                order.iter().map(|&i| wire.dims.get(i).copied().unwrap_or(1)).collect()
            }
            Held::Constant(stored) => stored.data.shape.0.clone(),
        }
    }

    /// A tensor whose dimension `k` is the value's dimension `want[k]`.
    ///
    /// # Errors
    /// A constant the file cannot hold.
    pub fn arranged(&self, e: &mut Emitter<'_>, want: &[usize]) -> Result<Wire, OpError> {
        match self {
            Held::Tensor { wire, order } => {
                let permutation: Vec<usize> =
                    want.iter().filter_map(|&w| order.get(w).copied()).collect();
                Ok(e.transpose(wire, &permutation))
            }
            Held::Constant(stored) => e.constant(&stored.permuted(want)),
        }
    }

    /// A tensor in the value's own order.
    ///
    /// # Errors
    /// As [`Held::arranged`].
    pub fn materialised(&self, e: &mut Emitter<'_>) -> Result<Wire, OpError> {
        let own: Vec<usize> = (0..self.dims().len()).collect();
        self.arranged(e, &own)
    }
}

/// The permutation that undoes `order`.
#[must_use]
pub fn inverse(order: &[usize]) -> Vec<usize> {
    let mut back = vec![0; order.len()];
    for (i, &j) in order.iter().enumerate() {
        if let Some(slot) = back.get_mut(j) {
            *slot = i;
        }
    }
    back
}

/// One operator application: what it may know, and where its layers go.
#[derive(Debug)]
pub struct Call<'c, 'o> {
    /// The network.
    pub e: &'c mut Emitter<'o>,
    /// Operands and results as the graph has them.
    pub s: &'c Signature<'c>,
    /// Operands as the file has them.
    pub held: Vec<Held>,
}

impl Call<'_, '_> {
    /// Operand `i`.
    ///
    /// # Errors
    /// There are fewer.
    pub fn operand(&self, i: usize) -> Result<&Held, OpError> {
        self.held.get(i).ok_or_else(|| OpError::invalid(format!("needs operand {i}")))
    }

    /// The constant that operand `i` is.
    #[must_use]
    pub fn stored(&self, i: usize) -> Option<&Stored> {
        if let Some(Held::Constant(stored)) = self.held.get(i) { Some(stored) } else { None }
    }

    /// Extents of operand `i`.
    ///
    /// # Errors
    /// There are fewer.
    pub fn dims(&self, i: usize) -> Result<Vec<usize>, OpError> {
        Ok(self.operand(i)?.dims())
    }

    /// Extents of the first result.
    ///
    /// # Errors
    /// There is none.
    pub fn result(&self) -> Result<Vec<usize>, OpError> {
        Ok(self.s.result(0)?.shape().0.clone())
    }

    /// Operand `i` in its own order.
    ///
    /// # Errors
    /// There are fewer operands, or the file cannot hold it.
    pub fn plain(&mut self, i: usize) -> Result<Wire, OpError> {
        self.operand(i)?.clone().materialised(self.e)
    }

    /// Operand `i`, its dimension `want[k]` as dimension `k`.
    ///
    /// # Errors
    /// As [`Call::plain`].
    pub fn arranged(&mut self, i: usize, want: &[usize]) -> Result<Wire, OpError> {
        self.operand(i)?.clone().arranged(self.e, want)
    }

    /// Operand `i` in whatever order it has.
    ///
    /// # Errors
    /// As [`Call::plain`].
    pub fn any(&mut self, i: usize) -> Result<(Wire, Vec<usize>), OpError> {
        match self.operand(i)?.clone() {
            Held::Tensor { wire, order } => Ok((wire, order)),
            Held::Constant(stored) => {
                let order = (0..stored.data.shape.rank()).collect();
                Ok((self.e.constant(&stored)?, order))
            }
        }
    }

    /// Weights, by whatever `arrange` makes of a constant, or `want` of a computed tensor.
    ///
    /// # Errors
    /// As [`Call::plain`].
    pub fn weights(&mut self, i: usize, want: &[usize]) -> Result<Wire, OpError> {
        match self.operand(i)?.clone() {
            Held::Constant(stored) => self.e.weights(&stored.permuted(want)),
            computed @ Held::Tensor { .. } => computed.arranged(self.e, want),
        }
    }

    /// The same numbers as real ones where the stick's plugin computes with those only: integers become
    /// float16 there. Convert the result back.
    pub fn real_on_stick(&mut self, x: Wire) -> Wire {
        if !self.e.is_myriad() || !matches!(x.elem, Elem::I32 | Elem::I64 | Elem::U8) {
            return x;
        }
        self.rewritten("of real numbers: the stick holds integers above 2048 only roughly");
        self.e.convert(&x, Elem::F32)
    }

    /// Says that the operator is expressed by others.
    pub fn rewritten(&mut self, how: &'static str) {
        self.e.rewrites.push(how);
    }
}
