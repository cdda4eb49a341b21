//! From an address to a storage.

use std::path::Path;
use std::sync::Arc;

use object_store::memory::InMemory;
use url::Url;

use crate::error::StorageError;
use crate::storage::{Storage, local};

/// Whether a folder of this machine has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Folder {
    /// It has to be there.
    Existing,
    /// It is made if it is not.
    Made,
}

pub(super) fn open(url: &str, folder: Folder) -> Result<Storage, StorageError> {
    if url.is_empty() {
        return Err(StorageError::url(url, "an address is needed, such as a folder"));
    }
    if !url.contains("://") {
        return local::open(url, Path::new(url), folder);
    }
    let parsed = Url::parse(url).map_err(|error| StorageError::Url {
        url: url.into(),
        problem: "not a URL".into(),
        source: Some(error.into()),
    })?;
    match parsed.scheme() {
        "file" => {
            let path = parsed.to_file_path().map_err(|()| {
                StorageError::url(url, "not a folder of this machine, expected file:///folder")
            })?;
            local::open(url, &path, folder)
        }
        "memory" => Storage::of(Arc::new(InMemory::new()), ""),
        "s3" | "s3a" => open_s3(url, &parsed),
        scheme => {
            let problem =
                format!("{scheme}:// is not known, expected a folder, file://, s3:// or memory://");
            Err(StorageError::url(url, problem))
        }
    }
}

#[cfg(feature = "s3")]
fn open_s3(url: &str, parsed: &Url) -> Result<Storage, StorageError> {
    super::s3::open(url, parsed)
}

#[cfg(not(feature = "s3"))]
fn open_s3(url: &str, _: &Url) -> Result<Storage, StorageError> {
    Err(StorageError::url(url, "this program was compiled without the feature s3"))
}
