//! One life, ended or held at each of its steps in turn, and the next one after it.

use highwater_checkpoint::log;
use highwater_checkpoint::testing::{FaultyStore, Turns};

use crate::life::{Event, Journal, Life, storage};
use crate::model;

/// What becomes of the first life when its step has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Killed,
    /// Held until the next life is over: a zombie.
    Held,
}

/// Runs one life for `steps` steps, then another to its end; returns whether the first was over.
fn run(steps: usize, end: End) -> bool {
    let mut turns = Turns::new(1);
    let store = FaultyStore::new(1);
    let storage = storage(&store, &turns, 3);
    let journal = Journal::default();
    let life = Life { storage, journal, checkpoints: 4, retained: 2, stubborn: 1 };
    let first = turns.spawn(life.clone().live());
    for _ in 0..steps {
        turns.step();
    }
    let over = turns.is_over(first);
    match end {
        End::Killed => turns.kill(first),
        End::Held => turns.stop(first),
    }
    turns.finish(life.clone().live());
    turns.resume(first);
    turns.run();

    let storage = life.storage.clone();
    let (attempt, history) = turns.finish(async move { log::fence(&storage).await.unwrap() });
    let (number, slot) = (attempt.number(), attempt.slot());
    let newest = history.newest().map(|newest| newest.attempt);
    assert_eq!(newest, Some(number - 1), "the second life after {steps} steps, {end:?}");
    let mut events = journal_of(&life);
    events.push(Event::Fenced { attempt: number, slot, history });
    model::check(&events);
    over
}

fn journal_of(life: &Life) -> Vec<Event> {
    life.journal.lock().unwrap().clone()
}

fn at_each_step(end: End) {
    let steps = (0..10_000).find(|steps| run(*steps, end)).unwrap();
    assert!(steps > 40, "a life of {steps} steps");
}

#[test]
fn whoever_is_killed_at_any_step_leaves_a_log_that_the_next_goes_on_from() {
    at_each_step(End::Killed);
}

#[test]
fn whoever_wakes_at_any_step_is_fenced() {
    at_each_step(End::Held);
}
