//! Filling a table with what is stored of it.
//!
//! ```text
//! full snapshot    replaces everything of its key groups
//! delta            forgets the keys of marked slots, then adds its own entries
//! ```
//!
//! **Cost**: one insert per entry into tables that are made large enough before. Entries of groups
//! that are new go into a store by the batch, without being looked up in it; those of deltas are
//! looked up by the batch, and what a delta forgets is found by one scan of its key groups.

use highwater_core::cut::EncodedState;
use highwater_core::key::{Key, KeyGroup, KeyGroupRange, KeyGroups};

use super::{Rows, Table};
use crate::backend::{Hashed, Namespace, StateValue};
use crate::floors::Floors;
use crate::format::FormatError;
use crate::snapshot::{GroupReader, Marks};

/// How many entries are written to a store at once.
const BATCH: usize = 1024;

/// Which key groups of a worker have been filled.
#[derive(Debug)]
pub(crate) struct Filled {
    groups: KeyGroups,
    range: KeyGroupRange,
    filled: Vec<bool>,
}

impl Filled {
    /// Begins with empty groups.
    pub(crate) fn new(groups: KeyGroups, range: KeyGroupRange) -> Self {
        Filled { groups, range, filled: vec![false; range.count()] }
    }
}

impl<K: Key, N: Namespace, V: StateValue> Table<K, N, V> {
    /// Adds the entries of a stored state that belong to the range of the worker, and raises the
    /// floors of its groups.
    pub(crate) fn restore(
        &mut self,
        stored: &EncodedState,
        filled: &mut Filled,
        floors: &mut Floors,
    ) -> Result<(), FormatError> {
        let Some(format) = self.format.clone() else { return Ok(()) };
        let (groups, range) = (filled.groups, filled.range);
        let reader = format.open(&stored.part)?;
        match &stored.slots {
            Some(slots) => format.read_slots(slots, range, |of, namespace, marks| {
                self.forget(&namespace, &marks, groups, (range, of));
            })?,
            None => self.forget_all(reader.header().range, filled),
        }
        for group in reader.groups(range) {
            let group = group?;
            floors.raise(group.group(), group.floor());
            let index = range.index_of(group.group());
            let is_new = filled.filled.get_mut(index).map(|filled| std::mem::replace(filled, true));
            self.fill(group, index, is_new == Some(false))?;
        }
        Ok(())
    }

    /// Removes the keys of marked slots and some key groups.
    fn forget(
        &mut self,
        namespace: &N,
        marks: &Marks,
        groups: KeyGroups,
        (range, of): (KeyGroupRange, KeyGroupRange),
    ) {
        let mut gone = Vec::new();
        let take = |key: &K, _: &V| {
            let hash = Hashed::new(key).hash;
            if marks.has(hash) && of.contains(groups.of_hash(hash)) {
                gone.push(key.clone());
            }
        };
        if of.first == of.last {
            self.visit_group(namespace, range.index_of(of.first), take);
        } else {
            self.visit(namespace, take);
        }
        match &mut self.rows {
            Rows::Heap(table) => gone.iter().for_each(|key| {
                table.remove(Hashed::new(key), namespace);
            }),
            Rows::Cached(table) => table.remove_seen(namespace, &gone),
        }
        if self.is_empty(namespace) {
            self.clear(namespace);
        }
    }

    /// Empties the key groups that are filled again.
    fn forget_all(&mut self, of: KeyGroupRange, filled: &Filled) {
        let Filled { groups, range, filled } = filled;
        for (group, filled) in (range.first.0..).map(KeyGroup).zip(filled) {
            // They stay filled: a cache may know better than the store that keys are gone.
            if !of.contains(group) || !*filled {
                continue;
            }
            let only = KeyGroupRange { first: group, last: group };
            let mut last = None;
            while let Some(namespace) = self.next_namespace(last.as_ref()).cloned() {
                self.forget(&namespace, &Marks::all(), *groups, (*range, only));
                last = Some(namespace);
            }
        }
    }

    /// Adds the entries of a key group, those of a namespace in a row.
    fn fill(
        &mut self,
        group: GroupReader<'_, N, K, V>,
        index: usize,
        is_new: bool,
    ) -> Result<(), FormatError> {
        let limit = match self.rows {
            Rows::Heap(_) => usize::MAX,
            Rows::Cached(_) => BATCH,
        };
        let mut entries = Vec::new();
        let mut last = None;
        for entry in group {
            let (namespace, key, value) = entry?;
            if last.as_ref() != Some(&namespace) || entries.len() == limit {
                if let Some(last) = &last {
                    self.add(last, index, is_new, &mut entries);
                }
                last = Some(namespace);
            }
            entries.push((key, value));
        }
        if let Some(last) = &last {
            self.add(last, index, is_new, &mut entries);
        }
        Ok(())
    }

    /// Adds entries of one key group and namespace.
    ///
    /// - `is_new`: whether the group had none.
    fn add(&mut self, namespace: &N, index: usize, is_new: bool, entries: &mut Vec<(K, V)>) {
        let entries = entries.drain(..);
        match &mut self.rows {
            Rows::Heap(table) if is_new => table.add(namespace, index, entries),
            Rows::Heap(_) => {
                for (key, value) in entries {
                    self.insert(Hashed::new(&key), namespace, value);
                }
            }
            Rows::Cached(table) if is_new => table.add(namespace, entries),
            Rows::Cached(table) => table.insert_many(namespace, entries.collect()),
        }
    }
}
