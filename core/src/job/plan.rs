//! The plan of a job: its operators, and how they are found again.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::key::stable_hash;

/// One operator of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlannedOperator {
    /// Its stable identity: state is found again by it.
    pub uid: String,
    /// What people call it.
    pub name: String,
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
    /// # Errors
    /// [`Error::DuplicateUid`] when another operator has the uid.
    pub fn add(&mut self, uid: String, name: String) -> Result<usize> {
        let place = self.operators.len();
        if let Some(first) = self.by_uid.insert(uid.clone(), place) {
            let first = self.operators[first].name.clone();
            return Err(Error::DuplicateUid { uid, first, second: name });
        }
        self.operators.push(PlannedOperator { uid, name });
        Ok(place)
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
