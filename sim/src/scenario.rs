//! Random jobs, what their operators mean, and whether a run agrees with that.
//!
//! ```text
//! Graph::draw(seed) --build--> Env            the same graph, twice
//!        '---------- models ---------> Trial: outputs and late records, by epoch
//! ```

mod graph;
mod build;

mod model;
mod check;
mod replay;
mod batch;

pub use batch::final_results;
pub use build::{build, build_into};
pub use check::{Arrived, Chapter, Coverage, check, check_chapters};
pub use graph::{Family, Firing, Graph, Op, SourcePlan, Step, WindowPlan, Windows};
