//! The checks find what is planted.

use super::validate;
use crate::diagnostic::Origin;
use crate::format::openvino::{Precision, Version, WriteOptions, write};
use crate::geometry::Padding;
use crate::graph::{Graph, Value};
use crate::numeric::Activation;
use crate::op::{Constant, Conv2d, Input, Op};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use std::sync::Arc;

/// A convolution with a bias and a ReLU, as a file.
fn files(version: Version, precision: Precision) -> (String, Vec<u8>) {
    let mut graph = Graph::new();
    let value = |name: &str, dims: &[usize]| Value {
        name: name.into(),
        ty: TensorType::new(DType::F32, dims.into()),
        quant: None,
    };
    let constant = |graph: &mut Graph, name: &str, dims: &[usize]| {
        let n = dims.iter().product();
        let data = TensorData::F32((0..n).map(|i: usize| i as f32 * 0.25 - 3.0).collect());
        let tensor = Arc::new(Tensor { shape: Shape(dims.to_vec()), data });
        graph.add(Constant { tensor }.into(), vec![value(name, dims)], Origin::default()).result(0)
    };
    let x = value("x", &[1, 4, 5, 2]);
    let x = graph.add(Input { ty: x.ty.clone() }.into(), vec![x], Origin::default()).result(0);
    let (w, b) = (constant(&mut graph, "w", &[3, 3, 3, 2]), constant(&mut graph, "b", &[3]));
    let conv = Conv2d {
        stride: (2, 1),
        dilation: (1, 1),
        padding: Padding::Same,
        activation: Activation::Relu,
    };
    let y = graph.add_with(
        Op::from(conv),
        &[x, w, b],
        vec![value("y", &[1, 2, 5, 3])],
        Origin::default(),
    );
    graph.set_outputs(vec![y.result(0)]);
    let options =
        WriteOptions { name: "net".into(), version, precision, ..WriteOptions::default() };
    let files = write(&graph, &options).expect("writes");
    (String::from_utf8(files.xml).expect("text"), files.bin)
}

#[test]
fn what_the_writer_writes_passes() {
    for version in [Version::V10, Version::V11] {
        for precision in [Precision::F16, Precision::F32] {
            let (xml, bin) = files(version, precision);
            assert_eq!(validate(xml.as_bytes(), &bin), Vec::<String>::new(), "{xml}");
        }
    }
}

/// Each change of the text makes the checks say something with the given words.
#[test]
fn planted_defects_are_found() {
    let (xml, bin) = files(Version::V10, Precision::F16);
    let cases = [
        ("version=\"10\"", "version=\"9\"", "version 9"),
        ("<net ", &format!("<!--{}--><net ", "x".repeat(600)), "512 bytes"),
        ("type=\"ReLU\" version=\"opset1\"", "type=\"ReLU\" version=\"opset8\"", "beyond opset7"),
        ("type=\"ReLU\"", "type=\"Relu\"", "does not have it"),
        ("strides=\"2,1\"", "strides=\"2,2\"", "follows"),
        ("auto_pad=\"explicit\"", "auto_pads=\"explicit\"", "attributes"),
        ("<dim>5</dim>", "<dim>6</dim>", "not"),
        ("precision=\"FP32\"", "precision=\"FP16\"", "not"),
        ("precision=\"FP32\"", "", "without precision"),
        ("size=\"108\"", "size=\"106\"", "106 bytes instead of 108"),
        ("offset=\"0\"", "offset=\"999\"", "lies outside"),
        ("to-port=\"1\"", "to-port=\"0\"", "two edges end"),
        ("name=\"y/Convolution\"", "name=\"x\"", "occurs twice"),
        ("</layers>", "<layer/></layers>", "without id"),
        ("</net>", "", "ends inside"),
    ];
    for (old, new, words) in cases {
        assert!(xml.contains(old), "{old} is not in\n{xml}");
        let problems = validate(xml.replacen(old, new, 1).as_bytes(), &bin);
        assert!(problems.iter().any(|p| p.contains(words)), "{old} -> {new}: {problems:?}");
    }
    assert!(!validate(xml.as_bytes(), &bin[..100]).is_empty(), "a short weights file");
}

#[test]
fn tensor_names_collide_with_layers_of_other_names() {
    let (xml, bin) = files(Version::V11, Precision::F32);
    assert!(xml.contains("names=\"y\""), "{xml}");
    let problems = validate(xml.replacen("names=\"y\"", "names=\"x\"", 1).as_bytes(), &bin);
    assert!(problems.iter().any(|p| p.contains("collides")), "{problems:?}");
}
