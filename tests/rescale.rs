//! Keyed state of a job that goes on with another number of workers: 2, 3, 1, then 4.
//!
//! | family | what it would catch |
//! |---|---|
//! | results | a session that is cut in two, emitted twice or lost; a timer that fires twice or never |
//! | key groups | a group that two workers load, or nobody; entries or floors that change on the way |
//!
//! The source hands out a quarter of its records in each run. The job is stopped when all of them
//! have been worked off and the watermark has come as far as it can: sessions are open and timers
//! are pending then. The next run takes a checkpoint before it gets any record, which must hold
//! what the last one held, group by group.

#[path = "support/in_memory.rs"]
#[allow(dead_code, reason = "a test uses a part of what they share")]
mod in_memory;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater::core::clock::ManualClock;
use highwater::core::config::Config as Engine;
use highwater::core::cut::Snapshots;
use highwater::core::job::Job;
use highwater::core::key::{KeyGroup, KeyGroups};
use highwater::core::record::Record;
use highwater::operators::environment::run;
use highwater::prelude::*;
use highwater_sim::oracle::{
    Assigner, Gap, TimeDomain, Trigger, TriggerKind, WindowModel, WindowSpec,
};
use highwater_sim::{Item, Pace, Random, Scripted};
use highwater_state::format::PartReader;
use highwater_state::memory::MemoryStores;
use in_memory::{ByEpoch, InMemory, Stored, until_built};

const WORKERS: [usize; 4] = [2, 3, 1, 4];
const GROUPS: u32 = 128;
const SPLITS: u64 = 12;
const KEYS: u64 = 200;
/// The records of a split that come in one run.
const QUARTER: usize = 100;
const DELAY_MS: i64 = 20;
const GAP_MS: i64 = 100;
const REMIND_MS: i64 = 250;

/// Which operator, the key, from when to when, and the ids of the records that belong together.
type Row = (&'static str, u64, i64, i64, Vec<u64>);
type Splits = Vec<Vec<Record<Item>>>;

/// Records that come in time, though not in order.
fn input() -> Splits {
    let mut random = Random::new(4);
    let split = |split: u64| {
        let record = |n: i64| {
            let event_time = n * 10 + random.between(-8, 8);
            let id = split << 32 | n as u64;
            Record::new(event_time, Item { key: random.below(KEYS), value: 0, id })
        };
        (0..(QUARTER * WORKERS.len()) as i64).map(record).collect()
    };
    (0..SPLITS).map(split).collect()
}

fn ids<'a>(items: impl IntoIterator<Item = &'a Item>) -> Vec<u64> {
    let mut ids: Vec<u64> = items.into_iter().map(|item| item.id).collect();
    ids.sort_unstable();
    ids
}

/// What comes out, by the models.
fn expected(input: &Splits) -> Vec<Row> {
    let mut sessions = WindowModel::new(WindowSpec {
        assigner: Assigner::Session { gap: Gap::Fixed(GAP_MS) },
        time: TimeDomain::Event,
        trigger: Trigger { kind: TriggerKind::EventTime, purging: false },
        allowed_lateness: 0,
    });
    let mut reminders = BTreeMap::<(u64, i64), Vec<Item>>::new();
    for Record { event_time, value: item } in input.iter().flatten().copied() {
        sessions.element(item.key, item, event_time);
        reminders.entry((item.key, event_time + REMIND_MS)).or_default().push(item);
    }
    sessions.watermark(i64::MAX);
    let fired = sessions.take_output().into_iter();
    let rows = fired.map(|f| ("session", f.key, f.window.start, f.window.end, ids(&f.values)));
    let reminded =
        reminders.into_iter().map(|((key, at), items)| ("reminder", key, at, at, ids(&items)));
    let mut rows: Vec<Row> = rows.chain(reminded).collect();
    rows.sort_unstable();
    rows
}

/// Tells of every record some time after it, by a timer for each.
struct Reminders {
    pending: ValueState<Vec<(i64, Item)>>,
}

impl KeyedProcessFunction<u64, Item> for Reminders {
    type Out = Row;

    fn process_element(&mut self, item: Item, cx: &mut ProcessContext<'_, '_, u64, Row>) {
        let at = cx.event_time() + REMIND_MS;
        cx.get_mut(self.pending).push((at, item));
        cx.set_event_timer(at);
    }

    fn on_timer(&mut self, time: i64, cx: &mut ProcessContext<'_, '_, u64, Row>) {
        let key = *cx.key();
        let pending = cx.get_mut(self.pending);
        let due: Vec<_> = pending.extract_if(.., |(at, _)| *at == time).collect();
        if pending.is_empty() {
            cx.take(self.pending);
        }
        cx.emit(("reminder", key, time, time, ids(due.iter().map(|(_, item)| item))));
    }
}

fn describe(env: &Env<'_>, source: &Scripted, sink: &ByEpoch<Row>) {
    let delay = Duration::from_millis(DELAY_MS.unsigned_abs());
    let items = env.read(source.clone()).uid("items").watermarks(Watermarks::bounded(delay));
    let by_key = items.key_by(|item: &Item| item.key);
    let gap = Duration::from_millis(GAP_MS.unsigned_abs());
    let all = |key: &u64, window: &TimeWindow, items: &[Item], emit: &mut dyn FnMut(Row)| {
        emit(("session", *key, window.start, window.end, ids(items)));
    };
    let sessions = by_key.window(Session::gap(gap)).process(ProcessFn::new(all)).uid("sessions");
    let reminders = by_key
        .process(|states: &mut States<u64>| Ok(Reminders { pending: states.value("pending")? }))
        .uid("reminders");
    let _sunk = sessions.stream().union(&[&reminders.stream()]).sink(sink.clone()).uid("sink");
}

/// What a checkpoint holds of each key group of the keyed operators: the floor, and the entries as
/// bytes.
type Held = BTreeMap<(String, String, KeyGroup), (i64, Vec<[Vec<u8>; 3]>)>;

/// # Panics
/// When two workers hold the same group, or nobody does.
fn held(stored: &Stored, workers: usize) -> Held {
    let mut held = Held::new();
    let groups = KeyGroups::new(GROUPS, workers);
    for uid in ["sessions", "reminders"] {
        for state in &stored[uid] {
            let part = PartReader::open(&state.part).expect("a part");
            let range = part.header().range;
            assert!((0..workers).any(|worker| groups.range(worker) == range), "{range:?}");
            for block in part.blocks(range) {
                let mut block = block.expect("a block");
                let (group, floor) = (block.group(), block.floor());
                let entries = block.by_ref().map(|entry| {
                    let entry = entry.expect("an entry");
                    [entry.namespace, entry.key, entry.value].map(<[u8]>::to_vec)
                });
                let name = (uid.to_owned(), state.state.clone(), group);
                let twice = held.insert(name.clone(), (floor, entries.collect()));
                assert!(twice.is_none(), "two workers hold {name:?}");
            }
        }
    }
    let mut states: Vec<_> = held.keys().map(|(uid, state, _)| (uid, state)).collect();
    states.dedup();
    assert_eq!(held.len(), states.len() * GROUPS as usize, "nobody holds some group of {states:?}");
    held
}

/// Waits until the operator has taken in so many records on all workers, and has come so far.
fn until_settled(job: &Job, uid: &str, records: u64, watermark: i64) {
    while !job.has_failed() {
        let operators = job.metrics().operators();
        let workers = || operators.iter().filter(|operator| operator.uid == uid);
        let taken: u64 = workers().map(|operator| operator.records_in.get()).sum();
        if taken == records && workers().all(|operator| operator.watermark() == watermark) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Takes the checkpoints of one run. Returns what the first of them holds, if the job goes on.
///
/// - `quarter`: which run this is.
fn drive(
    (job, snapshots, clock): (&Job, &InMemory, &ManualClock),
    (input, quarter): (&Splits, usize),
) -> Option<Stored> {
    until_built(job);
    let mut begun = None;
    if quarter > 0 {
        snapshots.checkpoint(job);
        begun = snapshots.last(job).map(|(_, stored)| stored);
    }
    let end = (quarter + 1) * QUARTER;
    if quarter + 1 == WORKERS.len() {
        clock.advance_to(end as i64);
        while !job.is_drained() && !job.has_failed() {
            std::thread::sleep(Duration::from_millis(1));
        }
        snapshots.checkpoint(job);
        job.release();
        return begun;
    }
    clock.advance_to(end as i64 - 1);
    let reached = |split: &Vec<Record<Item>>| split[..end].iter().map(|r| r.event_time).max();
    let watermark = input.iter().filter_map(reached).min().expect("records") - DELAY_MS - 1;
    for uid in ["sessions", "reminders"] {
        until_settled(job, uid, SPLITS * QUARTER as u64, watermark);
    }
    snapshots.checkpoint(job);
    job.halt();
    begun
}

/// Runs the job to its end and compares it with the models.
///
/// - `in_store`: in which runs state is above a store instead of in memory.
fn goes_on(in_store: [bool; 4]) {
    let input = input();
    let clock = Arc::new(ManualClock::default());
    let dues = (0..(QUARTER * WORKERS.len()) as i64).collect::<Vec<_>>();
    let due_ms = Arc::new(vec![(dues, (QUARTER * WORKERS.len()) as i64); SPLITS as usize]);
    let source = Scripted::new(input.clone(), Pace::Timed { clock: Arc::clone(&clock), due_ms });
    let (mut visible, mut from): (Vec<Row>, Option<(_, Stored)>) = (Vec::new(), None);
    for (quarter, (&workers, in_store)) in WORKERS.iter().zip(in_store).enumerate() {
        let before = from.as_ref().map(|(_, stored)| held(stored, WORKERS[quarter - 1]));
        let snapshots = Arc::new(InMemory::after(from.take()));
        let stores = in_store.then(|| Arc::new(MemoryStores { cache_bytes: 10_000 }) as Arc<_>);
        let job = Arc::new(
            Job::new(Engine {
                max_parallelism: Some(GROUPS),
                watermark_interval: Duration::from_millis(10),
                snapshots: Some(Arc::clone(&snapshots) as Arc<dyn Snapshots>),
                stores,
                ..Engine::workers(workers)
            })
            .expect("options that are allowed"),
        );
        let (sink, source) = (ByEpoch::default(), source.clone());
        let pour = sink.clone();
        let begun = std::thread::scope(|scope| {
            let drive = || drive((&job, &snapshots, &clock), (&input, quarter));
            let driver = scope.spawn(drive);
            let ran = run(&job, move |env| {
                describe(env, &source, &pour);
                Ok(())
            });
            ran.expect("a job without errors");
            driver.join().expect("no panic")
        });
        assert!(sink.written() > 0, "run {quarter} makes no results");
        let begun = begun.map(|stored| held(&stored, workers));
        assert!(before == begun, "run {quarter} does not hold what was stored");
        let (epoch, stored) = snapshots.last(&job).expect("a checkpoint is complete");
        visible.extend(sink.up_to(epoch));
        if quarter + 1 < WORKERS.len() {
            let held = held(&stored, workers);
            for uid in ["sessions", "reminders"] {
                let open = held.iter().filter(|((of, _, _), _)| of == uid);
                let open: usize = open.map(|(_, (_, entries))| entries.len()).sum();
                assert!(open > KEYS as usize, "{uid}: only {open} entries at the end of {quarter}");
            }
        }
        from = Some((epoch, stored));
    }
    visible.sort_unstable();
    let expected = expected(&input);
    assert_eq!(visible.len(), expected.len());
    assert!(visible == expected, "the results differ");
}

#[test]
fn sessions_and_timers_in_memory_go_on_with_other_workers() {
    goes_on([false; 4]);
}

#[test]
fn sessions_and_timers_go_on_with_other_workers_and_another_backend() {
    goes_on([false, true, true, false]);
}
