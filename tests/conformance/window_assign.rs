//! Plays `flink_window_assign`: the windows of one timestamp.

use serde_json::{Value, json};

use crate::case::Case;
use crate::form::{Failure, Form, same};
use crate::report::Verdict;
use crate::subject::Subjects;
use crate::window_operator::assigner;

pub(crate) fn play(case: &Case, subjects: &Subjects) -> Result<Verdict, Failure> {
    let form = Form::of_case(&case.body)?;
    let operator = Form::of("operator", form.need("operator")?)?;
    let assigner = assigner(&operator)?;
    operator.done()?;
    let (ts, expected) = (form.int("ts")?, form.list("windows")?);
    form.done()?;
    let Some(subject) = (subjects.assign)(&assigner) else { return Ok(Verdict::NotThere) };
    let windows = subject.assign(ts).into_iter();
    let got: Vec<Value> = windows.map(|(start, end)| json!([start, end])).collect();
    same(0, expected, &got)?;
    Ok(Verdict::Passed)
}
