//! How far a source has read each of its splits on a worker.
//!
//! The shell of the source publishes this on every step of the watermark grid, a few times a second;
//! whoever reports reads it on another thread.

use std::sync::{Mutex, PoisonError};

/// Whether records of a split may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitStatus {
    /// It has records now and then: its watermark counts.
    Active,
    /// It has had no records for a while and is not waited for.
    Idle,
    /// It has been read to its end.
    Finished,
}

/// How far one split has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitProgress {
    /// The split, as JSON.
    pub split: String,
    /// The place behind the last record that was read, as JSON; up to a second old.
    pub offset: String,
    /// Its watermark as Flink counts it, in ms: `currentWatermark`.
    pub watermark: i64,
    /// Whether records may come.
    pub status: SplitStatus,
    /// The records that were read.
    pub records: u64,
    /// When it last had a record, in ms since 1970.
    pub last_record_ms: i64,
}

/// The splits of a source on one worker.
#[derive(Debug, Default)]
pub struct Readings {
    published: Mutex<Published>,
}

#[derive(Debug, Default)]
struct Published {
    splits: Vec<SplitProgress>,
    strategy: Strategy,
}

/// How a source makes watermarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// Whether it makes any before its end.
    pub makes_watermarks: bool,
    /// After how many ms without records a split is idle; `None` for never.
    pub idleness_ms: Option<i64>,
}

impl Readings {
    pub(crate) fn publish(&self, splits: Vec<SplitProgress>, strategy: Strategy) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        *published = Published { splits, strategy };
    }

    /// Changes what was published.
    pub(crate) fn update(&self, change: impl FnOnce(&mut [SplitProgress])) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut published.splits);
    }

    /// Returns the splits in their order.
    #[must_use]
    pub fn get(&self) -> Vec<SplitProgress> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).splits.clone()
    }

    /// Returns how the source makes watermarks.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).strategy
    }
}
