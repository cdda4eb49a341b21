//! Where operators keep their state. Would catch an operator that ignores what was said of it, says
//! it of others, or takes a store that nobody asked for.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater_connectors::collection::Collection;
use highwater_core::config::{Config, StateBackend};
use highwater_core::error::Result;
use highwater_core::store::{Store, Stores};
use highwater_operators::connect::KeyedCoProcessFunction;
use highwater_operators::environment::execute;
use highwater_operators::keyed_state::{States, ValueState};
use highwater_operators::process::ProcessContext;
use highwater_operators::stateful::Stateful;
use highwater_operators::stream::Named;
use highwater_operators::window::Tumbling;
use highwater_state::memory::MemoryStores;

/// Stores that note whom they were opened for.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<BTreeSet<String>>>);

impl Stores for Noted {
    fn open(&self, uid: &str, worker: usize) -> Result<Box<dyn Store>> {
        self.0.lock().unwrap().insert(uid.to_owned());
        MemoryStores { cache_bytes: 0 }.open(uid, worker)
    }

    fn cache_bytes(&self) -> usize {
        0
    }
}

/// Remembers something, and emits nothing.
struct Nothing(ValueState<u64>);

impl Nothing {
    fn new(states: &mut States<u64>) -> Result<Self> {
        Ok(Nothing(states.value("last")?))
    }
}

impl KeyedCoProcessFunction<u64, u64, u64> for Nothing {
    type Out = u64;
    fn process_left(&mut self, value: u64, cx: &mut ProcessContext<'_, '_, u64, u64>) {
        *cx.get_mut(self.0) = value;
    }
    fn process_right(&mut self, _: u64, _: &mut ProcessContext<'_, '_, u64, u64>) {}
}

/// Runs an operator of each kind, in the place that is chosen for it; returns which have a store.
fn with_stores(job: Option<StateBackend>, operator: Option<StateBackend>) -> BTreeSet<String> {
    let noted = Noted::default();
    let config = Config { stores: Some(Arc::new(noted.clone())), state: job, ..Config::workers(2) };
    execute(config, move |env| {
        fn chosen<S: Stateful>(stream: S, place: Option<StateBackend>) -> S {
            match place {
                Some(place) => stream.state(place),
                None => stream,
            }
        }
        let second = Duration::from_secs(1);
        let numbers = env.read(Collection::timestamped((0..100).map(|n| (n as i64, n))));
        let keyed = numbers.key_by(|n: &u64| n % 7);
        let _ = chosen(keyed.count(), operator).uid("count").discard();
        let windows = keyed.window(Tumbling::of(second)).reduce(|a, b| a + b);
        let _ = chosen(windows.uid("window"), operator).discard();
        let both = keyed.connect(&keyed).process(Nothing::new);
        let _ = chosen(both, operator).uid("connect").discard();
        let joined = keyed.interval_join(&keyed).between(0, 1).process(|a, b| a + b);
        let _ = chosen(joined, operator).uid("join").discard();
        let _ = keyed.count().uid("plain").discard();
        Ok(())
    })
    .unwrap();
    noted.0.lock().unwrap().clone()
}

const ALL: [&str; 5] = ["connect", "count", "join", "plain", "window"];
const CHOSEN: [&str; 4] = ["connect", "count", "join", "window"];

fn uids(noted: &BTreeSet<String>) -> Vec<&str> {
    noted.iter().map(String::as_str).collect()
}

#[test]
fn an_operator_keeps_its_state_where_it_says_and_else_where_the_job_does() {
    use StateBackend::{Heap, Store};
    for job in [None, Some(Store)] {
        assert_eq!(uids(&with_stores(job, None)), ALL);
        assert_eq!(uids(&with_stores(job, Some(Store))), ALL);
        assert_eq!(uids(&with_stores(job, Some(Heap))), ["plain"]);
    }
    assert!(with_stores(Some(Heap), None).is_empty());
    assert!(with_stores(Some(Heap), Some(Heap)).is_empty());
    assert_eq!(uids(&with_stores(Some(Heap), Some(Store))), CHOSEN);
}

#[test]
fn a_store_that_the_job_does_not_have_is_refused_with_the_operators_name() {
    let refused = execute(Config::workers(2), |env| {
        let numbers = env.read(Collection::of(0..10_u64)).key_by(|n| *n);
        let _ = numbers.count().state(StateBackend::Store).name("tally").discard();
        Ok(())
    });
    let sentence = refused.unwrap_err().sentence();
    let expected = "operator \"tally\" keeps its state in a store, and the job has none";
    assert!(sentence.contains(expected), "{sentence}");
}
