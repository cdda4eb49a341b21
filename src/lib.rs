//! highwater: Apache Flink's semantics on timely dataflow's progress tracking.
//!
//! Watermarks are frontiers, checkpoint barriers are frontiers, a batch is a stream that ends.
//!
//! ```
//! use highwater::prelude::*;
//!
//! let counts = Collect::new();
//! let sink = counts.clone();
//! highwater::execute(Config::workers(2), move |env| {
//!     env.read(Collection::of(["to", "be", "or", "not", "to", "be"].map(String::from)))
//!         .key_by(|word| word.clone())
//!         .count()
//!         .sink(sink.clone());
//!     Ok(())
//! })?;
//! let last = counts.take_values().into_iter().max_by_key(|(_, count)| *count);
//! assert_eq!(last.map(|(_, count)| count), Some(2));
//! # Ok::<(), highwater::Error>(())
//! ```
//!
//! | to | look at |
//! |---|---|
//! | describe a job | [`prelude::Env`], [`prelude::DataStream`] |
//! | read and write | [`connectors`] |
//! | write functions with state and timers | [`operators::process`], [`operators::connect`] |
//! | understand the engine | [`highwater_core`] and `docs/design.md` |

pub use highwater_checkpoint as checkpoint;
pub use highwater_connectors as connectors;
pub use highwater_core as core;
pub use highwater_operators as operators;
pub use highwater_state as state;

pub mod options;
pub mod supervisor;
mod run;
mod together;
mod attendant;
pub mod control;
pub mod remote;
mod report;
pub mod observe;

pub mod prelude;

use std::process::ExitCode;

pub use highwater_core::error::{Error, Result};
pub use highwater_operators::environment::Summary;
pub use options::Config;
use prelude::Env;

/// Runs the job that `program` describes, and returns when it has ended.
///
/// - `program`: called once on every worker; it must describe the same job each time.
///
/// On a terminal a line per source shows how far the job has come. Results become visible only if
/// all workers end without an error.
///
/// With a restart strategy (`config.restart`, by default that of programs which take checkpoints and
/// read their options from the command line) the job runs in a process of its own, which is started
/// again when it fails: see [`supervisor`]. What the program does before this call happens in both
/// processes, what it does afterwards in the last one alone; the process that was started first
/// never returns from here. The same is true of a program that a cluster runs (`config.cluster`, see
/// [`remote`]).
///
/// # Errors
/// The first error of any worker; a panic in user code is an error that names its operator, unless
/// it came from `program` itself.
pub fn execute<F>(config: Config, program: F) -> Result<Summary>
where
    F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
{
    let attempt = supervisor::attempt()?;
    if let (None, Some(url)) = (&attempt, &config.cluster) {
        return remote::run_there(url).map(|never| match never {});
    }
    if attempt.is_none() && config.restart != supervisor::RestartStrategy::None {
        return supervisor::supervise(config.restart).map(|never| match never {});
    }
    let run::Ended { result, began } = run::run(config, attempt, program);
    if let Some(attempt) = attempt {
        attempt.ended(result.as_ref().err(), began);
    }
    result
}

/// Ends a program: prints the error, if any, as one sentence, and chooses the exit code (2 for wrong
/// usage, 1 for anything else).
#[expect(clippy::print_stderr, reason = "this is the last word of a program")]
pub fn exit(ended: Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.sentence());
            ExitCode::from(error.exit_code())
        }
    }
}

/// The examples of the README and of the paper notes, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeDoctests;
