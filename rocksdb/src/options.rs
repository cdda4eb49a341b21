//! How RocksDB is set up, and why.
//!
//! - *No log*: a store never outlives its process, so writes skip the write-ahead log.
//! - *One writer*: a store belongs to one worker, so the memtable needs no concurrent inserts.
//! - *Few threads*: flushes and compactions of all stores run on the two pools of the process, with
//!   about as many threads as there are processors, at most [`JOBS_MAX`].
//! - *Partitioned index and filters*: the filter of a 64 MiB file takes 1 MiB and more, which would
//!   not fit into a shard of a small cache; in blocks of 4 KiB only the parts in use are kept.
//! - *Bloom filters of whole keys*, 10 bits: a key that a stream shows first is looked up in vain.
//!   No filters of prefixes: they took the scan of an almost empty window from 14 to 5 us per key
//!   group (with blocks of 16 KiB; without the filter, those of 4 KiB take 9 us), but that of a
//!   full one from 88 to 108 us and all writes from 1.2 to 1.4 s.
//! - *Filters of write buffers*: searching a skip list for a key that is not there took a quarter of
//!   the time in which new keys were counted.
//! - *Blocks of 4 KiB*: with 16 KiB, finding a value took 8 us instead of 5, with 32 KiB 12 us. The
//!   index is four times as large as with 16 KiB, below one byte a key.
//! - *Levels in proportion*: the first sorted level is as large as the four files that are merged
//!   into it, because a fixed one of 256 MiB is rewritten for every few MiB of small write buffers.
//!
//! The times are from 1.5 million entries of 80 bytes in 20 MiB of cache, the files in the page
//! cache.
//!
//! **Sources**: RocksDB wiki, Setup Options and Basic Tuning, Partitioned Index Filters, Memory
//! usage in RocksDB; Flink, `RocksDBResourceContainer`.

use std::sync::Arc;

use highwater_core::clock::Clock;
use rocksdb::{BlockBasedIndexType, BlockBasedOptions, DBCompressionType, LogLevel, Options};

use crate::expiry::Expiry;
use crate::memory::Memory;

/// The most threads that compact the stores of a process.
const JOBS_MAX: usize = 8;
/// The files a store keeps open.
const OPEN_FILES: i32 = 256;
/// The bytes of a data block.
const BLOCK_BYTES: usize = 4 << 10;
/// The bytes of a part of an index or filter.
const PART_BYTES: usize = 4 << 10;
/// The bits that a Bloom filter has for each key: one of a hundred misses reads a block in vain.
const FILTER_BITS: f64 = 10.0;
/// The share of a write buffer that its own Bloom filter takes: some 10 bits for each small entry.
const BUFFER_FILTER_RATIO: f64 = 0.02;
/// The greatest write buffer and file.
const FILE_BYTES_MAX: usize = 64 << 20;

/// Returns the options of a DB.
pub(crate) fn of_store(memory: &Memory) -> Options {
    let mut options = of_family(memory, None);
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    options.create_if_missing(true);
    options.set_write_buffer_manager(&memory.buffers);
    options.set_max_background_jobs(processors.clamp(2, JOBS_MAX) as i32);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_file_opening_threads(1);
    options.set_skip_stats_update_on_db_open(true);
    options.set_allow_concurrent_memtable_write(false);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_log_level(LogLevel::Error);
    options.set_keep_log_file_num(1);
    options
}

/// Returns the options of a family whose entries may expire.
pub(crate) fn of_family(memory: &Memory, expiry: Option<(i64, &Arc<dyn Clock>)>) -> Options {
    let buffer = (memory.buffer_bytes / 2).min(FILE_BYTES_MAX);
    let mut options = Options::default();
    options.set_write_buffer_size(buffer);
    // Each family in use has a block at least: many of them must not reach the limit empty.
    options.set_arena_block_size((memory.buffer_bytes / 64).clamp(16 << 10, 1 << 20));
    options.set_max_bytes_for_level_base(4 * buffer as u64);
    options.set_target_file_size_base(buffer.max(4 << 20) as u64);
    options.set_memtable_whole_key_filtering(true);
    options.set_memtable_prefix_bloom_ratio(BUFFER_FILTER_RATIO);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&blocks(memory));
    if let Some((expiry_ms, clock)) = expiry {
        let clock = Arc::clone(clock);
        options.set_compaction_filter_factory(Expiry { expiry_ms, clock });
    }
    options
}

fn blocks(memory: &Memory) -> BlockBasedOptions {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&memory.cache);
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_bloom_filter(FILTER_BITS, false);
    blocks.set_whole_key_filtering(true);
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(PART_BYTES);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks
}
