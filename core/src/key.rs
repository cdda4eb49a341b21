//! Keys, their one fixed hash, key groups, and which worker owns which group.
//!
//! ```text
//! key --stable_hash--> u64 --high half mod max_parallelism--> KeyGroup --range--> worker
//! ```
//!
//! A key group is the unit in which keyed state is stored and moved between workers. The number of
//! groups is the max parallelism of the job; it never changes once there is state.
//!
//! **The hash** is the same in every process and in every version: integers are mixed as
//! 64-bit words by a folded multiplication (the 128-bit product with an odd constant, its halves
//! xored), byte strings by XXH3 first. The key group comes from bits 32 and up, so that a table
//! indexed by the low bits, or tagged by the top seven, still spreads the keys of one group.
//!
//! **Sources**: Flink's `KeyGroupRangeAssignment`; State Management in Apache Flink, VLDB 2017.

use std::hash::{Hash, Hasher};

use crate::record::ExchangeData;

/// What a stream can be keyed by.
///
/// `Hash` must feed the same words on every machine, as the derived implementations of integers,
/// strings, tuples and enums do; `Ord` gives snapshots and tests a fixed order.
pub trait Key: ExchangeData + Hash + Eq + Ord {}
impl<K: ExchangeData + Hash + Eq + Ord> Key for K {}

/// The least number of key groups a job may have by default.
pub const MIN_DEFAULT_PARALLELISM: u32 = 128;
/// The greatest number of key groups.
pub const MAX_PARALLELISM: u32 = 32_768;

/// The unit of rescaling: all keys whose hash falls into the same group move together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(pub u16);

/// Returns the max parallelism that a job of `workers` workers gets when nobody says otherwise:
/// one and a half times as much, rounded up to a power of two, from 128 to 32,768.
#[must_use]
pub fn default_max_parallelism(workers: usize) -> u32 {
    let wanted = (workers as u64 + workers as u64 / 2).next_power_of_two();
    wanted.clamp(u64::from(MIN_DEFAULT_PARALLELISM), u64::from(MAX_PARALLELISM)) as u32
}

/// The hash of `key`, equal in every process and every version.
#[inline]
pub fn stable_hash<K: Hash + ?Sized>(key: &K) -> u64 {
    let mut hasher = StableHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// How many key groups there are, and which worker owns which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroups {
    max: u32,
    /// `max - 1` when `max` is a power of two, else 0: most jobs need no division.
    mask: u32,
    workers: u32,
}

impl KeyGroups {
    /// Divides `max_parallelism` groups among `workers` workers.
    ///
    /// # Panics
    /// When there are no workers, or fewer groups than workers: the configuration is checked before.
    #[must_use]
    pub fn new(max_parallelism: u32, workers: usize) -> Self {
        let workers = workers as u32;
        assert!(
            0 < workers && workers <= max_parallelism && max_parallelism <= MAX_PARALLELISM,
            "{workers} workers cannot share {max_parallelism} key groups"
        );
        let mask = if max_parallelism.is_power_of_two() { max_parallelism - 1 } else { 0 };
        KeyGroups { max: max_parallelism, mask, workers }
    }

    /// Returns the number of key groups.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.max
    }

    /// Returns the number of workers.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers as usize
    }

    /// Returns the group of a key with this hash.
    #[inline]
    #[must_use]
    pub fn of_hash(&self, hash: u64) -> KeyGroup {
        let high = (hash >> 32) as u32;
        let group = if self.mask == 0 { high % self.max } else { high & self.mask };
        KeyGroup(group as u16)
    }

    /// Returns the worker that owns a group.
    #[inline]
    #[must_use]
    pub fn owner(&self, group: KeyGroup) -> usize {
        (u32::from(group.0) * self.workers / self.max) as usize
    }

    /// Returns the range of groups that a worker owns.
    #[must_use]
    pub fn range(&self, worker: usize) -> KeyGroupRange {
        let worker = worker as u32;
        let first = (worker * self.max).div_ceil(self.workers);
        let last = ((worker + 1) * self.max - 1) / self.workers;
        KeyGroupRange { first: KeyGroup(first as u16), last: KeyGroup(last as u16) }
    }
}

/// The groups from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroupRange {
    /// The first group of the range.
    pub first: KeyGroup,
    /// The last group of the range.
    pub last: KeyGroup,
}

impl KeyGroupRange {
    /// Returns how many groups there are in the range.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.last.0) - usize::from(self.first.0) + 1
    }

    /// Returns whether the range holds the group.
    #[must_use]
    pub fn contains(&self, group: KeyGroup) -> bool {
        self.first <= group && group <= self.last
    }

    /// Returns the place of a group within the range, from 0.
    #[inline]
    #[must_use]
    pub fn index_of(&self, group: KeyGroup) -> usize {
        debug_assert!(self.contains(group), "{group:?} is not in {self:?}");
        usize::from(group.0 - self.first.0)
    }
}

const SEED: u64 = 0x243f_6a88_85a3_08d3;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The fixed hasher behind [`stable_hash`].
#[derive(Clone, Copy, Debug)]
pub struct StableHasher {
    state: u64,
}

impl Default for StableHasher {
    #[inline]
    fn default() -> Self {
        StableHasher { state: SEED }
    }
}

impl StableHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(MULTIPLIER);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for StableHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.mix(xxhash_rust::xxh3::xxh3_64(bytes));
    }
    #[inline]
    fn write_u8(&mut self, i: u8) {
        self.mix(u64::from(i));
    }
    #[inline]
    fn write_u16(&mut self, i: u16) {
        self.mix(u64::from(i));
    }
    #[inline]
    fn write_u32(&mut self, i: u32) {
        self.mix(u64::from(i));
    }
    #[inline]
    fn write_u64(&mut self, i: u64) {
        self.mix(i);
    }
    #[inline]
    fn write_u128(&mut self, i: u128) {
        self.mix(i as u64);
        self.mix((i >> 64) as u64);
    }
    #[inline]
    fn write_usize(&mut self, i: usize) {
        self.mix(i as u64);
    }
    #[inline]
    fn write_i8(&mut self, i: i8) {
        self.mix(i64::from(i) as u64);
    }
    #[inline]
    fn write_i16(&mut self, i: i16) {
        self.mix(i64::from(i) as u64);
    }
    #[inline]
    fn write_i32(&mut self, i: i32) {
        self.mix(i64::from(i) as u64);
    }
    #[inline]
    fn write_i64(&mut self, i: i64) {
        self.mix(i as u64);
    }
    #[inline]
    fn write_i128(&mut self, i: i128) {
        self.write_u128(i as u128);
    }
    #[inline]
    fn write_isize(&mut self, i: isize) {
        self.mix(i as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_the_owner_whose_range_holds_it() {
        for max in [128u32, 129, 200, 1000, 4096] {
            for workers in [1usize, 2, 3, 4, 7, 100, 128] {
                let groups = KeyGroups::new(max, workers);
                let covered: usize = (0..workers).map(|w| groups.range(w).count()).sum();
                assert_eq!(covered as u32, max);
                for group in 0..max {
                    let group = KeyGroup(group as u16);
                    assert!(groups.range(groups.owner(group)).contains(group));
                }
            }
        }
    }

    #[test]
    fn default_max_parallelism_follows_flink() {
        let expected = [(1, 128), (85, 128), (86, 256), (1000, 2048), (100_000, 32_768)];
        for (workers, max) in expected {
            assert_eq!(default_max_parallelism(workers), max, "{workers} workers");
        }
    }

    /// These values are stored in snapshots for ever: a change here loses the state of users.
    #[test]
    fn the_hash_never_changes() {
        assert_eq!(stable_hash(&0u64), GOLDEN[0]);
        assert_eq!(stable_hash(&1u64), GOLDEN[1]);
        assert_eq!(stable_hash(&-1i32), GOLDEN[2]);
        assert_eq!(stable_hash("JFK"), GOLDEN[3]);
        assert_eq!(stable_hash(&(7u32, "LGA".to_string())), GOLDEN[4]);
    }

    const GOLDEN: [u64; 5] = [
        0xe184_8576_4ba0_3644,
        0x4fcd_fcac_ca5a_aa31,
        0xee36_7141_4457_3794,
        0x5ce8_337a_48be_a3ee,
        0xb6de_40e1_2e6f_4483,
    ];

    #[test]
    fn regular_keys_spread_evenly_over_groups_and_table_places() {
        for shift in [0, 1, 3, 7, 12, 16, 20, 32, 40, 47] {
            let groups = KeyGroups::new(128, 1);
            let (mut by_group, mut by_place) = (vec![0usize; 128], vec![0usize; 128]);
            for key in 0..128_000u64 {
                let hash = stable_hash(&(key << shift));
                by_group[usize::from(groups.of_hash(hash).0)] += 1;
                by_place[(hash & 127) as usize] += 1;
            }
            for counts in [by_group, by_place] {
                let (least, most) = (counts.iter().min(), counts.iter().max());
                assert!(least > Some(&800) && most < Some(&1200), "{shift}: {least:?} to {most:?}");
            }
        }
    }
}
