//! Random writes, reads and freezes, against a map. Catches: what the examples did not think of.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;

use highwater_core::store::{Family, FrozenStore, Store};
use highwater_rocksdb::RocksStore;
use proptest::prelude::*;
use support::{Entry, fixture, frozen, scan, wait_apart};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    GetMany(Vec<Vec<u8>>),
    Scan(Vec<u8>, Option<Vec<u8>>),
    Compact,
    Freeze,
}

/// Short keys of few different bytes, so that they meet, at both ends of the order.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0, 1, 0x7f, 0xfe, 0xff]), 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop::collection::vec(any::<u8>(), 0..20);
    let entry = (key(), prop::option::weighted(0.7, value));
    prop_oneof![
        6 => prop::collection::vec(entry, 0..20).prop_map(Step::Write),
        4 => prop::collection::vec(key(), 0..20).prop_map(Step::GetMany),
        4 => (key(), prop::option::of(key())).prop_map(|(prefix, after)| Step::Scan(prefix, after)),
        1 => Just(Step::Compact),
        2 => Just(Step::Freeze),
    ]
}

fn entries(model: &Model, prefix: &[u8], after: Option<&[u8]>) -> Vec<Entry> {
    let within = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
    model.iter().filter(|(key, _)| within(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}

struct Run {
    store: RocksStore,
    families: [Family; 2],
    models: [Model; 2],
    views: Vec<(Box<dyn FrozenStore>, [Model; 2])>,
}

impl Run {
    fn step(&mut self, at: usize, step: Step) {
        let (family, model) = (self.families[at], &mut self.models[at]);
        match step {
            Step::Write(written) => {
                let mut slices =
                    written.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
                self.store.write(family, &mut slices).unwrap();
                for (key, value) in written {
                    match value {
                        Some(value) => model.insert(key, value),
                        None => model.remove(&key),
                    };
                }
            }
            Step::GetMany(asked) => {
                let slices: Vec<_> = asked.iter().map(Vec::as_slice).collect();
                let expected: Vec<_> = asked.iter().map(|key| model.get(key).cloned()).collect();
                assert_eq!(self.store.get_many(family, &slices).unwrap(), expected);
            }
            Step::Scan(prefix, after) => {
                let found = scan(&self.store, family, &prefix, after.as_deref());
                assert_eq!(found, entries(model, &prefix, after.as_deref()));
            }
            Step::Compact => self.store.compact(family).unwrap(),
            Step::Freeze => {
                let view = self.store.freeze().unwrap();
                wait_apart(&*view);
                self.views.push((view, self.models.clone()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_store_and_its_frozen_views_agree_with_a_map(
        steps in prop::collection::vec((0..2_usize, step()), 1..40),
        prefix in key(),
    ) {
        let fixture = fixture();
        let mut store = fixture.stores.open_store("uid", 0).unwrap();
        let families = [0, 1].map(|n| store.family(&format!("{n}"), None).unwrap());
        let (models, views) = (Default::default(), Vec::new());
        let mut run = Run { store, families, models, views };
        for (at, step) in steps {
            run.step(at, step);
        }
        for (view, models) in &run.views {
            for (family, model) in families.iter().zip(models) {
                prop_assert_eq!(frozen(&**view, *family, b""), entries(model, b"", None));
                prop_assert_eq!(frozen(&**view, *family, &prefix), entries(model, &prefix, None));
            }
        }
    }
}
