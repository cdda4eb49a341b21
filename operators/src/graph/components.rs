//! Weakly connected components: each vertex learns the least vertex of its own.
//!
//! A worker joins what its edges join, once. From then on its components only learn lesser labels, at
//! their ghosts and at the vertices that have ghosts elsewhere, and pass them on there.
//!
//! **Cost**: one pass over the edges; a message for each ghost, and again when its label sinks.
//!
//! **Sources**: Tarjan, Efficiency of a good but not linear set union algorithm, 1975; McSherry,
//! Isard, Murray, Scalability! But at what COST?, HotOS 2015 (papers/cost.md).

use super::Value;
use super::part::Part;
use super::program::{Needs, Post, Program};

/// The components of one worker.
#[derive(Default)]
pub(crate) struct Components {
    /// Leads from a slot to the first slot of its component; first slots lead to themselves.
    parents: Vec<u32>,
    /// The least vertex of a component, at its first slot.
    labels: Vec<u64>,
    /// The slots that others know of, by component.
    border: Vec<(u32, u32)>,
    /// The components whose labels have sunk.
    sunk: Vec<u32>,
}

impl Components {
    fn find(&mut self, mut slot: u32) -> u32 {
        loop {
            let parent = self.parents[slot as usize];
            if parent == slot {
                return slot;
            }
            let above = self.parents[parent as usize];
            self.parents[slot as usize] = above;
            slot = above;
        }
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        let (first, second) = (a.min(b), a.max(b));
        self.parents[second as usize] = first;
    }

    /// Tells of the components whose labels have sunk.
    fn tell(&mut self, part: &Part, post: &mut Post) {
        self.sunk.sort_unstable();
        self.sunk.dedup();
        for component in std::mem::take(&mut self.sunk) {
            let label = self.labels[component as usize];
            let first = self.border.partition_point(|(of, _)| *of < component);
            for &(_, slot) in self.border[first..].iter().take_while(|(of, _)| *of == component) {
                if part.is_own(slot) {
                    post.tell_mirrors(part, slot as usize, label);
                } else {
                    post.tell_home(part, slot as usize, label);
                }
            }
        }
    }
}

impl Program for Components {
    fn needs(&self) -> Needs {
        Needs { once: true, ..Needs::default() }
    }

    fn start(&mut self, part: &Part, post: &mut Post) -> Result<(), u64> {
        let slots = part.ids.len() as u32;
        self.parents = (0..slots).collect();
        for slot in 0..part.own {
            for &target in part.out.of(slot) {
                self.join(slot as u32, target);
            }
        }
        self.labels.clone_from(&part.ids);
        for slot in 0..slots {
            let component = self.find(slot) as usize;
            self.labels[component] = self.labels[component].min(part.ids[slot as usize]);
            let is_known = !part.is_own(slot) || part.mirrors(slot as usize).next().is_some();
            if is_known {
                self.border.push((component as u32, slot));
                self.sunk.push(component as u32);
            }
        }
        self.border.sort_unstable();
        self.tell(part, post);
        Ok(())
    }

    fn receive(&mut self, _part: &Part, values: &[(u32, u64)]) {
        for &(slot, label) in values {
            let component = self.find(slot);
            let known = &mut self.labels[component as usize];
            if label < *known {
                *known = label;
                self.sunk.push(component);
            }
        }
    }

    fn step(&mut self, part: &Part, _globals: &[u64], post: &mut Post) {
        self.tell(part, post);
    }

    fn value(&self, _part: &Part, slot: usize) -> Value {
        let mut slot = slot;
        while self.parents[slot] as usize != slot {
            slot = self.parents[slot] as usize;
        }
        Value::Whole(self.labels[slot])
    }
}
