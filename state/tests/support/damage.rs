//! A small part, and how it is damaged and forged.

use highwater_core::key::stable_hash;
use highwater_state::format::FormatError;
use highwater_state::{StateFormat, StateReader};

use super::{Session, all, format, golden, write};

pub(crate) type Format = StateFormat<(i64, i64), String, Session>;

/// A part with a few groups, and how it is read.
pub(crate) fn small() -> (Format, Vec<u8>) {
    let format = format();
    let entries = golden().into_iter().take(3).collect();
    let bytes = write(&format, &entries);
    (format, bytes)
}

/// Random numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (stable_hash(&self.0) >> 16) as usize % limit
    }
}

/// Changes a part in one of many ways; the result differs from it.
pub(crate) fn corrupt(part: &[u8], random: &mut Random) -> Vec<u8> {
    loop {
        let mut bytes = part.to_vec();
        let length = bytes.len();
        match random.below(6) {
            0 => bytes.truncate(random.below(length)),
            1 => bytes.extend((0..=random.below(40)).map(|i| part[(i * 7) % length])),
            2 => {
                let (a, b) = (random.below(length), random.below(length));
                bytes.copy_within(a.min(b)..a.max(b), random.below(length - (a.max(b) - a.min(b))));
            }
            3 => {
                let (a, b) = (random.below(length), random.below(length));
                bytes[a.min(b)..a.max(b)].rotate_left(random.below(a.abs_diff(b) + 1));
            }
            4 => {
                let at = random.below(length);
                bytes.drain(at..(at + 1 + random.below(20)).min(length));
            }
            _ => {
                for _ in 0..=random.below(8) {
                    let interesting = [0, 1, 0x7f, 0x80, 0xff, random.below(256) as u8];
                    bytes[random.below(length)] = interesting[random.below(6)];
                }
            }
        }
        if bytes != part {
            return bytes;
        }
    }
}

/// Makes all checksums right that can be found by the lengths before them.
pub(crate) fn reseal(bytes: &mut [u8]) -> Option<()> {
    use xxhash_rust::xxh3::xxh3_64_with_seed;
    let number = |bytes: &[u8], at: usize, count: usize| {
        let digits = bytes.get(at..at.checked_add(count)?)?;
        Some(digits.iter().rev().fold(0usize, |sum, digit| sum << 8 | usize::from(*digit)))
    };
    let put = |bytes: &mut [u8], from: usize, at: usize, seed: u64| {
        let sum = xxh3_64_with_seed(bytes.get(from..at)?, seed);
        bytes.get_mut(at..at.checked_add(8)?)?.copy_from_slice(&sum.to_le_bytes());
        Some(sum)
    };
    let mut at = number(bytes, 10, 4)?.checked_add(14)?;
    let seed = put(bytes, 0, at, 0)?;
    at += 8;
    while *bytes.get(at)? == b'B' {
        let length = number(bytes, at + 19, 8)?;
        let end = at.checked_add(27)?.checked_add(length)?;
        put(bytes, at, end, seed)?;
        at = end + 8;
    }
    let end = number(bytes, at + 1, 4)?.checked_mul(18)?.checked_add(at + 13)?;
    put(bytes, at, end, seed).map(|_| ())
}

/// Reads everything without looking at it.
pub(crate) fn drain(format: &Format, bytes: &[u8]) -> Result<(), FormatError> {
    let reader: StateReader<'_, _, _, _> = format.open(bytes)?;
    for group in reader.groups(all()) {
        for entry in group? {
            entry?;
        }
    }
    Ok(())
}

/// Changes a part and makes its checksums right again.
pub(crate) fn forged(part: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = part.to_vec();
    change(&mut bytes);
    let _ = reseal(&mut bytes);
    bytes
}
