//! Random numbers that depend on a seed and the number of an event, and on nothing before.
//!
//! The numbers of one event are a splitmix64 sequence which starts where the seed and the event's
//! number hash to. Two events share numbers only if their starts fall within a few hundred of
//! each other among 2^64, which a test or a benchmark never sees.
//!
//! All arithmetic is on integers, or on additions and multiplications of `f64` alone, so that
//! machines with different mathematical libraries draw the same numbers.
//!
//! Sources: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, for
//! splitmix64.

/// The step of splitmix64: the odd number nearest to 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The random numbers of one event, in the order in which its fields are made.
#[derive(Debug, Clone)]
pub(super) struct Draws {
    /// The position in the sequence; what is drawn is its hash.
    position: u64,
}

impl Draws {
    /// Starts the numbers of event `n`.
    pub(super) fn new(seed: u64, n: u64) -> Self {
        Draws { position: mix(mix(seed.wrapping_add(STEP)) ^ mix(n)) }
    }

    /// Draws 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.position = self.position.wrapping_add(STEP);
        mix(self.position)
    }

    /// Draws a number less than `limit`, or 0 if `limit` is 0.
    ///
    /// The high half of a product instead of a remainder: no division, and a bias below
    /// `limit / 2^64`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// Draws an index of `items` and returns the item there.
    pub(super) fn one_of<'a>(&mut self, items: &'a [&'a str]) -> &'a str {
        items[self.below(items.len() as u64) as usize]
    }

    /// Draws whether something is hot: true but once in `ratio` times.
    pub(super) fn hot(&mut self, ratio: u64) -> bool {
        self.below(ratio) > 0
    }

    /// Draws a price in cents, `100 * 10^(6 x)` for an even `x` in `[0, 1)`: from one to a million
    /// in money, each power of ten as likely as the next.
    pub(super) fn price(&mut self) -> i64 {
        const LOG2_OF_MILLION: f64 = 19.931_568_569_324_174;
        let x = (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
        let exponent = x * LOG2_OF_MILLION;
        let whole = exponent as u64;
        let power = (1u64 << whole) as f64 * two_to(exponent - whole as f64);
        (100.0 * power + 0.5) as i64
    }
}

/// The finalizer of splitmix64: a bijection, in which each bit moves half of the output's.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// `2^fraction` for a fraction in `[0, 1)`, by the series of the exponential function about a half.
///
/// Twelve terms leave an error below 1e-14. The library's `exp2` may differ between platforms in
/// the last bit, and a price that is rounded to another cent would be another stream.
fn two_to(fraction: f64) -> f64 {
    let y = (fraction - 0.5) * std::f64::consts::LN_2;
    let mut sum = 1.0;
    for term in (1..=12).rev() {
        sum = 1.0 + sum * y * INVERSES[term];
    }
    sum * std::f64::consts::SQRT_2
}

/// `1 / i` at index `i`, so that the series multiplies where it would divide.
const INVERSES: [f64; 13] = {
    let mut inverses = [0.0; 13];
    let mut i = 1;
    while i < 13 {
        inverses[i] = 1.0 / i as f64;
        i += 1;
    }
    inverses
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_and_event_alone() {
        let take = |seed, n| {
            let mut draws = Draws::new(seed, n);
            [draws.bits(), draws.bits(), draws.bits()]
        };
        assert_eq!(take(1, 7), take(1, 7));
        assert_ne!(take(1, 7), take(1, 8));
        assert_ne!(take(1, 7), take(2, 7));
        // Neither seed nor number may be swapped or summed away.
        assert_ne!(take(1, 2), take(2, 1));
        assert_ne!(take(0, 0), take(1, 1));
    }

    #[test]
    fn below_is_even_and_stays_below() {
        let mut counts = [0u32; 10];
        for n in 0..100_000 {
            counts[Draws::new(3, n).below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!(Draws::new(0, 0).below(0), 0);
        assert_eq!(Draws::new(0, 0).below(1), 0);
    }

    #[test]
    fn two_to_equals_exp2() {
        for i in 0..1_000 {
            let fraction = f64::from(i) / 1_000.0;
            assert!((two_to(fraction) - fraction.exp2()).abs() < 1e-14, "{fraction}");
        }
    }

    #[test]
    fn prices_are_even_in_their_logarithm() {
        let mut decades = [0u32; 6];
        for n in 0..60_000 {
            let price = Draws::new(5, n).price();
            assert!((100..=100_000_000).contains(&price), "{price}");
            decades[(price.ilog10() as usize - 2).min(5)] += 1;
        }
        assert!(decades.iter().all(|count| (9_500..10_500).contains(count)), "{decades:?}");
    }
}
