//! A read-modify-write in memory, beside a bare hash table.
//!
//! ```text
//! random keys, 1024 at a time --hash--> [ours]  Table: namespace, key group, table --> += 1
//!                             --hash--> [bare]  one hashbrown table                --> += 1
//! ```
//!
//! Ours is accessed as operators do: the keys of a batch are hashed, and the next 32 are brought near
//! before they are changed one by one. The bare table is asked for one key after the other, as a
//! program would that has no batches. `bare, near` does for it what operators do for ours.
//!
//! **Unit**: one access. 10 thousand keys fit into the second cache, a million into the last one of
//! some machines, 10 million into none.

use std::hash::BuildHasherDefault;
use std::time::Instant;

use hashbrown::HashMap;
use highwater_core::key::{KeyGroups, stable_hash};
use highwater_state::{Backend, Hashed, KeyedSpace, Space, Table};

use crate::twins::{Fx, Spread};
use crate::{Random, Targets};

const BATCH: usize = 1024;
const TOGETHER: usize = 32;
const ACCESSES: u64 = 20_000_000;
const PAIRS: usize = 7;
/// Ours may take so many times as long.
const TARGET: f64 = 1.15;

type Bare = HashMap<u64, u64, BuildHasherDefault<Fx>>;

/// Something that counts keys.
trait Counts {
    fn count(&mut self, keys: &[u64]);
    /// The sum of all counts.
    fn sum(&mut self) -> u64;
}

struct Ours {
    table: Table<u64, (), u64>,
    hashed: Vec<(u64, u64)>,
}

fn count(mut space: impl KeyedSpace<u64, u64>, keys: &[(u64, u64)]) {
    for some in keys.chunks(TOGETHER) {
        space.prefetch(some);
        for (key, hash) in some {
            *space.get_or_insert_with(Hashed { key, hash: *hash }, || 0) += 1;
        }
    }
}

impl Counts for Ours {
    fn count(&mut self, keys: &[u64]) {
        self.hashed.clear();
        self.hashed.extend(keys.iter().map(|key| (*key, stable_hash(key))));
        match self.table.space(&()) {
            Space::Heap(space) => count(space, &self.hashed),
            Space::Cached(space) => count(space, &self.hashed),
        }
    }

    fn sum(&mut self) -> u64 {
        let mut sum = 0;
        self.table.visit(&(), |_, count| sum += count);
        sum
    }
}

impl Counts for Bare {
    fn count(&mut self, keys: &[u64]) {
        keys.iter().for_each(|key| *self.entry(*key).or_insert(0) += 1);
    }

    fn sum(&mut self) -> u64 {
        self.values().sum()
    }
}

/// A bare table that is asked for the next keys together.
#[derive(Default)]
struct Near(Bare);

impl Counts for Near {
    fn count(&mut self, keys: &[u64]) {
        for some in keys.chunks(TOGETHER) {
            let known = some.iter().filter(|key| self.0.contains_key(*key));
            std::hint::black_box(known.count());
            self.0.count(some);
        }
    }

    fn sum(&mut self) -> u64 {
        self.0.sum()
    }
}

/// Returns the ns that an access takes once all keys are there.
fn ns(mut counts: impl Counts, keys: u64, seed: u64) -> f64 {
    let all: Vec<u64> = (0..keys).collect();
    all.chunks(BATCH).for_each(|batch| counts.count(batch));
    let (mut random, mut batch) = (Random(seed), vec![0; BATCH]);
    let mut spent = 0.0;
    for _ in 0..ACCESSES / BATCH as u64 {
        batch.iter_mut().for_each(|key| *key = random.below(keys));
        let began = Instant::now();
        counts.count(&batch);
        spent += began.elapsed().as_secs_f64();
    }
    let accesses = ACCESSES / BATCH as u64 * BATCH as u64;
    assert_eq!(counts.sum(), keys + accesses);
    spent * 1e9 / accesses as f64
}

pub fn measure(targets: &mut Targets) {
    let ours = |keys: u64, durable: bool, seed| {
        let mut backend = Backend::heap("bench", KeyGroups::new(128, 1), 0).durable(durable);
        ns(Ours { table: backend.table("counts").unwrap(), hashed: Vec::new() }, keys, seed)
    };
    for keys in [10_000, 1_000_000, 10_000_000] {
        let (mut found, mut bare, mut near) = (Vec::new(), Vec::new(), Vec::new());
        let mut ratios = Vec::new();
        for pair in 0..PAIRS as u64 {
            found.push(ours(keys, true, pair));
            bare.push(ns(Bare::default(), keys, pair));
            near.push(ns(Near::default(), keys, pair));
            ratios.push(found[found.len() - 1] / bare[bare.len() - 1]);
        }
        let [found, bare, near] = [found, bare, near].map(|ns| Spread::of(ns).median);
        let Spread { median, least, most } = Spread::of(ratios);
        println!(
            "access {keys:>9} keys   ours {found:>6.2} ns   bare {bare:>6.2} ns   bare, near \
             {near:>6.2} ns   ratio {median:.2} ({least:.2}-{most:.2})"
        );
        targets.at_most(&format!("access {keys} keys"), TARGET, median);
    }
}
