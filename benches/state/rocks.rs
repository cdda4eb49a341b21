//! Counters in RocksDB, beside a read and a write of RocksDB for each record; and many more than fit
//! into memory.
//!
//! ```text
//! random keys, 1024 at a time --> [ours]  Table: decoded values, read and written by the batch
//!                             --> [bare]  get, += 1, put
//! ```
//!
//! Ours has 256 MiB, half of which RocksDB has; the bare side has 256 MiB of RocksDB alone. Both have
//! the same options and entries (rocksdb/src/options.rs), and no log. `even` draws all keys alike;
//! `skewed` draws the key `n^4 * keys` for an even `n` in 0..1, so that a tenth of the keys gets more
//! than half of the records, as counters of words, users or addresses do.
//!
//! **Unit**: one record, once all keys are there.
//!
//! `beyond` starts this program again under `ulimit -d`, which refuses it more memory of its own than
//! the limit, and reports the greatest resident memory that the system has seen.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use highwater_core::key::{KeyGroups, stable_hash};
use highwater_core::store::{Family, Store, Stores};
use highwater_rocksdb::{RocksStore, RocksStores};
use highwater_state::{Backend, Hashed, KeyedSpace, Space, Table};

use crate::twins::Spread;
use crate::{Random, Targets};

/// The argument with which the program counts under a limit of memory.
pub const LIMITED: &str = "limited";

const BATCH: usize = 1024;
const TOGETHER: usize = 32;
const KEYS: u64 = 10_000_000;
const MEMORY: u64 = 256 << 20;
const RECORDS: u64 = 2_000_000;
const PAIRS: usize = 3;
/// Ours must be so many times as fast.
const TARGET: f64 = 2.0;

const MANY_KEYS: u64 = 50_000_000;
const LIMIT_MIB: u64 = 512;
const LIMITED_MEMORY: u64 = 320 << 20;

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("highwater-bench-{}-{name}", std::process::id()))
}

/// Something that counts keys.
trait Counts {
    fn count(&mut self, keys: &[u64]);

    /// Counts each key once.
    fn fill(&mut self, keys: u64) {
        for first in (0..keys).step_by(BATCH) {
            let batch: Vec<u64> = (first..keys.min(first + BATCH as u64)).collect();
            self.count(&batch);
        }
    }
}

struct Ours {
    table: Table<u64, (), u64>,
    hashed: Vec<(u64, u64)>,
}

impl Ours {
    fn new(name: &str, memory: u64) -> Self {
        let stores: Arc<dyn Stores> = Arc::new(RocksStores::open(&folder(name), memory).unwrap());
        let backend = Backend::heap("bench", KeyGroups::new(128, 1), 0).stores(Some(stores));
        Ours { table: { backend }.table("counts").unwrap(), hashed: Vec::new() }
    }
}

impl Counts for Ours {
    fn count(&mut self, keys: &[u64]) {
        self.hashed.clear();
        self.hashed.extend(keys.iter().map(|key| (*key, stable_hash(key))));
        let Space::Cached(mut space) = self.table.space(&()) else { panic!("not in a store") };
        for some in self.hashed.chunks(TOGETHER) {
            space.prefetch(some);
            for (key, hash) in some {
                *space.get_or_insert_with(Hashed { key, hash: *hash }, || 0) += 1;
            }
        }
    }
}

struct Bare {
    store: RocksStore,
    family: Family,
}

impl Bare {
    fn new(name: &str, memory: u64) -> Self {
        // The stores leave half of their memory to tables, and here are none.
        let stores = RocksStores::open(&folder(name), 2 * memory).unwrap();
        let mut store = stores.open_store("bench", 0).unwrap();
        let family = store.family("counts", None).unwrap();
        Bare { store, family }
    }
}

impl Counts for Bare {
    fn count(&mut self, keys: &[u64]) {
        for key in keys {
            // The key group before the key, as ours are.
            let group = (stable_hash(key) >> 32) as u16 & 127;
            let mut stored = [0; 10];
            stored[..2].copy_from_slice(&group.to_be_bytes());
            stored[2..].copy_from_slice(&key.to_be_bytes());
            let found = self.store.get_many(self.family, &[&stored]).unwrap().remove(0);
            let count = found.map_or(0, |found| u64::from_le_bytes(found.try_into().unwrap()));
            let count = (count + 1).to_le_bytes();
            let mut entry = std::iter::once((stored.as_slice(), Some(count.as_slice())));
            self.store.write(self.family, &mut entry).unwrap();
        }
    }
}

/// Chooses a key.
type Draw = fn(&mut Random) -> u64;

/// Returns the us that a record takes.
fn us(counts: &mut impl Counts, draw: impl Fn(&mut Random) -> u64, seed: u64) -> f64 {
    let (mut random, mut batch) = (Random(seed), vec![0; BATCH]);
    let began = Instant::now();
    for _ in 0..RECORDS / BATCH as u64 {
        batch.iter_mut().for_each(|key| *key = draw(&mut random));
        counts.count(&batch);
    }
    began.elapsed().as_secs_f64() * 1e6 / RECORDS as f64
}

fn skewed(random: &mut Random) -> u64 {
    let even = random.draw() as f64 / u64::MAX as f64;
    // Which keys are frequent has nothing to do with where they stand.
    ((even.powi(4) * KEYS as f64) as u64).wrapping_mul(7_368_787) % KEYS
}

pub fn measure(targets: &mut Targets) {
    let (mut ours, mut bare) = (Ours::new("ours", MEMORY), Bare::new("bare", MEMORY));
    for (name, counts) in [("ours", &mut ours as &mut dyn Counts), ("bare", &mut bare)] {
        let began = Instant::now();
        counts.fill(KEYS);
        let us = began.elapsed().as_secs_f64() * 1e6 / KEYS as f64;
        println!("rocksdb {KEYS} counters, first time, {name}   {us:.2} us");
    }
    let even = |random: &mut Random| random.below(KEYS);
    let draws: [(&str, Draw); 2] = [("even", even), ("skewed", skewed)];
    for (name, draw) in draws {
        let (mut found, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..=PAIRS as u64 {
            let (a, b) = (us(&mut ours, draw, pair), us(&mut bare, draw, pair));
            if pair > 0 {
                found.push(a);
                other.push(b);
                ratios.push(b / a);
            }
        }
        let [found, other] = [found, other].map(|us| Spread::of(us).median);
        let Spread { median, least, most } = Spread::of(ratios);
        println!(
            "rocksdb {KEYS} counters, {name:<7} ours {found:>5.2} us   bare {other:>5.2} us   \
             ratio {median:.2} ({least:.2}-{most:.2})"
        );
        targets.at_most(&format!("rocksdb {name}, 1 / ratio"), 1.0 / TARGET, 1.0 / median);
    }
}

/// Counts many keys in a process of its own, under a limit of memory.
pub fn beyond(targets: &mut Targets) {
    let program = std::env::current_exe().unwrap();
    let limited = format!("ulimit -d {} && exec \"$0\" {LIMITED}", LIMIT_MIB << 10);
    let ended = Command::new("sh").arg("-c").arg(limited).arg(program).status().unwrap();
    let missed = if ended.success() { 0.0 } else { 1.0 };
    targets.at_most(&format!("{MANY_KEYS} counters in {LIMIT_MIB} MiB"), 0.0, missed);
}

/// The greatest resident memory of this process so far, in MiB.
fn resident_mib_max() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

/// What `beyond` does in its process.
pub fn limited() {
    let mut counts = Ours::new("beyond", LIMITED_MEMORY);
    let began = Instant::now();
    counts.fill(MANY_KEYS);
    let filled = began.elapsed().as_secs_f64();
    let updated = us(&mut counts, |random| random.below(MANY_KEYS), 1);
    assert_eq!(counts.table.size(), MANY_KEYS as usize);
    let resident = resident_mib_max();
    println!(
        "beyond {MANY_KEYS} counters in {LIMIT_MIB} MiB   first time {:.2} us   then {updated:.2} us   \
         at most {resident} MiB resident",
        filled * 1e6 / MANY_KEYS as f64
    );
    assert!(resident <= LIMIT_MIB, "{resident} MiB were resident");
}
