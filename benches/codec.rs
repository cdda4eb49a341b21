//! What does it cost to write state, and to read it back?
//!
//! The durable codec (postcard, as [`Postcard`] writes it) against other binary codecs of serde, on
//! four kinds of state values, 1,024 of each, from a fixed seed:
//!
//! - `counter`: a `u64`, most of them small: the least that a codec does per value.
//! - `bid`, a bid of Nexmark with three strings, 120 bytes or so: text, which allocates when read.
//! - `window`: what a window has gathered, up to 64 pairs of numbers: long runs of numbers.
//! - `map`: a `BTreeMap` of up to 64 entries: what has to be built anew when it is read.
//!
//! A unit of output is one value. All values go into one buffer, which keeps its memory; those of
//! `bitcode` are written to a buffer of their own each, as its interface for serde demands. The
//! floor is `clone`: the memory without any encoding.
//!
//! With `--features abomonation` also `abomonation`, for scratch data only: the same fields as a
//! tuple, the map as a vector of pairs, which is not built into a tree. It is read `in_place` (a
//! reference into the buffer) and `owned` (and cloned).
//!
//! ```text
//! cargo bench --bench codec --features abomonation       sizes first, then the speeds
//! cargo bench --bench codec -- decode/bid                some of them
//! ```

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]
#![allow(clippy::unwrap_used, reason = "a bench of what never fails")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hint::black_box;
use std::ops::Range;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use highwater_state::format::{Codec, Postcard};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const VALUES: u64 = 1024;

/// Writes values and reads them.
trait Rival {
    const NAME: &'static str;
    fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>);
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T;
}

struct Ours;
impl Rival for Ours {
    const NAME: &'static str = "postcard";
    fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
        Postcard.encode(value, out).unwrap();
    }
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        Postcard.decode(bytes).unwrap()
    }
}

struct Bincode;
impl Rival for Bincode {
    const NAME: &'static str = "bincode";
    fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
        let config = bincode::config::standard();
        bincode::serde::encode_into_std_write(value, out, config).unwrap();
    }
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        bincode::serde::decode_from_slice(bytes, bincode::config::standard()).unwrap().0
    }
}

/// Numbers as they are, eight bytes each.
struct BincodeFixed;
impl Rival for BincodeFixed {
    const NAME: &'static str = "bincode_fixed";
    fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
        let config = bincode::config::standard().with_fixed_int_encoding();
        bincode::serde::encode_into_std_write(value, out, config).unwrap();
    }
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        let config = bincode::config::standard().with_fixed_int_encoding();
        bincode::serde::decode_from_slice(bytes, config).unwrap().0
    }
}

struct MessagePack;
impl Rival for MessagePack {
    const NAME: &'static str = "rmp";
    fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
        rmp_serde::encode::write(out, value).unwrap();
    }
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        rmp_serde::from_slice(bytes).unwrap()
    }
}

struct Bitcode;
impl Rival for Bitcode {
    const NAME: &'static str = "bitcode";
    fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) {
        out.extend_from_slice(&bitcode::serialize(value).unwrap());
    }
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> T {
        bitcode::deserialize(bytes).unwrap()
    }
}

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of which small ones are more likely.
    fn small(&mut self) -> u64 {
        let bits = self.next() % 30;
        self.next() >> (63 - bits)
    }

    fn text(&mut self, length: u64) -> String {
        (0..length).map(|_| char::from(b'a' + (self.next() % 26) as u8)).collect()
    }
}

/// A kind of state value.
trait Shape: Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    const NAME: &'static str;
    fn make(random: &mut Random) -> Self;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counter(u64);

impl Shape for Counter {
    const NAME: &'static str = "counter";
    fn make(random: &mut Random) -> Self {
        Counter(random.small())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bid {
    auction: u64,
    bidder: u64,
    price: u64,
    date_time_ms: i64,
    channel: String,
    url: String,
    extra: String,
}

impl Shape for Bid {
    const NAME: &'static str = "bid";
    fn make(random: &mut Random) -> Self {
        Bid {
            auction: 1_000 + random.next() % 100_000,
            bidder: 1_000 + random.next() % 50_000,
            price: random.small(),
            date_time_ms: 1_700_000_000_000 + (random.next() % 3_600_000) as i64,
            channel: format!("channel-{}", random.next() % 10_000),
            url: format!("https://www.nexmark.com/{}/item.htm?query=1", random.text(12)),
            extra: random.text(30),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Window {
    count: u64,
    sum: u64,
    pairs: Vec<(u64, u64)>,
}

impl Shape for Window {
    const NAME: &'static str = "window";
    fn make(random: &mut Random) -> Self {
        let length = random.next() % 65;
        let pairs: Vec<_> = (0..length).map(|_| (random.small(), random.small())).collect();
        Window { count: length, sum: pairs.iter().map(|(_, n)| n).sum(), pairs }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Map(BTreeMap<u64, u64>);

impl Shape for Map {
    const NAME: &'static str = "map";
    fn make(random: &mut Random) -> Self {
        let length = random.next() % 65;
        Map((0..length).map(|_| (random.small(), random.small())).collect())
    }
}

fn values<T: Shape>() -> Vec<T> {
    let mut random = Random(1);
    (0..VALUES).map(|_| T::make(&mut random)).collect()
}

/// Encodes values one behind the other; returns where each lies.
fn encode_all<R: Rival, T: Shape>(values: &[T], out: &mut Vec<u8>) -> Vec<Range<usize>> {
    let encode = |value: &T| {
        let begin = out.len();
        R::encode(value, out);
        begin..out.len()
    };
    values.iter().map(encode).collect()
}

/// How many bytes a value takes on average, after it was checked that it comes back.
fn size<R: Rival, T: Shape>(values: &[T]) -> f64 {
    let mut bytes = Vec::new();
    let places = encode_all::<R, T>(values, &mut bytes);
    for (value, place) in values.iter().zip(places) {
        assert_eq!(&R::decode::<T>(&bytes[place]), value, "{} {}", R::NAME, T::NAME);
    }
    bytes.len() as f64 / values.len() as f64
}

fn print_sizes<T: Shape + Twin>() {
    let values = values::<T>();
    print!("{:<10}", T::NAME);
    print!("{:>10.1}", size::<Ours, T>(&values));
    print!("{:>10.1}", size::<Bincode, T>(&values));
    print!("{:>15.1}", size::<BincodeFixed, T>(&values));
    print!("{:>10.1}", size::<MessagePack, T>(&values));
    print!("{:>10.1}", size::<Bitcode, T>(&values));
    println!("{}", scratch::size(&values));
}

fn rival<R: Rival, T: Shape>(group: &mut BenchmarkGroup<'_, WallTime>, encode: bool) {
    let values = values::<T>();
    let mut bytes = Vec::new();
    let places = encode_all::<R, T>(&values, &mut bytes);
    group.bench_function(BenchmarkId::from_parameter(R::NAME), |bench| match encode {
        true => bench.iter(|| {
            bytes.clear();
            values.iter().for_each(|value| R::encode(black_box(value), &mut bytes));
            bytes.len()
        }),
        false => bench.iter(|| {
            for place in &places {
                black_box(R::decode::<T>(black_box(&bytes[place.clone()])));
            }
        }),
    });
}

fn shape<T: Shape + Twin>(criterion: &mut Criterion) {
    for (name, encode) in [("encode", true), ("decode", false)] {
        let mut group = criterion.benchmark_group(format!("{name}/{}", T::NAME));
        group.throughput(Throughput::Elements(VALUES));
        if !encode {
            let values = values::<T>();
            group.bench_function("clone", |bench| {
                bench.iter(|| values.iter().for_each(|value| drop(black_box(value.clone()))));
            });
        }
        rival::<Ours, T>(&mut group, encode);
        rival::<Bincode, T>(&mut group, encode);
        rival::<BincodeFixed, T>(&mut group, encode);
        rival::<MessagePack, T>(&mut group, encode);
        rival::<Bitcode, T>(&mut group, encode);
        scratch::bench::<T>(&mut group, encode);
        group.finish();
    }
}

use scratch::Twin;

#[cfg(feature = "abomonation")]
mod scratch {
    //! The same values as tuples.

    use highwater_state::codec::abomonation::{Abomonable, Scratch};

    use super::*;

    pub(crate) trait Twin {
        type Tuple: Abomonable + Clone + Debug + PartialEq;
        fn tuple(&self) -> Self::Tuple;
    }

    impl Twin for Counter {
        type Tuple = u64;
        fn tuple(&self) -> u64 {
            self.0
        }
    }

    impl Twin for Bid {
        type Tuple = (u64, u64, u64, i64, String, String, String);
        fn tuple(&self) -> Self::Tuple {
            let Bid { auction, bidder, price, date_time_ms, channel, url, extra } = self.clone();
            (auction, bidder, price, date_time_ms, channel, url, extra)
        }
    }

    impl Twin for Window {
        type Tuple = (u64, u64, Vec<(u64, u64)>);
        fn tuple(&self) -> Self::Tuple {
            (self.count, self.sum, self.pairs.clone())
        }
    }

    impl Twin for Map {
        type Tuple = Vec<(u64, u64)>;
        fn tuple(&self) -> Self::Tuple {
            self.0.iter().map(|(key, value)| (*key, *value)).collect()
        }
    }

    pub(crate) fn size<T: Shape + Twin>(values: &[T]) -> String {
        let mut scratch = Scratch::new();
        for value in values {
            let index = scratch.push(&value.tuple());
            assert_eq!(scratch.get(index), Some(&value.tuple()), "{}", T::NAME);
        }
        format!("{:>14.1}", scratch.bytes() as f64 / values.len() as f64)
    }

    pub(crate) fn bench<T: Shape + Twin>(group: &mut BenchmarkGroup<'_, WallTime>, encode: bool) {
        let tuples: Vec<_> = values::<T>().iter().map(Twin::tuple).collect();
        let mut scratch = Scratch::new();
        tuples.iter().for_each(|tuple| {
            scratch.push(tuple);
        });
        if encode {
            group.bench_function("abomonation", |bench| {
                bench.iter(|| {
                    scratch.clear();
                    tuples.iter().for_each(|tuple| {
                        scratch.push(black_box(tuple));
                    });
                });
            });
            return;
        }
        group.bench_function("abomonation_in_place", |bench| {
            bench.iter(|| {
                (0..scratch.len()).for_each(|i| {
                    black_box(scratch.get(i));
                });
            });
        });
        group.bench_function("abomonation_owned", |bench| {
            bench.iter(|| {
                (0..scratch.len()).for_each(|i| {
                    black_box(scratch.get(i).cloned());
                });
            });
        });
    }
}

#[cfg(not(feature = "abomonation"))]
mod scratch {
    //! Nothing: the feature is off.

    use super::*;

    pub(crate) trait Twin {}
    impl<T: Shape> Twin for T {}

    pub(crate) fn size<T: Shape>(_: &[T]) -> String {
        String::new()
    }

    pub(crate) fn bench<T: Shape>(_: &mut BenchmarkGroup<'_, WallTime>, _: bool) {}
}

fn main() {
    println!("bytes       postcard   bincode  bincode_fixed       rmp   bitcode   abomonation");
    print_sizes::<Counter>();
    print_sizes::<Bid>();
    print_sizes::<Window>();
    print_sizes::<Map>();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_000))
        .sample_size(20)
        .without_plots()
        .configure_from_args();
    shape::<Counter>(&mut criterion);
    shape::<Bid>(&mut criterion);
    shape::<Window>(&mut criterion);
    shape::<Map>(&mut criterion);
    criterion.final_summary();
}
