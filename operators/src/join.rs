//! Joins: pairs of records of two streams that belong together.
//!
//! ```text
//! KeyedStream --interval_join(right)--> IntervalJoin --between(lower, upper)--> IntervalJoined
//!     [.exclusive_lower()] [.exclusive_upper()] --process(l, r)--> JoinResult
//!                                               '--late_left(), late_right()--> late records
//! ```
//!
//! All joins are inner joins by key: a record without a partner leaves no trace. Left out are
//! window joins and `coGroup`, for which [`union`](crate::stream::DataStream::union) and a window
//! do, and temporal joins, for which [`connect`](crate::key_by::KeyedStream::connect) does.

mod bounds;
mod kept;
pub mod interval;

#[cfg(test)]
mod behaviour;

pub use bounds::IntervalBounds;
pub use interval::{IntervalJoin, IntervalJoined, JoinResult};
