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
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tinycc_tests::build;
use tinycc_tests::cases::root;
use tinycc_tests::cross::{self, CORTEX_M4};
use tinycc_tests::zoo;

/// One cargo at a time: they share a folder of built dependencies, and times are printed.
static ALONE: Mutex<()> = Mutex::new(());

/// Lines of user code an example may have.
const EXAMPLE_LINES: usize = 40;
const SINE: &str = "fixtures/sine/sine_int8.tflite";

/// Packages in a folder of their own; what cargo builds of them is kept apart and removed with them,
/// except the dependencies.
struct Packages {
    folder: TempDir,
    /// Folders of the packages that were built.
    built: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

/// What cargo did.
struct Build {
    success: bool,
    /// What cargo and the compiler printed.
    text: String,
    /// What the program printed.
    output: String,
    took: Duration,
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages")
}

/// Cargo with the compiler that also builds firmware, if that is there, so that build scripts'
/// dependencies are compiled once.
fn cargo() -> Command {
    let cross = std::env::var_os("TINYCC_RUST_SYSROOTS").is_some();
    let mut command = Command::new(if cross { cross::cargo() } else { "cargo".into() });
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    if cross {
        command.env("RUSTC", cross::compiler());
    }
    command
}

impl Packages {
    fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Self { folder: TempDir::new().expect("folder"), built: Vec::new(), _alone: alone }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, text).expect("file");
    }

    /// A file of the repository or the zoo.
    fn copy(&self, from: &Path, to: &str) {
        let to = self.path(to);
        std::fs::create_dir_all(to.parent().expect("parent")).expect("folder");
        std::fs::write(&to, build::file(from)).expect("file");
    }

    /// An example with the fixtures it names, its paths to tinycc absolute.
    fn example(&self, name: &str) {
        let path = format!("examples/{name}");
        cross::copy(&root().join(&path), &self.path(&path)).expect("copies");
        for fixture in ["mnist_cnn/mnist_cnn_int8.tflite", "digits/seven.pgm", "digits/four.pgm"] {
            let fixture = format!("fixtures/{fixture}");
            self.copy(&root().join(&fixture), &fixture);
        }
        let manifest = format!("{path}/Cargo.toml");
        let text = String::from_utf8(build::file(&self.path(&manifest))).expect("text");
        assert_eq!(text.matches("\"../../compiler/").count(), 2, "{text}");
        let compiler = format!("\"{}/", root().join("compiler").display());
        self.write(&manifest, &text.replace("\"../../compiler/", &compiler));
    }

    /// A package of that name with `src/main.rs`; `dependencies` are lines of the manifest where
    /// `ROOT` stands for the repository.
    fn package(&self, name: &str, dependencies: &str, main: &str) {
        let dependencies = dependencies.replace("ROOT", &root().display().to_string());
        self.write(
            &format!("{name}/Cargo.toml"),
            &format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n\n{dependencies}"),
        );
        self.write(&format!("{name}/src/main.rs"), main);
    }

    /// `cargo VERB --release --offline` in that folder with the versions of the workspace.
    fn cargo(&mut self, verb: &str, folder: &str, arguments: &[&str]) -> Build {
        let lock = self.path(folder).join("Cargo.lock");
        if !lock.exists() {
            std::fs::copy(root().join("Cargo.lock"), lock).expect("lock file");
        }
        let mut command = cargo();
        command.args([verb, "--release", "--offline"]).args(arguments);
        command.current_dir(self.path(folder)).env("CARGO_TARGET_DIR", target());
        let begin = Instant::now();
        let output = command.output().expect("cargo runs");
        let took = begin.elapsed();
        if !self.built.iter().any(|built| built == folder) {
            self.built.push(folder.to_string());
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Build {
            success: output.status.success(),
            text: text(&output.stderr),
            output: text(&output.stdout),
            took,
        }
    }
}

impl Drop for Packages {
    fn drop(&mut self) {
        for folder in &self.built {
            let manifest = std::fs::read_to_string(self.path(folder).join("Cargo.toml"));
            let name = manifest.unwrap_or_default();
            let name = name.split("name = \"").nth(1).and_then(|rest| rest.split('"').next());
            let mut clean = cargo();
            clean.args(["clean", "--quiet", "--release", "--offline", "-p", name.unwrap_or("?")]);
            clean.current_dir(self.path(folder)).env("CARGO_TARGET_DIR", target());
            // What stays behind is found by nobody and only takes room.
            let _ = clean.output();
        }
    }
}

impl Build {
    /// The same, after a build that must succeed without a warning.
    fn clean(self) -> Self {
        assert!(self.success && !self.text.contains("warning"), "{}", self.text);
        self
    }

    /// The text of a build that must fail.
    fn failure(&self) -> &str {
        assert!(!self.success, "built:\n{}", self.text);
        &self.text
    }

    /// Whether a package was compiled again.
    fn compiled(&self, name: &str) -> bool {
        self.text.contains(&format!("Compiling {name} v"))
    }
}

/// A new time of change, the same bytes.
fn touch(path: &Path) {
    let file = std::fs::File::options().append(true).open(path).expect("opens");
    file.set_modified(std::time::SystemTime::now()).expect("time");
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
    let mut packages = Packages::new();
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
    let packages = Packages::new();
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
    let mut packages = Packages::new();
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
