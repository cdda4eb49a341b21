//! One operator on all its workers, played again to sequential models, one for each key.
//!
//! ```text
//! chapter 1: worker 0, worker 1   --cut--> floors of the key groups --> chapter 2: other workers
//!    records, firings --> Model of the key ............................ the same Model
//! ```
//!
//! After a restart at another parallelism a worker begins at the least watermark that its key groups
//! had come to; the model of a key goes on from that of its own group.

use std::collections::BTreeMap;

use highwater_core::key::{KeyGroup, KeyGroups, stable_hash};
use highwater_core::record::Record;
use highwater_core::watermark::of_stamp;

use super::check::{Coverage, Outputs, Sent, Sorted};
use super::graph::Op;
use super::model::{Made, Model};
use crate::journal::Happening;
use crate::world::Item;

/// One operator.
pub(super) struct Replay<'a> {
    op: Op,
    uid: &'a str,
    models: BTreeMap<u64, Model>,
    /// How far each key group has come; empty before the first chapter.
    floors: Vec<i64>,
    outputs: Outputs,
}

/// The operator on one worker within a chapter.
struct AtWorker {
    worker: usize,
    watermark: i64,
    /// The stamps up to which the state had fired when the chapter began.
    floor: i64,
    epoch: u64,
    /// Whether a firing is incomplete.
    firing: bool,
}

impl<'a> Replay<'a> {
    pub(super) fn new(op: Op, uid: &'a str) -> Self {
        let (models, floors) = (BTreeMap::new(), Vec::new());
        Replay { op, uid, models, floors, outputs: Outputs::default() }
    }

    fn is_keyed(&self) -> bool {
        !matches!(self.op, Op::Watermarks(_))
    }

    /// Plays a chapter.
    pub(super) fn play(
        &mut self,
        chapter: &Sorted<'_>,
        coverage: &mut Coverage,
    ) -> Result<(), String> {
        let groups = chapter.key_groups;
        if self.floors.len() != groups.count() as usize {
            if !self.models.is_empty() {
                return Err(format!("{}: another number of key groups", self.uid));
            }
            self.floors = vec![i64::MIN; groups.count() as usize];
        }
        let mut reached = Vec::new();
        for worker in 0..groups.workers() {
            let range = groups.range(worker);
            let mine = usize::from(range.first.0)..=usize::from(range.last.0);
            let least = self.floors[mine.clone()].iter().copied().min().unwrap_or(i64::MIN);
            let watermark = if self.is_keyed() { least } else { i64::MIN };
            let (floor, epoch) = (watermark, chapter.epochs.start);
            let mut at = AtWorker { worker, watermark, floor, epoch, firing: false };
            for happening in chapter.of(self.uid, worker) {
                if at.epoch >= chapter.epochs.end {
                    break;
                }
                self.see(&mut at, groups, happening, coverage).map_err(|what| {
                    let now = (at.epoch, at.watermark);
                    format!("{} on worker {worker} at {now:?}: {what}: {happening:?}", self.uid)
                })?;
            }
            let is_last = chapter.epochs.end == u64::MAX;
            if !is_last && at.epoch != chapter.epochs.end {
                return Err(format!("{} on worker {worker} has not cut", self.uid));
            }
            if is_last && at.watermark != i64::MAX {
                return Err(format!("{} on worker {worker} has not reached the end", self.uid));
            }
            reached.push((mine, at.watermark));
        }
        for (mine, watermark) in reached {
            self.floors[mine].iter_mut().for_each(|floor| *floor = watermark.max(*floor));
        }
        Ok(())
    }

    /// Returns what the models made.
    pub(super) fn end(self) -> Outputs {
        self.outputs
    }

    fn see(
        &mut self,
        at: &mut AtWorker,
        groups: KeyGroups,
        happening: &Happening,
        coverage: &mut Coverage,
    ) -> Result<(), &'static str> {
        match happening {
            Happening::Emitted { .. } => return Err("an operator is no source"),
            Happening::Received { input, stamp, watermark, records } => {
                if at.firing {
                    return Err("a batch came between the timers of one watermark");
                }
                if *watermark != at.watermark {
                    return Err("the watermark moved without a firing");
                }
                if of_stamp(stamp.watermark).max(at.floor) < *watermark {
                    return Err("the watermark is past the stamp of a batch");
                }
                if stamp.epoch.0 != at.epoch {
                    return Err("a batch was processed in another epoch than its own");
                }
                for record in records {
                    self.take(at, groups, *input, *record)?;
                }
            }
            Happening::Fired { watermark, all } => {
                if *watermark < at.watermark || (*watermark == at.watermark && !at.firing) {
                    return Err("the watermark did not rise");
                }
                for (key, model) in &mut self.models {
                    let before = model.watermark();
                    let group = groups.of_hash(stable_hash(key));
                    if groups.owner(group) == at.worker && before < *watermark {
                        let made = model.advance(*watermark);
                        keep(made, before, at.epoch, &mut self.outputs);
                    }
                }
                coverage.interrupted += u64::from(!all);
                at.watermark = *watermark;
                at.firing = !all;
            }
            Happening::Cut { epoch } => {
                if at.firing || epoch.0 != at.epoch {
                    return Err("a cut at the wrong moment");
                }
                at.epoch += 1;
                coverage.cuts += 1;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        at: &AtWorker,
        groups: KeyGroups,
        input: usize,
        record: Record<Item>,
    ) -> Result<(), &'static str> {
        let key = record.value.key;
        let group = groups.of_hash(stable_hash(&key));
        let mut reached = at.watermark;
        if self.is_keyed() {
            if groups.owner(group) != at.worker {
                return Err("a record came to a worker that does not own its key");
            }
            reached = reached.max(self.floor(group));
        }
        let op = self.op;
        let model = self.models.entry(key).or_insert_with(|| Model::new(op));
        if model.watermark() < reached {
            model.advance(reached);
        }
        let made = model.element(input, record);
        keep(made, reached, at.epoch, &mut self.outputs);
        Ok(())
    }

    fn floor(&self, group: KeyGroup) -> i64 {
        self.floors.get(usize::from(group.0)).copied().unwrap_or(i64::MIN)
    }
}

fn keep(made: Made, watermark: i64, epoch: u64, outputs: &mut Outputs) {
    let sent = |record: Record<Item>| {
        let on_time = record.event_time > watermark;
        Sent { epoch, record, on_time }
    };
    outputs.0.extend(made.main.into_iter().map(sent));
    outputs.1.extend(made.late.into_iter().map(sent));
}
