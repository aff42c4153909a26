//! From model bytes to a program that ran: emission, the host compilers, the emulated board.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tinycc_core::diagnostic::Diagnostics;
use tinycc_core::format::{self, ReadOptions};
use tinycc_core::kir::Module;
use tinycc_core::lower::{self, Core};
use tinycc_core::{Graph, pass};
use tinycc_targets::{Artifacts, EmitOptions, Emitted, Product};

/// The warnings generated C must be free of.
pub const STRICT: &[&str] =
    &["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"];

/// What the sanitizers catch ends the program.
pub const SANITIZE: &[&str] = &["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g0"];

/// A model emitted into a folder.
#[derive(Debug)]
pub struct Built {
    /// The folder; removed when dropped.
    pub folder: TempDir,
    /// Model name.
    pub name: String,
    /// What the target returned.
    pub emitted: Printed,
    /// The graph as read.
    pub graph: Graph,
}

/// What a target for kernels returned.
#[derive(Debug)]
pub struct Printed {
    /// The files.
    pub artifacts: Artifacts,
    /// The kernel IR they were printed from.
    pub module: Module,
    /// Estimated bytes of machine code.
    pub code_bytes: usize,
    /// Upper estimate of the stack.
    pub stack_bytes: usize,
}

impl From<Emitted> for Printed {
    fn from(emitted: Emitted) -> Self {
        let Product::Program(program) = emitted.product else { panic!("a target for kernels") };
        Self {
            artifacts: emitted.artifacts,
            module: program.module,
            code_bytes: program.code_bytes,
            stack_bytes: program.stack_bytes,
        }
    }
}

/// Reads, lowers and emits a model with both examples.
///
/// # Errors
/// What tinycc says.
pub fn emit(bytes: &[u8], file: &str, name: &str, core: Core) -> Result<Built, Diagnostics> {
    let options = ReadOptions { file: file.to_string(), ..Default::default() };
    emit_graph(format::read(bytes, &options)?, file, name, core)
}

/// The same from a graph.
///
/// # Errors
/// What tinycc says.
pub fn emit_graph(graph: Graph, file: &str, name: &str, core: Core) -> Result<Built, Diagnostics> {
    emit_as("c", graph, file, name, core)
}

/// The same for the target of that name.
///
/// # Errors
/// What tinycc says.
pub fn emit_as(
    target: &str,
    graph: Graph,
    file: &str,
    name: &str,
    core: Core,
) -> Result<Built, Diagnostics> {
    let mut legal = graph.clone();
    pass::run_all(&mut legal, pass::LEGALISE)?;
    let legal = lower::legalise(legal, core)?;
    let options = EmitOptions {
        name: name.to_string(),
        core,
        examples: vec!["host".into(), "qemu-mps2-an386".into()],
        options: Default::default(),
        source: file.to_string(),
        ..Default::default()
    };
    let emitted = tinycc_targets::target(target).expect("a target").emit(&legal, &options)?;
    let emitted = Printed::from(emitted);
    let folder = TempDir::new().expect("temporary folder");
    for (path, bytes) in &emitted.artifacts {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        std::fs::write(path, bytes).expect("file");
    }
    Ok(Built { folder, name: name.to_string(), emitted, graph })
}

/// Runs a command; its output, or what it printed when it fails.
///
/// # Errors
/// The command line and its output.
pub fn run(command: &mut Command, stdin: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{command:?}: {e}"))?;
    let mut pipe = child.stdin.take().expect("piped");
    let data = stdin.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that stops early closes the pipe; its exit code tells.
        let _ = pipe.write_all(&data);
    });
    let output = child.wait_with_output().map_err(|e| format!("{command:?}: {e}"))?;
    writer.join().expect("writer");
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = |b: &[u8]| String::from_utf8_lossy(&b[..b.len().min(4000)]).into_owned();
    Err(format!("{command:?}: {}\n{}{}", output.status, text(&output.stderr), text(&output.stdout)))
}

impl Built {
    /// Compiles the host example with `compiler` and extra flags.
    ///
    /// # Errors
    /// What the compiler prints.
    pub fn host(&self, compiler: &str, flags: &[&str]) -> Result<PathBuf, String> {
        let dir = self.folder.path();
        let program = dir.join(format!("run-{compiler}"));
        let mut command = Command::new(compiler);
        command.args(STRICT).args(flags).arg(dir.join(format!("{}.c", self.name)));
        command.arg(dir.join("example/main.c")).arg("-o").arg(&program).arg("-lm");
        run(&mut command, &[])?;
        Ok(program)
    }

    /// Builds the Rust host example with cargo, in release and without a warning.
    ///
    /// # Errors
    /// What cargo prints.
    pub fn cargo_host(&self) -> Result<PathBuf, String> {
        let package = self.folder.path().join("example");
        let target = package.join("target");
        let mut command = Command::new("cargo");
        command.args(["build", "--release", "--quiet", "--offline"]).current_dir(package);
        command.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", "-Dwarnings");
        run(&mut command, &[])?;
        Ok(target.join("release/example"))
    }

    /// Compiles without output, for the warnings only.
    ///
    /// # Errors
    /// What the compiler prints.
    pub fn check(&self, compiler: &str) -> Result<(), String> {
        let source = self.folder.path().join(format!("{}.c", self.name));
        let mut command = Command::new(compiler);
        run(command.args(STRICT).arg("-fsyntax-only").arg(source), &[]).map(drop)
    }

    /// Runs the firmware in QEMU on the given input sets.
    ///
    /// # Errors
    /// Build or run failures.
    pub fn firmware(&self, input: &[u8]) -> Result<Firmware, String> {
        let dir = self.folder.path().join("example-mps2-an386");
        std::fs::write(dir.join("input.bin"), input).expect("input.bin");
        let text = run(Command::new("make").arg("run").current_dir(&dir), &[])?;
        Firmware::read(&text, &dir, dir.join(format!("{}.elf", self.name)))
    }

    /// Bytes of flash the model's own C object takes once [`Built::firmware`] has built it: code and
    /// constants.
    #[must_use]
    pub fn flash(&self) -> u64 {
        let object = format!("example-mps2-an386/model-{}.o", self.name);
        flash(&self.folder.path().join(object))
    }

    /// Multiply-accumulates of one invocation.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.emitted.module.layers.iter().map(|l| l.macs).sum()
    }
}

/// Bytes of code and initialised data in an Arm object.
#[must_use]
pub fn flash(object: &Path) -> u64 {
    let text = run(Command::new("arm-none-eabi-size").arg(object), &[]).expect("size runs");
    let text = String::from_utf8_lossy(&text).into_owned();
    let row = text.lines().nth(1).expect("a row").split_whitespace();
    row.take(2).map(|number| number.parse::<u64>().expect("a number")).sum()
}

/// What the emulated board reports.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// Raw outputs of all sets.
    pub output: Vec<u8>,
    /// Executed instructions of one invocation, or why they are not known.
    pub instructions: Result<u64, String>,
    /// Painted stack bytes of one invocation.
    pub stack: u64,
    /// The linked program.
    pub elf: PathBuf,
}

impl Firmware {
    /// From what the firmware printed and the folder it ran in.
    ///
    /// # Errors
    /// Lines that are not there; no output file.
    pub fn read(printed: &[u8], folder: &Path, elf: PathBuf) -> Result<Firmware, String> {
        let text = String::from_utf8_lossy(printed);
        let figure = |key: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(key)?.trim().parse().ok())
                .ok_or_else(|| format!("no line \"{key}\" in:\n{text}"))
        };
        Ok(Firmware {
            output: std::fs::read(folder.join("output.bin")).map_err(|e| e.to_string())?,
            instructions: figure("instructions "),
            stack: figure("stack ")?,
            elf,
        })
    }

    /// Executed instructions of one invocation; where the board does not count them, the test ends.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.instructions.clone().expect("a board that counts")
    }
}

/// The zoo folder from `TINYCC_ZOO`, else `../shared/zoo` beside the repository, if it exists.
#[must_use]
pub fn zoo() -> Option<PathBuf> {
    let root = crate::cases::root();
    let path = match std::env::var_os("TINYCC_ZOO") {
        Some(path) => PathBuf::from(path),
        None => root.join("../shared/zoo"),
    };
    path.join("manifest.json").exists().then_some(path)
}

/// Reads a file, naming it when that fails.
#[must_use]
pub fn file(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A tool the full test run must have. `false`, with a loud message, where it may be missing.
#[must_use]
pub fn tool(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        assert!(std::env::var_os("TINYCC_FULL").is_none(), "{name} is missing");
        eprintln!("NOT TESTED: {name} is missing; tests/run installs it");
    }
    found
}

/// Runs TensorFlow Lite Micro on `sets` random input sets; the inputs and outputs as raw bytes.
/// `None`, with a loud message, where the Python environment is missing.
#[must_use]
pub fn tflm(model: &Path, sets: usize, seed: u64) -> Option<(Vec<u8>, Vec<u8>)> {
    let Some(python) = std::env::var_os("TINYCC_PYTHON") else {
        assert!(std::env::var_os("TINYCC_FULL").is_none(), "TINYCC_PYTHON is not set");
        eprintln!("NOT TESTED: TINYCC_PYTHON is not set; tests/run makes the environment");
        return None;
    };
    let folder = TempDir::new().expect("temporary folder");
    let (input, output) = (folder.path().join("in.bin"), folder.path().join("out.bin"));
    let mut command = Command::new(python);
    command.arg(crate::cases::root().join("tests/oracle/tflm.py")).arg(model);
    command.args(["--sets", &sets.to_string(), "--seed", &seed.to_string()]);
    command.arg("--in").arg(&input).arg("--out").arg(&output);
    run(&mut command, &[]).expect("the oracle runs");
    Some((file(&input), file(&output)))
}
