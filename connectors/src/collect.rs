//! A sink that keeps the results in memory, for tests and small programs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use highwater_core::error::Result;
use highwater_core::record::{Batch, Data, Record};
use highwater_core::sink::{Committable, Sink, Writer};

/// A sink whose clones share one list of results.
///
/// - state: all the results; they are in the list once the job has committed.
///
/// # Nondeterminism
/// The results of one worker are in the order in which it wrote them; the workers follow each
/// other in the order of their commits. Sort where the order matters.
///
/// # Examples
/// ```
/// use highwater_connectors::collect::Collect;
/// use highwater_core::record::Record;
/// use highwater_core::sink::Sink;
///
/// let results = Collect::new();
/// let mut writer = results.clone().open(0, 1)?;
/// writer.write(&mut vec![Record::new(7, "seven")])?;
/// let committable = writer.pre_commit()?;
/// assert!(results.take().is_empty());
/// if let Some(mut committable) = committable {
///     committable.commit()?;
/// }
/// assert_eq!(results.take(), [Record::new(7, "seven")]);
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
pub struct Collect<T> {
    results: Arc<Mutex<Vec<Record<T>>>>,
}

impl<T> Collect<T> {
    /// Makes a sink without results.
    #[must_use]
    pub fn new() -> Self {
        Collect { results: Arc::default() }
    }

    /// Takes out the results of the jobs that have committed so far.
    #[must_use]
    pub fn take(&self) -> Vec<Record<T>> {
        std::mem::take(&mut *lock(&self.results))
    }

    /// Takes out the results like [`take`](Collect::take), without their event times.
    #[must_use]
    pub fn take_values(&self) -> Vec<T> {
        self.take().into_iter().map(|record| record.value).collect()
    }
}

impl<T> Default for Collect<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Collect<T> {
    fn clone(&self) -> Self {
        Collect { results: Arc::clone(&self.results) }
    }
}

/// Locks the list. It is whole even after a panic of another thread, as every change is one call.
fn lock<T>(results: &Mutex<Vec<Record<T>>>) -> MutexGuard<'_, Vec<Record<T>>> {
    results.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Data + Send> Sink<T> for Collect<T> {
    fn open(&self, _worker: usize, _workers: usize) -> Result<Box<dyn Writer<T>>> {
        Ok(Box::new(Pending { results: Arc::clone(&self.results), records: Vec::new() }))
    }
}

/// The results of one worker, first while it writes them and then until the commit.
struct Pending<T> {
    results: Arc<Mutex<Vec<Record<T>>>>,
    records: Vec<Record<T>>,
}

impl<T: Data + Send> Writer<T> for Pending<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.records.append(batch);
        Ok(())
    }

    fn pre_commit(&mut self) -> Result<Option<Box<dyn Committable>>> {
        let records = std::mem::take(&mut self.records);
        if records.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Pending { results: Arc::clone(&self.results), records })))
    }
}

impl<T: Data + Send> Committable for Pending<T> {
    fn commit(&mut self) -> Result<()> {
        lock(&self.results).append(&mut self.records);
        Ok(())
    }

    fn abort(&mut self) {
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(sink: &Collect<u32>, worker: usize, value: u32) -> Box<dyn Committable> {
        let mut writer = sink.open(worker, 2).unwrap();
        writer.write(&mut vec![Record::new(0, value)]).unwrap();
        writer.pre_commit().unwrap().unwrap()
    }

    #[test]
    fn clones_on_other_threads_share_the_results() {
        let sink = Collect::new();
        let writers = [0, 1].map(|worker| {
            let sink = sink.clone();
            std::thread::spawn(move || write(&sink, worker, worker as u32))
        });
        for writer in writers {
            let mut committable = writer.join().unwrap();
            committable.commit().unwrap();
            committable.commit().unwrap();
        }
        assert_eq!(sink.take_values(), [0, 1]);
        assert!(sink.take().is_empty());
    }

    #[test]
    fn what_is_aborted_is_not_collected() {
        let sink = Collect::new();
        write(&sink, 0, 1).abort();
        drop(write(&sink, 0, 2));
        assert!(sink.take().is_empty());
    }

    #[test]
    fn a_panic_while_the_list_is_locked_does_not_spread() {
        let sink = Collect::new();
        let other = sink.clone();
        let panicked = std::thread::spawn(move || {
            let _guard = other.results.lock().unwrap();
            panic!("expected");
        });
        assert!(panicked.join().is_err());
        write(&sink, 0, 1).commit().unwrap();
        assert_eq!(sink.take_values(), [1]);
    }
}
