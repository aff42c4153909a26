//! The headline models as Rust firmware on emulated microcontrollers: bit-exact, free of panics, and
//! on the Cortex-M4 compared with C. Instructions are not cycles.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::fmt::Write;
use std::process::Command;
use tinycc_core::Graph;
use tinycc_core::format;
use tinycc_core::lower::Core;
use tinycc_tests::build::{self, Built, Firmware};
use tinycc_tests::cross::{self, Board, CORTEX_M0, CORTEX_M4, RISCV};
use tinycc_tests::headline::{BOUNDED, MODELS};
use tinycc_tests::{cases, zoo};

/// Input sets per model; QEMU counts the slowest.
const SETS: usize = 3;
/// Instructions and flash, Rust to C.
const AT_MOST: f64 = 1.10;

fn graph(path: &str, model: &std::path::Path) -> Graph {
    let options = format::ReadOptions { file: path.to_string(), ..Default::default() };
    format::read(&build::file(model), &options).expect("reads")
}

/// Builds and runs Rust firmware; outputs must be `want` and nothing may panic.
fn run_rust(board: &Board, built: &Built, inputs: &[u8], want: &[u8]) -> Firmware {
    let context = format!("{} {}", built.name, board.name);
    let package = board.package(built.folder.path()).expect("package");
    let run = board.run(&package, inputs).unwrap_or_else(|e| panic!("{context}: {e}"));
    assert!(run.output == want, "{context}: outputs differ from TFLM");
    let panics = board.panics(&run.elf).expect("symbols");
    assert!(panics.is_empty(), "{context} can panic: {panics:?}");
    run
}

#[test]
fn rust_equals_tflite_micro_and_costs_as_c() {
    let Some(zoo) = zoo::require() else { return };
    if !CORTEX_M4.available() || !build::tool("arm-none-eabi-gcc") {
        return;
    }
    let (mut table, mut over) = (String::new(), String::new());
    for (path, name) in MODELS {
        let model = zoo.join(path);
        let Some((inputs, want)) = build::tflm(&model, SETS, 7) else { return };
        for core in [Core::Generic, Core::CortexM4] {
            let emit = |target| build::emit_as(target, graph(path, &model), path, name, core);
            let (c, rust) = (emit("c").expect("compiles"), emit("rust").expect("compiles"));
            let in_c = c.firmware(&inputs).expect("runs");
            let run = run_rust(&CORTEX_M4, &rust, &inputs, &want);
            let estimate = rust.emitted.stack_bytes as u64;
            assert!(run.stack <= estimate, "{name}: stack {} > estimate {estimate}", run.stack);
            let flash = CORTEX_M4.flash(rust.folder.path(), name).expect("compiles");
            let instructions = run.instructions() as f64 / in_c.instructions() as f64;
            let bytes = flash as f64 / c.flash() as f64;
            let row = format!(
                "{name:<8} {:<9} instructions {:>9}  of C {instructions:.3}  flash {flash:>6}  \
                 of C {bytes:.3}  stack {:>4} (C {})",
                format!("{core:?}"),
                run.instructions(),
                run.stack,
                in_c.stack,
            );
            if BOUNDED.contains(name) && instructions.max(bytes) > AT_MOST {
                writeln!(over, "{row}").expect("string");
            }
            writeln!(table, "{row}").expect("string");
        }
    }
    println!("{table}");
    assert!(over.is_empty(), "more than {AT_MOST} of C:\n{over}");
    insta::assert_snapshot!("cortex_m4_rust", table);
}

#[test]
fn other_processors() {
    let Some(zoo) = zoo::require() else { return };
    let (path, name) = MODELS[1];
    assert_eq!(name, "kws");
    let model = zoo.join(path);
    let Some((inputs, want)) = build::tflm(&model, SETS, 8) else { return };
    for board in [CORTEX_M0, RISCV] {
        if !board.available() {
            continue;
        }
        let rust = build::emit_as("rust", graph(path, &model), path, name, Core::Generic);
        let run = run_rust(&board, &rust.expect("compiles"), &inputs, &want);
        println!("{} {}: {:?} instructions", name, board.name, run.instructions.ok());
    }
}

/// A small fixture, for what depends on the firmware rather than on the model.
fn small() -> Built {
    let file = "fixtures/sine/sine_int8.tflite";
    let graph = graph(file, &cases::root().join(file));
    build::emit_as("rust", graph, file, "sine", Core::Generic).expect("compiles")
}

#[test]
fn the_search_for_panics_finds_one() {
    if !CORTEX_M4.available() {
        return;
    }
    let built = small();
    let package = CORTEX_M4.package(built.folder.path()).expect("package");
    let main = package.join("src/main.rs");
    let text = String::from_utf8(build::file(&main)).expect("text");
    let line = "    let counts = ";
    let index = "    black_box([1u8; 3][black_box(1usize)]);\n";
    assert_eq!(text.matches(line).count(), 1);
    std::fs::write(&main, text.replace(line, &format!("{index}{line}"))).expect("file");
    let elf = CORTEX_M4.build(&package).expect("builds");
    let panics = CORTEX_M4.panics(&elf).expect("symbols").concat();
    assert!(panics.contains("panic_bounds_check"), "found only {panics:?}");
}

/// The firmware's sources, checked for the host: clippy has no compiler for the microcontrollers.
/// What is the processor's is replaced, as its assembly would not pass.
#[test]
fn clippy_has_nothing_to_say() {
    if !build::tool("cargo-clippy") {
        return;
    }
    let built = small();
    let mut packages = vec![built.folder.path().join("example")];
    let firmware = built.folder.path().join("example-mps2-an386");
    std::fs::remove_dir_all(firmware.join(".cargo")).expect("configuration");
    let stub = cases::root().join("tests/boards/lint");
    cross::copy(&stub, &firmware).expect("copies");
    packages.push(firmware);
    for package in packages {
        let mut command = Command::new("cargo");
        command.args(["clippy", "--quiet", "--offline", "--", "-Dwarnings"]);
        command.current_dir(&package).env("CARGO_TARGET_DIR", package.join("target"));
        build::run(&mut command, &[]).unwrap_or_else(|e| panic!("{e}"));
    }
}
