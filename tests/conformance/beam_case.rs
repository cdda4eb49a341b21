//! Reads a case of `beam_triggers` into an operator of Flink and a script.
//!
//! | Beam | Flink |
//! |---|---|
//! | watermark `w`: all later elements have `ts >= w` | watermark `w - 1` |
//! | window `[s, e]` of whole instants | window `[s, e + 1)` |
//! | `Default` | event-time trigger |
//! | accumulating, discarding | FIRE, FIRE_AND_PURGE |
//! | `AfterWatermark(early, late)`, `AfterCount`, `Repeatedly`, ... | a custom trigger |
//! | a trigger that has finished | a custom trigger that answers PURGE |

use highwater_sim::oracle::{
    Assigner, Composite, Gap, TimeDomain, Trigger, TriggerKind, WindowSpec,
};
use serde_json::Value;

use crate::beam_expression::{Argument, Call};
use crate::case::Case;
use crate::form::{Failure, Form};

/// A case that Flink could play.
pub(crate) struct BeamCase {
    /// The operator.
    pub(crate) spec: WindowSpec<String, i64>,
    /// Whether a pane holds only what is new; the trigger purges then.
    pub(crate) discarding: bool,
    /// Which timestamp a pane has.
    pub(crate) combiner: Combiner,
    /// What has to go wrong, for cases that test Beam's own player.
    pub(crate) error: Option<String>,
    /// The steps.
    pub(crate) script: Vec<Step>,
}

/// Which timestamp a pane has.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Combiner {
    /// The window's last instant, as in Flink.
    EndOfWindow,
    /// The earliest of its new elements that were not behind the watermark.
    Earliest,
    /// The latest of them.
    Latest,
}

/// A step.
pub(crate) enum Step {
    /// A bundle of elements, which are their own timestamps.
    Input(Vec<i64>),
    /// A watermark of Beam.
    Watermark(i64),
    /// The panes since the last step.
    Expect(Vec<Value>),
}

/// What the reading of a case comes to.
pub(crate) enum Reading {
    /// A case that can be played.
    Case(Box<BeamCase>),
    /// Something that Flink does not have.
    Foreign(String),
}

/// What one part of a case comes to.
type Part<T> = Result<Result<T, String>, Failure>;

/// Reads a case.
pub(crate) fn read(case: &Case) -> Result<Reading, Failure> {
    let form = Form::of_case(&case.body)?;
    form.get("broken_on");
    let error = if form.has("error") { Some(form.text("error")?.to_owned()) } else { None };
    let allowed_lateness = form.int_or_zero("allowed_lateness")?;
    let assigner = assigner(form.text("window_fn")?)?;
    let kind = trigger(&Call::read(form.text_or("trigger_fn", "Default")?)?)?;
    let discarding = discarding(&form)?;
    let combiner = combiner(&form)?;
    let script = script(form.list("transcript")?)?;
    form.done()?;
    Ok(match (assigner, kind, discarding, combiner, script) {
        (Ok(assigner), Ok(kind), Ok(discarding), Ok(combiner), Ok(script)) => {
            let trigger = Trigger { kind, purging: discarding };
            let time = TimeDomain::Event;
            let spec = WindowSpec { assigner, time, trigger, allowed_lateness };
            Reading::Case(Box::new(BeamCase { spec, discarding, combiner, error, script }))
        }
        (assigner, kind, discarding, combiner, script) => {
            let reasons = [assigner.err(), kind.err(), discarding.err(), combiner.err()];
            let reasons = reasons.into_iter().chain([script.err()]).flatten();
            Reading::Foreign(reasons.collect::<Vec<String>>().join("; "))
        }
    })
}

fn assigner(text: &str) -> Part<Assigner<String, i64>> {
    let call = Call::read(text)?;
    let unknown = || Failure::form(format!("window_fn `{text}` is not known to the player"));
    let numbers = call.numbers().ok_or_else(unknown)?;
    let assigner = match (call.name.as_str(), numbers.as_slice()) {
        ("FixedWindows", [size]) => Assigner::Tumbling { size: *size, offset: 0 },
        ("FixedWindows", [size, offset]) => Assigner::Tumbling { size: *size, offset: *offset },
        ("SlidingWindows", [size, slide]) => {
            Assigner::Sliding { size: *size, slide: *slide, offset: 0 }
        }
        ("SlidingWindows", [size, slide, offset]) => {
            Assigner::Sliding { size: *size, slide: *slide, offset: *offset }
        }
        ("Sessions", [gap]) => Assigner::Session { gap: Gap::Fixed(*gap) },
        ("GlobalWindows", []) => {
            return Ok(Err("Beam's global window ends, Flink's does not".into()));
        }
        (name, _) if name.starts_with("Custom") => {
            return Ok(Err(format!("{name} is code of Beam's own tests")));
        }
        _ => return Err(unknown()),
    };
    Ok(Ok(assigner))
}

/// Reads a trigger; the plain ones of Flink stay plain.
fn trigger(call: &Call) -> Part<TriggerKind> {
    Ok(composite(call)?.map(|composite| match composite {
        Composite::Default => TriggerKind::EventTime,
        Composite::Repeatedly(inner) if matches!(*inner, Composite::Count(_)) => match *inner {
            Composite::Count(n) => TriggerKind::Count(n),
            other => TriggerKind::Composite(other),
        },
        other => TriggerKind::Composite(other),
    }))
}

fn composite(call: &Call) -> Part<Composite> {
    let unknown = || Failure::form(format!("trigger {call:?} is not known to the player"));
    let all = |calls: Option<Vec<&Call>>| -> Part<Vec<Composite>> {
        calls.ok_or_else(unknown)?.into_iter().map(composite).collect()
    };
    Ok(match call.name.as_str() {
        "Default" | "DefaultTrigger" if call.arguments.is_empty() => Ok(Composite::Default),
        "AfterCount" => match call.numbers().as_deref() {
            Some([n]) => Ok(Composite::Count(u64::try_from(*n).map_err(|_| unknown())?)),
            _ => return Err(unknown()),
        },
        "AfterWatermark" => after_watermark(call)?,
        "Repeatedly" => match call.calls().as_deref() {
            Some([inner]) => composite(inner)?.map(|inner| Composite::Repeatedly(Box::new(inner))),
            _ => return Err(unknown()),
        },
        "AfterAny" | "AfterFirst" | "OrFinally" => all(call.calls())?.map(Composite::Any),
        "AfterAll" => all(call.calls())?.map(Composite::All),
        "AfterEach" => all(call.calls())?.map(Composite::Each),
        "AfterProcessingTime" => Err("AfterProcessingTime: the script has no clock".into()),
        "Always" => Err("Always fires at the end of each bundle, which Flink has not".into()),
        _ => return Err(unknown()),
    })
}

fn after_watermark(call: &Call) -> Part<Composite> {
    let (mut early, mut late) = (None, None);
    for argument in &call.arguments {
        let (place, inner) = match argument {
            (Some(name), Argument::Call(inner)) if name == "early" => (&mut early, inner),
            (Some(name), Argument::Call(inner)) if name == "late" => (&mut late, inner),
            _ => {
                let what = format!("trigger {call:?} has an argument unknown to the player");
                return Err(Failure::form(what));
            }
        };
        match composite(inner)? {
            Ok(inner) => *place = Some(Box::new(inner)),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(Composite::Watermark { early, late }))
}

fn discarding(form: &Form) -> Part<bool> {
    Ok(match form.text_or("accumulation_mode", "accumulating")?.to_lowercase().as_str() {
        "accumulating" => Ok(false),
        "discarding" => Ok(true),
        "retracting" => Err("Flink's windows do not retract".into()),
        _ => return Err(form.failure("accumulation_mode", "is not known to the player")),
    })
}

fn combiner(form: &Form) -> Part<Combiner> {
    Ok(match form.text_or("timestamp_combiner", "OUTPUT_AT_EOW")?.to_uppercase().as_str() {
        "OUTPUT_AT_EOW" => Ok(Combiner::EndOfWindow),
        "OUTPUT_AT_EARLIEST" => Ok(Combiner::Earliest),
        "OUTPUT_AT_LATEST" => Ok(Combiner::Latest),
        "OUTPUT_AT_EARLIEST_TRANSFORMED" => {
            Err("the window function changes timestamps, Flink's assigners cannot".into())
        }
        _ => return Err(form.failure("timestamp_combiner", "is not known to the player")),
    })
}

fn script(list: &[Value]) -> Part<Vec<Step>> {
    let mut steps = Vec::new();
    for (at, value) in list.iter().enumerate() {
        let form = Form::of(format!("step {at}"), value)?;
        if form.has("input") {
            steps.push(Step::Input(form.ints("input")?));
        } else if form.has("watermark") {
            steps.push(Step::Watermark(form.int("watermark")?));
        } else if form.has("expect") {
            steps.push(Step::Expect(form.list("expect")?.clone()));
        } else if form.has("state") {
            return Ok(Err("the step `state` looks at Beam's own bookkeeping (tombstones)".into()));
        }
        form.done()?;
    }
    Ok(Ok(steps))
}
