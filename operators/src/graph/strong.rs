//! Strongly connected components: each vertex learns the least vertex of its own.
//!
//! A worker that has the whole graph finds them in one pass. Several work in rounds, each with three
//! fixpoints of its own:
//!
//! ```text
//! trim:  a vertex that nothing leads to, or that leads to nothing, is a component by itself
//! color: every vertex learns the least vertex that leads to it; one that finds itself is a root
//! claim: every vertex from which a way of its color leads to its root belongs to it, and is gone
//! ```
//!
//! Whether a fixpoint is reached all workers find out by telling all how much they have done.
//!
//! **Cost**: at one worker that of the sequential algorithm. At several the rounds are at most as many
//! as components in a chain, in most graphs few.
//!
//! **Sources**: Tarjan, 1972; Orzan, On distributed verification and verified distribution, 2004
//! (coloring); McLendon et al., 2005 (trimming).

mod tarjan;

use super::Value;
use super::part::Part;
use super::program::{Needs, Post, Program};

/// Which fixpoint is being looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Trim,
    Color,
    Claim,
    Done,
}

/// The strong components of one worker.
pub(crate) struct Strong {
    phase: Phase,
    /// The component of each slot, once it has one.
    components: Vec<Option<u64>>,
    /// The least vertex that leads to each slot.
    colors: Vec<u64>,
    /// For ghosts: their vertices that lead there, and those they lead to.
    from_ghosts: Vec<Vec<u32>>,
    to_ghosts: Vec<Vec<u32>>,
    /// What is to be worked on.
    queue: Vec<u32>,
    /// How much was done in the superstep.
    work: u64,
}

impl Default for Strong {
    fn default() -> Self {
        Strong {
            phase: Phase::Trim,
            components: Vec::new(),
            colors: Vec::new(),
            from_ghosts: Vec::new(),
            to_ghosts: Vec::new(),
            queue: Vec::new(),
            work: 0,
        }
    }
}

impl Strong {
    /// Where the edges of a slot lead, for ghosts as far as the worker knows.
    fn successors<'a>(&'a self, part: &'a Part, slot: u32) -> &'a [u32] {
        match (slot as usize).checked_sub(part.own) {
            None => part.out.of(slot as usize),
            Some(ghost) => &self.from_ghosts[ghost],
        }
    }

    fn predecessors<'a>(&'a self, part: &'a Part, slot: u32) -> &'a [u32] {
        match (slot as usize).checked_sub(part.own) {
            None => part.into.of(slot as usize),
            Some(ghost) => &self.to_ghosts[ghost],
        }
    }

    fn is_left(&self, slot: u32) -> bool {
        self.components[slot as usize].is_none()
    }

    /// Gives a vertex its component, and tells its ghosts.
    fn assign(&mut self, part: &Part, slot: u32, component: u64, post: &mut Post) {
        self.components[slot as usize] = Some(component);
        self.work += 1;
        post.tell_mirrors(part, slot as usize, component);
    }

    fn trim(&mut self, part: &Part, post: &mut Post) {
        while let Some(slot) = self.queue.pop() {
            if !part.is_own(slot) || !self.is_left(slot) {
                continue;
            }
            let leads = self.successors(part, slot).iter().any(|other| self.is_left(*other));
            let is_led_to = self.predecessors(part, slot).iter().any(|other| self.is_left(*other));
            if !leads || !is_led_to {
                self.assign(part, slot, part.ids[slot as usize], post);
                self.queue_around(part, slot);
            }
        }
    }

    /// Works on the vertices around a slot next.
    fn queue_around(&mut self, part: &Part, slot: u32) {
        let (after, before) = (self.successors(part, slot), self.predecessors(part, slot));
        let around: Vec<u32> = after.iter().chain(before).copied().collect();
        self.queue.extend(around);
    }

    fn color(&mut self, part: &Part, post: &mut Post) {
        let mut sunk = Vec::new();
        while let Some(slot) = self.queue.pop() {
            let color = self.colors[slot as usize];
            for i in 0..self.successors(part, slot).len() {
                let next = self.successors(part, slot)[i];
                if self.is_left(next) && color < self.colors[next as usize] && part.is_own(next) {
                    self.colors[next as usize] = color;
                    self.work += 1;
                    self.queue.push(next);
                    sunk.push(next);
                }
            }
        }
        sunk.sort_unstable();
        sunk.dedup();
        for slot in sunk {
            post.tell_mirrors(part, slot as usize, self.colors[slot as usize]);
        }
    }

    fn claim(&mut self, part: &Part, post: &mut Post) {
        while let Some(slot) = self.queue.pop() {
            let color = self.colors[slot as usize];
            for i in 0..self.predecessors(part, slot).len() {
                let before = self.predecessors(part, slot)[i];
                if part.is_own(before)
                    && self.is_left(before)
                    && self.colors[before as usize] == color
                {
                    self.assign(part, before, color, post);
                    self.queue.push(before);
                }
            }
        }
    }

    /// Begins to look for a fixpoint.
    fn begin(&mut self, phase: Phase, part: &Part, post: &mut Post) {
        self.phase = phase;
        let left = (0..part.own as u32).filter(|slot| self.is_left(*slot));
        let left: Vec<u32> = left.collect();
        match phase {
            Phase::Trim => {
                self.queue = left;
                self.trim(part, post);
            }
            Phase::Color => {
                self.colors.clone_from(&part.ids);
                self.queue =
                    (0..part.ids.len() as u32).filter(|slot| self.is_left(*slot)).collect();
                self.color(part, post);
            }
            Phase::Claim => {
                let is_root = |slot: &u32| self.colors[*slot as usize] == part.ids[*slot as usize];
                let roots: Vec<u32> = left.into_iter().filter(is_root).collect();
                for &root in &roots {
                    self.assign(part, root, part.ids[root as usize], post);
                }
                self.queue = roots;
                self.claim(part, post);
            }
            Phase::Done => return,
        }
        self.tell(part, post);
    }

    /// Tells all workers how much was done, and whether anything is left.
    fn tell(&mut self, part: &Part, post: &mut Post) {
        let is_left = self.components[..part.own].contains(&None);
        post.tell_all(self.work << 1 | u64::from(is_left));
        self.work = 0;
    }
}

impl Program for Strong {
    fn needs(&self) -> Needs {
        Needs { into: true, ..Needs::default() }
    }

    fn start(&mut self, part: &Part, post: &mut Post) -> Result<(), u64> {
        if part.workers() == 1 {
            self.phase = Phase::Done;
            self.components = tarjan::components(part).into_iter().map(Some).collect();
            return Ok(());
        }
        self.components = vec![None; part.ids.len()];
        self.from_ghosts = vec![Vec::new(); part.ghosts().len()];
        self.to_ghosts = self.from_ghosts.clone();
        for slot in 0..part.own {
            for ghost in part.into.of(slot).iter().filter(|other| !part.is_own(**other)) {
                self.from_ghosts[*ghost as usize - part.own].push(slot as u32);
            }
            for ghost in part.out.of(slot).iter().filter(|other| !part.is_own(**other)) {
                self.to_ghosts[*ghost as usize - part.own].push(slot as u32);
            }
        }
        self.begin(Phase::Trim, part, post);
        Ok(())
    }

    fn receive(&mut self, part: &Part, values: &[(u32, u64)]) {
        for &(ghost, value) in values {
            match self.phase {
                Phase::Color => {
                    self.colors[ghost as usize] = value;
                    self.queue.push(ghost);
                }
                Phase::Trim => {
                    self.components[ghost as usize] = Some(value);
                    self.queue_around(part, ghost);
                }
                Phase::Claim => {
                    self.components[ghost as usize] = Some(value);
                    self.queue.push(ghost);
                }
                Phase::Done => {}
            }
        }
    }

    fn step(&mut self, part: &Part, globals: &[u64], post: &mut Post) {
        let is_rest = globals.iter().all(|told| told >> 1 == 0);
        let is_left = globals.iter().any(|told| told & 1 == 1);
        match self.phase {
            Phase::Done => return,
            _ if is_rest && !is_left => self.phase = Phase::Done,
            Phase::Trim if is_rest => self.begin(Phase::Color, part, post),
            Phase::Color if is_rest => self.begin(Phase::Claim, part, post),
            Phase::Claim if is_rest => self.begin(Phase::Trim, part, post),
            Phase::Trim => self.trim(part, post),
            Phase::Color => self.color(part, post),
            Phase::Claim => self.claim(part, post),
        }
        if !is_rest {
            self.tell(part, post);
        }
    }

    fn value(&self, part: &Part, slot: usize) -> Value {
        Value::Whole(self.components[slot].unwrap_or(part.ids[slot]))
    }
}
