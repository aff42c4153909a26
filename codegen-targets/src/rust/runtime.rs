//! Cuts the pieces of `tinycc-rt` that an emitted file embeds out of the crate's sources; where
//! they are printed is not decided here.
//!
//! A part is a function, constant, type, trait, one method of an inherent impl, a trait impl, or one
//! imported name of `core`. What a part uses is read off its paths, macro arguments included;
//! methods count where the receiver is `self`, `Self` or a named type. The sources keep to that.

#![allow(clippy::wildcard_enum_match_arm, reason = "syn's enums cannot be listed in full")]

use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItem, Item, ItemImpl, ItemUse, Type, UseTree, Visibility};

/// The items of `tinycc-rt` that are wanted or used by kept ones, for one flat module.
///
/// `wanted` holds names of functions, constants, types and traits, and of methods: `View::at`, or
/// `at` for all kept types that have it. Of the impls of `Element`, only those for the wanted
/// primitives (`i8`, ...) are kept, or all if none is named. Trait impls of kept types are kept.
///
/// Imports first, then the order of the sources. Functions and constants that were `pub` are
/// `pub(super)`; types, traits and methods stay `pub`, since public signatures name them. Of the
/// documentation the first paragraph and the section on safety remain.
#[must_use]
pub fn select(wanted: &BTreeSet<String>) -> Vec<Item> {
    choose(wanted, parts(str::to_string))
}

/// [`select`] as text in rustfmt's style, with the `// SAFETY:` comments of the sources.
#[must_use]
pub fn text(wanted: &BTreeSet<String>) -> String {
    let items = choose(wanted, parts(mark_safety));
    let printed = prettyplease::unparse(&syn::parse_quote!(#(#items)*));
    let mut out = String::new();
    let (mut closed, mut of_trait) = (false, false);
    for line in printed.lines() {
        let code = line.trim_start();
        let starts = ["//", "#[", "pub", "fn ", "const fn ", "unsafe impl", "impl"];
        let follows = of_trait && code.starts_with(MARK);
        if closed && !follows && starts.iter().any(|start| code.starts_with(start)) {
            out.push('\n');
        }
        closed = !line.starts_with(' ') && line.ends_with(['}', ';']) || line == "    }";
        of_trait = line.starts_with("unsafe impl");
        // Macro arguments are printed token by token.
        let line = line.replacen(MARK, "//", 1).replace("in (reg)", "in(reg)");
        out.extend([&line, "\n"]);
    }
    out
}

/// A comment that outlives parsing, because it is documentation.
const MARK: &str = "///@";

/// Marks the lines of every comment that gives the reason of unsafe code.
fn mark_safety(source: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in source.lines() {
        let code = line.trim_start();
        inside = code.starts_with("// SAFETY:") || inside && code.starts_with("// ");
        match code.strip_prefix("//") {
            Some(comment) if inside => out.extend([MARK, comment, "\n"]),
            _code => out.extend([line, "\n"]),
        }
    }
    out
}

fn choose(wanted: &BTreeSet<String>, parts: Vec<Part>) -> Vec<Item> {
    let primitives = parts.iter().any(|p| match &p.key {
        Key::Impl { of, .. } => is_primitive(of) && wanted.contains(of),
        Key::Named(_) | Key::Method { .. } => false,
    });
    let mut needed = wanted.clone();
    let mut kept = vec![false; parts.len()];
    loop {
        let mut grown = false;
        for (part, kept) in parts.iter().zip(&mut kept).filter(|(_, kept)| !**kept) {
            if part.key.is_needed(&needed, wanted, primitives) {
                *kept = true;
                grown = true;
                needed.extend(part.uses.iter().cloned());
            }
        }
        if !grown {
            break;
        }
    }
    join(parts.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(part, _)| part))
}

/// The smallest piece that is kept or dropped.
struct Part {
    key: Key,
    item: Item,
    /// Names of items, and `Type::method`.
    uses: BTreeSet<String>,
    /// Which impl block of the sources a method comes from.
    block: usize,
}

enum Key {
    Named(String),
    Method { of: String, name: String },
    Impl { of: String, of_trait: String },
}

impl Key {
    fn is_needed(
        &self,
        needed: &BTreeSet<String>,
        wanted: &BTreeSet<String>,
        primitives: bool,
    ) -> bool {
        match self {
            Key::Named(name) => needed.contains(name),
            Key::Method { of, name } => {
                needed.contains(&format!("{of}::{name}"))
                    || needed.contains(of) && wanted.contains(name)
            }
            Key::Impl { of, of_trait } if is_primitive(of) => {
                needed.contains(of_trait) && (!primitives || wanted.contains(of))
            }
            Key::Impl { of, .. } => needed.contains(of),
        }
    }
}

/// Types of the language start with a small letter.
fn is_primitive(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// All parts of the sources after `edit`, imports first; each import once.
fn parts(edit: fn(&str) -> String) -> Vec<Part> {
    let mut out: Vec<Part> = Vec::new();
    let mut imports: Vec<Part> = Vec::new();
    for (block, item) in tinycc_rt::RUST_SOURCES
        .iter()
        .filter_map(|(_, source)| syn::parse_file(&edit(source)).ok())
        .flat_map(|file| file.items)
        .filter(|item| !is_test(attributes(item)))
        .enumerate()
    {
        match item {
            Item::Use(item) => {
                leaves(&item, &item.tree, &mut Vec::new(), &mut imports);
            }
            Item::Impl(item) if item.trait_.is_none() => methods(&item, block, &mut out),
            Item::Impl(item) => {
                let of = type_name(&item.self_ty);
                let of_trait = item.trait_.as_ref().map(|(path, _)| last(path)).unwrap_or_default();
                let uses = uses(&of, |v| v.visit_item_impl(&item));
                let key = Key::Impl { of, of_trait };
                out.push(Part { key, item: Item::Impl(item), uses, block });
            }
            mut named => {
                let Some(name) = name_and_visibility(&mut named) else { continue };
                let uses = uses("", |v| v.visit_item(&named));
                out.push(Part { key: Key::Named(name), item: named, uses, block });
            }
        }
    }
    imports.sort_by_key(|part| part.item_text());
    imports.dedup_by_key(|part| part.item_text());
    imports.append(&mut out);
    imports
}

impl Part {
    fn item_text(&self) -> String {
        let item = &self.item;
        quote::quote!(#item).to_string()
    }
}

/// Puts the methods of one block together again and shortens the documentation.
fn join(parts: impl Iterator<Item = Part>) -> Vec<Item> {
    let mut out: Vec<(usize, Item)> = Vec::new();
    for mut part in parts {
        if let Some(attrs) = attributes_mut(&mut part.item) {
            shorten(attrs);
        }
        if let Item::Impl(block) = &mut part.item {
            for method in &mut block.items {
                if let ImplItem::Fn(method) = method {
                    shorten(&mut method.attrs);
                }
            }
            if let (Key::Method { .. }, Some((last, Item::Impl(open)))) =
                (&part.key, out.last_mut())
                && *last == part.block
            {
                open.items.append(&mut block.items);
                continue;
            }
        }
        out.push((part.block, part.item));
    }
    out.into_iter().map(|(_, item)| item).collect()
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _not_in_the_sources => &[],
    }
}

fn attributes_mut(item: &mut Item) -> Option<&mut Vec<Attribute>> {
    match item {
        Item::Const(i) => Some(&mut i.attrs),
        Item::Enum(i) => Some(&mut i.attrs),
        Item::Fn(i) => Some(&mut i.attrs),
        Item::Impl(i) => Some(&mut i.attrs),
        Item::Struct(i) => Some(&mut i.attrs),
        Item::Trait(i) => Some(&mut i.attrs),
        Item::Type(i) => Some(&mut i.attrs),
        Item::Use(i) => Some(&mut i.attrs),
        _not_in_the_sources => None,
    }
}

/// Whether an attribute is a `cfg` that mentions `test`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        let mut names = BTreeSet::new();
        if a.path().is_ident("cfg")
            && let Ok(list) = a.meta.require_list()
        {
            identifiers(list.tokens.clone(), &mut names);
        }
        names.contains("test")
    })
}

/// The name of an item that is called by it; makes a public function or constant `pub(super)`.
fn name_and_visibility(item: &mut Item) -> Option<String> {
    let (name, vis) = match item {
        Item::Const(i) => (i.ident.to_string(), Some(&mut i.vis)),
        Item::Fn(i) => (i.sig.ident.to_string(), Some(&mut i.vis)),
        Item::Enum(i) => (i.ident.to_string(), None),
        Item::Struct(i) => (i.ident.to_string(), None),
        Item::Trait(i) => (i.ident.to_string(), None),
        Item::Type(i) => (i.ident.to_string(), None),
        _nothing_to_call => return None,
    };
    if let Some(vis @ Visibility::Public(_)) = vis {
        *vis = syn::parse_quote!(pub(super));
    }
    Some(name)
}

/// One part per name that `core` is imported for; imports of the crate itself vanish.
fn leaves<'a>(
    item: &ItemUse,
    tree: &'a UseTree,
    path: &mut Vec<&'a syn::Ident>,
    out: &mut Vec<Part>,
) {
    match tree {
        UseTree::Path(p) => {
            path.push(&p.ident);
            leaves(item, &p.tree, path, out);
            path.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                leaves(item, tree, path, out);
            }
        }
        UseTree::Name(leaf) => {
            if path.first().is_some_and(|root| *root == "core") {
                let (attrs, name) = (&item.attrs, &leaf.ident);
                let import: ItemUse = syn::parse_quote!(#(#attrs)* use #(#path::)* #name;);
                let key = Key::Named(name.to_string());
                out.push(Part { key, item: Item::Use(import), uses: BTreeSet::new(), block: 0 });
            }
        }
        // Neither occurs in the sources: names must stay the real ones.
        UseTree::Rename(_) | UseTree::Glob(_) => {}
    }
}

/// One part per method of an inherent impl.
fn methods(block: &ItemImpl, number: usize, out: &mut Vec<Part>) {
    let of = type_name(&block.self_ty);
    for item in &block.items {
        let ImplItem::Fn(method) = item else { continue };
        let part = ItemImpl { items: vec![item.clone()], ..block.clone() };
        let key = Key::Method { of: of.clone(), name: method.sig.ident.to_string() };
        let uses = uses(&of, |v| v.visit_item_impl(&part));
        out.push(Part { key, item: Item::Impl(part), uses, block: number });
    }
}

fn type_name(ty: &Type) -> String {
    if let Type::Path(ty) = ty { last(&ty.path) } else { String::new() }
}

fn last(path: &syn::Path) -> String {
    path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default()
}

/// Collects the names a part uses.
struct Uses {
    /// What `Self` is.
    of: String,
    names: BTreeSet<String>,
}

fn uses(of: &str, walk: impl FnOnce(&mut Uses)) -> BTreeSet<String> {
    let mut uses = Uses { of: of.to_string(), names: BTreeSet::new() };
    walk(&mut uses);
    uses.names
}

impl<'a> Visit<'a> for Uses {
    fn visit_path(&mut self, path: &'a syn::Path) {
        let mut segments = path.segments.iter().map(|s| s.ident.to_string());
        if let Some(first) = segments.next() {
            let first = if first == "Self" { self.of.clone() } else { first };
            if let Some(second) = segments.next() {
                self.names.insert(format!("{first}::{second}"));
            }
            self.names.insert(first);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        if let Expr::Path(receiver) = &*call.receiver
            && receiver.path.is_ident("self")
        {
            self.names.insert(format!("{}::{}", self.of, call.method));
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        identifiers(call.tokens.clone(), &mut self.names);
        visit::visit_macro(self, call);
    }

    /// Attributes are no code.
    fn visit_attribute(&mut self, _: &'a Attribute) {}
}

fn identifiers(tokens: TokenStream, out: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                out.insert(ident.to_string());
            }
            TokenTree::Group(group) => identifiers(group.stream(), out),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Leaves the first paragraph of the documentation and the section on safety, without links.
fn shorten(attributes: &mut Vec<Attribute>) {
    let (mut paragraph, mut safety) = (0, false);
    let mut kept = Vec::new();
    for attribute in attributes.drain(..) {
        let Some(line) = doc_line(&attribute) else {
            kept.push(attribute);
            continue;
        };
        if line.trim().is_empty() {
            paragraph += 1;
        } else if line.trim_start().starts_with('#') {
            safety = line.trim() == "# Safety";
            if safety {
                kept.push(syn::parse_quote!(#[doc = ""]));
            }
        }
        if safety || paragraph == 0 {
            let line = without_links(&line);
            kept.push(syn::parse_quote!(#[doc = #line]));
        }
    }
    *attributes = kept;
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    if let syn::Meta::NameValue(pair) = &attribute.meta
        && pair.path.is_ident("doc")
        && let Expr::Lit(literal) = &pair.value
        && let syn::Lit::Str(text) = &literal.lit
    {
        return Some(text.value());
    }
    None
}

/// `[`name`](target)` and `[`name`]` become `name` between its backquotes.
fn without_links(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((name, after)) = after.split_once("`]") else { break };
        out.push_str(before);
        out.push_str(&format!("`{name}`"));
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            // A target is a path; an argument list that follows a name is kept.
            Some((target, after)) if target.contains("::") => {
                after.strip_prefix(')').unwrap_or(after)
            }
            _no_target => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use tinycc_core::kir::{Intrinsic, Ty};

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| n.to_string()).collect()
    }

    fn print(items: Vec<Item>) -> String {
        prettyplease::unparse(&syn::parse_quote!(#(#items)*))
    }

    fn type_text(ty: Ty) -> &'static str {
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

    /// A module with the embedded part and `user`, which uses it.
    fn module(name: &str, wanted: &[&str], user: &str) -> String {
        let rt = text(&set(wanted));
        format!("pub mod user_{name} {{\nmod rt {{\n{rt}\n}}\n{user}\n}}\n")
    }

    /// The compiler accepts the text in both editions without a warning.
    fn compile(text: &str) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("selection.rs");
        std::fs::write(&file, format!("#![no_std]\n{text}")).unwrap();
        for edition in ["2021", "2024"] {
            let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            let output = Command::new(rustc)
                .args(["--edition", edition, "--crate-type", "lib", "--emit", "metadata"])
                .args(["-D", "warnings", "-D", "unsafe_op_in_unsafe_fn", "--out-dir"])
                .arg(folder.path())
                .arg(&file)
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{errors}\n{text}");
        }
    }

    #[test]
    fn every_intrinsic_alone_compiles_without_a_warning() {
        let mut text = String::new();
        for f in Intrinsic::ALL {
            let (name, operands) = (f.name(), f.operands());
            let operand = |(i, ty): (usize, &Ty)| format!("x{i}: {}", type_text(*ty));
            let declared: Vec<_> = operands.iter().enumerate().map(operand).collect();
            let passed: Vec<_> = (0..operands.len()).map(|i| format!("x{i}")).collect();
            let user = format!(
                "pub fn user({}) -> {} {{ rt::{name}({}) }}",
                declared.join(", "),
                type_text(f.result()),
                passed.join(", ")
            );
            text += &module(name, &[name], &user);
        }
        compile(&text);
    }

    #[test]
    fn memory_compiles_without_a_warning() {
        let arena = "pub type Arena = rt::Arena<64>;\n\
            pub fn output(arena: &Arena) -> &[i8; 4] { arena.tensor::<i8, 60, 4>() }";
        let views = "pub fn sum(a: &mut rt::Arena<64>) -> i8 { kernel(a.share().view::<i8, 3, 4>()) }\n\
            fn kernel(x: rt::View<i8, 4>) -> i8 { x.set(0, 2); x.get(1) }";
        let raw = "static W: rt::Weights<i8, 4> = rt::Weights([1, 2, 3, 4]);\n\
            static B: rt::Weights<i16, 4> = rt::Weights::cut::<0, 8>(&[0; 8]);\n\
            pub fn f() -> u32 { unsafe { W.word(0) ^ B.word(1) } }\n\
            pub fn g(x: rt::View<i16, 4>) -> i16 { unsafe { x.put(1, 2); x.at(1) } }";
        let all = "pub use rt::*;";
        let every = ["Arena", "Share", "View", "Weights", "Element", "new", "bytes"];
        let methods =
            ["bytes_mut", "zeroise", "tensor", "tensor_mut", "share", "view", "at", "put"];
        let rest = ["get", "set", "word", "as_ptr", "cut"];
        let text = module("arena", &["Arena", "tensor", "i8"], arena)
            + &module("views", &["i8", "Arena", "share", "view", "get", "set"], views)
            + &module(
                "raw",
                &["View::put", "View::at", "View", "Weights", "Weights::word", "cut"],
                raw,
            )
            + &module("all", &[&every[..], &methods, &rest].concat(), all);
        compile(&text);
    }

    #[test]
    fn assembly_keeps_its_condition_and_nothing_reaches_into_the_crate() {
        let assembly = print(select(&set(&["smlad_asm"])));
        assert!(assembly.contains("#[cfg(target_arch = \"arm\")]\n#[inline(always)]\npub(super)"));
        assert_eq!(assembly.matches("asm!").count(), 1);
        let names: BTreeSet<String> = parts(str::to_string)
            .iter()
            .map(|part| match &part.key {
                Key::Named(name) => name.clone(),
                Key::Method { of, name } => format!("{of}::{name}"),
                Key::Impl { of, .. } => of.clone(),
            })
            .collect();
        let everything = print(select(&names));
        assert!(!everything.contains("crate::") && !everything.contains("cfg(test"));
        assert!(everything.contains("pub unsafe trait Element") && names.len() > 80);
    }

    #[test]
    fn all_sources_parse_and_no_name_occurs_twice() {
        for (name, source) in tinycc_rt::RUST_SOURCES {
            assert!(syn::parse_file(source).is_ok(), "{name}");
        }
        let mut seen = BTreeSet::new();
        for part in parts(str::to_string) {
            if let Key::Named(name) = part.key {
                assert!(seen.insert(name.clone()), "{name}");
            }
        }
    }

    #[test]
    fn nothing_wanted_selects_nothing() {
        assert!(select(&BTreeSet::new()).is_empty());
        assert!(select(&set(&["no_such_function"])).is_empty());
    }

    #[test]
    fn selection_is_closed_short_and_in_source_order() {
        let text = print(select(&set(&["ssat8", "requantize"])));
        let order =
            ["fn clamp", "fn saturating", "fn rounding_divide", "fn requantize", "fn ssat8"];
        let at: Vec<usize> = order.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(at.is_sorted() && text.matches("fn ").count() == order.len(), "{text}");
        assert!(!text.contains("a left shift wraps") && text.contains("TFLITE_SINGLE_ROUNDING"));
        let view = print(select(&set(&["View", "at", "i8"])));
        assert_eq!(view.matches("unsafe impl Element").count(), 1);
        assert!(view.contains("/// # Safety\n") && !view.contains("fn put"), "{view}");
    }

    #[test]
    fn text_keeps_the_reasons_of_unsafe_code() {
        let text = text(&set(&["Arena", "tensor", "View", "get", "word", "i8", "smlad_asm"]));
        assert!(!text.contains(MARK));
        let reasons = text.matches("// SAFETY:").count();
        assert_eq!(reasons, text.matches("unsafe {").count() + text.matches("unsafe impl").count());
        assert!(text.contains("reference has the lifetime of the borrow it comes from."), "{text}");
        assert!(text.contains("\n}\n\n/// "), "{text}");
    }

    #[test]
    fn links_become_code() {
        assert_eq!(without_links("As [`a`](crate::b::a) and [`c`]."), "As `a` and `c`.");
        assert_eq!(without_links("Of [`a`](crate::a()) and `[`b`]`(x)"), "Of `a` and ``b``(x)");
        assert_eq!(without_links("[0, 1) and `f(x)`"), "[0, 1) and `f(x)`");
    }
}
