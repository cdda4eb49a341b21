//! Why a command ended before its end.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, and with which exit code the command ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A step ran and failed; it has said itself why.
    #[error("`{step}` failed with {status}")]
    Failed { step: String, status: std::process::ExitStatus },
    /// A step could not be started.
    #[error("could not start `{step}`")]
    Start { step: String, source: io::Error },
    /// A file or folder could not be read.
    #[error("could not read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A step ended well but left no result behind.
    #[error("no results in {}", path.display())]
    NoResults { path: PathBuf },
    /// The system lacks programs, and we may not install them.
    #[error("{programs} missing here; install with: {command}")]
    Missing { programs: String, command: String },
    /// There is no experiment of that name.
    #[error("there is no experiment {name:?}, expected one of: {known}")]
    UnknownPaper { name: String, known: String },
}

impl Error {
    /// Returns what makes an error of the failure to read `path`.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        |source| Error::Read { path, source }
    }

    /// Returns the exit code: that of the step that failed, 2 for wrong arguments, else 1.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Error::Failed { status, .. } => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                code.filter(|code| *code != 0).unwrap_or(1)
            }
            Error::UnknownPaper { .. } => 2,
            _ => 1,
        }
    }

    /// Returns the error and its cause in one line.
    pub(crate) fn sentence(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}
