//! What is deleted, in random lives of a job: checkpoints that overlap, are aborted, share files,
//! fall back behind damage, and jobs that end at any time.
//!
//! - *Safe* (I8): after each step all that retained and in-progress manifests name is there and
//!   whole.
//! - *Complete*: after a restart nothing is there that no retained manifest names.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use highwater_checkpoint::garbage::{Collector, Garbage, Superseding};
use highwater_checkpoint::log::{self, Attempt, Completed};
use highwater_checkpoint::manifest::{
    Manifest, OperatorSnapshot, PartRef, SnapshotKind, StoredPart, StoredState,
};
use highwater_checkpoint::marker::mark_committed;
use highwater_checkpoint::storage::file_path;
use highwater_checkpoint::testing::FaultyStore;
use highwater_checkpoint::{ObjectRef, Storage};
use object_store::ObjectStore;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Starts a checkpoint that shares these parts of the last completed one.
    Begin { shared: u8 },
    /// Completes one of those in progress; those before it are aborted.
    Complete { which: u8 },
    /// Aborts one of those in progress.
    Abort { which: u8 },
    /// Ends the attempt where it stands and begins the next.
    Restart,
    /// The same, with the newest manifest damaged, so that the next goes on from the one before.
    FallBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(|shared| Step::Begin { shared }),
        4 => any::<u8>().prop_map(|which| Step::Complete { which }),
        1 => any::<u8>().prop_map(|which| Step::Abort { which }),
        1 => Just(Step::Restart),
        1 => Just(Step::FallBack),
    ];
    proptest::collection::vec(step, 1..40)
}

struct InProgress {
    manifest: Manifest,
    /// The checkpoint whose files it shares.
    base: Option<u64>,
}

struct Job {
    store: Arc<FaultyStore>,
    storage: Storage,
    retained: usize,
    attempt: Attempt,
    garbage: Garbage,
    /// What the log retains, newest first.
    history: Vec<(Completed, Manifest)>,
    /// How many of those are damaged; the attempt goes on from the next.
    damaged: usize,
    in_progress: Vec<InProgress>,
    next: u64,
}

impl Job {
    async fn new(retained: usize) -> Self {
        let store = FaultyStore::new(1);
        let storage = Storage::of(Arc::clone(&store) as Arc<dyn ObjectStore>, "job").unwrap();
        let (mut attempt, history) = log::fence(&storage).await.unwrap();
        attempt.retain(retained);
        let garbage = Garbage::new(&storage, attempt.number(), &history).await;
        Job {
            store,
            storage,
            retained,
            attempt,
            garbage,
            history: Vec::new(),
            damaged: 0,
            in_progress: Vec::new(),
            next: 1,
        }
    }

    async fn take(&mut self, step: &Step) {
        let at = |which: u8| usize::from(which) % self.in_progress.len().max(1);
        match *step {
            Step::Begin { shared } => self.begin(shared).await,
            Step::Complete { which } if !self.in_progress.is_empty() => {
                self.complete(at(which)).await;
            }
            Step::Abort { which } if !self.in_progress.is_empty() => {
                let aborted = self.in_progress.remove(at(which));
                self.discard(aborted).await;
            }
            Step::Restart => self.restart().await,
            Step::FallBack if self.usable().len() > 1 => {
                let newest = format!("job/{}", self.usable()[0].0.manifest.path);
                assert!(self.store.flip(&newest, 1_234));
                self.damaged += 1;
                self.restart().await;
            }
            _ => {}
        }
    }

    /// What the attempt may build on, newest first.
    fn usable(&self) -> &[(Completed, Manifest)] {
        &self.history[self.damaged..]
    }

    async fn begin(&mut self, shared: u8) {
        let (checkpoint, attempt) = (self.next, self.attempt.number());
        self.next += 1;
        let base = self.usable().first();
        let mut parts: Vec<StoredPart> = base
            .map(|(_, manifest)| manifest.operators[0].states[0].chain.clone())
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .filter(|(n, _)| shared & (1 << (n % 8)) != 0)
            .map(|(_, part)| part)
            .collect();
        for n in 0..2 {
            let path = file_path(attempt, &format!("{checkpoint}-{n}"));
            let file = self.storage.put(&path, path.clone().into_bytes()).await.unwrap();
            parts.push(StoredPart { part: PartRef::File(file), slots: None });
        }
        let mut manifest = Manifest::new(checkpoint, attempt, SnapshotKind::Checkpoint);
        manifest.operators.push(OperatorSnapshot {
            uid: "count".into(),
            states: vec![StoredState { state: "count".into(), worker: 0, chain: parts }],
            ..OperatorSnapshot::default()
        });
        let base = base.map(|(completed, _)| completed.checkpoint);
        self.in_progress.push(InProgress { manifest, base });
    }

    async fn complete(&mut self, which: usize) {
        let subsumed: Vec<InProgress> = self.in_progress.drain(..which).collect();
        let InProgress { manifest, .. } = self.in_progress.remove(0);
        for aborted in subsumed {
            self.discard(aborted).await;
        }
        let written = manifest.write(&self.storage).await.unwrap();
        let completed = self.attempt.commit(manifest.checkpoint, &written).await.unwrap();
        mark_committed(&self.storage, &completed).await.unwrap();
        let bases: Vec<u64> = self.in_progress.iter().filter_map(|other| other.base).collect();
        self.garbage.collect(self.attempt.completed(), &completed, &manifest, &bases).await;
        self.history.drain(..self.damaged);
        self.damaged = 0;
        self.history.insert(0, (completed, manifest));
        self.history.truncate(self.retained);
    }

    async fn discard(&self, aborted: InProgress) {
        // Whoever aborts names all that was acknowledged, what it shares with others included.
        let files: Vec<ObjectRef> = aborted.manifest.objects().cloned().collect();
        self.garbage.discard(files).await;
    }

    /// Begins the next attempt, which goes on from the newest checkpoint that is not damaged.
    async fn restart(&mut self) {
        self.in_progress.clear();
        let (mut attempt, history) = log::fence(&self.storage).await.unwrap();
        let known: Vec<Completed> = self.history.iter().map(|(known, _)| known.clone()).collect();
        assert_eq!(history.completed, known);
        attempt.retain(self.retained);
        attempt.goes_on_from(history.completed.get(self.damaged));
        self.garbage = Garbage::new(&self.storage, attempt.number(), &history).await;
        self.garbage.sweep(&history).await;
        self.attempt = attempt;
        if self.damaged == 0 {
            self.assert_nothing_is_left_over();
        }
    }

    async fn assert_safe(&self) {
        for (completed, manifest) in self.usable() {
            assert_eq!(
                &Manifest::load(&self.storage, &completed.manifest).await.unwrap(),
                manifest
            );
        }
        let in_progress = self.in_progress.iter().map(|in_progress| &in_progress.manifest);
        for manifest in self.usable().iter().map(|(_, manifest)| manifest).chain(in_progress) {
            for part in manifest.parts() {
                self.storage.part(part).await.unwrap();
            }
        }
    }

    fn assert_nothing_is_left_over(&self) {
        let mut needed = BTreeSet::new();
        for (Completed { checkpoint, attempt, .. }, manifest) in &self.history {
            needed.insert(format!("job/manifests/{checkpoint}-{attempt}"));
            needed.insert(format!("job/committed/{checkpoint}-{attempt}"));
            needed.extend(manifest.objects().map(|object| format!("job/{}", object.path)));
        }
        let mut found: BTreeSet<String> = self.store.paths().into_iter().collect();
        found.retain(|path| !path.starts_with("job/log/") && !path.starts_with("job/copies/"));
        assert_eq!(found, needed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_manifests_name_stays_and_the_rest_goes(steps in steps(), retained in 1_usize..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut job = Job::new(retained).await;
            for step in &steps {
                job.take(step).await;
                job.assert_safe().await;
            }
            // Whatever was damaged is superseded, and then swept.
            for _ in 0..=retained {
                job.begin(0).await;
                job.complete(job.in_progress.len() - 1).await;
                job.assert_safe().await;
            }
            job.restart().await;
            job.assert_safe().await;
        });
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_is_a_warning_and_goes_with_the_next_attempt() {
    let mut job = Job::new(1).await;
    job.begin(0).await;
    job.complete(0).await;
    job.begin(0).await;
    let InProgress { manifest, .. } = job.in_progress.remove(0);
    let written = manifest.write(&job.storage).await.unwrap();
    let completed = job.attempt.commit(2, &written).await.unwrap();
    job.store.set_denied(true);
    job.garbage.collect(job.attempt.completed(), &completed, &manifest, &[]).await;
    job.store.set_denied(false);
    assert!(job.store.paths().contains(&"job/files/1/1-0".to_owned()));
    job.history = vec![(completed.clone(), manifest)];
    mark_committed(&job.storage, &completed).await.unwrap();
    job.restart().await;
    assert!(!job.store.paths().contains(&"job/files/1/1-0".to_owned()));
}

#[tokio::test]
async fn files_of_later_attempts_and_of_the_present_one_are_not_swept() {
    let mut job = Job::new(1).await;
    job.restart().await;
    for attempt in [1, 2, 3] {
        job.storage.put(&file_path(attempt, "part"), "part").await.unwrap();
        job.storage.put(&format!("manifests/7-{attempt}"), "manifest").await.unwrap();
    }
    let history = log::read(&job.storage).await.unwrap();
    job.garbage.sweep(&history).await;
    let mut found = job.store.paths();
    found.retain(|path| !path.starts_with("job/log/") && !path.starts_with("job/copies/"));
    let stays = ["job/files/2/part", "job/files/3/part", "job/manifests/7-2", "job/manifests/7-3"];
    assert_eq!(found, stays);
}

#[tokio::test]
async fn discarding_takes_only_what_the_present_attempt_has_written() {
    let mut job = Job::new(1).await;
    job.begin(0).await;
    job.complete(0).await;
    job.restart().await;
    let own = job.storage.put(&file_path(2, "own"), "own").await.unwrap();
    let manifest = Manifest::new(2, 2, SnapshotKind::Checkpoint).write(&job.storage).await.unwrap();
    let others = job.storage.put(&file_path(1, "other"), "other").await.unwrap();
    job.garbage.discard([own.clone(), manifest.clone(), others.clone()]).await;
    assert!(!job.storage.exists(&own.path).await.unwrap());
    assert!(!job.storage.exists(&manifest.path).await.unwrap());
    assert!(job.storage.exists(&others.path).await.unwrap());
    job.assert_safe().await;
}

#[tokio::test]
async fn a_slow_collection_takes_nothing_of_the_checkpoints_that_are_complete_meanwhile() {
    let mut job = Job::new(2).await;
    let mut superseding = Vec::new();
    for _ in 0..5 {
        job.begin(0).await;
        let InProgress { manifest, .. } = job.in_progress.remove(0);
        let written = manifest.write(&job.storage).await.unwrap();
        let completed = job.attempt.commit(manifest.checkpoint, &written).await.unwrap();
        mark_committed(&job.storage, &completed).await.unwrap();
        job.history.insert(0, (completed.clone(), manifest.clone()));
        job.history.truncate(2);
        let retained = job.attempt.completed().to_vec();
        superseding.push(Superseding { completed, manifest, retained });
    }
    let history = log::read(&job.storage).await.unwrap();
    let collector = Collector::new(Garbage::new(&job.storage, 1, &Default::default()).await);
    let mut waiting = Vec::new();
    for superseding in superseding {
        collector.add(superseding);
        let mut collection = Box::pin(collector.collect());
        if (&mut collection).now_or_never().is_none() {
            waiting.push(collection);
        }
    }
    assert!(waiting.len() > 1, "all were done at once");
    futures_util::future::join_all(waiting.into_iter().rev()).await;
    job.assert_safe().await;
    assert_eq!(history.completed.len(), 2);
    job.assert_nothing_is_left_over();
}
