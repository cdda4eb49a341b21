//! What do whole queries cost, their source included?
//!
//! Workload: 3 M events of the Nexmark generator (seed 0, its default sizes, 10,000 events per
//! second of event time, in order), made in process by both twins: making an event takes about
//! 110 ns, which is part of the measure. The highwater queries are those of `examples/nexmark`.
//!
//! q3 and q8 read the events twice. [`Q3`] and [`Q8`] do that as timely's streams do it, by cloning
//! each batch, and so does highwater. [`Q3Split`] and [`Q8Split`] are the same bare queries behind
//! one operator that moves persons one way, auctions another, and drops bids: as somebody would
//! write them by hand who has seen the profile. They say what the cloning costs.

use std::collections::BTreeMap;

use highwater::connectors::nexmark::{Event, Generator as Events, GeneratorConfig};
use highwater::prelude::*;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator as _;
use timely::dataflow::operators::vec::{Filter as _, Map as _};
use timely::dataflow::{Scope, Stream};

use super::{Session as Emit, Table, Twin, mix, numbers};

#[path = "../../examples/nexmark/queries.rs"]
mod queries;

const RECORDS: u64 = 3_000_000;
const TEN_SECONDS_MS: i64 = 10_000;
const TWO_SECONDS_MS: i64 = 2_000;

type Streams<'s, T> = Stream<'s, u64, Vec<T>>;

fn read<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Event> {
    let events = Events::new(GeneratorConfig::default());
    let source = env.read(Generator::new(records, move |n| events.event(n)));
    source.watermarks(Watermarks::monotonous().event_time(Event::date_time))
}

fn read_raw<'s>(scope: Scope<'s, u64>, records: u64) -> Streams<'s, Event> {
    let events = Events::new(GeneratorConfig::default());
    numbers(scope, records, 1024, move |n| events.event(n), |event| event.date_time() as u64)
}

fn by<T: 'static>(key: impl Fn(&T) -> i64 + 'static) -> Exchange<T, impl FnMut(&T) -> u64> {
    Exchange::new(move |value: &T| mix(key(value) as u64))
}

/// The end of the window of `size` that a time falls into.
fn end_of(time: i64, size: i64) -> i64 {
    time - time.rem_euclid(size) + size
}

/// Who sells in category 10, in three states.
pub struct Q3;
/// The same, where the bare twin divides the events by hand.
pub struct Q3Split;

type Seller = (String, String, String);
type Q3Row = (String, String, String, i64);

fn sellers_of(person: highwater::connectors::nexmark::Person) -> Option<(i64, Seller)> {
    let near = ["OR", "ID", "CA"].contains(&person.state.as_str());
    near.then_some((person.id, (person.name, person.city, person.state)))
}

fn q3_join<'s>(
    sellers: Streams<'s, (i64, Seller)>,
    auctions: Streams<'s, (i64, i64)>,
) -> Streams<'s, Q3Row> {
    let (by_id, by_seller) = (by(|(id, _): &(i64, Seller)| *id), by(|(id, _): &(i64, i64)| *id));
    sellers.binary(auctions, by_id, by_seller, "q3", |_, _| {
        let mut state: Table<i64, (Vec<Seller>, Vec<i64>)> = Table::default();
        let row =
            |(name, city, state): &Seller, id| (name.clone(), city.clone(), state.clone(), id);
        move |sellers, auctions, output: &mut Emit<'_, Q3Row>| {
            sellers.for_each_time(|time, batches| {
                let mut session = output.session(&time);
                for (id, seller) in batches.flat_map(|batch| batch.drain(..)) {
                    let (known, waiting) = state.entry(id).or_default();
                    session.give_iterator(waiting.iter().map(|auction| row(&seller, *auction)));
                    known.push(seller);
                }
            });
            auctions.for_each_time(|time, batches| {
                let mut session = output.session(&time);
                for (id, auction) in batches.flat_map(|batch| batch.drain(..)) {
                    let (known, waiting) = state.entry(id).or_default();
                    session.give_iterator(known.iter().map(|seller| row(seller, auction)));
                    waiting.push(auction);
                }
            });
        }
    })
}

impl Twin for Q3 {
    const NAME: &'static str = "nexmark_q3";
    const TARGET: Option<f64> = Some(0.75);
    const RECORDS: u64 = RECORDS;
    type Row = Q3Row;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Q3Row> {
        queries::q3(&read(env, records))
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Streams<'s, Q3Row> {
        let events = read_raw(scope, records);
        let sellers = events.clone().flat_map(|e| e.into_person().and_then(sellers_of));
        let auctions = events.flat_map(Event::into_auction).filter(|a| a.category == 10);
        q3_join(sellers, auctions.map(|auction| (auction.seller, auction.id)))
    }
}

impl Twin for Q3Split {
    const NAME: &'static str = "nexmark_q3_split";
    const TARGET: Option<f64> = None;
    const RECORDS: u64 = RECORDS;
    type Row = Q3Row;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Q3Row> {
        queries::q3(&read(env, records))
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Streams<'s, Q3Row> {
        let relevant = read_raw(scope, records).flat_map(|event| match event {
            Event::Person(person) => sellers_of(person).map(Ok),
            Event::Auction(auction) if auction.category == 10 => {
                Some(Err((auction.seller, auction.id)))
            }
            _ => None,
        });
        let sellers = relevant.clone().flat_map(Result::ok);
        q3_join(sellers, relevant.flat_map(Result::err))
    }
}

/// The auctions with the most bids in the last ten seconds, every two seconds.
pub struct Q5;

type Q5Row = (i64, u64);

impl Twin for Q5 {
    const NAME: &'static str = "nexmark_q5";
    const TARGET: Option<f64> = Some(0.75);
    const RECORDS: u64 = RECORDS;
    type Row = Q5Row;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Q5Row> {
        queries::q5(&read(env, records))
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Streams<'s, Q5Row> {
        let bids = read_raw(scope, records)
            .flat_map(|event| event.into_bid().map(|bid| (bid.auction, bid.date_time)));
        let by_auction = by(|(auction, _): &(i64, i64)| *auction);
        let counts = bids.unary_frontier(by_auction, "counts", |_, _| {
            // Counts by pane of two seconds; and the next window, with the right to emit it.
            let mut panes: BTreeMap<i64, Table<i64, u64>> = BTreeMap::new();
            let mut next: Option<(i64, Capability<u64>)> = None;
            move |(input, frontier), output: &mut Emit<'_, (i64, i64, u64)>| {
                input.for_each_time(|time, batches| {
                    for (auction, at) in batches.flat_map(|batch| batch.drain(..)) {
                        let pane = end_of(at, TWO_SECONDS_MS);
                        if next.as_ref().is_none_or(|(end, _)| pane < *end) {
                            next = Some((pane, time.delayed(&(pane as u64 - 1), 0)));
                        }
                        *panes.entry(pane).or_default().entry(auction).or_insert(0) += 1;
                    }
                });
                while let Some((end, mut capability)) = next.take() {
                    if frontier.less_than(&(end as u64)) {
                        next = Some((end, capability));
                        break;
                    }
                    let mut totals: Table<i64, u64> = Table::default();
                    for (auction, n) in panes.range(..=end).flat_map(|(_, pane)| pane) {
                        *totals.entry(*auction).or_insert(0) += n;
                    }
                    let rows = totals.into_iter().map(|(auction, n)| (end, auction, n));
                    output.session(&capability).give_iterator(rows);
                    panes = panes.split_off(&(end + 2 * TWO_SECONDS_MS - TEN_SECONDS_MS));
                    if !panes.is_empty() {
                        capability.downgrade(&((end + TWO_SECONDS_MS) as u64 - 1));
                        next = Some((end + TWO_SECONDS_MS, capability));
                    }
                }
            }
        });
        let by_end = by(|(end, ..): &(i64, i64, u64)| *end);
        counts.unary_frontier(by_end, "hottest", |_, _| {
            let mut open: BTreeMap<i64, (Vec<i64>, u64, Capability<u64>)> = BTreeMap::new();
            move |(input, frontier), output: &mut Emit<'_, Q5Row>| {
                input.for_each_time(|time, batches| {
                    for (end, auction, n) in batches.flat_map(|batch| batch.drain(..)) {
                        let make = || (Vec::new(), 0, time.retain(0));
                        let (auctions, most, _) = open.entry(end).or_insert_with(make);
                        if n > *most {
                            auctions.clear();
                            *most = n;
                        }
                        if n == *most {
                            auctions.push(auction);
                        }
                    }
                });
                while let Some(first) = open.first_entry()
                    && !frontier.less_than(&(*first.key() as u64))
                {
                    let (auctions, most, capability) = first.remove();
                    let rows = auctions.into_iter().map(|auction| (auction, most));
                    output.session(&capability).give_iterator(rows);
                }
            }
        })
    }
}

/// Persons who registered and opened an auction in the same ten seconds.
pub struct Q8;
/// The same, where the bare twin divides the events by hand.
pub struct Q8Split;

type Q8Row = (i64, String, i64);

fn q8_join<'s>(
    persons: Streams<'s, (i64, i64, String)>,
    sellers: Streams<'s, (i64, i64)>,
) -> Streams<'s, Q8Row> {
    let by_id = by(|(id, ..): &(i64, i64, String)| *id);
    let by_seller = by(|(seller, _): &(i64, i64)| *seller);
    persons.binary_frontier(sellers, by_id, by_seller, "q8", |_, _| {
        // By end of the window and person: the name, and whether an auction was opened.
        let mut open: BTreeMap<i64, Table<i64, (Option<String>, bool)>> = BTreeMap::new();
        move |(persons, before), (sellers, behind), output: &mut Emit<'_, Q8Row>| {
            persons.for_each_time(|time, batches| {
                let mut session = output.session(&time);
                for (id, end, name) in batches.flat_map(|batch| batch.drain(..)) {
                    let (known, opened) = open.entry(end).or_default().entry(id).or_default();
                    if *opened {
                        session.give((id, name.clone(), end - TEN_SECONDS_MS));
                    }
                    *known = Some(name);
                }
            });
            sellers.for_each_time(|time, batches| {
                let mut session = output.session(&time);
                for (id, end) in batches.flat_map(|batch| batch.drain(..)) {
                    let (known, opened) = open.entry(end).or_default().entry(id).or_default();
                    if !std::mem::replace(opened, true)
                        && let Some(name) = known
                    {
                        session.give((id, name.clone(), end - TEN_SECONDS_MS));
                    }
                }
            });
            while let Some(first) = open.first_entry()
                && !before.less_than(&(*first.key() as u64))
                && !behind.less_than(&(*first.key() as u64))
            {
                first.remove();
            }
        }
    })
}

impl Twin for Q8 {
    const NAME: &'static str = "nexmark_q8";
    const TARGET: Option<f64> = Some(0.75);
    const RECORDS: u64 = RECORDS;
    type Row = Q8Row;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Q8Row> {
        queries::q8(&read(env, records))
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Streams<'s, Q8Row> {
        let events = read_raw(scope, records);
        let persons = events.clone().flat_map(Event::into_person);
        let persons = persons.map(|p| (p.id, end_of(p.date_time, TEN_SECONDS_MS), p.name));
        let auctions = events.flat_map(Event::into_auction);
        q8_join(persons, auctions.map(|a| (a.seller, end_of(a.date_time, TEN_SECONDS_MS))))
    }
}

impl Twin for Q8Split {
    const NAME: &'static str = "nexmark_q8_split";
    const TARGET: Option<f64> = None;
    const RECORDS: u64 = RECORDS;
    type Row = Q8Row;

    fn highwater<'s>(env: &Env<'s>, records: u64) -> DataStream<'s, Q8Row> {
        queries::q8(&read(env, records))
    }

    fn raw<'s>(scope: Scope<'s, u64>, records: u64) -> Streams<'s, Q8Row> {
        let relevant = read_raw(scope, records).flat_map(|event| match event {
            Event::Person(p) => Some(Ok((p.id, end_of(p.date_time, TEN_SECONDS_MS), p.name))),
            Event::Auction(a) => Some(Err((a.seller, end_of(a.date_time, TEN_SECONDS_MS)))),
            Event::Bid(_) => None,
        });
        let persons = relevant.clone().flat_map(Result::ok);
        q8_join(persons, relevant.flat_map(Result::err))
    }
}
