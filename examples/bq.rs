#![allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::print_stdout)]
use highwater::prelude::*;
use std::collections::HashMap;
use std::time::Instant;
use timely::dataflow::channels::pact::Exchange as ExchangePact;
use timely::dataflow::operators::generic::Operator as _;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::operators::vec::{Filter as _, Map as _};
use timely::dataflow::operators::{Inspect as _, InspectCore as _};

#[inline]
fn key(i: u64) -> u64 {
    (i.wrapping_mul(0x9E3779B97F4A7C15) >> 20) % 1_000_000
}
#[inline]
fn h(k: u64) -> u64 {
    k.wrapping_mul(0x9E3779B97F4A7C15).rotate_left(26)
}
struct Fx(u64);
impl Default for Fx {
    fn default() -> Self {
        Fx(0)
    }
}
impl std::hash::Hasher for Fx {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, i: u64) {
        self.0 = h(i)
    }
}
type Map<V> = HashMap<u64, V, std::hash::BuildHasherDefault<Fx>>;

fn raw(workers: usize, n: u64, what: &'static str) -> f64 {
    let t = Instant::now();
    let cfg =
        if workers == 1 { timely::Config::thread() } else { timely::Config::process(workers) };
    timely::execute(cfg, move |worker| {
        let (index, peers) = (worker.index() as u64, worker.peers() as u64);
        worker.dataflow::<u64, _, _>(|scope| {
            let s = source(scope.clone(), "src", |cap, info| {
                let activator = scope.activator_for(info.address);
                let mut cap = Some(cap);
                let mut i = index;
                move |output: &mut timely::dataflow::operators::generic::OutputBuilderSession<
                    '_,
                    u64,
                    timely::container::CapacityContainerBuilder<Vec<(u64, u64)>>,
                >| {
                    if let Some(c) = cap.as_ref() {
                        let mut session = output.session(c);
                        for _ in 0..16384 {
                            if i < n {
                                session.give((key(i), i));
                                i += peers;
                            }
                        }
                    }
                    if i >= n { cap = None } else { activator.activate() }
                }
            });
            match what {
                "map" => {
                    let mut sum = 0u64;
                    s.map(|(k, v)| (k + 1, v))
                        .map(|(k, v)| (k ^ v, v))
                        .filter(|x| x.0 & 1 == 0)
                        .map(|(k, v)| (k, v + 1))
                        .inspect_batch(move |_, b| {
                            for x in b {
                                sum = sum.wrapping_add(x.0);
                            }
                            std::hint::black_box(sum);
                        });
                }
                _ => {
                    s.unary(ExchangePact::new(|x: &(u64, u64)| h(x.0)), "count", |_, _| {
                        let mut m: Map<u64> = Map::default();
                        move |input, output| {
                            input.for_each_time(|cap, data| {
                                let mut s = output.session(&cap);
                                for batch in data {
                                    for (k, _) in batch.drain(..) {
                                        let e = m.entry(k).or_insert(0);
                                        *e += 1;
                                        s.give((k, *e));
                                    }
                                }
                            })
                        }
                    })
                    .inspect_batch(|_, b: &Vec<(u64, u64)>| {
                        std::hint::black_box(b.len());
                    });
                }
            }
        });
    })
    .unwrap();
    n as f64 / t.elapsed().as_secs_f64() / 1e6
}
fn hw(workers: usize, n: u64, what: &'static str) -> f64 {
    let s = highwater::execute(
        {
            let mut c = Config::workers(workers);
            if let Ok(m) = std::env::var("MP") {
                c.engine.max_parallelism = Some(m.parse().unwrap());
            }
            c
        },
        move |env| {
            let s = env.read(Generator::new(n, |i| (key(i), i)));
            match what {
                "map" => {
                    let mut sum = 0u64;
                    s.map(|(k, v)| (k + 1, v))
                        .map(|(k, v)| (k ^ v, v))
                        .filter(|x| x.0 & 1 == 0)
                        .map(|(k, v)| (k, v + 1))
                        .inspect(move |_, x| {
                            sum = sum.wrapping_add(x.0);
                            std::hint::black_box(sum);
                        })
                        .discard();
                }
                _ => {
                    s.key_by(|x| x.0).count().discard();
                }
            }
            Ok(())
        },
    )
    .unwrap();
    s.records_per_second() / 1e6
}
fn main() {
    if std::env::var("ONE").is_ok() {
        println!("{:.1}", hw(1, 100_000_000, "count"));
        return;
    }
    let n = 30_000_000;
    for what in ["count"] {
        for w in [1, 2] {
            for _ in 0..3 {
                println!("{what} w{w} raw {:.1} hw {:.1}", raw(w, n, what), hw(w, n, what));
            }
        }
    }
}
