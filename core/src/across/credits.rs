//! Credits across processes: what was processed here is told to the process that sent it.
//!
//! ```text
//! Edge::release(a sender elsewhere) --> owed by lane --every 10 ms, or half of the credit--> Release
//!                    Release --> Edge::give_back --> the sender is woken
//! ```
//!
//! **Cost**: a message per process and 10 ms in which something was processed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credit::Edge;

/// How often what is owed is told.
pub(super) const INTERVAL: Duration = Duration::from_millis(10);

/// Bytes that were processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Release {
    pub(super) edge: usize,
    pub(super) sender: usize,
    pub(super) receiver: usize,
    pub(super) bucket: usize,
    pub(super) bytes: u64,
}

/// Which workers are in which process, and who tells what they owe.
#[derive(Debug)]
pub(crate) struct Credits {
    workers: usize,
    index: usize,
    processes: usize,
    edges: Mutex<Vec<(usize, Arc<Edge>)>>,
    /// The thread that tells what is owed.
    teller: OnceLock<Thread>,
    urgent: AtomicBool,
}

impl Credits {
    /// - `workers`: of one process.
    pub(crate) fn new(workers: usize, index: usize, processes: usize) -> Self {
        let (edges, teller) = (Mutex::default(), OnceLock::new());
        Credits { workers, index, processes, edges, teller, urgent: AtomicBool::new(false) }
    }

    /// Returns whether a worker is in this process.
    pub(crate) fn is_here(&self, worker: usize) -> bool {
        worker / self.workers == self.index
    }

    /// Lets the credits of an edge cross processes.
    pub(crate) fn add(&self, place: usize, edge: &Arc<Edge>) {
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        // Every worker of the process builds the edge.
        if edges.iter().all(|(of, _)| *of != place) {
            edges.push((place, Arc::clone(edge)));
        }
    }

    /// Makes the calling thread the one that is woken when much is owed.
    pub(super) fn attend(&self) {
        // There is one such thread a job.
        let _ = self.teller.set(std::thread::current());
    }

    /// Says that half of a credit is owed.
    pub(crate) fn hurry(&self) {
        if !self.urgent.swap(true, Ordering::SeqCst)
            && let Some(teller) = self.teller.get()
        {
            teller.unpark();
        }
    }

    /// Takes what is owed to each other process.
    pub(super) fn take_owed(&self) -> Vec<(usize, Vec<Release>)> {
        self.urgent.store(false, Ordering::SeqCst);
        let mut owed: Vec<Vec<Release>> = vec![Vec::new(); self.processes];
        let edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, edge) in edges.iter() {
            edge.take_owed(|sender, receiver, bucket, bytes| {
                let release = Release { edge: *place, sender, receiver, bucket, bytes };
                owed[sender / self.workers].push(release);
            });
        }
        owed.into_iter().enumerate().filter(|(_, owed)| !owed.is_empty()).collect()
    }

    /// Takes what a process has processed of what this one sent.
    pub(super) fn give_back(&self, from: usize, released: &[Release]) {
        let edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        for Release { edge: place, sender, receiver, bucket, bytes } in released {
            let edge = edges.iter().find(|(of, _)| of == place);
            match edge.filter(|_| receiver / self.workers == from && self.is_here(*sender)) {
                Some((_, edge)) => edge.give_back(*sender, *receiver, *bucket, *bytes),
                None => tracing::warn!("process {from} gives back what it was not sent"),
            }
        }
    }
}
