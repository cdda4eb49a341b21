//! The plan: which operator feeds which.

use std::sync::Arc;
use std::time::Duration;

use highwater::core::plan::{Plan, Way};
use highwater::prelude::*;

use crate::taps::{EngineConfig, Tap, Valve, watched};

/// The plan in words: an operator a line, with what flows into it.
fn in_words(plan: &Plan) -> Vec<String> {
    let operators = plan.operators();
    let line = |operator: &highwater::core::plan::PlannedOperator| {
        if let Some(whole) = &operator.part_of {
            return format!("{} is part of {whole}", operator.uid);
        }
        let inputs = operator.inputs.iter().map(|input| {
            let from = &operators[input.from.operator].uid;
            let tag = input.from.tag.as_ref().map(|tag| format!("[{tag}]")).unwrap_or_default();
            let way = match (input.way, input.edge) {
                (Way::Hash, Some(_)) => "hash",
                (Way::Forward, Some(_)) => "forward",
                (Way::Forward, None) => "chained",
                other => panic!("{other:?}"),
            };
            format!("{from}{tag} {way} {}", input.input)
        });
        format!("{} <- {}", operator.uid, inputs.collect::<Vec<_>>().join(", "))
    };
    operators.iter().map(line).collect()
}

#[test]
fn the_plan_says_which_operator_feeds_which_and_how() {
    let tap = Tap::new(1);
    let source = tap.clone();
    let program = move |env: &Env<'_>| {
        let numbers = env.read(source.clone()).uid("read").map(|n| n + 1).uid("add");
        let even = numbers.filter(|n| n % 2 == 0).uid("even").map(|n| n / 2).uid("half");
        let counts = even.key_by(|n| *n).count().uid("count");
        let windows = numbers.union(&[&even]).uid("all").key_by(|n| *n);
        let windows = windows.window(Tumbling::of(Duration::from_secs(1)));
        let windows = windows.reduce(|a, _| a).uid("window");
        let _ = windows.late().sink(Valve::default()).uid("late-sink");
        let _ = windows.sink(Valve::default()).uid("sink");
        let _ = counts.discard().uid("none");
        Ok(())
    };
    watched(EngineConfig::workers(2), program, |job| {
        let plan = job.plan().expect("the job is built");
        let mut lines = in_words(plan);
        lines.sort();
        assert_eq!(
            lines,
            [
                "add is part of read",
                "all <- ",
                "count <- even hash 0",
                "even <- read chained 0",
                "half is part of even",
                "late-sink <- window[late-data] forward 0",
                "none <- count forward 0",
                "read <- ",
                "sink <- window forward 0",
                "window <- read hash 0, even hash 0",
            ]
        );
        let stateless: Vec<_> = Arc::clone(job).metrics().all();
        assert!(stateless.iter().any(|o| o.uid == "even" && o.name == "filter -> map"));
        tap.end(0);
    });
}
