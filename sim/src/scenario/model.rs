//! What the operators of a drawn job mean: the stateless steps, and sequential models of the others.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use highwater_core::record::Record;

use super::graph::{Firing, Op, WindowPlan, Windows};
use crate::oracle::{
    Assigner, Gap, TimeDomain, Trigger, TriggerKind, Window, WindowModel, WindowSpec,
};
use crate::world::Item;

/// What [`Op::Map`] does.
pub(super) fn mapped(item: Item) -> Item {
    let key = (item.key * 7 + item.id) % 5;
    Item { key, value: item.value.wrapping_mul(3).wrapping_add(1), id: item.id }
}

/// What [`Op::Filter`] keeps.
pub(super) fn kept(item: &Item, modulus: u64) -> bool {
    !item.id.is_multiple_of(modulus)
}

/// What [`Op::FlatMap`] makes of an item.
pub(super) fn flat_mapped(item: Item, most: u64) -> Vec<Item> {
    let copies = 0..(item.id % (most + 1)) as i64;
    copies.map(|i| Item { value: item.value.wrapping_add(i), ..item }).collect()
}

/// Adds an item to another of the same key.
pub(super) fn added(sum: Item, item: Item) -> Item {
    let id = sum.id.wrapping_add(item.id);
    Item { key: sum.key, value: sum.value.wrapping_add(item.value), id }
}

/// The gap that an item wants, in ms.
pub(super) fn dynamic_gap(item: &Item, most: i64) -> i64 {
    1 + item.value.rem_euclid(most)
}

/// What a window of a length comes to.
pub(super) fn of_window(key: u64, length: i64, values: &[Item]) -> Item {
    let sum = values.iter().copied().reduce(added).unwrap_or_default();
    Item { key, value: sum.value.wrapping_mul(31).wrapping_add(length), id: sum.id }
}

/// What an operator made of one input.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    /// Its output.
    pub(super) main: Vec<Record<Item>>,
    /// Its late side output.
    pub(super) late: Vec<Record<Item>>,
}

/// An operator with state, one input after the other.
#[derive(Debug)]
pub(super) struct Model {
    kind: Kind,
    watermark: i64,
    made: Made,
}

#[derive(Debug)]
enum Kind {
    Pass,
    Reduce(BTreeMap<u64, Item>),
    Count(BTreeMap<u64, i64>),
    Sums { size: i64, sums: BTreeMap<(i64, u64), Item> },
    Window(WindowModel<u64, Item>),
}

impl Model {
    /// Returns the model of an operator.
    ///
    /// # Panics
    /// When the operator keeps nothing.
    pub(super) fn new(op: Op) -> Self {
        let kind = match op {
            Op::Watermarks(_) => Kind::Pass,
            Op::Reduce => Kind::Reduce(BTreeMap::new()),
            Op::Count => Kind::Count(BTreeMap::new()),
            Op::Timers(size) | Op::Connect(size) => Kind::Sums { size, sums: BTreeMap::new() },
            Op::Window(plan) => Kind::Window(WindowModel::new(spec(plan))),
            Op::Map | Op::Filter(_) | Op::FlatMap(_) | Op::Union => {
                panic!("{op:?} keeps nothing")
            }
        };
        Model { kind, watermark: i64::MIN, made: Made::default() }
    }

    /// Returns the watermark.
    pub(super) fn watermark(&self) -> i64 {
        self.watermark
    }

    /// Takes an item from one of its inputs.
    pub(super) fn element(&mut self, input: usize, record: Record<Item>) -> Made {
        let Record { event_time, value: item } = record;
        match &mut self.kind {
            Kind::Pass => self.made.main.push(record),
            Kind::Reduce(sums) => {
                let sum = sums.get(&item.key).map_or(item, |sum| added(*sum, item));
                sums.insert(item.key, sum);
                self.made.main.push(Record::new(event_time, sum));
            }
            Kind::Count(counts) => {
                let count = counts.entry(item.key).or_default();
                *count += 1;
                let counted = Item { key: item.key, value: *count, id: 0 };
                self.made.main.push(Record::new(event_time, counted));
            }
            Kind::Sums { size, sums } => {
                let value = if input == 1 { item.value.wrapping_neg() } else { item.value };
                let item = Item { value, ..item };
                let last = event_time.div_euclid(*size) * *size + *size - 1;
                if last <= self.watermark {
                    self.made.late.push(Record::new(event_time, item));
                } else {
                    let sum = sums.get(&(last, item.key)).map_or(item, |sum| added(*sum, item));
                    sums.insert((last, item.key), sum);
                }
            }
            Kind::Window(model) => model.element(item.key, item, event_time),
        }
        self.take()
    }

    /// Takes a watermark, as Flink counts it.
    pub(super) fn advance(&mut self, watermark: i64) -> Made {
        self.watermark = watermark;
        match &mut self.kind {
            Kind::Pass | Kind::Reduce(_) | Kind::Count(_) => {}
            Kind::Sums { sums, .. } => {
                while let Some(entry) = sums.first_entry().filter(|e| e.key().0 <= watermark) {
                    let ((last, _), sum) = entry.remove_entry();
                    self.made.main.push(Record::new(last, sum));
                }
            }
            Kind::Window(model) => model.watermark(watermark),
        }
        self.take()
    }

    fn take(&mut self) -> Made {
        if let Kind::Window(model) = &mut self.kind {
            for fired in model.take_output() {
                let Window { start, end } = fired.window;
                let result = of_window(fired.key, end - start, &fired.values);
                self.made.main.push(Record::new(fired.timestamp, result));
            }
            let late = model.take_late().into_iter();
            self.made.late.extend(late.map(|(_, item, at)| Record::new(at, item)));
        }
        mem::take(&mut self.made)
    }
}

fn spec(plan: WindowPlan) -> WindowSpec<u64, Item> {
    let assigner = match plan.windows {
        Windows::Tumbling { size, offset } => Assigner::Tumbling { size, offset },
        Windows::Sliding { size, slide } => Assigner::Sliding { size, slide, offset: 0 },
        Windows::Session { gap } => Assigner::Session { gap: Gap::Fixed(gap) },
        Windows::DynamicSession { most } => {
            let gap = move |_: &u64, item: &Item| dynamic_gap(item, most);
            Assigner::Session { gap: Gap::PerRecord(Arc::new(gap)) }
        }
    };
    let (kind, purging) = match plan.firing {
        Firing::AtEnd => (TriggerKind::EventTime, false),
        Firing::Count(n) => (TriggerKind::Count(n), false),
        Firing::PurgingCount(n) => (TriggerKind::Count(n), true),
        Firing::Every(interval) => (TriggerKind::ContinuousEventTime(interval), false),
    };
    let trigger = Trigger { kind, purging };
    let allowed_lateness = plan.lateness;
    WindowSpec { assigner, time: TimeDomain::Event, trigger, allowed_lateness }
}
