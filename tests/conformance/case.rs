//! Finds the files of cases and takes them apart.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde_json::Value;

use crate::form::Failure;

/// One case: an object, and for `calcite_tvf` the table that all cases of its file share.
pub(crate) struct Case {
    /// The name that the case gives itself.
    pub(crate) name: String,
    /// The case.
    pub(crate) body: Value,
    /// The object around the cases of the file, without them; null if the file is a list.
    pub(crate) shared: Value,
}

/// Returns all files of cases below the folder, in order, or `None` if no folder is named.
pub(crate) fn files() -> io::Result<Option<Vec<PathBuf>>> {
    let folder = env::var_os("HIGHWATER_CASES").filter(|folder| !folder.is_empty());
    let Some(folder) = folder else { return Ok(None) };
    let mut files = Vec::new();
    find(Path::new(&folder), &mut files)?;
    files.sort();
    Ok(Some(files))
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            find(&path, files)?;
        } else if name == "transcripts.json" || name == "cases.json" {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns the family of a file: the name of its folder.
pub(crate) fn family(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

/// Reads the cases of one file.
pub(crate) fn read(file: &Path) -> Result<Vec<Case>, Failure> {
    let at = file.display();
    let text = fs::read_to_string(file).map_err(|e| Failure::form(format!("{at}: {e}")))?;
    let mut shared: Value =
        serde_json::from_str(&text).map_err(|e| Failure::form(format!("{at}: {e}")))?;
    let list = match &mut shared {
        Value::Object(fields) => fields.remove("cases").unwrap_or_default(),
        list => list.take(),
    };
    let Value::Array(list) = list else {
        return Err(Failure::form(format!("{at}: no list of cases")));
    };
    let name = |place: usize, case: &Value| match case.get("name").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None => format!("{at}[{place}]"),
    };
    let cases = list.into_iter().enumerate();
    Ok(cases
        .map(|(place, body)| Case { name: name(place, &body), body, shared: shared.clone() })
        .collect())
}
