//! Seeded damage to model files: blind (bits, splices, truncation) and aware of the structure
//! (shapes, indices, options, scales). The same seed gives the same file on every machine.

use crate::spots::{Kind, Spots};

/// xorshift64*.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator; any seed will do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.next();
        random
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "not an iterator: it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() >> 16) as usize % n }
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Extents and options at which arithmetic goes wrong.
const WORDS: &[u32] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    255,
    256,
    1000,
    4096,
    65_535,
    65_536,
    1 << 20,
    1 << 24,
    1 << 28,
    (1 << 30) + 1,
    i32::MAX as u32 - 1,
    i32::MAX as u32,
    1 << 31,
    u32::MAX - 127,
    u32::MAX - 1,
    u32::MAX,
];

const SCALES: &[f32] = &[
    0.0,
    -1.0,
    f32::NAN,
    f32::INFINITY,
    f32::MIN_POSITIVE,
    1e-45,
    1e-30,
    1e-6,
    0.1,
    1.0,
    300.0,
    1e9,
    1e30,
    f32::MAX,
];

const ZERO_POINTS: &[i64] =
    &[-129, -128, -1, 0, 1, 127, 128, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];

/// A damaged copy of `model`; `other` is a file from which pieces may be spliced in.
#[must_use]
pub fn mutate(model: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = model.to_vec();
    let spots = Spots::of(model);
    match random.below(10) {
        0 => blind(&mut bytes, other, random),
        1 => words(&mut bytes, random),
        2..=3 => rename_extent(&mut bytes, &spots, random),
        _structured => {}
    }
    for _ in 0..random.pick(&[0, 1, 1, 1, 2, 3, 5]) {
        structured(&mut bytes, &spots, random);
    }
    bytes
}

/// Damage that knows nothing of the format.
pub(crate) fn blind(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let n = bytes.len();
    match random.below(5) {
        0 => bytes.truncate(random.below(n)),
        1 => {
            for _ in 0..1 + random.below(8) {
                if let Some(byte) = bytes.get_mut(random.below(n)) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
        2 => {
            let (at, from, length) = (random.below(n), random.below(other.len()), random.below(64));
            let piece = &other[from..(from + length).min(other.len())];
            let end = (at + length).min(n);
            bytes.splice(at..end, piece.iter().copied());
        }
        3 => {
            let (at, length) = (random.below(n), random.below(64));
            bytes.drain(at..(at + length).min(n));
        }
        _copy => {
            let (from, to, length) = (random.below(n), random.below(n), random.below(64));
            let piece = bytes[from..(from + length).min(n)].to_vec();
            for (b, p) in bytes[to..].iter_mut().zip(piece) {
                *b = p;
            }
        }
    }
}

/// Extreme values at aligned places, whatever stands there.
fn words(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(bytes.len() / 4) * 4;
        let value = random.pick(WORDS);
        put(bytes, at, &value.to_le_bytes());
    }
}

/// Replaces one extent by another in every shape of the file, so that operators still agree.
fn rename_extent(bytes: &mut [u8], spots: &Spots, random: &mut Random) {
    let extents: Vec<usize> =
        spots.numbers.iter().filter(|s| s.1 == Kind::Extent).map(|s| s.0).collect();
    if extents.is_empty() {
        return;
    }
    let old = word(bytes, random.pick(&extents));
    let new = random.pick(WORDS);
    for at in extents {
        if word(bytes, at) == old {
            put(bytes, at, &new.to_le_bytes());
        }
    }
}

/// Changes one number according to what it is, or some constant data.
fn structured(bytes: &mut [u8], spots: &Spots, random: &mut Random) {
    if !spots.data.is_empty() && random.below(6) == 0 {
        let range = spots.data[random.below(spots.data.len())].clone();
        let at = range.start + random.below(range.len() / 4 + 1) * 4;
        let value = random.pick(WORDS);
        return put(bytes, at, &value.to_le_bytes());
    }
    if spots.numbers.is_empty() {
        return;
    }
    let (at, kind) = spots.numbers[random.below(spots.numbers.len())];
    match kind {
        Kind::Extent | Kind::Length | Kind::Word => {
            let value = random.pick(WORDS);
            put(bytes, at, &value.to_le_bytes());
        }
        Kind::Index => {
            let value =
                if random.below(8) == 0 { random.pick(WORDS) } else { random.below(12) as u32 };
            put(bytes, at, &value.to_le_bytes());
        }
        Kind::Byte => {
            let value = random.below(170) as u8;
            put(bytes, at, &[value]);
        }
        Kind::Scale => {
            let value = random.pick(SCALES);
            put(bytes, at, &value.to_le_bytes());
        }
        Kind::ZeroPoint => {
            let value = random.pick(ZERO_POINTS);
            put(bytes, at, &value.to_le_bytes());
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (b, v) in bytes.iter_mut().skip(at).zip(value) {
        *b = *v;
    }
}
