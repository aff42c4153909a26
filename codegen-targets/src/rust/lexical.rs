//! How Rust spells names, types, literals and comments, as syn nodes where the printer needs them.
//! No knowledge of the kernel IR's structure.

use proc_macro2::{Ident, Literal, Span};
use quote::ToTokens;
use tinycc_core::kir::Ty;

/// Words that are no identifiers, strict and reserved, in all editions; and names that the emitted
/// file uses itself.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "rt",
];

/// `name`, or `name_` when Rust reserves it. Anything that is no letter, digit or `_` becomes `_`.
#[must_use]
pub fn identifier(name: &str) -> Ident {
    let mut text: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if text.is_empty() || text == "_" || text.starts_with(|c: char| c.is_ascii_digit()) {
        text.insert(0, 'v');
    }
    if KEYWORDS.contains(&text.as_str()) || text == "Self" {
        text.push('_');
    }
    Ident::new(&text, Span::call_site())
}

/// Rust spelling of a type in memory; truth values are bytes there.
#[must_use]
pub fn type_name(ty: Ty) -> &'static str {
    match ty {
        Ty::Bool => "bool",
        Ty::I8 => "i8",
        Ty::U8 => "u8",
        Ty::I16 => "i16",
        Ty::U16 => "u16",
        Ty::I32 => "i32",
        Ty::U32 => "u32",
        Ty::I64 => "i64",
        Ty::U64 => "u64",
        Ty::F32 => "f32",
        Ty::F64 => "f64",
    }
}

/// The same as a node.
#[must_use]
pub fn type_node(ty: Ty) -> syn::Type {
    let ident = Ident::new(type_name(ty), Span::call_site());
    syn::Type::Path(syn::TypePath { attrs: Vec::new(), qself: None, path: ident.into() })
}

/// A path expression from segments, for example `rt::clamp`.
#[must_use]
pub fn path(segments: &[&str]) -> syn::Expr {
    let mut path = syn::Path { leading_colon: None, segments: syn::punctuated::Punctuated::new() };
    for s in segments {
        path.segments.push(Ident::new(s, Span::call_site()).into());
    }
    syn::Expr::Path(syn::ExprPath { attrs: Vec::new(), qself: None, path })
}

/// A variable.
#[must_use]
pub fn variable(name: &Ident) -> syn::Expr {
    syn::Expr::Path(syn::ExprPath { attrs: Vec::new(), qself: None, path: name.clone().into() })
}

fn literal(token: Literal) -> syn::Expr {
    syn::Expr::Lit(syn::ExprLit { attrs: Vec::new(), lit: syn::Lit::new(token) })
}

/// `-of`.
#[must_use]
pub fn negative(of: syn::Expr) -> syn::Expr {
    syn::Expr::Unary(syn::ExprUnary {
        attrs: Vec::new(),
        op: syn::UnOp::Neg(Default::default()),
        expr: Box::new(of),
    })
}

/// An integer literal; `suffix` names its type where nothing else does.
#[must_use]
pub fn int(value: i64, suffix: Option<Ty>) -> syn::Expr {
    let magnitude = value.unsigned_abs();
    let token = match suffix {
        Some(Ty::F32 | Ty::F64 | Ty::Bool) | None => magnitude.to_string(),
        Some(ty) => format!("{magnitude}_{}", type_name(ty)),
    };
    let positive = literal_of(&token);
    if value < 0 { negative(positive) } else { positive }
}

/// The literal of a u64.
#[must_use]
pub fn unsigned(value: u64) -> syn::Expr {
    literal_of(&value.to_string())
}

fn literal_of(token: &str) -> syn::Expr {
    syn::Expr::Lit(syn::ExprLit {
        attrs: Vec::new(),
        lit: syn::Lit::Int(syn::LitInt::new(token, Span::call_site())),
    })
}

/// A truth value.
#[must_use]
pub fn boolean(value: bool) -> syn::Expr {
    let lit = syn::Lit::Bool(syn::LitBool { value, span: Span::call_site() });
    syn::Expr::Lit(syn::ExprLit { attrs: Vec::new(), lit })
}

/// A float literal that reads back to the same bits.
#[must_use]
pub fn float(value: f32) -> syn::Expr {
    if value.is_nan() {
        return path(&["f32", "NAN"]);
    }
    if value.is_infinite() {
        return path(&["f32", if value > 0.0 { "INFINITY" } else { "NEG_INFINITY" }]);
    }
    let magnitude = literal(Literal::f32_unsuffixed(value.abs()));
    if value.is_sign_negative() { negative(magnitude) } else { magnitude }
}

/// A float64 literal as text.
#[must_use]
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "f64::NAN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "f64::INFINITY" } else { "f64::NEG_INFINITY" }.into();
    }
    format!("{value:?}")
}

/// A float32 literal as text.
#[must_use]
pub fn float_text(value: f32) -> String {
    float(value).to_token_stream().to_string().replace(' ', "")
}

/// Text that is safe in a line comment: printable ASCII, one line, and nothing that `text` would
/// take for a marker of its own.
#[must_use]
pub fn comment_text(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().map(printable).collect::<String>().replace("_marker!", "_marker?")
}

/// Text for a doc comment. Set in code font when rustdoc could read links or markup in it.
#[must_use]
pub fn doc_text(text: &str) -> String {
    let text = comment_text(text);
    if text.contains(['[', ']', '<', '>', '*', '_', '`', '\\', '#', '|', '~', '&', '!']) {
        format!("`{}`", text.replace('`', "'"))
    } else {
        text
    }
}
