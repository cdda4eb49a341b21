//! The notes in `papers/` and the code must not drift apart.
//!
//! - *form*: a note that is too long or lacks a part; the order of the parts.
//! - *index*: a note that nobody finds, and a line of the index whose note is gone.
//! - *references to code*: a path or an item named under **Implemented in** that is gone.
//! - *references to notes*: code that cites a note which does not exist.
//! - *experiments*: a note that names an experiment which does not exist.

use std::fs;
use std::path::{Path, PathBuf};

const PARTS: [&str; 6] =
    ["Idea", "Vocabulary", "Implemented in", "Departures", "Experiment", "Open"];
const LINES_MAX: usize = 80;
const CODE: [&str; 11] = [
    "benches",
    "checkpoint",
    "connectors",
    "core",
    "examples",
    "operators",
    "papers/experiments",
    "sim",
    "src",
    "state",
    "tests",
];

/// A file of the repository.
struct Text {
    path: PathBuf,
    text: String,
}

impl Text {
    fn read(path: PathBuf) -> Text {
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{} could not be read: {error}", path.display()));
        Text { path, text }
    }

    fn slug(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }

    /// The lines of a part of a note, without its name.
    fn part(&self, name: &str) -> Vec<&str> {
        let lines = self.text.lines().skip_while(|line| *line != format!("**{name}**"));
        lines.skip(1).take_while(|line| !is_name(line)).collect()
    }
}

fn is_name(line: &str) -> bool {
    PARTS.iter().any(|part| line == format!("**{part}**"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` whose names end with `extension`, sorted; none if there is no folder.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder that opens can be listed").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn notes() -> Vec<Text> {
    let notes = files(&root().join("papers"), "md").into_iter().map(Text::read);
    let notes: Vec<Text> = notes.filter(|note| note.slug() != "README").collect();
    assert!(!notes.is_empty(), "there are no notes in papers/");
    notes
}

/// The pieces of a line that stand between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_part_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_part_of_a_word) && !after.is_some_and(is_part_of_a_word)
    })
}

/// The notes that a text cites as `papers/<slug>.md`.
fn cited(text: &str) -> impl Iterator<Item = &str> {
    text.split("papers/").skip(1).filter_map(|rest| {
        let slug = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next()?;
        (!slug.is_empty() && rest[slug.len()..].starts_with(".md")).then_some(slug)
    })
}

#[test]
fn every_note_fits_on_a_page_and_has_all_parts_in_order() {
    for note in notes() {
        let (slug, lines) = (note.slug(), note.text.lines().count());
        assert!(lines <= LINES_MAX, "{slug} has {lines} lines, at most {LINES_MAX} are allowed");
        let parts: Vec<&str> = note.text.lines().filter(|line| is_name(line)).collect();
        let expected = PARTS.map(|part| format!("**{part}**"));
        assert_eq!(parts, expected, "the parts of {slug}");
        for part in PARTS {
            let empty = note.part(part).iter().all(|line| line.trim().is_empty());
            assert!(!empty, "{slug} says nothing under {part}");
        }
    }
}

#[test]
fn the_index_lists_exactly_the_notes_that_exist() {
    let index = Text::read(root().join("papers/README.md"));
    let rows = index.text.lines().filter(|line| line.starts_with('|'));
    let listed = rows.filter_map(|row| row.split_once("](")?.1.split_once(".md)"));
    let mut listed: Vec<&str> = listed.map(|(slug, _)| slug).collect();
    listed.sort_unstable();
    let notes = notes();
    let written: Vec<&str> = notes.iter().map(Text::slug).collect();
    assert_eq!(listed, written);
}

#[test]
fn every_path_and_item_that_a_note_names_exists() {
    let mut gone = Vec::new();
    for note in notes() {
        let part = note.part("Implemented in");
        for line in part.iter().filter(|line| line.starts_with("- ")) {
            // What follows the colon is prose, in which backticks name nothing.
            let names = line.split_once(": ").map_or(*line, |(names, _)| names);
            let mut names = quoted(names);
            let path = names.next().unwrap_or_else(|| panic!("no path in {line:?}"));
            let items: Vec<&str> = names.collect();
            assert!(!items.is_empty(), "{} names no item of {path}", note.slug());
            match fs::read_to_string(root().join(path)) {
                Err(error) => gone.push(format!("{}: {path}: {error}", note.slug())),
                Ok(code) => {
                    let missing = items.iter().filter(|item| !has_word(&code, item));
                    gone.extend(missing.map(|item| format!("{}: {path}: {item}", note.slug())));
                }
            }
        }
    }
    assert!(gone.is_empty(), "named in papers/ but gone:\n{}", gone.join("\n"));
}

#[test]
fn every_note_that_code_cites_exists() {
    for path in CODE.iter().flat_map(|folder| files(&root().join(folder), "rs")) {
        let code = Text::read(path);
        for slug in cited(&code.text) {
            let note = root().join("papers").join(slug).with_extension("md");
            assert!(note.exists(), "{} cites papers/{slug}.md", code.path.display());
        }
    }
}

#[test]
fn every_experiment_that_a_note_names_exists_and_has_a_summary() {
    let manifest = Text::read(root().join("Cargo.toml")).text;
    for note in notes() {
        let experiment = note.part("Experiment").join(" ");
        let commands = quoted(&experiment).filter_map(|code| code.strip_prefix("cargo xtask "));
        let names: Vec<&str> = commands.filter_map(|code| code.strip_prefix("paper ")).collect();
        assert!(!names.is_empty(), "{} names no experiment", note.slug());
        for name in names {
            let path = format!("papers/experiments/{name}.rs");
            let code = Text::read(root().join(&path)).text;
            let has_summary = code.lines().next().is_some_and(|line| line.starts_with("//! "));
            assert!(has_summary, "{path} begins with no line that says what it shows");
            let target = format!("name = \"paper-{name}\"");
            assert!(manifest.contains(&target), "Cargo.toml declares no example paper-{name}");
        }
    }
}

#[test]
fn citations_and_words_are_found() {
    let text = "(papers/naiad.md), papers/experiments/naiad.rs, papers/dataflow-model.md.";
    assert_eq!(cited(text).collect::<Vec<_>>(), ["naiad", "dataflow-model"]);
    assert!(has_word("struct Shell<L> {", "Shell"));
    assert!(!has_word("struct SourceShell;", "Shell"));
    assert_eq!(quoted("- `a.rs`, `B`: c").collect::<Vec<_>>(), ["a.rs", "B"]);
}
