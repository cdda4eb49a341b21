//! Plays `flink_watermark_valve`: scripts for the watermark of an operator with several channels.

use highwater_sim::oracle::ValveEvent;
use serde_json::Value;

use crate::case::Case;
use crate::form::{Failure, Form};
use crate::report::Verdict;
use crate::subject::{Subjects, ValveSubject};

pub(crate) fn play(case: &Case, subjects: &Subjects) -> Result<Verdict, Failure> {
    let form = Form::of_case(&case.body)?;
    let channels = usize::try_from(form.int("channels")?)
        .map_err(|_| form.failure("channels", "is negative"))?;
    let script = form.list("script")?;
    form.done()?;
    let Some(mut subject) = (subjects.valve)(channels) else { return Ok(Verdict::NotThere) };
    for (at, step) in script.iter().enumerate() {
        play_step(at, step, channels, subject.as_mut())?;
    }
    Ok(Verdict::Passed)
}

fn play_step(
    at: usize,
    step: &Value,
    channels: usize,
    subject: &mut dyn ValveSubject,
) -> Result<(), Failure> {
    let form = Form::of(format!("step {at}"), step)?;
    let channel = || {
        let channel = usize::try_from(form.int("channel")?).ok();
        channel
            .filter(|channel| *channel < channels)
            .ok_or_else(|| form.failure("channel", "is no channel of this valve"))
    };
    if form.has("watermark") {
        subject.watermark(channel()?, form.int("watermark")?);
    } else if form.has("status") {
        match form.text("status")? {
            "ACTIVE" => subject.active(channel()?),
            "IDLE" => subject.idle(channel()?),
            "FINISHED" => subject.finished(channel()?),
            _ => return Err(form.failure("status", "is not known to the player")),
        }
    } else if form.has("expect") {
        let expected = expected(form.need("expect")?)?;
        let got = subject.next_output();
        if got != expected {
            let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
            return Err(Failure::Mismatch { step: at, expected, got });
        }
    }
    form.done()
}

fn expected(value: &Value) -> Result<Option<ValveEvent>, Failure> {
    if value.is_null() {
        return Ok(None);
    }
    let form = Form::of("expect", value)?;
    let event = if form.has("watermark") {
        ValveEvent::Watermark(form.int("watermark")?)
    } else {
        match form.text("status")? {
            "ACTIVE" => ValveEvent::Active,
            "IDLE" => ValveEvent::Idle,
            _ => return Err(form.failure("status", "is not known to the player")),
        }
    };
    form.done()?;
    Ok(Some(event))
}
