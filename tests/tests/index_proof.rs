//! Every buffer index of every kernel is proved to lie in its buffer: all operator fixtures, and all
//! models of the zoo that compile, for both cores.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use tinycc_core::format::tflite;
use tinycc_core::kir::bounds::Proof;
use tinycc_core::kir::{Kernel, Module};
use tinycc_core::lower::{self, Core};
use tinycc_core::pass;
use tinycc_tests::build;
use tinycc_tests::cases::operator_cases;
use tinycc_tests::zoo;

/// Modules for both cores.
fn modules(bytes: &[u8], file: &str) -> Result<Vec<Module>, String> {
    let options = tflite::ReadOptions { file: file.to_string(), ..Default::default() };
    let mut graph = tflite::read(bytes, &options).map_err(|e| e.to_string())?;
    pass::run_all(&mut graph, pass::LEGALISE).map_err(|e| e.to_string())?;
    let lowered = |core| {
        let legal = lower::legalise(graph.clone(), core).map_err(|e| e.to_string())?;
        lower::lower(&legal).map_err(|e| e.to_string())
    };
    [Core::Generic, Core::CortexM4].into_iter().map(lowered).collect()
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
