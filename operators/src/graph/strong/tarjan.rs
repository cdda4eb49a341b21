//! Strong components of a whole graph, in one pass and without recursion.
//!
//! **Sources**: Tarjan, Depth-first search and linear graph algorithms, 1972.

use crate::graph::part::Part;

/// Not visited yet.
const NEW: u32 = u32::MAX;

/// The state of the search.
struct Search<'a> {
    part: &'a Part,
    /// When a vertex was visited, and the earliest one it leads back to.
    visited: Vec<u32>,
    lowest: Vec<u32>,
    is_open: Vec<bool>,
    open: Vec<u32>,
    /// The way to the present vertex, with how many of its edges are done.
    way: Vec<(u32, usize)>,
    clock: u32,
    components: Vec<u64>,
}

/// Returns the least vertex of the component of each vertex.
pub(super) fn components(part: &Part) -> Vec<u64> {
    let mut search = Search {
        part,
        visited: vec![NEW; part.own],
        lowest: vec![0; part.own],
        is_open: vec![false; part.own],
        open: Vec::new(),
        way: Vec::new(),
        clock: 0,
        components: vec![0; part.own],
    };
    for slot in 0..part.own as u32 {
        if search.visited[slot as usize] == NEW {
            search.enter(slot);
            while let Some((slot, edge)) = search.way.pop() {
                search.go_on(slot, edge);
            }
        }
    }
    search.components
}

impl Search<'_> {
    fn enter(&mut self, slot: u32) {
        (self.visited[slot as usize], self.lowest[slot as usize]) = (self.clock, self.clock);
        self.clock += 1;
        self.is_open[slot as usize] = true;
        self.open.push(slot);
        self.way.push((slot, 0));
    }

    /// Follows the edges of a vertex from one on, until one leads to a new vertex.
    fn go_on(&mut self, slot: u32, edge: usize) {
        let targets = self.part.out.of(slot as usize);
        for (edge, &target) in targets.iter().enumerate().skip(edge) {
            if self.visited[target as usize] == NEW {
                // This edge again, when the way comes back: by then its end is visited.
                self.way.push((slot, edge));
                self.enter(target);
                return;
            }
            if self.is_open[target as usize] {
                let low = self.lowest[target as usize];
                self.lowest[slot as usize] = self.lowest[slot as usize].min(low);
            }
        }
        if self.lowest[slot as usize] == self.visited[slot as usize] {
            self.close(slot);
        }
    }

    /// Closes the component that begins with a vertex.
    fn close(&mut self, slot: u32) {
        let first = self.open.iter().rposition(|open| *open == slot).unwrap_or_default();
        let members = self.open.split_off(first);
        let least = members.iter().map(|member| self.part.ids[*member as usize]).min();
        for member in members {
            self.is_open[member as usize] = false;
            self.components[member as usize] = least.unwrap_or_default();
        }
    }
}
