//! Graphs: what can be asked of vertices and edges once all of them have come.
//!
//! ```text
//! vertices, edges --divide--> [worker: its part of the graph, in arrays] --> (vertex, value)
//!                                 ^---- letters, superstep by superstep ---'
//! ```
//!
//! A graph is a [loop](crate::iterate) with one operator in it, which works on all of the vertices of
//! its worker at once. What it sends is summed up or narrowed down before, so that at one worker an
//! algorithm costs what it costs without an engine.
//!
//! - *Simple graphs*: loops and repeated edges are left out; of several weights the least counts.
//! - *Vertices* may have any numbers; those without edges are part of the result.
//! - *Answers* are those of LDBC Graphalytics where it has the question, for any number of workers.
//!
//! A checkpoint that is taken while the graph is loaded keeps what has come; one that is taken later
//! finds the results told. Loading keeps edges at their ends, so with weights 24 bytes for each end
//! that wants to know of it.
//!
//! **Sources**: LDBC Graphalytics (papers/cost.md compares with plain loops); Pregel, SIGMOD 2010.

mod letter;
mod ids;
mod part;

mod program;
mod worker;

mod distances;
mod components;
mod rank;
mod labels;
mod triangles;
mod cores;
mod strong;

use std::rc::Rc;

use highwater_core::OutputTag;
use highwater_core::error::Error;
use highwater_core::shell::Inlet;
use serde::{Deserialize, Serialize};

use crate::stateful::backend;
use crate::stream::DataStream;
use letter::{Body, Letter};
use program::{Needs, Program};
use worker::Worker;

/// An edge from one vertex to another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// Where it begins.
    pub source: u64,
    /// Where it leads.
    pub target: u64,
    /// How long it is; not negative.
    pub weight: f64,
}

/// What an algorithm says of a vertex.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A number of hops, a label, a count.
    Whole(u64),
    /// A distance, a rank, a coefficient.
    Real(f64),
}

/// Written as LDBC Graphalytics does: `Infinity` for no way.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Whole(whole) => whole.fmt(f),
            Value::Real(real) if real.is_infinite() => f.write_str("Infinity"),
            // The shortest text that is read back as the same number.
            Value::Real(real) => write!(f, "{real:?}"),
        }
    }
}

/// A question about a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// How many edges away from `source` each vertex is; `i64::MAX` if there is no way.
    Bfs {
        /// Where the ways begin.
        source: u64,
    },
    /// How far from `source` each vertex is by weight; infinite if there is no way.
    ShortestPaths {
        /// Where the ways begin.
        source: u64,
    },
    /// The least vertex of the component of each vertex, whatever the directions of edges.
    Components,
    /// The least vertex of the component of each vertex, all of whose vertices lead to each other.
    StrongComponents,
    /// The PageRank of each vertex.
    PageRank {
        /// The chance to follow an edge, from 0 to 1.
        damping: f64,
        /// How often ranks are handed on.
        iterations: u64,
    },
    /// The community of each vertex, by label propagation.
    Communities {
        /// How often labels are handed on.
        iterations: u64,
    },
    /// The local clustering coefficient of each vertex.
    Clustering,
    /// The core number of each vertex, whatever the directions of edges.
    Cores,
    /// In how many triangles each vertex is, whatever the directions of edges.
    Triangles,
}

impl Algorithm {
    fn program(self, directed: bool) -> Box<dyn Program> {
        match self {
            Algorithm::Bfs { source } => Box::new(distances::Distances::in_hops(source)),
            Algorithm::ShortestPaths { source } => {
                Box::new(distances::Distances::by_weight(source))
            }
            Algorithm::StrongComponents if directed => Box::<strong::Strong>::default(),
            Algorithm::Components | Algorithm::StrongComponents => {
                Box::<components::Components>::default()
            }
            Algorithm::PageRank { damping, iterations } => {
                Box::new(rank::Rank::new(damping, iterations))
            }
            Algorithm::Communities { iterations } => Box::new(labels::Labels::new(iterations)),
            Algorithm::Clustering => Box::new(triangles::Triangles::clustering()),
            Algorithm::Cores => Box::<cores::Cores>::default(),
            Algorithm::Triangles => Box::new(triangles::Triangles::counted()),
        }
    }
}

/// Makes the error for a vertex that an edge or a question names and that does not exist.
type Unknown = Rc<dyn Fn(u64) -> Error>;

/// The vertices and edges of a graph.
pub struct Graph<'scope> {
    vertices: DataStream<'scope, u64>,
    edges: DataStream<'scope, Edge>,
    directed: bool,
    unknown: Unknown,
}

impl std::fmt::Debug for Graph<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("directed", &self.directed).finish_non_exhaustive()
    }
}

impl<'scope> Graph<'scope> {
    /// Returns an undirected graph.
    ///
    /// - `edges`: each once, in either direction; between vertices of `vertices`.
    #[must_use]
    pub fn new(vertices: &DataStream<'scope, u64>, edges: &DataStream<'scope, Edge>) -> Self {
        let (vertices, edges) = (vertices.clone(), edges.clone());
        Graph { vertices, edges, directed: false, unknown: Rc::new(worker::unknown) }
    }

    /// Says whether edges have a direction.
    #[must_use]
    pub fn directed(self, directed: bool) -> Self {
        Graph { directed, ..self }
    }

    /// Says which error a vertex is that is named and does not exist.
    #[must_use]
    pub fn unknown_vertex(self, unknown: impl Fn(u64) -> Error + 'static) -> Self {
        Graph { unknown: Rc::new(unknown), ..self }
    }

    /// Asks a question of the graph.
    ///
    /// - `output`: a value for each vertex, on the worker that owns it, when the input has ended.
    /// - `state`: the graph, until the question is answered.
    ///
    /// # Examples
    /// ```
    /// # use highwater_connectors::{collect::Collect, collection::Collection};
    /// # use highwater_core::config::Config;
    /// # use highwater_operators::graph::{Algorithm, Edge, Graph};
    /// # let results = Collect::new();
    /// # let sink = results.clone();
    /// # highwater_operators::environment::execute(Config::workers(2), move |env| {
    /// let vertices = env.read(Collection::of([1, 2, 3, 7, 9]));
    /// let edges = env.read(Collection::of([(2, 1), (2, 3), (9, 7)]));
    /// let edges = edges.map(|(source, target)| Edge { source, target, weight: 1.0 });
    /// let components = Graph::new(&vertices, &edges).ask(Algorithm::Components);
    /// components.map(|(vertex, least)| format!("{vertex} {least}")).sink(sink.clone());
    /// # Ok(())
    /// # })?;
    /// let mut results = results.take_values();
    /// results.sort();
    /// assert_eq!(results, ["1 1", "2 1", "3 1", "7 7", "9 7"]);
    /// # Ok::<(), highwater_core::Error>(())
    /// ```
    #[must_use]
    pub fn ask(&self, algorithm: Algorithm) -> DataStream<'scope, (u64, Value)> {
        let workers = self.vertices.env().workers() as u32;
        let (directed, unknown) = (self.directed, Rc::clone(&self.unknown));
        let needs = algorithm.program(directed).needs();
        let vertices = self
            .vertices
            .map(move |id| Letter { to: ids::owner(id, workers), body: Body::Vertex(id) });
        let edges = self.edges.flat_map(move |edge| divide(edge, workers, directed, needs));
        let results = OutputTag::new("results");
        vertices.union(&[&edges]).iterate(move |_, letters| {
            let tag = results.clone();
            let told = letters.operator(
                "graph",
                |env, built| {
                    Inlet::route(env.dataflow(), built, |letter: &Letter| letter.to as usize)
                },
                move |env, identity, _| {
                    let stored = match env.dataflow().job().config().snapshots {
                        Some(_) => Some(backend(env, identity)?.union_state("loading")?),
                        None => None,
                    };
                    let place = (env.worker() as u32, workers);
                    let program = algorithm.program(directed);
                    Ok(Worker::new(place, directed, program, unknown, tag, stored))
                },
            );
            let results = told.side_output(&results);
            (told.stream(), results)
        })
    }
}

/// Tells the owners of its ends of an edge, as far as they need to know.
fn divide(edge: Edge, workers: u32, directed: bool, needs: Needs) -> impl Iterator<Item = Letter> {
    let Edge { source, target, weight } = edge;
    let letter = move |at, other, out| Letter {
        to: ids::owner(at, workers),
        body: Body::Edge { at, other, weight, out },
    };
    let back = match directed {
        _ if needs.once => None,
        true if needs.into => Some(letter(target, source, false)),
        true => None,
        false => Some(letter(target, source, true)),
    };
    std::iter::once(letter(source, target, true)).chain(back)
}
