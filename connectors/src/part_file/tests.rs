//! What is visible in the output folder, and when, in jobs without checkpoints.
//!
//! Each test looks at the names in the folder, hidden ones included: it would catch results that
//! appear before the commit, remains of a job that failed, and results of others that are lost.

use std::fs;
use std::path::Path;

use highwater_core::error::Error;
use highwater_core::record::Record;
use highwater_core::sink::{Committable, Sink, WriterContext};
use highwater_core::time::Epoch;

use super::refuse_existing;
use crate::format::csv::{CsvFiles, CsvSink};
use crate::format::json::JsonLines;

pub(super) type Row = (u32, &'static str);

/// Writes rows as one worker of two, up to and including the preparation.
fn write(sink: &CsvSink, worker: usize, rows: &[Row]) -> Vec<Box<dyn Committable>> {
    let mut writer = Sink::<Row>::open(sink, WriterContext::new(worker, 2)).unwrap();
    writer.write(&mut rows.iter().map(|row| Record::new(0, *row)).collect()).unwrap();
    let mut committables = writer.pre_commit(Epoch(0)).unwrap();
    for committable in &mut committables {
        let _: String = committable.prepare().unwrap();
    }
    committables
}

fn commit(committables: &mut [Box<dyn Committable>]) {
    committables.iter_mut().for_each(|part| part.commit().unwrap());
}

fn abort(mut committables: Vec<Box<dyn Committable>>) {
    committables.iter_mut().for_each(|part| part.abort());
}

pub(super) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(super) fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

#[test]
fn results_appear_with_the_commit_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("deep").join("out");
    let sink = CsvFiles::to(&out);
    let mut first = write(&sink, 0, &[(1, "a"), (2, "b,c")]);
    let mut second = write(&sink, 1, &[(3, "d")]);
    assert!(names(&out).iter().all(|name| name.starts_with(".part-0000")), "{:?}", names(&out));
    assert!(names(&out).iter().all(|name| name.ends_with(".tmp")), "{:?}", names(&out));
    commit(&mut first);
    commit(&mut second);
    assert_eq!(names(&out), ["part-00000.csv", "part-00001.csv"]);
    assert_eq!(text(&out, "part-00000.csv"), "1,a\n2,\"b,c\"\n");
    assert_eq!(text(&out, "part-00001.csv"), "3,d\n");
    commit(&mut first);
    assert_eq!(names(&out).len(), 2, "a second commit changes nothing");
}

#[test]
fn a_worker_without_rows_makes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    assert!(write(&CsvFiles::to(dir.path()).with_header(), 0, &[]).is_empty());
    assert!(names(dir.path()).is_empty());
}

#[test]
fn an_abort_and_a_dropped_writer_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path());
    abort(write(&sink, 0, &[(1, "a")]));
    assert!(names(dir.path()).is_empty());
    drop(write(&sink, 0, &[(1, "a")]));
    assert!(names(dir.path()).is_empty());
    let mut writer = Sink::<Row>::open(&sink, WriterContext::new(1, 2)).unwrap();
    writer.write(&mut vec![Record::new(0, (1, "a"))]).unwrap();
    assert_eq!(names(dir.path()).len(), 1);
    drop(writer);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn any_visible_file_is_a_result_that_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Sink::<Row>::open(&CsvFiles::to(dir.path()), WriterContext::new(0, 1)).map(drop);
    fs::write(dir.path().join(".hidden"), "").unwrap();
    fs::write(dir.path().join("_SUCCESS"), "").unwrap();
    open().unwrap();
    fs::write(dir.path().join("notes.txt"), "").unwrap();
    match open().unwrap_err() {
        Error::OutputExists { path, found } => {
            assert_eq!((path.as_path(), found.as_str()), (dir.path(), "notes.txt"));
        }
        other => panic!("{other:?}"),
    }
    assert!(refuse_existing(dir.path()).is_err());
    refuse_existing(&dir.path().join("missing")).unwrap();
}

#[test]
fn two_sinks_of_different_names_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let on_time = CsvFiles::to(dir.path());
    let late = CsvFiles::to(dir.path()).named("late");
    let mut parts = [write(&on_time, 0, &[(1, "a")]), write(&late, 0, &[(2, "b")])];
    parts.iter_mut().for_each(|part| commit(part));
    assert_eq!(names(dir.path()), ["late-00000.csv", "part-00000.csv"]);
}

#[test]
fn two_sinks_of_one_name_do_not_overwrite_each_other() {
    for overwrite in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let sink = CsvFiles::to(dir.path()).overwrite(overwrite);
        let mut first = write(&sink, 0, &[(1, "a")]);
        let mut second = write(&sink, 0, &[(2, "b")]);
        commit(&mut first);
        assert!(matches!(second[0].commit(), Err(Error::OutputExists { .. })));
        abort(second);
        assert_eq!(text(dir.path(), "part-00000.csv"), "1,a\n");
    }
}

/// Returns a folder with the results of three workers, of another sink and of another format.
fn old_results() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "part-00000.csv",
        "part-00001.csv",
        "part-00002.csv",
        "part-00000.jsonl",
        "part-late-00000.csv",
        "late-00000.csv",
    ] {
        fs::write(dir.path().join(name), "old\n").unwrap();
    }
    dir
}

#[test]
fn overwriting_replaces_the_files_of_the_same_name_in_any_order_of_commits() {
    for order in [[0, 1], [1, 0]] {
        let dir = old_results();
        let sink = CsvFiles::to(dir.path()).overwrite(true);
        let mut parts = [write(&sink, 0, &[(1, "new")]), write(&sink, 1, &[(2, "new")])];
        assert_eq!(text(dir.path(), "part-00000.csv"), "old\n");
        for worker in order {
            commit(&mut parts[worker]);
        }
        assert_eq!(
            names(dir.path()),
            ["late-00000.csv", "part-00000.csv", "part-00001.csv", "part-late-00000.csv"]
        );
        assert_eq!(text(dir.path(), "part-00000.csv"), "1,new\n");
        assert_eq!(text(dir.path(), "part-00001.csv"), "2,new\n");
    }
}

#[test]
fn overwriting_with_nothing_removes_the_old_files() {
    let dir = old_results();
    let sink = CsvFiles::to(dir.path()).overwrite(true);
    let mut parts = [write(&sink, 0, &[]), write(&sink, 1, &[])];
    assert_eq!(names(dir.path()).len(), 6);
    parts.iter_mut().for_each(|part| commit(part));
    parts.iter_mut().for_each(|part| commit(part));
    assert_eq!(names(dir.path()), ["late-00000.csv", "part-late-00000.csv"]);
}

#[test]
fn a_job_that_fails_leaves_the_old_results_as_they_were() {
    let dir = old_results();
    let sink = CsvFiles::to(dir.path()).overwrite(true);
    abort(write(&sink, 0, &[(1, "new")]));
    drop(write(&sink, 1, &[(2, "new")]));
    assert_eq!(names(dir.path()).len(), 6);
    assert_eq!(text(dir.path(), "part-00000.csv"), "old\n");
}

#[test]
fn a_name_that_would_be_hidden_or_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", ".part", "_part", "../part"] {
        let sink = JsonLines::to(dir.path()).named(name);
        assert!(
            matches!(Sink::<Row>::open(&sink, WriterContext::new(0, 1)), Err(Error::Option { .. })),
            "{name}"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Sink::<Row>::open(&CsvFiles::to(&file), WriterContext::new(0, 1)).err().unwrap();
    assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
}

#[test]
#[cfg(unix)]
fn results_may_be_read_by_whoever_may_read_new_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    commit(&mut write(&CsvFiles::to(dir.path()), 0, &[(1, "a")]));
    fs::write(dir.path().join("other"), "").unwrap();
    let mode = |name| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("part-00000.csv"), mode("other"));
}
