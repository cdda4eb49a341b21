//! The engine's assigners, of which an operator would be made, and what they assign.

use std::sync::Arc;
use std::time::Duration;

use highwater_core::Result;
use highwater_operators::window::{
    Assigner, Global, Session, SessionAssigner, Sliding, TimeWindow, Tumbling,
};
use highwater_sim::oracle::{self, Gap, TimeDomain};

use crate::subject::{AssignSubject, Made};

/// A record: key and value.
pub(super) type Item = (String, i64);

/// Makes the assigner of a description, in event time.
pub(super) fn make(assigner: &oracle::Assigner<String, i64>) -> Made<dyn AssignSubject> {
    use oracle::Assigner::{
        Global as Whole, Session as Silence, Sliding as Slides, Tumbling as Row,
    };
    let event = TimeDomain::Event;
    Some(match assigner {
        Row { size, offset } => Box::new(Grid(tumbling(*size, *offset, event))),
        Slides { size, slide, offset } => Box::new(Grid(sliding(*size, *slide, *offset, event))),
        Whole => Box::new(Grid(Global)),
        Silence { gap: Gap::Fixed(gap) } => Box::new(Opens(Session::gap(millis(*gap)))),
        Silence { gap: Gap::PerRecord(rule) } => Box::new(Opens(RuledSession::new(rule))),
    })
}

/// A length of time in ms, as options have it.
pub(super) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).expect("a length of time is not negative"))
}

pub(super) fn tumbling(size: i64, offset: i64, time: TimeDomain) -> Tumbling {
    let tumbling = Tumbling::of(millis(size)).offset_ms(offset);
    if time == TimeDomain::Processing { tumbling.processing_time() } else { tumbling }
}

pub(super) fn sliding(size: i64, slide: i64, offset: i64, time: TimeDomain) -> Sliding {
    let sliding = Sliding::of(millis(size), millis(slide)).offset_ms(offset);
    if time == TimeDomain::Processing { sliding.processing_time() } else { sliding }
}

/// A rule that gives the session gap of one record.
type Rule = Arc<dyn Fn(&String, &i64) -> i64 + Send + Sync>;

/// Sessions with a gap for each record. Where the rule says 0, the session is empty, which the
/// engine's own dynamic sessions refuse, as Flink's do: this is an assigner as users write it.
#[derive(Clone)]
pub(super) struct RuledSession<S> {
    rule: Rule,
    dynamic: S,
}

impl RuledSession<()> {
    pub(super) fn new(rule: &Rule) -> RuledSession<impl SessionAssigner<Item> + Clone + use<>> {
        let gap = Arc::clone(rule);
        let dynamic = Session::dynamic(move |(key, value): &Item| gap(key, value));
        RuledSession { rule: Arc::clone(rule), dynamic }
    }
}

impl<S: SessionAssigner<Item>> SessionAssigner<Item> for RuledSession<S> {
    fn check(&self) -> Result<()> {
        self.dynamic.check()
    }

    fn is_event_time(&self) -> bool {
        self.dynamic.is_event_time()
    }

    fn session(&self, item: &Item, time: i64) -> Result<TimeWindow> {
        match (self.rule)(&item.0, &item.1) {
            0 => Ok(TimeWindow::new(time, time)),
            _ => self.dynamic.session(item, time),
        }
    }
}

/// Windows that do not merge.
struct Grid<A>(A);

impl<A: Assigner<Item>> AssignSubject for Grid<A> {
    fn assign(&self, ts: i64) -> Vec<(i64, i64)> {
        self.0.check().expect("the assigner is allowed");
        let mut windows = Vec::new();
        self.0.assign(&(String::new(), 0), ts, 0, &mut windows);
        windows.iter().map(|window| (window.start, window.end)).collect()
    }
}

/// Windows that merge; here, the one that a record opens.
struct Opens<S>(S);

impl<S: SessionAssigner<Item>> AssignSubject for Opens<S> {
    fn assign(&self, ts: i64) -> Vec<(i64, i64)> {
        self.0.check().expect("the assigner is allowed");
        let window = self.0.session(&(String::new(), 0), ts).expect("a record opens a session");
        vec![(window.start, window.end)]
    }
}
