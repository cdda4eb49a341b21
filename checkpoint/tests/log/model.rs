//! What must hold of everything that all attempts were ever told: one list of slots explains it.

use std::collections::BTreeMap;

use highwater_checkpoint::log::{Completed, History};

use crate::life::Event;

/// Checks a journal, to which the history that a last, undisturbed fence found has been added.
pub(crate) fn check(events: &[Event]) {
    let told = Told::by(events);
    told.each_slot_has_one_winner();
    told.nothing_enters_behind_a_fence();
    told.every_history_is_what_the_list_says();
    told.declined_means_never();
    told.the_fenced_stay_out(events);
}

#[derive(Default)]
struct Told {
    /// By slot.
    committed: BTreeMap<u64, Completed>,
    /// By slot: the attempt and what it found.
    fences: BTreeMap<u64, (u64, History)>,
    /// Attempt and checkpoint.
    declined: Vec<(u64, u64)>,
}

impl Told {
    fn by(events: &[Event]) -> Self {
        let mut told = Told::default();
        for event in events {
            match event.clone() {
                Event::Committed(completed) => {
                    let before = told.committed.insert(completed.slot, completed.clone());
                    assert_eq!(before, None, "two were told that {} is theirs", completed.slot);
                }
                Event::Fenced { attempt, slot, history } => {
                    let before = told.fences.insert(slot, (attempt, history));
                    assert_eq!(before, None, "two were told that {slot} is theirs");
                }
                Event::Declined { attempt, checkpoint } => {
                    told.declined.push((attempt, checkpoint));
                }
                Event::FencedOut { .. } => {}
            }
        }
        told
    }

    fn each_slot_has_one_winner(&self) {
        for slot in self.committed.keys() {
            assert!(!self.fences.contains_key(slot), "slot {slot} is a commit and a fence");
        }
        let mut agreed = self.committed.clone();
        for (_, history) in self.fences.values() {
            for completed in &history.completed {
                let known = agreed.entry(completed.slot).or_insert_with(|| completed.clone());
                assert_eq!(known, completed, "two see slot {} differently", completed.slot);
            }
        }
    }

    fn nothing_enters_behind_a_fence(&self) {
        let mut before = 0;
        for (slot, (attempt, _)) in &self.fences {
            assert!(*attempt > before, "attempt {attempt} fenced {before} at slot {slot}");
            before = *attempt;
            for completed in self.committed.values() {
                let earlier = completed.attempt < *attempt;
                assert_eq!(earlier, completed.slot < *slot, "{completed:?}, {attempt} at {slot}");
            }
        }
    }

    fn every_history_is_what_the_list_says(&self) {
        for (slot, (attempt, history)) in &self.fences {
            let found: Vec<u64> = history.completed.iter().map(|found| found.slot).collect();
            assert!(found.is_sorted_by(|a, b| a > b), "not newest first: {found:?}");
            let Some(oldest) = found.last() else {
                let lost = self.committed.range(..slot).next();
                assert_eq!(lost, None, "attempt {attempt} found nothing completed");
                continue;
            };
            for expected in self.committed.range(oldest..slot).map(|(slot, _)| slot) {
                assert!(found.contains(expected), "attempt {attempt} lost {expected}: {found:?}");
            }
        }
    }

    fn declined_means_never(&self) {
        for (_, history) in self.fences.values() {
            for Completed { attempt, checkpoint, .. } in &history.completed {
                let declined = self.declined.contains(&(*attempt, *checkpoint));
                assert!(!declined, "checkpoint {checkpoint} of {attempt} was declined");
            }
        }
    }

    fn the_fenced_stay_out(&self, events: &[Event]) {
        let mut out = Vec::new();
        for event in events {
            match event {
                Event::FencedOut { attempt } => out.push(*attempt),
                Event::Committed(completed) => {
                    assert!(!out.contains(&completed.attempt), "{completed:?} after its end");
                }
                _ => {}
            }
        }
        let last = self.fences.values().map(|(attempt, _)| *attempt).max();
        assert!(out.iter().all(|attempt| Some(*attempt) < last), "the last attempt was fenced");
    }
}
