//! What a cluster says about a job: it counts instead of what the job's command line says.

use std::time::Duration;

use highwater_checkpoint::{CheckpointOptions, Restore};
use highwater_core::error::Result;
use serde::{Deserialize, Serialize};

use super::RestartStrategy;
use super::restart::Backoff;
use crate::options::Config;

/// What counts instead of what the command line of a job says; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// Worker threads in each process.
    pub workers: Option<usize>,
    /// Where a job keeps its checkpoints that does not say it itself.
    pub checkpoint_dir: Option<String>,
    /// The time from one checkpoint to the next, in ms.
    pub checkpoint_interval_ms: Option<u64>,
    /// The savepoint that the job begins with, or `latest`.
    pub restore: Option<String>,
    /// Whether stored state that no operator asks for may be left behind.
    pub allow_non_restored_state: bool,
    /// Whether the savepoint belongs to the job from then on.
    pub claim: bool,
}

impl Overrides {
    /// Lets them count.
    ///
    /// # Errors
    /// When an option has then a value that is not allowed.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(workers) = self.workers {
            config.engine.workers = workers;
        }
        if config.checkpoints.is_none()
            && let Some(url) = &self.checkpoint_dir
        {
            config.checkpoints = Some(CheckpointOptions::at(url));
            config.attended = true;
            if config.restart == RestartStrategy::None {
                config.restart = RestartStrategy::Exponential(Backoff::default());
            }
        }
        if let Some(options) = &mut config.checkpoints {
            if let Some(ms) = self.checkpoint_interval_ms {
                options.interval = Duration::from_millis(ms);
            }
            match self.restore.as_deref() {
                Some("latest") => options.restore = Restore::Latest,
                Some(url) => options.restore = Restore::From(url.to_owned()),
                None => {}
            }
            options.allow_non_restored_state |= self.allow_non_restored_state;
            options.claim |= self.claim;
            options.check()?;
        }
        config.engine.check()
    }
}

/// What a job says about itself before it begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Worker threads in each process.
    pub workers: usize,
    /// Key groups.
    pub max_parallelism: u32,
    /// Whether and when it wants to be started again, as on the command line.
    pub restart: String,
    /// Its checkpoints, if it takes any.
    pub checkpoints: Option<DescribedCheckpoints>,
}

/// The options of the checkpoints of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedCheckpoints {
    /// Where they are.
    pub url: String,
    /// The time from one to the next, in ms.
    pub interval_ms: u64,
    /// After how long one that is not complete is given up, in ms.
    pub timeout_ms: u64,
    /// The least time between the end of one and the next, in ms.
    pub min_pause_ms: u64,
    /// How many may be under way at once.
    pub max_concurrent: usize,
    /// How many may fail in a row before the job does.
    pub tolerable_failures: u32,
    /// How many completed ones are kept.
    pub retained: usize,
}

impl Described {
    pub(crate) fn of(config: &Config) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Described {
            workers: config.engine.workers,
            max_parallelism: config.engine.max_parallelism.unwrap_or_default(),
            restart: config.restart.to_string(),
            checkpoints: config.checkpoints.as_ref().map(|options| DescribedCheckpoints {
                url: options.url.clone(),
                interval_ms: ms(options.interval),
                timeout_ms: ms(options.timeout),
                min_pause_ms: ms(options.min_pause),
                max_concurrent: options.max_concurrent,
                tolerable_failures: options.tolerable_failures,
                retained: options.retained,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_says_counts_and_what_it_does_not_say_stays() {
        let mut config = Config::workers(2);
        Overrides::default().apply(&mut config).expect("nothing changes");
        assert_eq!(Described::of(&config).workers, 2);
        assert_eq!(Described::of(&config).checkpoints, None);
        let overrides = Overrides {
            workers: Some(3),
            checkpoint_dir: Some("there".to_owned()),
            checkpoint_interval_ms: Some(50),
            restore: Some("savepoint".to_owned()),
            ..Overrides::default()
        };
        overrides.apply(&mut config).expect("allowed");
        let said = Described::of(&config);
        assert_eq!(said.workers, 3);
        assert!(said.restart.starts_with("exponential:"), "{}", said.restart);
        let options = config.checkpoints.as_ref().expect("checkpoints");
        assert_eq!((options.url.as_str(), options.interval.as_millis()), ("there", 50));
        assert_eq!(options.restore, Restore::From("savepoint".to_owned()));

        let elsewhere = Overrides { checkpoint_dir: Some("elsewhere".to_owned()), ..overrides };
        elsewhere.apply(&mut config).expect("allowed");
        assert_eq!(config.checkpoints.expect("checkpoints").url, "there");
    }

    #[test]
    fn what_is_not_allowed_is_an_error() {
        let none = Overrides { workers: Some(0), ..Overrides::default() };
        assert!(none.apply(&mut Config::workers(1)).is_err());
    }
}
