//! A source that follows a script: fixed records in splits, read in chunks and pauses that a seed
//! draws.

use std::sync::Arc;
use std::time::Duration;

use highwater_core::clock::{Clock, ManualClock};
use highwater_core::error::Result;
use highwater_core::record::{Batch, Record};
use highwater_core::source::{Boundedness, Poll, Reader, Source};

use crate::random::Random;
use crate::world::Item;

/// When the records of a split come.
#[derive(Clone, Debug)]
pub enum Pace {
    /// In chunks and pauses drawn from a seed.
    Drawn {
        /// The seed; every split has its own sequence.
        seed: u64,
    },
    /// Each when the clock shows its time; the split ends with its last record.
    Timed {
        /// The clock.
        clock: Arc<ManualClock>,
        /// The time of each record of each split, in ms, and the end of the split.
        due_ms: Arc<Vec<(Vec<i64>, i64)>>,
    },
}

/// A bounded source of the records of a test.
///
/// - output: the records of each split in order; split `i` is read by worker `i mod workers`.
#[derive(Clone, Debug)]
pub struct Scripted {
    splits: Arc<Vec<Vec<Record<Item>>>>,
    pace: Pace,
}

impl Scripted {
    /// Returns a source of these splits, read at this pace.
    #[must_use]
    pub fn new(splits: Vec<Vec<Record<Item>>>, pace: Pace) -> Self {
        Scripted { splits: Arc::new(splits), pace }
    }
}

impl Source for Scripted {
    type Item = Item;
    type Split = usize;
    type Reader = ScriptedReader;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, _parallelism: usize) -> Result<Vec<usize>> {
        Ok((0..self.splits.len()).collect())
    }

    fn open(&self, split: &usize) -> Result<ScriptedReader> {
        self.resume(split, &0)
    }

    fn resume(&self, split: &usize, at: &usize) -> Result<ScriptedReader> {
        let seed = match self.pace {
            Pace::Drawn { seed } => seed,
            Pace::Timed { .. } => 0,
        };
        // Chunks and pauses are drawn anew from where the reader goes on.
        let random = Random::new(seed ^ (*split as u64) << 32 ^ (*at as u64) << 16);
        Ok(ScriptedReader { source: self.clone(), split: *split, at: *at, random })
    }
}

/// Reads one split of a [`Scripted`] source.
#[derive(Debug)]
pub struct ScriptedReader {
    source: Scripted,
    split: usize,
    at: usize,
    random: Random,
}

impl ScriptedReader {
    /// Appends the next `count` records; returns whether those were the last.
    fn read(&mut self, out: &mut Batch<Item>, count: usize) -> bool {
        let records = &self.source.splits[self.split];
        let end = (self.at + count).min(records.len());
        out.extend_from_slice(&records[self.at..end]);
        self.at = end;
        end == records.len()
    }

    fn poll_drawn(&mut self, out: &mut Batch<Item>, limit: usize) -> Poll {
        if self.random.chance(300) {
            let most = if self.random.chance(20) { 100 } else { 4 };
            return Poll::Pending(Duration::from_millis(self.random.below(most)));
        }
        let count = self.random.index(limit.min(8)) + 1;
        if self.read(out, count) { Poll::End } else { Poll::More }
    }

    /// - `due_ms`: when each record is due, and when the split ends.
    fn poll_timed(
        &mut self,
        out: &mut Batch<Item>,
        limit: usize,
        now_ms: i64,
        due_ms: &(Vec<i64>, i64),
    ) -> Poll {
        let ready = due_ms.0.iter().filter(|due| **due <= now_ms).count() - self.at;
        let last = self.read(out, ready.min(limit));
        match (last, ready > limit) {
            (true, _) if due_ms.1 <= now_ms => Poll::End,
            (_, true) => Poll::More,
            _ => Poll::Pending(Duration::from_millis(1)),
        }
    }
}

impl Reader for ScriptedReader {
    type Item = Item;
    type Offset = usize;

    fn offset(&self) -> usize {
        self.at
    }

    fn poll(&mut self, out: &mut Batch<Item>, limit: usize) -> Result<Poll> {
        Ok(match self.source.pace.clone() {
            Pace::Drawn { .. } => self.poll_drawn(out, limit),
            Pace::Timed { clock, due_ms } => {
                self.poll_timed(out, limit, clock.now_ms(), &due_ms[self.split])
            }
        })
    }
}
