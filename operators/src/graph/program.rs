//! What a worker does with its part of a graph, superstep by superstep.

use super::Value;
use super::letter::{Body, Letter};
use super::part::Part;

/// What a program wants to know of a graph.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// The edges that lead to a vertex, in a directed graph.
    pub(crate) into: bool,
    /// The weights of edges.
    pub(crate) weights: bool,
    /// Each undirected edge at one of its ends only.
    pub(crate) once: bool,
}

/// One algorithm on one worker.
///
/// # Contract
/// - *Supersteps*: `step` is called at the end of each, after all that was posted in the one before
///   has been received. There is another one only if some worker has posted anything.
pub(crate) trait Program: 'static {
    /// Returns what it wants to know of the graph.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Begins; what it returns names a vertex that should be there and is not.
    fn start(&mut self, part: &Part, post: &mut Post) -> Result<(), u64>;

    /// Takes values that were posted to slots of the worker.
    fn receive(&mut self, _part: &Part, _values: &[(u32, u64)]) {}

    /// Takes lists of neighbours.
    fn receive_lists(&mut self, _part: &Part, _lists: Vec<(u64, Vec<(u64, u8)>)>) {}

    /// Ends a superstep.
    ///
    /// - `globals`: what workers have told all, in the order of the workers.
    fn step(&mut self, part: &Part, globals: &[u64], post: &mut Post);

    /// Returns the result of a vertex of the worker.
    fn value(&self, part: &Part, slot: usize) -> Value;
}

/// How many values travel in one letter.
const PER_LETTER: usize = 4096;

/// What a worker sends in a superstep.
#[derive(Debug)]
pub(crate) struct Post {
    me: u32,
    values: Vec<Vec<(u32, u64)>>,
    letters: Vec<Letter>,
}

impl Post {
    pub(crate) fn new(me: u32, workers: u32) -> Self {
        Post { me, values: vec![Vec::new(); workers as usize], letters: Vec::new() }
    }

    fn value(&mut self, to: u32, slot: u32, value: u64) {
        let values = &mut self.values[to as usize];
        values.push((slot, value));
        if values.len() == PER_LETTER {
            let values = std::mem::take(values);
            self.letter(to, Body::Values(values));
        }
    }

    /// Sends a value to the vertex of a ghost.
    pub(crate) fn tell_home(&mut self, part: &Part, ghost: usize, value: u64) {
        let (to, slot) = part.home(ghost);
        self.value(to, slot, value);
    }

    /// Sends a value to all ghosts of a vertex.
    pub(crate) fn tell_mirrors(&mut self, part: &Part, slot: usize, value: u64) {
        for (to, ghost) in part.mirrors(slot) {
            self.value(to, ghost, value);
        }
    }

    /// Sends a value to all workers.
    pub(crate) fn tell_all(&mut self, value: u64) {
        for to in 0..self.values.len() as u32 {
            self.letter(to, Body::Global { from: self.me, value });
        }
    }

    /// Asks for another superstep.
    pub(crate) fn again(&mut self) {
        self.letter(self.me, Body::Again);
    }

    pub(crate) fn letter(&mut self, to: u32, body: Body) {
        self.letters.push(Letter { to, body });
    }

    /// Takes all that is to be sent.
    pub(crate) fn take(&mut self) -> Vec<Letter> {
        for to in 0..self.values.len() {
            if !self.values[to].is_empty() {
                let values = std::mem::take(&mut self.values[to]);
                self.letter(to as u32, Body::Values(values));
            }
        }
        std::mem::take(&mut self.letters)
    }
}
