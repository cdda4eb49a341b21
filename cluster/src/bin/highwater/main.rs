//! `highwater`: what is done to a job from outside of it.
//!
//! ```text
//! highwater <command> --> one file per command --> the library, or the control socket of a job
//! ```
//!
//! Each command is a variant of [`Command`] and a file of its own with its arguments and `run`.

mod savepoint;
mod state;
mod status;
mod stop;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Looks at jobs, stops them and takes savepoints.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take a savepoint of a running job, which goes on
    Savepoint(savepoint::Args),
    /// End a running job with a last checkpoint or a savepoint
    Stop(stop::Args),
    /// Show how far a running job has come
    Status(status::Args),
    /// Say what holds a running job back: a watermark, or the barrier of a checkpoint
    Why(why::Args),
    /// Look into savepoints and checkpoints
    State(state::Args),
}

fn main() -> ExitCode {
    highwater::exit(match Args::parse().command {
        Command::Savepoint(args) => savepoint::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Why(args) => why::run(&args),
        Command::State(args) => state::run(&args),
    })
}
