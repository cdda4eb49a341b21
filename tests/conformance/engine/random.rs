//! Random scripts, on the engine and on the reference model: what the cases of others do not reach.
//!
//! Every description that the cases can have is tried, so what would be caught is any difference
//! between the engine's window operators, with any trigger and lateness, or its interval join, and
//! the sequential definitions of the `sim` crate: in what is emitted after any step, in what is
//! late, or in which elements of a join are kept.

use std::sync::Arc;

use highwater_sim::oracle::{
    Assigner, Bounds, Composite, Gap, TimeDomain, Trigger, TriggerKind, WindowSpec,
};
use proptest::prelude::*;

use super::SUBJECTS as ENGINE;
use crate::model::SUBJECTS as MODEL;
use crate::subject::{Aggregate, JoinSubject, WindowSubject};

#[derive(Clone, Copy, Debug)]
enum Step {
    Element { key: &'static str, value: i64, ahead: i64 },
    Watermark(i64),
    ProcessingTime(i64),
}

/// Steps in which time moves on by so much, and elements are so far ahead of the watermark.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let element = (prop::sample::select(vec!["a", "b"]), 0..6_i64, -12..15_i64)
        .prop_map(|(key, value, ahead)| Step::Element { key, value, ahead });
    let step = prop_oneof![
        6 => element,
        2 => (1..9_i64).prop_map(Step::Watermark),
        2 => (0..9_i64).prop_map(Step::ProcessingTime),
    ];
    prop::collection::vec(step, 1..50)
}

fn assigner() -> impl Strategy<Value = Assigner<String, i64>> {
    let tumbling = (1..12_i64)
        .prop_flat_map(|size| (Just(size), 1 - size..size))
        .prop_map(|(size, offset)| Assigner::Tumbling { size, offset });
    let sliding = (1..12_i64, 1..12_i64)
        .prop_flat_map(|(size, slide)| (Just((size, slide)), 1 - slide..slide))
        .prop_map(|((size, slide), offset)| Assigner::Sliding { size, slide, offset });
    let session = (1..10_i64).prop_map(|gap| Assigner::Session { gap: Gap::Fixed(gap) });
    let by_value = |_: &String, value: &i64| value * 2;
    let ruled = Just(Assigner::Session { gap: Gap::PerRecord(Arc::new(by_value)) });
    prop_oneof![2 => tumbling, 2 => sliding, 2 => session, 1 => ruled, 1 => Just(Assigner::Global)]
}

fn composite() -> impl Strategy<Value = Composite> {
    let leaf = prop_oneof![Just(Composite::Default), (1..4_u64).prop_map(Composite::Count)];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let maybe = prop::option::of(inner.clone().prop_map(Box::new));
        let several = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            (maybe.clone(), maybe).prop_map(|(early, late)| Composite::Watermark { early, late }),
            inner.prop_map(|inner| Composite::Repeatedly(Box::new(inner))),
            several.clone().prop_map(Composite::Any),
            several.clone().prop_map(Composite::All),
            several.prop_map(Composite::Each),
        ]
    })
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let kind = prop_oneof![
        3 => Just(TriggerKind::EventTime),
        1 => Just(TriggerKind::ProcessingTime),
        1 => Just(TriggerKind::Never),
        2 => (1..5_u64).prop_map(TriggerKind::Count),
        2 => (1..7_i64).prop_map(TriggerKind::ContinuousEventTime),
        2 => composite().prop_map(TriggerKind::Composite),
    ];
    (kind, any::<bool>()).prop_map(|(kind, purging)| Trigger { kind, purging })
}

fn spec() -> impl Strategy<Value = WindowSpec<String, i64>> {
    let lateness = prop_oneof![Just(0), 0..20_i64];
    (assigner(), trigger(), any::<bool>(), lateness).prop_map(
        |(assigner, trigger, processing, allowed_lateness)| {
            let ruled = matches!(assigner, Assigner::Session { gap: Gap::PerRecord(_) });
            let processing = processing && !ruled;
            let time = if processing { TimeDomain::Processing } else { TimeDomain::Event };
            WindowSpec { assigner, time, trigger, allowed_lateness }
        },
    )
}

/// What an operator says after a step, without the order of what comes at once.
fn said(subject: &mut dyn WindowSubject, aggregate: Aggregate) -> String {
    let mut fired = subject.take_output();
    for fired in &mut fired {
        fired.values.sort_unstable();
        if aggregate != Aggregate::Each {
            fired.values = vec![fired.values.iter().sum()];
        }
    }
    fired.sort_unstable();
    format!("{fired:?}, late {:?}", subject.take_late())
}

fn play(spec: &WindowSpec<String, i64>, aggregate: Aggregate, steps: &[Step]) {
    let make = |subjects: &crate::subject::Subjects| (subjects.window)(spec, aggregate);
    let mut subjects = [&ENGINE, &MODEL].map(|subjects| make(subjects).expect("there is one"));
    // A timer for a time that has passed fires in the model when the clock is next read, in the
    // engine before the next record at the latest.
    let eager = spec.time == TimeDomain::Event && spec.trigger.kind == TriggerKind::ProcessingTime;
    let (mut watermark, mut now) = (0, 0);
    for (place, step) in steps.iter().enumerate() {
        let [engine, model] = subjects.each_mut().map(|subject| {
            match *step {
                Step::Element { key, value, ahead } => {
                    subject.element(key, value, watermark + ahead);
                    if eager {
                        subject.processing_time(now);
                    }
                }
                Step::Watermark(by) => subject.watermark(watermark + by),
                Step::ProcessingTime(by) => subject.processing_time(now + by),
            }
            said(subject.as_mut(), aggregate)
        });
        assert_eq!(engine, model, "engine and model after step {place}");
        match *step {
            Step::Watermark(by) => watermark += by,
            Step::ProcessingTime(by) => now += by,
            Step::Element { .. } => {}
        }
    }
}

fn join_said(subject: &mut dyn JoinSubject) -> String {
    let (mut pairs, mut left) = (subject.take_output(), subject.left_state());
    let mut right = subject.right_state();
    pairs.sort_unstable();
    left.sort_unstable();
    right.sort_unstable();
    format!("{pairs:?}, kept {left:?} and {right:?}")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn windows_say_what_the_model_says(spec in spec(), each in any::<bool>(), steps in steps()) {
        play(&spec, if each { Aggregate::Each } else { Aggregate::Sum }, &steps);
    }

    #[test]
    fn joins_say_what_the_model_says(
        lower in -12..8_i64,
        length in -1..12_i64,
        steps in prop::collection::vec((0..4_usize, 0..30_i64), 1..60),
    ) {
        let bounds = Bounds { lower, upper: lower + length };
        let make = |subjects: &crate::subject::Subjects| (subjects.join)(bounds);
        let mut subjects = [&ENGINE, &MODEL].map(|subjects| make(subjects).expect("there is one"));
        let mut watermarks = [0; 2];
        for (input, number) in steps {
            let [engine, model] = subjects.each_mut().map(|subject| {
                match input {
                    0 => subject.left(watermarks[0] + number - 5),
                    1 => subject.right(watermarks[1] + number - 5),
                    2 => subject.watermark_left(watermarks[0] + number / 4),
                    _ => subject.watermark_right(watermarks[1] + number / 4),
                }
                join_said(subject.as_mut())
            });
            prop_assert_eq!(engine, model);
            if input >= 2 {
                watermarks[input - 2] += number / 4;
            }
        }
    }
}
