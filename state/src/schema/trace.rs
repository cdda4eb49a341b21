//! Finds out what a type looks like by letting it read made-up values.
//!
//! ```text
//! pass 1   T::deserialize --"a struct Order {id, lines}"--> slots  Order{?, ?}
//!                         --"a u64", "a sequence"---------> slots  Order{u64, seq<?>}
//! pass 2   ... until no slot is unknown: one pass for each variant of an enum, one that finds an
//!          option empty and one that does not
//! ```
//!
//! A type may refuse a value, such as 0 for a `NonZeroU32`: whenever a pass has found nothing new,
//! the last choice that was made in it is made differently, and when all of its alternatives are
//! used up, the choice before. Recursive types end since whoever is asked for a type within itself
//! takes no element, no value, or another variant.
//!
//! **Invariants**: a slot is asked for the same thing in all passes (refused otherwise); a slot
//! refers back to an enclosing one only if both were asked for by the same visitor for the same
//! struct or enum.
//!
//! **Cost**: once per state and start: about one pass for each slot that has alternatives.

mod probe;

use std::any::type_name;
use std::fmt::Display;

use serde::de::{DeserializeOwned, Visitor};

use crate::schema::{DEPTH_MAX, Fields, Id, Leaf, Node};
use probe::Probe;

/// How many passes may find nothing new, one after the other.
const IDLE_MAX: usize = 20_000;

/// Finds the nodes of a type, the root first.
pub(super) fn trace<T: DeserializeOwned>() -> Result<Vec<Node>, String> {
    let mut trace = Trace { slots: vec![Slot::default()], ..Trace::default() };
    let mut idle = 0;
    loop {
        let before = trace.found;
        trace.choices.clear();
        trace.open.clear();
        let refused = T::deserialize(Probe::new(&mut trace, 0)).err();
        if let Some(why) = trace.hopeless.take() {
            return Err(why);
        }
        if trace.is_complete(0) {
            return Ok(Build { trace: &trace, nodes: Vec::new(), ids: Vec::new() }.root());
        }
        idle = if trace.found == before { idle + 1 } else { 0 };
        let more = if idle == 0 { Some(Vec::new()) } else { next_script(&trace.choices) };
        match more.filter(|_| idle < IDLE_MAX) {
            Some(script) => trace.script = script,
            None => {
                let last =
                    refused.map_or(String::new(), |fault| format!(", the last one: {fault}"));
                return Err(format!("it refuses all values that were made up for it{last}"));
            }
        }
    }
}

/// Returns the choices to make next time: the last one that has an alternative is changed.
fn next_script(choices: &[(usize, usize)]) -> Option<Vec<usize>> {
    let last = choices.iter().rposition(|(taken, count)| taken + 1 < *count)?;
    let mut script: Vec<_> = choices[..=last].iter().map(|(taken, _)| *taken).collect();
    script[last] += 1;
    Some(script)
}

/// What reading gives instead of a value.
#[derive(Debug)]
struct Fault(String);

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<M: Display>(message: M) -> Self {
        Fault(message.to_string())
    }
}

/// What a type asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Leaf(Leaf),
    Option,
    Seq,
    Map,
    Tuple(usize),
    Struct(&'static str, Form),
    Enum(&'static str, &'static [&'static str]),
    /// A variant that its enum does not have, though it has a name for it: an alias.
    NoVariant,
}

/// How the fields of a struct or a variant are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unit,
    Newtype,
    Tuple(usize),
    Named(&'static [&'static str]),
}

impl Head {
    /// Returns how many slots there are below.
    fn children(self) -> usize {
        match self {
            Head::Leaf(_) | Head::NoVariant | Head::Struct(_, Form::Unit) => 0,
            Head::Option | Head::Seq | Head::Struct(_, Form::Newtype) => 1,
            Head::Map => 2,
            Head::Tuple(count) | Head::Struct(_, Form::Tuple(count)) => count,
            Head::Struct(_, Form::Named(names)) | Head::Enum(_, names) => names.len(),
        }
    }
}

/// One type within the type.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// `None` until the slot has been asked for.
    head: Option<Head>,
    /// For an enum its variants, which are slots like structs.
    children: Vec<usize>,
    /// The enclosing slot that this one repeats.
    back: Option<usize>,
    /// Who asked: the name of the visitor's type, for structs and enums.
    visitor: &'static str,
}

/// What is known after some passes, and the state of the present one.
#[derive(Default)]
struct Trace {
    slots: Vec<Slot>,
    /// How many things have been found out.
    found: usize,
    /// The slots being read, and for enums the variant.
    open: Vec<(usize, Option<usize>)>,
    /// The choices to make, then the first alternative always.
    script: Vec<usize>,
    /// The choices made: which one of how many.
    choices: Vec<(usize, usize)>,
    /// Why there is no use in another pass.
    hopeless: Option<String>,
}

impl Trace {
    fn give_up<T>(&mut self, why: String) -> Result<T, Fault> {
        self.hopeless.get_or_insert_with(|| why.clone());
        Err(Fault(why))
    }

    /// Chooses one of `count` alternatives.
    fn choose(&mut self, count: usize) -> usize {
        let script = self.script.get(self.choices.len()).copied();
        let taken = script.unwrap_or(0).min(count.saturating_sub(1));
        self.choices.push((taken, count));
        taken
    }

    fn child(&self, slot: usize, index: usize) -> usize {
        self.slots[slot].children[index]
    }

    fn is_open(&self, slot: usize) -> bool {
        self.open.iter().any(|(open, _)| *open == slot)
    }

    fn is_complete(&self, slot: usize) -> bool {
        let Slot { head, children, back, .. } = &self.slots[slot];
        back.is_some() || head.is_some() && children.iter().all(|child| self.is_complete(*child))
    }

    /// Notes what a slot is asked for; returns the slot that stands for it.
    fn ask<'de, V: Visitor<'de>>(&mut self, slot: usize, head: Head) -> Result<usize, Fault> {
        let named = matches!(head, Head::Struct(..) | Head::Enum(..));
        let visitor = if named { type_name::<V>() } else { "" };
        let same = |slot: &Slot| slot.head == Some(head) && slot.visitor == visitor;
        let slot = self.slots[slot].back.unwrap_or(slot);
        if self.open.len() >= 2 * DEPTH_MAX {
            return self.give_up("it has no finite values".to_owned());
        }
        match self.slots[slot].head {
            Some(known) if known == head => return Ok(slot),
            Some(known) => {
                return self.give_up(format!("it asks for {head:?} where it asked for {known:?}"));
            }
            None => {}
        }
        self.found += 1;
        let enclosing = self.open.iter().map(|(open, _)| *open);
        if let Some(outer) = enclosing.rev().find(|open| named && same(&self.slots[*open])) {
            self.slots[slot].back = Some(outer);
            return Ok(outer);
        }
        if self.open.len() >= DEPTH_MAX {
            return self.give_up(format!("it is nested deeper than {DEPTH_MAX}"));
        }
        let first = self.slots.len();
        let children = (first..first + head.children()).collect();
        self.slots.resize(first + head.children(), Slot::default());
        self.slots[slot] = Slot { head: Some(head), children, back: None, visitor };
        Ok(slot)
    }

    /// Takes away the slots of fields that have a name but no value: aliases of the others.
    fn shorten(&mut self, slot: usize, count: usize) {
        if count < self.slots[slot].children.len() {
            self.slots[slot].children.truncate(count);
            self.found += 1;
        }
    }

    /// Chooses the variant to read next.
    fn variant(&mut self, slot: usize) -> Result<usize, Fault> {
        let exists = |child: &usize| self.slots[*child].head != Some(Head::NoVariant);
        let children = &self.slots[slot].children;
        let unknown = |child: &usize| exists(child) && !self.is_complete(*child);
        if !self.is_open(slot)
            && let Some(index) = children.iter().position(unknown)
        {
            return Ok(index);
        }
        // Within itself it takes another variant, so that it ends, if possible a known one.
        let mut free: Vec<_> = (0..children.len())
            .filter(|i| exists(&children[*i]) && !self.open.contains(&(slot, Some(*i))))
            .collect();
        free.sort_by_key(|i| unknown(&children[*i]));
        match free.len() {
            0 => Err(Fault("it has no finite values".to_owned())),
            count => Ok(free[self.choose(count)]),
        }
    }
}

/// Numbers the slots in the order in which they are written.
struct Build<'a> {
    trace: &'a Trace,
    nodes: Vec<Node>,
    /// The slots that have become nodes, for references to enclosing ones.
    ids: Vec<(usize, Id)>,
}

impl Build<'_> {
    fn root(mut self) -> Vec<Node> {
        self.node(0);
        self.nodes
    }

    fn node(&mut self, slot: usize) -> Id {
        let Slot { head, children, back, .. } = &self.trace.slots[slot];
        if let Some(outer) = back {
            return self.ids.iter().find(|(slot, _)| slot == outer).map_or(0, |(_, id)| *id);
        }
        let id = self.nodes.len();
        self.nodes.push(Node::Leaf(Leaf::Unit));
        self.ids.push((slot, id));
        let node = match head {
            Some(Head::Leaf(leaf)) => Node::Leaf(*leaf),
            Some(Head::Option) => Node::Option(self.node(children[0])),
            Some(Head::Seq) => Node::Seq(self.node(children[0])),
            Some(Head::Map) => Node::Map(self.node(children[0]), self.node(children[1])),
            Some(Head::Tuple(_)) => Node::Tuple(self.nodes_of(children)),
            Some(Head::Struct(name, form)) => {
                let (name, fields) = self.fields(name, *form, children);
                Node::Struct { name, fields }
            }
            Some(Head::Enum(name, names)) => {
                let (name, variants) = self.variants(name, names, children);
                Node::Enum { name, variants }
            }
            Some(Head::NoVariant) | None => Node::Leaf(Leaf::Unit),
        };
        self.nodes[id] = node;
        id
    }

    fn nodes_of(&mut self, slots: &[usize]) -> Vec<Id> {
        slots.iter().map(|slot| self.node(*slot)).collect()
    }

    fn fields(&mut self, name: &str, form: Form, children: &[usize]) -> (String, Fields) {
        let ids = self.nodes_of(children);
        let fields = match form {
            Form::Unit => Fields::Unit,
            Form::Newtype => Fields::Newtype(ids[0]),
            Form::Tuple(_) => Fields::Tuple(ids),
            Form::Named(names) if names.len() > ids.len() => {
                return (with_aliases(name, names), Fields::Tuple(ids));
            }
            Form::Named(names) => {
                Fields::Named(names.iter().map(|name| (*name).to_owned()).zip(ids).collect())
            }
        };
        (name.to_owned(), fields)
    }

    fn variants(
        &mut self,
        name: &str,
        names: &'static [&'static str],
        children: &[usize],
    ) -> (String, Vec<(String, Fields)>) {
        let mut variants = Vec::new();
        for (name, child) in names.iter().zip(children) {
            if let Some(Head::Struct(_, form)) = self.trace.slots[*child].head {
                let parts = &self.trace.slots[*child].children;
                variants.push(self.fields(name, form, parts));
            }
        }
        if variants.len() == names.len() {
            return (name.to_owned(), variants);
        }
        // Which name belongs to which variant cannot be seen.
        let positions = (0..).map(|i: usize| i.to_string());
        let variants = positions.zip(variants).map(|(i, (_, fields))| (i, fields)).collect();
        (with_aliases(name, names), variants)
    }
}

/// Names a type whose names of fields or variants are more than there are.
fn with_aliases(name: &str, names: &[&str]) -> String {
    format!("{name}[{}]", names.join("|"))
}
