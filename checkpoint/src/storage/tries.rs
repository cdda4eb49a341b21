//! When something is tried again, and when it is given up.
//!
//! ```text
//! asked --> done | missing | refused: no permission, disk full --> the answer, at once
//!      '--> failed or no answer in time --> a pause --> asked again ... --> unavailable
//! ```

use futures_util::future::{Either, select};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};

use crate::error::{Doing, StorageError};
use crate::storage::{Storage, local};

impl Storage {
    /// Does something until it is done, refused, or was tried often enough.
    pub(super) async fn tried<T, F>(
        &self,
        path: &str,
        doing: Doing,
        once: impl Fn() -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let mut tries = 1;
        loop {
            let answer = std::pin::pin!(once());
            let failed = match select(answer, self.pace.sleep(self.retry.timeout)).await {
                Either::Left((Ok(value), _)) => return Ok(value),
                Either::Left((Err(source), _)) => Some(source),
                Either::Right(((), _)) => None,
            };
            // A write that was tried before may have happened, or happen yet, although it is now
            // refused.
            let certain = doing != Doing::Write || tries == 1;
            let failed = match failed {
                Some(Error::NotFound { .. }) if doing != Doing::Write => {
                    return Err(StorageError::Missing { path: path.into() });
                }
                Some(source) if certain && is_refusal(&source) => {
                    return Err(StorageError::Refused { path: self.full(path), doing, source });
                }
                failed => failed,
            };
            if tries >= self.retry.tries || failed.as_ref().is_some_and(is_refusal) {
                let (path, source) = (self.full(path), failed);
                return Err(StorageError::Unavailable { path, doing, tries, source });
            }
            tracing::debug!(path, %doing, tries, error = ?failed, "the store failed, trying again");
            self.pace.sleep(self.retry.pause_after(tries)).await;
            tries += 1;
        }
    }

    /// Returns the path as people find it, for errors that are not those of one object.
    fn full(&self, path: &str) -> String {
        format!("{self}/{path}")
    }

    /// Returns why something could not be listed. S3 does not say which errors of its listings are
    /// refusals; of other requests it does.
    pub(super) async fn why_not_listed(&self, folder: &Path, listed: Error) -> Error {
        if !matches!(listed, Error::Generic { .. }) {
            return listed;
        }
        match self.store.head(folder).await {
            Err(Error::PermissionDenied { path, .. } | Error::Unauthenticated { path, .. }) => {
                Error::PermissionDenied { path, source: listed.into() }
            }
            _ => listed,
        }
    }
}

/// Returns whether asking again would be answered in the same way.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Generic { source, .. } => local::is_refusal(&**source),
        Error::JoinError { .. } => false,
        _ => true,
    }
}
