//! A transactional sink whose disk survives: hidden results, visible results, and failures.
//!
//! ```text
//! write --> memory of the attempt --pre_commit--> parts --prepare--> hidden --commit--> visible
//!                                                           '-- abort, recover of others --> gone
//! ```
//!
//! It does what files do that get their name when they are committed: a part that is committed
//! twice is moved once, and one that is neither hidden nor visible is an error.
//!
//! **Invariants**
//! - I9: a part is shown only when the log holds a commit that covers it (`Disk::show`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use highwater_core::error::{Error, Result};
use highwater_core::record::{Batch, Record};
use highwater_core::sink::{Committable, Sink, Writer, WriterContext};
use highwater_core::time::Epoch;

use super::store::Store;
use crate::random::Random;
use crate::world::Item;

/// Which part: of which sink, and who wrote it when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    sink: String,
    attempt: u64,
    epoch: u64,
    worker: usize,
    number: usize,
}

impl Part {
    fn payload(&self) -> String {
        let Part { sink, attempt, epoch, worker, number } = self;
        format!("{attempt} {epoch} {worker} {number} {sink}")
    }

    fn parse(payload: &str) -> Result<Part> {
        let mut words = payload.splitn(5, ' ');
        let mut word = || words.next().unwrap_or_default();
        let unreadable = |_| Error::program(format!("{payload:?} names no part of this sink"));
        Ok(Part {
            attempt: word().parse().map_err(unreadable)?,
            epoch: word().parse().map_err(unreadable)?,
            worker: word().parse().map_err(unreadable)?,
            number: word().parse().map_err(unreadable)?,
            sink: word().to_owned(),
        })
    }
}

type Parts = BTreeMap<Part, Vec<Record<Item>>>;

/// What the errors of the disk say.
pub(crate) const FAILED: &str = "the disk failed";

/// How often calls of a sink fail, in so many of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SinkFaults {
    /// A part cannot be prepared.
    pub(crate) prepare: u64,
    /// A part cannot be committed, or is committed and the answer is lost.
    pub(crate) commit: u64,
    /// What was left behind cannot be dealt with; some of it may have been.
    pub(crate) recover: u64,
}

impl SinkFaults {
    /// Draws how often what goes wrong.
    pub(crate) fn draw(random: &mut Random) -> Self {
        SinkFaults {
            prepare: random.pick(&[0, 0, 5]),
            commit: random.pick(&[0, 50, 300]),
            recover: random.pick(&[0, 100]),
        }
    }
}

/// What was done, so that a test can tell that it tested something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DiskCounts {
    /// Parts that were committed when they were visible already.
    pub(crate) repeated: u64,
    /// Parts that a recovery made visible.
    pub(crate) recovered: u64,
    /// Parts that were left behind and thrown away by a recovery.
    pub(crate) leftovers: u64,
    /// Calls that failed.
    pub(crate) failed: u64,
    /// Parts that were taken back.
    pub(crate) undone: u64,
}

#[derive(Debug)]
struct State {
    random: Random,
    faults: SinkFaults,
    hidden: Parts,
    visible: Parts,
    counts: DiskCounts,
}

/// The disk that all attempts share.
#[derive(Debug)]
pub(crate) struct Disk {
    store: Arc<Store>,
    state: Mutex<State>,
}

impl Disk {
    pub(crate) fn new(store: &Arc<Store>, random: Random) -> Arc<Self> {
        let state = State {
            random,
            faults: SinkFaults::default(),
            hidden: Parts::new(),
            visible: Parts::new(),
            counts: DiskCounts::default(),
        };
        Arc::new(Disk { store: Arc::clone(store), state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails from now on so often.
    pub(crate) fn set_faults(&self, faults: SinkFaults) {
        self.lock().faults = faults;
    }

    pub(crate) fn counts(&self) -> DiskCounts {
        self.lock().counts
    }

    /// Returns what is visible of each sink, sorted.
    pub(crate) fn visible(&self) -> BTreeMap<String, Vec<Record<Item>>> {
        let mut visible = BTreeMap::<String, Vec<_>>::new();
        for (part, records) in &self.lock().visible {
            visible.entry(part.sink.clone()).or_default().extend(records);
        }
        visible.values_mut().for_each(|records| records.sort_unstable());
        visible
    }

    /// Makes a part visible; returns whether it was not before.
    ///
    /// # Panics
    /// When the log holds no commit that covers it.
    fn show(&self, part: &Part) -> Result<bool> {
        let is_committed = self.store.covers(part.attempt, part.epoch);
        assert!(is_committed, "I9: {part:?} becomes visible before its checkpoint is in the log");
        let mut state = self.lock();
        if let Some(records) = state.hidden.remove(part) {
            let before = state.visible.insert(part.clone(), records);
            assert!(before.is_none(), "{part:?} was written twice");
            return Ok(true);
        }
        state.counts.repeated += 1;
        if state.visible.contains_key(part) {
            return Ok(false);
        }
        Err(Error::program(format!("{part:?} was prepared and is gone")))
    }
}

/// One sink on the disk.
#[derive(Clone, Debug)]
pub(crate) struct DiskSink {
    pub(crate) disk: Arc<Disk>,
    pub(crate) name: String,
}

fn failure(what: &str) -> Error {
    Error::program(format!("{FAILED}: {what}"))
}

impl Sink<Item> for DiskSink {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer<Item>>> {
        let (sink, worker) = (self.clone(), context.worker);
        let attempt = context.attempt.unwrap_or(0);
        Ok(Box::new(DiskWriter { sink, worker, attempt, records: Vec::new() }))
    }

    /// Called while workers build side by side: chance comes from what is recovered, not from the
    /// order of calls.
    fn recover(&self, attempt: u64, committed: &[String]) -> Result<()> {
        let faults = self.disk.lock().faults;
        let mut random = Random::new(attempt << 16 ^ committed.len() as u64 ^ 0x7265_636f);
        let parts: Vec<Part> = committed.iter().map(|p| Part::parse(p)).collect::<Result<_>>()?;
        for part in &parts {
            if random.chance(faults.recover) {
                self.disk.lock().counts.failed += 1;
                return Err(failure("recover"));
            }
            let shown = self.disk.show(part)?;
            self.disk.lock().counts.recovered += u64::from(shown);
        }
        let mut state = self.disk.lock();
        let before = state.hidden.len();
        state.hidden.retain(|part, _| part.sink != self.name || part.attempt >= attempt);
        state.counts.leftovers += (before - state.hidden.len()) as u64;
        Ok(())
    }

    fn undo(&self, attempt: u64, after: Epoch) -> Result<()> {
        let mut state = self.disk.lock();
        let before = state.visible.len();
        state.visible.retain(|part, _| {
            part.sink != self.name || part.attempt >= attempt || part.epoch <= after.0
        });
        state.counts.undone += (before - state.visible.len()) as u64;
        Ok(())
    }
}

struct DiskWriter {
    sink: DiskSink,
    worker: usize,
    attempt: u64,
    records: Vec<Record<Item>>,
}

impl Writer<Item> for DiskWriter {
    fn write(&mut self, batch: &mut Batch<Item>) -> Result<()> {
        self.records.append(batch);
        Ok(())
    }

    fn pre_commit(&mut self, epoch: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        let records = std::mem::take(&mut self.records);
        // Two parts of what is much, so that a failure can come between them.
        let parts = records.chunks(records.len().div_ceil(2).max(2)).enumerate();
        let committable = |(number, records): (usize, &[Record<Item>])| {
            let (sink, worker) = (self.sink.name.clone(), self.worker);
            let part = Part { sink, attempt: self.attempt, epoch: epoch.0, worker, number };
            let (disk, records) = (Arc::clone(&self.sink.disk), records.to_vec());
            let sealed: Box<dyn Committable> = Box::new(Sealed { disk, part, records });
            sealed
        };
        Ok(parts.map(committable).collect())
    }
}

/// A part that is sealed, first in memory and then on the disk.
struct Sealed {
    disk: Arc<Disk>,
    part: Part,
    records: Vec<Record<Item>>,
}

impl Committable for Sealed {
    fn prepare(&mut self) -> Result<String> {
        let mut state = self.disk.lock();
        let fails = state.faults.prepare;
        if state.random.chance(fails) {
            state.counts.failed += 1;
            return Err(failure("prepare"));
        }
        state.hidden.insert(self.part.clone(), std::mem::take(&mut self.records));
        Ok(self.part.payload())
    }

    fn commit(&mut self) -> Result<()> {
        let (fails, after) = {
            let mut state = self.disk.lock();
            let fails = state.faults.commit;
            let fails = state.random.chance(fails);
            state.counts.failed += u64::from(fails);
            (fails, state.random.chance(500))
        };
        if fails && !after {
            return Err(failure("commit, before it was done"));
        }
        self.disk.show(&self.part)?;
        if fails { Err(failure("commit, after it was done")) } else { Ok(()) }
    }

    fn abort(&mut self) {
        self.disk.lock().hidden.remove(&self.part);
    }
}
