//! Everything emitted for a few tiny models, as reviewable snapshots, and that emission depends on
//! nothing but the model.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::collections::BTreeMap;
use tinycc_core::format::tflite;
use tinycc_core::graph::text;
use tinycc_core::lower::{self, Core};
use tinycc_core::pass;
use tinycc_targets::EmitOptions;
use tinycc_tests::build::file;
use tinycc_tests::cases::root;

/// Snapshot name, model, processor.
const MODELS: &[(&str, &str, Core)] = &[
    ("add", "ops/ADD/int8_same_shape.tflite", Core::Generic),
    ("conv2d", "ops/CONV_2D/int8_same.tflite", Core::Generic),
    ("conv2d_f32", "ops/CONV_2D/f32_1x1.tflite", Core::Generic),
    ("conv2d_tile", "ops/CONV_2D/int8_1x1_odd_channels.tflite", Core::CortexM4),
    ("depthwise", "ops/DEPTHWISE_CONV_2D/int8_same_s2_even.tflite", Core::Generic),
    ("logistic", "ops/LOGISTIC/int8_odd_shape.tflite", Core::Generic),
    ("names", "ops/GRAPH/int8_names_not_identifiers.tflite", Core::Generic),
    ("softmax", "ops/SOFTMAX/int8_scale_4.tflite", Core::Generic),
    ("sine", "sine/sine_int8.tflite", Core::Generic),
];

/// File contents by extension, plus the graph before and after the passes.
fn artifacts(model: &str, file_name: &str, name: &str, core: Core) -> BTreeMap<String, String> {
    let bytes = file(&root().join("fixtures").join(model));
    let options = tflite::ReadOptions { file: file_name.into(), ..Default::default() };
    let mut graph = tflite::read(&bytes, &options).expect("reads");
    let mut all = BTreeMap::from([("read.ir".to_string(), text::print(&graph))]);
    pass::run_all(&mut graph, pass::LEGALISE).expect("passes");
    all.insert("legal.ir".into(), text::print(&graph));
    let legal = lower::legalise(graph, core).expect("legal");
    let source = file_name.rsplit('/').next().unwrap_or(file_name).to_string();
    let options = EmitOptions {
        name: name.into(),
        core,
        examples: Vec::new(),
        options: BTreeMap::new(),
        source,
        ..Default::default()
    };
    let target = tinycc_targets::target("c").expect("target c");
    for (path, bytes) in target.emit(&legal, &options).expect("emits").artifacts {
        let extension = path.rsplit('.').next().unwrap_or_default().to_string();
        all.insert(extension, String::from_utf8(bytes).expect("text"));
    }
    all
}

#[test]
fn emitted_files_are_as_reviewed() {
    for (name, model, core) in MODELS {
        let file_name = model.rsplit('/').next().unwrap_or(model);
        for (extension, text) in artifacts(model, file_name, name, *core) {
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}.{extension}"), text);
            });
        }
    }
}

#[test]
fn emission_depends_on_the_model_only() {
    for (name, model, core) in MODELS {
        let first = artifacts(model, "model.tflite", name, *core);
        let again = artifacts(model, "model.tflite", name, *core);
        let elsewhere = artifacts(model, "some/other/folder/model.tflite", name, *core);
        assert_eq!(first, again, "{model}: two runs differ");
        assert_eq!(first, elsewhere, "{model}: the output depends on the path");
    }
}
