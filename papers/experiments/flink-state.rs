//! Flink's key groups: state written by 4 workers, restored by 1 to 8, each group read once.
//!
//! The workers' parts are in the format that checkpoints use; a new worker opens those that hold
//! groups of its range and reads these groups only. Alignment and the synchronous and asynchronous
//! part of a snapshot are not measured here yet.
//!
//! Run: `cargo xtask paper flink-state`. Note: `papers/flink-state.md`.
#![expect(clippy::print_stdout, reason = "an experiment prints what it finds")]

use std::process::ExitCode;
use std::time::Instant;

use highwater::{Error, Result};
use highwater_core::key::{KeyGroup, KeyGroups, stable_hash};
use highwater_state::StateFormat;
use highwater_state::format::FormatError;

const KEYS: u64 = 500_000;
const VALUE_BYTES: usize = 100;
const GROUPS: u32 = 128;
const WRITERS: usize = 4;

type Format = StateFormat<(), u64, Vec<u8>>;

fn main() -> ExitCode {
    highwater::exit(experiment())
}

fn experiment() -> Result<()> {
    let failed = |error: FormatError| Error::program(error.to_string());
    let parts = write().map_err(failed)?;
    let bytes: usize = parts.iter().map(Vec::len).sum();
    println!("{KEYS} keys of {VALUE_BYTES} bytes, {GROUPS} groups, {WRITERS} parts, {bytes} bytes");
    println!("workers  parts opened  groups each  entries each      ms");
    for workers in [1, 2, 3, 4, 5, 6, 8] {
        let began = Instant::now();
        let restored = restore(&parts, workers).map_err(failed)?;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let spread = |count: fn(&Restored) -> u64| {
            let counts = restored.iter().map(count);
            format!("{}-{}", counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0))
        };
        let opened: u64 = restored.iter().map(|worker| worker.parts).sum();
        let (groups, entries) = (spread(|r| r.groups.len() as u64), spread(|r| r.entries));
        println!("{workers:7} {opened:13} {groups:>12} {entries:>13} {ms:7.0}");
        let mut read: Vec<u16> = restored.iter().flat_map(|r| r.groups.iter().copied()).collect();
        read.sort_unstable();
        if !read.into_iter().eq(0..GROUPS as u16) {
            let found = format!("{workers} workers do not read each key group exactly once");
            return Err(Error::program(found));
        }
        let entries: u64 = restored.iter().map(|worker| worker.entries).sum();
        if entries != KEYS {
            return Err(Error::program(format!("{entries} of {KEYS} entries come back")));
        }
    }
    Ok(())
}

fn format(groups: KeyGroups) -> std::result::Result<Format, FormatError> {
    Format::new("count-uid", "count", groups)
}

/// Writes a part for each of the first workers.
fn write() -> std::result::Result<Vec<Vec<u8>>, FormatError> {
    let groups = KeyGroups::new(GROUPS, WRITERS);
    let (format, value) = (format(groups)?, vec![7; VALUE_BYTES]);
    let mut keys = vec![Vec::new(); GROUPS as usize];
    for key in 0..KEYS {
        let KeyGroup(group) = groups.of_hash(stable_hash(&key));
        keys[usize::from(group)].push(key);
    }
    let part = |worker| {
        let range = groups.range(worker);
        let block = |group: u16| {
            let keys = keys[usize::from(group)].iter();
            format.block(KeyGroup(group), 0, keys.map(|key| (&(), key, &value)))
        };
        let blocks =
            (range.first.0..=range.last.0).map(block).collect::<std::result::Result<_, _>>()?;
        format.part(range, blocks)
    };
    (0..WRITERS).map(part).collect()
}

/// What a worker has read.
#[derive(Default)]
struct Restored {
    parts: u64,
    groups: Vec<u16>,
    entries: u64,
}

/// Reads the parts as so many workers, one after the other.
fn restore(parts: &[Vec<u8>], workers: usize) -> std::result::Result<Vec<Restored>, FormatError> {
    let groups = KeyGroups::new(GROUPS, workers);
    let format = format(groups)?;
    let worker = |worker| {
        let (range, mut restored) = (groups.range(worker), Restored::default());
        for part in parts {
            let reader = format.open(part)?;
            let held = reader.header().range;
            if held.last < range.first || range.last < held.first {
                continue;
            }
            restored.parts += 1;
            for group in reader.groups(range) {
                let group = group?;
                restored.groups.push(group.group().0);
                for entry in group {
                    let (_, _, value) = entry?;
                    restored.entries += u64::from(value.len() == VALUE_BYTES);
                }
            }
        }
        Ok(restored)
    };
    (0..workers).map(worker).collect()
}
