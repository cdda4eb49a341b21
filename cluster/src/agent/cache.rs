//! The programs that an agent has: fetched once from the coordinator, by what is in them.

use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater::remote::Client;

use crate::error::{Error, Result};
use crate::programs::{hash, is_hash};
use crate::rest::Token;

/// How long a program may be on its way.
const TIMEOUT: Duration = Duration::from_secs(300);
/// The largest program, in bytes.
pub(crate) const PROGRAM_BYTES_MAX: u64 = 2 << 30;

/// The programs of an agent. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: Arc<PathBuf>,
    coordinator: Arc<Mutex<Option<Client>>>,
    /// Held while a program is fetched, so that it is fetched once.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Cache {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let folder = folder.join("programs");
        std::fs::create_dir_all(&folder)
            .map_err(|cause| Error::io("make", folder.display(), cause))?;
        let (coordinator, turn) = (Arc::default(), Arc::default());
        Ok(Cache { folder: Arc::new(folder), coordinator, turn })
    }

    /// Says where programs are to be had.
    pub(super) fn ask(&self, coordinator: SocketAddr, token: Option<Token>) {
        let client = Client::new(
            &format!("http://{coordinator}"),
            token.map(|token| token.secret().to_owned()),
        );
        *self.coordinator.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
    }

    /// Returns where a program is; fetches it first if it is not there.
    ///
    /// # Errors
    /// When it cannot be had, or what came is something else.
    pub(super) async fn fetch(&self, wanted: &str, name: &str) -> Result<PathBuf> {
        if !is_hash(wanted) {
            return Err(Error::NoProgram { hash: wanted.to_owned() });
        }
        let _turn = self.turn.lock().await;
        let path = self.folder.join(wanted);
        if path.exists() {
            return Ok(path);
        }
        let coordinator = self.coordinator.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(coordinator) = coordinator else {
            return Err(Error::NoProgram { hash: wanted.to_owned() });
        };
        let (to, wanted) = (path.clone(), wanted.to_owned());
        let problem = format!("the program {name:?} that came has another hash");
        let fetching = tokio::task::spawn_blocking(move || {
            let mut content = Vec::new();
            let mut from = coordinator.download(&format!("/programs/{wanted}"), TIMEOUT)?;
            let read = from.by_ref().take(PROGRAM_BYTES_MAX).read_to_end(&mut content);
            read.map_err(|cause| Error::io("fetch", &wanted, cause))?;
            match hash(&content) == wanted {
                true => put(&to, &content),
                false => Err(Error::Damaged { path: wanted, problem }),
            }
        });
        let failed = |cause: tokio::task::JoinError| Error::io("fetch", name, cause.into());
        fetching.await.map_err(failed)??;
        Ok(path)
    }
}

/// Puts a program there, whole or not at all.
fn put(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |cause| Error::io("write", path.display(), cause);
    let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
    std::fs::write(&unfinished, content).map_err(failed)?;
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&unfinished, executable).map_err(failed)?;
    std::fs::rename(&unfinished, path).map_err(failed)
}
