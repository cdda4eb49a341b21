//! Loops: what goes round, how often, in which order with time, and what a checkpoint holds of it.
//!
//! | family | what it would catch |
//! |---|---|
//! | fixpoints | a loop that ends too early or never, records that are lost or doubled on the way |
//! | supersteps | a worker that is a superstep ahead, a round too many or too few |
//! | loops in loops | an inner loop that is not at rest when the outer one goes on |
//! | event time | a watermark that overtakes what circulates, timers that never fire |
//! | checkpoints | state of a body that is cut in the middle of a round, or lost with other workers |
//!
//! Everything is compared with plain sequential definitions.

#[path = "support/in_memory.rs"]
mod in_memory;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use highwater::connectors::generator::Generator;
use highwater::core::config::{Config as Engine, Mode};
use highwater::core::cut::Snapshots;
use highwater::core::job::Job;
use highwater::core::record::Data;
use highwater::operators::environment::{execute, run};
use highwater::prelude::*;
use highwater_sim::Random;
use in_memory::{ByEpoch, InMemory, drive};

/// Runs a program with 1, 2 and 4 workers, streaming and in batch mode, and compares what it
/// collects.
fn always<T, F>(expected: &[T], program: F)
where
    T: Data + Ord + Send + std::fmt::Debug,
    F: for<'s> Fn(&Env<'s>) -> DataStream<'s, T> + Clone + Send + Sync + 'static,
{
    for workers in [1, 2, 4] {
        for mode in [Mode::Streaming, Mode::Batch] {
            let (results, program) = (Collect::new(), program.clone());
            let sink = results.clone();
            let ran = execute(Engine { mode, ..Engine::workers(workers) }, move |env| {
                let _sunk = program(env).sink(sink.clone());
                Ok(())
            });
            ran.expect("a job without errors");
            let mut results = results.take_values();
            results.sort();
            assert_eq!(results, expected, "{workers} workers, {mode:?}");
        }
    }
}

/// Keeps the least label of a vertex, and tells its neighbours of every lesser one.
struct Least {
    label: ValueState<u64>,
    neighbours: ListState<u64>,
}

impl KeyedCoProcessFunction<u64, (u64, u64), (u64, u64)> for Least {
    type Out = (u64, u64);

    fn process_left(
        &mut self,
        (_, label): (u64, u64),
        cx: &mut ProcessContext<'_, '_, u64, (u64, u64)>,
    ) {
        if cx.get(self.label).is_none_or(|least| label < *least) {
            cx.set(self.label, label);
            let neighbours: Vec<u64> = cx.list(self.neighbours).iter().copied().collect();
            neighbours.into_iter().for_each(|neighbour| cx.emit((neighbour, label)));
        }
    }

    fn process_right(
        &mut self,
        (_, neighbour): (u64, u64),
        cx: &mut ProcessContext<'_, '_, u64, (u64, u64)>,
    ) {
        cx.list(self.neighbours).add(neighbour);
        if let Some(label) = cx.get(self.label).copied() {
            cx.emit((neighbour, label));
        }
    }
}

/// The least vertex of the component of each, by definition.
fn components(vertices: u64, edges: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut label: Vec<u64> = (0..vertices).collect();
    loop {
        let before = label.clone();
        for &(a, b) in edges {
            let least = label[a as usize].min(label[b as usize]);
            (label[a as usize], label[b as usize]) = (least, least);
        }
        if before == label {
            return (0..).zip(label).collect();
        }
    }
}

#[test]
fn a_loop_comes_to_rest_at_the_fixpoint_of_its_body() {
    for seed in 0..3 {
        let mut random = Random::new(seed);
        let (vertices, edges) = (200, 60 + 60 * seed);
        let edge = |_| (random.below(vertices), random.below(vertices));
        let edges: Vec<(u64, u64)> = (0..edges).map(edge).collect();
        let expected = components(vertices, &edges);
        always(&expected, move |env| {
            let both = edges.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect::<Vec<_>>();
            let edges = env.read(Collection::of(both));
            let labels = env.read(Collection::of((0..vertices).map(|v| (v, v))));
            let told = labels.iterate(|scope, labels| {
                let edges = scope.enter(&edges).key_by(|edge| edge.0);
                let told = labels.key_by(|label| label.0).connect(&edges).process(|states| {
                    let label = states.value("label")?;
                    Ok(Least { label, neighbours: states.list("neighbours")? })
                });
                (told.stream(), labels.clone())
            });
            let least = told
                .key_by(|label| label.0)
                .process(|states: &mut States<u64>| Ok(AtTheEnd { least: states.value("least")? }));
            least.stream()
        });
    }
}

/// Emits the least label of a vertex when the watermark is at the end.
struct AtTheEnd {
    least: ValueState<Option<u64>>,
}

impl KeyedProcessFunction<u64, (u64, u64)> for AtTheEnd {
    type Out = (u64, u64);

    fn process_element(
        &mut self,
        (_, label): (u64, u64),
        cx: &mut ProcessContext<'_, '_, u64, (u64, u64)>,
    ) {
        cx.set_event_timer(i64::MAX - 1);
        let least = cx.get_mut(self.least);
        *least = Some(least.map_or(label, |least| least.min(label)));
    }

    fn on_timer(&mut self, _: i64, cx: &mut ProcessContext<'_, '_, u64, (u64, u64)>) {
        let key = *cx.key();
        if let Some(label) = cx.take(self.least).flatten() {
            cx.emit((key, label));
        }
    }
}

/// Sums up what a key is sent in a superstep and passes it on when the superstep ends; tells of the
/// superstep, and of the last sum when the loop is at rest.
struct Sums {
    sum: ValueState<u64>,
}

impl KeyedProcessFunction<u64, (u64, u64)> for Sums {
    type Out = (u64, u64, u64);

    fn process_element(
        &mut self,
        (_, n): (u64, u64),
        cx: &mut ProcessContext<'_, '_, u64, Self::Out>,
    ) {
        *cx.get_mut(self.sum) += n;
        cx.await_superstep_end();
        cx.await_rest();
    }

    fn on_superstep_end(&mut self, cx: &mut ProcessContext<'_, '_, u64, Self::Out>) {
        let (key, superstep) = (*cx.key(), cx.superstep().expect("in a loop"));
        let sum = cx.take(self.sum).unwrap_or_default();
        cx.emit((key, sum, superstep));
    }

    fn on_rest(&mut self, cx: &mut ProcessContext<'_, '_, u64, Self::Out>) {
        let key = *cx.key();
        cx.emit((key, 0, u64::MAX));
    }
}

#[test]
fn a_superstep_ends_when_all_workers_have_all_of_its_records() {
    // Eight keys send their sum to two others, three times: all get what all others sent.
    const KEYS: u64 = 8;
    let mut sums = [1_u64; KEYS as usize];
    let mut expected = Vec::new();
    for superstep in 0..4 {
        expected.extend((0..KEYS).map(|key| (key, sums[key as usize], superstep)));
        let before = sums;
        sums = [0; KEYS as usize];
        for key in 0..KEYS as usize {
            sums[(key + 1) % KEYS as usize] += before[key];
            sums[(key * 3) % KEYS as usize] += before[key];
        }
    }
    expected.extend((0..KEYS).map(|key| (key, 0, u64::MAX)));
    expected.retain(|(_, sum, superstep)| *sum > 0 || *superstep == u64::MAX);
    expected.sort_unstable();
    for workers in [1, 2, 4] {
        let results = Collect::new();
        let sink = results.clone();
        let ran = execute(Engine { mode: Mode::Batch, ..Engine::workers(workers) }, move |env| {
            let ones = env.read(Collection::of((0..KEYS).map(|key| (key, 1))));
            let told = ones.iterate_at_most(4, |_, sent| {
                let sums = sent
                    .key_by(|message| message.0)
                    .process(|states: &mut States<u64>| Ok(Sums { sum: states.value("sum")? }));
                let again = sums
                    .filter(|told| told.2 < u64::MAX)
                    .flat_map(|(key, sum, _)| [((key + 1) % KEYS, sum), ((key * 3) % KEYS, sum)]);
                (again, sums.stream())
            });
            let _sunk = told.sink(sink.clone());
            Ok(())
        });
        ran.expect("a job without errors");
        let mut results = results.take_values();
        results.sort_unstable();
        assert_eq!(results, expected, "{workers} workers");
    }
}

#[test]
fn an_inner_loop_is_at_rest_in_each_superstep_of_the_outer_one() {
    // (start, n, halvings, rounds): halve while even, in the inner loop; then subtract one.
    type Row = (u64, u64, u64, u64);
    let by_hand = |start: u64| {
        let (mut n, mut halvings, mut rounds) = (start, 0, 0);
        while n > 0 {
            while n > 0 && n % 2 == 0 {
                (n, halvings) = (n / 2, halvings + 1);
            }
            (n, rounds) = (n - 1, rounds + 1);
        }
        (start, halvings, rounds)
    };
    let expected: Vec<_> = (1..300).map(by_hand).collect();
    always(&expected, |env| {
        let numbers = env.read(Collection::of((1..300).map(|n| (n, n, 0, 0))));
        let done = numbers.iterate(|_, numbers: DataStream<'_, Row>| {
            let odd = numbers.iterate(|_, numbers| {
                let halved = numbers
                    .filter(|(_, n, ..)| n % 2 == 0)
                    .key_by(|row: &Row| row.1)
                    .process(|_| Ok(Halve))
                    .stream();
                (halved, numbers.filter(|(_, n, ..)| n % 2 == 1))
            });
            let less = odd.map(|(start, n, halvings, rounds)| (start, n - 1, halvings, rounds + 1));
            (less.filter(|(_, n, ..)| *n > 0), less.filter(|(_, n, ..)| *n == 0))
        });
        done.map(|(start, _, halvings, rounds)| (start, halvings, rounds))
    });
}

struct Halve;

impl KeyedProcessFunction<u64, (u64, u64, u64, u64)> for Halve {
    type Out = (u64, u64, u64, u64);

    fn process_element(
        &mut self,
        (start, n, halvings, rounds): Self::Out,
        cx: &mut ProcessContext<'_, '_, u64, Self::Out>,
    ) {
        cx.emit((start, n / 2, halvings + 1, rounds));
    }
}

/// Lets a token go round once for each of its hops, each time by a timer.
struct Hop {
    waiting: ListState<(u64, u64)>,
}

impl KeyedProcessFunction<u64, (u64, u64)> for Hop {
    type Out = (u64, u64);

    fn process_element(
        &mut self,
        token: (u64, u64),
        cx: &mut ProcessContext<'_, '_, u64, (u64, u64)>,
    ) {
        cx.list(self.waiting).add(token);
        cx.set_event_timer(cx.event_time() + 10);
    }

    fn on_timer(&mut self, _: i64, cx: &mut ProcessContext<'_, '_, u64, (u64, u64)>) {
        let waiting: Vec<_> = cx.list(self.waiting).iter().copied().collect();
        cx.list(self.waiting).clear();
        for (id, hops) in waiting {
            cx.emit((id, hops - 1));
        }
    }
}

#[test]
fn timers_fire_in_a_loop_and_the_watermark_behind_it_waits_for_what_they_set_off() {
    let expected: BTreeSet<_> = (0..60).map(|n| (n % 20, n % 3 + 2)).collect();
    let expected: Vec<_> = expected.into_iter().collect();
    always(&expected, |env| {
        let tokens = (0..60_i64).map(|n| (n * 100, (n as u64 % 20, n as u64 % 3 + 2)));
        let tokens = env
            .read(Collection::timestamped(tokens))
            .watermarks(Watermarks::bounded(Duration::ZERO));
        let hopped = tokens.iterate(|_, tokens| {
            let hopped = tokens
                .filter(|token| token.1 > 0)
                .key_by(|token| token.0)
                .process(|states: &mut States<u64>| Ok(Hop { waiting: states.list("waiting")? }));
            // A token comes back to a key whose last timer has fired: its own fires at once.
            (hopped.stream().filter(|_| false), hopped.map(|(id, hops)| (id, hops + 1)))
        });
        hopped
            .key_by(|token| *token)
            .window(Tumbling::of(Duration::from_millis(1_000_000)))
            .reduce(|a, _| a)
            .map(|window| window.value)
    });
}

/// Counts how often a key is visited.
struct Visits {
    visits: ValueState<u64>,
}

impl KeyedProcessFunction<u64, (u64, u64)> for Visits {
    type Out = (u64, u64, u64);

    fn process_element(
        &mut self,
        (key, hops): (u64, u64),
        cx: &mut ProcessContext<'_, '_, u64, Self::Out>,
    ) {
        let visits = cx.get_mut(self.visits);
        *visits += 1;
        let visits = *visits;
        cx.emit((key, hops, visits));
    }
}

const TOKENS: u64 = 20_000;
const PLACES: u64 = 50;

fn hops(n: u64) -> u64 {
    n % 7
}

#[test]
fn what_a_body_counts_is_exact_when_the_job_goes_on_with_other_workers() {
    let mut expected = BTreeMap::new();
    for n in 0..TOKENS {
        for hop in 0..=hops(n) {
            *expected.entry((n + hop) % PLACES).or_insert(0) += 1;
        }
    }
    let all: u64 = expected.values().sum();
    let (mut visible, mut from, workers) = (Vec::new(), None, [2, 3, 1, 4]);
    for (i, &workers_now) in workers.iter().enumerate() {
        let snapshots = Arc::new(InMemory::after(from.take()));
        let config = Engine {
            max_parallelism: Some(128),
            rate: Some(100_000),
            watermark_interval: Duration::from_millis(10),
            snapshots: Some(Arc::clone(&snapshots) as Arc<dyn Snapshots>),
            ..Engine::workers(workers_now)
        };
        let job = Arc::new(Job::new(config).expect("options that are allowed"));
        let sink = ByEpoch::default();
        let pour = sink.clone();
        let stop_at = if i + 1 == workers.len() { u64::MAX } else { all / 6 };
        std::thread::scope(|scope| {
            scope.spawn(|| drive(&job, &snapshots, &sink, stop_at));
            let ran = run(&job, move |env| {
                let tokens = env.read(Generator::new(TOKENS, |n| (n % PLACES, hops(n))));
                let visits = tokens.iterate(|_, tokens| {
                    let visits = tokens
                        .key_by(|token| token.0)
                        .process(|states| Ok(Visits { visits: states.value("visits")? }));
                    let again = visits.filter(|visit| visit.1 > 0);
                    (again.map(|(key, hops, _)| ((key + 1) % PLACES, hops - 1)), visits.stream())
                });
                let _sunk = visits.sink(pour.clone());
                Ok(())
            });
            ran.expect("a job without errors");
        });
        let (epoch, stored) = snapshots.last(&job).expect("a checkpoint is complete");
        visible.extend(sink.up_to(epoch));
        from = Some((epoch, stored));
    }
    let mut counts = BTreeMap::new();
    for (key, _, _) in &visible {
        *counts.entry(*key).or_insert(0) += 1;
    }
    assert_eq!(counts, expected, "each visit counts once");
    let mut numbers: Vec<_> = visible.iter().map(|(key, _, visits)| (*key, *visits)).collect();
    numbers.sort_unstable();
    let each = expected.iter().flat_map(|(key, count)| (1..=*count).map(move |n| (*key, n)));
    assert!(numbers.into_iter().eq(each), "and the states have seen each once");
}

#[test]
fn a_stream_of_another_loop_is_refused_by_the_name_of_its_operator() {
    let ran = execute(Engine::workers(1), |env| {
        let outside = env.read(Collection::of([1])).map(|n| n + 1).name("outside");
        let _sunk =
            outside.iterate(|_, numbers| (numbers.clone(), numbers.union(&[&outside]))).discard();
        Ok(())
    });
    let sentence = ran.expect_err("a program that is wrong").sentence();
    assert!(sentence.contains("\"outside\"") && sentence.contains("Loop::enter"), "{sentence}");
}
