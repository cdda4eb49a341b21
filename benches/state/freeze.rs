//! A freeze: how long it stops the worker, how long its encoding takes, and what a delta saves.
//!
//! Ten million counters in one table. Full freezes: each after a tenth of the counters has changed,
//! which was copied and folded back since the one before. Deltas: after 1 % has changed, evenly
//! chosen.
//!
//! **Unit**: ms on the worker; bytes of a part and, in a delta, of what it replaces.

use std::time::Instant;

use highwater_core::cut::{Cut, CutKind, EncodedState};
use highwater_core::key::KeyGroups;
use highwater_core::time::Epoch;
use highwater_state::{Backend, Hashed, Table};

use crate::twins::Spread;
use crate::{Random, Targets};

const KEYS: u64 = 10_000_000;
const FREEZES: usize = 5;
/// How long a freeze may stop the worker, in ms.
const PAUSE_MS: f64 = 1.0;
/// The part of the bytes that a delta of one percent may have.
const DELTA: f64 = 0.05;

/// Changes so many counters at random.
fn change(table: &mut Table<u64, (), u64>, random: &mut Random, count: u64) {
    for _ in 0..count {
        let key = random.below(KEYS);
        *table.get_or_insert_with(Hashed::new(&key), &(), || 0) += 1;
    }
}

/// What a freeze came to, in ms.
struct Frozen {
    pause: f64,
    encode: f64,
    fold: f64,
    /// The longest step of the folding.
    step: f64,
    state: EncodedState,
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

fn freeze(
    table: &mut Table<u64, (), u64>,
    delta: bool,
    meanwhile: impl FnOnce(&mut Table<u64, (), u64>),
) -> Frozen {
    let mut cut = Cut::new(Epoch(1), CutKind { delta, track: true }, i64::MIN, 0);
    let began = Instant::now();
    table.freeze(&mut cut);
    let pause = ms(began);
    meanwhile(table);
    let began = Instant::now();
    let state = cut.encode().unwrap().remove(0);
    let (encode, began, mut step) = (ms(began), Instant::now(), 0.0_f64);
    loop {
        let one = Instant::now();
        let more = table.fold();
        step = step.max(ms(one));
        if !more {
            break;
        }
    }
    Frozen { pause, encode, fold: ms(began), step, state }
}

fn bytes(state: &EncodedState) -> usize {
    state.part.len() + state.slots.as_ref().map_or(0, Vec::len)
}

pub fn measure(targets: &mut Targets) {
    let mut backend = Backend::heap("bench", KeyGroups::new(128, 1), 0).durable(true);
    let mut table: Table<u64, (), u64> = backend.table("counts").unwrap();
    let mut random = Random(1);
    (0..KEYS).for_each(|key| table.insert(Hashed::new(&key), &(), key % 100));
    let mut full = 0;
    for delta in [false, true] {
        let changed = if delta { KEYS / 100 } else { KEYS / 10 };
        let mut found = Vec::new();
        for _ in 0..FREEZES {
            if delta {
                change(&mut table, &mut random, changed);
            }
            found.push(freeze(&mut table, delta, |table| {
                if !delta {
                    change(table, &mut random, changed);
                }
            }));
        }
        let spread = |of: fn(&Frozen) -> f64| Spread::of(found.iter().map(of).collect());
        let (pause, fold, step) = (spread(|f| f.pause), spread(|f| f.fold), spread(|f| f.step));
        let (encode, bytes) = (spread(|f| f.encode), spread(|f| bytes(&f.state) as f64));
        let name = if delta { "delta of 1 %" } else { "full" };
        println!(
            "freeze {KEYS} keys, {name:<13} pause {:.3} ms ({:.3}-{:.3})   encode {:.0} ms   fold \
             {:.0} ms, {:.3} at once   {:.1} MB",
            pause.median,
            pause.least,
            pause.most,
            encode.median,
            fold.median,
            step.most,
            bytes.median / 1e6,
        );
        targets.at_most(&format!("pause, {name}"), PAUSE_MS, pause.most);
        if !delta {
            full = bytes.median as usize;
            continue;
        }
        let share = bytes.median / full as f64;
        let slots = found.last().and_then(|f| f.state.slots.as_ref()).map_or(0, Vec::len);
        println!(
            "delta of 1 % / full                  bytes {:.2} %, of which marks {:.2} %",
            share * 100.0,
            slots as f64 / full as f64 * 100.0
        );
        targets.at_most("bytes of a delta of 1 %", DELTA, share);
    }
}
