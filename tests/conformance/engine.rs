//! The engine as a subject.
//!
//! Each function returns the operator of the engine that the description asks for, behind the trait
//! of [`crate::subject`], whose contracts say what it must do.
//!
//! | subject | what of the engine is played |
//! |---|---|
//! | window | the logic that `KeyedStream::window` would run, in a `Harness` |
//! | valve | the watermarks of a source: its splits and its workers |
//! | assign | the assigners |
//! | join | the logic that `KeyedStream::interval_join` runs, in a `Harness` |
//!
//! A harness hands one record at a time to the logic and moves its watermark by hand; what the
//! shell adds to it, queues and capabilities, is what `tests/simulation.rs` and the tests of whole
//! programs are about. State cannot be put into snapshots yet, so that `snapshot_restore` does
//! nothing: what follows it is played on the same operator, whose watermark stays where it is.

#[path = "engine/assign.rs"]
mod assign;
#[path = "engine/composite.rs"]
mod composite;
#[path = "engine/window.rs"]
mod window;

#[path = "engine/join.rs"]
mod join;
#[path = "engine/valve.rs"]
mod valve;

#[path = "engine/random.rs"]
mod random;

use highwater_core::key::KeyGroups;
use highwater_state::HeapBackend;

use crate::subject::Subjects;

/// The engine.
pub(crate) const SUBJECTS: Subjects =
    Subjects { window: window::make, valve: valve::make, assign: assign::make, join: join::make };

/// The state backend of a job with one worker.
fn backend() -> HeapBackend {
    HeapBackend::new(KeyGroups::new(128, 1), 0)
}
