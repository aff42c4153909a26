//! Data movement by affine index maps: transpose, slice, tile, broadcast, concatenation parts are
//! all loops whose source and destination offsets are sums of index * stride.

use crate::kir::{Buf, Expr, KernelBuilder, int};

/// One loop of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dim {
    /// Iterations.
    pub extent: usize,
    /// Source step in elements; 0 repeats, negative walks backwards.
    pub source: i64,
    /// Destination step in elements.
    pub target: i64,
}

/// `target[target_base + sum i*target] = source[source_base + sum i*source]` for all indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffineCopy {
    /// Loops, outermost first.
    pub dims: Vec<Dim>,
    /// First source element.
    pub source_base: i64,
    /// First destination element.
    pub target_base: i64,
}

impl AffineCopy {
    /// Merges neighbouring loops that step as one and drops those of extent 1.
    #[must_use]
    pub fn simplified(&self) -> Self {
        let mut dims: Vec<Dim> = Vec::new();
        for &dim in self.dims.iter().filter(|d| d.extent != 1) {
            match dims.last_mut() {
                Some(outer)
                    if outer.source == dim.source * dim.extent as i64
                        && outer.target == dim.target * dim.extent as i64 =>
                {
                    *outer = Dim { extent: outer.extent * dim.extent, ..dim };
                }
                _other => dims.push(dim),
            }
        }
        Self { dims, ..*self }
    }

    /// The copy in the other direction.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let swap = |d: &Dim| Dim { extent: d.extent, source: d.target, target: d.source };
        Self {
            dims: self.dims.iter().map(swap).collect(),
            source_base: self.target_base,
            target_base: self.source_base,
        }
    }

    /// Whether there is nothing to copy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dims.iter().any(|d| d.extent == 0)
    }

    /// Builds loops that store `value` at every destination; source offsets are not used.
    pub fn fill(&self, k: &mut KernelBuilder, target: Buf, value: &Expr) {
        if self.is_empty() {
            return;
        }
        let dims = self.dims.iter().map(|d| Dim { source: d.target, ..*d }).collect();
        let map = Self { dims, ..*self }.simplified();
        nest(k, &map.dims, &mut |k, at| {
            let to = offset(map.target_base, &map.dims, at, |d| d.target);
            k.store(target, to, value.clone());
        });
    }

    /// Builds the loops.
    pub fn build(&self, k: &mut KernelBuilder, source: Buf, target: Buf) {
        if self.is_empty() {
            return;
        }
        let map = self.simplified();
        nest(k, &map.dims, &mut |k, at| {
            let from = offset(map.source_base, &map.dims, at, |d| d.source);
            let to = offset(map.target_base, &map.dims, at, |d| d.target);
            let value = k.load(source, from);
            k.store(target, to, value);
        });
    }

    /// Calls `f(source, target)` for every element, for reference evaluation.
    pub fn for_each(&self, f: &mut dyn FnMut(usize, usize)) {
        fn walk(dims: &[Dim], s: i64, t: i64, f: &mut dyn FnMut(usize, usize)) {
            match dims.split_first() {
                None => f(s as usize, t as usize),
                Some((d, rest)) => {
                    for i in 0..d.extent as i64 {
                        walk(rest, s + i * d.source, t + i * d.target, f);
                    }
                }
            }
        }
        if !self.is_empty() {
            walk(&self.dims, self.source_base, self.target_base, f);
        }
    }
}

/// Opens one loop per dim and calls `body` with the loop variables, innermost.
pub fn nest(
    k: &mut KernelBuilder,
    dims: &[Dim],
    body: &mut dyn FnMut(&mut KernelBuilder, &[Expr]),
) {
    fn go(
        k: &mut KernelBuilder,
        dims: &[Dim],
        at: &mut Vec<Expr>,
        body: &mut dyn FnMut(&mut KernelBuilder, &[Expr]),
    ) {
        match dims.split_first() {
            None => body(k, at),
            Some((dim, rest)) => {
                let name = ["i", "j", "k", "l", "m", "n"].get(at.len()).copied().unwrap_or("z");
                k.for_(name, dim.extent, |k, i| {
                    at.push(i);
                    go(k, rest, at, body);
                    at.pop();
                });
            }
        }
    }
    go(k, dims, &mut Vec::new(), body);
}

/// base + sum of index * stride.
#[must_use]
pub fn offset(base: i64, dims: &[Dim], at: &[Expr], stride: impl Fn(&Dim) -> i64) -> Expr {
    let mut sum = None;
    for (dim, i) in dims.iter().zip(at) {
        let term = i.clone() * int(stride(dim));
        sum = Some(match sum {
            None => term,
            Some(s) => s + term,
        });
    }
    match sum {
        None => int(base),
        Some(s) => s + int(base),
    }
}

/// Loop bounds only, for kernels that compute rather than copy.
#[must_use]
pub fn extents(shape: &[usize]) -> Vec<Dim> {
    let mut stride = 1i64;
    let mut dims: Vec<Dim> = shape
        .iter()
        .rev()
        .map(|&extent| {
            let dim = Dim { extent, source: stride, target: stride };
            stride *= extent as i64;
            dim
        })
        .collect();
    dims.reverse();
    dims
}
