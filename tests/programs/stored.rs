//! Queries of the Nexmark benchmark with their state in memory, or in a store in memory.
//!
//! ```text
//! generator --watermarks(dateTime)--> events --query, over a cache of 64 KiB--> part-*
//! ```
//!
//! Run by `tests/backends.rs` where there is no RocksDB, not by people.

#[expect(dead_code, reason = "queries without windows keep no state worth moving")]
#[path = "../../examples/nexmark/queries.rs"]
mod queries;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use highwater::connectors::nexmark::{self, Event, GeneratorConfig};
use highwater::options::JobOptions;
use highwater::prelude::*;
use highwater::state::memory::MemoryStores;

/// The bytes of decoded values that a table keeps: few, so that most are encoded again and again.
const CACHE_BYTES: usize = 64 << 10;

/// Runs a query on generated events.
#[derive(Parser)]
struct Args {
    #[arg(value_enum)]
    query: Query,
    /// Generate this many events
    #[arg(long)]
    events: u64,
    /// Generate this many events per second of event time
    #[arg(long, default_value_t = 10_000)]
    events_per_second: u64,
    /// Keep the state in a store
    #[arg(long)]
    in_store: bool,
    /// Where the results go
    #[arg(long)]
    output: PathBuf,
    #[command(flatten)]
    job: JobOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Query {
    Q5,
    Q7,
    Q8,
    Q11,
}

fn main() -> ExitCode {
    highwater::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<()> {
    let mut config = args.job.config()?;
    if args.in_store {
        config.engine.stores = Some(Arc::new(MemoryStores { cache_bytes: CACHE_BYTES }));
        config.engine.state = Some(StateBackend::Store);
    }
    highwater::execute(config, move |env| {
        let config =
            GeneratorConfig { events_per_second: args.events_per_second, ..Default::default() };
        let nexmark = nexmark::Generator::new(config);
        let watermarks = Watermarks::bounded(seconds(4)).event_time(Event::date_time);
        let events = env.read(Generator::new(args.events, move |n| nexmark.event(n)));
        let events = events.watermarks(watermarks);
        match args.query {
            Query::Q5 => write(&args, &queries::q5(&events)),
            Query::Q7 => write(&args, &queries::q7(&events)),
            Query::Q8 => write(&args, &queries::q8(&events)),
            Query::Q11 => write(&args, &queries::q11(&events)),
        }
        Ok(())
    })?;
    Ok(())
}

fn write<T: Clone + serde::Serialize + 'static>(args: &Args, results: &DataStream<'_, T>) {
    results.sink(JsonLines::to(&args.output));
}
