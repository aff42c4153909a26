//! Rust firmware: the example package built for a microcontroller with Debian's compiler and the
//! core libraries of `tests/rust-sysroot`, run in QEMU, and looked at with binutils. C firmware is
//! in `build`.

use crate::build::{Firmware, flash, run, tool};
use crate::cases::root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An emulated board and the tools for its processor.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// QEMU's machine.
    pub name: &'static str,
    /// Rust's target triple.
    pub target: &'static str,
    /// Prefix of linker, nm and size.
    pub binutils: &'static str,
    /// Emulator.
    pub qemu: &'static str,
    /// Files below `tests/boards` that replace some of the example package.
    replace: Option<&'static str>,
}

/// Cortex-M4 with FPU: the board of the example package itself.
pub const CORTEX_M4: Board = Board {
    name: "mps2-an386",
    target: "thumbv7em-none-eabihf",
    binutils: "arm-none-eabi-",
    qemu: "qemu-system-arm",
    replace: None,
};

/// Cortex-M0; does not count instructions.
pub const CORTEX_M0: Board = Board {
    name: "microbit",
    target: "thumbv6m-none-eabi",
    replace: Some("microbit"),
    ..CORTEX_M4
};

/// 32-bit RISC-V.
pub const RISCV: Board = Board {
    name: "virt",
    target: "riscv32imac-unknown-none-elf",
    binutils: "riscv64-unknown-elf-",
    qemu: "qemu-system-riscv32",
    replace: Some("riscv-virt"),
};

/// Debian's compiler, or the one the tests were told to take.
#[must_use]
pub fn compiler() -> PathBuf {
    std::env::var_os("TINYCC_RUSTC").map_or_else(|| "/usr/bin/rustc".into(), PathBuf::from)
}

/// Its cargo.
#[must_use]
pub fn cargo() -> PathBuf {
    std::env::var_os("TINYCC_CARGO").map_or_else(|| "/usr/bin/cargo".into(), PathBuf::from)
}

impl Board {
    /// Whether everything for this board is there. `false`, with a loud message, where it may be
    /// missing.
    #[must_use]
    pub fn available(&self) -> bool {
        if self.sysroot().is_none() {
            let message = format!(
                "no Rust core library for {}: TINYCC_RUST_SYSROOTS is not set, or lacks it",
                self.target
            );
            assert!(std::env::var_os("TINYCC_FULL").is_none(), "{message}");
            eprintln!("NOT TESTED: {message}; tests/run makes it");
            return false;
        }
        tool(&compiler().to_string_lossy())
            && tool(&cargo().to_string_lossy())
            && tool(&format!("{}ld", self.binutils))
            && tool(self.qemu)
    }

    fn sysroot(&self) -> Option<PathBuf> {
        let all = PathBuf::from(std::env::var_os("TINYCC_RUST_SYSROOTS")?);
        Some(all.join(self.target)).filter(|path| path.is_dir())
    }

    /// The folder of the firmware package for this board: the example package of the emitted
    /// `folder` itself, or a copy of it beside it, with the board's files.
    ///
    /// # Errors
    /// Files that cannot be copied.
    pub fn package(&self, folder: &Path) -> Result<PathBuf, String> {
        let example = folder.join("example-mps2-an386");
        let Some(replace) = self.replace else { return Ok(example) };
        let package = folder.join(format!("example-{}", self.name));
        copy(&example, &package)?;
        copy(&root().join("tests/boards").join(replace), &package)?;
        Ok(package)
    }

    /// `cargo VERB --release` in a package, warnings being errors; what it builds goes to `target`.
    ///
    /// # Errors
    /// A missing core library, what the compiler or the program prints.
    pub fn cargo(&self, verb: &str, package: &Path, target: &Path) -> Result<Vec<u8>, String> {
        let sysroot = self.sysroot().ok_or("no core library")?;
        // Added to the flags of the package's own configuration, which RUSTFLAGS would replace.
        let flags = format!(
            "target.{}.rustflags=[\"--sysroot\",{:?},\"-Dwarnings\"]",
            self.target,
            sysroot.display().to_string()
        );
        let linker = format!("target.{}.linker=\"{}ld\"", self.target, self.binutils);
        let mut command = Command::new(cargo());
        command.args([verb, "--quiet", "--release", "--offline", "--config", &flags]);
        command.args(["--config", &linker]).current_dir(package);
        for variable in
            ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN"]
        {
            command.env_remove(variable);
        }
        command.env("RUSTC", compiler()).env("CARGO_TARGET_DIR", target);
        run(&mut command, &[])
    }

    /// Builds the firmware package in that folder; the linked program.
    ///
    /// # Errors
    /// What the compiler prints, warnings included.
    pub fn build(&self, package: &Path) -> Result<PathBuf, String> {
        self.cargo("build", package, &package.join("target"))?;
        Ok(package.join("target").join(self.target).join("release/example"))
    }

    /// Runs the firmware package in QEMU on the given input sets.
    ///
    /// # Errors
    /// Build or run failures.
    pub fn run(&self, package: &Path, input: &[u8]) -> Result<Firmware, String> {
        let elf = self.build(package)?;
        std::fs::write(package.join("input.bin"), input).map_err(|e| e.to_string())?;
        Firmware::read(&self.cargo("run", package, &package.join("target"))?, package, elf)
    }

    /// Symbols of a linked program that panics need: the functions of `core::panicking` and the
    /// panic handler.
    ///
    /// # Errors
    /// What nm prints.
    pub fn panics(&self, elf: &Path) -> Result<Vec<String>, String> {
        let mut nm = Command::new(format!("{}nm", self.binutils));
        let symbols = run(nm.arg("-C").arg(elf), &[])?;
        let symbols = String::from_utf8_lossy(&symbols).into_owned();
        if !symbols.contains("reset") {
            return Err(format!("{} has no symbols", elf.display()));
        }
        let panics = |line: &&str| line.contains("panicking") || line.contains("begin_unwind");
        Ok(symbols.lines().filter(panics).map(str::to_string).collect())
    }

    /// Bytes of flash that the emitted module `name.rs` takes: code and constants of its object
    /// file as a crate of its own. That is what [`crate::build::Built::flash`] counts in C: the
    /// whole module before unused functions are dropped, without the libraries it calls. Optimised
    /// as the example package in `folder` is.
    ///
    /// # Errors
    /// What the compiler prints.
    pub fn flash(&self, folder: &Path, name: &str) -> Result<u64, String> {
        let sysroot = self.sysroot().ok_or("no core library")?;
        let (source, object) = (folder.join("size.rs"), folder.join("size.o"));
        let module = format!("#![no_std]\n#[path = \"{name}.rs\"]\npub mod {name};\n");
        std::fs::write(&source, module).map_err(|e| e.to_string())?;
        let manifest = folder.join("example-mps2-an386/Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).map_err(|e| e.to_string())?;
        let level = manifest.lines().find_map(|line| line.strip_prefix("opt-level = "));
        let level = level.ok_or("the package has no opt-level")?.trim_matches('"');
        let mut command = Command::new(compiler());
        command.args(["--edition=2024", "--crate-type=lib", "--emit=obj"]);
        command.arg(format!("-Copt-level={level}"));
        command.args(["-Dwarnings", "-Ccodegen-units=1", "-Cpanic=abort", "--target", self.target]);
        command.arg("--sysroot").arg(sysroot).arg("-o").arg(&object).arg(&source);
        run(&mut command, &[])?;
        Ok(flash(&object))
    }
}

/// Copies a folder with all that is in it, except what cargo builds, over what is there.
///
/// # Errors
/// What the system says.
pub fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let error = |e: std::io::Error| format!("{}: {e}", from.display());
    std::fs::create_dir_all(to).map_err(error)?;
    for entry in std::fs::read_dir(from).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let name = path.file_name().unwrap_or_default();
        if !path.is_dir() {
            std::fs::copy(&path, to.join(name)).map_err(error)?;
        } else if name != "target" {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}
