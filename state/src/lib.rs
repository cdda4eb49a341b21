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
//! User code sees [`KeyedStates`] instead: values, lists, maps and aggregates of the current key, each
//! kept in one table, with a time to live if it is given one ([`ttl`]). What belongs to no key, such
//! as the offsets of a source, is operator state ([`operator`]).
//!
//! At the end of an epoch each table is frozen at once and becomes bytes on another thread, by
//! [`StateFormat`], in a format (`format.rs`) that no backend owns.

pub mod backend;
pub mod descriptor;
pub mod floors;

pub mod table;
mod spaces;
mod heap;
mod cached;
pub mod memory;

pub mod timer;

pub mod ttl;
mod expiring;
mod cell;
pub mod value;
pub mod list;
pub mod map;
pub mod reducing;
pub mod aggregating;
pub mod keyed;
pub mod operator;

pub mod snapshot;
pub mod schema;
pub mod format;
pub mod untyped;

#[cfg(feature = "abomonation")]
pub mod codec;

pub use aggregating::{AggregateFunction, AggregatingState, AggregatingStateDescriptor};
pub use backend::{Backend, Hashed, Namespace, StateValue};
pub use descriptor::TableDescriptor;
pub use floors::Floors;
pub use keyed::{Current, KeyedStates};
pub use list::{ListState, ListStateDescriptor};
pub use map::{MapState, MapStateDescriptor};
pub use operator::{BroadcastState, OperatorListDescriptor, OperatorListState, Redistribution};
pub use reducing::{ReducingState, ReducingStateDescriptor};
pub use snapshot::{Migration, StateFormat, StateReader};
pub use table::{KeyedSpace, Space, Table};
pub use timer::Timers;
pub use ttl::StateTtlConfig;
pub use value::{ValueState, ValueStateDescriptor};
