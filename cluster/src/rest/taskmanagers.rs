//! Agents, which Flink calls TaskManagers, and what the processes of jobs print.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Failure, Known, Shared};
use crate::coordinator::{Agent, Coordinator};
use crate::frame::{AgentId, Key};
use crate::id::JobId;

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(detail))
        .routes(routes!(logs))
        .routes(routes!(log))
        .routes(routes!(job_log))
}

/// Agents.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TaskManagers {
    /// The agents.
    pub taskmanagers: Vec<TaskManager>,
}

/// An agent.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskManager {
    /// What it is called.
    pub id: String,
    /// Its host and its process.
    pub path: String,
    /// When it last gave a sign of life, in ms since 1970.
    pub time_since_last_heartbeat: i64,
    /// Its slots.
    pub slots_number: usize,
    /// Those that no process has.
    pub free_slots: usize,
    /// Its machine.
    pub hardware: Hardware,
}

/// A machine.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hardware {
    /// Processors that the agent may use.
    pub cpu_cores: usize,
    /// Memory that it may use, in bytes: of its control group, if that has a limit.
    pub physical_memory: u64,
    /// What is left of it, in bytes.
    pub free_memory: u64,
    /// Processes in its control group.
    pub pids: u64,
}

fn shown(id: &AgentId, agent: &Agent, free: &BTreeMap<AgentId, usize>) -> TaskManager {
    let has = &agent.hardware;
    TaskManager {
        id: id.to_string(),
        path: format!("{}:{}", agent.host, agent.pid),
        time_since_last_heartbeat: agent.heard_ms,
        slots_number: agent.slots,
        free_slots: free.get(id).copied().unwrap_or_default(),
        hardware: Hardware {
            cpu_cores: has.cores,
            physical_memory: has.memory_bytes,
            free_memory: has.memory_bytes.saturating_sub(has.used_bytes),
            pids: has.pids,
        },
    }
}

fn all(coordinator: &Coordinator) -> Vec<TaskManager> {
    let free = coordinator.free_slots();
    coordinator.agents().map(|(id, agent)| shown(id, agent, &free)).collect()
}

/// Lists all agents.
#[utoipa::path(get, path = "/taskmanagers", responses((status = 200, body = TaskManagers)))]
async fn list(State(known): Shared) -> Answer<TaskManagers> {
    Ok(Json(TaskManagers { taskmanagers: known.handle.look(all) }))
}

fn missing(id: &str) -> Failure {
    Failure::missing(format!("there is no agent {id:?}"))
}

/// Returns an agent that is there.
fn agent(known: &Known, id: &str) -> Result<AgentId, Failure> {
    let wanted = AgentId(id.to_owned());
    let is_there = known.handle.look(|all| all.agents().any(|(agent, _)| *agent == wanted));
    if is_there { Ok(wanted) } else { Err(missing(id)) }
}

/// Shows an agent.
#[utoipa::path(get, path = "/taskmanagers/{taskmanagerid}",
    params(("taskmanagerid" = String, Path)), responses((status = 200, body = TaskManager)))]
async fn detail(State(known): Shared, Path(id): Path<String>) -> Answer<TaskManager> {
    let found = known.handle.look(all).into_iter().find(|agent| agent.id == id);
    found.map(Json).ok_or_else(|| missing(&id))
}

/// The logs of an agent.
#[derive(Debug, Serialize, ToSchema)]
struct Logs {
    logs: Vec<LogName>,
}

/// A log.
#[derive(Debug, Serialize, ToSchema)]
struct LogName {
    /// `JOB-ATTEMPT-PROCESS.out`, or `.err`.
    name: String,
    /// Its length in bytes.
    size: u64,
}

/// Lists the logs of an agent: two for each process that it has or had.
#[utoipa::path(get, path = "/taskmanagers/{taskmanagerid}/logs",
    params(("taskmanagerid" = String, Path)), responses((status = 200, body = Logs)))]
async fn logs(State(known): Shared, Path(id): Path<String>) -> Answer<Logs> {
    let piece = known.handle.log(agent(&known, &id)?, None, 0).await?;
    let logs = piece.names.into_iter().map(|(name, size)| LogName { name, size });
    Ok(Json(Logs { logs: logs.collect() }))
}

/// Which piece of a log is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Piece {
    /// Where it begins, in bytes; from the end if it is negative.
    offset: Option<i64>,
}

/// A piece of a log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LogPiece {
    /// What was written there; bytes that are no text are replaced.
    pub text: String,
    /// Where the piece after it begins, in bytes.
    pub next: u64,
    /// How long the log is, in bytes.
    pub length: u64,
}

async fn read(known: &Known, agent: AgentId, name: String, from: i64) -> Answer<LogPiece> {
    let piece = known.handle.log(agent, Some(name), from).await?;
    Ok(Json(LogPiece { text: piece.text, next: piece.next, length: piece.length }))
}

/// Shows a piece of a log of an agent.
#[utoipa::path(get, path = "/taskmanagers/{taskmanagerid}/logs/{name}",
    params(("taskmanagerid" = String, Path), ("name" = String, Path), Piece),
    responses((status = 200, body = LogPiece)))]
async fn log(
    State(known): Shared,
    Path((id, name)): Path<(String, String)>,
    Query(piece): Query<Piece>,
) -> Answer<LogPiece> {
    read(&known, agent(&known, &id)?, name, piece.offset.unwrap_or_default()).await
}

/// Which log of a job is wanted.
#[derive(Debug, Deserialize, IntoParams)]
struct Which {
    /// Of which of its processes; the first, if it is not said.
    process: Option<usize>,
    /// Of which attempt; the newest, if it is not said.
    attempt: Option<u64>,
    /// `out` or `err`, if it is not said `out`.
    stream: Option<String>,
    /// Where the piece begins, in bytes; from the end if it is negative.
    offset: Option<i64>,
}

/// Shows a piece of what a process of a job prints. Only the agent that has or had it knows.
#[utoipa::path(get, path = "/jobs/{jobid}/logs", params(("jobid" = JobId, Path), Which),
    responses((status = 200, body = LogPiece)))]
async fn job_log(
    State(known): Shared,
    Path(job): Path<JobId>,
    Query(which): Query<Which>,
) -> Answer<LogPiece> {
    let index = which.process.unwrap_or_default();
    let (newest, has) = known.handle.job(job, |job| {
        let has = job.processes.get(index).and_then(|process| process.agent.clone());
        (job.record.attempt, has)
    })?;
    let others: Vec<_> =
        known.handle.look(|all| all.agents().map(|(agent, _)| agent.clone()).collect());
    let key = Key { job, attempt: which.attempt.unwrap_or(newest), index };
    let [out, err] = crate::agent::log_names(key);
    let name = match which.stream.as_deref() {
        None | Some("out") => out,
        Some("err") => err,
        Some(other) => return Err(Failure::bad(format!("stream={other}: expected out or err"))),
    };
    let from = which.offset.unwrap_or_default();
    // When it has ended, nobody remembers where it was.
    for agent in has.iter().chain(&others) {
        if let Ok(piece) = read(&known, agent.clone(), name.clone(), from).await {
            return Ok(piece);
        }
    }
    Err(Failure::missing(format!("no agent has the log {name}")))
}
