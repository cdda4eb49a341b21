//! Files appear, are replaced and removed while a job is stopped again and again: what it has made
//! visible in the end is every line once.
//!
//! The job is one that commits with its checkpoints: what it read since the last one is lost with it.

use std::collections::BTreeMap;
use std::fs;

use highwater_connectors::format::text::TextFiles;
use highwater_connectors::watch::{FolderReader, FolderSplit, Watch};
use highwater_core::source::{Reader, Source};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{INTERVAL, appear};
use crate::read_on;

const NAMES: [&str; 6] = ["a.txt", "b", "c.log", "d", "e", "f"];

#[derive(Clone, Debug)]
enum Step {
    /// A file of so many lines gets a name.
    Appear {
        name: usize,
        lines: usize,
    },
    Remove {
        name: usize,
    },
    Poll {
        split: usize,
        limit: usize,
    },
    Checkpoint,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..NAMES.len(), 0..5_usize).prop_map(|(name, lines)| Step::Appear { name, lines }),
        1 => (0..NAMES.len()).prop_map(|name| Step::Remove { name }),
        8 => (0..9_usize, 1..4_usize).prop_map(|(split, limit)| Step::Poll { split, limit }),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Crash),
    ]
}

struct Job {
    dir: tempfile::TempDir,
    source: Watch<TextFiles>,
    splits: Vec<FolderSplit>,
    readers: Vec<FolderReader<TextFiles>>,
    /// The offset of each split at the last checkpoint, as JSON.
    checkpoint: Vec<String>,
    /// The lines read since.
    uncommitted: Vec<String>,
    committed: Vec<String>,
    expected: Vec<String>,
    /// The files that are there, with the times of their changes.
    there: BTreeMap<&'static str, u64>,
    clock_s: u64,
}

impl Job {
    fn new(workers: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = TextFiles::at(dir.path()).watch(INTERVAL).until("_SUCCESS");
        let splits = source.splits(workers).unwrap();
        let readers: Vec<_> = splits.iter().map(|split| source.open(split).unwrap()).collect();
        let checkpoint = offsets(&readers);
        Job {
            dir,
            source,
            splits,
            readers,
            checkpoint,
            uncommitted: Vec::new(),
            committed: Vec::new(),
            expected: Vec::new(),
            there: BTreeMap::new(),
            clock_s: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Appear { name, lines } => self.appear(NAMES[name], lines),
            Step::Remove { name } => self.remove(NAMES[name]),
            Step::Poll { split, limit } => self.poll(split % self.splits.len(), limit),
            Step::Checkpoint => self.checkpoint(),
            Step::Crash => self.crash(),
        }
    }

    fn appear(&mut self, name: &'static str, lines: usize) {
        if !self.is_free(name) {
            return;
        }
        self.clock_s += 1;
        let lines: Vec<_> =
            (0..lines).map(|line| format!("{name} {} {line}", self.clock_s)).collect();
        appear(self.dir.path(), name, lines.join("\n"), self.clock_s);
        self.expected.extend(lines);
        self.there.insert(name, self.clock_s);
    }

    fn remove(&mut self, name: &'static str) {
        if self.is_free(name) && self.there.remove(name).is_some() {
            fs::remove_file(self.dir.path().join(name)).unwrap();
        }
    }

    /// Whether the file of this name, if any, counts as read in the last checkpoint.
    fn is_free(&self, name: &str) -> bool {
        let Some(changed_s) = self.there.get(name) else { return true };
        let read = format!("[{name:?},{}]", changed_s * 1_000_000_000);
        self.checkpoint.iter().any(|offset| {
            let (read_to_end, _) = offset.split_once("\"reading\"").unwrap();
            read_to_end.contains(&read)
        })
    }

    fn poll(&mut self, split: usize, limit: usize) {
        let mut out = Vec::new();
        self.readers[split].poll(&mut out, limit).unwrap();
        assert!(out.len() <= limit);
        self.uncommitted.extend(out.into_iter().map(|record| record.value));
    }

    fn checkpoint(&mut self) {
        self.checkpoint = offsets(&self.readers);
        self.committed.append(&mut self.uncommitted);
    }

    fn crash(&mut self) {
        self.uncommitted.clear();
        let offsets = self.checkpoint.iter().map(|offset| serde_json::from_str(offset).unwrap());
        let resume = |(split, offset)| self.source.resume(split, &offset).unwrap();
        self.readers = self.splits.iter().zip(offsets).map(resume).collect();
    }

    fn end(mut self) {
        appear(self.dir.path(), "_SUCCESS", "", 1);
        for reader in &mut self.readers {
            let mut out = Vec::new();
            assert_eq!(read_on(reader, &mut out, 3), None);
            self.uncommitted.extend(out.into_iter().map(|record| record.value));
        }
        self.checkpoint();
        self.committed.sort();
        self.expected.sort();
        assert_eq!(self.committed, self.expected);
    }
}

fn offsets(readers: &[FolderReader<TextFiles>]) -> Vec<String> {
    readers.iter().map(|reader| serde_json::to_string(&reader.offset()).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_line_becomes_visible_once(workers in 1..4_usize, steps in vec(step(), 0..120)) {
        let mut job = Job::new(workers);
        steps.iter().for_each(|step| job.step(step));
        job.end();
    }
}
