//! What is concluded from damage to the objects of the log.

use std::sync::Arc;

use highwater_checkpoint::log::{self, Attempt, History};
use highwater_checkpoint::testing::{FaultyStore, Turns};
use highwater_checkpoint::{CommitError, ObjectRef, Storage, StorageError};
use object_store::ObjectStore;

fn slot(n: u64) -> String {
    format!("log/{n:020}")
}

fn copy(n: u64) -> String {
    format!("copies/{n:020}")
}

/// A log of a fence and three commits, of which two are retained.
async fn log_of_three() -> (Arc<FaultyStore>, Storage, Attempt) {
    let store = FaultyStore::new(1);
    let storage = Storage::of(Arc::clone(&store) as Arc<dyn ObjectStore>, "").unwrap();
    let (mut attempt, _) = log::fence(&storage).await.unwrap();
    attempt.retain(2);
    for checkpoint in 1..=3 {
        attempt.commit(checkpoint, &manifest()).await.unwrap();
    }
    (store, storage, attempt)
}

fn manifest() -> ObjectRef {
    ObjectRef::of("manifests/none", b"none")
}

fn checkpoints(history: &History) -> Vec<u64> {
    history.completed.iter().map(|completed| completed.checkpoint).collect()
}

/// Every way to damage one object.
fn damages(store: &FaultyStore, path: &str) -> Vec<Box<dyn Fn(&FaultyStore, &str)>> {
    let length = store.content(path).unwrap().len();
    let mut ways: Vec<Box<dyn Fn(&FaultyStore, &str)>> = Vec::new();
    for bytes in (0..length).step_by(9) {
        ways.push(Box::new(move |store, path| assert!(store.truncate(path, bytes))));
    }
    for bit in (0..length * 8).step_by(61) {
        ways.push(Box::new(move |store, path| assert!(store.flip(path, bit))));
    }
    ways
}

#[tokio::test]
async fn damage_of_any_one_object_changes_nothing() {
    for n in 0..=3 {
        for path in [slot(n), copy(n)] {
            let (store, ..) = log_of_three().await;
            let mut ways = damages(&store, &path);
            ways.push(Box::new(|store, path| assert!(store.remove(path))));
            for damage in ways {
                let (store, storage, _) = log_of_three().await;
                damage(&store, &path);
                assert_eq!(checkpoints(&log::read(&storage).await.unwrap()), [3, 2], "{path}");
                let (attempt, history) = log::fence(&storage).await.unwrap();
                assert_eq!(checkpoints(&history), [3, 2], "{path}");
                assert_eq!((attempt.number(), attempt.slot()), (2, 4), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn an_unfinished_last_slot_counts_for_nothing_and_is_taken_over() {
    let (store, ..) = log_of_three().await;
    for damage in damages(&store, &slot(3)) {
        let (store, storage, mut author) = log_of_three().await;
        assert!(store.remove(&copy(3)));
        damage(&store, &slot(3));
        assert_eq!(checkpoints(&log::read(&storage).await.unwrap()), [2, 1]);
        let (mut attempt, history) = log::fence(&storage).await.unwrap();
        assert_eq!(checkpoints(&history), [2, 1]);
        assert_eq!((attempt.number(), attempt.slot()), (2, 3));
        // Checkpoint 3 is made again, by the new attempt alone.
        assert!(attempt.commit(3, &manifest()).await.is_ok());
        let late = author.commit(4, &manifest()).await;
        assert!(matches!(late, Err(CommitError::Fenced { attempt: 1, .. })));
    }
}

#[tokio::test]
async fn an_author_whose_slot_was_taken_over_is_fenced() {
    let store = FaultyStore::new(1);
    let storage = Storage::of(Arc::clone(&store) as Arc<dyn ObjectStore>, "").unwrap();
    let mut turns = Turns::new(3);
    let storage = storage.with_pace(turns.pace());
    let here = storage.clone();
    let mut author = turns.finish(async move { log::fence(&here).await.unwrap().0 });
    let committed = Arc::new(std::sync::Mutex::new(None));
    let told = Arc::clone(&committed);
    let task = turns.spawn(async move {
        *told.lock().unwrap() = Some(author.commit(1, &manifest()).await);
    });
    while store.content(&slot(1)).is_none() {
        turns.step();
    }
    turns.stop(task);
    assert!(store.truncate(&slot(1), 10));
    let (next, history) = turns.finish(async move { log::fence(&storage).await.unwrap() });
    assert_eq!((next.slot(), checkpoints(&history)), (1, vec![]));
    turns.resume(task);
    turns.run();
    let told = committed.lock().unwrap().take().unwrap();
    assert!(matches!(told, Err(CommitError::Fenced { .. })), "{told:?}");
}

#[tokio::test]
async fn when_both_objects_of_the_newest_slot_are_damaged_nobody_guesses() {
    let (store, storage, _) = log_of_three().await;
    assert!(store.truncate(&slot(3), 3) && store.flip(&copy(3), 99));
    for outcome in [log::read(&storage).await.err(), log::fence(&storage).await.err()] {
        let error = outcome.unwrap();
        assert!(matches!(error, StorageError::Undecided { .. }), "{error}");
        assert!(error.to_string().contains(&slot(3)) && error.to_string().contains(&copy(3)));
    }
    // As the error says: without both, the log ends before them.
    assert!(store.remove(&slot(3)) && store.remove(&copy(3)));
    assert_eq!(checkpoints(&log::fence(&storage).await.unwrap().1), [2, 1]);
}

#[tokio::test]
async fn when_both_objects_of_an_older_slot_are_damaged_the_newest_checkpoint_counts() {
    let (store, storage, _) = log_of_three().await;
    assert!(store.truncate(&slot(2), 3) && store.flip(&copy(2), 99));
    assert_eq!(checkpoints(&log::fence(&storage).await.unwrap().1), [3]);
}

#[tokio::test]
async fn a_slot_in_the_place_of_another_is_damage() {
    let (store, storage, _) = log_of_three().await;
    let other = store.content(&copy(2)).unwrap();
    for path in [slot(3), copy(3)] {
        let put = |content: &mut Vec<u8>| {
            *content = other.to_vec();
            Some(())
        };
        assert!(store.damage(&path, put));
    }
    let error = log::fence(&storage).await.unwrap_err();
    assert!(matches!(error, StorageError::Undecided { .. }), "{error}");
}
