//! Windows over one to three spatial dimensions: what the attributes say about each axis, channels
//! last and first, zeros between elements. What is computed in a window is the readers' part.

use super::Context;
use crate::format::onnx::build::Builder;
use crate::geometry::{Axis, Ends, Padding};
use crate::graph::ValueId;
use crate::op::{OpError, Range, Slice};
use crate::tensor::Shape;

type Made = Result<ValueId, OpError>;

/// Spatial dimensions that windows have.
const RANKS: std::ops::RangeInclusive<usize> = 1..=3;

/// A window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Extent of the input.
    pub input: usize,
    /// Taps.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Distance between taps.
    pub dilation: usize,
    /// Added positions.
    pub ends: Ends,
}

impl Span {
    /// From the first tap to the last one.
    #[must_use]
    pub fn reach(&self) -> usize {
        self.kernel.saturating_sub(1).saturating_mul(self.dilation).saturating_add(1)
    }

    /// Positions that SAME adds in all.
    fn same_total(&self) -> usize {
        let steps = self.input.div_ceil(self.stride).saturating_sub(1).saturating_mul(self.stride);
        steps.saturating_add(self.reach()).saturating_sub(self.input)
    }

    /// Added positions in numbers.
    #[must_use]
    pub fn pads(&self) -> (usize, usize) {
        match self.ends {
            Ends::Valid => (0, 0),
            Ends::Same => (self.same_total() / 2, self.same_total().div_ceil(2)),
            Ends::Explicit(before, after) => (before, after),
        }
    }

    /// The extent of the result.
    ///
    /// # Errors
    /// No window fits.
    pub fn axis(&self) -> Result<Axis, OpError> {
        let axis = Axis::new(self.input, self.kernel, self.stride, self.dilation, self.ends);
        axis.ok_or_else(|| {
            OpError::invalid(format!(
                "an input of {}, a window of {} and a stride of {} give no output",
                self.input, self.kernel, self.stride
            ))
        })
    }
}

/// The window, one span per spatial axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows(pub Vec<Span>);

/// The last two axes, as kernels take them; a single axis counts as columns.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    /// Height and width of the window.
    pub kernel: (usize, usize),
    /// Steps.
    pub stride: (usize, usize),
    /// Distances between taps.
    pub dilation: (usize, usize),
    /// Added positions.
    pub padding: Padding,
}

/// A list attribute with one value per axis, none below `least`; `default` for all without.
///
/// # Errors
/// Another number of values, or one that is too small.
pub fn per_axis(
    c: &Context<'_, '_>,
    name: &str,
    (rank, least, default): (usize, i64, usize),
) -> Result<Vec<usize>, OpError> {
    match c.attributes.ints(name)? {
        None => Ok(vec![default; rank]),
        Some(values) => extents(values, rank, least, name),
    }
}

/// `rank` values of an attribute, none below `least`.
///
/// # Errors
/// Another number of values, or one that is too small.
pub fn extents(values: &[i64], rank: usize, least: i64, name: &str) -> Result<Vec<usize>, OpError> {
    let wrong = || OpError::invalid(format!("attribute \"{name}\" = {values:?} is not possible"));
    if values.len() != rank || values.iter().any(|&v| v < least) {
        return Err(wrong());
    }
    values.iter().map(|&v| usize::try_from(v).map_err(|_| wrong())).collect()
}

/// Number of spatial dimensions of `dims` (batch, channels, then those).
///
/// # Errors
/// None, or more than three.
pub fn rank(dims: &[usize]) -> Result<usize, OpError> {
    let rank = dims.len().saturating_sub(2);
    if RANKS.contains(&rank) {
        return Ok(rank);
    }
    Err(OpError::unsupported(format!(
        "{rank} spatial dimensions are not supported, only {} to {}",
        RANKS.start(),
        RANKS.end()
    )))
}

/// The attribute "kernel_shape", where weights have these extents and it says nothing new.
///
/// # Errors
/// It says something else.
pub fn check_kernel(c: &Context<'_, '_>, weights: &[usize]) -> Result<(), OpError> {
    let Some(values) = c.attributes.ints("kernel_shape")? else { return Ok(()) };
    if values.iter().map(|&v| usize::try_from(v).ok()).eq(weights.iter().map(|&w| Some(w))) {
        return Ok(());
    }
    let message =
        format!("attribute \"kernel_shape\" = {values:?}, but the weights have {weights:?}");
    Err(OpError::invalid(message))
}

impl Windows {
    /// From the attributes of a node over `dims` (batch, channels, spatial extents).
    ///
    /// # Errors
    /// Other ranks; attributes that do not fit.
    pub fn read(
        c: &Context<'_, '_>,
        dims: &[usize],
        kernel: Option<&[usize]>,
    ) -> Result<Self, OpError> {
        let rank = rank(dims)?;
        let kernel = match (kernel, c.attributes.ints("kernel_shape")?) {
            (Some(kernel), _) => {
                check_kernel(c, kernel)?;
                kernel.to_vec()
            }
            (None, Some(values)) => extents(values, rank, 1, "kernel_shape")?,
            (None, None) => {
                return Err(OpError::invalid("attribute \"kernel_shape\" is missing"));
            }
        };
        let stride = per_axis(c, "strides", (rank, 1, 1))?;
        let dilation = per_axis(c, "dilations", (rank, 1, 1))?;
        let span = |i: usize| Span {
            input: dims[i + 2],
            kernel: kernel[i],
            stride: stride[i],
            dilation: dilation[i],
            ends: Ends::Valid,
        };
        if kernel.len() != rank {
            return Err(OpError::invalid("input and weights have different numbers of dimensions"));
        }
        let mut windows = Self((0..rank).map(span).collect());
        windows.read_padding(c)?;
        Ok(windows)
    }

    fn read_padding(&mut self, c: &Context<'_, '_>) -> Result<(), OpError> {
        let rank = self.0.len();
        match c.attributes.text("auto_pad")?.unwrap_or("NOTSET") {
            "NOTSET" => {}
            "VALID" => return Ok(()),
            "SAME_UPPER" => {
                self.0.iter_mut().for_each(|s| s.ends = Ends::Same);
                return Ok(());
            }
            // The odd position of SAME goes before instead of after.
            "SAME_LOWER" => {
                for s in &mut self.0 {
                    s.ends = Ends::Explicit(s.same_total().div_ceil(2), s.same_total() / 2);
                }
                return Ok(());
            }
            other => {
                return Err(OpError::invalid(format!("auto_pad \"{other}\" does not exist")));
            }
        }
        let Some(pads) = c.attributes.ints("pads")? else { return Ok(()) };
        if pads.len() != 2 * rank {
            return Err(OpError::invalid(format!("{} pads for {rank} dimensions", pads.len())));
        }
        let pads = extents(pads, 2 * rank, 0, "pads")?;
        for (i, s) in self.0.iter_mut().enumerate() {
            s.ends = Ends::Explicit(pads[i], pads[i + rank]);
        }
        Ok(())
    }

    /// One tap on each element.
    #[must_use]
    pub fn pointwise(dims: &[usize]) -> Self {
        let one =
            |&input: &usize| Span { input, kernel: 1, stride: 1, dilation: 1, ends: Ends::Valid };
        Self(dims.iter().map(one).collect())
    }

    /// The last two axes.
    #[must_use]
    pub fn plane(&self) -> Plane {
        let Some((columns, before)) = self.0.split_last() else {
            let one = (1, 1);
            return Plane { kernel: one, stride: one, dilation: one, padding: Padding::Valid };
        };
        // A single row.
        let ends = if columns.ends == Ends::Same { Ends::Same } else { Ends::Valid };
        let row = Span { input: 1, kernel: 1, stride: 1, dilation: 1, ends };
        let rows = before.last().unwrap_or(&row);
        let padding = match (rows.ends, columns.ends) {
            (Ends::Same, Ends::Same) => Padding::Same,
            (Ends::Valid, Ends::Valid) => Padding::Valid,
            _numbers => Padding::Explicit { rows: rows.pads(), columns: columns.pads() },
        };
        Plane {
            kernel: (rows.kernel, columns.kernel),
            stride: (rows.stride, columns.stride),
            dilation: (rows.dilation, columns.dilation),
            padding,
        }
    }
}

impl Builder<'_> {
    /// Batch and channels first -> channels last; one spatial dimension becomes a row.
    ///
    /// # Errors
    /// Fewer than two dimensions.
    pub fn channels_last(&mut self, x: ValueId) -> Made {
        let x = match self.shape(x).as_slice() {
            &[n, c, w] => self.reshape(x, vec![n, c, 1, w])?,
            _more => x,
        };
        let rank = self.shape(x).len();
        let order: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        self.transpose(x, &order)
    }

    /// The way back, to `rank` dimensions.
    ///
    /// # Errors
    /// Fewer than two dimensions.
    pub fn channels_first(&mut self, y: ValueId, rank: usize) -> Made {
        let have = self.shape(y).len();
        let last = have.saturating_sub(1);
        let order: Vec<usize> = [0, last].into_iter().chain(1..last).collect();
        let y = self.transpose(y, &order)?;
        match self.shape(y).as_slice() {
            &[n, c, _, w] if rank == 3 => self.reshape(y, vec![n, c, w]),
            _more => Ok(y),
        }
    }

    /// Zeros around.
    ///
    /// # Errors
    /// Another number of paddings than dimensions.
    pub fn padded(&mut self, x: ValueId, ends: &[(usize, usize)]) -> Made {
        if ends.iter().all(|&e| e == (0, 0)) {
            return Ok(x);
        }
        let (before, after) = ends.iter().copied().unzip();
        self.pad_zeros(x, before, after)
    }

    /// `size` elements of one axis, `step` apart.
    ///
    /// # Errors
    /// Elements that do not exist.
    pub fn part(
        &mut self,
        x: ValueId,
        axis: usize,
        (begin, step, size): (usize, i64, usize),
    ) -> Made {
        let mut dims = self.shape(x);
        let all = Range { begin: 0, step: 1, size: 0 };
        let mut ranges: Vec<Range> = dims.iter().map(|&size| Range { size, ..all }).collect();
        let (Some(range), Some(extent)) = (ranges.get_mut(axis), dims.get_mut(axis)) else {
            return Err(OpError::invalid(format!("axis {axis} does not exist")));
        };
        if (begin, step, size) == (0, 1, *extent) {
            return Ok(x);
        }
        (*range, *extent) = (Range { begin, step, size }, size);
        self.add(Slice { ranges, shape: Shape(dims) }, &[x])
    }

    /// Zeros between the elements of the axes from 2 on: neighbours are `factors` apart.
    ///
    /// # Errors
    /// Other than one factor per axis, or too many elements.
    pub fn spread(&mut self, x: ValueId, factors: &[usize]) -> Made {
        let dims = self.shape(x);
        if factors.iter().all(|&f| f == 1) {
            return Ok(x);
        }
        let misfit = || OpError::invalid(format!("strides {factors:?} do not fit {dims:?}"));
        if dims.len() != factors.len() + 2 {
            return Err(misfit());
        }
        let (mut open, mut wide) = (dims[..2].to_vec(), dims[..2].to_vec());
        let mut ends = vec![(0, 0); 2];
        for (&extent, &factor) in dims[2..].iter().zip(factors) {
            open.extend([extent, 1]);
            ends.extend([(0, 0), (0, factor.checked_sub(1).ok_or_else(misfit)?)]);
            wide.push(extent.checked_mul(factor).ok_or_else(misfit)?);
        }
        let x = self.reshape(x, open)?;
        let x = self.padded(x, &ends)?;
        let mut x = self.reshape(x, wide)?;
        for (i, (&extent, &factor)) in dims[2..].iter().zip(factors).enumerate() {
            let size = extent.saturating_sub(1) * factor + 1;
            x = self.part(x, i + 2, (0, 1, size))?;
        }
        Ok(x)
    }
}
