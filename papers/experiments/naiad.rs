//! Naiad's global barrier: a loop of notifications without data, timed round by round.
//!
//! Each worker holds a capability for its round and moves it when the frontier shows that every
//! worker has ended the round before: the barrier is timely's progress tracking and nothing else.
//!
//! Run: `cargo xtask paper naiad`. Note: `papers/naiad.md`.
#![expect(clippy::print_stdout, reason = "an experiment prints what it finds")]

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use highwater::prelude::*;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{ConnectLoop, Feedback};

const ROUNDS: u64 = 100_000;
/// The median of 64 computers with 8 workers each, in figure 6b.
const NAIAD_MEDIAN_US: f64 = 753.0;

fn main() -> ExitCode {
    highwater::exit(experiment())
}

fn experiment() -> Result<()> {
    println!("{ROUNDS} rounds of a global barrier, microseconds per round");
    println!("workers     p50     p95     p99");
    for workers in [1, 2] {
        let mut rounds_us = rounds(workers)?;
        rounds_us.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| rounds_us[((rounds_us.len() - 1) as f64 * part) as usize];
        println!("{workers:7} {:7.2} {:7.2} {:7.2}", at(0.50), at(0.95), at(0.99));
        if at(0.50) >= NAIAD_MEDIAN_US {
            let found = format!("the median of {workers} workers is not below Naiad's");
            return Err(Error::program(found));
        }
    }
    println!("Naiad, 64 computers with 8 workers each: median {NAIAD_MEDIAN_US}");
    Ok(())
}

/// How long each round took on worker 0, in microseconds.
fn rounds(workers: usize) -> Result<Vec<f64>> {
    let times = Arc::new(Mutex::new(Vec::with_capacity(ROUNDS as usize)));
    let shared = Arc::clone(&times);
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let (times, index) = (Arc::clone(&shared), worker.index());
        worker.dataflow::<u64, _, _>(|scope| {
            let (handle, around) = scope.feedback::<Vec<()>>(1);
            let mut builder = OperatorBuilder::new("barrier".to_owned(), scope);
            let input = builder.new_input(around, Pipeline);
            let (output, stream) = builder.new_output::<Vec<()>>();
            stream.connect_loop(handle);
            builder.build(move |mut capabilities| {
                let _ports = (input, output);
                let mut capability = capabilities.pop();
                let mut began = Instant::now();
                move |frontiers| {
                    let _ = &_ports;
                    let Some(round) = capability.as_ref().map(|c| *c.time()) else { return };
                    if frontiers[0].less_equal(&round) {
                        return;
                    }
                    if index == 0 {
                        let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                        times.push(began.elapsed().as_secs_f64() * 1e6);
                        began = Instant::now();
                    }
                    match &mut capability {
                        Some(capability) if round + 1 < ROUNDS => {
                            capability.downgrade(&(round + 1))
                        }
                        capability => *capability = None,
                    }
                }
            });
        });
    });
    let guards = guards.map_err(|message| Error::Start { message })?;
    for ended in guards.join() {
        ended.map_err(|message| Error::Start { message })?;
    }
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *times))
}
