//! Logs of hundreds of slots, where most are deleted, and listings that show none of them.

use std::sync::Arc;

use highwater_checkpoint::log::{self, Attempt};
use highwater_checkpoint::testing::{Faults, FaultyStore, Turns};
use highwater_checkpoint::{CommitError, Storage};

use crate::life::{Journal, Life, storage};

struct Long {
    turns: Turns,
    store: Arc<FaultyStore>,
    storage: Storage,
    /// What goes wrong with commits.
    faults: Faults,
}

impl Long {
    fn new() -> Self {
        let turns = Turns::new(7);
        let store = FaultyStore::new(7);
        let storage = storage(&store, &turns, 1);
        store.set_blind(true);
        Long { turns, store, storage, faults: Faults::default() }
    }

    fn fence(&mut self) -> Attempt {
        let storage = self.storage.clone();
        self.turns.finish(async move { log::fence(&storage).await.unwrap() }).0
    }

    fn life(&self, checkpoints: u64) -> Life {
        let (storage, journal) = (self.storage.clone(), Journal::default());
        Life { storage, journal, checkpoints, retained: 2, stubborn: 0 }
    }

    /// Lives through an attempt of so many checkpoints.
    fn live(&mut self, checkpoints: u64) {
        self.turns.finish(self.life(checkpoints).live());
    }

    fn commit(
        &mut self,
        mut attempt: Attempt,
        checkpoint: u64,
    ) -> (Attempt, Result<u64, CommitError>) {
        let life = self.life(0);
        // What it holds was written in better times.
        self.store.set_faults(Faults::default());
        let number = attempt.number();
        let (_, manifest) =
            self.turns.finish(async move { life.snapshot(number, checkpoint, &[]).await.unwrap() });
        self.store.set_faults(self.faults);
        self.turns.finish(async move {
            let committed = attempt.commit(checkpoint, &manifest).await;
            (attempt, committed.map(|completed| completed.slot))
        })
    }

    fn slots(&self) -> usize {
        self.store.paths().iter().filter(|path| path.starts_with("job/log/")).count()
    }
}

#[test]
fn the_end_is_found_among_deleted_slots_without_a_listing() {
    let mut long = Long::new();
    for (life, checkpoints) in [300, 1, 63, 64, 65, 128, 200].into_iter().enumerate() {
        let before = long.fence();
        let number = before.number();
        assert_eq!(number, 3 * life as u64 + 1);
        long.live(checkpoints);
        let after = long.fence();
        assert_eq!(after.slot(), before.slot() + checkpoints + 2);
        assert_eq!(after.number(), number + 2);
    }
    assert!(long.slots() < 200, "{} of 800 slots are left", long.slots());
}

#[test]
fn no_attempt_of_any_age_commits_behind_a_fence() {
    let mut long = Long::new();
    let mut old = Vec::new();
    for _ in 0..8 {
        old.push(long.fence());
        long.live(40);
        old.push(long.fence());
    }
    let last = old.pop().unwrap();
    for attempt in old {
        let (number, slot) = (attempt.number(), attempt.slot());
        let (_, committed) = long.commit(attempt, 10_000);
        let error = committed.unwrap_err();
        let fenced = matches!(error, CommitError::Fenced { attempt, slot: wanted, .. }
            if attempt == number && wanted == slot + 1);
        assert!(fenced, "{error}");
    }
    assert!(long.commit(last, 10_000).1.is_ok());
}

#[test]
fn a_commit_repeated_after_a_long_sleep_finds_what_became_of_it() {
    let mut long = Long::new();
    let attempt = long.fence();
    long.faults = Faults { late: 1_000, ..Faults::default() };
    let (attempt, committed) = long.commit(attempt, 1);
    assert!(matches!(committed, Err(CommitError::Unsettled { checkpoint: 1, .. })));
    let (attempt, committed) = long.commit(attempt, 2);
    assert!(matches!(committed, Err(CommitError::Waiting { checkpoint: 2, unsettled: 1 })));
    // The write arrives at last, and others go on from it.
    long.faults = Faults::default();
    long.store.set_faults(long.faults);
    let storage = long.storage.clone();
    long.turns
        .finish(async move { while !storage.exists("log/00000000000000000001").await.unwrap() {} });
    let read = long.storage.clone();
    let found = long.turns.finish(async move { log::read(&read).await.unwrap() });
    assert_eq!(found.newest().map(|newest| newest.checkpoint), Some(1));
    let mut next = long.fence();
    for checkpoint in 2..200 {
        let committed;
        (next, committed) = long.commit(next, checkpoint);
        committed.unwrap();
    }
    long.live(1);

    let (attempt, committed) = long.commit(attempt, 1);
    assert_eq!(committed.unwrap(), 1);
    let (_, committed) = long.commit(attempt, 2);
    assert!(matches!(committed, Err(CommitError::Fenced { slot: 2, .. })));
}

#[test]
fn a_fence_in_a_hole_of_the_log_does_not_count() {
    for calls in 0..60 {
        let mut long = Long::new();
        let mut live = long.fence();
        (live, _) = long.commit(live, 1);
        let storage = long.storage.clone();
        let found = Arc::new(std::sync::Mutex::new(None));
        let here = Arc::clone(&found);
        let sleeper = long.turns.spawn(async move {
            *here.lock().unwrap() = Some(log::fence(&storage).await.unwrap().0);
        });
        let before = long.store.calls();
        while long.store.calls() < before + calls && !long.turns.is_over(sleeper) {
            long.turns.step();
        }
        long.turns.stop(sleeper);
        // Most slots of this life are deleted again, also those that the sleeper is about to take.
        drop(live);
        long.live(200);
        long.turns.resume(sleeper);
        while !long.turns.is_over(sleeper) {
            assert!(long.turns.step());
        }
        let fenced = found.lock().unwrap().take().unwrap();
        let next = long.fence();
        if fenced.number() + 1 == next.number() {
            assert_eq!(next.slot(), fenced.slot() + 1, "woken after {calls} calls");
        } else {
            let (_, committed) = long.commit(fenced, 10_000);
            assert!(matches!(committed, Err(CommitError::Fenced { .. })), "after {calls} calls");
        }
    }
}
