//! Exchanges: every record arrives exactly once, where its key belongs, and the job ends.
//!
//! | family | what it would catch |
//! |---|---|
//! | threads | a record lost, doubled or sent astray between free-running workers; an empty batch or a wrong count, which freezes the frontier; a sender that waits for credit for ever |
//! | turns | the same with batches of one record and credit for one byte, in drawn orders |
//! | nothing | sources, filters and flat maps that leave nothing: the job must end all the same |

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater::core::config::{Budget, Config as Engine};
use highwater::core::key::KeyGroups;
use highwater::core::key::{default_max_parallelism, stable_hash};
use highwater::operators::environment::execute;
use highwater::prelude::*;
use highwater_sim::{Happening, Item};
use highwater_sim::{Pace, Random, Run, Scripted, World, within};

/// Passes everything on.
struct Pass;

impl KeyedProcessFunction<u64, Item> for Pass {
    type Out = Item;
    fn process_element(&mut self, item: Item, cx: &mut ProcessContext<'_, '_, u64, Item>) {
        cx.emit(item);
    }
}

/// A chain of exchanges, with steps between them that drop and multiply.
#[derive(Clone, Debug)]
struct Chain {
    splits: Vec<Vec<Record<Item>>>,
    seed: u64,
    /// For each exchange: keep ids that are no multiple of the first, make copies modulo the second.
    hops: Vec<(u64, u64)>,
    keys: u64,
}

impl Chain {
    fn draw(random: &mut Random) -> Self {
        let keys = random.pick(&[1, 2, 50]);
        let mut id = 0;
        let splits = (0..random.between(0, 5)).map(|_| {
            let records = (0..random.pick(&[0, 1, 10, 300])).map(|_| {
                id += 1;
                Record::new(random.between(0, 100), Item { key: random.below(keys), value: 0, id })
            });
            records.collect()
        });
        let splits = splits.collect();
        let hops = (0..random.between(1, 4))
            .map(|_| (random.pick(&[1, 2, 7, 1000, 1000]), random.pick(&[0, 1, 2])));
        Chain { splits, hops: hops.collect(), seed: random.draw(), keys }
    }

    fn hop(hop: (u64, u64), item: Item, keys: u64) -> Vec<Item> {
        let (modulus, copies) = hop;
        let copies = if item.id.is_multiple_of(modulus) { 0 } else { copies.max(item.id % 2) };
        (0..copies).map(|i| Item { key: (item.key + i) % keys, ..item }).collect()
    }

    fn expected(&self) -> Vec<Item> {
        let mut items: Vec<_> =
            self.splits.concat().into_iter().map(|record| record.value).collect();
        for hop in &self.hops {
            items = items.into_iter().flat_map(|i| Self::hop(*hop, i, self.keys)).collect();
        }
        items.sort_unstable();
        items
    }

    fn describe<'scope>(&self, env: &Env<'scope>) -> DataStream<'scope, Item> {
        let mut stream =
            env.read(Scripted::new(self.splits.clone(), Pace::Drawn { seed: self.seed }));
        for hop in self.hops.clone() {
            let keys = self.keys;
            let stepped = stream.flat_map(move |item| Chain::hop(hop, item, keys));
            stream = stepped
                .filter(|item| item.id > 0)
                .key_by(|item| item.key)
                .process(|_| Ok(Pass))
                .stream();
        }
        stream
    }
}

#[test]
fn between_free_running_workers_every_record_arrives_once_and_the_job_ends() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let chain = Chain::draw(&mut random);
        let config = Engine {
            credit_bytes: random.pick(&[1, 1000, 4 << 20]),
            batch_records: random.pick(&[None, Some(1), Some(10)]),
            watermark_interval: Duration::from_millis(10),
            budget: Budget { batches: random.pick(&[1, usize::MAX]), ..Budget::default() },
            ..Engine::workers(1 + random.index(4))
        };
        let results = Collect::new();
        let (sink, expected) = (results.clone(), chain.expected());
        let what = format!("seed {seed}, {config:?}");
        let ended = within(Duration::from_secs(20), &what, move || {
            execute(config, move |env| {
                chain.describe(env).sink(sink.clone());
                Ok(())
            })
        });
        assert!(ended.is_ok(), "{what}: {ended:?}");
        let mut found = results.take_values();
        found.sort_unstable();
        assert_eq!(found, expected, "{what}");
    }
}

/// What arrived at the operator with this uid, and on which worker.
fn arrivals(run: &Run, uid: &str) -> Vec<(usize, Item)> {
    let mut arrived = Vec::new();
    for note in run.journal.iter().filter(|note| note.uid == uid) {
        if let Happening::Received { records, .. } = &note.happening {
            arrived.extend(records.iter().map(|record| (note.worker, record.value)));
        }
    }
    arrived
}

#[test]
fn under_seeded_turns_every_record_arrives_once_at_the_owner_of_its_key() {
    for seed in 1000..1300 {
        let chain = Chain::draw(&mut Random::new(seed));
        let mut world = World::draw(seed);
        world.config.max_parallelism = None;
        let workers = world.config.workers;
        let groups = KeyGroups::new(default_max_parallelism(workers), workers);
        let program = chain.clone();
        let run = world.run(move |env| {
            let _end = program.describe(env).discard().uid("end");
            Ok(())
        });
        assert!(run.ended.is_ok(), "seed {seed}: {:?}", run.ended);
        let arrived = arrivals(&run, "end");
        for (worker, item) in &arrived {
            let owner = groups.owner(groups.of_hash(stable_hash(&item.key)));
            assert_eq!(*worker, owner, "seed {seed}: {item:?} is astray");
        }
        let mut found: Vec<_> = arrived.into_iter().map(|(_, item)| item).collect();
        found.sort_unstable();
        assert_eq!(found, chain.expected(), "seed {seed}");
    }
}

#[test]
fn a_job_in_which_nothing_is_left_ends() {
    for workers in 1..=4 {
        for records in [0, 1, 5000] {
            let ended = within(Duration::from_secs(20), "a job without results", move || {
                execute(Engine::workers(workers), move |env| {
                    let items = env.read(Generator::new(records, |n| n));
                    let none = items.filter(|_| false);
                    let nothing = items.flat_map(|_| None::<u64>);
                    none.union(&[&nothing]).key_by(|n| *n).count().discard();
                    Ok(())
                })
            });
            let summary = ended.expect("the job succeeds");
            assert_eq!((summary.records_in, summary.records_out), (records, 0));
        }
    }
}

#[test]
fn keys_meet_on_one_worker_whatever_way_they_come() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let notes = Arc::clone(&seen);
    let ended = within(Duration::from_secs(20), "two ways to one key", move || {
        execute(Engine::workers(4), move |env| {
            let numbers = env.read(Generator::new(10_000, |n| n % 100));
            let words = env.read(Generator::new(10_000, |n| n % 100));
            let (worker, notes) = (env.worker(), Arc::clone(&notes));
            let all = numbers.union(&[&words]).key_by(|n| *n).count();
            all.inspect(move |_, (key, _)| {
                notes.lock().expect("no worker panics").insert((*key, worker));
            })
            .discard();
            Ok(())
        })
    });
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(seen.lock().expect("no worker panics").len(), 100, "a key is on one worker only");
}
