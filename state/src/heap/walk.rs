//! Looks through a namespace a few entries at a time, to find those that have expired.
//!
//! Only live tables are looked at: what lies frozen below them waits until it is folded.

use highwater_core::key::Key;

use super::HeapTable;
use crate::backend::{Namespace, StateValue};

/// How many places of a table are looked at for each entry that is wanted.
const PLACES_PER_ENTRY: usize = 4;

/// Where a walk goes on: a group and a place in its table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Walk {
    group: usize,
    place: usize,
}

impl<K: Key, N: Namespace, V: StateValue> HeapTable<K, N, V> {
    /// Passes the next few entries of a namespace to `visit`, round and round.
    ///
    /// - `entries`: at most so many; fewer if the tables are sparse.
    pub(crate) fn walk(
        &self,
        namespace: &N,
        at: &mut Walk,
        entries: usize,
        mut visit: impl FnMut(&K, &V),
    ) {
        let Ok(place) = self.find(namespace) else { return };
        let groups = &self.spaces[place].1.groups;
        let mut found = 0;
        for _ in 0..entries * PLACES_PER_ENTRY {
            let Some(group) = groups.get(at.group) else {
                *at = Walk::default();
                continue;
            };
            match group.live_at(at.place) {
                None => *at = Walk { group: at.group + 1, place: 0 },
                Some(entry) => {
                    at.place += 1;
                    if let Some((key, value)) = entry {
                        visit(key, value);
                        found += 1;
                    }
                }
            }
            if found == entries {
                return;
            }
        }
    }
}
