//! Shape arithmetic that readers, operators and kernels share: sliding windows and broadcasting.

use crate::tensor::Shape;

/// Padding schemes: those of TFLite, and ONNX's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Output extent ceil(in / stride).
    Same,
    /// Only whole windows.
    Valid,
    /// Positions added (before, after) each axis.
    Explicit {
        /// Above and below.
        rows: (usize, usize),
        /// Left and right.
        columns: (usize, usize),
    },
}

/// What a padding scheme says about one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// See [`Padding::Same`].
    Same,
    /// See [`Padding::Valid`].
    Valid,
    /// Positions added before and after.
    Explicit(usize, usize),
}

impl Padding {
    /// The vertical axis.
    #[must_use]
    pub fn rows(self) -> Ends {
        match self {
            Padding::Same => Ends::Same,
            Padding::Valid => Ends::Valid,
            Padding::Explicit { rows: (before, after), .. } => Ends::Explicit(before, after),
        }
    }

    /// The horizontal axis.
    #[must_use]
    pub fn columns(self) -> Ends {
        match self {
            Padding::Same => Ends::Same,
            Padding::Valid => Ends::Valid,
            Padding::Explicit { columns: (before, after), .. } => Ends::Explicit(before, after),
        }
    }
}

/// One spatial axis of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Input extent.
    pub input: usize,
    /// Output extent.
    pub output: usize,
    /// Taps.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Step between taps.
    pub dilation: usize,
    /// Padding before the first element.
    pub before: usize,
}

impl Axis {
    /// Extents and padding; SAME by the TFLite rule (numerics 4.1: total = max((o-1)*s + (k-1)*d + 1 - in,
    /// 0), half of it, rounded down, before). `None` for zero strides or when no window fits.
    #[must_use]
    pub fn new(
        input: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        ends: Ends,
    ) -> Option<Self> {
        if stride == 0 || kernel == 0 || dilation == 0 || input == 0 {
            return None;
        }
        let span = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
        let (output, before) = match ends {
            Ends::Same => {
                let output = input.div_ceil(stride);
                let total = ((output - 1) * stride + span).saturating_sub(input);
                (output, total / 2)
            }
            Ends::Valid => (input.checked_sub(span)? / stride + 1, 0),
            Ends::Explicit(before, after) => {
                let padded = input.checked_add(before)?.checked_add(after)?;
                // Positions are int32 in the emitted code.
                if padded > i32::MAX as usize {
                    return None;
                }
                (padded.checked_sub(span)? / stride + 1, before)
            }
        };
        Some(Self { input, output, kernel, stride, dilation, before })
    }

    /// Elements that one window spans.
    #[must_use]
    pub fn span(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Elements, padding included, that all windows together span.
    #[must_use]
    pub fn reach(&self) -> usize {
        (self.output - 1) * self.stride + self.span()
    }

    /// Output positions `lo..hi` whose taps all lie inside the input.
    #[must_use]
    pub fn interior(&self) -> (usize, usize) {
        let lo = self.before.div_ceil(self.stride);
        let hi = match (self.input + self.before).checked_sub(self.span()) {
            Some(room) => (room / self.stride + 1).min(self.output),
            None => 0,
        };
        (lo.min(hi), hi)
    }

    /// Whether there is no border.
    #[must_use]
    pub fn all_interior(&self) -> bool {
        self.interior() == (0, self.output)
    }

    /// Input position of tap `t` for output `o`, negative or past the end when padded.
    #[must_use]
    pub fn position(&self, o: usize, t: usize) -> i64 {
        (o * self.stride + t * self.dilation) as i64 - self.before as i64
    }

    /// The same when it lies inside the input.
    #[must_use]
    pub fn inside(&self, o: usize, t: usize) -> Option<usize> {
        usize::try_from(self.position(o, t)).ok().filter(|&i| i < self.input)
    }
}

/// A window over both spatial axes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Batch extent.
    pub batch: usize,
    /// Vertical.
    pub y: Axis,
    /// Horizontal.
    pub x: Axis,
}

/// Shape of the broadcast of `a` and `b` (trailing dimensions aligned), if they fit.
#[must_use]
pub fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
    let rank = a.rank().max(b.rank());
    let mut dims = Vec::with_capacity(rank);
    for i in 0..rank {
        let get = |s: &Shape| if i + s.rank() < rank { 1 } else { s.0[i + s.rank() - rank] };
        let (x, y) = (get(a), get(b));
        dims.push(match (x, y) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _mismatch => return None,
        });
    }
    Shape::checked(dims)
}

/// Element strides with which `operand` is read while looping over `result`; 0 where it repeats.
#[must_use]
pub fn broadcast_strides(operand: &Shape, result: &Shape) -> Vec<i64> {
    let own = operand.strides();
    let lead = result.rank() - operand.rank();
    (0..result.rank())
        .map(|i| match i.checked_sub(lead) {
            Some(j) if operand.0[j] != 1 => own[j] as i64,
            _repeated => 0,
        })
        .collect()
}
