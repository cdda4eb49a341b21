//! Paths and names of files as checkpoints keep them.
//!
//! A name is written as text, for people to read; one that is not UTF-8, which only a few systems
//! allow, as the system has it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path, or the name of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoredPath(pub(crate) PathBuf);

impl AsRef<Path> for StoredPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Serialize for StoredPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_os_str().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for StoredPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(PathBuf),
            Raw(OsString),
        }
        Ok(StoredPath(match Written::deserialize(deserializer)? {
            Written::Text(path) => path,
            Written::Raw(raw) => raw.into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: OsString) -> String {
        let path = StoredPath(path.into());
        let text = serde_json::to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<StoredPath>(&text).unwrap(), path);
        text
    }

    #[test]
    fn names_are_written_as_text() {
        assert_eq!(written("in/d\u{e9}lais \"1\".csv".into()), "\"in/d\u{e9}lais \\\"1\\\".csv\"");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_kept_too() {
        use std::os::unix::ffi::OsStringExt;
        assert_eq!(written(OsString::from_vec(b"a\xff".to_vec())), "{\"Unix\":[97,255]}");
    }
}
