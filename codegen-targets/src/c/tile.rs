//! Register tiles -> C: one inline-assembly block on cores with the DSP extension, the same
//! instructions as portable statements elsewhere.

use tinycc_core::kir::{Intrinsic, Tile, TileInst, TileReg};

/// Macro that selects the assembly; defined in the emitted file's prologue.
pub const ASM_MACRO: &str = "TCC_DSP_ASM";

/// Helpers the portable spelling calls.
pub const INTRINSICS: [Intrinsic; 3] = [Intrinsic::Sxtb16, Intrinsic::Sxtb16Ror8, Intrinsic::Smlad];

/// What the surrounding function calls the tile's operands.
#[derive(Debug)]
pub struct Names {
    /// Address of the first element, per cursor.
    pub starts: Vec<String>,
    /// Variable name, per accumulator.
    pub accumulators: Vec<String>,
}

/// Lines of C with their depth below the surrounding block; `None` starts in column 0.
pub type Lines = Vec<(Option<usize>, String)>;

/// The tile as a block of its own.
#[must_use]
pub fn lines(tile: &Tile, names: &Names) -> Lines {
    let mut out: Lines = vec![(Some(0), "{".into())];
    for (cursor, start) in tile.cursors.iter().zip(&names.starts) {
        let line = format!("const uint8_t *{} = (const uint8_t *){start};", cursor.name);
        out.push((Some(1), line));
    }
    let Some(first) = tile.cursors.first() else { return Lines::new() };
    let bytes = tile.trips * first.stride;
    out.push((Some(1), format!("const uint8_t *const end = {} + {bytes};", first.name)));
    let registers: Vec<String> = (0..tile.registers).map(|r| format!("r{r}")).collect();
    out.push((Some(1), format!("uint32_t {};", registers.join(", "))));
    out.push((Some(1), "do {".into()));
    out.push((None, format!("#if {ASM_MACRO}")));
    assembly(&mut out, tile, names);
    out.push((None, "#else".into()));
    portable(&mut out, tile, names);
    out.push((None, "#endif".into()));
    out.push((Some(1), format!("}} while ({} != end);", first.name)));
    out.push((Some(0), "}".into()));
    out
}

fn assembly(out: &mut Lines, tile: &Tile, names: &Names) {
    let reg = |r: &TileReg| format!("%[r{}]", r.0);
    out.push((Some(2), "__asm__ volatile(".into()));
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
        out.push((Some(3), format!("\"{text}\\n\\t\"")));
    }
    let mut outputs: Vec<String> =
        (0..tile.registers).map(|r| format!("[r{r}] \"=&r\"(r{r})")).collect();
    for (i, acc) in names.accumulators.iter().enumerate() {
        outputs.push(format!("[a{i}] \"+r\"({acc})"));
    }
    for c in &tile.cursors {
        outputs.push(format!("[{0}] \"+r\"({0})", c.name));
    }
    for (i, chunk) in outputs.chunks(4).enumerate() {
        let lead = if i == 0 { ": " } else { "  " };
        let last = (i + 1) * 4 >= outputs.len();
        out.push((Some(3), format!("{lead}{}{}", chunk.join(", "), if last { "" } else { "," })));
    }
    out.push((Some(3), ":".into()));
    out.push((Some(3), ": \"memory\");".into()));
}

fn portable(out: &mut Lines, tile: &Tile, names: &Names) {
    for inst in &tile.body {
        match inst {
            TileInst::LoadPair { lo, hi, cursor, offset, advance } => {
                let c = &tile.cursors[*cursor];
                for (register, at) in [(lo, *offset), (hi, *offset + 4)] {
                    let load = format!("tcc_load_u32((const int8_t *){})", shifted(&c.name, at));
                    out.push((Some(2), format!("r{} = {load};", register.0)));
                }
                if *advance {
                    out.push((Some(2), format!("{} += {};", c.name, c.stride)));
                }
            }
            TileInst::Sxtb16 { dst, src, ror8 } => {
                let f = if *ror8 { "sxtb16_ror8" } else { "sxtb16" };
                out.push((Some(2), format!("r{} = tcc_{f}(r{});", dst.0, src.0)));
            }
            TileInst::Smlad { acc, a, b } => {
                let name = &names.accumulators[*acc];
                out.push((Some(2), format!("{name} = tcc_smlad(r{}, r{}, {name});", a.0, b.0)));
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
