//! Coordinators after each other, at once, and asleep.

use std::collections::BTreeMap;

use highwater::supervisor::protocol::Overrides;

use super::*;
use crate::record::{JobSpec, JobState};

fn record(id: u128, state: JobState) -> JobRecord {
    let spec = JobSpec {
        id: JobId::of(id),
        name: String::new(),
        program: String::new(),
        program_name: String::new(),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        folder: None,
        parallelism: 1,
        overrides: Overrides::default(),
        restart: None,
    };
    JobRecord { state, ..JobRecord::new(spec, String::new(), 0) }
}

/// A storage that all coordinators of a test share.
fn storage(folder: &tempfile::TempDir) -> Storage {
    Storage::open(folder.path().to_str().unwrap()).unwrap()
}

async fn open(folder: &tempfile::TempDir) -> (Ledger, Vec<JobRecord>) {
    Ledger::open(storage(folder)).await.unwrap()
}

#[tokio::test]
async fn the_next_coordinator_knows_what_the_one_before_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, jobs) = open(&folder).await;
    assert_eq!((first.coordinator(), jobs.len()), (1, 0));
    first.save(&record(1, JobState::Running)).await.unwrap();
    first.save(&record(2, JobState::Running)).await.unwrap();
    first.save(&record(1, JobState::Finished)).await.unwrap();
    first.forget(JobId::of(2)).await.unwrap();
    let (second, jobs) = open(&folder).await;
    assert_eq!((second.coordinator(), jobs), (2, vec![record(1, JobState::Finished)]));
}

#[tokio::test]
async fn a_coordinator_that_was_fenced_remembers_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, _) = open(&folder).await;
    first.check().await.unwrap();
    let (mut second, _) = open(&folder).await;
    let fenced = first.check().await.unwrap_err();
    assert!(matches!(fenced, Error::Fenced { ours: 1, by: 2, .. }), "{fenced}");
    assert!(first.save(&record(1, JobState::Running)).await.is_err());
    // However much is written and deleted meanwhile.
    for number in 0..5 {
        second.save(&record(number, JobState::Running)).await.unwrap();
    }
    second.rewrite(vec![record(9, JobState::Running)]).await.unwrap();
    assert!(first.save(&record(1, JobState::Running)).await.is_err());
    let (_, jobs) = open(&folder).await;
    assert_eq!(jobs, [record(9, JobState::Running)]);
}

#[tokio::test]
async fn what_is_written_anew_replaces_what_was_written_before() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(&folder).await;
    for number in 0..SLOTS_MAX as u128 {
        assert!(!ledger.is_long());
        ledger.save(&record(number, JobState::Running)).await.unwrap();
    }
    assert!(ledger.is_long());
    ledger.rewrite(vec![record(1, JobState::Running)]).await.unwrap();
    assert!(!ledger.is_long());
    let slots = storage(&folder).list("ledger").await.unwrap();
    assert_eq!(slots.len(), 2, "the fence and all jobs: {slots:?}");
    assert_eq!(open(&folder).await.1.len(), 1);
}

#[tokio::test]
async fn of_many_coordinators_that_begin_at_once_one_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let begun = (0..8).map(|_| tokio::spawn(Ledger::open(storage(&folder))));
    let mut numbers = Vec::new();
    let mut ledgers = Vec::new();
    for begun in begun.collect::<Vec<_>>() {
        let (ledger, _) = begun.await.unwrap().unwrap();
        numbers.push(ledger.coordinator());
        ledgers.push(ledger);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    let mut left = 0;
    for ledger in &ledgers {
        left += u32::from(ledger.check().await.is_ok());
    }
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_damaged_slot_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(&folder).await;
    ledger.save(&record(1, JobState::Running)).await.unwrap();
    std::fs::write(folder.path().join(path(1)), "{").unwrap();
    let error = Ledger::open(storage(&folder)).await.unwrap_err();
    assert!(error.to_string().contains("ledger/00000000000000000001 is damaged"), "{error}");
}
