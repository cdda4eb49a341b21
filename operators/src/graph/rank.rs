//! PageRank, for a fixed number of iterations.
//!
//! ```text
//! rank(v) = (1 - d) / n + d * (sum of rank(u) / degree(u) over u -> v + dangling / n)
//! ```
//!
//! where `dangling` is the sum of the ranks of vertices without outgoing edges.
//!
//! **Cost**: a pass over the edges in each iteration, and one message for each ghost: what a worker
//! has for a vertex elsewhere is summed up before it is sent.
//!
//! **Sources**: LDBC Graphalytics, PR.

use super::Value;
use super::part::Part;
use super::program::{Post, Program};

/// The ranks of the vertices of one worker.
pub(crate) struct Rank {
    damping: f64,
    iterations: u64,
    done: u64,
    ranks: Vec<f64>,
    sums: Vec<f64>,
}

impl Rank {
    pub(crate) fn new(damping: f64, iterations: u64) -> Self {
        Rank { damping, iterations, done: 0, ranks: Vec::new(), sums: Vec::new() }
    }

    /// Hands the ranks out along the edges.
    fn hand_out(&mut self, part: &Part, post: &mut Post) {
        let mut dangling = 0.0;
        for slot in 0..part.own {
            let targets = part.out.of(slot);
            if targets.is_empty() {
                dangling += self.ranks[slot];
                continue;
            }
            let share = self.ranks[slot] / targets.len() as f64;
            for &target in targets {
                self.sums[target as usize] += share;
            }
        }
        for ghost in part.ghosts() {
            let sum = std::mem::take(&mut self.sums[ghost]);
            post.tell_home(part, ghost, sum.to_bits());
        }
        post.tell_all(dangling.to_bits());
    }
}

impl Program for Rank {
    fn start(&mut self, part: &Part, post: &mut Post) -> Result<(), u64> {
        self.ranks = vec![1.0 / part.total as f64; part.own];
        self.sums = vec![0.0; part.ids.len()];
        if self.iterations > 0 {
            self.hand_out(part, post);
        }
        Ok(())
    }

    fn receive(&mut self, _part: &Part, values: &[(u32, u64)]) {
        for &(slot, bits) in values {
            self.sums[slot as usize] += f64::from_bits(bits);
        }
    }

    fn step(&mut self, part: &Part, globals: &[u64], post: &mut Post) {
        let total = part.total as f64;
        let dangling: f64 = globals.iter().map(|bits| f64::from_bits(*bits)).sum();
        let base = (1.0 - self.damping) / total + self.damping * dangling / total;
        for (rank, sum) in self.ranks.iter_mut().zip(&mut self.sums) {
            *rank = base + self.damping * std::mem::take(sum);
        }
        self.done += 1;
        if self.done < self.iterations {
            self.hand_out(part, post);
        }
    }

    fn value(&self, _part: &Part, slot: usize) -> Value {
        Value::Real(self.ranks[slot])
    }
}
