//! The whole engine under seeded turns, and the models it is compared with.
//!
//! ```text
//! seed --> World: options, faults, clock --+--> real workers, one at a time, in drawn turns
//!                                          |        |
//!          Graph: random operators --------'        v
//!             |                                  Journal: every batch, firing and cut
//!             '--> oracle: sequential models <------'   compared, operator by operator
//! ```
//!
//! Nothing is mocked but time: timely's workers run on their own threads and step only while they
//! hold the turn that the seed draws. The same seed gives the same bytes; `tests/meta.rs` holds the
//! simulation to that.
//!
//! **Cost**: about 15 microseconds a turn and 400 turns a seed, with the checks.
//!
//! Left out: sockets, disks and RocksDB, whose threads no seed orders.
//!
//! **Sources**: FoundationDB's simulation; s2's `sim meta`; design.md, section 2.

mod random;
mod faults;
mod turns;
mod journal;
mod world;

mod source;
mod watchdog;

mod life;

pub mod any;
pub mod graphs;
pub mod oracle;
pub mod scenario;

pub use faults::Faults;
pub use journal::{Happening, Journal, Note};
pub use life::{Life, Lived, Sinks};
pub use random::Random;
pub use source::{Pace, Scripted};
pub use turns::SeededTurns;
pub use watchdog::within;
pub use world::{Item, Run, World};
