//! Every operator fixture through the reader, the reference evaluator and the interpreted kernels,
//! against what TensorFlow Lite Micro computed. The C compiler is not involved here.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use tinycc_core::evaluate;
use tinycc_core::format;
use tinycc_core::kir::interp;
use tinycc_core::lower::{self, Core};
use tinycc_core::{Graph, Tensor, TensorType, pass};
use tinycc_tests::cases::{Case, operator_cases};
use tinycc_tests::compare::{difference, split};

fn types(graph: &Graph, outputs: bool) -> Vec<TensorType> {
    let ids: Vec<_> = if outputs {
        graph.outputs().to_vec()
    } else {
        graph.inputs().iter().map(|n| n.result(0)).collect()
    };
    ids.into_iter().map(|v| graph.value(v).expect("value").ty.clone()).collect()
}

/// What is wrong with a case, if anything.
fn run(case: &Case) -> Result<(), String> {
    let options = format::ReadOptions { file: case.model.clone(), ..Default::default() };
    let graph = format::read(&case.model_bytes(), &options).map_err(|e| e.to_string())?;
    let (input_types, output_types) = (types(&graph, false), types(&graph, true));
    let mut legal = graph.clone();
    pass::run_all(&mut legal, pass::LEGALISE).map_err(|e| e.to_string())?;
    let mut modules = Vec::new();
    for core in [Core::Generic, Core::CortexM4] {
        let legal = lower::legalise(legal.clone(), core).map_err(|e| e.to_string())?;
        modules.push((core, lower::lower(&legal).map_err(|e| e.to_string())?));
    }
    let size = |types: &[TensorType]| types.iter().map(TensorType::bytes).sum::<usize>();
    let (raw_in, raw_out) = (case.raw("in.bin"), case.raw("out.bin"));
    for set in 0..case.n_sets {
        let n = size(&input_types);
        let inputs = split(&raw_in[set * n..(set + 1) * n], &input_types);
        let n = size(&output_types);
        let want = split(&raw_out[set * n..(set + 1) * n], &output_types);
        let got = evaluate::run(&graph, &inputs).map_err(|e| e.to_string())?;
        compare(case, "evaluator", set, &got, &want)?;
        for (core, module) in &modules {
            let mut arena = vec![0x55u8; module.arena_bytes];
            for (port, tensor) in module.inputs.iter().zip(&inputs) {
                let bytes = tensor.data.to_le_bytes();
                arena[port.offset..][..bytes.len()].copy_from_slice(&bytes);
            }
            interp::run_module(module, &mut arena).map_err(|e| e.to_string())?;
            let got: Vec<Tensor> = module
                .outputs
                .iter()
                .flat_map(|p| {
                    split(&arena[p.offset..][..p.ty.bytes()], std::slice::from_ref(&p.ty))
                })
                .collect();
            compare(case, &format!("kernels {core:?}"), set, &got, &want)?;
        }
    }
    Ok(())
}

fn compare(
    case: &Case,
    what: &str,
    set: usize,
    got: &[Tensor],
    want: &[Tensor],
) -> Result<(), String> {
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        if let Some(d) = difference(g, w, case.rtol, case.atol) {
            return Err(format!("{what}: set {set}, output {i}: {d}"));
        }
    }
    Ok(())
}

#[test]
fn operators_equal_tflite_micro() {
    let cases = operator_cases();
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(message) = run(case) {
            failures.push(format!("{}/{} ({}): {message}", case.op, case.name, case.oracle));
        }
    }
    assert!(!cases.is_empty(), "no fixtures found");
    assert!(
        failures.is_empty(),
        "{} of {} cases fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}
