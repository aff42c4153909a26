//! House rules over every Rust source of the workspace, in plain text matching: the compiler's own
//! lints cover what they can, this covers the rest.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use tinycc_tests::build::file;
use tinycc_tests::cases::root;

const MAX_LINES: usize = 600;
const MAX_FUNCTION: usize = 80;

/// A source file: path relative to the root, its text, and the text before its `mod tests`.
struct Source {
    path: String,
    text: String,
    product: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("/testing.rs")
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("folder").map(|e| e.expect("entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "generated" | ".venv" | "snapshots") {
                walk(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// All files of the repository that are text we wrote, by extension.
fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found
        .into_iter()
        .filter(|p| {
            let extension = p.extension().unwrap_or_default().to_string_lossy();
            extensions.contains(&extension.as_ref())
        })
        .map(|p| {
            let name = p.strip_prefix(root()).expect("below the root").to_string_lossy();
            (name.replace('\\', "/"), String::from_utf8_lossy(&file(&p)).into_owned())
        })
        .collect()
}

fn sources() -> Vec<Source> {
    files(&["rs"])
        .into_iter()
        .map(|(path, text)| {
            let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            Source { product: text[..end].to_string(), path, text }
        })
        .collect()
}

/// Lines of code: comments and the contents of string literals blanked out, lines kept.
fn code_lines(text: &str) -> Vec<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = literal_or_comment(rest);
        if skip > 0 {
            out.extend(rest[..skip].chars().filter(|&c| c == '\n'));
            rest = &rest[skip..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out.lines().map(str::to_string).collect()
}

/// Length of the comment, string or character literal at the start of `text`, else 0.
fn literal_or_comment(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    for hashes in 0..3 {
        let (open, close) = (format!("r{}\"", "#".repeat(hashes)), "#".repeat(hashes));
        if text.starts_with(&open) {
            let end = text[open.len()..].find(&format!("\"{close}"));
            return end.map_or(text.len(), |e| open.len() + e + 1 + hashes);
        }
    }
    let bytes = text.as_bytes();
    if bytes[0] == b'\'' {
        // A character, not a lifetime: 'x' or '\x'.
        let end =
            if bytes.get(1) == Some(&b'\\') { text[2..].find('\'').map(|e| e + 3) } else { None };
        let plain = text.chars().nth(2) == Some('\'');
        let width = text.chars().nth(1).map_or(0, char::len_utf8);
        return end.unwrap_or(if plain { 2 + width } else { 0 });
    }
    if bytes[0] != b'"' {
        return 0;
    }
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _any if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _other => {}
        }
    }
    text.len()
}

/// Fails with all findings at once.
fn report(rule: &str, findings: &str) {
    assert!(findings.is_empty(), "{rule}:\n{findings}");
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    let mut findings = String::new();
    for s in sources() {
        if !s.text.starts_with("//!") {
            writeln!(findings, "{}: no //! line at the top", s.path).expect("string");
        }
        let lines = s.text.lines().count();
        if lines > MAX_LINES {
            writeln!(findings, "{}: {lines} lines", s.path).expect("string");
        }
    }
    report("every .rs file begins with //! and has at most 600 lines", &findings);
}

#[test]
fn functions_stay_short() {
    let mut findings = String::new();
    for s in sources() {
        let mut depth = 0i64;
        let mut open: Vec<(usize, i64, String)> = Vec::new();
        let mut pending: Option<(usize, String)> = None;
        for (number, line) in code_lines(&s.text).iter().enumerate() {
            let name = line
                .split_once("fn ")
                .filter(|(before, _)| before.is_empty() || before.ends_with([' ', '(']));
            if let Some((_, rest)) = name
                && rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            {
                pending = Some((number, rest.split(['(', '<']).next().unwrap_or("").to_string()));
            }
            for c in line.chars() {
                match c {
                    '{' => {
                        depth += 1;
                        if let Some((start, name)) = pending.take() {
                            open.push((start, depth, name));
                        }
                    }
                    '}' => {
                        if open.last().is_some_and(|o| o.1 == depth) {
                            let (start, _, name) = open.pop().expect("not empty");
                            let length = number - start + 1;
                            if length > MAX_FUNCTION {
                                writeln!(findings, "{}: {name} has {length} lines", s.path)
                                    .expect("string");
                            }
                        }
                        depth -= 1;
                    }
                    ';' if pending.is_some() && depth == 0 => pending = None,
                    _other => {}
                }
            }
        }
    }
    report("functions have at most 80 lines", &findings);
}

/// Words that must not stand in code outside tests, with the folders they are forbidden in.
fn forbidden() -> Vec<(&'static str, String)> {
    let own = |word: &str, tail: &str| format!("{word}{tail}");
    vec![
        ("", own("Hash", "Map")),
        ("", own("Hash", "Set")),
        ("", own(".unwrap", "()")),
        ("", own(".expect", "(")),
        ("", own("panic", "!(")),
        ("", own("todo", "!(")),
        ("", own("unimplemented", "!(")),
        ("", own("unreachable", "!(")),
        ("compiler/core/", own("print", "ln!(")),
        ("compiler/core/", own("eprint", "ln!(")),
        ("compiler/core/", own("std::", "fs")),
        ("compiler/core/", own("std::", "process")),
        ("compiler/core/", own("std::", "env")),
        ("compiler/core/", own("std::", "time")),
        // Readers, writers, passes and the graph stand before the kernels and know none.
        ("compiler/core/src/format/", own("kernels", "::")),
        ("compiler/core/src/pass/", own("kernels", "::")),
        ("compiler/core/src/graph/", own("kernels", "::")),
        ("codegen-targets/", own("print", "ln!(")),
        ("codegen-targets/", own("std::", "fs")),
    ]
}

#[test]
fn forbidden_words_do_not_occur_outside_tests() {
    let mut findings = String::new();
    for s in sources().iter().filter(|s| !s.is_test()) {
        for (number, line) in code_lines(&s.product).iter().enumerate() {
            for (folder, word) in forbidden() {
                // Examples are programs: they may print.
                if !folder.is_empty() && s.path.contains("/boards/") {
                    continue;
                }
                // The printer of diagnostics may be called `print`; only the macro counts.
                if s.path.starts_with(folder) && line.contains(&word) {
                    writeln!(findings, "{}:{}: {word}", s.path, number + 1).expect("string");
                }
            }
        }
    }
    report("no panics, hash order, input/output or kernels where they do not belong", &findings);
}

#[test]
fn unsafe_code_stays_in_the_runtime_and_firmware() {
    let word = format!("un{}", "safe");
    let mut findings = String::new();
    let allowed = |s: &Source| s.path.starts_with("runtime-min/") || s.path.contains("/boards/");
    for s in sources().iter().filter(|s| !allowed(s)) {
        for (number, line) in code_lines(&s.text).iter().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.into_iter().any(|w| w == word) {
                writeln!(findings, "{}:{}", s.path, number + 1).expect("string");
            }
        }
    }
    report("no such code outside runtime-min, firmware and generated files", &findings);
}

#[test]
fn no_machine_path_and_no_foreign_tool_is_named() {
    let slash = "/";
    let words = [
        format!("{slash}work{slash}"),
        format!("{slash}tmp{slash}"),
        format!("{slash}home{slash}"),
        format!("{slash}root{slash}"),
        format!("tool {}", "library"),
        format!(".{}{slash}", "library"),
    ];
    let mut findings = String::new();
    for (path, text) in files(&["rs", "py", "md", "toml", "c", "h", "sh", "json", "ld", "snap"]) {
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|w| line.to_lowercase().contains(w.as_str())) {
                writeln!(findings, "{path}:{}: {word}", number + 1).expect("string");
            }
        }
    }
    report("committed files name no folder of one machine and none of its tools", &findings);
}

#[test]
fn workspace_members_are_the_folders_with_a_manifest() {
    let manifest = String::from_utf8(file(&root().join("Cargo.toml"))).expect("text");
    let line = manifest.lines().find(|l| l.starts_with("members = ")).expect("members");
    let mut listed: Vec<String> =
        line.split('"').skip(1).step_by(2).map(|m| format!("{m}/Cargo.toml")).collect();
    let mut present: Vec<String> = files(&["toml"])
        .into_iter()
        .map(|(path, _)| path)
        .filter(|p| p.ends_with("/Cargo.toml") && !p.contains("/boards/")) // emitted programs
        .collect();
    let line = manifest.lines().find(|l| l.starts_with("exclude = ")).expect("exclude");
    listed.extend(line.split('"').skip(1).step_by(2).map(|m| format!("{m}/Cargo.toml")));
    listed.sort();
    present.sort();
    assert_eq!(listed, present);
}
