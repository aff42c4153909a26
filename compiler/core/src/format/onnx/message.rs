//! From ONNX bytes to the message, and which operators it means: domains and opsets. Nothing of a graph is
//! read here.

use super::wire::{self, WireError};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use onnx_protobuf::{GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto};

/// Opsets of the default domain that the readers know.
pub const OPSETS: std::ops::RangeInclusive<i64> = 1..=27;

/// The message, not looked into.
///
/// # Errors
/// No ONNX file, or not all of one.
pub fn open(bytes: &[u8], file: &Origin) -> Result<ModelProto, Diagnostics> {
    let problem = |code, message: String| Diagnostic::new(code, file.clone(), message);
    let incomplete = |why: &dyn std::fmt::Display| {
        problem(Code::NotAModel, format!("not a complete ONNX model: {why}"))
            .help("the file may be truncated; export or download it again")
    };
    wire::check(bytes).map_err(|e| match e {
        WireError::Length(_) | WireError::Tag(_) => incomplete(&e),
        WireError::Nesting | WireError::Size => problem(Code::MalformedModel, e.to_string()),
    })?;
    Ok(ModelProto::parse_from_bytes(bytes).map_err(|e| incomplete(&e))?)
}

/// The version of the default domain in a list of imports.
#[must_use]
pub fn default_opset(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports.iter().find(|o| is_default(&o.domain)).map(|o| o.version)
}

/// Whether a domain is that of the standard's operators.
#[must_use]
pub fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Version of the default domain. A model without nodes of that domain need not name it.
///
/// # Errors
/// None is named, or one that no reader knows.
pub fn opset(
    model: &ModelProto,
    graph: &GraphProto,
    file: &Origin,
) -> Result<i64, Box<Diagnostic>> {
    let error = |code, message: String| Diagnostic::new(code, file.clone(), message);
    let found = default_opset(&model.opset_import)
        .or_else(|| {
            let is_other = |n: &NodeProto| !is_default(&n.domain);
            (!graph.node.is_empty() && graph.node.iter().all(is_other)).then_some(*OPSETS.end())
        })
        .ok_or_else(|| error(Code::MalformedModel, "the model names no opset".into()))?;
    if OPSETS.contains(&found) {
        return Ok(found);
    }
    Err(error(Code::MalformedModel, unknown_opset(found))
        .help("convert the model with onnx.version_converter")
        .into())
}

/// What to say of a version that no reader knows.
#[must_use]
pub fn unknown_opset(found: i64) -> String {
    format!("opset {found} is not supported, only {} to {}", OPSETS.start(), OPSETS.end())
}

/// `Conv`, or `com.microsoft::Gelu` outside of the default domain.
#[must_use]
pub fn operator_name(node: &NodeProto) -> String {
    match node.domain.as_str() {
        domain if is_default(domain) => node.op_type.clone(),
        domain => format!("{domain}::{}", node.op_type),
    }
}
