//! The values of one namespace, in one group or in one for each key group.
//!
//! **Why**: the group of a key is found for every record. What it takes of the number of key groups
//! and of the range is kept beside the groups, as a mask where the number is a power of two.

use highwater_core::key::{Key, KeyGroupRange, KeyGroups};

use super::group::Group;
use crate::backend::StateValue;

/// Which of the groups of a namespace a key belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    /// The bits of a hash that name its key group.
    mask: u32,
    /// How many key groups the job has if that is not a power of two, else 0.
    modulus: u32,
    /// The first key group of the range.
    first: u32,
}

impl Order {
    /// Returns the order of a namespace that is divided by key group.
    pub(super) fn divided(groups: KeyGroups, range: KeyGroupRange) -> Self {
        let (count, first) = (groups.count(), u32::from(range.first.0));
        if count.is_power_of_two() {
            Order { mask: count - 1, modulus: 0, first }
        } else {
            Order { mask: 0, modulus: count, first }
        }
    }

    /// Returns the group of a hash among those of the namespace.
    #[inline(always)]
    pub(super) fn index(self, hash: u64) -> usize {
        let high = (hash >> 32) as u32;
        let group = if self.modulus == 0 { high & self.mask } else { high % self.modulus };
        (group - self.first) as usize
    }
}

/// The values of one namespace.
#[derive(Debug)]
pub(super) struct Space<K, V> {
    /// One group for all, or one for each key group of the range.
    pub(super) groups: Vec<Group<K, V>>,
    pub(super) order: Order,
}

impl<K: Key, V: StateValue> Space<K, V> {
    /// Returns a namespace without values, which is not divided.
    pub(super) fn new() -> Self {
        Space { groups: vec![Group::default()], order: Order::default() }
    }

    pub(super) fn is_divided(&self) -> bool {
        self.groups.len() > 1
    }

    /// Returns the group of the `index`-th key group of the range.
    pub(super) fn at(&self, index: usize) -> usize {
        if self.is_divided() { index } else { 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.iter().all(Group::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::key::stable_hash;

    use super::*;

    #[test]
    fn a_key_belongs_to_the_group_of_its_key_group() {
        for (count, workers) in [(128, 3), (100, 3), (7, 2), (2, 2), (32_768, 4)] {
            let groups = KeyGroups::new(count, workers);
            for worker in 0..workers {
                let range = groups.range(worker);
                let order = Order::divided(groups, range);
                for hash in (0..10_000_u64).map(|key| stable_hash(&key)) {
                    let group = groups.of_hash(hash);
                    if groups.owner(group) == worker {
                        assert_eq!(order.index(hash), range.index_of(group));
                        assert_eq!(Order::default().index(hash), 0);
                    }
                }
            }
        }
    }
}
