//! The options of checkpoints on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use highwater_checkpoint::{CheckpointOptions, Restore};
use highwater_core::error::{Error, Result};

use super::duration;
use crate::supervisor::RestartStrategy;
use crate::supervisor::restart::Backoff;

/// Checkpoints: where they are kept, how often they are taken, and what the job begins with.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Checkpoint options")]
pub struct CheckpointArgs {
    /// Take checkpoints and keep them there: a folder, or an address such as s3://bucket/job
    #[arg(long, value_name = "URL")]
    pub checkpoint_dir: Option<String>,

    /// The time from one checkpoint to the next; 10ms or more [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub checkpoint_interval: Option<Duration>,

    /// Give up a checkpoint after this time
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    pub checkpoint_timeout: Duration,

    /// The least time between the end of a checkpoint and the next one
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub min_pause_between_checkpoints: Duration,

    /// How many checkpoints may be under way at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub max_concurrent_checkpoints: usize,

    /// How many checkpoints in a row may fail before the job does
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub tolerable_failed_checkpoints: u32,

    /// How many completed checkpoints are kept
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub retained_checkpoints: usize,

    /// What to begin with: latest (the newest checkpoint, if there is one), none, or the address of
    /// a savepoint
    #[arg(long, value_name = "latest|none|URL", default_value = "none")]
    pub restore: String,

    /// Leave behind stored state of operators that the job does not have
    #[arg(long)]
    pub allow_non_restored_state: bool,

    /// Take over the savepoint that --restore names: it is deleted when the first checkpoint after
    /// it is complete
    #[arg(long)]
    pub claim: bool,

    /// Start the job again when it fails: none, fixed-delay[:attempts=1,delay=1s],
    /// failure-rate[:max=1,interval=1m,delay=1s] or
    /// exponential[:initial=1s,max=1m,multiplier=1.5,jitter=0.1,reset=1h,attempts=N]
    /// [default: exponential with --checkpoint-dir, else none]
    #[arg(long, value_name = "STRATEGY")]
    pub restart: Option<RestartStrategy>,

    /// Listen at this socket for `highwater stop`, `savepoint` and `status`
    /// [default: control in the folder of --checkpoint-dir]
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
}

impl CheckpointArgs {
    /// Returns whether and when the job is started again when it fails.
    #[must_use]
    pub fn restart(&self) -> RestartStrategy {
        self.restart.unwrap_or(match self.checkpoint_dir {
            Some(_) => RestartStrategy::Exponential(Backoff::default()),
            None => RestartStrategy::None,
        })
    }

    /// Returns where the job listens for requests, if it was told to.
    ///
    /// # Errors
    /// When it takes no checkpoints.
    pub fn control(&self) -> Result<Option<PathBuf>> {
        match (&self.control, &self.checkpoint_dir) {
            (Some(path), None) => Err(without("--control", &path.display().to_string())),
            (path, _) => Ok(path.clone()),
        }
    }

    /// Returns the options of the checkpoints, `None` if the job takes none.
    ///
    /// # Errors
    /// When an option is given that means nothing without checkpoints, or is not allowed.
    pub fn options(&self) -> Result<Option<CheckpointOptions>> {
        let Some(url) = &self.checkpoint_dir else {
            return match (self.checkpoint_interval, self.restore.as_str()) {
                (Some(interval), _) => {
                    Err(without("--checkpoint-interval", &format!("{interval:?}")))
                }
                (None, "none") => Ok(None),
                (None, restore) => Err(without("--restore", restore)),
            };
        };
        let defaults = CheckpointOptions::at(url);
        let options = CheckpointOptions {
            interval: self.checkpoint_interval.unwrap_or(defaults.interval),
            timeout: self.checkpoint_timeout,
            min_pause: self.min_pause_between_checkpoints,
            max_concurrent: self.max_concurrent_checkpoints,
            tolerable_failures: self.tolerable_failed_checkpoints,
            retained: self.retained_checkpoints,
            restore: match self.restore.as_str() {
                "none" => Restore::None,
                "latest" => Restore::Latest,
                url => Restore::From(url.to_owned()),
            },
            allow_non_restored_state: self.allow_non_restored_state,
            claim: self.claim,
            ..defaults
        };
        options.check()?;
        Ok(Some(options))
    }
}

fn without(option: &str, value: &str) -> Error {
    Error::option(option, value, "--checkpoint-dir beside it")
}
