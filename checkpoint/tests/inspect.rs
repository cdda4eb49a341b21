//! What a savepoint holds, shown without the program that took it.
//!
//! Savepoints are put together by hand. The tests would catch key groups that are shown twice, parts
//! that are shown under another name, differences that are lost where types or key groups have
//! changed, and entries that are counted although they cannot be told apart.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::hash::{Hash, Hasher};
use std::path::Path;

use highwater_checkpoint::inspect::{Change, Snapshot, compare};
use highwater_checkpoint::manifest::{
    Manifest, OperatorSnapshot, SnapshotKind, StoredPart, StoredState,
};
use highwater_checkpoint::savepoint::Savepoint;
use highwater_checkpoint::{Storage, log};
use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::{Key, KeyGroups};
use highwater_core::time::Epoch;
use highwater_state::backend::StateValue;
use highwater_state::{Backend, Hashed};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A state of one worker with these entries.
fn part<K: Key, V: StateValue>(
    groups: KeyGroups,
    worker: usize,
    uid: &str,
    entries: &[(K, V)],
) -> EncodedState {
    chain(groups, worker, uid, &[entries]).remove(0)
}

/// A full part with the first entries, and deltas with the others.
fn chain<K: Key, V: StateValue>(
    groups: KeyGroups,
    worker: usize,
    uid: &str,
    steps: &[&[(K, V)]],
) -> Vec<EncodedState> {
    let mut backend = Backend::heap(uid, groups, worker).durable(true);
    let mut table = backend.table::<K, (), V>("count").unwrap();
    let mut chain = Vec::new();
    for (i, entries) in steps.iter().enumerate() {
        for (key, value) in *entries {
            table.insert(Hashed::new(key), &(), value.clone());
        }
        let mut cut = Cut::new(Epoch(i as u64), CutKind { delta: i > 0, track: true }, i64::MIN, 0);
        table.freeze(&mut cut);
        chain.extend(cut.encode().unwrap());
    }
    chain
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn operator(states: Vec<StoredState>) -> OperatorSnapshot {
    OperatorSnapshot { uid: "counts".into(), states, ..OperatorSnapshot::default() }
}

/// Writes a savepoint whose workers have stored these parts, and opens it.
fn savepoint(parts: Vec<EncodedState>) -> (TempDir, Snapshot) {
    let folder = TempDir::new().unwrap();
    let url = folder.path().to_str().unwrap();
    block_on(async {
        let savepoint = Savepoint::create(url).await.unwrap();
        let mut states = Vec::new();
        for (worker, part) in parts.into_iter().enumerate() {
            let chain = vec![savepoint.put_part(&format!("{worker}"), part.part).await.unwrap()];
            states.push(StoredState { state: "count".into(), worker, chain });
        }
        let mut manifest = Manifest::new(1, 1, SnapshotKind::Savepoint);
        manifest.operators.push(operator(states));
        savepoint.write(&manifest).await.unwrap();
    });
    let snapshot = Snapshot::open(url, None).unwrap();
    (folder, snapshot)
}

/// The sentence with which the entries of the state are refused.
fn refusal(snapshot: &Snapshot) -> String {
    let operator = snapshot.operator("counts").unwrap();
    let read = snapshot
        .parts(operator, "count")
        .and_then(|parts| parts.view()?.entries()?.collect::<Result<Vec<_>, _>>().map(drop));
    read.unwrap_err().sentence()
}

/// What differs, as a text each.
fn differences(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let parts = |of: &Snapshot| of.parts(of.operator("counts").unwrap(), "count").unwrap();
    let (before, after) = (parts(before), parts(after));
    let (before, after) = (before.view().unwrap(), after.view().unwrap());
    let mut told = Vec::new();
    compare(Some(&before), Some(&after), &mut |change| {
        told.push(match change {
            Change::Added(entry) => format!("+ {} {}", entry.key, entry.value),
            Change::Removed(entry) => format!("- {} {}", entry.key, entry.value),
            Change::Changed { before, after } => {
                format!("~ {} {} {after}", before.key, before.value)
            }
        });
        Ok(())
    })
    .unwrap();
    told.sort();
    told
}

#[test]
fn a_key_group_that_two_workers_have_stored_is_refused() {
    let groups = KeyGroups::new(128, 1);
    let twice = || part(groups, 0, "counts", &[("rome".to_owned(), 1_u64)]);
    let (folder, snapshot) = savepoint(vec![twice(), twice()]);
    let said = refusal(&snapshot);
    assert!(said.contains("a worker before has stored this key group or a later one"), "{said}");
    assert!(said.starts_with(&folder.path().canonicalize().unwrap().display().to_string()));
    assert!(said.contains("state \"count\" of operator \"counts\", stored by worker 1"), "{said}");
    let (_folder, once) = savepoint(vec![twice()]);
    assert_eq!(differences(&once, &once), Vec::<String>::new());
}

#[test]
fn a_part_of_another_operator_is_refused() {
    let foreign = part(KeyGroups::new(128, 1), 0, "others", &[("rome".to_owned(), 1_u64)]);
    let said = refusal(&savepoint(vec![foreign]).1);
    assert!(said.contains("others") && said.contains("counts"), "{said}");
}

#[test]
fn a_change_of_the_key_groups_or_of_the_type_of_a_value_is_no_difference_of_the_entries() {
    let few = [("bern", 1_u64), ("oslo", 2), ("rome", 3)].map(|(k, v)| (k.to_owned(), v));
    let more = [("oslo", 2_u64), ("rome", 4), ("york", 5)].map(|(k, v)| (k.to_owned(), v));
    let signed = more.clone().map(|(key, value)| (key, value as i64));
    let expected = ["+ \"york\" 5", "- \"bern\" 1", "~ \"rome\" 3 4"];
    let before = savepoint(vec![part(KeyGroups::new(128, 1), 0, "counts", &few)]);
    for max_parallelism in [128, 64] {
        let groups = KeyGroups::new(max_parallelism, 1);
        let after = savepoint(vec![part(groups, 0, "counts", &more)]);
        assert_eq!(differences(&before.1, &after.1), expected, "{max_parallelism} key groups");
    }
    let after = savepoint(vec![part(KeyGroups::new(128, 1), 0, "counts", &signed)]);
    assert_eq!(differences(&before.1, &after.1), expected, "another type of values");
}

/// A key of which nobody but the program knows the hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Shouted(String);

impl Hash for Shouted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_uppercase().hash(state);
    }
}

/// Opens a checkpoint of a full part and a delta after it.
fn checkpoint<K: Key>(steps: &[&[(K, u64)]]) -> (TempDir, Snapshot) {
    let folder = TempDir::new().unwrap();
    let url = folder.path().to_str().unwrap();
    block_on(async {
        let storage = Storage::open(url).unwrap();
        let (mut attempt, _) = log::fence(&storage).await.unwrap();
        let mut stored = Vec::new();
        for part in chain(KeyGroups::new(128, 1), 0, "counts", steps) {
            let slots = match part.slots {
                Some(slots) => Some(storage.put_part("files/1/slots", slots).await.unwrap()),
                None => None,
            };
            let part = storage.put_part("files/1/part", part.part).await.unwrap();
            stored.push(StoredPart { part, slots });
        }
        let mut manifest = Manifest::new(1, 1, SnapshotKind::Checkpoint);
        let state = StoredState { state: "count".into(), worker: 0, chain: stored };
        manifest.operators.push(operator(vec![state]));
        let written = manifest.write(&storage).await.unwrap();
        attempt.commit(1, &written).await.unwrap();
    });
    let snapshot = Snapshot::open(url, None).unwrap();
    (folder, snapshot)
}

#[test]
fn entries_of_deltas_are_counted_once_or_at_most() {
    let extent = |snapshot: &Snapshot| {
        let operator = snapshot.operator("counts").unwrap();
        let extent = snapshot.parts(operator, "count").unwrap().extent().unwrap();
        (extent.entries, extent.is_exact, extent.key_groups)
    };
    let plain = |text: &str| text.to_owned();
    let (_folder, known) =
        checkpoint(&[&[(plain("bern"), 1), (plain("oslo"), 1)], &[(plain("oslo"), 2)]]);
    assert_eq!(extent(&known), (2, true, Some(2)));
    let shouted = |text: &str| Shouted(text.to_owned());
    let (_folder, unknown) =
        checkpoint(&[&[(shouted("bern"), 1), (shouted("oslo"), 1)], &[(shouted("oslo"), 2)]]);
    assert_eq!(extent(&unknown), (3, false, None));
    let said = refusal(&unknown);
    assert!(said.contains("state \"count\" of operator \"counts\""), "{said}");
}

#[test]
fn a_running_job_is_not_fenced_by_those_who_look() {
    let folder = TempDir::new().unwrap();
    let url = folder.path().to_str().unwrap();
    let files = |folder: &Path| std::fs::read_dir(folder.join("log")).unwrap().count();
    block_on(async {
        let storage = Storage::open(url).unwrap();
        let (mut attempt, _) = log::fence(&storage).await.unwrap();
        let manifest = Manifest::new(1, 1, SnapshotKind::Checkpoint);
        let written = manifest.write(&storage).await.unwrap();
        attempt.commit(1, &written).await.unwrap();
        let before = files(folder.path());
        let url = url.to_owned();
        std::thread::spawn(move || drop(Snapshot::open(&url, None).unwrap())).join().unwrap();
        assert_eq!(files(folder.path()), before);
        attempt.commit(2, &written).await.unwrap();
    });
}

#[test]
fn elements_without_a_key_are_compared_as_often_as_they_are_there() {
    let list = |elements: &[u64]| {
        let groups = KeyGroups::new(128, 1);
        let mut backend = Backend::heap("counts", groups, 0).durable(true);
        let mut table = backend.table::<(), (), Vec<u64>>("count").unwrap();
        table.insert(Hashed::new(&()), &(), elements.to_vec());
        let mut cut = Cut::new(Epoch(1), CutKind::default(), i64::MIN, 0);
        table.freeze(&mut cut);
        cut.encode().unwrap().remove(0)
    };
    let (_one, before) = savepoint(vec![list(&[7, 7, 8]), list(&[9])]);
    let (_two, after) = savepoint(vec![list(&[9, 8]), list(&[7, 5])]);
    assert_eq!(differences(&before, &after), ["+ null 5", "- null 7"]);
    let parts = before.parts(before.operator("counts").unwrap(), "count").unwrap();
    let view = parts.view().unwrap();
    let values: Vec<Value> = view.entries().unwrap().map(|entry| entry.unwrap().value).collect();
    assert_eq!(values, [json!(7), json!(7), json!(8), json!(9)]);
}
