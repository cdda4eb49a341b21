//! Sources that give a little at a time and are asked again at once.
//!
//! | family | what it would catch |
//! |---|---|
//! | no pause | records that wait at their source for the end of its budget, because it is polled on and on |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highwater::core::config::{Budget, Config as Engine};
use highwater::core::record::Batch;
use highwater::core::sink::{Committable, Sink, Writer, WriterContext};
use highwater::core::source::{Boundedness, Poll, Reader, Source};
use highwater::core::time::Epoch;
use highwater::operators::environment::execute;
use highwater::prelude::*;
use highwater_sim::within;

const RECORDS: u64 = 100;
/// How many records may be between the source and the sink: one a step of the worker.
const UNDER_WAY: u64 = 3;

/// Gives a number a poll, never pauses, and fails when they do not reach the sink meanwhile.
#[derive(Clone)]
struct Trickle {
    written: Arc<AtomicU64>,
    given: u64,
}

impl Source for Trickle {
    type Item = u64;
    type Split = ();
    type Reader = Trickle;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn splits(&self, _: usize) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    fn open(&self, (): &()) -> Result<Trickle> {
        Ok(self.clone())
    }

    fn resume(&self, (): &(), given: &u64) -> Result<Trickle> {
        self.written.store(*given, Ordering::SeqCst);
        Ok(Trickle { given: *given, ..self.clone() })
    }
}

impl Reader for Trickle {
    type Item = u64;
    type Offset = u64;

    fn offset(&self) -> u64 {
        self.given
    }

    fn poll(&mut self, out: &mut Batch<u64>, _: usize) -> Result<Poll> {
        let waiting = self.given - self.written.load(Ordering::SeqCst);
        if waiting > UNDER_WAY {
            return Err(Error::program(format!("{waiting} records wait")));
        }
        if self.given == RECORDS {
            return Ok(Poll::End);
        }
        out.push(Record::new(0, self.given));
        self.given += 1;
        Ok(Poll::Pending(Duration::ZERO))
    }
}

/// Counts what it writes.
#[derive(Clone)]
struct Written(Arc<AtomicU64>);

impl Sink<u64> for Written {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer<u64>>> {
        Ok(Box::new(self.clone()))
    }
}

impl Writer<u64> for Written {
    fn write(&mut self, batch: &mut Batch<u64>) -> Result<()> {
        self.0.fetch_add(batch.len() as u64, Ordering::SeqCst);
        batch.clear();
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        Ok(Vec::new())
    }
}

#[test]
fn records_of_a_source_that_never_pauses_leave_it_before_its_budget_ends() {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let ended = within(Duration::from_secs(20), "the trickle", move || {
        let budget = Budget { time: Duration::from_secs(60), ..Budget::default() };
        execute(Engine { budget, ..Engine::workers(1) }, move |env| {
            let trickle = Trickle { written: Arc::clone(&written), given: 0 };
            env.read(trickle).sink(Written(Arc::clone(&written)));
            Ok(())
        })
    });
    ended.expect("the job ends");
    assert_eq!(count.load(Ordering::SeqCst), RECORDS);
}
