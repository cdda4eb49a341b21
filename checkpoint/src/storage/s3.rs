//! Checkpoints on S3 and on servers that speak its protocol.
//!
//! The server must honour `If-None-Match: *`, as S3, MinIO, R2 and Ceph do: the log is built on it.
//! `log.rs` would find two winners of one slot otherwise, so [`open`] does not ask for it to be
//! switched off, whatever the environment says.

use std::sync::Arc;
use std::time::Duration;

use object_store::RetryConfig;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use url::Url;

use crate::error::StorageError;
use crate::storage::Storage;

/// Opens `s3://bucket/prefix` with what the environment says about credentials and endpoint.
pub(super) fn open(url: &str, parsed: &Url) -> Result<Storage, StorageError> {
    let bucket = parsed.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| {
        StorageError::url(url, "the bucket is missing, expected s3://bucket/folder")
    })?;
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            // Longer waits are ours, see `pace.rs`.
            max_retries: 2,
            retry_timeout: Duration::from_secs(30),
            ..RetryConfig::default()
        });
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| builder.get_config_value(key));
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        // Whoever writes http:// means it.
        builder = builder.with_allow_http(true);
    }
    let store = builder.build().map_err(|error| StorageError::Url {
        url: url.into(),
        problem: "the store cannot be reached with these settings".into(),
        source: Some(error.into()),
    })?;
    let prefix = object_store::path::Path::from_url_path(parsed.path()).map_err(|error| {
        StorageError::Url {
            url: url.into(),
            problem: "not a folder of a bucket".into(),
            source: Some(error.into()),
        }
    })?;
    let storage = Storage::of(Arc::new(store), "")?;
    Ok(Storage { prefix, url: url.into(), ..storage })
}
