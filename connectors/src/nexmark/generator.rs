//! From the number of an event to the event.
//!
//! Who exists at event `n` follows from `n` alone, since every fifty events bring one person and
//! three auctions; so an event can refer to others without any memory of them:
//!
//! ```text
//!   n              0   1 2 3    4 .. 49  |  50   51 52 53   54 .. 99  |  ..
//!   kind           P   A A A    B ..  B  |   P    A  A  A    B ..  B  |
//!   last person    0   0 0 0    0 ..  0  |   1    1  1  1    1 ..  1  |
//!   last auction   -   0 1 2    2 ..  2  |   2    3  4  5    5 ..  5  |
//! ```
//!
//! A hot reference is to the first (a bidder: the second) of the last started hundred; any other is
//! even over the active ones and the ten which come next.

use std::ops::Range;
use std::sync::Arc;

use super::config::{
    CATEGORIES, FIRST_AUCTION_ID, FIRST_BIDDER_ID, FIRST_CATEGORY_ID, FIRST_PERSON_ID,
    GeneratorConfig,
};
use super::event::{Event, Kind};
use super::model::{Auction, Bid, Person};
use super::random::Draws;
use super::text::{Filler, words};

/// Events after which the kinds repeat: one person, then the auctions, then 46 bids.
const BLOCK: u64 = 50;
/// Auctions in a block.
const BLOCK_AUCTIONS: u64 = 3;
/// Persons or auctions that share a hot one.
const HOT_GROUP: u64 = 100;
/// Persons or auctions which may be referred to before they appear.
const LEAD: u64 = 10;

/// One bid in so many has a channel other than the hot four.
const HOT_CHANNEL_RATIO: u64 = 2;
/// The channels that share half of the bids.
const HOT_CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
/// The channels that share the other half.
const COLD_CHANNELS: u64 = 10_000;

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const FIRST_NAMES: [&str; 11] = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// Returns what event `n` is, in every stream.
pub fn kind_of(n: u64) -> Kind {
    match n % BLOCK {
        0 => Kind::Person,
        1..=BLOCK_AUCTIONS => Kind::Auction,
        _ => Kind::Bid,
    }
}

/// The number, from 0, of the last person at event `n`, which may be event `n` itself.
fn last_person(n: u64) -> u64 {
    n / BLOCK
}

/// The number, from 0, of the last auction at event `n`, which may be `n` itself but not a person.
fn last_auction(n: u64) -> u64 {
    debug_assert!(!n.is_multiple_of(BLOCK), "event {n} is a person and has no auction before it");
    n / BLOCK * BLOCK_AUCTIONS + (n % BLOCK).min(BLOCK_AUCTIONS) - 1
}

/// Makes the events of one stream from their numbers, in any order and on any worker.
///
/// - output: events whose times do not decrease with their numbers, unless the configuration asks
///   for disorder.
/// - state: the table of channels and their urls and 64 KiB of filler, about 1.5 MB, which clones
///   share.
///
/// # Examples
///
/// Two workers take every other event; together they make the stream that one worker would.
///
/// ```
/// use highwater_connectors::nexmark::{Event, Generator, GeneratorConfig};
///
/// let config = GeneratorConfig { seed: 7, events_per_second: 20, ..Default::default() };
/// let generator = Generator::new(config);
///
/// let mut both: Vec<Event> = Vec::new();
/// for worker in 0..2 {
///     both.extend((worker..100).step_by(2).map(|n| generator.event(n)));
/// }
/// both.sort_by_key(Event::date_time);
/// assert_eq!(both, generator.events(0..100).collect::<Vec<_>>());
///
/// assert!(matches!(&both[50], Event::Person(person) if person.id == 1001));
/// assert_eq!(both[50].date_time(), 1_436_918_402_500);
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    config: GeneratorConfig,
    /// The hot channels, then the cold ones. Made once because a url is fixed for its channel, and
    /// shared because it is the same for all workers.
    channels: Arc<[Channel]>,
    /// What `extra` is cut from, likewise shared.
    filler: Filler,
}

impl Generator {
    /// Creates the generator of the stream that `config` describes.
    ///
    /// # Panics
    ///
    /// If `events_per_second` is 0: the stream would stand still.
    pub fn new(config: GeneratorConfig) -> Self {
        assert!(config.events_per_second > 0, "events_per_second is 0, but time has to pass");
        let sizes = [config.person_bytes_mean, config.auction_bytes_mean, config.bid_bytes_mean];
        let piece_max = 2 * sizes.into_iter().max().unwrap_or(0);
        // Events count up from 0; what they share is drawn by the numbers from the top down.
        let filler = Filler::new(&mut Draws::new(config.seed, u64::MAX), piece_max);
        let channels = channels(config.seed);
        Generator { config, channels, filler }
    }

    /// Returns what this generator was created from.
    pub fn config(&self) -> &GeneratorConfig {
        &self.config
    }

    /// Returns the event time that the place of event `n` gives it, in ms since 1970, UTC.
    ///
    /// `base_time_ms + n * 1000 / events_per_second`; the event itself lies at most `disorder_ms`
    /// earlier, so a source which has emitted all events before `n` may say that none lies before
    /// `time_ms(n) - disorder_ms`.
    pub fn time_ms(&self, n: u64) -> i64 {
        let rate = self.config.events_per_second;
        self.config.base_time_ms + (n / rate * 1_000 + n % rate * 1_000 / rate) as i64
    }

    /// Makes event `n`.
    pub fn event(&self, n: u64) -> Event {
        let mut draws = Draws::new(self.config.seed, n);
        let delay_ms = draws.below(self.config.disorder_ms.saturating_add(1)) as i64;
        let date_time = self.time_ms(n) - delay_ms;
        match kind_of(n) {
            Kind::Person => Event::Person(self.person(n, date_time, &mut draws)),
            Kind::Auction => Event::Auction(self.auction(n, date_time, &mut draws)),
            Kind::Bid => Event::Bid(self.bid(n, date_time, &mut draws)),
        }
    }

    /// Makes the events of a range, in its order.
    pub fn events(&self, range: Range<u64>) -> impl Iterator<Item = Event> + '_ {
        range.map(|n| self.event(n))
    }

    fn person(&self, n: u64, date_time: i64, draws: &mut Draws) -> Person {
        let name = [draws.one_of(&FIRST_NAMES), draws.one_of(&LAST_NAMES)].join(" ");
        let email_address = [&words(draws, 7, ' '), "@", &words(draws, 5, ' '), ".com"].concat();
        let mut digits = || draws.below(10_000);
        let credit_card =
            format!("{:04} {:04} {:04} {:04}", digits(), digits(), digits(), digits());
        let city = draws.one_of(&CITIES).to_owned();
        let state = draws.one_of(&STATES).to_owned();
        let size = 8 + name.len() + email_address.len() + credit_card.len() + city.len() + 2;
        let extra = self.filler.piece(draws, size, self.config.person_bytes_mean);
        let id = (FIRST_PERSON_ID + last_person(n)) as i64;
        Person { id, name, email_address, credit_card, city, state, date_time, extra }
    }

    fn auction(&self, n: u64, date_time: i64, draws: &mut Draws) -> Auction {
        let seller = if draws.hot(self.config.hot_seller_ratio) {
            last_person(n) / HOT_GROUP * HOT_GROUP
        } else {
            self.active_person(n, draws)
        };
        let category = FIRST_CATEGORY_ID + draws.below(CATEGORIES);
        let initial_bid = draws.price();
        let expires = date_time + self.auction_length_ms(n, draws);
        let item_name = words(draws, 20, ' ');
        let description = words(draws, 100, ' ');
        let reserve = initial_bid + draws.price();
        let size = 48 + item_name.len() + description.len();
        let extra = self.filler.piece(draws, size, self.config.auction_bytes_mean);
        Auction {
            id: (FIRST_AUCTION_ID + last_auction(n)) as i64,
            item_name,
            description,
            initial_bid,
            reserve,
            date_time,
            expires,
            seller: (FIRST_PERSON_ID + seller) as i64,
            category: category as i64,
            extra,
        }
    }

    fn bid(&self, n: u64, date_time: i64, draws: &mut Draws) -> Bid {
        let auction = if draws.hot(self.config.hot_auction_ratio) {
            last_auction(n) / HOT_GROUP * HOT_GROUP
        } else {
            let oldest = last_auction(n).saturating_sub(self.config.in_flight_auctions);
            oldest + draws.below(last_auction(n) - oldest + 1 + LEAD)
        };
        let bidder = if draws.hot(self.config.hot_bidder_ratio) {
            last_person(n) / HOT_GROUP * HOT_GROUP + 1
        } else {
            self.active_person(n, draws)
        };
        let price = draws.price();
        let channel = if draws.hot(HOT_CHANNEL_RATIO) {
            draws.below(HOT_CHANNELS.len() as u64)
        } else {
            HOT_CHANNELS.len() as u64 + draws.below(COLD_CHANNELS)
        };
        let Channel { name, url } = self.channels[channel as usize].clone();
        Bid {
            auction: (FIRST_AUCTION_ID + auction) as i64,
            bidder: (FIRST_BIDDER_ID + bidder) as i64,
            price,
            channel: name,
            url,
            date_time,
            extra: self.filler.piece(draws, 32, self.config.bid_bytes_mean),
        }
    }

    /// Draws the number of one of the active people, or of the next ten.
    fn active_person(&self, n: u64, draws: &mut Draws) -> u64 {
        let people = last_person(n) + 1;
        let active = people.min(self.config.active_people);
        people - active + draws.below(active + LEAD)
    }

    /// Draws how long the auction of event `n` lasts: on average until as many as may be in flight
    /// have been opened after it, at most twice as long.
    fn auction_length_ms(&self, n: u64, draws: &mut Draws) -> i64 {
        let events = self.config.in_flight_auctions * BLOCK / BLOCK_AUCTIONS;
        let mean_ms = self.time_ms(n + events) - self.time_ms(n);
        1 + draws.below((2 * mean_ms as u64).max(1)) as i64
    }
}

/// Where a bid was made.
#[derive(Debug, Clone)]
struct Channel {
    name: String,
    url: String,
}

/// Makes all channels of a seed, the hot ones first, by the numbers below that of the filler.
fn channels(seed: u64) -> Arc<[Channel]> {
    let hot = HOT_CHANNELS.iter().zip(0..).map(|(name, i)| Channel {
        name: (*name).to_owned(),
        url: page(&mut Draws::new(seed, u64::MAX - 1 - i)),
    });
    let cold = (0..COLD_CHANNELS as i32).map(|i| {
        let mut draws = Draws::new(seed, u64::MAX - 1 - HOT_CHANNELS.len() as u64 - i as u64);
        let mut url = page(&mut draws);
        if draws.below(10) > 0 {
            // The public generator's number, which is negative for channel 1.
            url.push_str(&format!("&channel_id={}", i.reverse_bits().wrapping_abs()));
        }
        Channel { name: format!("channel-{i}"), url }
    });
    hot.chain(cold).collect()
}

/// Draws the address of an item's page, three directories deep as query 22 expects it.
fn page(draws: &mut Draws) -> String {
    let mut directory = || words(draws, 5, '_');
    let path = [directory(), directory(), directory()].join("/");
    format!("https://www.nexmark.com/{path}/item.htm?query=1")
}

#[cfg(test)]
mod tests;
