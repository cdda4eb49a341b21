//! The values of one key group: a hash table that can be frozen at once and changed on.
//!
//! ```text
//! live                   everything
//!   | freeze             the table moves into an Arc, which an encoder reads on its own thread
//! live over base         live: what has changed since; base: the frozen table, never changed
//!   | the encoder is done
//! live                   the smaller of both was folded into the larger
//! ```
//!
//! **Invariants**
//! - *Frozen is frozen*: nothing changes a table while an encoder holds it (`Arc::try_unwrap`).
//! - *Live wins*: a key of the base that is also live, or removed, counts no more; `hidden` says how
//!   many there are (asserted in `freeze` and `fold`, which count).
//!
//! **Cost**: nothing while nothing is frozen. Afterwards the first write of a key copies its value,
//! and folding moves each copy back once, so both are constant per write. Where most keys change
//! between two freezes, that is more than it costs to copy the whole table in the order of memory:
//! a small table is then copied by the first write, and its changes are not marked
//! (`Group::freeze`).
//!
//! **Sources**: Flink's `CopyOnWriteStateMap`, which copies one entry at a time.

use std::mem::needs_drop;
use std::sync::Arc;

use hashbrown::HashTable;
use highwater_core::key::{Key, stable_hash};

use super::dirty::Dirty;
use super::frozen::FrozenGroup;
use super::past::{Below, Past, put, touch};
use crate::backend::{Hashed, StateValue};

/// A table of keys and values.
pub(crate) type Map<K, V> = HashTable<(K, V)>;

/// The largest table that is copied by one write, in bytes: some tenths of a ms. An eighth of it if
/// values hold memory of their own.
const AT_ONCE_BYTES: usize = 512 << 10;

/// The values of one key group.
#[derive(Debug)]
pub(crate) struct Group<K, V> {
    live: Map<K, V>,
    past: Option<Box<Past<K, V>>>,
}

impl<K, V> Default for Group<K, V> {
    fn default() -> Self {
        Group { live: HashTable::new(), past: None }
    }
}

impl<K: Key, V: StateValue> Group<K, V> {
    fn below(&self) -> Option<&Below<K, V>> {
        self.past.as_ref()?.below.as_ref()
    }

    /// Looks at the first entry that may be that of a key; returns whether it is.
    #[inline]
    pub(crate) fn touch(&self, key: Hashed<'_, K>) -> bool {
        touch(&self.live, key) | self.below().is_some_and(|below| touch(&below.base, key))
    }

    #[inline]
    pub(crate) fn get(&self, key: Hashed<'_, K>) -> Option<&V> {
        match self.live.find(key.hash, |(k, _)| k == key.key) {
            Some((_, value)) => Some(value),
            None => self.below().and_then(|below| below.find(key)),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Hashed<'_, K>) -> Option<&mut V> {
        Past::mark(&mut self.past, key.hash);
        match self.live.find_entry(key.hash, |(k, _)| k == key.key) {
            Ok(found) => Some(&mut found.into_mut().1),
            Err(absent) => Past::below(&mut self.past)?.lift(absent.into_table(), key),
        }
    }

    /// Returns the value of a key, made if there is none.
    #[inline(always)]
    pub(crate) fn upsert(&mut self, key: Hashed<'_, K>, make: impl FnOnce() -> V) -> &mut V {
        Past::mark(&mut self.past, key.hash);
        match self.live.find_entry(key.hash, |(k, _)| k == key.key) {
            Ok(found) => &mut found.into_mut().1,
            Err(absent) if self.past.is_none() => {
                put(absent.into_table(), key.key.clone(), key.hash, make())
            }
            Err(absent) => Past::make(&mut self.past, absent.into_table(), key, make),
        }
    }

    /// Adds keys that the group does not have.
    pub(crate) fn add(&mut self, entries: impl ExactSizeIterator<Item = (K, V)>) {
        self.live.reserve(entries.len(), |(key, _)| stable_hash(key));
        for (key, value) in entries {
            let hash = stable_hash(&key);
            Past::mark(&mut self.past, hash);
            put(&mut self.live, key, hash, value);
        }
    }

    /// Changes the value of a key, and removes it if `change` says that it is not to be kept.
    pub(crate) fn retain(
        &mut self,
        key: Hashed<'_, K>,
        change: impl FnOnce(&mut V) -> bool,
    ) -> Option<bool> {
        if self.is_frozen() {
            let kept = change(self.get_mut(key)?);
            if !kept {
                self.remove(key);
            }
            return Some(kept);
        }
        Past::mark(&mut self.past, key.hash);
        let mut found = self.live.find_entry(key.hash, |(k, _)| k == key.key).ok()?;
        let kept = change(&mut found.get_mut().1);
        if !kept {
            found.remove();
        }
        Some(kept)
    }

    pub(crate) fn remove(&mut self, key: Hashed<'_, K>) -> Option<V> {
        Past::mark(&mut self.past, key.hash);
        let below = Past::below(&mut self.past);
        match (self.live.find_entry(key.hash, |(k, _)| k == key.key), below) {
            (Err(_), None) => None,
            (Ok(found), below) => {
                let ((_, value), _) = found.remove();
                if let Some(below) = below
                    && below.base.find(key.hash, |(k, _)| k == key.key).is_some()
                    && below.removed.find(key.hash, |k| k == key.key).is_none()
                {
                    // It was hidden by the live one, and is now by this.
                    below.hidden -= 1;
                    below.remove(key);
                }
                Some(value)
            }
            (Err(_), Some(below)) => {
                let value = below.find(key)?.clone();
                below.remove(key);
                Some(value)
            }
        }
    }

    /// Returns what stands at a place of the live table; `None` behind its last place.
    pub(crate) fn live_at(&self, place: usize) -> Option<Option<&(K, V)>> {
        (place < self.live.num_buckets()).then(|| self.live.get_bucket(place))
    }

    /// Returns how many keys there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let below = self.below().map_or(0, |below| below.base.len() - below.hidden);
        self.live.len() + below
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the keys of the base that still count.
    fn visible(&self) -> impl Iterator<Item = &(K, V)> {
        self.below().into_iter().flat_map(|below| {
            below.base.iter().filter(|(key, _)| {
                let hash = stable_hash(key);
                self.live.find(hash, |(k, _)| k == key).is_none()
                    && below.removed.find(hash, |k| k == key).is_none()
            })
        })
    }

    /// Returns all keys and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.live.iter().chain(self.visible())
    }

    /// Empties the group into a closure.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(K, V)) {
        if self.is_frozen() {
            self.visible().cloned().for_each(|(key, value)| take(key, value));
        }
        self.live.drain().for_each(|(key, value)| take(key, value));
        self.past = None;
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.live.clear();
        self.past = None;
    }

    /// Freezes the group; returns its table, if it is not empty, and what has changed since the
    /// last time.
    ///
    /// - `track`: whether to mark what changes from now on.
    /// - `doubt`: whether to find out anew how many keys change, where that were most.
    pub(crate) fn freeze(&mut self, track: bool, doubt: bool) -> FrozenGroup<K, V> {
        if !self.fold() {
            // An earlier freeze is still being encoded: this one gets a table of its own.
            let mut all = HashTable::with_capacity(self.len());
            for (key, value) in self.iter() {
                put(&mut all, key.clone(), stable_hash(key), value.clone());
            }
            debug_assert_eq!(all.len(), self.len(), "hidden keys are counted");
            self.live = all;
        }
        let dirty = self.past.take().map(|past| past.dirty).unwrap_or_default();
        if self.live.is_empty() {
            return (None, dirty);
        }
        let all_change = dirty.marks_most(self.live.len()) && !doubt;
        let track = track && !all_change;
        let bytes = self.live.num_buckets() * size_of::<(K, V)>();
        let limit = if needs_drop::<(K, V)>() { AT_ONCE_BYTES / 8 } else { AT_ONCE_BYTES };
        let at_once = all_change && bytes <= limit;
        let clean = if track { Dirty::clean(self.live.len()) } else { Dirty::default() };
        let base = Arc::new(std::mem::take(&mut self.live));
        let below = Below { base: Arc::clone(&base), removed: HashTable::new(), hidden: 0 };
        self.past = Some(Box::new(Past { below: Some(below), dirty: clean, at_once }));
        (Some(base), dirty)
    }

    /// Makes one table of the two when nobody reads the frozen one any more; returns whether there
    /// is only one now.
    pub(crate) fn fold(&mut self) -> bool {
        let counted = self.len();
        let Some(past) = &mut self.past else { return true };
        let Some(Below { base, removed, hidden }) = past.below.take() else { return true };
        match Arc::try_unwrap(base) {
            Err(base) => {
                past.below = Some(Below { base, removed, hidden });
                false
            }
            Ok(base) => {
                if past.dirty.marks_all() {
                    self.past = None;
                }
                self.merge(base, &removed);
                debug_assert_eq!(self.live.len(), counted, "hidden keys are counted");
                true
            }
        }
    }

    /// Returns whether a frozen table lies below.
    pub(crate) fn is_frozen(&self) -> bool {
        self.below().is_some()
    }

    /// Merges the smaller of the two tables into the larger.
    fn merge(&mut self, mut base: Map<K, V>, removed: &HashTable<K>) {
        let live = std::mem::take(&mut self.live);
        if live.len() + removed.len() > base.len() {
            self.live = live;
            for (key, value) in base {
                let hash = stable_hash(&key);
                if removed.find(hash, |k| *k == key).is_none()
                    && self.live.find(hash, |(k, _)| *k == key).is_none()
                {
                    put(&mut self.live, key, hash, value);
                }
            }
            return;
        }
        for key in removed {
            if let Ok(found) = base.find_entry(stable_hash(key), |(k, _)| k == key) {
                found.remove();
            }
        }
        for (key, value) in live {
            let hash = stable_hash(&key);
            match base.find_mut(hash, |(k, _)| *k == key) {
                Some((_, stored)) => *stored = value,
                None => {
                    put(&mut base, key, hash, value);
                }
            }
        }
        self.live = base;
    }

    /// Makes room for more keys.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.live.reserve(keys, |(k, _)| stable_hash(k));
    }

    /// Divides a group that nothing is frozen of.
    pub(crate) fn split(&mut self, count: usize, index: impl Fn(u64) -> usize) -> Vec<Group<K, V>> {
        let mut groups: Vec<_> = (0..count)
            .map(|_| {
                let dirty = self.past.as_ref().map(|past| past.dirty.clone());
                let past = dirty.map(|dirty| Box::new(Past { below: None, dirty, at_once: false }));
                Group { live: HashTable::new(), past }
            })
            .collect();
        for (key, value) in self.live.drain() {
            let hash = stable_hash(&key);
            if let Some(group) = groups.get_mut(index(hash)) {
                put(&mut group.live, key, hash, value);
            }
        }
        groups
    }
}
