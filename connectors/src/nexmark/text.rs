//! The strings of the events: words with gaps, and filler of a given length.
//!
//! Filler is most of an event's bytes and no query but one looks into it, so a generator makes some
//! of it once and cuts each event's piece out of that. To draw each letter anew would take 50 ns
//! more, for an event that takes 110 ns. The price is that all filler repeats 64 KiB of text, and a
//! compressor with a longer memory sees it: its ratios on these streams are better than real ones.
//!
//! As in the public generator, each six letters are either all `a` to `z` or all `a` down to `H`,
//! which includes a backslash now and then: query 14 counts letters in it, and JSON escapes it.

use std::sync::Arc;

use super::random::Draws;

/// The shortest word.
const LENGTH_MIN: u64 = 3;

/// Letters made from one draw.
const RUN: usize = 6;

/// The places at which a piece of filler may start.
const POSITIONS: u64 = 1 << 16;

/// Draws text of 3 to `limit - 1` letters `a` to `z`, once in thirteen `gap` instead, trimmed.
pub(super) fn words(draws: &mut Draws, limit: u64, gap: char) -> String {
    let mut left = LENGTH_MIN + draws.below(limit - LENGTH_MIN);
    let mut text = String::with_capacity(left as usize);
    while left > 0 {
        let mut bits = draws.bits();
        for _ in 0..left.min(4) {
            // Sixteen bits choose one of 13 x 26 cases, of which the first 26 are the gap.
            let case = ((bits & 0xffff) * (13 * 26)) >> 16;
            text.push(if case < 26 { gap } else { char::from(b'a' + (case % 26) as u8) });
            bits >>= 16;
        }
        left = left.saturating_sub(4);
    }
    match text.trim() {
        trimmed if trimmed.len() == text.len() => text,
        trimmed => trimmed.to_owned(),
    }
}

/// Random letters, of which any piece is filler.
#[derive(Debug, Clone)]
pub(super) struct Filler {
    /// Shared by all workers, small enough for a processor's second cache.
    letters: Arc<str>,
}

impl Filler {
    /// Makes the letters of a seed.
    ///
    /// - `piece_max`: the greatest number of letters that a record may lack.
    pub(super) fn new(draws: &mut Draws, piece_max: usize) -> Self {
        let runs = (POSITIONS as usize + piece_max).div_ceil(RUN);
        let bytes: Vec<u8> =
            (0..runs).flat_map(|_| run_of_letters(draws.bits()).into_iter().take(RUN)).collect();
        Filler { letters: bytes.into_iter().map(char::from).collect::<String>().into() }
    }

    /// Draws filler so that a record which has `size` bytes without it has `size_mean` on average.
    ///
    /// - `size`, `size_mean`: bytes; the length is even within a fifth of the missing bytes around
    ///   their number, and 0 if none are missing.
    pub(super) fn piece(&self, draws: &mut Draws, size: usize, size_mean: usize) -> String {
        let missing = size_mean.saturating_sub(size);
        if missing == 0 {
            return String::new();
        }
        let spread = (missing + 2) / 5;
        let length = missing - spread + draws.below(2 * spread as u64) as usize;
        let start = draws.below(POSITIONS) as usize;
        self.letters[start..start + length].to_owned()
    }
}

/// Turns each byte into a letter at a distance of 0 to 25 from `a`, upwards or, by the top bit, all
/// downwards; only the lower six bytes are independent of that bit.
///
/// Each byte is scaled by `26 / 256` in a lane of sixteen bits: `255 * 26` does not overflow it,
/// and the distance is the lane's upper half. No lane borrows, since 25 is less than any letter.
fn run_of_letters(bits: u64) -> [u8; 8] {
    const LANES: u64 = 0x00ff_00ff_00ff_00ff;
    const A: u64 = u64::from_le_bytes([b'a'; 8]);
    let even = (((bits & LANES) * 26) >> 8) & LANES;
    let odd = (((bits >> 8) & LANES) * 26) & !LANES;
    let distance = even | odd;
    let letters = if bits >> 63 == 0 { A + distance } else { A - distance };
    letters.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_trimmed_letters_with_gaps() {
        let mut lengths = [0u32; 20];
        let mut gaps = 0;
        for n in 0..20_000 {
            let text = words(&mut Draws::new(1, n), 20, ' ');
            assert_eq!(text, text.trim());
            assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_lowercase()), "{text}");
            gaps += text.bytes().filter(|byte| *byte == b' ').count();
            lengths[text.len()] += 1;
        }
        assert!(lengths[4..=19].iter().all(|count| *count > 500), "{lengths:?}");
        assert!((10_000..20_000).contains(&gaps), "{gaps}");
    }

    fn filler() -> Filler {
        Filler::new(&mut Draws::new(9, u64::MAX), 1_000)
    }

    #[test]
    fn filler_has_the_missing_size_on_average() {
        let filler = filler();
        let mut bytes = 0;
        for n in 0..10_000 {
            let text = filler.piece(&mut Draws::new(1, n), 32, 100);
            assert!((54..=81).contains(&text.len()), "{}", text.len());
            bytes += text.len();
        }
        assert!((670_000..690_000).contains(&bytes), "{bytes}");
        assert_eq!(filler.piece(&mut Draws::new(1, 1), 100, 100), "");
        assert_eq!(filler.piece(&mut Draws::new(1, 1), 100, 0), "");
        assert_eq!(filler.piece(&mut Draws::new(1, 1), 99, 100).len(), 1);
    }

    #[test]
    fn filler_is_long_enough_for_any_piece_at_any_place() {
        let filler = filler();
        assert!(filler.letters.len() >= POSITIONS as usize - 1 + 1_000);
        assert!(filler.letters.is_ascii());
    }

    #[test]
    fn filler_uses_the_alphabet_of_the_public_generator() {
        let mut counts = [0u32; 256];
        let filler = filler();
        filler.letters.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
        // a is at distance 0 both ways; any other letter is one of 25 on one side of it.
        assert_eq!(counts.iter().filter(|count| **count > 0).count(), 51);
        assert!(counts[usize::from(b'H')] > 0 && counts[usize::from(b'z')] > 0);
        let c = f64::from(counts[usize::from(b'c')]) / filler.letters.len() as f64;
        assert!((0.017..0.022).contains(&c), "{c}");
    }
}
