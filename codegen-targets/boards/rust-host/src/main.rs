//! Runs the model as a filter: reads input sets from stdin until end of file (all inputs of the
//! model, raw little-endian, in model order) and writes each result (all outputs, raw, in order) to
//! stdout. Exit code 0; 1 with a message when the input ends inside a set or output fails.

#[allow(dead_code, unused_imports, reason = "generated; offers more than is used here")]
mod model;

use model::{Arena, INPUTS, OUTPUTS, Port};
use std::io::{BufReader, BufWriter, Error, ErrorKind, Read, Result, Write, stdin, stdout};
use std::process::ExitCode;

/// The bytes of an input or output in the arena.
fn bytes<'a>(arena: &'a mut Arena, port: &Port) -> &'a mut [u8] {
    &mut arena.bytes_mut()[port.offset..port.offset + port.bytes]
}

/// Fills all inputs; `false` at the end of the input.
fn read_inputs(arena: &mut Arena, from: &mut impl Read) -> Result<bool> {
    let mut seen = 0;
    for port in INPUTS {
        let to = bytes(arena, port);
        let mut filled = 0;
        while filled < to.len() {
            match from.read(&mut to[filled..]) {
                Ok(0) if seen + filled == 0 => return Ok(false),
                Ok(0) => return Err(Error::other("the input ends in the middle of a set")),
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        seen += filled;
    }
    Ok(true)
}

fn run() -> Result<()> {
    let mut arena = Box::new(Arena::new());
    let (mut input, mut output) = (BufReader::new(stdin().lock()), BufWriter::new(stdout().lock()));
    while read_inputs(&mut arena, &mut input)? {
        model::run(&mut arena);
        for port in OUTPUTS {
            output.write_all(bytes(&mut arena, port))?;
        }
        if INPUTS.is_empty() {
            break;
        }
    }
    output.flush()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
