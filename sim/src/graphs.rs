//! Graphs that anybody can generate again, edge by edge: hwrmat/1 and hwgrid/1.
//!
//! ```text
//! hwrmat  edge i of 2^scale vertices, few of which have most of the edges (R-MAT, 0.57 0.19 0.19 0.05)
//! hwgrid  a square grid with a tenth of its edges left out: a large diameter
//! ```
//!
//! The numbers of vertices are scrambled. An edge of hwrmat depends on its place alone, so that any
//! worker can make any range of them.
//!
//! **Sources**: Chakrabarti, Zhan, Faloutsos, R-MAT, 2004.

/// The finalizer of SplitMix64.
fn finish(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The numbers of vertices, scrambled: a bijection on `0 .. 2^scale`.
#[derive(Clone, Copy, Debug)]
struct Scrambled {
    mask: u64,
    half: u32,
    keys: [u64; 3],
}

impl Scrambled {
    fn new(scale: u32, seed: u64) -> Self {
        let keys = [finish(seed ^ 1) | 1, finish(seed ^ 2) | 1, finish(seed ^ 3)];
        Scrambled { mask: (1 << scale) - 1, half: scale.div_ceil(2), keys }
    }

    fn of(self, x: u64) -> u64 {
        let x = x.wrapping_mul(self.keys[0]) & self.mask;
        let x = x ^ (x >> self.half);
        let x = x.wrapping_mul(self.keys[1]).wrapping_add(self.keys[2]) & self.mask;
        x ^ (x >> self.half)
    }
}

/// A graph of either kind.
#[derive(Clone, Copy, Debug)]
pub struct Generated {
    scale: u32,
    seed: u64,
    scrambled: Scrambled,
}

impl Generated {
    /// Returns a graph of `2^scale` vertices.
    #[must_use]
    pub fn new(scale: u32, seed: u64) -> Self {
        Generated { scale, seed, scrambled: Scrambled::new(scale, seed) }
    }

    fn random(&self, i: u64, j: u64) -> u64 {
        let i = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let j = (j + 1).wrapping_mul(0xd1b5_4a32_d192_ed03);
        finish(finish(self.seed.wrapping_add(i)).wrapping_add(j))
    }

    /// Returns edge `i` of hwrmat; there may be as many as are wanted.
    #[must_use]
    pub fn rmat_edge(&self, i: u64) -> (u64, u64) {
        let (mut u, mut v) = (0, 0);
        for level in 0..self.scale {
            let word = self.random(i, u64::from(level / 2));
            let r = if level % 2 == 0 { word >> 32 } else { word & u64::from(u32::MAX) };
            let (a, b) = match r {
                0..2_448_131_358 => (0, 0),
                2_448_131_358..3_264_175_144 => (0, 1),
                3_264_175_144..4_080_218_931 => (1, 0),
                _ => (1, 1),
            };
            (u, v) = (2 * u + a, 2 * v + b);
        }
        (self.scrambled.of(u), self.scrambled.of(v))
    }

    /// Returns the edges of hwgrid, whose scale must be even.
    pub fn grid_edges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let side = 1_u64 << (self.scale / 2);
        (0..side * side).flat_map(move |cell| {
            let right = (cell % side + 1 < side).then_some((0, cell + 1));
            let below = (cell / side + 1 < side).then_some((1, cell + side));
            let kept = move |(k, other): (u64, u64)| {
                let is_kept = self.random(2 * cell + k, 0) >> 32 < 3_865_470_566;
                is_kept.then(|| (self.scrambled.of(cell), self.scrambled.of(other)))
            };
            right.into_iter().chain(below).filter_map(kept)
        })
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn sum(edges: impl Iterator<Item = (u64, u64)>) -> String {
        let mut sum = Sha256::new();
        for (u, v) in edges {
            sum.update((u as u32).to_le_bytes());
            sum.update((v as u32).to_le_bytes());
        }
        sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_hwrmat_are_those_of_its_specification() {
        for (scale, expected) in [
            (4, "195dd7f8809177c62c6349ae50aff2ed442b95bd28d19b4628cc24f80b928308"),
            (10, "fde80cff98d782b6e06af6f5662f9b0815da984dd2776c6958478b0f06131ece"),
            (13, "ccfe861bf1a0eb504e9acf250c2ba7bfc14985b4c4012e2c858a61be340a914d"),
            (16, "153d7021a25af552bfbf7a7c9b10a69444bad03440dc8c84ac06b4d6c749136b"),
        ] {
            let graph = Generated::new(scale, 42);
            let edges = (0..16 << scale).map(|i| graph.rmat_edge(i));
            assert_eq!(sum(edges), expected, "scale {scale}");
        }
    }

    #[test]
    fn the_bytes_of_hwgrid_are_those_of_its_specification() {
        for (scale, count, expected) in [
            (8, 432, "a38a3c7719a004ec59358dc1e57b047c8041eb910997bdc76686af2fb8e6e55f"),
            (16, 117_401, "fd9a51930077fc07c6cc70c3f972327c6bd4c0cdd35f06ebe361add437c9e88e"),
        ] {
            let graph = Generated::new(scale, 42);
            assert_eq!(graph.grid_edges().count(), count);
            assert_eq!(sum(graph.grid_edges()), expected, "scale {scale}");
        }
    }
}
