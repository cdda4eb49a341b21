//! Plays `beam_triggers`: transcripts of Beam's trigger tests, as far as Flink can say the same.
//!
//! A value is the place of its element in the script, so that the window function knows the
//! element's timestamp and whether it was behind the watermark when it came. From this and from the
//! panes before it, the function makes what Beam says about a pane:
//!
//! | field | made of |
//! |---|---|
//! | `values`, `window` | the contents; empty panes, which Flink never emits, are not expected |
//! | `timestamp` | the window's last instant, or the earliest or latest new element on time |
//! | `early` | the watermark has not passed the window |
//! | `index`, `nonspeculative_index` | the number of panes before it, the early ones left out |
//! | `late` | not early, and not the first that is not |
//! | `final` | not compared: a window of Flink does not know whether it fires again |
//!
//! Beam asks a trigger once for each bundle: the panes of one window in one bundle become one.
//! As in Beam, a step that emits panes has to be followed by the step that expects them.

use std::collections::{BTreeMap, BTreeSet};

use highwater_sim::oracle::Fired;
use serde_json::{Map, Value, json};

use crate::beam_applicable;
use crate::beam_case::{self, BeamCase, Combiner, Reading, Step};
use crate::case::Case;
use crate::form::{Failure, Form};
use crate::report::Verdict;
use crate::subject::{Aggregate, Subjects, WindowSubject};

/// The fields of a pane.
const FIELDS: [&str; 8] =
    ["window", "values", "timestamp", "early", "late", "index", "nonspeculative_index", "final"];

pub(crate) fn play(case: &Case, subjects: &Subjects) -> Result<Verdict, Failure> {
    let case = match beam_case::read(case)? {
        Reading::Case(case) => case,
        Reading::Foreign(reason) => return Ok(Verdict::NotApplicable(reason)),
    };
    if let Some(reason) = beam_applicable::difference(&case) {
        return Ok(Verdict::NotApplicable(reason));
    }
    let Some(subject) = (subjects.window)(&case.spec, Aggregate::Each) else {
        return Ok(Verdict::NotThere);
    };
    let outcome = Player::new(&case, subject).play();
    match &case.error {
        None => outcome.map(|()| Verdict::Passed),
        Some(error) => refused(error, case.script.len(), outcome),
    }
}

/// The words by which Beam's player refuses a transcript.
const UNMATCHED: &str = "Unmatched output";
const UNEXPECTED: &str = "Unexpected output";

/// A case with an `error` holds if the player refuses it for this reason.
fn refused(error: &str, step: usize, outcome: Result<(), Failure>) -> Result<Verdict, Failure> {
    let got = match &outcome {
        Ok(()) => "nothing went wrong".to_owned(),
        Err(Failure::Mismatch { expected, .. }) if expected == "nothing" => UNEXPECTED.to_owned(),
        Err(Failure::Mismatch { .. }) => UNMATCHED.to_owned(),
        Err(other) => other.to_string(),
    };
    match error {
        UNMATCHED | UNEXPECTED if got == error => Ok(Verdict::Passed),
        UNMATCHED | UNEXPECTED => {
            Err(Failure::Mismatch { step, expected: format!("the error `{error}`"), got })
        }
        _ => Err(Failure::form(format!("error `{error}` is not known to the player"))),
    }
}

/// An element of the script.
struct Element {
    ts: i64,
    behind: bool,
}

/// How many panes a window has had.
#[derive(Clone, Copy, Default)]
struct Panes {
    all: i64,
    nonspeculative: i64,
}

struct Player<'a> {
    case: &'a BeamCase,
    subject: Box<dyn WindowSubject>,
    watermark: i64,
    elements: Vec<Element>,
    seen: BTreeSet<i64>,
    panes: BTreeMap<(i64, i64), Panes>,
    pending: Vec<Map<String, Value>>,
}

impl<'a> Player<'a> {
    fn new(case: &'a BeamCase, subject: Box<dyn WindowSubject>) -> Self {
        Player {
            case,
            subject,
            watermark: i64::MIN,
            elements: Vec::new(),
            seen: BTreeSet::new(),
            panes: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    fn play(mut self) -> Result<(), Failure> {
        let case = self.case;
        for (at, step) in case.script.iter().enumerate() {
            match step {
                Step::Input(bundle) => {
                    self.nothing_pending(at)?;
                    let mut fired = Vec::new();
                    for ts in bundle {
                        fired.extend(self.element(*ts));
                    }
                    self.emit(self.one_each(fired));
                }
                Step::Watermark(watermark) => {
                    self.nothing_pending(at)?;
                    self.watermark = self.watermark.max(*watermark);
                    self.subject.watermark(watermark.saturating_sub(1));
                    let fired = self.subject.take_output();
                    self.emit(fired);
                }
                Step::Expect(expected) => self.expect(at, expected)?,
            }
        }
        self.nothing_pending(case.script.len())
    }

    fn element(&mut self, ts: i64) -> Vec<Fired<String, i64>> {
        let place = i64::try_from(self.elements.len()).expect("a script is short");
        self.elements.push(Element { ts, behind: ts < self.watermark });
        self.subject.element("key", place, ts);
        self.subject.take_late();
        self.subject.take_output()
    }

    /// Makes one pane of the panes that a window has in one bundle.
    fn one_each(&self, fired: Vec<Fired<String, i64>>) -> Vec<Fired<String, i64>> {
        let merges = self.case.spec.assigner.merges();
        let mut panes: Vec<Fired<String, i64>> = Vec::new();
        for mut next in fired {
            let is_next = |pane: &Fired<String, i64>| {
                pane.window == next.window || (merges && pane.window.touches(&next.window))
            };
            let (before, rest) = panes.into_iter().partition(is_next);
            panes = rest;
            if self.case.discarding {
                let before: Vec<Fired<String, i64>> = before;
                next.values.extend(before.into_iter().flat_map(|pane| pane.values));
            }
            panes.push(next);
        }
        panes
    }

    fn emit(&mut self, fired: Vec<Fired<String, i64>>) {
        for fired in fired {
            let pane = self.describe(&fired);
            self.pending.push(pane);
        }
    }

    /// Says of a pane what Beam says of it.
    fn describe(&mut self, fired: &Fired<String, i64>) -> Map<String, Value> {
        let window = (fired.window.start, fired.window.end - 1);
        let early = self.watermark < fired.window.end;
        let panes = self.count(window, early);
        let timestamp = self.timestamp(fired);
        let mut values: Vec<i64> = fired.values.iter().map(|place| self.at(*place).ts).collect();
        values.sort_unstable();
        let mut pane = Map::new();
        pane.insert("window".into(), json!([window.0, window.1]));
        pane.insert("values".into(), json!(values));
        pane.insert("timestamp".into(), json!(timestamp));
        pane.insert("early".into(), json!(early));
        pane.insert("late".into(), json!(!early && panes.nonspeculative > 0));
        pane.insert("index".into(), json!(panes.all));
        pane.insert("nonspeculative_index".into(), json!(panes.nonspeculative));
        pane
    }

    /// Counts a pane and returns how many there were before it.
    fn count(&mut self, window: (i64, i64), early: bool) -> Panes {
        let panes = self.panes.entry(window).or_default();
        let before = *panes;
        panes.all += 1;
        panes.nonspeculative += i64::from(!early);
        before
    }

    fn timestamp(&mut self, fired: &Fired<String, i64>) -> i64 {
        let new: Vec<i64> =
            fired.values.iter().copied().filter(|place| self.seen.insert(*place)).collect();
        let on_time = new.iter().map(|place| self.at(*place)).filter(|element| !element.behind);
        let combined = match self.case.combiner {
            Combiner::EndOfWindow => None,
            Combiner::Earliest => on_time.map(|element| element.ts).min(),
            Combiner::Latest => on_time.map(|element| element.ts).max(),
        };
        combined.unwrap_or(fired.timestamp)
    }

    fn at(&self, place: i64) -> &Element {
        let place = usize::try_from(place).expect("a value is the place of an element");
        &self.elements[place]
    }

    fn nothing_pending(&self, step: usize) -> Result<(), Failure> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let got = json!(self.pending).to_string();
        Err(Failure::Mismatch { step, expected: "nothing".to_owned(), got })
    }

    fn expect(&mut self, step: usize, expected: &[Value]) -> Result<(), Failure> {
        for value in expected {
            let pane = wanted(step, value)?;
            if pane.get("values") == Some(&json!([])) {
                self.skip_empty(&pane);
                continue;
            }
            let agrees = |got: &Map<String, Value>| {
                pane.iter().all(|(field, value)| got.get(field) == Some(value))
            };
            let Some(place) = self.pending.iter().position(agrees) else {
                let got = json!(self.pending).to_string();
                return Err(Failure::Mismatch { step, expected: value.to_string(), got });
            };
            self.pending.remove(place);
        }
        self.nothing_pending(step)
    }

    /// Counts a pane without contents, which Beam emits at a window's end and Flink does not.
    fn skip_empty(&mut self, pane: &Map<String, Value>) {
        let bound = |place: usize| pane.get("window").and_then(|window| window[place].as_i64());
        if let (Some(start), Some(end)) = (bound(0), bound(1)) {
            self.count((start, end), self.watermark <= end);
        }
    }
}

/// Reads what is expected of a pane, without what is not compared.
fn wanted(step: usize, value: &Value) -> Result<Map<String, Value>, Failure> {
    let form = Form::of(format!("step {step}: expect"), value)?;
    let mut wanted = Map::new();
    for field in FIELDS {
        if let Some(value) = form.get(field).filter(|_| field != "final") {
            wanted.insert(field.into(), value.clone());
        }
    }
    if form.has("values") {
        let mut values = form.ints("values")?;
        values.sort_unstable();
        wanted.insert("values".into(), json!(values));
    }
    form.done()?;
    Ok(wanted)
}
