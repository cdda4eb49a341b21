//! Savepoints: whole, in one folder, anywhere.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

use highwater_checkpoint::StorageError;
use highwater_checkpoint::manifest::{
    Manifest, OperatorSnapshot, SnapshotKind, StoredPart, StoredState,
};
use highwater_checkpoint::savepoint::Savepoint;
use tempfile::TempDir;

fn url(folder: &Path) -> String {
    folder.to_str().unwrap().to_owned()
}

fn with_state(kind: SnapshotKind, chain: Vec<StoredPart>) -> Manifest {
    let mut manifest = Manifest::new(7, 3, kind);
    manifest.operators.push(OperatorSnapshot {
        uid: "count".into(),
        states: vec![StoredState { state: "total".into(), worker: 0, chain }],
        ..OperatorSnapshot::default()
    });
    manifest
}

async fn write(folder: &Path) -> Manifest {
    let savepoint = Savepoint::create(&url(folder)).await.unwrap();
    let part = savepoint.put_part("count/total", vec![9; 40_000]).await.unwrap();
    let manifest = with_state(SnapshotKind::Savepoint, vec![part]);
    savepoint.write(&manifest).await.unwrap();
    manifest
}

#[tokio::test]
async fn a_savepoint_that_was_moved_is_the_same_savepoint() {
    let folder = TempDir::new().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let manifest = write(&here).await;
    fs::rename(&here, &there).unwrap();
    let (savepoint, read) = Savepoint::load(&url(&there)).await.unwrap();
    assert_eq!(read, manifest);
    for part in read.parts() {
        assert_eq!(savepoint.storage().part(part).await.unwrap(), vec![9; 40_000]);
    }
    let mut files: Vec<_> =
        fs::read_dir(&there).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["files", "manifest"]);
}

#[tokio::test]
async fn a_folder_holds_one_savepoint() {
    let folder = TempDir::new().unwrap();
    write(folder.path()).await;
    let error = Savepoint::create(&url(folder.path())).await.unwrap_err();
    assert!(error.to_string().ends_with("holds a savepoint already"), "{error}");
}

#[tokio::test]
async fn a_savepoint_that_is_not_whole_is_not_loaded() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let error = Savepoint::load(&url(&missing)).await.unwrap_err();
    assert!(error.to_string().ends_with("the folder cannot be found"), "{error}");
    assert!(!missing.exists());
    let error = Savepoint::load(&url(folder.path())).await.unwrap_err();
    assert_eq!(error.to_string(), "manifest: missing");

    write(folder.path()).await;
    let part = folder.path().join("files/count/total");
    fs::write(&part, "cut").unwrap();
    let error = Savepoint::load(&url(folder.path())).await.unwrap_err();
    assert_eq!(error.to_string(), "files/count/total: 3 bytes long instead of 40000");
    let content = fs::read(folder.path().join("manifest")).unwrap();
    fs::write(folder.path().join("manifest"), &content[..content.len() - 1]).unwrap();
    let error = Savepoint::load(&url(folder.path())).await.unwrap_err();
    assert!(matches!(error, StorageError::Length { .. }), "{error}");
}

#[tokio::test]
async fn a_state_in_a_savepoint_is_one_full_part() {
    let folder = TempDir::new().unwrap();
    let savepoint = Savepoint::create(&url(folder.path())).await.unwrap();
    let part = savepoint.put_part("count/total", vec![1; 10]).await.unwrap();
    let delta = StoredPart { slots: Some(part.part.clone()), ..part.clone() };
    for chain in [vec![], vec![part.clone(), part.clone()], vec![delta]] {
        let manifest = with_state(SnapshotKind::Savepoint, chain);
        let error = savepoint.write(&manifest).await.unwrap_err();
        let says = "manifest: state \"total\" of operator \"count\" is not whole";
        assert_eq!(error.to_string(), says);
    }
    let checkpoint = with_state(SnapshotKind::Checkpoint, vec![part]);
    assert!(savepoint.write(&checkpoint).await.is_err());
}
