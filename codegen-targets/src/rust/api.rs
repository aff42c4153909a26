//! The public face of an emitted module: sizes, types, quantization, access to inputs and outputs,
//! `invoke`. What runs behind it is in `source`.

use super::lexical::{comment_text, doc_text, float, type_node};
use crate::EmitOptions;
use proc_macro2::{Ident, Literal, Span};
use quote::{format_ident, quote};
use std::collections::BTreeSet;
use syn::{Item, parse_quote};
use tinycc_core::DType;
use tinycc_core::kir::{Module, Port, Ty};

/// What a program can do with the arena besides running models in it.
const ARENA_METHODS: [&str; 3] = ["bytes", "bytes_mut", "zeroise"];

/// Comment above everything. No inner doc comment: `include!` would refuse it.
#[must_use]
pub fn head(module: &Module, options: &EmitOptions) -> String {
    let name = &options.name;
    let (result, inputs) = match module.inputs.len() {
        1 => ("output", "&input"),
        _many => ("outputs", "/* the inputs */"),
    };
    format!(
        "// Made by tinycc {} from {}. Do not edit: compile the model again instead.\n//\n\
         //     let mut arena = {name}::Arena::new();\n\
         //     let {result} = {name}::invoke(&mut arena, {inputs});\n//\n\
         // Without copies: write to input(&mut arena), run(&mut arena), read output(&arena). Inputs are\n\
         // consumed, their bytes are reused while the model runs; outputs stay valid until the inputs\n\
         // are written again. There is no other state, so several arenas may run at once. A static\n\
         // arena costs no stack.\n",
        env!("CARGO_PKG_VERSION"),
        comment_text(&options.source)
    )
}

/// Rust element type of a port; booleans are bytes 0 and 1.
fn element(port: &Port) -> syn::Type {
    type_node(Ty::from(port.ty.dtype))
}

/// The names around one port: none of them numbered when it is the only one.
struct Names {
    /// `input` or `input_1`.
    function: Ident,
    /// `INPUT` or `INPUT_1`.
    constant: String,
    /// `Input` or `Input1`.
    ty: Ident,
    /// `` or `_1`.
    suffix: String,
}

fn names(kind: &str, ports: &[Port], i: usize) -> Names {
    let suffix = if ports.len() == 1 { String::new() } else { format!("_{i}") };
    let function = format_ident!("{kind}{suffix}");
    let mut ty = kind.to_string();
    ty[..1].make_ascii_uppercase();
    let ty = format_ident!("{ty}{}", suffix.replace('_', ""));
    Names { constant: function.to_string().to_uppercase(), function, ty, suffix }
}

/// All public items.
pub fn items(module: &Module, options: &EmitOptions, used: &mut BTreeSet<String>) -> Vec<Item> {
    let bytes = Literal::usize_unsuffixed(module.arena_bytes.max(1));
    let title = format!(" Bytes of working memory that `{}` needs.", options.name);
    let mut items = vec![
        parse_quote!(#[doc = #title] pub const ARENA_BYTES: usize = #bytes;),
        parse_quote! {
            /// Working memory, inputs and outputs included. Made by `Arena::new()`.
            pub type Arena = rt::Arena<ARENA_BYTES>;
        },
    ];
    for (i, port) in module.inputs.iter().enumerate() {
        let names = names("input", &module.inputs, i);
        items.extend(port_items(&names, port));
        items.push(input_access(&names, port));
        items.extend(quantize(&names, port, used));
    }
    for (i, port) in module.outputs.iter().enumerate() {
        let names = names("output", &module.outputs, i);
        items.extend(port_items(&names, port));
        items.push(output_access(&names, port));
        items.extend(dequantize(&names, port));
    }
    if !module.inputs.is_empty() {
        used.insert("Arena::tensor_mut".into());
    }
    if !module.outputs.is_empty() {
        used.insert("Arena::tensor".into());
    }
    for port in module.inputs.iter().chain(&module.outputs) {
        used.insert(super::lexical::type_name(Ty::from(port.ty.dtype)).into());
    }
    used.extend(ARENA_METHODS.iter().map(|m| format!("Arena::{m}")));
    items.push(invoke(module));
    items.push(all_used(&items));
    items
}

/// Marks the interface as used: in a private module the compiler would warn about each function
/// that a program has no need of.
fn all_used(items: &[Item]) -> Item {
    let names = items
        .iter()
        .filter_map(|item| if let Item::Fn(f) = item { Some(&f.sig.ident) } else { None });
    let methods = ARENA_METHODS.map(|m| Ident::new(m, Span::call_site()));
    parse_quote! {
        /// Keeps the compiler from warning about what a program does not call.
        const _: () = {
            let _ = (#(#names,)* #(Arena::#methods,)* <Arena as Default>::default);
        };
    }
}

/// Type alias and constants of a port.
fn port_items(names: &Names, port: &Port) -> Vec<Item> {
    let (ty, element) = (&names.ty, element(port));
    let len = Literal::usize_unsuffixed(port.ty.shape.elements());
    let title = format!(
        " {}: {}, shape {}, last index fastest.",
        doc_text(&format!("\"{}\"", port.name)),
        port.ty.dtype,
        doc_text(&format!("[{}]", port.ty.shape)),
    );
    let mut items = vec![parse_quote!(#[doc = #title] pub type #ty = [#element; #len];)];
    if let Some(quant) = port.quant.as_ref().filter(|q| q.scales.len() == 1) {
        let scale_name = format_ident!("{}_SCALE", names.constant);
        let zero_name = format_ident!("{}_ZERO_POINT", names.constant);
        let (scale, zero) = (float(quant.scale()), i64::from(quant.zero_point()));
        let zero = super::lexical::int(zero, None);
        let title = format!(" real = {scale_name} * (value - {zero_name})");
        let title = format!(" `{}`", title.trim());
        items.push(parse_quote! {
            #[doc = #title]
            pub const #scale_name: f32 = #scale;
        });
        items.push(parse_quote! {
            /// The value that stands for real 0.
            pub const #zero_name: i32 = #zero;
        });
    }
    items
}

fn input_access(names: &Names, port: &Port) -> Item {
    let (function, ty, element) = (&names.function, &names.ty, element(port));
    let offset = Literal::usize_unsuffixed(port.offset);
    let len = Literal::usize_unsuffixed(port.ty.shape.elements());
    parse_quote! {
        /// The input in the arena, to be filled before `run`.
        pub fn #function(arena: &mut Arena) -> &mut #ty {
            arena.tensor_mut::<#element, #offset, #len>()
        }
    }
}

fn output_access(names: &Names, port: &Port) -> Item {
    let (function, ty, element) = (&names.function, &names.ty, element(port));
    let offset = Literal::usize_unsuffixed(port.offset);
    let len = Literal::usize_unsuffixed(port.ty.shape.elements());
    parse_quote! {
        /// The output in the arena, valid after `run`.
        pub fn #function(arena: &Arena) -> &#ty {
            arena.tensor::<#element, #offset, #len>()
        }
    }
}

/// Smallest and largest value of a quantized type.
fn limits(dtype: DType) -> Option<(i64, i64)> {
    match dtype {
        DType::I8 => Some((-128, 127)),
        DType::U8 => Some((0, 255)),
        DType::I16 => Some((-32768, 32767)),
        DType::U16 => Some((0, 65535)),
        DType::I32
        | DType::U32
        | DType::I64
        | DType::U64
        | DType::F16
        | DType::BF16
        | DType::F32
        | DType::F64
        | DType::Bool
        | DType::Small(_) => None,
    }
}

fn is_quantized(port: &Port) -> bool {
    port.quant.as_ref().is_some_and(|q| q.scales.len() == 1) && limits(port.ty.dtype).is_some()
}

fn quantize(names: &Names, port: &Port, used: &mut BTreeSet<String>) -> Option<Item> {
    let (lo, hi) = limits(port.ty.dtype).filter(|_| is_quantized(port))?;
    used.extend(["clamp", "round_half_away_f32"].map(String::from));
    let (element, name) = (element(port), format_ident!("quantize{}", names.suffix));
    let scale = format_ident!("{}_SCALE", names.constant);
    let zero = format_ident!("{}_ZERO_POINT", names.constant);
    let (lo, hi) = (super::lexical::int(lo, None), super::lexical::int(hi, None));
    Some(parse_quote! {
        /// The input value nearest to `real`; what is out of range saturates, NaN gives real 0.
        pub fn #name(real: f32) -> #element {
            let steps = rt::round_half_away_f32(real / #scale);
            (rt::clamp(steps, #lo - #zero, #hi - #zero) + #zero) as #element
        }
    })
}

fn dequantize(names: &Names, port: &Port) -> Option<Item> {
    if !is_quantized(port) {
        return None;
    }
    let (element, name) = (element(port), format_ident!("dequantize{}", names.suffix));
    let scale = format_ident!("{}_SCALE", names.constant);
    let zero = format_ident!("{}_ZERO_POINT", names.constant);
    Some(parse_quote! {
        /// The real number an output value stands for.
        pub fn #name(value: #element) -> f32 {
            (i32::from(value) - #zero) as f32 * #scale
        }
    })
}

/// Copies in, runs, copies out.
fn invoke(module: &Module) -> Item {
    let ports = |kind: &str, ports: &[Port]| -> Vec<Names> {
        (0..ports.len()).map(|i| names(kind, ports, i)).collect()
    };
    let inputs = ports("input", &module.inputs);
    let outputs = ports("output", &module.outputs);
    let (names, types): (Vec<_>, Vec<_>) = inputs.iter().map(|n| (&n.function, &n.ty)).unzip();
    let (results, result_types): (Vec<_>, Vec<_>) =
        outputs.iter().map(|n| (&n.function, &n.ty)).unzip();
    let (result_type, result) = match outputs.len() {
        1 => (quote!(#(#result_types)*), quote!(#(*#results(arena))*)),
        _many => (quote!((#(#result_types,)*)), quote!((#(*#results(arena),)*))),
    };
    // Parameters hide the functions of the same name, hence `self::`.
    let many = (inputs.len() > 6).then(
        || quote!(#[allow(clippy::too_many_arguments, reason = "one per input of the model")]),
    );
    let arena = Ident::new("arena", Span::call_site());
    parse_quote! {
        /// One inference: copies the input into the arena, runs, returns a copy of the output.
        #many
        pub fn invoke(#arena: &mut Arena, #(#names: &#types),*) -> #result_type {
            #(*self::#names(arena) = *#names;)*
            run(arena);
            #result
        }
    }
}
