//! The threads that encode large parts, beside those of the workers.
//!
//! ```text
//! part --by key group--> [encode] [encode] [encode] --in the order of the groups--> blocks
//! ```
//!
//! A part is encoded on the thread that asks for it. If it is large, and the machine has processors
//! that no worker of the job runs on, threads on these share the work. Workers keep their processors:
//! a snapshot that is done sooner is not worth records that come later.
//!
//! **Invariants**
//! - *Same bytes*: blocks come back in the order of their groups, whoever encoded them, and so does
//!   the first error (asserted by the tests below).
//!
//! **Cost**: as many threads as there are processors without a worker, for the whole process, from
//! the first large part on. Each holds the entries of one group besides the blocks.

use std::sync::OnceLock;

use rayon::ThreadPool;
use rayon::prelude::*;

/// A part with fewer entries is encoded by one thread: that takes it a few ms.
const LARGE_ENTRIES: usize = 1 << 14;

/// Encodes the groups of a part.
///
/// - `entries`: about how many there are in all of them.
/// - `workers`: how many threads of the process are to be left alone.
pub(crate) fn encode<G: Send, B: Send, E: Send>(
    (entries, workers): (usize, usize),
    groups: Vec<G>,
    block: impl Fn(G) -> Result<B, E> + Send + Sync,
) -> Result<Vec<B>, E> {
    let pool = if entries < LARGE_ENTRIES { None } else { pool(workers) };
    encode_on(pool, groups, block)
}

fn encode_on<G: Send, B: Send, E: Send>(
    pool: Option<&ThreadPool>,
    groups: Vec<G>,
    block: impl Fn(G) -> Result<B, E> + Send + Sync,
) -> Result<Vec<B>, E> {
    let Some(pool) = pool else { return groups.into_iter().map(block).collect() };
    let blocks: Vec<_> = pool.install(|| groups.into_par_iter().map(&block).collect());
    blocks.into_iter().collect()
}

/// Returns the encoders of the process; none if the workers of the job that asks first have all
/// processors but one, or threads cannot be started.
fn pool(workers: usize) -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let make = || {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let free = processors.saturating_sub(workers);
        let name = |i| format!("highwater-encode-{i}");
        let pool = || rayon::ThreadPoolBuilder::new().num_threads(free).thread_name(name).build();
        if free < 2 { None } else { pool().ok() }
    };
    POOL.get_or_init(make).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_errors_come_in_the_order_of_their_groups_from_any_number_of_threads() {
        let groups: Vec<u32> = (0..1000).collect();
        for threads in [1, 2, 7] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let blocks = encode_on(Some(&pool), groups.clone(), |g| Ok::<_, u32>(g * 2)).unwrap();
            assert!(blocks.into_iter().eq((0..2000).step_by(2)));
            let odd = |group| if group > 70 && group % 2 == 1 { Err(group) } else { Ok(group) };
            assert_eq!(encode_on(Some(&pool), groups.clone(), odd), Err(71));
        }
    }
}
