//! One function per query: a stream of events in, a stream of rows out.
//!
//! The SQL in each head is the benchmark's; a row is a tuple, written as a JSON array.

use std::collections::BTreeSet;

use highwater::connectors::nexmark::{Auction, Bid, Event, Person};
use highwater::prelude::*;

type Events<'scope> = DataStream<'scope, Event>;

fn bids<'scope>(events: &Events<'scope>) -> DataStream<'scope, Bid> {
    events.flat_map(Event::into_bid)
}

/// `SELECT auction, bidder, price, dateTime, extra FROM bid`
pub(crate) fn q0<'scope>(
    events: &Events<'scope>,
) -> DataStream<'scope, (i64, i64, i64, i64, String)> {
    bids(events).map(|bid| (bid.auction, bid.bidder, bid.price, bid.date_time, bid.extra))
}

/// `SELECT auction, bidder, 0.908 * price, dateTime, extra FROM bid`
pub(crate) fn q1<'scope>(
    events: &Events<'scope>,
) -> DataStream<'scope, (i64, i64, String, i64, String)> {
    bids(events).map(|bid| (bid.auction, bid.bidder, euro(bid.price), bid.date_time, bid.extra))
}

/// Exactly 0.908 times the price, with three decimals.
fn euro(price: i64) -> String {
    let thousandths = i128::from(price) * 908;
    let sign = if thousandths < 0 { "-" } else { "" };
    let thousandths = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// `SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0`
pub(crate) fn q2<'scope>(events: &Events<'scope>) -> DataStream<'scope, (i64, i64)> {
    bids(events).filter(|bid| bid.auction % 123 == 0).map(|bid| (bid.auction, bid.price))
}

/// `SELECT P.name, P.city, P.state, A.id FROM auction A INNER JOIN person P ON A.seller = P.id
/// WHERE A.category = 10 AND (P.state = 'OR' OR P.state = 'ID' OR P.state = 'CA')`
pub(crate) fn q3<'scope>(
    events: &Events<'scope>,
) -> DataStream<'scope, (String, String, String, i64)> {
    let sellers = events
        .flat_map(Event::into_person)
        .filter(|person| ["OR", "ID", "CA"].contains(&person.state.as_str()))
        .map(|Person { id, name, city, state, .. }| (id, (name, city, state)));
    let auctions = events
        .flat_map(Event::into_auction)
        .filter(|auction| auction.category == 10)
        .map(|Auction { id, seller, .. }| (seller, id));
    let joined = sellers.key_by(|(id, _)| *id).connect(&auctions.key_by(|(seller, _)| *seller));
    let make = |states: &mut States<i64>| {
        Ok(SellersOfAuctions {
            sellers: states.value("sellers")?,
            waiting: states.value("waiting")?,
        })
    };
    joined.process(make).stream()
}

type Seller = (String, String, String);

/// Remembers each seller, and the auctions that came before their seller.
struct SellersOfAuctions {
    sellers: ValueState<Vec<Seller>>,
    waiting: ValueState<Vec<i64>>,
}

impl KeyedCoProcessFunction<i64, (i64, Seller), (i64, i64)> for SellersOfAuctions {
    type Out = (String, String, String, i64);

    fn process_left(
        &mut self,
        (_, seller): (i64, Seller),
        cx: &mut ProcessContext<'_, '_, i64, Self::Out>,
    ) {
        for auction in cx.get(self.waiting).cloned().unwrap_or_default() {
            let (name, city, state) = seller.clone();
            cx.emit((name, city, state, auction));
        }
        cx.get_mut(self.sellers).push(seller);
    }

    fn process_right(
        &mut self,
        (_, auction): (i64, i64),
        cx: &mut ProcessContext<'_, '_, i64, Self::Out>,
    ) {
        for (name, city, state) in cx.get(self.sellers).cloned().unwrap_or_default() {
            cx.emit((name, city, state, auction));
        }
        cx.get_mut(self.waiting).push(auction);
    }
}

/// Counts whatever comes.
#[derive(Clone)]
struct Count;

impl<T> AggregateFunction<T> for Count {
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

/// `SELECT auction, num FROM (SELECT auction, count(*) AS num, window_start, window_end FROM
/// TABLE(HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
/// GROUP BY auction, window_start, window_end) WHERE num >= ALL (... of the same window)`
pub(crate) fn q5<'scope>(events: &Events<'scope>) -> DataStream<'scope, (i64, u64)> {
    let counts = bids(events)
        .map(|bid| bid.auction)
        .key_by(|auction| *auction)
        .window(Sliding::of(seconds(10), seconds(2)))
        .aggregate(Count);
    // All counts of a window have the event time of its last ms, so they share a two-second window.
    let hottest = counts
        .map(|count| (count.window.end, count.key, count.value))
        .key_by(|(end, _, _)| *end)
        .window(Tumbling::of(seconds(2)))
        .aggregate(Hottest);
    hottest.flat_map(|window| {
        let (auctions, count) = window.value;
        auctions.into_iter().map(move |auction| (auction, count))
    })
}

/// The auctions with the greatest count.
#[derive(Clone)]
struct Hottest;

impl AggregateFunction<(i64, i64, u64)> for Hottest {
    type Accumulator = (Vec<i64>, u64);
    type Output = (Vec<i64>, u64);
    fn create(&self) -> Self::Accumulator {
        (Vec::new(), 0)
    }
    fn add(&self, acc: &mut Self::Accumulator, (_, auction, count): (i64, i64, u64)) {
        self.merge(acc, (vec![auction], count));
    }
    fn merge(&self, into: &mut Self::Accumulator, other: Self::Accumulator) {
        match into.1.cmp(&other.1) {
            std::cmp::Ordering::Less => *into = other,
            std::cmp::Ordering::Equal => into.0.extend(other.0),
            std::cmp::Ordering::Greater => {}
        }
    }
    fn result(&self, acc: &Self::Accumulator) -> Self::Output {
        acc.clone()
    }
}

const TEN_SECONDS_MS: i64 = 10_000;

/// The end of the ten seconds that a time falls into.
fn window_end(time_ms: i64) -> i64 {
    time_ms - time_ms.rem_euclid(TEN_SECONDS_MS) + TEN_SECONDS_MS
}

type BidRow = (i64, i64, i64, i64, String);

/// `SELECT B.auction, B.price, B.bidder, B.dateTime, B.extra FROM bid B JOIN (SELECT MAX(price) AS
/// maxprice, window_end AS dateTime FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL
/// '10' SECOND)) GROUP BY window_start, window_end) B1 ON B.price = B1.maxprice WHERE B.dateTime
/// BETWEEN B1.dateTime - INTERVAL '10' SECOND AND B1.dateTime`
///
/// A bid at the very end of a window is compared with its highest price, too, although it does not
/// count towards it.
pub(crate) fn q7<'scope>(events: &Events<'scope>) -> DataStream<'scope, BidRow> {
    let candidates = bids(events).flat_map(|bid| {
        let Bid { auction, price, bidder, date_time, extra, .. } = bid;
        let end = window_end(date_time);
        let row = (auction, price, bidder, date_time, extra);
        let at_an_end = (end - date_time == TEN_SECONDS_MS).then(|| (date_time, row.clone()));
        at_an_end.into_iter().chain([(end, row)])
    });
    let make = |states: &mut States<i64>| {
        Ok(HighestBids {
            highest: states.value("highest")?,
            at_the_end: states.value("at-the-end")?,
        })
    };
    candidates.key_by(|(end, _)| *end).process(make).stream()
}

/// Keeps the highest bids of a window, and those at its very end, until no more can come.
struct HighestBids {
    highest: ValueState<Vec<BidRow>>,
    at_the_end: ValueState<Vec<BidRow>>,
}

impl KeyedProcessFunction<i64, (i64, BidRow)> for HighestBids {
    type Out = BidRow;

    fn process_element(
        &mut self,
        (end, row): (i64, BidRow),
        cx: &mut ProcessContext<'_, '_, i64, BidRow>,
    ) {
        if end <= cx.watermark() {
            return;
        }
        cx.set_event_timer(end);
        if row.3 == end {
            cx.get_mut(self.at_the_end).push(row);
            return;
        }
        let highest = cx.get_mut(self.highest);
        match highest.first().map(|first| first.1.cmp(&row.1)) {
            None | Some(std::cmp::Ordering::Equal) => highest.push(row),
            Some(std::cmp::Ordering::Less) => *highest = vec![row],
            Some(std::cmp::Ordering::Greater) => {}
        }
    }

    fn on_timer(&mut self, _: i64, cx: &mut ProcessContext<'_, '_, i64, BidRow>) {
        let highest = cx.take(self.highest).unwrap_or_default();
        let price = highest.first().map(|row| row.1);
        let at_the_end = cx.take(self.at_the_end).unwrap_or_default();
        let also = at_the_end.into_iter().filter(|row| Some(row.1) == price);
        highest.into_iter().chain(also).for_each(|row| cx.emit(row));
    }
}

/// `SELECT P.id, P.name, P.starttime FROM (persons by TUMBLE of 10 s) P JOIN (sellers by TUMBLE of
/// 10 s) A ON P.id = A.seller AND P.starttime = A.starttime AND P.endtime = A.endtime`
pub(crate) fn q8<'scope>(events: &Events<'scope>) -> DataStream<'scope, (i64, String, i64)> {
    let persons = events
        .flat_map(Event::into_person)
        .map(|person| (person.id, window_end(person.date_time), person.name));
    let sellers = events
        .flat_map(Event::into_auction)
        .map(|auction| (auction.seller, window_end(auction.date_time)));
    let joined = persons.key_by(|(id, ..)| *id).connect(&sellers.key_by(|(seller, _)| *seller));
    let make = |states: &mut States<i64>| {
        Ok(NewSellers { registered: states.value("registered")?, opened: states.value("opened")? })
    };
    joined.process(make).stream()
}

/// What happened to one person, by the end of the window in which it did.
struct NewSellers {
    registered: ValueState<BTreeSet<(i64, String)>>,
    opened: ValueState<BTreeSet<i64>>,
}

type NewSeller = (i64, String, i64);

impl KeyedCoProcessFunction<i64, (i64, i64, String), (i64, i64)> for NewSellers {
    type Out = NewSeller;

    fn process_left(
        &mut self,
        (id, end, name): (i64, i64, String),
        cx: &mut ProcessContext<'_, '_, i64, NewSeller>,
    ) {
        if end - 1 <= cx.watermark() || !cx.get_mut(self.registered).insert((end, name.clone())) {
            return;
        }
        cx.set_event_timer(end - 1);
        if cx.get(self.opened).is_some_and(|ends| ends.contains(&end)) {
            cx.emit((id, name, end - TEN_SECONDS_MS));
        }
    }

    fn process_right(
        &mut self,
        (seller, end): (i64, i64),
        cx: &mut ProcessContext<'_, '_, i64, NewSeller>,
    ) {
        if end - 1 <= cx.watermark() || !cx.get_mut(self.opened).insert(end) {
            return;
        }
        cx.set_event_timer(end - 1);
        let registered = cx.get(self.registered).into_iter().flatten();
        let names: Vec<_> =
            registered.filter(|(at, _)| *at == end).map(|(_, n)| n.clone()).collect();
        names.into_iter().for_each(|name| cx.emit((seller, name, end - TEN_SECONDS_MS)));
    }

    fn on_timer(&mut self, time: i64, cx: &mut ProcessContext<'_, '_, i64, NewSeller>) {
        let open = |end: i64| end - 1 > time;
        let mut persons = cx.take(self.registered).unwrap_or_default();
        persons.retain(|(end, _)| open(*end));
        let mut ends = cx.take(self.opened).unwrap_or_default();
        ends.retain(|end| open(*end));
        if !persons.is_empty() {
            cx.set(self.registered, persons);
        }
        if !ends.is_empty() {
            cx.set(self.opened, ends);
        }
    }
}

/// `SELECT bidder, count(*), window_start, window_end FROM TABLE(SESSION(TABLE bid PARTITION BY
/// bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND)) GROUP BY bidder, window_start, window_end`
pub(crate) fn q11<'scope>(events: &Events<'scope>) -> DataStream<'scope, (i64, u64, i64, i64)> {
    let sessions = bids(events)
        .map(|bid| bid.bidder)
        .key_by(|bidder| *bidder)
        .window(Session::gap(seconds(10)))
        .aggregate(Count);
    sessions.map(|session| (session.key, session.value, session.window.start, session.window.end))
}
