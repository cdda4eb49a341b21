//! Which cases of `beam_triggers` have a counterpart in Flink.
//!
//! What Beam names and Flink does not have is found when a case is read (`beam_case.rs`). Four
//! differences lie in the elements; they are found by playing the reference model, never by looking
//! at what a subject does:
//!
//! | difference | Beam | Flink |
//! |---|---|---|
//! | bundles | asks a trigger once after a bundle | asks after each element |
//! | end of lateness | late if `watermark > end + lateness` | if `watermark >= end + lateness` |
//! | late sessions | asks whether the element's own is late | asks it of the merged one |
//! | sessions that meet | `[0, 10)` and `[10, 20)` are two | are one |

use highwater_sim::oracle::{Assigner, Fired, Gap, Window, WindowModel, WindowSpec};

use crate::beam_case::{BeamCase, Step};

/// Returns the reason for which a case has no counterpart, if it has none.
pub(crate) fn difference(case: &BeamCase) -> Option<String> {
    if let Some(reason) = sessions_that_meet(case) {
        return Some(reason);
    }
    let mut watch = Watch {
        spec: case.spec.clone(),
        model: WindowModel::new(case.spec.clone()),
        watermark: i64::MIN,
    };
    for step in &case.script {
        match step {
            Step::Input(bundle) => {
                if let Some(reason) = watch.bundle(bundle) {
                    return Some(reason);
                }
            }
            Step::Watermark(watermark) => {
                watch.watermark = watch.watermark.max(*watermark);
                watch.model.watermark(watermark.saturating_sub(1));
                watch.model.take_output();
            }
            Step::Expect(_) => {}
        }
    }
    None
}

fn sessions_that_meet(case: &BeamCase) -> Option<String> {
    let Assigner::Session { gap: Gap::Fixed(gap) } = case.spec.assigner else { return None };
    let inputs = case.script.iter().filter_map(|step| match step {
        Step::Input(bundle) => Some(bundle),
        _ => None,
    });
    let elements: Vec<i64> = inputs.flatten().copied().collect();
    let ahead = |ts: &&i64| elements.contains(&ts.saturating_add(gap));
    let ts = elements.iter().find(ahead)?;
    Some(format!("sessions that only meet, at {} and {}, merge in Flink alone", ts, ts + gap))
}

/// The reference model, and the watermark as Beam writes it.
struct Watch {
    spec: WindowSpec<String, i64>,
    model: WindowModel<String, i64>,
    watermark: i64,
}

impl Watch {
    fn bundle(&mut self, bundle: &[i64]) -> Option<String> {
        let mut unsettled: Vec<Window> = Vec::new();
        let mut fired: Vec<Fired<String, i64>> = Vec::new();
        for ts in bundle {
            let assigned = self.spec.assigner.assign(&String::new(), ts, *ts);
            self.model.element(String::new(), *ts, *ts);
            let late = !self.model.take_late().is_empty();
            if let Some(reason) = self.lateness(&assigned, late, *ts) {
                return Some(reason);
            }
            // A window that fired in this bundle and got one more element has to fire again.
            let again = fired.iter().map(|fired| fired.window);
            unsettled.extend(again.filter(|window| self.concerns(&assigned, window)));
            let now = self.model.take_output();
            let settled: Vec<Window> = now.iter().map(|fired| fired.window).collect();
            unsettled.retain(|window| !self.concerns(&settled, window));
            fired.extend(now);
        }
        let window = unsettled.first()?;
        Some(format!(
            "[{}, {}) fires inside a bundle, which Beam's triggers do not see",
            window.start, window.end
        ))
    }

    /// Says whether one of the windows is, or merges with, another.
    fn concerns(&self, windows: &[Window], other: &Window) -> bool {
        let merges = self.spec.assigner.merges();
        windows.iter().any(|window| window == other || (merges && window.touches(other)))
    }

    fn lateness(&self, assigned: &[Window], late: bool, ts: i64) -> Option<String> {
        let last = |window: &Window| window.end.saturating_add(self.spec.allowed_lateness);
        if assigned.iter().any(|window| last(window) == self.watermark) {
            return Some(format!(
                "{ts} comes at the last instant of lateness, late in Flink alone"
            ));
        }
        let expired = assigned.iter().all(|window| last(window) < self.watermark);
        (expired != late).then(|| format!("{ts} is late in Beam, but its merged session is not"))
    }
}
