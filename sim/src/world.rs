//! A world: the options, the clock and the faults that a seed gives to a job, and how it ran.

use std::sync::Arc;
use std::time::Duration;

use highwater_core::clock::{ManualClock, SystemClock};
use highwater_core::config::{Budget, Config, Mode};
use highwater_core::error::Result;
use highwater_core::job::Job;
use highwater_core::key::KeyGroups;
use highwater_operators::environment::{Env, Summary, run};
use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::journal::{Journal, Note};
use crate::random::Random;
use crate::turns::SeededTurns;

/// The one type of value that flows in a simulated job.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Item {
    /// What the streams are keyed by.
    pub key: u64,
    /// What is added up.
    pub value: i64,
    /// Where it comes from: a number given by the source, the sum of those for an aggregate.
    pub id: u64,
}

/// The turns after which every simulated job must have ended.
const LIMIT: u64 = 200_000;

/// What a job runs in.
#[derive(Clone, Debug)]
pub struct World {
    /// The seed of the turns.
    pub seed: u64,
    /// The options of the job, without turns and witness.
    pub config: Config,
    /// What goes wrong.
    pub faults: Faults,
    /// The clock that the turns move.
    pub clock: Arc<ManualClock>,
}

/// How a job ran.
#[derive(Debug)]
pub struct Run {
    /// What every operator did.
    pub journal: Vec<Note>,
    /// Which worker had which turn.
    pub order: Vec<u8>,
    /// What the job came to.
    pub ended: Result<Summary>,
    /// How keys were divided among the workers.
    pub key_groups: KeyGroups,
    /// How often an operator had no credit for what it wanted to emit.
    pub blocked: u64,
}

impl Run {
    /// Returns everything that happened, in order, as bytes.
    #[must_use]
    pub fn trace(&self) -> Vec<u8> {
        let mut bytes = self.order.clone();
        for note in &self.journal {
            bytes.extend(format!("{note:?}\n").into_bytes());
        }
        bytes
    }
}

impl World {
    /// Returns a world without surprises: generous limits, no faults, a clock that moves by one ms
    /// a turn.
    #[must_use]
    pub fn calm(seed: u64, workers: usize) -> Self {
        let clock = Arc::new(ManualClock::default());
        let config = Config {
            watermark_interval: Duration::from_millis(10),
            clock: Arc::<ManualClock>::clone(&clock),
            ..Config::workers(workers)
        };
        World { seed, config, faults: Faults::none(workers), clock }
    }

    /// Draws a world: 1 to 4 workers, limits on batches, activations and credit from generous to
    /// hardly any, faults.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let workers = random.pick(&[1, 2, 2, 3, 4]);
        let mut world = World::calm(seed, workers);
        world.faults = Faults::draw(&mut random, workers);
        world.config.max_parallelism = random.pick(&[None, Some(4), Some(7), Some(16)]);
        world.config.batch_records = random.pick(&[Some(1), Some(2), Some(7), Some(64), None]);
        world.config.credit_bytes = random.pick(&[1, 200, 2000, 1 << 20]);
        world.config.budget = Budget {
            batches: random.pick(&[1, 1, 2, 5, usize::MAX]),
            source_bytes: random.pick(&[1, 200, 1000, 10_000]),
            ..Budget::default()
        };
        world
    }

    /// Lets the job treat its sources as this mode says.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.config.mode = mode;
        self
    }

    /// Runs a job under seeded turns.
    pub fn run<F>(self, program: F) -> Run
    where
        F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
    {
        let turns = Arc::new(SeededTurns::new(self.seed, self.faults, self.clock, LIMIT));
        let job = Config { turns: Some(Arc::<SeededTurns>::clone(&turns)), ..self.config };
        let ran = watched(job, |job| turns.attach(job), program);
        Run { order: turns.order(), ..ran }
    }

    /// Runs a job on free-running workers, with the machine's clock: the limits of the world hold,
    /// its faults do not, and no run is like another.
    pub fn run_freely<F>(self, program: F) -> Run
    where
        F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
    {
        let config = Config { clock: Arc::new(SystemClock::default()), ..self.config };
        let triggers = self.faults.triggers;
        let started = |job: &Arc<Job>| {
            let job = Arc::downgrade(job);
            std::thread::spawn(move || {
                while let Some(job) = job.upgrade() {
                    if triggers > 0 {
                        job.trigger();
                    }
                    drop(job);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        };
        watched(config, started, program)
    }
}

/// Runs a job and keeps its journal.
///
/// - `started`: is given the job before it runs.
fn watched<F>(config: Config, started: impl FnOnce(&Arc<Job>), program: F) -> Run
where
    F: for<'scope> Fn(&Env<'scope>) -> Result<()> + Send + Sync + 'static,
{
    let journal = Arc::new(Journal::default());
    let config = Config { witness: Some(Arc::<Journal>::clone(&journal)), ..config };
    let job = match Job::new(config) {
        Ok(job) => Arc::new(job),
        Err(error) => {
            let (journal, order) = (Vec::new(), Vec::new());
            let key_groups = KeyGroups::new(1, 1);
            return Run { journal, order, ended: Err(error), key_groups, blocked: 0 };
        }
    };
    started(&job);
    let ended = run(&job, program);
    let blocked = job.metrics().operators().iter().map(|o| o.blocked.get()).sum();
    let key_groups = job.key_groups();
    Run { journal: journal.take(), order: Vec::new(), ended, key_groups, blocked }
}
