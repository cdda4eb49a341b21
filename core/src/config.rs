//! What a job is run with: workers, mode, intervals and limits.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::cut::Snapshots;
use crate::error::{Error, Result};
use crate::key::{KeyGroups, MAX_PARALLELISM, default_max_parallelism};
use crate::peers::Peers;
use crate::store::Stores;
use crate::witness::Witness;
use crate::worker::Turns;

/// How a job treats its bounded sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Batch when all sources are bounded, else streaming.
    Auto,
    /// Watermarks advance while the sources are read; results appear as soon as they are due.
    #[default]
    Streaming,
    /// One watermark, at the end; only final results appear.
    Batch,
}

/// Where a keyed operator keeps its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateBackend {
    /// In memory: every value is a few instructions away.
    Heap,
    /// In a store of the job, such as RocksDB, with the values in use in memory: for more state than
    /// fits there.
    Store,
}

/// How much one operator may do before it lets the others of its worker run.
///
/// Workers are single threads without preemption: a long activation holds back the frontier of the
/// whole job.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The time an activation may take.
    pub time: Duration,
    /// The batches an activation may process; simulations make it small.
    pub batches: usize,
    /// The bytes a source may emit in one activation.
    pub source_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { time: Duration::from_millis(1), batches: usize::MAX, source_bytes: 256 * 1024 }
    }
}

/// The options of a job.
#[derive(Clone)]
pub struct Config {
    /// How many worker threads run the job in each of its processes.
    pub workers: usize,
    /// The other processes of the job; `None` if it has only this one.
    pub peers: Option<Arc<dyn Peers>>,
    /// How bounded sources are treated.
    pub mode: Mode,
    /// How often sources move their watermark.
    pub watermark_interval: Duration,
    /// The number of key groups; `None` chooses Flink's default for the number of workers.
    pub max_parallelism: Option<u32>,
    /// The records per second that each source may emit, over all workers.
    pub rate: Option<u64>,
    /// The bytes that may be in flight per edge, sender, receiver and epoch.
    pub credit_bytes: u64,
    /// The same between workers of different processes, which learn later what was processed.
    pub credit_bytes_across: u64,
    /// The records of a batch; `None` fits batches to the processor's cache.
    pub batch_records: Option<usize>,
    /// How long an operator may run at a time.
    pub budget: Budget,
    /// Where processing time comes from.
    pub clock: Arc<dyn Clock>,
    /// Who decides which worker steps next; `None` lets them run freely.
    pub turns: Option<Arc<dyn Turns>>,
    /// Who watches the operators, in simulations.
    pub witness: Option<Arc<dyn Witness>>,
    /// Who takes what operators freeze between epochs, and has what they are restored from.
    pub snapshots: Option<Arc<dyn Snapshots>>,
    /// The stores for keyed state that does not fit into memory; `None` if the job has none.
    pub stores: Option<Arc<dyn Stores>>,
    /// Where operators keep their state if they do not say it themselves; `None` is in stores if the
    /// job has them, else in memory.
    pub state: Option<StateBackend>,
}

/// The least watermark interval: shorter ones drown the job in progress messages.
pub const MIN_WATERMARK_INTERVAL: Duration = Duration::from_millis(10);

impl Default for Config {
    fn default() -> Self {
        Config {
            workers: 1,
            peers: None,
            mode: Mode::default(),
            watermark_interval: Duration::from_millis(200),
            max_parallelism: None,
            rate: None,
            credit_bytes: 4 << 20,
            credit_bytes_across: 8 << 20,
            batch_records: None,
            budget: Budget::default(),
            clock: Arc::new(SystemClock::default()),
            turns: None,
            witness: None,
            snapshots: None,
            stores: None,
            state: None,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("workers", &self.workers)
            .field("mode", &self.mode)
            .field("watermark_interval", &self.watermark_interval)
            .field("max_parallelism", &self.max_parallelism)
            .field("rate", &self.rate)
            .field("credit_bytes", &self.credit_bytes)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Returns the default options with this many workers.
    #[must_use]
    pub fn workers(workers: usize) -> Self {
        Config { workers, ..Config::default() }
    }

    /// Returns how many workers there are in all processes.
    #[must_use]
    pub fn total_workers(&self) -> usize {
        self.workers * self.peers.as_ref().map_or(1, |peers| peers.processes())
    }

    /// Returns the division of keys among the workers.
    ///
    /// # Errors
    /// When an option has a value that is not allowed.
    pub fn key_groups(&self) -> Result<KeyGroups> {
        self.check()?;
        let max =
            self.max_parallelism.unwrap_or_else(|| default_max_parallelism(self.total_workers()));
        Ok(KeyGroups::new(max, self.total_workers()))
    }

    /// Checks that every option has a value that is allowed.
    ///
    /// # Errors
    /// [`Error::Option`] names the first that has not, and says what is allowed.
    pub fn check(&self) -> Result<()> {
        let most = MAX_PARALLELISM as usize;
        let total = self.total_workers();
        if total == 0 || total > most {
            let expected = format!("1 to {most} in all processes");
            return Err(Error::option("--workers", total, expected));
        }
        if let Some(max) = self.max_parallelism
            && (max < total as u32 || max > MAX_PARALLELISM)
        {
            let expected = format!("{total} (the workers) to {MAX_PARALLELISM}");
            return Err(Error::option("--max-parallelism", max, expected));
        }
        if self.watermark_interval < MIN_WATERMARK_INTERVAL {
            let given = format!("{:?}", self.watermark_interval);
            return Err(Error::option("--watermark-interval", given, "10ms or more"));
        }
        if self.rate == Some(0) {
            return Err(Error::option("--rate", 0, "1 or more records per second"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_not_allowed_is_refused_with_what_is() {
        let refused = |config: Config| config.check().expect_err("must be refused").sentence();
        assert_eq!(
            refused(Config::workers(0)),
            "option --workers: 0 is not allowed, expected 1 to 32768 in all processes"
        );
        let config = Config { max_parallelism: Some(1), ..Config::workers(2) };
        assert!(refused(config).starts_with("option --max-parallelism: 1 is not allowed"));
        let config = Config { rate: Some(0), ..Config::default() };
        assert!(refused(config).starts_with("option --rate"));
    }
}
