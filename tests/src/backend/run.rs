//! One test through the compiler as a user would call it, and many emitted models through the C
//! compiler in one program.

use super::suite::{Data, Suite, Test};
use super::{Outcome, Verdict, compare};
use crate::batch::{self, Checks, Member};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tinycc_core::kir::Module;
use tinycc_driver::{Compiler, Diagnostics, InputShape, InputValue, Options, Output};

/// Time for one model in the compiler.
const LIMIT: Duration = Duration::from_secs(60);
/// Inputs given as constants hold at most so many dimensions: lists and single numbers.
const MAX_BOUND_RANK: usize = 1;

/// A compiled test.
struct Compiled {
    member: Member,
    module: Module,
    bound: Vec<String>,
}

/// Runs tests in one program each for many; the emitted files go to `folder`.
#[must_use]
pub fn run(suite: &Suite, tests: &[&Test], folder: &Path, checks: Checks) -> Vec<Verdict> {
    let data: Vec<Data> = tests.iter().map(|t| suite.data(t)).collect();
    let compiled: Vec<Result<Compiled, Verdict>> =
        tests.iter().zip(&data).map(|(test, data)| guarded(test, data, folder)).collect();
    let members: Vec<Member> = compiled.iter().flatten().map(|c| c.member.clone()).collect();
    let mut results = batch::run_with(folder, &members, checks).into_iter();
    let judge = |(result, data): (Result<Compiled, Verdict>, &Data)| {
        let compiled = match result {
            Ok(compiled) => compiled,
            Err(verdict) => return verdict,
        };
        let ran = results.next().unwrap_or_else(|| Err("it did not run".into()));
        let mut verdict = match ran {
            Ok(got) => judge(&compiled, data, &got),
            Err(message) => broken(&message),
        };
        verdict.bound = compiled.bound;
        verdict
    };
    compiled.into_iter().zip(&data).map(judge).collect()
}

/// Outputs against the suite's.
fn judge(compiled: &Compiled, data: &Data, got: &[u8]) -> Verdict {
    let Some(want) = data.outputs.iter().cloned().collect::<Option<Vec<_>>>() else {
        return Verdict::fail("an output of the suite is no tensor of numbers", "");
    };
    match compare::outputs(&compiled.module.outputs, &want, got) {
        Ok(()) => Verdict::new(Outcome::Pass),
        Err(verdict) => verdict,
    }
}

/// What the C compiler or the program said, in few words and in full.
fn broken(message: &str) -> Verdict {
    let what = if message.contains("SIGALRM") || message.contains("exit status: 124") {
        "HANG"
    } else if message.contains("\"gcc\"") {
        "the C compiler refuses the emitted code"
    } else {
        "CRASH of the emitted code"
    };
    Verdict::fail(what, message)
}

/// Compiles in a thread of its own, so that a panic or an endless loop stays with its test.
fn guarded(test: &Test, data: &Data, folder: &Path) -> Result<Compiled, Verdict> {
    let (send, receive) = channel();
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = test.name.chars().map(letter).collect();
    let (data, folder) = (data.clone(), folder.to_path_buf());
    let work = move || {
        // Nobody listens any more when it took too long.
        let _ = send.send(compile(&data, &name, &folder));
    };
    // The stack a main thread has.
    let thread = std::thread::Builder::new().name(test.id()).stack_size(8 << 20).spawn(work);
    let thread = thread.expect("a thread");
    match receive.recv_timeout(LIMIT) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(Verdict::fail("HANG of the compiler", "")),
        Err(RecvTimeoutError::Disconnected) => {
            let payload = thread.join().err();
            let text = payload.and_then(|p| {
                let text = p.downcast_ref::<String>().cloned();
                text.or_else(|| p.downcast_ref::<&str>().map(|s| (*s).to_string()))
            });
            Err(Verdict::fail("CRASH of the compiler", text.unwrap_or_default()))
        }
    }
}

/// Compiles and writes the C files.
fn compile(data: &Data, name: &str, folder: &Path) -> Result<Compiled, Verdict> {
    let options = Options { name: Some(name.into()), ..Options::default() };
    let (output, bound) = as_advised(data, options)?;
    emitted(data, name, folder, output, bound)
}

/// Compiles. Where the compiler advises to give the value of an input, or the number of rows of a
/// result, that is done, as a user would; the second result says where.
///
/// # Errors
/// The compiler refuses and has no such advice.
pub fn as_advised(data: &Data, mut options: Options) -> Result<(Output, Vec<String>), Verdict> {
    let shapes = data.open_shapes().into_iter();
    options.input_shapes = shapes.map(|(name, shape)| InputShape { name, shape }).collect();
    let mut bound: Vec<String> = Vec::new();
    loop {
        let compiler = Compiler::new(&data.bytes, options.clone()).file("model.onnx");
        let diagnostics = match compiler.compile() {
            Ok(output) => return Ok((output, bound)),
            Err(diagnostics) => diagnostics,
        };
        let more = advised(&diagnostics, data, &bound);
        let is_open = options.nms_rows.is_none() && asks_for(&diagnostics, "--nms-rows ");
        if let Some(rows) = data.rows().filter(|_| is_open) {
            options.nms_rows = Some(rows);
            bound.push(format!("--nms-rows {rows}"));
        } else if more.is_empty() {
            return Err(refused(&diagnostics, bound));
        }
        for (name, value) in more {
            options.input_shapes.retain(|s| s.name != name);
            options.input_values.push(value);
            bound.push(name);
        }
    }
}

/// Inputs whose value the compiler asks for, as far as they are small and not given yet.
fn advised(diagnostics: &Diagnostics, data: &Data, bound: &[String]) -> Vec<(String, InputValue)> {
    let is_named = |name: &str| asks_for(diagnostics, &format!("--input-value {name}="));
    let inputs = data.inputs.iter().filter_map(|(n, raw)| Some((n, raw.as_ref()?)));
    inputs
        .filter(|(n, raw)| raw.dims.len() <= MAX_BOUND_RANK && !bound.contains(n) && is_named(n))
        .filter_map(|(n, raw)| Some((n.clone(), format!("{n}={}", raw.text()).parse().ok()?)))
        .collect()
}

/// Whether the advice names an option.
fn asks_for(diagnostics: &Diagnostics, flag: &str) -> bool {
    diagnostics.0.iter().any(|d| d.help.contains(flag))
}

fn refused(diagnostics: &Diagnostics, bound: Vec<String>) -> Verdict {
    let first = diagnostics.0.first();
    let text = first.map_or_else(String::new, |d| {
        let place = d.origin.operator.clone();
        let place = match (place.is_empty(), d.origin.tensor.is_empty()) {
            (false, _) => format!("{place}: "),
            (true, false) => format!("tensor {}: ", d.origin.tensor),
            (true, true) => String::new(),
        };
        let more = diagnostics.0.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        format!("{} {place}{}{more}", d.code.as_str(), d.message)
    });
    let outcome = match text.is_empty() {
        true => Outcome::Fail("refused without a message".into()),
        false => Outcome::Unsupported(text.replace('\n', " ")),
    };
    Verdict { outcome, bound, detail: diagnostics.to_string() }
}

/// Writes what was emitted, and finds the data of each input.
fn emitted(
    data: &Data,
    name: &str,
    folder: &Path,
    output: Output,
    bound: Vec<String>,
) -> Result<Compiled, Verdict> {
    for (path, bytes) in &output.artifacts {
        std::fs::write(folder.join(path), bytes).expect("the folder can be written");
    }
    let module = output.module.expect("target c prints kernels");
    let mut stdin = Vec::new();
    for port in &module.inputs {
        let Some(raw) = data.input(&port.name) else {
            let what = format!("no data for the input \"{}\"", port.name);
            return Err(Verdict::fail(what, ""));
        };
        let have = format!("{}[{}]", port.ty.dtype.name(), port.ty.shape);
        if have != raw.ty() {
            let what = format!("input \"{}\" is {have} instead of {}", port.name, raw.ty());
            return Err(Verdict::fail(what, ""));
        }
        stdin.extend_from_slice(&raw.bytes);
    }
    let member = Member {
        name: name.to_string(),
        inputs: module.inputs.len(),
        outputs: module.outputs.len(),
        stdin,
        sets: 1,
    };
    Ok(Compiled { member, module, bound })
}
