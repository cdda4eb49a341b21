//! Programs, under Flink's paths for them: `/jars`. They are sent once, and run as often as wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use highwater::core::clock::Clock;
use highwater::supervisor::RestartStrategy;
use highwater::supervisor::protocol::Overrides;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::cluster::Done;
use super::{Answer, Failure, Known, Shared};
use crate::agent::PROGRAM_BYTES_MAX;
use crate::coordinator::event::Event;
use crate::id::{JobId, random};
use crate::record::JobSpec;

pub(super) fn routes() -> OpenApiRouter<Arc<Known>> {
    let limit = DefaultBodyLimit::max(usize::try_from(PROGRAM_BYTES_MAX).unwrap_or(usize::MAX));
    OpenApiRouter::new()
        .routes(routes!(upload).layer(limit))
        .routes(routes!(list))
        .routes(routes!(detail, remove))
        .routes(routes!(run))
        .routes(routes!(content))
}

/// What a program is called.
#[derive(Debug, Deserialize, IntoParams)]
struct Named {
    /// The name of its file.
    name: String,
}

/// A program that has arrived.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Uploaded {
    /// Its name for `/jars/{jarid}/run`: its SHA-256.
    pub filename: String,
    /// Always `success`.
    pub status: String,
}

/// Takes a program: the body is the executable file.
#[utoipa::path(post, path = "/jars/upload", params(Named),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Uploaded)))]
async fn upload(State(known): Shared, Query(named): Query<Named>, body: Bytes) -> Answer<Uploaded> {
    if body.is_empty() {
        return Err(Failure::bad("the body is empty: expected an executable file"));
    }
    let program = known.programs.add(&named.name, body, known.clock.now_ms()).await?;
    Ok(Json(Uploaded { filename: program.hash, status: "success".to_owned() }))
}

/// Programs.
#[derive(Debug, Serialize, ToSchema)]
struct Jars {
    files: Vec<Jar>,
}

/// A program.
#[derive(Debug, Serialize, ToSchema)]
struct Jar {
    /// Its SHA-256.
    id: String,
    name: String,
    /// When it came, in ms since 1970.
    uploaded: i64,
    /// Its size in bytes.
    size: u64,
}

impl From<crate::programs::Program> for Jar {
    fn from(program: crate::programs::Program) -> Self {
        let crate::programs::Program { hash, name, bytes, uploaded_ms } = program;
        Jar { id: hash, name, uploaded: uploaded_ms, size: bytes }
    }
}

/// Lists all programs.
#[utoipa::path(get, path = "/jars", responses((status = 200, body = Jars)))]
async fn list(State(known): Shared) -> Answer<Jars> {
    let programs = known.programs.list().await?;
    Ok(Json(Jars { files: programs.into_iter().map(Jar::from).collect() }))
}

/// Shows a program.
#[utoipa::path(get, path = "/jars/{jarid}", params(("jarid" = String, Path)),
    responses((status = 200, body = Jar)))]
async fn detail(State(known): Shared, Path(id): Path<String>) -> Answer<Jar> {
    Ok(Json(known.programs.get(&id).await?.into()))
}

/// Removes a program. Jobs that run it need it when they are started again.
#[utoipa::path(delete, path = "/jars/{jarid}", params(("jarid" = String, Path)),
    responses((status = 200, body = Done)))]
async fn remove(State(known): Shared, Path(id): Path<String>) -> Answer<Done> {
    let uses = known.handle.look(|all| {
        let mut jobs = all.jobs().filter(|job| !job.record.state.is_terminal());
        jobs.find(|job| job.record.spec.program == id).map(|job| job.id())
    });
    if let Some(job) = uses {
        let why = format!("job {job} needs program {id}");
        return Err(Failure::new(axum::http::StatusCode::CONFLICT, why));
    }
    known.programs.remove(&id).await?;
    Ok(Json(Done {}))
}

/// Returns the executable file of a program, for agents.
#[utoipa::path(get, path = "/programs/{jarid}", params(("jarid" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream")))]
async fn content(State(known): Shared, Path(id): Path<String>) -> Result<Bytes, Failure> {
    Ok(known.programs.content(&id).await?)
}

/// How a program is run. The fields that Flink has are called as there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RunRequest {
    /// What people call the job; the name of the program, if it is not said.
    pub job_name: Option<String>,
    /// What the job is called.
    pub job_id: Option<JobId>,
    /// The arguments of the program.
    pub program_args_list: Vec<String>,
    /// How many processes, each in a slot; 1 if it is not said.
    pub parallelism: Option<usize>,
    /// Worker threads in each process, instead of what the arguments say.
    pub workers: Option<usize>,
    /// The savepoint that the job begins with, or `latest`.
    pub savepoint_path: Option<String>,
    /// Whether stored state that no operator asks for may be left behind.
    pub allow_non_restored_state: bool,
    /// `CLAIM`: the savepoint belongs to the job from then on; `NO_CLAIM`, the default: it stays.
    pub claim_mode: Option<String>,
    /// Where the job keeps its checkpoints, if its arguments do not say it. Without either it takes
    /// them where the cluster keeps those of all jobs, if it was told where that is.
    pub checkpoint_directory: Option<String>,
    /// The time from one checkpoint to the next, in ms.
    pub checkpoint_interval: Option<u64>,
    /// Whether and when the job is started again, as for `--restart`.
    pub restart_strategy: Option<String>,
    /// The folder in which its processes run, on agents that have it.
    pub working_directory: Option<String>,
    /// Variables of their environment.
    pub environment: BTreeMap<String, String>,
}

/// The job that runs a program.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Submitted {
    /// What it is called.
    pub jobid: JobId,
}

/// Runs a program as a job.
#[utoipa::path(post, path = "/jars/{jarid}/run", params(("jarid" = String, Path)),
    request_body = RunRequest, responses((status = 200, body = Submitted)))]
async fn run(
    State(known): Shared,
    Path(program): Path<String>,
    Json(wanted): Json<RunRequest>,
) -> Answer<Submitted> {
    let program = known.programs.get(&program).await?;
    let id = wanted.job_id.map_or_else(JobId::random, Ok)?;
    let claim = match wanted.claim_mode.as_deref() {
        None | Some("NO_CLAIM") => false,
        Some("CLAIM") => true,
        Some(mode) => {
            return Err(Failure::bad(format!("claimMode {mode}: expected CLAIM or NO_CLAIM")));
        }
    };
    if let Some(text) = &wanted.restart_strategy
        && let Err(why) = text.parse::<RestartStrategy>()
    {
        return Err(Failure::bad(format!("restartStrategy {text}: {why}")));
    }
    let parallelism = wanted.parallelism.unwrap_or(1);
    for (name, number) in [("parallelism", parallelism), ("workers", wanted.workers.unwrap_or(1))] {
        if !(1..=MOST).contains(&number) {
            return Err(Failure::bad(format!("{name} {number}: expected 1 to {MOST}")));
        }
    }
    let common = known.checkpoints.as_ref();
    let common = common.map(|base| format!("{}/{id}", base.trim_end_matches('/')));
    let spec = JobSpec {
        id,
        name: wanted.job_name.unwrap_or_else(|| program.name.clone()),
        program: program.hash,
        program_name: program.name,
        arguments: wanted.program_args_list,
        environment: wanted.environment,
        folder: wanted.working_directory,
        parallelism,
        overrides: Overrides {
            workers: wanted.workers,
            checkpoint_dir: wanted.checkpoint_directory.or(common),
            checkpoint_interval_ms: wanted.checkpoint_interval,
            restore: wanted.savepoint_path,
            allow_non_restored_state: wanted.allow_non_restored_state,
            claim,
        },
        restart: wanted.restart_strategy,
    };
    let secret = format!("{:016x}{:016x}", random()?, random()?);
    known.handle.ask(Event::Submit { spec: Box::new(spec), secret }).await?;
    Ok(Json(Submitted { jobid: id }))
}

/// The most processes of a job, and the most workers of a process.
const MOST: usize = 32_768;
