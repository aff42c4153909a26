//! Compiles the C header with the compilers of this machine and runs common.csv on it.
//!
//! `cc` is required. clang is used if present; the sanitizer run is left out, with a message,
//! where the compiler cannot link one.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tinycc_rt::snippet;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const STRICT: [&str; 8] = [
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wpedantic",
    "-Werror",
    "-ffp-contract=off",
];
const SANITIZE: [&str; 2] = ["-fsanitize=undefined", "-fno-sanitize-recover=all"];

/// `cc`, and clang if it can be started.
fn compilers() -> Vec<&'static str> {
    let starts = |name| Command::new(name).arg("--version").output().is_ok();
    assert!(starts("cc"), "the tests of the C header need a C compiler named cc");
    let mut found = vec!["cc"];
    if starts("clang") {
        found.push("clang");
    } else {
        eprintln!("clang is not installed: the C header is tested with cc only");
    }
    found
}

/// A file name in the directory for temporary files of tests.
fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Runs a compiler.
fn compile(compiler: &str, flags: &[&str], source: &Path, output: &Path) -> Output {
    Command::new(compiler)
        .args(flags)
        .arg(format!("-I{ROOT}/include"))
        .arg(source)
        .arg("-o")
        .arg(output)
        .output()
        .unwrap()
}

/// Fails with everything the program printed.
fn assert_success(what: &str, output: &Output) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    assert!(output.status.success(), "{what}:\n{}", String::from_utf8_lossy(&text));
}

/// Builds tests/vectors.c with `flags` and runs it on common.csv; `name` makes files unique.
fn run_vectors(compiler: &str, name: &str, flags: &[&str]) {
    let program = scratch(&format!("vectors_{compiler}_{name}"));
    let source = Path::new(ROOT).join("tests/vectors.c");
    let flags = [STRICT.as_slice(), flags].concat();
    assert_success(compiler, &compile(compiler, &flags, &source, &program));
    let output = Command::new(&program).arg(format!("{ROOT}/vectors/common.csv")).output().unwrap();
    assert_success(&format!("{compiler} {flags:?}"), &output);
    let rows = include_str!("../vectors/common.csv").lines().filter(|l| !l.starts_with('#'));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{} rows\n", rows.count()));
}

#[test]
fn c_gives_the_expected_values() {
    for compiler in compilers() {
        for level in ["-O0", "-O2", "-Os"] {
            run_vectors(compiler, level, &[level]);
        }
    }
}

#[test]
fn c_has_no_undefined_behaviour_on_the_vectors() {
    let probe = scratch("probe.c");
    std::fs::write(&probe, "int main(void) { return 0; }\n").unwrap();
    for compiler in compilers() {
        let built = compile(compiler, &SANITIZE, &probe, &scratch(&format!("probe_{compiler}")));
        if built.status.success() {
            run_vectors(compiler, "ubsan", &[["-O1"].as_slice(), &SANITIZE].concat());
        } else {
            eprintln!("{compiler} has no undefined behaviour sanitizer here");
        }
    }
}

#[test]
fn spellings_without_compiler_extensions_give_the_same() {
    run_vectors("cc", "portable", &["-O1", "-DPORTABLE"]);
}

/// Every snippet compiles with nothing but what it says it needs.
#[test]
fn snippets_are_complete() {
    for s in snippet::all() {
        let mut text = String::from("#include <stdint.h>\n");
        for part in snippet::select(&[s.name]) {
            for include in part.includes() {
                writeln!(text, "#include <{include}>").unwrap();
            }
            text += part.text;
        }
        if s.name != "assumptions" {
            // A use, so that the compiler accepts a static function in a source file.
            writeln!(text, "void *used(void);\nvoid *used(void)\n{{").unwrap();
            writeln!(text, "    return (void *)(uintptr_t)&tcc_{};\n}}", s.name).unwrap();
        }
        let source = scratch(&format!("snippet_{}.c", s.name));
        std::fs::write(&source, text).unwrap();
        for compiler in compilers() {
            let flags = [STRICT.as_slice(), &["-c"]].concat();
            let output = compile(compiler, &flags, &source, &scratch("snippet.o"));
            assert_success(&format!("{compiler}, snippet {}", s.name), &output);
        }
    }
}
