//! COST on connectivity: how many workers beat one thread, and which thread.
//!
//! Components of a grid whose numbers are scrambled, on one thread by label propagation and by
//! union-find, and in the engine over arrays and over keyed state. Labels travel a step a scan, so a
//! large diameter is what the paper's large graph is.
//!
//! Run: `cargo xtask paper cost`. Note: `papers/cost.md`.
#![expect(clippy::print_stdout, reason = "an experiment prints what it finds")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use highwater::operators::graph::Value;
use highwater::prelude::*;
use highwater_sim::graphs::Generated;

const SCALE: u32 = 16;
const SEED: u64 = 42;

fn main() -> ExitCode {
    highwater::exit(experiment())
}

fn experiment() -> Result<()> {
    let edges: Vec<(u64, u64)> = Generated::new(SCALE, SEED).grid_edges().collect();
    println!("components of a grid of {} cells and {} edges", 1 << SCALE, edges.len());
    let begun = Instant::now();
    let (expected, scans) = propagate(&edges);
    let slow = begun.elapsed();
    println!("one thread, label propagation   {slow:>9.3?}, {scans} scans");
    let begun = Instant::now();
    let joined = join(&edges);
    let fast = begun.elapsed();
    println!("one thread, union-find          {fast:>9.3?}");
    check(&joined, &expected)?;
    for workers in [1, 2] {
        let (arrays, labels) = in_arrays(&edges, workers)?;
        check(&labels, &expected)?;
        println!("{workers} workers, arrays              {arrays:>9.3?}");
    }
    let (keyed, labels) = in_state(&edges, 2)?;
    check(&labels, &expected)?;
    println!("2 workers, keyed state          {keyed:>9.3?}");
    if slow < fast * 3 {
        return Err(Error::program("label propagation is not far slower than union-find"));
    }
    Ok(())
}

fn check(labels: &[u64], expected: &[u64]) -> Result<()> {
    if labels == expected { Ok(()) } else { Err(Error::program("the components differ")) }
}

/// Passes the least label along every edge until nothing changes; returns how often.
fn propagate(edges: &[(u64, u64)]) -> (Vec<u64>, u64) {
    let mut labels: Vec<u64> = (0..1 << SCALE).collect();
    let mut scans = 0;
    loop {
        let mut changed = false;
        for &(a, b) in edges {
            let (a, b) = (a as usize, b as usize);
            if labels[a] != labels[b] {
                let least = labels[a].min(labels[b]);
                (labels[a], labels[b], changed) = (least, least, true);
            }
        }
        scans += 1;
        if !changed {
            return (labels, scans);
        }
    }
}

fn join(edges: &[(u64, u64)]) -> Vec<u64> {
    let mut parents: Vec<u64> = (0..1 << SCALE).collect();
    for &(a, b) in edges {
        let (a, b) = (first(&mut parents, a), first(&mut parents, b));
        parents[a.max(b) as usize] = a.min(b);
    }
    (0..1 << SCALE).map(|vertex| first(&mut parents, vertex)).collect()
}

fn first(parents: &mut [u64], mut vertex: u64) -> u64 {
    while parents[vertex as usize] != vertex {
        let above = parents[parents[vertex as usize] as usize];
        parents[vertex as usize] = above;
        vertex = above;
    }
    vertex
}

fn sorted(mut labels: Vec<(u64, u64)>) -> Vec<u64> {
    // Of several labels of a vertex the least is the last that it had.
    labels.sort_unstable();
    labels.dedup_by_key(|(vertex, _)| *vertex);
    labels.into_iter().map(|(_, label)| label).collect()
}

fn config(workers: usize) -> Config {
    let mut config = Config::workers(workers);
    config.engine.mode = highwater::core::config::Mode::Batch;
    config
}

/// Asks the graph library.
fn in_arrays(edges: &[(u64, u64)], workers: usize) -> Result<(Duration, Vec<u64>)> {
    let (results, edges, begun) = (Collect::new(), edges.to_vec(), Instant::now());
    let sink = results.clone();
    highwater::execute(config(workers), move |env| {
        let edge = |(source, target)| Edge { source, target, weight: 1.0 };
        let edges = env.read(Collection::of(edges.clone())).map(edge);
        let graph = Graph::new(&env.read(Collection::of(0..1 << SCALE)), &edges);
        graph.ask(Algorithm::Components).sink(sink.clone());
        Ok(())
    })?;
    let elapsed = begun.elapsed();
    let label = |(vertex, value)| match value {
        Value::Whole(label) => (vertex, label),
        Value::Real(_) => (vertex, u64::MAX),
    };
    Ok((elapsed, sorted(results.take_values().into_iter().map(label).collect())))
}

/// Keeps the least label of a vertex in keyed state, as a user would write it.
struct Least {
    label: ValueState<u64>,
    /// The label that the neighbours were told last.
    told: ValueState<u64>,
    neighbours: ListState<u64>,
}

/// A neighbour of a vertex, or a label for it.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Told {
    Neighbour(u64),
    Label(u64),
}

impl KeyedProcessFunction<u64, (u64, Told)> for Least {
    type Out = (u64, Told);

    fn process_element(
        &mut self,
        (_, told): (u64, Told),
        cx: &mut ProcessContext<'_, '_, u64, Self::Out>,
    ) {
        match told {
            Told::Neighbour(neighbour) => cx.list(self.neighbours).add(neighbour),
            Told::Label(label) => {
                let least = cx.get(self.label).copied().unwrap_or(u64::MAX);
                cx.set(self.label, label.min(least));
            }
        }
        cx.await_superstep_end();
    }

    fn on_superstep_end(&mut self, cx: &mut ProcessContext<'_, '_, u64, Self::Out>) {
        let Some(label) = cx.get(self.label).copied() else { return };
        if cx.get(self.told).is_some_and(|told| *told == label) {
            return;
        }
        cx.set(self.told, label);
        let neighbours: Vec<u64> = cx.list(self.neighbours).iter().copied().collect();
        for neighbour in neighbours {
            cx.emit((neighbour, Told::Label(label)));
        }
    }
}

/// Asks the same of a loop over keyed state.
fn in_state(edges: &[(u64, u64)], workers: usize) -> Result<(Duration, Vec<u64>)> {
    let (results, edges, begun) = (Collect::new(), edges.to_vec(), Instant::now());
    let sink = results.clone();
    highwater::execute(config(workers), move |env| {
        let both = |(a, b)| [(a, Told::Neighbour(b)), (b, Told::Neighbour(a))];
        let edges = env.read(Collection::of(edges.clone())).flat_map(both);
        let labels = env.read(Collection::of(0..1 << SCALE)).map(|v| (v, Told::Label(v)));
        let told = labels.union(&[&edges]).iterate(|_, told| {
            let again = told.key_by(|told: &(u64, Told)| told.0).process(|states| {
                let (label, told) = (states.value("label")?, states.value("told")?);
                Ok(Least { label, told, neighbours: states.list("neighbours")? })
            });
            (again.stream(), told)
        });
        let label = |(vertex, told)| match told {
            Told::Label(label) => Some((vertex, label)),
            Told::Neighbour(_) => None,
        };
        told.flat_map(label).sink(sink.clone());
        Ok(())
    })?;
    Ok((begun.elapsed(), sorted(results.take_values())))
}
