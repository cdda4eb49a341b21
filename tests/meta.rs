//! The simulation itself: one seed, one history.
//!
//! | family | what it would catch |
//! |---|---|
//! | a seed twice | chance, time or hash order that enters the engine behind the back of the simulation: every other simulated test could then fail without being repeatable |
//! | two seeds | a trace that does not depend on the seed, or holds nothing |

use std::collections::BTreeSet;

use highwater_sim::World;
use highwater_sim::scenario::{Family, Graph, build};

/// Everything that happens in the run of a seed, in order: turns, batches, firings, cuts.
fn trace(seed: u64) -> Vec<u8> {
    let graph = Graph::draw(seed, Family::Late);
    let run = World::draw(seed).run(move |env| {
        build(&graph, env);
        Ok(())
    });
    if let Err(error) = &run.ended {
        panic!("seed {seed}: {}", error.sentence());
    }
    run.trace()
}

#[test]
fn a_seed_replays_byte_for_byte() {
    for seed in 30_000..30_300 {
        let (first, second) = (trace(seed), trace(seed));
        let same = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
        assert!(
            first == second,
            "seed {seed} diverges at byte {same} of {}: {:?} and {:?}",
            first.len(),
            String::from_utf8_lossy(
                &first[same.saturating_sub(100)..(same + 100).min(first.len())]
            ),
            String::from_utf8_lossy(
                &second[same.saturating_sub(100)..(same + 100).min(second.len())]
            )
        );
    }
}

#[test]
fn seeds_differ() {
    let traces: BTreeSet<_> = (0..20).map(trace).collect();
    assert_eq!(traces.len(), 20);
    assert!(traces.iter().all(|trace| trace.len() > 500));
}
