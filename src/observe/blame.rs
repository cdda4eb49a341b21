//! Who holds a watermark or a barrier back right now, from an operator back to the cause.
//!
//! ```text
//! watermark   sink --promise--> window --promise--> source --> the split that is behind
//!                                  '-- its queue --> credit --> who does not take --> who hangs
//! barrier     checkpoint --> who has not answered --> upstream --> who has not cut, and why
//!                                  '-- has cut: its snapshot is being stored
//! ```
//!
//! The functions are pure: they read a [`JobView`] and nothing else. Where an operator has all that
//! was promised to it and still is behind, the cause is downstream (credit) or itself; else it is
//! upstream.
//!
//! **Invariant**: nothing is visited twice, so that a search ends (`Trail::visit`).
//!
//! **Sources**: Flink's page shows levels of back-pressure and leaves the search to people.

mod cause;
mod pressure;
mod watermark;
mod barrier;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::task::TaskReport;
use super::view::{JobView, Vertex};

pub use cause::{Cause, Place};

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The watermark of an operator, in ms.
    Watermark(i64),
    /// The barrier of a checkpoint.
    Barrier(u64),
}

/// One step from an operator towards the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The uid of the operator.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// The worker that counts.
    pub worker: Option<usize>,
    /// Why the search goes on from here, as the end of a sentence that begins with the name.
    pub says: String,
}

/// Who holds something back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    /// What is held back.
    pub what: What,
    /// From the operator that was asked for to the cause.
    pub chain: Vec<Link>,
    /// The cause.
    pub cause: Cause,
    /// The cause as a sentence.
    pub sentence: String,
}

impl JobView {
    /// Says what holds back the watermark of an operator, and the barrier of the oldest checkpoint
    /// under way if it has not got through there.
    ///
    /// - `uid`: `None` for the job: the watermarks of its sinks and the checkpoint as a whole.
    #[must_use]
    pub fn why(&self, uid: Option<&str>) -> Vec<Blame> {
        let asked = uid.and_then(|uid| self.vertex(uid));
        let vertices: Vec<&Vertex> = match (asked, uid) {
            (Some(vertex), _) => vec![vertex],
            (None, Some(_)) => Vec::new(),
            (None, None) => self.ends(),
        };
        let mut blames: Vec<Blame> = Vec::new();
        for vertex in vertices {
            let blame = self.why_watermark(vertex);
            if blames.iter().all(|before| before.cause != blame.cause) {
                blames.push(blame);
            }
        }
        blames.extend(self.why_barrier(asked));
        blames
    }

    /// The operators that nothing follows.
    fn ends(&self) -> Vec<&Vertex> {
        let inputs = self.vertices.iter().flat_map(|vertex| &vertex.inputs);
        let feeds: BTreeSet<usize> = inputs.map(|input| input.from.operator).collect();
        self.vertices.iter().filter(|vertex| !feeds.contains(&vertex.place)).collect()
    }
}

/// Which way the search came: an operator may be on it once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Its promise was asked for.
    Upstream,
    /// It was asked why it does not take what was sent to it.
    Downstream,
    /// It was asked why it has not cut.
    Barrier,
}

/// The search so far.
struct Trail<'a> {
    view: &'a JobView,
    links: Vec<Link>,
    visited: BTreeSet<(usize, usize, Way)>,
}

impl<'a> Trail<'a> {
    fn new(view: &'a JobView) -> Self {
        Trail { view, links: Vec::new(), visited: BTreeSet::new() }
    }

    /// Returns whether the search has not been here yet.
    fn visit(&mut self, vertex: &Vertex, worker: usize, way: Way) -> bool {
        self.visited.insert((vertex.place, worker, way))
    }

    fn link(&mut self, vertex: &Vertex, worker: Option<usize>, says: impl Into<String>) {
        let (uid, name) = (vertex.uid.clone(), vertex.name.clone());
        self.links.push(Link { uid, name, worker, says: says.into() });
    }

    fn end(self, what: What, cause: Cause) -> Blame {
        let sentence = cause.to_string();
        Blame { what, chain: self.links, cause, sentence }
    }
}

/// The subtask of an operator on a worker.
fn on(vertex: &Vertex, worker: usize) -> Option<&TaskReport> {
    vertex.subtasks.iter().map(|subtask| &subtask.task).find(|task| task.worker == worker)
}

#[cfg(test)]
mod tests;
