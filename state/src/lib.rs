//! What an operator remembers: keyed tables and timers, stored by key group.
//!
//! ```text
//! record -> key -> stable hash --+--> key group -> one hash table per (namespace, group)
//!                                '--> place in the table, without hashing again
//! ```
//!
//! Operators are written against [`KeyedBackend`] and [`KeyedTable`]; [`HeapBackend`] is the
//! implementation in memory. Keys are hashed once per record ([`Hashed`]).
//!
//! Not here yet, and coming with managed state: descriptors with schema fingerprints, freezing,
//! encoding, time to live, and a backend for state larger than memory.

pub mod backend;
pub mod heap;

pub mod timer;

pub use backend::{Hashed, KeyedBackend, KeyedSpace, KeyedTable, Namespace, StateValue};
pub use heap::{HeapBackend, HeapSpace, HeapTable};
pub use timer::Timers;
