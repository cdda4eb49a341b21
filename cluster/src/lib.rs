//! Runs jobs on the processes of many hosts, and says what they do.
//!
//! ```text
//!  highwater run, list, stop ..  --REST-->  coordinator  <--frames--  agent (one a host)
//!  a browser                                    |                       | starts, kills, hears
//!                                               v                       v
//!                                  objects: who coordinates,       processes of jobs: the user's
//!                                  jobs, programs                  program, connected with each other
//! ```
//!
//! The **coordinator** (Flink's JobManager) takes jobs, decides where their processes run, and starts
//! them again when they fail. An **agent** (TaskManager) has slots, each for one process of a job.
//! Checkpoints are no business of either: process 0 of a job takes them, also while no coordinator is
//! there.
//!
//! | to | look at |
//! |---|---|
//! | see what a job does, seen from outside | [`view`] |
//! | talk HTTP | [`rest`] |

pub mod id;
pub mod record;
pub mod frame;

pub mod coordinator;
pub mod ledger;
pub mod programs;
pub mod view;

pub mod agent;
pub mod serve;
pub mod rest;

pub mod error;

pub use error::{Error, Result};
