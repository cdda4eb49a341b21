//! A source that computes its records from their numbers.
//!
//! The numbers `0, 1, 2, ...` are cut into blocks, and worker `i` of `p` takes the blocks `i`,
//! `i + p`, `i + 2p`, ... When event time grows with the number, it then advances at an equal pace
//! on all the workers, and no worker holds back the watermark of the others.
//!
//! ```text
//! numbers   | 0 .. 1023 | 1024 .. 2047 | 2048 .. 3071 | 3072 .. 4095 | ...
//! 2 workers |     0     |       1      |       0      |       1      |
//! ```
//!
//! A block has 1024 numbers, or fewer when there are not enough of them for eight blocks a worker.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch, Data, Record};
use highwater_core::source::{Boundedness, Poll, Reader, Source};
use highwater_core::time::{EventTime, NO_EVENT_TIME};

/// The largest block, in numbers.
const BLOCK_MAX: u64 = 1024;

/// How many blocks each worker should get at least, where the numbers suffice.
const BLOCKS_PER_WORKER: u64 = 8;

/// A source that calls a function with `0, 1, 2, ...`.
///
/// - output: what the function returns, in blocks that are dealt to the workers in turn.
/// - state: the next number.
///
/// The function must depend on its number alone, so that the records are the same for any number
/// of workers. It is called straight in the poll, without an indirection.
///
/// # Examples
/// ```
/// use highwater_connectors::generator::Generator;
/// use highwater_core::record::Record;
/// use highwater_core::source::{Poll, Reader, Source};
///
/// let source = Generator::new(3, |n| n * n).with_event_time(|square| *square as i64 * 1000);
/// let mut out = Vec::new();
/// let splits = source.splits(1)?;
/// assert_eq!(source.open(&splits[0])?.poll(&mut out, 100)?, Poll::End);
/// assert_eq!(out, [Record::new(0, 0), Record::new(1000, 1), Record::new(4000, 4)]);
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
pub struct Generator<T, F = ()> {
    /// `None` when there is no end.
    count: Option<u64>,
    /// Returns the record of a number. Shared, because closures need not be cloneable.
    record: Arc<F>,
    item: PhantomData<fn() -> T>,
}

impl<T: Data> Generator<T> {
    /// Makes a bounded source of `make(0)` up to `make(count - 1)`, without event times.
    pub fn new<F>(
        count: u64,
        make: F,
    ) -> Generator<T, impl Fn(u64) -> Record<T> + Send + Sync + 'static>
    where
        F: Fn(u64) -> T + Send + Sync + 'static,
    {
        let record = Arc::new(move |n| Record::new(NO_EVENT_TIME, make(n)));
        Generator { count: Some(count), record, item: PhantomData }
    }

    /// Makes a source of `make(0)`, `make(1)`, ... without an end and without event times.
    pub fn unbounded<F>(make: F) -> Generator<T, impl Fn(u64) -> Record<T> + Send + Sync + 'static>
    where
        F: Fn(u64) -> T + Send + Sync + 'static,
    {
        let record = Arc::new(move |n| Record::new(NO_EVENT_TIME, make(n)));
        Generator { count: None, record, item: PhantomData }
    }
}

impl<T: Data, F: Fn(u64) -> Record<T> + Send + Sync + 'static> Generator<T, F> {
    /// Gives every record the event time that `event_time` reads out of its value.
    ///
    /// - `event_time`: returns ms since 1970.
    #[must_use]
    pub fn with_event_time<E>(
        self,
        event_time: E,
    ) -> Generator<T, impl Fn(u64) -> Record<T> + Send + Sync + 'static>
    where
        E: Fn(&T) -> EventTime + Send + Sync + 'static,
    {
        let make = self.record;
        let record = Arc::new(move |n| {
            let value = make(n).value;
            Record::new(event_time(&value), value)
        });
        Generator { count: self.count, record, item: PhantomData }
    }
}

impl<T, F> Clone for Generator<T, F> {
    fn clone(&self) -> Self {
        Generator { count: self.count, record: Arc::clone(&self.record), item: PhantomData }
    }
}

impl<T, F> Source for Generator<T, F>
where
    T: Data,
    F: Fn(u64) -> Record<T> + Send + Sync + 'static,
{
    type Item = T;
    type Split = GeneratorSplit;
    type Reader = GeneratorReader<T, F>;

    fn boundedness(&self) -> Boundedness {
        if self.count.is_some() { Boundedness::Bounded } else { Boundedness::Unbounded }
    }

    fn splits(&self, parallelism: usize) -> Result<Vec<Self::Split>> {
        let of = parallelism.max(1) as u64;
        let share = self.count.unwrap_or(u64::MAX) / of / BLOCKS_PER_WORKER;
        let block = share.clamp(1, BLOCK_MAX);
        Ok((0..of).map(|index| GeneratorSplit { index, of, block }).collect())
    }

    fn open(&self, split: &Self::Split) -> Result<Self::Reader> {
        self.resume(split, &(split.index * split.block))
    }

    fn resume(&self, split: &Self::Split, next: &u64) -> Result<Self::Reader> {
        let in_block = next.checked_rem(split.block).filter(|_| split.of > 0).ok_or_else(|| {
            Error::program(format!("{split:?} is no part of the numbers of a generator"))
        })?;
        Ok(GeneratorReader {
            record: Arc::clone(&self.record),
            next: *next,
            block_end: next.saturating_add(split.block - in_block),
            block: split.block,
            // From the end of one block to the start of the next one of this split.
            skip: (split.of - 1) * split.block,
            end: self.count.unwrap_or(u64::MAX),
            item: PhantomData,
        })
    }
}

/// Every `of`-th block of numbers, beginning with the block `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorSplit {
    index: u64,
    of: u64,
    block: u64,
}

/// Computes the records of one [`GeneratorSplit`].
pub struct GeneratorReader<T, F> {
    record: Arc<F>,
    next: u64,
    block_end: u64,
    block: u64,
    skip: u64,
    end: u64,
    item: PhantomData<fn() -> T>,
}

impl<T, F> Reader for GeneratorReader<T, F>
where
    T: Data,
    F: Fn(u64) -> Record<T> + Send + Sync + 'static,
{
    type Item = T;
    type Offset = u64;

    fn offset(&self) -> u64 {
        self.next
    }

    fn poll(&mut self, out: &mut Batch<T>, limit: usize) -> Result<Poll> {
        let mut left = limit as u64;
        while self.next < self.end {
            if left == 0 {
                return Ok(Poll::More);
            }
            let stop = self.block_end.min(self.next.saturating_add(left)).min(self.end);
            let record = &*self.record;
            out.extend((self.next..stop).map(record));
            left -= stop - self.next;
            self.next = stop;
            if self.next == self.block_end {
                self.next = self.next.saturating_add(self.skip);
                self.block_end = self.next.saturating_add(self.block);
            }
        }
        Ok(Poll::End)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads every split to its end, in polls of `limit`.
    fn read_all<S: Source>(source: &S, workers: usize, limit: usize) -> Vec<Batch<S::Item>> {
        let read = |split| {
            let (mut reader, mut all) = (source.open(split).unwrap(), Vec::new());
            loop {
                let before = all.len();
                let poll = reader.poll(&mut all, limit).unwrap();
                assert!(all.len() - before <= limit);
                match poll {
                    Poll::End => return all,
                    other => assert_eq!(other, Poll::More),
                }
            }
        };
        source.splits(workers).unwrap().iter().map(read).collect()
    }

    #[test]
    fn splits_cover_exactly_the_numbers_below_the_count() {
        for workers in 1..=5 {
            for count in [0, 1, 5, 100, 1024, 5000, 50_001] {
                let parts = read_all(&Generator::new(count, |n| n), workers, 700);
                assert_eq!(parts.len(), workers);
                let mut all: Vec<u64> = parts.concat().iter().map(|record| record.value).collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(0..count), "{count} numbers, {workers} workers");
            }
        }
    }

    #[test]
    fn workers_advance_at_an_equal_pace() {
        let parts = read_all(&Generator::new(100_000, |n| n), 4, 1000);
        for step in 0..24_000 {
            let at: Vec<u64> = parts.iter().map(|part| part[step].value).collect();
            let apart = at.iter().max().unwrap() - at.iter().min().unwrap();
            assert!(apart <= 3 * BLOCK_MAX, "{apart} apart after {step} records");
        }
    }

    #[test]
    fn a_few_numbers_are_still_shared_by_all_the_workers() {
        let parts = read_all(&Generator::new(20, |n| n), 4, 1000);
        assert!(parts.iter().all(|part| part.len() == 5), "{parts:?}");
    }

    #[test]
    fn event_times_are_read_out_of_the_values() {
        let source = Generator::new(2, |n| n as i64 * 7).with_event_time(|value| value + 1);
        let parts = read_all(&source, 1, 10);
        assert_eq!(parts, [[Record::new(1, 0), Record::new(8, 7)]]);
    }

    #[test]
    fn an_unbounded_generator_goes_on() {
        let source = Generator::unbounded(|n| n);
        assert_eq!(source.boundedness(), Boundedness::Unbounded);
        let splits = source.splits(2).unwrap();
        let (mut reader, mut out) = (source.open(&splits[1]).unwrap(), Vec::new());
        for _ in 0..10 {
            assert_eq!(reader.poll(&mut out, 1024).unwrap(), Poll::More);
        }
        assert_eq!(out.last().unwrap().value, 20 * 1024 - 1);
    }
}
