//! Text on the semihosting terminal. Not `core::fmt`: that brings panics and twice the model's code.

use crate::semihost::{File, Mode};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Prints one part after the other: `print!("sets ", 3u64, "\n")`.
macro_rules! print {
    ($($part:expr),+ $(,)?) => {{ $($crate::console::Print::print($part);)+ }};
}
pub(crate) use print;

/// What the console can show.
pub trait Print {
    fn print(self);
}

impl Print for &str {
    fn print(self) {
        bytes(self.as_bytes());
    }
}

impl Print for u64 {
    fn print(self) {
        digits(self, 1);
    }
}

impl Print for i64 {
    fn print(self) {
        if self < 0 {
            bytes(b"-");
        }
        digits(self.unsigned_abs(), 1);
    }
}

/// Six digits after the point; scientific notation below 1e-3 and from 1e6 on.
impl Print for f32 {
    fn print(self) {
        if self.is_nan() {
            return bytes(b"nan");
        }
        if self.is_sign_negative() && self != 0.0 {
            bytes(b"-");
        }
        let mut magnitude = f64::from(self.abs());
        if magnitude > f64::from(f32::MAX) {
            return bytes(b"inf");
        }
        let mut exponent = 0i64;
        if magnitude != 0.0 && !(1e-3..1e6).contains(&magnitude) {
            while magnitude >= 10.0 {
                magnitude /= 10.0;
                exponent += 1;
            }
            while magnitude < 1.0 {
                magnitude *= 10.0;
                exponent -= 1;
            }
            // What would print as 10.000000 is 1.000000 of the next power.
            if magnitude >= 9.999_999_5 {
                magnitude = 1.0;
                exponent += 1;
            }
        }
        let millionths = (magnitude * 1e6 + 0.5) as u64;
        print!(millionths / 1_000_000, ".");
        digits(millionths % 1_000_000, 6);
        if exponent != 0 {
            print!("e", exponent);
        }
    }
}

/// An address or register.
pub struct Hex(pub u32);

impl Print for Hex {
    fn print(self) {
        for shift in [28, 24, 20, 16, 12, 8, 4, 0] {
            let digit = (self.0 >> shift & 15) as u8;
            bytes(&[if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }]);
        }
    }
}

/// At least `width` decimal digits, which may be up to 20.
fn digits(mut value: u64, width: usize) {
    let mut text = [b'0'; 20];
    let mut used = 0;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 && used >= width {
            break;
        }
    }
    bytes(text.get(text.len() - used..).unwrap_or_default());
}

fn bytes(text: &[u8]) {
    /// Handle + 1; 0 before the first text.
    static TERMINAL: AtomicUsize = AtomicUsize::new(0);
    let terminal = match TERMINAL.load(Ordering::Relaxed) {
        0 => File::open(c":tt", Mode::WriteText),
        known => Some(File(known - 1)),
    };
    if let Some(terminal) = terminal {
        TERMINAL.store(terminal.0 + 1, Ordering::Relaxed);
        terminal.write(text);
    }
}
