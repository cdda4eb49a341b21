//! What do event-time windows cost?
//!
//! Workload: records `(key u64, time ms)` with 100,000 keys, evenly mixed, a million records per
//! second of event time, in order; counts per key and window. `tumbling` closes a window each 60 s
//! (600 records a result), `sliding` one of 60 s each second (10 records a result, less at the end
//! of the input, where sixty windows are still open).
//!
//! The bare twin of `sliding` adds each second to the counts of the window and subtracts the second
//! that left: the best there is for counts, and not possible for aggregates in general.

use std::collections::BTreeMap;

use highwater::prelude::*;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator as _;
use timely::dataflow::{Scope, Stream};

use super::{Session, Table, Twin, mix, numbers};

const KEYS: u64 = 100_000;
const SECOND_MS: u64 = 1000;
const SIZE_MS: u64 = 60 * SECOND_MS;

#[inline]
fn record(n: u64) -> (u64, u64) {
    ((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % KEYS, n / 1000)
}

/// Counts whatever comes.
#[derive(Clone)]
pub struct Counting;

impl<T> AggregateFunction<T> for Counting {
    type Accumulator = u64;
    type Output = u64;
    fn create(&self) -> u64 {
        0
    }
    fn add(&self, count: &mut u64, _: T) {
        *count += 1;
    }
    fn merge(&self, into: &mut u64, other: u64) {
        *into += other;
    }
    fn result(&self, count: &u64) -> u64 {
        *count
    }
}

/// Key, end of the window, count.
type Row = (u64, i64, u64);

fn row(result: Windowed<u64, u64>) -> Row {
    (result.key, result.window.end, result.value)
}

fn read<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, (u64, u64)> {
    let watermarks = Watermarks::monotonous().event_time(|(_, time): &(u64, u64)| *time as i64);
    env.read(Generator::new(records, record)).watermarks(watermarks)
}

fn read_raw<'s>(scope: Scope<'s, u64>, records: u64) -> Stream<'s, u64, Vec<(u64, u64)>> {
    numbers(scope, records, 16 * 1024, record, |(_, time)| *time)
}

fn by_key() -> Exchange<(u64, u64), impl FnMut(&(u64, u64)) -> u64> {
    Exchange::new(|(key, _): &(u64, u64)| mix(*key))
}

/// The counts of one window or slice, and the right to emit them.
struct Open {
    counts: Table<u64, u64>,
    capability: Capability<u64>,
}

pub struct TumblingCount;

impl Twin for TumblingCount {
    const NAME: &'static str = "tumbling";
    const TARGET: Option<f64> = Some(0.9);
    const RECORDS: u64 = 30_000_000;
    type Row = Row;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Row> {
        let records = read(env, records).key_by(|(key, _)| *key);
        records.window(Tumbling::of(seconds(60))).aggregate(Counting).map(row)
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Stream<'s, u64, Vec<Row>> {
        read_raw(scope, records).unary_frontier(by_key(), "tumbling", |_, _| {
            let mut open: BTreeMap<u64, Open> = BTreeMap::new();
            move |(input, frontier), output: &mut Session<'_, Row>| {
                input.for_each_time(|time, batches| {
                    let mut records = batches.flat_map(|batch| batch.drain(..)).peekable();
                    while let Some((_, at)) = records.peek() {
                        let end = at - at % SIZE_MS + SIZE_MS;
                        let window = open.entry(end).or_insert_with(|| Open {
                            counts: Table::default(),
                            capability: time.delayed(&(end - 1), 0),
                        });
                        let within = |(_, at): &(u64, u64)| end - SIZE_MS <= *at && *at < end;
                        while let Some((key, _)) = records.next_if(within) {
                            *window.counts.entry(key).or_insert(0) += 1;
                        }
                    }
                });
                while let Some(first) = open.first_entry()
                    && !frontier.less_than(first.key())
                {
                    let (end, window) = first.remove_entry();
                    let rows = window.counts.into_iter();
                    let rows = rows.map(|(key, count)| (key, end as i64, count));
                    output.session(&window.capability).give_iterator(rows);
                }
            }
        })
    }
}

pub struct SlidingCount;

impl Twin for SlidingCount {
    const NAME: &'static str = "sliding";
    const TARGET: Option<f64> = None;
    const RECORDS: u64 = 30_000_000;
    type Row = Row;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Row> {
        let records = read(env, records).key_by(|(key, _)| *key);
        records.window(Sliding::of(seconds(60), seconds(1))).aggregate(Counting).map(row)
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Stream<'s, u64, Vec<Row>> {
        read_raw(scope, records).unary_frontier(by_key(), "sliding", |_, _| {
            // Slices by their end; those in the window, in order; the window's counts and end.
            let mut open: BTreeMap<u64, Open> = BTreeMap::new();
            let mut within: BTreeMap<u64, Table<u64, u64>> = BTreeMap::new();
            let mut window: Table<u64, u64> = Table::default();
            let mut last: Option<(u64, Capability<u64>)> = None;
            move |(input, frontier), output: &mut Session<'_, Row>| {
                input.for_each_time(|time, batches| {
                    let mut records = batches.flat_map(|batch| batch.drain(..)).peekable();
                    while let Some((_, at)) = records.peek() {
                        let end = at - at % SECOND_MS + SECOND_MS;
                        let slice = open.entry(end).or_insert_with(|| Open {
                            counts: Table::default(),
                            capability: time.delayed(&(end - 1), 0),
                        });
                        let inside = |(_, at): &(u64, u64)| end - SECOND_MS <= *at && *at < end;
                        while let Some((key, _)) = records.next_if(inside) {
                            *slice.counts.entry(key).or_insert(0) += 1;
                        }
                    }
                });
                // The next window ends a second after the last one, or at the first slice.
                loop {
                    let first = open.first_key_value().map(|(end, _)| *end);
                    let next = last.as_ref().map(|(end, _)| end + SECOND_MS).or(first);
                    let Some(end) = next.filter(|end| !frontier.less_than(end)) else { break };
                    if let Some(Open { counts, capability }) = open.remove(&end) {
                        counts.iter().for_each(|(key, n)| *window.entry(*key).or_insert(0) += n);
                        within.insert(end, counts);
                        last = Some((end, capability));
                    } else if let Some((last, capability)) = &mut last {
                        *last = end;
                        capability.downgrade(&(end - 1));
                    }
                    if let Some(gone) = end.checked_sub(SIZE_MS).and_then(|g| within.remove(&g)) {
                        for (key, n) in gone {
                            let count = window.get_mut(&key).expect("it was added");
                            *count -= n;
                            if *count == 0 {
                                window.remove(&key);
                            }
                        }
                    }
                    if let Some((_, capability)) = &last {
                        let rows = window.iter().map(|(key, n)| (*key, end as i64, *n));
                        output.session(capability).give_iterator(rows);
                    }
                    if within.is_empty() {
                        last = None;
                    }
                }
            }
        })
    }
}
