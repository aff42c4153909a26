//! Small kernels that must be proved, each with neighbours that are off by one and must not be.

use super::Proof;
use crate::kir::{
    BinOp, Buf, Cursor, Expr, Intrinsic, Kernel, KernelBuilder, Stmt, Tile, TileInst, TileReg, Ty,
    float, int,
};
use crate::lower::Core;
use crate::tensor::TensorData;

/// A kernel over `x`, int8 of `len` elements, and `data`, four int32 nobody knows.
fn kernel(len: usize, build: impl FnOnce(&mut KernelBuilder, Buf, Buf)) -> Kernel {
    let mut k = KernelBuilder::new(Core::Generic);
    let x = k.scratch("x", Ty::I8, len);
    let data = k.scratch("data", Ty::I32, 4);
    build(&mut k, x, data);
    k.finish("test", Vec::new())
}

fn proved(len: usize, build: impl FnOnce(&mut KernelBuilder, Buf, Buf)) -> bool {
    let proof = Proof::of(&kernel(len, build));
    assert!(!proof.accesses().is_empty(), "a kernel without accesses proves nothing");
    assert_eq!(proof.complete(), proof.unproved().count() == 0);
    proof.complete()
}

/// Proved with `len` elements, not with one less.
fn exactly(len: usize, build: impl Fn(&mut KernelBuilder, Buf, Buf)) {
    assert!(proved(len, &build), "{len} elements are enough");
    assert!(!proved(len - 1, &build), "{} elements are too few", len - 1);
}

fn zero(k: &mut KernelBuilder, x: Buf, at: Expr) {
    k.store(x, at, int(0));
}

#[test]
fn loops_take_their_values_and_no_others() {
    exactly(8, |k, x, _| k.for_("i", 8, |k, i| zero(k, x, i)));
    // 0, 4, 8
    exactly(10, |k, x, _| k.for_step("i", 11, 4, |k, i| zero(k, x, i + int(1))));
    exactly(8, |k, x, _| k.for_("i", 8, |k, i| zero(k, x, int(7) - i)));
    assert!(!proved(100, |k, x, _| k.for_("i", 8, |k, i| zero(k, x, i - int(1)))));
    let nested = |k: &mut KernelBuilder, x: Buf, _: Buf| {
        k.for_("i", 3, |k, i| k.for_("j", 5, |k, j| zero(k, x, i * int(5) + j)));
    };
    exactly(15, nested);
}

#[test]
fn a_loop_that_never_runs_reaches_nothing() {
    let mut kernel = kernel(2, |k, x, _| k.for_("i", 9, |k, i| zero(k, x, i)));
    assert!(!Proof::of(&kernel).complete());
    if let Some(Stmt::For { extent, .. }) = kernel.body.first_mut() {
        *extent = 0;
    }
    assert!(Proof::of(&kernel).complete());
}

/// The border of a 5 x 7 input with 3 channels under a dilated, strided window; `changed` spoils
/// one of the four conditions.
fn border(len: usize, changed: Option<usize>) -> bool {
    proved(len, |k, x, _| {
        k.for_("n", 2, |k, n| {
            k.for_("oy", 4, |k, oy| {
                let iy = k.let_("iy", oy * int(2) - int(2));
                k.for_("ox", 5, |k, ox| {
                    let ix = k.let_("ix", ox * int(2) - int(3));
                    let first = (n.clone() * int(5) + iy.clone()) * int(7) + ix.clone();
                    let first = k.let_("first", first * int(3));
                    k.for_("ky", 3, |k, ky| {
                        let row = k.let_("row", first.clone() + ky.clone() * int(2 * 7 * 3));
                        let ty = k.let_("ty", iy.clone() + ky * int(2));
                        k.for_("kx", 2, |k, kx| {
                            let at = row.clone() + kx.clone() * int(3 * 3);
                            let tx = k.let_("tx", ix.clone() + kx * int(3));
                            let off = |i: usize| 2 * i64::from(changed == Some(i));
                            let inside = (ty.clone().ge(int(-off(0))))
                                .and(ty.lt(int(5 + off(1))))
                                .and(tx.clone().ge(int(-off(2))))
                                .and(tx.lt(int(7 + off(3))));
                            k.if_(inside, |k| {
                                k.for_("c", 3, |k, c| zero(k, x, at + c));
                            });
                        });
                    });
                });
            });
        });
    })
}

#[test]
fn conditions_on_rows_and_columns_bound_the_flat_index() {
    assert!(border(2 * 5 * 7 * 3, None));
    assert!(!border(2 * 5 * 7 * 3 - 1, None));
    // A wrong row or the last column of the last row leaves the buffer.
    for changed in [0, 1, 2, 3] {
        assert!(!border(2 * 5 * 7 * 3, Some(changed)), "condition {changed}");
    }
}

#[test]
fn both_branches_know_their_condition() {
    let branches = |limit: i64| {
        move |k: &mut KernelBuilder, x: Buf, _: Buf| {
            k.for_("i", 8, |k, i| {
                k.if_else(
                    i.clone().lt(int(limit)),
                    |k| zero(k, x, i.clone()),
                    |k| zero(k, x, i.clone() - int(3)),
                );
            });
        }
    };
    exactly(5, branches(3));
    exactly(5, branches(5));
    assert!(!proved(5, branches(2)), "2 - 3 is negative");
    assert!(!proved(5, branches(6)), "5 is too large");
}

#[test]
fn what_holds_in_a_branch_is_forgotten_behind_it() {
    let half = |k: &mut KernelBuilder, x: Buf, p: &Expr| zero(k, x, p.clone() / int(2));
    let inside = |k: &mut KernelBuilder, x: Buf, _: Buf| {
        k.for_("p", 20, |k, p| k.if_(p.clone().lt(int(5)), |k| half(k, x, &p)));
    };
    exactly(3, inside);
    let after = |k: &mut KernelBuilder, x: Buf, _: Buf| {
        k.for_("p", 20, |k, p| {
            k.if_(p.clone().lt(int(5)), |k| half(k, x, &p));
            half(k, x, &p);
        });
    };
    exactly(10, after);
}

#[test]
fn the_right_side_of_and_is_evaluated_only_after_the_left() {
    let guarded = |first: bool| {
        move |k: &mut KernelBuilder, x: Buf, data: Buf| {
            k.for_("i", 8, |k, i| {
                let left = i.clone().lt(int(4));
                let right = k.load(data, i).gt(int(0));
                let both = if first { left.and(right) } else { right.and(left) };
                k.if_(both, |k| zero(k, x, int(0)));
            });
        }
    };
    assert!(proved(1, guarded(true)));
    assert!(!proved(1, guarded(false)));
    let or = |op: BinOp| {
        proved(1, |k, x, data| {
            k.for_("i", 8, |k, i| {
                let cond = Expr::bin(
                    BinOp::LogicOr,
                    Expr::bin(op, i.clone(), int(3)),
                    k.load(data, i).gt(int(0)),
                );
                k.if_(cond, |k| zero(k, x, int(0)));
            });
        })
    };
    assert!(or(BinOp::Gt));
    assert!(!or(BinOp::Lt));
}

#[test]
fn quotients_and_remainders_stay_related() {
    exactly(5, |k, x, _| {
        k.for_("p", 23, |k, p| {
            let q = k.let_("q", p.clone() / int(5));
            zero(k, x, p - q * int(5));
        });
    });
    exactly(4 * 100 + 7, |k, x, _| {
        k.for_("p", 35, |k, p| zero(k, x, p.clone() / int(7) * int(100) + p % int(7)));
    });
    // Back together it is p again.
    exactly(35, |k, x, _| {
        k.for_("p", 35, |k, p| zero(k, x, p.clone() / int(7) * int(7) + p % int(7)));
    });
    exactly(5, |k, x, _| k.for_("p", 39, |k, p| zero(k, x, p.shifted_right(int(3)))));
    // Division truncates: -3 / 2 is -1, and -3 % 2 too.
    exactly(3, |k, x, _| {
        k.for_("p", 6, |k, p| zero(k, x, (p - int(3)) / int(2) + int(1)));
    });
    exactly(3, |k, x, _| {
        k.for_("p", 6, |k, p| zero(k, x, (p - int(3)) % int(2) + int(1)));
    });
}

#[test]
fn run_time_indices_need_a_guard() {
    let with = |guard: fn(&mut KernelBuilder, Expr) -> Expr| {
        move |k: &mut KernelBuilder, x: Buf, data: Buf| {
            let raw = k.load(data, int(1));
            let raw = k.let_("raw", raw);
            let at = guard(k, raw);
            zero(k, x, at);
        }
    };
    assert!(!proved(100, with(|_, raw| raw)));
    exactly(8, with(|_, raw| raw.clamp(0, 7)));
    exactly(8, with(|_, raw| Expr::call(Intrinsic::MinI32, vec![raw.clamp(0, 100), int(7)])));
    assert!(!proved(8, with(|_, raw| raw.clamp(-1, 7))));
    let wide = |k: &mut KernelBuilder, raw: Expr| {
        let raw = k.let_("wide", raw.cast(Ty::I64));
        let [low, high] = [0, 7].map(|v| Expr::Int(v, Ty::I64));
        let above = raw.clone().gt(high.clone()).select(high, raw.clone());
        raw.lt(low.clone()).select(low, above).cast(Ty::I32)
    };
    exactly(8, with(wide));
    exactly(256, with(|_, raw| raw.cast(Ty::U8).cast(Ty::I32)));
    exactly(8, with(|_, raw| Expr::bin(BinOp::And, raw, int(7))));
    let unsigned = |limit: i64| {
        move |k: &mut KernelBuilder, x: Buf, data: Buf| {
            let raw = k.load(data, int(1));
            let raw = k.let_("raw", raw);
            let inside = raw.clone().cast(Ty::U32).lt(Expr::Int(limit, Ty::U32));
            k.if_(inside, |k| zero(k, x, raw));
        }
    };
    exactly(8, unsigned(8));
    assert!(!proved(100, unsigned((1 << 31) + 1)));
}

#[test]
fn arithmetic_that_may_wrap_proves_nothing() {
    let index = |at: fn(Expr) -> Expr| {
        move |k: &mut KernelBuilder, x: Buf, data: Buf| {
            let raw = k.load(data, int(0));
            let raw = k.let_("raw", raw);
            k.if_(raw.clone().ge(int(0)), |k| {
                let far = k.let_("far", at(raw));
                k.if_(far.clone().lt(int(8)), |k| zero(k, x, far));
            });
        }
    };
    assert!(proved(8, index(|raw| raw)));
    // Not negative only where it does not overflow.
    assert!(!proved(8, index(|raw| raw + int(1))));
    assert!(!proved(8, index(|raw| raw.clone() * raw)));
    assert!(!proved(8, index(|raw| Expr::bin(BinOp::Shl, raw, int(1)))));
}

#[test]
fn constants_bound_what_is_read_from_them() {
    exactly(8, |k, x, _| {
        let table = k.constant("table", TensorData::I16(vec![3, 0, 7, 5]));
        k.for_("i", 4, |k, i| zero(k, x, k.load_wide(table, i)));
    });
    let negative = |k: &mut KernelBuilder, x: Buf, _: Buf| {
        let table = k.constant("table", TensorData::I8(vec![3, -1]));
        k.for_("i", 2, |k, i| zero(k, x, k.load_wide(table, i)));
    };
    assert!(!proved(100, negative));
    let too_short = |k: &mut KernelBuilder, x: Buf, _: Buf| {
        let table = k.constant("table", TensorData::I8(vec![3, 1]));
        k.for_("i", 3, |k, i| zero(k, x, k.load_wide(table, i)));
    };
    assert!(!proved(100, too_short));
}

#[test]
fn mutable_variables_are_followed() {
    let branch = |k: &mut KernelBuilder, x: Buf, data: Buf| {
        let v = k.var("v", int(2));
        k.if_(k.load(data, int(0)).gt(int(0)), |k| k.assign(v, int(9)));
        zero(k, x, v.into());
    };
    exactly(10, branch);
    let next_round = |k: &mut KernelBuilder, x: Buf, _: Buf| {
        let v = k.var("v", int(0));
        k.for_("i", 3, |k, i| {
            zero(k, x, v.into());
            k.assign(v, i * int(3));
        });
    };
    exactly(7, next_round);
    let counter = |k: &mut KernelBuilder, x: Buf, _: Buf| {
        let v = k.var("v", int(0));
        k.for_("i", 3, |k, _| {
            zero(k, x, v.into());
            k.accumulate(v, int(1));
        });
    };
    assert!(!proved(1_000_000, counter), "counting is not understood, so it is not proved");
    let maximum = |k: &mut KernelBuilder, x: Buf, data: Buf| {
        let v = k.var("v", int(1));
        k.for_("i", 4, |k, i| {
            let value = k.load(data, i).clamp(-5, 6);
            k.assign(v, Expr::call(Intrinsic::MaxI32, vec![value, v.into()]));
        });
        zero(k, x, v.into());
    };
    exactly(7, maximum);
}

#[test]
fn floats_are_bounded_where_they_cannot_be_nan() {
    let position = |limit: fn(Expr) -> Expr| {
        move |k: &mut KernelBuilder, x: Buf, data: Buf| {
            let real = k.load(data, int(0)).cast(Ty::F32) / float(0.0);
            let at = k.let_("at", limit(real));
            let lo = k.let_("lo", at.clone().cast(Ty::I32));
            let next = (at - lo.clone().cast(Ty::F32)).gt(float(0.0));
            zero(k, x, (lo + next.select(int(1), int(0))) * int(3) + int(2));
        }
    };
    let limited = |real| {
        let real = Expr::call(Intrinsic::MaxF32, vec![real, float(0.0)]);
        Expr::call(Intrinsic::MinF32, vec![real, float(6.0)])
    };
    exactly(21, position(limited));
    let nan_stays = |real| {
        let real = Expr::call(Intrinsic::MaxF32, vec![float(0.0), real]);
        Expr::call(Intrinsic::MinF32, vec![float(6.0), real])
    };
    assert!(!proved(21, position(nan_stays)));
    assert!(!proved(21, position(|real| real)));
}

/// Two words per trip from `start`, `trips` times.
fn tile(k: &mut KernelBuilder, buf: Buf, start: Expr, trips: usize) {
    let acc = k.var("acc", int(0));
    let r = TileReg;
    k.tile(Tile {
        trips,
        accumulators: vec![acc],
        cursors: vec![Cursor { name: "c".into(), buf, start, stride: 8 }],
        registers: 2,
        body: vec![
            TileInst::LoadPair { lo: r(0), hi: r(1), cursor: 0, offset: 0, advance: true },
            TileInst::LoadPair { lo: r(0), hi: r(1), cursor: 0, offset: -8, advance: false },
            TileInst::Smlad { acc: 0, a: r(0), b: r(1) },
        ],
    });
}

#[test]
fn tiles_read_whole_aligned_ranges() {
    let at = |factor: i64, offset: i64| {
        move |k: &mut KernelBuilder, x: Buf, _: Buf| {
            k.for_("i", 3, |k, i| tile(k, x, i * int(factor) + int(offset), 5));
        }
    };
    exactly(2 * 12 + 5 * 8, at(12, 0));
    assert!(!proved(1000, at(12, 2)), "unaligned");
    assert!(!proved(1000, at(6, 0)), "unaligned");
    assert!(!proved(1000, at(12, -4)), "before the start");
    let wide = |k: &mut KernelBuilder, x: Buf, data: Buf| {
        tile(k, data, int(0), 2);
        zero(k, x, int(0));
    };
    assert!(proved(1, wide));
}

/// Assembly tests for the end after the first trip, by cursor 0.
#[test]
fn tiles_whose_trips_nothing_counts_are_not_proved() {
    type Spoil = fn(&mut Tile);
    let spoilers: [Spoil; 4] = [
        |tile| tile.trips = 0,
        |tile| tile.cursors[0].stride = 0,
        |tile| {
            tile.body.remove(0);
        },
        |tile| {
            let first = tile.body[0].clone();
            tile.body.insert(0, first);
        },
    ];
    let kernel = kernel(1000, |k, x, _| tile(k, x, int(8), 5));
    assert!(Proof::of(&kernel).complete());
    for (i, spoil) in spoilers.iter().enumerate() {
        let mut kernel = kernel.clone();
        for stmt in &mut kernel.body {
            if let Stmt::Tile(tile) = stmt {
                spoil(tile);
            }
        }
        assert!(!Proof::of(&kernel).complete(), "{i}");
    }
}

/// A checked load yields 0 outside, which is none of the constants.
#[test]
fn unproved_loads_of_constants_may_be_zero() {
    let at = |last: i64| {
        proved(8, |k, x, data| {
            let table = k.constant("table", TensorData::I32(vec![5, 7]));
            let i = k.load(data, int(0)).clamp(0, last as i32);
            let value = k.load(table, i);
            zero(k, x, value - int(5));
        })
    };
    assert!(at(1), "the table is 5 and 7");
    let kernel = kernel(8, |k, x, data| {
        let table = k.constant("table", TensorData::I32(vec![5, 7]));
        let value = k.load(table, k.load(data, int(0)));
        zero(k, x, value - int(5));
    });
    let proof = Proof::of(&kernel);
    assert_eq!(proof.accesses(), [true, false, false]);
}

#[test]
fn shifts_by_the_bits_of_the_type_and_more_prove_nothing() {
    // Rust takes the count modulo 8: `i8 >> 9` halves.
    let by = |count: i64| {
        proved(1, |k, x, _| {
            let value = Expr::Load(x, int(0).into());
            let value = Expr::Bin(BinOp::And, value.into(), Expr::Int(127, Ty::I8).into());
            zero(k, x, Expr::bin(BinOp::Shr, value, int(count)).cast(Ty::I32));
        })
    };
    assert!(by(7) && !by(6) && !by(9));
}

#[test]
fn accesses_are_numbered_in_the_documented_order() {
    let kernel = kernel(10, |k, x, data| {
        // Index load (0), value load (1), the store itself (2).
        let at = k.load(data, int(0)).clamp(0, 9);
        let value = k.load(data, int(4));
        k.store(x, at, value);
        // Condition (3), then (4), otherwise (5).
        k.if_else(k.load(data, int(1)).gt(int(0)), |k| zero(k, x, int(10)), |k| zero(k, x, int(9)));
        // Inner load (6), outer load (7), store (8).
        let inner = k.load(data, int(2));
        let outer = k.load(data, inner);
        k.store(x, int(0), outer);
        // Start (9), the reads (10).
        let start = k.load(data, int(3)).clamp(0, 0);
        tile(k, x, start, 2);
    });
    let proof = Proof::of(&kernel);
    let unproved: Vec<usize> =
        (0..proof.accesses().len()).filter(|&i| !proof.in_range(i)).collect();
    assert_eq!((proof.accesses().len(), unproved), (11, vec![1, 4, 7, 10]));
    assert!(!proof.in_range(11));
    let lines: Vec<&str> = proof.unproved().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], "test: load data[4] of 4 elements: 4..=4");
    assert_eq!(lines[1], "test: store x[10] of 10 elements: 10..=10");
}
