//! The tables of a sink: the target, and what stands beside it in the same schema.
//!
//! ```text
//! TABLE                      the user's
//! highwater_staging_TABLE    number, sink and attempt of the batch, then the columns written
//! highwater_checkpoints      a row for each batch that is committed
//! highwater_batches          the sequence of their numbers
//! ```

use ::postgres::types::Type;
use ::postgres::{Client, Error as ClientError, Statement};

use highwater_core::error::{Error, Result};

use super::link::Link;

/// The statements of a sink.
pub(super) struct Tables {
    /// Gives the next number of a batch.
    pub(super) next_batch: String,
    /// Takes rows into staging.
    pub(super) copy: String,
    /// The types of what `copy` takes.
    pub(super) types: Vec<Type>,
    /// Notes a batch, unless it is noted.
    pub(super) note: String,
    /// Moves the rows of a batch into the target.
    pub(super) move_rows: String,
    /// Throws the rows of a batch away.
    pub(super) drop_rows: String,
    /// Throws away the rows of the attempts before one.
    sweep: String,
}

/// A column as the database describes it.
#[derive(Clone, PartialEq, Eq)]
struct Column {
    name: String,
    /// With what is in parentheses, as in `character varying(3)`.
    of_type: String,
    not_null: bool,
}

impl Column {
    fn new(name: &str, of_type: &str) -> Self {
        Column { name: name.to_owned(), of_type: of_type.to_owned(), not_null: true }
    }

    fn definition(&self) -> String {
        let null = if self.not_null { " NOT NULL" } else { "" };
        format!("{} {}{null}", quoted(&self.name), self.of_type)
    }
}

/// The names of the tables, quoted.
struct Names {
    target: String,
    staging: String,
    index: String,
    checkpoints: String,
    batches: String,
}

impl Names {
    fn of(table: &str) -> Result<Self> {
        let (schema, name) = match table.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, table),
        };
        if name.is_empty() || name.contains('.') || schema.is_some_and(str::is_empty) {
            let expected = "a name such as delays or results.delays";
            return Err(Error::option("the table of a Postgres sink", table, expected));
        }
        let place = |name: &str| match schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
            None => quoted(name),
        };
        Ok(Names {
            target: place(name),
            staging: place(&format!("highwater_staging_{name}")),
            index: quoted(&format!("highwater_batch_{name}")),
            checkpoints: place("highwater_checkpoints"),
            batches: place("highwater_batches"),
        })
    }
}

impl Tables {
    /// Makes the tables that are not yet there.
    pub(super) fn make(link: &mut Link, table: &str, written: &[String]) -> Result<Self> {
        let names = Names::of(table)?;
        let about = link.about().to_owned();
        let refuse = |why: String| Err(Error::program(format!("{about}: {why}")));
        let found = link.run("look at the columns", |client| columns_of(client, &names.target))?;
        if found.is_empty() {
            return refuse("there is no such table".to_owned());
        }
        let mut columns = vec![
            Column::new("highwater_batch", "bigint"),
            Column::new("highwater_sink", "text"),
            Column::new("highwater_attempt", "bigint"),
        ];
        for name in written {
            match found.iter().find(|column| column.name == *name) {
                Some(column) => columns.push(column.clone()),
                None => return refuse(format!("there is no column {name:?}")),
            }
        }
        let made =
            link.run("make the tables beside it", |client| make_tables(client, &names, &columns))?;
        match made {
            Some(statement) => Ok(Tables::of(&names, &columns, &statement)),
            None => refuse(format!(
                "{} has other columns and still holds rows, finish the job that wrote them or drop it",
                names.staging
            )),
        }
    }

    fn of(names: &Names, columns: &[Column], staging: &Statement) -> Self {
        let all = list(columns);
        let written = list(&columns[3..]);
        let Names { target, staging: rows, checkpoints, batches, .. } = names;
        Tables {
            next_batch: format!("SELECT nextval('{}')", batches.replace('\'', "''")),
            copy: format!("COPY {rows} ({all}) FROM STDIN BINARY"),
            types: staging.columns().iter().map(|column| column.type_().clone()).collect(),
            note: format!(
                "INSERT INTO {checkpoints} (batch, sink, attempt, epoch, worker, rows) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (batch) DO NOTHING"
            ),
            move_rows: format!(
                "WITH moved AS (DELETE FROM {rows} WHERE highwater_batch = $1 RETURNING {written}) \
                 INSERT INTO {target} ({written}) SELECT {written} FROM moved"
            ),
            drop_rows: format!("DELETE FROM {rows} WHERE highwater_batch = $1"),
            sweep: format!(
                "DELETE FROM {rows} WHERE highwater_sink = $1 AND highwater_attempt < $2"
            ),
        }
    }

    /// Throws away what attempts of a sink before this one have left.
    pub(super) fn sweep(&self, link: &mut Link, sink: &str, attempt: i64) -> Result<()> {
        link.run("remove what earlier attempts left", |client| {
            client.execute(&self.sweep, &[&sink, &attempt]).map(drop)
        })
    }
}

/// Makes the tables and returns a query of all columns of staging; `None` if staging holds rows with
/// other columns.
fn make_tables(
    client: &mut Client,
    names: &Names,
    columns: &[Column],
) -> Result<Option<Statement>, ClientError> {
    let Names { staging, index, checkpoints, batches, .. } = names;
    let mut transaction = client.transaction()?;
    // Workers do this at once, which `IF NOT EXISTS` alone does not stand.
    transaction.execute("SELECT pg_advisory_xact_lock(hashtext('highwater'))", &[])?;
    transaction.batch_execute(&format!(
        "CREATE SEQUENCE IF NOT EXISTS {batches};
         CREATE TABLE IF NOT EXISTS {checkpoints} (
             batch bigint PRIMARY KEY, sink text NOT NULL, attempt bigint NOT NULL,
             epoch bigint NOT NULL, worker bigint NOT NULL, rows bigint NOT NULL,
             committed_at timestamptz NOT NULL DEFAULT now())"
    ))?;
    let found = describe(&mut transaction, staging)?;
    if !found.is_empty() && found != columns {
        let holds = format!("SELECT EXISTS (SELECT FROM {staging})");
        if transaction.query_one(&holds, &[])?.get(0) {
            return Ok(None);
        }
        transaction.batch_execute(&format!("DROP TABLE {staging}"))?;
    }
    let definitions: Vec<_> = columns.iter().map(Column::definition).collect();
    transaction.batch_execute(&format!(
        "CREATE TABLE IF NOT EXISTS {staging} ({});
         CREATE INDEX IF NOT EXISTS {index} ON {staging} (highwater_batch)",
        definitions.join(", ")
    ))?;
    let statement = transaction.prepare(&format!("SELECT {} FROM {staging}", list(columns)))?;
    transaction.commit()?;
    Ok(Some(statement))
}

fn columns_of(client: &mut Client, table: &str) -> Result<Vec<Column>, ClientError> {
    describe(client, table)
}

/// Returns the columns of a table, none if there is no such table.
fn describe(
    client: &mut impl ::postgres::GenericClient,
    table: &str,
) -> Result<Vec<Column>, ClientError> {
    let rows = client.query(
        "SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute \
         WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        &[&table],
    )?;
    let column = |row: ::postgres::Row| Column {
        name: row.get(0),
        of_type: row.get(1),
        not_null: row.get(2),
    };
    Ok(rows.into_iter().map(column).collect())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(columns: &[Column]) -> String {
    columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_stand_in_the_schema_of_the_table() {
        let names = Names::of("Results.de\"lays").unwrap();
        assert_eq!(names.target, "\"Results\".\"de\"\"lays\"");
        assert_eq!(names.staging, "\"Results\".\"highwater_staging_de\"\"lays\"");
        assert_eq!(names.checkpoints, "\"Results\".\"highwater_checkpoints\"");
        assert_eq!(Names::of("delays").unwrap().batches, "\"highwater_batches\"");
        for wrong in ["", ".", "a.", ".a", "a.b.c"] {
            assert!(matches!(Names::of(wrong), Err(Error::Option { .. })), "{wrong}");
        }
    }
}
