//! `highwater info`: one job, its processes, its checkpoints and its failures.

use std::fmt::Write;

use highwater_cluster::Result;
use highwater_cluster::rest::JobDetail;
use serde_json::{Value, json};

use crate::place::Chosen;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    chosen: Chosen,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let client = args.chosen.place.client()?;
    let id = args.chosen.find(&client)?.jid;
    let detail: JobDetail = client.get(&format!("/jobs/{id}"))?;
    let checkpoints: Value = client.get(&format!("/jobs/{id}/checkpoints"))?;
    let exceptions: Value = client.get(&format!("/jobs/{id}/exceptions"))?;
    let text = render(&detail, &checkpoints, &exceptions);
    let json = json!({ "job": detail, "checkpoints": checkpoints, "exceptions": exceptions });
    args.chosen.place.print(&json, text);
    Ok(())
}

/// Writes a job for people.
fn render(detail: &JobDetail, checkpoints: &Value, exceptions: &Value) -> String {
    let job = &detail.overview;
    let mut text = format!("{} {} ({}), attempt {}\n", job.jid, job.name, job.state, job.attempt);
    // Nothing can go wrong in writing to a string.
    let _ = writeln!(text, "{} {}", detail.program_name, detail.arguments.join(" "));
    for process in &detail.processes {
        let agent = process.taskmanager_id.as_deref().unwrap_or("an unknown agent");
        let pid = process.pid.map_or("no".to_owned(), |pid| pid.to_string());
        let _ = writeln!(text, "process {} on {agent}, pid {pid}", process.index);
    }
    let counts = &checkpoints["counts"];
    let number = |name: &str| counts[name].as_u64().unwrap_or_default();
    let (done, failed) = (number("completed"), number("failed"));
    let _ = writeln!(text, "checkpoints: {done} completed, {failed} failed");
    let entries = exceptions["exceptionHistory"]["entries"].as_array();
    for entry in entries.into_iter().flatten() {
        let (exit, why) = (entry["exceptionName"].as_str(), entry["stacktrace"].as_str());
        let (exit, why) = (exit.unwrap_or_default(), why.unwrap_or_default());
        let _ = writeln!(text, "attempt {}, {exit}: {why}", entry["attempt"]);
    }
    text
}
