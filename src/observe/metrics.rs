//! Metrics under Flink's names: one table for the file, for Prometheus, for REST and for the docs.
//!
//! ```text
//! TaskReport --TASK_METRICS---> name, value    one for each operator and worker
//! SplitReport --SPLIT_METRICS-> name, value    one for each split
//! JobView ----JOB_METRICS-----> name, value    one for each job
//! ```
//!
//! `docs/metrics.md` says what each of them means; a test compares the tables with it.

use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};

use super::task::{Phase, SplitReport, Status, TaskReport};
use super::view::JobView;

/// A number that is shown under a name.
#[derive(Clone, Copy, Debug)]
pub struct Metric<T> {
    /// Flink's name, where Flink has it.
    pub name: &'static str,
    /// What it is, in a few words with its unit.
    pub help: &'static str,
    /// The number; `None` where it is not known.
    pub of: fn(&T) -> Option<f64>,
}

/// Returns an entry of a table.
const fn metric<T>(name: &'static str, help: &'static str, of: fn(&T) -> Option<f64>) -> Metric<T> {
    Metric { name, help, of }
}

/// The metrics of an operator on a worker.
pub const TASK_METRICS: &[Metric<TaskReport>] = &[
    metric("numRecordsIn", "records taken in", |t| Some(t.records_in as f64)),
    metric("numRecordsInPerSecond", "records per second", |t| Some(t.rates.records_in)),
    metric("numRecordsOut", "records given out", |t| Some(t.records_out as f64)),
    metric("numRecordsOutPerSecond", "records per second", |t| Some(t.rates.records_out)),
    metric("numBytesOut", "bytes sent", |t| t.bytes_out.map(|n| n as f64)),
    metric("numBytesOutPerSecond", "bytes per second", |t| t.rates.bytes_out),
    metric("numBuffersOut", "batches sent", |t| t.buffers_out.map(|n| n as f64)),
    metric("numLateRecordsDropped", "late records", |t| Some(t.late_records_dropped as f64)),
    metric("numFiredTimers", "timers that fired", |t| Some(t.fired_timers as f64)),
    metric("inputQueueLength", "batches that wait", |t| Some(t.queue as f64)),
    metric("busyTimeMsPerSecond", "ms per second", |t| Some(t.rates.busy_ms)),
    metric("idleTimeMsPerSecond", "ms per second", |t| Some(t.rates.idle_ms)),
    metric("backPressuredTimeMsPerSecond", "ms per second", |t| Some(t.rates.back_pressured_ms)),
    metric("accumulateBusyTimeMs", "ms in all", |t| Some(t.busy_ms as f64)),
    metric("accumulateBackPressuredTimeMs", "ms in all", |t| Some(t.back_pressured_ms as f64)),
    metric("isBackPressured", "1 while there is no credit", |t| {
        Some(f64::from(u8::from(t.phase == Phase::BackPressured)))
    }),
    metric("currentInputWatermark", "ms since 1970", |t| Some(t.watermark as f64)),
    metric("currentInput1Watermark", "ms since 1970", |t| promised(t, 0)),
    metric("currentInput2Watermark", "ms since 1970", |t| promised(t, 1)),
    metric("currentOutputWatermark", "ms since 1970", |t| Some(t.output_watermark as f64)),
    metric("checkpointAlignmentTime", "ns", |t| t.barrier.map(|b| b.alignment_ns as f64)),
    metric("checkpointStartDelayNanos", "ns", |t| t.barrier.map(|b| b.start_delay_ns as f64)),
    metric("currentEpoch", "the epoch it is in", |t| t.epoch.map(|epoch| epoch as f64)),
];

fn promised(task: &TaskReport, input: usize) -> Option<f64> {
    task.inputs.get(input).map(|input| input.watermark as f64)
}

/// The metrics of a split of a source.
pub const SPLIT_METRICS: &[Metric<SplitReport>] = &[
    metric("splitCurrentWatermark", "ms since 1970", |s| Some(s.watermark as f64)),
    metric("splitNumRecordsIn", "records read", |s| Some(s.records as f64)),
    metric("splitSilentTimeMs", "ms without a record", |s| Some(s.silent_ms as f64)),
    metric("splitState", "0 active, 1 idle, 2 finished", |s| {
        Some(match s.status {
            Status::Active => 0.0,
            Status::Idle => 1.0,
            Status::Finished => 2.0,
        })
    }),
];

/// The metrics of a job.
pub const JOB_METRICS: &[Metric<JobView>] = &[
    metric("uptime", "ms since this attempt began", |view| {
        Some(view.at_ms.saturating_sub(view.started_ms) as f64)
    }),
    metric("numRestarts", "attempts before this one", |view| {
        view.checkpoints.as_ref().map(|status| status.attempt.saturating_sub(1) as f64)
    }),
    metric("totalNumberOfCheckpoints", "checkpoints triggered", |view| {
        let status = view.checkpoints.as_ref()?;
        let ended = status.checkpoints.completed + status.checkpoints.failed;
        Some(ended as f64 + status.in_progress as f64)
    }),
    metric("numberOfCompletedCheckpoints", "checkpoints", |view| {
        view.checkpoints.as_ref().map(|status| status.checkpoints.completed as f64)
    }),
    metric("numberOfFailedCheckpoints", "checkpoints", |view| {
        view.checkpoints.as_ref().map(|status| status.checkpoints.failed as f64)
    }),
    metric("numberOfInProgressCheckpoints", "checkpoints", |view| {
        view.checkpoints.as_ref().map(|status| status.in_progress as f64)
    }),
    metric("lastCheckpointDuration", "ms", |view| {
        let newest = view.checkpoints.as_ref()?.checkpoints.newest.front();
        newest.map(|newest| newest.duration_ms as f64)
    }),
    metric("lastCheckpointSize", "bytes", |view| {
        let newest = view.checkpoints.as_ref()?.checkpoints.newest.front();
        newest.map(|newest| newest.bytes as f64)
    }),
];

/// Writes the metrics of jobs in the text format of Prometheus.
///
/// - `jobs`: each with the value of its label `job`; none of the labels if it is empty.
///
/// # Errors
/// When two metrics have one name, which a test rules out.
pub fn prometheus<'a>(
    jobs: impl IntoIterator<Item = (&'a str, &'a JobView)>,
) -> Result<Vec<u8>, prometheus::Error> {
    let registry = Registry::new();
    let jobs: Vec<_> = jobs.into_iter().collect();
    let tasks = jobs.iter().flat_map(|(job, view)| {
        let subtasks = view.vertices.iter().flat_map(|vertex| &vertex.subtasks);
        subtasks.map(|subtask| (*job, &subtask.task))
    });
    let tasks: Vec<_> = tasks.collect();
    let labelled = tasks.iter().map(|(job, task)| {
        (
            vec![(*job).to_owned(), task.uid.clone(), task.name.clone(), task.worker.to_string()],
            *task,
        )
    });
    add(&registry, TASK_METRICS, &["job", "uid", "name", "worker"], labelled)?;
    let splits = tasks.iter().flat_map(|(job, task)| {
        let of = [(*job).to_owned(), task.uid.clone(), task.worker.to_string()];
        task.splits.iter().map(move |split| {
            let labels = of.iter().cloned().chain([split.split.clone()]);
            (labels.collect(), split)
        })
    });
    add(&registry, SPLIT_METRICS, &["job", "uid", "worker", "split"], splits)?;
    let views = jobs.iter().map(|(job, view)| (vec![(*job).to_owned()], *view));
    add(&registry, JOB_METRICS, &["job"], views)?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}

fn add<'a, T: 'a>(
    registry: &Registry,
    metrics: &[Metric<T>],
    labels: &[&str],
    of: impl Iterator<Item = (Vec<String>, &'a T)>,
) -> Result<(), prometheus::Error> {
    let of: Vec<_> = of.collect();
    for metric in metrics {
        let opts = Opts::new(format!("highwater_{}", metric.name), metric.help);
        let gauge = GaugeVec::new(opts, labels)?;
        for (labels, of) in &of {
            if let Some(value) = (metric.of)(of) {
                gauge.with_label_values(labels).set(value);
            }
        }
        registry.register(Box::new(gauge))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;

    #[test]
    fn every_metric_is_in_the_documentation_and_none_has_the_name_of_another() {
        let docs = include_str!("../../docs/metrics.md");
        let names = TASK_METRICS.iter().map(|m| m.name).chain(SPLIT_METRICS.iter().map(|m| m.name));
        let names: Vec<_> = names.chain(JOB_METRICS.iter().map(|m| m.name)).collect();
        for name in &names {
            assert!(docs.contains(&format!("| `{name}` |")), "{name} is not in docs/metrics.md");
        }
        let described = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        for name in described {
            assert!(names.contains(&name), "docs/metrics.md has {name}");
        }
        let view = Made::new().view();
        let text = prometheus([("j", &view)]).expect("no name is there twice");
        let text = String::from_utf8(text).expect("text");
        let line = "highwater_currentInputWatermark{job=\"j\",name=\"window\",uid=\"window\",worker=\"1\"} 1000";
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("highwater_numBytesOut{"), "what is not known is left out");
    }
}
