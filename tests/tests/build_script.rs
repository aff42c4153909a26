//! Models in cargo packages: the examples, and small packages written here, are built by cargo
//! outside the repository as users build them, without network and with warnings as errors. What the
//! emitted code computes is checked in other files.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;
use tinycc_core::format;
use tinycc_core::lower::{self, Core};
use tinycc_core::pass;
use tinycc_targets::{EmitOptions, Runtime};
use tinycc_tests::build;
use tinycc_tests::cases::root;
use tinycc_tests::cross::CORTEX_M4;
use tinycc_tests::packages::{Packages, touch};
use tinycc_tests::zoo;

/// Lines of user code an example may have.
const EXAMPLE_LINES: usize = 40;
const SINE: &str = "fixtures/sine/sine_int8.tflite";

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages")
}

fn packages() -> Packages {
    Packages::new(target())
}

/// `build.rs` with these calls on a `Config`.
fn script(calls: &str) -> String {
    format!(
        "fn main() -> Result<(), tinycc_build::Error> {{\n    \
         tinycc_build::Config::new(\"net.tflite\"){calls}?;\n    Ok(())\n}}\n"
    )
}

const BUILD_RS: &str = "[dependencies]
tinycc = { path = \"ROOT/compiler/tinycc\", default-features = false }

[build-dependencies]
tinycc-build = { path = \"ROOT/compiler/build\" }
";

const ATTRIBUTE: &str = "[dependencies]
tinycc = { path = \"ROOT/compiler/tinycc\", default-features = false, features = [\"macros\"] }
";

/// Prints the outputs for the 256 inputs of the fixture; `RUN` maps `x: i8` to `i8`.
const SINE_MAIN: &str = "
fn main() {
    let inputs = include_bytes!(\"../in.bin\");
    let outputs: Vec<i8> = inputs.iter().map(|&x| x.cast_signed()).map(run).collect();
    println!(\"{outputs:?}\");
}
";

/// What [`SINE_MAIN`] must print.
fn sine_output() -> String {
    let bytes = build::file(&root().join("fixtures/sine/sine_int8.out.bin"));
    assert_eq!(bytes.len(), 256);
    format!("{:?}\n", bytes.iter().map(|&y| y.cast_signed()).collect::<Vec<i8>>())
}

#[test]
fn the_host_example_classifies_and_is_built_again_when_the_model_changes() {
    let mut packages = packages();
    packages.example("host");
    let folder = "examples/host";
    let mut run = |digit: &str| {
        let picture = format!("../../fixtures/digits/{digit}.pgm");
        packages.cargo("run", folder, &["--", &picture]).clean()
    };
    let first = run("seven");
    assert_eq!(first.output, "../../fixtures/digits/seven.pgm: 7 (99.6 %)\n");
    assert!(first.compiled("tinycc-example-host"), "{}", first.text);
    let second = run("four");
    assert_eq!(second.output, "../../fixtures/digits/four.pgm: 4 (99.6 %)\n");
    assert!(!second.text.contains("Compiling"), "{}", second.text);
    touch(&packages.path("fixtures/mnist_cnn/mnist_cnn_int8.tflite"));
    let touched = packages.cargo("build", folder, &[]).clean();
    assert!(touched.compiled("tinycc-example-host"), "{}", touched.text);
    let again = packages.cargo("build", folder, &[]).clean();
    assert!(!again.text.contains("Compiling"), "{}", again.text);
}

#[test]
fn the_cortex_m_example_runs_in_qemu() {
    if !CORTEX_M4.available() {
        return;
    }
    let packages = packages();
    packages.example("cortex-m");
    let output = CORTEX_M4
        .cargo("run", &packages.path("examples/cortex-m"), &target())
        .unwrap_or_else(|e| panic!("{e}\n(tests/run fetches the crates it needs)"));
    assert_eq!(String::from_utf8_lossy(&output), "digit 7 (99 %)\n");
}

#[test]
fn examples_are_short() {
    for example in ["host", "cortex-m"] {
        let folder = root().join("examples").join(example);
        let lines = ["build.rs", "src/main.rs"].map(|file| build::file(&folder.join(file)));
        let lines = lines.concat().iter().filter(|&&byte| byte == b'\n').count();
        assert!(lines < EXAMPLE_LINES, "{example}: {lines} lines in build.rs and main.rs");
    }
}

/// A package around the sine fixture with a file of options.
fn sine(packages: &Packages, name: &str) {
    let run = "mod net {\n    tinycc::include_model!(\"net\");\n}\n\n\
               fn run(x: i8) -> i8 {\n    net::invoke(&mut net::Arena::new(), &[x])[0]\n}\n";
    packages.package(name, BUILD_RS, &format!("{run}{SINE_MAIN}"));
    packages.write(&format!("{name}/build.rs"), &script(".config(\"tinycc.toml\").compile()"));
    packages.write(&format!("{name}/tinycc.toml"), "max-arena = \"1K\"\n");
    packages.copy(&root().join(SINE), &format!("{name}/net.tflite"));
    packages.copy(&root().join("fixtures/sine/sine_int8.in.bin"), &format!("{name}/in.bin"));
}

#[test]
fn the_configuration_file_is_watched_and_problems_name_their_place() {
    let mut packages = packages();
    let name = "watched";
    sine(&packages, name);
    assert_eq!(packages.cargo("run", name, &[]).clean().output, sine_output());
    let idle = packages.cargo("build", name, &[]).clean();
    assert!(!idle.compiled(name), "{}", idle.text);

    packages.write("watched/tinycc.toml", "max-arena = \"1K\"\ncore = \"cortex-m4\"\n");
    let changed = packages.cargo("run", name, &[]).clean();
    assert!(changed.compiled(name), "{}", changed.text);
    assert_eq!(changed.output, sine_output());

    packages.write("watched/tinycc.toml", "max-arena = 31\n");
    let small = packages.cargo("build", name, &[]);
    for word in ["watched@", "net.tflite", "max-arena 31", "layer01_fully_connected"] {
        assert!(small.failure().contains(word), "no {word} in\n{}", small.text);
    }

    packages.write("watched/tinycc.toml", "");
    let bad = root().join("fixtures/bad/two_unsupported_ops.tflite");
    packages.copy(&bad, "watched/net.tflite");
    let refused = packages.cargo("build", name, &[]);
    for word in ["net.tflite: node 0 COS", "node 1 TOPK_V2"] {
        assert!(refused.failure().contains(word), "no {word} in\n{}", refused.text);
    }

    packages.copy(&root().join(SINE), "watched/net.tflite");
    assert_eq!(packages.cargo("run", name, &[]).clean().output, sine_output());
}

#[test]
fn emitted_c_is_built_and_linked() {
    if !build::tool("cc") {
        return;
    }
    let mut packages = packages();
    let dependencies = "[build-dependencies]
cc = \"1\"
tinycc-build = { path = \"ROOT/compiler/build\", features = [\"c\"] }
";
    let run = "unsafe extern \"C\" {
    fn sine_invoke(arena: *mut core::ffi::c_void);
    fn with(invoke: unsafe extern \"C\" fn(*mut core::ffi::c_void), x: i8) -> i8;
}

fn run(x: i8) -> i8 {
    unsafe { with(sine_invoke, x) }
}
";
    packages.package("in_c", dependencies, &format!("{run}{SINE_MAIN}"));
    packages.write(
        "in_c/with.c",
        "#include \"sine.h\"

int8_t with(void (*invoke)(void *), int8_t x)
{
    static union { uint8_t bytes[SINE_ARENA_BYTES]; int64_t align; } arena;
    *sine_input_0(arena.bytes) = x;
    invoke(arena.bytes);
    return *sine_output_0(arena.bytes);
}
",
    );
    packages.write(
        "in_c/build.rs",
        "fn main() -> Result<(), tinycc_build::Error> {
    let sine = tinycc_build::Config::new(\"net.tflite\").name(\"sine\").compile_c()?;
    cc::Build::new().file(\"with.c\").include(sine.include).compile(\"with\");
    Ok(())
}
",
    );
    packages.copy(&root().join(SINE), "in_c/net.tflite");
    packages.copy(&root().join("fixtures/sine/sine_int8.in.bin"), "in_c/in.bin");
    assert_eq!(packages.cargo("run", "in_c", &[]).clean().output, sine_output());
    touch(&packages.path("in_c/net.tflite"));
    assert!(packages.cargo("build", "in_c", &[]).clean().compiled("in_c"));
}

#[test]
fn the_attribute_is_expanded_again_when_the_model_changes() {
    let mut packages = packages();
    let name = "quick";
    let run = "#[tinycc::model(\"net.tflite\", max_arena = \"1K\")]\nstruct Net;\n\n\
               fn run(x: i8) -> i8 {\n    Net::invoke(&mut Net::new_arena(), &[x])[0]\n}\n";
    packages.package(name, ATTRIBUTE, &format!("{run}{SINE_MAIN}"));
    packages.copy(&root().join(SINE), "quick/net.tflite");
    packages.copy(&root().join("fixtures/sine/sine_int8.in.bin"), "quick/in.bin");
    assert_eq!(packages.cargo("run", name, &[]).clean().output, sine_output());
    let idle = packages.cargo("build", name, &[]).clean();
    assert!(!idle.compiled(name), "{}", idle.text);
    touch(&packages.path("quick/net.tflite"));
    assert!(packages.cargo("build", name, &[]).clean().compiled(name));

    let bad = root().join("fixtures/bad/two_unsupported_ops.tflite");
    packages.copy(&bad, "quick/net.tflite");
    let refused = packages.cargo("build", name, &[]);
    for word in ["net.tflite: node 0 COS", "node 1 TOPK_V2", "src/main.rs:1:17"] {
        assert!(refused.failure().contains(word), "no {word} in\n{}", refused.text);
    }
}

#[test]
fn emitted_packages_are_dependencies() {
    let mut packages = packages();
    for (runtime, name) in [(Runtime::Embedded, "alone"), (Runtime::Crate, "with_crate")] {
        let bytes = build::file(&root().join(SINE));
        let mut graph = format::read(&bytes, &format::ReadOptions::default()).expect("reads");
        pass::run_all(&mut graph, pass::LEGALISE).expect("passes");
        let legal = lower::legalise(graph, Core::Generic).expect("legal");
        let options =
            EmitOptions { name: "net".into(), package: true, runtime, ..Default::default() };
        let rust = tinycc_targets::target("rust").expect("a target");
        for (path, bytes) in rust.emit(&legal, &options).expect("emits").artifacts {
            packages.write(&format!("{name}/net/{path}"), &String::from_utf8(bytes).expect("text"));
        }
        let dependencies = "[dependencies]\nnet = { path = \"net\" }\n\n[patch.crates-io]\n\
                            tinycc-rt = { path = \"ROOT/runtime-min\" }\n";
        let patch = if runtime == Runtime::Crate { dependencies.len() } else { 38 };
        let run = "fn run(x: i8) -> i8 {\n    net::invoke(&mut net::Arena::new(), &[x])[0]\n}\n";
        packages.package(name, &dependencies[..patch], &format!("{run}{SINE_MAIN}"));
        packages.copy(&root().join("fixtures/sine/sine_int8.in.bin"), &format!("{name}/in.bin"));
        let run = packages.cargo("run", name, &[]).clean();
        assert_eq!(run.output, sine_output());
        let lock = build::file(&packages.path(&format!("{name}/Cargo.lock")));
        let depends = String::from_utf8(lock).expect("text").contains("tinycc-rt");
        assert_eq!(depends, runtime == Runtime::Crate);
    }
}

/// Large models: built like small ones; what they add to a build is printed, never asserted.
#[test]
fn large_models_are_built() {
    let Some(zoo) = zoo::require() else { return };
    let mut packages = packages();
    let main = "fn main() {\n    let mut arena = net::Arena::new();\n    net::run(&mut arena);\n    \
                println!(\"{}\", net::output(&arena).len());\n}\n";
    let include = "mod net {\n    tinycc::include_model!(\"net\");\n}\n\n";
    packages.package("large", BUILD_RS, &format!("{include}{main}"));
    packages.write("large/build.rs", &script(".compile()"));
    let attribute = "#[tinycc::model(\"net.tflite\")]\nstruct Net;\n\n";
    packages.package("large_quick", ATTRIBUTE, &format!("{attribute}{main}"));
    let mut least = [Duration::MAX; 2];
    for (model, outputs) in [
        (root().join(SINE), 1),
        (zoo.join("mlperf_tiny/vww_mobilenet_int8.tflite"), 2),
        (zoo.join("mlperf_tiny/ad_toycar_float.tflite"), 640),
    ] {
        for (folder, least) in ["large", "large_quick"].into_iter().zip(&mut least) {
            packages.copy(&model, &format!("{folder}/net.tflite"));
            if *least == Duration::MAX {
                let _dependencies = packages.cargo("build", folder, &[]).clean();
                touch(&packages.path(&format!("{folder}/net.tflite")));
            }
            let build = packages.cargo("build", folder, &[]).clean();
            assert!(build.compiled(folder), "{}", build.text);
            let run = packages.cargo("run", folder, &[]).clean();
            assert_eq!(run.output, format!("{outputs}\n"));
            *least = build.took.min(*least);
            println!(
                "{folder:<12} {:<28} {:>9} bytes  build {:.2} s, {:.2} s more than the smallest",
                model.file_name().unwrap_or_default().display(),
                build::file(&model).len(),
                build.took.as_secs_f64(),
                (build.took - *least).as_secs_f64(),
            );
        }
    }
}
