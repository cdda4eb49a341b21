//! How fast is each job, as criterion counts?
//!
//! The jobs of `twins/`, with a tenth of the records of the `ratios` bench, as highwater programs
//! and by hand on bare timely, at 1 and 2 workers. An iteration is a whole run: the threads start,
//! the dataflow is built, the input ends.
//!
//! ```text
//! cargo bench --bench engine                   everything, about a minute
//! cargo bench --bench engine -- sliding        what criterion's filter lets pass
//! ```
//!
//! For watching one twin over time: criterion compares with its last run. For the ratio of the
//! twins look at `ratios`, which runs them in turn, so that a busy machine slows both.
//!
//! **Unit**: a record that enters the job.

#![allow(missing_docs, clippy::print_stdout, reason = "a program that prints figures")]

mod twins;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use twins::keyed_count::KeyedCount;
use twins::map_chain::MapChain;
use twins::sessions::SessionCount;
use twins::windows::{SlidingCount, TumblingCount};
use twins::{Twin, run_highwater, run_raw};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    job::<MapChain>(&mut criterion);
    job::<KeyedCount>(&mut criterion);
    job::<TumblingCount>(&mut criterion);
    job::<SlidingCount>(&mut criterion);
    job::<SessionCount>(&mut criterion);
    criterion.final_summary();
}

fn job<T: Twin>(criterion: &mut Criterion) {
    let records = T::RECORDS / 10;
    let mut group = criterion.benchmark_group(T::NAME);
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Elements(records));
    for workers in [1, 2] {
        group.bench_function(BenchmarkId::new("highwater", workers), |bencher| {
            bencher.iter(|| run_highwater::<T>(workers, records));
        });
        group.bench_function(BenchmarkId::new("timely", workers), |bencher| {
            bencher.iter(|| run_raw::<T>(workers, records));
        });
    }
    group.finish();
}
