//! Communities by label propagation: each vertex takes the label that most of its neighbours have.
//!
//! Labels begin as the numbers of the vertices; of several equally frequent ones the least is taken.
//! In a directed graph a neighbour that is linked both ways counts twice.
//!
//! **Cost**: in each iteration a sort of the labels around each vertex, and a message for each ghost
//! of a vertex whose label has changed.
//!
//! **Sources**: LDBC Graphalytics, CDLP; Raghavan, Albert, Kumara, 2007.

use super::Value;
use super::part::Part;
use super::program::{Needs, Post, Program};

/// The labels of the vertices and ghosts of one worker.
pub(crate) struct Labels {
    iterations: u64,
    labels: Vec<u64>,
}

impl Labels {
    pub(crate) fn new(iterations: u64) -> Self {
        Labels { iterations, labels: Vec::new() }
    }

    fn iterate(&mut self, part: &Part, post: &mut Post) {
        if self.iterations == 0 {
            return;
        }
        self.iterations -= 1;
        let mut around = Vec::new();
        let mut next = Vec::with_capacity(part.own);
        for slot in 0..part.own {
            around.clear();
            let neighbours = part.out.of(slot).iter().chain(part.into.of(slot));
            around.extend(neighbours.map(|other| self.labels[*other as usize]));
            next.push(most_frequent(&mut around).unwrap_or(self.labels[slot]));
        }
        for (slot, label) in next.into_iter().enumerate() {
            if std::mem::replace(&mut self.labels[slot], label) != label {
                post.tell_mirrors(part, slot, label);
            }
        }
        if self.iterations > 0 {
            post.again();
        }
    }
}

/// Returns the most frequent of some labels, the least of several.
fn most_frequent(labels: &mut [u64]) -> Option<u64> {
    labels.sort_unstable();
    let runs = labels.chunk_by(|a, b| a == b);
    let first_longest = |best: Option<(usize, u64)>, run: &[u64]| match best {
        Some((length, _)) if length >= run.len() => best,
        _ => Some((run.len(), run[0])),
    };
    runs.fold(None, first_longest).map(|(_, label)| label)
}

impl Program for Labels {
    fn needs(&self) -> Needs {
        Needs { into: true, ..Needs::default() }
    }

    fn start(&mut self, part: &Part, post: &mut Post) -> Result<(), u64> {
        self.labels.clone_from(&part.ids);
        self.iterate(part, post);
        Ok(())
    }

    fn receive(&mut self, _part: &Part, values: &[(u32, u64)]) {
        for &(slot, label) in values {
            self.labels[slot as usize] = label;
        }
    }

    fn step(&mut self, part: &Part, _globals: &[u64], post: &mut Post) {
        self.iterate(part, post);
    }

    fn value(&self, _part: &Part, slot: usize) -> Value {
        Value::Whole(self.labels[slot])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_labels_that_are_equally_frequent_the_least_is_taken() {
        assert_eq!(most_frequent(&mut [7, 3, 7, 3, 9]), Some(3));
        assert_eq!(most_frequent(&mut [5]), Some(5));
        assert_eq!(most_frequent(&mut []), None);
    }
}
