//! Operators with indices as an operand: gathers, scatters, and what is made of them. Gather itself
//! is with the movements.

use super::Context;
use crate::graph::ValueId;
use crate::op::{Combine, GatherElements, GatherNd, OpError, ScatterElements, ScatterNd};
use crate::op::{Range, Slice, TopK};
use crate::tensor::{DType, Shape, TensorData};

type Read = Result<Vec<ValueId>, OpError>;

/// Elements of tables and of results made here.
const MAX_ELEMENTS: usize = 4 << 20;

/// One index per element picks along `axis`.
pub fn gather_elements(c: &mut Context<'_, '_>) -> Read {
    let (x, indices) = (c.operand(0)?, c.operand(1)?);
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(0), c.build.shape(x).len())?;
    Ok(vec![c.build.add(GatherElements { axis }, &[x, indices])?])
}

/// Tuples of indices pick slices.
pub fn gather_nd(c: &mut Context<'_, '_>) -> Read {
    let (x, indices) = (c.operand(0)?, c.operand(1)?);
    let batch_dims = usize::try_from(c.attributes.int("batch_dims")?.unwrap_or(0))
        .map_err(|_| OpError::invalid("attribute \"batch_dims\" is negative"))?;
    Ok(vec![c.build.add(GatherNd { batch_dims }, &[x, indices])?])
}

fn reduction(c: &Context<'_, '_>) -> Result<Option<Combine>, OpError> {
    match c.attributes.text("reduction")?.unwrap_or("none") {
        "none" => Ok(None),
        "add" => Ok(Some(Combine::Sum)),
        "mul" => Ok(Some(Combine::Product)),
        "max" => Ok(Some(Combine::Larger)),
        "min" => Ok(Some(Combine::Smaller)),
        other => Err(OpError::invalid(format!("reduction \"{other}\" does not exist"))),
    }
}

/// One index per update places it along `axis`.
pub fn scatter_elements(c: &mut Context<'_, '_>) -> Read {
    let operands = [c.operand(0)?, c.operand(1)?, c.operand(2)?];
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(0), c.build.shape(operands[0]).len())?;
    let reduction = reduction(c)?;
    Ok(vec![c.build.add(ScatterElements { axis, reduction }, &operands)?])
}

/// Tuples of indices place slices.
pub fn scatter_nd(c: &mut Context<'_, '_>) -> Read {
    let operands = [c.operand(0)?, c.operand(1)?, c.operand(2)?];
    let reduction = reduction(c)?;
    Ok(vec![c.build.add(ScatterNd { reduction }, &operands)?])
}

/// How many as attribute (opset 1).
pub fn top_k_1(c: &mut Context<'_, '_>) -> Read {
    let k = c.attributes.int("k")?;
    top_k(c, k)
}

/// How many as operand 1.
pub fn top_k_10(c: &mut Context<'_, '_>) -> Read {
    let k = c.ints(1)?.and_then(|k| k.first().copied());
    top_k(c, k)
}

/// The best `k` along `axis`, in order whether `sorted` or not.
fn top_k(c: &mut Context<'_, '_>, k: Option<i64>) -> Read {
    let x = c.operand(0)?;
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(-1), c.build.shape(x).len())?;
    let k = k.and_then(|k| usize::try_from(k).ok());
    let k = k.ok_or_else(|| OpError::invalid("the number of elements is missing or negative"))?;
    let largest = c.attributes.flag("largest", true)?;
    c.build.add_all(TopK { axis, k, largest, index: DType::I64 }, &[x])
}

/// Undoes a MaxPool: every element comes to the place its index names in the flattened result.
pub fn max_unpool(c: &mut Context<'_, '_>) -> Read {
    let (x, indices) = (c.operand(0)?, c.operand(1)?);
    let dims = c.build.shape(x);
    let sizes = |name: &str, default: i64, n: usize| match c.attributes.ints(name)? {
        None => Ok(vec![default; n]),
        Some(list) if list.len() == n => Ok(list.to_vec()),
        Some(list) => Err(OpError::invalid(format!("{name} {list:?} do not fit {n} dimensions"))),
    };
    let spatial = dims.len().checked_sub(2).filter(|&n| n > 0);
    let spatial = spatial.ok_or_else(|| OpError::invalid("the input has no image dimensions"))?;
    let kernel = sizes("kernel_shape", 1, spatial)?;
    let (strides, pads) = (sizes("strides", 1, spatial)?, sizes("pads", 0, 2 * spatial)?);
    let mut inferred = dims.clone();
    for d in 0..spatial {
        let whole = (dims[d + 2] as i64)
            .checked_sub(1)
            .and_then(|n| n.checked_mul(strides[d]))
            .and_then(|n| n.checked_add(kernel[d]))
            .and_then(|n| n.checked_sub(pads[d].checked_add(pads[d + spatial])?))
            .and_then(|n| usize::try_from(n).ok());
        inferred[d + 2] = whole.ok_or_else(|| OpError::invalid("the window is not possible"))?;
    }
    let shape = Shape::checked(inferred.clone());
    let total = shape.map(|s| s.elements()).filter(|&n| n <= MAX_ELEMENTS);
    let total = total.ok_or_else(|| OpError::unsupported("the result is too large"))?;
    let n = dims.iter().product();
    let dtype = c.build.ty(x).dtype;
    let zeros = c.build.tensor(vec![total], TensorData::zeros(dtype, total))?;
    let (x, indices) = (c.build.reshape(x, vec![n])?, c.build.reshape(indices, vec![n])?);
    let op = ScatterElements { axis: 0, reduction: None };
    let y = c.build.add(op, &[zeros, indices, x])?;
    let y = c.build.reshape(y, inferred.clone())?;
    let Some(wanted) = c.ints(2)? else { return Ok(vec![y]) };
    let after: Option<Vec<usize>> = wanted
        .iter()
        .zip(&inferred)
        .map(|(&w, &n)| usize::try_from(w).ok().and_then(|w| w.checked_sub(n)))
        .collect();
    let after = after.filter(|_| wanted.len() == inferred.len()).ok_or_else(|| {
        OpError::invalid(format!("the result {inferred:?} does not fit {wanted:?}"))
    })?;
    if after.iter().all(|&n| n == 0) {
        return Ok(vec![y]);
    }
    Ok(vec![c.build.pad_zeros(y, vec![0; after.len()], after)?])
}

/// Window of one image dimension of Col2Im.
#[derive(Clone, Copy)]
struct Window {
    image: i64,
    block: i64,
    stride: i64,
    dilation: i64,
    before: i64,
    /// Places of the block.
    count: i64,
}

/// The image position of every (element of the block, place of the block), both row-major; the
/// number of image elements where that lies in the padding.
fn col2im_places(windows: &[Window]) -> Vec<i64> {
    let image: i64 = windows.iter().map(|w| w.image).product();
    let (mut places, mut blocks, mut counts) = (Vec::new(), vec![vec![]], vec![vec![]]);
    let extended = |lists: Vec<Vec<i64>>, n: i64| -> Vec<Vec<i64>> {
        let with = |list: &Vec<i64>, i| list.iter().copied().chain([i]).collect();
        lists.iter().flat_map(|list| (0..n).map(move |i| with(list, i))).collect()
    };
    for w in windows {
        (blocks, counts) = (extended(blocks, w.block), extended(counts, w.count));
    }
    for block in &blocks {
        for count in &counts {
            let at = windows.iter().zip(block.iter().zip(count)).try_fold(0, |at, (w, (b, n))| {
                let i = n * w.stride + b * w.dilation - w.before;
                (0..w.image).contains(&i).then_some(at * w.image + i)
            });
            places.push(at.unwrap_or(image));
        }
    }
    places
}

/// Sums overlapping blocks, which are the columns of the operand, into an image.
pub fn col2im(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let missing = || OpError::invalid("operand 1 (the image) or 2 (the block) is missing");
    let (image, block) = (c.ints(1)?.ok_or_else(missing)?, c.ints(2)?.ok_or_else(missing)?);
    let rank = image.len();
    let list = |name: &str, default: i64, n: usize| -> Result<Vec<i64>, OpError> {
        Ok(c.attributes.ints(name)?.map_or_else(|| vec![default; n], <[i64]>::to_vec))
    };
    let (strides, dilations) = (list("strides", 1, rank)?, list("dilations", 1, rank)?);
    let pads = list("pads", 0, 2 * rank)?;
    let dims = c.build.shape(x);
    let misfit = || OpError::invalid(format!("{dims:?} are no blocks {block:?} of {image:?}"));
    let small = |v: &[i64], n: usize| v.len() == n && v.iter().all(|i| (0..1 << 20).contains(i));
    let is_sane = small(&image, rank)
        && small(&block, rank)
        && small(&strides, rank)
        && small(&dilations, rank)
        && small(&pads, 2 * rank)
        && rank > 0;
    let &[n, columns, count] = dims.as_slice() else { return Err(misfit()) };
    if !is_sane || strides.contains(&0) {
        return Err(misfit());
    }
    let window = |d: usize| {
        let reach = dilations[d] * (block[d] - 1) + 1;
        let room = image[d] + pads[d] + pads[d + rank] - reach;
        let count = (room >= 0).then_some(room / strides[d] + 1);
        let (stride, dilation, before) = (strides[d], dilations[d], pads[d]);
        count.map(|count| Window {
            image: image[d],
            block: block[d],
            stride,
            dilation,
            before,
            count,
        })
    };
    let windows: Vec<Window> = (0..rank).map(window).collect::<Option<_>>().ok_or_else(misfit)?;
    let product = |of: fn(&Window) -> i64| {
        windows.iter().try_fold(1usize, |p, w| p.checked_mul(usize::try_from(of(w)).ok()?))
    };
    let (pixels, cells, places) =
        (product(|w| w.image), product(|w| w.block), product(|w| w.count));
    let (Some(pixels), Some(cells)) = (pixels, cells) else { return Err(misfit()) };
    if cells == 0 || !columns.is_multiple_of(cells) || places != Some(count) {
        return Err(misfit());
    }
    let channels = n * (columns / cells);
    let total = (pixels + 1).checked_mul(channels).filter(|&t| t <= MAX_ELEMENTS);
    let total = total.ok_or_else(|| OpError::unsupported("the image has too many elements"))?;
    // What lies in the padding is summed up behind the image and cut off.
    let dtype = c.build.ty(x).dtype;
    let table = col2im_places(&windows);
    let indices = c.build.tensor(vec![table.len(), 1], TensorData::I64(table))?;
    let blank = c.build.tensor(vec![pixels + 1, channels], TensorData::zeros(dtype, total))?;
    let x = c.build.reshape(x, vec![channels, cells * count])?;
    let x = c.build.transpose(x, &[1, 0])?;
    let y = c.build.add(ScatterNd { reduction: Some(Combine::Sum) }, &[blank, indices, x])?;
    let range = |size| Range { begin: 0, step: 1, size };
    let (ranges, shape) = (vec![range(pixels), range(channels)], Shape(vec![pixels, channels]));
    let y = c.build.add(Slice { ranges, shape }, &[y])?;
    let y = c.build.transpose(y, &[1, 0])?;
    let image = windows.iter().map(|w| w.image as usize);
    Ok(vec![c.build.reshape(y, [n, columns / cells].into_iter().chain(image).collect())?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn square(name: &str) -> Case {
        case(name).input(&[2, 2], &[1.0, 2.0, 3.0, 4.0])
    }

    #[test]
    fn gathers() {
        let c = square("GatherElements").ints(&[2, 2], &[0, 0, -1, 0]).int("axis", 1);
        c.gives(13, &[2, 2], &[1.0, 1.0, 4.0, 3.0]);
        square("GatherElements").ints(&[2, 2], &[0, 0, 2, 0]).refused(13, "index 2");
        let c = square("GatherND").ints(&[2, 2], &[0, 0, -1, 1]);
        c.gives(13, &[2], &[1.0, 4.0]);
        let c = square("GatherND").ints(&[2, 1], &[1, 0]).int("batch_dims", 1);
        c.gives(13, &[2], &[2.0, 3.0]);
        square("GatherND").ints(&[2, 1], &[1, 0]).int("batch_dims", -1).refused(13, "negative");
    }

    #[test]
    fn scatters() {
        let c = square("ScatterElements").ints(&[1, 2], &[1, 0]).floats(&[1, 2], &[9.0, 8.0]);
        c.gives(13, &[2, 2], &[1.0, 8.0, 9.0, 4.0]);
        let c = square("ScatterND").ints(&[2, 1], &[1, 1]).input(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        c.text("reduction", "mul").gives(18, &[2, 2], &[1.0, 2.0, 9.0, 32.0]);
        let c = square("ScatterND").ints(&[1, 1], &[0]).input(&[1, 2], &[0.0, 0.0]);
        c.text("reduction", "avg").refused(18, "avg");
    }

    #[test]
    fn best_of_a_row() {
        square("TopK").ints(&[1], &[1]).gives(11, &[2, 1], &[2.0, 4.0]);
        let c = square("TopK").ints(&[1], &[1]).int("largest", 0).int("axis", 0);
        c.gives(11, &[1, 2], &[1.0, 2.0]);
        square("TopK").ints(&[1], &[3]).refused(11, "3 elements");
        square("TopK").ints(&[1], &[-1]).refused(11, "negative");
    }

    #[test]
    fn pooling_undone() {
        let pooled = || case("MaxUnpool").input(&[1, 1, 1, 2], &[5.0, 6.0]);
        let c = pooled().ints(&[1, 1, 1, 2], &[1, 6]).list("kernel_shape", &[2, 2]);
        let want = [0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0];
        c.list("strides", &[2, 2]).gives(11, &[1, 1, 2, 4], &want);
        let c = pooled().ints(&[1, 1, 1, 2], &[1, 6]).list("kernel_shape", &[2, 2]);
        c.list("strides", &[i64::MAX, i64::MAX]).refused(11, "not possible");
    }

    #[test]
    fn columns_to_an_image() {
        // Blocks of 2 over 3 pixels: the middle one is in both.
        let c = case("Col2Im").input(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        c.ints(&[1], &[3]).ints(&[1], &[2]).gives(18, &[1, 1, 3], &[1.0, 5.0, 4.0]);
        let c = case("Col2Im").input(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        c.ints(&[1], &[i64::MAX]).ints(&[1], &[2]).refused(18, "no blocks");
    }
}
