//! Runs the model on the board: reads input sets, writes the outputs, reports instructions, stack
//! and arena. What is the model's comes from `model.rs`, what is the board's from `board.rs`,
//! `processor.rs` and `startup.rs`.
//!
//! `input.bin` holds any number of input sets, each being all inputs, raw little-endian, in model
//! order; `output.bin` receives the outputs in the same way. Without `input.bin` one set is made
//! up. Exit status: 0, 1 (message), 99 (processor fault), 101 (panic).

#![no_std]
#![no_main]

mod board;
mod console;
#[allow(dead_code, unused_imports, reason = "generated; offers more than is used here")]
mod model;
mod processor;
mod semihost;
mod startup;

use board::Time;
use console::print;
use core::hint::black_box;
use model::{Arena, INPUTS, OUTPUTS, Port};
use semihost::{File, Mode};

/// Sets that are printed; the others are in `output.bin` only.
const PRINTED_SETS: u64 = 4;
/// Printed values of each output.
const PRINTED_VALUES: usize = 16;
const PAINT: u32 = 0xC0DE_FACE;

fn fail(message: &str) -> ! {
    print!("error: ", message, "\n");
    semihost::exit(1)
}

/// Nothing in the release build panics, so that this is not linked there.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    print!("panic");
    if let Some(at) = info.location() {
        print!(" at ", at.file(), ":", u64::from(at.line()));
    }
    print!("\n");
    semihost::exit(101)
}

// ---- measuring ----

struct Cost {
    instructions: u64,
    stack: usize,
}

type Task = extern "C" fn(&mut Arena);

extern "C" fn run_model(arena: &mut Arena) {
    model::run(arena);
}

extern "C" fn spin<const ITERATIONS: usize>(_: &mut Arena) {
    processor::spin(ITERATIONS);
}

/// Runs `task` and measures it: executed instructions, and the bytes of stack changed below this
/// frame.
#[inline(never)]
fn measure(task: Task, arena: &mut Arena) -> Cost {
    let task = black_box(task);
    let (limit, sp) = (processor::stack_limit(), processor::stack_pointer());
    let words = sp.saturating_sub(limit as usize) / size_of::<u32>();
    for i in 0..words {
        // SAFETY: from the limit up to the stack pointer the stack is unused. Volatile, or it
        // becomes a call of memset, which would paint over its own frame.
        unsafe { limit.add(i).write_volatile(PAINT) };
    }
    let from = Time::now();
    task(arena);
    let instructions = from.instructions_since();
    let mut untouched = 0;
    // SAFETY: the words painted above.
    while untouched < words && unsafe { limit.add(untouched).read_volatile() } == PAINT {
        untouched += 1;
    }
    if untouched == 0 {
        fail("stack overflow: raise __stack_size in link.ld");
    }
    Cost { instructions, stack: (words - untouched) * size_of::<u32>() }
}

/// Whether the counter really counts instructions: `spin` executes two per iteration.
fn counter_works(arena: &mut Arena) -> bool {
    let shorter = measure(spin::<500>, arena).instructions;
    measure(spin::<1500>, arena).instructions == shorter + 2 * 1000
}

// ---- inputs and outputs ----

/// The bytes of an input or output in the arena.
fn bytes<'a>(arena: &'a mut Arena, port: &Port) -> &'a mut [u8] {
    let place = port.offset..port.offset + port.bytes;
    arena.bytes_mut().get_mut(place).unwrap_or_default()
}

/// Fixed pseudo-random bytes.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 24) as u8
    }

    /// Floats in [-1, 1), any byte for 8 and 16 bits, 0 for the wider integers, which often are
    /// indices.
    fn fill(&mut self, to: &mut [u8], dtype: char) {
        if dtype == 'f' {
            for to in to.chunks_exact_mut(4) {
                let value = f32::from(self.next() as i8) / 128.0;
                for (to, byte) in to.iter_mut().zip(value.to_le_bytes()) {
                    *to = byte;
                }
            }
            return;
        }
        for to in to {
            let byte = self.next();
            *to = match dtype {
                'i' | 'q' => 0,
                '?' => byte & 1,
                _ => byte,
            };
        }
    }
}

/// Fills the inputs from the open file, or makes them up without one.
fn load_inputs(arena: &mut Arena, file: Option<File>, random: &mut Random) {
    for port in INPUTS {
        let to = bytes(arena, port);
        match file {
            None => random.fill(to, port.dtype),
            Some(file) if file.read(to) => {}
            Some(_) => fail("input.bin: read failed"),
        }
    }
}

fn element_bytes(dtype: char) -> usize {
    match dtype {
        'h' | 'H' | 'e' | 'E' => 2,
        'i' | 'I' | 'f' => 4,
        'q' | 'Q' | 'd' => 8,
        _ => 1,
    }
}

fn print_element(dtype: char, from: &[u8]) {
    let mut raw = [0u8; 8];
    for (to, byte) in raw.iter_mut().zip(from) {
        *to = *byte;
    }
    let [a, b, c, d, ..] = raw;
    print!(" ");
    match dtype {
        'b' => print!(i64::from(a as i8)),
        'h' => print!(i64::from(i16::from_le_bytes([a, b]))),
        'i' => print!(i64::from(i32::from_le_bytes([a, b, c, d]))),
        'q' => print!(i64::from_le_bytes(raw)),
        // float16 and bfloat16: their bits
        'H' | 'e' | 'E' => print!(u64::from(u16::from_le_bytes([a, b]))),
        'I' => print!(u64::from(u32::from_le_bytes([a, b, c, d]))),
        'Q' => print!(u64::from_le_bytes(raw)),
        'f' => print!(f32::from_le_bytes([a, b, c, d])),
        'd' => print!(f64::from_le_bytes(raw) as f32),
        _ => print!(u64::from(a)), // uint8, bool
    }
}

fn print_output(index: u64, dtype: char, from: &[u8]) {
    print!("  output ", index, ":");
    let mut elements = from.chunks(element_bytes(dtype));
    for element in elements.by_ref().take(PRINTED_VALUES) {
        print_element(dtype, element);
    }
    print!(if elements.next().is_some() { " ...\n" } else { "\n" });
}

fn store_outputs(arena: &mut Arena, set: u64, file: File) {
    if set < PRINTED_SETS {
        print!("set ", set, "\n");
    } else if set == PRINTED_SETS {
        print!("(the other sets are in output.bin)\n");
    }
    for (index, port) in OUTPUTS.iter().enumerate() {
        let from = bytes(arena, port);
        if !file.write(from) {
            fail("output.bin: write failed");
        }
        if set < PRINTED_SETS {
            print_output(index as u64, port.dtype, from);
        }
    }
}

/// The number of input sets in the open file; one without a file.
fn count_sets(file: Option<File>) -> u64 {
    let bytes = INPUTS.iter().map(|port| port.bytes as u64).sum::<u64>();
    let Some(file) = file else { return 1 };
    if bytes == 0 {
        return 1;
    }
    let length = file.length().unwrap_or(0) as u64;
    let sets = length.checked_div(bytes).unwrap_or(0);
    if sets == 0 || sets * bytes != length {
        print!("an input set has ", bytes, " bytes, input.bin ", length, "\n");
        fail("input.bin: not a whole number of input sets");
    }
    sets
}

/// Called once by the board's reset code.
fn main() -> usize {
    static mut ARENA: Arena = Arena::new();
    let arena = &raw mut ARENA;
    // SAFETY: the only reference, since this function is called once.
    let arena = unsafe { &mut *arena };
    let counts = counter_works(arena);
    let nothing = measure(processor::return_at_once, arena);

    let input = File::open(c"input.bin", Mode::Read);
    let Some(output) = File::open(c"output.bin", Mode::Write) else {
        fail("output.bin: cannot be written")
    };
    if input.is_none() {
        print!("no input.bin: made-up input\n");
    }
    let sets = count_sets(input);
    let mut random = Random(1);
    let (mut most, mut fewest, mut stack) = (0, u64::MAX, 0);
    for set in 0..sets {
        load_inputs(arena, input, &mut random);
        let cost = measure(run_model, arena);
        // `nothing` counted one instruction of its own, the return.
        let instructions = cost.instructions + 1 - nothing.instructions;
        most = most.max(instructions);
        fewest = fewest.min(instructions);
        stack = stack.max(cost.stack - nothing.stack);
        store_outputs(arena, set, output);
    }
    output.close();

    print!("sets ", sets, "\n");
    if counts {
        print!("instructions ", most, "\n"); // of one inference; the largest of all sets
        if fewest != most {
            print!("instructions_min ", fewest, "\n");
        }
    } else {
        print!("instructions unknown (QEMU needs -icount ", board::ICOUNT, ")\n");
    }
    print!("stack ", stack as u64, "\narena ", model::ARENA_BYTES as u64, "\n");
    0
}
