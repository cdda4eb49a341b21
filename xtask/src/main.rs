//! The commands of a developer: `cargo xtask <command>`.
//!
//! ```text
//! demo          the flights of a year, their table and their picture
//! test          everything a change must pass, or the tests of a feature
//! crash         jobs stopped at every step of the checkpoint protocol, twenty seeds each
//! lint          format, clippy, documentation
//! bench [NAME]  the benchmarks, or some of them
//! paper [NAME]  the experiment of a paper; without a name the list of them
//! ```
//!
//! Every command is a list of steps, each a program whose command line is printed before it runs.
//! The first step that fails ends the command, with the exit code of that step. Wrong arguments
//! end with exit code 2.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program talks to its user"
)]

mod error;
mod step;
mod system;

mod demo;
mod paper;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;
use crate::step::Step;
use crate::test::ALL;

/// The commands of a highwater developer.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build and run the flights example; print its table and the path of its picture.
    Demo,
    /// Run everything a change must pass: unit, integration and documentation tests.
    ///
    /// What takes long to compile is left out, and tested with an option of its own.
    Test(test::Arguments),
    /// Stop jobs at every step of the checkpoint protocol, in every way, and compare their results.
    Crash {
        /// How many seeds for each step and way.
        #[arg(long, value_name = "N", default_value_t = 20)]
        seeds: u32,
        /// Only the failpoints whose names begin so, such as `log` or `commit-before`.
        #[arg(value_name = "POINT")]
        point: Option<String>,
    },
    /// Check the format, clippy and the documentation, without mercy for warnings.
    Lint,
    /// Run benchmarks.
    Bench {
        /// The benchmarks to run, files in `benches/` without `.rs`; all when none is given.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Run the experiment of a paper; without a name, list them.
    Paper {
        /// The name of the experiment, which is that of the note in `papers/`.
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// Arguments for the experiment.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        rest: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Demo => demo::run(),
        Command::Test(arguments) => test::run(&arguments),
        Command::Crash { seeds, point } => crash(seeds, point.as_deref()),
        Command::Lint => lint(),
        Command::Bench { names } => bench(&names),
        Command::Paper { name: None, .. } => paper::list(),
        Command::Paper { name: Some(name), rest } => paper::run(&name, &rest),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.sentence());
            ExitCode::from(error.code())
        }
    }
}

/// Runs the crash matrix: the reduced form of it is one of the tests.
fn crash(seeds: u32, point: Option<&str>) -> Result<(), Error> {
    system::provide(&[system::C_COMPILER])?;
    Step::cargo("build").args(["--example", "nexmark"]).run()?;
    let step = Step::cargo("test").args(["--test", "crash", "--", "--nocapture"]);
    let step = step.env("HIGHWATER_CRASH_SEEDS", &seeds.to_string());
    step.env("HIGHWATER_CRASH_POINT", point.unwrap_or_default()).run()
}

fn lint() -> Result<(), Error> {
    Step::cargo("fmt").args(["--all", "--check"]).run()?;
    let clippy = ["--all-targets", "--", "-D", "warnings"];
    Step::cargo("clippy").args(ALL).args(clippy).run()?;
    Step::cargo("doc").args(ALL).args(["--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").run()
}

fn bench(names: &[String]) -> Result<(), Error> {
    let step = Step::cargo("bench");
    if names.is_empty() {
        return step.args(["--bench", "*"]).run();
    }
    names.iter().fold(step, |step, name| step.args(["--bench", name])).run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn arguments_after_the_name_of_a_paper_belong_to_the_experiment() {
        let given = ["cargo xtask", "paper", "naiad", "--rounds", "100"];
        let Command::Paper { name, rest } = Arguments::parse_from(given).command else {
            panic!("not a paper");
        };
        assert_eq!(name.as_deref(), Some("naiad"));
        assert_eq!(rest, ["--rounds", "100"]);
    }
}
