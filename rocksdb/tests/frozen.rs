//! Frozen views. Catches: later writes that show, views that depend on the store or on each other,
//! failures that keep a worker from writing, SSTs that have to be uploaded again.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::thread;

use highwater_core::store::{FrozenStore, Store};
use highwater_rocksdb::CheckpointFile;
use support::{fixture, frozen, keys, put, remove, scan, wait_apart};

fn names(files: &[CheckpointFile]) -> BTreeSet<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

#[test]
fn a_view_does_not_show_later_writes() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    put(&mut store, family, &[(b"a", b"1"), (b"b", b"1"), (b"\xff\xff", b"1")]);
    let first = store.freeze().unwrap();
    wait_apart(&*first);
    put(&mut store, family, &[(b"a", b"2"), (b"c", b"2")]);
    remove(&mut store, family, &[b"b"]);
    let second = store.freeze().unwrap();
    wait_apart(&*second);
    remove(&mut store, family, &[b"a", b"c"]);
    store.compact(family).unwrap();

    let entry = |key: &[u8], value: &[u8]| (key.to_vec(), value.to_vec());
    let last = entry(b"\xff\xff", b"1");
    let was = [entry(b"a", b"1"), entry(b"b", b"1"), last.clone()];
    assert_eq!(frozen(&*first, family, b""), was);
    assert_eq!(frozen(&*first, family, b"b"), was[1..2]);
    assert_eq!(frozen(&*first, family, b"\xff"), was[2..]);
    let was = [entry(b"a", b"2"), entry(b"c", b"2"), last.clone()];
    assert_eq!(frozen(&*second, family, b""), was);
    assert_eq!(scan(&store, family, b"", None), [last]);
}

#[test]
fn a_view_can_be_shared_and_read_elsewhere_after_the_store_has_ended() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    let empty = store.family("empty", None).unwrap();
    put(&mut store, family, &[(b"a", b"1"), (b"b", b"2")]);
    let view = store.freeze().unwrap();
    let later = store.family("later", None).unwrap();
    let shared = view.share();
    drop(store);
    assert!(view.is_apart(), "a store that has ended has nothing left to freeze");
    let reader = thread::spawn(move || frozen(&*shared, family, b"b"));
    assert_eq!(keys(&reader.join().unwrap()), [b"b"]);
    assert_eq!(frozen(&*view, family, b"").len(), 2);
    assert!(frozen(&*view, empty, b"").is_empty());
    assert!(frozen(&*view, later, b"").is_empty());
}

#[test]
fn other_families_may_be_written_while_a_view_is_made() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    let other = store.family("other", None).unwrap();
    put(&mut store, family, &[(b"a", b"1")]);
    let view = store.freeze().unwrap();
    for n in 0..1000_u32 {
        put(&mut store, other, &[(&n.to_be_bytes(), &[7; 100])]);
    }
    let next = store.freeze().unwrap();
    assert_eq!(frozen(&*view, family, b"").len(), 1);
    assert_eq!(frozen(&*next, family, b"").len(), 1);
    assert_eq!(frozen(&*next, other, b"").len(), 1000);
}

#[test]
fn successive_checkpoints_share_their_files() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    for n in 0..20_000_u32 {
        put(&mut store, family, &[(&n.to_be_bytes(), &[n as u8; 50])]);
    }
    let first = store.freeze_files().unwrap();
    let files = first.files().unwrap();
    assert!(!files.is_empty());
    put(&mut store, family, &[(b"one more", b"1")]);
    let second = store.freeze_files().unwrap();
    let later = second.files().unwrap();
    assert!(names(&files).is_subset(&names(&later)), "{files:?}, then {later:?}");
    assert_eq!(later.len(), files.len() + 1);
    for file in files.iter().chain(&later) {
        assert_eq!(std::fs::metadata(&file.path).unwrap().len(), file.bytes);
    }
    for (file, same) in files.iter().zip(&later) {
        assert_eq!((&file.name, file.bytes), (&same.name, same.bytes));
        assert!(std::fs::read(&file.path).unwrap() == std::fs::read(&same.path).unwrap());
    }
    let third = store.freeze_files().unwrap();
    assert!(third.is_apart(), "nothing was written, so the checkpoint is the one before");
    assert_eq!(third.files().unwrap(), later);
}

#[test]
fn a_checkpoint_is_removed_with_its_last_view() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    put(&mut store, family, &[(b"a", b"1")]);
    let view = store.freeze_files().unwrap();
    let path = view.files().unwrap()[0].path.clone();
    let folder = path.parent().unwrap();
    let shared = view.share();
    drop(view);
    assert!(folder.exists());
    assert_eq!(frozen(&*shared, family, b"").len(), 1);
    drop(shared);
    // The thread that made it may not have let go of it yet.
    drop(store);
    assert!(!folder.exists());
}

#[test]
fn a_view_that_nobody_waits_for_is_removed_too() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    for n in 0..20_u32 {
        put(&mut store, family, &[(&n.to_be_bytes(), b"1")]);
        drop(store.freeze().unwrap());
    }
    drop((store, fixture.stores));
    assert!(!fixture.dir.exists());
}

#[test]
fn a_failure_comes_out_of_the_scan_and_does_not_block_the_worker() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    put(&mut store, family, &[(b"a", b"1")]);
    // RocksDB refuses to make a checkpoint where there is something.
    std::fs::create_dir(fixture.dir.join("uid-0").join("1")).unwrap();
    let view = store.freeze_files().unwrap();
    wait_apart(&view);
    let mut visit = |_: &[u8], _: &[u8]| true;
    for view in [view.share(), Box::new(view.clone())] {
        let error = view.scan(family, b"", &mut visit).unwrap_err().sentence();
        assert!(error.contains("could not freeze") && error.contains("uid-0"), "{error}");
    }
    assert!(view.files().is_err());
    let next = store.freeze().unwrap();
    assert_eq!(frozen(&*next, family, b"").len(), 1, "the next freeze is not spoilt by it");
}
