//! Checkpoints in a folder of this machine.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

use highwater_checkpoint::garbage::Garbage;
use highwater_checkpoint::log::{self, Completed};
use highwater_checkpoint::manifest::{Manifest, PartRef, SnapshotKind};
use highwater_checkpoint::storage::file_path;
use highwater_checkpoint::{CommitError, Storage, StorageError};
use tempfile::TempDir;

fn is_send<T: Send>(value: T) -> T {
    value
}

fn open(folder: &Path) -> Storage {
    Storage::open(folder.to_str().unwrap()).unwrap()
}

async fn complete(storage: &Storage, checkpoints: u64) -> Vec<Completed> {
    let (mut attempt, _) = log::fence(storage).await.unwrap();
    attempt.retain(2);
    for checkpoint in 1..=checkpoints {
        let manifest = Manifest::new(checkpoint, attempt.number(), SnapshotKind::Checkpoint);
        let written = manifest.write(storage).await.unwrap();
        attempt.commit(checkpoint, &written).await.unwrap();
    }
    attempt.completed().to_vec()
}

#[tokio::test]
async fn an_attempt_finds_what_the_one_before_completed() {
    let folder = TempDir::new().unwrap();
    let url = folder.path().join("job/check points");
    let storage = open(&url);

    let (mut first, history) = is_send(log::fence(&storage)).await.unwrap();
    assert_eq!((first.number(), history.attempt), (1, None));
    let path = file_path(first.number(), "0-count");
    let part = is_send(storage.put_part(&path, vec![7; 30_000])).await.unwrap();
    let manifest = Manifest::new(1, first.number(), SnapshotKind::Checkpoint);
    let written = is_send(manifest.write(&storage)).await.unwrap();
    let completed = is_send(first.commit(1, &written)).await.unwrap();

    let storage = Storage::open(&format!("file://{}", url.display())).unwrap();
    let (second, history) = log::fence(&storage).await.unwrap();
    assert_eq!(second.number(), 2);
    assert_eq!(history.newest(), Some(&completed));
    assert_eq!(Manifest::load(&storage, &completed.manifest).await.unwrap(), manifest);
    assert_eq!(storage.part(&part).await.unwrap(), vec![7; 30_000]);
    assert!(matches!(part, PartRef::File(_)));

    let late = first.commit(2, &written).await.unwrap_err();
    assert!(matches!(late, CommitError::Fenced { attempt: 1, slot: 2, .. }), "{late}");
}

#[tokio::test]
async fn two_that_begin_at_once_are_two_attempts() {
    let folder = TempDir::new().unwrap();
    let storage = open(folder.path());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let storage = storage.clone();
            tokio::spawn(async move { log::fence(&storage).await.unwrap().0.number() })
        })
        .collect();
    let mut numbers = Vec::new();
    for task in tasks {
        numbers.push(task.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<u64>>());
}

#[tokio::test]
async fn behind_a_damaged_manifest_the_checkpoint_before_is_whole() {
    let folder = TempDir::new().unwrap();
    let storage = open(folder.path());
    let completed = complete(&storage, 3).await;
    let newest = folder.path().join(&completed[0].manifest.path);
    let length = fs::metadata(&newest).unwrap().len();
    fs::OpenOptions::new().write(true).open(&newest).unwrap().set_len(length / 2).unwrap();

    let (_, history) = log::fence(&storage).await.unwrap();
    assert_eq!(history.completed, completed);
    let error = Manifest::load(&storage, &history.completed[0].manifest).await.unwrap_err();
    assert!(matches!(error, StorageError::Length { .. }) && error.is_damage(), "{error}");
    let before = Manifest::load(&storage, &history.completed[1].manifest).await.unwrap();
    assert_eq!(before.checkpoint, 2);
}

#[tokio::test]
async fn what_killed_processes_leave_unfinished_is_not_seen_and_is_swept() {
    let folder = TempDir::new().unwrap();
    let storage = open(folder.path());
    complete(&storage, 1).await;
    let unfinished = ["log/00000000000000000002#1", "files/1/count/0#1", "files/1/count/0#23"];
    let others = ["files/2/count/0#1", "files/1/count/1#one"];
    for path in unfinished.iter().chain(&others) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "half").unwrap();
    }
    assert_eq!(storage.list("log").await.unwrap().len(), 2);
    let (attempt, history) = log::fence(&storage).await.unwrap();
    assert_eq!((attempt.number(), attempt.slot()), (2, 2));
    Garbage::new(&storage, attempt.number(), &history).await.sweep(&history).await;
    for path in &unfinished[1..] {
        assert!(!folder.path().join(path).exists(), "{path}");
    }
    // The present attempt may be writing this one.
    assert!(folder.path().join(others[0]).exists());
}

#[tokio::test]
async fn deleting_the_last_file_of_a_folder_deletes_the_folder() {
    let folder = TempDir::new().unwrap();
    let storage = open(folder.path());
    let file = storage.put(&file_path(1, "a/b"), "b").await.unwrap();
    storage.delete(&[file.path, "files/1/gone".into()]).await.unwrap();
    assert!(!folder.path().join("files").exists() && folder.path().exists());
}

#[tokio::test]
async fn a_file_in_the_place_of_a_folder_is_a_refusal() {
    let folder = TempDir::new().unwrap();
    let storage = open(folder.path());
    fs::write(folder.path().join("files"), "in the way").unwrap();
    let error = storage.put(&file_path(1, "a"), "a").await.unwrap_err();
    assert!(matches!(error, StorageError::Refused { .. }), "{}", error.sentence());
    assert!(error.to_string().contains("/files/1/a: could not write"), "{error}");
}
