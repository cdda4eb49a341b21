//! Everything an ordinary program needs, in one `use`.
//!
//! The names are Flink's where Flink has one, and long enough to leave a program its own. Triggers
//! and the one global window, which are short in their module, are therefore renamed here:
//!
//! | here, as in Flink | in [`operators::window`](crate::operators::window) |
//! |---|---|
//! | [`CountTrigger`], [`PurgingTrigger`] | `Count`, `Purging` |
//! | [`ContinuousEventTimeTrigger`] | `ContinuousEventTime` |
//! | [`ContinuousProcessingTimeTrigger`] | `ContinuousProcessingTime` |
//! | [`GlobalWindows`] | `Global` |
//!
//! Where a program defines a name that is also here, its own wins.
//!
//! ```
//! use highwater::prelude::*;
//!
//! /// The program's own: in this file it is not a trigger.
//! #[derive(Clone, Debug, PartialEq)]
//! struct Count(u64);
//!
//! let results = Collect::new();
//! let sink = results.clone();
//! highwater::execute(Config::workers(2), move |env| {
//!     env.read(Collection::timestamped([(1, 10), (2, 20)]))
//!         .key_by(|_| ())
//!         .window(GlobalWindows)
//!         .trigger(PurgingTrigger(CountTrigger(2)))
//!         .reduce(|a, b| a + b)
//!         .map(|sum| Count(sum.value))
//!         .sink(sink.clone());
//!     Ok(())
//! })?;
//! assert_eq!(results.take_values(), [Count(30)]);
//! # Ok::<(), highwater::Error>(())
//! ```

pub use highwater_connectors::collect::Collect;
pub use highwater_connectors::collection::Collection;
pub use highwater_connectors::format::csv::CsvFiles;
pub use highwater_connectors::format::json::JsonLines;
pub use highwater_connectors::format::text::TextFiles;
pub use highwater_connectors::generator::Generator;
pub use highwater_connectors::print::Print;
pub use highwater_connectors::socket::Socket;
pub use highwater_core::config::StateBackend;
pub use highwater_core::record::Record;
pub use highwater_core::side::OutputTag;
pub use highwater_core::time::EventTime;
pub use highwater_core::watermark::WatermarkGenerator;
pub use highwater_core::{Error, Result};
pub use highwater_operators::connect::KeyedCoProcessFunction;
pub use highwater_operators::environment::{Env, Summary};
pub use highwater_operators::iterate::Loop;
pub use highwater_operators::join::{IntervalJoin, IntervalJoined, JoinResult};
pub use highwater_operators::key_by::KeyedStream;
pub use highwater_operators::keyed_state::{
    AggregatingState, AggregatingStateDescriptor, ListState, ListStateDescriptor, MapState,
    MapStateDescriptor, ReducingState, ReducingStateDescriptor, StateTtlConfig, StateVisibility,
    States, TtlTime, UpdateType, ValueState, ValueStateDescriptor,
};
pub use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
pub use highwater_operators::stateful::Stateful;
pub use highwater_operators::stream::{DataStream, Named, Processed};
pub use highwater_operators::watermarks::Watermarks;
pub use highwater_operators::window::{
    AggregateFunction, ProcessFn, ProcessWindowFunction, Session, Sliding, TimeWindow, Trigger,
    TriggerContext, TriggerResult, Tumbling, Windowed,
};
pub use highwater_operators::window::{
    ContinuousEventTime as ContinuousEventTimeTrigger,
    ContinuousProcessingTime as ContinuousProcessingTimeTrigger, Count as CountTrigger,
    Global as GlobalWindows, Purging as PurgingTrigger,
};

pub use crate::options::Config;

use std::time::Duration;

/// Returns a duration of `n` milliseconds.
#[must_use]
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Returns a duration of `n` seconds.
#[must_use]
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Returns a duration of `n` minutes.
#[must_use]
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Returns a duration of `n` hours.
#[must_use]
pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(n * 3600)
}
