//! Runs the model once on a picture in flash and prints the result through the debugger.
#![no_main]
#![no_std]

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use panic_semihosting as _;

mod digits {
    tinycc::include_model!("digits");
}

/// 28 x 28 grey pixels, behind a header.
const PICTURE: &[u8] = include_bytes!("../../../fixtures/digits/seven.pgm");

#[entry]
fn main() -> ! {
    static mut ARENA: digits::Arena = digits::Arena::new();
    let input = digits::input(ARENA);
    for (value, &pixel) in input.iter_mut().rev().zip(PICTURE.iter().rev()) {
        *value = digits::quantize(f32::from(pixel) / 255.0);
    }
    digits::run(ARENA);
    let scores = digits::output(ARENA);
    if let Some((best, &score)) = scores.iter().enumerate().max_by_key(|(_, score)| **score) {
        hprintln!("digit {} ({} %)", best, (100.0 * digits::dequantize(score)) as u32);
    }
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}
