//! Register tiles -> Rust: one assembly block with the whole loop on Arm, the same instructions as
//! portable statements elsewhere.

use super::lexical::variable;
use super::nodes::{binary, expression, let_stmt};
use super::text::Inserts;
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::quote;
use syn::{Expr, Stmt, parse_quote};
use tinycc_core::kir::{Tile, TileInst, TileReg, Ty};

/// Registers that assembly operands can be bound to on Thumb-2. Each operand gets one of its own:
/// the compiler has nothing to choose, hence nothing to run out of.
const OPERANDS: [&str; 12] =
    ["r0", "r1", "r2", "r3", "r4", "r5", "r8", "r9", "r10", "r11", "r12", "lr"];
/// Registers the compiler keeps for itself: the block saves them and uses them for its last two
/// temporaries.
const SAVED: [&str; 2] = ["r6", "r7"];

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
pub fn statements(tile: &Tile, names: &Names, inserts: &mut Inserts) -> Vec<Stmt> {
    let mut out = Vec::new();
    // Cursors are element numbers until the blocks make addresses of them.
    for (cursor, start) in tile.cursors.iter().zip(&names.starts) {
        out.push(let_stmt(&ident(&cursor.name), Some(Ty::I32), false, start.clone()));
    }
    if let Some(registers) = Registers::of(tile) {
        let assembly = inserts.statement(assembly(tile, names, &registers));
        out.push(parse_quote!(#[cfg(target_arch = "arm")] { #assembly }));
        let portable = portable(tile, names);
        out.push(parse_quote!(#[cfg(not(target_arch = "arm"))] #portable));
    } else {
        let portable = portable(tile, names);
        out.push(parse_quote!(#portable));
    }
    out
}

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// Which register holds what inside the assembly.
struct Registers {
    accumulators: Vec<&'static str>,
    cursors: Vec<&'static str>,
    /// All temporaries, the saved registers last.
    temporaries: Vec<&'static str>,
}

impl Registers {
    /// `None` when the tile needs more than there are.
    fn of(tile: &Tile) -> Option<Self> {
        if tile.cursors.is_empty() {
            return None;
        }
        let mut free = OPERANDS.into_iter();
        let mut take = |n: usize| -> Option<Vec<&'static str>> {
            let taken: Vec<_> = free.by_ref().take(n).collect();
            (taken.len() == n).then_some(taken)
        };
        let accumulators = take(tile.accumulators.len())?;
        let cursors = take(tile.cursors.len())?;
        // One at least is an operand: it brings the end address in.
        let bound = usize::from(tile.registers).checked_sub(SAVED.len()).filter(|&n| n > 0)?;
        let mut temporaries = take(bound)?;
        temporaries.extend(SAVED);
        Some(Self { accumulators, cursors, temporaries })
    }

    fn instruction(&self, tile: &Tile, inst: &TileInst) -> String {
        let reg = |r: &TileReg| self.temporaries.get(usize::from(r.0)).copied().unwrap_or("r7");
        match inst {
            TileInst::LoadPair { lo, hi, cursor, offset, advance } => {
                let (at, stride) = (self.cursors[*cursor], tile.cursors[*cursor].stride);
                let address = match (advance, offset) {
                    (true, _) => format!("[{at}], #{stride}"),
                    (false, 0) => format!("[{at}]"),
                    (false, n) => format!("[{at}, #{n}]"),
                };
                format!("ldrd {}, {}, {address}", reg(lo), reg(hi))
            }
            TileInst::Sxtb16 { dst, src, ror8 } => {
                let rotate = if *ror8 { ", ror #8" } else { "" };
                format!("sxtb16 {}, {}{rotate}", reg(dst), reg(src))
            }
            TileInst::Smlad { acc, a, b } => {
                let acc = self.accumulators[*acc];
                format!("smlad {acc}, {}, {}, {acc}", reg(a), reg(b))
            }
        }
    }
}

/// The block as text: prettyplease would fill its lines.
fn assembly(tile: &Tile, names: &Names, registers: &Registers) -> String {
    // The first temporary brings the end address in; it waits on the stack while the loop runs.
    let (end, first) = (registers.temporaries[0], registers.cursors[0]);
    let mut code = vec!["push {{r6, r7}}".to_string(), format!("push {{{{{end}}}}}"), "2:".into()];
    code.extend(tile.body.iter().map(|inst| registers.instruction(tile, inst)));
    code.push(format!("ldr {end}, [sp]"));
    code.push(format!("cmp {first}, {end}"));
    code.push("bne 2b".into());
    code.push(format!("pop {{{{{end}}}}}"));
    code.push("pop {{r6, r7}}".into());
    let bound = registers.temporaries.len() - SAVED.len();
    let mut operands = vec![format!("inout(\"{end}\") end => _")];
    operands.extend(registers.temporaries[1..bound].iter().map(|r| format!("out(\"{r}\") _")));
    let accumulators = registers.accumulators.iter().zip(&names.accumulators);
    operands.extend(accumulators.map(|(r, acc)| format!("inout(\"{r}\") {acc}")));
    let cursors = tile.cursors.iter().zip(&names.buffers).zip(&registers.cursors);
    operands.extend(cursors.map(|((c, buffer), r)| {
        format!("inout(\"{r}\") {buffer}.as_ptr().offset({} as isize) => _", c.name)
    }));
    let elements = tile.trips * tile.cursors[0].stride / names.sizes[0];
    let mut out = format!(
        "// r6 and r7 are the compiler's: saved and restored. The end address waits at [sp].\n\
         let end = {}.as_ptr().offset({} as isize).add({elements});\ncore::arch::asm!(\n",
        names.buffers[0], tile.cursors[0].name
    );
    for line in code {
        out.push_str(&format!("    \"{line}\",\n"));
    }
    for operand in operands {
        out.push_str(&format!("    {operand},\n"));
    }
    out + ");"
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
