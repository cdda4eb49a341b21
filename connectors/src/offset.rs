//! Places in a file, as checkpoints keep them.
//!
//! ```text
//! file --decompress--> bytes 0, 1, 2, ...   of which `bytes` have been read, in `lines` lines
//! ```
//!
//! Bytes are counted after decompression, so that the place is the same however the file is stored.
//! The lines are there for messages alone: a reader that goes on still names the line of the file.

use serde::{Deserialize, Serialize};

/// A place in a file between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOffset {
    /// How many bytes come before it, after decompression.
    pub bytes: u64,
    /// How many line ends come before it.
    pub lines: u64,
}
