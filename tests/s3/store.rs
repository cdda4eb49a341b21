//! What a checkpoint needs of its store, on the protocol of S3.

use highwater::checkpoint::garbage::Garbage;
use highwater::checkpoint::manifest::{
    Manifest, OperatorSnapshot, SnapshotKind, StoredPart, StoredState,
};
use highwater::checkpoint::marker::{is_committed, mark_committed};
use highwater::checkpoint::savepoint::Savepoint;
use highwater::checkpoint::storage::file_path;
use highwater::checkpoint::{CommitError, ObjectRef, Storage, StorageError, log};

use crate::server::Server;

#[test]
fn of_attempts_that_begin_at_once_each_has_a_slot_of_its_own_and_only_the_last_one_commits() {
    let server = Server::start();
    let storage = server.storage();
    server.block_on(async {
        let fences = (0..8).map(|_| {
            let storage = storage.clone();
            tokio::spawn(async move { log::fence(&storage).await.unwrap().0 })
        });
        let fences: Vec<_> = fences.collect();
        let mut attempts = Vec::new();
        for fence in fences {
            attempts.push(fence.await.unwrap());
        }
        attempts.sort_by_key(log::Attempt::number);
        let numbers: Vec<_> = attempts.iter().map(log::Attempt::number).collect();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
        assert_eq!(storage.list("log").await.unwrap().len(), 8);

        let commits = attempts.into_iter().map(|mut attempt| {
            let storage = storage.clone();
            tokio::spawn(async move {
                let number = attempt.number();
                let manifest = Manifest::new(1, number, SnapshotKind::Checkpoint);
                let written = manifest.write(&storage).await.unwrap();
                (number, attempt.commit(1, &written).await)
            })
        });
        for commit in commits.collect::<Vec<_>>() {
            match commit.await.unwrap() {
                (8, committed) => drop(committed.unwrap()),
                (_, late) => {
                    assert!(matches!(late, Err(CommitError::Fenced { .. })), "{late:?}");
                }
            }
        }
        let completed = log::read(&storage).await.unwrap().completed;
        let attempts: Vec<_> = completed.iter().map(|completed| completed.attempt).collect();
        assert_eq!(attempts, [8]);
    });
}

#[test]
fn an_attempt_finds_what_the_one_before_completed() {
    let server = Server::start();
    let storage = server.storage();
    server.block_on(async {
        let (mut first, history) = log::fence(&storage).await.unwrap();
        let mut garbage = Garbage::new(&storage, 1, &history).await;
        first.retain(2);
        for checkpoint in 1..=4 {
            let path = file_path(1, &format!("count {checkpoint}/\u{e4}"));
            let part = storage.put_part(&path, vec![checkpoint as u8; 30_000]).await.unwrap();
            let chain = vec![StoredPart { part, slots: None }];
            let mut manifest = Manifest::new(checkpoint, 1, SnapshotKind::Checkpoint);
            manifest.operators.push(OperatorSnapshot {
                states: vec![StoredState { state: "count".into(), worker: 0, chain }],
                ..OperatorSnapshot::default()
            });
            let written = manifest.write(&storage).await.unwrap();
            let completed = first.commit(checkpoint, &written).await.unwrap();
            mark_committed(&storage, &completed).await.unwrap();
            garbage.collect(first.completed(), &completed, &manifest, &[]).await;
        }

        let (second, history) = log::fence(&storage).await.unwrap();
        assert_eq!(second.number(), 2);
        assert_eq!(history.completed, first.completed());
        assert_eq!(storage.list("files").await.unwrap().len(), 2);
        assert_eq!(storage.list("committed").await.unwrap(), ["committed/3-1", "committed/4-1"]);
        for completed in &history.completed {
            let manifest = Manifest::load(&storage, &completed.manifest).await.unwrap();
            manifest.check(&storage).await.unwrap();
            let part = manifest.parts().next().unwrap();
            let content = storage.part(part).await.unwrap();
            assert_eq!(content, vec![completed.checkpoint as u8; 30_000]);
            assert!(is_committed(&storage, completed).await.unwrap());
        }
        let late = first.commit(5, &history.completed[0].manifest).await.unwrap_err();
        assert!(matches!(late, CommitError::Fenced { attempt: 1, slot: 5, .. }), "{late}");
    });
}

#[test]
fn damage_on_the_server_is_found() {
    let server = Server::start();
    let storage = server.storage();
    server.block_on(async {
        let file = storage.put("files/1/a", vec![1; 1_000]).await.unwrap();
        std::fs::write(server.file("files/1/a"), vec![1; 999]).unwrap();
        let error = storage.get(&file).await.unwrap_err();
        assert!(matches!(error, StorageError::Length { found: 999, .. }), "{error}");
        let mut flipped = vec![1; 1_000];
        flipped[500] = 0;
        std::fs::write(server.file("files/1/a"), flipped).unwrap();
        let error = storage.get(&file).await.unwrap_err();
        assert!(matches!(error, StorageError::Checksum { .. }), "{error}");
        storage.delete(&[file.path.clone(), "files/1/gone".into()]).await.unwrap();
        let error = storage.get(&file).await.unwrap_err();
        assert!(matches!(error, StorageError::Missing { .. }), "{error}");
    });
}

#[test]
fn a_large_object_goes_in_parts() {
    let server = Server::start();
    let storage = server.storage();
    server.block_on(async {
        let content: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
        let file = storage.put("files/1/large", content.clone()).await.unwrap();
        assert_eq!(file, ObjectRef::of("files/1/large", &content));
        assert_eq!(storage.get(&file).await.unwrap(), content);
    });
}

#[test]
fn a_savepoint_lies_in_a_folder_of_the_bucket() {
    let server = Server::start();
    let storage: Storage = server.storage();
    server.block_on(async {
        let savepoint = Savepoint::create_in(storage.clone()).await.unwrap();
        let manifest = Manifest::new(7, 3, SnapshotKind::Savepoint);
        savepoint.write(&manifest).await.unwrap();
        assert_eq!(Savepoint::load_from(storage.clone()).await.unwrap().1, manifest);
        let again = Savepoint::create_in(storage).await.unwrap_err();
        assert!(again.to_string().ends_with("holds a savepoint already"), "{again}");
    });
}
