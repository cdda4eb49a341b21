//! The verbs of highwater: streams, and what can be done with them.
//!
//! ```text
//! Env --read--> DataStream --map, filter, flat_map, watermarks, union--> DataStream --sink-->
//!                  '--key_by--> KeyedStream --reduce, aggregate, process, connect--> Processed
//!                                   |--window--> WindowedStream --reduce, aggregate, process-->
//!                                   '--interval_join--> IntervalJoined --process--> JoinResult
//! DataStream --iterate(body)--> DataStream, where what the body gives back enters it again
//! ```

mod node;
pub mod environment;
pub mod stream;
pub mod watermarks;
pub mod key_by;
mod keys;
mod stored;
mod floored;
pub mod stateful;

pub mod aggregate;
pub mod keyed_state;
pub mod process;
pub mod connect;
pub mod window;
pub mod join;

pub mod iterate;

pub mod sink;
