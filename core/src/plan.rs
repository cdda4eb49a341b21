//! The plan of a job: its operators, and which of them feeds which.
//!
//! ```text
//! source-0 --HASH, edge 0--> window-2 --FORWARD, edge 1--> sink-3
//!     '- map-1 is part of source-0          '--tag "late"--> sink-4
//! ```
//!
//! Every worker writes the plan down while it builds its dataflow; plans are compared before a record
//! flows. Steps that share an operator are in the plan under their own uids, as parts of the first of
//! them. A union is no operator: what is behind it is fed by all of its streams.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::key::stable_hash;

/// How records get from one operator to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Way {
    /// They stay on their worker.
    Forward,
    /// To the worker that owns their key.
    Hash,
    /// To the worker that the program names.
    Custom,
}

/// Where a stream comes from: an output of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Outlet {
    /// The place of the operator in the plan.
    pub operator: usize,
    /// The tag of the side output, `None` for the main output.
    pub tag: Option<String>,
}

/// A stream into an operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedInput {
    /// Where the records come from.
    pub from: Outlet,
    /// Which input of the operator they go to, from 0.
    pub input: usize,
    /// How they get there.
    pub way: Way,
    /// The number of the edge whose credit they use, `None` within a chain of stateless operators.
    pub edge: Option<usize>,
}

/// One operator of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedOperator {
    /// Its stable identity: state is found again by it.
    pub uid: String,
    /// What people call it.
    pub name: String,
    /// The uid of the operator that a stateless step shares, `None` for an operator of its own.
    pub part_of: Option<String>,
    /// What flows into it.
    pub inputs: Vec<PlannedInput>,
    /// Whether it makes watermarks of its own instead of following those of its inputs.
    pub makes_watermarks: bool,
}

/// The operators of a job in the order in which they were built.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    operators: Vec<PlannedOperator>,
    by_uid: BTreeMap<String, usize>,
}

impl Plan {
    /// Adds an operator and returns its place in the plan.
    ///
    /// - `part_of`: the uid of the operator that it shares, if it is a stateless step.
    ///
    /// # Errors
    /// [`Error::DuplicateUid`] when another operator has the uid.
    pub fn add(&mut self, uid: &str, name: &str, part_of: Option<&str>) -> Result<usize> {
        let place = self.operators.len();
        let (uid, name) = (uid.to_owned(), name.to_owned());
        if let Some(first) = self.by_uid.insert(uid.clone(), place) {
            let first = self.operators[first].name.clone();
            return Err(Error::DuplicateUid { uid, first, second: name });
        }
        let part_of = part_of.map(str::to_owned);
        let (inputs, makes_watermarks) = (Vec::new(), false);
        self.operators.push(PlannedOperator { uid, name, part_of, inputs, makes_watermarks });
        Ok(place)
    }

    /// Adds streams into the operator at this place.
    pub fn connect(&mut self, place: usize, inputs: Vec<PlannedInput>) {
        self.operators[place].inputs.extend(inputs);
    }

    /// Says that the operator at this place makes watermarks of its own.
    pub fn makes_watermarks(&mut self, place: usize) {
        self.operators[place].makes_watermarks = true;
    }

    /// Returns the place of the operator with this uid.
    #[must_use]
    pub fn place(&self, uid: &str) -> Option<usize> {
        self.by_uid.get(uid).copied()
    }

    /// Returns the operators in the order in which they were built.
    #[must_use]
    pub fn operators(&self) -> &[PlannedOperator] {
        &self.operators
    }

    /// Returns a hash that is equal on two workers if and only if they built the same plan.
    #[must_use]
    pub fn hash(&self) -> u64 {
        stable_hash(&self.operators)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_that_differ_in_an_edge_alone_have_different_hashes() {
        let plan = |way| {
            let mut plan = Plan::default();
            let from = Outlet { operator: plan.add("a", "source", None).unwrap(), tag: None };
            let sink = plan.add("b", "sink", None).unwrap();
            plan.connect(sink, vec![PlannedInput { from, input: 0, way, edge: Some(0) }]);
            plan
        };
        assert_eq!(plan(Way::Hash).hash(), plan(Way::Hash).hash());
        assert_ne!(plan(Way::Hash).hash(), plan(Way::Forward).hash());
    }

    #[test]
    fn a_uid_stands_for_one_operator() {
        let mut plan = Plan::default();
        assert_eq!(plan.add("a", "first", None).unwrap(), 0);
        let error = plan.add("a", "second", None).expect_err("taken");
        assert!(matches!(error, Error::DuplicateUid { first, second, .. }
            if first == "first" && second == "second"));
    }
}
