//! Classifies a picture of a digit: 28 x 28 grey pixels, white on black, binary PGM.

mod digits {
    tinycc::include_model!("digits");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: classify PICTURE.pgm")?;
    let pixels = pgm(&std::fs::read(&path)?).ok_or("not a binary PGM of 28 x 28 grey pixels")?;
    let input: digits::Input = pixels.map(|pixel| digits::quantize(f32::from(pixel) / 255.0));
    let scores = digits::invoke(&mut digits::Arena::new(), &input);
    let best = (0..scores.len()).max_by_key(|&class| scores[class]).ok_or("no classes")?;
    println!("{path}: {best} ({:.1} %)", 100.0 * digits::dequantize(scores[best]));
    Ok(())
}

/// The pixels; before them are four words and lines of comment.
fn pgm(file: &[u8]) -> Option<[u8; 28 * 28]> {
    let (header, pixels) = file.split_last_chunk()?;
    let lines = str::from_utf8(header).ok()?.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).eq(["P5", "28", "28", "255"]).then_some(*pixels)
}
