//! What do windows cost that grow and merge?
//!
//! Workload: 20 M records `(key u64, time ms)`, a million per second of event time, in order; 20,000
//! keys are awake for 400 ms of event time and get about 20 records each, then the next 20,000; of
//! 100,000 keys in all each so falls silent for 1.6 s. Sessions with a gap of a second: a million of
//! 20 records.

use std::collections::BTreeMap;

use highwater::prelude::*;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator as _;
use timely::dataflow::{Scope, Stream};

use super::windows::Counting;
use super::{Session as Emit, Table, Twin, mix, numbers};

const KEYS: u64 = 100_000;
const AWAKE: u64 = 20_000;
const BURST: u64 = 400_000;
const GAP_MS: u64 = 1000;

#[inline]
fn record(n: u64) -> (u64, u64) {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    ((n / BURST * AWAKE + spread % AWAKE) % KEYS, n / 1000)
}

pub struct SessionCount;

impl Twin for SessionCount {
    const NAME: &'static str = "sessions";
    const TARGET: Option<f64> = None;
    const RECORDS: u64 = 20_000_000;
    /// Key, start, end, count.
    type Row = (u64, u64, u64, u64);

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Self::Row> {
        let watermarks = Watermarks::monotonous().event_time(|(_, time): &(u64, u64)| *time as i64);
        let records = env.read(Generator::new(records, record)).watermarks(watermarks);
        let windows = records.key_by(|(key, _)| *key).window(Session::gap(millis(GAP_MS)));
        windows.aggregate(Counting).map(|result| {
            let window = result.window;
            (result.key, window.start as u64, window.end as u64, result.value)
        })
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Stream<'s, u64, Vec<Self::Row>> {
        let records = numbers(scope, records, 16 * 1024, record, |(_, time)| *time);
        let by_key = Exchange::new(|(key, _): &(u64, u64)| mix(*key));
        records.unary_frontier(by_key, "sessions", |_, _| {
            // The sessions of each key, and the keys to be looked at when the frontier passes a time.
            let mut open: Table<u64, Vec<Open>> = Table::default();
            let mut due: BTreeMap<u64, (Vec<u64>, Capability<u64>)> = BTreeMap::new();
            move |(input, frontier), output: &mut Emit<'_, Self::Row>| {
                input.for_each_time(|time, batches| {
                    for (key, at) in batches.flat_map(|batch| batch.drain(..)) {
                        let sessions = open.entry(key).or_default();
                        if add(sessions, at) {
                            let end = at + GAP_MS;
                            let wake = || (Vec::new(), time.delayed(&(end - 1), 0));
                            due.entry(end).or_insert_with(wake).0.push(key);
                        }
                    }
                });
                while let Some(first) = due.first_entry()
                    && !frontier.less_than(first.key())
                {
                    let (now, (keys, capability)) = first.remove_entry();
                    let mut session = output.session(&capability);
                    for key in keys {
                        let Some(sessions) = open.get_mut(&key) else { continue };
                        let ended = sessions.extract_if(.., |session| session.end <= now);
                        ended.for_each(|s| session.give((key, s.start, s.end, s.count)));
                        if let Some(end) = sessions.iter().map(|session| session.end).min() {
                            let wake = || (Vec::new(), capability.delayed(&(end - 1)));
                            due.entry(end).or_insert_with(wake).0.push(key);
                        } else {
                            open.remove(&key);
                        }
                    }
                }
            }
        })
    }
}

/// One session of one key.
struct Open {
    start: u64,
    end: u64,
    count: u64,
}

/// Adds a record to the sessions of its key; returns whether it began one.
fn add(sessions: &mut Vec<Open>, at: u64) -> bool {
    let touches = |session: &Open| session.start <= at + GAP_MS && at <= session.end;
    let Some(first) = sessions.iter().position(touches) else {
        sessions.push(Open { start: at, end: at + GAP_MS, count: 1 });
        return true;
    };
    let session = &mut sessions[first];
    session.start = session.start.min(at);
    session.end = session.end.max(at + GAP_MS);
    session.count += 1;
    if let Some(second) = sessions[first + 1..].iter().position(touches) {
        let other = sessions.swap_remove(first + 1 + second);
        let session = &mut sessions[first];
        session.start = session.start.min(other.start);
        session.end = session.end.max(other.end);
        session.count += other.count;
    }
    false
}
