//! Folders and memory. Catches: scratch that stays behind, foreign files that are wiped, two
//! processes in one folder, a limit of memory that does not hold.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;

use highwater_core::store::{Store, Stores};
use highwater_rocksdb::{MEMORY_BYTES_MIN, RocksStores};
use support::{MEMORY, fixture, frozen, put};

#[test]
fn folders_are_removed_with_what_uses_them() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    put(&mut store, family, &[(b"a", b"1")]);
    assert!(fixture.dir.join("uid-0").join("db").join("CURRENT").exists());
    let view = store.freeze().unwrap();
    drop(store);
    assert!(!fixture.dir.join("uid-0").join("db").exists());
    assert_eq!(frozen(&*view, family, b"").len(), 1);

    let again = fixture.stores.open("uid", 0).unwrap();
    assert!(fixture.dir.join("uid-0.2").exists(), "the view still uses the first folder");
    drop(again);
    assert!(!fixture.dir.join("uid-0.2").exists());
    drop(fixture.stores);
    assert!(fixture.dir.exists(), "the view still uses the scratch folder");
    drop(view);
    assert!(!fixture.dir.exists());
    assert!(fixture.around.path().exists());
}

#[test]
fn an_operator_has_a_store_on_each_worker_whatever_its_uid() {
    let fixture = fixture();
    let _stores: Vec<_> = ["a", "a-1", "../a", "a/b", ""]
        .iter()
        .flat_map(|uid| [0, 1].map(|worker| fixture.stores.open(uid, worker).unwrap()))
        .collect();
    assert_eq!(fs::read_dir(&fixture.dir).unwrap().count(), 11);
    assert_eq!(fs::read_dir(fixture.around.path()).unwrap().count(), 1);
}

#[test]
fn what_a_killed_run_left_is_wiped() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    put(&mut store, family, &[(b"a", b"1")]);
    let view = store.freeze_files().unwrap();
    view.files().unwrap();
    // A copy of the folder is what a killed process leaves: nobody holds its lock.
    let stale = fixture.around.path().join("stale");
    copy(&fixture.dir, &stale);
    assert!(stale.join("uid-0").join("db").join("CURRENT").exists());

    let stores = RocksStores::open(&stale, MEMORY).unwrap();
    assert_eq!(fs::read_dir(&stale).unwrap().count(), 1, "only the mark is left");
    let mut store = stores.open("uid", 0).unwrap();
    let family = store.family("values", None).unwrap();
    assert_eq!(store.get_many(family, &[b"a"]).unwrap(), [None]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_alone() {
    let around = tempfile::tempdir().unwrap();
    let file = around.path().join("thesis.tex");
    fs::write(&file, "words").unwrap();
    let error = RocksStores::open(around.path(), MEMORY).unwrap_err().sentence();
    assert!(error.contains("not scratch of highwater"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), b"words");
    assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_in_use_is_refused() {
    let fixture = fixture();
    let (mut store, family) = fixture.store();
    put(&mut store, family, &[(b"a", b"1")]);
    let error = RocksStores::open(&fixture.dir, MEMORY).unwrap_err().sentence();
    assert!(error.contains("another process"), "{error}");
    assert_eq!(store.get_many(family, &[b"a"]).unwrap(), [Some(b"1".to_vec())]);
}

#[test]
fn too_little_memory_is_refused() {
    let around = tempfile::tempdir().unwrap();
    let dir = around.path().join("scratch");
    let error = RocksStores::open(&dir, MEMORY_BYTES_MIN - 1).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.sentence().contains("--rocksdb-memory"), "{}", error.sentence());
    assert!(!dir.exists());
    let stores = RocksStores::open(&dir, MEMORY_BYTES_MIN).unwrap();
    assert_eq!(stores.cache_bytes(), 8 << 20);
    let mut store = stores.open("uid", 0).unwrap();
    for name in ["a", "b", "c", "d"] {
        store.family(name, None).unwrap();
    }
    assert_eq!(stores.cache_bytes(), 2 << 20);
    drop(store);
    assert_eq!(stores.cache_bytes(), 8 << 20);
}

#[test]
fn many_stores_stay_within_their_memory() {
    let fixture = fixture();
    let mut stores: Vec<_> =
        (0..4).map(|worker| fixture.stores.open_store("uid", worker)).collect();
    let mut value = [0; 1000];
    let mut most = 0;
    for store in &mut stores {
        let store = store.as_mut().unwrap();
        let family = store.family("values", None).unwrap();
        for n in 0..16_000_u64 {
            for (place, bytes) in value.chunks_mut(8).enumerate() {
                let word = (n << 32 | place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            let key = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            put(store, family, &[(&key, &value)]);
            if n % 100 == 0 {
                store.get_many(family, &[&key, &n.to_be_bytes()]).unwrap();
                most = most.max(fixture.stores.used_bytes());
            }
        }
    }
    // 64 MB were written into 8 MiB of memory.
    assert!(most <= 8 << 20, "{most} bytes were in use");
    assert!(most >= 1 << 20, "the write buffers are not counted: {most}");
}
