//! How C spells names, types, literals and comments. No knowledge of the kernel IR's structure.

use tinycc_core::kir::Ty;

/// Words a C identifier must not be, including the helpers' own parameter-free names.
const KEYWORDS: &[&str] = &[
    "auto",
    "break",
    "case",
    "char",
    "const",
    "continue",
    "default",
    "do",
    "double",
    "else",
    "enum",
    "extern",
    "float",
    "for",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "register",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "typedef",
    "union",
    "unsigned",
    "void",
    "volatile",
    "while",
    "asm",
    "bool",
    "true",
    "false",
    "main",
    "errno",
    "NULL",
    "EOF",
    "INFINITY",
    "NAN",
    "near",
    "far",
    "huge",
    "interrupt",
];

/// `name`, or `name_` when C reserves it.
#[must_use]
pub fn identifier(name: &str) -> String {
    if KEYWORDS.contains(&name) { format!("{name}_") } else { name.to_string() }
}

/// C spelling of a type.
#[must_use]
pub fn c_type(ty: Ty) -> &'static str {
    match ty {
        Ty::Bool => "int",
        Ty::I8 => "int8_t",
        Ty::U8 => "uint8_t",
        Ty::I16 => "int16_t",
        Ty::U16 => "uint16_t",
        Ty::I32 => "int32_t",
        Ty::U32 => "uint32_t",
        Ty::I64 => "int64_t",
        Ty::U64 => "uint64_t",
        Ty::F32 => "float",
        Ty::F64 => "double",
    }
}

/// A float literal that reads back to the same bits.
#[must_use]
pub fn float_literal(value: f32) -> String {
    if value.is_finite() { format!("{value:?}f") } else { double_literal(value.into()) }
}

/// A double literal that reads back to the same bits.
#[must_use]
pub fn double_literal(value: f64) -> String {
    if value.is_nan() {
        return "NAN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INFINITY".into() } else { "-INFINITY".into() };
    }
    format!("{value:?}")
}

/// Text that is safe inside a C comment and on one line.
#[must_use]
pub fn comment_text(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect::<String>()
        // First: it makes new slashes, which must not end the comment.
        .replace('\\', "/")
        .replace("*/", "* /")
        .replace("/*", "/ *")
        // Twice: of "???" the first round leaves "? ??".
        .replace("??", "? ?")
        .replace("??", "? ?")
}

#[cfg(test)]
mod tests {
    use super::comment_text;

    #[test]
    fn no_name_ends_a_comment() {
        for name in
            ["*/ int x;", "*\\ int x; /\\*", "**\\/", "*\\/*", "/*/", "a\nb", "????/", "é*é/\\"]
        {
            let text = comment_text(name);
            for bad in ["*/", "/*", "??", "\\", "\n"] {
                assert!(!text.contains(bad), "{name:?} became {text:?}");
            }
        }
    }
}
