//! A source of values that the program already has.
//!
//! The values are divided into one contiguous range for each worker: of `n` values worker `i` of
//! `p` reads those from `i * n / p` up to `(i + 1) * n / p`.

use std::ops::Range;
use std::sync::Arc;

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch, Data, Record};
use highwater_core::source::{Boundedness, Poll, Reader, Source};
use highwater_core::time::{EventTime, NO_EVENT_TIME};

/// A bounded source of values held in memory.
///
/// - output: the values in the order given, divided into one contiguous range for each worker.
/// - state: the values themselves, shared by all the workers of a process.
///
/// # Examples
/// ```
/// use highwater_connectors::collection::Collection;
/// use highwater_core::record::Record;
/// use highwater_core::source::{Poll, Reader, Source};
///
/// let source = Collection::timestamped([(10, "a"), (30, "b"), (20, "c")]);
/// let splits = source.splits(2)?;
/// let mut last = Vec::new();
/// assert_eq!(source.open(&splits[1])?.poll(&mut last, 100)?, Poll::End);
/// assert_eq!(last, [Record::new(30, "b"), Record::new(20, "c")]);
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Collection<T> {
    /// Shared, so that a source can be cloned for every worker without copying the values.
    records: Arc<[Record<T>]>,
}

impl<T> Collection<T> {
    /// Makes a source of `values`, which have no event time yet.
    pub fn of(values: impl IntoIterator<Item = T>) -> Self {
        Self::timestamped(values.into_iter().map(|value| (NO_EVENT_TIME, value)))
    }

    /// Makes a source of values with their event times, in ms since 1970.
    pub fn timestamped(values: impl IntoIterator<Item = (EventTime, T)>) -> Self {
        let records = values.into_iter().map(|(time, value)| Record::new(time, value)).collect();
        Collection { records }
    }
}

impl<T: Data + Send + Sync> Source for Collection<T> {
    type Item = T;
    type Split = Range<usize>;
    type Reader = CollectionReader<T>;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, parallelism: usize) -> Result<Vec<Self::Split>> {
        let (count, workers) = (self.records.len(), parallelism.max(1));
        Ok((0..workers).map(|i| i * count / workers..(i + 1) * count / workers).collect())
    }

    fn open(&self, split: &Self::Split) -> Result<Self::Reader> {
        let (records, rest) = (Arc::clone(&self.records), split.clone());
        if records.get(rest.clone()).is_none() {
            let count = records.len();
            return Err(Error::program(format!("the collection has {count} values, not {rest:?}")));
        }
        Ok(CollectionReader { records, rest })
    }

    fn resume(&self, split: &Self::Split, offset: &usize) -> Result<Self::Reader> {
        self.open(&(*offset..split.end))
    }
}

/// Reads one range of a [`Collection`].
#[derive(Debug)]
pub struct CollectionReader<T> {
    records: Arc<[Record<T>]>,
    /// The indices that have not been read yet.
    rest: Range<usize>,
}

impl<T: Data> Reader for CollectionReader<T> {
    type Item = T;
    type Offset = usize;

    fn offset(&self) -> usize {
        self.rest.start
    }

    fn poll(&mut self, out: &mut Batch<T>, limit: usize) -> Result<Poll> {
        let stop = self.rest.start.saturating_add(limit).min(self.rest.end);
        out.extend_from_slice(&self.records[self.rest.start..stop]);
        self.rest.start = stop;
        Ok(if self.rest.is_empty() { Poll::End } else { Poll::More })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(source: &Collection<u32>, workers: usize) -> Vec<Vec<u32>> {
        let splits = source.splits(workers).unwrap();
        let read = |split| {
            let (mut reader, mut out) = (source.open(split).unwrap(), Vec::new());
            while reader.poll(&mut out, 3).unwrap() == Poll::More {}
            out.into_iter().map(|record| record.value).collect()
        };
        splits.iter().map(read).collect()
    }

    #[test]
    fn ranges_are_contiguous_and_cover_every_value_once() {
        for count in [0, 1, 7, 100] {
            for workers in 1..5 {
                let parts = read_all(&Collection::of(0..count), workers);
                assert_eq!(parts.len(), workers);
                assert_eq!(parts.concat(), (0..count).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn values_without_a_time_say_so() {
        let source = Collection::of(["a"]);
        let mut out = Vec::new();
        source.open(&(0..1)).unwrap().poll(&mut out, 10).unwrap();
        assert_eq!(out, [Record::new(NO_EVENT_TIME, "a")]);
    }

    #[test]
    fn a_poll_gives_no_more_than_its_limit() {
        let source = Collection::of(0..10);
        let (mut reader, mut out) = (source.open(&(0..10)).unwrap(), Vec::new());
        assert_eq!(reader.poll(&mut out, 4).unwrap(), Poll::More);
        assert_eq!(out.len(), 4);
        assert_eq!(reader.poll(&mut out, 6).unwrap(), Poll::End);
        assert_eq!(out.len(), 10);
    }
}
