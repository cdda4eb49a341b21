//! Whether a run agrees with the models, operator by operator and epoch by epoch.
//!
//! Each operator's model is given exactly what the operator saw: the records and watermarks of each
//! worker in the order of the journal. What the model makes of them must arrive, in the same epoch,
//! at whoever reads the operator. So lateness, which depends on the run, is compared exactly.
//!
//! The run of a job that was restarted has several chapters, one for each attempt that completed
//! checkpoints: what happened in it up to the last of them. Models live on from one to the next.
//!
//! **Checked**
//! - *Whole input*: the sources emit every record once, over all chapters.
//! - *Results and late records*: equal, as multisets, for every operator and epoch (I4, I5, I6).
//! - *No overshoot*: a record on time where it was emitted is on time where it arrives (I2).
//! - *Monotonous*: watermarks only rise; the last is the end of time and comes once (I1).
//! - *Whole firings*: no record and no cut between the timers of one watermark (I3).
//! - *Epochs in order*: a batch is processed in the epoch of its stamp.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use highwater_core::key::KeyGroups;
use highwater_core::record::Record;

use super::graph::{Graph, Op, SourcePlan};
use super::model::{flat_mapped, kept, mapped};
use super::replay::Replay;
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
pub(super) struct Sent {
    pub(super) epoch: u64,
    pub(super) record: Record<Item>,
    pub(super) on_time: bool,
}

impl Sent {
    fn with(self, value: Item) -> Sent {
        Sent { record: Record::new(self.record.event_time, value), ..self }
    }
}

/// What an operator made: its output and its late side output.
pub(super) type Outputs = (Vec<Sent>, Vec<Sent>);

/// What one attempt contributed to the run of a job.
#[derive(Debug)]
pub struct Chapter {
    /// What its operators did.
    pub journal: Vec<Note>,
    /// The epochs that count: from the first of the attempt to the one in which the next began.
    pub epochs: Range<u64>,
    /// How it divided keys among its workers.
    pub key_groups: KeyGroups,
}

/// The notes of a chapter, by operator and worker.
type Notes<'a> = BTreeMap<&'a str, BTreeMap<usize, Vec<&'a Happening>>>;

/// A chapter, sorted.
pub(super) struct Sorted<'a> {
    notes: Notes<'a>,
    pub(super) epochs: Range<u64>,
    pub(super) key_groups: KeyGroups,
}

impl<'a> Sorted<'a> {
    fn new(journal: &'a [Note], epochs: Range<u64>, key_groups: KeyGroups) -> Self {
        let mut notes = Notes::new();
        for Note { uid, worker, happening } in journal {
            notes.entry(uid).or_default().entry(*worker).or_default().push(happening);
        }
        Sorted { notes, epochs, key_groups }
    }

    /// Returns what an operator did on a worker.
    pub(super) fn of(&self, uid: &str, worker: usize) -> &[&'a Happening] {
        self.notes.get(uid).and_then(|workers| workers.get(&worker)).map_or(&[], Vec::as_slice)
    }

    /// Returns what an operator did on all workers.
    fn all(&self, uid: &str) -> impl Iterator<Item = &'a Happening> {
        self.notes.get(uid).into_iter().flat_map(BTreeMap::values).flatten().copied()
    }
}

/// What arrived at each sink, sorted.
pub type Arrived = BTreeMap<String, Vec<Record<Item>>>;

/// Compares a run of a job with the models.
///
/// # Errors
/// A text that says what differs where.
pub fn check(graph: &Graph, run: &Run) -> Result<Coverage, String> {
    if let Err(error) = &run.ended {
        return Err(format!("the job failed: {}", error.sentence()));
    }
    let only = Sorted::new(&run.journal, 0..u64::MAX, run.key_groups);
    let (mut coverage, _) = compare(graph, vec![only])?;
    coverage.blocked = run.blocked;
    coverage.turns = run.order.len() as u64;
    Ok(coverage)
}

/// Compares the run of a job that was restarted with the models; returns what arrived at the sinks
/// in the epochs that count.
///
/// # Errors
/// A text that says what differs where.
pub fn check_chapters(graph: &Graph, chapters: &[Chapter]) -> Result<(Coverage, Arrived), String> {
    let sorted = chapters
        .iter()
        .map(|chapter| Sorted::new(&chapter.journal, chapter.epochs.clone(), chapter.key_groups));
    compare(graph, sorted.collect())
}

fn compare(graph: &Graph, chapters: Vec<Sorted<'_>>) -> Result<(Coverage, Arrived), String> {
    let mut check = Check { chapters, coverage: Coverage::default(), arrived: Arrived::new() };
    let sources = graph.sources.iter().enumerate();
    let mut streams: Vec<Vec<Sent>> = sources
        .map(|(i, plan)| check.emitted(&format!("source-{i}"), plan))
        .collect::<Result<_, _>>()?;
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
    Ok((check.coverage, check.arrived))
}

struct Check<'a> {
    chapters: Vec<Sorted<'a>>,
    coverage: Coverage,
    arrived: Arrived,
}

impl<'a> Check<'a> {
    /// What a source emitted.
    fn emitted(&mut self, uid: &str, plan: &SourcePlan) -> Result<Vec<Sent>, String> {
        let late = plan.late();
        let mut sent = Vec::new();
        for (number, chapter) in self.chapters.iter().enumerate() {
            for happening in chapter.all(uid) {
                let Happening::Emitted { stamp, records } = happening else { continue };
                if !chapter.epochs.contains(&stamp.epoch.0) {
                    continue;
                }
                sent.extend(records.iter().map(|record| {
                    // After a restart a source promises less at first than it had promised before.
                    let promised =
                        number == 0 || plan.idle_ms.is_none() && !late.contains(&record.value.id);
                    let on_time = promised && record.event_time >= stamp.watermark;
                    Sent { epoch: stamp.epoch.0, record: *record, on_time }
                }));
            }
        }
        let mut found: Vec<_> = sent.iter().map(|sent| sent.record).collect();
        let mut expected = plan.splits.concat();
        found.sort_unstable();
        expected.sort_unstable();
        if expected != found {
            return Err(format!("{uid}: {}", difference(&expected, &found)));
        }
        self.coverage.records += sent.len() as u64;
        self.coverage.late_at_source += sent.iter().filter(|sent| !sent.on_time).count() as u64;
        Ok(sent)
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
        for chapter in &self.chapters {
            for worker in 0..chapter.key_groups.workers() {
                // Where an operator goes on from may be ahead of what those before it promise after
                // a restart: they had promised more in an epoch that does not count.
                let mut from_before = true;
                for happening in chapter.of(uid, worker) {
                    from_before &= !matches!(happening, Happening::Fired { .. });
                    if let Happening::Received { input, stamp, watermark, records } = happening
                        && *input == of
                        && chapter.epochs.contains(&stamp.epoch.0)
                    {
                        let epoch = stamp.epoch.0;
                        arrived.extend(records.iter().map(|record| {
                            let is_late = record.event_time <= *watermark;
                            self.coverage.late_arrivals += u64::from(is_late);
                            let on_time = !is_late || from_before;
                            Sent { epoch, record: *record, on_time }
                        }));
                    }
                }
            }
        }
        let mut sent = sent.to_vec();
        sent.sort_unstable();
        arrived.sort_unstable();
        let strip = |all: &[Sent]| all.iter().map(|s| (s.epoch, s.record)).collect::<Vec<_>>();
        let (expected, found) = (strip(&sent), strip(&arrived));
        if expected != found {
            return Err(format!("{uid}, input {of}: {}", difference(&expected, &found)));
        }
        let mut records: Vec<_> = arrived.iter().map(|sent| sent.record).collect();
        records.sort_unstable();
        self.arrived.insert(uid.to_owned(), records);
        // Copies of a record are in the same order on both sides: the late ones first.
        match sent.iter().zip(&arrived).find(|(sent, arrived)| sent.on_time && !arrived.on_time) {
            Some((sent, _)) => Err(format!("{uid}, input {of}: overshoot, {sent:?} came late")),
            None => Ok(()),
        }
    }

    /// Plays what an operator saw to its models.
    fn replay(&mut self, uid: &str, op: Op) -> Result<Outputs, String> {
        let mut replay = Replay::new(op, uid);
        for chapter in &self.chapters {
            replay.play(chapter, &mut self.coverage)?;
        }
        Ok(replay.end())
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
