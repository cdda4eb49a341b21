//! What leaves the cache: values not in use when there are too many, changed ones before a freeze.

use std::sync::Arc;

use highwater_core::key::Key;

use super::cache::{Cache, Entry};
use super::entries::Written;
use super::{CachedTable, or_lost};
use crate::backend::{Namespace, StateValue};

/// About how many entries a piece of a large cache has: evicting from it takes less than a ms.
const PIECE_ENTRIES: usize = 1024;
/// The most pieces of a cache: empty ones take memory, too.
const PIECES_MAX: usize = 1 << 14;
/// The least memory for caches, however little there is for them.
const BYTES_MIN: usize = 4096;

impl<K: Key, N: Namespace, V: StateValue> CachedTable<K, N, V> {
    /// The bytes that the caches take, as far as one can tell, if they hold so many more entries.
    fn bytes(&self, more: usize) -> usize {
        let (bytes, values) = self.encoded;
        let mean = bytes.checked_div(values).unwrap_or(0) as usize;
        let outside = if std::mem::needs_drop::<(K, V)>() { 2 * mean } else { 0 };
        let (entries, allocated) = self.cached;
        allocated + (entries + more) * outside
    }

    /// How many pieces a large cache has: with all the memory there is, each is small. Those of the
    /// key groups of other workers stay empty.
    pub(super) fn pieces(&self) -> usize {
        let entries = self.stores.cache_bytes() / size_of::<Entry<K, V>>();
        (entries / PIECE_ENTRIES * self.groups.workers()).next_power_of_two().min(PIECES_MAX)
    }

    /// Makes room for an entry: evicts what is not in use if the caches take too much memory, or
    /// would by growing for it.
    pub(super) fn make_room(&mut self, place: usize, hash: u64) {
        let room = self.stores.cache_bytes().max(BYTES_MIN);
        let wanted = |table: &Self| table.spaces[place].cache.growth(hash) + table.bytes(1);
        if wanted(self) <= room || !self.store.may_write() {
            return;
        }
        // What has not been used for longest is elsewhere, as likely as not.
        self.evict_next();
        if wanted(self) > room {
            let piece = self.spaces[place].cache.piece_of(hash);
            self.evict(place, piece);
        }
    }

    /// Evicts from the piece that is next in turn.
    fn evict_next(&mut self) {
        let places = self.spaces.places();
        for _ in 0..=places {
            let (place, piece) = self.evict_at;
            match self.spaces.get_mut(place) {
                Some(space) if piece < space.cache.pieces() && space.cache.len() > 0 => {
                    self.evict_at = (place, piece + 1);
                    return self.evict(place, piece);
                }
                _ if place + 1 < places => self.evict_at = (place + 1, 0),
                _ => self.evict_at = (0, 0),
            }
        }
    }

    /// Writes the changed values of a piece that have not been used lately, and forgets those that
    /// have not; every other one if all have been used.
    fn evict(&mut self, place: usize, piece: usize) {
        let before = self.spaces[place].cache.len();
        self.evict_where(place, piece, |entry| std::mem::take(&mut entry.used));
        if self.spaces[place].cache.len() == before {
            let mut keep = false;
            self.evict_where(place, piece, |_| {
                keep = !keep;
                keep
            });
        }
    }

    fn evict_where(
        &mut self,
        place: usize,
        piece: usize,
        mut keep: impl FnMut(&mut Entry<K, V>) -> bool,
    ) {
        let (format, groups) = (Arc::clone(&self.format), self.groups);
        let name = std::mem::take(&mut self.spaces[place].name);
        let (mut written, mut changed) = (Written::default(), 0);
        self.change(place, |cache| {
            cache.retain(piece, |entry| {
                let kept = keep(entry);
                if !kept && entry.changed {
                    changed += 1;
                    written.add(&format, groups, &name, (&entry.key, entry.value.as_ref()));
                }
                kept
            });
        });
        let space = &mut self.spaces[place];
        space.name = name;
        space.changed -= changed;
        self.write(place, written);
    }

    /// Changes the cache of a namespace, and counts what all of them take then.
    pub(super) fn change<R>(
        &mut self,
        place: usize,
        change: impl FnOnce(&mut Cache<K, V>) -> R,
    ) -> R {
        let cache = &mut self.spaces[place].cache;
        let (entries, bytes) = (cache.len(), cache.bytes());
        let result = change(cache);
        self.cached.0 = self.cached.0 + cache.len() - entries;
        self.cached.1 = self.cached.1 + cache.bytes() - bytes;
        result
    }

    /// Forgets a namespace.
    pub(super) fn close(&mut self, place: usize) {
        if let Some((_, space)) = self.spaces.remove(place) {
            self.cached.0 -= space.cache.len();
            self.cached.1 -= space.cache.bytes();
        }
    }

    /// Writes all changed values of all namespaces, which stay in the caches.
    pub(super) fn flush_all(&mut self) {
        let places: Vec<usize> = self.spaces.in_order().collect();
        places.into_iter().for_each(|place| self.flush(place));
    }

    /// Writes all changed values of a namespace, which stay in the cache.
    pub(super) fn flush(&mut self, place: usize) {
        let (format, groups) = (Arc::clone(&self.format), self.groups);
        let space = &mut self.spaces[place];
        if space.changed == 0 {
            return;
        }
        let mut written = Written::default();
        let mut flushed = 0;
        for entry in space.cache.iter_mut().filter(|entry| entry.changed) {
            written.add(&format, groups, &space.name, (&entry.key, entry.value.as_ref()));
            entry.changed = false;
            flushed += 1;
        }
        debug_assert_eq!(flushed, space.changed, "changed entries are counted");
        space.changed = 0;
        self.write(place, written);
    }

    pub(super) fn write(&mut self, place: usize, mut written: Written) {
        if written.len() == 0 {
            return;
        }
        self.encoded.0 += written.value_bytes;
        self.encoded.1 += written.len() as u64;
        self.spaces[place].stored = true;
        or_lost(self.store.write(written.sorted()));
    }
}

#[cfg(test)]
mod tests {
    use highwater_core::key::KeyGroups;

    use crate::backend::{Backend, Hashed};
    use crate::memory::MemoryStores;
    use crate::table::{Rows, Table};

    #[test]
    fn the_caches_of_all_namespaces_together_stay_within_their_bytes() {
        const ROOM: usize = 256 << 10;
        let stores = std::sync::Arc::new(MemoryStores { cache_bytes: ROOM });
        let backend = Backend::heap("evict", KeyGroups::new(128, 1), 0).stores(Some(stores));
        let mut table: Table<u64, i64, u64> = { backend }.table("values").unwrap();
        let mut most = 0;
        for key in 0..60_000_u64 {
            table.insert(Hashed::new(&key), &(key as i64 % 3), key);
            let Rows::Cached(cached) = &table.rows else { unreachable!("it has a store") };
            most = most.max(cached.bytes(0));
        }
        assert!((ROOM / 2..=ROOM * 9 / 8).contains(&most), "{most} bytes");
        for key in 0..60_000 {
            assert_eq!(table.get(Hashed::new(&key), &(key as i64 % 3)), Some(&key));
        }
    }
}
