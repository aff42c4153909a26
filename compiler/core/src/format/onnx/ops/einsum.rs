//! Einsum: sums of products named by letters. Two operands at a time meet in a matrix product, or in a
//! multiplication where nothing is summed.

use super::Context;
use crate::format::onnx::build::Builder;
use crate::graph::ValueId;
use crate::op::{BatchMatmul, BroadcastTo, Gather, OpError, ReduceAttributes, Sum};
use crate::tensor::{Shape, TensorData};
use std::collections::BTreeMap;

type Made = Result<ValueId, OpError>;

/// A dimension: a letter, or one of those that "..." stands for, counted from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    Open(usize),
    Letter(char),
}

/// A value whose dimensions are named.
#[derive(Clone, Debug)]
struct Named {
    value: ValueId,
    labels: Vec<Label>,
}

/// The names of a term; "..." is replaced by as many as make up `rank`.
fn labels(term: &str, rank: Option<usize>, open: usize) -> Result<Vec<Label>, OpError> {
    let wrong = || OpError::invalid(format!("the term \"{term}\" does not fit its operand"));
    let (before, after, dots) = match term.split_once("...") {
        Some((before, after)) => (before, after, true),
        None => (term, "", false),
    };
    let letters = |part: &str| -> Result<Vec<Label>, OpError> {
        let is_name = part.chars().all(|c| c.is_ascii_alphabetic());
        if is_name { Ok(part.chars().map(Label::Letter).collect()) } else { Err(wrong()) }
    };
    let (mut all, after) = (letters(before)?, letters(after)?);
    let named = all.len() + after.len();
    let count = match (rank, dots) {
        (Some(rank), true) => rank.checked_sub(named).ok_or_else(wrong)?,
        (Some(rank), false) if rank != named => return Err(wrong()),
        (None, true) => open,
        (_, false) => 0,
    };
    all.extend((0..count).rev().map(Label::Open));
    all.extend(after);
    Ok(all)
}

/// Sum of products.
pub fn einsum(c: &mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError> {
    let equation = c.attributes.text("equation")?;
    let equation = equation.ok_or_else(|| OpError::invalid("attribute \"equation\" is missing"))?;
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != c.operands.len() {
        let message = format!("{} terms for {} operands", terms.len(), c.operands.len());
        return Err(OpError::invalid(message));
    }
    let mut operands = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        let value = c.operand(i)?;
        let labels = labels(term, Some(c.build.shape(value).len()), 0)?;
        operands.push(Named { value, labels });
    }
    let all = || operands.iter().flat_map(|o| o.labels.iter().copied());
    let open = all().filter(|l| matches!(l, Label::Open(_))).max();
    let open = open.map_or(0, |l| if let Label::Open(i) = l { i + 1 } else { 0 });
    let output = match right {
        Some(term) => labels(term, None, open)?,
        None => {
            // What occurs once, in alphabetical order, after the open dimensions.
            let once = |l: &Label| all().filter(|m| m == l).count() == 1;
            let mut letters: Vec<Label> =
                all().filter(|l| matches!(l, Label::Letter(_)) && once(l)).collect();
            letters.sort_unstable();
            (0..open).rev().map(Label::Open).chain(letters).collect()
        }
    };
    let unknown = output.iter().any(|l| !all().any(|m| m == *l));
    let twice = output.iter().enumerate().any(|(i, l)| output[..i].contains(l));
    if unknown || twice {
        return Err(OpError::invalid(format!("the result of \"{equation}\" is not possible")));
    }
    let y = contract(&mut c.build, operands, &output)?;
    Ok(vec![y])
}

fn contract(b: &mut Builder<'_>, mut operands: Vec<Named>, output: &[Label]) -> Made {
    for operand in &mut operands {
        diagonal(b, operand)?;
    }
    widen(b, &mut operands)?;
    let mut rest = operands.into_iter();
    let mut y = rest.next().ok_or_else(|| OpError::invalid("there are no operands"))?;
    loop {
        let later: Vec<Named> = rest.clone().collect();
        let needed = |after: usize, l: &Label| {
            output.contains(l) || later.iter().skip(after).any(|o| o.labels.contains(l))
        };
        sum_out(b, &mut y, |l| needed(0, l))?;
        let Some(mut next) = rest.next() else { break };
        let known = y.labels.clone();
        sum_out(b, &mut next, |l| known.contains(l) || needed(1, l))?;
        y = pair(b, &y, &next, |l| needed(1, l))?;
    }
    arrange(b, &mut y, output)?;
    Ok(y.value)
}

/// Keeps the diagonal of dimensions of one name.
fn diagonal(b: &mut Builder<'_>, x: &mut Named) -> Result<(), OpError> {
    loop {
        let pair = x.labels.iter().enumerate().find_map(|(j, l)| {
            let i = x.labels[..j].iter().position(|m| m == l)?;
            Some((i, j))
        });
        let Some((i, j)) = pair else { return Ok(()) };
        let rank = x.labels.len();
        let order: Vec<usize> = (0..rank).filter(|&d| d != i && d != j).chain([i, j]).collect();
        let dims = b.shape(x.value);
        let (n, label) = (dims[i], x.labels[i]);
        if dims[j] != n {
            return Err(OpError::invalid(format!("{dims:?} has no diagonal")));
        }
        let value = b.transpose(x.value, &order)?;
        let mut dims = b.shape(value);
        dims.truncate(rank - 2);
        let axis = dims.len();
        let square = n.checked_mul(n).unwrap_or(usize::MAX);
        let value = b.reshape(value, [dims.as_slice(), &[square]].concat())?;
        let picks = TensorData::I32((0..n).map(|d| (d * (n + 1)) as i32).collect());
        let picks = b.tensor(vec![n], picks)?;
        x.value = b.add(Gather { axis, batch_dims: 0 }, &[value, picks])?;
        x.labels = order[..axis].iter().map(|&d| x.labels[d]).chain([label]).collect();
    }
}

/// Repeats dimensions of extent 1 whose name has another extent elsewhere.
fn widen(b: &mut Builder<'_>, operands: &mut [Named]) -> Result<(), OpError> {
    let mut extents: BTreeMap<Label, usize> = BTreeMap::new();
    for operand in &*operands {
        for (&label, extent) in operand.labels.iter().zip(b.shape(operand.value)) {
            let known = extents.entry(label).or_insert(1);
            if *known != 1 && extent != 1 && *known != extent {
                return Err(OpError::invalid(format!(
                    "{label:?} has the extents {known} and {extent}"
                )));
            }
            *known = (*known).max(extent);
        }
    }
    for operand in operands {
        let dims = operand.labels.iter().filter_map(|l| extents.get(l).copied()).collect();
        let shape = Shape(dims);
        if shape.0 != b.shape(operand.value) {
            operand.value = b.apply(BroadcastTo { shape }, operand.value)?;
        }
    }
    Ok(())
}

/// Sums over the dimensions that nobody needs.
fn sum_out(
    b: &mut Builder<'_>,
    x: &mut Named,
    needed: impl Fn(&Label) -> bool,
) -> Result<(), OpError> {
    let axes: Vec<usize> = (0..x.labels.len()).filter(|&i| !needed(&x.labels[i])).collect();
    if axes.is_empty() {
        return Ok(());
    }
    x.labels.retain(needed);
    x.value = b.apply(Sum(ReduceAttributes { axes, keep_dims: false }), x.value)?;
    Ok(())
}

/// Brings the dimensions into an order.
fn arrange(b: &mut Builder<'_>, x: &mut Named, order: &[Label]) -> Result<(), OpError> {
    let places = order.iter().map(|l| x.labels.iter().position(|m| m == l));
    let places: Option<Vec<usize>> = places.collect();
    let places = places.filter(|p| p.len() == x.labels.len());
    let places = places.ok_or_else(|| OpError::invalid("the dimensions do not fit"))?;
    x.value = b.transpose(x.value, &places)?;
    x.labels = order.to_vec();
    Ok(())
}

/// The product of two operands, summed over the names that both have and nobody needs later.
fn pair(
    b: &mut Builder<'_>,
    x: &Named,
    z: &Named,
    needed: impl Fn(&Label) -> bool,
) -> Result<Named, OpError> {
    let both = |l: &Label| x.labels.contains(l) && z.labels.contains(l);
    let pick = |from: &Named, wanted: &dyn Fn(&Label) -> bool| -> Vec<Label> {
        from.labels.iter().copied().filter(|l| wanted(l)).collect()
    };
    let batch = pick(x, &|l| both(l) && needed(l));
    let summed = pick(x, &|l| both(l) && !needed(l));
    let (rows, columns) = (pick(x, &|l| !both(l)), pick(z, &|l| !both(l)));
    let (mut x, mut z) = (x.clone(), z.clone());
    arrange(b, &mut x, &[batch.clone(), rows.clone(), summed.clone()].concat())?;
    arrange(b, &mut z, &[batch.clone(), summed.clone(), columns.clone()].concat())?;
    let (left, right) = (b.shape(x.value), b.shape(z.value));
    let shape = [&left[..batch.len() + rows.len()], &right[batch.len() + summed.len()..]].concat();
    let labels = [batch.clone(), rows.clone(), columns].concat();
    let product = |dims: &[usize]| dims.iter().product::<usize>();
    if summed.is_empty() {
        // Broadcasting leaves out the other's own dimensions.
        let open = [left.as_slice(), &vec![1; right.len() - batch.len()]].concat();
        let across = [&right[..batch.len()], &vec![1; rows.len()], &right[batch.len()..]].concat();
        let (x, z) = (b.reshape(x.value, open)?, b.reshape(z.value, across)?);
        let value = b.times(x, z)?;
        return Ok(Named { value: b.reshape(value, shape)?, labels });
    }
    let (groups, depth) =
        (product(&left[..batch.len()]), product(&left[batch.len() + rows.len()..]));
    let height = product(&left[batch.len()..batch.len() + rows.len()]);
    let width = product(&right[batch.len() + summed.len()..]);
    let x = b.reshape(x.value, vec![groups, height, depth])?;
    let z = b.reshape(z.value, vec![groups, depth, width])?;
    let value = b.add(BatchMatmul { adj_x: false, adj_y: false }, &[x, z])?;
    Ok(Named { value: b.reshape(value, shape)?, labels })
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    const A: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    fn of(equation: &str) -> Case {
        case("Einsum").text("equation", equation)
    }

    #[test]
    fn one_operand() {
        let c = |equation| of(equation).input(&[2, 3], &A);
        c("ij->ji").gives(12, &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        c("ij -> j").gives(12, &[3], &[5.0, 7.0, 9.0]);
        c("ij->").gives(12, &[], &[21.0]);
        c("ba").gives(12, &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        c("...j->...").gives(12, &[2], &[6.0, 15.0]);
        let square = |equation| of(equation).input(&[1, 2, 2], &A[..4]);
        square("...ii->...i").gives(12, &[1, 2], &[1.0, 4.0]);
        square("kii").gives(12, &[1], &[5.0]);
    }

    #[test]
    fn two_and_three_operands() {
        let c = |equation: &str| of(equation).input(&[2, 3], &A).input(&[2, 3], &A);
        c("ij,kj->ik").gives(12, &[2, 2], &[14.0, 32.0, 32.0, 77.0]);
        c("ij,ij->ij").gives(12, &[2, 3], &A.map(|a| a * a));
        c("ij,ij").gives(12, &[], &[91.0]);
        c("ij,ik->i").gives(12, &[2], &[36.0, 225.0]);
        c("ij,ik->ikj").gives(12, &[2, 3, 3], &{
            let row = |r: usize| [3 * r, 3 * r + 1, 3 * r + 2];
            let of = |r: usize| row(r).map(|k| row(r).map(|j| A[j] * A[k]));
            [of(0), of(1)].concat().concat()
        });
        let three = of("i,ij,j->").input(&[2], &[1.0, 10.0]).input(&[2, 3], &A);
        three.input(&[3], &[1.0, 2.0, 3.0]).gives(12, &[], &[14.0 + 320.0]);
        let open = of("...ij,...j->...i").input(&[2, 1, 2], &A[..4]).input(&[1, 2], &[1.0, 10.0]);
        open.gives(12, &[2, 1], &[21.0, 43.0]);
    }

    #[test]
    fn hostile_equations_are_refused() {
        let c = |equation| of(equation).input(&[2, 3], &A);
        c("ij,jk->ik").refused(12, "2 terms for 1 operands");
        c("i->i").refused(12, "does not fit");
        c("ij->ijk").refused(12, "not possible");
        c("ij->ii").refused(12, "not possible");
        c("ii->i").refused(12, "no diagonal");
        c("i...j...->i").refused(12, "does not fit");
        c("i1->i").refused(12, "does not fit");
        c("i->j->k").refused(12, "does not fit");
    }
}
