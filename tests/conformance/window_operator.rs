//! Plays `flink_window_operator`: scripts for one keyed window operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_sim::oracle::{Assigner, Fired, Gap, TimeDomain, Trigger, TriggerKind, WindowSpec};
use serde_json::{Value, json};

use crate::case::Case;
use crate::form::{Failure, Form, int, same};
use crate::report::Verdict;
use crate::subject::{Aggregate, Subjects, WindowSubject};

/// The value that gets an empty session in the assigner `session_point`.
const POINT: i64 = 33;

pub(crate) fn play(case: &Case, subjects: &Subjects) -> Result<Verdict, Failure> {
    let form = Form::of_case(&case.body)?;
    let (spec, aggregate) = operator(form.need("operator")?)?;
    let script = form.list("script")?;
    form.done()?;
    let Some(mut subject) = (subjects.window)(&spec, aggregate) else {
        return Ok(Verdict::NotThere);
    };
    for (at, step) in script.iter().enumerate() {
        play_step(at, step, aggregate, subject.as_mut())?;
    }
    Ok(Verdict::Passed)
}

fn play_step(
    at: usize,
    step: &Value,
    aggregate: Aggregate,
    subject: &mut dyn WindowSubject,
) -> Result<(), Failure> {
    let form = Form::of(format!("step {at}"), step)?;
    if form.has("element") {
        let wrong = || form.failure("element", "is not [key, whole number]");
        let [key, value] = form.list("element")?.as_slice() else { return Err(wrong()) };
        let (key, value) = (key.as_str().ok_or_else(wrong)?, int(value).ok_or_else(wrong)?);
        subject.element(key, value, form.int("ts")?);
    } else if form.has("watermark") {
        subject.watermark(form.int("watermark")?);
    } else if form.has("processing_time") {
        subject.processing_time(form.int("processing_time")?);
    } else if form.flag("snapshot_restore")? {
        subject.snapshot_restore();
    } else if form.has("expect") {
        let fired = subject.take_output();
        let got: Vec<Value> = fired.iter().flat_map(|fired| results(fired, aggregate)).collect();
        same(at, form.list("expect")?, &got)?;
    } else if form.has("expect_late") {
        let late = subject.take_late().into_iter();
        let got: Vec<Value> = late.map(|(key, value, ts)| json!([[key, value], ts])).collect();
        same(at, form.list("expect_late")?, &got)?;
    }
    form.done()
}

/// What the function of the case makes of the contents of a window.
fn results(fired: &Fired<String, i64>, aggregate: Aggregate) -> Vec<Value> {
    let Fired { key, window, values, timestamp } = fired;
    let sum: i64 = values.iter().sum();
    match aggregate {
        Aggregate::Sum => vec![json!([[key, sum], timestamp])],
        Aggregate::Session => {
            vec![json!([[format!("{key}-{sum}"), window.start, window.end], timestamp])]
        }
        Aggregate::Each => values.iter().map(|value| json!([[key, value], timestamp])).collect(),
    }
}

/// Reads the description of an operator.
fn operator(value: &Value) -> Result<(WindowSpec<String, i64>, Aggregate), Failure> {
    let form = Form::of("operator", value)?;
    form.get("note");
    let assigner = assigner(&form)?;
    let time = match form.text_or("time", "event")? {
        "event" => TimeDomain::Event,
        "processing" => TimeDomain::Processing,
        _ => return Err(form.failure("time", "is neither event nor processing")),
    };
    let trigger = match form.get("trigger") {
        Some(value) => trigger(value)?,
        None => Trigger { kind: default_trigger(&assigner, time), purging: false },
    };
    let aggregate = match form.text("aggregate")? {
        "sum" => Aggregate::Sum,
        "session" => Aggregate::Session,
        "each" => Aggregate::Each,
        _ => return Err(form.failure("aggregate", "is not known to the player")),
    };
    let allowed_lateness = form.millis_or_zero("allowed_lateness")?;
    form.done()?;
    Ok((WindowSpec { assigner, time, trigger, allowed_lateness }, aggregate))
}

/// Reads the fields that describe an assigner.
pub(crate) fn assigner(form: &Form) -> Result<Assigner<String, i64>, Failure> {
    let assigner = match form.text("assigner")? {
        "tumbling" => Assigner::Tumbling {
            size: form.positive_millis("size")?,
            offset: form.millis_or_zero("offset")?,
        },
        "sliding" => Assigner::Sliding {
            size: form.positive_millis("size")?,
            slide: form.positive_millis("slide")?,
            offset: form.millis_or_zero("offset")?,
        },
        "session" => Assigner::Session { gap: Gap::Fixed(form.positive_millis("gap")?) },
        "session_point" => {
            let gap = form.positive_millis("gap")?;
            let rule = move |_: &String, value: &i64| if *value == POINT { 0 } else { gap };
            Assigner::Session { gap: Gap::PerRecord(Arc::new(rule)) }
        }
        "session_dynamic" => Assigner::Session { gap: gap_rule(form.need("gap_rule")?)? },
        "global" => Assigner::Global,
        _ => return Err(form.failure("assigner", "is not known to the player")),
    };
    Ok(assigner)
}

/// Reads a rule for gaps: by key and value, else by key, else by value, else the default.
fn gap_rule(value: &Value) -> Result<Gap<String, i64>, Failure> {
    let form = Form::of("gap_rule", value)?;
    let by_key = gaps("by_key", form.get("by_key"))?;
    let by_value = gaps("by_value", form.get("by_value"))?;
    let mut by_key_value = BTreeMap::new();
    if let Some(value) = form.get("by_key_value") {
        for (key, value) in value.as_object().into_iter().flatten() {
            by_key_value.insert(key.clone(), gaps("by_key_value", Some(value))?);
        }
    }
    let default = if form.has("default") { Some(form.int("default")?) } else { None };
    form.done()?;
    let rule = move |key: &String, value: &i64| {
        let text = value.to_string();
        let of_key = by_key_value.get(key);
        let gap = of_key.and_then(|gaps| gaps.get(&text).or_else(|| gaps.get("default")));
        let gap = gap.or_else(|| by_key.get(key)).or_else(|| by_key.get("default"));
        let gap = gap.or_else(|| by_value.get(&text)).or_else(|| by_value.get("default"));
        *gap.or(default.as_ref()).unwrap_or_else(|| panic!("no gap for {key}, {value}"))
    };
    Ok(Gap::PerRecord(Arc::new(rule)))
}

fn gaps(what: &str, value: Option<&Value>) -> Result<BTreeMap<String, i64>, Failure> {
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    let form = Form::of(what, value)?;
    let names = value.as_object().into_iter().flatten().map(|(name, _)| name);
    names.map(|name| Ok((name.clone(), form.int(name)?))).collect()
}

fn trigger(value: &Value) -> Result<Trigger, Failure> {
    let form = Form::of("trigger", value)?;
    let kind = match form.text("type")? {
        "event_time" => TriggerKind::EventTime,
        "processing_time" => TriggerKind::ProcessingTime,
        "count" => {
            let n = u64::try_from(form.int("n")?);
            TriggerKind::Count(n.map_err(|_| form.failure("n", "is negative"))?)
        }
        "continuous_event_time" => {
            TriggerKind::ContinuousEventTime(form.positive_millis("interval")?)
        }
        "never" => TriggerKind::Never,
        _ => return Err(form.failure("type", "is not known to the player")),
    };
    let purging = form.flag("purging")?;
    form.done()?;
    Ok(Trigger { kind, purging })
}

fn default_trigger(assigner: &Assigner<String, i64>, time: TimeDomain) -> TriggerKind {
    match (assigner, time) {
        (Assigner::Global, _) => TriggerKind::Never,
        (_, TimeDomain::Event) => TriggerKind::EventTime,
        (_, TimeDomain::Processing) => TriggerKind::ProcessingTime,
    }
}
