//! A job that is killed, fenced and restarted, and whose store and sinks fail, against the same job
//! undisturbed.
//!
//! | family | what is compared |
//! |---|---|
//! | `on time` | what is visible in the end, with what an undisturbed job makes |
//! | `late` | what every operator makes over all attempts, with models of what it saw in the epochs that count; late records count |
//!
//! Both check I8, I9 and I10 while the job lives, that nothing is taken back although nothing is
//! damaged, and that the job ends.
//!
//! Changes to the engine that were tried, and the number of lives until the first that failed
//! (debug assertions on):
//!
//! | change | on time | late |
//! |---|---|---|
//! | effects are committed before the checkpoint is in the log | 1 | 1 |
//! | a fenced attempt takes the next slot of the log | 4 | 2 |
//! | sinks commit as soon as they have prepared | 1 | 1 |
//! | sources freeze their offsets after the first batch of the next epoch | 4 | 2 |
//! | floors of key groups are not restored | 18 | 2 |
//! | the newest checkpoint is collected as garbage | 1 | 1 |
//! | sinks do not recover | 25 | 2 |
//! | a completed checkpoint counts as visible without its marker | 13 | 2 |
//! | sources leave before the last checkpoint | 1 | 1 |
//! | garbage is collected with what is retained when its turn comes | 350 | 1,004 |
//! | windows fire again for key groups that were ahead | 335 | 381 |
//! | all key groups get the floor of their operator at a cut | 2,181 | 143 |
//!
//! `HIGHWATER_SEEDS` sets how many lives each family has, `HIGHWATER_SEED` plays a single one, and
//! `HIGHWATER_LONG=1` plays twenty times as many.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test says what came up")]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use highwater_sim::scenario::{Coverage, Family, Graph, build_into, check_chapters, final_results};
use highwater_sim::{Life, Lived};

/// How many lives each family has.
const LIVES: u64 = 300;
/// From how many lives on everything that can happen must have happened.
const LIVES_MANY: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

/// The seeds of a family.
fn seeds(first: u64) -> Range<u64> {
    let long = if std::env::var_os("HIGHWATER_LONG").is_some() { 20 } else { 1 };
    match (number("HIGHWATER_SEED"), number("HIGHWATER_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, given) => first..first + given.unwrap_or(LIVES * long),
    }
}

/// Runs a test for each seed; all that fail are named. Returns how many seeds there were.
fn each(name: &str, seeds: Range<u64>, mut test: impl FnMut(u64)) -> u64 {
    let mut failed = Vec::new();
    let count = seeds.end - seeds.start;
    for seed in seeds {
        if catch_unwind(AssertUnwindSafe(|| test(seed))).is_err() {
            eprintln!("repeated by: HIGHWATER_SEED={seed} cargo test --test life {name}");
            failed.push(seed);
        }
        assert!(failed.len() < 10, "seeds {failed:?} failed, the others were not tried");
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed");
    count
}

/// What came up in all lives of a family.
#[derive(Debug, Default)]
struct Totals {
    attempts: usize,
    commits: usize,
    failed: u64,
    late: u64,
    stale: u64,
    recovered: u64,
    repeated: u64,
    leftovers: u64,
    failed_in_sinks: u64,
}

impl Totals {
    fn add(&mut self, lived: &Lived) {
        self.attempts += lived.attempts;
        self.commits += lived.commits;
        self.failed += lived.failed;
        self.late += lived.late;
        self.stale += lived.stale;
        self.recovered += lived.recovered;
        self.repeated += lived.repeated;
        self.leftovers += lived.leftovers;
        self.failed_in_sinks += lived.failed_in_sinks;
    }

    /// # Panics
    /// When there were many lives and something has never happened.
    fn check(&self, lives: u64) {
        println!("{lives} lives, {self:?}");
        let Totals { failed, late, stale, recovered, repeated, leftovers, .. } = *self;
        let all = [failed, late, stale, recovered, repeated, leftovers, self.failed_in_sinks];
        assert!(lives < LIVES_MANY || all.iter().all(|count| *count > 0), "{self:?}");
    }
}

/// Plays the life of a job and checks that what is visible is what the models make of what the
/// operators saw in the epochs that count.
fn lives(seed: u64, graph: &Graph, life: Life) -> (Lived, Coverage) {
    let described = graph.clone();
    let lived = life.play(move |env, sinks| {
        build_into(&described, env, &|stream, name| sinks.take(stream, name));
        Ok(())
    });
    let lived = lived.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let checked = check_chapters(graph, &lived.chapters);
    let (coverage, arrived) =
        checked.unwrap_or_else(|what| panic!("seed {seed}: {what}\n{:#?}", graph.steps));
    let sinks = arrived.iter().filter(|(name, _)| !name.starts_with("step-"));
    for (name, expected) in sinks {
        let found = lived.visible.get(name).map_or(&[][..], Vec::as_slice);
        assert!(
            expected == found,
            "seed {seed}, {name}: {} results are visible, {} expected\n{:#?}",
            found.len(),
            expected.len(),
            graph.steps
        );
    }
    (lived, coverage)
}

#[test]
fn what_is_visible_in_the_end_is_what_an_undisturbed_job_makes() {
    let mut totals = Totals::default();
    let count = each("what_is_visible", seeds(50_000), |seed| {
        let graph = Graph::draw(seed, Family::OnTime);
        let Some(expected) = final_results(&graph) else { return };
        let (lived, _) = lives(seed, &graph, Life::draw(seed));
        for (tap, expected) in expected {
            let found = lived.visible.get(&tap).map_or(&[][..], Vec::as_slice);
            assert!(
                expected == found,
                "seed {seed}, {tap}: {} results, {} expected\n{:#?}",
                found.len(),
                expected.len(),
                graph.steps
            );
        }
        totals.add(&lived);
    });
    totals.check(count);
}

#[test]
fn results_and_late_records_are_those_of_the_models_over_all_attempts() {
    let (mut totals, mut total) = (Totals::default(), Coverage::default());
    let count = each("results_and_late_records", seeds(60_000), |seed| {
        let graph = Graph::draw(seed, Family::Late);
        let (lived, coverage) = lives(seed, &graph, Life::draw(seed));
        totals.add(&lived);
        total.add(&coverage);
    });
    totals.check(count);
    println!("{total:?}");
}
