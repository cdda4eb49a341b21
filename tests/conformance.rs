//! Cases that other stream processors wrote for themselves, played on ours.
//!
//! `HIGHWATER_CASES` names a folder; every `transcripts.json` and `cases.json` below it is read,
//! and the name of the folder that holds the file says which family its cases belong to. Without
//! the variable nothing is played. Each family is played on two subjects: the reference model of
//! the `sim` crate, which guards the player and the model, and the engine.
//!
//! | family | what would be caught |
//! |---|---|
//! | `flink_window_operator` | wrong assignment, merging, triggers, lateness, clean-up, restore |
//! | `flink_watermark_valve` | a watermark that waits for an idle channel, or goes back |
//! | `flink_window_assign` | windows off by one, offsets, instants before the epoch |
//! | `calcite_tvf` | the windows of the SQL functions TUMBLE, HOP, SESSION |
//! | `flink_interval_join` | bounds, late elements, state that is never freed |
//! | `beam_triggers` | composite triggers, accumulating and discarding panes |
//!
//! A step or a field that the player does not know fails its case. Only cases of `beam_triggers`
//! can be *not applicable*: where Beam and Flink differ, `conformance/beam_applicable.rs` says how.

#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/form.rs"]
mod form;
#[path = "conformance/report.rs"]
mod report;

#[path = "conformance/engine.rs"]
mod engine;
#[path = "conformance/model.rs"]
mod model;
#[path = "conformance/subject.rs"]
mod subject;

#[path = "conformance/interval_join.rs"]
mod interval_join;
#[path = "conformance/watermark_valve.rs"]
mod watermark_valve;
#[path = "conformance/window_assign.rs"]
mod window_assign;
#[path = "conformance/window_operator.rs"]
mod window_operator;

#[path = "conformance/calcite_tvf.rs"]
mod calcite_tvf;

#[path = "conformance/beam_applicable.rs"]
mod beam_applicable;
#[path = "conformance/beam_case.rs"]
mod beam_case;
#[path = "conformance/beam_expression.rs"]
mod beam_expression;
#[path = "conformance/beam_triggers.rs"]
mod beam_triggers;

use subject::Subjects;

/// The families, which are the names of folders.
const FAMILIES: [&str; 6] = [
    "flink_window_operator",
    "flink_watermark_valve",
    "flink_window_assign",
    "calcite_tvf",
    "flink_interval_join",
    "beam_triggers",
];

/// The two subjects and their names.
const SUBJECTS: [(&str, Subjects); 2] = [("model", model::SUBJECTS), ("engine", engine::SUBJECTS)];

#[test]
fn flink_window_operator_cases_hold() {
    report::play("flink_window_operator", &SUBJECTS, window_operator::play);
}

#[test]
fn flink_watermark_valve_cases_hold() {
    report::play("flink_watermark_valve", &SUBJECTS, watermark_valve::play);
}

#[test]
fn flink_window_assign_cases_hold() {
    report::play("flink_window_assign", &SUBJECTS, window_assign::play);
}

#[test]
fn calcite_tvf_cases_hold() {
    report::play("calcite_tvf", &SUBJECTS, calcite_tvf::play);
}

#[test]
fn flink_interval_join_cases_hold() {
    report::play("flink_interval_join", &SUBJECTS, interval_join::play);
}

#[test]
fn beam_trigger_cases_hold() {
    report::play("beam_triggers", &SUBJECTS, beam_triggers::play);
}

#[test]
fn every_file_of_cases_belongs_to_a_family() {
    let files = case::files().expect("the folder of HIGHWATER_CASES can be read");
    let Some(files) = files else { return };
    assert!(!files.is_empty(), "HIGHWATER_CASES names a folder without cases");
    for file in files {
        let family = case::family(&file);
        assert!(FAMILIES.contains(&family.as_str()), "{} is of no family", file.display());
    }
}
