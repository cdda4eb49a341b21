//! What tests of whole programs share.

use std::path::{Path, PathBuf};

/// The folder in which Cargo puts the examples that it builds along with the tests.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    target.join("examples").join(name)
}

/// The lines of all results with the prefix, sorted; none if there is no folder.
pub(crate) fn lines(dir: &Path, prefix: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)) {
            let text = std::fs::read_to_string(&path).expect("a text file");
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines.sort_unstable();
    lines
}
