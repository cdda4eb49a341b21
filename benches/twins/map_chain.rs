//! What do stateless steps cost?
//!
//! Workload: 100 M numbers as `(key u64, number u64)`, keys mixed out of a million; map, map,
//! filter (half), map. highwater fuses the steps into the source; [`MapChain`]'s bare twin has one
//! timely operator a step, as its operators come, that of [`FusedChain`] one for all, by hand.

use highwater::prelude::*;
use timely::dataflow::operators::vec::{Filter as _, Map as _};
use timely::dataflow::{Scope, Stream};

use super::{Twin, keyed_count, numbers};

type Pair = (u64, u64);

fn chain<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Pair> {
    env.read(Generator::new(records, keyed_count::record))
        .map(|(key, value)| (key + 1, value))
        .map(|(key, value)| (key ^ value, value))
        .filter(|(key, _)| key & 1 == 0)
        .map(|(key, value)| (key, value + 1))
}

/// Four operators.
pub struct MapChain;

impl Twin for MapChain {
    const NAME: &'static str = "map_chain";
    const TARGET: Option<f64> = Some(0.95);
    const RECORDS: u64 = 50_000_000;
    type Row = Pair;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Pair> {
        chain(env, records)
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Stream<'s, u64, Vec<Pair>> {
        numbers(scope, records, 16 * 1024, keyed_count::record, |_| 0)
            .map(|(key, value)| (key + 1, value))
            .map(|(key, value)| (key ^ value, value))
            .filter(|(key, _)| key & 1 == 0)
            .map(|(key, value)| (key, value + 1))
    }
}

/// One operator, fused by hand.
pub struct FusedChain;

impl Twin for FusedChain {
    const NAME: &'static str = "map_chain_fused";
    const TARGET: Option<f64> = None;
    const RECORDS: u64 = 50_000_000;
    type Row = Pair;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Pair> {
        chain(env, records)
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Stream<'s, u64, Vec<Pair>> {
        numbers(scope, records, 16 * 1024, keyed_count::record, |_| 0).flat_map(|(key, value)| {
            let key = (key + 1) ^ value;
            (key & 1 == 0).then_some((key, value + 1))
        })
    }
}
