//! Everything that can go wrong in a job, each with the values that show why.
//!
//! `Display` is one line in lower case without the cause; causes are reached through `source()`,
//! and [`Error::sentence`] joins both for people. [`Error::kind`] says what the caller must do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A boxed cause of an [`Error`].
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The result of everything that can fail in highwater.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a job could not be built, run or finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option of the command line or of the configuration has a value that is not allowed.
    #[error("option {option}: {value} is not allowed, expected {expected}")]
    Option {
        /// The option as the user writes it, such as `--workers`.
        option: String,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// Two operators of one job have the same uid.
    #[error("uid {uid:?} is given to two operators, {first} and {second}")]
    DuplicateUid {
        /// The uid in question.
        uid: String,
        /// The operator that had it first.
        first: String,
        /// The operator that was given it again.
        second: String,
    },
    /// The workers built different dataflows.
    #[error("worker {worker} built another plan than worker 0 ({found:016x}, not {expected:016x})")]
    PlanMismatch {
        /// The worker whose plan differs.
        worker: usize,
        /// The hash of its plan.
        found: u64,
        /// The hash of the plan of worker 0.
        expected: u64,
    },
    /// A file, folder or socket could not be used.
    #[error("{}: could not {action}", path.display())]
    Io {
        /// What was being done, such as `open` or `write`.
        action: &'static str,
        /// The file, folder or address.
        path: PathBuf,
        /// The cause given by the system.
        source: std::io::Error,
    },
    /// The input holds something that is not what the program asked for.
    #[error("{}{}", path.display(), line.map(|l| format!(", line {l}")).unwrap_or_default())]
    Input {
        /// The file, folder or address.
        path: PathBuf,
        /// The line, counted from 1, where the format has lines.
        line: Option<u64>,
        /// What is wrong with it.
        source: Cause,
    },
    /// The output folder already holds results.
    #[error("{}: already holds results ({found}), give --overwrite to replace them", path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
        /// The name of one file in it.
        found: String,
    },
    /// Results that are committed have disappeared before they became visible.
    #[error("{}: committed results are lost, they are neither there nor in {hidden}",
            path.display())]
    OutputLost {
        /// The file that should hold them.
        path: PathBuf,
        /// The name under which they were waiting.
        hidden: String,
    },
    /// Code of the user or of an operator panicked.
    #[error("{} panicked on worker {worker}: {message}", culprit(operator.as_deref()))]
    Panicked {
        /// The name of the operator that was running; `None` outside of operators, as while the
        /// program describes its job.
        operator: Option<String>,
        /// The worker it ran on.
        worker: usize,
        /// The message of the panic.
        message: String,
    },
    /// An operator failed.
    #[error("operator {operator:?}")]
    Operator {
        /// The name of the operator.
        operator: String,
        /// Why it failed.
        source: Box<Error>,
    },
    /// The engine could not be started.
    #[error("the workers could not be started: {message}")]
    Start {
        /// What the communication layer said.
        message: String,
    },
    /// Another process of the job has failed, or is gone.
    #[error("process {process}: {message}")]
    Process {
        /// Its index.
        process: usize,
        /// What the caller must do.
        kind: ErrorKind,
        /// The exit code of a program that ends with it.
        exit_code: u8,
        /// What it said of itself, or what is known of its end.
        message: String,
    },
    /// State could not be written or read.
    #[error("state")]
    State {
        /// What the caller must do: what is stored may be damaged, or only what the job worked with.
        kind: ErrorKind,
        /// Why not.
        source: Cause,
    },
    /// Another error, raised by the program itself.
    #[error("{message}")]
    Program {
        /// What the program said.
        message: String,
    },
}

/// Says whose code was running.
fn culprit(operator: Option<&str>) -> String {
    operator.map_or_else(
        || "code outside of operators".to_owned(),
        |operator| format!("operator {operator:?}"),
    )
}

/// What the caller of a failed job must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The same call may succeed later.
    Retry,
    /// The job must be started again from its last checkpoint.
    Restart,
    /// The program, its options or its input must be changed.
    Invalid,
    /// Stored data is damaged.
    Corrupt,
    /// The engine broke one of its own rules.
    Internal,
}

impl Error {
    /// Returns an error of the program itself.
    pub fn program(message: impl Into<String>) -> Self {
        Error::Program { message: message.into() }
    }

    /// Returns an error about a value that an option does not allow.
    pub fn option(
        option: impl Into<String>,
        value: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Error::Option { option: option.into(), value: value.to_string(), expected: expected.into() }
    }

    /// Returns an error about a file, folder or address that could not be used.
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { action, path: path.into(), source }
    }

    /// Returns an error about stored state that is damaged.
    pub fn state(source: impl Into<Cause>) -> Self {
        Error::state_of(ErrorKind::Corrupt, source)
    }

    /// Returns an error about the state that a job works with. That is lost with the job anyway: it
    /// starts again from what is stored.
    pub fn scratch(source: impl Into<Cause>) -> Self {
        Error::state_of(ErrorKind::Restart, source)
    }

    /// Returns an error about state, with what the caller must do.
    pub fn state_of(kind: ErrorKind, source: impl Into<Cause>) -> Self {
        Error::State { kind, source: source.into() }
    }

    /// Returns an error about what a file holds, with the line where it is known.
    pub fn input(path: impl Into<PathBuf>, line: Option<u64>, source: impl Into<Cause>) -> Self {
        Error::Input { path: path.into(), line, source: source.into() }
    }

    /// Returns what the caller must do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Option { .. }
            | Error::DuplicateUid { .. }
            | Error::OutputExists { .. }
            | Error::Input { .. }
            | Error::Program { .. } => ErrorKind::Invalid,
            Error::Io { .. } | Error::Start { .. } => ErrorKind::Retry,
            Error::Panicked { .. } => ErrorKind::Restart,
            Error::PlanMismatch { .. } => ErrorKind::Internal,
            Error::State { kind, .. } | Error::Process { kind, .. } => *kind,
            Error::OutputLost { .. } => ErrorKind::Corrupt,
            Error::Operator { source, .. } => source.kind(),
        }
    }

    /// Returns the exit code of a program that ends with this error: 2 for wrong usage, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Option { .. } | Error::OutputExists { .. } => 2,
            Error::Process { exit_code, .. } => *exit_code,
            Error::Operator { source, .. } => source.exit_code(),
            _ => 1,
        }
    }

    /// Returns the error and its causes as one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence_of(self)
    }
}

/// Returns an error and its causes as one sentence. What a library repeats of its causes in its own
/// message is said once.
#[must_use]
pub fn sentence_of(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_says = next.to_string();
        if !sentence.ends_with(&next_says) {
            sentence.push_str(": ");
            sentence.push_str(&next_says);
        }
        cause = next.source();
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_file_the_line_and_the_cause() {
        let error = Error::input("in.csv", Some(3), "missing field `origin`");
        assert_eq!(error.sentence(), "in.csv, line 3: missing field `origin`");
        assert_eq!(error.exit_code(), 1);
        let error = Error::option("--workers", 0, "1 or more");
        assert_eq!(error.sentence(), "option --workers: 0 is not allowed, expected 1 or more");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_cause_that_is_repeated_by_what_it_caused_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not connect: {0}")]
        struct Repeats(#[source] std::io::Error);
        let refused = Repeats(std::io::Error::other("refused"));
        assert_eq!(Error::state(refused).sentence(), "state: could not connect: refused");
    }

    #[test]
    fn damage_of_what_is_stored_is_told_from_damage_of_what_a_job_works_with() {
        assert_eq!(Error::state("a flipped bit").kind(), ErrorKind::Corrupt);
        let lost = Error::scratch("a flipped bit");
        assert_eq!(
            (lost.kind(), lost.sentence().as_str()),
            (ErrorKind::Restart, "state: a flipped bit")
        );
    }

    #[test]
    fn a_panic_names_its_operator_or_says_that_there_is_none() {
        let sentence = |operator: Option<&str>| {
            let (operator, message) = (operator.map(String::from), "ouch".to_owned());
            Error::Panicked { operator, worker: 3, message }.sentence()
        };
        assert_eq!(sentence(Some("counts")), "operator \"counts\" panicked on worker 3: ouch");
        assert_eq!(sentence(None), "code outside of operators panicked on worker 3: ouch");
    }
}
