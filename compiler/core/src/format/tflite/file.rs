//! The file as a flatbuffer: recognised, verified, its operators named. What is in it is read elsewhere.

use super::generated as fb;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};

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
