//! `highwater state` on the savepoints and checkpoints of a real job.
//!
//! | family | what it would catch |
//! |---|---|
//! | what is listed | a state, a size or a key group that is not counted, or counted twice |
//! | entries | an entry that is missing, comes twice, or is decoded as another type |
//! | differences | a change that is not shown; state that differs by the number of workers |
//! | what cannot be shown | a panic, a wrong exit code, or a sentence that names nothing |

mod job;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use job::{Job, REPORT_MS, lines, refused};
use serde_json::{Value, json};

const MORNING: [&str; 4] = ["1000 rome tea", "1500 oslo ink", "2000 rome pen", "2500 rome tea"];
const NOON: [&str; 3] = ["3000 bern tea", "3500 rome closes", "4000 oslo ink"];

/// The lines about a state without key groups, which belong to the hash, sorted.
fn of(exported: &[Value], uid: &str, state: &str, fields: &[&str]) -> Vec<Value> {
    let of = exported.iter().filter(|line| line["uid"] == uid && line["state"] == state);
    let mut of: Vec<Value> =
        of.map(|line| fields.iter().map(|field| line[field].clone()).collect()).collect();
    of.sort_by_key(Value::to_string);
    of
}

/// The lines without the offsets of sources, which depend on who read what.
fn keyed(lines: Vec<Value>) -> Vec<Value> {
    lines.into_iter().filter(|line| line["uid"] != "sales").collect()
}

/// The only file below a folder.
fn only_file(folder: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(folder).expect("a folder");
    let path = entries.next().expect("an entry").expect("an entry").path();
    assert!(entries.next().is_none(), "{} holds more than one", folder.display());
    if path.is_dir() { only_file(&path) } else { path }
}

#[test]
fn operators_and_states_are_listed_with_their_types_entries_key_groups_and_sizes() {
    let mut job = Job::start(2);
    job.read("morning", &MORNING);
    let savepoint = job.stop("savepoint");
    let listed = lines(&["ls", &savepoint]);
    let head = &listed[0];
    assert_eq!((&head["snapshot"], &head["workers"]), (&json!("savepoint"), &json!(2)));
    assert_eq!((&head["max_parallelism"], &head["finished"]), (&json!(128), &json!(false)));

    let exported = lines(&["export", &savepoint]);
    let (mut found, mut bytes) = (BTreeSet::new(), 0);
    for operator in &listed[1..] {
        for state in operator["states"].as_array().expect("a list") {
            let of =
                |line: &&Value| line["uid"] == operator["uid"] && line["state"] == state["state"];
            let of: Vec<_> = exported.iter().filter(of).collect();
            let groups: BTreeSet<_> = of.iter().filter_map(|e| e["key_group"].as_u64()).collect();
            assert_eq!(state["entries"], of.len(), "{state}");
            assert_eq!(state["key_groups"].as_u64().unwrap_or_default(), groups.len() as u64);
            bytes += state["bytes"].as_u64().expect("a size");
            let kind = &state["kind"];
            found.insert(format!("{} {} {kind}", operator["uid"], state["state"]).replace('"', ""));
        }
    }
    let expected = [
        "hourly slices by namespace",
        "sales splits splits",
        "shops articles list",
        "shops counts map",
        "shops newest value",
        "shops recent map",
        "shops timers/event timers",
    ];
    assert!(expected.iter().all(|state| found.contains(*state)), "{found:?}");
    assert_eq!(head["bytes"], bytes);
    let shops = listed.iter().find(|line| line["uid"] == "shops").expect("an operator");
    let counts = shops["states"]
        .as_array()
        .and_then(|states| states.iter().find(|state| state["state"] == "counts"));
    let types = json!({"namespace": "()", "key": "string", "value": "map<string, u64>"});
    assert_eq!(counts.expect("a state")["types"], types);
}

#[test]
fn every_entry_is_exported_once() {
    let mut job = Job::start(2);
    job.read("morning", &MORNING);
    let savepoint = job.stop("savepoint");
    let exported = lines(&["export", &savepoint]);
    let shops = |state| of(&exported, "shops", state, &["namespace", "key", "value"]);
    assert_eq!(shops("newest"), [json!([null, "oslo", "ink"]), json!([null, "rome", "tea"])]);
    assert_eq!(
        shops("articles"),
        [json!([null, "oslo", ["ink"]]), json!([null, "rome", ["tea", "pen", "tea"]])]
    );
    assert_eq!(
        shops("counts"),
        [json!([null, "oslo", {"ink": 1}]), json!([null, "rome", {"pen": 1, "tea": 2}])]
    );
    let timers = of(&exported, "shops", "timers/event", &["key", "value"]);
    let at = json!([[REPORT_MS, null]]);
    assert_eq!(timers, [json!(["oslo", at]), json!(["rome", at])]);
    let recent = of(&exported, "shops", "recent", &["key", "value"]);
    assert_eq!(
        recent[0],
        json!(["oslo", {"used": 1500, "value": {"ink": {"used": 1500, "value": null}}}])
    );
    let windows = of(&exported, "hourly", "slices", &["namespace", "key", "value"]);
    assert_eq!(windows.len(), 2);
    assert_eq!(windows[1][2], json!([1000, "rome", "tea"]), "{windows:?}");
    let splits = of(&exported, "sales", "splits", &["key_group", "value"]);
    assert!(splits.iter().all(|split| split[0].is_null() && split[1]["finished"] == false));

    let distinct: BTreeSet<_> = exported.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), exported.len());
}

#[test]
fn the_entries_of_one_operator_one_state_and_one_key_are_shown() {
    let mut job = Job::start(1);
    job.read("morning", &MORNING);
    let savepoint = job.stop("savepoint");
    let exported = lines(&["export", &savepoint]);
    let show = |more: &[&str]| lines(&[&["show", &savepoint, "--uid", "shops"], more].concat());
    let shops: Vec<_> = exported.into_iter().filter(|line| line["uid"] == "shops").collect();
    assert_eq!(show(&[]), shops);
    let rome = of(&show(&["--key", "rome"]), "shops", "newest", &["key", "value"]);
    assert_eq!(rome, [json!(["rome", "tea"])]);
    assert_eq!(show(&["--key", "\"rome\"", "--state", "counts"]).len(), 1);
    assert_eq!(show(&["--limit", "3"]), shops[..3]);
    assert!(show(&["--key", "paris"]).is_empty());
}

#[test]
fn a_checkpoint_of_deltas_holds_what_the_savepoint_holds() {
    let mut job = Job::start(2);
    job.read("morning", &MORNING);
    job.wait_for_checkpoint();
    job.read("noon", &NOON);
    job.wait_for_checkpoint();
    let savepoint = job.savepoint("savepoint");
    let checkpoints = job.path("checkpoints");
    let checkpoints = checkpoints.to_str().expect("a path in Unicode");
    job.stop("last");
    assert_eq!(lines(&["ls", checkpoints])[0]["snapshot"], "checkpoint");
    assert_eq!(lines(&["diff", &savepoint, checkpoints]), Vec::<Value>::new());
    assert_eq!(keyed(lines(&["export", checkpoints])), keyed(lines(&["export", &savepoint])));
    let newest = lines(&["ls", checkpoints])[0]["checkpoint"].to_string();
    assert!(!lines(&["export", checkpoints, "--checkpoint", &newest]).is_empty());
}

#[test]
fn differences_are_what_was_added_removed_and_changed() {
    let mut job = Job::start(2);
    job.read("morning", &MORNING);
    let before = job.savepoint("before");
    job.read("noon", &NOON);
    let after = job.stop("after");
    let differences = lines(&["diff", &before, &after]);
    let shops = |state| of(&differences, "shops", state, &["change", "key", "before", "after"]);
    assert_eq!(
        shops("newest"),
        [json!(["added", "bern", null, "tea"]), json!(["removed", "rome", "tea", null])]
    );
    assert_eq!(
        shops("articles"),
        [
            json!(["added", "bern", null, ["tea"]]),
            json!(["changed", "oslo", ["ink"], ["ink", "ink"]]),
            json!(["removed", "rome", ["tea", "pen", "tea"], null]),
        ]
    );
    assert_eq!(
        shops("counts"),
        [
            json!(["added", "bern", null, {"tea": 1}]),
            json!(["changed", "oslo", {"ink": 1}, {"ink": 2}]),
        ]
    );
    assert!(differences.iter().any(|line| line["uid"] == "sales"), "the source has read on");
    assert_eq!(lines(&["diff", &before, &before]), Vec::<Value>::new());
}

#[test]
fn savepoints_of_the_same_state_do_not_differ_by_the_number_of_workers() {
    let savepoints = [1, 3].map(|workers| {
        let mut job = Job::start(workers);
        job.read("morning", &MORNING);
        job.read("noon", &NOON);
        let savepoint = job.stop("savepoint");
        (savepoint, job)
    });
    let [(one, _), (three, _)] = &savepoints;
    assert_eq!(keyed(lines(&["diff", one, three])), Vec::<Value>::new());
    assert_eq!(keyed(lines(&["export", one])), keyed(lines(&["export", three])));
}

#[test]
fn a_savepoint_that_is_damaged_is_refused_with_the_name_of_what_is() {
    let mut job = Job::start(1);
    let long = format!("1000 rome {}", "x".repeat(40_000));
    // Longer than what a manifest takes in.
    job.read("long", &[&long]);
    let savepoint = job.stop("savepoint");
    let manifest = Path::new(&savepoint).join("manifest");
    let whole = std::fs::read(&manifest).expect("a manifest");
    let everything = |sentence: &str| {
        for command in
            [vec!["ls"], vec!["export"], vec!["show", "--uid", "shops"], vec!["diff", &savepoint]]
        {
            let (_, said, code) = refused(&[&command[..], &[&savepoint]].concat());
            assert_eq!(code, Some(1), "{command:?}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.starts_with("error: ") && said.contains(sentence), "{said}");
            assert!(said.contains(&savepoint), "{said}");
        }
    };
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&manifest, flipped).expect("a manifest");
    everything("manifest: damaged (checksum ");
    std::fs::write(&manifest, &whole[..whole.len() - 1]).expect("a manifest");
    everything("manifest: ");
    std::fs::write(&manifest, &whole).expect("a manifest");

    let part = only_file(&Path::new(&savepoint).join("files/shops/articles"));
    let content = std::fs::read(&part).expect("a part");
    let mut flipped = content.clone();
    flipped[content.len() / 2] ^= 1;
    std::fs::write(&part, flipped).expect("a part");
    everything("articles");
    std::fs::write(&part, &content[1..]).expect("a part");
    everything("bytes long instead of");
    std::fs::remove_file(&part).expect("a part");
    everything("missing");
}

#[test]
fn what_is_not_there_is_said_in_one_sentence() {
    let mut job = Job::start(1);
    job.read("morning", &MORNING);
    let savepoint = job.stop("savepoint");
    let empty = tempfile::tempdir().expect("a folder");
    let empty = empty.path().to_str().expect("a path in Unicode");
    let missing = format!("{empty}/missing");
    let checkpoints = job.path("checkpoints");
    let checkpoints = checkpoints.to_str().expect("a path in Unicode");
    for (arguments, sentence) in [
        (vec!["ls", empty], "neither a savepoint nor the folder of a job with a completed"),
        (vec!["export", &missing], "the folder cannot be found"),
        (vec!["diff", &savepoint, empty], "neither a savepoint nor"),
        (
            vec!["show", &savepoint, "--uid", "shop"],
            "there is no operator with the uid \"shop\", only [",
        ),
        (
            vec!["show", &savepoint, "--uid", "shops", "--state", "count"],
            "operator \"shops\" has no state \"count\", only [\"articles\", \"counts\",",
        ),
        (vec!["ls", checkpoints, "--checkpoint", "9999"], "there is no checkpoint 9999, only ["),
        (vec!["ls", &savepoint, "--checkpoint", "9999"], "there is no checkpoint 9999, only ["),
    ] {
        let (written, said, code) = refused(&arguments);
        assert_eq!((written, code), (0, Some(1)), "{arguments:?}: {said}");
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
        assert!(said.contains(sentence), "{arguments:?}: {said}");
    }
    assert!(!Path::new(&missing).exists());
    for usage in [vec!["ls"], vec!["show", &savepoint], vec!["diff", &savepoint], vec!["look"]] {
        assert_eq!(refused(&usage).2, Some(2), "{usage:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut job = Job::start(1);
    job.read("morning", &MORNING);
    let savepoint = job.stop("savepoint");
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater"));
    command.args(["state", "export", &savepoint]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = command.spawn().expect("the program highwater");
    drop(tool.stdout.take());
    let ended = tool.wait_with_output().expect("the end");
    assert!(ended.status.success() && ended.stderr.is_empty());
}
