//! The flights example on the data that comes with the repository, with its results in print.
//!
//! The picture is `out/flights/_flights.svg`: its name begins with `_` because the job's results
//! are the `part-*` and `late-*` files, and everything else in the folder is not a result.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::step::{Step, in_root};

const OUTPUT: &str = "out/flights";
const PICTURE: &str = "out/flights/_flights.svg";
const SHOWN: usize = 12;

const HEADER: [&str; 5] =
    ["origin", "hour (UTC)", "departures", "mean delay (min)", "max delay (min)"];

/// Runs the example, then prints the beginning of its table and where the picture is.
pub(crate) fn run() -> Result<(), Error> {
    Step::cargo("run")
        .args(["--release", "--example", "flights", "--", "hourly"])
        .args(["--input", "examples/data/flights.csv.gz", "--output", OUTPUT, "--overwrite"])
        .args(["--out-of-orderness", "60m"])
        .run()?;
    let folder = in_root(OUTPUT);
    let mut rows: Vec<Row> = lines(&folder, "part-")?.iter().map(|line| Row::read(line)).collect();
    if rows.is_empty() {
        return Err(Error::NoResults { path: folder });
    }
    rows.sort();
    println!("\n{}", line(&HEADER));
    for row in rows.iter().take(SHOWN) {
        println!("{}", line(&row.cells()));
    }
    println!("... {} rows in {OUTPUT}/part-*", rows.len());
    println!("    {} late departures in {OUTPUT}/late-*", lines(&folder, "late-")?.len());
    if in_root(PICTURE).exists() {
        println!("    the year as a picture: {PICTURE}");
        return Ok(());
    }
    Err(Error::NoResults { path: in_root(PICTURE) })
}

/// Returns the lines of all files in `folder` whose names begin with `prefix`.
fn lines(folder: &Path, prefix: &str) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::reading(folder))? {
        let entry = entry.map_err(Error::reading(folder))?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let path = entry.path();
            let text = fs::read_to_string(&path).map_err(Error::reading(&path))?;
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    Ok(lines)
}

/// A line of the table, in the order in which it is shown: by hour, then origin.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    hour_start_ms: i64,
    origin: String,
    rest: Vec<String>,
}

impl Row {
    fn read(line: &str) -> Row {
        let mut cells = line.split(',');
        let origin = cells.next().unwrap_or_default().to_owned();
        let hour_start_ms = cells.next().and_then(|cell| cell.parse().ok()).unwrap_or_default();
        Row { hour_start_ms, origin, rest: cells.map(str::to_owned).collect() }
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.origin.clone(), hour(self.hour_start_ms)];
        cells.extend(self.rest.iter().cloned());
        cells
    }
}

/// Returns the cells as a line of the table.
fn line<C: AsRef<str>>(cells: &[C]) -> String {
    let padded = cells.iter().zip([-6_i32, -17, 10, 17, 16]).map(|(cell, width)| {
        let (cell, columns) = (cell.as_ref(), width.unsigned_abs() as usize);
        if width < 0 { format!("{cell:<columns$}") } else { format!("{cell:>columns$}") }
    });
    padded.collect::<Vec<_>>().join(" ")
}

/// Returns ms since 1970 as a date and a time in UTC; the calendar is Hinnant's `civil_from_days`.
fn hour(ms: i64) -> String {
    let minutes = ms.div_euclid(60_000);
    let shifted = minutes.div_euclid(24 * 60) + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let minute = minutes.rem_euclid(24 * 60);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ms_since_1970_become_the_hour_of_the_calendar() {
        assert_eq!(hour(0), "1970-01-01 00:00");
        assert_eq!(hour(-60_000), "1969-12-31 23:59");
        assert_eq!(hour(1_357_034_400_000), "2013-01-01 10:00");
        assert_eq!(hour(951_782_400_000), "2000-02-29 00:00");
    }

    #[test]
    fn rows_are_shown_by_hour_then_origin() {
        let mut rows =
            ["LGA,3600000,1,2.00,3", "JFK,3600000,4,5.00,6", "LGA,0,7,8.00,9"].map(Row::read);
        rows.sort();
        let shown = rows.map(|row| line(&row.cells()));
        assert!(shown[0].starts_with("LGA    1970-01-01 00:00"), "{}", shown[0]);
        assert!(shown[1].starts_with("JFK"), "{}", shown[1]);
        assert!(shown[2].ends_with("3"), "{}", shown[2]);
    }
}
