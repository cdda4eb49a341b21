//! The engine as a subject.
//!
//! Each function returns the operator of the engine that the description asks for, behind the trait
//! of [`crate::subject`], whose contracts say what it must do. `None` means that the engine has no
//! such operator; its cases are then counted as "without a subject".

use highwater_sim::oracle::{Assigner, Bounds, WindowSpec};

use crate::subject::{
    Aggregate, AssignSubject, JoinSubject, Made, Subjects, ValveSubject, WindowSubject,
};

/// The engine.
pub(crate) const SUBJECTS: Subjects = Subjects { window, valve, assign, join };

/// A keyed stream with a window: `spec` gives assigner, clock, trigger and allowed lateness;
/// results and late elements are captured, the frontier is moved by hand.
fn window(_: &WindowSpec<String, i64>, _: Aggregate) -> Made<dyn WindowSubject> {
    None
}

/// The part of the engine that combines the watermarks of channels, some of them idle.
fn valve(_: usize) -> Made<dyn ValveSubject> {
    None
}

/// The engine's assigner, without an operator around it.
fn assign(_: &Assigner<String, i64>) -> Made<dyn AssignSubject> {
    None
}

/// Two keyed streams in an interval join whose state can be looked at.
fn join(_: Bounds) -> Made<dyn JoinSubject> {
    None
}
