//! Random histories of tables and timers against plain sorted maps, by the thousand
//! (`HIGHWATER_LONG=1` for a hundred thousand).
//!
//! A history writes, removes, drains and clears; freezes fully or for deltas, several times before
//! the first is encoded; encodes here or on other threads while it goes on; folds; drops what was
//! frozen; restores into any number of workers, in memory or in a store, and goes on from there.
//!
//! - *Live*: every access gives what the model gives. Would catch a key that shines through from
//!   the frozen table, a value evicted without being written, a count that drifts.
//! - *Frozen*: full parts are compared byte by byte with those made of the model as it was at the
//!   freeze, and chains of a full part and deltas by restoring them. Would catch a write that shows
//!   in what was frozen before it, and a change or a deletion that a delta misses.
//! - *Deltas* are as large as what has changed, with one large namespace and with many small ones.
//! - *Timers*: the same, with the order in which they fire.
//!
//! Keys share hashes by three, so that nothing but the keys tells them apart, and key groups, so
//! that groups hold many; namespaces grow beyond what is divided by group, and become empty again.
//!
//! Mutations tried, each caught within the histories of a normal run unless said otherwise:
//!
//! | what | mutations |
//! |---|---|
//! | `heap/group.rs` | `hidden` not counted on upsert, on lift, on removal; `removed` not filled, not looked at; `visible` ignores live keys; folding into either table revives removed keys or keeps old values; a second freeze loses what is below; `retain` of a frozen key does not remove; a table copied at once revives removed keys, loses the write that copied it, stays below |
//! | marks | none on upsert, `get_mut`, `retain`, `remove`, `drain`; lost by a split, a freeze, a fold; one slot short |
//! | `heap.rs`, `heap/frozen.rs` | dropped namespaces not listed; divided while frozen; small namespaces left out of a delta |
//! | `snapshot/slots.rs` | slots of all groups reach those of other workers, or only the first; read of the own range only |
//! | `cached.rs` | `count` not raised, not lowered, not by a restored batch; `first` not moved back; evicted, flushed, removed or changed values not written; `changed` not counted down; drained keys stay cached; closed without a flush; writes before a frozen view is apart |
//! | `table/restore.rs` | slots ignored; the last run lost; every group taken for new, or a replaced one; a full snapshot keeps what came before |
//! | `timer.rs` | a timer twice; not in order when its bucket is loaded; late ones after near ones; a bucket not sorted; fired but kept; deleting takes others along; an empty bucket ends firing |
//!
//! Two survive alone, since each does what the other would: marks kept by `Group::clear`, and slots
//! that take a namespace dropped and made again for one that stayed. Both together are caught.
//!
//! All histories come from seeds, which a failure names (`HIGHWATER_SEED=n HIGHWATER_CASES=1`); what
//! other threads do meanwhile does not. `rocksdb/tests/state.rs` plays them over RocksDB.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that reports figures")]

#[path = "../support/mod.rs"]
mod support;

mod deltas;
mod histories;
mod kinds;
mod tables;
mod timers;

use std::sync::Arc;

use highwater_core::store::Stores;
use highwater_state::memory::MemoryStores;
use histories::histories;
use kinds::Kind;
use tables::World;

/// Opens the stores of a history, under the smallest cache.
fn stores() -> Arc<dyn Stores> {
    Arc::new(MemoryStores { cache_bytes: 0 })
}

#[test]
fn tables_in_memory_are_what_the_model_is() {
    histories("tables in memory", 2_000, |random| World::new(Kind::Heap, random).run());
}

#[test]
fn tables_in_stores_are_what_the_model_is() {
    histories("tables in stores", 1_000, |random| {
        let kind = if random.below(2) == 0 { Kind::Store } else { Kind::LateStore };
        World::new(kind, random).run();
    });
}

#[test]
fn timers_fire_as_the_model_does() {
    histories("timers", 1_500, timers::run);
}
