//! Many emitted Rust modules in one library and a driver program that runs each on the inputs of its
//! fixture, through the whole public interface. What the outputs should be is not known here.

use crate::build;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tinycc_core::DType;
use tinycc_core::kir::{Module, Port};
use tinycc_targets::{EmitOptions, Runtime};

/// One model of a batch; its `NAME.rs` lies in the batch's folder.
#[derive(Clone, Debug)]
pub struct Member {
    /// Name of the module.
    pub name: String,
    /// Model inputs.
    pub inputs: Vec<Port>,
    /// Model outputs.
    pub outputs: Vec<Port>,
    /// Input sets, raw.
    pub stdin: Vec<u8>,
}

impl Member {
    /// A member that runs `module`.
    #[must_use]
    pub fn new(name: &str, module: &Module, stdin: Vec<u8>) -> Self {
        let (inputs, outputs) = (module.inputs.clone(), module.outputs.clone());
        Self { name: name.to_string(), inputs, outputs, stdin }
    }
}

/// How a batch is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// `2021`, `2024`.
    pub edition: &'static str,
    /// Further options of rustc.
    pub flags: &'static [&'static str],
}

/// Every proved index and all arithmetic is checked while the program runs.
pub const CHECKED: &[&str] = &["-Copt-level=1", "-Cdebug-assertions=on", "-Coverflow-checks=on"];

/// As users build it.
pub const RELEASE: &[&str] = &["-Copt-level=3"];

/// Options for a test that emits Rust.
#[must_use]
pub fn options(name: &str, source: &str, runtime: Runtime) -> EmitOptions {
    EmitOptions { name: name.into(), source: source.into(), runtime, ..Default::default() }
}

/// The run-time crate as a library, for modules with [`Runtime::Crate`].
///
/// # Errors
/// What rustc prints.
pub fn runtime(folder: &Path, flags: &[&str]) -> Result<PathBuf, String> {
    let library = folder.join("libtinycc_rt.rlib");
    let mut command = Command::new("rustc");
    command.args(["--crate-type=rlib", "--crate-name=tinycc_rt", "--edition=2024"]).args(flags);
    command.arg(crate::cases::root().join("runtime-min/src/lib.rs")).arg("-o").arg(&library);
    build::run(&mut command, &[])?;
    Ok(library)
}

/// Compiles all members as one `no_std` library without a warning.
///
/// # Errors
/// What rustc prints.
pub fn library(folder: &Path, names: &[&str], mode: Mode) -> Result<PathBuf, String> {
    let mut text = String::from("#![no_std]\n");
    for name in names {
        let _ = writeln!(text, "pub mod {name};");
    }
    let source = folder.join("models.rs");
    std::fs::write(&source, text).map_err(|e| e.to_string())?;
    let library = folder.join("libmodels.rlib");
    let mut command = Command::new("rustc");
    command.args(["--crate-type=rlib", "-Dwarnings", "--edition", mode.edition]).args(mode.flags);
    command.arg("-L").arg(folder).args(["--extern", "tinycc_rt"]).arg(source);
    command.arg("-o").arg(&library);
    build::run(&mut command, &[])?;
    Ok(library)
}

/// Runs clippy, as it is by default, on a package whose modules lie in `folder/src`. All lints are
/// errors.
///
/// # Errors
/// What clippy prints.
pub fn clippy(folder: &Path, names: &[&str]) -> Result<(), String> {
    let runtime = crate::cases::root().join("runtime-min");
    let manifest = format!(
        "[package]\nname = \"models\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\ntinycc-rt = {{ path = {runtime:?} }}\n\n[workspace]\n"
    );
    let mut text = String::from("#![no_std]\n");
    for name in names {
        let _ = writeln!(text, "pub mod {name};");
    }
    std::fs::create_dir_all(folder.join("src")).map_err(|e| e.to_string())?;
    std::fs::write(folder.join("Cargo.toml"), manifest).map_err(|e| e.to_string())?;
    std::fs::write(folder.join("src/lib.rs"), text).map_err(|e| e.to_string())?;
    let mut command = Command::new("cargo");
    command.args(["clippy", "--quiet", "--offline", "--", "-Dwarnings"]).current_dir(folder);
    build::run(command.env("CARGO_TARGET_DIR", folder.join("target")), &[]).map(drop)
}

/// Compiles the members, links them with a driver, and runs each. One result per member, in order:
/// its output bytes, or what went wrong.
///
/// # Errors
/// What rustc prints; then nothing ran.
pub fn run(
    folder: &Path,
    members: &[Member],
    mode: Mode,
) -> Result<Vec<Result<Vec<u8>, String>>, String> {
    runtime(folder, mode.flags)?;
    let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
    library(folder, &names, mode)?;
    let source = folder.join("driver.rs");
    std::fs::write(&source, driver(members)).map_err(|e| e.to_string())?;
    let program = folder.join("driver");
    let mut command = Command::new("rustc");
    command.args(["-Dwarnings", "--edition=2024"]).args(mode.flags).arg("-L").arg(folder);
    command.args(["--extern", "models"]).arg(source).arg("-o").arg(&program);
    build::run(&mut command, &[])?;
    let run = |m: &Member| build::run(Command::new(&program).arg(&m.name), &m.stdin);
    Ok(members.iter().map(run).collect())
}

/// The numbers in the names around a port.
fn suffix(ports: &[Port], i: usize) -> String {
    if ports.len() == 1 { String::new() } else { format!("_{i}") }
}

fn driver(members: &[Member]) -> String {
    let mut out = String::from(MAIN);
    out.push_str("\nfn run(name: &str) {\n    match name {\n");
    for Member { name, .. } in members {
        let _ = writeln!(out, "        \"{name}\" => run_{name}(),");
    }
    out.push_str("        _ => panic!(\"no such model\"),\n    }\n}\n");
    for member in members {
        function(&mut out, member);
    }
    out
}

/// Runs one model twice per set: without copies in an arena full of rubbish, and by `invoke`.
fn function(out: &mut String, member: &Member) {
    let Member { name, inputs, outputs, .. } = member;
    let _ = write!(
        out,
        "\nfn run_{name}() {{\n    use models::{name} as m;\n    let mut arena = Box::new(m::Arena::new());\n    \
         let mut other = Box::new(m::Arena::new());\n    assert_eq!(arena.bytes().len(), m::ARENA_BYTES);\n    \
         arena.bytes_mut().fill(0x55);\n    other.bytes_mut().fill(0xAA);\n"
    );
    for i in (0..inputs.len()).filter(|&i| is_quantized(&inputs[i])) {
        let s = suffix(inputs, i);
        let upper = s.to_uppercase();
        let _ = writeln!(
            out,
            "    check_quantize(m::quantize{s}, m::INPUT{upper}_SCALE, m::INPUT{upper}_ZERO_POINT);"
        );
    }
    for i in (0..outputs.len()).filter(|&i| is_quantized(&outputs[i])) {
        let s = suffix(outputs, i);
        let upper = s.to_uppercase();
        let _ = writeln!(
            out,
            "    check_dequantize(m::dequantize{s}, m::OUTPUT{upper}_SCALE, m::OUTPUT{upper}_ZERO_POINT);"
        );
    }
    // A model without inputs computes from its constants, once.
    let head = if inputs.is_empty() { "for _ in 0..1" } else { "while more()" };
    let _ = writeln!(out, "    {head} {{");
    let mut arguments = String::new();
    for i in 0..inputs.len() {
        let s = suffix(inputs, i);
        let n = s.replace('_', "");
        let count = inputs[i].ty.shape.elements();
        let _ = writeln!(out, "        let mut input{s}: m::Input{n} = [Number::ZERO; {count}];");
        let _ = writeln!(out, "        read(&mut input{s});");
        let _ = write!(arguments, ", &input{s}");
    }
    // After all are read: filling one must not touch another.
    for i in 0..inputs.len() {
        let s = suffix(inputs, i);
        let _ = writeln!(out, "        *m::input{s}(&mut arena) = input{s};");
    }
    let _ = write!(
        out,
        "        m::run(&mut arena);\n        let again = m::invoke(&mut other{arguments});\n"
    );
    for i in 0..outputs.len() {
        let s = suffix(outputs, i);
        let field = if outputs.len() == 1 { String::new() } else { format!(".{i}") };
        let _ = writeln!(out, "        write(m::output{s}(&arena), &again{field});");
    }
    out.push_str("    }\n}\n");
}

/// Whether the port has `quantize` or `dequantize`.
fn is_quantized(port: &Port) -> bool {
    let integer = matches!(port.ty.dtype, DType::I8 | DType::I16);
    integer && port.quant.as_ref().is_some_and(|q| q.scales.len() == 1)
}

/// What all drivers share.
const MAIN: &str = r#"
#![allow(dead_code, reason = "which helpers are used depends on the models")]
use std::io::{BufRead, Read, Write};

trait Number: Copy {
    const ZERO: Self;
    fn read() -> Self;
    fn bytes(self) -> Vec<u8>;
}

trait Small: Number + PartialEq + std::fmt::Debug {
    const RANGE: [Self; 2];
    fn wide(self) -> i32;
    fn narrow(wide: i32) -> Self;
}

macro_rules! number {
    ($($t:ty, $n:literal, $zero:literal;)*) => {$(
        impl Number for $t {
            const ZERO: Self = $zero;
            fn read() -> Self {
                let mut bytes = [0; $n];
                std::io::stdin().lock().read_exact(&mut bytes).expect("whole sets");
                Self::from_le_bytes(bytes)
            }
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        }
    )*};
}
number! { i8, 1, 0; u8, 1, 0; i16, 2, 0; i32, 4, 0; i64, 8, 0; f32, 4, 0.0; }

macro_rules! small {
    ($($t:ty)*) => {$(
        impl Small for $t {
            const RANGE: [Self; 2] = [Self::MIN, Self::MAX];
            fn wide(self) -> i32 {
                self.into()
            }
            fn narrow(wide: i32) -> Self {
                wide.clamp(Self::MIN.into(), Self::MAX.into()) as Self
            }
        }
    )*};
}
small! { i8 i16 }

/// Whether another input set follows.
fn more() -> bool {
    !std::io::stdin().lock().fill_buf().expect("stdin").is_empty()
}

fn read<T: Number>(to: &mut [T]) {
    to.fill_with(T::read);
}

fn write<T: Number>(run: &[T], invoked: &[T]) {
    let bytes = |of: &[T]| of.iter().flat_map(|x| x.bytes()).collect::<Vec<u8>>();
    let run = bytes(run);
    assert_eq!(run, bytes(invoked), "run and invoke differ");
    std::io::stdout().lock().write_all(&run).expect("stdout");
}

fn check_quantize<T: Small>(quantize: fn(f32) -> T, scale: f32, zero: i32) {
    for x in T::RANGE.into_iter().chain([0, 1, -1, 7, 100].map(T::narrow)) {
        let real = (x.wide() - zero) as f32 * scale;
        assert_eq!(quantize(real), x, "quantize({real})");
    }
    for real in [f32::INFINITY, f32::MAX, 1e6 * scale] {
        assert_eq!([quantize(-real), quantize(real)], T::RANGE, "quantize(+-{real})");
    }
    assert_eq!(quantize(f32::NAN), T::narrow(zero));
}

fn check_dequantize<T: Small>(dequantize: fn(T) -> f32, scale: f32, zero: i32) {
    for x in T::RANGE {
        assert_eq!(dequantize(x), (x.wide() - zero) as f32 * scale);
    }
}

fn main() {
    run(&std::env::args().nth(1).expect("a name"));
}
"#;
