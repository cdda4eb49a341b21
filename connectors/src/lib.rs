//! The edges of a job: where records come from and where they go.
//!
//! Sources:
//!
//! | source | bounded | replayable | splits |
//! |---|---|---|---|
//! | [`Collection`](collection::Collection) | yes | yes | one contiguous range a worker |
//! | [`Generator`](generator::Generator) | yes, or not | yes | interleaved blocks |
//! | [`CsvFiles`](format::csv::CsvFiles) | yes | yes | one a file |
//! | [`JsonLines`](format::json::JsonLines) | yes | yes | one a file |
//! | [`TextFiles`](format::text::TextFiles) | yes | yes | one a file |
//! | [`GraphFile`](format::graph::GraphFile) | yes | yes | one a file |
//! | [`Watch`](watch::Watch) | no, or by a marker | yes | by the names of the files, one a worker |
//! | [`Socket`](socket::Socket) | no | no | one |
//!
//! Sinks:
//!
//! | sink | transactional | what a failed job leaves |
//! |---|---|---|
//! | [`Collect`](collect::Collect) | yes | nothing |
//! | [`CsvFiles`](format::csv::CsvFiles) | yes | nothing, or the results of the job before |
//! | [`JsonLines`](format::json::JsonLines) | yes | nothing, or the results of the job before |
//! | [`TextFiles`](format::text::TextFiles) | yes | nothing, or the results of the job before |
//! | `ParquetFiles`, feature `parquet` | yes | nothing, or the results of the job before |
//! | `PostgresSink`, feature `postgres` | yes | nothing that is visible |
//! | [`Print`](print::Print) | no | the lines printed so far |
//!
//! Sinks of files also write into object stores, with the feature `object-store`.
//!
//! *Replayable* means that reading again gives the same records in the same order, so that a job
//! that failed can simply be run again. *Transactional* means that results become visible when the
//! job commits, or a checkpoint of it, and not before; a job that goes on from a checkpoint then has
//! each result once.
//!
//! ```text
//! file --magic bytes--> plain, gzip or zstd --lines or rows--> serde --> Record<T>
//! Record<T> --serde--> DIR/.part-00000.csv.x.tmp --commit--> DIR/part-00000.csv
//! ```

pub mod collection;
pub mod generator;
pub mod nexmark;
mod stored_path;
pub mod offset;
pub mod file;
mod lines;
pub mod format;
pub mod watch;
pub mod socket;

pub mod part_file;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod collect;
pub mod print;
