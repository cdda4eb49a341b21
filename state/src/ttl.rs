//! Time to live: when a value has not been used for long enough, it is as if it were not there.
//!
//! ```text
//! last use                          last use + time to live
//!    |------------- alive -------------|------------ expired ------------>   clock
//!                                      '-- read, swept, left out of snapshots, compacted away
//! ```
//!
//! A value that expires is stored with the instant of its last use in front ([`Expiring`]), eight
//! bytes that a store on disk finds without decoding the rest. Elements of lists and entries of maps
//! have instants of their own; the one in front of the whole is the newest of them.
//!
//! | what is expired is removed | when |
//! |---|---|
//! | on access | a read or write of its key finds it |
//! | incrementally | a few other keys are looked at on each access (not by processing time in a store) |
//! | in snapshots | they leave out what has expired as a whole |
//! | by the store | when it compacts its files (by processing time only: it knows no watermark) |
//!
//! **Two clocks.** Processing time is Flink's. In event time the clock is the watermark, or the time
//! of an event-time timer while it runs, and the last use is the event time of the record, or the
//! clock if that is later: results then depend on the input alone, and a history that is read again
//! after years has the state that it had. A record that comes behind newer ones of its key does not
//! make the last use earlier.
//!
//! **Sources**: Flink's `StateTtlConfig`, `AbstractTtlDecorator`, `TtlUtils`.

use std::time::Duration;

use highwater_core::cut::Cut;
use serde::{Deserialize, Serialize};

use crate::expiring::Limit;

/// How many entries an access looks at when nothing else is said, as in Flink.
const SWEPT_ENTRIES: usize = 5;

/// What counts as use of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateType {
    /// Writing it.
    #[default]
    OnCreateAndWrite,
    /// Writing and reading it. Every read becomes a write.
    OnReadAndWrite,
}

/// What a read does with a value that has expired and is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StateVisibility {
    /// It removes it and returns nothing.
    #[default]
    NeverReturnExpired,
    /// It removes it and returns it this once.
    ReturnExpiredIfNotCleanedUp,
}

/// The clock by which values expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TtlTime {
    /// The clock of the machine.
    #[default]
    Processing,
    /// The watermark. Records need event times.
    Event,
}

/// How long the values of a state live, after Flink's `StateTtlConfig`.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use highwater_state::ttl::{StateTtlConfig, TtlTime, UpdateType};
///
/// let day = StateTtlConfig::new(Duration::from_secs(24 * 3600))
///     .update_type(UpdateType::OnReadAndWrite)
///     .time(TtlTime::Event);
/// assert_eq!(day.ttl_ms(), 86_400_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTtlConfig {
    ttl_ms: i64,
    update: UpdateType,
    visibility: StateVisibility,
    time: TtlTime,
    swept: usize,
}

impl StateTtlConfig {
    /// Lets values live for `ttl` after they were written last, in processing time.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        StateTtlConfig {
            ttl_ms: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            update: UpdateType::default(),
            visibility: StateVisibility::default(),
            time: TtlTime::default(),
            swept: SWEPT_ENTRIES,
        }
    }

    /// Says what counts as use of a value.
    #[must_use]
    pub fn update_type(self, update: UpdateType) -> Self {
        StateTtlConfig { update, ..self }
    }

    /// Says what a read does with a value that has expired.
    #[must_use]
    pub fn visibility(self, visibility: StateVisibility) -> Self {
        StateTtlConfig { visibility, ..self }
    }

    /// Says by which clock values expire.
    #[must_use]
    pub fn time(self, time: TtlTime) -> Self {
        StateTtlConfig { time, ..self }
    }

    /// Lets each access look at `entries` other keys, and remove what has expired; 0 for none.
    #[must_use]
    pub fn clean_incrementally(self, entries: usize) -> Self {
        StateTtlConfig { swept: entries, ..self }
    }

    /// Returns how long values live, in ms.
    #[must_use]
    pub fn ttl_ms(&self) -> i64 {
        self.ttl_ms
    }

    pub(crate) fn swept(&self) -> usize {
        self.swept
    }

    pub(crate) fn updates_on_read(&self) -> bool {
        self.update == UpdateType::OnReadAndWrite
    }

    pub(crate) fn returns_expired(&self) -> bool {
        self.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp
    }

    /// Returns what has expired at an instant.
    pub(crate) fn limit(&self, now: Now) -> Limit {
        self.limit_of(now.processing_ms, now.watermark)
    }

    /// Returns what a cut leaves out.
    pub(crate) fn limit_at_cut(&self, cut: &Cut) -> Limit {
        self.limit_of(cut.now_ms, cut.watermark)
    }

    fn limit_of(&self, processing_ms: i64, watermark: i64) -> Limit {
        let clock = match self.time {
            TtlTime::Processing => processing_ms,
            TtlTime::Event => watermark,
        };
        Limit(clock.checked_sub(self.ttl_ms))
    }

    /// Returns the instant that a use is remembered by.
    pub(crate) fn stamp(&self, now: Now) -> i64 {
        match self.time {
            TtlTime::Processing => now.processing_ms,
            TtlTime::Event => now.watermark.max(now.event_time),
        }
    }

    /// Returns how long the entries of a store are worth keeping by its own clock.
    pub(crate) fn store_expiry_ms(&self) -> Option<i64> {
        (self.time == TtlTime::Processing).then_some(self.ttl_ms)
    }
}

/// The instant of an access, by each clock, in ms since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The clock of the machine.
    pub processing_ms: i64,
    /// The watermark; the time of an event-time timer while it runs. `i64::MIN` before the first.
    pub watermark: i64,
    /// The event time of the record; `i64::MIN` if there is none.
    pub event_time: i64,
}

impl Now {
    /// Returns the instant of an access without a record: all clocks known by their values.
    #[must_use]
    pub fn clocks(processing_ms: i64, watermark: i64) -> Self {
        Now { processing_ms, watermark, event_time: i64::MIN }
    }
}

/// A value with the instant of its last use in front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiring<V> {
    /// In ms since 1970, little-endian, so that it takes eight bytes in any encoding.
    used: [u8; 8],
    /// The value.
    pub value: V,
}

impl<V> Expiring<V> {
    /// Returns a value that was used last at `used`, in ms since 1970.
    pub fn new(used: i64, value: V) -> Self {
        Expiring { used: used.to_le_bytes(), value }
    }

    /// Returns when it was used last, in ms since 1970.
    pub fn used(&self) -> i64 {
        i64::from_le_bytes(self.used)
    }

    /// Moves the last use forward; a record that comes behind a newer one does not move it back.
    pub(crate) fn touch(&mut self, used: i64) {
        self.used = self.used().max(used).to_le_bytes();
    }

    /// Converts the value and keeps the instant.
    pub(crate) fn map<W>(self, convert: impl FnOnce(V) -> W) -> Expiring<W> {
        Expiring { used: self.used, value: convert(self.value) }
    }
}

/// Reads the last use from the bytes of a value that expires.
pub(crate) fn used_in(bytes: &[u8]) -> Option<i64> {
    bytes.first_chunk().map(|used| i64::from_le_bytes(*used))
}
