//! A part of a snapshot as bytes: the entries of one state, sorted, by key group.
//!
//! ```text
//! part   := header block* footer                 numbers are little-endian
//! text   := length u32, UTF-8                    bytes := length (7 bits a byte, low first), bytes
//!
//! header := "HWPART\r\n"    | version u16 = 1    | length u32 of what follows, without checksum
//!           max parallelism u32 | first group u16 | last group u16 | codec u16
//!           blocks u32          | entries u64     | operator text  | state text
//!           schema of the namespace, of the key, of the value      | checksum u64
//! schema := fingerprint u64 | name text | length u32, structure (drawn in schema/wire.rs)
//!
//! block  := 'B' | group u16 | floor i64 | entries u64 | length u64 of the payload
//!           payload: (namespace bytes, key bytes, value bytes) each  | checksum u64
//!
//! footer := 'F' | blocks u32 | (group u16, entries u64, offset u64) each
//!           offset u64 of the footer             | checksum u64   | "\r\nHWEND."
//! ```
//!
//! Blocks ascend by group, the entries of a block by namespace bytes, then key bytes, and the same
//! pair never comes twice: equal state has equal bytes, whichever backend wrote it. A group with
//! neither entries nor a watermark floor has no block. The part is written and can be read from the
//! beginning to the end; whoever needs some groups only finds them by the footer.
//!
//! **Invariants**
//! - *Covered*: each byte belongs to a checksum (XXH3-64) or is compared with what it must be. The
//!   checksums of blocks and footer are seeded with the header's: no block fits into another part.
//!   (asserted by `state/tests/format_damage.rs`: every flipped bit, every cut)
//! - *Gapless*: header, blocks and footer fill the part exactly (asserted in [`PartReader::open`]).
//! - *Capped*: no length is used before it is known to fit into what there is (`format/bytes.rs`).
//!
//! **Cost**: writing holds one part in memory; reading allocates the index and the decoded values.
//! An entry takes 3 bytes more than its encoded contents, a block 35, its place in the footer 18.
//!
//! **Left out**: compression (the store's or a later version's), secrecy and signatures: checksums
//! tell damage, not malice.
//!
//! **Sources**: Flink's canonical savepoint format; evidence.md section 3.

pub(crate) mod bytes;
pub mod codec;
pub mod error;
mod evolve;
pub(crate) mod input;
pub(crate) mod walk;

pub mod header;
pub mod block;
pub mod part;

pub use block::{Block, BlockReader, RawEntry};
pub use codec::{Codec, CodecError, Postcard};
pub use error::{FormatError, Place, Role, SchemaMismatch};
pub use header::{Header, Schemas};
pub use part::{PartReader, PartWriter};

/// The version of the format that this program writes, and the newest that it reads.
pub const VERSION: u16 = 1;

/// What a part begins with.
pub const MAGIC: [u8; 8] = *b"HWPART\r\n";
/// What a part ends with.
const END: [u8; 8] = *b"\r\nHWEND.";

/// What a block begins with.
const BLOCK: u8 = b'B';
/// What the footer begins with.
const FOOTER: u8 = b'F';

/// The bytes of a checksum.
const CHECKSUM_BYTES: u64 = 8;

/// Hashes bytes.
///
/// - `seed`: the checksum of the header, 0 for the header itself.
fn checksum(bytes: &[u8], seed: u64) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, seed)
}
