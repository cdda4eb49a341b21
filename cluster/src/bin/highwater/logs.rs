//! `highwater logs`: what a process of a job prints.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use highwater_cluster::rest::LogPiece;
use highwater_cluster::{Error, Result};

use crate::place::Chosen;

/// How often it is looked whether there is more.
const INTERVAL: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    chosen: Chosen,
    /// Of which of its processes
    #[arg(long, value_name = "N", default_value_t = 0)]
    process: usize,
    /// Of which attempt; the newest, if it is not said
    #[arg(long, value_name = "N")]
    attempt: Option<u64>,
    /// The standard error instead of the standard output
    #[arg(long)]
    stderr: bool,
    /// Wait for more until the job has ended
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let client = args.chosen.place.client()?;
    let mut offset = 0;
    loop {
        let job = args.chosen.find(&client)?;
        let (id, attempt) = (job.jid, args.attempt.unwrap_or(job.attempt));
        let stream = if args.stderr { "err" } else { "out" };
        let which = format!("process={}&attempt={attempt}&stream={stream}", args.process);
        loop {
            let piece: LogPiece =
                client.get(&format!("/jobs/{id}/logs?{which}&offset={offset}"))?;
            let more = piece.next > offset;
            offset = piece.next;
            if args.chosen.place.json {
                args.chosen.place.answer(&piece, "");
            } else if let Err(error) = std::io::stdout().write_all(piece.text.as_bytes()) {
                return match error.kind() {
                    ErrorKind::BrokenPipe => Ok(()),
                    _ => Err(Error::io("write", "standard output", error)),
                };
            }
            if !more {
                break;
            }
        }
        if !args.follow || job.state.is_terminal() {
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}
