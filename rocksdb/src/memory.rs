//! The one number that bounds the memory of all stores of a process, and how it is divided.
//!
//! ```text
//! --rocksdb-memory  M
//!   |-- M / 2        values that tables keep decoded
//!   '-- M / 2 = R    RocksDB
//!        |-- 5/6 R   block cache: data, index and filter blocks, and the write buffers
//!        |             '-- 1/3 R  limit of the write buffers, charged to the cache
//!        '-- 1/6 R   what write buffers take above their limit while they are flushed
//! ```
//!
//! **Reasons**
//! - *Half decoded*: a value found decoded costs a look into a hash table, one found in a cached
//!   block a search through several levels and decoding, some twenty times as much. The other half
//!   must hold the filters of everything on disk (10 bits a key) or each miss costs a read, and
//!   what falls out of it is often still in the page cache of the system. Neither side may starve.
//! - *5/6 and 1/3*: Flink's formulas with its write buffer ratio of 1/2. RocksDB flushes when the
//!   buffers reach their limit and goes on writing into the next ones meanwhile, so they take up to
//!   half as much again.
//! - *Not strict*: a full cache does not make reads fail, and writers do not stall on the limit:
//!   the memory may be held by another DB, whose worker would have to write for it to be flushed.
//!
//! **Left out** of the number: batches on their way, open files (a few KiB each), the read-ahead of
//! compactions (2 MiB each).
//!
//! **Sources**: Flink, `RocksDBMemoryControllerUtils`.

use highwater_core::error::{Error, Result};
use rocksdb::{Cache, WriteBufferManager};

/// The least memory that stores can do with: 16 MiB, of which about 3 MiB are write buffers.
pub const MEMORY_BYTES_MIN: u64 = 16 << 20;

/// What the stores of a process share of its memory.
pub(crate) struct Memory {
    pub(crate) cache: Cache,
    pub(crate) buffers: WriteBufferManager,
    /// The limit of all write buffers.
    pub(crate) buffer_bytes: usize,
    /// What tables may keep decoded, all together.
    pub(crate) decoded_bytes: usize,
}

impl Memory {
    /// Divides `bytes` among its uses.
    pub(crate) fn of(bytes: u64) -> Result<Self> {
        let refused = || {
            let expected = format!("{MEMORY_BYTES_MIN} bytes or more, as many as can be addressed");
            Error::option("--rocksdb-memory", bytes, expected)
        };
        if bytes < MEMORY_BYTES_MIN {
            return Err(refused());
        }
        let bytes = usize::try_from(bytes).map_err(|_| refused())?;
        let decoded_bytes = bytes / 2;
        let rocks = bytes - decoded_bytes;
        let buffer_bytes = rocks / 3;
        let cache = Cache::new_lru_cache(rocks - rocks / 6);
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            buffer_bytes,
            false,
            cache.clone(),
        );
        Ok(Memory { cache, buffers, buffer_bytes, decoded_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_add_up_to_the_whole() {
        for bytes in [MEMORY_BYTES_MIN, MEMORY_BYTES_MIN + 1, 1 << 30, 7_777_777_777] {
            let memory = Memory::of(bytes).unwrap();
            let rocks = bytes as usize - memory.decoded_bytes;
            assert!(rocks - memory.decoded_bytes <= 1);
            assert_eq!(memory.buffer_bytes, rocks / 3);
            assert_eq!(memory.buffers.get_buffer_size(), memory.buffer_bytes);
        }
    }

    #[test]
    fn too_little_memory_is_refused_with_the_least_that_is_allowed() {
        let error = Memory::of(MEMORY_BYTES_MIN - 1).err().unwrap().sentence();
        assert!(error.contains("--rocksdb-memory") && error.contains("16777216"), "{error}");
        assert!(Memory::of(0).is_err());
    }
}
