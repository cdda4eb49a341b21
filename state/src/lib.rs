//! What an operator remembers: keyed tables and timers, stored by key group.
//!
//! ```text
//! record -> key -> stable hash --+--> key group -> one hash table per (namespace, group)
//!                                '--> place in the table, without hashing again
//! ```
//!
//! Operators are written against [`Table`] and [`Timers`], which a [`Backend`] makes by name. Their
//! values live in memory (`heap.rs`), or in a store of bytes with those in use decoded above it
//! (`cached.rs`). Keys are hashed once per record ([`Hashed`]).
//!
//! At the end of an epoch each table is frozen at once and becomes bytes on another thread, by
//! [`StateFormat`], in a format (`format.rs`) that no backend owns.

pub mod backend;
pub mod descriptor;

pub mod table;
mod heap;
mod cached;
pub mod memory;

pub mod timer;

pub mod snapshot;
pub mod schema;
pub mod format;

#[cfg(feature = "abomonation")]
pub mod codec;

pub use backend::{Backend, Hashed, Namespace, StateValue};
pub use descriptor::TableDescriptor;
pub use snapshot::{Migration, StateFormat, StateReader};
pub use table::{KeyedSpace, Space, Table};
pub use timer::Timers;
