//! Readers that go on from an offset: they give exactly what the reader before them had not given.
//!
//! | family | what it would catch |
//! |---|---|
//! | `files` | an offset that is off by a byte, a line end, a byte order mark or a quoted line; a header that is lost; a line number in a message that starts again; a compressed file that is sought instead of skipped |
//! | `folder` | a file of a watched folder that is read twice, or never: by two splits, after a restore, after its name was given to another |
//! | `numbers` | a split whose next number depends on the number of workers |
//! | `refused` | an offset behind the end of its file, or in a file that is gone, that is taken for the end of the input |
//!
//! Every check goes through all the offsets of a reader, each as JSON, as checkpoints keep it.

#![allow(clippy::unwrap_used, reason = "a test")]

mod files;
mod folder;
mod numbers;
mod refused;
mod written;

use std::fmt::Debug;

use highwater_core::record::Batch;
use highwater_core::source::{Poll, Reader, Source};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Returns a value as it comes back from a checkpoint.
fn stored<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// Reads up to the end, or up to an error, whose sentence is returned.
fn read_on<R: Reader>(reader: &mut R, out: &mut Batch<R::Item>, limit: usize) -> Option<String> {
    loop {
        match reader.poll(out, limit) {
            Ok(Poll::End) => return None,
            Ok(_) => {}
            Err(error) => return Some(error.sentence()),
        }
    }
}

/// Checks that every split of a source can be left and resumed at each of its offsets; returns how
/// many records there are.
fn check<S: Source>(source: &S, workers: usize) -> usize
where
    S::Item: PartialEq + Debug,
{
    source.splits(workers).unwrap().iter().map(|split| check_split(source, split)).sum()
}

fn check_split<S: Source>(source: &S, split: &S::Split) -> usize
where
    S::Item: PartialEq + Debug,
{
    let split = stored(split);
    let mut whole = Vec::new();
    let end = read_on(&mut source.open(&split).unwrap(), &mut whole, 1000);
    let (mut reader, mut read) = (source.open(&split).unwrap(), Vec::new());
    for step in 0.. {
        let offset = reader.offset();
        let mut resumed = source.resume(&split, &stored(&offset)).unwrap();
        let texts =
            [&offset, &resumed.offset()].map(|offset| serde_json::to_string(offset).unwrap());
        assert_eq!(texts[0], texts[1], "a resumed reader is where the one before it was");
        let mut all = read.clone();
        let resumed_end = read_on(&mut resumed, &mut all, 1 + step % 3);
        assert_eq!((&all, &resumed_end), (&whole, &end), "resumed at {}", texts[0]);
        if step % 2 == 1 {
            reader = source.resume(&split, &stored(&offset)).unwrap();
        }
        match reader.poll(&mut read, 1) {
            Ok(Poll::End) | Err(_) => break,
            Ok(_) => {}
        }
    }
    assert_eq!(read, whole);
    whole.len()
}
