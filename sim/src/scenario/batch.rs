//! The final results of a drawn job as a batch computation: everything first, then one watermark.

use std::collections::BTreeMap;

use highwater_core::record::Record;

use super::graph::{Graph, Op, WindowPlan, Windows};
use super::model::{Model, dynamic_gap, flat_mapped, kept, mapped};
use crate::world::Item;

/// Returns what arrives at each tap of a job of [`Family::OnTime`](super::Family::OnTime), sorted.
///
/// `None` when that depends on the order of arrival, even if nothing is late: of two sessions that
/// merely touch, the first may be gone when the second opens; otherwise they merge, as in Flink.
#[must_use]
pub fn final_results(graph: &Graph) -> Option<BTreeMap<String, Vec<Record<Item>>>> {
    let mut streams: Vec<Vec<Record<Item>>> =
        graph.sources.iter().map(|source| source.splits.concat()).collect();
    for step in &graph.steps {
        let (left, right) = (&streams[step.left], &streams[step.right]);
        let with = |record: &Record<Item>, value| Record::new(record.event_time, value);
        let made = match step.op {
            Op::Map => left.iter().map(|record| with(record, mapped(record.value))).collect(),
            Op::Filter(modulus) => {
                left.iter().filter(|record| kept(&record.value, modulus)).copied().collect()
            }
            Op::FlatMap(most) => {
                let copies = |record: &Record<Item>| {
                    let record = *record;
                    flat_mapped(record.value, most).into_iter().map(move |v| with(&record, v))
                };
                left.iter().flat_map(copies).collect()
            }
            Op::Union => [left.as_slice(), right.as_slice()].concat(),
            op => {
                if matches!(op, Op::Window(plan) if sessions_touch(plan, left)) {
                    return None;
                }
                let mut model = Model::new(op);
                let mut made = Vec::new();
                let inputs = if op.is_binary() { vec![left, right] } else { vec![left] };
                for (input, records) in inputs.into_iter().enumerate() {
                    for record in records {
                        made.extend(model.element(input, *record).main);
                    }
                }
                made.extend(model.advance(i64::MAX).main);
                made
            }
        };
        streams.push(made);
    }
    let tapped = graph.taps().into_iter().map(|tap| {
        let mut records = streams[tap].clone();
        records.sort_unstable();
        (format!("tap-{tap}"), records)
    });
    Some(tapped.collect())
}

/// Returns whether two sessions of a key touch without overlapping.
fn sessions_touch(plan: WindowPlan, records: &[Record<Item>]) -> bool {
    let gap = |item: &Item| match plan.windows {
        Windows::Session { gap } => Some(gap),
        Windows::DynamicSession { most } => Some(dynamic_gap(item, most)),
        Windows::Tumbling { .. } | Windows::Sliding { .. } => None,
    };
    let opened = records.iter().filter_map(|record| {
        let start = record.event_time;
        Some((record.value.key, start, start + gap(&record.value)?))
    });
    let mut opened: Vec<_> = opened.collect();
    opened.sort_unstable();
    let mut open: Option<(u64, i64)> = None;
    for (key, start, end) in opened {
        open = match open {
            Some((of, until)) if of == key && start == until => return true,
            Some((of, until)) if of == key && start < until => Some((key, until.max(end))),
            _ => Some((key, end)),
        };
    }
    false
}
