//! Jobs: `/jobs`, `/jobs/overview`, `/jobs/:jobid` and what is below it and needs no checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use highwater::core::clock::Clock;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::cluster::Done;
use super::{Answer, Failure, Known, Shared};
use crate::coordinator::event::Event;
use crate::coordinator::job::Job;
use crate::id::JobId;
use crate::record::JobState;

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(overview))
        .routes(routes!(detail, change))
        .routes(routes!(status))
        .routes(routes!(config))
        .routes(routes!(exceptions))
        .routes(routes!(result))
}

/// Jobs by name and state.
#[derive(Debug, Serialize, ToSchema)]
struct Jobs {
    jobs: Vec<JobAndState>,
}

/// A job's name and state.
#[derive(Debug, Serialize, ToSchema)]
struct JobAndState {
    id: JobId,
    status: JobState,
}

/// Lists all jobs.
#[utoipa::path(get, path = "/jobs", responses((status = 200, body = Jobs)))]
async fn list(State(known): Shared) -> Answer<Jobs> {
    let jobs = known.handle.look(|coordinator| {
        let jobs = coordinator.jobs();
        jobs.map(|job| JobAndState { id: job.id(), status: job.record.state }).collect()
    });
    Ok(Json(Jobs { jobs }))
}

/// A job in one line.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobOverview {
    /// The job.
    pub jid: JobId,
    /// What people call it.
    pub name: String,
    /// What it is doing.
    pub state: JobState,
    /// When it was submitted, in ms since 1970.
    pub start_time: i64,
    /// When it ended, in ms since 1970; -1 if it has not.
    pub end_time: i64,
    /// How long it has been there, in ms.
    pub duration: i64,
    /// When its state changed last, in ms since 1970.
    pub last_modification: i64,
    /// How often its processes were started.
    pub attempt: u64,
    /// How many processes it has, when it has them.
    pub parallelism: usize,
    /// Worker threads in each process, if that is known.
    pub workers: Option<usize>,
    /// How many slots it waits for, if it does.
    pub waits_for_slots: Option<usize>,
    /// Its processes, by what they do.
    pub tasks: BTreeMap<String, usize>,
}

impl JobOverview {
    pub(super) fn of(job: &Job, now_ms: i64) -> Self {
        let record = &job.record;
        let (start, end) = (record.submitted_ms(), record.ended_ms());
        JobOverview {
            jid: job.id(),
            name: record.spec.name.clone(),
            state: record.state,
            start_time: start,
            end_time: end.unwrap_or(-1),
            duration: end.unwrap_or(now_ms) - start,
            last_modification: record.entered_ms.values().copied().max().unwrap_or(start),
            attempt: record.attempt,
            parallelism: record.spec.parallelism,
            workers: workers(job),
            waits_for_slots: job.waits_for,
            tasks: tasks(job),
        }
    }
}

/// Returns how many workers each process of a job has, if that is known.
pub(super) fn workers(job: &Job) -> Option<usize> {
    let said = job.record.described.as_ref().map(|described| described.workers);
    job.record.spec.overrides.workers.or(said)
}

/// Counts the processes of a job by what they do.
fn tasks(job: &Job) -> BTreeMap<String, usize> {
    let mut tasks = BTreeMap::from([("total".to_owned(), job.record.spec.parallelism)]);
    for process in &job.processes {
        let state = match process {
            process if process.is_gone() => "finished",
            process if process.joined => "running",
            process if process.pid.is_some() => "initializing",
            _ => "deploying",
        };
        *tasks.entry(state.to_owned()).or_default() += 1;
    }
    tasks
}

/// Jobs, each in one line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JobsOverview {
    /// The jobs.
    pub jobs: Vec<JobOverview>,
}

/// Lists all jobs with what they are doing.
#[utoipa::path(get, path = "/jobs/overview", responses((status = 200, body = JobsOverview)))]
async fn overview(State(known): Shared) -> Answer<JobsOverview> {
    let now_ms = known.clock.now_ms();
    let jobs = known
        .handle
        .look(|coordinator| coordinator.jobs().map(|job| JobOverview::of(job, now_ms)).collect());
    Ok(Json(JobsOverview { jobs }))
}

/// A process of a job.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProcessDetail {
    /// Which of them.
    pub index: usize,
    /// The agent that has it.
    pub taskmanager_id: Option<String>,
    /// Its number on that host.
    pub pid: Option<u32>,
    /// Whether it has begun.
    pub joined: bool,
    /// Whether nothing is left of it.
    pub gone: bool,
}

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JobDetail {
    /// The job in one line.
    #[serde(flatten)]
    pub overview: JobOverview,
    /// The time, in ms since 1970.
    pub now: i64,
    /// Whether it can be stopped with a checkpoint.
    #[serde(rename = "isStoppable")]
    pub is_stoppable: bool,
    /// Key groups; -1 if that is not known.
    #[serde(rename = "maxParallelism")]
    pub max_parallelism: i64,
    /// When it came into each state, in ms since 1970; 0 if it did not.
    pub timestamps: BTreeMap<String, i64>,
    /// Its program, by its SHA-256.
    pub program: String,
    /// The name of its program.
    pub program_name: String,
    /// The arguments of its program.
    pub arguments: Vec<String>,
    /// Its processes.
    pub processes: Vec<ProcessDetail>,
}

fn detail_of(job: &Job, now_ms: i64) -> JobDetail {
    let record = &job.record;
    let since = |state: &JobState| record.entered_ms.get(state).copied().unwrap_or_default();
    let timestamps = JobState::ALL.iter().map(|state| (state.name().to_owned(), since(state)));
    let groups = record.described.as_ref().map(|said| i64::from(said.max_parallelism));
    let processes = job.processes.iter().enumerate().map(|(index, process)| ProcessDetail {
        index,
        taskmanager_id: process.agent.as_ref().map(ToString::to_string),
        pid: process.pid,
        joined: process.joined,
        gone: process.is_gone(),
    });
    JobDetail {
        overview: JobOverview::of(job, now_ms),
        now: now_ms,
        is_stoppable: takes_checkpoints(job),
        max_parallelism: groups.filter(|groups| *groups > 0).unwrap_or(-1),
        timestamps: timestamps.collect(),
        program: record.spec.program.clone(),
        program_name: record.spec.program_name.clone(),
        arguments: record.spec.arguments.clone(),
        processes: processes.collect(),
    }
}

fn takes_checkpoints(job: &Job) -> bool {
    job.record.described.as_ref().is_some_and(|said| said.checkpoints.is_some())
}

/// Shows a job.
#[utoipa::path(get, path = "/jobs/{jobid}", params(("jobid" = JobId, Path)),
    responses((status = 200, body = JobDetail)))]
async fn detail(State(known): Shared, Path(id): Path<JobId>) -> Answer<JobDetail> {
    let now_ms = known.clock.now_ms();
    let detail = known.handle.job(id, |job| detail_of(job, now_ms))?;
    Ok(Json(detail))
}

/// How a job is changed.
#[derive(Debug, Deserialize, IntoParams)]
struct Change {
    /// `cancel`.
    mode: Option<String>,
}

/// Cancels a job: its processes are ended at once, without a checkpoint.
#[utoipa::path(patch, path = "/jobs/{jobid}", params(("jobid" = JobId, Path), Change),
    responses((status = 202, body = Done)))]
async fn change(
    State(known): Shared,
    Path(id): Path<JobId>,
    Query(change): Query<Change>,
) -> Result<(axum::http::StatusCode, Json<Done>), Failure> {
    match change.mode.as_deref() {
        None | Some("cancel") => known.handle.ask(Event::Cancel(id)).await?,
        Some(mode) => return Err(Failure::bad(format!("mode={mode}: expected cancel"))),
    }
    Ok((axum::http::StatusCode::ACCEPTED, Json(Done {})))
}

/// The state of a job.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    status: JobState,
}

/// Shows the state of a job.
#[utoipa::path(get, path = "/jobs/{jobid}/status", params(("jobid" = JobId, Path)),
    responses((status = 200, body = Status)))]
async fn status(State(known): Shared, Path(id): Path<JobId>) -> Answer<Status> {
    let status = known.handle.job(id, |job| job.record.state)?;
    Ok(Json(Status { status }))
}

/// How a job is run.
#[derive(Debug, Serialize, ToSchema)]
struct JobConfig {
    jid: JobId,
    name: String,
    #[serde(rename = "execution-config")]
    execution_config: ExecutionConfig,
}

/// How a job is run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct ExecutionConfig {
    execution_mode: &'static str,
    restart_strategy: String,
    job_parallelism: usize,
    workers: Option<usize>,
}

/// Shows how a job is run.
#[utoipa::path(get, path = "/jobs/{jobid}/config", params(("jobid" = JobId, Path)),
    responses((status = 200, body = JobConfig)))]
async fn config(State(known): Shared, Path(id): Path<JobId>) -> Answer<JobConfig> {
    let config = known.handle.job(id, |job| JobConfig {
        jid: id,
        name: job.record.spec.name.clone(),
        execution_config: ExecutionConfig {
            execution_mode: "PIPELINED",
            restart_strategy: job.record.restart().to_string(),
            job_parallelism: job.record.spec.parallelism,
            workers: workers(job),
        },
    })?;
    Ok(Json(config))
}

/// The failures of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Exceptions {
    exception_history: History,
}

/// The last failures of a job.
#[derive(Debug, Serialize, ToSchema)]
struct History {
    /// Newest first.
    entries: Vec<Exception>,
    /// Whether there were more.
    truncated: bool,
}

/// A failure of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Exception {
    /// How the process ended.
    exception_name: String,
    /// Why, in one sentence.
    stacktrace: String,
    /// When, in ms since 1970.
    timestamp: i64,
    /// Which attempt.
    attempt: u64,
}

/// How many failures are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
struct Most {
    max_exceptions: Option<usize>,
}

/// Shows why a job failed.
#[utoipa::path(get, path = "/jobs/{jobid}/exceptions", params(("jobid" = JobId, Path), Most),
    responses((status = 200, body = Exceptions)))]
async fn exceptions(
    State(known): Shared,
    Path(id): Path<JobId>,
    Query(most): Query<Most>,
) -> Answer<Exceptions> {
    let most = most.max_exceptions.unwrap_or(20);
    let (entries, failed) = known.handle.job(id, |job| {
        let newest = job.record.failures.iter().rev().take(most).map(|failure| Exception {
            exception_name: failure.exit.clone(),
            stacktrace: failure.sentence.clone(),
            timestamp: failure.at_ms,
            attempt: failure.attempt,
        });
        (newest.collect::<Vec<_>>(), job.record.failed)
    })?;
    let truncated = (entries.len() as u64) < failed;
    Ok(Json(Exceptions { exception_history: History { entries, truncated } }))
}

/// Whether something has come to its end.
#[derive(Debug, Serialize, ToSchema)]
struct Progress {
    id: &'static str,
}

/// What a job came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct ExecutionResult {
    status: Progress,
    job_execution_result: Option<Outcome>,
}

/// What a job came to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
struct Outcome {
    id: JobId,
    application_status: JobState,
    net_runtime: i64,
    failure_cause: Option<String>,
}

/// Shows what a job came to, once it has ended.
#[utoipa::path(get, path = "/jobs/{jobid}/execution-result", params(("jobid" = JobId, Path)),
    responses((status = 200, body = ExecutionResult)))]
async fn result(State(known): Shared, Path(id): Path<JobId>) -> Answer<ExecutionResult> {
    let outcome = known.handle.job(id, |job| {
        let record = &job.record;
        let failure = record.failures.last().filter(|_| record.state == JobState::Failed);
        record.ended_ms().map(|ended| Outcome {
            id,
            application_status: record.state,
            net_runtime: ended - record.submitted_ms(),
            failure_cause: failure.map(|failure| failure.sentence.clone()),
        })
    })?;
    let id = if outcome.is_some() { "COMPLETED" } else { "IN_PROGRESS" };
    Ok(Json(ExecutionResult { status: Progress { id }, job_execution_result: outcome }))
}
