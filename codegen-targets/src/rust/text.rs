//! Finished text from syn items: prettyplease prints each item; comments, blank lines and long
//! number lists, which it does not know, are set here.

use super::lexical::{comment_text, double_text, float_text};
use tinycc_core::kir::Ty;
use tinycc_core::{SmallType, TensorData};

/// Items as text with a blank line between them, except between one-line constants.
#[must_use]
pub fn items(items: &[syn::Item], inserts: &Inserts) -> String {
    let mut out = String::new();
    let mut last_is_line = false;
    for item in items {
        let text = item_text(item, inserts);
        let is_line = text.lines().count() == 1;
        let is_group = is_line && last_is_line;
        if !out.is_empty() && !is_group {
            out.push('\n');
        }
        out.push_str(&text);
        last_is_line = is_line;
    }
    out
}

fn item_text(item: &syn::Item, inserts: &Inserts) -> String {
    let items = vec![item.clone()];
    let file = syn::File { shebang: None, frontmatter: None, attrs: Vec::new(), items };
    set(&prettyplease::unparse(&file), inserts)
}

/// The lines one level deeper.
#[must_use]
pub fn indented(text: &str) -> String {
    text.lines().map(|l| if l.is_empty() { "\n".into() } else { format!("    {l}\n") }).collect()
}

/// Text that syn cannot hold or prettyplease cannot lay out, in the order of the numbers in the
/// marker statements that hold its place.
#[derive(Debug, Default)]
pub struct Inserts(Vec<String>);

impl Inserts {
    /// A statement that becomes a comment line.
    pub fn comment(&mut self, text: &str) -> syn::Stmt {
        self.statement(format!("// {}", comment_text(text)))
    }

    /// A statement that becomes these lines.
    pub fn statement(&mut self, lines: String) -> syn::Stmt {
        let n = proc_macro2::Literal::usize_unsuffixed(self.0.len());
        self.0.push(lines);
        syn::parse_quote!(insert_marker!(#n);)
    }
}

/// Marker statements become what they stand for, at their depth.
fn set(text: &str, inserts: &Inserts) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let code = line.trim_start();
        let number = code
            .strip_prefix("insert_marker!(")
            .and_then(|rest| rest.strip_suffix(");"))
            .and_then(|n| n.parse::<usize>().ok());
        let indent = &line[..line.len() - code.len()];
        match number.and_then(|n| inserts.0.get(n)) {
            Some(lines) => lines.lines().for_each(|l| out.extend([indent, l, "\n"])),
            None => out.extend([line, "\n"]),
        }
    }
    out
}

/// The name of the macro call that stands for array `n` until its numbers are set.
#[must_use]
pub fn data_marker(n: usize) -> syn::Expr {
    let n = proc_macro2::Literal::usize_unsuffixed(n);
    syn::parse_quote!(data_marker!(#n))
}

/// Sets the numbers of the arrays in the place of their markers.
#[must_use]
pub fn set_data(text: &str, arrays: &[String]) -> String {
    let mut out = String::with_capacity(text.len() + arrays.iter().map(String::len).sum::<usize>());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("data_marker!(") {
        out.push_str(before);
        let Some((number, after)) = after.split_once(')') else { break };
        let array = number.parse().ok().and_then(|n: usize| arrays.get(n));
        out.push_str(array.map_or("", String::as_str));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Numbers per line, so that lines stay below about 100 characters.
fn per_line(ty: Ty) -> usize {
    match ty {
        Ty::Bool | Ty::I8 | Ty::U8 => 18,
        Ty::I16 | Ty::U16 => 12,
        Ty::I32 | Ty::U32 | Ty::F32 => 8,
        Ty::I64 | Ty::U64 | Ty::F64 => 4,
    }
}

/// A bracketed list of numbers, several per line.
#[must_use]
pub fn array(ty: Ty, data: &TensorData) -> String {
    let numbers: Vec<String> = match data {
        TensorData::I8(v) => v.iter().map(ToString::to_string).collect(),
        TensorData::Small(SmallType::I2 | SmallType::I4, v) => {
            v.iter().map(|x| x.cast_signed().to_string()).collect()
        }
        TensorData::U8(v) | TensorData::Bool(v) | TensorData::Small(_, v) => {
            v.iter().map(ToString::to_string).collect()
        }
        TensorData::I16(v) => v.iter().map(ToString::to_string).collect(),
        TensorData::U16(v) | TensorData::F16(v) | TensorData::BF16(v) => {
            v.iter().map(ToString::to_string).collect()
        }
        TensorData::I32(v) => v.iter().map(ToString::to_string).collect(),
        TensorData::U32(v) => v.iter().map(ToString::to_string).collect(),
        TensorData::I64(v) => v.iter().map(ToString::to_string).collect(),
        TensorData::U64(v) => v.iter().map(ToString::to_string).collect(),
        TensorData::F64(v) => v.iter().map(|&x| double_text(x)).collect(),
        TensorData::F32(v) => v.iter().map(|&x| float_text(x)).collect(),
    };
    if numbers.len() <= per_line(ty) {
        return format!("[{}]", numbers.join(", "));
    }
    let mut out = String::from("[");
    for line in numbers.chunks(per_line(ty)) {
        out.push_str("\n    ");
        out.push_str(&line.join(", "));
        out.push(',');
    }
    out.push_str("\n]");
    out
}

/// Bytes as a byte string literal.
#[must_use]
pub fn byte_string(bytes: &[u8]) -> String {
    proc_macro2::Literal::byte_string(bytes).to_string()
}
