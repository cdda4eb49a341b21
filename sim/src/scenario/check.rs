//! Whether a run agrees with the models, operator by operator and epoch by epoch.
//!
//! Each operator's model is given exactly what the operator saw: the records and watermarks of each
//! worker in the order of the journal. What the model makes of them must arrive, in the same epoch,
//! at whoever reads the operator. So lateness, which depends on the run, is compared exactly.
//!
//! **Checked**
//! - *Results and late records*: equal, as multisets, for every operator and epoch (I4, I5, I6).
//! - *No overshoot*: a record on time where it was emitted is on time where it arrives (I2).
//! - *Monotonous*: watermarks only rise; the last is the end of time and comes once (I1).
//! - *Whole firings*: no record and no cut between the timers of one watermark (I3).
//! - *Epochs in order*: a batch is processed in the epoch of its stamp.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::record::Record;
use highwater_core::watermark::of_stamp;

use super::graph::{Graph, Op};
use super::model::{Made, Model, flat_mapped, kept, mapped};
use crate::journal::{Happening, Note};
use crate::world::{Item, Run};

/// What came up in a run, so that a test can tell that it tested something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coverage {
    /// Turns of all workers.
    pub turns: u64,
    /// Records that sources emitted.
    pub records: u64,
    /// Those of them that were late under their own stamp.
    pub late_at_source: u64,
    /// Records that arrived at an operator below its watermark.
    pub late_arrivals: u64,
    /// Records that operators sent to their late side outputs.
    pub late_outputs: u64,
    /// Results of operators with state.
    pub results: u64,
    /// Cuts between two epochs.
    pub cuts: u64,
    /// Firings that were interrupted.
    pub interrupted: u64,
    /// Activations that had no credit.
    pub blocked: u64,
}

impl Coverage {
    /// Adds what came up in another run.
    pub fn add(&mut self, other: &Coverage) {
        self.turns += other.turns;
        self.records += other.records;
        self.late_at_source += other.late_at_source;
        self.late_arrivals += other.late_arrivals;
        self.late_outputs += other.late_outputs;
        self.results += other.results;
        self.cuts += other.cuts;
        self.interrupted += other.interrupted;
        self.blocked += other.blocked;
    }
}

/// A record on its way: the epoch it was emitted in, and whether it was on time there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    epoch: u64,
    record: Record<Item>,
    on_time: bool,
}

impl Sent {
    fn with(self, value: Item) -> Sent {
        Sent { record: Record::new(self.record.event_time, value), ..self }
    }
}

/// What an operator made: its output and its late side output.
type Outputs = (Vec<Sent>, Vec<Sent>);

/// The notes of a run, by operator and worker.
type Notes<'a> = BTreeMap<&'a str, BTreeMap<usize, Vec<&'a Happening>>>;

/// Compares a run of a job with the models.
///
/// # Errors
/// A text that says what differs where.
pub fn check(graph: &Graph, run: &Run) -> Result<Coverage, String> {
    if let Err(error) = &run.ended {
        return Err(format!("the job failed: {}", error.sentence()));
    }
    let mut notes = Notes::new();
    for Note { uid, worker, happening } in &run.journal {
        notes.entry(uid).or_default().entry(*worker).or_default().push(happening);
    }
    let mut check = Check { notes, coverage: Coverage::default() };
    check.coverage.blocked = run.blocked;
    check.coverage.turns = run.order.len() as u64;
    let mut streams: Vec<Vec<Sent>> =
        (0..graph.sources.len()).map(|i| check.emitted(&format!("source-{i}"))).collect();
    for (i, step) in graph.steps.iter().enumerate() {
        let (left, right) = (&streams[step.left], &streams[step.right]);
        let made = match step.op {
            Op::Map => left.iter().map(|sent| sent.with(mapped(sent.record.value))).collect(),
            Op::Filter(modulus) => {
                left.iter().filter(|sent| kept(&sent.record.value, modulus)).copied().collect()
            }
            Op::FlatMap(most) => {
                let copies = |sent: &Sent| {
                    let sent = *sent;
                    flat_mapped(sent.record.value, most).into_iter().map(move |v| sent.with(v))
                };
                left.iter().flat_map(copies).collect()
            }
            Op::Union => [left.as_slice(), right.as_slice()].concat(),
            op => check.stateful(i, op, left, right)?,
        };
        streams.push(made);
    }
    for tap in graph.taps() {
        check.arrivals(&format!("tap-{tap}"), 0, &streams[tap])?;
    }
    Ok(check.coverage)
}

struct Check<'a> {
    notes: Notes<'a>,
    coverage: Coverage,
}

impl<'a> Check<'a> {
    /// What a source emitted.
    fn emitted(&mut self, uid: &str) -> Vec<Sent> {
        let mut sent = Vec::new();
        for happening in self.notes.get(uid).into_iter().flat_map(BTreeMap::values).flatten() {
            if let Happening::Emitted { stamp, records } = happening {
                let epoch = stamp.epoch.0;
                sent.extend(records.iter().map(|record| {
                    let on_time = record.event_time >= stamp.watermark;
                    Sent { epoch, record: *record, on_time }
                }));
            }
        }
        self.coverage.records += sent.len() as u64;
        self.coverage.late_at_source += sent.iter().filter(|sent| !sent.on_time).count() as u64;
        sent
    }

    /// Checks the inputs and the late output of an operator, and returns its main output.
    fn stateful(
        &mut self,
        step: usize,
        op: Op,
        left: &[Sent],
        right: &[Sent],
    ) -> Result<Vec<Sent>, String> {
        let uid = format!("step-{step}");
        self.arrivals(&uid, 0, left)?;
        if op.is_binary() {
            self.arrivals(&uid, 1, right)?;
        }
        let (mut main, late) = self.replay(&uid, op)?;
        if matches!(op, Op::Watermarks(_)) {
            // It has another promise than its watermark, which the journal does not show.
            main.iter_mut().for_each(|sent| sent.on_time = false);
        }
        if op.has_late_output() {
            self.arrivals(&format!("late-{step}"), 0, &late)?;
        }
        self.coverage.results += main.len() as u64;
        self.coverage.late_outputs += late.len() as u64;
        Ok(main)
    }

    /// Checks that exactly the records sent have arrived, each in its epoch and not later than it
    /// was sent.
    fn arrivals(&mut self, uid: &str, of: usize, sent: &[Sent]) -> Result<(), String> {
        let mut arrived = Vec::new();
        for happening in self.notes.get(uid).into_iter().flat_map(BTreeMap::values).flatten() {
            if let Happening::Received { input, stamp, watermark, records } = happening
                && *input == of
            {
                let epoch = stamp.epoch.0;
                arrived.extend(records.iter().map(|record| {
                    let on_time = record.event_time > *watermark;
                    Sent { epoch, record: *record, on_time }
                }));
            }
        }
        self.coverage.late_arrivals += arrived.iter().filter(|sent| !sent.on_time).count() as u64;
        let mut sent = sent.to_vec();
        sent.sort_unstable();
        arrived.sort_unstable();
        let strip = |all: &[Sent]| all.iter().map(|s| (s.epoch, s.record)).collect::<Vec<_>>();
        let (expected, found) = (strip(&sent), strip(&arrived));
        if expected != found {
            return Err(format!("{uid}, input {of}: {}", difference(&expected, &found)));
        }
        // Copies of a record are in the same order on both sides: the late ones first.
        match sent.iter().zip(&arrived).find(|(sent, arrived)| sent.on_time && !arrived.on_time) {
            Some((sent, _)) => Err(format!("{uid}, input {of}: overshoot, {sent:?} came late")),
            None => Ok(()),
        }
    }

    /// Plays what an operator saw to its model.
    fn replay(&mut self, uid: &str, op: Op) -> Result<Outputs, String> {
        let mut outputs = Outputs::default();
        let Some(workers) = self.notes.get(uid) else { return Ok(outputs) };
        for (worker, seen) in workers {
            let mut replay = Replay { model: Model::new(op), epoch: 0, firing: false, ended: 0 };
            for happening in seen {
                replay
                    .see(happening, &mut outputs, &mut self.coverage)
                    .map_err(|what| format!("{uid} on worker {worker}: {what}: {happening:?}"))?;
            }
            if replay.ended != 1 {
                let times = replay.ended;
                return Err(format!("{uid} on worker {worker} reached the end {times} times"));
            }
        }
        Ok(outputs)
    }
}

/// One operator on one worker, played again.
struct Replay {
    model: Model,
    epoch: u64,
    /// Whether a firing is incomplete.
    firing: bool,
    /// How often the end of time was reached.
    ended: usize,
}

impl Replay {
    fn see(
        &mut self,
        happening: &Happening,
        outputs: &mut Outputs,
        coverage: &mut Coverage,
    ) -> Result<(), &'static str> {
        let before = self.model.watermark();
        match happening {
            Happening::Emitted { .. } => return Err("an operator is no source"),
            Happening::Received { input, stamp, watermark, records } => {
                if self.firing {
                    return Err("a batch came between the timers of one watermark");
                }
                if *watermark != before {
                    return Err("the watermark moved without a firing");
                }
                if of_stamp(stamp.watermark) < *watermark {
                    return Err("the watermark is past the stamp of a batch");
                }
                if stamp.epoch.0 != self.epoch {
                    return Err("a batch was processed in another epoch than its own");
                }
                for record in records {
                    let made = self.model.element(*input, *record);
                    self.keep(made, before, outputs);
                }
            }
            Happening::Fired { watermark, all } => {
                if *watermark < before || (*watermark == before && !self.firing) {
                    return Err("the watermark did not rise");
                }
                let made = self.model.advance(*watermark);
                self.keep(made, before, outputs);
                coverage.interrupted += u64::from(!all);
                self.firing = !all;
                self.ended += usize::from(*all && *watermark == i64::MAX);
            }
            Happening::Cut { epoch } => {
                if self.firing || epoch.0 != self.epoch {
                    return Err("a cut at the wrong moment");
                }
                self.epoch += 1;
                coverage.cuts += 1;
            }
        }
        Ok(())
    }

    fn keep(&self, made: Made, watermark: i64, outputs: &mut Outputs) {
        let sent = |record: Record<Item>| {
            let on_time = record.event_time > watermark;
            Sent { epoch: self.epoch, record, on_time }
        };
        outputs.0.extend(made.main.into_iter().map(sent));
        outputs.1.extend(made.late.into_iter().map(sent));
    }
}

/// Says what is in one sorted list and not in the other.
fn difference<T: Ord + std::fmt::Debug>(expected: &[T], found: &[T]) -> String {
    let of = |all: &[T], others: &[T]| {
        let others: BTreeSet<_> = others.iter().collect();
        let only = all.iter().filter(|one| !others.contains(one)).take(3);
        only.map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ")
    };
    format!(
        "{} records expected, {} found; missing {}; unexpected {}",
        expected.len(),
        found.len(),
        of(expected, found),
        of(found, expected)
    )
}
