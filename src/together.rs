//! How a process of a job finds the others.
//!
//! ```text
//! plain: -n -p --hostfile ---------------------------------------.
//! under an agent: Begin { mesh } --> Listening --> Peers ---------+--> Meeting --> Mesh
//! ```

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use highwater_core::config::Mode;
use highwater_core::error::{Error, Result};
use highwater_mesh::{Meeting, Mesh, Secret, Spec};
use xxhash_rust::xxh3::Xxh3;

use crate::options::Config;
use crate::supervisor::Attempt;

/// Connects this process with the others of its job, if it has any.
///
/// # Errors
/// When one of them is not there or refuses this one.
pub(crate) fn meet(config: &Config, attempt: Option<&Attempt>) -> Result<Option<Arc<Mesh>>> {
    if let Some((attempt, mesh)) = attempt.and_then(|attempt| Some((attempt, attempt.mesh()?))) {
        if mesh.processes < 2 {
            return Ok(None);
        }
        let spec = Spec {
            job: mesh.job.clone(),
            attempt: Some(mesh.attempt),
            index: mesh.index,
            processes: mesh.processes,
            ..spec(config, Secret::new(mesh.secret.as_bytes()))?
        };
        let meeting = Meeting::listen_on(spec, mesh.listen)?;
        let addresses = attempt.peers(meeting.address())?;
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        if addresses.len() != mesh.processes {
            let message = format!("{} addresses of {} processes", addresses.len(), mesh.processes);
            return Err(Error::Start { message });
        }
        return Ok(Some(Arc::new(meeting.form(&addresses)?)));
    }
    let Some(processes) = &config.processes else { return Ok(None) };
    let spec = Spec {
        index: processes.index,
        processes: processes.addresses.len(),
        ..spec(config, Secret::new(processes.secret.clone()))?
    };
    let address = processes.addresses.get(processes.index).map_or("", String::as_str);
    let meeting = Meeting::listen(spec, address)?;
    Ok(Some(Arc::new(meeting.form(&processes.addresses)?)))
}

/// Returns what must be equal in all processes.
fn spec(config: &Config, secret: Secret) -> Result<Spec> {
    let engine = &config.engine;
    let mode = match engine.mode {
        Mode::Auto => "auto",
        Mode::Streaming => "streaming",
        Mode::Batch => "batch",
    };
    let max = engine.max_parallelism.map_or("the default".to_owned(), |max| max.to_string());
    let checkpoints = config.checkpoints.as_ref().map_or("not given", |options| &options.url);
    let options = [
        ("--mode", mode.to_owned()),
        ("--watermark-interval", humantime::format_duration(engine.watermark_interval).to_string()),
        ("--max-parallelism", max),
        ("--checkpoint-dir", checkpoints.to_owned()),
        ("--state", format!("{:?}", engine.state).to_lowercase()),
    ];
    let path = std::env::current_exe();
    let path = path.map_err(|cause| Error::Start { message: format!("no executable: {cause}") })?;
    let program = hash(&path).map_err(|cause| Error::io("read", &path, cause))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Spec {
        job: name,
        attempt: None,
        index: 0,
        processes: 1,
        workers: engine.workers,
        program,
        options: options.map(|(name, value)| (name.to_owned(), value)).into(),
        secret,
    })
}

/// Returns a hash of a file.
fn hash(path: &Path) -> std::io::Result<u128> {
    let (mut file, mut hasher, mut piece) = (File::open(path)?, Xxh3::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.digest128()),
            read => hasher.update(&piece[..read]),
        }
    }
}
