//! Jobs that fail: they end, say where and why, and leave nothing behind.
//!
//! | family | what it would catch |
//! |---|---|
//! | panics | a worker that waits for ever for one that has died; a message without the operator; results of a failed job that become visible |
//! | errors of sources and sinks | an error that is swallowed, or loses the name of its operator |
//! | stores that fail | a disk error that looks like a panic, or loses the name of its operator |
//! | programs that are refused | two operators with one uid; batch mode over an input without an end |

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use highwater::core::config::{Config as Engine, Mode};
use highwater::core::error::ErrorKind;
use highwater::core::record::Batch;
use highwater::core::sink::{Committable, Sink, Writer, WriterContext};
use highwater::core::source::{Boundedness, Poll, Reader, Source};
use highwater::core::store::{Family, FrozenStore, Store, Stores, Visit};
use highwater::core::time::Epoch;
use highwater::operators::environment::execute;
use highwater::prelude::*;
use highwater_sim::within;

/// The number that every failing function chokes on. It comes while all workers are busy.
const POISON: u64 = 20_011;

fn choke(n: u64) -> u64 {
    assert!(n != POISON, "choked on {n}");
    n
}

/// Numbers without an end, so that the job ends by its failure alone.
fn numbers<'scope>(env: &Env<'scope>) -> DataStream<'scope, u64> {
    let numbers = env.read(Generator::unbounded(|n| n)).name("numbers");
    numbers.watermarks(Watermarks::monotonous().event_time(|n: &u64| *n as i64))
}

/// Runs a job that must fail, on 1 to 4 workers, and returns its errors.
fn failures<F>(what: &str, program: F) -> Vec<Error>
where
    F: for<'scope> Fn(&Env<'scope>, Collect<u64>) -> Result<()> + Clone + Send + Sync + 'static,
{
    let run = |workers| {
        let (results, program) = (Collect::new(), program.clone());
        let sink = results.clone();
        let what = format!("{what} on {workers} workers");
        let ended = within(Duration::from_secs(20), &what, move || {
            let config = Engine { credit_bytes: 100_000, ..Engine::workers(workers) };
            execute(config, move |env| program(env, sink.clone()))
        });
        assert!(results.take().is_empty(), "{what}: results of a failed job are visible");
        ended.expect_err(&what)
    };
    (1..=4).map(run).collect()
}

/// Checks that a panic names one of these operators.
fn panics<F>(operators: &[&str], program: F)
where
    F: for<'scope> Fn(&Env<'scope>, Collect<u64>) -> Result<()> + Clone + Send + Sync + 'static,
{
    for error in failures(operators[0], program) {
        match &error {
            Error::Panicked { operator, message, .. } => {
                let operator = operator.as_deref().expect("an operator was running");
                assert!(operators.iter().any(|name| operator.contains(name)), "{error}");
                assert!(message.contains("choked on 20011"), "{error}");
            }
            other => panic!("{other:?} is no panic"),
        }
    }
}

#[test]
fn a_panic_in_a_map_ends_the_job_and_names_the_operator() {
    panics(&["chews"], |env, sink| {
        numbers(env).key_by(|n| *n).count().map(|(n, _)| choke(n)).name("chews").sink(sink);
        Ok(())
    });
}

#[test]
fn a_panic_in_a_step_of_the_source_names_the_source() {
    panics(&["numbers"], |env, sink| {
        env.read(Generator::unbounded(|n| n)).name("numbers").map(choke).sink(sink);
        Ok(())
    });
}

#[test]
fn a_panic_in_a_key_function_names_the_operator_that_sends_or_receives() {
    panics(&["numbers", "counts"], |env, sink| {
        numbers(env).key_by(|n| choke(*n)).count().name("counts").map(|(n, _)| n).sink(sink);
        Ok(())
    });
}

#[test]
fn a_panic_in_a_window_names_the_window_operator() {
    panics(&["hourly"], |env, sink| {
        let windows = numbers(env).key_by(|n| n % 16).window(Tumbling::of(millis(1000)));
        let greatest = windows.reduce(|a, b| choke(a).max(choke(b))).name("hourly");
        greatest.map(|windowed| windowed.value).sink(sink);
        Ok(())
    });
}

#[test]
fn a_panic_while_a_function_is_made_names_its_operator() {
    struct Never;
    impl KeyedProcessFunction<u64, u64> for Never {
        type Out = u64;
        fn process_element(&mut self, _: u64, _: &mut ProcessContext<'_, '_, u64, u64>) {}
    }
    panics(&["makes"], |env, sink| {
        let made = numbers(env).key_by(|n| *n).process(|_| {
            choke(POISON);
            Ok(Never)
        });
        made.name("makes").sink(sink);
        Ok(())
    });
}

#[test]
fn a_panic_of_the_program_itself_is_said_to_be_outside_of_operators() {
    for error in failures("a program that panics", |_, _| {
        choke(POISON);
        Ok(())
    }) {
        let sentence = error.sentence();
        assert!(sentence.starts_with("code outside of operators panicked on worker"), "{sentence}");
        assert!(sentence.ends_with("choked on 20011"), "{sentence}");
    }
}

/// Fails at a point of the life of a sink.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    PanicInWrite,
    Write,
    PreCommit,
    Prepare,
    Commit,
}

#[derive(Clone)]
struct Failing {
    at: At,
    aborted: Arc<AtomicUsize>,
}

impl Sink<u64> for Failing {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer<u64>>> {
        Ok(Box::new(self.clone()))
    }
}

impl Writer<u64> for Failing {
    fn write(&mut self, batch: &mut Batch<u64>) -> Result<()> {
        for record in batch.drain(..) {
            match self.at {
                At::PanicInWrite => drop(choke(record.value)),
                At::Write if record.value == POISON => return Err(Error::program("disk full")),
                _ => {}
            }
        }
        Ok(())
    }

    fn pre_commit(&mut self, _: Epoch) -> Result<Vec<Box<dyn Committable>>> {
        match self.at {
            At::PreCommit => Err(Error::program("disk full")),
            _ => Ok(vec![Box::new(self.clone())]),
        }
    }
}

impl Committable for Failing {
    fn prepare(&mut self) -> Result<String> {
        match self.at {
            At::Prepare => Err(Error::program("disk full")),
            _ => Ok(String::new()),
        }
    }

    fn commit(&mut self) -> Result<()> {
        Err(Error::program("disk full"))
    }

    fn abort(&mut self) {
        self.aborted.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_panic_in_a_sink_names_the_sink() {
    panics(&["drain"], |env, sink| {
        numbers(env).sink(sink);
        let failing = Failing { at: At::PanicInWrite, aborted: Arc::default() };
        let _drain = numbers(env).sink(failing).name("drain");
        Ok(())
    });
}

#[test]
fn an_error_of_a_sink_ends_the_job_with_its_name_and_cause() {
    for error in failures("a full disk", |env, sink| {
        numbers(env).sink(sink);
        let failing = Failing { at: At::Write, aborted: Arc::default() };
        let _drain = numbers(env).sink(failing).name("drain");
        Ok(())
    }) {
        assert_eq!(error.sentence(), "operator \"drain\": disk full");
    }
}

#[test]
fn an_error_before_the_commit_shows_nothing_and_aborts_the_other_workers() {
    for at in [At::PreCommit, At::Prepare, At::Commit] {
        let aborted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&aborted);
        let errors = failures("a sink that cannot commit", move |env, _| {
            let items = env.read(Generator::new(1000, |n| n));
            let failing = Failing { at, aborted: Arc::clone(&count) };
            let _drain = items.sink(failing).name("drain");
            Ok(())
        });
        assert!(errors.iter().all(|error| error.sentence().ends_with("disk full")), "{errors:?}");
        // The first commit fails, so that those of the other 0 to 3 workers are taken back.
        let expected = match at {
            At::Commit => 1 + 2 + 3..=1 + 2 + 3,
            // How many get that far before the job stops is open, but each of them aborts.
            At::Prepare => 3..=1 + 2 + 4,
            _ => 0..=0,
        };
        assert!(expected.contains(&aborted.load(Ordering::SeqCst)), "{aborted:?}");
    }
}

/// A source that fails at the poisonous number, or cannot even be listed.
#[derive(Clone, Copy)]
struct Broken {
    listed: bool,
}

struct BrokenReader(u64);

impl Source for Broken {
    type Item = u64;
    type Split = u64;
    type Reader = BrokenReader;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Unbounded
    }

    fn splits(&self, parallelism: usize) -> Result<Vec<u64>> {
        let splits = (0..parallelism as u64).collect();
        if self.listed { Ok(splits) } else { Err(Error::program("no such folder")) }
    }

    fn open(&self, split: &u64) -> Result<BrokenReader> {
        Ok(BrokenReader(*split))
    }

    fn resume(&self, _: &u64, offset: &u64) -> Result<BrokenReader> {
        Ok(BrokenReader(*offset))
    }
}

impl Reader for BrokenReader {
    type Item = u64;
    type Offset = u64;

    fn offset(&self) -> u64 {
        self.0
    }

    fn poll(&mut self, out: &mut Batch<u64>, limit: usize) -> Result<Poll> {
        for _ in 0..limit {
            self.0 += 1;
            if self.0 == POISON {
                return Err(Error::input("in.csv", Some(self.0), "no number"));
            }
            out.push(Record::new(0, self.0));
        }
        Ok(Poll::More)
    }
}

#[test]
fn an_error_of_a_source_ends_the_job_with_its_name_and_cause() {
    for (listed, cause) in [(true, "in.csv, line 20011: no number"), (false, "no such folder")] {
        for error in failures("a broken source", move |env, sink| {
            env.read(Broken { listed })
                .name("broken")
                .key_by(|n| *n)
                .count()
                .map(|(n, _)| n)
                .sink(sink);
            Ok(())
        }) {
            let sentence = error.sentence();
            assert!(
                sentence.starts_with("operator \"broken") && sentence.ends_with(cause),
                "{sentence}"
            );
        }
    }
}

#[test]
fn an_error_of_the_program_itself_ends_the_job() {
    for error in failures("a program that gives up", |_, _| Err(Error::program("no input given"))) {
        assert_eq!(error.sentence(), "no input given");
    }
}

#[test]
fn two_operators_with_one_uid_are_refused() {
    for error in failures("two equal uids", |env, sink| {
        let numbers = env.read(Generator::new(10, |n| n));
        let first = numbers.key_by(|n| *n).count().name("first").uid("counts");
        let second = numbers.key_by(|n| *n).count().name("second").uid("counts");
        first.union(&[&second]).map(|(n, _)| n).sink(sink);
        Ok(())
    }) {
        let sentence = error.sentence();
        assert_eq!(sentence, "uid \"counts\" is given to two operators, first and second");
    }
}

#[test]
fn batch_mode_over_an_input_without_an_end_is_refused() {
    let config = Engine { mode: Mode::Batch, ..Engine::workers(2) };
    let ended = within(Duration::from_secs(20), "batch without an end", || {
        execute(config, |env| {
            numbers(env).discard();
            Ok(())
        })
    });
    let sentence = ended.expect_err("must be refused").sentence();
    assert!(sentence.starts_with("option --mode: batch is not allowed"), "{sentence}");
    assert!(sentence.contains("numbers"), "{sentence}");
}

/// A store that can be read and not written.
struct FullDisk;

impl Stores for FullDisk {
    fn open(&self, _uid: &str, _worker: usize) -> Result<Box<dyn Store>> {
        Ok(Box::new(FullDisk))
    }
    fn cache_bytes(&self) -> usize {
        0
    }
}

impl Store for FullDisk {
    fn family(&mut self, _name: &str, _expiry_ms: Option<i64>) -> Result<Family> {
        Ok(Family(0))
    }
    fn get_many(&self, _family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        Ok(vec![None; keys.len()])
    }
    fn write(
        &mut self,
        _family: Family,
        _entries: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>,
    ) -> Result<()> {
        Err(Error::io("write", "/state", std::io::ErrorKind::StorageFull.into()))
    }
    fn scan(&self, _: Family, _: &[u8], _: Option<&[u8]>, _: Visit<'_>) -> Result<()> {
        Ok(())
    }
    fn freeze(&mut self) -> Result<Box<dyn FrozenStore>> {
        Err(Error::program("nobody freezes this store"))
    }
}

#[test]
fn a_store_that_cannot_be_written_ends_the_job_with_the_operators_name_and_the_cause() {
    for workers in [1, 2] {
        let mut engine = Engine::workers(workers);
        engine.stores = Some(Arc::new(FullDisk));
        let ended = within(Duration::from_secs(20), "a full disk", move || {
            execute(engine, |env| {
                let _ = numbers(env).key_by(|n| *n).count().name("tally").sink(Collect::new());
                Ok(())
            })
        });
        let error = ended.expect_err("the state cannot be kept");
        let sentence = error.sentence();
        assert!(matches!(&error, Error::Operator { operator, .. } if operator == "tally"));
        assert!(sentence.contains("/state") && sentence.contains("write"), "{sentence}");
        assert_eq!(error.kind(), ErrorKind::Restart, "the state is lost, what is stored is not");
    }
}
