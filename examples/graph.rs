//! Asks one of nine questions about a graph in two files.
//!
//! ```text
//! vertices, edges --> graph: a loop of supersteps over the workers --> "vertex value" --> part-*
//! ```
//!
//! What to look at: `--workers` changes nothing in the answers, `--mode batch` neither. The answers
//! are those of LDBC Graphalytics: no way to a vertex is `9223372036854775807` hops or `Infinity`
//! far, and a graph is simple: loops and repeated edges are left out.
//!
//! Run: `cargo run --release --example graph -- wcc --vertices examples/data/circles.v
//! --edges examples/data/circles.e --output out/circles` writes one line per vertex, such as `4 1`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use highwater::connectors::format::graph::{Weights, edges, unknown_vertex, vertices};
use highwater::options::JobOptions;
use highwater::prelude::*;

/// Asks a question about a graph.
#[derive(Parser)]
struct Args {
    /// The question
    algorithm: Question,
    /// The vertices, one number a line: a file or a folder, plain or compressed
    #[arg(long, value_name = "FILE")]
    vertices: PathBuf,
    /// The edges: two vertices a line, and a weight if there are any
    #[arg(long, value_name = "FILE")]
    edges: PathBuf,
    /// Where the answers go
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace results that are there already
    #[arg(long)]
    overwrite: bool,
    /// Edges lead from the first vertex to the second only
    #[arg(long)]
    directed: bool,
    /// Where ways begin
    #[arg(long, value_name = "VERTEX", required_if_eq_any([("algorithm", "bfs"), ("algorithm", "sssp")]))]
    source: Option<u64>,
    /// The chance to follow an edge, for pagerank
    #[arg(long, default_value_t = 0.85, value_parser = chance)]
    damping: f64,
    /// How many iterations; 20 for pagerank and 10 for cdlp if not given
    #[arg(long, value_name = "N")]
    iterations: Option<u64>,
    /// Every edge must have a weight
    #[arg(long)]
    weighted: bool,
    #[command(flatten)]
    job: JobOptions,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Question {
    /// Hops from the source
    Bfs,
    /// The least vertex of the component, whatever the directions
    Wcc,
    /// Distance from the source by weight
    Sssp,
    /// PageRank
    Pagerank,
    /// Community by label propagation
    Cdlp,
    /// Local clustering coefficient
    Lcc,
    /// Core number
    Kcore,
    /// Triangles through the vertex
    Triangles,
    /// The least vertex of the strong component
    Scc,
}

fn chance(text: &str) -> std::result::Result<f64, String> {
    let chance = text.parse::<f64>().ok().filter(|chance| (0.0..=1.0).contains(chance));
    chance.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

impl Args {
    fn algorithm(&self) -> Algorithm {
        let source = self.source.unwrap_or_default();
        let iterations = |default| self.iterations.unwrap_or(default);
        match self.algorithm {
            Question::Bfs => Algorithm::Bfs { source },
            Question::Wcc => Algorithm::Components,
            Question::Sssp => Algorithm::ShortestPaths { source },
            Question::Pagerank => {
                Algorithm::PageRank { damping: self.damping, iterations: iterations(20) }
            }
            Question::Cdlp => Algorithm::Communities { iterations: iterations(10) },
            Question::Lcc => Algorithm::Clustering,
            Question::Kcore => Algorithm::Cores,
            Question::Triangles => Algorithm::Triangles,
            Question::Scc => Algorithm::StrongComponents,
        }
    }

    fn weights(&self) -> Weights {
        match self.algorithm {
            _ if self.weighted => Weights::Required,
            Question::Sssp => Weights::IfGiven,
            _ => Weights::Ignored,
        }
    }
}

fn main() -> ExitCode {
    highwater::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<()> {
    let config = args.job.config()?;
    highwater::execute(config, move |env| {
        let of_edges = env.read(edges(&args.edges, args.weights())).name("edges");
        let of_edges = of_edges.map(|(source, target, weight)| Edge { source, target, weight });
        let of_vertices = env.read(vertices(&args.vertices)).name("vertices");
        let (edge_file, vertex_file) = (args.edges.clone(), args.vertices.clone());
        let source = args.source;
        let graph = Graph::new(&of_vertices, &of_edges).directed(args.directed);
        let graph = graph.unknown_vertex(move |vertex| match source {
            Some(source) if source == vertex => {
                let expected = format!("a vertex of {}", vertex_file.display());
                Error::option("--source", source, expected)
            }
            _ => unknown_vertex(&edge_file, &vertex_file, vertex),
        });
        graph
            .ask(args.algorithm())
            .map(|(vertex, value)| format!("{vertex} {value}"))
            .sink(TextFiles::to(&args.output).overwrite(args.overwrite));
        Ok(())
    })?;
    Ok(())
}
