//! What a process says of itself when it connects, and why it may be refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Messages and heartbeats.
    Link,
    /// Batches and progress.
    Data,
}

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The name of the job.
    pub job: String,
    /// Which attempt it is; `None` if process 0 is to say it.
    pub attempt: Option<u64>,
    /// Which of the processes it is, from 0.
    pub index: usize,
    /// Which one it takes the other side for.
    pub to: usize,
    /// How many processes it expects.
    pub processes: usize,
    /// How many workers it has.
    pub workers: usize,
    /// A hash of its executable.
    pub program: u128,
    /// The options that must be equal everywhere, by name.
    pub options: Vec<(String, String)>,
    /// What the connection is for.
    pub purpose: Purpose,
}

/// Why a process is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It does not know the secret.
    Stranger,
    /// What it says cannot be read.
    Unreadable,
    /// It speaks another version of the protocol.
    Version {
        /// That of the one who refuses.
        ours: u16,
        /// The other.
        theirs: u16,
    },
    /// It is of another job.
    Job {
        /// That of the one who refuses.
        ours: String,
        /// The other.
        theirs: String,
    },
    /// It is of another attempt.
    Attempt {
        /// That of the one who refuses.
        ours: u64,
        /// The other, if it knows.
        theirs: Option<u64>,
    },
    /// It looks for another process at this address, or is none that connects here.
    Index {
        /// The index of the one who refuses.
        ours: usize,
        /// The index that it looks for.
        sought: usize,
        /// Its own.
        theirs: usize,
    },
    /// Its executable is another one.
    Program,
    /// An option has another value.
    Option {
        /// Its name.
        name: String,
        /// The value of the one who refuses.
        ours: String,
        /// The other.
        theirs: String,
    },
    /// Another process has its place.
    Taken {
        /// Its index.
        index: usize,
    },
    /// The one who refuses does not know yet which attempt it is.
    NotYet,
}

impl Refusal {
    /// Returns whether it may be admitted later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Refusal::Taken { .. } | Refusal::NotYet)
    }

    /// Returns whether somebody has to change an option or a program.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !self.may_pass() && !matches!(self, Refusal::Attempt { .. } | Refusal::Unreadable)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Stranger => f.write_str("it does not know the secret of the job"),
            Refusal::Unreadable => f.write_str("it does not speak as processes of a job do"),
            Refusal::Version { ours, theirs } => {
                write!(f, "it speaks version {theirs} of the protocol, expected {ours}")
            }
            Refusal::Job { ours, theirs } => {
                write!(f, "it is of job {theirs:?}, expected {ours:?}")
            }
            Refusal::Attempt { ours, theirs: Some(theirs) } => {
                write!(f, "it is of attempt {theirs}, expected {ours}")
            }
            Refusal::Attempt { ours, theirs: None } => {
                write!(f, "it does not know its attempt, expected {ours}")
            }
            Refusal::Index { ours, sought, theirs } => write!(
                f,
                "it is process {theirs} and looks for process {sought}, and this is process \
                 {ours}: the lists of hosts differ"
            ),
            Refusal::Program => f.write_str("its executable is another one"),
            Refusal::Option { name, ours, theirs } => {
                write!(f, "option {name} is {theirs} there, expected {ours}")
            }
            Refusal::Taken { index } => write!(f, "process {index} is connected already"),
            Refusal::NotYet => f.write_str("the attempt is not known yet"),
        }
    }
}

/// What a process expects of the others.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) job: String,
    pub(crate) index: usize,
    pub(crate) processes: usize,
    pub(crate) workers: usize,
    pub(crate) program: u128,
    pub(crate) options: Vec<(String, String)>,
}

impl Expected {
    /// Returns what this process says of itself.
    pub(crate) fn claims(&self, to: usize, attempt: Option<u64>, purpose: Purpose) -> Claims {
        Claims {
            job: self.job.clone(),
            attempt,
            index: self.index,
            to,
            processes: self.processes,
            workers: self.workers,
            program: self.program,
            options: self.options.clone(),
            purpose,
        }
    }

    /// Compares what another process says of itself with what this one expects.
    pub(crate) fn judge(&self, claims: &Claims, attempt: Option<u64>) -> Result<u64, Refusal> {
        if claims.job != self.job {
            return Err(Refusal::Job { ours: self.job.clone(), theirs: claims.job.clone() });
        }
        let Some(ours) = attempt else { return Err(Refusal::NotYet) };
        // Process 0 tells its attempt to who asks.
        let asks = self.index == 0 && claims.attempt.is_none();
        if !asks && claims.attempt != Some(ours) {
            return Err(Refusal::Attempt { ours, theirs: claims.attempt });
        }
        if claims.program != self.program {
            return Err(Refusal::Program);
        }
        let number = |name: &str, ours: usize, theirs: usize| match ours == theirs {
            true => Ok(()),
            false => Err(differs(name, &ours.to_string(), &theirs.to_string())),
        };
        number("--processes", self.processes, claims.processes)?;
        number("--workers", self.workers, claims.workers)?;
        let there = |name: &str| claims.options.iter().find(|(there, _)| there == name);
        for (name, ours) in &self.options {
            match there(name) {
                Some((_, theirs)) if theirs == ours => {}
                Some((_, theirs)) => return Err(differs(name, ours, theirs)),
                None => return Err(differs(name, ours, "unknown")),
            }
        }
        let may_come = claims.index > self.index && claims.index < self.processes;
        if claims.to != self.index || !may_come {
            let (ours, theirs) = (self.index, claims.index);
            return Err(Refusal::Index { ours, sought: claims.to, theirs });
        }
        Ok(ours)
    }
}

fn differs(name: &str, ours: &str, theirs: &str) -> Refusal {
    Refusal::Option { name: name.to_owned(), ours: ours.to_owned(), theirs: theirs.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(index: usize) -> Expected {
        Expected {
            job: "words".to_owned(),
            index,
            processes: 3,
            workers: 2,
            program: 77,
            options: vec![("--mode".to_owned(), "batch".to_owned())],
        }
    }

    #[test]
    fn whoever_differs_in_anything_is_refused() {
        let (host, attempt) = (expected(0), Some(5));
        let claims = expected(1).claims(0, attempt, Purpose::Link);
        assert_eq!(host.judge(&claims, attempt), Ok(5));
        type Change = fn(&mut Claims);
        let changes: [(Change, &str); 9] = [
            (|c| c.job = "others".to_owned(), "job \"others\""),
            (|c| c.attempt = Some(4), "attempt 4, expected 5"),
            (|c| c.program = 78, "executable"),
            (|c| c.processes = 2, "--processes is 2 there, expected 3"),
            (|c| c.workers = 1, "--workers is 1 there, expected 2"),
            (|c| c.options[0].1 = "auto".to_owned(), "--mode is auto there, expected batch"),
            (|c| c.options.clear(), "--mode is unknown"),
            (|c| c.to = 1, "looks for process 1"),
            (|c| c.index = 3, "process 3"),
        ];
        for (change, says) in changes {
            let mut changed = claims.clone();
            change(&mut changed);
            let refusal = host.judge(&changed, attempt).expect_err(says).to_string();
            assert!(refusal.contains(says), "{refusal}");
        }
        let own = expected(0).claims(0, attempt, Purpose::Link);
        assert!(host.judge(&own, attempt).is_err(), "nobody connects to itself");
    }

    #[test]
    fn only_process_0_tells_which_attempt_it_is() {
        let asks = expected(2).claims(0, None, Purpose::Link);
        assert_eq!(expected(0).judge(&asks, Some(5)), Ok(5));
        let asks = expected(2).claims(1, None, Purpose::Link);
        let refused = expected(1).judge(&asks, Some(5));
        assert_eq!(refused, Err(Refusal::Attempt { ours: 5, theirs: None }));
        assert_eq!(expected(1).judge(&asks, None), Err(Refusal::NotYet));
    }
}
