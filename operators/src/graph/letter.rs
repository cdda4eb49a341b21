//! What the workers of a graph send each other.

use serde::{Deserialize, Serialize};

/// A message to a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// The worker it goes to.
    pub(crate) to: u32,
    /// What it says.
    pub(crate) body: Body,
}

/// What a message says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Body {
    /// A vertex of the worker.
    Vertex(u64),
    /// An edge at a vertex of the worker, `at`; it leads away from it if `out` says so.
    Edge { at: u64, other: u64, weight: f64, out: bool },
    /// Vertices of the worker that another one knows as its ghosts, with their slots there.
    Ghosts { from: u32, ghosts: Vec<(u64, u32)> },
    /// Ghosts of the worker, with the slots that the vertices have at home.
    Homes { from: u32, homes: Vec<(u32, u32)> },
    /// Values for slots of the worker.
    Values(Vec<(u32, u64)>),
    /// A value for all workers.
    Global { from: u32, value: u64 },
    /// Vertices with the neighbours behind them, and how many edges lead there.
    Lists(Vec<(u64, Vec<(u64, u8)>)>),
    /// There is more to do in the next superstep.
    Again,
}
