//! Reads expressions such as `AfterWatermark(early=AfterCount(3), late=AfterCount(1))`.

use crate::form::Failure;

/// A call with arguments, some of them named; a name without brackets is a call without arguments.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<(Option<String>, Argument)>,
}

/// An argument.
#[derive(Debug, PartialEq)]
pub(crate) enum Argument {
    Number(i64),
    Call(Call),
}

impl Call {
    /// Reads a whole text.
    pub(crate) fn read(text: &str) -> Result<Call, Failure> {
        let mut rest = text;
        match argument(&mut rest) {
            Some(Argument::Call(call)) if rest.trim().is_empty() => Ok(call),
            _ => Err(Failure::form(format!("`{text}` is no expression, near `{rest}`"))),
        }
    }

    /// Returns the arguments if they are all numbers without a name.
    pub(crate) fn numbers(&self) -> Option<Vec<i64>> {
        let number = |argument: &(Option<String>, Argument)| match argument {
            (None, Argument::Number(number)) => Some(*number),
            _ => None,
        };
        self.arguments.iter().map(number).collect()
    }

    /// Returns the arguments if they are all calls without a name.
    pub(crate) fn calls(&self) -> Option<Vec<&Call>> {
        let call = |argument| matches!(argument, &(None, Argument::Call(_)));
        self.arguments.iter().all(call).then(|| self.inner())
    }

    /// Returns the calls among the arguments, named or not.
    pub(crate) fn inner(&self) -> Vec<&Call> {
        let call = |argument| match argument {
            &(_, Argument::Call(ref call)) => Some(call),
            _ => None,
        };
        self.arguments.iter().filter_map(call).collect()
    }
}

fn argument(rest: &mut &str) -> Option<Argument> {
    let word = word(rest);
    if let Ok(number) = word.parse() {
        return Some(Argument::Number(number));
    }
    if word.is_empty() {
        return None;
    }
    let mut arguments = Vec::new();
    if take(rest, '(') && !take(rest, ')') {
        loop {
            arguments.push((name(rest), argument(rest)?));
            if take(rest, ')') {
                break;
            }
            if !take(rest, ',') {
                return None;
            }
        }
    }
    Some(Argument::Call(Call { name: word.to_owned(), arguments }))
}

/// The name of a named argument, if there is one.
fn name(rest: &mut &str) -> Option<String> {
    let mut ahead = *rest;
    let name = word(&mut ahead).to_owned();
    take(&mut ahead, '=').then(|| {
        *rest = ahead;
        name
    })
}

fn word<'a>(rest: &mut &'a str) -> &'a str {
    let text = rest.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    let (word, after) = text.split_at(end.unwrap_or(text.len()));
    *rest = after;
    word
}

fn take(rest: &mut &str, wanted: char) -> bool {
    match rest.trim_start().strip_prefix(wanted) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

#[test]
fn expressions_nest_and_name_their_arguments() {
    let call = Call::read("A(early=B(3), C, D( ) )").expect("an expression");
    assert_eq!(call.arguments.len(), 3);
    assert_eq!(call.arguments[0].0.as_deref(), Some("early"));
    assert_eq!(call.inner()[0].numbers(), Some(vec![3]));
    assert!(Call::read("A(1").is_err());
    assert!(Call::read("A(1) B").is_err());
}
