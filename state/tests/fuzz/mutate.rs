//! The ways in which a part is corrupted.

use std::ops::Range;

use highwater_state::format::{Block, PartReader, PartWriter, RawEntry};

use crate::support::all;
use crate::support::damage::{Random, corrupt, reseal};

/// How far the corruption is covered up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Checksums are left as they were.
    Damaged,
    /// Checksums are made right again.
    Sealed,
    /// The part is written anew around entries that are wrong.
    Rewritten,
}

impl Family {
    pub(crate) const ALL: [Family; 3] = [Family::Damaged, Family::Sealed, Family::Rewritten];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::Damaged => "damaged",
            Family::Sealed => "sealed",
            Family::Rewritten => "rewritten",
        }
    }
}

/// Corrupts a part; the result is none of the whole parts.
pub(crate) fn mutate(family: Family, part: &[u8], parts: &[&[u8]], random: &mut Random) -> Vec<u8> {
    loop {
        let bytes = match family {
            Family::Damaged => damage(part, parts, random),
            Family::Sealed => {
                let mut bytes = match random.below(2) {
                    0 => damage(part, parts, random),
                    _ => forge_lengths(part, random),
                };
                let _ = reseal(&mut bytes);
                bytes
            }
            Family::Rewritten => rewrite(part, random),
        };
        if !parts.contains(&bytes.as_slice()) {
            return bytes;
        }
    }
}

fn damage(part: &[u8], parts: &[&[u8]], random: &mut Random) -> Vec<u8> {
    match random.below(5) {
        0 => flip(part, random),
        1 => splice(part, parts[random.below(parts.len())], random),
        2 => repeat(part, random),
        _ => corrupt(part, random),
    }
}

/// Flips one bit, or a few.
fn flip(part: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = part.to_vec();
    for _ in 0..=random.below(3) {
        bytes[random.below(part.len())] ^= 1 << random.below(8);
    }
    bytes
}

/// Puts a range of another part in the place of one, half of the time of equal length.
fn splice(part: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = part.to_vec();
    let from = range(other.len(), random);
    let to = match random.below(2) {
        0 => range(part.len(), random),
        _ => {
            let begin = random.below(part.len());
            begin..(begin + from.len()).min(part.len())
        }
    };
    bytes.splice(to, other[from].iter().copied());
    bytes
}

/// Doubles a range, at the same place or elsewhere.
fn repeat(part: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = part.to_vec();
    let from = range(part.len(), random);
    let at = if random.below(2) == 0 { from.end } else { random.below(part.len()) };
    bytes.splice(at..at, part[from].iter().copied());
    bytes
}

fn range(length: usize, random: &mut Random) -> Range<usize> {
    let (a, b) = (random.below(length + 1), random.below(length + 1));
    a.min(b)..a.max(b)
}

/// Replaces lengths, counts, offsets and numbers of groups.
fn forge_lengths(part: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = part.to_vec();
    let fields = fields(part);
    for _ in 0..=random.below(2) {
        let field = fields[random.below(fields.len())].clone();
        let mut digits = [0; 8];
        digits[..field.len()].copy_from_slice(&part[field.clone()]);
        let old = u64::from_le_bytes(digits);
        let other = fields[random.below(fields.len())].clone();
        let near = random.below(8) as u64;
        let new = match random.below(8) {
            0 => 0,
            1 => u64::MAX >> random.below(64),
            2 => old.wrapping_add(1 + near),
            3 => old.wrapping_sub(1 + near),
            4 => old ^ 1 << random.below(8 * field.len()),
            5 => part.len() as u64 - near,
            6 => part[other].iter().rev().fold(0, |sum, digit| sum << 8 | u64::from(*digit)),
            _ => near,
        };
        bytes[field.clone()].copy_from_slice(&new.to_le_bytes()[..field.len()]);
        // A length that says less or more may come with less or more bytes, which moves the rest.
        let differs = new.wrapping_sub(old).cast_signed();
        match random.below(4) {
            0 if (1..64).contains(&differs) => {
                let more = vec![random.below(256) as u8; differs as usize];
                bytes.splice(field.end..field.end, more);
                break;
            }
            1 if (-64..0).contains(&differs) => {
                let end = (field.end + differs.unsigned_abs() as usize).min(bytes.len());
                bytes.drain(field.end..end);
                break;
            }
            _ => {}
        }
    }
    bytes
}

/// Finds the numbers of a whole part.
fn fields(part: &[u8]) -> Vec<Range<usize>> {
    let number = |at: usize, width: usize| {
        part[at..at + width].iter().rev().fold(0, |sum, digit| sum << 8 | usize::from(*digit))
    };
    let mut fields = Vec::new();
    let mut at = 8;
    let mut take = |at: &mut usize, width: usize| {
        fields.push(*at..*at + width);
        *at += width;
        number(*at - width, width)
    };
    // Version, length; max parallelism, groups, codec, blocks, entries; operator, state.
    for width in [2, 4, 4, 2, 2, 2, 4, 8] {
        take(&mut at, width);
    }
    for _ in 0..2 {
        at += take(&mut at, 4);
    }
    for _ in 0..3 {
        take(&mut at, 8);
        for _ in 0..2 {
            at += take(&mut at, 4);
        }
    }
    at += 8;
    while part[at] == b'B' {
        at += 1;
        // Group, floor, entries, length.
        let length = [2, 8, 8, 8].map(|width| take(&mut at, width))[3];
        let (mut entry, end) = (at, at + length);
        while entry < end {
            // Lengths of less than 128 bytes; a longer one ends the search.
            match take(&mut entry, 1) {
                short @ 0..0x80 => entry += short,
                _ => break,
            }
        }
        at = end + 8;
    }
    at += 1;
    let blocks = take(&mut at, 4);
    for _ in 0..blocks {
        let [_group, _entries, _offset] = [2, 8, 8].map(|width| take(&mut at, width));
    }
    take(&mut at, 8);
    fields
}

/// Writes a part anew with some entries changed, doubled or left out.
fn rewrite(part: &[u8], random: &mut Random) -> Vec<u8> {
    let reader = PartReader::open(part).unwrap();
    let mut header = reader.header().clone();
    let mut changes = 1 + random.below(3);
    let mut blocks = Vec::new();
    for block in reader.blocks(all()) {
        let block = block.unwrap();
        let (group, mut floor) = (block.group(), block.floor());
        let mut entries: Vec<[Vec<u8>; 3]> = Vec::new();
        for entry in block {
            let RawEntry { namespace, key, value } = entry.unwrap();
            entries.push([namespace.to_vec(), key.to_vec(), value.to_vec()]);
        }
        if changes > 0 && random.below(header.blocks as usize) < 2 {
            changes -= 1;
            change_entry(&mut entries, random);
            if random.below(8) == 0 {
                floor = floor.wrapping_add(1 << random.below(63));
            }
        }
        // An entry that is there twice is refused where it is written already.
        if let Ok(block) = Block::new(group, floor, entries.iter().map(raw_entry).collect()) {
            blocks.push(block);
        }
    }
    blocks.retain(|block| !block.is_empty());
    header.blocks = blocks.len() as u32;
    header.entries = blocks.iter().map(Block::entries).sum();
    if random.below(16) == 0 {
        header.max_parallelism = 1 << random.below(16);
    }
    let Ok(mut writer) = PartWriter::new(Vec::new(), header) else { return part.to_vec() };
    blocks.iter().for_each(|block| writer.block(block).unwrap());
    writer.finish().unwrap()
}

fn raw_entry([namespace, key, value]: &[Vec<u8>; 3]) -> RawEntry<'_> {
    RawEntry { namespace, key, value }
}

fn change_entry(entries: &mut Vec<[Vec<u8>; 3]>, random: &mut Random) {
    if entries.is_empty() {
        return;
    }
    let at = random.below(entries.len());
    match random.below(8) {
        0 => drop(entries.remove(at)),
        1 => {
            // The same entry once more, with a key or a namespace that differs.
            let mut twin = entries[at].clone();
            change_bytes(&mut twin[random.below(2)], random);
            entries.push(twin);
        }
        // Values more often than keys, which nearly always leave their group.
        _ => {
            let role = [0, 1, 2, 2, 2, 2][random.below(6)];
            change_bytes(&mut entries[at][role], random);
        }
    }
}

fn change_bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match (random.below(7), bytes.get_mut(at)) {
        (0, Some(byte)) => *byte = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        (1, Some(byte)) => *byte = byte.wrapping_add(1),
        (2, Some(_)) => drop(bytes.remove(at)),
        (3, _) => bytes.truncate(at),
        (4, _) => bytes.insert(at, random.below(256) as u8),
        (5, Some(byte)) => {
            // A number that is written longer than it need be: 7 as 0x87 0x00.
            *byte |= 0x80;
            bytes.insert(at + 1, 0);
        }
        (_, Some(byte)) => *byte ^= 1 << random.below(8),
        (_, None) => bytes.push(random.below(256) as u8),
    }
}
