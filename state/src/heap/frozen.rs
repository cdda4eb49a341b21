//! A frozen table, on its way to become bytes on another thread.
//!
//! ```text
//! full   part: every entry
//! delta  part: the entries of marked slots   +   slots: what the delta replaces
//! ```
//!
//! Restoring a delta over what came before it forgets, for each namespace and key group that the
//! slots name, the entries of marked slots, and then adds those of the part.
//!
//! Each group's table is let go as soon as it is encoded, so that the worker copies no more of it.

use std::sync::Arc;

use highwater_core::key::{Key, KeyGroup, KeyGroupRange, KeyGroups, stable_hash};

use super::dirty::Dirty;
use super::group::Map;
use crate::backend::{Namespace, StateValue};
use crate::format::{Block, Codec, FormatError, RawEntry};
use crate::snapshot::StateFormat;

/// The tables of one namespace.
#[derive(Debug)]
pub(super) struct FrozenSpace<K, N, V> {
    pub(super) namespace: N,
    pub(super) divided: bool,
    pub(super) groups: Vec<(Option<Arc<Map<K, V>>>, Dirty)>,
}

/// A table as it was when it was frozen.
#[derive(Debug)]
pub struct FrozenTable<K, N, V> {
    pub(super) groups: KeyGroups,
    pub(super) range: KeyGroupRange,
    pub(super) spaces: Vec<FrozenSpace<K, N, V>>,
    /// Namespaces that have been removed since the last freeze, if changes were tracked.
    pub(super) dropped: Option<Vec<N>>,
}

/// What a delta replaces: for each key group, namespaces and the marked slots of their keys.
#[derive(Debug)]
pub struct Slots {
    /// Encoded as a part is: the value is the words of the marks, none for all keys.
    pub(crate) blocks: Vec<Block>,
}

impl<K: Key, N: Namespace, V: StateValue> FrozenTable<K, N, V> {
    /// Returns whether a delta can be made: changes were tracked since the freeze before.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.dropped.is_some()
    }

    /// Returns whether an entry that stands in the `index`-th group has changed.
    fn has_changed(space: &FrozenSpace<K, N, V>, index: usize, key: &K) -> bool {
        space.groups.get(index).is_none_or(|(_, dirty)| dirty.has(stable_hash(key)))
    }

    /// Encodes all entries, or those that have changed.
    ///
    /// - `floor`: the watermark of the operator, `i64::MIN` for none.
    /// - `keep`: whether a value is worth keeping; expired ones are not.
    ///
    /// # Errors
    /// When a value cannot be encoded as its schema says.
    pub fn encode<C: Codec>(
        mut self,
        format: &StateFormat<N, K, V, C>,
        delta: bool,
        floor: i64,
        keep: &(dyn Fn(&V) -> bool + Sync),
    ) -> Result<Vec<Block>, FormatError> {
        let mut few = self.undivided(delta);
        let mut blocks = Vec::new();
        for index in 0..self.range.count() {
            let group = KeyGroup(self.range.first.0 + index as u16);
            let divided = self.spaces.iter().filter(|space| space.divided);
            let of_divided = divided.flat_map(|space| {
                let table = space.groups.get(index).and_then(|(table, _)| table.as_deref());
                let entries = table.into_iter().flat_map(|table| table.iter());
                let wanted = move |(key, _): &&(K, V)| {
                    !delta || Self::has_changed(space, index, key)
                };
                entries.filter(wanted).map(|(key, value)| (&space.namespace, key, value))
            });
            let few = few.get_mut(index).map(std::mem::take).unwrap_or_default();
            let of_few = few.iter().map(|(namespace, key, value)| (namespace, key, value));
            let entries = of_divided.chain(of_few).filter(|(_, _, value)| keep(value));
            let block = format.block(group, floor, entries)?;
            if !block.is_empty() {
                blocks.push(block);
            }
            let divided = self.spaces.iter_mut().filter(|space| space.divided);
            for (table, _) in divided.filter_map(|space| space.groups.get_mut(index)) {
                *table = None;
            }
        }
        Ok(blocks)
    }

    /// Returns the entries of the namespaces that are not divided, by key group.
    fn undivided(&self, delta: bool) -> Vec<Vec<(N, K, V)>> {
        let mut few: Vec<Vec<(N, K, V)>> = (0..self.range.count()).map(|_| Vec::new()).collect();
        for space in self.spaces.iter().filter(|space| !space.divided) {
            let table = space.groups.first().and_then(|(table, _)| table.as_deref());
            for (key, value) in table.into_iter().flat_map(|table| table.iter()) {
                let index = self.range.index_of(self.groups.of_hash(stable_hash(key)));
                if (!delta || Self::has_changed(space, 0, key))
                    && let Some(entries) = few.get_mut(index)
                {
                    entries.push((space.namespace.clone(), key.clone(), value.clone()));
                }
            }
        }
        few
    }

    /// Returns what a delta replaces.
    ///
    /// # Errors
    /// When a namespace cannot be encoded.
    pub fn slots<C: Codec>(
        &self,
        format: &StateFormat<N, K, V, C>,
    ) -> Result<Slots, FormatError> {
        let mut named: Vec<Vec<(Vec<u8>, Vec<u8>)>> = vec![Vec::new(); self.range.count()];
        let mut name = |index: usize, namespace: &[u8], words: &[u64]| {
            let words = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            if let Some(named) = named.get_mut(index) {
                named.push((namespace.to_vec(), words));
            }
        };
        let mut dropped = self.dropped.clone().unwrap_or_default();
        dropped.sort_unstable();
        dropped.dedup();
        dropped.retain(|gone| !self.spaces.iter().any(|space| space.namespace == *gone));
        for namespace in &dropped {
            let namespace = format.namespace_bytes(namespace)?;
            (0..self.range.count()).for_each(|index| name(index, &namespace, &[]));
        }
        let again = |namespace: &N| {
            self.dropped.as_ref().is_some_and(|dropped| dropped.contains(namespace))
        };
        for space in &self.spaces {
            let namespace = format.namespace_bytes(&space.namespace)?;
            let all = again(&space.namespace);
            for index in 0..self.range.count() {
                let at = if space.divided { index } else { 0 };
                let Some((_, dirty)) = space.groups.get(at) else { continue };
                if all {
                    name(index, &namespace, &[]);
                } else if !dirty.is_clean() {
                    name(index, &namespace, dirty.words());
                }
            }
        }
        let mut blocks = Vec::new();
        for (index, named) in named.iter().enumerate().filter(|(_, named)| !named.is_empty()) {
            let group = KeyGroup(self.range.first.0 + index as u16);
            let entry = |(namespace, words): &'_ (Vec<u8>, Vec<u8>)| -> (usize, usize) {
                (namespace.len(), words.len())
            };
            debug_assert!(named.iter().map(entry).all(|(namespace, _)| namespace < 1 << 30));
            let raw = named.iter().map(|(namespace, words)| RawEntry {
                namespace,
                key: &[],
                value: words,
            });
            blocks.push(Block::new(group, i64::MIN, raw.collect())?);
        }
        Ok(Slots { blocks })
    }
}
