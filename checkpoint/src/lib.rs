//! How a job moves from one epoch to the next.
//!
//! ```text
//! trigger --> every source moves its capability (e, w) -> (e + 1, w), between two batches
//!         --> the frontier leaves e, operator by operator --> each freezes its state and goes on
//! ```
//!
//! An epoch is a consistent cut through the job: what came before it is in the frozen state, what
//! comes after is not. Nothing waits for it: a worker that is ahead keeps batches of the next epoch
//! in its queue and goes on with this one.
//!
//! Here so far is the trigger. The coordinator, the log, manifests and restoring a job from them
//! come with exactly-once recovery.
//!
//! **Sources**: Carbone et al., Lightweight Asynchronous Snapshots for Distributed Dataflows, 2015.

pub mod trigger;

pub use trigger::PeriodicTrigger;
