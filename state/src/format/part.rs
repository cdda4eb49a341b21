//! Writing a part from its beginning to its end, and reading any of its key groups.

use std::fmt;
use std::io::Write;

use highwater_core::key::{KeyGroup, KeyGroupRange};

use crate::format::block::{Block, BlockReader, HEAD_BYTES};
use crate::format::bytes::Cursor;
use crate::format::error::{FormatError, Place};
use crate::format::header::Header;
use crate::format::{BLOCK, CHECKSUM_BYTES, END, FOOTER, checksum};

/// The bytes of a footer that lists no block: tag, count, offset, checksum, end.
const FOOTER_BYTES: u64 = 1 + 4 + TRAILER_BYTES;
/// The bytes of the footer after its list: its offset, checksum, end.
const TRAILER_BYTES: u64 = 8 + CHECKSUM_BYTES + END.len() as u64;
/// The bytes of the footer for each block.
const LISTED_BYTES: u64 = 18;

/// A block as the footer lists it.
#[derive(Clone, Copy, Debug)]
struct Listed {
    group: KeyGroup,
    entries: u64,
    offset: u64,
}

/// Writes a part, block by block in the order of their groups.
#[derive(Debug)]
pub struct PartWriter<W> {
    out: W,
    header: Header,
    /// The checksum of the header.
    seed: u64,
    at: u64,
    listed: Vec<Listed>,
}

impl<W: Write> PartWriter<W> {
    /// Begins a part with its header, which says already how many blocks and entries will come.
    ///
    /// # Errors
    /// When the header makes no sense or could not be passed on.
    pub fn new(out: W, header: Header) -> Result<Self, FormatError> {
        let (bytes, seed) = header.write()?;
        let mut writer = PartWriter { out, header, seed, at: 0, listed: Vec::new() };
        writer.put(Place::Header, &bytes)?;
        Ok(writer)
    }

    /// Writes the next block, unless it is [empty](Block::is_empty).
    ///
    /// # Errors
    /// When its group is not in the range of the part, or not greater than the one before.
    pub fn block(&mut self, block: &Block) -> Result<(), FormatError> {
        if block.is_empty() {
            return Ok(());
        }
        let (group, place) = (block.group, Place::Block(block.group));
        if !self.header.range.contains(group) {
            let what = "its key group is not in the range of the part";
            return Err(FormatError::Order { place, what });
        }
        if self.listed.last().is_some_and(|last| last.group >= group) {
            return Err(FormatError::Order { place, what: "the key groups do not ascend" });
        }
        self.listed.push(Listed { group, entries: block.entries, offset: self.at });
        let head = block.head();
        let mut hasher = xxhash_rust::xxh3::Xxh3::with_seed(self.seed);
        hasher.update(&head);
        hasher.update(&block.payload);
        self.put(place, &head)?;
        self.put(place, &block.payload)?;
        self.put(place, &hasher.digest().to_le_bytes())
    }

    /// Writes the footer and returns where the part was written to.
    ///
    /// # Errors
    /// When there were not as many blocks and entries as the header says.
    pub fn finish(mut self) -> Result<W, FormatError> {
        let place = Place::Footer;
        self.header.count(&self.listed)?;
        let mut footer = vec![FOOTER];
        footer.extend_from_slice(&(self.listed.len() as u32).to_le_bytes());
        for Listed { group, entries, offset } in &self.listed {
            footer.extend_from_slice(&group.0.to_le_bytes());
            footer.extend_from_slice(&entries.to_le_bytes());
            footer.extend_from_slice(&offset.to_le_bytes());
        }
        footer.extend_from_slice(&self.at.to_le_bytes());
        let sum = checksum(&footer, self.seed);
        footer.extend_from_slice(&sum.to_le_bytes());
        footer.extend_from_slice(&END);
        self.put(place, &footer)?;
        self.out.flush().map_err(|source| FormatError::Io { place, source })?;
        Ok(self.out)
    }

    fn put(&mut self, place: Place, bytes: &[u8]) -> Result<(), FormatError> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|source| FormatError::Io { place, source })
    }
}

impl Header {
    /// Asserts that there are as many blocks and entries as the header says.
    fn count(&self, listed: &[Listed]) -> Result<(), FormatError> {
        let place = Place::Header;
        let (declared, found) = (u64::from(self.blocks), listed.len() as u64);
        if declared != found {
            return Err(FormatError::Count { place, what: "blocks", declared, found });
        }
        let found = listed.iter().fold(0u64, |sum, block| sum.saturating_add(block.entries));
        if self.entries != found {
            let declared = self.entries;
            return Err(FormatError::Count { place, what: "entries", declared, found });
        }
        Ok(())
    }
}

/// A part whose header and footer have been verified.
#[derive(Clone)]
pub struct PartReader<'a> {
    part: &'a [u8],
    header: Header,
    seed: u64,
    listed: Vec<Listed>,
    /// Where the footer begins, which is where the last block ends.
    end: u64,
}

impl fmt::Debug for PartReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartReader({} bytes, {:?})", self.part.len(), self.header)
    }
}

impl<'a> PartReader<'a> {
    /// Verifies header and footer; blocks are verified when they are read.
    ///
    /// # Errors
    /// When the bytes are not one part of a version that this program knows, whole and undamaged.
    pub fn open(part: &'a [u8]) -> Result<Self, FormatError> {
        let (header, begin, seed) = Header::read(part)?;
        let read = read_footer(part, begin, seed).and_then(|(listed, end)| {
            header.count(&listed)?;
            let reader = PartReader { part, header, seed, listed, end };
            reader.assert_gapless(begin)?;
            Ok(reader)
        });
        // A part that was cut off or continued has no footer of its own at its end: say so.
        read.map_err(|error| match diagnose(part, begin) {
            Err(trailing @ FormatError::Trailing { .. }) => trailing,
            Err(truncated) if !part.ends_with(&END) => truncated,
            _ => error,
        })
    }

    fn assert_gapless(&self, begin: u64) -> Result<(), FormatError> {
        let (place, mut at) = (Place::Footer, begin);
        let malformed = |what| FormatError::Malformed { place, at: self.end, what };
        let mut last = None;
        for (i, Listed { group, offset, .. }) in self.listed.iter().enumerate() {
            if last >= Some(*group) || !self.header.range.contains(*group) {
                let what = "the key groups do not ascend within the range of the part";
                return Err(FormatError::Order { place, what });
            }
            if *offset != at || self.block_end(i) < at.saturating_add(HEAD_BYTES + CHECKSUM_BYTES) {
                return Err(malformed("blocks that do not fill the part"));
            }
            (last, at) = (Some(*group), self.block_end(i));
        }
        if at != self.end {
            return Err(malformed("blocks that do not fill the part"));
        }
        Ok(())
    }

    fn block_end(&self, index: usize) -> u64 {
        self.listed.get(index + 1).map_or(self.end, |next| next.offset)
    }

    /// Returns the header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the key groups that have a block, in order.
    pub fn groups(&self) -> impl Iterator<Item = KeyGroup> {
        self.listed.iter().map(|block| block.group)
    }

    /// Reads the blocks of a range of key groups, and no other bytes.
    ///
    /// Groups without a block have neither entries nor a watermark floor.
    pub fn blocks(
        &self,
        range: KeyGroupRange,
    ) -> impl Iterator<Item = Result<BlockReader<'a>, FormatError>> + '_ {
        let first = self.listed.partition_point(|block| block.group < range.first);
        let blocks = self.listed.iter().enumerate().skip(first);
        blocks.take_while(move |(_, block)| block.group <= range.last).map(move |(i, block)| {
            let Listed { group, entries, offset } = *block;
            let bytes = slice(self.part, offset, self.block_end(i));
            BlockReader::open(bytes, offset, (group, entries), self.seed)
        })
    }
}

/// Returns the bytes from one offset to another, or what there is of them.
fn slice(part: &[u8], from: u64, to: u64) -> &[u8] {
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(part.len());
    part.get(place(from)..place(to)).unwrap_or_default()
}

/// Finds the footer from the end; returns what it lists and where it begins.
///
/// - `begin`: where the header ends.
fn read_footer(part: &[u8], begin: u64, seed: u64) -> Result<(Vec<Listed>, u64), FormatError> {
    let (place, total) = (Place::Footer, part.len() as u64);
    let left = total - begin.min(total);
    if left < FOOTER_BYTES {
        return Err(FormatError::Truncated { place, at: begin, needed: FOOTER_BYTES, left });
    }
    let trailer = total - TRAILER_BYTES;
    let mut cursor = Cursor::new(slice(part, trailer, total), trailer, place);
    let (at, stored) = (cursor.u64()?, cursor.u64()?);
    if cursor.take(END.len() as u64)? != END {
        return Err(cursor.malformed("no end"));
    }
    if at < begin || at > trailer {
        return Err(cursor.malformed("a footer that is not in the part"));
    }
    let found = checksum(slice(part, at, trailer + 8), seed);
    if stored != found {
        return Err(FormatError::Checksum { place, at, stored, found });
    }
    let mut cursor = Cursor::new(slice(part, at, trailer), at, place);
    if cursor.u8()? != FOOTER {
        return Err(cursor.malformed("something else than a footer"));
    }
    let (declared, found) = (u64::from(cursor.u32()?), cursor.left() / LISTED_BYTES);
    if declared > found {
        return Err(FormatError::Count { place, what: "blocks", declared, found });
    }
    let mut listed = Vec::with_capacity(declared as usize);
    for _ in 0..declared {
        let group = KeyGroup(cursor.u16()?);
        listed.push(Listed { group, entries: cursor.u64()?, offset: cursor.u64()? });
    }
    cursor.finish()?;
    Ok((listed, at))
}

/// Reads a part from its beginning without trusting it, to tell where it ends too early or late.
fn diagnose(part: &[u8], begin: u64) -> Result<(), FormatError> {
    let mut cursor = Cursor::new(slice(part, begin, part.len() as u64), begin, Place::Footer);
    loop {
        match cursor.u8()? {
            BLOCK => {
                let place = Place::Block(KeyGroup(cursor.u16()?));
                cursor.take(HEAD_BYTES - 11)?;
                let length = cursor.u64()?;
                let (at, needed, left) = (cursor.at(), length, cursor.left());
                if length > left {
                    return Err(FormatError::Truncated { place, at, needed, left });
                }
                cursor.take(length)?;
                cursor.take(CHECKSUM_BYTES)?;
            }
            FOOTER => {
                let listed = u64::from(cursor.u32()?);
                cursor.take(listed * LISTED_BYTES + TRAILER_BYTES - END.len() as u64)?;
                return match cursor.take(END.len() as u64)? == END {
                    true => cursor.finish(),
                    false => Ok(()),
                };
            }
            _ => return Ok(()),
        }
    }
}
