//! From the numbers of vertices to small numbers that follow each other.
//!
//! Numbers that lie close together are looked up in an array, others in a hash table. Which worker a
//! vertex belongs to depends on nothing but its number and how many workers there are.

use hashbrown::HashTable;

/// The place of each of some vertices.
#[derive(Debug)]
pub(crate) enum Ids {
    /// By number; `u32::MAX` for none.
    Dense(Vec<u32>),
    /// By the hash of the number.
    Sparse(HashTable<(u64, u32)>),
}

/// How many times more room than vertices an array may have.
const ROOM: u64 = 8;

impl Ids {
    /// Returns a map without vertices.
    ///
    /// - `greatest`: the greatest number that will be added.
    /// - `count`: about how many will.
    pub(crate) fn new(greatest: u64, count: usize) -> Self {
        if greatest < 1 << 16 || greatest / ROOM <= count as u64 && greatest < u64::from(u32::MAX) {
            Ids::Dense(vec![u32::MAX; greatest as usize + 1])
        } else {
            Ids::Sparse(HashTable::with_capacity(count))
        }
    }

    /// Returns the place of a vertex.
    #[inline]
    pub(crate) fn get(&self, id: u64) -> Option<u32> {
        match self {
            Ids::Dense(places) => {
                places.get(usize::try_from(id).ok()?).copied().filter(|place| *place < u32::MAX)
            }
            Ids::Sparse(table) => {
                table.find(mix(id), |(other, _)| *other == id).map(|(_, place)| *place)
            }
        }
    }

    /// Adds a vertex that is not there.
    pub(crate) fn insert(&mut self, id: u64, place: u32) {
        match self {
            Ids::Dense(places) => places[id as usize] = place,
            Ids::Sparse(table) => {
                table.insert_unique(mix(id), (id, place), |(id, _)| mix(*id));
            }
        }
    }
}

/// Spreads the bits of a number (the finalizer of SplitMix64).
fn mix(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}

/// Returns the worker that a vertex belongs to.
#[inline]
pub(crate) fn owner(id: u64, workers: u32) -> u32 {
    (((mix(id) >> 32) * u64::from(workers)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_and_scattered_numbers_are_found_and_others_are_not() {
        for step in [1, 1 << 40] {
            let mut ids = Ids::new(999 * step, 1000);
            assert_eq!(matches!(ids, Ids::Dense(_)), step == 1);
            for n in (0..1000).step_by(2) {
                ids.insert(n * step, n as u32);
            }
            for n in 0..1000 {
                assert_eq!(ids.get(n * step), (n % 2 == 0).then_some(n as u32));
            }
            assert_eq!(ids.get(u64::MAX), None);
        }
    }

    #[test]
    fn every_vertex_has_an_owner_and_every_worker_has_vertices() {
        for workers in 1..9 {
            let mut counts = vec![0; workers as usize];
            (0..8000).for_each(|id| counts[owner(id, workers) as usize] += 1);
            assert!(counts.iter().all(|count| *count > 8000 / workers / 2), "{counts:?}");
        }
    }
}
