//! The experiments that go with the notes in `papers/`.
//!
//! An experiment is a file `papers/experiments/<name>.rs`, declared in the root `Cargo.toml` as the
//! example `paper-<name>`. The first line of its documentation is what the list shows.

use std::fs;

use crate::error::Error;
use crate::step::{Step, in_root};

/// An experiment that can be run.
struct Experiment {
    name: String,
    summary: String,
}

/// Prints every experiment in one line.
pub(crate) fn list() -> Result<(), Error> {
    let experiments = experiments()?;
    println!("The experiments, each run by `cargo xtask paper NAME`:\n");
    for Experiment { name, summary } in experiments {
        println!("  {name:<20} {summary}");
    }
    Ok(())
}

/// Runs an experiment.
pub(crate) fn run(name: &str, rest: &[String]) -> Result<(), Error> {
    let known: Vec<String> = experiments()?.into_iter().map(|known| known.name).collect();
    if !known.iter().any(|known| known == name) {
        return Err(Error::UnknownPaper { name: name.to_owned(), known: known.join(", ") });
    }
    let example = format!("paper-{name}");
    let step = Step::cargo("run").args(["--release", "--example", &example]);
    if rest.is_empty() { step.run() } else { step.args(["--"]).args(rest).run() }
}

fn experiments() -> Result<Vec<Experiment>, Error> {
    let folder = in_root("papers/experiments");
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(Error::reading(&folder))? {
        let path = entry.map_err(Error::reading(&folder))?.path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).map_err(Error::reading(&path))?;
            found.push(Experiment { name: name.to_owned(), summary: summary(&code) });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Returns the first line of the documentation of a file.
fn summary(code: &str) -> String {
    let line = code.lines().find_map(|line| line.strip_prefix("//! "));
    line.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_the_first_line_of_the_documentation() {
        assert_eq!(summary("//! One thing.\n//!\n//! More.\n\nfn main() {}\n"), "One thing.");
        assert_eq!(summary("fn main() {}\n"), "");
    }
}
