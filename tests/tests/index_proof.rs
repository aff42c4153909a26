//! Every buffer index of every kernel is proved to lie in its buffer: all operator fixtures, and all
//! models of the zoo that compile, for both cores. And no proof is wrong: spoiled kernels that still
//! count as proved run in the interpreter, which checks every index.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::panic::AssertUnwindSafe;
use tinycc_core::format;
use tinycc_core::kir::bounds::Proof;
use tinycc_core::kir::{Access, BinOp, Expr, Kernel, Module, Stmt, interp};
use tinycc_core::lower::{self, Core};
use tinycc_core::pass;
use tinycc_tests::build;
use tinycc_tests::cases::{Case, operator_cases};
use tinycc_tests::zoo;

/// Modules for both cores.
fn modules(bytes: &[u8], file: &str) -> Result<Vec<Module>, String> {
    let options = format::ReadOptions { file: file.to_string(), ..Default::default() };
    let mut graph = format::read(bytes, &options).map_err(|e| e.to_string())?;
    pass::run_all(&mut graph, pass::LEGALISE).map_err(|e| e.to_string())?;
    let lowered = |core| {
        let legal = lower::legalise(graph.clone(), core).map_err(|e| e.to_string())?;
        lower::lower(&legal).map_err(|e| e.to_string())
    };
    [Core::Generic, Core::CortexM4].into_iter().map(lowered).collect()
}

/// Proofs are about buffers; this is about where those are.
fn buffers_lie_in_the_arena(label: &str, module: &Module) {
    for call in &module.calls {
        let kernel = &module.kernels[call.kernel];
        assert_eq!(kernel.params().count(), call.offsets.len(), "{label}: {}", kernel.name);
        for ((_, buffer), offset) in kernel.params().zip(&call.offsets) {
            let end = offset + buffer.len * buffer.ty.size();
            let place = format!("{label}: {} {} at {offset}", kernel.name, buffer.name);
            assert!(end <= module.arena_bytes, "{place} ends at {end}");
            assert!(offset.is_multiple_of(buffer.ty.size().max(4)), "{place} is not aligned");
        }
        for buffer in &kernel.buffers {
            if let Access::Const(data) = &buffer.access {
                assert_eq!(buffer.len, data.len(), "{label}: {} {}", kernel.name, buffer.name);
            }
        }
    }
}

#[derive(Default)]
struct Totals {
    models: usize,
    kernels: usize,
    accesses: usize,
    unproved: Vec<String>,
}

impl Totals {
    fn add(&mut self, label: &str, modules: &[Module]) {
        self.models += 1;
        modules.iter().for_each(|m| buffers_lie_in_the_arena(label, m));
        let kernels: Vec<&Kernel> = modules.iter().flat_map(|m| &m.kernels).collect();
        for kernel in kernels {
            let proof = Proof::of(kernel);
            self.kernels += 1;
            self.accesses += proof.accesses().len();
            self.unproved.extend(proof.unproved().map(|line| format!("{label}: {line}")));
        }
    }

    fn check(&self, of: &str) {
        println!(
            "{of}: {} models, {} kernels, {} accesses, {} unproved",
            self.models,
            self.kernels,
            self.accesses,
            self.unproved.len()
        );
        assert!(self.unproved.is_empty(), "not proved:\n{}", self.unproved.join("\n"));
    }
}

#[test]
fn every_index_of_the_operator_fixtures_is_proved() {
    let mut totals = Totals::default();
    for case in operator_cases() {
        let label = format!("{}/{}", case.op, case.name);
        let modules = modules(&case.model_bytes(), &case.model);
        totals.add(&label, &modules.unwrap_or_else(|e| panic!("{label}: {e}")));
    }
    assert!(totals.models > 0 && totals.accesses > totals.models, "no fixtures found");
    totals.check("fixtures");
}

#[test]
fn every_index_of_the_zoo_is_proved() {
    let Some(folder) = zoo::require() else { return };
    let mut totals = Totals::default();
    for record in zoo::tflite_records(&folder) {
        // What tinycc refuses is the matter of the test of the zoo.
        if let Ok(modules) = modules(&build::file(&folder.join(&record.path)), &record.path) {
            totals.add(&record.path, &modules);
        }
    }
    assert!(totals.models >= 20, "only {} models compile", totals.models);
    totals.check("zoo");
}

/// Spoils one place of a kernel: buffer length, loop extent, literal, comparison, condition.
struct Spoiler {
    /// The place, counted down to 0.
    left: usize,
    done: bool,
}

impl Spoiler {
    /// The kernel with place number `place` spoiled; `None` when there is no such place.
    fn spoil(kernel: &Kernel, place: usize) -> Option<Kernel> {
        let mut kernel = kernel.clone();
        let mut spoiler = Spoiler { left: place, done: false };
        for buffer in &mut kernel.buffers {
            if spoiler.here() {
                buffer.len = buffer.len.saturating_sub(1);
            }
        }
        spoiler.block(&mut kernel.body);
        spoiler.done.then_some(kernel)
    }

    fn here(&mut self) -> bool {
        let here = !self.done && self.left == 0;
        self.done |= here;
        self.left = self.left.saturating_sub(1);
        here
    }

    fn block(&mut self, body: &mut [Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::For { extent, step, body, .. } => {
                    if self.here() {
                        *extent += *step;
                    }
                    self.block(body);
                }
                Stmt::Let(_, value) | Stmt::Assign(_, value) => self.expr(value),
                Stmt::Store(_, index, value) => {
                    self.expr(index);
                    self.expr(value);
                }
                Stmt::If { cond, then, otherwise } => {
                    if self.here() {
                        std::mem::swap(then, otherwise);
                    }
                    self.expr(cond);
                    self.block(then);
                    self.block(otherwise);
                }
                Stmt::Tile(tile) => {
                    if self.here() {
                        tile.trips += 1;
                    }
                    tile.cursors.iter_mut().for_each(|c| self.expr(&mut c.start));
                }
                Stmt::Comment(_) => {}
            }
        }
    }

    fn expr(&mut self, e: &mut Expr) {
        match e {
            Expr::Int(value, _) => {
                if self.here() {
                    *value += 1;
                }
                if self.here() {
                    *value -= 1;
                }
            }
            Expr::Float(_) | Expr::Var(_) => {}
            Expr::Load(_, inner) | Expr::Cast(_, inner) => self.expr(inner),
            Expr::Bin(op, a, b) => {
                let other = match *op {
                    BinOp::Lt => Some(BinOp::Le),
                    BinOp::Ge => Some(BinOp::Gt),
                    BinOp::Gt => Some(BinOp::Ge),
                    BinOp::LogicAnd => Some(BinOp::LogicOr),
                    BinOp::Add => Some(BinOp::Sub),
                    BinOp::Div => Some(BinOp::Rem),
                    BinOp::Rem => Some(BinOp::Div),
                    BinOp::Sub
                    | BinOp::Mul
                    | BinOp::Shl
                    | BinOp::Shr
                    | BinOp::And
                    | BinOp::Or
                    | BinOp::Xor
                    | BinOp::Le
                    | BinOp::Eq
                    | BinOp::Ne
                    | BinOp::LogicOr => None,
                };
                if let Some(other) = other.filter(|_| self.here()) {
                    *op = other;
                }
                self.expr(a);
                self.expr(b);
            }
            Expr::Select(c, a, b) => {
                if self.here() {
                    std::mem::swap(a, b);
                }
                [c, a, b].into_iter().for_each(|e| self.expr(e));
            }
            Expr::Call(_, args) => args.iter_mut().for_each(|a| self.expr(a)),
        }
    }
}

#[derive(Default)]
struct Spoiled {
    kernels: usize,
    unproved: usize,
    proved: usize,
    wrong: Vec<String>,
}

/// Runs every kernel of a case; before each, `places` spoiled versions of it that count as proved.
fn spoil(case: &Case, module: &Module, places: usize, totals: &mut Spoiled) {
    let mut arena = vec![0u8; module.arena_bytes];
    let mut input = case.raw("in.bin");
    for port in &module.inputs {
        let rest = input.split_off(port.ty.bytes());
        arena[port.offset..port.offset + input.len()].copy_from_slice(&input);
        input = rest;
    }
    for call in &module.calls {
        let kernel = &module.kernels[call.kernel];
        let all = (0..).take_while(|&p| Spoiler::spoil(kernel, p).is_some()).count();
        // Evenly spread, all of them when there are few.
        for place in (0..all).step_by((all / places).max(1)) {
            let spoiled = Spoiler::spoil(kernel, place).expect("the place exists");
            totals.kernels += 1;
            if !Proof::of(&spoiled).complete() {
                totals.unproved += 1;
                continue;
            }
            totals.proved += 1;
            let mut arena = arena.clone();
            // Overflow of spoiled data is not the matter, be it found by the interpreter or in the
            // run-time's functions, which panic in test builds.
            let run = || interp::run(&spoiled, &mut arena, &call.offsets);
            if let Ok(Err(e)) = std::panic::catch_unwind(AssertUnwindSafe(run))
                && (e.message.contains("outside") || e.message.contains("unaligned"))
            {
                let text = tinycc_core::kir::text::print_kernel(&spoiled);
                totals.wrong.push(format!("{}/{} place {place}: {e}\n{text}", case.op, case.name));
            }
        }
        interp::run(kernel, &mut arena, &call.offsets).expect("the kernel as it is runs");
    }
}

#[test]
fn no_spoiled_kernel_is_proved_wrongly() {
    let full = std::env::var_os("TINYCC_FULL").is_some();
    let (every, places) = if full { (1, 60) } else { (10, 20) };
    let mut totals = Spoiled::default();
    for case in operator_cases().iter().step_by(every) {
        for module in modules(&case.model_bytes(), &case.model).expect("a fixture lowers") {
            spoil(case, &module, places, &mut totals);
        }
    }
    println!(
        "{} spoiled kernels: {} not proved, {} proved and run",
        totals.kernels, totals.unproved, totals.proved
    );
    assert!(totals.wrong.is_empty(), "proved wrongly:\n{}", totals.wrong.join("\n"));
    assert!(totals.unproved * 4 > totals.kernels, "spoiling hardly ever matters");
    assert!(totals.proved > 0, "nothing was held against the interpreter");
}
