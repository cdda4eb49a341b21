//! What a search for a cause may come to, and how it is said.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::task::TaskReport;

/// An operator on a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The uid of the operator.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// The worker.
    pub worker: usize,
}

impl From<&TaskReport> for Place {
    fn from(task: &TaskReport) -> Self {
        Place { uid: task.uid.clone(), name: task.name.clone(), worker: task.worker }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operator {:?} ({}) on worker {}", self.name, self.uid, self.worker)
    }
}

/// Why something is held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Cause {
    /// Nothing is: it has come to its end.
    Done,
    /// There is no report of the operator yet.
    Unknown,
    /// A process has stopped reporting.
    Silent {
        /// The process.
        process: usize,
        /// How much older its last report is than the newest, in ms.
        age_ms: u64,
    },
    /// An operator has been inside one call for long: user code that hangs, waits or computes.
    Hangs {
        /// Who.
        at: Place,
        /// For how long, in ms.
        for_ms: u64,
    },
    /// An operator works all the time and is the slowest.
    Slow {
        /// Who.
        at: Place,
        /// How much of a second it is busy, in ms.
        busy_ms: u64,
    },
    /// An operator has batches to work off.
    Backlog {
        /// Who.
        at: Place,
        /// How many.
        batches: u64,
    },
    /// A split has no records and is not marked idle.
    SilentSplit {
        /// The source.
        at: Place,
        /// The split, as JSON.
        split: String,
        /// For how long it has had none, in ms.
        silent_ms: u64,
        /// After how long it will be idle, in ms; `None` for never.
        idleness_ms: Option<i64>,
    },
    /// A split has records and is the furthest behind.
    SlowestSplit {
        /// The source.
        at: Place,
        /// The split, as JSON.
        split: String,
        /// The watermark of the split, in ms.
        watermark: i64,
    },
    /// All splits of a source are idle.
    AllIdle {
        /// The source.
        at: Place,
    },
    /// A source makes no watermarks before its end.
    NoWatermarks {
        /// The source.
        at: Place,
    },
    /// An operator makes watermarks of its own and has seen no later event time.
    OwnWatermarks {
        /// Who.
        at: Place,
    },
    /// What was promised is on its way.
    InTransit {
        /// To whom.
        at: Place,
    },
    /// A source has not yet moved to the next epoch.
    NotTriggered {
        /// The source.
        at: Place,
    },
    /// An operator has frozen its state, which is being encoded or uploaded.
    Upload {
        /// Whose.
        at: Place,
        /// The checkpoint.
        checkpoint: u64,
    },
    /// All have answered: the manifest is being written.
    Manifest {
        /// The checkpoint.
        checkpoint: u64,
    },
    /// The checkpoint is complete and sinks make its results visible.
    SinkCommit {
        /// The checkpoint.
        checkpoint: u64,
    },
}

fn ms(ms: u64) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_millis(ms))
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Done => write!(f, "nothing is held back"),
            Cause::Unknown => write!(f, "the operator has not reported yet"),
            Cause::Silent { process, age_ms } => {
                write!(f, "process {process} has not reported for {}", ms(*age_ms))
            }
            Cause::Hangs { at, for_ms } => {
                write!(f, "{at} has been inside one call for {}", ms(*for_ms))
            }
            Cause::Slow { at, busy_ms } => write!(f, "{at} is busy {busy_ms} ms of every second"),
            Cause::Backlog { at, batches } => write!(f, "{at} has {batches} batches to work off"),
            Cause::SilentSplit { at, split, silent_ms, idleness_ms } => {
                let silent = ms(*silent_ms);
                write!(f, "split {split} of {at} has had no record for {silent} and ")?;
                match idleness_ms.and_then(|idle| u64::try_from(idle).ok()) {
                    Some(idle) => write!(f, "is waited for until it is idle after {}", ms(idle)),
                    None => write!(f, "is never idle: its source has no idleness"),
                }
            }
            Cause::SlowestSplit { at, split, watermark } if *watermark == i64::MIN => {
                write!(f, "split {split} of {at} has no watermark yet")
            }
            Cause::SlowestSplit { at, split, watermark } => {
                write!(f, "split {split} of {at} is the furthest behind, at {watermark}")
            }
            Cause::AllIdle { at } => write!(f, "all splits of {at} are idle"),
            Cause::NoWatermarks { at } => {
                write!(f, "{at} has no watermark strategy: its watermark comes with its end")
            }
            Cause::OwnWatermarks { at } => {
                write!(f, "{at} makes the watermarks and has seen no later event time")
            }
            Cause::InTransit { at } => write!(f, "what was promised is on its way to {at}"),
            Cause::NotTriggered { at } => write!(f, "{at} has not yet moved to the next epoch"),
            Cause::Upload { at, checkpoint } => {
                write!(f, "the state of {at} for checkpoint {checkpoint} is being stored")
            }
            Cause::Manifest { checkpoint } => {
                write!(f, "the manifest of checkpoint {checkpoint} is being written")
            }
            Cause::SinkCommit { checkpoint } => {
                write!(f, "sinks make the results of checkpoint {checkpoint} visible")
            }
        }
    }
}
