//! The log under seeded turns: several attempts at once on a store that fails, killed, stopped and
//! woken at any step, compared with what a single list of slots would have given.
//!
//! - `seeds`: thousands of short lives; catches two winners of a slot, lost and invented commits,
//!   commits behind a fence, files deleted that are still named.
//! - `steps`: one life, killed at each of its steps in turn.
//! - `damage`: what is concluded from each kind of damage to each object of the log.
//! - `long`: logs of hundreds of slots, where most are deleted and listings know nothing.

mod damage;
mod life;
mod long;
mod model;
mod seeds;
mod steps;
