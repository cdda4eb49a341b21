//! What a job does right now, and what holds it back.
//!
//! ```text
//! process 0 -- Observer, once a second --> ProcessReport --.
//! process 1 -- Observer ----------------> ProcessReport --+--> JobView --> vertices, rates, levels
//!                                                                 '-- why --> Blame: from the
//!                                                                     operator back to the cause
//! ```
//!
//! A [`ProcessReport`] is all that one process knows: its operators on its workers, their splits, the
//! edges out of credit, and in process 0 the checkpoints under way. It is plain data that crosses
//! sockets. A [`JobView`] is made of the reports of all processes by a pure function, and so is a
//! [`Blame`]: both are the same whether a job runs in one process or in a cluster.
//!
//! **Invariant**: a blame follows what is promised upstream and what is out of credit downstream, and
//! visits no operator on a worker twice, so that it ends (`blame::Trail`).
//!
//! **Cost**: a report reads a few dozen counters per operator and worker, once a second.

mod report;
mod observer;
mod task;

mod view;
mod blame;
mod metrics;

pub use blame::{Blame, Cause, Link, Place, What};
pub use metrics::{JOB_METRICS, Metric, SPLIT_METRICS, TASK_METRICS, prometheus};
pub use observer::Observer;
pub use report::ProcessReport;
pub use task::{
    BarrierReport, Held, InputReport, Phase, Rates, Role, SplitReport, Status, TaskReport,
};
pub use view::{JobView, Level, Subtask, Vertex};

#[cfg(test)]
mod made;
