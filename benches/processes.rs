//! What does it cost to divide a job into processes?
//!
//! Workload: `keyed_count` of `twins/`: 20 M records of 16 bytes, a million keys; half of them cross
//! to the other of two workers. A unit of output is a record that enters the job.
//!
//! - `2 threads`: highwater, one process with two workers: the floor that the others are compared with.
//! - `2 processes`: highwater, two processes with one worker each, over loopback.
//! - `4 processes`: the same with four processes, on however many cores there are.
//! - `raw, 2 processes`: bare timely in two processes, with its own encoding and no flow control.
//!
//! ```text
//! cargo bench --bench processes        five runs of each in turn, medians; about two minutes
//! ```
//!
//! Every run is a set of processes of this program, started anew; the time is that of the workers,
//! without the start of the processes.

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints a table")]

mod twins;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use highwater::options::Processes;
use highwater::prelude::*;
use timely::CommunicationConfig;
use twins::Twin;
use twins::keyed_count::KeyedCount;

/// Tells a child what it is: `KIND INDEX ADDRESS..`.
const CHILD: &str = "HIGHWATER_BENCH_CHILD";
const RUNS: usize = 5;
const RECORDS: u64 = KeyedCount::RECORDS;

fn main() {
    if let Ok(child) = std::env::var(CHILD) {
        let words: Vec<&str> = child.split(' ').collect();
        let index = words[1].parse().expect("a number");
        let addresses = words[2..].iter().map(|address| (*address).to_owned()).collect();
        let seconds = match words[0] {
            "raw" => raw(index, addresses),
            workers => highwater_job(workers.parse().expect("a number"), index, addresses),
        };
        println!("{seconds}");
        return;
    }
    let ways = [
        ("2 threads", "2", 1),
        ("2 processes", "1", 2),
        ("4 processes", "1", 4),
        ("raw, 2 processes", "raw", 2),
    ];
    let mut speeds = vec![Vec::new(); ways.len()];
    for _ in 0..RUNS {
        for (speeds, (_, kind, processes)) in speeds.iter_mut().zip(&ways) {
            speeds.push(RECORDS as f64 / run(kind, *processes) / 1e6);
        }
    }
    let medians = speeds.iter_mut().map(|speeds| {
        speeds.sort_by(f64::total_cmp);
        speeds[RUNS / 2]
    });
    let medians: Vec<f64> = medians.collect();
    for ((name, ..), median) in ways.iter().zip(&medians) {
        println!("{name:17} {median:6.1} M records/s   {:5.2} of 2 threads", median / medians[0]);
    }
}

/// Runs a job in so many processes; returns the seconds that it took in the first.
fn run(kind: &str, processes: usize) -> f64 {
    let listeners: Vec<_> =
        (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let addresses: Vec<_> =
        listeners.iter().map(|l| l.local_addr().expect("an address").to_string()).collect();
    drop(listeners);
    let child = |index: usize| -> Child {
        let program = std::env::current_exe().expect("this program");
        let what = format!("{kind} {index} {}", addresses.join(" "));
        let output = if index == 0 { Stdio::piped() } else { Stdio::null() };
        Command::new(program).env(CHILD, what).stdout(output).spawn().expect("a process")
    };
    let children: Vec<_> = (0..processes).map(child).collect();
    let mut seconds = 0.0;
    for (index, child) in children.into_iter().enumerate() {
        let ended = child.wait_with_output().expect("a child");
        assert!(ended.status.success(), "process {index}");
        if index == 0 {
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            seconds = said.trim().parse().expect("seconds");
        }
    }
    seconds
}

fn highwater_job(workers: usize, index: usize, addresses: Vec<String>) -> f64 {
    let mut config = Config::workers(workers);
    if addresses.len() > 1 {
        config.processes = Some(Processes { index, addresses, secret: b"a bench".to_vec() });
    }
    let summary = highwater::execute(config, |env| {
        KeyedCount::highwater(env, RECORDS).discard();
        Ok(())
    });
    let summary = summary.expect("the job ends");
    assert!(index > 0 || summary.records_out == RECORDS, "{} records", summary.records_out);
    summary.elapsed.as_secs_f64()
}

fn raw(process: usize, addresses: Vec<String>) -> f64 {
    let communication = CommunicationConfig::Cluster {
        threads: 1,
        process,
        addresses,
        report: false,
        zerocopy: false,
    };
    let config = timely::Config { communication, worker: timely::WorkerConfig::default() };
    let guards = timely::execute(config, |worker| {
        let begin = Instant::now();
        worker.dataflow::<u64, _, _>(|scope| {
            KeyedCount::raw(scope, RECORDS);
        });
        while worker.has_dataflows() {
            worker.step_or_park(None);
        }
        begin.elapsed().as_secs_f64()
    });
    let ended = guards.expect("timely starts").join();
    ended.into_iter().map(|seconds| seconds.expect("a worker")).fold(0.0, f64::max)
}
