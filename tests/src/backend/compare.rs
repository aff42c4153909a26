//! Outputs of a compiled model against those of the suite.

use super::Verdict;
use super::element::{Element, Number, Raw};
use tinycc_core::kir::Port;

/// As onnx's own runner (`onnx.backend.test.runner`): |got - want| <= atol + rtol * |want|.
const RTOL: f64 = 1e-3;
/// As onnx's own runner.
const ATOL: f64 = 1e-7;

/// Relative tolerance of an element type. Where two steps of the type are more than the runner's,
/// two steps: the suite's outputs were computed in the type itself and rounded after each operation.
#[must_use]
pub fn rtol(element: Element) -> f64 {
    RTOL.max(2.0 * element.epsilon())
}

/// Whether an element is right: integers and floats of 8 bits or fewer exactly, other floats within
/// the tolerance, NaN for NaN.
fn agrees(element: Element, got: Number, want: Number) -> bool {
    match (got, want) {
        (Number::Int(g), Number::Int(w)) => g == w,
        (Number::Float(g), Number::Float(w)) => {
            let exact = element.size() == 1;
            g == w
                || g.is_nan() && w.is_nan()
                || !exact && g.is_finite() && (g - w).abs() <= ATOL + rtol(element) * w.abs()
        }
        (Number::Int(_), Number::Float(_)) | (Number::Float(_), Number::Int(_)) => false,
    }
}

/// The first wrong output of a model, if any. `got` holds all outputs in the order of the ports.
///
/// # Errors
/// What is wrong.
pub fn outputs(ports: &[Port], want: &[Raw], got: &[u8]) -> Result<(), Verdict> {
    if ports.len() != want.len() {
        let what = format!("{} outputs instead of {}", ports.len(), want.len());
        return Err(Verdict::fail(what, ""));
    }
    let mut at = 0;
    for (i, (port, want)) in ports.iter().zip(want).enumerate() {
        let have = format!("{}[{}]", port.ty.dtype.name(), port.ty.shape);
        if have != want.ty() {
            let what = format!("output {i} is {have} instead of {}", want.ty());
            return Err(Verdict::fail(what, ""));
        }
        let size = port.ty.bytes();
        let Some(bytes) = got.get(at..at + size).filter(|b| b.len() == want.bytes.len()) else {
            return Err(Verdict::fail(format!("output {i} has a wrong number of bytes"), ""));
        };
        at += size;
        if let Some(detail) = numbers(want, bytes) {
            return Err(Verdict::fail(format!("output {i} has wrong numbers"), detail));
        }
    }
    Ok(())
}

/// How the elements differ, if they do.
fn numbers(want: &Raw, got: &[u8]) -> Option<String> {
    let element = want.element;
    let got = got.chunks_exact(element.size()).map(|b| element.decode(b));
    let pairs: Vec<(Number, Number)> = got.zip(want.numbers()).collect();
    let bad: Vec<usize> =
        (0..pairs.len()).filter(|&i| !agrees(element, pairs[i].0, pairs[i].1)).collect();
    let &first = bad.first()?;
    let real = Number::real;
    let apart = pairs.iter().map(|(g, w)| (real(*g) - real(*w)).abs());
    let largest = apart.fold(0.0f64, |a, b| if b.is_nan() { a } else { a.max(b) });
    let list = |which: &dyn Fn(&(Number, Number)) -> Number| {
        let some: Vec<String> = pairs.iter().take(12).map(|p| real(which(p)).to_string()).collect();
        some.join(", ")
    };
    Some(format!(
        "{} of {} elements of {} differ, by at most {largest:e}; the first is number {first}: got \
         {}, want {}\n  got  [{}]\n  want [{}]",
        bad.len(),
        pairs.len(),
        want.ty(),
        real(pairs[first].0),
        real(pairs[first].1),
        list(&|p| p.0),
        list(&|p| p.1),
    ))
}
