//! The part of a graph that one worker holds, in arrays.
//!
//! ```text
//! slots: 0 .. own             the vertices of the worker, by number
//!        own .. own + ghosts  the neighbours of these that belong to other workers
//! ```
//!
//! The graph is simple: loops are left out, and of several edges from one vertex to another the
//! lightest is kept. A ghost knows the slot that its vertex has at home, a vertex all its ghosts.

use super::ids::{Ids, owner};

/// The edges of each vertex of a worker, by slot.
#[derive(Debug, Default)]
pub(crate) struct Adjacency {
    starts: Vec<usize>,
    targets: Vec<u32>,
    /// Empty if nobody wants them.
    weights: Vec<f64>,
}

impl Adjacency {
    /// Sorts edges by their first slot, the second and the weight, and leaves out loops and all but
    /// the lightest of several.
    ///
    /// - `weights`: one for each edge, or none at all.
    pub(crate) fn new(vertices: usize, edges: &[(u32, u32)], weights: &[f64]) -> Self {
        let mut starts = vec![0_usize; vertices + 1];
        for (at, _) in edges {
            starts[*at as usize + 1] += 1;
        }
        for vertex in 0..vertices {
            starts[vertex + 1] += starts[vertex];
        }
        let mut next = starts.clone();
        let mut places = vec![0; edges.len()];
        let mut sorted = vec![0; weights.len()];
        for (i, (at, other)) in edges.iter().enumerate() {
            let place = &mut next[*at as usize];
            places[*place] = *other;
            if let Some(weight) = weights.get(i) {
                sorted[*place] = weight.to_bits();
            }
            *place += 1;
        }
        let mut made = Adjacency { starts: vec![0], targets: Vec::new(), weights: Vec::new() };
        made.targets.reserve_exact(edges.len());
        made.weights.reserve_exact(weights.len());
        let mut of_vertex: Vec<(u32, u64)> = Vec::new();
        for vertex in 0..vertices {
            let range = starts[vertex]..starts[vertex + 1];
            if weights.is_empty() {
                let targets = &mut places[range];
                targets.sort_unstable();
                let mut last = None;
                for &mut target in targets {
                    if target as usize != vertex && last.replace(target) != Some(target) {
                        made.targets.push(target);
                    }
                }
            } else {
                of_vertex.clear();
                of_vertex.extend(range.map(|place| (places[place], sorted[place])));
                // Weights are not negative, so their bits are in their order.
                of_vertex.sort_unstable();
                of_vertex.dedup_by_key(|(target, _)| *target);
                for &(target, weight) in of_vertex.iter().filter(|(t, _)| *t as usize != vertex) {
                    made.targets.push(target);
                    made.weights.push(f64::from_bits(weight));
                }
            }
            made.starts.push(made.targets.len());
        }
        made
    }

    /// Returns where the edges of a vertex lead.
    #[inline]
    pub(crate) fn of(&self, vertex: usize) -> &[u32] {
        match self.starts.get(vertex..vertex + 2) {
            Some(range) => &self.targets[range[0]..range[1]],
            None => &[],
        }
    }

    /// Returns where the edges of a vertex lead, and their weights.
    pub(crate) fn weighted(&self, vertex: usize) -> impl Iterator<Item = (u32, f64)> + '_ {
        let range = self.starts[vertex]..self.starts[vertex + 1];
        let weights = self.weights.get(range.clone()).unwrap_or_default();
        self.targets[range].iter().copied().zip(weights.iter().copied())
    }
}

/// The part of a graph that one worker holds.
#[derive(Debug)]
pub(crate) struct Part {
    /// The number of the worker.
    pub(crate) me: u32,
    workers: u32,
    /// The vertices, by slot.
    pub(crate) ids: Vec<u64>,
    /// How many of them belong to the worker.
    pub(crate) own: usize,
    places: Ids,
    ghost_places: Ids,
    /// The edges that lead away from the vertices of the worker; in an undirected graph all.
    pub(crate) out: Adjacency,
    /// Those that lead to them, if they are wanted; none in an undirected graph.
    pub(crate) into: Adjacency,
    /// Whether edges have two directions.
    pub(crate) directed: bool,
    /// How many vertices the whole graph has.
    pub(crate) total: u64,
    homes: Vec<(u32, u32)>,
    mirrors: Vec<(u32, u32, u32)>,
    mirror_starts: Vec<usize>,
}

/// What a worker was sent of a graph.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub(crate) vertices: Vec<u64>,
    pub(crate) out: Vec<(u64, u64)>,
    pub(crate) weights: Vec<f64>,
    pub(crate) into: Vec<(u64, u64)>,
}

impl Part {
    /// Makes a part of what the worker was sent; edges at vertices that it was not sent are an error.
    ///
    /// # Errors
    /// The first vertex that is not known.
    pub(crate) fn new(me: u32, workers: u32, directed: bool, mut raw: Raw) -> Result<Self, u64> {
        raw.vertices.sort_unstable();
        raw.vertices.dedup();
        let own = raw.vertices.len();
        let mut places = Ids::new(raw.vertices.last().copied().unwrap_or_default(), own);
        for (slot, id) in raw.vertices.iter().enumerate() {
            places.insert(*id, slot as u32);
        }
        let others = raw.out.iter().chain(&raw.into).map(|(_, other)| *other);
        let greatest = others.filter(|id| owner(*id, workers) != me).max().unwrap_or_default();
        let ghost_places = Ids::new(greatest, own);
        let mut part = Part {
            me,
            workers,
            ids: raw.vertices,
            own,
            places,
            ghost_places,
            out: Adjacency::default(),
            into: Adjacency::default(),
            directed,
            total: 0,
            homes: Vec::new(),
            mirrors: Vec::new(),
            mirror_starts: Vec::new(),
        };
        let out = part.slots(raw.out)?;
        part.out = Adjacency::new(own, &out, &raw.weights);
        drop(out);
        let into = part.slots(raw.into)?;
        part.into = Adjacency::new(own, &into, &[]);
        part.homes = vec![(0, 0); part.ids.len() - own];
        Ok(part)
    }

    /// Turns the numbers of vertices into slots, making ghosts of those of other workers.
    fn slots(&mut self, edges: Vec<(u64, u64)>) -> Result<Vec<(u32, u32)>, u64> {
        let mut slots = Vec::with_capacity(edges.len());
        for (at, other) in edges {
            let at = self.places.get(at).ok_or(at)?;
            slots.push((at, self.slot_of_other(other)?));
        }
        Ok(slots)
    }

    fn slot_of_other(&mut self, id: u64) -> Result<u32, u64> {
        if self.workers == 1 || owner(id, self.workers) == self.me {
            return self.places.get(id).ok_or(id);
        }
        if let Some(slot) = self.ghost_places.get(id) {
            return Ok(slot);
        }
        let slot = self.ids.len() as u32;
        self.ids.push(id);
        self.ghost_places.insert(id, slot);
        Ok(slot)
    }

    /// Returns the slot of a vertex, or of its ghost.
    pub(crate) fn slot(&self, id: u64) -> Option<u32> {
        self.own_slot(id).or_else(|| self.ghost_places.get(id))
    }

    /// Returns the slot of a vertex of the worker.
    pub(crate) fn own_slot(&self, id: u64) -> Option<u32> {
        self.places.get(id)
    }

    /// Returns whether a vertex would belong to the worker.
    pub(crate) fn owns(&self, id: u64) -> bool {
        owner(id, self.workers) == self.me
    }

    pub(crate) fn workers(&self) -> u32 {
        self.workers
    }

    pub(crate) fn is_own(&self, slot: u32) -> bool {
        (slot as usize) < self.own
    }

    /// Returns the slots of the ghosts.
    pub(crate) fn ghosts(&self) -> std::ops::Range<usize> {
        self.own..self.ids.len()
    }

    /// Returns the worker that the vertex of a ghost belongs to, and its slot there.
    pub(crate) fn home(&self, ghost: usize) -> (u32, u32) {
        self.homes[ghost - self.own]
    }

    pub(crate) fn set_home(&mut self, ghost: u32, home: (u32, u32)) {
        self.homes[ghost as usize - self.own] = home;
    }

    /// Notes that a vertex has a ghost elsewhere.
    pub(crate) fn add_mirror(&mut self, slot: u32, worker: u32, ghost: u32) {
        self.mirrors.push((slot, worker, ghost));
    }

    /// Called when all ghosts are known.
    pub(crate) fn link(&mut self, total: u64) {
        self.total = total;
        self.mirrors.sort_unstable();
        self.mirror_starts = vec![0; self.own + 1];
        for (slot, ..) in &self.mirrors {
            self.mirror_starts[*slot as usize + 1] += 1;
        }
        for slot in 0..self.own {
            self.mirror_starts[slot + 1] += self.mirror_starts[slot];
        }
    }

    /// Returns the ghosts of a vertex: their workers, and their slots there.
    pub(crate) fn mirrors(&self, slot: usize) -> impl Iterator<Item = (u32, u32)> + '_ {
        let range = self.mirror_starts[slot]..self.mirror_starts[slot + 1];
        self.mirrors[range].iter().map(|&(_, worker, ghost)| (worker, ghost))
    }

    /// Returns the neighbours of a vertex in either direction, with the number of edges between the
    /// two: one or two in a directed graph, two in an undirected one.
    pub(crate) fn neighbours(&self, slot: usize) -> Vec<(u32, u8)> {
        if !self.directed {
            return self.out.of(slot).iter().map(|target| (*target, 2)).collect();
        }
        let all = self.out.of(slot).iter().chain(self.into.of(slot));
        let mut all: Vec<(u32, u8)> = all.map(|target| (*target, 1)).collect();
        all.sort_unstable();
        all.dedup_by(|again, first| {
            let same = again.0 == first.0;
            first.1 += u8::from(same);
            same
        });
        all
    }
}
