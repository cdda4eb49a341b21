//! Checkpoints in a folder of this machine.

use highwater_checkpoint::manifest::{Manifest, PartRef, SnapshotKind};
use highwater_checkpoint::storage::file_path;
use highwater_checkpoint::{CommitError, Storage, log};

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn an_attempt_finds_what_the_one_before_completed() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("job/checkpoints");
    let storage = Storage::open(url.to_str().unwrap()).unwrap();

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
