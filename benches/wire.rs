//! What does it cost to write a batch for another process, and to read it there?
//!
//! The encoding of `highwater_core::wire`, with and without the checksum that batches have, against
//! timely's own (bincode 1: the length first, then the bytes) and postcard, the durable codec. Three
//! kinds of records, as many as a batch has, from a fixed seed:
//!
//! - `number`: an event time and a `u64`;
//! - `pair`: an event time and two, as `keyed_count` sends them;
//! - `bid`: a bid of Nexmark with three strings.
//!
//! ```text
//! cargo bench --bench wire        bytes per record, M records/s
//! ```

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::black_box;
use std::time::Instant;

use highwater::core::record::{Batch, ExchangeData, Record};
use highwater::core::wire;
use highwater::state::format::{Codec, Postcard};
use serde::{Deserialize, Serialize};
use timely::bytes::arc::BytesMut;
use timely::dataflow::channels::ContainerBytes;
use xxhash_rust::xxh3::xxh3_64;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bid {
    auction: u64,
    bidder: u64,
    price: u64,
    channel: String,
    url: String,
    extra: String,
}

fn random(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24
}

fn batch<T>(records: u64, make: impl Fn(u64) -> T) -> Batch<T> {
    (0..records).map(|n| Record::new(1_700_000_000_000 + n as i64, make(n))).collect()
}

fn main() {
    compare("number", batch(1024, random));
    compare("pair", batch(682, |n| (random(n) % 1_000_000, n)));
    compare(
        "bid",
        batch(128, |n| Bid {
            auction: random(n) % 1000,
            bidder: random(n + 7) % 1000,
            price: random(n + 3) % 100_000,
            channel: format!("channel-{}", random(n) % 1000),
            url: format!("https://www.nexmark.com/abc/item.htm?query=1&id={}", random(n) % 100_000),
            extra: "x".repeat((random(n) % 40) as usize),
        }),
    );
}

fn compare<T: ExchangeData + PartialEq + std::fmt::Debug>(name: &str, batch: Batch<T>) {
    measure(
        name,
        "timely",
        &batch,
        |batch, out| {
            out.resize(batch.length_in_bytes(), 0);
            batch.into_bytes(&mut &mut out[..]);
        },
        |bytes, _| Batch::from_bytes(BytesMut::from(bytes.to_vec()).freeze()),
    );
    measure(
        name,
        "postcard",
        &batch,
        |batch, out| {
            Postcard.encode(batch, out).expect("it can be written");
        },
        |bytes, _| Postcard.decode(bytes).expect("as it was written"),
    );
    for sum in [false, true] {
        let label = if sum { "wire, with sum" } else { "wire" };
        measure(
            name,
            label,
            &batch,
            |batch, out| {
                for record in batch {
                    wire::write(record, out).expect("it can be written");
                }
                if sum {
                    black_box(xxh3_64(out));
                }
            },
            |bytes, records| {
                if sum {
                    black_box(xxh3_64(bytes));
                }
                let mut left = bytes;
                let mut batch = Batch::with_capacity(records);
                (0..records)
                    .for_each(|_| batch.push(wire::read(&mut left).expect("as it was written")));
                batch
            },
        );
    }
}

fn measure<T: Clone + PartialEq + std::fmt::Debug>(
    name: &str,
    codec: &str,
    batch: &Batch<T>,
    mut encode: impl FnMut(&Batch<T>, &mut Vec<u8>),
    mut decode: impl FnMut(&[u8], usize) -> Batch<T>,
) {
    const RECORDS: usize = 4_000_000;
    let (rounds, mut out) = (RECORDS / batch.len(), Vec::new());
    let speed =
        |begin: Instant| (rounds * batch.len()) as f64 / begin.elapsed().as_secs_f64() / 1e6;
    let begin = Instant::now();
    for _ in 0..rounds {
        out.clear();
        encode(batch, &mut out);
        black_box(&out);
    }
    let encoded = speed(begin);
    assert_eq!(&decode(&out, batch.len()), batch, "{codec} reads what it wrote");
    let begin = Instant::now();
    for _ in 0..rounds {
        black_box(decode(&out, batch.len()));
    }
    let bytes = out.len() as f64 / batch.len() as f64;
    println!(
        "{name:7} {codec:15} {bytes:6.1} bytes   write {encoded:7.1}   read {:7.1}",
        speed(begin)
    );
}
