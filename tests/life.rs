//! A job that is killed, fenced and restarted, against the same job undisturbed.

#![allow(clippy::print_stderr, reason = "a failed seed is named as soon as it has failed")]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use highwater_sim::scenario::{Coverage, Family, Graph, build_into, check_chapters, final_results};
use highwater_sim::{Life, Lived};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

/// The seeds of a family.
fn seeds(first: u64, count: u64) -> Range<u64> {
    match (number("HIGHWATER_SEED"), number("HIGHWATER_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count_given) => first..first + count_given.unwrap_or(count),
    }
}

/// Runs a test for each seed; all that fail are named.
fn each(seeds: Range<u64>, mut test: impl FnMut(u64)) {
    let mut failed = Vec::new();
    for seed in seeds {
        if catch_unwind(AssertUnwindSafe(|| test(seed))).is_err() {
            eprintln!("seed {seed} failed, HIGHWATER_SEED={seed} repeats it");
            failed.push(seed);
        }
        assert!(failed.len() < 10, "seeds {failed:?} failed, the others were not tried");
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed");
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
    let (mut attempts, mut commits, mut compared) = (0, 0, 0);
    each(seeds(50_000, 200), |seed| {
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
        attempts += lived.attempts;
        commits += lived.commits;
        compared += 1;
    });
    println!("{compared} lives, {attempts} attempts, {commits} checkpoints");
}

#[test]
fn results_and_late_records_are_those_of_the_models_over_all_attempts() {
    let mut total = Coverage::default();
    let (mut attempts, mut commits, mut chapters) = (0, 0, 0);
    each(seeds(60_000, 200), |seed| {
        let graph = Graph::draw(seed, Family::Late);
        let (lived, coverage) = lives(seed, &graph, Life::draw(seed));
        attempts += lived.attempts;
        commits += lived.commits;
        chapters += lived.chapters.len();
        total.add(&coverage);
    });
    println!("{attempts} attempts, {chapters} chapters, {commits} checkpoints, {total:?}");
}
