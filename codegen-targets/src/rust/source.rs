//! The emitted module: interface, run function, layer functions, constants, run-time functions.

use super::lexical::{doc_text, identifier, type_name, type_node};
use super::nodes::{call, expression, method_call};
use super::print::Printer;
use super::text::Inserts;
use super::{api, runtime, text};
use crate::constants::{Array, Constants};
use crate::{Artifacts, EmitOptions, Runtime};
use proc_macro2::{Ident, Literal, Span};
use quote::quote;
use std::collections::BTreeSet;
use syn::{Item, Stmt, parse_quote};
use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics};
use tinycc_core::kir::bounds::Proof;
use tinycc_core::kir::prune::Uses;
use tinycc_core::kir::{Kernel, Layer, Module};

/// Constants from this size on go to the side file: rustc is slow on long literals.
const SIDE_FILE_FROM: usize = 4096;
/// Names that every file imports from the run-time module, if it uses them.
const IMPORTED: [&str; 2] = ["View", "Weights"];

/// The module's text and its side file.
#[derive(Debug)]
pub struct Source {
    /// Items without inner attributes, so that `include!` takes them.
    pub text: String,
    /// Bytes of `NAME.weights`, empty when there is none.
    pub weights: Vec<u8>,
    /// Whether an `unsafe` block stands outside of the run-time part.
    pub is_unsafe: bool,
}

/// Adds the side file, if there is one.
pub fn add_weights(artifacts: &mut Artifacts, folder: &str, name: &str, weights: Vec<u8>) {
    if !weights.is_empty() {
        artifacts.insert(format!("{folder}{name}.weights"), weights);
    }
}

struct File<'a> {
    module: &'a Module,
    options: &'a EmitOptions,
    constants: Constants<'a>,
    /// Names of run-time items.
    used: BTreeSet<String>,
    inserts: Inserts,
    /// Texts of the arrays that are literals.
    arrays: Vec<String>,
    weights: Vec<u8>,
    is_unsafe: bool,
    problems: Diagnostics,
}

/// Prints the module.
///
/// # Errors
/// A register tile that is not proved to stay inside its buffers.
pub fn print(module: &Module, options: &EmitOptions) -> Result<Source, Diagnostics> {
    let mut file = File {
        module,
        options,
        constants: Constants::collect(module),
        used: BTreeSet::from(["Arena".to_string()]),
        inserts: Inserts::default(),
        arrays: Vec::new(),
        weights: Vec::new(),
        is_unsafe: false,
        problems: Diagnostics::default(),
    };
    let mut items = api::items(module, options, &mut file.used);
    items.push(file.run());
    for (k, kernel) in module.kernels.iter().enumerate() {
        let item = file.function(k, kernel);
        items.push(item);
    }
    items.extend(file.statics());
    items.extend(file.portable_only());
    let mut all = file.imports();
    all.extend(items);
    let body = text::set_data(&text::items(&all, &file.inserts), &file.arrays);
    let mut text = format!("{}\n{body}", api::head(module, options));
    if options.runtime == Runtime::Embedded {
        text.push_str("\n/// The part of `tinycc-rt` that this model uses.\nmod rt {\n");
        text.push_str(&text::indented(&runtime::text(&file.used)));
        text.push_str("}\n");
    }
    let source = Source { text, weights: file.weights, is_unsafe: file.is_unsafe };
    file.problems.into_result(source)
}

impl File<'_> {
    /// `use rt::{...}` for the types that kernels name, after everything else is printed.
    fn imports(&self) -> Vec<Item> {
        let names: Vec<Ident> = IMPORTED
            .into_iter()
            .filter(|n| self.used.contains(*n))
            .map(|n| Ident::new(n, Span::call_site()))
            .collect();
        let mut items = Vec::new();
        if self.options.runtime == Runtime::Crate {
            items.push(parse_quote!(
                use tinycc_rt as rt;
            ));
        }
        if !names.is_empty() {
            items.push(parse_quote!(use self::rt::{#(#names),*};));
        }
        items
    }

    fn function(&mut self, index: usize, kernel: &Kernel) -> Item {
        let proof = Proof::of(kernel);
        let (mut block, needs_unsafe, walked) = self.body(index, kernel, proof.accesses());
        let mut is_unsafe = needs_unsafe;
        if walked != proof.accesses().len() {
            // The numbers of the proof would stand for other accesses: check all of them.
            (block, is_unsafe, _) = self.body(index, kernel, &[]);
        }
        if is_unsafe {
            self.is_unsafe = true;
            let safety = self.inserts.comment(if proof.complete() {
                "SAFETY: every index below is proved to lie in its buffer, for any input."
            } else {
                "SAFETY: every index of `at` and `put` is proved to lie in its buffer; the others are checked."
            });
            let unsafe_block = syn::Expr::Unsafe(syn::ExprUnsafe {
                attrs: Vec::new(),
                unsafe_token: Default::default(),
                block,
            });
            let stmts = vec![safety, Stmt::Expr(unsafe_block, None)];
            block = syn::Block { brace_token: Default::default(), stmts };
        }
        let uses = Uses::of(&kernel.body);
        self.used.extend(kernel.params().map(|(_, b)| type_name(b.ty).to_string()));
        let params: Vec<syn::FnArg> = kernel
            .params()
            .map(|(b, buffer)| {
                let mut name = identifier(&buffer.name);
                if !uses.buffers.contains(&(b as u32)) {
                    name = Ident::new(&format!("_{name}"), Span::call_site());
                }
                let (ty, len) = (type_node(buffer.ty), Literal::usize_unsuffixed(buffer.len));
                parse_quote!(#name: View<'_, #ty, #len>)
            })
            .collect();
        if !params.is_empty() {
            self.used.insert("View".into());
        }
        let docs = kernel.doc.iter().map(|l| format!(" {}", doc_text(l)));
        let name = identifier(&kernel.name);
        let many = (params.len() > 7).then(|| {
            quote!(#[allow(clippy::too_many_arguments, reason = "one per operand of the layer")])
        });
        let mut item: syn::ItemFn = parse_quote! {
            #(#[doc = #docs])*
            #[inline(never)]
            #many
            fn #name(#(#params),*) {}
        };
        item.block = Box::new(block);
        Item::Fn(item)
    }

    /// A kernel's statements, whether they need an unsafe block, and how many accesses they have.
    fn body(
        &mut self,
        index: usize,
        kernel: &Kernel,
        proved: &[bool],
    ) -> (syn::Block, bool, usize) {
        let constants = &self.constants;
        let constant = |b: usize| Some(static_name(constants.name(index, b)?));
        let mut printer = Printer::new(kernel, proved, &mut self.used, &mut self.inserts, constant);
        let block = printer.block(&kernel.body);
        let (is_unsafe, accesses) = (printer.is_unsafe, printer.accesses);
        if printer.has_unproved_tile {
            self.problems.push(unproved_tile(self.module, index));
        }
        (block, is_unsafe, accesses)
    }

    /// Marks what the portable spelling of tiles calls as used where the assembly takes its place:
    /// the compiler would warn about each of the embedded functions.
    fn portable_only(&self) -> Option<Item> {
        let is_embedded = self.options.runtime == Runtime::Embedded;
        let words: Vec<syn::Expr> = [
            ("View::word", parse_quote!(View::<i8, 4>::word)),
            ("Weights::word", parse_quote!(Weights::<i8, 4>::word)),
        ]
        .into_iter()
        .filter_map(|(name, path)| self.used.contains(name).then_some(path))
        .collect();
        (is_embedded && !words.is_empty()).then(|| {
            parse_quote! {
                /// Counts as a use of what only other processors need.
                #[cfg(target_arch = "arm")]
                const _: () = {
                    let _ = (rt::smlad, rt::sxtb16, rt::sxtb16_ror8, #(#words),*);
                };
            }
        })
    }

    fn run(&mut self) -> Item {
        let mut stmts: Vec<Stmt> = Vec::new();
        let mut layers = self.module.layers.iter();
        let share: syn::Expr = parse_quote!(a);
        for c in &self.module.calls {
            self.views(&mut stmts, layers.by_ref().take_while(|l| l.kernel.is_none()));
            let kernel = &self.module.kernels[c.kernel];
            let args: Vec<syn::Expr> = kernel
                .params()
                .zip(&c.offsets)
                .map(|((_, b), &offset)| {
                    let ty = type_node(b.ty);
                    let offset = Literal::usize_unsuffixed(offset);
                    let len = Literal::usize_unsuffixed(b.len);
                    let mut view = method_call(share.clone(), "view", []);
                    if let syn::Expr::MethodCall(m) = &mut view {
                        m.turbofish = Some(parse_quote!(::<#ty, #offset, #len>));
                    }
                    view
                })
                .collect();
            let f = super::lexical::variable(&identifier(&kernel.name));
            stmts.push(expression(call(f, args)));
        }
        self.views(&mut stmts, layers);
        let has_params = self.module.calls.iter().any(|c| !c.offsets.is_empty());
        if has_params {
            self.used.extend(["Arena::share", "Share::view"].map(String::from));
            stmts.insert(0, parse_quote!(let a = arena.share();));
        }
        let arena = Ident::new(if has_params { "arena" } else { "_arena" }, Span::call_site());
        let mut item: syn::ItemFn = parse_quote! {
            /// Runs the model once on the inputs in the arena, whose bytes it reuses.
            pub fn run(#arena: &mut Arena) {}
        };
        item.block.stmts = stmts;
        Item::Fn(item)
    }

    /// Layers without a function of their own, so that no layer of the report seems lost.
    fn views<'l>(&mut self, stmts: &mut Vec<Stmt>, layers: impl Iterator<Item = &'l Layer>) {
        for layer in layers {
            let text = format!("{}: no code, the bytes stay where they are.", layer.name);
            stmts.push(self.inserts.comment(&text));
        }
    }

    /// The constants: small ones as literals, large ones as parts of the side file.
    fn statics(&mut self) -> Vec<Item> {
        let arrays = std::mem::take(&mut self.constants.arrays);
        let mut items = Vec::new();
        for array in &arrays {
            let (name, ty) = (static_name(&array.name), type_node(array.ty));
            let len = array.data.len().max(1);
            let length = Literal::usize_unsuffixed(len);
            self.used.extend(["Weights", type_name(array.ty)].map(String::from));
            let item = if len * array.ty.size() < SIDE_FILE_FROM {
                self.arrays.push(literal(array));
                let marker = text::data_marker(self.arrays.len() - 1);
                let lint = lint_of(array);
                parse_quote!(#lint static #name: Weights<#ty, #length> = Weights(#marker);)
            } else {
                let offset = Literal::usize_unsuffixed(self.append(array));
                self.used.insert("Weights::cut".into());
                // One static each: the compiler reaches all of its elements from one address.
                parse_quote! {
                    static #name: Weights<#ty, #length> = Weights::cut::<#offset, WEIGHTS_BYTES>(WEIGHTS);
                }
            };
            items.push(item);
        }
        self.constants.arrays = arrays;
        if !self.weights.is_empty() {
            items.splice(0..0, self.file());
        }
        items
    }

    /// Appends an array to the side file; its offset there.
    fn append(&mut self, array: &Array<'_>) -> usize {
        let offset = self.weights.len();
        self.weights.extend(array.data.to_le_bytes());
        offset
    }

    /// The bytes that the large constants are cut from.
    fn file(&mut self) -> [Item; 2] {
        let bytes = Literal::usize_unsuffixed(self.weights.len());
        let file = format!("{}.weights", self.options.name);
        let content: syn::Expr = if self.options.inline_weights {
            self.arrays.push(text::byte_string(&self.weights));
            self.weights.clear();
            text::data_marker(self.arrays.len() - 1)
        } else {
            parse_quote!(include_bytes!(#file))
        };
        [
            parse_quote!(const WEIGHTS_BYTES: usize = #bytes;),
            parse_quote!(const WEIGHTS: &[u8; WEIGHTS_BYTES] = #content;),
        ]
    }
}

fn literal(array: &Array<'_>) -> String {
    if array.data.is_empty() { "[0]".into() } else { text::array(array.ty, array.data) }
}

/// Weights may look like famous numbers.
fn lint_of(array: &Array<'_>) -> Option<proc_macro2::TokenStream> {
    let is_float = array.ty == tinycc_core::kir::Ty::F32;
    is_float.then(|| {
        quote!(#[allow(clippy::approx_constant, clippy::excessive_precision, reason = "trained numbers")])
    })
}

fn unproved_tile(module: &Module, kernel: usize) -> Diagnostic {
    let layer = module.layers.iter().find(|l| l.kernel == Some(kernel));
    let origin = layer.map(|l| l.origin.clone()).unwrap_or_default();
    let message = "the register tile of this layer is not proved to stay inside its buffers";
    Diagnostic::new(Code::TargetUnsupported, origin, message)
        .help("compile it with --core generic, and please report the model")
}

fn static_name(name: &str) -> Ident {
    identifier(&name.to_uppercase())
}
