//! Names of emitted models: from a file name to a C identifier.

/// File names the emitted code includes with `<...>`: a model of that name would shadow them when
/// its folder is on the include path.
const HEADERS: &[&str] = &[
    "assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "limits", "locale", "math",
    "setjmp", "signal", "stdarg", "stdbool", "stddef", "stdint", "stdio", "stdlib", "string",
    "tgmath", "time", "wchar",
];

/// Words that Rust keeps for itself in some edition, its crates, the root files of packages, and the
/// package of the example: no names for modules and packages.
const RUST: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "example",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "lib",
    "loop",
    "macro",
    "main",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "Self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// Whether `name` can name a Rust module and package: an identifier that Rust does not keep for
/// itself.
#[must_use]
pub fn is_module(name: &str) -> bool {
    is_identifier(name) && !RUST.contains(&name)
}

/// The default name of a Rust module for a model file: [`model_name`] as rustc wants it, in small
/// letters without `__`.
#[must_use]
pub fn module_name(file: &str) -> String {
    let words = model_name(file).to_ascii_lowercase();
    let name = words.split('_').filter(|w| !w.is_empty()).collect::<Vec<_>>().join("_");
    if is_module(&name) { name } else { format!("{name}_model") }
}

/// Whether `name` can prefix emitted C symbols and name the files: letters, digits and `_`, first
/// a letter, and not the name of a C standard header.
#[must_use]
pub fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !HEADERS.contains(&name)
}

/// The default name for a model file: its stem with everything but letters and digits replaced,
/// for example `kws_ref_model` for `some/dir/kws-ref model.tflite`.
#[must_use]
pub fn model_name(file: &str) -> String {
    let base = file.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    let replaced: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let name = replaced.trim_matches('_');
    if is_identifier(name) {
        name.to_string()
    } else if name.is_empty() {
        "model".to_string()
    } else if HEADERS.contains(&name) {
        format!("{name}_model")
    } else {
        format!("model_{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_gives_a_module() {
        let cases = [
            ("a/match.tflite", "match_model"),
            ("Core.tflite", "core_model"),
            ("PersonDetect--v2.tflite", "persondetect_v2"),
            ("Math.tflite", "math_model"),
            ("self", "self_model"),
            ("", "model"),
        ];
        for (file, want) in cases {
            assert_eq!(module_name(file), want, "{file}");
            assert!(is_module(&module_name(file)));
        }
    }

    #[test]
    fn every_file_gives_an_identifier() {
        let cases = [
            ("a/b/kws-ref model.tflite", "kws_ref_model"),
            ("mnist_cnn_int8.tflite", "mnist_cnn_int8"),
            ("C:\\models\\x.y.tflite", "x_y"),
            ("01_wake.tflite", "model_01_wake"),
            ("math.tflite", "math_model"),
            ("__.tflite", "model"),
            ("", "model"),
            ("größe.tflite", "gr__e"),
            ("-", "model"),
        ];
        for (file, want) in cases {
            assert_eq!(model_name(file), want, "{file}");
            assert!(is_identifier(&model_name(file)));
        }
        assert!(!is_identifier("_x") && !is_identifier("2x") && !is_identifier("a-b"));
        assert!(!is_identifier("") && !is_identifier("stdint"));
    }
}
