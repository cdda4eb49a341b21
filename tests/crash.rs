//! Jobs that are stopped at every step of the checkpoint protocol, and started again.
//!
//! ```text
//! for each failpoint, each way to fail and each seed:
//!     run until it fails there --> look at what is visible --> run again, with another number of
//!     workers, maybe failing once more --> run to the end --> the results of an undisturbed run
//! ```
//!
//! **Checked**: nothing lost, nothing twice, nothing visible that is not part of the result; every
//! failpoint was really reached in every way.
//!
//! One seed unless `HIGHWATER_CRASH_SEEDS` says otherwise; `cargo xtask crash` runs twenty.
//! `HIGHWATER_CRASH_POINT` chooses failpoints whose names begin so.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use highwater::core::failpoint;
use indicatif::{ProgressBar, ProgressStyle};
use support::{lines, program};

/// How a job is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// The process is killed.
    Kill,
    /// The thread that comes there panics.
    Panic,
    /// The step fails, as when a store does.
    Error,
}

const WAYS: [Way; 3] = [Way::Kill, Way::Panic, Way::Error];

impl Way {
    /// Returns what to do in the language of the failpoints, after having come there `skip` times.
    fn action(self, skip: u64) -> String {
        let action = match self {
            Way::Kill => "return(kill)",
            Way::Panic => "panic",
            Way::Error => "1*return(error)",
        };
        if skip == 0 { action.to_owned() } else { format!("{skip}*off->{action}") }
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    point: &'static str,
    way: Way,
    seed: u64,
}

/// Failpoints that are reached once, at the start; the last only when there is something to recover.
const AT_START: [&str; 5] =
    ["fence-before", "fence-after", "parts-read", "recover-before", "recover-after"];

/// The job that is stopped: sliding windows over generated events, a checkpoint every 20 ms.
const JOB: [&str; 10] = [
    "q5",
    "--events",
    "40000",
    "--events-per-second",
    "1000",
    "--rate",
    "200000",
    "--checkpoint-interval",
    "20ms",
    "--restore",
];

fn job(dir: &Path, workers: u64, failpoints: &str) -> Command {
    let mut command = Command::new(program("nexmark"));
    command
        .args(JOB)
        .args(["latest", "--restart", "none"])
        .args(["--workers", &workers.to_string()]);
    command.arg("--output").arg(dir.join("out")).arg("--checkpoint-dir").arg(dir.join("ck"));
    command.env("FAILPOINTS", failpoints).env_remove("RUST_BACKTRACE");
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs a job; returns whether it ended well, and what it said.
fn run(mut command: Command) -> (bool, String) {
    let output = command.output().expect("the example nexmark is built along with the tests");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The results of an undisturbed run.
fn golden() -> Vec<String> {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(program("nexmark"));
    command.args(&JOB[..5]).arg("--output").arg(dir.path());
    let (succeeded, said) = run(command);
    assert!(succeeded, "{said}");
    lines(dir.path(), "part")
}

fn counted(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line.as_str()).or_default() += 1);
    counts
}

/// Runs a case; returns whether the failpoint was reached, or what is wrong.
fn check(case: Case, golden: &[String]) -> Result<bool, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let expected = counted(golden);
    let at_start = AT_START.contains(&case.point);
    let mut random = case.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let mut draw = |below: u64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    if at_start {
        // Something must be there that can be recovered.
        run(job(dir.path(), 2, "commit-before=1*off->return(kill)"));
    }
    let mut reached = false;
    for attempt in 0..2 + draw(2) {
        let skip = if at_start { 0 } else { draw(7) * u64::from(attempt == 0 || draw(2) == 0) };
        let failpoints = format!("{}={}", case.point, case.way.action(skip));
        let (succeeded, said) = run(job(dir.path(), 1 + draw(3), &failpoints));
        reached |= !succeeded || said.contains("failpoint");
        let visible = lines(&dir.path().join("out"), "part");
        for (line, count) in counted(&visible) {
            if count > expected.get(line).copied().unwrap_or(0) {
                return Err(format!("{line} is visible {count} times after {said}"));
            }
        }
    }
    let (succeeded, said) = run(job(dir.path(), 1 + draw(3), ""));
    if !succeeded {
        return Err(format!("the last run failed: {said}"));
    }
    let visible = lines(&dir.path().join("out"), "part");
    if visible != golden {
        return Err(format!("{} results instead of {}", visible.len(), golden.len()));
    }
    Ok(reached)
}

#[test]
fn a_job_that_fails_anywhere_gives_the_results_of_an_undisturbed_run() {
    let seeds =
        std::env::var("HIGHWATER_CRASH_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let begin = std::env::var("HIGHWATER_CRASH_POINT").unwrap_or_default();
    let points = failpoint::ALL.into_iter().filter(|point| point.starts_with(&begin));
    let cases: Vec<_> = points
        .flat_map(|point| WAYS.map(|way| (point, way)))
        .flat_map(|(point, way)| (0..seeds).map(move |seed| Case { point, way, seed }))
        .collect();
    let golden = golden();
    let progress = ProgressBar::new(cases.len() as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}, {eta} left");
    progress.set_style(style.expect("a template"));
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new((BTreeSet::new(), Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    progress.set_message(format!("{} {:?}", case.point, case.way));
                    let outcome = check(*case, &golden);
                    let mut outcomes = outcomes.lock().expect("no case panics");
                    match outcome {
                        Ok(true) => drop(outcomes.0.insert((case.point, case.way))),
                        Ok(false) => {}
                        Err(why) => outcomes.1.push(format!("{case:?}: {why}")),
                    }
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    let (reached, failed) = outcomes.into_inner().expect("no case panics");
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
    let all: BTreeSet<_> = cases.iter().map(|case| (case.point, case.way)).collect();
    let missed: Vec<_> = all.difference(&reached).collect();
    assert!(missed.is_empty(), "never reached: {missed:?}");
    println!("{} cases, every failpoint reached in every way, all results equal", cases.len());
}
