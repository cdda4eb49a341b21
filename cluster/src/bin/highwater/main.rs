//! `highwater`: what is done to jobs and clusters from outside of them.
//!
//! ```text
//! highwater <command> --> one file per command --> a coordinator, over HTTP
//!                                              --> or the control socket of a job without one
//! ```
//!
//! Each command is a variant of [`Command`] and a file of its own with its arguments and `run`. The
//! exit codes are those of [`highwater_cluster::error`].

mod place;

mod run;
mod list;
mod info;
mod logs;

mod savepoint;
mod checkpoint;
mod stop;
mod cancel;
mod rescale;

mod cluster;
mod coordinator;
mod agent;
mod launch;

mod state;
mod controlled;
mod status;
mod why;
mod completions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs jobs on a cluster, looks at them, stops them and takes savepoints.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no cluster answers, 4 not let in, 5 no such thing,
/// 6 the job was canceled, 7 another coordinator has taken over.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a program on a cluster
    Run(run::Args),
    /// List the jobs of a cluster
    List(list::Args),
    /// Show a job
    Info(info::Args),
    /// Show what a job prints
    Logs(logs::Args),
    /// End a job at once, without a checkpoint
    Cancel(cancel::Args),
    /// End a running job with a last checkpoint or a savepoint
    Stop(stop::Args),
    /// Take a savepoint of a running job, which goes on
    Savepoint(savepoint::Args),
    /// Take a checkpoint of a running job now
    Checkpoint(checkpoint::Args),
    /// Let a job go on with other slots
    Rescale(rescale::Args),
    /// Start, stop and look at a cluster on this machine
    Cluster(cluster::Args),
    /// Be the coordinator of a cluster
    Coordinator(coordinator::Args),
    /// Be an agent of a cluster
    Agent(agent::Args),
    /// Become a program that ends with its agent
    #[command(hide = true)]
    Launch(launch::Args),
    /// Show how far a running job without a cluster has come
    Status(status::Args),
    /// Say what holds a running job back: a watermark, or the barrier of a checkpoint
    Why(why::Args),
    /// Look into savepoints and checkpoints
    State(state::Args),
    /// Write what a shell needs to complete commands
    Completions(completions::Args),
}

#[expect(clippy::print_stderr, reason = "this is the last word of a program")]
fn main() -> ExitCode {
    let ended = match Args::parse().command {
        Command::Run(args) => run::run(args),
        Command::List(args) => list::run(&args),
        Command::Info(args) => info::run(&args),
        Command::Logs(args) => logs::run(&args),
        Command::Cancel(args) => cancel::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::Savepoint(args) => savepoint::run(&args),
        Command::Checkpoint(args) => checkpoint::run(&args),
        Command::Rescale(args) => rescale::run(&args),
        Command::Cluster(args) => cluster::run(&args),
        Command::Coordinator(args) => coordinator::run(args),
        Command::Agent(args) => agent::run(args),
        Command::Launch(args) => launch::run(args),
        Command::Status(args) => status::run(&args).map_err(Into::into),
        Command::Why(args) => why::run(&args).map_err(Into::into),
        Command::State(args) => state::run(&args).map_err(Into::into),
        Command::Completions(args) => completions::run(&args),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
