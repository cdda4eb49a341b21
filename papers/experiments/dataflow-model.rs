//! Panes and refinements of the Dataflow Model's worked example, for many arrival orders.
//!
//! The paper's ten values stand in four two-minute windows whose sums are 14, 22, 3 and 12. Each
//! arrival order is run three times as a whole job: accumulating panes after every value, discarding
//! panes after every value, and no early panes. The last accumulating pane, the sum of the
//! discarding panes and the only late pane must agree, whatever the order.
//!
//! Run: `cargo xtask paper dataflow-model`. Note: `papers/dataflow-model.md`.
#![expect(clippy::print_stdout, reason = "an experiment prints what it finds")]

use std::collections::BTreeMap;
use std::process::ExitCode;

use highwater::core::time::EventTime;
use highwater::prelude::*;

/// Minutes after noon, and the value.
const VALUES: [(i64, i64); 10] =
    [(0, 5), (1, 9), (2, 7), (2, 3), (3, 4), (3, 8), (4, 3), (6, 8), (7, 3), (7, 1)];
const SUMS: [(i64, i64); 4] = [(0, 14), (2, 22), (4, 3), (6, 12)];
const MINUTE_MS: i64 = 60_000;
const ORDERS: u64 = 1_000;

/// The panes of each window, by its start in minutes, in the order in which they came.
type Panes = BTreeMap<i64, Vec<i64>>;

/// How results relate to earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accumulation {
    /// One pane, when the watermark passes the end of the window.
    AtTheWatermark,
    /// A pane after every value, with everything so far.
    Accumulating,
    /// A pane after every value, with what came since the last.
    Discarding,
}

fn main() -> ExitCode {
    highwater::exit(experiment())
}

fn experiment() -> Result<()> {
    let expected: BTreeMap<i64, i64> = SUMS.into();
    let mut random = 1;
    let mut panes = BTreeMap::new();
    for _ in 0..ORDERS {
        let order = shuffled(&mut random);
        let once = run(&order, Accumulation::AtTheWatermark)?;
        let accumulating = run(&order, Accumulation::Accumulating)?;
        let discarding = run(&order, Accumulation::Discarding)?;
        let last = |panes: &Panes| map(panes, |sums| sums.last().copied().unwrap_or(0));
        for (name, sums) in [
            ("the pane at the watermark", last(&once)),
            ("the last accumulating pane", last(&accumulating)),
            ("the sum of the discarding panes", map(&discarding, |sums| sums.iter().sum())),
        ] {
            if sums != expected {
                let found = format!("{name} is {sums:?}, not {expected:?}, for order {order:?}");
                return Err(Error::program(found));
            }
        }
        panes.entry(accumulating[&2].clone()).or_insert_with(|| discarding[&2].clone());
    }
    println!("{ORDERS} arrival orders: the windows sum to {:?} in every one", expected.values());
    println!("window [12:02, 12:04) had {} different histories, such as", panes.len());
    for (accumulating, discarding) in panes.iter().take(5) {
        println!("    accumulating {accumulating:?}   discarding {discarding:?}");
    }
    Ok(())
}

fn map(panes: &Panes, sum: impl Fn(&[i64]) -> i64) -> BTreeMap<i64, i64> {
    panes.iter().map(|(start, sums)| (*start, sum(sums))).collect()
}

/// The values in an order drawn by a linear congruential generator.
fn shuffled(random: &mut u64) -> Vec<(EventTime, i64)> {
    let mut order: Vec<_> = VALUES.map(|(minute, value)| (minute * MINUTE_MS, value)).into();
    for i in (1..order.len()).rev() {
        *random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(i, (*random >> 33) as usize % (i + 1));
    }
    order
}

/// Runs one job over the values in this order, with a watermark that never overtakes them.
fn run(order: &[(EventTime, i64)], accumulation: Accumulation) -> Result<Panes> {
    let results = Collect::new();
    let (sink, order) = (results.clone(), order.to_vec());
    highwater::execute(Config::workers(1), move |env| {
        let windows = env
            .read(Collection::timestamped(order.clone()))
            .watermarks(Watermarks::bounded(minutes(10)))
            .key_by(|_| 0u8)
            .window(Tumbling::of(minutes(2)));
        let sum = |a: i64, b: i64| a + b;
        let sums = match accumulation {
            Accumulation::AtTheWatermark => windows.reduce(sum),
            Accumulation::Accumulating => windows.trigger(CountTrigger(1)).reduce(sum),
            Accumulation::Discarding => {
                windows.trigger(PurgingTrigger(CountTrigger(1))).reduce(sum)
            }
        };
        sums.sink(sink.clone());
        Ok(())
    })?;
    let mut panes = Panes::new();
    for pane in results.take_values() {
        panes.entry(pane.window.start / MINUTE_MS).or_default().push(pane.value);
    }
    Ok(panes)
}
