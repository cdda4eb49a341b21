//! A drawn job, described to the engine.

use std::time::Duration;

use highwater_core::OutputTag;
use highwater_core::error::Result;
use highwater_operators::connect::KeyedCoProcessFunction;
use highwater_operators::environment::Env;
use highwater_operators::keyed_state::{States, ValueState};
use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
use highwater_operators::stream::{DataStream, Named, Processed};
use highwater_operators::watermarks::Watermarks;
use highwater_operators::window::{
    AggregateFunction, Assigned, ContinuousEventTime, Count, ProcessFn, Session, Sliding,
    TimeWindow, TriggerChoice, Tumbling, WindowResult, WindowedStream, Windows as WindowsOf,
};

use super::graph::{Firing, Graph, Op, WindowPlan, Windows};
use super::model::{added, dynamic_gap, flat_mapped, kept, mapped, of_window};
use crate::any::{AnyTrigger, AnyWindows, Keeping};
use crate::source::{Pace, Scripted};
use crate::world::Item;

type Stream<'scope> = DataStream<'scope, Item>;

/// The side output of the functions below.
fn late_tag() -> OutputTag<Item> {
    OutputTag::new("late")
}

/// Describes a job. The uid of step `i` is `step-i`, what is looked at ends in `tap-i` and `late-i`.
pub fn build<'scope>(graph: &Graph, env: &Env<'scope>) {
    build_into(graph, env, &|stream, name| {
        let _end = stream.discard().uid(name);
    });
}

/// Describes a job.
///
/// - `end`: is given what is looked at, and the uid of the sink that it must put there.
pub fn build_into<'scope>(graph: &Graph, env: &Env<'scope>, end: &dyn Fn(&Stream<'scope>, &str)) {
    let mut streams: Vec<Stream<'scope>> = Vec::new();
    for (i, plan) in graph.sources.iter().enumerate() {
        let source = Scripted::new(plan.splits.clone(), Pace::Drawn { seed: plan.seed });
        let delay = Duration::from_millis(plan.delay_ms.unsigned_abs());
        let read = env.read(source).uid(&format!("source-{i}"));
        let mut watermarks = Watermarks::bounded(delay);
        if let Some(idle) = plan.idle_ms {
            watermarks = watermarks.with_idleness(ms(idle));
        }
        streams.push(read.watermarks(watermarks));
    }
    for (i, step) in graph.steps.iter().enumerate() {
        let (left, right) = (streams[step.left].clone(), streams[step.right].clone());
        let uid = format!("step-{i}");
        let (stream, late) = apply(step.op, &left, &right, &uid);
        if let Some(late) = late {
            end(&late, &format!("late-{i}"));
        }
        streams.push(stream);
    }
    for stream in graph.taps() {
        end(&streams[stream], &format!("tap-{stream}"));
    }
}

fn apply<'scope>(
    op: Op,
    left: &Stream<'scope>,
    right: &Stream<'scope>,
    uid: &str,
) -> (Stream<'scope>, Option<Stream<'scope>>) {
    let keyed = left.key_by(|item: &Item| item.key);
    let stream = match op {
        Op::Map => left.map(mapped),
        Op::Filter(modulus) => left.filter(move |item| kept(item, modulus)),
        Op::FlatMap(most) => left.flat_map(move |item| flat_mapped(item, most)),
        Op::Union => left.union(&[right]),
        Op::Watermarks(delay) => left.watermarks(Watermarks::bounded(ms(delay))).uid(uid),
        Op::Reduce => keyed.reduce(added).uid(uid).stream(),
        Op::Count => {
            let counts = keyed.count().uid(uid);
            counts.map(|(key, count)| Item { key, value: count as i64, id: 0 })
        }
        Op::Timers(size) => return timed(&keyed.process(Sums::of(size)).uid(uid)),
        Op::Connect(size) => {
            let connected = keyed.connect(&right.key_by(|item: &Item| item.key));
            return timed(&connected.process(Sums::of(size)).uid(uid));
        }
        Op::Window(plan) => return windowed(&keyed, plan, uid),
    };
    (stream, None)
}

fn timed<'scope>(sums: &Processed<'scope, Item>) -> (Stream<'scope>, Option<Stream<'scope>>) {
    (sums.stream(), Some(sums.side_output(&late_tag())))
}

type Keyed<'scope, F> = highwater_operators::key_by::KeyedStream<'scope, u64, Item, F>;

fn windowed<'scope, F: Fn(&Item) -> u64 + 'static>(
    keyed: &Keyed<'scope, F>,
    plan: WindowPlan,
    uid: &str,
) -> (Stream<'scope>, Option<Stream<'scope>>) {
    match plan.windows {
        Windows::Tumbling { size, offset } => {
            let windows = AnyWindows::new(Tumbling::of(ms(size)).offset_ms(offset));
            fired(keyed.window(Assigned(windows)), plan, uid)
        }
        Windows::Sliding { size, slide } => {
            let windows = AnyWindows::new(Sliding::of(ms(size), ms(slide)));
            fired(keyed.window(Assigned(windows)), plan, uid)
        }
        Windows::Session { gap } => fired(keyed.window(Session::gap(ms(gap))), plan, uid),
        Windows::DynamicSession { most } => {
            let gap = move |item: &Item| dynamic_gap(item, most);
            fired(keyed.window(Session::dynamic(gap)), plan, uid)
        }
    }
}

fn fired<'scope, F, A>(
    windows: WindowedStream<'scope, u64, Item, F, A>,
    plan: WindowPlan,
    uid: &str,
) -> (Stream<'scope>, Option<Stream<'scope>>)
where
    F: Fn(&Item) -> u64 + 'static,
    A: WindowsOf<Item>,
{
    let windows = windows.allowed_lateness(ms(plan.lateness));
    let trigger = match plan.firing {
        Firing::AtEnd => return summed(windows, plan, uid),
        Firing::Count(n) | Firing::PurgingCount(n) => Keeping::Count(Count(n)),
        Firing::Every(interval) => Keeping::Every(ContinuousEventTime::of(ms(interval))),
    };
    let trigger = AnyTrigger::new(trigger, matches!(plan.firing, Firing::PurgingCount(_)));
    summed(windows.trigger(trigger), plan, uid)
}

fn summed<'scope, F, A, G>(
    windows: WindowedStream<'scope, u64, Item, F, A, G>,
    plan: WindowPlan,
    uid: &str,
) -> (Stream<'scope>, Option<Stream<'scope>>)
where
    F: Fn(&Item) -> u64 + 'static,
    A: WindowsOf<Item>,
    G: TriggerChoice<Item>,
{
    type Emit<'a> = &'a mut dyn FnMut(Item);
    let all = |key: &u64, window: &TimeWindow, values: &[Item], emit: Emit<'_>| {
        emit(of_window(*key, window.end - window.start, values));
    };
    let results: WindowResult<'scope, Item, Item> = if plan.lists {
        windows.process(ProcessFn::new(all))
    } else {
        windows.aggregate_then(Total, ProcessFn::new(all))
    };
    let results = results.uid(uid);
    (results.stream(), Some(results.late()))
}

fn ms(n: i64) -> Duration {
    Duration::from_millis(n.unsigned_abs())
}

/// Adds up values and ids.
#[derive(Clone, Debug)]
struct Total;

impl AggregateFunction<Item> for Total {
    type Accumulator = Option<Item>;
    type Output = Item;

    fn create(&self) -> Option<Item> {
        None
    }

    fn add(&self, sum: &mut Option<Item>, item: Item) {
        *sum = Some(sum.map_or(item, |sum| added(sum, item)));
    }

    fn merge(&self, into: &mut Option<Item>, other: Option<Item>) {
        if let Some(item) = other {
            self.add(into, item);
        }
    }

    fn result(&self, sum: &Option<Item>) -> Item {
        sum.unwrap_or_default()
    }
}

/// Adds up the values of each key and interval, and emits the sums when the intervals have ended.
struct Sums {
    size: i64,
    sums: ValueState<Vec<(i64, Item)>>,
}

impl Sums {
    fn of(size: i64) -> impl FnOnce(&mut States<u64>) -> Result<Self> {
        move |states| Ok(Sums { size, sums: states.value("sums")? })
    }

    fn add(&mut self, item: Item, cx: &mut ProcessContext<'_, '_, u64, Item>) {
        let last = cx.event_time().div_euclid(self.size) * self.size + self.size - 1;
        if last <= cx.watermark() {
            cx.emit_to(&late_tag(), item);
            return;
        }
        let sums = cx.get_mut(self.sums);
        match sums.iter_mut().find(|(end, _)| *end == last) {
            Some((_, sum)) => *sum = added(*sum, item),
            None => sums.push((last, item)),
        }
        cx.set_event_timer(last);
    }

    fn end(&mut self, time: i64, cx: &mut ProcessContext<'_, '_, u64, Item>) {
        let sums = cx.get_mut(self.sums);
        let Some(place) = sums.iter().position(|(end, _)| *end == time) else { return };
        let (_, sum) = sums.swap_remove(place);
        if sums.is_empty() {
            cx.take(self.sums);
        }
        cx.emit(sum);
    }
}

impl KeyedProcessFunction<u64, Item> for Sums {
    type Out = Item;

    fn process_element(&mut self, item: Item, cx: &mut ProcessContext<'_, '_, u64, Item>) {
        self.add(item, cx);
    }

    fn on_timer(&mut self, time: i64, cx: &mut ProcessContext<'_, '_, u64, Item>) {
        self.end(time, cx);
    }
}

impl KeyedCoProcessFunction<u64, Item, Item> for Sums {
    type Out = Item;

    fn process_left(&mut self, item: Item, cx: &mut ProcessContext<'_, '_, u64, Item>) {
        self.add(item, cx);
    }

    fn process_right(&mut self, item: Item, cx: &mut ProcessContext<'_, '_, u64, Item>) {
        self.add(Item { value: item.value.wrapping_neg(), ..item }, cx);
    }

    fn on_timer(&mut self, time: i64, cx: &mut ProcessContext<'_, '_, u64, Item>) {
        self.end(time, cx);
    }
}
