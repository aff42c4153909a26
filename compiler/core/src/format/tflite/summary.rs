//! What a file says about itself, without building a graph: the operators and their result tensors
//! as declared, so that `inspect` can describe models that cannot be compiled.

use super::file::{open, operator_name};
use super::generated as fb;
use super::ops::is_known;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::{FileOperator, FileTensor, Summary};

/// Summarises a model. Tensor numbers that do not exist are left out; [`crate::format::read`] reports them.
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
        shape: Some(tensor.shape().into_iter().flatten().map(i64::from).collect()),
        scales: quant.and_then(|q| q.scale()).into_iter().flatten().collect(),
        zero_points: quant.and_then(|q| q.zero_point()).into_iter().flatten().collect(),
    }
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
