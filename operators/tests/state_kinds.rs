//! A process function that uses every kind of state, run with state in memory and above a store, with
//! one worker and several, against the same computation over the sorted input.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use highwater_connectors::collect::Collect;
use highwater_connectors::collection::Collection;
use highwater_core::Result;
use highwater_core::config::Config;
use highwater_operators::environment::execute;
use highwater_operators::keyed_state::*;
use highwater_operators::process::{KeyedProcessFunction, ProcessContext};
use highwater_operators::window::AggregateFunction;
use highwater_state::memory::MemoryStores;
use serde::{Deserialize, Serialize};

/// A shop, an article and a price.
type Sale = (u32, String, u64);

/// What is known of a shop, in the order of its fields below.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Report {
    shop: u32,
    last: u64,
    prices: Vec<u64>,
    by_article: Vec<(String, u64)>,
    greatest: u64,
    mean: u64,
    /// The articles that were sold within the last seconds.
    recent: Vec<String>,
}

#[derive(Clone)]
struct Mean;

impl AggregateFunction<u64> for Mean {
    type Accumulator = (u64, u64);
    type Output = u64;
    fn create(&self) -> (u64, u64) {
        (0, 0)
    }
    fn add(&self, (sum, count): &mut (u64, u64), value: u64) {
        (*sum, *count) = (*sum + value, *count + 1);
    }
    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        *into = (into.0 + other.0, into.1 + other.1);
    }
    fn result(&self, (sum, count): &(u64, u64)) -> u64 {
        sum / count
    }
}

/// When shops report, in ms: a time at which some articles have just been sold and others not.
const REPORT_MS: i64 = 90_000;
const RECENT_MS: i64 = 30_000;

/// Reports each shop once.
struct Shops {
    last: ValueState<u64>,
    prices: ListState<u64>,
    by_article: MapState<String, u64>,
    greatest: ReducingState<u64>,
    mean: AggregatingState<u64, Mean>,
    recent: MapState<String, ()>,
}

impl Shops {
    fn new(states: &mut States<u32>) -> Result<Self> {
        let recent = StateTtlConfig::new(Duration::from_millis(RECENT_MS as u64));
        let recent = MapStateDescriptor::new("recent").ttl(recent.time(TtlTime::Event));
        Ok(Shops {
            last: states.value("last")?,
            prices: states.list("prices")?,
            by_article: states.map("by article")?,
            greatest: states.reducing("greatest", u64::max)?,
            mean: states.aggregating("mean", Mean)?,
            recent: states.map_with(recent)?,
        })
    }
}

impl KeyedProcessFunction<u32, Sale> for Shops {
    type Out = Report;

    fn process_element(
        &mut self,
        (_, article, price): Sale,
        cx: &mut ProcessContext<'_, '_, u32, Report>,
    ) {
        cx.set_event_timer(REPORT_MS);
        cx.set(self.last, price);
        cx.list(self.prices).add(price);
        *cx.map(self.by_article).get_mut(article.clone()) += price;
        cx.reducing(self.greatest).add(price);
        cx.aggregating(self.mean).add(price);
        cx.map(self.recent).put(article, ());
    }

    fn on_timer(&mut self, _time: i64, cx: &mut ProcessContext<'_, '_, u32, Report>) {
        let mut by_article = cx.map(self.by_article);
        let by_article = by_article.iter().map(|(article, sum)| (article.clone(), *sum)).collect();
        let report = Report {
            shop: *cx.key(),
            last: cx.take(self.last).unwrap_or_default(),
            prices: cx.list(self.prices).iter().copied().collect(),
            by_article,
            greatest: cx.reducing(self.greatest).get().copied().unwrap_or_default(),
            mean: cx.aggregating(self.mean).get().unwrap_or_default(),
            recent: cx.map(self.recent).keys().cloned().collect(),
        };
        cx.emit(report);
        cx.list(self.prices).clear();
        cx.map(self.by_article).clear();
        cx.reducing(self.greatest).clear();
        cx.aggregating(self.mean).clear();
    }
}

/// Sales of 80 seconds, in the order of their times.
fn sales() -> Vec<(i64, Sale)> {
    let article = |n: u64| format!("article {}", n * n % 7);
    (0..8_000).map(|n| (n as i64 * 10, ((n * 7 % 400) as u32, article(n / 400), n % 97))).collect()
}

/// The same reports, without states.
fn expected() -> Vec<Report> {
    let mut shops: BTreeMap<u32, Vec<(i64, Sale)>> = BTreeMap::new();
    for (time, sale) in sales() {
        shops.entry(sale.0).or_default().push((time, sale));
    }
    let report = |(shop, sales): (u32, Vec<(i64, Sale)>)| {
        let prices: Vec<u64> = sales.iter().map(|(_, sale)| sale.2).collect();
        let mut by_article = BTreeMap::new();
        for (_, (_, article, price)) in &sales {
            *by_article.entry(article.clone()).or_insert(0) += price;
        }
        let recent = sales.iter().filter(|(time, _)| time + RECENT_MS > REPORT_MS);
        let recent: BTreeSet<String> = recent.map(|(_, sale)| sale.1.clone()).collect();
        Report {
            shop,
            last: prices.last().copied().unwrap_or_default(),
            by_article: by_article.into_iter().collect(),
            greatest: prices.iter().copied().max().unwrap_or_default(),
            mean: prices.iter().sum::<u64>() / prices.len() as u64,
            recent: recent.into_iter().collect(),
            prices,
        }
    };
    shops.into_iter().map(report).collect()
}

#[test]
fn every_kind_of_state_gives_the_same_in_memory_and_above_a_store() -> Result<()> {
    let expected = expected();
    assert!(expected.iter().any(|report| (1..7).contains(&report.recent.len())));
    assert!(expected.iter().any(|report| report.recent.len() < report.by_article.len()));
    for workers in [1, 3] {
        for in_store in [false, true] {
            let mut config = Config::workers(workers);
            if in_store {
                config.stores = Some(Arc::new(MemoryStores { cache_bytes: 0 }));
            }
            let results = Collect::new();
            let sink = results.clone();
            execute(config, move |env| {
                env.read(Collection::timestamped(sales()))
                    .key_by(|sale| sale.0)
                    .process(Shops::new)
                    .sink(sink.clone());
                Ok(())
            })?;
            let mut results = results.take_values();
            results.sort();
            assert_eq!(results.len(), expected.len());
            for (mut report, mut expected) in results.into_iter().zip(expected.clone()) {
                if workers > 1 {
                    // The workers read side by side: there is no order of the sales of a shop.
                    for report in [&mut report, &mut expected] {
                        report.prices.sort_unstable();
                        report.last = 0;
                    }
                }
                assert_eq!(report, expected, "{workers} workers, in a store: {in_store}");
            }
        }
    }
    Ok(())
}
