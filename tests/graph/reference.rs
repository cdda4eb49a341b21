//! Graphs with known answers, read in place from the folder in `HIGHWATER_GRAPHS`: `graphalytics/`
//! holds a question a folder, `known/` a graph a folder with a column for each question.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use highwater::operators::graph::{Algorithm, Value};
use serde_json::Value as Json;

/// A question about a graph in files, and its answer.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) vertices: PathBuf,
    pub(crate) edges: PathBuf,
    pub(crate) directed: bool,
    pub(crate) algorithm: Algorithm,
    pub(crate) expected: BTreeMap<u64, String>,
    pub(crate) rule: Rule,
}

/// When an answer is right.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Equal,
    /// The same vertices share a label, whatever it is.
    Partition,
    /// The difference is at most this part of the expected value.
    Relative(f64),
    Absolute(f64),
}

/// Returns the folders of a folder, sorted.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).expect("a folder of graphs");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

fn json(path: &Path) -> Json {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

pub(crate) fn cases(graphs: &Path) -> Vec<Case> {
    let validation = folders(&graphs.join("graphalytics")).into_iter().map(|dir| validation(&dir));
    let known = folders(&graphs.join("known"));
    let known = known.iter().filter(|dir| dir.join("edges.txt").exists());
    validation.chain(known.flat_map(|dir| columns(dir))).collect()
}

/// A validation graph of LDBC Graphalytics.
fn validation(dir: &Path) -> Case {
    let about = json(&dir.join("case.json"));
    let params = &about["params"];
    let source = params["source"].as_u64().unwrap_or_default();
    let iterations = params["iterations"].as_u64().unwrap_or_default();
    let algorithm = match about["algorithm"].as_str().expect("a name") {
        "bfs" => Algorithm::Bfs { source },
        "wcc" => Algorithm::Components,
        "sssp" => Algorithm::ShortestPaths { source },
        "pr" => {
            let damping = params["damping"].as_f64().expect("a number");
            Algorithm::PageRank { damping, iterations }
        }
        "cdlp" => Algorithm::Communities { iterations },
        "lcc" => Algorithm::Clustering,
        other => panic!("{other} is a new question"),
    };
    let rule = match about["rule"].as_str().expect("a rule") {
        "exact" => Rule::Equal,
        "equivalence" => Rule::Partition,
        "epsilon" => Rule::Relative(1e-4),
        other => panic!("{other} is a new rule"),
    };
    let text = std::fs::read_to_string(dir.join("expected")).expect("answers");
    let line = |line: &str| {
        let (vertex, value) = line.split_once(' ').expect("two fields");
        (vertex.parse().expect("a vertex"), value.trim().to_owned())
    };
    Case {
        name: about["name"].as_str().expect("a name").to_owned(),
        vertices: dir.join("graph.v"),
        edges: dir.join("graph.e"),
        directed: about["directed"].as_bool().expect("yes or no"),
        algorithm,
        expected: text.lines().map(line).collect(),
        rule,
    }
}

/// A graph whose answers are the columns of a table.
fn columns(dir: &Path) -> Vec<Case> {
    let about = json(&dir.join("graph.json"));
    let source = about["source_vertex"].as_u64().expect("a vertex");
    let table = std::fs::read_to_string(dir.join("expected.tsv")).expect("a table");
    let mut rows = table.lines().map(|row| row.split('\t').collect::<Vec<_>>());
    let header = rows.next().expect("a header");
    let rows: Vec<_> = rows.collect();
    let column = |(place, name): (usize, &&str)| {
        let (algorithm, rule) = match *name {
            "wcc" => (Algorithm::Components, Rule::Equal),
            "scc" => (Algorithm::StrongComponents, Rule::Equal),
            "bfs" => (Algorithm::Bfs { source }, Rule::Equal),
            "sssp" => (Algorithm::ShortestPaths { source }, Rule::Relative(1e-9)),
            "pr20" => (Algorithm::PageRank { damping: 0.85, iterations: 20 }, Rule::Relative(1e-9)),
            "core" => (Algorithm::Cores, Rule::Equal),
            "triangles" => (Algorithm::Triangles, Rule::Equal),
            "lcc" => (Algorithm::Clustering, Rule::Absolute(1e-12)),
            "cdlp10" => (Algorithm::Communities { iterations: 10 }, Rule::Equal),
            other => panic!("{other} is a new column"),
        };
        let value = |text: &str| match (text, *name) {
            ("-1", "bfs") => i64::MAX.to_string(),
            (text, _) => text.to_owned(),
        };
        let expected = rows.iter();
        let expected = expected.map(|row| (row[0].parse().expect("a vertex"), value(row[place])));
        Case {
            name: format!("{} {name}", about["name"].as_str().expect("a name")),
            vertices: dir.join("vertices.txt"),
            edges: dir.join("edges.txt"),
            directed: about["directed"].as_bool().expect("yes or no"),
            algorithm,
            expected: expected.collect(),
            rule,
        }
    };
    header.iter().enumerate().skip(1).map(column).collect()
}

impl Case {
    /// Compares answers, sorted by vertex, with those that are known.
    pub(crate) fn check(&self, answers: &[(u64, Value)], how: &str) {
        let vertices = answers.iter().map(|(vertex, _)| vertex);
        assert!(vertices.eq(self.expected.keys()), "{}: other vertices, {how}", self.name);
        let mut pairs = BTreeMap::new();
        let mut back = BTreeMap::new();
        for (vertex, value) in answers {
            let (told, expected) = (value.to_string(), &self.expected[vertex]);
            let is_right = match self.rule {
                Rule::Equal => told == *expected,
                Rule::Partition => {
                    pairs.entry(expected.clone()).or_insert_with(|| told.clone()) == &told
                        && back.entry(told.clone()).or_insert_with(|| expected.clone()) == expected
                }
                Rule::Relative(part) => {
                    let (told, expected) = numbers(&told, expected);
                    told == expected || (told - expected).abs() <= part * expected
                }
                Rule::Absolute(most) => {
                    let (told, expected) = numbers(&told, expected);
                    (told - expected).abs() <= most
                }
            };
            assert!(is_right, "{}, vertex {vertex}: {told}, not {expected}, {how}", self.name);
        }
    }
}

fn numbers(told: &str, expected: &str) -> (f64, f64) {
    (told.parse().expect("a number"), expected.parse().expect("a number"))
}
