//! Questions about graphs, against sequential definitions and against known answers.
//!
//! | family | what it would catch |
//! |---|---|
//! | drawn graphs | a wrong answer for any numbers, loops, repeated edges, or a certain number of workers |
//! | odd graphs | no vertices, no edges, one vertex, long chains |
//! | known answers | a definition that we share with our own oracle and with nobody else |
//! | messages | a vertex that does not exist and is passed over |
//!
//! Known answers are read from the folder in `HIGHWATER_GRAPHS`, and skipped with a notice without it.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "graph/oracle.rs"]
mod oracle;
#[path = "graph/reference.rs"]
mod reference;

use std::path::Path;
use std::sync::Arc;

use highwater::connectors::format::graph::{Weights, edges, unknown_vertex, vertices};
use highwater::core::config::{Config as Engine, Mode};
use highwater::operators::environment::execute;
use highwater::operators::graph::Value;
use highwater::prelude::*;
use highwater_sim::Random;
use oracle::{Drawn, Simple};

/// Asks a graph, with so many workers; returns the answers sorted by vertex.
fn ask(
    drawn: &Arc<Drawn>,
    algorithm: Algorithm,
    workers: usize,
    mode: Mode,
) -> Result<Vec<(u64, Value)>> {
    let (results, drawn) = (Collect::new(), Arc::clone(drawn));
    let sink = results.clone();
    execute(Engine { mode, ..Engine::workers(workers) }, move |env| {
        let edge = |(source, target, weight)| Edge { source, target, weight };
        let edges = env.read(Collection::of(drawn.edges.clone())).map(edge);
        let vertices = env.read(Collection::of(drawn.vertices.clone()));
        let graph = Graph::new(&vertices, &edges).directed(drawn.directed);
        let _sunk = graph.ask(algorithm).sink(sink.clone());
        Ok(())
    })?;
    let mut results = results.take_values();
    results.sort_unstable_by_key(|(vertex, _)| *vertex);
    Ok(results)
}

fn questions(source: u64) -> [Algorithm; 9] {
    [
        Algorithm::Bfs { source },
        Algorithm::ShortestPaths { source },
        Algorithm::Components,
        Algorithm::StrongComponents,
        Algorithm::PageRank { damping: 0.85, iterations: 7 },
        Algorithm::Communities { iterations: 5 },
        Algorithm::Clustering,
        Algorithm::Cores,
        Algorithm::Triangles,
    ]
}

/// Whether two answers are the same, but for the order in which numbers were added up.
fn agree(a: &[(u64, Value)], b: &[(u64, Value)]) -> bool {
    let same = |a: &Value, b: &Value| match (a, b) {
        (Value::Real(a), Value::Real(b)) => a == b || (a - b).abs() <= 1e-12 * b.abs(),
        (a, b) => a == b,
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
}

/// Compares the answers to all questions with their definitions.
fn compare(drawn: Drawn, about: &str) {
    let simple = Simple::new(&drawn);
    let drawn = Arc::new(drawn);
    let source = drawn.vertices.first().copied();
    for algorithm in questions(source.unwrap_or_default()) {
        let is_way = matches!(algorithm, Algorithm::Bfs { .. } | Algorithm::ShortestPaths { .. });
        if is_way && source.is_none() {
            continue;
        }
        let expected = simple.answers(algorithm);
        for (workers, mode) in [
            (1, Mode::Batch),
            (2, Mode::Batch),
            (4, Mode::Batch),
            (1, Mode::Streaming),
            (3, Mode::Streaming),
        ] {
            let told = ask(&drawn, algorithm, workers, mode).expect("a graph");
            assert!(
                agree(&told, &expected),
                "{about}, {algorithm:?}, {workers} workers, {mode:?}: {told:?}, not {expected:?}"
            );
        }
    }
}

/// Draws a graph with loops and repeated edges.
///
/// - `step`: between the numbers of vertices.
fn draw(seed: u64, directed: bool, step: u64) -> Drawn {
    let mut random = Random::new(seed);
    let vertices = random.below(40) + 2;
    let edges = random.below(vertices * 4);
    let edge = |_| {
        let (a, b) = (random.below(vertices) * step, random.below(vertices) * step);
        (a, b, random.below(8) as f64 / 2.0)
    };
    let edges = (0..edges).map(edge).collect();
    Drawn { vertices: (0..vertices).map(|v| v * step).collect(), edges, directed }
}

#[test]
fn answers_about_drawn_graphs_are_those_of_the_definitions() {
    for seed in 0..12 {
        for directed in [false, true] {
            let step = if seed % 2 == 0 { 1 } else { 0x0100_0000_0000_0001 };
            compare(draw(seed, directed, step), &format!("seed {seed}, directed {directed}"));
        }
    }
}

#[test]
fn odd_graphs_have_answers_too() {
    for directed in [false, true] {
        let graph =
            |vertices: Vec<u64>, edges: Vec<(u64, u64, f64)>| Drawn { vertices, edges, directed };
        compare(graph(vec![], vec![]), "nothing");
        compare(graph(vec![u64::MAX], vec![(u64::MAX, u64::MAX, 1.0)]), "a vertex with a loop");
        compare(graph(vec![5, 3, 3, 4], vec![]), "vertices alone, one of them twice");
        let chain = (0..200).map(|n| (n, n + 1, 1.0)).collect();
        compare(graph((0..=200).collect(), chain), "a chain");
        let pairs =
            (0..60).flat_map(|n| [(2 * n, 2 * n + 1), (2 * n + 1, 2 * n), (2 * n, 2 * n + 2)]);
        let pairs = pairs.map(|(a, b)| (a, b, 1.0)).collect();
        compare(graph((0..=120).collect(), pairs), "a chain of circles");
    }
}

#[test]
fn a_vertex_that_does_not_exist_is_an_error_that_names_it() {
    for (workers, directed) in [(1, false), (3, true), (3, false)] {
        let edges = vec![(1, 2, 1.0), (2, 77, 1.0)];
        let drawn = Arc::new(Drawn { vertices: vec![1, 2, 3], edges, directed });
        for algorithm in questions(1) {
            let error = ask(&drawn, algorithm, workers, Mode::Batch).expect_err("no such vertex");
            assert!(error.sentence().contains("vertex 77"), "{algorithm:?}: {}", error.sentence());
        }
        let drawn = Arc::new(Drawn { vertices: vec![1, 2], edges: vec![(1, 2, 1.0)], directed });
        let error = ask(&drawn, Algorithm::Bfs { source: 9 }, workers, Mode::Batch);
        let sentence = error.expect_err("no such source").sentence();
        assert!(sentence.contains("vertex 9"), "{sentence}");
    }
}

/// Asks about the graph in two files.
fn ask_files(case: &reference::Case, workers: usize, mode: Mode) -> Vec<(u64, Value)> {
    let results = Collect::new();
    let (sink, algorithm, directed) = (results.clone(), case.algorithm, case.directed);
    let (of_vertices, of_edges) = (case.vertices.clone(), case.edges.clone());
    let weights = match algorithm {
        Algorithm::ShortestPaths { .. } => Weights::Required,
        _ => Weights::Ignored,
    };
    let ran = execute(Engine { mode, ..Engine::workers(workers) }, move |env| {
        let edge = |(source, target, weight)| Edge { source, target, weight };
        let lines = env.read(edges(&of_edges, weights)).map(edge);
        let (e, v) = (of_edges.clone(), of_vertices.clone());
        let graph = Graph::new(&env.read(vertices(&of_vertices)), &lines)
            .directed(directed)
            .unknown_vertex(move |vertex| unknown_vertex(&e, &v, vertex));
        let _sunk = graph.ask(algorithm).sink(sink.clone());
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{}: {}", case.name, error.sentence()));
    let mut results = results.take_values();
    results.sort_unstable_by_key(|(vertex, _)| *vertex);
    results
}

#[test]
fn answers_are_those_that_are_known() {
    let Ok(graphs) = std::env::var("HIGHWATER_GRAPHS") else {
        eprintln!("skipped: HIGHWATER_GRAPHS does not say where graphs with known answers are");
        return;
    };
    let cases = reference::cases(Path::new(&graphs));
    assert!(!cases.is_empty(), "no graphs in {graphs}");
    for case in &cases {
        for (workers, mode) in [(1, Mode::Batch), (2, Mode::Streaming), (4, Mode::Batch)] {
            let answers = ask_files(case, workers, mode);
            case.check(&answers, &format!("{workers} workers, {mode:?}"));
        }
    }
}
