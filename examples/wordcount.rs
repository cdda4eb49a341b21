//! Counts words: the smallest useful program.
//!
//! ```text
//! text --split--> word --key_by(word)--> count --> print
//! ```
//!
//! Run: `cargo run --release --example wordcount -- README.md --mode batch`
//! prints one line per word, such as `("frontier", 3)`; without `--mode batch` every word prints its
//! count so far, as in Flink's `WordCount`. `--socket localhost:9999` reads from a socket instead
//! (`nc -lk 9999` makes one).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use highwater::options::JobOptions;
use highwater::prelude::*;

/// Counts the words of text files, or of the lines that come from a socket.
#[derive(Parser)]
struct Args {
    /// A text file or a folder of them, plain or compressed
    #[arg(required_unless_present = "socket")]
    input: Option<PathBuf>,
    /// Read lines from HOST:PORT instead
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "input")]
    socket: Option<String>,
    #[command(flatten)]
    job: JobOptions,
}

fn main() -> ExitCode {
    highwater::exit(run(Args::parse()))
}

fn run(args: Args) -> Result<()> {
    let config = args.job.config()?;
    highwater::execute(config, move |env| {
        let lines = match (&args.socket, &args.input) {
            (Some(address), _) => env.read(Socket::connect(address)),
            (None, Some(path)) => env.read(TextFiles::at(path)),
            (None, None) => return Err(Error::program("nothing to read")),
        };
        lines
            .flat_map(|line: String| words(&line))
            .key_by(|word| word.clone())
            .count()
            .sink(Print::new());
        Ok(())
    })?;
    Ok(())
}

fn words(line: &str) -> Vec<String> {
    let words = line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}
