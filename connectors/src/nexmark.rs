//! Nexmark: an auction house as a stream of persons, auctions and bids, made from their numbers.
//!
//! Event `n` is a pure function of `n`, a seed and a configuration. No state passes from one event
//! to the next, so any worker makes any range, in any order, at full speed, and a restored job
//! makes again what it made before.
//!
//! ```text
//!    n, seed --> random --> generator --> Event --> a source, a query, a line of JSON
//!                draws      who, what,    Person | Auction | Bid
//!                           when
//! ```
//!
//! **Invariants**
//! - *fifty*: of each fifty events the first is a person, the next three are auctions, the other 46
//!   are bids ([`kind_of`], asserted in its test).
//! - *order*: the time of event `n` never decreases with `n` while `disorder_ms` is 0; otherwise no
//!   event is later than `disorder_ms` behind the greatest time before it (generator's tests).
//! - *lead*: a seller or auction that an event names exists already or is one of the next
//!   ten to appear, as in the public generator (generator's tests).
//!
//! Cost: an event is a dozen random numbers and its strings, about 110 ns with `extra` and 95 ns
//! without. A [`Generator`] holds 1.5 MB, which clones share and nobody writes to; events are 160
//! bytes without their strings, and about 300 as JSON.
//!
//! Left out: rates that change over time, delayed events, several generators on timelines of their
//! own. Streams are not byte-identical with those of Apache Beam or `nexmark/nexmark`, because the
//! random numbers are others; the schema, the form of each field, the proportions and the
//! distributions are the same, except that late events here keep their place in `n`.
//!
//! Sources: Tucker, Tufte, Papadimos, Maier, NEXMark, 2008; the generator of Apache Beam as kept
//! in `nexmark/nexmark` on GitHub, read for its rules and constants.

mod random;
mod text;

mod event;
mod model;

mod config;
mod generator;

pub use config::GeneratorConfig;
pub use event::{Event, Kind};
pub use generator::{Generator, kind_of};
pub use model::{Auction, Bid, Person};
