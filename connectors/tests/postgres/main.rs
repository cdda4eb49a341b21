//! The PostgreSQL sink on a real server: what is in the table, and when.
//!
//! Each test drives the contract by hand in a database of its own. They would catch rows that are
//! visible early, twice or never, what is left of attempts that were killed, and mistakes that are
//! noticed only when it is too late. They are skipped with a notice where no server is installed.

#![cfg(unix)]
#![expect(clippy::print_stderr, reason = "a notice says that the tests were skipped")]

mod server;

use highwater_connectors::postgres::{PostgresSink, cell};
use highwater_core::error::{Error, Result};
use highwater_core::record::Record;
use highwater_core::sink::{Committable, Sink, Writer, WriterContext};
use highwater_core::time::Epoch;

use crate::server::Database;

type Row = (&'static str, Option<i32>);

const TABLE: &str =
    "CREATE TABLE delays (id serial PRIMARY KEY, origin varchar(5) NOT NULL, minutes integer)";

fn database() -> Option<Database> {
    let database = Database::make()?;
    database.connect().batch_execute(TABLE).unwrap();
    Some(database)
}

fn sink(database: &Database) -> PostgresSink<Row> {
    PostgresSink::new(&database.address, "delays", ["minutes", "origin"], |row: &Row| {
        vec![cell(row.1), cell(row.0)]
    })
}

fn context(worker: usize, attempt: u64) -> WriterContext {
    WriterContext { attempt: Some(attempt), ..WriterContext::new(worker, 2) }
}

fn write(writer: &mut Box<dyn Writer<Row>>, rows: &[Row]) -> Result<()> {
    writer.write(&mut rows.iter().map(|row| Record::new(0, *row)).collect())
}

/// Writes rows as an epoch and returns what is prepared with its payload.
fn epoch(
    writer: &mut Box<dyn Writer<Row>>,
    epoch: u64,
    rows: &[Row],
) -> (Box<dyn Committable>, String) {
    write(writer, rows).unwrap();
    let mut batches = writer.pre_commit(Epoch(epoch)).unwrap();
    assert_eq!(batches.len(), 1);
    let payload = batches[0].prepare().unwrap();
    (batches.remove(0), payload)
}

/// Returns the first column of a query as text.
fn query(database: &Database, query: &str) -> Vec<String> {
    let rows = database.connect().query(query, &[]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn origins(database: &Database) -> Vec<String> {
    query(database, "SELECT origin::text FROM delays ORDER BY origin")
}

fn staged(database: &Database) -> Vec<String> {
    query(database, "SELECT origin::text FROM highwater_staging_delays ORDER BY origin")
}

#[test]
fn rows_are_in_the_table_when_they_are_committed_and_once() {
    let Some(database) = database() else { return };
    let mut writer = sink(&database).open(context(1, 3)).unwrap();
    let (mut first, _) = epoch(&mut writer, 7, &[("JFK", Some(12)), ("LGA", None)]);
    let (mut second, _) = epoch(&mut writer, 8, &[("EWR", Some(1))]);
    assert!(origins(&database).is_empty());
    assert_eq!(staged(&database), ["EWR", "JFK", "LGA"]);
    for _ in 0..2 {
        first.commit().unwrap();
        assert_eq!(origins(&database), ["JFK", "LGA"]);
    }
    second.commit().unwrap();
    assert_eq!(origins(&database), ["EWR", "JFK", "LGA"]);
    assert!(staged(&database).is_empty());
    let minutes = "SELECT coalesce(minutes::text, 'none') FROM delays ORDER BY origin";
    assert_eq!(query(&database, minutes), ["1", "12", "none"]);
    let noted = "SELECT format('%s %s %s %s %s', sink, attempt, epoch, worker, rows)
                 FROM highwater_checkpoints ORDER BY epoch";
    assert_eq!(query(&database, noted), ["delays 3 7 1 2", "delays 3 8 1 1"]);
    assert!(writer.pre_commit(Epoch(9)).unwrap().is_empty());
}

#[test]
fn epochs_of_many_rows_go_into_staging_in_pieces() {
    let Some(database) = database() else { return };
    let mut writer = sink(&database).open(WriterContext::new(0, 1)).unwrap();
    write(&mut writer, &[("JFK", Some(1)); 10_000]).unwrap();
    assert_eq!(staged(&database).len(), 8192);
    let (mut batch, _) = epoch(&mut writer, 0, &[("LGA", Some(2))]);
    let (mut aborted, _) = epoch(&mut writer, 1, &[("EWR", Some(2)); 5000]);
    aborted.abort();
    assert_eq!(staged(&database).len(), 10_001);
    batch.commit().unwrap();
    assert_eq!(origins(&database).len(), 10_001);
}

#[test]
fn a_later_attempt_commits_what_the_log_has_and_removes_the_rest() {
    let Some(database) = database() else { return };
    let mut writer = sink(&database).open(context(0, 1)).unwrap();
    let (mut first, one) = epoch(&mut writer, 1, &[("A", None)]);
    let (second, two) = epoch(&mut writer, 2, &[("B", None)]);
    let (third, _) = epoch(&mut writer, 3, &[("C", None)]);
    write(&mut writer, &[("D", None); 5000]).unwrap();
    let other = sink(&database).named("other");
    let (_other, _) = epoch(&mut other.open(context(0, 1)).unwrap(), 1, &[("O", None)]);
    first.commit().unwrap();
    // Killed: nothing is dropped.
    std::mem::forget((writer, first, second, third));

    let committed = [one, two];
    for _ in 0..2 {
        sink(&database).recover(2, &committed).unwrap();
        assert_eq!(origins(&database), ["A", "B"]);
        assert_eq!(staged(&database), ["O"]);
    }
    let mut writer = sink(&database).open(context(0, 2)).unwrap();
    let (mut batch, _) = epoch(&mut writer, 3, &[("C", None)]);
    // The first attempt was only stopped, in its own recovery.
    sink(&database).recover(1, &[]).unwrap();
    batch.commit().unwrap();
    assert_eq!(origins(&database), ["A", "B", "C"]);
}

#[test]
fn two_attempts_that_commit_at_once_commit_once() {
    let Some(database) = database() else { return };
    let mut writer = sink(&database).open(context(0, 1)).unwrap();
    for round in 1..20u64 {
        let (mut batch, payload) = epoch(&mut writer, round, &[("A", None); 100]);
        std::thread::scope(|threads| {
            let zombie = threads.spawn(|| batch.commit());
            sink(&database).recover(round + 1, &[payload]).unwrap();
            zombie.join().unwrap().unwrap();
        });
        assert_eq!(origins(&database).len() as u64, 100 * round);
    }
}

#[test]
fn a_new_job_is_not_taken_for_an_old_one() {
    let Some(database) = database() else { return };
    for origin in ["A", "B"] {
        let mut writer = sink(&database).open(context(0, 1)).unwrap();
        epoch(&mut writer, 1, &[(origin, None)]).0.commit().unwrap();
    }
    assert_eq!(origins(&database), ["A", "B"]);
}

#[test]
fn a_value_that_does_not_fit_is_refused_before_the_checkpoint() {
    let Some(database) = database() else { return };
    let mut writer = sink(&database).open(context(0, 1)).unwrap();
    write(&mut writer, &[("TOO LONG", None)]).unwrap();
    let error = writer.pre_commit(Epoch(1)).unwrap()[0].prepare().unwrap_err().sentence();
    assert!(error.starts_with("postgres table delays: could not stage rows: "), "{error}");
    assert!(error.contains("too long"), "{error}");

    let wrong = |cells: fn(&Row) -> Vec<highwater_connectors::postgres::Cell>| {
        let sink = PostgresSink::new(&database.address, "delays", ["origin"], cells);
        let mut writer = sink.open(context(0, 1)).unwrap();
        let written = writer.write(&mut vec![Record::new(0, ("A", None))]);
        written.and_then(|()| writer.pre_commit(Epoch(1)).unwrap()[0].prepare()).unwrap_err()
    };
    let error = wrong(|_| vec![cell(None::<String>)]).sentence();
    assert!(error.contains("null value in column \"origin\""), "{error}");
    let error = wrong(|_| vec![cell(7i64)]).sentence();
    assert!(error.contains("could not stage rows: ") && error.contains("i64"), "{error}");
    let error = wrong(|_| Vec::new()).sentence();
    assert!(error.contains("a row has 0 values for 1 columns"), "{error}");
}

#[test]
fn a_missing_table_column_or_server_is_named_when_the_job_starts() {
    let Some(database) = database() else { return };
    let opened = |address: &str, table: &str, column: &str| {
        let sink = PostgresSink::new(address, table, [column], |row: &Row| vec![cell(row.0)]);
        sink.open(context(0, 1)).err().map(|error| error.sentence()).unwrap_or_default()
    };
    let address = database.address.as_str();
    assert_eq!(opened(address, "none", "a"), "postgres table none: there is no such table");
    assert_eq!(opened(address, "delays", "a"), "postgres table delays: there is no column \"a\"");
    let error = opened("host=/nowhere user=a password=secret", "delays", "origin");
    assert!(error.starts_with("postgres table delays: could not look at the columns"), "{error}");
    let error = opened("host=/nowhere password=secret port=x", "delays", "origin");
    assert!(error.starts_with("postgres table delays: its address cannot be read"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn staging_follows_the_columns_unless_it_still_holds_rows() {
    let Some(database) = database() else { return };
    let mut writer = sink(&database).open(context(0, 1)).unwrap();
    let (mut batch, _) = epoch(&mut writer, 1, &[("A", None)]);
    let only =
        PostgresSink::new(&database.address, "delays", ["origin"], |row: &Row| vec![cell(row.0)]);
    let error = only.open(context(0, 2)).err().unwrap().sentence();
    assert!(error.contains("highwater_staging_delays\" has other columns"), "{error}");
    batch.commit().unwrap();
    let mut writer = only.open(context(0, 2)).unwrap();
    epoch(&mut writer, 2, &[("B", None)]).0.commit().unwrap();
    assert_eq!(origins(&database), ["A", "B"]);
}

#[test]
fn rows_that_have_disappeared_from_staging_are_an_error() {
    let Some(database) = database() else { return };
    let mut writer = sink(&database).open(context(0, 1)).unwrap();
    let (mut batch, payload) = epoch(&mut writer, 1, &[("A", None), ("B", None)]);
    let mut client = database.connect();
    client.batch_execute("DELETE FROM highwater_staging_delays WHERE origin = 'A'").unwrap();
    for error in [batch.commit(), sink(&database).recover(2, &[payload])] {
        let error = error.unwrap_err();
        assert!(matches!(error, Error::OutputLost { .. }), "{error:?}");
        assert!(error.sentence().contains("has 1 rows of 2"), "{}", error.sentence());
    }
    assert!(origins(&database).is_empty());
}

#[test]
fn a_connection_that_was_cut_is_made_again() {
    let Some(database) = database() else { return };
    let mut writer = sink(&database).open(context(0, 1)).unwrap();
    let (mut first, _) = epoch(&mut writer, 1, &[("A", None)]);
    first.commit().unwrap();
    let (mut second, _) = epoch(&mut writer, 2, &[("B", None)]);
    let cut = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert!(!query(&database, cut).is_empty());
    // The first try may be the one that notices.
    if second.commit().is_err() {
        second.commit().unwrap();
    }
    assert_eq!(origins(&database), ["A", "B"]);
}

#[test]
fn workers_that_start_at_once_make_the_tables_once() {
    let Some(database) = database() else { return };
    database
        .connect()
        .batch_execute("CREATE SCHEMA \"My\"; CREATE TABLE \"My\".t (a text)")
        .unwrap();
    std::thread::scope(|threads| {
        for worker in 0..8 {
            let database = &database;
            threads.spawn(move || {
                let sink = PostgresSink::new(&database.address, "My.t", ["a"], |row: &Row| {
                    vec![cell(row.0)]
                });
                let mut writer = sink.open(context(worker, 1)).unwrap();
                epoch(&mut writer, 1, &[("A", None)]).0.commit().unwrap();
            });
        }
    });
    assert_eq!(query(&database, "SELECT a FROM \"My\".t").len(), 8);
}
