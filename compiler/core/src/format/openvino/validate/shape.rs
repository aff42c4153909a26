//! Result types from operands, by the definitions of the operator sets. Kept apart from the writer, which
//! knows the shapes from the graph.

use super::parse::{Layer, Port};
use crate::format::openvino::file::Elem;

/// Element type and extents.
type Type = (Elem, Vec<usize>);
/// The integers an operand is known to hold.
type Known<'a> = Option<&'a Vec<i64>>;

/// A list of extents: `1,3,96,96`.
#[must_use]
pub fn numbers(text: &str) -> Option<Vec<usize>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|part| part.trim().parse().ok()).collect()
}

/// The elements of a constant of int64 or int32.
#[must_use]
pub fn integers(layer: &Layer, bin: &[u8]) -> Option<Vec<i64>> {
    let number = |key: &str| layer.data.get(key)?.parse::<usize>().ok();
    let elem = layer.outputs.first().filter(|_| layer.kind == "Const")?.elem;
    let start = number("offset")?;
    let bytes = bin.get(start..start.checked_add(number("size")?)?)?;
    match elem {
        Elem::I64 => {
            Some(bytes.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect())
        }
        Elem::I32 => {
            Some(bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect())
        }
        Elem::F16 | Elem::F32 | Elem::I8 | Elem::U8 | Elem::Bool => None,
    }
}

struct Operands<'a> {
    layer: &'a Layer,
    known: &'a [Known<'a>],
}

impl Operands<'_> {
    fn port(&self, i: usize) -> Result<&Port, String> {
        self.layer.inputs.get(i).ok_or_else(|| format!("input {i} is missing"))
    }

    fn dims(&self, i: usize) -> Result<Vec<usize>, String> {
        Ok(self.port(i)?.dims.clone())
    }

    fn elem(&self) -> Result<Elem, String> {
        Ok(self.port(0)?.elem)
    }

    fn integers(&self, i: usize) -> Result<Vec<i64>, String> {
        let known = self.known.get(i).copied().flatten();
        known.cloned().ok_or_else(|| format!("input {i} should be a constant of integers"))
    }

    fn extents(&self, i: usize) -> Result<Vec<usize>, String> {
        let wrong = |v: &i64| format!("{v} is no extent");
        self.integers(i)?.iter().map(|v| usize::try_from(*v).map_err(|_| wrong(v))).collect()
    }

    fn scalar(&self, i: usize) -> Result<usize, String> {
        if !self.port(i)?.dims.is_empty() {
            return Err(format!("input {i} should be a scalar"));
        }
        self.extents(i)?.first().copied().ok_or_else(|| format!("input {i} is empty"))
    }

    fn text(&self, key: &str) -> Result<&str, String> {
        self.layer.data.get(key).map(String::as_str).ok_or_else(|| format!("no attribute {key}"))
    }

    fn list(&self, key: &str) -> Result<Vec<usize>, String> {
        numbers(self.text(key)?).ok_or_else(|| format!("{key} is no list of numbers"))
    }

    fn number(&self, key: &str) -> Result<usize, String> {
        self.text(key)?.parse().map_err(|_| format!("{key} is no number"))
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        self.text(key)?.parse().map_err(|_| format!("{key} is neither true nor false"))
    }
}

fn at(dims: &[usize], i: usize) -> Result<usize, String> {
    dims.get(i).copied().ok_or_else(|| format!("{dims:?} has no dimension {i}"))
}

/// Results of a layer; `known` has the integers of operands that are constants.
///
/// # Errors
/// What does not fit, in a sentence.
pub fn infer(layer: &Layer, known: &[Known<'_>]) -> Result<Vec<Type>, String> {
    let o = Operands { layer, known };
    let one = |dims: Vec<usize>| Ok(vec![(o.elem()?, dims)]);
    match layer.kind.as_str() {
        "Parameter" | "Const" => declared(&o),
        "Result" => Ok(Vec::new()),
        "Convert" => Ok(vec![(attribute_elem(&o, "destination_type")?, o.dims(0)?)]),
        "Convolution" | "GroupConvolution" | "ConvolutionBackpropData" => one(convolution(&o)?),
        "MaxPool" | "AvgPool" => {
            let x = o.dims(0)?;
            let kernel = o.list("kernel")?;
            let mut dims = x.get(..2).ok_or("pooling needs spatial dimensions")?.to_vec();
            dims.extend(windows(&o, &x, &kernel, &[1, 1])?);
            one(dims)
        }
        "MatMul" => one(matmul(&o)?),
        "Add" | "Subtract" | "Multiply" | "Divide" | "Maximum" | "Minimum"
        | "SquaredDifference" | "Power" | "Mod" | "FloorMod" => {
            if o.port(0)?.elem != o.port(1)?.elem {
                return Err("the operands have different element types".into());
            }
            one(broadcast(&o.dims(0)?, &o.dims(1)?)?)
        }
        "Equal" | "NotEqual" | "Less" | "LessEqual" | "Greater" | "GreaterEqual" | "LogicalAnd"
        | "LogicalOr" | "LogicalXor" => {
            Ok(vec![(Elem::Bool, broadcast(&o.dims(0)?, &o.dims(1)?)?)])
        }
        "Select" => {
            let both = broadcast(&o.dims(1)?, &o.dims(2)?)?;
            Ok(vec![(o.port(1)?.elem, broadcast(&o.dims(0)?, &both)?)])
        }
        "ReduceMean" | "ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin" | "ReduceL2" => {
            one(reduced(&o)?)
        }
        "Reshape" | "Transpose" => one(rearranged(&o)?),
        "Concat" => one(concat(&o)?),
        "VariadicSplit" => split(&o),
        "StridedSlice" => one(strided_slice(&o)?),
        "Pad" => {
            let (x, before, after) = (o.dims(0)?, o.extents(1)?, o.extents(2)?);
            if before.len() != x.len() || after.len() != x.len() {
                return Err("as many paddings as dimensions expected".into());
            }
            if layer.inputs.get(3).is_some_and(|p| !p.dims.is_empty()) {
                return Err("the padding value should be a scalar".into());
            }
            one(x.iter().zip(&before).zip(&after).map(|((d, b), a)| d + b + a).collect())
        }
        "Tile" => one(o.dims(0)?.iter().zip(&o.extents(1)?).map(|(d, r)| d * r).collect()),
        "Broadcast" => {
            let target = o.extents(1)?;
            if broadcast(&o.dims(0)?, &target)? != target {
                return Err("the operand does not broadcast to the shape".into());
            }
            one(target)
        }
        "Interpolate" => {
            let mut dims = o.dims(0)?;
            for (&axis, &size) in o.extents(3)?.iter().zip(&o.extents(1)?) {
                *dims.get_mut(axis).ok_or("an axis that does not exist")? = size;
            }
            one(dims)
        }
        "DepthToSpace" | "SpaceToDepth" => one(blocks(&o)?),
        "Gather" | "GatherElements" | "GatherND" => one(gather(&o)?),
        "TopK" => top_k(&o),
        "LSTMSequence" => lstm_sequence(&o),
        _elementwise => one(o.dims(0)?),
    }
}

/// Results of Reshape and Transpose.
fn rearranged(o: &Operands<'_>) -> Result<Vec<usize>, String> {
    let (x, mut given) = (o.dims(0)?, o.extents(1)?);
    if o.layer.kind == "Reshape" {
        if o.flag("special_zero")? {
            for (i, extent) in given.iter_mut().enumerate().filter(|(_, extent)| **extent == 0) {
                *extent = at(&x, i)?;
            }
        }
        if x.iter().product::<usize>() != given.iter().product::<usize>() {
            return Err(format!("{x:?} and {given:?} have different numbers of elements"));
        }
        return Ok(given);
    }
    let mut sorted = given.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..x.len()) {
        return Err(format!("{given:?} is no permutation of {} dimensions", x.len()));
    }
    given.iter().map(|&i| at(&x, i)).collect()
}

fn attribute_elem(o: &Operands<'_>, key: &str) -> Result<Elem, String> {
    let name = o.text(key)?;
    Elem::ALL.into_iter().find(|e| e.attribute() == name).ok_or_else(|| format!("{key}=\"{name}\""))
}

fn declared(o: &Operands<'_>) -> Result<Vec<Type>, String> {
    Ok(vec![(attribute_elem(o, "element_type")?, o.list("shape")?)])
}

/// numpy's rule.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let extent = |dims: &[usize], i: usize| {
        (i + dims.len()).checked_sub(rank).and_then(|i| dims.get(i).copied()).unwrap_or(1)
    };
    (0..rank)
        .map(|i| match (extent(a, i), extent(b, i)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _misfit => Err(format!("{a:?} and {b:?} do not broadcast")),
        })
        .collect()
}

/// Spatial extents of the results of windows.
fn windows(
    o: &Operands<'_>,
    x: &[usize],
    kernel: &[usize],
    dilations: &[usize],
) -> Result<Vec<usize>, String> {
    let (strides, begin, end) = (o.list("strides")?, o.list("pads_begin")?, o.list("pads_end")?);
    let one = |i: usize| {
        let span = (at(kernel, i)?.max(1) - 1) * at(dilations, i)? + 1;
        let padded = at(x, i + 2)? + at(&begin, i)? + at(&end, i)?;
        let room = padded.checked_sub(span).ok_or("no window fits")?;
        Ok(room / at(&strides, i)?.max(1) + 1)
    };
    (0..x.len().saturating_sub(2)).map(one).collect()
}

fn convolution(o: &Operands<'_>) -> Result<Vec<usize>, String> {
    let (x, w, dilations) = (o.dims(0)?, o.dims(1)?, o.list("dilations")?);
    let misfit = || format!("input {x:?} and weights {w:?} do not fit");
    if o.port(0)?.elem != o.port(1)?.elem {
        return Err("input and weights have different element types".into());
    }
    let spatial = x.len().checked_sub(2).ok_or_else(misfit)?;
    let kernel = w.len().checked_sub(spatial).and_then(|i| w.get(i..)).ok_or_else(misfit)?.to_vec();
    let (channels, out) =
        match (o.layer.kind.as_str(), w.get(..w.len() - spatial).unwrap_or_default()) {
            ("Convolution", &[out, i]) => (i, out),
            ("GroupConvolution", &[g, out, i]) => (g * i, g * out),
            ("ConvolutionBackpropData", &[i, out]) => (i, out),
            _other => return Err(misfit()),
        };
    if at(&x, 1)? != channels {
        return Err(misfit());
    }
    let mut dims = vec![at(&x, 0)?, out];
    if o.layer.kind != "ConvolutionBackpropData" {
        dims.extend(windows(o, &x, &kernel, &dilations)?);
        return Ok(dims);
    }
    let (strides, begin, end) = (o.list("strides")?, o.list("pads_begin")?, o.list("pads_end")?);
    let more = o.list("output_padding")?;
    for i in 0..spatial {
        let full = (at(&x, i + 2)? - 1) * at(&strides, i)?
            + (at(&kernel, i)? - 1) * at(&dilations, i)?
            + 1;
        let cut = at(&begin, i)? + at(&end, i)?;
        dims.push((full + at(&more, i)?).checked_sub(cut).ok_or("more padding than result")?);
    }
    Ok(dims)
}

fn matmul(o: &Operands<'_>) -> Result<Vec<usize>, String> {
    let matrix = |i: usize, key: &str| {
        let mut dims = o.dims(i)?;
        let n = dims.len();
        if n < 2 {
            return Err(format!("input {i} should be a matrix"));
        }
        if o.flag(key)? {
            dims.swap(n - 1, n - 2);
        }
        let tail = dims.split_off(n - 2);
        Ok((dims, at(&tail, 0)?, at(&tail, 1)?))
    };
    let ((batch_a, rows, depth), (batch_b, inner, columns)) =
        (matrix(0, "transpose_a")?, matrix(1, "transpose_b")?);
    if depth != inner {
        return Err(format!("rows of {depth} times columns of {inner}"));
    }
    let mut dims = broadcast(&batch_a, &batch_b)?;
    dims.extend([rows, columns]);
    Ok(dims)
}

fn reduced(o: &Operands<'_>) -> Result<Vec<usize>, String> {
    let (x, axes, keep) = (o.dims(0)?, o.extents(1)?, o.flag("keep_dims")?);
    if axes.iter().any(|&a| a >= x.len()) {
        return Err("an axis that does not exist".into());
    }
    let dims = x.iter().enumerate().filter(|(i, _)| keep || !axes.contains(i));
    Ok(dims.map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect())
}

fn concat(o: &Operands<'_>) -> Result<Vec<usize>, String> {
    let (mut dims, axis) = (o.dims(0)?, o.number("axis")?);
    let rest =
        |d: &[usize]| d.iter().copied().enumerate().filter(|(i, _)| *i != axis).collect::<Vec<_>>();
    let mut sum = 0;
    for port in &o.layer.inputs {
        if rest(&port.dims) != rest(&dims) {
            return Err("the operands differ in more than the axis".into());
        }
        sum += at(&port.dims, axis)?;
    }
    *dims.get_mut(axis).ok_or("an axis that does not exist")? = sum;
    Ok(dims)
}

fn split(o: &Operands<'_>) -> Result<Vec<Type>, String> {
    let (x, axis, sizes) = (o.dims(0)?, o.scalar(1)?, o.extents(2)?);
    if sizes.iter().sum::<usize>() != at(&x, axis)? {
        return Err("the parts do not add up".into());
    }
    let part = |size: usize| {
        let mut dims = x.clone();
        if let Some(extent) = dims.get_mut(axis) {
            *extent = size;
        }
        Ok((o.elem()?, dims))
    };
    sizes.into_iter().map(part).collect()
}

fn strided_slice(o: &Operands<'_>) -> Result<Vec<usize>, String> {
    let (x, begin, end, step) = (o.dims(0)?, o.integers(1)?, o.integers(2)?, o.integers(3)?);
    let open = o.list("end_mask")?;
    if [begin.len(), end.len(), step.len()] != [x.len(); 3] {
        return Err("as many bounds as dimensions expected".into());
    }
    let one = |i: usize| {
        let extent = at(&x, i)? as i64;
        let (from, step) = (begin[i], step[i]);
        let to = match (open.get(i) == Some(&1), step > 0) {
            (false, _) => end[i].min(extent),
            (true, true) => extent,
            (true, false) => -1,
        };
        let inside = (0..extent).contains(&from) && step != 0;
        let count = if step > 0 {
            (to - from + step - 1) / step
        } else {
            (from - to - step - 1) / -step.min(-1)
        };
        usize::try_from(count)
            .ok()
            .filter(|&n| inside && n > 0)
            .ok_or_else(|| format!("the slice {from}..{to} by {step} of {extent} takes nothing"))
    };
    (0..x.len()).map(one).collect()
}

fn blocks(o: &Operands<'_>) -> Result<Vec<usize>, String> {
    let (x, b) = (o.dims(0)?, o.number("block_size")?.max(1));
    let &[n, c, h, w] = x.as_slice() else { return Err("four dimensions expected".into()) };
    if o.layer.kind == "DepthToSpace" {
        return if c % (b * b) == 0 {
            Ok(vec![n, c / (b * b), h * b, w * b])
        } else {
            Err("no whole blocks".into())
        };
    }
    if h % b == 0 && w % b == 0 {
        Ok(vec![n, c * b * b, h / b, w / b])
    } else {
        Err("no whole blocks".into())
    }
}

fn gather(o: &Operands<'_>) -> Result<Vec<usize>, String> {
    let (x, indices) = (o.dims(0)?, o.dims(1)?);
    let batch = o.number("batch_dims").unwrap_or(0);
    let tail = |dims: &[usize], from: usize| dims.get(from..).unwrap_or_default().to_vec();
    match o.layer.kind.as_str() {
        "GatherElements" => Ok(indices),
        "GatherND" => {
            let tuple = indices.last().copied().ok_or("indices without tuples")?;
            let mut dims = if batch > 1 {
                let product = indices.iter().take(batch).product();
                let mut dims = vec![product];
                dims.extend(indices.iter().skip(batch));
                dims
            } else {
                indices.clone()
            };
            dims.pop();
            dims.extend(tail(&x, batch + tuple));
            Ok(dims)
        }
        _gather => {
            let axis = o.scalar(2)?;
            let mut dims = x.get(..axis).ok_or("an axis that does not exist")?.to_vec();
            dims.extend(tail(&indices, batch));
            dims.extend(tail(&x, axis + 1));
            Ok(dims)
        }
    }
}

fn top_k(o: &Operands<'_>) -> Result<Vec<Type>, String> {
    let (mut dims, axis, k) = (o.dims(0)?, o.number("axis")?, o.scalar(1)?);
    let extent = dims.get_mut(axis).ok_or("an axis that does not exist")?;
    if k == 0 || k > *extent {
        return Err(format!("{k} of {extent} elements"));
    }
    *extent = k;
    Ok(vec![(o.elem()?, dims.clone()), (attribute_elem(o, "index_element_type")?, dims)])
}

fn lstm_sequence(o: &Operands<'_>) -> Result<Vec<Type>, String> {
    let (x, hidden) = (o.dims(0)?, o.number("hidden_size")?);
    let &[batch, steps, inputs] = x.as_slice() else {
        return Err("three dimensions expected".into());
    };
    let state = vec![batch, 1, hidden];
    let wanted = [
        x.clone(),
        state.clone(),
        state.clone(),
        vec![batch],
        vec![1, 4 * hidden, inputs],
        vec![1, 4 * hidden, hidden],
        vec![1, 4 * hidden],
    ];
    let given: Vec<Vec<usize>> = o.layer.inputs.iter().map(|p| p.dims.clone()).collect();
    if given != wanted {
        return Err(format!("operands {given:?} instead of {wanted:?}"));
    }
    let elem = o.elem()?;
    Ok(vec![(elem, vec![batch, 1, steps, hidden]), (elem, state.clone()), (elem, state)])
}
