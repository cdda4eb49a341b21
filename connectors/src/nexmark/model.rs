//! The three records: a person registers, opens an auction, bids on others'.
//!
//! All numbers are `i64`, Flink's BIGINT, so that queries compute with ids, prices in cents and
//! times without conversions. Text is `String`: to make an event with all its strings takes about
//! 110 ns and to clone one 45 ns, and operators move records rather than clone them. Text that is
//! shared by count would be cheaper to clone, but workers would write to each other's counts.

use serde::{Deserialize, Serialize};

/// A person who registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// 1000 for the first person, then consecutive.
    pub id: i64,
    /// First and last name, one of 99.
    pub name: String,
    /// Random words; never compared by a query.
    pub email_address: String,
    /// Four groups of four digits.
    pub credit_card: String,
    /// One of ten in the west of the United States, independent of the state.
    pub city: String,
    /// One of AZ, CA, ID, OR, WA, WY; query 3 selects by it.
    pub state: String,
    /// The event time of the registration, in ms since 1970, UTC.
    pub date_time: i64,
    /// Filler, which gives the record its size.
    pub extra: String,
}

/// An auction that was opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Auction {
    /// 1000 for the first auction, then consecutive.
    pub id: i64,
    /// Random words.
    pub item_name: String,
    /// Random words, on average fifty letters.
    pub description: String,
    /// In cents; bids do not heed it.
    pub initial_bid: i64,
    /// In cents, at least the initial bid; bids do not heed it.
    pub reserve: i64,
    /// The event time of the opening, in ms since 1970, UTC.
    pub date_time: i64,
    /// The last instant at which a bid counts, in ms since 1970, UTC.
    pub expires: i64,
    /// The id of the person who sells; may appear up to ten persons later.
    pub seller: i64,
    /// 10 to 14.
    pub category: i64,
    /// Filler, which gives the record its size.
    pub extra: String,
}

/// A bid on an auction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bid {
    /// The id of the auction; may appear up to ten auctions later.
    pub auction: i64,
    /// The id of the bidder, from 2000: a person's id and 1000 more, as in the public generator,
    /// so that bids cannot be joined with persons; no query does.
    pub bidder: i64,
    /// In cents, from 100 to 100,000,000.
    pub price: i64,
    /// Google, Facebook, Baidu or Apple in half of the bids, else `channel-` and a number.
    pub channel: String,
    /// Fixed for each channel, with the channel's id as a parameter for most of the cold ones.
    pub url: String,
    /// The event time of the bid, in ms since 1970, UTC.
    pub date_time: i64,
    /// Filler, which gives the record its size.
    pub extra: String,
}
