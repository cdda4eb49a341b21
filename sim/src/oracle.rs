//! What Flink's operators mean: sequential models against which the engine is compared.
//!
//! A model takes one input at a time, in the order in which an operator with parallelism one would
//! see it, and answers with everything that input causes. There is no dataflow, no state backend
//! and no clock: time is what [`WindowModel::watermark`] and [`WindowModel::processing_time`] say.
//!
//! ```text
//!   element(key, value, ts) --.
//!   watermark(w) -------------+--> model over BTreeMaps --> take_output(), take_late()
//!   processing_time(t) -------'
//! ```
//!
//! A watermark `w` is Flink's: no element with `ts <= w` follows; a frontier `f` is `w = f - 1`.
//!
//! Invariants
//! - *Determinism*: equal inputs give equal outputs in equal order; no hash map is iterated.
//! - *Monotonic watermark*: a watermark below the current one changes nothing.
//!
//! Cost: everything is kept in ordered maps and copied freely; a model is for tests alone.
//!
//! Left out: evictors, and the panics of Flink on windows that end at the end of time.
//!
//! Sources: Flink's `WindowOperator`, `MergingWindowSet`, the built-in triggers,
//! `StatusWatermarkValve`, `IntervalJoinOperator`; Beam's composite triggers for [`Composite`].

mod assign;
mod trigger;
mod composite;
mod window;

mod interval_join;
mod valve;

pub use assign::{Assigner, Gap, Window};
pub use composite::Composite;
pub use interval_join::{Bounds, IntervalJoinModel, JoinedPair};
pub use trigger::{Clock, TimeDomain, Trigger, TriggerKind, TriggerResult, TriggerState};
pub use valve::{ValveEvent, ValveModel};
pub use window::{Fired, WindowModel, WindowSpec};
