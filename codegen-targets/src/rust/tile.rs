//! Register tiles -> Rust: one assembly block with the whole loop on Arm, the same instructions as
//! portable statements elsewhere.

use super::lexical::variable;
use super::print::{binary, expression, let_stmt};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;
use syn::{Expr, Stmt, parse_quote};
use tinycc_core::kir::{Tile, TileInst, TileReg, Ty};

/// Registers the compiler hands out to assembly operands on Thumb-2: r0..r5, r8..r12 and lr. r6 and
/// r7 it keeps for itself; the block saves them and uses them for its last two temporaries.
const OPERANDS: usize = 12;

/// What the surrounding function calls the tile's operands.

pub struct Names {
    /// First element, per cursor.
    pub starts: Vec<Expr>,
    /// Buffer, per cursor.
    pub buffers: Vec<Ident>,
    /// Bytes per element of the buffer, per cursor.
    pub sizes: Vec<usize>,
    /// Variable name, per accumulator.
    pub accumulators: Vec<Ident>,
}

/// The tile as two blocks of which the compiler takes one.
#[must_use]
pub fn statements(tile: &Tile, names: &Names) -> Vec<Stmt> {
    let mut out = Vec::new();
    // Cursors are element numbers until the blocks make addresses of them.
    for (cursor, start) in tile.cursors.iter().zip(&names.starts) {
        out.push(let_stmt(&ident(&cursor.name), Some(Ty::I32), false, start.clone()));
    }
    let fits = tile.accumulators.len() + tile.cursors.len() + usize::from(tile.registers)
        <= OPERANDS + SAVED.len();
    if fits && tile.registers > SAVED.len() as u8 {
        let assembly = assembly(tile, names);
        out.push(parse_quote!(#[cfg(target_arch = "arm")] #assembly));
        let portable = portable(tile, names);
        out.push(parse_quote!(#[cfg(not(target_arch = "arm"))] #portable));
    } else {
        let portable = portable(tile, names);
        out.push(parse_quote!(#portable));
    }
    out
}

/// Registers the block saves itself.
const SAVED: [&str; 2] = ["r6", "r7"];

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// How the text of the assembly names a temporary: the last two are the saved registers.
fn register(tile: &Tile, r: u8) -> String {
    let first_saved = tile.registers - SAVED.len() as u8;
    match r.checked_sub(first_saved) {
        Some(saved) => SAVED[usize::from(saved)].into(),
        None => format!("{{r{r}}}"),
    }
}

fn assembly(tile: &Tile, names: &Names) -> TokenStream {
    // Temporary 0 brings the end address in; it waits on the stack while the loop runs.
    let mut text = vec!["push {{r6, r7}}".to_string(), "push {{{r0}}}".into(), "2:".into()];
    text.extend(tile.body.iter().map(|inst| instruction(tile, inst)));
    let first = tile.cursors.first().map_or("", |c| c.name.as_str());
    text.push("ldr {r0}, [sp]".into());
    text.push(format!("cmp {{{first}}}, {{r0}}"));
    text.push("bne 2b".into());
    text.push("pop {{{r0}}}".into());
    text.push("pop {{r6, r7}}".into());
    let free = (1..tile.registers - SAVED.len() as u8).map(|r| {
        let r = ident(&format!("r{r}"));
        quote!(#r = out(reg) _)
    });
    let accumulators = names.accumulators.iter().enumerate().map(|(i, acc)| {
        let a = ident(&format!("a{i}"));
        quote!(#a = inout(reg) #acc)
    });
    let cursors = tile.cursors.iter().zip(&names.buffers).map(|(c, buffer)| {
        let name = ident(&c.name);
        quote!(#name = inout(reg) #buffer.as_ptr().offset(#name as isize) => _)
    });
    let (start, buffer) = (ident(first), names.buffers.first());
    let stride = tile.cursors.first().map_or(0, |c| c.stride);
    let size = names.sizes.first().copied().unwrap_or(1);
    let elements = Literal::usize_unsuffixed(tile.trips * stride / size);
    quote! {{
        let end = #buffer.as_ptr().offset(#start as isize).add(#elements);
        core::arch::asm!(
            #(#text,)*
            r0 = inout(reg) end => _,
            #(#free,)*
            #(#accumulators,)*
            #(#cursors,)*
        );
    }}
}

fn instruction(tile: &Tile, inst: &TileInst) -> String {
    let reg = |r: &TileReg| register(tile, r.0);
    match inst {
        TileInst::LoadPair { lo, hi, cursor, offset, advance } => {
            let c = &tile.cursors[*cursor];
            let address = match (advance, offset) {
                (true, _) => format!("[{{{}}}], #{}", c.name, c.stride),
                (false, 0) => format!("[{{{}}}]", c.name),
                (false, n) => format!("[{{{}}}, #{n}]", c.name),
            };
            format!("ldrd {}, {}, {address}", reg(lo), reg(hi))
        }
        TileInst::Sxtb16 { dst, src, ror8 } => {
            let rotate = if *ror8 { ", ror #8" } else { "" };
            format!("sxtb16 {}, {}{rotate}", reg(dst), reg(src))
        }
        TileInst::Smlad { acc, a, b } => {
            format!("smlad {{a{acc}}}, {}, {}, {{a{acc}}}", reg(a), reg(b))
        }
    }
}

fn portable(tile: &Tile, names: &Names) -> TokenStream {
    let mut body: Vec<Stmt> = Vec::new();
    let r = |r: &TileReg| ident(&format!("r{}", r.0));
    for inst in &tile.body {
        match inst {
            TileInst::LoadPair { lo, hi, cursor, offset, advance } => {
                let (c, buffer) = (ident(&tile.cursors[*cursor].name), &names.buffers[*cursor]);
                let size = names.sizes[*cursor] as i64;
                for (register, at) in [(lo, *offset), (hi, *offset + 4)] {
                    let register = r(register);
                    let index = shifted(&c, i64::from(at) / size);
                    body.push(parse_quote!(let #register = #buffer.word(#index);));
                }
                if *advance {
                    let stride = tile.cursors[*cursor].stride as i64 / size;
                    let step = super::lexical::int(stride, None);
                    let op = syn::BinOp::AddAssign(Default::default());
                    body.push(expression(binary(op, variable(&c), step)));
                }
            }
            TileInst::Sxtb16 { dst, src, ror8 } => {
                let f = ident(if *ror8 { "sxtb16_ror8" } else { "sxtb16" });
                let (dst, src) = (r(dst), r(src));
                body.push(parse_quote!(let #dst = rt::#f(#src);));
            }
            TileInst::Smlad { acc, a, b } => {
                let (acc, a, b) = (&names.accumulators[*acc], r(a), r(b));
                body.push(parse_quote!(#acc = rt::smlad(#a, #b, #acc);));
            }
        }
    }
    let cursors: Vec<Ident> = tile.cursors.iter().map(|c| ident(&c.name)).collect();
    let trips = Literal::usize_unsuffixed(tile.trips);
    quote! {{
        let (#(mut #cursors,)*) = (#(#cursors,)*);
        for _ in 0..#trips {
            #(#body)*
        }
    }}
}

/// `name + at` without the `+ 0`.
fn shifted(name: &Ident, at: i64) -> Expr {
    let n = super::lexical::int(at.abs(), None);
    match at {
        0 => variable(name),
        1.. => binary(syn::BinOp::Add(Default::default()), variable(name), n),
        _negative => binary(syn::BinOp::Sub(Default::default()), variable(name), n),
    }
}
