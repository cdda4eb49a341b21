//! How often checkpoints are taken, how many are kept, and where a job begins.

use std::time::Duration;

use highwater_core::error::{Error, Result};

/// What a job begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Restore {
    /// Nothing, even if there are checkpoints.
    #[default]
    None,
    /// The newest completed checkpoint; nothing, if there is none yet.
    Latest,
    /// The newest completed checkpoint of this attempt or a later one, else what the option says:
    /// a job that is started again after a failure.
    Since {
        /// The attempt.
        attempt: u64,
        /// What it had begun with.
        or: Box<Restore>,
    },
    /// The savepoint at this address, or the newest checkpoint of the job whose address it is.
    From(String),
}

impl Restore {
    /// Returns the address of the savepoint with which the job begins or had begun.
    pub(crate) fn savepoint(&self) -> Option<&str> {
        match self {
            Restore::From(url) => Some(url),
            Restore::Since { or, .. } => or.savepoint(),
            Restore::None | Restore::Latest => None,
        }
    }
}

/// The options of checkpoints, with Flink's defaults except for `retained`.
#[derive(Clone, Debug)]
pub struct CheckpointOptions {
    /// Where they are kept: a path, or an address such as `s3://bucket/job`.
    pub url: String,
    /// The time from one checkpoint to the next.
    pub interval: Duration,
    /// After how long a checkpoint that is not complete is given up.
    pub timeout: Duration,
    /// The time between the end of a checkpoint and the next one.
    pub min_pause: Duration,
    /// How many may be under way at once.
    pub max_concurrent: usize,
    /// How many may fail in a row before the job does.
    pub tolerable_failures: u32,
    /// How many completed ones are kept. Two, not one as in Flink: when the newest is damaged there
    /// is one before it.
    pub retained: usize,
    /// After how many deltas a full one is taken, so that a restore need not read a long history.
    pub deltas: u32,
    /// What the job begins with.
    pub restore: Restore,
    /// Whether stored state that no operator asks for may be left behind.
    pub allow_non_restored_state: bool,
    /// Whether the savepoint that the job begins with belongs to it from then on: it is deleted when
    /// the first checkpoint after it is complete. Otherwise no file of a savepoint is ever touched.
    pub claim: bool,
}

impl CheckpointOptions {
    /// Returns the default options for checkpoints at an address.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        CheckpointOptions {
            url: url.into(),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(600),
            min_pause: Duration::ZERO,
            max_concurrent: 1,
            tolerable_failures: 0,
            retained: 2,
            deltas: 10,
            restore: Restore::None,
            allow_non_restored_state: false,
            claim: false,
        }
    }

    /// Checks that every option has a value that is allowed.
    ///
    /// # Errors
    /// [`Error::Option`] names the first that has not, and says what is allowed.
    pub fn check(&self) -> Result<()> {
        let ms = |duration: Duration| format!("{duration:?}");
        if self.interval < Duration::from_millis(10) {
            return Err(Error::option("--checkpoint-interval", ms(self.interval), "10ms or more"));
        }
        if self.timeout < Duration::from_millis(10) {
            return Err(Error::option("--checkpoint-timeout", ms(self.timeout), "10ms or more"));
        }
        if self.max_concurrent == 0 {
            return Err(Error::option("--max-concurrent-checkpoints", 0, "1 or more"));
        }
        if self.claim && self.restore.savepoint().is_none() {
            return Err(Error::option("--claim", true, "--restore with a savepoint beside it"));
        }
        if self.retained == 0 {
            return Err(Error::option("--retained-checkpoints", 0, "1 or more"));
        }
        Ok(())
    }
}
