//! The examples as a user runs them: results, exit codes and messages.
//!
//! Families: the flights job against a group-by of the file (catches lost or doubled records, wrong
//! windows, wrong formats); what is refused, with which sentence and which exit code (catches a panic
//! where there should be a sentence, and partial results of failed jobs).

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use support::{lines, program};

fn run(name: &str, args: &[&str]) -> Output {
    let path = program(name);
    let output = Command::new(&path).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The visible files of a folder.
fn results(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with(['.', '_'])).collect()
}

const FLIGHTS: &str = "examples/data/flights.csv.gz";

/// What the flights job should give, from the definition: a group-by of the file.
fn departures_by_hour() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FLIGHTS);
    let file = std::fs::File::open(path).expect("the flights come with the project");
    let mut reader = csv::Reader::from_reader(flate2::read::GzDecoder::new(file));
    let mut hours: BTreeMap<(String, i64), Vec<i64>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.expect("a row");
        let Ok(delay) = row[1].parse::<i64>() else { continue };
        let scheduled = humantime::parse_rfc3339(&row[0]).expect("a time");
        let since_1970 = scheduled.duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let departed = since_1970.as_millis() as i64 + delay * 60_000;
        let hour = departed.div_euclid(3_600_000) * 3_600_000;
        hours.entry((row[6].to_owned(), hour)).or_default().push(delay);
    }
    let rows = hours.into_iter().map(|((origin, hour), delays)| {
        let mean = delays.iter().sum::<i64>() as f64 / delays.len() as f64;
        let greatest = delays.iter().max().expect("a delay");
        format!("{origin},{hour},{},{mean:.2},{greatest}", delays.len())
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_unstable();
    rows
}

#[test]
fn flights_with_patience_equal_a_batch_group_by() {
    let expected = departures_by_hour();
    for (workers, mode) in [("1", "streaming"), ("2", "streaming"), ("2", "batch"), ("2", "auto")] {
        let dir = tempfile::tempdir().expect("a folder");
        let args = ["hourly", "--output", text(dir.path()), "--out-of-orderness", "22h"];
        let output = run("flights", &[&args[..], &["-w", workers, "--mode", mode]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(lines(dir.path(), "part-") == expected, "{workers} workers, {mode}");
        assert!(lines(dir.path(), "late-").is_empty());
        assert!(dir.path().join("_flights.svg").exists());
    }
}

#[test]
fn no_departure_is_lost_between_results_and_late_ones() {
    let dir = tempfile::tempdir().expect("a folder");
    // Slow enough that the watermark moves many times within the file.
    let args = ["hourly", "--output", text(dir.path()), "--out-of-orderness", "60m"];
    let slow = ["--watermark-interval", "10ms", "-w", "2", "--rate", "200000"];
    let output = run("flights", &[&args[..], &slow].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let counted = lines(dir.path(), "part-").iter().map(|row| departures_of(row)).sum::<u64>();
    let late = lines(dir.path(), "late-");
    assert!(!late.is_empty(), "60 minutes of patience leave some departures late");
    assert!(late.iter().all(|line| line.split(',').count() == 10), "late lines are input lines");
    assert_eq!(counted + late.len() as u64, 328_521);
}

fn departures_of(row: &str) -> u64 {
    row.split(',').nth(2).and_then(|count| count.parse().ok()).expect("a count")
}

/// Runs a program that must fail; returns its last word.
fn refused(name: &str, args: &[&str], code: i32) -> String {
    let output = run(name, args);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {message}");
    assert!(!message.contains("panicked"), "{message}");
    message
}

#[test]
fn wrong_usage_is_refused_with_what_is_allowed() {
    let message = refused("flights", &["hourly", "--workers", "0"], 2);
    assert!(message.contains("--workers") && message.contains("1..="), "{message}");
    let message = refused("nexmark", &["q99"], 2);
    assert!(message.contains("q99") && message.contains("q11"), "{message}");
    let message = refused("nexmark", &["q0", "--watermark-interval", "1ms"], 2);
    assert!(message.contains("--watermark-interval") && message.contains("10ms"), "{message}");
    let message = refused("nexmark", &["q0", "--max-parallelism", "1", "-w", "2"], 2);
    assert!(message.contains("--max-parallelism"), "{message}");
    let message = refused("wordcount", &["--socket", "localhost:1", "--mode", "batch"], 2);
    assert!(message.contains("--mode") && message.contains("unbounded"), "{message}");
}

#[test]
fn results_that_are_there_are_kept_unless_told_otherwise() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = text(dir.path());
    let args = ["q2", "--events", "10000", "--output", out];
    assert!(run("nexmark", &args).status.success());
    let before = lines(dir.path(), "part-");
    let message = refused("nexmark", &args, 2);
    assert!(message.contains(out) && message.contains("--overwrite"), "{message}");
    assert_eq!(lines(dir.path(), "part-"), before);
    let again = ["q2", "--events", "20000", "--output", out, "--overwrite"];
    assert!(run("nexmark", &again).status.success());
    assert!(lines(dir.path(), "part-").len() > before.len());
}

/// Runs the flights job on an input that must be refused, and checks that nothing is left behind.
fn bad_flights(input: &Path) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let args = ["hourly", "--input", text(input), "--output", text(dir.path()), "-w", "2"];
    let message = refused("flights", &args, 1);
    assert_eq!(results(dir.path()), Vec::<String>::new(), "a partial result is visible");
    message
}

#[test]
fn bad_input_ends_in_a_sentence_with_file_and_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(FLIGHTS)).expect("data");

    let truncated = dir.path().join("truncated.csv.gz");
    std::fs::write(&truncated, &whole[..whole.len() / 2]).expect("a file");
    let message = bad_flights(&truncated);
    assert!(
        message.contains("truncated.csv.gz, line ") && message.contains("cut off"),
        "{message}"
    );

    let header = "scheduled,dep_delay_min,arr_delay_min,carrier,flight,tailnum,origin,dest,\
                  air_time_min,distance_mi\n";
    let good = "2013-01-01T10:15:00Z,2,11,UA,1545,N14228,EWR,IAH,227,1400\n";
    let wrong = dir.path().join("wrong.csv");
    std::fs::write(&wrong, format!("{header}{good}{}", good.replace(",2,", ",soon,")))
        .expect("a file");
    let message = bad_flights(&wrong);
    assert!(
        message.contains("wrong.csv, line 3") && message.contains("dep_delay_min"),
        "{message}"
    );

    let missing = dir.path().join("missing.csv");
    let without = format!("{}{}", header.replace("origin,", ""), good.replace("EWR,", ""));
    std::fs::write(&missing, without).expect("a file");
    let message = bad_flights(&missing);
    assert!(message.contains("missing.csv, line 1") && message.contains("origin"), "{message}");

    let message = bad_flights(&dir.path().join("absent.csv"));
    assert!(message.contains("absent.csv"), "{message}");
}

#[test]
fn wordcount_counts_words() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("words.txt");
    std::fs::write(&file, "To be, or not to be:\nthat is the question.\n").expect("a file");
    let output = run("wordcount", &[text(&file), "--mode", "batch", "-w", "2"]);
    let printed = String::from_utf8(output.stdout).expect("text");
    let mut counts: Vec<_> = printed.lines().collect();
    counts.sort_unstable();
    assert_eq!(counts.len(), 8, "{printed}");
    assert!(counts.contains(&"(\"be\", 2)") && counts.contains(&"(\"question\", 1)"), "{printed}");
}

#[test]
fn metrics_are_written_in_the_text_format_of_prometheus() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("metrics.txt");
    let args = ["q0", "--events", "10000", "--metrics", text(&file)];
    assert!(run("nexmark", &args).status.success());
    let metrics = std::fs::read_to_string(&file).expect("the metrics");
    let of_sink = metrics
        .lines()
        .find(|line| line.starts_with("highwater_numRecordsIn{") && line.contains("name=\"sink\""));
    assert_eq!(of_sink.and_then(|line| line.rsplit(' ').next()), Some("9200"), "{metrics}");
}
