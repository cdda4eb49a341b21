//! The decoded values of one namespace: a hash table, in many small pieces once it is large.
//!
//! ```text
//! hash --bits 32..--> piece --low bits--> entry
//! ```
//!
//! Pieces grow, lose what is not in use, and are written one at a time: a table of millions of
//! entries would double at once, and stop the worker for as long as it is looked through.
//!
//! **Invariants**
//! - *Counted*: `bytes` is what all pieces take (asserted in the tests below).

use hashbrown::HashTable;
use highwater_core::key::{Key, stable_hash};

use crate::backend::Hashed;

/// A cache with more entries is divided into pieces.
const UNDIVIDED_ENTRIES: usize = 8192;

/// The bits of the hash from here on say which piece an entry is in: not those that say where in a
/// table, but those of the key group, so that what is evicted together stands together in the store.
const PIECE_BIT: u32 = 32;

/// What a table keeps of one key in memory.
#[derive(Debug)]
pub(super) struct Entry<K, V> {
    pub(super) key: K,
    /// `None` if there is none.
    pub(super) value: Option<V>,
    /// Whether the store has something else.
    pub(super) changed: bool,
    /// Whether it has been used since the last round of eviction.
    pub(super) used: bool,
}

/// The decoded values of one namespace.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    /// One, or a power of two of them.
    pieces: Vec<HashTable<Entry<K, V>>>,
    entries: usize,
    bytes: usize,
}

impl<K: Key, V> Cache<K, V> {
    pub(super) fn new() -> Self {
        let mut cache = Cache { pieces: vec![HashTable::new()], entries: 0, bytes: 0 };
        cache.bytes = cache.counted();
        cache
    }

    /// Returns how many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    /// Returns the bytes that it takes, without what its entries point to.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many pieces there are.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Returns the piece of a hash.
    #[inline]
    pub(super) fn piece_of(&self, hash: u64) -> usize {
        (hash >> PIECE_BIT) as usize & (self.pieces.len() - 1)
    }

    #[inline]
    fn piece(&mut self, hash: u64) -> &mut HashTable<Entry<K, V>> {
        let piece = self.piece_of(hash);
        &mut self.pieces[piece]
    }

    #[inline]
    pub(super) fn find(&self, key: Hashed<'_, K>) -> Option<&Entry<K, V>> {
        self.pieces[self.piece_of(key.hash)].find(key.hash, |entry| entry.key == *key.key)
    }

    #[inline]
    pub(super) fn find_mut(&mut self, key: Hashed<'_, K>) -> Option<&mut Entry<K, V>> {
        self.piece(key.hash).find_mut(key.hash, |entry| entry.key == *key.key)
    }

    /// Returns the bytes by which the cache would grow if an entry with this hash were added.
    pub(super) fn growth(&self, hash: u64) -> usize {
        let piece = &self.pieces[self.piece_of(hash)];
        if piece.len() < piece.capacity() { 0 } else { piece.allocation_size().max(64) }
    }

    /// Adds an entry with a key that the cache does not have.
    ///
    /// - `pieces`: how many pieces a cache may have.
    pub(super) fn insert(&mut self, hash: u64, entry: Entry<K, V>, pieces: usize) {
        if self.pieces.len() == 1 && self.entries == UNDIVIDED_ENTRIES && pieces > 1 {
            self.divide(pieces);
        }
        self.change(self.piece_of(hash), |piece| {
            piece.insert_unique(hash, entry, |entry| stable_hash(&entry.key));
        });
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, key: Hashed<'_, K>) -> Option<Entry<K, V>> {
        let piece = self.piece_of(key.hash);
        self.change(piece, |piece| {
            let found = piece.find_entry(key.hash, |entry| entry.key == *key.key).ok()?;
            Some(found.remove().0)
        })
    }

    /// Keeps the entries of a piece that `keep` says, and gives back the memory of the others.
    pub(super) fn retain(&mut self, piece: usize, keep: impl FnMut(&mut Entry<K, V>) -> bool) {
        self.change(piece, |piece| {
            piece.retain(keep);
            let (len, capacity) = (piece.len(), piece.num_buckets());
            // Places that were freed among others in use stay lost until the table is made anew; a
            // table that is almost empty would be searched in vain again and again.
            if len * 4 < capacity || piece.capacity() - len < capacity / 16 {
                let mut fresh = HashTable::with_capacity(len + len / 4);
                for entry in piece.drain() {
                    fresh.insert_unique(stable_hash(&entry.key), entry, |e| stable_hash(&e.key));
                }
                *piece = fresh;
            }
        });
    }

    /// Removes the entries of some pieces, at least so many if there are so many.
    pub(super) fn take_some(&mut self, entries: usize) -> Vec<Entry<K, V>> {
        let mut taken = Vec::new();
        for piece in 0..self.pieces.len() {
            if taken.len() >= entries {
                break;
            }
            self.change(piece, |piece| taken.extend(std::mem::take(piece)));
        }
        taken
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<K, V>> {
        self.pieces.iter().flat_map(HashTable::iter)
    }

    /// Visits all entries, to be changed but for their keys.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<K, V>> {
        self.pieces.iter_mut().flat_map(HashTable::iter_mut)
    }

    /// Changes a piece, and counts what it holds then.
    fn change<R>(
        &mut self,
        piece: usize,
        change: impl FnOnce(&mut HashTable<Entry<K, V>>) -> R,
    ) -> R {
        let piece = &mut self.pieces[piece];
        let (entries, bytes) = (piece.len(), piece.allocation_size());
        let result = change(piece);
        self.entries = self.entries + piece.len() - entries;
        self.bytes = self.bytes + piece.allocation_size() - bytes;
        result
    }

    #[cold]
    fn divide(&mut self, pieces: usize) {
        let whole = std::mem::take(&mut self.pieces);
        self.pieces.resize_with(pieces, HashTable::new);
        for entry in whole.into_iter().flatten() {
            let hash = stable_hash(&entry.key);
            self.piece(hash).insert_unique(hash, entry, |entry| stable_hash(&entry.key));
        }
        self.bytes = self.counted();
    }

    /// Returns the bytes of all pieces.
    fn counted(&self) -> usize {
        let of = |piece: &HashTable<_>| piece.allocation_size() + size_of_val(piece);
        self.pieces.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u64) -> Entry<u64, u64> {
        Entry { key, value: Some(key + 1), changed: false, used: key.is_multiple_of(3) }
    }

    fn check(cache: &Cache<u64, u64>, keys: impl Iterator<Item = u64>) {
        let keys: Vec<u64> = keys.collect();
        assert_eq!((cache.len(), cache.iter().count()), (keys.len(), keys.len()));
        assert_eq!(cache.bytes(), cache.counted());
        for key in keys {
            assert_eq!(cache.find(Hashed::new(&key)).unwrap().value, Some(key + 1));
        }
    }

    #[test]
    fn entries_and_bytes_are_counted_while_it_grows_is_divided_and_loses_some() {
        let mut cache = Cache::new();
        for key in 0..20_000 {
            cache.insert(stable_hash(&key), entry(key), 64);
            let divided = key as usize >= UNDIVIDED_ENTRIES;
            assert_eq!(cache.pieces(), if divided { 64 } else { 1 });
        }
        check(&cache, 0..20_000);
        let full = cache.bytes();
        (0..64).for_each(|piece| cache.retain(piece, |entry| entry.used));
        check(&cache, (0..20_000).step_by(3));
        assert!((0..64).all(|piece| cache.pieces[piece].capacity() > cache.pieces[piece].len()));
        for key in (0..20_000).step_by(3).filter(|key| key % 30 != 0) {
            assert!(cache.remove(Hashed::new(&key)).is_some());
            assert!(cache.remove(Hashed::new(&key)).is_none());
        }
        (0..64).for_each(|piece| cache.retain(piece, |_| true));
        check(&cache, (0..20_000).step_by(30));
        assert!(cache.bytes() < full / 8, "{} of {full} bytes", cache.bytes());
        let taken = cache.take_some(100);
        assert!((100..200).contains(&taken.len()), "{}", taken.len());
        assert_eq!(taken.len() + cache.len(), 20_000_usize.div_ceil(30));
        assert_eq!(cache.take_some(usize::MAX).len() + taken.len(), 20_000_usize.div_ceil(30));
        check(&cache, std::iter::empty());
    }

    #[test]
    fn what_an_entry_would_add_is_said_before() {
        let mut cache = Cache::new();
        for key in 0..5_000 {
            let (hash, before) = (stable_hash(&key), cache.bytes());
            let growth = cache.growth(hash);
            cache.insert(hash, entry(key), 1);
            assert_eq!(growth > 0, cache.bytes() > before);
            assert!(cache.bytes() - before <= growth.max(256), "{key}");
        }
    }
}
