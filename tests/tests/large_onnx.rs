//! A model with 20 MB of weights compiles in seconds.

use std::time::{Duration, Instant};
use tinycc_driver::{Compiler, Options};
use tinycc_tests::mutate::Random;
use tinycc_tests::onnx_make::{FLOAT, bytes, model, node, port, with_int, with_ints};

/// What the issue asks for in a release build. Builds with checks are several times slower, and so
/// is a busy machine.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 3 });

/// float32 weights with all their digits, as training leaves them.
fn weights(name: &str, dims: &[i64], random: &mut Random) -> onnx_protobuf::TensorProto {
    let n = dims.iter().product::<i64>();
    let mut number = || (random.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0) * 0.1;
    onnx_protobuf::TensorProto {
        name: name.into(),
        data_type: FLOAT,
        dims: dims.to_vec(),
        raw_data: (0..n).flat_map(|_| number().to_le_bytes()).collect(),
        ..Default::default()
    }
}

/// Two convolutions and two matrix products.
fn large() -> Vec<u8> {
    let mut random = Random::new(1);
    let conv = |x: &str, w: &str, y: &str| {
        with_ints(with_ints(node("Conv", &[x, w], &[y]), "pads", &[1, 1, 1, 1]), "strides", &[2, 2])
    };
    let nodes = vec![
        conv("x", "w1", "c1"),
        node("Relu", &["c1"], &["r1"]),
        conv("r1", "w2", "c2"),
        node("Relu", &["c2"], &["r2"]),
        with_int(node("Flatten", &["r2"], &["f"]), "axis", 1),
        with_int(node("Gemm", &["f", "w3"], &["g"]), "transB", 1),
        node("Gemm", &["g", "w4"], &["y"]),
    ];
    let graph = onnx_protobuf::GraphProto {
        name: "large".into(),
        node: nodes,
        input: vec![port("x", FLOAT, &[1, 3, 16, 16])],
        output: vec![port("y", FLOAT, &[1, 1000])],
        initializer: vec![
            weights("w1", &[64, 3, 3, 3], &mut random),
            weights("w2", &[256, 64, 3, 3], &mut random),
            weights("w3", &[1000, 4096], &mut random),
            weights("w4", &[1000, 1000], &mut random),
        ],
        ..Default::default()
    };
    bytes(&model(17, graph))
}

#[test]
fn twenty_megabytes_of_weights_compile_in_seconds() {
    let file = large();
    assert!(file.len() > 20_000_000, "{} bytes", file.len());
    let start = Instant::now();
    let compiler = Compiler::new(&file, Options::default()).file("large.onnx");
    let output = compiler.compile().expect("compiles");
    let time = start.elapsed();
    let text = output.artifacts.get("large.c").map_or(0, Vec::len);
    eprintln!("{} bytes of model, {text} of C in {time:?}", file.len());
    assert!(text > 20_000_000, "all weights are in the text");
    assert!(time < LIMIT, "took {time:?}");
}
