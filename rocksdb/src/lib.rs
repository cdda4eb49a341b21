//! Keyed state beyond memory, in RocksDB.
