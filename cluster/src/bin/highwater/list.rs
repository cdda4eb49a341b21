//! `highwater list`: the jobs of a cluster.

use std::fmt::Write;
use std::time::Duration;

use highwater_cluster::Result;
use highwater_cluster::rest::JobsOverview;

use crate::place::Place;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Also those that have ended
    #[arg(short, long)]
    all: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut found: JobsOverview = args.place.client()?.get("/jobs/overview")?;
    found.jobs.retain(|job| args.all || !job.state.is_terminal());
    let mut text = String::new();
    for job in &found.jobs {
        let age = Duration::from_secs(job.duration.max(0).unsigned_abs() / 1000);
        let age = humantime::format_duration(age);
        // Nothing can go wrong in writing to a string.
        let _ = write!(text, "{}  {:<11} {:<20} ", job.jid, job.state.name(), job.name);
        let _ = write!(text, "attempt {}, {} processes, {age}", job.attempt, job.parallelism);
        let _ = match job.waits_for_slots {
            Some(slots) => writeln!(text, ", waits for {slots} slots"),
            None => writeln!(text),
        };
    }
    args.place.print(&found, text);
    Ok(())
}
