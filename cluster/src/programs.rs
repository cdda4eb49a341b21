//! The programs of users, by what is in them.
//!
//! ```text
//! programs/{SHA-256}        the file
//! programs/{SHA-256}.json   its name, its size, when it came
//! ```

use highwater::checkpoint::{Storage, StorageError};
pub use highwater::remote::hash;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The programs that a cluster has.
#[derive(Clone, Debug)]
pub struct Programs {
    storage: Storage,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its SHA-256, in hexadecimal digits.
    pub hash: String,
    /// The name of its file.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it came, in ms since 1970.
    pub uploaded_ms: i64,
}

/// Whether a text may be the name of a program: it becomes a part of paths.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Programs {
    /// Returns the programs in a storage.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        Programs { storage }
    }

    /// Adds a program; one that is there already stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn add(&self, name: &str, content: bytes::Bytes, now_ms: i64) -> Result<Program> {
        let (hash, bytes) = (hash(&content), content.len() as u64);
        let program = Program { name: name.to_owned(), bytes, uploaded_ms: now_ms, hash };
        let (path, about) = paths(&program.hash);
        self.storage.put(&path, content).await?;
        let json = serde_json::to_vec(&program);
        let json = json.map_err(|cause| damaged(&about, &cause.to_string()))?;
        self.storage.put(&about, json).await?;
        Ok(program)
    }

    /// Returns what is known of a program.
    ///
    /// # Errors
    /// [`Error::NoProgram`] when there is none with this hash.
    pub async fn get(&self, hash: &str) -> Result<Program> {
        let (_, about) = checked(hash)?;
        let json = self.storage.fetch(&about).await.map_err(|error| missing(hash, error))?;
        serde_json::from_slice(&json).map_err(|cause| damaged(&about, &cause.to_string()))
    }

    /// Returns what is in a program.
    ///
    /// # Errors
    /// When there is none with this hash, or it holds something else.
    pub async fn content(&self, wanted: &str) -> Result<bytes::Bytes> {
        let (path, _) = checked(wanted)?;
        let content = self.storage.fetch(&path).await.map_err(|error| missing(wanted, error))?;
        match hash(&content) == wanted {
            true => Ok(content),
            false => Err(damaged(&path, "it does not have the hash that it is named after")),
        }
    }

    /// Returns all programs, in the order in which they came.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub async fn list(&self) -> Result<Vec<Program>> {
        let mut programs = Vec::new();
        for path in self.storage.list("programs").await? {
            let hash = path.strip_prefix("programs/").and_then(|name| name.strip_suffix(".json"));
            match self.get(hash.unwrap_or_default()).await {
                Ok(program) => programs.push(program),
                // The file itself, or one that was just removed.
                Err(Error::NoProgram { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        programs.sort_by_key(|program| program.uploaded_ms);
        Ok(programs)
    }

    /// Removes a program.
    ///
    /// # Errors
    /// When there is none with this hash.
    pub async fn remove(&self, hash: &str) -> Result<()> {
        self.get(hash).await?;
        let (path, about) = paths(hash);
        self.storage.delete(&[about, path]).await?;
        Ok(())
    }
}

fn paths(hash: &str) -> (String, String) {
    (format!("programs/{hash}"), format!("programs/{hash}.json"))
}

fn checked(hash: &str) -> Result<(String, String)> {
    let named = is_hash(hash).then(|| paths(hash));
    named.ok_or_else(|| Error::NoProgram { hash: hash.to_owned() })
}

fn missing(hash: &str, error: StorageError) -> Error {
    match error {
        StorageError::Missing { .. } => Error::NoProgram { hash: hash.to_owned() },
        error => error.into(),
    }
}

fn damaged(path: &str, problem: &str) -> Error {
    Error::Damaged { path: path.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_found_by_what_is_in_it() {
        let programs = Programs::new(Storage::open("memory://").unwrap());
        let added = programs.add("job", bytes::Bytes::from_static(b"abc"), 7).await.unwrap();
        assert!(added.hash.starts_with("ba7816bf"), "{}", added.hash);
        assert_eq!(programs.get(&added.hash).await.unwrap(), added);
        assert_eq!(&programs.content(&added.hash).await.unwrap()[..], b"abc");
        assert_eq!(programs.list().await.unwrap().first(), Some(&added));
        programs.remove(&added.hash).await.unwrap();
        assert!(matches!(programs.get(&added.hash).await, Err(Error::NoProgram { .. })));
        for wrong in ["", "../ledger", &added.hash.to_uppercase()] {
            assert!(matches!(programs.content(wrong).await, Err(Error::NoProgram { .. })));
        }
    }
}
