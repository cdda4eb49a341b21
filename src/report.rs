//! What a running job shows: a line per source on a terminal, metrics in a file, a summary.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use highwater_core::error::{Error, Result};
use highwater_core::job::Job;
use highwater_core::metrics::Role;
use highwater_operators::environment::Summary;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::observe::{JobView, Observer, ProcessReport, prometheus};
use crate::supervisor::Attempt;

/// How often the lines on the terminal change.
const REFRESH: Duration = Duration::from_millis(200);
/// How often the job is looked at, for metrics and for whoever supervises it.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The thread that reports, while the job runs.
pub(crate) struct Report {
    observer: Arc<Observer>,
    metrics: Option<PathBuf>,
    progress: bool,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Report {
    /// Starts reporting.
    ///
    /// - `attempt`: the connection with the supervisor, which is told how the job goes.
    pub(crate) fn start(
        job: &Arc<Job>,
        observer: &Arc<Observer>,
        progress: bool,
        metrics: Option<PathBuf>,
        attempt: Option<&'static Attempt>,
    ) -> Result<Self> {
        if let Some(path) = &metrics {
            write_metrics(&observer.look(), path)?;
        }
        let lines = progress.then(MultiProgress::new).filter(|lines| !lines.is_hidden());
        let refresh = if lines.is_some() { REFRESH } else { LOOK_INTERVAL };
        let (stop, stopped) = channel();
        let (job, path, looking) = (Arc::clone(job), metrics.clone(), Arc::clone(observer));
        let thread = std::thread::spawn(move || {
            let mut sources = Sources::new(lines);
            let mut looked = Instant::now();
            while stopped.recv_timeout(refresh) == Err(RecvTimeoutError::Timeout) {
                sources.refresh(&job);
                if looked.elapsed() >= LOOK_INTERVAL {
                    looked = Instant::now();
                    tell(&looking.look(), path.as_deref(), attempt);
                }
            }
            sources.clear();
        });
        let observer = Arc::clone(observer);
        Ok(Report { observer, metrics, progress, thread: Some((stop, thread)) })
    }

    /// Stops reporting, and says what the job came to.
    #[expect(clippy::print_stderr, reason = "the summary is for people")]
    pub(crate) fn end(mut self, summary: Option<&Summary>) -> Result<()> {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            if thread.join().is_err() {
                tracing::warn!("the reporting thread panicked");
            }
        }
        if let Some(path) = &self.metrics {
            write_metrics(&self.observer.look(), path)?;
        }
        if let Some(summary) = summary
            && self.progress
        {
            eprintln!("{summary}");
        }
        Ok(())
    }
}

/// Tells everybody how the job goes.
fn tell(report: &ProcessReport, metrics: Option<&Path>, attempt: Option<&Attempt>) {
    if let Some(Err(error)) = metrics.map(|path| write_metrics(report, path)) {
        tracing::warn!("{}", error.sentence());
    }
    if let Some(attempt) = attempt {
        attempt.observed(report);
    }
}

/// The lines of the sources on a terminal.
struct Sources {
    lines: Option<MultiProgress>,
    bars: Vec<(String, ProgressBar, u64)>,
    seen: Instant,
}

impl Sources {
    fn new(lines: Option<MultiProgress>) -> Self {
        Sources { lines, bars: Vec::new(), seen: Instant::now() }
    }

    fn refresh(&mut self, job: &Job) {
        let Some(lines) = &self.lines else { return };
        let operators = job.metrics().operators();
        let sources: Vec<_> = operators.iter().filter(|o| o.role == Role::Source).collect();
        let seconds = self.seen.elapsed().as_secs_f64().max(1e-3);
        self.seen = Instant::now();
        for source in &sources {
            if self.bars.iter().all(|(uid, _, _)| *uid != source.uid) {
                let style = ProgressStyle::with_template("{spinner} {msg}");
                let bar = lines.add(ProgressBar::new_spinner());
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                self.bars.push((source.uid.clone(), bar, 0));
            }
        }
        let now_ms = job.now_ms();
        for (uid, bar, before) in &mut self.bars {
            let mine = sources.iter().filter(|source| source.uid == *uid);
            let records: u64 = mine.clone().map(|source| source.records_in.get()).sum();
            let name = mine.clone().next().map(|source| source.name.clone()).unwrap_or_default();
            let watermark = mine.map(|source| source.watermark()).min().unwrap_or(i64::MIN);
            let per_second = (records - *before) as f64 / seconds;
            *before = records;
            let progress = progress_of(watermark, now_ms);
            bar.set_message(format!("{name}: {records} records, {per_second:.0}/s, {progress}"));
            bar.tick();
        }
    }

    fn clear(&self) {
        self.bars.iter().for_each(|(_, bar, _)| bar.finish_and_clear());
    }
}

/// How far event time has come, in words.
fn progress_of(watermark: i64, now_ms: i64) -> String {
    match u64::try_from(watermark) {
        Ok(ms) if watermark < i64::MAX => {
            let lag = Duration::from_millis(now_ms.saturating_sub(watermark).max(0).unsigned_abs());
            let lag = Duration::from_secs(lag.as_secs());
            match UNIX_EPOCH.checked_add(Duration::from_millis(ms)) {
                Some(at) if ms < 200_000_000_000_000 => format!(
                    "watermark {}, lag {}",
                    humantime::format_rfc3339_seconds(at),
                    humantime::format_duration(lag)
                ),
                _ => format!("watermark {watermark}"),
            }
        }
        _ if watermark == i64::MAX => "at the end".to_owned(),
        _ => "no watermark yet".to_owned(),
    }
}

/// Writes all metrics in the text format of Prometheus; readers never see half a file.
fn write_metrics(report: &ProcessReport, path: &Path) -> Result<()> {
    let view = JobView::of([(0, report)]);
    let text =
        prometheus([("", &view)]).map_err(|cause| Error::program(format!("metrics: {cause}")))?;
    let hidden = path.with_extension("tmp");
    std::fs::write(&hidden, text).map_err(|cause| Error::io("write", &hidden, cause))?;
    std::fs::rename(&hidden, path).map_err(|cause| Error::io("write", path, cause))
}
