//! `highwater state export`: all entries, each once, one a line, in a fixed order.
//!
//! ```text
//! {"uid":"counts","state":"count","key_group":17,"namespace":null,"key":"JFK","value":12}
//! ```

use std::io::Write;

use highwater::Result;

use super::{Place, write_entries};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<()> {
    let snapshot = args.place.open()?;
    for operator in &snapshot.manifest().operators {
        for state in operator.state_names() {
            let parts = snapshot.parts(operator, state)?;
            write_entries((&operator.uid, state), &parts.view()?, |_| true, u64::MAX, out)?;
        }
    }
    Ok(())
}
