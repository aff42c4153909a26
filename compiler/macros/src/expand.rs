//! From the attribute to items: compiles the model, puts the emitted items into a module and makes
//! the struct forward to them. Works on tokens of `proc_macro2`, so that tests can call it.

use crate::args::Args;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use std::path::{Path, PathBuf};
use syn::{Fields, FnArg, Ident, Item, ItemFn, ItemStruct, Pat, Visibility};
use tinycc_driver::{Compiler, Options, Settings};

/// The expansion; `package` is where relative paths start. After an error the struct stays, so that
/// the error is the only one about it.
pub(crate) fn model(attribute: TokenStream, item: TokenStream, package: &Path) -> TokenStream {
    let result = syn::parse2::<Args>(attribute)
        .and_then(|args| expand(&args, unit_struct(item.clone())?, package));
    result.unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#item #error)
    })
}

/// The item, if it is a struct without fields and parameters.
fn unit_struct(item: TokenStream) -> syn::Result<ItemStruct> {
    match syn::parse2::<ItemStruct>(item.clone()) {
        Ok(it) if matches!(it.fields, Fields::Unit) && it.generics.params.is_empty() => Ok(it),
        _other => {
            let message = "#[tinycc::model] goes on a unit struct: `struct Kws;`";
            Err(syn::Error::new_spanned(item, message))
        }
    }
}

fn expand(args: &Args, item: ItemStruct, package: &Path) -> syn::Result<TokenStream> {
    let module = module_name(&item.ident)?;
    let mut watched = vec![package.join(args.model.value())];
    watched.extend(args.config.iter().map(|file| package.join(file)));
    let source = emit(args, &mut watched).map_err(|e| syn::Error::new(args.model.span(), e))?;
    // Not the user's mistake, but nothing may stop the compiler without a message.
    let file = syn::parse_file(&source)
        .map_err(|e| syn::Error::new(args.model.span(), format!("emitted code: {e}")))?;
    let watched = watched.iter().map(|path| path.to_string_lossy().into_owned());
    Ok(assemble(&item, &module, &file.items, watched))
}

/// The emitted Rust, or all that is wrong as one text.
/// Files of weights beside the model are added to those that cargo should watch.
fn emit(args: &Args, watched: &mut Vec<PathBuf>) -> Result<String, String> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
    };
    let shown = args.model.value();
    let mut options = Options { target: "rust".into(), ..Options::default() };
    if let (Some(config), Some(path)) = (&args.config, watched.get(1)) {
        let text = String::from_utf8(read(path)?)
            .map_err(|_| format!("{} is not UTF-8 text", path.display()))?;
        let settings = Settings::from_toml(&text, &config.to_string_lossy());
        options = settings.and_then(|s| s.options(&options)).map_err(|e| e.to_string())?;
    }
    let options = args.given.options(&options).map_err(|e| e.to_string())?;
    let model = watched.first().cloned().unwrap_or_default();
    let bytes = read(&model)?;
    let external = tinycc_driver::external::load(&bytes, &model);
    watched.extend(external.paths);
    let compiler = Compiler::new(&bytes, options).file(shown.clone()).inline_weights(true);
    let output = compiler.external(external.files).compile().map_err(|e| e.to_string())?;
    let path = format!("{}.rs", output.report.name);
    let source = output.artifacts.get(&path).ok_or_else(|| format!("{shown}: no Rust emitted"))?;
    String::from_utf8(source.clone()).map_err(|e| e.to_string())
}

/// The struct, the module of what was emitted, and the struct's own functions and constants.
fn assemble(
    item: &ItemStruct,
    module: &Ident,
    emitted: &[Item],
    watched: impl Iterator<Item = String>,
) -> TokenStream {
    let (vis, name) = (&item.vis, &item.ident);
    let forwards = emitted.iter().filter_map(forward);
    let doc = format!("What tinycc emitted for [`{name}`].");
    quote! {
        #item

        #[doc = #doc]
        #[allow(dead_code, reason = "a program needs not all of it")]
        #[allow(clippy::all, clippy::pedantic, reason = "not the user's code")]
        #[allow(unsafe_code, reason = "indexes that the compiler proved to be in range")]
        #vis mod #module {
            #(#emitted)*

            // Makes cargo watch the files.
            #(const _: &[u8] = ::core::include_bytes!(#watched);)*

            impl super::#name {
                /// An arena; all bytes are zero.
                #[must_use]
                pub const fn new_arena() -> Arena {
                    Arena::new()
                }

                #(#forwards)*
            }
        }
    }
}

/// The associated form of a public function or constant.
fn forward(item: &Item) -> Option<TokenStream> {
    if let Item::Const(item) = item
        && matches!(item.vis, Visibility::Public(_))
    {
        let (docs, name, ty) = (docs(&item.attrs), &item.ident, &item.ty);
        return Some(quote!(#(#docs)* pub const #name: #ty = self::#name;));
    }
    if let Item::Fn(ItemFn { attrs, vis: Visibility::Public(_), sig, .. }) = item {
        let (docs, name) = (docs(attrs), &sig.ident);
        let mut sig = sig.clone();
        let mut arguments = Vec::new();
        for (number, input) in sig.inputs.iter_mut().enumerate() {
            let FnArg::Typed(input) = input else { return None };
            let argument = if let Pat::Ident(pat) = &*input.pat {
                pat.ident.clone()
            } else {
                format_ident!("argument_{number}")
            };
            *input.pat = syn::parse_quote!(#argument);
            arguments.push(argument);
        }
        return Some(quote!(#(#docs)* #[inline] pub #sig { self::#name(#(#arguments),*) }));
    }
    None
}

fn docs(attributes: &[syn::Attribute]) -> impl Iterator<Item = &syn::Attribute> {
    let kept = |a: &&syn::Attribute| ["doc", "must_use"].iter().any(|n| a.path().is_ident(n));
    attributes.iter().filter(kept)
}

/// The name of the module beside the struct.
fn module_name(name: &Ident) -> syn::Result<Ident> {
    let snake = snake_case(&name.to_string());
    if *name == snake || syn::parse_str::<Ident>(&snake).is_err() {
        let message = format!("a module `{snake}` cannot stand beside this struct: rename it");
        return Err(syn::Error::new(name.span(), message));
    }
    Ok(Ident::new(&snake, name.span()))
}

/// `WakeWord2` -> `wake_word2`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && after_lower {
            out.push('_');
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        out.extend(c.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
    }

    /// The tokens with single spaces.
    fn expansion(attribute: TokenStream, item: TokenStream) -> String {
        model(attribute, item, &fixtures()).to_string()
    }

    #[test]
    fn the_struct_forwards_to_the_module() {
        let emitted = "
            /// Bytes.
            pub const ARENA_BYTES: usize = 8;
            pub type Arena = [u8; ARENA_BYTES];
            const PRIVATE: i32 = 0;
            /// Runs.
            #[must_use]
            pub fn invoke(arena: &mut Arena, input_0: &[i8; 4], (a, b): (i8, i8)) -> [i8; 2] { x }
            fn layer00() {}
        ";
        let item: ItemStruct = syn::parse_quote!(
            pub(crate) struct WakeWord;
        );
        let file = syn::parse_file(emitted).expect("Rust");
        let module = module_name(&item.ident).expect("name");
        let tokens = assemble(&item, &module, &file.items, ["/a/b".to_string()].into_iter());
        let text = tokens.to_string();
        for wanted in [
            quote!(
                pub(crate) struct WakeWord;
            ),
            quote!(pub(crate) mod wake_word),
            quote!(
                const _: &[u8] = ::core::include_bytes!("/a/b");
            ),
            quote!(
                pub const ARENA_BYTES: usize = self::ARENA_BYTES;
            ),
            quote!(#[must_use] #[inline] pub fn invoke),
            quote!((arena: &mut Arena, input_0: &[i8; 4], argument_2: (i8, i8)) -> [i8; 2]),
            quote!({ self::invoke(arena, input_0, argument_2) }),
            quote!(impl super::WakeWord),
        ] {
            assert!(text.contains(&wanted.to_string()), "no\n{wanted}\nin\n{text}");
        }
        assert!(!text.contains("self :: layer00") && !text.contains("self :: PRIVATE"));
        assert_eq!(text.matches("Runs.").count(), 2, "documentation is forwarded");
        syn::parse_file(&text).expect("the expansion is Rust");
    }

    #[test]
    fn problems_are_compile_errors_and_the_struct_stays() {
        let model = quote!("bad/two_unsupported_ops.tflite");
        let good = quote!("sine/sine_int8.tflite");
        for (attribute, says) in [
            (quote!(), &["a model file is missing"][..]),
            (quote!(kws), &["expected string literal"]),
            (quote!("no.tflite"), &["cannot read", "no.tflite"]),
            (model, &["bad/two_unsupported_ops.tflite: node 0 COS", "node 1 TOPK_V2"]),
            (quote!(#good, max_aren = 1), &["option max-aren", "`max-arena`"]),
            (quote!(#good, core = "z80", max_arena = "x"), &["z80", "not a size"]),
            (quote!(#good, core = "generic", core = "generic"), &["given twice"]),
            (quote!(#good, target = "c"), &["build scripts only"]),
            (quote!(#good, core = f()), &["expected a string or a number"]),
            (quote!(#good, config = "no.toml"), &["cannot read", "no.toml"]),
            (quote!(#good, config = "README.md"), &["README.md", "TCC0601"]),
            (quote!(#good, max_arena = 31), &["--max-arena 31", "layer01_fully_connected"]),
        ] {
            let text = expansion(
                attribute,
                quote!(
                    struct Kws;
                ),
            );
            assert!(text.starts_with("struct Kws ;"), "{text}");
            assert!(text.contains("compile_error !"), "{text}");
            for word in says {
                assert!(text.contains(&word.escape_debug().to_string()), "no {word} in {text}");
            }
        }
        for item in [
            quote!(
                struct Kws(u8);
            ),
            quote!(
                struct Kws<T>;
            ),
            quote!(
                struct kws;
            ),
            quote!(
                struct Loop;
            ),
            quote!(
                enum Kws {}
            ),
        ] {
            let text = expansion(good.clone(), item);
            assert!(text.contains("compile_error !"), "{text}");
        }
        let text = expansion(
            good,
            quote!(
                enum Kws {}
            ),
        );
        assert!(text.contains("goes on a unit struct"), "{text}");
    }

    #[test]
    fn names() {
        for (name, want) in
            [("Kws", "kws"), ("WakeWord2", "wake_word2"), ("KWS", "kws"), ("MnistCnn", "mnist_cnn")]
        {
            assert_eq!(snake_case(name), want);
        }
    }
}
