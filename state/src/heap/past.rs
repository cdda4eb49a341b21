//! What lies below the live table of a group after a freeze, and which keys have changed since.

use std::sync::Arc;

use hashbrown::HashTable;
use highwater_core::key::{Key, stable_hash};

use super::dirty::Dirty;
use super::group::Map;
use crate::backend::{Hashed, StateValue};

/// What lies below the live table.
#[derive(Debug)]
pub(super) struct Below<K, V> {
    pub(super) base: Arc<Map<K, V>>,
    /// Keys of the base that have been removed.
    pub(super) removed: HashTable<K>,
    /// How many keys of the base are removed, or live as well.
    pub(super) hidden: usize,
}

/// What a group has only when it is frozen or its changes are tracked.
#[derive(Debug)]
pub(super) struct Past<K, V> {
    pub(super) below: Option<Below<K, V>>,
    pub(super) dirty: Dirty,
    /// Whether the first write copies the whole table: all keys are expected to change.
    pub(super) at_once: bool,
}

impl<K: Key, V: StateValue> Below<K, V> {
    pub(super) fn find(&self, key: Hashed<'_, K>) -> Option<&V> {
        let (_, value) = self.base.find(key.hash, |(k, _)| k == key.key)?;
        self.removed.find(key.hash, |k| k == key.key).is_none().then_some(value)
    }

    /// Hides a key of the base.
    pub(super) fn remove(&mut self, key: Hashed<'_, K>) {
        self.removed.insert_unique(key.hash, key.key.clone(), stable_hash);
        self.hidden += 1;
    }

    /// Copies the value of a key into the live table.
    pub(super) fn lift<'a>(
        &mut self,
        live: &'a mut Map<K, V>,
        key: Hashed<'_, K>,
    ) -> Option<&'a mut V> {
        let value = self.find(key)?.clone();
        self.hidden += 1;
        Some(put(live, key.key.clone(), key.hash, value))
    }
}

/// Looks at the first entry of a table that may be that of a key; returns whether it is.
///
/// There is no branch that depends on the answer, so that nothing waits for the entry.
#[inline]
pub(super) fn touch<K: Key, V>(table: &Map<K, V>, key: Hashed<'_, K>) -> bool {
    let mut near = false;
    table.find(key.hash, |(k, _)| {
        near = k == key.key;
        true
    });
    near
}

/// Adds a key that a table does not have.
#[inline]
pub(super) fn put<K: Key, V>(table: &mut Map<K, V>, key: K, hash: u64, value: V) -> &mut V {
    &mut table.insert_unique(hash, (key, value), |(k, _)| stable_hash(k)).into_mut().1
}

impl<K: Key, V: StateValue> Past<K, V> {
    /// Notes that a key is about to change.
    #[inline(always)]
    pub(super) fn mark(past: &mut Option<Box<Self>>, hash: u64) {
        if let Some(past) = past {
            past.dirty.mark(hash);
        }
    }

    /// Adds a key to the live table, with its value below or one that is made.
    #[cold]
    pub(super) fn make<'a>(
        past: &mut Option<Box<Self>>,
        live: &'a mut Map<K, V>,
        key: Hashed<'_, K>,
        make: impl FnOnce() -> V,
    ) -> &'a mut V {
        if live.is_empty()
            && let Some(whole) = Past::take_whole(past)
        {
            *live = whole;
            let same = |(k, _): &(K, V)| k == key.key;
            let entry = live.entry(key.hash, same, |(k, _)| stable_hash(k));
            return &mut entry.or_insert_with(|| (key.key.clone(), make())).into_mut().1;
        }
        let value = Past::below(past).and_then(|below| {
            let value = below.find(key)?.clone();
            below.hidden += 1;
            Some(value)
        });
        put(live, key.key.clone(), key.hash, value.unwrap_or_else(make))
    }

    /// Returns a copy of the frozen table, with which nothing lies below any more, if that is the
    /// way to go on.
    fn take_whole(past: &mut Option<Box<Self>>) -> Option<Map<K, V>> {
        let frozen = past.as_ref().filter(|past| past.at_once)?;
        let below = frozen.below.as_ref().filter(|below| below.removed.is_empty())?;
        let whole = Map::clone(&below.base);
        *past = None;
        Some(whole)
    }

    /// Returns what lies below, if anything does.
    pub(super) fn below(past: &mut Option<Box<Self>>) -> Option<&mut Below<K, V>> {
        past.as_mut()?.below.as_mut()
    }
}
