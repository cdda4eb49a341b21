//! Which keys of a group have changed since the last freeze, as bits by hash.
//!
//! Each key belongs to the slot that the low bits of its hash name. A write marks its slot; a delta
//! replaces whole slots: what it does not name in a marked slot is gone. So a deleted key needs no
//! trace of its own, and a write costs one bit, whether the key is new or old.
//!
//! With twice as many slots as keys, a delta of few changes holds little that has not changed.

/// How many words are looked at to see whether most keys have changed.
const SAMPLED_WORDS: usize = 64;

/// Of fewer keys it does not matter how many have changed.
const FEW_KEYS: usize = 64;

/// Marks the slots of changed keys. Without slots, everything counts as changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dirty {
    /// Words of 64 slots, a power of two of them, or none.
    words: Box<[u64]>,
}

impl Dirty {
    /// Returns marks for a group of `keys` keys, none of which has changed.
    pub(crate) fn clean(keys: usize) -> Self {
        let words = (keys * 2).div_ceil(64).next_power_of_two();
        Dirty { words: vec![0; words].into_boxed_slice() }
    }

    /// Reads marks as a delta names them.
    pub(crate) fn from_words(words: Vec<u64>) -> Option<Self> {
        let fits = words.is_empty() || words.len().is_power_of_two();
        fits.then(|| Dirty { words: words.into_boxed_slice() })
    }

    /// Returns the words of the marks; none if everything has changed.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Marks the slot of a hash.
    #[inline]
    pub(crate) fn mark(&mut self, hash: u64) {
        let slot = hash as usize & (self.words.len() * 64).wrapping_sub(1);
        if let Some(word) = self.words.get_mut(slot / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// Returns whether everything counts as changed, whatever is marked.
    pub(crate) fn marks_all(&self) -> bool {
        self.words.is_empty()
    }

    /// Returns whether most of `keys` keys seem to have changed, by some of the marks. A delta saves
    /// little then.
    pub(crate) fn marks_most(&self, keys: usize) -> bool {
        let some = &self.words[..self.words.len().min(SAMPLED_WORDS)];
        let marked: usize = some.iter().map(|word| word.count_ones() as usize).sum();
        self.marks_all() || (keys >= FEW_KEYS && marked * self.words.len() > some.len() * keys / 2)
    }

    /// Returns whether the slot of a hash is marked.
    #[inline]
    pub(crate) fn has(&self, hash: u64) -> bool {
        let slot = hash as usize & (self.words.len() * 64).wrapping_sub(1);
        self.words.get(slot / 64).is_none_or(|word| word & (1 << (slot % 64)) != 0)
    }

    /// Returns whether nothing has changed.
    pub(crate) fn is_clean(&self) -> bool {
        !self.words.is_empty() && self.words.iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_slot_is_found_and_others_are_not() {
        let mut dirty = Dirty::clean(1000);
        assert!(dirty.is_clean());
        dirty.mark(7);
        assert!(dirty.has(7) && !dirty.has(8) && !dirty.is_clean());
        assert!(!dirty.marks_all() && Dirty::default().marks_all());
    }

    #[test]
    fn most_have_changed_when_more_than_half_have() {
        for keys in [64, 1000, 100_000] {
            let mut dirty = Dirty::clean(keys);
            let hash = |key: usize| highwater_core::key::stable_hash(&key);
            (0..keys * 3 / 10).for_each(|key| dirty.mark(hash(key)));
            assert!(!dirty.marks_most(keys), "three tenths of {keys}");
            (0..keys * 9 / 10).for_each(|key| dirty.mark(hash(key)));
            assert!(dirty.marks_most(keys), "nine tenths of {keys}");
        }
        assert!(Dirty::default().marks_most(0));
    }

    #[test]
    fn without_slots_everything_has_changed() {
        let mut dirty = Dirty::default();
        dirty.mark(3);
        assert!(dirty.has(0) && dirty.has(u64::MAX) && !dirty.is_clean());
    }

    #[test]
    fn words_of_a_length_that_names_no_slots_are_refused() {
        assert_eq!(Dirty::from_words(vec![0; 3]), None);
        assert_eq!(Dirty::from_words(vec![1, 0]).map(|dirty| dirty.has(64)), Some(false));
    }
}
