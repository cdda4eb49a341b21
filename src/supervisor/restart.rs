//! Whether and when a failed job is started again: Flink's restart strategies.
//!
//! ```text
//! --restart TEXT --> RestartStrategy --> Restarts --failed(now, chance)--> After(delay) | GiveUp
//! ```
//!
//! | strategy | starts again | after |
//! |---|---|---|
//! | `none` | never | |
//! | `fixed-delay` | `attempts` times (1) | `delay` (1s) |
//! | `failure-rate` | while at most `max` (1) failures fall into an `interval` (1m) | `delay` (1s) |
//! | `exponential` | `attempts` times between two resets (unlimited) | `initial` (1s), each time `multiplier` (1.5) times longer, up to `max` (1m), give or take the share `jitter` (0.1) of it; from the beginning after `reset` (1h) without a failure |
//!
//! The machine knows no clock and no chance but what it is given.
//!
//! **Invariants**, each a property in the tests
//! - *Limited*: never more restarts than the strategy allows.
//! - *Bounded*: an exponential delay lies between `initial` and `max`, jitter included.
//!
//! **Sources**: Flink's `FixedDelayRestartBackoffTimeStrategy`,
//! `FailureRateRestartBackoffTimeStrategy`, `ExponentialDelayRestartBackoffTimeStrategy`
//! (FLINK-33738 made the last one the default).

use std::collections::VecDeque;
use std::time::Duration;

mod text;

/// Whether and when a failed job is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RestartStrategy {
    /// Never.
    #[default]
    None,
    /// A number of times.
    FixedDelay {
        /// How often.
        attempts: u32,
        /// How long after the failure.
        delay: Duration,
    },
    /// While failures are rare.
    FailureRate {
        /// How many failures may fall into an interval.
        max: u32,
        /// The interval.
        interval: Duration,
        /// How long after the failure.
        delay: Duration,
    },
    /// After longer and longer delays.
    Exponential(Backoff),
}

/// Delays that grow from failure to failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first delay, and the least.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
    /// How many times longer each delay is than the one before; 1 or more.
    pub multiplier: f64,
    /// The share of a delay, 0 to 1, by which it is made longer or shorter at random, so that jobs
    /// that failed together are not started again together.
    pub jitter: f64,
    /// After how long without a failure the delays begin anew.
    pub reset: Duration,
    /// How often a job is started again before that; `None` is without limit.
    pub attempts: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            multiplier: 1.5,
            jitter: 0.1,
            reset: Duration::from_secs(3600),
            attempts: None,
        }
    }
}

impl Backoff {
    /// Returns the delay before a restart.
    ///
    /// - `restarts`: how many there have been since the delays began.
    /// - `chance`: a random number from 0 to 1.
    fn delay(&self, restarts: u32, chance: f64) -> Duration {
        let grown = self.initial.as_secs_f64() * self.multiplier.powf(f64::from(restarts));
        let jittered = grown * (1.0 + self.jitter * (2.0 * chance - 1.0));
        // What is too long for a duration is longer than the longest delay.
        let delay = Duration::try_from_secs_f64(jittered).unwrap_or(self.max);
        delay.min(self.max).max(self.initial)
    }
}

/// What happens after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The job is started again after this time.
    After(Duration),
    /// The job has failed for good.
    GiveUp,
}

/// The restarts of one job.
#[derive(Debug)]
pub struct Restarts {
    strategy: RestartStrategy,
    /// How many there have been; with growing delays, since these began.
    count: u32,
    /// When it was or is to be started again the last time.
    resumed: Option<Duration>,
    /// The failures of the last interval, oldest first.
    recent: VecDeque<Duration>,
}

impl Restarts {
    /// Returns the restarts of a job that has not failed yet.
    #[must_use]
    pub fn new(strategy: RestartStrategy) -> Self {
        Restarts { strategy, count: 0, resumed: None, recent: VecDeque::new() }
    }

    /// Takes note of a failure.
    ///
    /// - `now`: since any instant, the same for all failures.
    /// - `chance`: a random number from 0 to 1.
    pub fn failed(&mut self, now: Duration, chance: f64) -> Verdict {
        let (allowed, delay) = match self.strategy {
            RestartStrategy::None => (false, Duration::ZERO),
            RestartStrategy::FixedDelay { attempts, delay } => (self.count < attempts, delay),
            RestartStrategy::FailureRate { max, interval, delay } => {
                self.recent.push_back(now);
                while self.recent.front().is_some_and(|failed| now - *failed > interval) {
                    self.recent.pop_front();
                }
                (self.recent.len() <= max as usize, delay)
            }
            RestartStrategy::Exponential(backoff) => {
                if self.resumed.is_some_and(|resumed| now >= resumed.saturating_add(backoff.reset))
                {
                    self.count = 0;
                }
                let allowed = backoff.attempts.is_none_or(|attempts| self.count < attempts);
                (allowed, backoff.delay(self.count, chance))
            }
        };
        if !allowed {
            return Verdict::GiveUp;
        }
        self.count = self.count.saturating_add(1);
        self.resumed = Some(now.saturating_add(delay));
        Verdict::After(delay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Plays failures at these instants, in ms.
    fn played(strategy: RestartStrategy, failures: &[u64], chance: f64) -> Vec<Verdict> {
        let mut restarts = Restarts::new(strategy);
        failures.iter().map(|at| restarts.failed(ms(*at), chance)).collect()
    }

    /// The delays of a strategy with a failure right after each restart, in ms.
    fn delays(backoff: Backoff, failures: usize) -> Vec<u64> {
        let (mut restarts, mut now) = (Restarts::new(RestartStrategy::Exponential(backoff)), ms(0));
        let mut delays = Vec::new();
        for _ in 0..failures {
            if let Verdict::After(delay) = restarts.failed(now, 0.5) {
                delays.push(delay.as_millis() as u64);
                now += delay;
            }
        }
        delays
    }

    #[test]
    fn without_a_strategy_the_first_failure_is_the_last() {
        assert_eq!(played(RestartStrategy::None, &[0], 0.5), [Verdict::GiveUp]);
    }

    #[test]
    fn exponential_delays_grow_by_the_multiplier_up_to_the_longest() {
        let backoff = Backoff::default();
        assert_eq!(delays(backoff, 5), [1000, 1500, 2250, 3375, 5062]);
        assert_eq!(delays(backoff, 1000).last(), Some(&60_000));
        let twice = Backoff { attempts: Some(2), ..backoff };
        assert_eq!(delays(twice, 5), [1000, 1500]);
    }

    #[test]
    fn exponential_delays_begin_anew_after_a_long_time_without_failures() {
        let backoff = Backoff { attempts: Some(2), reset: ms(10_000), ..Backoff::default() };
        let strategy = RestartStrategy::Exponential(backoff);
        let (first, second) = (Verdict::After(ms(1000)), Verdict::After(ms(1500)));
        // The time counts from the restart at 1000, not from the failure.
        assert_eq!(played(strategy, &[0, 10_999], 0.5), [first, second]);
        assert_eq!(played(strategy, &[0, 11_000], 0.5), [first, first]);
        let verdicts = played(strategy, &[0, 2000, 4000, 15_000, 17_000], 0.5);
        assert_eq!(verdicts, [first, second, Verdict::GiveUp, first, second]);
    }

    /// Failures in the order of time, in ms.
    fn failures() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(0_u64..2_000, 1..60).prop_map(|gaps| {
            let instants = gaps.iter().scan(0, |now, gap| {
                *now += gap;
                Some(*now)
            });
            instants.collect()
        })
    }

    proptest! {
        #[test]
        fn a_fixed_number_of_restarts_is_never_exceeded(
            failures in failures(), attempts in 0_u32..20, delay in 0_u64..5_000,
        ) {
            let strategy = RestartStrategy::FixedDelay { attempts, delay: ms(delay) };
            let verdicts = played(strategy, &failures, 0.5);
            for (number, verdict) in verdicts.iter().enumerate() {
                let expected = match number < attempts as usize {
                    true => Verdict::After(ms(delay)),
                    false => Verdict::GiveUp,
                };
                prop_assert_eq!(*verdict, expected);
            }
        }

        #[test]
        fn a_job_is_given_up_exactly_when_an_interval_holds_too_many_failures(
            failures in failures(), max in 1_u32..6, interval in 1_u64..6_000,
        ) {
            let delay = ms(7);
            let strategy = RestartStrategy::FailureRate { max, interval: ms(interval), delay };
            let verdicts = played(strategy, &failures, 0.5);
            for (number, verdict) in verdicts.iter().enumerate() {
                let now = failures[number];
                let so_far = failures[..=number].iter();
                let recent = so_far.filter(|failed| now - **failed <= interval).count();
                let expected = match recent > max as usize {
                    true => Verdict::GiveUp,
                    false => Verdict::After(delay),
                };
                prop_assert_eq!(*verdict, expected);
            }
        }

        #[test]
        fn jitter_stays_within_its_share_and_within_the_bounds(
            restarts in 0_u32..3_000, initial in 1_u64..5_000, more in 0_u64..100_000,
            multiplier in 1.0_f64..4.0, jitter in 0.0_f64..=1.0, chance in 0.0_f64..=1.0,
        ) {
            let (initial, max) = (ms(initial), ms(initial + more));
            let backoff = Backoff { initial, max, multiplier, jitter, ..Backoff::default() };
            let delay = backoff.delay(restarts, chance);
            prop_assert!(delay >= initial && delay <= max, "{:?}", delay);
            let plain = initial.as_secs_f64() * multiplier.powf(f64::from(restarts));
            let (least, most) = (plain * (1.0 - jitter), plain * (1.0 + jitter));
            let within = delay.as_secs_f64() >= least.min(max.as_secs_f64()) - 1e-6
                && delay.as_secs_f64() <= most.max(initial.as_secs_f64()) + 1e-6;
            prop_assert!(within, "{:?} is not within {} and {}", delay, least, most);
        }

        #[test]
        fn chance_moves_a_delay(restarts in 0_u32..5, chance in 0.0_f64..1.0) {
            let backoff = Backoff { initial: ms(1), jitter: 0.5, ..Backoff::default() };
            let backoff = Backoff { multiplier: 4.0, ..backoff };
            let expected = 4_f64.powf(f64::from(restarts)) * (0.5 + chance);
            let delay = backoff.delay(restarts, chance).as_secs_f64() * 1000.0;
            prop_assert!((delay - expected.max(1.0)).abs() < 1e-5, "{} not {}", delay, expected);
        }
    }
}
