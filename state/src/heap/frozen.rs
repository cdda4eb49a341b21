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

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater_core::key::{Key, KeyGroup, KeyGroupRange, KeyGroups, stable_hash};

use super::dirty::Dirty;
use super::group::Map;
use crate::backend::{Namespace, StateValue};
use crate::floors::CutFloors;
use crate::format::{Block, FormatError};
use crate::snapshot::{Slots, StateFormat};

/// The table of a group, if it has values, and what has changed in it.
pub(super) type FrozenGroup<K, V> = (Option<Arc<Map<K, V>>>, Dirty);

/// The tables of one namespace.
#[derive(Debug)]
pub(super) struct FrozenSpace<K, N, V> {
    pub(super) namespace: N,
    pub(super) divided: bool,
    pub(super) groups: Vec<FrozenGroup<K, V>>,
}

/// A table as it was when it was frozen.
#[derive(Debug)]
pub(crate) struct FrozenTable<K, N, V> {
    pub(super) groups: KeyGroups,
    pub(super) range: KeyGroupRange,
    pub(super) spaces: Vec<FrozenSpace<K, N, V>>,
    /// Namespaces that have been removed since the last freeze, if changes were tracked.
    pub(super) dropped: Option<Vec<N>>,
}

impl<K: Key, N: Namespace, V: StateValue> FrozenTable<K, N, V> {
    /// Returns whether a delta can be made: changes were tracked since the freeze before.
    pub(crate) fn is_tracked(&self) -> bool {
        self.dropped.is_some()
    }

    /// Returns whether an entry that stands in the `index`-th group has changed.
    fn has_changed(space: &FrozenSpace<K, N, V>, index: usize, key: &K) -> bool {
        space.groups.get(index).is_none_or(|(_, dirty)| dirty.has(stable_hash(key)))
    }

    /// Encodes all entries, or those that have changed and what they replace.
    ///
    /// - `floors`: how far the key groups have come.
    /// - `keep`: whether a value is worth keeping; expired ones are not.
    ///
    /// # Errors
    /// When a value cannot be encoded as its schema says.
    pub(crate) fn encode(
        self,
        format: &StateFormat<N, K, V>,
        delta: bool,
        floors: &CutFloors,
        keep: &dyn Fn(&V) -> bool,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), FormatError> {
        let slots = if delta { Some(self.slots(format)?) } else { None };
        let range = self.range;
        let blocks = self.blocks(format, delta, floors, keep)?;
        Ok((format.part(range, blocks)?, slots))
    }

    fn blocks(
        mut self,
        format: &StateFormat<N, K, V>,
        delta: bool,
        floors: &CutFloors,
        keep: &dyn Fn(&V) -> bool,
    ) -> Result<Vec<Block>, FormatError> {
        let mut few = self.undivided(delta);
        let mut blocks = Vec::new();
        for index in 0..self.range.count() {
            let group = KeyGroup(self.range.first.0 + index as u16);
            let divided = self.spaces.iter().filter(|space| space.divided);
            let of_divided = divided.flat_map(|space| {
                let table = space.groups.get(index).and_then(|(table, _)| table.as_deref());
                let entries = table.into_iter().flat_map(|table| table.iter());
                let wanted =
                    move |(key, _): &&(K, V)| !delta || Self::has_changed(space, index, key);
                entries.filter(wanted).map(|(key, value)| (&space.namespace, key, value))
            });
            let few = few.get_mut(index).map(std::mem::take).unwrap_or_default();
            let of_few = few.iter().map(|(namespace, key, value)| (namespace, key, value));
            let entries = of_divided.chain(of_few).filter(|(_, _, value)| keep(value));
            blocks.push(format.block(group, floors.of_group(group), entries)?);
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

    /// Encodes what a delta replaces: by namespace, and by key group where it is divided, the marks
    /// of the slots.
    fn slots(&self, format: &StateFormat<N, K, V>) -> Result<Vec<u8>, FormatError> {
        let all = Dirty::default();
        let dropped = self.dropped.iter().flatten().collect::<BTreeSet<_>>();
        let mut slots = Slots::new(self.range);
        for namespace in dropped.iter().filter(|name| !self.holds(name)) {
            slots.of_all(format.namespace_bytes(namespace)?, &all);
        }
        for space in &self.spaces {
            let name = format.namespace_bytes(&space.namespace)?;
            match space.groups.as_slice() {
                _ if dropped.contains(&space.namespace) => slots.of_all(name, &all),
                [(_, marks)] => slots.of_all(name, marks),
                groups => {
                    for (index, (_, marks)) in groups.iter().enumerate() {
                        slots.of_group(index, &name, marks);
                    }
                }
            }
        }
        slots.encode(format)
    }

    fn holds(&self, namespace: &N) -> bool {
        self.spaces.binary_search_by(|space| space.namespace.cmp(namespace)).is_ok()
    }
}
