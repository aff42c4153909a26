//! Losses of a classification: the logarithm of the probability of the class that is right.

use super::Context;
use super::norm::log_softmax;
use crate::format::onnx::build::Builder;
use crate::graph::ValueId;
use crate::op::{
    Compare, Gather, GatherElements, Mean, Neg, OpError, ReduceAttributes, Relation, Select, Sum,
};
use crate::tensor::DType;

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// How the losses of all samples become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reduction {
    None,
    Sum,
    /// Divided by the sum of the weights.
    Mean,
}

/// What the attributes say.
struct Rule {
    reduction: Reduction,
    /// A class whose samples do not count.
    ignored: Option<i64>,
}

impl Rule {
    fn read(c: &Context<'_, '_>) -> Result<Self, OpError> {
        let reduction = match c.attributes.text("reduction")?.unwrap_or("mean") {
            "none" => Reduction::None,
            "sum" => Reduction::Sum,
            "mean" => Reduction::Mean,
            other => return Err(OpError::invalid(format!("reduction \"{other}\" does not exist"))),
        };
        Ok(Self { reduction, ignored: c.attributes.int("ignore_index")? })
    }
}

/// Of logarithms of probabilities.
pub fn negative_log_likelihood(c: &mut Context<'_, '_>) -> Read {
    let rule = Rule::read(c)?;
    let (x, classes, weights) = (c.operand(0)?, c.operand(1)?, c.optional(2));
    Ok(vec![loss(&mut c.build, x, classes, weights, &rule)?])
}

/// Of scores, through softmax. The second result is the logarithm of the probabilities.
pub fn softmax_cross_entropy(c: &mut Context<'_, '_>) -> Read {
    let rule = Rule::read(c)?;
    let (x, classes, weights) = (c.operand(0)?, c.operand(1)?, c.optional(2));
    let logarithms = log_softmax(&mut c.build, x, 1)?;
    let y = loss(&mut c.build, logarithms, classes, weights, &rule)?;
    Ok(vec![y, logarithms])
}

fn loss(
    b: &mut Builder<'_>,
    x: ValueId,
    classes: ValueId,
    weights: Option<ValueId>,
    rule: &Rule,
) -> Made {
    let (dims, samples) = (b.shape(x), b.shape(classes));
    let fits = dims.len() >= 2
        && samples.len() + 1 == dims.len()
        && samples[0] == dims[0]
        && samples[1..] == dims[2..]
        && matches!(b.ty(classes).dtype, DType::I32 | DType::I64);
    if !fits || weights.is_some_and(|w| b.shape(w) != [dims[1]]) {
        return Err(OpError::invalid(format!(
            "classes {samples:?} or their weights do not fit scores {dims:?}"
        )));
    }
    let (mut counts, mut classes) = (None, classes);
    if let Some(ignored) = rule.ignored {
        let ignored = b.number_like(classes, ignored as f64)?;
        let is_counted = b.add(Compare { relation: Relation::NotEqual }, &[classes, ignored])?;
        // The ignored class need not exist.
        let first = b.number_like(classes, 0.0)?;
        classes = b.add(Select, &[is_counted, classes, first])?;
        counts = Some(is_counted);
    }
    let mut one = samples.clone();
    one.insert(1, 1);
    let places = b.reshape(classes, one)?;
    let picked = b.add(GatherElements { axis: 1 }, &[x, places])?;
    let picked = b.reshape(picked, samples)?;
    let mut losses = b.apply(Neg, picked)?;
    let mut share = match weights {
        None => None,
        Some(weights) => Some(b.add(Gather { axis: 0, batch_dims: 0 }, &[weights, classes])?),
    };
    if let Some(share) = share {
        losses = b.times(losses, share)?;
    }
    if let Some(counts) = counts {
        let (nothing, all) = (b.number_like(losses, 0.0)?, b.number_like(losses, 1.0)?);
        losses = b.add(Select, &[counts, losses, nothing])?;
        share = Some(b.add(Select, &[counts, share.unwrap_or(all), nothing])?);
    }
    let axes = ReduceAttributes { axes: (0..dims.len() - 1).collect(), keep_dims: false };
    match (rule.reduction, share) {
        (Reduction::None, _) => Ok(losses),
        (Reduction::Sum, _) => b.apply(Sum(axes), losses),
        (Reduction::Mean, None) => b.apply(Mean(axes), losses),
        (Reduction::Mean, Some(share)) => {
            let total = b.apply(Sum(axes.clone()), losses)?;
            let weight = b.apply(Sum(axes), share)?;
            b.over(total, weight)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    /// Three samples of two classes; classes 0, 1, 1.
    fn of() -> Case {
        let c = case("NegativeLogLikelihoodLoss");
        let c = c.input(&[3, 2], &[-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]);
        c.ints(&[3], &[0, 1, 1])
    }

    fn weighted() -> Case {
        of().floats(&[2], &[2.0, 3.0])
    }

    #[test]
    fn reductions_weights_and_ignored_classes() {
        of().text("reduction", "none").gives(13, &[3], &[1.0, 4.0, 6.0]);
        of().text("reduction", "sum").gives(13, &[], &[11.0]);
        of().gives(13, &[], &[11.0 / 3.0]);
        weighted().text("reduction", "none").gives(13, &[3], &[2.0, 12.0, 18.0]);
        weighted().gives(13, &[], &[32.0 / 8.0]);
        of().int("ignore_index", 0).gives(13, &[], &[5.0]);
        weighted().int("ignore_index", 1).gives(13, &[], &[1.0]);
        weighted().int("ignore_index", 1).text("reduction", "sum").gives(13, &[], &[2.0]);
        let c = case("NegativeLogLikelihoodLoss").input(&[2, 2, 1], &[-1.0, -2.0, -3.0, -4.0]);
        let c = c.ints(&[2, 1], &[-7, 1]).int("ignore_index", -7);
        c.text("reduction", "none").gives(13, &[2, 1], &[0.0, 4.0]);
        of().text("reduction", "max").refused(13, "max");
        let c = case("NegativeLogLikelihoodLoss").input(&[3, 2], &[0.0; 6]).ints(&[2], &[0, 0]);
        c.refused(13, "do not fit");
    }

    #[test]
    fn scores_go_through_softmax() {
        let ln3 = 3f32.ln();
        let c =
            || case("SoftmaxCrossEntropyLoss").input(&[1, 2, 1], &[0.0, ln3]).ints(&[1, 1], &[1]);
        let logarithms = [0.25f32.ln(), 0.75f32.ln()];
        c().gives(13, &[], &[-logarithms[1]]);
        c().result(1).gives(13, &[1, 2, 1], &logarithms);
    }
}
