//! Cargo packages as users have them: in a folder outside the repository, built by cargo without
//! network. What the packages show is in the tests.

use crate::build;
use crate::cases::root;
use crate::cross;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// One cargo at a time: they share a folder of built dependencies, and times are printed.
static ALONE: Mutex<()> = Mutex::new(());

/// Packages in a folder of their own; what cargo builds of them is kept apart and removed with them,
/// except the dependencies.
#[derive(Debug)]
pub struct Packages {
    folder: TempDir,
    /// Where cargo puts what it builds.
    target: PathBuf,
    /// Folders of the packages that were built.
    built: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

/// What cargo did.
#[derive(Debug)]
pub struct Build {
    /// Whether it built, and ran.
    pub success: bool,
    /// What cargo and the compiler printed.
    pub text: String,
    /// What the program printed.
    pub output: String,
    /// Wall clock.
    pub took: Duration,
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
    /// No package yet; `target` is where cargo puts what it builds, dependencies to be found again
    /// by the next test included.
    #[must_use]
    pub fn new(target: PathBuf) -> Self {
        let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Self { folder: TempDir::new().expect("folder"), target, built: Vec::new(), _alone: alone }
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, text).expect("file");
    }

    /// A file of the repository or the zoo.
    pub fn copy(&self, from: &Path, to: &str) {
        let to = self.path(to);
        std::fs::create_dir_all(to.parent().expect("parent")).expect("folder");
        std::fs::write(&to, build::file(from)).expect("file");
    }

    /// An example with the fixtures it names, its paths to tinycc absolute.
    pub fn example(&self, name: &str) {
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
    pub fn package(&self, name: &str, dependencies: &str, main: &str) {
        let dependencies = dependencies.replace("ROOT", &root().display().to_string());
        self.write(
            &format!("{name}/Cargo.toml"),
            &format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n\n{dependencies}"),
        );
        self.write(&format!("{name}/src/main.rs"), main);
    }

    /// `cargo VERB --release --offline` in that folder with the versions of the workspace.
    pub fn cargo(&mut self, verb: &str, folder: &str, arguments: &[&str]) -> Build {
        let lock = self.path(folder).join("Cargo.lock");
        if !lock.exists() {
            std::fs::copy(root().join("Cargo.lock"), lock).expect("lock file");
        }
        let mut command = cargo();
        command.args([verb, "--release", "--offline"]).args(arguments);
        command.current_dir(self.path(folder)).env("CARGO_TARGET_DIR", &self.target);
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
            clean.current_dir(self.path(folder)).env("CARGO_TARGET_DIR", &self.target);
            // What stays behind is found by nobody and only takes room.
            let _ = clean.output();
        }
    }
}

impl Build {
    /// The same, after a build that must succeed without a warning.
    #[must_use]
    pub fn clean(self) -> Self {
        assert!(self.success && !self.text.contains("warning"), "{}", self.text);
        self
    }

    /// The text of a build that must fail.
    #[must_use]
    pub fn failure(&self) -> &str {
        assert!(!self.success, "built:\n{}", self.text);
        &self.text
    }

    /// Whether a package was compiled again.
    #[must_use]
    pub fn compiled(&self, name: &str) -> bool {
        self.text.contains(&format!("Compiling {name} v"))
    }
}

/// A new time of change, the same bytes.
pub fn touch(path: &Path) {
    let file = std::fs::File::options().append(true).open(path).expect("opens");
    file.set_modified(std::time::SystemTime::now()).expect("time");
}
