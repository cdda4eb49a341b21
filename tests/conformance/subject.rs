//! What is played upon: an operator that takes one input at a time.
//!
//! After each call the subject has done everything that the input causes: the engine runs its
//! workers until they are quiet. Watermarks are Flink's: `w` is the frontier `w + 1`.

use highwater_sim::oracle::{Assigner, Bounds, Fired, ValveEvent, WindowSpec};

/// A keyed window operator over whole numbers.
///
/// # Contract
/// - *Contents*: [`Fired::values`] holds the elements of the window, in any order. With
///   [`Aggregate::Sum`] and [`Aggregate::Session`] it may instead hold their sum alone, so that an
///   engine can use an incremental aggregate; with [`Aggregate::Each`] it may not.
/// - *Silence*: a window without contents emits nothing.
pub(crate) trait WindowSubject {
    /// Takes an element.
    fn element(&mut self, key: &str, value: i64, ts: i64);

    /// Takes a watermark.
    fn watermark(&mut self, watermark: i64);

    /// Sets the machine's clock.
    fn processing_time(&mut self, time: i64);

    /// Takes a snapshot, throws the operator away, and continues in a new one.
    fn snapshot_restore(&mut self);

    /// Returns what was emitted since the last call.
    fn take_output(&mut self) -> Vec<Fired<String, i64>>;

    /// Returns what went to the late side output since the last call: key, value, timestamp.
    fn take_late(&mut self) -> Vec<(String, i64, i64)>;
}

/// What is computed over the contents of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aggregate {
    /// The sum of the values.
    Sum,
    /// The sum of the values, with the bounds of the window.
    Session,
    /// Every value by itself.
    Each,
}

/// The combination of the watermarks of several channels.
pub(crate) trait ValveSubject {
    /// Takes the watermark of a channel.
    fn watermark(&mut self, channel: usize, watermark: i64);

    /// Takes the news that a channel has fallen silent.
    fn idle(&mut self, channel: usize);

    /// Takes the news that a channel speaks again.
    fn active(&mut self, channel: usize);

    /// Takes the end of a channel.
    fn finished(&mut self, channel: usize);

    /// Returns the next announcement that was not yet returned.
    fn next_output(&mut self) -> Option<ValveEvent>;
}

/// Window assignment alone.
pub(crate) trait AssignSubject {
    /// Returns the windows `(start, end)` of an element, in any order.
    fn assign(&self, ts: i64) -> Vec<(i64, i64)>;
}

/// An interval join of elements that are their own timestamps, all of one key.
pub(crate) trait JoinSubject {
    /// Takes a left element.
    fn left(&mut self, ts: i64);

    /// Takes a right element.
    fn right(&mut self, ts: i64);

    /// Takes a watermark of the left input.
    fn watermark_left(&mut self, watermark: i64);

    /// Takes a watermark of the right input.
    fn watermark_right(&mut self, watermark: i64);

    /// Takes a snapshot, throws the operator away, and continues in a new one.
    fn snapshot_restore(&mut self);

    /// Returns the pairs since the last call: left, right, timestamp of the result.
    fn take_output(&mut self) -> Vec<(i64, i64, i64)>;

    /// Returns the timestamps of the left elements that are still kept, in any order.
    fn left_state(&mut self) -> Vec<i64>;

    /// Returns the timestamps of the right elements that are still kept, in any order.
    fn right_state(&mut self) -> Vec<i64>;
}

/// A subject, or none if there is none for the description.
pub(crate) type Made<S> = Option<Box<S>>;

/// Makes the subjects of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Subjects {
    /// Makes a window operator. `Trigger::kind` may be a `Composite`, to be written as a custom
    /// trigger, and `Gap::PerRecord` a rule over key and value.
    pub(crate) window: fn(&WindowSpec<String, i64>, Aggregate) -> Made<dyn WindowSubject>,
    /// Makes a valve of so many channels.
    pub(crate) valve: fn(usize) -> Made<dyn ValveSubject>,
    /// Makes a window assigner.
    pub(crate) assign: fn(&Assigner<String, i64>) -> Made<dyn AssignSubject>,
    /// Makes an interval join; the bounds are inclusive.
    pub(crate) join: fn(Bounds) -> Made<dyn JoinSubject>,
}
