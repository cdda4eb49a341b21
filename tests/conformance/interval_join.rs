//! Plays `flink_interval_join`: scripts for a join of two streams, all elements of one key.

use highwater_sim::oracle::Bounds;
use serde_json::{Value, json};

use crate::case::Case;
use crate::form::{Failure, Form, same};
use crate::report::Verdict;
use crate::subject::{JoinSubject, Subjects};

pub(crate) fn play(case: &Case, subjects: &Subjects) -> Result<Verdict, Failure> {
    let form = Form::of_case(&case.body)?;
    let join = Form::of("join", form.need("join")?)?;
    join.get("condition");
    let bounds = Bounds::new(
        join.int("lower")?,
        inclusive(&join, "lower_inclusive")?,
        join.int("upper")?,
        inclusive(&join, "upper_inclusive")?,
    );
    join.done()?;
    if form.text_or("output_timestamp", LATER)? != LATER {
        return Err(form.failure("output_timestamp", "is not known to the player"));
    }
    let script = form.list("script")?;
    form.done()?;
    let Some(mut subject) = (subjects.join)(bounds) else { return Ok(Verdict::NotThere) };
    for (at, step) in script.iter().enumerate() {
        play_step(at, step, subject.as_mut())?;
    }
    Ok(Verdict::Passed)
}

/// The only rule for the timestamp of a result.
const LATER: &str = "max(left.ts,right.ts)";

fn play_step(at: usize, step: &Value, subject: &mut dyn JoinSubject) -> Result<(), Failure> {
    let form = Form::of(format!("step {at}"), step)?;
    if form.has("left") {
        subject.left(form.int("left")?);
    } else if form.has("right") {
        subject.right(form.int("right")?);
    } else if form.has("watermark_left") {
        subject.watermark_left(form.int("watermark_left")?);
    } else if form.has("watermark_right") {
        subject.watermark_right(form.int("watermark_right")?);
    } else if form.has("watermark") {
        let watermark = form.int("watermark")?;
        subject.watermark_left(watermark);
        subject.watermark_right(watermark);
    } else if form.flag("snapshot_restore")? {
        subject.snapshot_restore();
    } else if form.has("expect") {
        pairs(at, form.list("expect")?, subject.take_output())?;
    } else if form.has("expect_left_state") {
        same(at, form.list("expect_left_state")?, &numbers(subject.left_state()))?;
    } else if form.has("expect_right_state") {
        same(at, form.list("expect_right_state")?, &numbers(subject.right_state()))?;
    }
    form.done()
}

/// Compares pairs, and the timestamps of the results with the rule.
fn pairs(at: usize, expected: &[Value], got: Vec<(i64, i64, i64)>) -> Result<(), Failure> {
    if let Some((left, right, ts)) = got.iter().find(|(left, right, ts)| left.max(right) != ts) {
        let expected = format!("[{left}, {right}] at {}", left.max(right));
        return Err(Failure::Mismatch { step: at, expected, got: format!("at {ts}") });
    }
    let got: Vec<Value> = got.iter().map(|(left, right, _)| json!([left, right])).collect();
    same(at, expected, &got)
}

/// Bounds are inclusive where nothing else is said, as in Flink.
fn inclusive(join: &Form, field: &str) -> Result<bool, Failure> {
    if join.has(field) { join.flag(field) } else { Ok(true) }
}

fn numbers(list: Vec<i64>) -> Vec<Value> {
    list.into_iter().map(Value::from).collect()
}
