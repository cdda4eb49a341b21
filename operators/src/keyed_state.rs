//! The states that user code keeps for each key, as process functions see them.
//!
//! They are made with the function ([`States`]) and used through the context of a record or a timer
//! ([`ProcessContext`](crate::process::ProcessContext)), which knows the key and the time.
//!
//! **Sources**: Flink's `RuntimeContext#getState` and its siblings.

pub use highwater_state::aggregating::{AggregatingState, AggregatingStateDescriptor};
pub use highwater_state::keyed::{Current, KeyedStates as States};
pub use highwater_state::list::{ListState, ListStateDescriptor};
pub use highwater_state::map::{MapState, MapStateDescriptor};
pub use highwater_state::reducing::{ReducingState, ReducingStateDescriptor};
pub use highwater_state::ttl::{StateTtlConfig, StateVisibility, TtlTime, UpdateType};
pub use highwater_state::value::{ValueState, ValueStateDescriptor};
