//! A build script's work without cargo: variables and output are passed in.

use crate::cargo::{Cargo, core_of};
use crate::{Config, CoreName, Error};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A package folder with a model in it, and an output folder.
struct Package {
    dir: tempfile::TempDir,
    vars: BTreeMap<&'static str, String>,
}

impl Package {
    fn new(model: &str) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(model);
        std::fs::create_dir(dir.path().join("models")).expect("folder");
        std::fs::copy(from, dir.path().join("models/kws-ref.tflite")).expect("model");
        let text = |path: PathBuf| path.to_str().expect("UTF-8").to_string();
        let vars = BTreeMap::from([
            ("CARGO_MANIFEST_DIR", text(dir.path().to_path_buf())),
            ("OUT_DIR", text(dir.path().join("out"))),
            ("TARGET", "thumbv7em-none-eabihf".to_string()),
        ]);
        Self { dir, vars }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What `work` returns, and what cargo would read.
    fn run<T>(&self, work: impl FnOnce(&mut Cargo<'_>) -> T) -> (T, String) {
        let mut lines = Vec::new();
        let result = work(&mut Cargo::new(|name| self.vars.get(name).cloned(), &mut lines));
        (result, String::from_utf8(lines).expect("UTF-8"))
    }

    fn files(&self) -> Vec<String> {
        let name = |e: std::io::Result<std::fs::DirEntry>| e.expect("entry").file_name();
        let mut names: Vec<String> = std::fs::read_dir(self.path("out"))
            .expect("output folder")
            .map(|e| name(e).into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }
}

fn config() -> Config {
    Config::new("models/kws-ref.tflite")
}

#[test]
fn files_are_written_and_cargo_is_told_what_to_watch() {
    let package = Package::new("sine/sine_int8.tflite");
    std::fs::write(package.path("tinycc.toml"), "max-arena = \"1K\"\nname = \"kws\"\n")
        .expect("config");
    let config = config().config("tinycc.toml").target_from_env().target("c");
    let (report, lines) = package.run(|cargo| config.compile_in(cargo));
    let report = report.expect("compiles");
    assert_eq!(
        (report.name.as_str(), report.core.as_str(), report.target.as_str()),
        ("kws", "cortex-m4", "c")
    );
    assert_eq!(package.files(), ["kws.c", "kws.h", "kws.json"]);
    let watched = ["models/kws-ref.tflite", "tinycc.toml"]
        .map(|f| format!("cargo::rerun-if-changed={}\n", package.path(f).display()));
    assert_eq!(lines, watched.concat());
    let time = || std::fs::metadata(package.path("out/kws.c")).and_then(|m| m.modified());
    let before = time().expect("time");
    package.run(|cargo| config.compile_in(cargo)).0.expect("compiles again");
    assert_eq!(before, time().expect("time"), "nothing changed, nothing is written");
}

/// A field of a protobuf message: short texts and messages.
fn field(number: u8, inner: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, inner.len() as u8], inner].concat()
}

/// An ONNX model `y = x + w` of two elements, with `w` in `weights.bin`.
fn onnx_with_external_weights() -> Vec<u8> {
    let dim = field(1, &[0x08, 2]);
    let shape = [vec![0x08, 1], field(2, &dim)].concat();
    let port = |name: &[u8]| [field(1, name), field(2, &field(1, &shape))].concat();
    let node = [field(1, b"x"), field(1, b"w"), field(2, b"y"), field(4, b"Add")].concat();
    let location = [field(1, b"location"), field(2, b"weights.bin")].concat();
    let w = [vec![0x08, 2, 0x10, 1], field(8, b"w"), field(13, &location), vec![0x70, 1]].concat();
    let graph = [field(1, &node), field(5, &w), field(11, &port(b"x")), field(12, &port(b"y"))];
    [vec![0x08, 8], field(7, &graph.concat()), field(8, &[0x10, 17])].concat()
}

#[test]
fn files_with_weights_are_read_and_watched() {
    let package = Package::new("sine/sine_int8.tflite");
    std::fs::write(package.path("models/net.onnx"), onnx_with_external_weights()).expect("model");
    let config = Config::new("models/net.onnx");
    let watched = ["models/net.onnx", "models/weights.bin"]
        .map(|f| format!("cargo::rerun-if-changed={}\n", package.path(f).display()));
    let (result, lines) = package.run(|cargo| config.compile_in(cargo));
    let message = result.expect_err("the file is missing").to_string();
    let says = "tensor \"w\": its data is in \"weights.bin\": there is no such file";
    assert!(message.contains("TCC0103") && message.contains(says), "{message}");
    assert!(lines.starts_with(&watched.concat()), "{lines}");
    let data: Vec<u8> = [0.5f32, 2.0].iter().flat_map(|f| f.to_le_bytes()).collect();
    std::fs::write(package.path("models/weights.bin"), data).expect("weights");
    let (result, lines) = package.run(|cargo| config.compile_in(cargo));
    result.expect("compiles");
    assert_eq!(lines, watched.concat());
    let source = std::fs::read_to_string(package.path("out/net.rs")).expect("source");
    assert!(source.contains("0.5") && source.contains("2.0"), "the weights are in it");
}

#[test]
fn rust_is_the_default() {
    let package = Package::new("mnist_cnn/mnist_cnn_int8.tflite");
    let (report, _) = package.run(|cargo| config().compile_in(cargo));
    assert_eq!(report.expect("compiles").target, "rust");
    assert_eq!(package.files(), ["kws_ref.json", "kws_ref.rs", "kws_ref.weights"]);
}

#[test]
fn methods_win_over_the_file_and_the_file_over_the_environment() {
    let package = Package::new("sine/sine_int8.tflite");
    std::fs::write(package.path("tinycc.toml"), "core = \"generic\"\nmax-flash = 9\n").expect("w");
    let options = |config: Config| package.run(|cargo| config.options_in(cargo, "rust")).0;
    let plain = options(config()).expect("options");
    assert_eq!((plain.target.as_str(), plain.core), ("rust", CoreName::Generic));
    let found = options(config().target_from_env()).expect("options");
    assert_eq!(found.core, CoreName::CortexM4);
    let file = config().target_from_env().config("tinycc.toml");
    assert_eq!(options(file.clone()).expect("options").core, CoreName::Generic);
    let given = options(file.core(CoreName::CortexM4).max_arena(32 * 1024)).expect("options");
    assert_eq!((given.core, given.max_flash.map(|s| s.0)), (CoreName::CortexM4, Some(9)));
    assert_eq!(given.max_arena.map(|s| s.0), Some(32 * 1024));
}

#[test]
fn every_problem_is_an_error_line_and_the_result() {
    let package = Package::new("bad/two_unsupported_ops.tflite");
    let (result, lines) = package.run(|cargo| config().target("c").compile_in(cargo));
    let error = result.expect_err("refused");
    assert!(matches!(error, Error::Model(_)));
    assert_eq!(format!("{error:?}"), error.to_string(), "main prints the Debug form");
    for says in ["[TCC0201]: models/kws-ref.tflite: node 0 COS", "node 1 TOPK_V2"] {
        let found = lines.lines().any(|l| l.starts_with("cargo::error=") && l.contains(says));
        assert!(found && error.to_string().contains(says), "{says} is not in\n{lines}");
    }
    assert!(lines.starts_with("cargo::rerun-if-changed="), "a mended model must be seen");
    assert!(!package.path("out").exists());
    let good = Package::new("sine/sine_int8.tflite");
    let bad = config().target("c").core("z80").max_arena("lots");
    let (result, lines) = good.run(|cargo| bad.compile_in(cargo));
    assert!(lines.contains("cortex-m4") && lines.contains("\"lots\" is not a size"), "{lines}");
    assert!(result.expect_err("refused").to_string().contains("build.rs: option core"));
    let over = config().target("c").max_arena(1);
    let (result, lines) = good.run(|cargo| over.compile_in(cargo));
    assert!(result.is_err() && lines.contains("layer01_fully_connected"), "{lines}");
    assert!(lines.lines().all(|l| l.starts_with("cargo::")), "{lines}");
}

#[test]
fn missing_files_and_variables_are_named() {
    let package = Package::new("sine/sine_int8.tflite");
    let error = |config: Config| {
        let (result, lines) = package.run(|cargo| config.target("c").compile_in(cargo));
        assert!(lines.contains("cargo::error="), "{lines}");
        result.expect_err("refused").to_string()
    };
    assert!(error(Config::new("models/x.tflite")).contains("cannot read"));
    assert!(error(config().config("no.toml")).contains("no.toml"));
    std::fs::write(package.path("tinycc.toml"), "max-aren = 1\n").expect("config");
    let text = error(config().config("tinycc.toml"));
    assert!(text.contains("tinycc.toml: ") && text.contains("`max-arena`"), "{text}");
    std::fs::write(package.path("tinycc.toml"), [0xff]).expect("config");
    assert!(error(config().config("tinycc.toml")).contains("not UTF-8"));
    let mut none = Vec::new();
    let outside = config().compile_in(&mut Cargo::new(|_| None, &mut none));
    assert!(outside.expect_err("refused").to_string().contains("CARGO_MANIFEST_DIR is not set"));
}

#[test]
fn paths_cannot_give_cargo_instructions() {
    let package = Package::new("sine/sine_int8.tflite");
    let name = "models/a\ncargo::rustc-env=X=1\r\n.tflite";
    for here in [false, true] {
        if here {
            std::fs::copy(package.path("models/kws-ref.tflite"), package.path(name)).expect("copy");
        }
        let (result, lines) = package.run(|c| Config::new(name).name("kws").compile_in(c));
        assert_eq!(result.is_ok(), here, "{lines}");
        let known = ["cargo::rerun-if-changed=", "cargo::error="];
        for line in lines.lines() {
            assert!(known.iter().any(|k| line.starts_with(k)), "{line}");
        }
    }
}

#[test]
fn processors_of_target_triples() {
    for (triple, core) in [
        ("thumbv7em-none-eabihf", CoreName::CortexM4),
        ("thumbv7em-none-eabi", CoreName::CortexM4),
        ("thumbv7m-none-eabi", CoreName::Generic),
        ("thumbv6m-none-eabi", CoreName::Generic),
        ("thumbv8m.main-none-eabihf", CoreName::Generic),
        ("riscv32imac-unknown-none-elf", CoreName::Generic),
        ("x86_64-unknown-linux-gnu", CoreName::Generic),
    ] {
        assert_eq!(core_of(triple), core, "{triple}");
    }
}

#[cfg(feature = "c")]
#[test]
fn c_becomes_a_static_library() {
    let mut package = Package::new("sine/sine_int8.tflite");
    let version = std::process::Command::new("rustc").arg("-vV").output().expect("rustc");
    let version = String::from_utf8(version.stdout).expect("UTF-8");
    let host = version.lines().find_map(|l| l.strip_prefix("host: ")).expect("host triple");
    for name in ["TARGET", "HOST"] {
        package.vars.insert(name, host.to_string());
    }
    package.vars.insert("OPT_LEVEL", "0".to_string());
    let (library, lines) = package.run(|cargo| config().name("kws").compile_c_in(cargo));
    let library = library.expect("builds");
    assert_eq!((library.name.as_str(), library.report.target.as_str()), ("tinycc_kws", "c"));
    assert!(library.header.exists() && library.header.starts_with(&library.include));
    assert!(package.files().iter().any(|f| f.contains("tinycc_kws")), "{:?}", package.files());
    let include = format!("cargo::metadata=include={}\n", package.path("out").display());
    assert!(lines.ends_with(&include), "{lines}");
    let (result, lines) = package.run(|cargo| config().target("cobol").compile_c_in(cargo));
    assert!(result.is_err() && lines.contains("cobol"), "{lines}");
}
