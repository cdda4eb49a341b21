//! Looks at the counters of a job, and remembers what they were.
//!
//! ```text
//! counters now --> ProcessReport      rates = (now - before) / time between
//!      '--once a second--> before     watermark_ms = since a look saw another watermark
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use highwater_checkpoint::Requests;
use highwater_core::credit::Edge;
use highwater_core::job::Job;
use highwater_core::metrics::OperatorMetrics;
use highwater_core::plan::{Plan, PlannedOperator};

use super::report::ProcessReport;
use super::task::{BarrierReport, Held, InputReport, Rates, Role, SplitReport, TaskReport};

/// Over how long a time rates are taken, at the least.
const RATES_OVER: Duration = Duration::from_secs(1);

/// What the counters of an operator on a worker were.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    records_in: u64,
    records_out: u64,
    bytes_out: u64,
    busy: Duration,
    back_pressured: Duration,
}

/// What was seen at an instant.
struct Seen {
    at: Instant,
    of: BTreeMap<(String, usize), Sample>,
}

/// What is remembered between two looks.
struct Memory {
    /// At least as old as rates need, and what will be.
    before: Seen,
    newest: Seen,
    /// The last output watermark of each task, and when it was first seen.
    watermarks: BTreeMap<(String, usize), (i64, Instant)>,
}

/// Looks at a job in this process.
pub struct Observer {
    job: Arc<Job>,
    requests: OnceLock<Requests>,
    started_ms: i64,
    memory: Mutex<Memory>,
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").field("job", &self.job).finish_non_exhaustive()
    }
}

impl Observer {
    /// Returns who looks at a job from now on.
    #[must_use]
    pub fn new(job: &Arc<Job>) -> Self {
        let seen = || Seen { at: Instant::now(), of: BTreeMap::new() };
        let memory = Memory { before: seen(), newest: seen(), watermarks: BTreeMap::new() };
        let (job, started_ms) = (Arc::clone(job), job.now_ms());
        Observer { job, requests: OnceLock::new(), started_ms, memory: Mutex::new(memory) }
    }

    /// Shows the checkpoints, too, in the process that takes them.
    pub fn take_checkpoints(&self, requests: Requests) {
        let _ = self.requests.set(requests);
    }

    /// Returns what the job does now. Rates are over the time since an earlier look, which should
    /// be taken once a second.
    #[must_use]
    pub fn look(&self) -> ProcessReport {
        let now = Instant::now();
        let plan = self.job.plan().map(Plan::operators).unwrap_or_default();
        let edges = self.job.edges();
        let bytes = Bytes::new(plan, &edges);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = Seen { at: now, of: BTreeMap::new() };
        let mut tasks = Vec::new();
        for operator in self.job.metrics().all() {
            let planned = plan.iter().find(|planned| planned.uid == operator.uid);
            let inputs = planned.into_iter().flat_map(|planned| &planned.inputs);
            let inputs = inputs.map(|input| input.input + 1).max().unwrap_or(0);
            let mut task = task(&operator, inputs, now, self.job.now_ms());
            (task.bytes_out, task.buffers_out) = bytes.of(&operator.uid, operator.worker);
            let key = (operator.uid.clone(), operator.worker);
            let times = operator.activity.times(now);
            let sample = Sample {
                records_in: task.records_in,
                records_out: task.records_out,
                bytes_out: task.bytes_out.unwrap_or(0),
                busy: times.busy,
                back_pressured: times.back_pressured,
            };
            let before = memory.before.of.get(&key).copied().unwrap_or_default();
            let seconds = now.duration_since(memory.before.at).as_secs_f64().max(1e-3);
            task.rates = rates(&before, &sample, task.bytes_out.is_some(), seconds);
            task.watermark_ms = memory.watermark_ms(&key, task.output_watermark, now);
            seen.of.insert(key, sample);
            tasks.push(task);
        }
        memory.keep(seen);
        drop(memory);
        tasks.sort_by(|a, b| (&a.uid, a.worker).cmp(&(&b.uid, b.worker)));
        ProcessReport {
            at_ms: self.job.now_ms(),
            started_ms: self.started_ms,
            pid: std::process::id(),
            workers: self.job.key_groups().workers(),
            plan: plan.to_vec(),
            epoch: self.job.epoch().0,
            tasks,
            checkpoints: self.requests.get().and_then(Requests::status),
        }
    }
}

impl Memory {
    /// Keeps what was seen, if what was kept before is old enough.
    fn keep(&mut self, seen: Seen) {
        if seen.at.duration_since(self.newest.at) >= RATES_OVER {
            self.before = std::mem::replace(&mut self.newest, seen);
        }
    }

    fn watermark_ms(&mut self, key: &(String, usize), watermark: i64, now: Instant) -> u64 {
        let known = self.watermarks.entry(key.clone()).or_insert((watermark, now));
        if known.0 != watermark {
            *known = (watermark, now);
        }
        millis(now.duration_since(known.1))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What happened per second between two looks.
fn rates(before: &Sample, now: &Sample, counts_bytes: bool, seconds: f64) -> Rates {
    let count = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
    let ms = |before: Duration, now: Duration| {
        (now.saturating_sub(before).as_secs_f64() * 1000.0 / seconds).min(1000.0)
    };
    let busy_ms = ms(before.busy, now.busy);
    let back_pressured_ms = ms(before.back_pressured, now.back_pressured).min(1000.0 - busy_ms);
    Rates {
        records_in: count(before.records_in, now.records_in),
        records_out: count(before.records_out, now.records_out),
        bytes_out: counts_bytes.then(|| count(before.bytes_out, now.bytes_out)),
        busy_ms,
        back_pressured_ms,
        idle_ms: 1000.0 - busy_ms - back_pressured_ms,
    }
}

/// What one operator on one worker does, without bytes and rates.
///
/// - `inputs`: how many it has.
fn task(operator: &OperatorMetrics, inputs: usize, now: Instant, now_ms: i64) -> TaskReport {
    let times = operator.activity.times(now);
    let held = operator.activity.held_by(now);
    let role = Role::from(operator.role);
    // Stateless operators are not told what their input promises.
    let inputs = if role == Role::Stateless { 0 } else { inputs };
    let splits = operator.splits.get().into_iter().map(|split| SplitReport {
        split: split.split,
        offset: split.offset,
        watermark: split.watermark,
        status: split.status.into(),
        records: split.records,
        silent_ms: now_ms.saturating_sub(split.last_record_ms).max(0).unsigned_abs(),
    });
    TaskReport {
        uid: operator.uid.clone(),
        name: operator.name.clone(),
        role,
        worker: operator.worker,
        records_in: operator.records_in.get(),
        records_out: operator.records_out.get(),
        late_records_dropped: operator.late_records_dropped.get(),
        fired_timers: operator.fired_timers.get(),
        queue: operator.queue(),
        busy_ms: millis(times.busy),
        back_pressured_ms: millis(times.back_pressured),
        phase: times.phase.into(),
        phase_ms: millis(times.phase_for),
        held: held.map(|(edge, receiver, held)| Held { edge, receiver, for_ms: millis(held) }),
        watermark: operator.watermark(),
        output_watermark: operator.output_watermark(),
        inputs: (0..inputs)
            .map(|input| operator.input(input))
            .map(|(watermark, epoch)| InputReport { watermark, epoch: epoch.map(|e| e.0) })
            .collect(),
        epoch: operator.epoch().map(|epoch| epoch.0),
        aligning_ms: operator.alignment.waits(now).map(millis),
        barrier: operator.alignment.last().map(|barrier| BarrierReport {
            checkpoint: barrier.epoch.0,
            start_delay_ns: nanos(barrier.start_delay),
            alignment_ns: nanos(barrier.alignment),
        }),
        splits: splits.collect(),
        idleness_ms: operator.splits.strategy().idleness_ms,
        ..TaskReport::default()
    }
}

/// The edges of every operator that no other operator sends over.
struct Bytes<'a> {
    edges: BTreeMap<&'a str, Vec<&'a Edge>>,
}

impl<'a> Bytes<'a> {
    fn new(plan: &'a [PlannedOperator], edges: &'a [Arc<Edge>]) -> Self {
        let mut senders: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for input in plan.iter().flat_map(|operator| &operator.inputs) {
            if let Some(edge) = input.edge {
                senders.entry(edge).or_default().push(input.from.operator);
            }
        }
        let mut of: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
        for edge in edges {
            if let Some([sender]) = senders.get(&edge.place()).map(Vec::as_slice)
                && let Some(operator) = plan.get(*sender)
            {
                of.entry(&operator.uid).or_default().push(edge);
            }
        }
        Bytes { edges: of }
    }

    /// Returns the bytes and the batches that an operator on a worker has sent.
    fn of(&self, uid: &str, worker: usize) -> (Option<u64>, Option<u64>) {
        let Some(edges) = self.edges.get(uid) else { return (None, None) };
        let sent = edges.iter().map(|edge| edge.sent(worker));
        let (bytes, batches) = sent.fold((0, 0), |sum, sent| (sum.0 + sent.0, sum.1 + sent.1));
        (Some(bytes), Some(batches))
    }
}
