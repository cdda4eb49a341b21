//! The engine under seeded turns against sequential models.
//!
//! | family | jobs | what it would catch |
//! |---|---|---|
//! | `late` | a fifth of the records late at the source, all operators, 1 to 4 workers, epochs, stalls | any wrong result or late set; a watermark that overshoots; records on the wrong side of a cut |
//! | `on time` | nothing late at the source, chains of windows | anything late anywhere; results that differ from a batch computation of the same input |
//! | `batch` | the jobs of `on time` in batch mode | early or repeated firings |
//! | threads | both, on free-running workers | a wake-up that is lost, a race between workers: what turns cannot show |
//!
//! Changes to the engine that were tried, and the families that failed (debug assertions off):
//!
//! | change | late | on time | batch | threads |
//! |---|---|---|---|---|
//! | lexicographic order of `Time` | fails | fails | | fails |
//! | the queue left out of `Shell::bounds` | fails | fails | fails | fails |
//! | the output promises the input's watermark before timers fire | fails | fails | fails | fails |
//! | records emitted after the capability has moved | fails | fails | fails | fails |
//! | sessions that touch do not merge | fails | | | |
//! | a window is late one ms later | fails | | | |
//! | records or a cut between the timers of one watermark (debug assertions on) | fails | fails | | |
//!
//! `HIGHWATER_SEEDS` sets how many seeds each family runs, `HIGHWATER_SEED` runs a single one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use highwater::core::config::Mode;
use highwater::core::record::Record;
use highwater_sim::scenario::{Coverage, Family, Graph, build, check, final_results};
use highwater_sim::{Happening, Item, Run, World, within};

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

fn run(graph: &Graph, world: World) -> Run {
    let graph = graph.clone();
    world.run(move |env| {
        build(&graph, env);
        Ok(())
    })
}

fn run_freely(seed: u64, graph: &Graph, world: World) -> Run {
    let graph = graph.clone();
    within(Duration::from_secs(30), &format!("seed {seed}"), move || {
        world.run_freely(move |env| {
            build(&graph, env);
            Ok(())
        })
    })
}

/// Runs a job under seeded turns and compares it with its models.
fn agrees(seed: u64, graph: &Graph, world: World) -> (Run, Coverage) {
    let ran = run(graph, world.clone());
    let coverage = compare(seed, graph, &world, &ran);
    (ran, coverage)
}

fn compare(seed: u64, graph: &Graph, world: &World, ran: &Run) -> Coverage {
    match check(graph, ran) {
        Ok(coverage) => coverage,
        Err(what) => panic!("seed {seed}: {what}\n{:#?}\n{:?}\n", graph.steps, world),
    }
}

/// What arrived at each tap.
fn tapped(run: &Run) -> BTreeMap<String, Vec<Record<Item>>> {
    let mut taps = BTreeMap::<_, Vec<_>>::new();
    for note in run.journal.iter().filter(|note| note.uid.starts_with("tap-")) {
        if let Happening::Received { records, .. } = &note.happening {
            taps.entry(note.uid.clone()).or_default().extend(records);
        }
    }
    taps.values_mut().for_each(|records| records.sort_unstable());
    taps
}

/// Compares the results with those of a batch computation; returns whether that has any order.
fn is_a_batch_computation(seed: u64, graph: &Graph, run: &Run) -> bool {
    let Some(results) = final_results(graph) else { return false };
    let found = tapped(run);
    for (tap, expected) in results {
        let found = found.get(&tap).map_or(&[][..], Vec::as_slice);
        assert!(
            expected == found,
            "seed {seed}, {tap}: {} results, {} expected\n{:#?}",
            found.len(),
            expected.len(),
            graph.steps
        );
    }
    true
}

#[test]
fn results_and_late_records_are_those_of_the_models_for_any_interleaving() {
    let mut total = Coverage::default();
    for seed in seeds(0, 1500) {
        let graph = Graph::draw(seed, Family::Late);
        let (_, coverage) = agrees(seed, &graph, World::draw(seed));
        total.add(&coverage);
    }
    println!("{total:?}");
    if number("HIGHWATER_SEED").is_none() && number("HIGHWATER_SEEDS").is_none() {
        let late = total.late_at_source as f64 / total.records as f64;
        assert!((0.1..0.3).contains(&late), "{late} of the records are late at their source");
        assert!(total.late_arrivals > 1000 && total.late_outputs > 1000, "{total:?}");
        assert!(total.cuts > 1000 && total.interrupted > 100 && total.blocked > 1000, "{total:?}");
    }
}

#[test]
fn what_is_on_time_at_the_source_is_late_nowhere_and_the_results_are_those_of_a_batch() {
    let mut total = Coverage::default();
    let mut compared = 0;
    for seed in seeds(10_000, 1000) {
        let graph = Graph::draw(seed, Family::OnTime);
        let (ran, coverage) = agrees(seed, &graph, World::draw(seed));
        assert_eq!(coverage.late_at_source, 0, "seed {seed}");
        assert_eq!((coverage.late_arrivals, coverage.late_outputs), (0, 0), "seed {seed}");
        compared += u64::from(is_a_batch_computation(seed, &graph, &ran));
        total.add(&coverage);
    }
    println!("{compared} compared with a batch, {total:?}");
}

#[test]
fn batch_mode_gives_the_final_results_only() {
    for seed in seeds(20_000, 300) {
        let graph = Graph::draw(seed, Family::OnTime);
        let (ran, _) = agrees(seed, &graph, World::draw(seed).mode(Mode::Batch));
        is_a_batch_computation(seed, &graph, &ran);
    }
}

#[test]
fn free_running_workers_agree_with_the_models_too() {
    for seed in seeds(40_000, 60) {
        for family in [Family::Late, Family::OnTime] {
            let (graph, world) = (Graph::draw(seed, family), World::draw(seed));
            let ran = run_freely(seed, &graph, world.clone());
            let coverage = compare(seed, &graph, &world, &ran);
            if family == Family::OnTime {
                assert_eq!((coverage.late_arrivals, coverage.late_outputs), (0, 0), "seed {seed}");
                is_a_batch_computation(seed, &graph, &ran);
            }
        }
    }
}
