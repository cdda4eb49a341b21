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
//! State becomes bytes by [`StateFormat`], in a format (`format.rs`) that no backend owns.
//!
//! Not here yet, and coming with managed state: descriptors, freezing, time to live, and a backend
//! for state larger than memory.

pub mod backend;
pub mod heap;

pub mod timer;

pub mod snapshot;
pub mod schema;
pub mod format;

#[cfg(feature = "abomonation")]
pub mod codec;

pub use backend::{Hashed, KeyedBackend, KeyedSpace, KeyedTable, Namespace, StateValue};
pub use heap::{HeapBackend, HeapSpace, HeapTable};
pub use snapshot::{Migration, StateFormat, StateReader};
pub use timer::Timers;
