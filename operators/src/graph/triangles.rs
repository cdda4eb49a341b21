//! Triangles at each vertex, and the local clustering coefficient, which is made of them.
//!
//! ```text
//! clustering(v) = edges between neighbours of v / (n * (n - 1)),  n neighbours in either direction
//! ```
//!
//! where edges have directions; in an undirected graph each counts twice. Every triangle is found
//! once, at the least of its corners in the order of their degrees: its list of greater neighbours
//! is held against that of the middle one, on the worker of the latter.
//!
//! **Cost**: `edges ^ 1.5` at the most; a list travels to each worker that has one of its vertices.
//!
//! **Sources**: LDBC Graphalytics, LCC; Schank, Wagner, Finding, counting and listing all triangles
//! in large graphs, 2005 (forward).

use super::Value;
use super::letter::Body;
use super::part::Part;
use super::program::{Needs, Post, Program};

/// What is told of a vertex.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Triangles,
    Clustering,
}

/// The triangles of one worker.
pub(crate) struct Triangles {
    result: Told,
    step: u8,
    degrees: Vec<u32>,
    /// For each vertex the neighbours that are greater, with the number of edges to them.
    greater: Vec<Vec<(u32, u8)>>,
    /// At each slot: triangles, and edges on the opposite sides.
    counts: Vec<u64>,
    opposite: Vec<u64>,
    /// The number of edges to a slot from the corner that is worked on.
    marks: Vec<u8>,
}

/// How many vertices with their lists travel in one letter.
const PER_LETTER: usize = 64;

impl Triangles {
    pub(crate) fn counted() -> Self {
        Triangles::new(Told::Triangles)
    }

    pub(crate) fn clustering() -> Self {
        Triangles::new(Told::Clustering)
    }

    fn new(result: Told) -> Self {
        let (degrees, greater, marks) = (Vec::new(), Vec::new(), Vec::new());
        let (counts, opposite) = (Vec::new(), Vec::new());
        Triangles { result, step: 0, degrees, greater, counts, opposite, marks }
    }

    /// Keeps of each list of neighbours those that are greater, and sends it to whom it concerns.
    fn orient(&mut self, part: &Part, post: &mut Post) {
        let rank = |slot: u32| (self.degrees[slot as usize], part.ids[slot as usize]);
        for (slot, list) in self.greater.iter_mut().enumerate() {
            let own = rank(slot as u32);
            list.retain(|(other, _)| rank(*other) > own);
        }
        let mut boxes = vec![Vec::new(); part.workers() as usize];
        let mut workers: Vec<u32> = Vec::new();
        for (slot, list) in self.greater.iter().enumerate() {
            workers.clear();
            let ghosts = list.iter().filter(|(other, _)| !part.is_own(*other));
            workers.extend(ghosts.map(|(ghost, _)| part.home(*ghost as usize).0));
            workers.sort_unstable();
            workers.dedup();
            for to in &workers {
                let ids = list.iter().map(|&(other, edges)| (part.ids[other as usize], edges));
                let lists = &mut boxes[*to as usize];
                lists.push((part.ids[slot], ids.collect()));
                if lists.len() == PER_LETTER {
                    post.letter(*to, Body::Lists(std::mem::take(lists)));
                }
            }
        }
        for (to, lists) in boxes.into_iter().enumerate().filter(|(_, lists)| !lists.is_empty()) {
            post.letter(to as u32, Body::Lists(lists));
        }
        for slot in 0..part.own {
            let list = std::mem::take(&mut self.greater[slot]);
            self.close(part, slot as u32, &list);
            self.greater[slot] = list;
        }
    }

    /// Finds the triangles of a corner with its greater neighbours, the middle one of the worker.
    fn close(&mut self, part: &Part, corner: u32, list: &[(u32, u8)]) {
        for &(other, edges) in list {
            self.marks[other as usize] = edges;
        }
        for &(middle, near) in list.iter().filter(|(middle, _)| part.is_own(*middle)) {
            for &(last, far) in &self.greater[middle as usize] {
                let across = self.marks[last as usize];
                if across > 0 {
                    for (slot, edges) in [(corner, far), (middle, across), (last, near)] {
                        self.counts[slot as usize] += 1;
                        self.opposite[slot as usize] += u64::from(edges);
                    }
                }
            }
        }
        for (other, _) in list {
            self.marks[*other as usize] = 0;
        }
    }

    /// Sends home what was counted for ghosts.
    fn settle(&mut self, part: &Part, post: &mut Post) {
        for ghost in part.ghosts() {
            let count = match self.result {
                Told::Triangles => self.counts[ghost],
                Told::Clustering => self.opposite[ghost],
            };
            if count > 0 {
                post.tell_home(part, ghost, count);
            }
        }
    }
}

impl Program for Triangles {
    fn needs(&self) -> Needs {
        Needs { into: true, ..Needs::default() }
    }

    fn start(&mut self, part: &Part, post: &mut Post) -> Result<(), u64> {
        let slots = part.ids.len();
        self.greater = (0..part.own).map(|slot| part.neighbours(slot)).collect();
        self.degrees = self.greater.iter().map(|list| list.len() as u32).collect();
        self.degrees.resize(slots, 0);
        (self.counts, self.opposite) = (vec![0; slots], vec![0; slots]);
        self.marks = vec![0; slots];
        for slot in 0..part.own {
            post.tell_mirrors(part, slot, u64::from(self.degrees[slot]));
        }
        post.again();
        Ok(())
    }

    fn receive(&mut self, _part: &Part, values: &[(u32, u64)]) {
        for &(slot, value) in values {
            match (self.step, self.result) {
                (0, _) => self.degrees[slot as usize] = value as u32,
                (_, Told::Triangles) => self.counts[slot as usize] += value,
                (_, Told::Clustering) => self.opposite[slot as usize] += value,
            }
        }
    }

    fn receive_lists(&mut self, part: &Part, lists: Vec<(u64, Vec<(u64, u8)>)>) {
        for (corner, list) in lists {
            // Whatever this worker has no slot for is no corner of a triangle with one of its own.
            let known = list.iter().filter_map(|&(id, edges)| Some((part.slot(id)?, edges)));
            let known: Vec<(u32, u8)> = known.collect();
            if let Some(corner) = part.slot(corner) {
                self.close(part, corner, &known);
            }
        }
    }

    fn step(&mut self, part: &Part, _globals: &[u64], post: &mut Post) {
        match self.step {
            0 => {
                self.orient(part, post);
                post.again();
            }
            1 => self.settle(part, post),
            _ => {}
        }
        self.step = self.step.saturating_add(1);
    }

    fn value(&self, _part: &Part, slot: usize) -> Value {
        let degree = f64::from(self.degrees[slot]);
        match self.result {
            Told::Triangles => Value::Whole(self.counts[slot]),
            Told::Clustering if degree < 2.0 => Value::Real(0.0),
            Told::Clustering => Value::Real(self.opposite[slot] as f64 / (degree * (degree - 1.0))),
        }
    }
}
