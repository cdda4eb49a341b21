//! What is remembered of the failures of a job.
//!
//! **Sources**: the exception history of Flink's web interface, which keeps sixteen, too.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How many failures are kept.
const KEPT: usize = 16;

/// One failure of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When it was noticed, in ms since 1970.
    pub at_ms: i64,
    /// Which start of the job failed, from 1.
    pub attempt: u64,
    /// How its process ended, such as `exit code 1` or `signal 9 (SIGKILL)`.
    pub exit: String,
    /// Why it failed.
    pub sentence: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(self.at_ms.max(0).unsigned_abs()));
        let at = humantime::format_rfc3339_seconds(at.unwrap_or(UNIX_EPOCH));
        write!(f, "{at}, attempt {}, {}: {}", self.attempt, self.exit, self.sentence)
    }
}

/// The failures of a job so far.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: usize,
    newest: VecDeque<Failure>,
}

impl Failures {
    pub(super) fn add(&mut self, failure: Failure) {
        self.count += 1;
        self.newest.push_back(failure);
        if self.newest.len() > KEPT {
            self.newest.pop_front();
        }
    }

    /// Returns the last ones, oldest first.
    pub(super) fn newest(&self) -> Vec<Failure> {
        self.newest.iter().cloned().collect()
    }

    /// Says once more what happened, if it was more than one failure.
    pub(super) fn sum_up(&self) {
        if self.count < 2 {
            return;
        }
        tracing::warn!("the job failed {} times:", self.count);
        self.newest.iter().for_each(|failure| tracing::warn!("  {failure}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_only_the_last_are_kept() {
        let failure = |attempt| Failure {
            at_ms: 1_700_000_000_123,
            attempt,
            exit: "signal 9 (SIGKILL)".to_owned(),
            sentence: "its process was killed".to_owned(),
        };
        let line = "2023-11-14T22:13:20Z, attempt 3, signal 9 (SIGKILL): its process was killed";
        assert_eq!(failure(3).to_string(), line);
        let mut failures = Failures::default();
        (1..=20).for_each(|attempt| failures.add(failure(attempt)));
        let attempts: Vec<u64> = failures.newest().iter().map(|f| f.attempt).collect();
        assert_eq!(attempts, (5..=20).collect::<Vec<_>>());
    }
}
