//! Plays a family and says what came out, one line for each subject.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{fmt, io};

use crate::case::{self, Case};
use crate::form::Failure;
use crate::subject::Subjects;

/// What came out of a case.
pub(crate) enum Verdict {
    /// The subject did what the case says.
    Passed,
    /// The case is about something that Flink does not have.
    NotApplicable(String),
    /// The subject does not exist yet.
    NotThere,
}

/// Plays one case.
pub(crate) type Player = fn(&Case, &Subjects) -> Result<Verdict, Failure>;

/// Plays all cases of a family on all subjects.
///
/// # Panics
/// If a case fails, or a file cannot be read.
pub(crate) fn play(family: &str, subjects: &[(&str, Subjects)], player: Player) {
    let Some(files) = case::files().expect("the folder of HIGHWATER_CASES can be read") else {
        return say(&format!("{family} skipped: HIGHWATER_CASES is not set\n"));
    };
    let mut cases = Vec::new();
    for file in files.iter().filter(|file| case::family(file) == family) {
        cases.extend(case::read(file).unwrap_or_else(|failure| panic!("{failure}")));
    }
    let mut failed = 0;
    for (name, subjects) in subjects {
        let mut tally = Tally::default();
        for case in &cases {
            tally.count(&case.name, attempt(case, subjects, player));
        }
        say(&format!("{family} {name}: {tally}"));
        failed += tally.failed;
    }
    assert!(failed == 0, "{family}: {failed} failed, they are listed above");
}

/// Plays a case; a panic is a failure, too.
fn attempt(case: &Case, subjects: &Subjects, player: Player) -> Result<Verdict, Failure> {
    catch_unwind(AssertUnwindSafe(|| player(case, subjects))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure::form(format!("panicked: {}", text.unwrap_or("without a message"))))
    })
}

/// Writes past the capture of the test harness, which would hide the lines of tests that pass.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).expect("standard output is open");
    out.flush().expect("standard output is open");
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    not_applicable: usize,
    not_there: usize,
    lines: Vec<String>,
}

impl Tally {
    fn count(&mut self, name: &str, outcome: Result<Verdict, Failure>) {
        match outcome {
            Ok(Verdict::Passed) => self.passed += 1,
            Ok(Verdict::NotThere) => self.not_there += 1,
            Ok(Verdict::NotApplicable(reason)) => {
                self.not_applicable += 1;
                self.lines.push(format!("not applicable: {name}: {reason}"));
            }
            Err(failure) => {
                self.failed += 1;
                self.lines.push(format!("FAILED: {name}: {failure}"));
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { passed, failed, not_applicable, not_there, lines } = self;
        write!(f, "{passed} passed, {failed} failed, {not_applicable} not applicable")?;
        if *not_there > 0 {
            write!(f, ", {not_there} without a subject")?;
        }
        writeln!(f)?;
        lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
