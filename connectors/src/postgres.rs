//! A sink into a table of a PostgreSQL database.
//!
//! ```text
//! rows --COPY, 4096 at a time--> highwater_staging_TABLE     rows of a batch, which nobody reads
//!                                        | the checkpoint is complete: one transaction
//!                    rows --> TABLE      '-----> batch --> highwater_checkpoints
//! ```
//!
//! What one worker writes in one epoch is a batch. Its rows are in the staging table when it is
//! prepared, so that they survive the job and the server. The commit moves them into the target
//! and notes the batch; a batch that is noted is not committed again, however often and by however
//! many attempts at once that is tried.
//!
//! **Invariants**
//! - *Once*: rows move in the transaction that notes their batch, whose number is a primary key.
//!   Numbers come from a sequence and are never given twice, not even to another job.
//! - *All or nothing*: a batch of which rows are missing is not committed (`Batch::commit`).
//! - *Early*: a row that has the wrong type or lacks a value is refused before the checkpoint is
//!   complete, as staging has the types of the target and its `NOT NULL`. Other constraints of the
//!   target are checked by the commit: a row that breaks one ends the job, and the job cannot go on
//!   before the table has room for it.
//!
//! **Cost**: two connections a worker; every row is written twice; a row in
//! `highwater_checkpoints` for each batch, which may be deleted when no checkpoint and no savepoint
//! of the job is as old as that.
//!
//! Left out: encrypted connections; rows of several workers become visible one batch after the
//! other; a job without checkpoints that is killed leaves rows in staging.
//!
//! **Sources**: Flink's `JdbcSink` and its exactly-once variant, with a table instead of XA, which
//! a database may forget and which PostgreSQL has switched off.

mod link;
mod table;
mod batch;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex};

use ::postgres::types::ToSql;

use highwater_core::error::Result;
use highwater_core::record::Data;
use highwater_core::sink::{Sink, Writer, WriterContext};

use self::batch::Batch;
use self::link::Link;
use self::table::Tables;
use self::writer::{TableWriter, clip};

/// A value of one column. Its Rust type must be the one that belongs to the type of the column, as
/// listed in [`ToSql`]: `i32` for `integer`, `i64` for `bigint`, an `Option` where it may be null.
pub type Cell = Box<dyn ToSql + Send + Sync>;

/// Returns a value as one of a column.
pub fn cell(value: impl ToSql + Send + Sync + 'static) -> Cell {
    Box::new(value)
}

/// Makes the columns of a row.
type Cells<T> = dyn Fn(&T) -> Vec<Cell> + Send + Sync;

/// Writes rows into a table of a PostgreSQL database.
///
/// - state: up to 4096 rows a worker; the others of an epoch are in the database.
///
/// The tables that the sink needs beside the target are made in its schema when the job starts.
///
/// # Examples
/// ```no_run
/// use highwater_connectors::postgres::{PostgresSink, cell};
///
/// #[derive(Clone)]
/// struct Delay {
///     origin: String,
///     minutes: Option<i32>,
/// }
///
/// let address = "host=localhost user=flights dbname=flights";
/// let sink = PostgresSink::new(address, "delays", ["origin", "minutes"], |delay: &Delay| {
///     vec![cell(delay.origin.clone()), cell(delay.minutes)]
/// });
/// ```
pub struct PostgresSink<T> {
    address: String,
    table: String,
    columns: Vec<String>,
    name: String,
    cells: Arc<Cells<T>>,
}

impl<T> PostgresSink<T> {
    /// Makes a sink into a table.
    ///
    /// - `address`: where the database is, as in `host=localhost user=me dbname=results`.
    /// - `table`: the table, as in `delays` or `results.delays`; it must be there.
    /// - `columns`: the columns that are written; the others get their defaults.
    /// - `cells`: makes the values of these columns from a row, in the same order.
    pub fn new<C: Into<String>>(
        address: impl Into<String>,
        table: impl Into<String>,
        columns: impl IntoIterator<Item = C>,
        cells: impl Fn(&T) -> Vec<Cell> + Send + Sync + 'static,
    ) -> Self {
        let table = table.into();
        PostgresSink {
            address: address.into(),
            name: table.clone(),
            table,
            columns: columns.into_iter().map(Into::into).collect(),
            cells: Arc::new(cells),
        }
    }

    /// Names the sink, instead of after its table. Two sinks that write into one table, of one job
    /// or of several, need names of their own: each removes what is left of earlier attempts under
    /// its name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    fn link(&self) -> Result<Link> {
        Link::new(&self.address, &self.table)
    }
}

impl<T> Clone for PostgresSink<T> {
    fn clone(&self) -> Self {
        PostgresSink {
            address: self.address.clone(),
            table: self.table.clone(),
            columns: self.columns.clone(),
            name: self.name.clone(),
            cells: Arc::clone(&self.cells),
        }
    }
}

impl<T> fmt::Debug for PostgresSink<T> {
    /// Leaves out the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSink")
            .field("table", &self.table)
            .field("columns", &self.columns)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T: Data> Sink<T> for PostgresSink<T> {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer<T>>> {
        let mut link = self.link()?;
        let tables = Arc::new(Tables::make(&mut link, &self.table, &self.columns)?);
        let batch = Batch {
            number: None,
            sink: self.name.clone(),
            attempt: clip(context.attempt.unwrap_or(0)),
            epoch: 0,
            worker: clip(context.worker as u64),
            rows: 0,
        };
        let (cells, commits) = (Arc::clone(&self.cells), Arc::new(Mutex::new(self.link()?)));
        Ok(Box::new(TableWriter { cells, tables, link, commits, batch, rows: Vec::new() }))
    }

    fn recover(&self, attempt: u64, committed: &[String]) -> Result<()> {
        let mut link = self.link()?;
        let tables = Tables::make(&mut link, &self.table, &self.columns)?;
        for payload in committed {
            Batch::parse(payload)?.commit(&mut link, &tables)?;
        }
        tables.sweep(&mut link, &self.name, clip(attempt))
    }
}
