//! The options that every program has: workers, mode, intervals, logs and metrics.

mod checkpoint;
mod processes;
mod stores;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::{Args, Parser, ValueEnum};
use highwater_checkpoint::CheckpointOptions;
use highwater_core::config::{MIN_WATERMARK_INTERVAL, Mode};
use highwater_core::error::{Error, Result};
use highwater_core::key::MAX_PARALLELISM;
use tracing_subscriber::EnvFilter;

pub use checkpoint::CheckpointArgs;
pub use processes::{ProcessArgs, Processes};
pub use stores::StateOption;

use crate::supervisor::RestartStrategy;

/// What a job is run with.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The options of the engine.
    pub engine: highwater_core::config::Config,
    /// Whether to show how far the job has come, and what it came to.
    pub progress: bool,
    /// Where to write the metrics.
    pub metrics: Option<PathBuf>,
    /// The processes of the job, if it has several.
    pub processes: Option<Processes>,
    /// The checkpoints, if the job takes any.
    pub checkpoints: Option<CheckpointOptions>,
    /// Whether and when the program is started again when the job has failed; `None` runs the job
    /// in this process.
    pub restart: RestartStrategy,
    /// Where a job that takes checkpoints listens for requests, see [`control`](crate::control).
    pub control: Option<PathBuf>,
    /// The address of the coordinator of a cluster that runs the program instead of this machine.
    pub cluster: Option<String>,
    /// Whether a job that takes checkpoints ends with a last one when the process is sent SIGTERM,
    /// and listens beside its checkpoints when `control` says nothing.
    pub attended: bool,
}

impl Config {
    /// Returns the default options with this many workers, without progress or logs.
    #[must_use]
    pub fn workers(workers: usize) -> Self {
        Config { engine: highwater_core::config::Config::workers(workers), ..Config::default() }
    }

    /// Reads the options from the command line of a program that has none of its own.
    ///
    /// Prints help, or a sentence about what is wrong, and ends the process when asked to or when
    /// the command line is not understood (exit code 2).
    ///
    /// # Errors
    /// When an option has a value that is not allowed.
    pub fn from_args() -> Result<Self> {
        #[derive(Parser)]
        struct OptionsOnly {
            #[command(flatten)]
            job: JobOptions,
        }
        OptionsOnly::parse().job.config()
    }
}

/// The options of a job on the command line, to be flattened into the options of a program:
/// `#[command(flatten)] job: JobOptions`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Job options")]
pub struct JobOptions {
    /// Worker threads of each process
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = workers())]
    pub workers: usize,

    /// How bounded sources are treated
    #[arg(long, value_enum, default_value_t = ModeOption::Streaming)]
    pub mode: ModeOption,

    /// How often sources move their watermark; 10ms or more
    #[arg(long, value_name = "DURATION", default_value = "200ms", value_parser = interval)]
    pub watermark_interval: Duration,

    /// Key groups; by default 1.5 times the workers, as a power of two from 128 to 32768
    #[arg(long, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARALLELISM)))]
    pub max_parallelism: Option<u32>,

    /// Records per second that each source may emit
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,

    /// Where operators keep their state if they do not say it themselves
    #[arg(long, value_enum, default_value_t = StateOption::Heap)]
    pub state: StateOption,

    /// Memory for all state in RocksDB, such as 256MiB; 16MiB or more
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = bytes)]
    pub rocksdb_memory: u64,

    /// What to log: error, warn, info, debug, trace, or a filter such as highwater_core=debug
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    pub log: String,

    /// Write metrics into FILE every second and at the end, in the text format of Prometheus
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,

    /// The processes
    #[command(flatten)]
    pub processes: ProcessArgs,

    /// Let a cluster run the program, and wait for its end: the address of its coordinator. The
    /// variable HIGHWATER_TOKEN_FILE names a file with the token that lets us in
    #[arg(long, value_name = "URL")]
    pub cluster: Option<String>,

    /// The checkpoints
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,
}

/// The values of `--mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeOption {
    /// Batch when all sources are bounded, else streaming
    Auto,
    /// Results appear as soon as the watermark lets them
    Streaming,
    /// One watermark, at the end: only final results
    Batch,
}

/// Reads a number of bytes such as `64MiB` or `1000000`.
fn bytes(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>().map(|size| size.as_u64())
}

fn workers() -> impl TypedValueParser<Value = usize> {
    let range = clap::value_parser!(u64).range(1..=u64::from(MAX_PARALLELISM));
    range.map(|workers| workers as usize)
}

/// Reads a duration such as `200ms`, `4s`, `60m` or `22h`.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text).map_err(|error| error.to_string())?;
    if interval < MIN_WATERMARK_INTERVAL {
        return Err(format!("it must be {MIN_WATERMARK_INTERVAL:?} or more"));
    }
    Ok(interval)
}

impl JobOptions {
    /// Starts the log and returns the options of the job.
    ///
    /// # Errors
    /// When an option has a value that is not allowed.
    pub fn config(&self) -> Result<Config> {
        let filter = EnvFilter::try_new(&self.log)
            .map_err(|cause| Error::option("--log", &self.log, format!("a filter ({cause})")))?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        if log.try_init().is_err() {
            tracing::debug!("the log was started before");
        }
        let engine = highwater_core::config::Config {
            workers: self.workers,
            mode: match self.mode {
                ModeOption::Auto => Mode::Auto,
                ModeOption::Streaming => Mode::Streaming,
                ModeOption::Batch => Mode::Batch,
            },
            watermark_interval: self.watermark_interval,
            max_parallelism: self.max_parallelism,
            rate: self.rate,
            stores: self.state.stores(self.rocksdb_memory)?,
            state: Some(self.state.backend()),
            ..highwater_core::config::Config::default()
        };
        engine.check()?;
        Ok(Config {
            engine,
            progress: true,
            metrics: self.metrics.clone(),
            processes: self.processes.processes()?,
            checkpoints: self.checkpoints.options()?,
            restart: self.checkpoints.restart(),
            control: self.checkpoints.control()?,
            cluster: self.cluster.clone(),
            attended: true,
        })
    }
}
