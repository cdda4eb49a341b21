//! Distances from a vertex: breadth-first search, and shortest paths by weight.
//!
//! A worker goes as far as it can on its own part, then tells the others of their vertices that it
//! has reached on a shorter way. When nobody reaches anything on a shorter way, all are right.
//!
//! **Cost**: at one worker that of the sequential algorithm.
//!
//! **Sources**: Dijkstra, 1959; LDBC Graphalytics, BFS and SSSP.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Value;
use super::part::Part;
use super::program::{Needs, Post, Program};

/// No way leads there.
const FAR: u64 = u64::MAX;

/// The vertices that go on next: the nearest first if edges have weights, else in turn.
enum Next {
    InTurn(VecDeque<u32>),
    Nearest(BinaryHeap<Reverse<(u64, u32)>>),
}

/// Distances from one vertex on one worker. Distances by weight are kept as bits, whose order is that
/// of the numbers.
pub(crate) struct Distances {
    source: u64,
    distances: Vec<u64>,
    next: Next,
    /// The ghosts that were reached on a shorter way.
    reached: Vec<u32>,
}

impl Distances {
    pub(crate) fn in_hops(source: u64) -> Self {
        Distances::new(source, Next::InTurn(VecDeque::new()))
    }

    pub(crate) fn by_weight(source: u64) -> Self {
        Distances::new(source, Next::Nearest(BinaryHeap::new()))
    }

    fn new(source: u64, next: Next) -> Self {
        Distances { source, distances: Vec::new(), next, reached: Vec::new() }
    }

    fn reach(&mut self, part: &Part, slot: u32, distance: u64) {
        let known = &mut self.distances[slot as usize];
        if distance >= *known {
            return;
        }
        *known = distance;
        match &mut self.next {
            _ if !part.is_own(slot) => self.reached.push(slot),
            Next::InTurn(queue) => queue.push_back(slot),
            Next::Nearest(heap) => heap.push(Reverse((distance, slot))),
        }
    }

    fn go(&mut self, part: &Part, post: &mut Post) {
        loop {
            match &mut self.next {
                Next::InTurn(queue) => {
                    let Some(slot) = queue.pop_front() else { break };
                    let hops = self.distances[slot as usize] + 1;
                    for &target in part.out.of(slot as usize) {
                        self.reach(part, target, hops);
                    }
                }
                Next::Nearest(heap) => {
                    let Some(Reverse((distance, slot))) = heap.pop() else { break };
                    if distance > self.distances[slot as usize] {
                        continue;
                    }
                    let from = f64::from_bits(distance);
                    for (target, weight) in part.out.weighted(slot as usize) {
                        self.reach(part, target, (from + weight).to_bits());
                    }
                }
            }
        }
        self.reached.sort_unstable();
        self.reached.dedup();
        for ghost in std::mem::take(&mut self.reached) {
            post.tell_home(part, ghost as usize, self.distances[ghost as usize]);
        }
    }
}

impl Program for Distances {
    fn needs(&self) -> Needs {
        Needs { weights: matches!(self.next, Next::Nearest(_)), ..Needs::default() }
    }

    fn start(&mut self, part: &Part, post: &mut Post) -> Result<(), u64> {
        self.distances = vec![FAR; part.ids.len()];
        if part.owns(self.source) {
            let source = part.own_slot(self.source).ok_or(self.source)?;
            // The bits of 0.0 are those of 0.
            self.reach(part, source, 0);
            self.go(part, post);
        }
        Ok(())
    }

    fn receive(&mut self, part: &Part, values: &[(u32, u64)]) {
        for &(slot, distance) in values {
            self.reach(part, slot, distance);
        }
    }

    fn step(&mut self, part: &Part, _globals: &[u64], post: &mut Post) {
        self.go(part, post);
    }

    fn value(&self, _part: &Part, slot: usize) -> Value {
        match (self.distances[slot], &self.next) {
            (FAR, Next::InTurn(_)) => Value::Whole(i64::MAX as u64),
            (FAR, Next::Nearest(_)) => Value::Real(f64::INFINITY),
            (hops, Next::InTurn(_)) => Value::Whole(hops),
            (bits, Next::Nearest(_)) => Value::Real(f64::from_bits(bits)),
        }
    }
}
