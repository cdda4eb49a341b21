//! Keyed state beyond memory, in RocksDB.
//!
//! ```text
//! process    RocksStores ---- one block cache, one limit of write buffers, one scratch folder
//!                 |
//! operator    RocksStore ---- one DB: it is frozen at one instant, and no two operators share it
//! and worker      |
//! state         Family ------ a column family
//!                 |
//! freeze     RocksFrozen ---- a checkpoint: hard links to the SSTs, opened when it is first read
//! ```
//!
//! What an operator remembers lives here between checkpoints only. Durable is what the frozen views
//! are encoded or uploaded into, so there is no write-ahead log, nothing is restored from a scratch
//! folder, and one that a killed process left behind is wiped.
//!
//! **Invariants**
//! - *Bounded*: what RocksDB allocates and what tables keep decoded fits into one number, which all
//!   stores of a process share (`memory`).
//! - *Frozen is frozen*: a view shows what was written before it and nothing after, given that its
//!   families are not written until it is apart (`frozen`; tests/frozen.rs).
//! - *No rests*: a folder is removed once nothing in it is used (`folder`; tests/folders.rs).
//!
//! **Cost**: a read takes microseconds, a hundred times a hash table's: values in use belong into
//! the cache of decoded ones. A freeze takes the worker about 60 us, for a thread to be started; on
//! it the checkpoint is made, in 20 to 50 ms (up to 1.5 million entries, 64 MiB of memory).
//!
//! **Left out**: the upload of checkpoints. [`RocksFrozen::files`] names the SSTs that make one up;
//! most of them are those of the one before.
//!
//! **Sources**: Flink, `EmbeddedRocksDBStateBackend`, `RocksDBMemoryControllerUtils`,
//! `RocksDbTtlCompactFiltersManager`; O'Neil et al., The Log-Structured Merge-Tree, 1996.

mod error;
mod memory;

mod folder;
mod stores;

mod expiry;
mod options;
mod store;

mod frozen;
mod read;

pub use error::StoreError;
pub use frozen::{CheckpointFile, RocksFrozen};
pub use memory::MEMORY_BYTES_MIN;
pub use store::RocksStore;
pub use stores::RocksStores;

/// A DB whose families may be made while a thread freezes it.
type Db = rocksdb::DBWithThreadMode<rocksdb::MultiThreaded>;
