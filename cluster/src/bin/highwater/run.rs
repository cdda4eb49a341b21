//! `highwater run`: runs a program on a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use highwater::options::duration;
use highwater::remote::{Ended, Remote, Submission, attend};
use highwater::supervisor::RestartStrategy;
use highwater_cluster::{Error, Result};
use serde_json::{Value, json};

use crate::place::Place;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Do not wait until the job has ended
    #[arg(short, long)]
    detached: bool,
    /// How many processes the job has, each in a slot
    #[arg(short = 'P', long, value_name = "N")]
    parallelism: Option<usize>,
    /// Worker threads in each process, instead of what the program's own arguments say
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// What people call the job
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where the job keeps its checkpoints, if the program's own arguments do not say it
    #[arg(long, value_name = "URL")]
    checkpoint_dir: Option<String>,
    /// The time from one checkpoint to the next
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    checkpoint_interval: Option<Duration>,
    /// What the job begins with: latest, or the address of a savepoint
    #[arg(long, value_name = "latest|URL")]
    restore: Option<String>,
    /// Leave behind stored state of operators that the job does not have
    #[arg(long)]
    allow_non_restored_state: bool,
    /// Take over the savepoint that --restore names
    #[arg(long)]
    claim: bool,
    /// Whether and when the job is started again, as --restart of any program
    #[arg(long, value_name = "STRATEGY")]
    restart: Option<RestartStrategy>,
    /// Set a variable in the environment of the processes
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,
    /// The program
    program: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

pub(crate) fn run(args: Args) -> Result<()> {
    let client = args.place.client()?;
    let submission = Submission {
        fields: fields(&args),
        program: args.program,
        name: args.name,
        arguments: args.arguments,
    };
    let job = submission.submit(&client)?;
    if args.detached {
        args.place.answer(&json!({ "jobid": job }), &job);
        return Ok(());
    }
    match attend(&client, &job)? {
        Ended::Finished => {
            if args.place.json {
                args.place.answer(&json!({ "jobid": job, "state": "FINISHED" }), "");
            }
            Ok(())
        }
        Ended::Failed(why) => Err(Remote::Answered { status: 200, why }.into()),
        Ended::Canceled => Err(Error::Canceled { id: job.parse()? }),
    }
}

/// Returns what is asked for besides the program.
fn fields(args: &Args) -> BTreeMap<String, Value> {
    let interval = args.checkpoint_interval.map(|interval| interval.as_millis() as u64);
    let environment: BTreeMap<_, _> = args.environment.iter().cloned().collect();
    let all = [
        ("parallelism", json!(args.parallelism)),
        ("workers", json!(args.workers)),
        ("checkpointDirectory", json!(args.checkpoint_dir)),
        ("checkpointInterval", json!(interval)),
        ("savepointPath", json!(args.restore)),
        ("allowNonRestoredState", json!(args.allow_non_restored_state)),
        ("claimMode", json!(args.claim.then_some("CLAIM"))),
        ("restartStrategy", json!(args.restart.map(|strategy| strategy.to_string()))),
        ("environment", json!(environment)),
    ];
    let given = all.into_iter().filter(|(_, value)| !value.is_null());
    given.map(|(field, value)| (field.to_owned(), value)).collect()
}
