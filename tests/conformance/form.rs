//! Reads JSON objects strictly: a field that nobody asked for is a failure.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// Why a case does not hold.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    /// The case has a form that the player does not understand.
    Form(String),
    /// The subject did something else.
    Mismatch {
        /// The place of the step in the script, from zero.
        step: usize,
        /// What the case says.
        expected: String,
        /// What the subject did.
        got: String,
    },
}

impl Failure {
    pub(crate) fn form(what: impl Into<String>) -> Failure {
        Failure::Form(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Form(what) => write!(f, "{what}"),
            Failure::Mismatch { step, expected, got } => {
                write!(f, "step {step}\n    expected: {expected}\n    got:      {got}")
            }
        }
    }
}

/// Compares two multisets of JSON values.
pub(crate) fn same(step: usize, expected: &[Value], got: &[Value]) -> Result<(), Failure> {
    let sorted = |list: &[Value]| {
        let mut texts: Vec<String> = list.iter().map(Value::to_string).collect();
        texts.sort();
        texts
    };
    let (expected, got) = (sorted(expected), sorted(got));
    if expected == got {
        return Ok(());
    }
    let text = |list: Vec<String>| format!("[{}]", list.join(", "));
    Err(Failure::Mismatch { step, expected: text(expected), got: text(got) })
}

/// An object whose fields are read one by one.
pub(crate) struct Form<'a> {
    what: String,
    fields: &'a Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> Form<'a> {
    /// Begins to read; `what` names the object in messages.
    pub(crate) fn of(what: impl Into<String>, value: &'a Value) -> Result<Form<'a>, Failure> {
        let what = what.into();
        match value {
            Value::Object(fields) => Ok(Form { what, fields, read: RefCell::default() }),
            other => Err(Failure::form(format!("{what}: {other} is not an object"))),
        }
    }

    /// Begins to read a case; what says where it comes from is read already.
    pub(crate) fn of_case(value: &'a Value) -> Result<Form<'a>, Failure> {
        let form = Form::of("case", value)?;
        for field in ["name", "source", "licence", "license", "reference_model", "note"] {
            form.get(field);
        }
        Ok(form)
    }

    /// Returns a field if it is there.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(field.to_owned());
        self.fields.get(field)
    }

    /// Says whether a field is there, without reading it.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Returns a field that has to be there.
    pub(crate) fn need(&self, field: &str) -> Result<&'a Value, Failure> {
        self.get(field).ok_or_else(|| self.failure(field, "is missing"))
    }

    /// Returns a whole number.
    pub(crate) fn int(&self, field: &str) -> Result<i64, Failure> {
        int(self.need(field)?).ok_or_else(|| self.failure(field, "is not a whole number"))
    }

    /// Returns a whole number, or zero if the field is not there.
    pub(crate) fn int_or_zero(&self, field: &str) -> Result<i64, Failure> {
        if self.has(field) { self.int(field) } else { Ok(0) }
    }

    /// Returns a length of time in milliseconds: `size` reads `size_ms` or `size_s`.
    pub(crate) fn millis(&self, field: &str) -> Result<i64, Failure> {
        let seconds = format!("{field}_s");
        if self.has(&seconds) {
            return Ok(self.int(&seconds)?.saturating_mul(1_000));
        }
        self.int(&format!("{field}_ms"))
    }

    /// Returns a length of time in milliseconds, or zero if the field is not there.
    pub(crate) fn millis_or_zero(&self, field: &str) -> Result<i64, Failure> {
        let there = self.has(&format!("{field}_s")) || self.has(&format!("{field}_ms"));
        if there { self.millis(field) } else { Ok(0) }
    }

    /// Returns a positive length of time in milliseconds.
    pub(crate) fn positive_millis(&self, field: &str) -> Result<i64, Failure> {
        let millis = self.millis(field)?;
        if millis > 0 { Ok(millis) } else { Err(self.failure(field, "is not positive")) }
    }

    /// Returns a text.
    pub(crate) fn text(&self, field: &str) -> Result<&'a str, Failure> {
        self.need(field)?.as_str().ok_or_else(|| self.failure(field, "is not a text"))
    }

    /// Returns a text, or another one if the field is not there.
    pub(crate) fn text_or(&self, field: &str, other: &'a str) -> Result<&'a str, Failure> {
        if self.has(field) { self.text(field) } else { Ok(other) }
    }

    /// Returns yes or no; no if the field is not there.
    pub(crate) fn flag(&self, field: &str) -> Result<bool, Failure> {
        match self.get(field) {
            None => Ok(false),
            Some(value) => {
                value.as_bool().ok_or_else(|| self.failure(field, "is neither true nor false"))
            }
        }
    }

    /// Returns a list.
    pub(crate) fn list(&self, field: &str) -> Result<&'a Vec<Value>, Failure> {
        self.need(field)?.as_array().ok_or_else(|| self.failure(field, "is not a list"))
    }

    /// Returns a list of whole numbers.
    pub(crate) fn ints(&self, field: &str) -> Result<Vec<i64>, Failure> {
        let ints: Option<Vec<i64>> = self.list(field)?.iter().map(int).collect();
        ints.ok_or_else(|| self.failure(field, "holds something that is not a whole number"))
    }

    /// Ends the reading.
    pub(crate) fn done(self) -> Result<(), Failure> {
        let read = self.read.borrow();
        match self.fields.keys().find(|field| !read.contains(*field)) {
            None => Ok(()),
            Some(field) => Err(self.failure(field, "is not known to the player")),
        }
    }

    /// Makes a failure that names the field.
    pub(crate) fn failure(&self, field: &str, what: &str) -> Failure {
        let value = self.fields.get(field).map(|value| format!(" ({value})")).unwrap_or_default();
        Failure::form(format!("{}: field `{field}`{value} {what}", self.what))
    }
}

/// Returns a whole number.
pub(crate) fn int(value: &Value) -> Option<i64> {
    value.as_i64()
}
