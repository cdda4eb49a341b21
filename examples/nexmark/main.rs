//! The Nexmark benchmark: an auction site's events, and the queries asked of them.
//!
//! ```text
//! generator or file --watermarks(dateTime)--> events --query--> part-*
//! ```
//!
//! What to look at: `queries.rs` has one short function per query, each with its SQL.
//!
//! Run: `cargo run --release --example nexmark -- q5 --events 10000000 --workers 2`
//! counts the results; with `--output DIR` they are written there, one JSON array a line.

mod queries;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use highwater::connectors::nexmark::{self, Event, GeneratorConfig};
use highwater::options::{JobOptions, duration};
use highwater::prelude::*;

/// Runs a query of the Nexmark benchmark on generated events, or on events from a file.
#[derive(Parser)]
struct Args {
    /// The query
    #[arg(value_enum)]
    query: Query,
    /// Generate this many events
    #[arg(long, value_name = "N", default_value_t = 1_000_000, conflicts_with = "input")]
    events: u64,
    /// Seed of the generated events
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "input")]
    seed: u64,
    /// Generate this many events per second of event time
    #[arg(long, value_name = "N", default_value_t = 10_000, conflicts_with = "input",
          value_parser = clap::value_parser!(u64).range(1..))]
    events_per_second: u64,
    /// Read the events from a file or a folder instead, as JSON lines, plain or compressed
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where the results go; without it they are only counted
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace results that are there already
    #[arg(long)]
    overwrite: bool,
    /// How far event time may be out of order
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = duration)]
    out_of_orderness: Duration,
    #[command(flatten)]
    job: JobOptions,
}

/// The queries of the benchmark that are here.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Query {
    /// Every bid
    Q0,
    /// Every bid with its price in euro
    Q1,
    /// Bids on some auctions
    Q2,
    /// Who sells in category 10, in three states
    Q3,
    /// The auctions with the most bids in the last ten seconds, every two seconds
    Q5,
    /// The highest bids of each ten seconds
    Q7,
    /// Persons who registered and opened an auction in the same ten seconds
    Q8,
    /// How many bids each bidder made in each session
    Q11,
}

fn main() -> ExitCode {
    highwater::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<()> {
    let config = args.job.config()?;
    highwater::execute(config, move |env| {
        let events = match &args.input {
            Some(path) => env.read(JsonLines::<Event>::at(path)),
            None => {
                let (seed, events_per_second) = (args.seed, args.events_per_second);
                let config = GeneratorConfig { seed, events_per_second, ..Default::default() };
                let nexmark = nexmark::Generator::new(config);
                env.read(Generator::new(args.events, move |n| nexmark.event(n)))
            }
        };
        let watermarks = Watermarks::bounded(args.out_of_orderness).event_time(Event::date_time);
        let events = events.watermarks(watermarks);
        let output = Output { dir: args.output.clone(), overwrite: args.overwrite };
        match args.query {
            Query::Q0 => output.write(&queries::q0(&events)),
            Query::Q1 => output.write(&queries::q1(&events)),
            Query::Q2 => output.write(&queries::q2(&events)),
            Query::Q3 => output.write(&queries::q3(&events)),
            Query::Q5 => output.write(&queries::q5(&events)),
            Query::Q7 => output.write(&queries::q7(&events)),
            Query::Q8 => output.write(&queries::q8(&events)),
            Query::Q11 => output.write(&queries::q11(&events)),
        }
        Ok(())
    })?;
    Ok(())
}

/// Where the results go.
struct Output {
    dir: Option<PathBuf>,
    overwrite: bool,
}

impl Output {
    fn write<T: Clone + serde::Serialize + 'static>(&self, results: &DataStream<'_, T>) {
        match &self.dir {
            Some(dir) => results.sink(JsonLines::to(dir).overwrite(self.overwrite)),
            None => results.discard(),
        };
    }
}
