//! Tests of the generator, in three families: a stream is a function of its configuration (purity),
//! it refers only to what exists or is about to (integrity), and it has the public generator's
//! proportions (distribution).

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn default() -> Generator {
    Generator::new(GeneratorConfig::default())
}

fn bids(generator: &Generator, range: Range<u64>) -> impl Iterator<Item = (u64, Bid)> + '_ {
    range.filter_map(|n| generator.event(n).into_bid().map(|bid| (n, bid)))
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[test]
fn an_event_depends_on_nothing_but_its_number_and_the_configuration() {
    let (one, other) = (default(), default());
    let forward: Vec<_> = one.events(0..500).collect();
    let mut backward: Vec<_> = (0..500).rev().map(|n| other.event(n)).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    assert_eq!(forward[120..230], one.events(120..230).collect::<Vec<_>>());
    assert_eq!(one.event(1 << 40), other.clone().event(1 << 40));
}

#[test]
fn another_seed_gives_another_stream_of_the_same_kinds() {
    let other = Generator::new(GeneratorConfig { seed: 1, ..Default::default() });
    for (n, event) in (0..500).zip(other.events(0..500)) {
        assert_ne!(event, default().event(n));
        assert_eq!(event.kind(), kind_of(n));
    }
}

#[test]
fn without_extra_changes_no_other_field() {
    let small = Generator::new(GeneratorConfig::default().without_extra());
    for (mut full, small) in default().events(0..500).zip(small.events(0..500)) {
        match &mut full {
            Event::Person(person) => person.extra.clear(),
            Event::Auction(auction) => auction.extra.clear(),
            Event::Bid(bid) => bid.extra.clear(),
        }
        assert_eq!(full, small);
    }
}

#[test]
fn fifty_events_are_a_person_three_auctions_and_46_bids() {
    let mut persons = 1_000..;
    let mut auctions = 1_000..;
    for (n, event) in default().events(0..5_000).enumerate() {
        assert_eq!(event.kind(), kind_of(n as u64));
        match (n % 50, event) {
            (0, Event::Person(person)) => assert_eq!(Some(person.id), persons.next()),
            (1..=3, Event::Auction(auction)) => assert_eq!(Some(auction.id), auctions.next()),
            (4.., Event::Bid(_)) => {}
            (place, event) => panic!("{event:?} at place {place}"),
        }
    }
    assert_eq!((persons.start, auctions.start), (1_100, 1_300));
}

#[test]
fn times_are_even_and_in_order() {
    let config = GeneratorConfig { events_per_second: 30, ..Default::default() };
    let generator = Generator::new(config);
    for n in [0, 1, 2, 29, 30, 31, 20_000] {
        assert_eq!(generator.event(n).date_time(), 1_436_918_400_000 + n as i64 * 1_000 / 30);
    }
    assert!(generator.events(0..2_000).map(|event| event.date_time()).is_sorted());
    // Beyond 2^53 and without overflow.
    assert_eq!(generator.time_ms(30 << 50), 1_436_918_400_000 + (1_000 << 50));
}

#[test]
fn disorder_is_bounded_and_changes_times_alone() {
    let config = GeneratorConfig { events_per_second: 100, ..Default::default() };
    let ordered = Generator::new(config.clone());
    let disordered = Generator::new(GeneratorConfig { disorder_ms: 4_000, ..config });
    let (mut greatest, mut late, mut late_most) = (i64::MIN, 0, 0);
    for (n, event) in (0..10_000).zip(disordered.events(0..10_000)) {
        let delay = ordered.time_ms(n) - event.date_time();
        assert!((0..=4_000).contains(&delay), "{delay}");
        if let (Event::Bid(one), Event::Bid(other)) = (ordered.event(n), &event) {
            assert_eq!(Bid { date_time: other.date_time, ..one }, *other);
        }
        late += u32::from(event.date_time() < greatest);
        late_most = late_most.max(greatest.saturating_sub(event.date_time()));
        greatest = greatest.max(event.date_time());
    }
    assert!(late > 5_000, "{late}");
    assert!((3_000..=4_000).contains(&late_most), "{late_most}");
}

#[test]
fn auctions_refer_to_sellers_who_exist_or_are_among_the_next_ten() {
    let generator = default();
    let (mut future, mut hot, mut all) = (0, 0, 0);
    let mut categories = BTreeMap::new();
    let mut length_ms = 0;
    for n in (0..1_000_000).filter(|n| kind_of(*n) == Kind::Auction) {
        let Event::Auction(auction) = generator.event(n) else { panic!("no auction at {n}") };
        let last = 1_000 + last_person(n) as i64;
        assert!((last - 999).max(1_000) <= auction.seller || auction.seller % 100 == 0);
        assert!(auction.seller <= last + 10, "{} at {n}", auction.seller);
        assert!(auction.reserve >= auction.initial_bid + 100);
        assert!(auction.expires > auction.date_time);
        length_ms += auction.expires - auction.date_time;
        future += u64::from(auction.seller > last);
        hot += u64::from(auction.seller == last / 100 * 100);
        all += 1;
        *categories.entry(auction.category).or_insert(0) += 1;
    }
    assert!((0.745..0.756).contains(&share(hot, all)), "{hot} of {all}");
    assert!(share(future, all) < 0.005, "{future} of {all}");
    assert_eq!(categories.keys().copied().collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
    assert!(categories.values().all(|count| (0.19..0.21).contains(&share(*count, all))));
    // A hundred auctions open in 1,666 events, that is 166 ms.
    assert!((164..170).contains(&(length_ms / all as i64)), "{}", length_ms / all as i64);
}

#[test]
fn bids_refer_to_auctions_which_exist_or_are_among_the_next_ten() {
    let generator = Generator::new(GeneratorConfig::default().without_extra());
    let (mut future, mut hot_auction, mut hot_bidder, mut hot_channel, mut all) = (0, 0, 0, 0, 0);
    for (n, bid) in bids(&generator, 0..1_000_000) {
        let last = 1_000 + last_auction(n) as i64;
        let hot = last / 100 * 100;
        assert!(bid.auction == hot || bid.auction >= (last - 100).max(1_000), "{bid:?} at {n}");
        assert!(bid.auction <= last + 10, "{bid:?} at {n}");
        let people = 2_000 + last_person(n) as i64;
        let hot_person = people / 100 * 100 + 1;
        assert!((people - 999).max(2_000) <= bid.bidder || bid.bidder == hot_person);
        assert!(bid.bidder <= people + 10, "{bid:?} at {n}");
        future += u64::from(bid.auction > last);
        hot_auction += u64::from(bid.auction == hot);
        hot_bidder += u64::from(bid.bidder == hot_person);
        hot_channel += u64::from(HOT_CHANNELS.contains(&bid.channel.as_str()));
        all += 1;
    }
    assert_eq!(all, 920_000);
    // The cold half may hit the hot one too, once in 111; a twentieth of it is ahead.
    assert!((0.503..0.507).contains(&share(hot_auction, all)), "{hot_auction}");
    assert!((0.749..0.752).contains(&share(hot_bidder, all)), "{hot_bidder}");
    assert!((0.498..0.502).contains(&share(hot_channel, all)), "{hot_channel}");
    assert!((0.043..0.047).contains(&share(future, all)), "{future}");
}

#[test]
fn a_channel_has_one_url_of_three_directories() {
    let mut urls = BTreeMap::new();
    for (_, bid) in bids(&default(), 0..100_000) {
        let parts: Vec<_> = bid.url.split('/').collect();
        assert_eq!((parts.len(), parts[2]), (7, "www.nexmark.com"));
        assert!(parts[6].starts_with("item.htm?query=1"));
        assert!(parts[3..6].iter().all(|part| (3..=4).contains(&part.len())), "{}", bid.url);
        let known = urls.entry(bid.channel).or_insert_with(|| bid.url.clone());
        assert_eq!(*known, bid.url);
    }
    assert!((9_900..=10_004).contains(&urls.len()), "{}", urls.len());
    let with_id = urls.values().filter(|url| url.contains("&channel_id=")).count();
    assert!((0.88..0.92).contains(&share(with_id as u64, urls.len() as u64)), "{with_id}");
    assert!(HOT_CHANNELS.iter().all(|name| !urls[*name].contains("channel_id")));
    if let Some((_, id)) = urls["channel-2028"].split_once("&channel_id=") {
        assert_eq!(id, "937426944");
    }
}

#[test]
fn people_have_names_places_and_cards_of_the_given_form() {
    let (mut names, mut cities, mut states) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let generator = default();
    for n in (0..100_000).step_by(50) {
        let Event::Person(person) = generator.event(n) else { panic!("no person at {n}") };
        let card: Vec<_> = person.credit_card.split(' ').collect();
        assert_eq!(card.len(), 4);
        assert!(card.iter().all(|four| four.len() == 4 && four.parse::<u32>().is_ok()));
        let (account, host) = person.email_address.split_once('@').unwrap();
        assert!(!account.is_empty() && host.ends_with(".com"), "{}", person.email_address);
        names.insert(person.name);
        cities.insert(person.city);
        states.insert(person.state);
    }
    assert_eq!((names.len(), cities.len(), states.len()), (99, 10, 6));
}

#[test]
fn sizes_are_the_configured_ones_on_average() {
    let (mut person, mut auction, mut bid) = (0, 0, 0);
    for event in default().events(0..50_000) {
        match event {
            Event::Person(p) => {
                let words = [&p.name, &p.email_address, &p.credit_card, &p.city, &p.state];
                person += 8 + words.iter().map(|word| word.len()).sum::<usize>() + p.extra.len();
            }
            Event::Auction(a) => {
                auction += 48 + a.item_name.len() + a.description.len() + a.extra.len();
            }
            Event::Bid(b) => bid += 32 + b.extra.len(),
        }
    }
    assert!((196..204).contains(&(person / 1_000)), "{}", person / 1_000);
    assert!((490..510).contains(&(auction / 3_000)), "{}", auction / 3_000);
    assert!((98..102).contains(&(bid / 46_000)), "{}", bid / 46_000);
}

#[test]
#[should_panic(expected = "events_per_second is 0")]
fn a_rate_of_zero_is_refused() {
    Generator::new(GeneratorConfig { events_per_second: 0, ..Default::default() });
}
