//! Objects in a store that damages them, refuses, fails or does not answer.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use highwater_checkpoint::log::{self, Completed};
use highwater_checkpoint::manifest::{
    Committable, INLINE_BYTES_MAX, Manifest, OperatorSnapshot, PartRef, SnapshotKind, StoredPart,
    StoredState,
};
use highwater_checkpoint::marker::{is_committed, mark_committed};
use highwater_checkpoint::storage::{Retry, file_path};
use highwater_checkpoint::testing::{Faults, FaultyStore, Turns};
use highwater_checkpoint::{ObjectRef, Storage, StorageError};
use object_store::ObjectStore;

fn storage(seed: u64) -> (Arc<FaultyStore>, Storage) {
    let store = FaultyStore::new(seed);
    let storage = Storage::of(Arc::clone(&store) as Arc<dyn ObjectStore>, "jobs/one").unwrap();
    (store, storage)
}

/// A manifest with all that one can hold.
async fn manifest(storage: &Storage) -> Manifest {
    let large = storage.put_part(&file_path(1, "count/1"), vec![1; 25_000]).await.unwrap();
    let slots = storage.put_part(&file_path(1, "count/1/slots"), vec![2; 30_000]).await.unwrap();
    let small = storage.put_part(&file_path(1, "small"), vec![3; 100]).await.unwrap();
    let mut manifest = Manifest::new(4, 1, SnapshotKind::Checkpoint);
    manifest.plan = Some(u64::MAX);
    manifest.operators.push(OperatorSnapshot {
        uid: "count \"words\"".into(),
        name: "count".into(),
        watermarks: vec![i64::MIN, i64::MAX],
        states: vec![StoredState {
            state: "count".into(),
            worker: 1,
            chain: vec![
                StoredPart { part: small, slots: None },
                StoredPart { part: large, slots: Some(slots) },
            ],
        }],
        committables: vec![Committable { worker: 0, epoch: 4, payload: "{\"rows\":3}".into() }],
    });
    manifest
}

#[tokio::test]
async fn a_manifest_is_read_as_it_was_written() {
    let (_, storage) = storage(1);
    let manifest = manifest(&storage).await;
    let written = manifest.write(&storage).await.unwrap();
    assert_eq!(written.path, "manifests/4-1");
    let read = Manifest::load(&storage, &written).await.unwrap();
    assert_eq!(read, manifest);
    read.check(&storage).await.unwrap();
    assert_eq!(read.parts_bytes(), 55_100);
    let chain = &read.operators[0].states[0].chain;
    assert!(matches!(&chain[0].part, PartRef::Inline(bytes) if **bytes == [3; 100]));
    let paths: Vec<&str> = read.objects().map(|object| object.path.as_str()).collect();
    assert_eq!(paths, ["files/1/count/1", "files/1/count/1/slots"]);
    assert_eq!(storage.part(&chain[1].part).await.unwrap(), vec![1; 25_000]);
}

#[tokio::test]
async fn a_part_is_in_the_manifest_below_20_kb() {
    let (store, storage) = storage(1);
    let inline = storage.put_part("files/1/a", vec![0; INLINE_BYTES_MAX - 1]).await.unwrap();
    let file = storage.put_part("files/1/b", vec![0; INLINE_BYTES_MAX]).await.unwrap();
    assert!(inline.object().is_none() && file.object().is_some());
    assert_eq!(store.paths(), ["jobs/one/files/1/b"]);
}

#[tokio::test]
async fn a_truncated_or_flipped_or_missing_file_is_an_error_that_names_it() {
    let (store, storage) = storage(1);
    let content: Vec<u8> = (0..3_000_u32).map(|n| (n % 251) as u8).collect();
    let file = storage.put("files/1/a", content.clone()).await.unwrap();
    let at = "jobs/one/files/1/a";
    for bytes in [0, 1, 1_500, 2_999] {
        storage.put("files/1/a", content.clone()).await.unwrap();
        assert!(store.truncate(at, bytes));
        let error = storage.get(&file).await.unwrap_err();
        assert_eq!(error.to_string(), format!("files/1/a: {bytes} bytes long instead of 3000"));
        let error = storage.check(&file).await.unwrap_err();
        assert!(matches!(error, StorageError::Length { .. }) && error.is_damage());
    }
    for bit in (0..24_000).step_by(997) {
        storage.put("files/1/a", content.clone()).await.unwrap();
        assert!(store.flip(at, bit));
        let error = storage.get(&file).await.unwrap_err();
        assert!(matches!(error, StorageError::Checksum { .. }) && error.is_damage(), "{error}");
    }
    assert!(store.remove(at));
    for error in [storage.get(&file).await.err(), storage.check(&file).await.err()] {
        assert_eq!(error.unwrap().to_string(), "files/1/a: missing");
    }
}

#[tokio::test]
async fn a_damaged_manifest_is_an_error_that_names_it() {
    let (store, storage) = storage(1);
    let manifest = manifest(&storage).await;
    let written = manifest.write(&storage).await.unwrap();
    for step in 0..200 {
        let (bytes, bit) = (step * written.bytes as usize / 200, step * 401);
        manifest.write(&storage).await.unwrap();
        assert!(store.truncate("jobs/one/manifests/4-1", bytes));
        let error = Manifest::load(&storage, &written).await.unwrap_err();
        assert!(error.is_damage() && error.to_string().starts_with("manifests/4-1: "), "{error}");
        manifest.write(&storage).await.unwrap();
        assert!(store.flip("jobs/one/manifests/4-1", bit));
        let error = Manifest::load(&storage, &written).await.unwrap_err();
        assert!(error.is_damage() && error.to_string().starts_with("manifests/4-1: "), "{error}");
    }
    manifest.write(&storage).await.unwrap();
    assert!(store.truncate("jobs/one/files/1/count/1/slots", 3));
    let error = manifest.check(&storage).await.unwrap_err();
    assert!(error.to_string().starts_with("files/1/count/1/slots: "), "{error}");
}

#[tokio::test]
async fn a_manifest_in_the_place_of_another_is_refused() {
    let (_, storage) = storage(1);
    let mut other = Manifest::new(5, 1, SnapshotKind::Checkpoint);
    let written = other.write(&storage).await.unwrap();
    let content = storage.get(&written).await.unwrap();
    let moved = storage.put("manifests/6-1", content).await.unwrap();
    let error = Manifest::load(&storage, &moved).await.unwrap_err();
    assert_eq!(error.to_string(), "manifests/6-1: holds what belongs to manifests/5-1");

    other.operators.push(OperatorSnapshot {
        uid: "sum".into(),
        states: vec![StoredState { state: "total".into(), worker: 0, chain: Vec::new() }],
        ..OperatorSnapshot::default()
    });
    let empty = other.write(&storage).await.unwrap();
    let error = Manifest::load(&storage, &empty).await.unwrap_err();
    let says = "manifests/5-1: state \"total\" of operator \"sum\" has no parts";
    assert_eq!(error.to_string(), says);
}

#[tokio::test]
async fn a_damaged_marker_means_that_effects_are_committed_again() {
    let (store, storage) = storage(1);
    let manifest = ObjectRef::of("manifests/3-2", b"");
    let completed = Completed { slot: 9, checkpoint: 3, attempt: 2, manifest };
    assert!(!is_committed(&storage, &completed).await.unwrap());
    mark_committed(&storage, &completed).await.unwrap();
    assert!(is_committed(&storage, &completed).await.unwrap());
    let of_another_attempt = Completed { attempt: 3, ..completed.clone() };
    assert!(!is_committed(&storage, &of_another_attempt).await.unwrap());
    let whole = store.content("jobs/one/committed/3-2").unwrap();
    for bit in 0..whole.len() * 8 {
        mark_committed(&storage, &completed).await.unwrap();
        assert!(store.flip("jobs/one/committed/3-2", bit));
        assert!(!is_committed(&storage, &completed).await.unwrap(), "bit {bit}");
    }
}

#[test]
fn what_fails_now_and_then_is_tried_again() {
    for seed in 0..300 {
        let (store, storage) = storage(seed);
        let mut turns = Turns::new(seed);
        let faults = Faults { before: 200, after: 200, hang: 50, ..Faults::default() };
        store.set_faults(faults);
        let retry = Retry { tries: 30, ..Retry::default() };
        let storage = storage.with_pace(turns.pace()).with_retry(retry);
        let file = turns.finish(async move {
            let file = storage.put("files/1/a", vec![5; 1_000]).await.unwrap();
            assert_eq!(storage.get(&file).await.unwrap(), vec![5; 1_000]);
            file
        });
        assert_eq!(file.bytes, 1_000, "seed {seed}");
    }
}

#[test]
fn what_always_fails_is_given_up_after_so_many_tries_and_pauses() {
    let (store, storage) = storage(1);
    let mut turns = Turns::new(1);
    store.set_faults(Faults { before: 1_000, ..Faults::default() });
    let storage = storage.with_pace(turns.pace());
    let error = turns.finish(async move { storage.put("files/1/a", "a").await.unwrap_err() });
    assert_eq!(error.to_string(), "FaultyStore/jobs/one/files/1/a: could not write in 6 tries");
    assert!(!error.is_determinate() && error.source().is_some());
    assert_eq!(store.calls(), 6);
}

#[test]
fn a_store_that_does_not_answer_is_not_waited_for() {
    let (store, storage) = storage(1);
    let mut turns = Turns::new(1);
    store.set_faults(Faults { hang: 1_000, ..Faults::default() });
    let retry = Retry { tries: 2, timeout: Duration::from_secs(7), ..Retry::default() };
    let storage = storage.with_pace(turns.pace()).with_retry(retry);
    let error = turns.finish(async move { storage.put("files/1/a", "a").await.unwrap_err() });
    assert!(matches!(error, StorageError::Unavailable { tries: 2, source: None, .. }), "{error}");
    assert_eq!(turns.now(), Duration::from_millis(14_100));
}

#[tokio::test]
async fn a_full_disk_and_a_lost_permission_are_refusals_that_no_further_try_changes() {
    let (store, storage) = storage(1);
    let file = storage.put("files/1/a", "a").await.unwrap();
    store.set_full(true);
    let calls = store.calls();
    let full = storage.put("files/1/b", "b").await.unwrap_err();
    assert_eq!(store.calls(), calls + 1);
    assert_eq!(full.to_string(), "FaultyStore/jobs/one/files/1/b: could not write");
    assert!(full.is_determinate() && !full.is_damage());
    assert!(full.sentence().contains("no storage space"), "{}", full.sentence());
    assert_eq!(storage.get(&file).await.unwrap(), "a");
    store.set_denied(true);
    let denied = storage.get(&file).await.unwrap_err();
    assert!(matches!(denied, StorageError::Refused { .. }), "{denied}");
    assert!(denied.sentence().contains("permission"), "{}", denied.sentence());
}

#[test]
fn a_refusal_after_a_try_that_may_have_happened_is_not_certain() {
    let (store, storage) = storage(1);
    let mut turns = Turns::new(1);
    store.set_faults(Faults { late: 1_000, ..Faults::default() });
    let storage = storage.with_pace(turns.pace());
    let result = Arc::new(std::sync::Mutex::new(None));
    let here = Arc::clone(&result);
    let task = turns.spawn(async move {
        *here.lock().unwrap() = Some(storage.put("files/1/a", "a").await);
    });
    while store.calls() < 1 {
        turns.step();
    }
    turns.step();
    store.set_full(true);
    while !turns.is_over(task) {
        turns.step();
    }
    let error = result.lock().unwrap().take().unwrap().unwrap_err();
    assert!(!error.is_determinate(), "{error}");
    assert!(error.sentence().contains("no storage space"), "{}", error.sentence());
}

#[tokio::test]
async fn a_large_object_goes_in_parts() {
    let (_, storage) = storage(1);
    let content: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = storage.put("files/1/large", content.clone()).await.unwrap();
    assert_eq!(file, ObjectRef::of("files/1/large", &content));
    assert_eq!(storage.get(&file).await.unwrap(), content);
}

#[tokio::test]
async fn a_path_that_leads_out_of_the_storage_is_refused() {
    let (_, storage) = storage(1);
    for path in ["../two/files/1/a", "files/../../two", "files/./a", "files//a"] {
        let error = storage.get(&ObjectRef::of(path, b"a")).await.unwrap_err();
        assert!(matches!(error, StorageError::Foreign { .. }), "{path}: {error}");
    }
    assert_eq!(file_path(3, "../a b/\u{fc}#1"), "files/3/%2E%2E/a b/%C3%BC%231");
}

#[tokio::test]
async fn storages_below_different_folders_do_not_see_each_other() {
    let (store, one) = storage(1);
    let store: Arc<dyn ObjectStore> = store;
    let two = Storage::of(Arc::clone(&store), "jobs/one more").unwrap();
    let all = Storage::of(store, "").unwrap();
    one.put("files/1/a", "a").await.unwrap();
    two.put("files/1/b", "b").await.unwrap();
    assert_eq!(one.list("files").await.unwrap(), ["files/1/a"]);
    assert_eq!(two.list("files").await.unwrap(), ["files/1/b"]);
    assert_eq!(all.list("jobs").await.unwrap().len(), 2);
    assert_eq!(log::read(&one).await.unwrap(), log::History::default());
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_refused_with_a_sentence() {
    for (url, says) in [
        ("", "an address is needed, such as a folder"),
        ("gs://bucket/a", "gs:// is not known, expected a folder, file://, s3:// or memory://"),
        ("file://host/a", "not a folder of this machine, expected file:///folder"),
        ("http://[/a", "not a URL"),
        ("/dev/null/a", "the folder cannot be made"),
    ] {
        let error = Storage::open(url).unwrap_err();
        let prefix = format!("checkpoint storage {url:?}: ");
        let says_it = error.to_string().strip_prefix(&prefix).is_some_and(|it| it.contains(says));
        assert!(says_it, "{url:?}: {error}");
    }
    #[cfg(not(feature = "s3"))]
    {
        let error = Storage::open("s3://bucket/job").unwrap_err().to_string();
        assert!(error.contains("compiled without the feature s3"), "{error}");
    }
    Storage::open("memory://").unwrap().put("a", "a").await.unwrap();
}
