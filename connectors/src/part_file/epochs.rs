//! What is visible in the output folder, and when, in jobs with checkpoints.
//!
//! The tests drive the contract by hand, attempts side by side: they would catch files that are
//! shown too early or not at all, files of others that are removed, and names that meet twice. The
//! same in any order is in `model.rs`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use highwater_core::error::{Error, ErrorKind, Result};
use highwater_core::record::Record;
use highwater_core::sink::{Committable, Sink, Writer, WriterContext};
use highwater_core::time::Epoch;

use super::tests::{Row, names, text};
use crate::format::csv::{CsvFiles, CsvSink};
use crate::format::json::JsonLines;

fn context(worker: usize, attempt: u64, resumes: bool) -> WriterContext {
    WriterContext { attempt: Some(attempt), resumes, ..WriterContext::new(worker, 2) }
}

fn open(sink: &CsvSink, context: WriterContext) -> Result<Box<dyn Writer<Row>>> {
    sink.open(context)
}

fn recover(sink: &CsvSink, attempt: u64, committed: &[String]) -> Result<()> {
    Sink::<Row>::recover(sink, attempt, committed)
}

/// What an epoch has prepared, with the payloads.
struct Prepared(Vec<Box<dyn Committable>>, Vec<String>);

impl Prepared {
    fn commit(&mut self) {
        self.0.iter_mut().for_each(|part| part.commit().unwrap());
    }
}

/// Writes rows and ends the epoch.
fn epoch(writer: &mut Box<dyn Writer<Row>>, epoch: u64, rows: &[Row]) -> Prepared {
    writer.write(&mut rows.iter().map(|row| Record::new(0, *row)).collect()).unwrap();
    let mut committables = writer.pre_commit(Epoch(epoch)).unwrap();
    let payloads = committables.iter_mut().map(|part| part.prepare().unwrap()).collect();
    Prepared(committables, payloads)
}

fn visible(dir: &Path) -> Vec<String> {
    let mut names = names(dir);
    names.retain(|name| !name.starts_with('.'));
    names
}

#[test]
fn each_epoch_has_files_of_its_own_and_an_empty_one_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path());
    let mut writer = open(&sink, context(1, 3, false)).unwrap();
    let mut first = epoch(&mut writer, 7, &[(1, "a"), (2, "b")]);
    let mut second = epoch(&mut writer, 8, &[]);
    let mut third = epoch(&mut writer, 9, &[(3, "c")]);
    assert!(visible(dir.path()).is_empty());
    assert_eq!((first.0.len(), second.0.len()), (1, 0));
    third.commit();
    second.commit();
    first.commit();
    first.commit();
    assert_eq!(names(dir.path()), ["part-00001-3-7-0.csv", "part-00001-3-9-0.csv"]);
    assert_eq!(text(dir.path(), "part-00001-3-7-0.csv"), "1,a\n2,b\n");
}

#[test]
fn a_file_ends_when_it_is_large_or_old_enough() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path()).roll_at(40);
    let mut writer = open(&sink, context(0, 1, false)).unwrap();
    let rows = [(123_456, "0123456789"); 7];
    epoch(&mut writer, 1, &rows).commit();
    let sizes = names(dir.path()).into_iter().map(|name| text(dir.path(), &name).lines().count());
    assert_eq!(sizes.collect::<Vec<_>>(), [3, 3, 1], "18 bytes a row, of which 16 are buffered");

    let dir = tempfile::tempdir().unwrap();
    let sink = JsonLines::to(dir.path()).roll_at(1).named("json");
    let mut writer = Sink::<Row>::open(&sink, context(0, 1, false)).unwrap();
    epoch(&mut writer, 1, &rows).commit();
    assert_eq!(names(dir.path()).len(), 7);
    assert_eq!(names(dir.path())[6], "json-00000-1-1-6.jsonl");

    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path()).roll_every(Duration::ZERO).with_header();
    let mut writer = Sink::<Named>::open(&sink, context(0, 1, false)).unwrap();
    for _ in 0..2 {
        writer.write(&mut vec![Record::new(0, Named { id: 5 }); 2]).unwrap();
    }
    for mut part in writer.pre_commit(Epoch(1)).unwrap() {
        part.prepare().unwrap();
        part.commit().unwrap();
    }
    assert_eq!(names(dir.path()), ["part-00000-1-1-0.csv", "part-00000-1-1-1.csv"]);
    assert_eq!(text(dir.path(), "part-00000-1-1-1.csv"), "id\n5\n5\n");
}

#[derive(Clone, Debug, serde::Serialize)]
struct Named {
    id: u32,
}

#[test]
fn a_later_attempt_commits_what_the_log_has_and_removes_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path());
    let mut writer = open(&sink, context(0, 1, false)).unwrap();
    let mut first = epoch(&mut writer, 1, &[(1, "a")]);
    let second = epoch(&mut writer, 2, &[(2, "b")]);
    let third = epoch(&mut writer, 3, &[(3, "c")]);
    writer.write(&mut vec![Record::new(0, (4, "d"))]).unwrap();
    first.commit();
    // Killed: nothing is dropped.
    std::mem::forget((writer, first.0, second.0, third.0));
    assert_eq!(names(dir.path()).len(), 4);

    let committed = [first.1, second.1].concat();
    for _ in 0..2 {
        recover(&sink, 2, &committed).unwrap();
        assert_eq!(names(dir.path()), ["part-00000-1-1-0.csv", "part-00000-1-2-0.csv"]);
    }
    let mut writer = open(&sink, context(0, 2, true)).unwrap();
    epoch(&mut writer, 3, &[(3, "c")]).commit();
    assert_eq!(visible(dir.path()).len(), 3);
    assert!(open(&sink, context(0, 3, false)).is_err(), "one that starts afresh refuses them");
}

#[test]
fn what_this_attempt_a_later_one_or_another_sink_has_written_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path());
    let others = [
        (CsvFiles::to(dir.path()), context(0, 2, false)),
        (CsvFiles::to(dir.path()), context(1, 3, false)),
        (CsvFiles::to(dir.path()).named("part-late"), context(0, 1, false)),
        (CsvFiles::to(dir.path()).named("late"), context(0, 1, false)),
        (CsvFiles::to(dir.path()), WriterContext::new(0, 2)),
    ];
    for (other, context) in &others {
        std::mem::forget(epoch(&mut open(other, *context).unwrap(), 1, &[(1, "a")]));
    }
    fs::write(dir.path().join(".part-notes.tmp"), "").unwrap();
    assert_eq!(names(dir.path()).len(), 6);
    recover(&sink, 2, &[]).unwrap();
    assert_eq!(names(dir.path()).len(), 6);
    recover(&sink, 4, &[]).unwrap();
    assert_eq!(names(dir.path()).len(), 4);
}

#[test]
fn a_lost_result_is_an_error_that_names_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path());
    let mut prepared = epoch(&mut open(&sink, context(0, 1, false)).unwrap(), 1, &[(1, "a")]);
    fs::remove_file(dir.path().join(&names(dir.path())[0])).unwrap();
    for error in [recover(&sink, 2, &prepared.1), prepared.0[0].commit()] {
        let error = error.unwrap_err();
        assert!(matches!(error, Error::OutputLost { .. }) && error.kind() == ErrorKind::Corrupt);
        assert!(error.to_string().contains("part-00000-1-1-0.csv: "), "{error}");
    }
    let error = recover(&sink, 2, &["{}".to_owned()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
}

#[test]
fn another_output_folder_does_not_hide_what_was_committed_into_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["a", "b"].map(|name| dir.path().join(name));
    let sink = CsvFiles::to(&first);
    let prepared = epoch(&mut open(&sink, context(0, 1, false)).unwrap(), 1, &[(1, "a")]);
    std::mem::forget(prepared.0);
    recover(&CsvFiles::to(&second), 2, &prepared.1).unwrap();
    assert_eq!(visible(&first).len(), 1);
}

#[test]
fn a_visible_file_of_that_name_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path());
    let mut prepared = epoch(&mut open(&sink, context(0, 1, false)).unwrap(), 1, &[(1, "a")]);
    fs::write(dir.path().join("part-00000-1-1-0.csv"), "of others\n").unwrap();
    for error in [prepared.0[0].commit(), recover(&sink, 2, &prepared.1)] {
        assert!(matches!(error, Err(Error::OutputExists { .. })), "{error:?}");
    }
    assert_eq!(text(dir.path(), "part-00000-1-1-0.csv"), "of others\n");
    assert_eq!(names(dir.path()).len(), 2, "the results are still there");
}

#[test]
#[cfg(unix)]
fn a_rename_in_two_steps_that_was_cut_off_between_them_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path());
    let prepared = epoch(&mut open(&sink, context(0, 1, false)).unwrap(), 1, &[(1, "a")]);
    let hidden = dir.path().join(&names(dir.path())[0]);
    fs::hard_link(hidden, dir.path().join("part-00000-1-1-0.csv")).unwrap();
    recover(&sink, 2, &prepared.1).unwrap();
    assert_eq!(names(dir.path()), ["part-00000-1-1-0.csv"]);
}

/// Returns a folder with results of two earlier jobs, with and without checkpoints.
fn old_results() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["part-00000.csv", "part-00001-1-1-0.csv", "part-00001-2-2-4.csv", "late-00000.csv"]
    {
        fs::write(dir.path().join(name), "old\n").unwrap();
    }
    dir
}

#[test]
fn old_results_are_replaced_with_the_first_checkpoint_in_any_order_of_commits() {
    for order in [[0, 1], [1, 0]] {
        let dir = old_results();
        let sink = CsvFiles::to(dir.path()).overwrite(true);
        let mut writers = [0, 1].map(|worker| open(&sink, context(worker, 1, false)).unwrap());
        let mut parts = writers.each_mut().map(|writer| epoch(writer, 1, &[(1, "new")]));
        assert_eq!(visible(dir.path()).len(), 4);
        for worker in order {
            parts[worker].commit();
        }
        let expected = ["late-00000.csv", "part-00000-1-1-5.csv", "part-00001-1-1-5.csv"];
        assert_eq!(names(dir.path()), expected);
        assert_eq!(epoch(&mut writers[0], 2, &[]).0.len(), 0, "they are replaced once");
        parts.iter_mut().for_each(Prepared::commit);
        assert_eq!(names(dir.path()), expected);
    }
}

#[test]
fn old_results_stay_when_no_checkpoint_completes() {
    let dir = old_results();
    let sink = CsvFiles::to(dir.path()).overwrite(true);
    let mut writer = open(&sink, context(0, 1, false)).unwrap();
    std::mem::forget(epoch(&mut writer, 1, &[(1, "new")]));
    recover(&sink, 2, &[]).unwrap();
    assert_eq!(names(dir.path()).len(), 4);
    assert_eq!(text(dir.path(), "part-00000.csv"), "old\n");
}

#[test]
fn a_later_attempt_removes_old_results_but_not_a_new_one_of_the_same_name() {
    let dir = old_results();
    let sink = CsvFiles::to(dir.path()).overwrite(true);
    let mut writer = open(&sink, context(0, 1, false)).unwrap();
    let prepared = epoch(&mut writer, 1, &[]);
    std::mem::forget(writer);
    recover(&sink, 2, &prepared.1).unwrap();
    assert_eq!(names(dir.path()), ["late-00000.csv"]);
    fs::write(dir.path().join("part-00001-2-2-4.csv"), "a new one\n").unwrap();
    recover(&sink, 3, &prepared.1).unwrap();
    assert_eq!(names(dir.path()), ["late-00000.csv", "part-00001-2-2-4.csv"]);
    assert_eq!(open(&sink, context(0, 3, true)).unwrap().pre_commit(Epoch(5)).unwrap().len(), 0);
}

#[test]
fn what_is_not_prepared_goes_with_its_writer_and_what_is_prepared_stays() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path()).roll_at(1);
    let mut writer = open(&sink, context(0, 1, false)).unwrap();
    writer.write(&mut vec![Record::new(0, (1, "abcdefghijklmnopqrst")); 3]).unwrap();
    let sealed = writer.pre_commit(Epoch(1)).unwrap();
    writer.write(&mut vec![Record::new(0, (1, "abcdefghijklmnopqrst")); 2]).unwrap();
    assert_eq!(names(dir.path()).len(), 5);
    drop((writer, sealed));
    assert!(names(dir.path()).is_empty());

    let mut writer = open(&sink, context(0, 1, false)).unwrap();
    let mut prepared = epoch(&mut writer, 1, &[(1, "a")]);
    drop(epoch(&mut writer, 2, &[(1, "a")]));
    assert_eq!(names(dir.path()).len(), 2);
    prepared.0[0].abort();
    assert_eq!(names(dir.path()).len(), 1);
}

/// Takes the right to write from a folder, unless this is the almighty user, and gives it back.
#[cfg(unix)]
fn without_permission(dir: &Path, check: impl FnOnce()) {
    use std::os::unix::fs::PermissionsExt;
    let set = |mode| fs::set_permissions(dir, fs::Permissions::from_mode(mode)).unwrap();
    set(0o555);
    if tempfile::tempfile_in(dir).is_err() {
        check();
    }
    set(0o755);
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_any_more_is_named_and_nothing_of_it_is_visible() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path());
    let mut writer = open(&sink, context(0, 1, false)).unwrap();
    let mut prepared = epoch(&mut writer, 1, &[(1, "a")]);
    without_permission(dir.path(), || {
        let error = writer.write(&mut vec![Record::new(0, (1, "a"))]).unwrap_err();
        assert!(error.sentence().contains(dir.path().to_str().unwrap()), "{}", error.sentence());
        let error = prepared.0[0].commit().unwrap_err();
        assert!(error.sentence().contains("part-00000-1-1-0.csv: could not rename"), "{error}");
        assert!(visible(dir.path()).is_empty());
    });
    prepared.commit();
    assert_eq!(visible(dir.path()).len(), 1);
}

#[test]
fn a_file_that_is_gone_before_it_is_prepared_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let sink = CsvFiles::to(dir.path()).roll_at(1);
    let mut writer = open(&sink, context(0, 1, false)).unwrap();
    writer.write(&mut vec![Record::new(0, (1, "abcdefghijklmnopqrst"))]).unwrap();
    recover(&sink, 2, &[]).unwrap();
    let error = writer.pre_commit(Epoch(1)).unwrap()[0].prepare().unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}
