//! Models that must be refused: every fixture under `fixtures/bad` with its whole message as a
//! snapshot, and the zoo's models of later scope. A message names the place and the reason.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use tinycc_core::diagnostic::Diagnostics;
use tinycc_core::format::tflite;
use tinycc_core::lower::Core;
use tinycc_tests::build::{self, file};
use tinycc_tests::cases::root;
use tinycc_tests::zoo;

#[derive(Deserialize)]
struct Bad {
    name: String,
    mentions: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    cases: Vec<Bad>,
}

fn bad_models() -> Vec<Bad> {
    let text = file(&root().join("fixtures/bad/index.json"));
    let index: Index = serde_json::from_slice(&text).expect("index.json parses");
    index.cases
}

/// The diagnostics of a model, `None` when it is accepted.
fn refusal(bytes: &[u8], name: &str) -> Option<Diagnostics> {
    build::emit(bytes, name, "model", Core::Generic).err()
}

#[test]
fn bad_models_are_refused_with_these_messages() {
    let (mut all, mut failures) = (String::new(), String::new());
    for bad in bad_models() {
        let name = format!("{}.tflite", bad.name);
        let bytes = file(&root().join("fixtures/bad").join(&name));
        let Some(diagnostics) = refusal(&bytes, &name) else {
            writeln!(failures, "{name}: accepted").expect("string");
            continue;
        };
        let text = diagnostics.to_string();
        writeln!(all, "{text}\n").expect("string");
        for word in bad.mentions.iter().filter(|w| !text.contains(w.as_str())) {
            writeln!(failures, "{name}: \"{word}\" is not mentioned in: {text}").expect("string");
        }
        for d in &diagnostics.0 {
            if d.origin.file != name || d.message.is_empty() {
                writeln!(failures, "{name}: no file or no message: {d}").expect("string");
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("messages", all);
    });
}

/// Zoo models outside today's scope and what their message must say.
const LATER: &[(&str, &[&str])] = &[
    ("uint8", &["uint8", "int8"]),
    ("int16x8", &["int16"]),
    ("fp16", &["float16"]),
    ("dynamic-range", &["dynamic-range", "int8"]),
];

const LATER_OPERATORS: &[&str] =
    &["UNIDIRECTIONAL_SEQUENCE_LSTM", "SVDF", "VAR_HANDLE", "READ_VARIABLE", "CALL_ONCE"];

#[test]
fn zoo_models_of_later_scope_are_refused_by_name() {
    let Some(zoo) = zoo::require() else { return };
    let (mut seen, mut failures) = (0, String::new());
    for record in zoo::tflite_records(&zoo) {
        let mut words: Vec<&str> = Vec::new();
        let quant = record.quant.as_deref().unwrap_or_default();
        let operators: Vec<&str> =
            LATER_OPERATORS.iter().copied().filter(|o| record.ops.contains_key(*o)).collect();
        if record.kind == "expect-reject" {
            words.push("help:");
        } else if record.kind != "network" {
            // Single operators that only move data may work in any type.
            continue;
        } else if let Some((_, wanted)) = LATER.iter().find(|(q, _)| *q == quant)
            && operators.is_empty()
        {
            words.extend(*wanted);
        } else if operators.is_empty() {
            continue;
        }
        words.extend(operators);
        seen += 1;
        match refusal(&file(&zoo.join(&record.path)), &record.path) {
            None => writeln!(failures, "{}: accepted", record.path).expect("string"),
            Some(diagnostics) => {
                let text = diagnostics.to_string();
                if record.kind == "network" {
                    println!("{text}\n");
                }
                // Operators are looked at before types: a custom one hides the rest.
                let custom = text.contains("CUSTOM");
                for word in words.iter().filter(|w| !custom && !text.contains(**w)) {
                    writeln!(failures, "{}: no \"{word}\" in: {text}", record.path)
                        .expect("string");
                }
            }
        }
    }
    assert!(seen >= 8, "only {seen} models of later scope found");
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn the_advice_to_give_an_input_shape_helps() {
    let bytes = file(&root().join("fixtures/bad/dynamic_height_width.tflite"));
    let input_shapes = BTreeMap::from([("in".to_string(), vec![1, 6, 7, 3])]);
    let options = tflite::ReadOptions { file: "open.tflite".into(), input_shapes };
    let graph = tflite::read(&bytes, &options).expect("reads with the input shape given");
    let output = graph.value(graph.outputs()[0]).expect("output");
    assert_eq!(output.ty.shape.0, [1, 6, 7, 3], "the output follows the input");
}
