//! Register tiles -> C: one inline-assembly block on cores with the DSP extension, the same
//! instructions as portable statements elsewhere.

use super::print::Printer;
use tinycc_core::kir::{Intrinsic, Tile, TileInst, TileReg};

/// Macro that selects the assembly; defined in the emitted file's prologue.
pub const ASM_MACRO: &str = "TCC_DSP_ASM";

/// Prints a tile as a block of its own.
pub fn print(p: &mut Printer<'_>, depth: usize, tile: &Tile) {
    p.used.extend([Intrinsic::Sxtb16, Intrinsic::Sxtb16Ror8, Intrinsic::Smlad]);
    p.line(depth, "{");
    let d = depth + 1;
    for cursor in &tile.cursors {
        let start = p.expr(&cursor.start);
        let buffer = p.buffer(cursor.buf).to_string();
        let line = format!("const uint8_t *{} = (const uint8_t *)&{buffer}[{start}];", cursor.name);
        p.line(d, &line);
    }
    let Some(first) = tile.cursors.first() else { return };
    let bytes = tile.trips * first.stride;
    p.line(d, &format!("const uint8_t *const end = {} + {bytes};", first.name));
    let registers: Vec<String> = (0..tile.registers).map(|r| format!("r{r}")).collect();
    p.line(d, &format!("uint32_t {};", registers.join(", ")));
    p.line(d, "do {");
    p.out.push_str(&format!("#if {ASM_MACRO}\n"));
    assembly(p, d + 1, tile);
    p.out.push_str("#else\n");
    portable(p, d + 1, tile);
    p.out.push_str("#endif\n");
    p.line(d, &format!("}} while ({} != end);", first.name));
    p.line(depth, "}");
}

fn assembly(p: &mut Printer<'_>, depth: usize, tile: &Tile) {
    let reg = |r: &TileReg| format!("%[r{}]", r.0);
    p.line(depth, "__asm__ volatile(");
    for inst in &tile.body {
        let text = match inst {
            TileInst::LoadPair { lo, hi, cursor, offset, advance } => {
                let c = &tile.cursors[*cursor];
                let address = match (advance, offset) {
                    (true, _) => format!("[%[{}]], #{}", c.name, c.stride),
                    (false, 0) => format!("[%[{}]]", c.name),
                    (false, n) => format!("[%[{}], #{n}]", c.name),
                };
                format!("ldrd {}, {}, {address}", reg(lo), reg(hi))
            }
            TileInst::Sxtb16 { dst, src, ror8 } => {
                let rotate = if *ror8 { ", ror #8" } else { "" };
                format!("sxtb16 {}, {}{rotate}", reg(dst), reg(src))
            }
            TileInst::Smlad { acc, a, b } => {
                format!("smlad %[a{acc}], {}, {}, %[a{acc}]", reg(a), reg(b))
            }
        };
        p.line(depth + 1, &format!("\"{text}\\n\\t\""));
    }
    let mut outputs: Vec<String> =
        (0..tile.registers).map(|r| format!("[r{r}] \"=&r\"(r{r})")).collect();
    for (i, acc) in tile.accumulators.iter().enumerate() {
        outputs.push(format!("[a{i}] \"+r\"({})", p.var(*acc)));
    }
    for c in &tile.cursors {
        outputs.push(format!("[{0}] \"+r\"({0})", c.name));
    }
    for (i, chunk) in outputs.chunks(4).enumerate() {
        let lead = if i == 0 { ": " } else { "  " };
        let last = (i + 1) * 4 >= outputs.len();
        p.line(depth + 1, &format!("{lead}{}{}", chunk.join(", "), if last { "" } else { "," }));
    }
    p.line(depth + 1, ":");
    p.line(depth + 1, ": \"memory\");");
}

fn portable(p: &mut Printer<'_>, depth: usize, tile: &Tile) {
    for inst in &tile.body {
        match inst {
            TileInst::LoadPair { lo, hi, cursor, offset, advance } => {
                let c = &tile.cursors[*cursor];
                for (register, at) in [(lo, *offset), (hi, *offset + 4)] {
                    let load = format!("tcc_load_u32((const int8_t *){})", shifted(&c.name, at));
                    p.line(depth, &format!("r{} = {load};", register.0));
                }
                if *advance {
                    p.line(depth, &format!("{} += {};", c.name, c.stride));
                }
            }
            TileInst::Sxtb16 { dst, src, ror8 } => {
                let f = if *ror8 { "sxtb16_ror8" } else { "sxtb16" };
                p.line(depth, &format!("r{} = tcc_{f}(r{});", dst.0, src.0));
            }
            TileInst::Smlad { acc, a, b } => {
                let name = p.var(tile.accumulators[*acc]).to_string();
                p.line(depth, &format!("{name} = tcc_smlad(r{}, r{}, {name});", a.0, b.0));
            }
        }
    }
}

fn shifted(name: &str, at: i32) -> String {
    match at {
        0 => name.to_string(),
        n if n < 0 => format!("({name} - {})", -n),
        n => format!("({name} + {n})"),
    }
}
