//! What a test of the suite is about, where that is outside the figure the project counts.

use super::suite::{Data, Test};
use onnx_protobuf::type_proto::Value as Kind;

/// Operators by category.
const OPERATORS: &[(&str, &[&str])] = &[
    ("strings", &["RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit"]),
    ("sequences", &["ConcatFromSequence", "SplitToSequence"]),
    (
        "random generators",
        &[
            "Bernoulli",
            "Multinomial",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
        ],
    ),
    ("training", &["Adagrad", "Adam", "Gradient", "Momentum"]),
    ("image decoding", &["ImageDecoder"]),
    (
        "classical machine learning",
        &["ArrayFeatureExtractor", "Binarizer", "LabelEncoder", "TfIdfVectorizer", "TreeEnsemble"],
    ),
];

/// Why a test is not counted; `None` for one that is. By its operators and element types, and by the
/// kinds of the model's inputs and outputs.
#[must_use]
pub fn excluded(test: &Test, data: &Data) -> Option<&'static str> {
    let has = |ops: &[&str]| test.ops.iter().any(|o| ops.contains(&o.as_str()));
    if test.dtypes.iter().any(|t| t == "STRING") {
        return Some("strings");
    }
    if let Some((category, _)) = OPERATORS.iter().find(|(_, ops)| has(ops)) {
        return Some(category);
    }
    // Prefixes of operator families.
    let starts = |prefix: &str| test.ops.iter().any(|o| o.starts_with(prefix));
    if starts("Sequence") {
        return Some("sequences");
    }
    if starts("Optional") {
        return Some("optionals");
    }
    if has(&["Dropout"]) && drops(data) {
        return Some("random generators");
    }
    let graph = data.model.graph.as_ref()?;
    let kinds =
        graph.input.iter().chain(&graph.output).filter_map(|p| p.type_.as_ref()?.value.as_ref());
    let is = |wanted: fn(&Kind) -> bool| kinds.clone().any(wanted);
    if is(|k| matches!(k, Kind::SequenceType(_))) {
        Some("sequences")
    } else if is(|k| matches!(k, Kind::OptionalType(_))) {
        Some("optionals")
    } else if is(|k| matches!(k, Kind::MapType(_))) {
        Some("maps")
    } else {
        None
    }
}

/// Whether a Dropout trains with a ratio above 0: the inputs `t` and `r` of onnx's tests.
fn drops(data: &Data) -> bool {
    let Some(graph) = data.model.graph.as_ref() else { return false };
    let Some(node) = graph.node.iter().find(|n| n.op_type == "Dropout") else { return false };
    let number = |operand: usize, default: &str| {
        let name = node.input.get(operand).filter(|n| !n.is_empty());
        name.map_or_else(
            || Some(default.to_string()),
            |name| data.inputs.iter().find(|(n, _)| n == name)?.1.as_ref().map(|raw| raw.text()),
        )
    };
    let trains = number(2, "0").is_none_or(|t| t != "0");
    trains && number(1, "0.5").is_none_or(|r| r != "0")
}
