//! What a file says about itself, without building a graph: the operators and their result tensors
//! as declared, so that `inspect` can describe models that cannot be compiled.

use super::generated as fb;
use super::read::is_known;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::{FileOperator, FileTensor, Summary};

/// Summarises a model. Tensor numbers that do not exist are left out; [`super::read`] reports them.
///
/// # Errors
/// Not a TFLite file, or a damaged one.
pub fn summary(bytes: &[u8], file: &str) -> Result<Summary, Diagnostics> {
    let origin = Origin { file: file.to_string(), ..Origin::default() };
    let model = open(bytes, &origin)?;
    let Some(subgraph) = model.subgraphs().and_then(|s| s.iter().next()) else {
        let message = "the model has no subgraph";
        return Err(Diagnostic::new(Code::MalformedModel, origin, message).into());
    };
    let tensors: Vec<FileTensor> =
        subgraph.tensors().into_iter().flatten().enumerate().map(|(i, t)| tensor(i, &t)).collect();
    let count = tensors.len();
    let list = |numbers: Vec<i32>| -> Vec<usize> {
        let known = |n: i32| usize::try_from(n).ok().filter(|&i| i < count);
        numbers.into_iter().filter_map(known).collect()
    };
    let operators = subgraph
        .operators()
        .into_iter()
        .flatten()
        .map(|op| {
            let name = operator_name(&model, &op).unwrap_or_else(|message| format!("<{message}>"));
            FileOperator {
                is_known: is_known(&name),
                name,
                operands: list(op.inputs().into_iter().flatten().collect()),
                results: list(op.outputs().into_iter().flatten().collect()),
            }
        })
        .collect();
    Ok(Summary {
        format: "TFLite".into(),
        description: model.description().unwrap_or_default().to_string(),
        subgraphs: model.subgraphs().map_or(0, |s| s.len()),
        tensors,
        inputs: list(subgraph.inputs().into_iter().flatten().collect()),
        outputs: list(subgraph.outputs().into_iter().flatten().collect()),
        operators,
    })
}

fn tensor(index: usize, tensor: &fb::Tensor<'_>) -> FileTensor {
    let code = tensor.type_();
    let quant = tensor.quantization();
    FileTensor {
        name: match tensor.name() {
            Some(name) if !name.is_empty() => name.to_string(),
            _unnamed => format!("tensor_{index}"),
        },
        dtype: code.variant_name().map_or_else(|| code.0.to_string(), str::to_lowercase),
        shape: tensor.shape().into_iter().flatten().map(i64::from).collect(),
        scales: quant.and_then(|q| q.scale()).into_iter().flatten().collect(),
        zero_points: quant.and_then(|q| q.zero_point()).into_iter().flatten().collect(),
    }
}

/// Whether the bytes carry the TFLite identifier.
#[must_use]
pub fn recognise(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// The verified flatbuffer.
///
/// # Errors
/// Not a TFLite file, or a damaged one.
pub(super) fn open<'a>(bytes: &'a [u8], file: &Origin) -> Result<fb::Model<'a>, Diagnostics> {
    if !recognise(bytes) {
        let message = match bytes.len() {
            0 => "the file is empty".to_string(),
            n @ 1..8 => format!("not a TensorFlow Lite model: it has only {n} bytes"),
            _enough => {
                "not a TensorFlow Lite model: the identifier \"TFL3\" is missing at byte 4".into()
            }
        };
        return Err(Diagnostic::new(Code::NotAModel, file.clone(), message)
            .help("give a .tflite file made by the TensorFlow Lite converter")
            .into());
    }
    let limits = flatbuffers::VerifierOptions {
        max_depth: 16,
        max_tables: 64 + bytes.len() / 4,
        // Vectors may share bytes, so this bounds the work by the file size.
        max_apparent_size: 4096 + 8 * bytes.len(),
        ignore_missing_null_terminator: true,
    };
    flatbuffers::root_with_opts::<fb::Model<'_>>(&limits, bytes).map_err(|e| {
        let reason = damage(&e, bytes.len());
        Diagnostic::new(Code::MalformedModel, file.clone(), format!("damaged file: {reason}"))
            .help("the file may be truncated; export or download it again")
            .into()
    })
}

/// What the verifier found, in the words of someone who has only the file.
fn damage(error: &flatbuffers::InvalidFlatbuffer, size: usize) -> String {
    if let flatbuffers::InvalidFlatbuffer::RangeOutOfBounds { range, .. } = error {
        let (from, to) = (range.start, range.end);
        return format!("it refers to bytes {from} to {to}, but has only {size}");
    }
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_string()
}

/// TFLite name of an operator, or why there is none.
///
/// # Errors
/// A code that the file or the schema does not define.
pub(super) fn operator_name(
    model: &fb::Model<'_>,
    op: &fb::Operator<'_>,
) -> Result<String, String> {
    let index = op.opcode_index();
    let code = model
        .operator_codes()
        .and_then(|codes| codes.iter().nth(index as usize))
        .ok_or_else(|| format!("operator code {index} does not exist"))?;
    let number = code.builtin_code().0.max(i32::from(code.deprecated_builtin_code()));
    if number == fb::BuiltinOperator::CUSTOM.0 {
        let custom = code.custom_code().unwrap_or("?");
        return Ok(format!("CUSTOM \"{}\"", custom.escape_default()));
    }
    let name = fb::BuiltinOperator(number).variant_name();
    name.map(str::to_string).ok_or_else(|| format!("builtin operator {number} is not defined"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_a_model_that_cannot_be_read() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/bad/two_unsupported_ops.tflite");
        let bytes = std::fs::read(path).expect("fixture");
        let s = summary(&bytes, "m").expect("well formed");
        assert!(!s.operators.is_empty() && !s.inputs.is_empty() && !s.outputs.is_empty());
        assert!(s.operators.iter().all(|o| !o.results.is_empty()));
        assert_eq!(summary(b"text", "m").expect_err("no model").0[0].code, Code::NotAModel);
    }
}
