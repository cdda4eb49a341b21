//! What do questions about graphs cost in an engine? The COST question: at how many workers is it
//! faster than a plain loop on one thread?
//!
//! | line | question |
//! |---|---|
//! | `pagerank` | 20 iterations over hwrmat, 16 edges a vertex |
//! | `wcc` | components of hwrmat, whose diameter is tiny |
//! | `grid` | components of hwgrid, whose diameter is large |
//!
//! ```text
//! cargo bench --bench graph                    scale 16
//! cargo bench --bench graph -- scale=20 wcc    another scale, lines whose name contains a word
//! ```
//!
//! *Whole* is everything from the numbers of the edges to the last answer: edges are made, sorted and
//! made simple, answered. *Loop* is the question alone: the engine's is the difference to a job that
//! loads the same graph and answers after no iteration. The plain side is what one would write without
//! an engine: arrays, vertex by vertex, and union-find with path halving.

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use highwater::core::config::{Config as Engine, Mode};
use highwater::operators::environment::execute;
use highwater::operators::graph::Value;
use highwater::prelude::*;
use highwater_sim::graphs::Generated;

const SEED: u64 = 42;
const ROUNDS: usize = 3;
const ITERATIONS: u64 = 20;

/// A graph to be made.
#[derive(Clone)]
struct Input {
    vertices: u64,
    edges: u64,
    make: Arc<dyn Fn(u64) -> (u64, u64) + Send + Sync>,
}

fn rmat(scale: u32) -> Input {
    let graph = Generated::new(scale, SEED);
    let make = Arc::new(move |i| graph.rmat_edge(i));
    Input { vertices: 1 << scale, edges: 16 << scale, make }
}

fn grid(scale: u32) -> Input {
    let edges: Vec<(u64, u64)> = Generated::new(scale, SEED).grid_edges().collect();
    let count = edges.len() as u64;
    Input { vertices: 1 << scale, edges: count, make: Arc::new(move |i| edges[i as usize]) }
}

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let scale = words.iter().find_map(|word| word.strip_prefix("scale=")?.parse().ok());
    let scale: u32 = scale.unwrap_or(16);
    let names: Vec<_> = words.iter().filter(|word| !word.contains('=')).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|word| name.contains(*word));
    if wanted("pagerank") {
        pagerank(scale);
    }
    if wanted("wcc") {
        components("wcc", &rmat(scale));
    }
    if wanted("grid") {
        components("grid", &grid(scale));
    }
}

/// Times of the whole and of the loop alone, and the sum of the answers.
type Times = (Duration, Duration, f64);

/// Runs something a few times; returns the median by the whole time.
fn median(run: impl Fn() -> Times) -> Times {
    let mut runs: Vec<Times> = (0..ROUNDS).map(|_| run()).collect();
    runs.sort_by_key(|(whole, ..)| *whole);
    runs[ROUNDS / 2]
}

fn ask(input: &Input, algorithm: Algorithm, workers: usize) -> (Duration, f64) {
    let (input, results) = (input.clone(), Collect::new());
    let sink = results.clone();
    let begun = Instant::now();
    let ran = execute(Engine { mode: Mode::Batch, ..Engine::workers(workers) }, move |env| {
        let make = Arc::clone(&input.make);
        let edges = env.read(Generator::new(input.edges, move |i| make(i)));
        let edges = edges.map(|(source, target)| Edge { source, target, weight: 1.0 });
        let vertices = env.read(Generator::new(input.vertices, |i| i));
        let graph = Graph::new(&vertices, &edges).directed(true);
        let _sunk = graph.ask(algorithm).sink(sink.clone());
        Ok(())
    });
    ran.expect("the job ends");
    let whole = begun.elapsed();
    let number = |(_, value): (u64, Value)| match value {
        Value::Whole(whole) => whole as f64,
        Value::Real(real) => real,
    };
    (whole, results.take_values().into_iter().map(number).sum())
}

/// Makes the simple graph as a plain program would.
fn plain_edges(input: &Input) -> Vec<(u32, u32)> {
    let edges = (0..input.edges).map(|i| (input.make)(i)).filter(|(u, v)| u != v);
    let mut edges: Vec<(u32, u32)> = edges.map(|(u, v)| (u as u32, v as u32)).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn plain_pagerank(input: &Input) -> Times {
    let begun = Instant::now();
    let edges = plain_edges(input);
    let n = input.vertices as usize;
    let mut starts = vec![0_u32; n + 1];
    edges.iter().for_each(|(u, _)| starts[*u as usize + 1] += 1);
    (0..n).for_each(|v| starts[v + 1] += starts[v]);
    let targets: Vec<u32> = edges.iter().map(|(_, v)| *v).collect();
    let looped = Instant::now();
    let (mut rank, mut sum) = (vec![1.0 / n as f64; n], vec![0.0; n]);
    for _ in 0..ITERATIONS {
        let mut dangling = 0.0;
        for v in 0..n {
            let of = &targets[starts[v] as usize..starts[v + 1] as usize];
            if of.is_empty() {
                dangling += rank[v];
            }
            let share = rank[v] / of.len() as f64;
            of.iter().for_each(|target| sum[*target as usize] += share);
        }
        let base = (0.15 + 0.85 * dangling) / n as f64;
        for v in 0..n {
            rank[v] = base + 0.85 * std::mem::take(&mut sum[v]);
        }
    }
    (begun.elapsed(), looped.elapsed(), rank.iter().sum())
}

fn plain_components(input: &Input) -> Times {
    let begun = Instant::now();
    let edges = plain_edges(input);
    let looped = Instant::now();
    let mut parent: Vec<u32> = (0..input.vertices as u32).collect();
    fn find(parent: &mut [u32], mut v: u32) -> u32 {
        while parent[v as usize] != v {
            let above = parent[parent[v as usize] as usize];
            parent[v as usize] = above;
            v = above;
        }
        v
    }
    for (u, v) in edges {
        let (u, v) = (find(&mut parent, u), find(&mut parent, v));
        parent[u.max(v) as usize] = u.min(v);
    }
    let labels = (0..input.vertices as u32).map(|v| f64::from(find(&mut parent, v)));
    let sum = labels.sum();
    (begun.elapsed(), looped.elapsed(), sum)
}

/// Prints a line for the plain side, and one for each number of workers.
fn compare(name: &str, input: &Input, plain: fn(&Input) -> Times, asked: [Algorithm; 2]) {
    let (whole, looped, expected) = median(|| plain(input));
    println!("{name}: {} vertices, {} edges", input.vertices, input.edges);
    println!("  plain      whole {whole:>9.3?}        loop {looped:>9.3?}");
    for workers in [1, 2] {
        let run = || {
            let (whole, sum) = ask(input, asked[0], workers);
            let (loading, _) = ask(input, asked[1], workers);
            (whole, whole.saturating_sub(loading), sum)
        };
        let (of_whole, of_loop, sum) = median(run);
        assert!((sum - expected).abs() <= 1e-6 * expected, "{sum}, not {expected}");
        let times = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        println!(
            "  {workers} workers  whole {of_whole:>9.3?} {:>5.2}x  loop {of_loop:>9.3?} {:>5.2}x",
            times(of_whole, whole),
            times(of_loop, looped)
        );
    }
}

fn pagerank(scale: u32) {
    let ranks = |iterations| Algorithm::PageRank { damping: 0.85, iterations };
    compare("pagerank", &rmat(scale), plain_pagerank, [ranks(ITERATIONS), ranks(0)]);
}

fn components(name: &str, input: &Input) {
    let loaded = Algorithm::PageRank { damping: 0.85, iterations: 0 };
    compare(name, input, plain_components, [Algorithm::Components, loaded]);
}
