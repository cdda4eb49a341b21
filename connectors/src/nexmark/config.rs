//! What the generator can be told, and the constants which it cannot.

use serde::{Deserialize, Serialize};

/// The id of the first person; high enough that small streams have ids of one width.
pub(super) const FIRST_PERSON_ID: u64 = 1_000;
/// The id of the first auction.
pub(super) const FIRST_AUCTION_ID: u64 = 1_000;
/// The id of the first person when they bid.
///
/// The public generator adds the first id of persons twice for bidders, so the streams it made hold
/// such bidders. No query joins bids with persons, so the shift is kept.
pub(super) const FIRST_BIDDER_ID: u64 = FIRST_PERSON_ID + 1_000;
/// The first category.
pub(super) const FIRST_CATEGORY_ID: u64 = 10;
/// Categories in use.
pub(super) const CATEGORIES: u64 = 5;

/// How the stream of a [`Generator`](super::Generator) looks; the default is the public
/// generator's, at 10,000 events a second.
///
/// Two generators whose configurations are equal make equal events. The sizes decide whether a
/// benchmark measures queries or memory: whoever compares two programs gives both the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GeneratorConfig {
    /// Chooses one stream among 2^64 of the same form.
    pub seed: u64,
    /// The event time of event 0, in ms since 1970, UTC.
    pub base_time_ms: i64,
    /// How many events share a second of event time; says nothing about wall clocks.
    pub events_per_second: u64,
    /// How far an event's time may lie behind the time of its place, in ms; each event draws its
    /// own delay, evenly, and 0 keeps the stream in order. Changes no other field than the times.
    pub disorder_ms: u64,
    /// One auction in so many has a seller other than the hot one, the first of each 100 persons.
    pub hot_seller_ratio: u64,
    /// One bid in so many is on an auction other than the hot one, the first of each 100 auctions.
    pub hot_auction_ratio: u64,
    /// One bid in so many is by a bidder other than the hot one, the second of each 100 persons.
    pub hot_bidder_ratio: u64,
    /// How many of the last persons sell and bid.
    pub active_people: u64,
    /// How many of the last auctions get bids; auctions last about as long on average as it takes
    /// for so many to be opened.
    pub in_flight_auctions: u64,
    /// The mean size of a person in bytes as the public generator reckons it, by which `extra` is
    /// filled up; 0 leaves `extra` empty.
    pub person_bytes_mean: usize,
    /// The mean size of an auction in bytes, likewise.
    pub auction_bytes_mean: usize,
    /// The mean size of a bid in bytes, likewise; channel and url are not reckoned.
    pub bid_bytes_mean: usize,
}

impl GeneratorConfig {
    /// Leaves `extra` empty in all events, for benchmarks whose question is not memory.
    ///
    /// The other fields of each event stay as they are.
    pub fn without_extra(self) -> Self {
        GeneratorConfig { person_bytes_mean: 0, auction_bytes_mean: 0, bid_bytes_mean: 0, ..self }
    }
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        GeneratorConfig {
            seed: 0,
            base_time_ms: 1_436_918_400_000,
            events_per_second: 10_000,
            disorder_ms: 0,
            hot_seller_ratio: 4,
            hot_auction_ratio: 2,
            hot_bidder_ratio: 4,
            active_people: 1_000,
            in_flight_auctions: 100,
            person_bytes_mean: 200,
            auction_bytes_mean: 500,
            bid_bytes_mean: 100,
        }
    }
}
