//! Plays `calcite_tvf`: table functions that append the window to each row of a table.
//!
//! A row is one element of a keyed window that fires at the end of the input, so that a session
//! has its final bounds; the value of the element is the place of the row in the table.

use highwater_sim::oracle::{Assigner, Gap, TimeDomain, Trigger, TriggerKind, WindowSpec};
use serde_json::Value;

use crate::case::Case;
use crate::form::{Failure, Form, int, same};
use crate::report::Verdict;
use crate::subject::{Aggregate, Subjects};

pub(crate) fn play(case: &Case, subjects: &Subjects) -> Result<Verdict, Failure> {
    let table = Table::of(&case.shared)?;
    let form = Form::of_case(&case.body)?;
    let operator = Form::of("operator", form.need("operator")?)?;
    let spec = spec(&operator)?;
    let key = match operator.get("key") {
        Some(_) => Some(table.column(operator.text("key")?)?),
        None => None,
    };
    operator.done()?;
    let (columns, expected) = (form.list("expect_columns")?, form.list("expect")?);
    form.done()?;
    let Some(mut subject) = (subjects.window)(&spec, Aggregate::Each) else {
        return Ok(Verdict::NotThere);
    };
    for (place, row) in table.rows.iter().enumerate() {
        let key = key.map(|column| row[column].to_string()).unwrap_or_default();
        let place = i64::try_from(place).expect("a table is short");
        subject.element(&key, place, table.millis(row)?);
    }
    subject.watermark(i64::MAX);
    let mut got = Vec::new();
    for fired in subject.take_output() {
        for place in fired.values {
            let row = &table.rows[usize::try_from(place).expect("a place in the table")];
            let (start, end) = (fired.window.start, fired.window.end);
            let cells: Result<Vec<Value>, Failure> =
                columns.iter().map(|column| table.cell(column, row, start, end)).collect();
            got.push(Value::from(cells?));
        }
    }
    same(0, expected, &got)?;
    Ok(Verdict::Passed)
}

/// The table of a file.
struct Table<'a> {
    columns: Vec<&'a str>,
    rows: Vec<&'a Vec<Value>>,
}

impl<'a> Table<'a> {
    fn of(shared: &'a Value) -> Result<Table<'a>, Failure> {
        let form = Form::of_case(shared)?;
        form.get("time");
        let columns = form.list("columns")?.iter().map(Value::as_str).collect::<Option<_>>();
        let columns = columns.ok_or_else(|| form.failure("columns", "are not all texts"))?;
        let rows = form.list("rows")?.iter().map(Value::as_array).collect::<Option<_>>();
        let rows = rows.ok_or_else(|| form.failure("rows", "are not all lists"))?;
        form.done()?;
        Ok(Table { columns, rows })
    }

    fn column(&self, name: &str) -> Result<usize, Failure> {
        let place = self.columns.iter().position(|column| *column == name);
        place.ok_or_else(|| Failure::form(format!("the table has no column `{name}`")))
    }

    /// The timestamp of a row, from the column `ts_s` or `ts_ms`.
    fn millis(&self, row: &[Value]) -> Result<i64, Failure> {
        let (column, factor) = match self.column("ts_s") {
            Ok(column) => (column, 1_000),
            Err(_) => (self.column("ts_ms")?, 1),
        };
        let ts = int(&row[column]).ok_or_else(|| Failure::form("a row without a timestamp"))?;
        Ok(ts.saturating_mul(factor))
    }

    /// A cell of the result: a bound of the window, or a column of the row.
    fn cell(&self, name: &Value, row: &[Value], start: i64, end: i64) -> Result<Value, Failure> {
        Ok(match name.as_str().unwrap_or_default() {
            "window_start_s" => (start / 1_000).into(),
            "window_end_s" => (end / 1_000).into(),
            "window_start_ms" => start.into(),
            "window_end_ms" => end.into(),
            column => row[self.column(column)?].clone(),
        })
    }
}

fn spec(form: &Form) -> Result<WindowSpec<String, i64>, Failure> {
    let assigner = match form.text("kind")? {
        "tumble" => Assigner::Tumbling {
            size: form.positive_millis("size")?,
            offset: form.millis_or_zero("offset")?,
        },
        "hop" => Assigner::Sliding {
            size: form.positive_millis("size")?,
            slide: form.positive_millis("slide")?,
            offset: form.millis_or_zero("offset")?,
        },
        "session" => Assigner::Session { gap: Gap::Fixed(form.positive_millis("gap")?) },
        _ => return Err(form.failure("kind", "is not known to the player")),
    };
    let trigger = Trigger { kind: TriggerKind::EventTime, purging: false };
    Ok(WindowSpec { assigner, time: TimeDomain::Event, trigger, allowed_lateness: 0 })
}
