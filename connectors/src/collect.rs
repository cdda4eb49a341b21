//! A sink that keeps the results in memory, for tests and small programs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch, Data, Record};
use highwater_core::sink::{Committable, Sink, Writer, WriterContext};
use highwater_core::time::Epoch;

/// A sink whose clones share one list of results.
///
/// - state: all the results; they are in the list once the job has committed, or a checkpoint of it.
///
/// What a checkpoint has prepared waits beside the list, so that another attempt in the same process
/// finds it. An attempt in another process begins with an empty list: what was committed before is
/// gone with the process that kept it.
///
/// # Nondeterminism
/// The results of one worker are in the order in which it wrote them; the workers follow each
/// other in the order of their commits. Sort where the order matters.
///
/// # Examples
/// ```
/// use highwater_connectors::collect::Collect;
/// use highwater_core::record::Record;
/// use highwater_core::sink::{Sink, WriterContext};
/// use highwater_core::time::Epoch;
///
/// let results = Collect::new();
/// let mut writer = results.clone().open(WriterContext::new(0, 1))?;
/// writer.write(&mut vec![Record::new(7, "seven")])?;
/// for mut committable in writer.pre_commit(Epoch(0))? {
///     committable.prepare()?;
///     assert!(results.take().is_empty());
///     committable.commit()?;
/// }
/// assert_eq!(results.take(), [Record::new(7, "seven")]);
/// # Ok::<(), highwater_core::error::Error>(())
/// ```
pub struct Collect<T> {
    results: Arc<Mutex<Results<T>>>,
}

/// What the clones share.
struct Results<T> {
    visible: Vec<Record<T>>,
    /// What is prepared and waits for its verdict.
    prepared: BTreeMap<Ticket, Vec<Record<T>>>,
    /// The number of the next ticket.
    next: u64,
}

/// Where prepared results wait: the attempt that wrote them, which is another one in every process,
/// and a number. In payloads it is written as `attempt-number`.
type Ticket = (u64, u64);

impl<T> Collect<T> {
    /// Makes a sink without results.
    #[must_use]
    pub fn new() -> Self {
        let results = Results { visible: Vec::new(), prepared: BTreeMap::new(), next: 0 };
        Collect { results: Arc::new(Mutex::new(results)) }
    }

    /// Takes out the results of the jobs that have committed so far.
    #[must_use]
    pub fn take(&self) -> Vec<Record<T>> {
        std::mem::take(&mut lock(&self.results).visible)
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

/// Locks the lists. They are whole even after a panic of another thread, as nothing that changes
/// them panics.
fn lock<T>(results: &Mutex<Results<T>>) -> MutexGuard<'_, Results<T>> {
    results.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Results<T> {
    /// Makes what waits under the ticket visible; nothing waits there if that was done before.
    fn show(&mut self, ticket: Ticket) {
        if let Some(mut records) = self.prepared.remove(&ticket) {
            self.visible.append(&mut records);
        }
    }
}

impl<T: Data + Send> Sink<T> for Collect<T> {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer<T>>> {
        let (results, attempt) = (Arc::clone(&self.results), context.attempt.unwrap_or(0));
        Ok(Box::new(Pending { results, attempt, records: Vec::new(), ticket: None }))
    }

    /// Leaves other prepared results alone, as another sink may share the list; the next attempt
    /// that prepares some drops those of the attempts before it.
    fn recover(&self, _: u64, committed: &[String]) -> Result<()> {
        for payload in committed {
            let parsed = payload.split_once('-');
            let ticket = parsed.and_then(|(a, n)| Some((a.parse().ok()?, n.parse().ok()?)));
            let unreadable = || Error::program(format!("{payload:?} is no result of this sink"));
            lock(&self.results).show(ticket.ok_or_else(unreadable)?);
        }
        Ok(())
    }
}

/// The results of one worker, first while it writes them and then until the commit.
struct Pending<T> {
    results: Arc<Mutex<Results<T>>>,
    attempt: u64,
    /// Those not yet prepared.
    records: Vec<Record<T>>,
    /// Where the prepared ones are.
    ticket: Option<Ticket>,
}

impl<T: Data + Send> Writer<T> for Pending<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.records.append(batch);
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        let records = std::mem::take(&mut self.records);
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let (results, attempt) = (Arc::clone(&self.results), self.attempt);
        Ok(vec![Box::new(Pending { results, attempt, records, ticket: None })])
    }
}

impl<T: Data + Send> Committable for Pending<T> {
    fn prepare(&mut self) -> Result<String> {
        let mut results = lock(&self.results);
        results.prepared.retain(|(attempt, _), _| *attempt >= self.attempt);
        let ticket = (self.attempt, results.next);
        results.next += 1;
        results.prepared.insert(ticket, std::mem::take(&mut self.records));
        self.ticket = Some(ticket);
        Ok(format!("{}-{}", ticket.0, ticket.1))
    }

    fn commit(&mut self) -> Result<()> {
        if let Some(ticket) = self.ticket {
            lock(&self.results).show(ticket);
        }
        Ok(())
    }

    fn abort(&mut self) {
        self.records.clear();
        if let Some(ticket) = self.ticket.take() {
            lock(&self.results).prepared.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(sink: &Collect<u32>, attempt: Option<u64>, value: u32) -> Box<dyn Committable> {
        let context = WriterContext { attempt, ..WriterContext::new(0, 2) };
        let mut writer = sink.open(context).unwrap();
        writer.write(&mut vec![Record::new(0, value)]).unwrap();
        writer.pre_commit(Epoch(0)).unwrap().pop().unwrap()
    }

    fn prepared(sink: &Collect<u32>, value: u32) -> Box<dyn Committable> {
        let mut committable = pending(sink, None, value);
        committable.prepare().unwrap();
        committable
    }

    #[test]
    fn clones_on_other_threads_share_the_results() {
        let sink = Collect::new();
        let writers = [0, 1].map(|value| {
            let sink = sink.clone();
            std::thread::spawn(move || prepared(&sink, value))
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
        let mut aborted = prepared(&sink, 1);
        aborted.abort();
        aborted.commit().unwrap();
        drop(prepared(&sink, 2));
        assert!(sink.take().is_empty());
    }

    #[test]
    fn a_later_attempt_commits_what_was_prepared_and_no_more_than_once() {
        let sink = Collect::new();
        let mut parts = [1, 2, 3].map(|value| pending(&sink, Some(1), value));
        let payloads = parts.each_mut().map(|part| part.prepare().unwrap());
        parts[0].commit().unwrap();
        sink.recover(2, &payloads[..2]).unwrap();
        sink.recover(2, &payloads[..2]).unwrap();
        parts[1].commit().unwrap();
        assert_eq!(sink.take_values(), [1, 2]);
        let _: String = pending(&sink, Some(2), 4).prepare().unwrap();
        assert_eq!(lock(&sink.results).prepared.len(), 1, "what nobody committed is dropped");
        assert!(sink.recover(2, &["7".to_owned()]).is_err());
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
        prepared(&sink, 1).commit().unwrap();
        assert_eq!(sink.take_values(), [1]);
    }
}
