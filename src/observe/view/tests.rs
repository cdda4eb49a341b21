use highwater_core::plan::{Outlet, PlannedInput, PlannedOperator, Way};

use super::super::made::Made;
use super::super::task::TaskReport;
use super::*;

#[test]
fn levels_are_those_of_flink() {
    let levels = [0.0, 0.1, 0.11, 0.5, 0.51, 1.0].map(Level::of);
    assert_eq!(levels, [Level::Ok, Level::Ok, Level::Low, Level::Low, Level::High, Level::High]);
}

#[test]
fn an_operator_is_as_far_as_its_last_subtask_and_as_held_up_as_its_worst() {
    let made = Made::new()
        .with("window", 0, |task| {
            (task.watermark, task.records_in) = (700, 10);
            (task.rates.records_in, task.rates.back_pressured_ms) = (5.0, 600.0);
        })
        .with("window", 1, |task| {
            task.records_in = 30;
            (task.rates.records_in, task.rates.back_pressured_ms) = (7.0, 200.0);
        });
    let view = made.view();
    let window = view.vertex("window").expect("it is there");
    assert_eq!((window.watermark, window.records_in), (700, 40));
    assert_eq!((window.rates.records_in, window.level), (12.0, Level::High));
    assert_eq!(window.subtasks[1].level, Level::Low);
    assert!((window.skew - 50.0).abs() < 1e-9, "10 and 30 are 10 from 20: {}", window.skew);
    assert_eq!(window.subtasks.iter().map(|s| s.process).collect::<Vec<_>>(), [0, 1]);
}

/// A chain of stateless operators behind a source, built in the wrong order.
#[test]
fn a_stateless_operator_promises_what_its_inputs_do() {
    let mut made = Made::new();
    for report in &mut made.reports {
        for (place, from) in [(3, 4), (4, 0)] {
            let from = Outlet { operator: from, tag: None };
            let input = PlannedInput { from, input: 0, way: Way::Forward, edge: None };
            let uid = format!("step-{place}");
            let name = uid.clone();
            let inputs = vec![input];
            let (part_of, makes_watermarks) = (None, false);
            let planned = PlannedOperator { uid, name, part_of, inputs, makes_watermarks };
            let task = TaskReport {
                uid: planned.uid.clone(),
                role: Role::Stateless,
                watermark: i64::MIN,
                output_watermark: i64::MIN,
                ..TaskReport::default()
            };
            report.plan.push(planned);
            report.tasks.push(task);
        }
    }
    let view = made.with("read", 1, |task| task.output_watermark = 400).view();
    for uid in ["step-3", "step-4"] {
        assert_eq!(view.vertex(uid).map(|vertex| vertex.output_watermark), Some(400));
    }
}

#[test]
fn a_step_is_found_by_its_own_uid() {
    let mut made = Made::new();
    let step =
        PlannedOperator { part_of: Some("read".to_owned()), ..made.reports[0].plan[0].clone() };
    let step = PlannedOperator { uid: "map".to_owned(), ..step };
    made.reports.iter_mut().for_each(|report| report.plan.push(step.clone()));
    let view = made.view();
    assert_eq!(view.vertex("map").map(|vertex| vertex.uid.as_str()), Some("read"));
    assert_eq!(view.vertices.len(), 3, "it is no operator of its own");
    assert_eq!(view.vertex("nobody"), None);
}

#[test]
fn nothing_is_known_of_a_job_that_has_not_reported() {
    assert_eq!(JobView::of([]), JobView::default());
    assert!(JobView::default().why(None).is_empty());
}
