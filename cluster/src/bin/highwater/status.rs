//! `highwater status`: shows how far a running job has come.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytesize::ByteSize;
use highwater::Result;
use highwater::control::JobStatus;

use crate::controlled::Controlled;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    job: Controlled,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    args.job.print(&args.job.client()?.status()?, render)
}

/// Writes a status for people.
fn render(status: &JobStatus) -> String {
    let JobStatus { pid, workers, records_in, records_out, checkpoints, restarts } = status;
    let (attempt, epoch) = (checkpoints.attempt, checkpoints.epoch);
    let (of, under_way) = (&checkpoints.checkpoints, checkpoints.in_progress);
    let mut text = format!(
        "attempt {attempt}, epoch {epoch}, {workers} workers in process {pid}\n\
         {records_in} records in, {records_out} out\n\
         checkpoints: {} completed, {} failed, {under_way} in progress\n",
        of.completed, of.failed
    );
    // Nothing can go wrong in writing to a string.
    for completed in &of.newest {
        let (took, size) = (completed.duration_ms, ByteSize(completed.bytes));
        let (number, at) = (completed.checkpoint, time(completed.triggered_ms));
        let _ = writeln!(text, "  {number} at {at}: {size} in {took} ms");
    }
    for failed in &of.failures {
        let (number, at) = (failed.checkpoint, time(failed.failed_ms));
        let _ = writeln!(text, "  {number} failed at {at}: {}", failed.why);
    }
    for failure in restarts {
        let _ = writeln!(text, "restarted after {failure}");
    }
    text
}

fn time(ms: i64) -> humantime::Rfc3339Timestamp {
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(ms.max(0).unsigned_abs()));
    humantime::format_rfc3339_millis(at.unwrap_or(UNIX_EPOCH))
}
