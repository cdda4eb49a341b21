//! The engine's window operators.
//!
//! | description | operator |
//! |---|---|
//! | sessions | `SessionWindows` |
//! | tumbling or sliding, event time, default trigger | `AlignedWindows` *and* `GeneralWindows` |
//! | everything else | `GeneralWindows` |
//!
//! The stream API chooses as this table does, and the first of two; that two operators say the same
//! at each step is part of the subject.

use std::rc::Rc;

use highwater_core::harness::SideRecords;
use highwater_core::record::Record;
use highwater_core::shell::Logic;
use highwater_core::side::OutputTag;
use highwater_operators::window::aligned::AlignedWindows;
use highwater_operators::window::function::{Aggregate as Aggregated, Process, WindowFunction};
use highwater_operators::window::general::GeneralWindows;
use highwater_operators::window::session::SessionWindows;
use highwater_operators::window::{
    AggregateFunction, Assigner, AtEnd, ContinuousEventTime, Count, Global, ProcessFn,
    ProcessWindowFunction, Session, TimeWindow, Trigger, WindowOptions, Windowed,
};
use highwater_sim::any::{AnySessions, AnyTrigger, AnyWindows, Keeping};
use highwater_sim::oracle::{self, Fired, Gap, TimeDomain, TriggerKind, Window, WindowSpec};
use highwater_state::Backend;

use super::assign::{Item, RuledSession, millis, sliding, tumbling};
use super::composite::Combined;
use super::{Place, Restorable};
use crate::subject::{Aggregate, Made, WindowSubject};

type Spec = WindowSpec<String, i64>;
type Subject = Box<dyn WindowSubject>;

/// What a window emits: its values, or their sum alone.
type Out = Windowed<String, Vec<i64>>;

/// Makes the operator of a description.
pub(super) fn make(spec: &Spec, aggregate: Aggregate) -> Made<dyn WindowSubject> {
    Some(match aggregate {
        Aggregate::Sum | Aggregate::Session => with_function(spec, || Aggregated(Sum)),
        Aggregate::Each => with_function(spec, all),
    })
}

/// Adds up the values of a window as they come.
#[derive(Clone)]
struct Sum;

impl AggregateFunction<Item> for Sum {
    type Accumulator = i64;
    type Output = Vec<i64>;

    fn create(&self) -> i64 {
        0
    }
    fn add(&self, sum: &mut i64, (_, value): Item) {
        *sum += value;
    }
    fn merge(&self, into: &mut i64, other: i64) {
        *into += other;
    }
    fn result(&self, sum: &i64) -> Vec<i64> {
        vec![*sum]
    }
}

/// Emits all values of a window.
fn all() -> Process<impl ProcessWindowFunction<String, Item, Output = Out> + Clone> {
    let all = |key: &String, window: &TimeWindow, items: &[Item], emit: &mut dyn FnMut(Out)| {
        let value = items.iter().map(|(_, value)| *value).collect();
        emit(Windowed { key: key.clone(), window: *window, value });
    };
    Process(ProcessFn::new(all))
}

fn with_function<W>(spec: &Spec, function: impl Fn() -> W) -> Subject
where
    W: WindowFunction<String, Item, Out = Out> + Clone,
{
    let purging = spec.trigger.purging;
    let trigger = match &spec.trigger.kind {
        TriggerKind::EventTime => Keeping::AtEnd(AtEnd::EventTime),
        TriggerKind::ProcessingTime => Keeping::AtEnd(AtEnd::ProcessingTime),
        TriggerKind::Never => Keeping::AtEnd(AtEnd::Never),
        TriggerKind::Count(n) => Keeping::Count(Count(*n)),
        TriggerKind::ContinuousEventTime(interval) => {
            Keeping::Every(ContinuousEventTime::of(millis(*interval)))
        }
        TriggerKind::Composite(composite) => {
            let combined = Combined { composite: composite.clone(), purging };
            return with_trigger(spec, combined, function());
        }
    };
    let subject = with_trigger(spec, AnyTrigger::new(trigger, purging), function());
    if matches!(spec.trigger.kind, TriggerKind::EventTime) && !purging && has_grid(spec) {
        return Box::new(Agreeing { first: aligned(spec, function()), second: subject });
    }
    subject
}

/// Says whether the windows stand on a grid of event time.
fn has_grid(spec: &Spec) -> bool {
    use oracle::Assigner::{Sliding, Tumbling};
    spec.time == TimeDomain::Event && matches!(spec.assigner, Tumbling { .. } | Sliding { .. })
}

fn with_trigger<G, W>(spec: &Spec, trigger: G, function: W) -> Subject
where
    G: Trigger<Item> + Clone,
    W: WindowFunction<String, Item, Out = Out> + Clone,
{
    use oracle::Assigner::{Global as Whole, Session as Silence, Sliding, Tumbling};
    let processing = spec.time == TimeDomain::Processing;
    let windows = match &spec.assigner {
        Tumbling { size, offset } => AnyWindows::new(tumbling(*size, *offset, spec.time)),
        Sliding { size, slide, offset } => {
            AnyWindows::new(sliding(*size, *slide, *offset, spec.time))
        }
        Whole => AnyWindows::new(Global),
        Silence { gap: Gap::Fixed(gap) } => {
            let session = Session::gap(millis(*gap));
            let session = if processing { session.processing_time() } else { session };
            return sessions(spec, AnySessions::new(session), trigger, function);
        }
        Silence { gap: Gap::PerRecord(rule) } => {
            assert!(!processing, "no case has gaps by record in processing time");
            return sessions(spec, AnySessions::new(RuledSession::new(rule)), trigger, function);
        }
    };
    general(spec, windows, trigger, function)
}

fn key(item: &Item) -> String {
    item.0.clone()
}

fn late() -> OutputTag<Item> {
    OutputTag::new("late")
}

fn options(spec: &Spec) -> WindowOptions<Item> {
    WindowOptions {
        allowed_lateness: millis(spec.allowed_lateness),
        late_output: Some(late()),
        final_only: false,
    }
}

fn aligned<W>(spec: &Spec, function: W) -> Subject
where
    W: WindowFunction<String, Item, Out = Out> + Clone,
{
    let grid = match &spec.assigner {
        oracle::Assigner::Tumbling { size, offset } => {
            Assigner::<Item>::alignment(&tumbling(*size, *offset, spec.time))
        }
        oracle::Assigner::Sliding { size, slide, offset } => {
            Assigner::<Item>::alignment(&sliding(*size, *slide, *offset, spec.time))
        }
        _ => None,
    };
    let grid = grid.expect("these windows stand on a grid");
    let spec = spec.clone();
    Engine::boxed(move |backend| {
        let logic = AlignedWindows::new(backend, key, grid, function.clone(), options(&spec));
        logic.expect("the description is allowed")
    })
}

fn general<G, W>(spec: &Spec, assigner: AnyWindows<Item>, trigger: G, function: W) -> Subject
where
    G: Trigger<Item> + Clone,
    W: WindowFunction<String, Item, Out = Out> + Clone,
{
    let spec = spec.clone();
    Engine::boxed(move |backend| {
        let (assigner, trigger) = (assigner.clone(), trigger.clone());
        let options = options(&spec);
        let logic =
            GeneralWindows::operator(backend, key, assigner, trigger, function.clone(), options);
        logic.expect("the description is allowed")
    })
}

fn sessions<G, W>(spec: &Spec, assigner: AnySessions<Item>, trigger: G, function: W) -> Subject
where
    G: Trigger<Item> + Clone,
    W: WindowFunction<String, Item, Out = Out> + Clone,
{
    let spec = spec.clone();
    Engine::boxed(move |backend| {
        let (assigner, trigger) = (assigner.clone(), trigger.clone());
        let options = options(&spec);
        let logic =
            SessionWindows::operator(backend, key, assigner, trigger, function.clone(), options);
        logic.expect("the description is allowed")
    })
}

/// An operator of the engine.
struct Engine<L: Logic> {
    operator: Restorable<L>,
    late: SideRecords<Item>,
}

impl<L: Logic<Left = Item, Out = Out>> Engine<L> {
    fn boxed(make: impl Fn(&mut Backend) -> L + 'static) -> Subject {
        let make: Rc<dyn Fn(&mut Backend) -> L> = Rc::new(make);
        let [first, second] = Place::ALL.map(|place| {
            let mut operator = Restorable::new(Rc::clone(&make), place);
            let late = operator.harness.listen(&late());
            Box::new(Engine { operator, late }) as Subject
        });
        Box::new(Agreeing { first, second })
    }
}

impl<L: Logic<Left = Item, Out = Out>> WindowSubject for Engine<L> {
    fn element(&mut self, key: &str, value: i64, ts: i64) {
        self.operator.harness.left(ts, (key.to_owned(), value));
    }

    fn watermark(&mut self, watermark: i64) {
        self.operator.harness.watermark(watermark);
    }

    fn processing_time(&mut self, time: i64) {
        self.operator.harness.processing_time(time);
    }

    fn snapshot_restore(&mut self) {
        self.operator.snapshot_restore();
    }

    fn take_output(&mut self) -> Vec<Fired<String, i64>> {
        let output =
            self.operator.harness.take_output().expect("the operator does not fail").into_iter();
        let fired = output.map(|Record { event_time, value: Windowed { key, window, value } }| {
            let window = Window { start: window.start, end: window.end };
            Fired { key, window, values: value, timestamp: event_time }
        });
        fired.collect()
    }

    fn take_late(&mut self) -> Vec<(String, i64, i64)> {
        let late = self.late.take().into_iter();
        late.map(|Record { event_time, value: (key, value) }| (key, value, event_time)).collect()
    }
}

/// Two operators that must say the same.
struct Agreeing {
    first: Subject,
    second: Subject,
}

impl Agreeing {
    fn both(&mut self, mut input: impl FnMut(&mut dyn WindowSubject)) {
        input(self.first.as_mut());
        input(self.second.as_mut());
    }
}

/// The results, without their order.
fn sorted(mut fired: Vec<Fired<String, i64>>) -> Vec<Fired<String, i64>> {
    fired.iter_mut().for_each(|fired| fired.values.sort_unstable());
    fired.sort_unstable();
    fired
}

impl WindowSubject for Agreeing {
    fn element(&mut self, key: &str, value: i64, ts: i64) {
        self.both(|subject| subject.element(key, value, ts));
    }

    fn watermark(&mut self, watermark: i64) {
        self.both(|subject| subject.watermark(watermark));
    }

    fn processing_time(&mut self, time: i64) {
        self.both(|subject| subject.processing_time(time));
    }

    fn snapshot_restore(&mut self) {
        self.both(|subject| subject.snapshot_restore());
    }

    fn take_output(&mut self) -> Vec<Fired<String, i64>> {
        let (first, second) = (self.first.take_output(), self.second.take_output());
        assert_eq!(sorted(first.clone()), sorted(second), "two operators for the same windows");
        first
    }

    fn take_late(&mut self) -> Vec<(String, i64, i64)> {
        let (first, second) = (self.first.take_late(), self.second.take_late());
        assert_eq!(first, second, "what is late for two operators for the same windows");
        first
    }
}
