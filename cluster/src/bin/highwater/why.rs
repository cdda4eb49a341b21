//! `highwater why`: says what holds a running job back.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use highwater::Result;
use highwater::observe::{Blame, What};

use crate::controlled::Controlled;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The uid or the name of an operator; without it the job as a whole
    #[arg(value_name = "OPERATOR")]
    operator: Option<String>,
    #[command(flatten)]
    job: Controlled,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let blames = args.job.client()?.why(args.operator.as_deref())?;
    args.job.print(blames.as_slice(), render)
}

/// Writes the causes for people.
pub(crate) fn render(blames: &[Blame]) -> String {
    let mut text = String::new();
    // Nothing can go wrong in writing to a string.
    for blame in blames {
        let _ = match blame.what {
            What::Watermark(at) => writeln!(text, "watermark: {}", time(at)),
            What::Barrier(checkpoint) => writeln!(text, "barrier of checkpoint {checkpoint}"),
        };
        for link in &blame.chain {
            let worker = link.worker.map(|worker| format!(" on worker {worker}"));
            let (name, uid, says) = (&link.name, &link.uid, &link.says);
            let _ = writeln!(text, "  {name:?} ({uid}){} {says}", worker.unwrap_or_default());
        }
        let _ = writeln!(text, "  cause: {}", blame.sentence);
    }
    if blames.is_empty() {
        text.push_str("the job has not built its operators yet\n");
    }
    text
}

/// An event time for people; as a number if it is none of our days.
fn time(ms: i64) -> String {
    match u64::try_from(ms) {
        Err(_) if ms == i64::MIN => "none yet".to_owned(),
        Ok(_) if ms == i64::MAX => "at the end".to_owned(),
        Ok(ms) if ms < 200_000_000_000_000 => {
            let at = UNIX_EPOCH + Duration::from_millis(ms);
            format!("{} ({ms})", humantime::format_rfc3339_millis(at))
        }
        _ => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use highwater::observe::{Cause, Link};

    use super::*;

    #[test]
    fn a_blame_is_written_from_the_operator_to_the_cause() {
        let cause = Cause::Manifest { checkpoint: 7 };
        let (uid, name) = ("sink-3".to_owned(), "sink".to_owned());
        let link = Link { uid, name, worker: Some(1), says: "waits".to_owned() };
        let blame = |what| Blame {
            what,
            chain: vec![link.clone()],
            sentence: cause.to_string(),
            cause: cause.clone(),
        };
        assert_eq!(
            render(&[blame(What::Barrier(7)), blame(What::Watermark(1_000))]),
            "barrier of checkpoint 7\n  \"sink\" (sink-3) on worker 1 waits\n  cause: the manifest of \
             checkpoint 7 is being written\nwatermark: 1970-01-01T00:00:01.000Z (1000)\n  \"sink\" \
             (sink-3) on worker 1 waits\n  cause: the manifest of checkpoint 7 is being written\n"
        );
        assert_eq!(time(i64::MIN), "none yet");
        assert_eq!(time(i64::MAX), "at the end");
        assert_eq!(time(i64::MAX - 1), (i64::MAX - 1).to_string());
    }
}
