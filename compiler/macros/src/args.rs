//! The arguments of the attribute: a path, then options. What the options mean is in
//! `tinycc-driver`.

use proc_macro2::Span;
use std::path::PathBuf;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Token};
use tinycc_driver::Settings;

/// `"models/kws.tflite", core = "cortex-m4", …`
pub(crate) struct Args {
    /// Path as written.
    pub model: LitStr,
    /// File of options.
    pub config: Option<PathBuf>,
    /// The other options.
    pub given: Settings,
}

/// Options that change which files are written; the attribute writes none.
const FILES_ONLY: &[&str] = &["target", "crate", "example"];

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() {
            let message = "a model file is missing: #[tinycc::model(\"models/kws.tflite\")]";
            return Err(syn::Error::new(Span::call_site(), message));
        }
        let mut args = Self { model: input.parse()?, config: None, given: Settings::new("") };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key = input.call(Ident::parse_any)?;
            input.parse::<Token![=]>()?;
            args.option(&key, &input.parse()?)?;
        }
        Ok(args)
    }
}

impl Args {
    fn option(&mut self, key: &Ident, value: &Expr) -> syn::Result<()> {
        let name = key.to_string().replace('_', "-");
        if FILES_ONLY.contains(&name.as_str()) {
            let message = format!("`{key}` is for tinycc compile and build scripts only");
            return Err(syn::Error::new(key.span(), message));
        }
        if self.given.get(&name).is_some() || name == "config" && self.config.is_some() {
            return Err(syn::Error::new(key.span(), format!("`{key}` is given twice")));
        }
        if let Expr::Array(list) = value {
            for element in &list.elems {
                self.given.add(&name, text(element)?);
            }
            return Ok(());
        }
        match name.as_str() {
            "config" => self.config = Some(text(value)?.into()),
            "input-shape" | "input-value" => self.given.add(&name, text(value)?),
            _single => self.given.set(&name, text(value)?),
        }
        Ok(())
    }
}

/// A string, or a number as text.
fn text(value: &Expr) -> syn::Result<String> {
    if let Expr::Lit(ExprLit { lit, .. }) = value {
        if let Lit::Str(text) = lit {
            return Ok(text.value());
        }
        if let Lit::Int(number) = lit {
            return Ok(number.base10_digits().to_string());
        }
    }
    Err(syn::Error::new_spanned(value, "expected a string or a number"))
}
