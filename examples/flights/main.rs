//! A year of real departures from New York, by origin and hour, in event time.
//!
//! ```text
//! flights.csv.gz --filter(departed)--> event time = actual departure
//!     --key_by(origin)--> hour windows --> departures, mean and greatest delay --> part-*
//!                                    '--> too late for their hour --> late-*
//! ```
//!
//! What to look at: the file is sorted by timetable, so delays make the stream out of order, and
//! `--out-of-orderness` says how long an hour waits for stragglers. With 22h nothing is late and the
//! result is that of a batch; with 60m many are, and they all end up in `late-*`.
//!
//! Run: `cargo run --release --example flights -- hourly --output out/flights --overwrite`
//! draws the year as `out/flights/_flights.svg`.

mod picture;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use highwater::options::{JobOptions, duration};
use highwater::prelude::*;
use serde::{Deserialize, Serialize};

/// Asks questions of a year of departures from New York.
#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    query: Query,
}

#[derive(Subcommand)]
enum Query {
    /// Departures, mean and greatest delay per origin and hour
    Hourly(Hourly),
}

#[derive(Args)]
struct Hourly {
    /// The flights, as CSV: a file or a folder, plain or compressed
    #[arg(long, value_name = "FILE", default_value = "examples/data/flights.csv.gz")]
    input: PathBuf,
    /// Where the results go; without it they are only counted
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Replace results that are there already
    #[arg(long)]
    overwrite: bool,
    /// How late a departure may be reported
    #[arg(long, value_name = "DURATION", default_value = "60m", value_parser = duration)]
    out_of_orderness: Duration,
    /// How long an hour is kept for late departures after its first result
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lateness: Duration,
    #[command(flatten)]
    job: JobOptions,
}

fn main() -> ExitCode {
    let Query::Hourly(args) = Program::parse().query;
    highwater::exit(hourly(args))
}

fn hourly(args: Hourly) -> Result<()> {
    let config = args.job.config()?;
    let rows = Collect::new();
    let (drawn, output) = (rows.clone(), args.output.clone());
    highwater::execute(config, move |env| {
        let departures = env
            .read(CsvFiles::<Flight>::at(&args.input))
            .filter(|flight| flight.dep_delay_min.is_some())
            .watermarks(Watermarks::bounded(args.out_of_orderness).event_time(Flight::departed));
        let hourly = departures
            .key_by(|flight| flight.origin.clone())
            .window(Tumbling::of(hours(1)))
            .allowed_lateness(args.lateness)
            .aggregate(DelayStats);
        let results = hourly.map(Row::from);
        match &args.output {
            Some(dir) => {
                let late = CsvFiles::to(dir).named("late").overwrite(args.overwrite);
                hourly.late().sink(late);
                results.sink(CsvFiles::to(dir).overwrite(args.overwrite));
                results.sink(drawn.clone());
            }
            None => drop(results.discard()),
        }
        Ok(())
    })?;
    match output {
        Some(dir) => picture::draw(&rows.take_values(), &dir.join("_flights.svg")),
        None => Ok(()),
    }
}

/// A line of the input; late ones are written back as they came.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flight {
    scheduled: Utc,
    dep_delay_min: Option<i64>,
    arr_delay_min: Option<i64>,
    carrier: String,
    flight: u32,
    tailnum: String,
    origin: String,
    dest: String,
    air_time_min: Option<i64>,
    distance_mi: Option<i64>,
}

impl Flight {
    /// When it really departed, in ms since 1970.
    fn departed(&self) -> EventTime {
        self.scheduled.0 + self.dep_delay_min.unwrap_or(0) * 60_000
    }
}

/// A time in ms since 1970, written as in `2013-01-01T10:15:00Z`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Utc(EventTime);

impl TryFrom<String> for Utc {
    type Error = humantime::TimestampError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let since_1970 = humantime::parse_rfc3339(&text)?.duration_since(std::time::UNIX_EPOCH);
        Ok(Utc(since_1970.map_or(0, |since| since.as_millis() as i64)))
    }
}

impl From<Utc> for String {
    fn from(time: Utc) -> Self {
        let since_1970 = Duration::from_millis(time.0.unsigned_abs());
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since_1970).to_string()
    }
}

/// Departures, the sum of their delays, and the greatest, in minutes.
#[derive(Clone)]
struct DelayStats;

impl AggregateFunction<Flight> for DelayStats {
    type Accumulator = (u64, i64, i64);
    type Output = (u64, f64, i64);

    fn create(&self) -> Self::Accumulator {
        (0, 0, i64::MIN)
    }

    fn add(&self, acc: &mut Self::Accumulator, flight: Flight) {
        let delay = flight.dep_delay_min.unwrap_or(0);
        *acc = (acc.0 + 1, acc.1 + delay, acc.2.max(delay));
    }

    fn merge(&self, into: &mut Self::Accumulator, other: Self::Accumulator) {
        *into = (into.0 + other.0, into.1 + other.1, into.2.max(other.2));
    }

    fn result(&self, acc: &Self::Accumulator) -> Self::Output {
        (acc.0, acc.1 as f64 / acc.0 as f64, acc.2)
    }
}

/// A line of the output.
#[derive(Clone, Debug, Serialize)]
struct Row {
    origin: String,
    hour_start_ms: i64,
    departures: u64,
    mean_delay_min: String,
    max_delay_min: i64,
}

impl From<Windowed<String, (u64, f64, i64)>> for Row {
    fn from(hour: Windowed<String, (u64, f64, i64)>) -> Self {
        let (departures, mean, max_delay_min) = hour.value;
        Row {
            origin: hour.key,
            hour_start_ms: hour.window.start,
            departures,
            mean_delay_min: format!("{mean:.2}"),
            max_delay_min,
        }
    }
}
