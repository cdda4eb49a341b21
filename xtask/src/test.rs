//! `cargo xtask test`: what every change must pass, and what takes long to compile or needs a server.
//!
//! ```text
//! cargo xtask test                 all packages but rocksdb/, without features
//! cargo xtask test --s3 ..         the tests of a feature instead, after what they need is installed
//! ```

use clap::Args;

use crate::error::Error;
use crate::step::Step;
use crate::system;

/// All packages but the one whose library takes ten minutes to compile.
pub(crate) const ALL: &[&str] = &["--workspace", "--exclude", "highwater-rocksdb"];

/// Runs the tests of a feature, with further arguments for `cargo test`.
type Test = fn(&[String]) -> Result<(), Error>;

/// What to test.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Run the tests of state in RocksDB instead, whose library takes ten minutes to compile.
    #[arg(long)]
    rocksdb: bool,
    /// Run the tests of checkpoints on a server that speaks the protocol of S3 instead.
    #[arg(long)]
    s3: bool,
    /// Run the tests of part files in object stores instead.
    #[arg(long)]
    object_store: bool,
    /// Run the tests of Parquet files instead.
    #[arg(long)]
    parquet: bool,
    /// Run the tests of the PostgreSQL sink instead, on a server of their own.
    #[arg(long)]
    postgres: bool,
    /// Arguments for `cargo test`, such as `-p highwater-core` or `window -- --nocapture`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    rest: Vec<String>,
}

/// Runs the tests of the features that are named, or else those that every change must pass.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    let Arguments { rocksdb, s3, object_store, parquet, postgres, rest } = arguments;
    let features: [(bool, Test); 5] = [
        (*rocksdb, test_rocksdb),
        (*s3, test_s3),
        (*object_store, |rest| test_connectors("object-store", rest)),
        (*parquet, |rest| test_connectors("parquet", rest)),
        (*postgres, test_postgres),
    ];
    let mut named = features.iter().filter(|(is_named, _)| *is_named).peekable();
    if named.peek().is_none() {
        return test_all(rest);
    }
    named.try_for_each(|(_, test)| test(rest))
}

/// Runs the tests. Plain `cargo test` also builds the examples as programs, which tests run.
fn test_all(rest: &[String]) -> Result<(), Error> {
    system::provide(&[system::C_COMPILER])?;
    let names_a_package = rest.iter().any(|arg| arg.starts_with("-p") || arg == "--package");
    let scope: &[&str] = if names_a_package { &[] } else { ALL };
    Step::cargo("test").args(scope).args(rest).run()
}

/// Runs the tests of the store, and the reference answers with state in it.
fn test_rocksdb(rest: &[String]) -> Result<(), Error> {
    system::provide(&[system::C_COMPILER, system::LIBCLANG])?;
    Step::cargo("test").args(["-p", "highwater-rocksdb"]).args(rest).run()?;
    let features = ["--features", "rocksdb"];
    Step::cargo("build").args(features).args(["--examples"]).run()?;
    let tests = ["nexmark", "conformance", "backends", "state_place"];
    let tests = tests.iter().flat_map(|test| ["--test", test]);
    Step::cargo("test").args(features).args(tests).args(rest).run()
}

/// Runs the tests of checkpoints on S3, which start an example and the program `highwater`.
fn test_s3(rest: &[String]) -> Result<(), Error> {
    system::provide(&[system::C_COMPILER])?;
    let feature = ["--features", "s3-server"];
    Step::cargo("build").args(feature).args(["--example", "nexmark"]).run()?;
    Step::cargo("build").args(["-p", "highwater-cluster", "--features", "s3"]).run()?;
    Step::cargo("test").args(feature).args(["--test", "s3"]).args(rest).run()
}

/// Runs the tests of the PostgreSQL sink, which start a server of their own.
fn test_postgres(rest: &[String]) -> Result<(), Error> {
    system::provide(&[system::C_COMPILER, system::POSTGRES])?;
    connectors("postgres", rest).env("HIGHWATER_POSTGRES", "required").run()
}

fn test_connectors(feature: &str, rest: &[String]) -> Result<(), Error> {
    system::provide(&[system::C_COMPILER])?;
    connectors(feature, rest).run()
}

/// Returns the step that tests the connectors with a feature.
fn connectors(feature: &str, rest: &[String]) -> Step {
    let package = ["-p", "highwater-connectors", "--features", feature];
    Step::cargo("test").args(package).args(rest)
}
