//! The other processes of a job, as the engine sees them.
//!
//! ```text
//! this process                                                       another process
//!   workers --batches, progress--> Network  ====== a socket ======>  workers
//!   Job, checkpoints --message of a topic--> Peers  == a link ==>  whoever listens to the topic
//!                                                  == lost ==>  on_loss: the job fails
//! ```
//!
//! The engine does not know what carries this. A job of one process has no peers.
//!
//! # Contract
//! - *In order*: messages of a topic arrive in the order in which they were sent.
//! - *Nothing is lost quietly*: when a message cannot arrive any more, `on_loss` says so on both
//!   sides, with the process that is gone.
//! - *All or none*: the failure of one process ends all of them.

use serde::{Deserialize, Serialize};
use timely::communication::allocator::AllocatorBuilder;

use crate::error::{Error, Result};

/// What messages are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Topic {
    /// The job itself: plan, credits, sources, its end.
    Job,
    /// Its checkpoints.
    Checkpoints,
}

/// Takes messages, with the process that sent them.
pub type Ear = Box<dyn Fn(usize, &[u8]) + Send + Sync>;

/// Takes the failure or loss of another process.
pub type OnLoss = Box<dyn Fn(Error) + Send + Sync>;

/// The other processes of a job.
pub trait Peers: Send + Sync {
    /// Returns which of the processes this is, from 0.
    fn index(&self) -> usize;

    /// Returns how many processes there are, with this one.
    fn processes(&self) -> usize;

    /// Sends a message; returns at once.
    fn send(&self, to: usize, topic: Topic, message: Vec<u8>);

    /// Hands messages of a topic over as they come, and those that have come already. They are
    /// handed over on a thread that must not be held up.
    fn listen(&self, topic: Topic, ear: Ear);

    /// Says when another process has failed or is gone; at once, if one is. Only the first counts,
    /// and only who wants to know it last is told.
    fn on_loss(&self, act: OnLoss);

    /// Tells the others that the job has failed here, so that it fails everywhere.
    fn fail(&self, error: &Error);

    /// Returns what carries batches and progress between the workers; once.
    ///
    /// - `workers`: of this process.
    ///
    /// # Errors
    /// When its threads cannot be started, or it was returned before.
    fn network(&self, workers: usize) -> Result<Box<dyn Network>>;
}

/// What carries batches and progress between the workers of all processes.
pub trait Network: Send {
    /// Returns what timely makes its workers from.
    fn builders(&mut self) -> Vec<AllocatorBuilder>;

    /// Ends it after the workers.
    ///
    /// - `well`: whether everything that was sent has to arrive.
    fn end(self: Box<Self>, well: bool);
}

/// Sends a message to all other processes.
pub fn tell_all(peers: &dyn Peers, topic: Topic, message: &[u8]) {
    for to in (0..peers.processes()).filter(|to| *to != peers.index()) {
        peers.send(to, topic, message.to_vec());
    }
}
