//! The answers by definition: sequential, over ordered maps, slow, and obviously right.

use std::collections::{BTreeMap, BTreeSet};

use highwater::operators::graph::{Algorithm, Value};

/// A graph as it was drawn or read: with loops and repeated edges.
pub(crate) struct Drawn {
    pub(crate) vertices: Vec<u64>,
    pub(crate) edges: Vec<(u64, u64, f64)>,
    pub(crate) directed: bool,
}

/// The simple graph: the targets of each vertex, with the least weight.
pub(crate) struct Simple {
    out: BTreeMap<u64, BTreeMap<u64, f64>>,
    into: BTreeMap<u64, BTreeSet<u64>>,
    directed: bool,
}

impl Simple {
    pub(crate) fn new(drawn: &Drawn) -> Self {
        let mut out: BTreeMap<u64, BTreeMap<u64, f64>> =
            drawn.vertices.iter().map(|v| (*v, BTreeMap::new())).collect();
        let mut into: BTreeMap<u64, BTreeSet<u64>> =
            drawn.vertices.iter().map(|v| (*v, BTreeSet::new())).collect();
        for &(a, b, weight) in &drawn.edges {
            let ways = if drawn.directed { vec![(a, b)] } else { vec![(a, b), (b, a)] };
            for (from, to) in ways.into_iter().filter(|(from, to)| from != to) {
                let least = out.get_mut(&from).expect("a vertex").entry(to).or_insert(weight);
                *least = least.min(weight);
                into.get_mut(&to).expect("a vertex").insert(from);
            }
        }
        Simple { out, into, directed: drawn.directed }
    }

    fn vertices(&self) -> impl Iterator<Item = u64> + '_ {
        self.out.keys().copied()
    }

    /// Neighbours in either direction.
    fn around(&self, vertex: u64) -> BTreeSet<u64> {
        self.out[&vertex].keys().chain(&self.into[&vertex]).copied().collect()
    }

    /// Shortens ways along single edges until none gets shorter.
    fn distances(&self, source: u64, length: impl Fn(f64) -> f64) -> BTreeMap<u64, f64> {
        let mut far: BTreeMap<u64, f64> = self.vertices().map(|v| (v, f64::INFINITY)).collect();
        far.insert(source, 0.0);
        let mut changed = true;
        while changed {
            changed = false;
            for (from, targets) in &self.out {
                for (to, weight) in targets {
                    let way = far[from] + length(*weight);
                    if way < far[to] {
                        far.insert(*to, way);
                        changed = true;
                    }
                }
            }
        }
        far
    }

    fn reach(&self, from: u64, next: impl Fn(u64) -> BTreeSet<u64>) -> BTreeSet<u64> {
        let (mut reached, mut open) = (BTreeSet::from([from]), vec![from]);
        while let Some(vertex) = open.pop() {
            open.extend(next(vertex).into_iter().filter(|v| reached.insert(*v)));
        }
        reached
    }

    fn page_rank(&self, damping: f64, iterations: u64) -> BTreeMap<u64, f64> {
        let n = self.out.len() as f64;
        let mut rank: BTreeMap<u64, f64> = self.vertices().map(|v| (v, 1.0 / n)).collect();
        for _ in 0..iterations {
            let dangling: f64 =
                self.vertices().filter(|v| self.out[v].is_empty()).map(|v| rank[&v]).sum();
            let of = |v: u64| {
                let shares = self.into[&v].iter().map(|u| rank[u] / self.out[u].len() as f64);
                (1.0 - damping) / n + damping * (shares.sum::<f64>() + dangling / n)
            };
            rank = self.vertices().map(|v| (v, of(v))).collect();
        }
        rank
    }

    fn communities(&self, iterations: u64) -> BTreeMap<u64, u64> {
        let mut label: BTreeMap<u64, u64> = self.vertices().map(|v| (v, v)).collect();
        for _ in 0..iterations {
            let of = |v: u64| {
                let mut votes = BTreeMap::<u64, i64>::new();
                let into = self.into[&v].iter().filter(|_| self.directed);
                for neighbour in self.out[&v].keys().chain(into) {
                    *votes.entry(label[neighbour]).or_default() += 1;
                }
                let best = votes.into_iter().max_by_key(|(label, count)| (*count, !*label));
                best.map_or(label[&v], |(label, _)| label)
            };
            label = self.vertices().map(|v| (v, of(v))).collect();
        }
        label
    }

    fn clustering(&self, vertex: u64) -> f64 {
        let around = self.around(vertex);
        if around.len() < 2 {
            return 0.0;
        }
        let inside = |u: &u64| self.out[u].keys().filter(|w| around.contains(w)).count();
        let edges: usize = around.iter().map(inside).sum();
        edges as f64 / (around.len() * (around.len() - 1)) as f64
    }

    fn triangles(&self, vertex: u64) -> u64 {
        let around = self.around(vertex);
        let pairs = around.iter().flat_map(|u| around.iter().map(move |w| (u, w)));
        pairs.filter(|(u, w)| u < w && self.around(**u).contains(w)).count() as u64
    }

    /// Takes away vertices with fewer than k neighbours, for growing k.
    fn cores(&self) -> BTreeMap<u64, u64> {
        let mut left: BTreeMap<u64, BTreeSet<u64>> =
            self.vertices().map(|v| (v, self.around(v))).collect();
        let mut cores = BTreeMap::new();
        for k in 1.. {
            while let Some(vertex) =
                left.iter().find(|(_, around)| around.len() < k).map(|(vertex, _)| *vertex)
            {
                left.remove(&vertex);
                for around in left.values_mut() {
                    around.remove(&vertex);
                }
                cores.insert(vertex, k as u64 - 1);
            }
            if left.is_empty() {
                break;
            }
        }
        cores
    }

    /// Returns the answers, sorted by vertex.
    pub(crate) fn answers(&self, algorithm: Algorithm) -> Vec<(u64, Value)> {
        let whole = |of: BTreeMap<u64, u64>| {
            of.into_iter().map(|(v, value)| (v, Value::Whole(value))).collect::<Vec<_>>()
        };
        let real = |of: BTreeMap<u64, f64>| {
            of.into_iter().map(|(v, value)| (v, Value::Real(value))).collect::<Vec<_>>()
        };
        match algorithm {
            Algorithm::Bfs { source } => {
                let hops = self.distances(source, |_| 1.0).into_iter();
                let far = |hops: f64| if hops.is_finite() { hops as u64 } else { i64::MAX as u64 };
                whole(hops.map(|(v, hops)| (v, far(hops))).collect())
            }
            Algorithm::ShortestPaths { source } => real(self.distances(source, |w| w)),
            Algorithm::Components => {
                let least = |v| *self.reach(v, |u| self.around(u)).first().expect("itself");
                whole(self.vertices().map(|v| (v, least(v))).collect())
            }
            Algorithm::StrongComponents => {
                let after = |v| self.reach(v, |u| self.out[&u].keys().copied().collect());
                let before = |v| self.reach(v, |u| self.into[&u].clone());
                let least = |v| *after(v).intersection(&before(v)).next().expect("itself");
                whole(self.vertices().map(|v| (v, least(v))).collect())
            }
            Algorithm::PageRank { damping, iterations } => {
                real(self.page_rank(damping, iterations))
            }
            Algorithm::Communities { iterations } => whole(self.communities(iterations)),
            Algorithm::Clustering => {
                real(self.vertices().map(|v| (v, self.clustering(v))).collect())
            }
            Algorithm::Cores => whole(self.cores()),
            Algorithm::Triangles => {
                whole(self.vertices().map(|v| (v, self.triangles(v))).collect())
            }
        }
    }
}
