//! Looks through the entries of a store a few at a time, to find those that have expired.
//!
//! Only for tables whose clock the store does not know; others it cleans when it compacts. Entries
//! are looked at many at once, because the first of a scan is the dear one.

use highwater_core::key::Key;

use super::entries::divide;
use super::{CachedTable, or_damaged, or_lost};
use crate::backend::{Namespace, StateValue};
use crate::expiring::Limit;
use crate::ttl::used_in;

/// How many accesses share a scan.
const ACCESSES_PER_SCAN: usize = 64;

/// Where a walk through a store goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreWalk {
    /// The last entry that was looked at.
    after: Option<Vec<u8>>,
    /// The accesses since the last scan.
    accesses: usize,
}

impl<K: Key, N: Namespace, V: StateValue> CachedTable<K, N, V> {
    /// Returns the keys of a few entries that had expired when they were written to the store, round
    /// and round; they may have been used since.
    ///
    /// - `entries`: so many for each access, on average.
    pub(crate) fn walk(&self, at: &mut StoreWalk, entries: usize, limit: Limit) -> Vec<K> {
        at.accesses += 1;
        if at.accesses < ACCESSES_PER_SCAN {
            return Vec::new();
        }
        at.accesses = 0;
        let (mut found, mut expired) = (0, Vec::new());
        let after = at.after.take();
        let mut visit = |stored: &[u8], value: &[u8]| {
            if used_in(value).is_some_and(|used| limit.has_expired(used))
                && let Some((_, key)) = divide(stored)
            {
                expired.push(or_damaged(self.format.key_from(key)));
            }
            found += 1;
            let more = found < entries * ACCESSES_PER_SCAN;
            at.after = (!more).then(|| stored.to_vec());
            more
        };
        or_lost(self.store.scan(&[], after.as_deref(), &mut visit));
        expired
    }
}
