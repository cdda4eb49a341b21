//! What is in the files, read back with the Parquet library and by the types of the columns.
//!
//! They would catch rows that are lost at the borders of batches and files, columns that change
//! from file to file, and types that are written as something else.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use highwater_core::record::{Data, Record};
use highwater_core::sink::{Sink, WriterContext};
use highwater_core::time::Epoch;

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Carrier {
    United,
    American,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flight {
    scheduled: i64,
    carrier: Carrier,
    delay: Option<i32>,
    distance: f64,
    stops: Vec<String>,
}

fn flight(number: usize) -> Flight {
    Flight {
        scheduled: number as i64,
        carrier: if number.is_multiple_of(3) { Carrier::United } else { Carrier::American },
        delay: (!number.is_multiple_of(2)).then_some(number as i32 - 7),
        distance: number as f64 / 4.0,
        stops: (0..number % 3).map(|stop| format!("stop {stop}")).collect(),
    }
}

/// Writes the batches as one epoch of a job with checkpoints and returns the names of the files.
fn write<T: Data + Serialize>(sink: &ParquetSink, dir: &Path, batches: Vec<Vec<T>>) -> Vec<String> {
    let context = WriterContext { attempt: Some(1), ..WriterContext::new(0, 1) };
    let mut writer = Sink::<T>::open(sink, context).unwrap();
    for batch in batches {
        writer.write(&mut batch.into_iter().map(|row| Record::new(0, row)).collect()).unwrap();
    }
    for mut part in writer.pre_commit(Epoch(1)).unwrap() {
        let _: String = part.prepare().unwrap();
        part.commit().unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn read<T: DeserializeOwned>(path: &Path) -> Vec<T> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let batches = builder.build().unwrap();
    batches
        .flat_map(|batch| serde_arrow::from_record_batch::<Vec<T>>(&batch.unwrap()).unwrap())
        .collect()
}

fn columns(path: &Path) -> Vec<(String, String, bool)> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let fields = builder.schema().fields().iter();
    fields.map(|f| (f.name().clone(), f.data_type().to_string(), f.is_nullable())).collect()
}

#[test]
fn rows_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let flights: Vec<_> = (0..2500).map(flight).collect();
    let sink = ParquetFiles::<Flight>::to(dir.path()).unwrap();
    let names = write(&sink, dir.path(), flights.chunks(700).map(<[_]>::to_vec).collect());
    assert_eq!(names, ["part-00000-1-1-0.parquet"]);
    let path = dir.path().join(&names[0]);
    assert_eq!(read::<Flight>(&path), flights);
    let columns = columns(&path);
    let columns: Vec<_> = columns.iter().map(|(n, t, o)| (n.as_str(), t.as_str(), *o)).collect();
    assert_eq!(columns[0], ("scheduled", "Int64", false));
    assert_eq!(columns[2], ("delay", "Int32", true));
    assert_eq!(columns[3], ("distance", "Float64", false));
}

#[test]
fn all_files_have_the_columns_of_the_type_whatever_is_in_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let sink =
        ParquetFiles::<Flight>::to(dir.path()).unwrap().roll_every(std::time::Duration::ZERO);
    let names = write(&sink, dir.path(), vec![vec![flight(0)], vec![flight(1), flight(5)]]);
    assert_eq!(names.len(), 2);
    let paths = [0, 1].map(|file| dir.path().join(&names[file]));
    assert_eq!(columns(&paths[0]), columns(&paths[1]));
    assert_eq!(read::<Flight>(&paths[1]), [flight(1), flight(5)]);
}

#[test]
fn a_file_ends_when_it_is_large_enough() {
    let dir = tempfile::tempdir().unwrap();
    let sink = ParquetFiles::<Flight>::to(dir.path()).unwrap().roll_at(20_000);
    let flights: Vec<_> = (0..20_000).map(flight).collect();
    let names = write(&sink, dir.path(), vec![flights.clone()]);
    assert!(names.len() > 2, "{names:?}");
    let mut read: Vec<Flight> =
        names.iter().flat_map(|name| read(&dir.path().join(name))).collect();
    read.sort_by_key(|flight| flight.scheduled);
    assert_eq!(read, flights);
}

#[test]
fn a_type_without_a_schema_is_refused_and_may_be_given_one() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct At {
        #[serde(deserialize_with = "hour")]
        hour: u32,
    }
    fn hour<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let hour = u32::deserialize(from)?;
        if hour == 0 { Err(serde::de::Error::custom("no such hour")) } else { Ok(hour) }
    }
    let dir = tempfile::tempdir().unwrap();
    let error = ParquetFiles::<At>::to(dir.path()).unwrap_err().sentence();
    assert!(error.contains("At have no schema for Parquet, give them one: "), "{error}");
    assert!(error.contains("no such hour") && !error.contains('\n'), "{error}");

    let fields = fields_of::<(u32,)>().unwrap();
    let hour = fields[0].as_ref().clone().with_name("hour");
    let sink = ParquetFiles::with_schema(dir.path(), vec![hour.into()]);
    let rows = [5, 7].map(|hour| At { hour }).to_vec();
    let names = write(&sink, dir.path(), vec![rows.clone()]);
    assert_eq!(read::<At>(&dir.path().join(&names[0])), rows);
}

#[test]
fn a_row_that_does_not_fit_the_columns_is_an_error_of_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let sink = ParquetFiles::<Flight>::to(dir.path()).unwrap();
    let mut writer = sink.open(WriterContext::new(0, 1)).unwrap();
    let row = BTreeMap::from([("other".to_owned(), 1)]);
    let error = writer.write(&mut vec![Record::new(0, row)]).unwrap_err();
    assert!(error.sentence().contains("a result cannot be written as parquet: "), "{error:?}");
}
