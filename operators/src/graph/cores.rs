//! Core numbers: the greatest `k` for which a vertex is in a part of the graph where all have `k`
//! neighbours, in either direction.
//!
//! Each vertex begins with its degree and sinks to the greatest `h` for which `h` of its neighbours
//! stand at `h` or above, until none sinks any more. A worker that has no ghosts peels its graph
//! instead, which takes one pass.
//!
//! **Sources**: Montresor, De Pellegrini, Miorandi, Distributed k-core decomposition, 2013; Batagelj,
//! Zaversnik, An O(m) algorithm for cores decomposition, 2003.

use std::collections::VecDeque;

use super::Value;
use super::part::Part;
use super::program::{Needs, Post, Program};

/// The core numbers of one worker, as far as they are known.
#[derive(Default)]
pub(crate) struct Cores {
    neighbours: Vec<Vec<u32>>,
    /// For each ghost, from the first: its neighbours of the worker.
    of_ghosts: Vec<Vec<u32>>,
    cores: Vec<u32>,
    queue: VecDeque<u32>,
    is_queued: Vec<bool>,
    has_sunk: Vec<u32>,
    counts: Vec<u32>,
}

impl Cores {
    fn enqueue(&mut self, slot: u32) {
        if !std::mem::replace(&mut self.is_queued[slot as usize], true) {
            self.queue.push_back(slot);
        }
    }

    /// Lets vertices sink until none does.
    fn sink(&mut self, part: &Part, post: &mut Post) {
        while let Some(slot) = self.queue.pop_front() {
            self.is_queued[slot as usize] = false;
            let before = self.cores[slot as usize];
            let now = self.height(slot, before);
            if now == before {
                continue;
            }
            self.cores[slot as usize] = now;
            self.has_sunk.push(slot);
            let neighbours = std::mem::take(&mut self.neighbours[slot as usize]);
            for &other in neighbours.iter().filter(|other| part.is_own(**other)) {
                // Those below do not stand on it.
                if self.cores[other as usize] > now {
                    self.enqueue(other);
                }
            }
            self.neighbours[slot as usize] = neighbours;
        }
        self.has_sunk.sort_unstable();
        self.has_sunk.dedup();
        for slot in std::mem::take(&mut self.has_sunk) {
            post.tell_mirrors(part, slot as usize, u64::from(self.cores[slot as usize]));
        }
    }

    /// Returns the greatest `h <= most` for which `h` neighbours stand at `h` or above.
    fn height(&mut self, slot: u32, most: u32) -> u32 {
        self.counts.clear();
        self.counts.resize(most as usize + 1, 0);
        for other in &self.neighbours[slot as usize] {
            self.counts[self.cores[*other as usize].min(most) as usize] += 1;
        }
        let mut above = 0;
        for height in (1..=most).rev() {
            above += self.counts[height as usize];
            if above >= height {
                return height;
            }
        }
        0
    }

    /// Takes away a vertex with the fewest neighbours left, again and again.
    fn peel(&mut self) {
        let most = self.cores.iter().copied().max().unwrap_or_default() as usize;
        let mut by_degree = vec![Vec::new(); most + 1];
        for (slot, degree) in self.cores.iter().enumerate() {
            by_degree[*degree as usize].push(slot as u32);
        }
        let mut is_gone = vec![false; self.cores.len()];
        let mut core = 0;
        while core <= most {
            let Some(slot) = by_degree[core].pop() else {
                core += 1;
                continue;
            };
            if self.cores[slot as usize] as usize != core || is_gone[slot as usize] {
                continue;
            }
            is_gone[slot as usize] = true;
            for &other in &self.neighbours[slot as usize] {
                let degree = &mut self.cores[other as usize];
                if !is_gone[other as usize] && *degree as usize > core {
                    *degree -= 1;
                    by_degree[*degree as usize].push(other);
                }
            }
        }
    }
}

impl Program for Cores {
    fn needs(&self) -> Needs {
        Needs { into: true, ..Needs::default() }
    }

    fn start(&mut self, part: &Part, post: &mut Post) -> Result<(), u64> {
        let without_count = |slot| part.neighbours(slot).into_iter().map(|(other, _)| other);
        self.neighbours = (0..part.own).map(|slot| without_count(slot).collect()).collect();
        self.cores = self.neighbours.iter().map(|list| list.len() as u32).collect();
        if part.ghosts().is_empty() {
            self.peel();
            return Ok(());
        }
        self.cores.resize(part.ids.len(), u32::MAX);
        self.is_queued = vec![false; part.own];
        self.of_ghosts = vec![Vec::new(); part.ghosts().len()];
        for slot in 0..part.own {
            for other in self.neighbours[slot].iter().filter(|other| !part.is_own(**other)) {
                self.of_ghosts[*other as usize - part.own].push(slot as u32);
            }
            post.tell_mirrors(part, slot, u64::from(self.cores[slot]));
        }
        (0..part.own as u32).for_each(|slot| self.enqueue(slot));
        post.again();
        Ok(())
    }

    fn receive(&mut self, part: &Part, values: &[(u32, u64)]) {
        for &(ghost, core) in values {
            self.cores[ghost as usize] = core as u32;
            let above = std::mem::take(&mut self.of_ghosts[ghost as usize - part.own]);
            for slot in above.iter().filter(|slot| u64::from(self.cores[**slot as usize]) > core) {
                if !std::mem::replace(&mut self.is_queued[*slot as usize], true) {
                    self.queue.push_back(*slot);
                }
            }
            self.of_ghosts[ghost as usize - part.own] = above;
        }
    }

    fn step(&mut self, part: &Part, _globals: &[u64], post: &mut Post) {
        if !part.ghosts().is_empty() {
            self.sink(part, post);
        }
    }

    fn value(&self, _part: &Part, slot: usize) -> Value {
        Value::Whole(u64::from(self.cores[slot]))
    }
}
