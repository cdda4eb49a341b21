//! Counts numbers by their remainder, and panics when it is told to.
//!
//! ```text
//! 0, 1, 2, .. --fault--> by remainder --> every hundredth count --> part-*
//! ```
//!
//! Run by `tests/supervision.rs`, not by people.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use highwater::options::JobOptions;
use highwater::prelude::*;

/// Counts numbers by their remainder.
#[derive(Clone, Parser)]
struct Args {
    /// How many numbers there are
    #[arg(long, default_value_t = 200_000)]
    numbers: u64,
    /// Panic at this number
    #[arg(long)]
    panic_at: Option<u64>,
    /// Panic only if this file is not there, and make it
    #[arg(long)]
    once: Option<PathBuf>,
    /// Where the results go
    #[arg(long)]
    output: PathBuf,
    #[command(flatten)]
    job: JobOptions,
}

fn main() -> ExitCode {
    highwater::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<()> {
    highwater::execute(args.job.config()?, move |env| {
        let (panic_at, once) = (args.panic_at, args.once.clone());
        env.read(Generator::new(args.numbers, |number| number))
            .map(move |number| {
                assert!(Some(number) != panic_at || !is_due(once.as_deref()), "told to panic");
                number
            })
            .name("fault")
            .key_by(|number| number % 7)
            .count()
            .filter(|(_, count)| count % 100 == 0)
            .sink(JsonLines::to(&args.output));
        Ok(())
    })?;
    Ok(())
}

fn is_due(once: Option<&Path>) -> bool {
    once.is_none_or(|file| std::fs::File::create_new(file).is_ok())
}
