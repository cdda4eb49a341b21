//! Whether stored values can be read as a type that has changed since.

use std::collections::BTreeSet;
use std::fmt;

use crate::schema::{Fields, Id, Node, Schema};

/// The first place at which two schemas do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The way from the type to the place, such as `Order.lines[].price`.
    pub path: String,
    /// What is different.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// Finds a difference that is more than optional fields added at the end of structs.
pub(super) fn check(stored: &Schema, reader: &Schema) -> Result<(), Difference> {
    if stored.fingerprint() == reader.fingerprint() {
        return Ok(());
    }
    let mut path = vec![stored.name().to_owned()];
    Check { stored, reader, seen: BTreeSet::new() }
        .types(&mut path, 0, 0)
        .map_err(|what| Difference { path: path.concat(), what })
}

struct Check<'a> {
    stored: &'a Schema,
    reader: &'a Schema,
    /// The pairs that have been begun, so that recursive types end.
    seen: BTreeSet<(Id, Id)>,
}

impl Check<'_> {
    /// Compares two types; leaves the path of the difference in `path`.
    fn types(&mut self, path: &mut Vec<String>, old: Id, new: Id) -> Result<(), String> {
        if !self.seen.insert((old, new)) {
            return Ok(());
        }
        match (self.stored.node(old), self.reader.node(new)) {
            (Node::Leaf(a), Node::Leaf(b)) if a == b => Ok(()),
            (Node::Option(a), Node::Option(b)) => self.part(path, "?".to_owned(), *a, *b),
            (Node::Seq(a), Node::Seq(b)) => self.part(path, "[]".to_owned(), *a, *b),
            (Node::Map(a, v), Node::Map(b, w)) => {
                self.part(path, "{key}".to_owned(), *a, *b)?;
                self.part(path, "{}".to_owned(), *v, *w)
            }
            (Node::Tuple(a), Node::Tuple(b)) => self.tuples(path, a, b),
            (Node::Struct { name: a, fields: f }, Node::Struct { name: b, fields: g })
                if a == b =>
            {
                self.fields(path, f, g)
            }
            (Node::Enum { name: a, variants: v }, Node::Enum { name: b, variants: w })
                if a == b =>
            {
                self.variants(path, v, w)
            }
            _ => Err(format!(
                "was {}, is {}",
                brief(self.stored.node(old)),
                brief(self.reader.node(new))
            )),
        }
    }

    fn part(
        &mut self,
        path: &mut Vec<String>,
        step: String,
        old: Id,
        new: Id,
    ) -> Result<(), String> {
        path.push(step);
        self.types(path, old, new)?;
        path.pop();
        Ok(())
    }

    fn tuples(&mut self, path: &mut Vec<String>, old: &[Id], new: &[Id]) -> Result<(), String> {
        if old.len() != new.len() {
            return Err(format!("had {} fields, has {}", old.len(), new.len()));
        }
        for (i, (old, new)) in old.iter().zip(new).enumerate() {
            self.part(path, format!(".{i}"), *old, *new)?;
        }
        Ok(())
    }

    fn fields(&mut self, path: &mut Vec<String>, old: &Fields, new: &Fields) -> Result<(), String> {
        match (old, new) {
            (Fields::Unit, Fields::Unit) => Ok(()),
            (Fields::Newtype(a), Fields::Newtype(b)) => self.part(path, ".0".to_owned(), *a, *b),
            (Fields::Tuple(a), Fields::Tuple(b)) => self.tuples(path, a, b),
            (Fields::Named(a), Fields::Named(b)) => self.named(path, a, b),
            _ => Err("its fields are written in another form".to_owned()),
        }
    }

    fn named(
        &mut self,
        path: &mut Vec<String>,
        old: &[(String, Id)],
        new: &[(String, Id)],
    ) -> Result<(), String> {
        for (i, (name, id)) in old.iter().enumerate() {
            match new.get(i) {
                Some((same, other)) if same == name => {
                    self.part(path, format!(".{name}"), *id, *other)?;
                }
                Some((other, _)) => {
                    return Err(format!("field {} was {name}, is {other}", i + 1));
                }
                None => return Err(format!("field {name} is gone")),
            }
        }
        for (name, id) in new.iter().skip(old.len()) {
            if !matches!(self.reader.node(*id), Node::Option(_)) {
                return Err(format!("the new field {name} is not optional"));
            }
        }
        Ok(())
    }

    fn variants(
        &mut self,
        path: &mut Vec<String>,
        old: &[(String, Fields)],
        new: &[(String, Fields)],
    ) -> Result<(), String> {
        for (i, (name, fields)) in old.iter().enumerate() {
            match new.get(i) {
                Some((same, others)) if same == name => {
                    path.push(format!("::{name}"));
                    self.fields(path, fields, others)?;
                    path.pop();
                }
                Some((other, _)) => {
                    return Err(format!("variant {} was {name}, is {other}", i + 1));
                }
                None => return Err(format!("variant {name} is gone")),
            }
        }
        match new.get(old.len()) {
            Some((name, _)) => Err(format!("variant {name} is new")),
            None => Ok(()),
        }
    }
}

/// Names a type without its parts.
fn brief(node: &Node) -> String {
    match node {
        Node::Leaf(leaf) => leaf.name().to_owned(),
        Node::Option(_) => "an option".to_owned(),
        Node::Seq(_) => "a sequence".to_owned(),
        Node::Map(..) => "a map".to_owned(),
        Node::Tuple(items) => format!("a tuple of {}", items.len()),
        Node::Struct { name, .. } => format!("struct {name}"),
        Node::Enum { name, .. } => format!("enum {name}"),
        Node::Opaque { name, version } => format!("opaque {name} version {version}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    mod old {
        use super::*;

        #[derive(Deserialize)]
        pub(super) struct Line {
            _price: u64,
        }
        #[derive(Deserialize)]
        pub(super) struct Order {
            _id: u64,
            _lines: Vec<Line>,
        }
    }

    mod new {
        use super::*;

        #[derive(Deserialize)]
        pub(super) struct Line {
            _price: u64,
            _note: Option<String>,
        }
        #[derive(Deserialize)]
        pub(super) struct Order {
            _id: u64,
            _lines: Vec<Line>,
        }
    }

    #[test]
    fn the_difference_names_its_place() {
        let (old, new) = (Schema::of::<old::Order>().unwrap(), Schema::of::<new::Order>().unwrap());
        assert_eq!(old.readable_as(&new), Ok(()));
        let back = new.readable_as(&old).unwrap_err();
        assert_eq!(back.to_string(), "Order._lines[]: field _note is gone");
        let (old, new) = (
            Schema::of::<BTreeMap<u64, (u8, bool)>>().unwrap(),
            Schema::of::<BTreeMap<u64, (u8, char)>>().unwrap(),
        );
        assert_eq!(old.readable_as(&new).unwrap_err().to_string(), "map{}.1: was bool, is char");
    }
}
