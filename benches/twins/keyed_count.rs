//! What do an exchange and an update of keyed state cost?
//!
//! Workload: 20 M records `(key u64, number u64)` with a million keys, evenly mixed; each goes to
//! the worker of its key, which emits the key's new count. The table outgrows the caches.

use highwater::prelude::*;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::Operator as _;
use timely::dataflow::{Scope, Stream};

use super::{Session, Table, Twin, mix, numbers};

const KEYS: u64 = 1_000_000;

/// The record of a number.
#[inline]
pub fn record(n: u64) -> (u64, u64) {
    ((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % KEYS, n)
}

pub struct KeyedCount;

impl Twin for KeyedCount {
    const NAME: &'static str = "keyed_count";
    const TARGET: Option<f64> = Some(0.9);
    const RECORDS: u64 = 20_000_000;
    type Row = (u64, u64);

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Self::Row> {
        env.read(Generator::new(records, record)).key_by(|(key, _)| *key).count().stream()
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Stream<'s, u64, Vec<Self::Row>> {
        let records = numbers(scope, records, 16 * 1024, record, |_| 0);
        let by_key = Exchange::new(|(key, _): &(u64, u64)| mix(*key));
        records.unary(by_key, "count", |_, _| {
            let mut counts: Table<u64, u64> = Table::default();
            move |input, output: &mut Session<'_, _>| {
                input.for_each_time(|time, batches| {
                    let mut session = output.session(&time);
                    for (key, _) in batches.flat_map(|batch| batch.drain(..)) {
                        let count = counts.entry(key).or_insert(0);
                        *count += 1;
                        session.give((key, *count));
                    }
                });
            }
        })
    }
}
