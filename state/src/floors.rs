//! How far the key groups of a worker had come when their state was frozen.
//!
//! Every block of a snapshot says up to which watermark its key group has fired. The groups that a
//! worker restores may come from several former workers, which had not all come equally far: the
//! worker goes on from the least of these floors, and judges the records of the other groups by
//! their own until its watermark has passed the greatest.
//!
//! **Why**: a window that had fired and was removed would else be opened again by a record that is
//! late, and one that had not would lose a record that is on time.

use highwater_core::key::{KeyGroup, KeyGroupRange, KeyGroups};

/// The floors of the key groups of a worker, as watermarks.
#[derive(Clone, Debug)]
pub struct Floors {
    groups: KeyGroups,
    range: KeyGroupRange,
    of_groups: Vec<i64>,
}

impl Floors {
    /// Returns the floors of groups that have never fired.
    #[must_use]
    pub fn new(groups: KeyGroups, range: KeyGroupRange) -> Self {
        Floors { groups, range, of_groups: vec![i64::MIN; range.count()] }
    }

    /// Raises the floor of a group of the range.
    pub fn raise(&mut self, group: KeyGroup, watermark: i64) {
        if let Some(floor) = self.of_groups.get_mut(self.range.index_of(group)) {
            *floor = watermark.max(*floor);
        }
    }

    /// Returns the watermark that all groups have reached, `i64::MIN` for none.
    #[must_use]
    pub fn least(&self) -> i64 {
        self.of_groups.iter().copied().min().unwrap_or(i64::MIN)
    }

    /// Returns the watermark that no group has passed.
    #[must_use]
    pub fn greatest(&self) -> i64 {
        self.of_groups.iter().copied().max().unwrap_or(i64::MIN)
    }

    /// Returns the floor of the group to which keys with this hash belong.
    #[must_use]
    pub fn of_hash(&self, hash: u64) -> i64 {
        let index = self.range.index_of(self.groups.of_hash(hash));
        self.of_groups.get(index).copied().unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_keeps_its_own_floor() {
        let groups = KeyGroups::new(4, 1);
        let mut floors = Floors::new(groups, groups.range(0));
        assert_eq!((floors.least(), floors.greatest()), (i64::MIN, i64::MIN));
        for (group, floor) in [(0, 100), (1, 200), (2, 150), (3, 120), (1, 90)] {
            floors.raise(KeyGroup(group), floor);
        }
        assert_eq!((floors.least(), floors.greatest()), (100, 200));
        for hash in 0..100 {
            let expected = [100, 200, 150, 120][usize::from(groups.of_hash(hash).0)];
            assert_eq!(floors.of_hash(hash), expected);
        }
    }
}
