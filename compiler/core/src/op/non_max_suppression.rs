//! NonMaxSuppression: the boxes that are left when those that overlap a better one go. ONNX
//! NonMaxSuppression. Operands: boxes `[batches, n, 4]`, scores `[batches, classes, n]`, float32.

use super::{OpError, Operator, Signature, movement};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use crate::kir::{BinOp, Buf, Expr, Intrinsic, KernelBuilder, Ty, Var, float, idx, int};

/// Result: int64 `[rows, 3]`, rows of (batch, class, box) as ONNX Runtime orders them: by batch, by
/// class, the best score first and equal ones by number. How many are selected depends on the data:
/// rows beyond those hold -1, and what has no row is cut. A NaN is no score.
#[derive(Clone, Debug, PartialEq)]
pub struct NonMaxSuppression {
    /// Rows of the result.
    pub rows: usize,
    /// Boxes of one class that are selected, at most.
    pub most: usize,
    /// A box goes if the area it shares with a better one, by that of both, is larger; 0 to 1.
    pub overlap: f32,
    /// Scores must be larger; `None`: all are.
    pub least: Option<f32>,
    /// Boxes are x and y of the centre, width, height; otherwise y and x of two opposite corners.
    pub by_centre: bool,
}

fn extents(s: &Signature<'_>) -> Result<[usize; 3], OpError> {
    NonMaxSuppression::extents(s.operand(0)?.shape(), s.operand(1)?.shape())
}

/// Lowest and highest coordinates along one axis.
type Span<T> = [T; 2];

/// A box: its height, then its width.
type Area<T> = [Span<T>; 2];

impl NonMaxSuppression {
    /// How many batches, classes and boxes there are.
    ///
    /// # Errors
    /// The two shapes do not fit.
    pub fn extents(boxes: &Shape, scores: &Shape) -> Result<[usize; 3], OpError> {
        match (boxes.0.as_slice(), scores.0.as_slice()) {
            (&[batches, n, 4], &[b, classes, m]) if b == batches && n == m => Ok([b, classes, n]),
            _other => Err(OpError::invalid(format!("boxes {boxes} and scores {scores} do not fit"))),
        }
    }

    fn area(&self, b: &[f32]) -> Area<f32> {
        let at = |i: usize| b.get(i).copied().unwrap_or(0.0);
        let around = |centre: f32, size: f32| [centre - size * 0.5, centre + size * 0.5];
        let ordered = |p: f32, q: f32| [tinycc_rt::min_f32(p, q), tinycc_rt::max_f32(p, q)];
        match self.by_centre {
            true => [around(at(1), at(3)), around(at(0), at(2))],
            false => [ordered(at(0), at(2)), ordered(at(1), at(3))],
        }
    }

    fn overlaps(&self, a: Area<f32>, b: Area<f32>) -> bool {
        let common = |i: usize| {
            tinycc_rt::min_f32(a[i][1], b[i][1]) - tinycc_rt::max_f32(a[i][0], b[i][0])
        };
        let size = |[[top, bottom], [left, right]]: Area<f32>| (bottom - top) * (right - left);
        let (height, width) = (common(0), common(1));
        let both = height * width;
        height > 0.0 && width > 0.0 && both / (size(a) + size(b) - both) > self.overlap
    }

    /// All that are selected, whatever `rows` says: batch, class, box. `extents` are batches,
    /// classes and boxes.
    pub(crate) fn selected(
        &self,
        extents: [usize; 3],
        boxes: &[f32],
        scores: &[f32],
    ) -> Vec<[usize; 3]> {
        let [batches, classes, n] = extents;
        let mut all = Vec::new();
        for line in 0..batches * classes {
            let (batch, class) = (line / classes, line % classes);
            let score = |i: usize| scores.get(line * n + i).copied().unwrap_or(f32::NAN);
            let area = |i: usize| self.area(boxes.get((batch * n + i) * 4..).unwrap_or_default());
            let is_candidate = |&i: &usize| match self.least {
                Some(least) => score(i) > least,
                None => !score(i).is_nan(),
            };
            let mut order: Vec<usize> = (0..n).filter(is_candidate).collect();
            // Sorting is stable: equal scores stay in the order of their numbers.
            order.sort_by(|&i, &j| score(j).partial_cmp(&score(i)).unwrap_or(std::cmp::Ordering::Equal));
            let mut kept: Vec<usize> = Vec::new();
            for i in order {
                if kept.len() == self.most {
                    break;
                }
                if !kept.iter().any(|&j| self.overlaps(area(i), area(j))) {
                    kept.push(i);
                    all.push([batch, class, i]);
                }
            }
        }
        all
    }
}

impl Operator for NonMaxSuppression {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 2)?;
        if [s.operand(0)?.dtype(), s.operand(1)?.dtype()] != [DType::F32; 2] {
            return Err(OpError::types(s));
        }
        if !(0.0..=1.0).contains(&self.overlap) {
            return Err(OpError::invalid(format!("an overlap of {} is not possible", self.overlap)));
        }
        if extents(s)?.contains(&0) || self.most == 0 || self.rows == 0 {
            return Err(OpError::invalid("no box can be selected"));
        }
        Ok(vec![TensorType::new(DType::I64, movement::result_shape(vec![self.rows, 3])?)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [Some(boxes), Some(scores)] = [0, 1].map(|i| inputs.get(i).and_then(|t| t.as_f32()))
        else {
            return Err(OpError::types(s));
        };
        let selected = self.selected(extents(s)?, boxes, scores);
        let mut rows: Vec<i64> = selected.iter().flatten().map(|&v| v as i64).collect();
        rows.resize(self.rows * 3, -1);
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: TensorData::I64(rows) }])
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let [batches, classes, n] = extents(s)?;
        let (boxes, scores) = (k.operand(s, 0, "boxes")?, k.operand(s, 1, "scores")?);
        let y = k.result(s, 0, "selected")?;
        // Boxes of a class that may still be selected.
        let free = k.scratch("is_free", Ty::U8, n);
        k.for_("i", self.rows * 3, |k, i| k.store(y, i, int(-1)));
        let most = self.most.min(n);
        // Nobody would read the count of a single selection again.
        let is_single = batches * classes * most == 1;
        let counter = if is_single { None } else { Some(k.var("count", int(0))) };
        let count = || counter.map_or(int(0), Expr::from);
        k.for_("batch", batches, |k, batch| {
            k.for_("class", classes, |k, class| {
                let line = (batch.clone() * idx(classes) + class.clone()) * idx(n);
                let line = k.let_("line", line);
                let first = k.let_("first", batch.clone() * idx(n * 4));
                let (best, score) = (k.var("best", int(-1)), k.var("best_score", float(0.0)));
                let search = Search { boxes, scores, free, n, first, line, best, score };
                self.build_candidates(k, &search);
                k.for_("j", most, |k, j| {
                    let is_found = Expr::from(best).ge(int(0));
                    // Unsigned, so that it says that it is not negative, too.
                    let rows = Expr::Int(self.rows as i64, Ty::U32);
                    let has_row = count().cast(Ty::U32).lt(rows);
                    k.if_(is_found.and(has_row), |k| {
                        let row = k.let_("row", count() * idx(3));
                        k.store(y, row.clone(), batch.clone());
                        k.store(y, row.clone() + idx(1), class.clone());
                        k.store(y, row + idx(2), best.into());
                        if let Some(count) = counter {
                            k.accumulate(count, int(1));
                        }
                        // Nobody asks what the last one suppresses.
                        k.if_(j.lt(idx(most - 1)), |k| self.build_suppression(k, &search));
                    });
                });
            });
        });
        Ok(())
    }
}

/// What the kernel knows about the class at hand.
struct Search {
    boxes: Buf,
    scores: Buf,
    free: Buf,
    /// Boxes of a class.
    n: usize,
    /// The batch's first element among the boxes.
    first: Expr,
    /// The class's first element among the scores.
    line: Expr,
    /// The free box with the best score, -1 if there is none.
    best: Var,
    score: Var,
}

impl Search {
    /// Takes a box if it is better than the best one so far.
    fn offer(&self, k: &mut KernelBuilder, number: Expr, score: Expr) {
        let is_first = Expr::from(self.best).lt(int(0));
        let is_better = score.clone().gt(self.score.into());
        let is_only = Expr::Int(i64::from(self.n == 1), Ty::Bool);
        let is_better = Expr::bin(BinOp::LogicOr, is_first, is_better);
        k.if_(is_only.select(Expr::Int(1, Ty::Bool), is_better), |k| {
            k.assign(self.best, number);
            k.assign(self.score, score);
        });
    }
}

impl NonMaxSuppression {
    /// Loop over the boxes that finds those with a sufficient score, and the best one.
    fn build_candidates(&self, k: &mut KernelBuilder, search: &Search) {
        k.for_("p", search.n, |k, p| {
            let score = k.load(search.scores, search.line.clone() + p.clone());
            let score = k.let_("score", score);
            k.store(search.free, p.clone(), int(0));
            let is_candidate = match self.least {
                Some(least) => score.clone().gt(float(least)),
                // Everything but NaN.
                None => score.clone().ge(float(f32::NEG_INFINITY)),
            };
            k.if_(is_candidate, |k| {
                k.store(search.free, p.clone(), int(1));
                search.offer(k, p, score);
            });
        });
    }

    /// Loop over the free boxes that removes those the best one suppresses, itself among them, and
    /// finds the next best.
    fn build_suppression(&self, k: &mut KernelBuilder, search: &Search) {
        k.store(search.free, search.best.into(), int(0));
        let chosen = self.area_expr(k, search, search.best.into());
        let size = |[[top, bottom], [left, right]]: Area<Expr>| (bottom - top) * (right - left);
        let chosen_size = k.let_("size", size(chosen.clone()));
        k.assign(search.best, int(-1));
        k.for_("p", search.n, |k, p| {
            let is_free = Expr::bin(BinOp::Ne, k.load_wide(search.free, p.clone()), int(0));
            k.if_(is_free, |k| {
                let other = self.area_expr(k, search, p.clone());
                let mut common = |name: &str, i: usize| {
                    let [[a, b], [c, d]] = [&chosen, &other].map(|area: &Area<Expr>| area[i].clone());
                    let low = Expr::call(Intrinsic::MaxF32, vec![a, c]);
                    k.let_(name, Expr::call(Intrinsic::MinF32, vec![b, d]) - low)
                };
                let (height, width) = (common("height", 0), common("width", 1));
                let both = k.let_("both", height.clone() * width.clone());
                let union = k.let_("all", chosen_size + size(other) - both.clone());
                let meets = height.gt(float(0.0)).and(width.gt(float(0.0)));
                let overlaps = meets.and((both / union).gt(float(self.overlap)));
                k.if_else(
                    overlaps,
                    |k| k.store(search.free, p.clone(), int(0)),
                    |k| {
                        let score = k.load(search.scores, search.line.clone() + p.clone());
                        let score = k.let_("score", score);
                        search.offer(k, p.clone(), score);
                    },
                );
            });
        });
    }

    /// `area` in a kernel, of box `number`.
    fn area_expr(&self, k: &mut KernelBuilder, search: &Search, number: Expr) -> Area<Expr> {
        let at = k.let_("at", search.first.clone() + number * idx(4));
        let parts = [0, 1, 2, 3].map(|i| {
            let part = k.load(search.boxes, at.clone() + idx(i));
            k.let_("b", part)
        });
        let [p, q, r, s] = parts;
        if !self.by_centre {
            let mut ordered = |names: [&str; 2], p: Expr, q: Expr| {
                [(names[0], Intrinsic::MinF32), (names[1], Intrinsic::MaxF32)].map(|(name, f)| {
                    k.let_(name, Expr::call(f, vec![p.clone(), q.clone()]))
                })
            };
            return [ordered(["top", "bottom"], p, r), ordered(["left", "right"], q, s)];
        }
        let mut around = |names: [&str; 2], centre: Expr, size: Expr| {
            let half = k.let_("half", size * float(0.5));
            [(names[0], centre.clone() - half.clone()), (names[1], centre + half)]
                .map(|(name, value)| k.let_(name, value))
        };
        [around(["top", "bottom"], q, s), around(["left", "right"], p, r)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Random, Spec, check, check_indices, check_inputs};

    fn op(rows: usize, most: usize, by_centre: bool) -> NonMaxSuppression {
        NonMaxSuppression { rows, most, overlap: 0.5, least: Some(0.0), by_centre }
    }

    fn operands(extents: [usize; 3]) -> [Spec; 2] {
        let [batches, classes, n] = extents;
        [Spec::f32(&[batches, n, 4]), Spec::f32(&[batches, classes, n])]
    }

    #[test]
    fn lowering_equals_evaluation() {
        for extents in [[1, 1, 1], [2, 1, 1], [1, 1, 9], [2, 3, 12], [1, 20, 7]] {
            for (rows, most) in [(1, 1), (7, 3), (150, 40)] {
                for by_centre in [false, true] {
                    let op = op(rows, most, by_centre);
                    check(op.clone(), &operands(extents), &[]);
                    let op = NonMaxSuppression { least: None, overlap: 0.0, ..op };
                    check(op, &operands(extents), &[]);
                }
            }
        }
        // Boxes that never change.
        let [boxes, scores] = operands([2, 2, 5]);
        check(op(9, 3, false), &[boxes.constant(3), scores], &[]);
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        for extents in [[1, 1, 1], [2, 1, 1], [1, 1, 9], [2, 3, 12]] {
            for (rows, most) in [(1, 1), (7, 3), (150, 40)] {
                for by_centre in [false, true] {
                    check_indices(op(rows, most, by_centre), &operands(extents), &[]);
                }
            }
        }
    }

    /// The definition in whole numbers: as long as there is a candidate, the best is selected, and it
    /// and all that share too much with it go. `twice` is twice the least overlap that is too much.
    fn naive(boxes: &[[i64; 4]], scores: &[i64], twice: i64, most: usize) -> Vec<usize> {
        let share = |a: [i64; 4], b: [i64; 4]| {
            let along = |i: usize| {
                let (lo, hi) = (a[i].min(a[i + 2]), a[i].max(a[i + 2]));
                let (from, to) = (b[i].min(b[i + 2]), b[i].max(b[i + 2]));
                (hi.min(to) - lo.max(from)).max(0)
            };
            along(0) * along(1)
        };
        let mut left: Vec<usize> = (0..boxes.len()).filter(|&i| scores[i] > 0).collect();
        let mut found = Vec::new();
        while let Some(best) = left.iter().copied().min_by_key(|&i| (-scores[i], i)) {
            if found.len() == most {
                break;
            }
            found.push(best);
            left.retain(|&i| {
                let both = share(boxes[best], boxes[i]);
                let all = share(boxes[best], boxes[best]) + share(boxes[i], boxes[i]) - both;
                i != best && 2 * both <= twice * all
            });
        }
        found
    }

    #[test]
    fn selects_what_the_definition_says() {
        let mut random = Random::new(7);
        let mut number = |below: u64| ((random.next() >> 33) % below) as i64;
        for round in 0..200 {
            let [batches, classes, n] = [1 + round % 2, 1 + round % 3, 1 + round % 17];
            let (twice, most) = ((round % 2) as i64, 1 + round % 5);
            let boxes: Vec<[i64; 4]> =
                (0..batches * n).map(|_| [0; 4].map(|_| number(9))).collect();
            // Few different ones: many are equal, some are not good enough.
            let scores: Vec<i64> = (0..batches * classes * n).map(|_| number(6) - 1).collect();
            let mut want = Vec::new();
            for line in 0..batches * classes {
                let batch = line / classes;
                let found =
                    naive(&boxes[batch * n..][..n], &scores[line * n..][..n], twice, most);
                want.extend(found.into_iter().map(|i| [batch, line % classes, i]));
            }
            let reals = |v: &mut dyn Iterator<Item = i64>| v.map(|v| v as f32).collect::<Vec<_>>();
            let corners = reals(&mut boxes.iter().flatten().copied());
            let centres = reals(&mut boxes.iter().flat_map(|&[y, x, v, u]| {
                [x + u, y + v, 2 * (x - u).abs(), 2 * (y - v).abs()]
            }));
            let scores = reals(&mut scores.into_iter());
            for (boxes, by_centre) in [(&corners, false), (&centres, true)] {
                let overlap = twice as f32 * 0.5;
                let op = NonMaxSuppression { overlap, ..op(1, most, by_centre) };
                let got = op.selected([batches, classes, n], boxes, &scores);
                assert_eq!(got, want, "round {round}: {op:?} {boxes:?} {scores:?}");
            }
        }
    }

    /// The result of an operator on given boxes and scores, evaluated; its kernel does the same.
    fn rows(op: &NonMaxSuppression, boxes: &[f32], scores: &[f32]) -> Vec<i64> {
        let tensor = |shape: &[usize], data: &[f32]| {
            Tensor::new(shape.into(), TensorData::F32(data.to_vec())).expect("fits")
        };
        let n = scores.len();
        let inputs = [tensor(&[1, n, 4], boxes), tensor(&[1, 1, n], scores)];
        check_inputs(&op.clone().into(), &inputs, &[])[0].to_i64().expect("integers")
    }

    #[test]
    fn rows_are_filled_and_cut() {
        let boxes = [0.0, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, 10.0, 1.0, 11.0];
        let scores = [0.75, 0.9, 0.6];
        let selected = |rows| self::rows(&op(rows, 3, false), &boxes, &scores);
        assert_eq!(selected(1), [0, 0, 1]);
        assert_eq!(selected(2), [0, 0, 1, 0, 0, 2]);
        assert_eq!(selected(4), [0, 0, 1, 0, 0, 2, -1, -1, -1, -1, -1, -1]);
    }

    #[test]
    fn odd_numbers() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        let boxes = [[0.0, 0.0, 1.0, 1.0], [nan, 0.0, 1.0, 1.0], [-inf, -inf, inf, inf]].concat();
        let all = NonMaxSuppression { least: None, ..op(3, 3, false) };
        // A NaN is no score, the lowest score is one; areas that are no numbers overlap nothing.
        assert_eq!(rows(&all, &boxes, &[-inf, nan, 2.0]), [0, 0, 2, 0, 0, 0, -1, -1, -1]);
        assert_eq!(rows(&all, &boxes, &[0.0, -0.0, 0.0]), [0, 0, 0, 0, 0, 1, 0, 0, 2]);
        // Equal to the least score is not enough, equal to the overlap is not too much.
        let boxes = [[0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 6.0, 6.0]].concat();
        let found = rows(&op(3, 3, false), &boxes, &[2.0, 1.0, 0.0]);
        assert_eq!(found, [0, 0, 0, 0, 0, 1, -1, -1, -1]);
    }
}
