//! How a schema is stored.
//!
//! ```text
//! type    := tag u8, by tag:      0..=16  a leaf, in the order of Leaf::ALL
//!   32 option   type                      36 struct   name fields
//!   33 seq      type                      37 enum     name, count u32, (name fields) each
//!   34 map      type type                 38 opaque   name, version u32
//!   35 tuple    count u32, type each      39 recursion, levels u32: 0 is the innermost enclosing
//! fields  := tag u8, by tag:                 struct or enum, 1 the one around it, ...
//!    0 unit      1 newtype type      2 tuple count u32, type each
//!    3 named     count u32, (name type) each
//! name    := length u32, UTF-8
//! ```

use crate::format::bytes::Cursor;
use crate::format::error::FormatError;
use crate::schema::{DEPTH_MAX, Fields, Id, Leaf, Node, Schema};

const OPTION: u8 = 32;
const SEQ: u8 = 33;
const MAP: u8 = 34;
const TUPLE: u8 = 35;
const STRUCT: u8 = 36;
const ENUM: u8 = 37;
const OPAQUE: u8 = 38;
const RECURSION: u8 = 39;

/// Writes nodes whose first one is the root.
pub(super) fn write(nodes: &[Node]) -> Vec<u8> {
    let mut writer = Writer { nodes, enclosing: Vec::new(), out: Vec::new() };
    writer.node(0);
    writer.out
}

struct Writer<'a> {
    nodes: &'a [Node],
    /// The structs and enums being written.
    enclosing: Vec<Id>,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn count(&mut self, count: usize) {
        self.out.extend_from_slice(&(count as u32).to_le_bytes());
    }

    fn name(&mut self, name: &str) {
        self.count(name.len());
        self.out.extend_from_slice(name.as_bytes());
    }

    fn node(&mut self, id: Id) {
        if let Some(levels) = self.enclosing.iter().rev().position(|outer| *outer == id) {
            self.out.push(RECURSION);
            return self.count(levels);
        }
        match self.nodes.get(id) {
            None => {}
            Some(Node::Leaf(leaf)) => self.out.push(*leaf as u8),
            Some(Node::Option(item)) => self.list(OPTION, &[*item]),
            Some(Node::Seq(item)) => self.list(SEQ, &[*item]),
            Some(Node::Map(key, value)) => self.list(MAP, &[*key, *value]),
            Some(Node::Tuple(items)) => {
                self.out.push(TUPLE);
                self.items(items);
            }
            Some(Node::Opaque { name, version }) => {
                self.out.push(OPAQUE);
                self.name(name);
                self.count(*version as usize);
            }
            Some(Node::Struct { name, fields }) => {
                self.out.push(STRUCT);
                self.name(name);
                self.enclosing.push(id);
                self.fields(fields);
                self.enclosing.pop();
            }
            Some(Node::Enum { name, variants }) => {
                self.out.push(ENUM);
                self.name(name);
                self.count(variants.len());
                self.enclosing.push(id);
                for (variant, fields) in variants {
                    self.name(variant);
                    self.fields(fields);
                }
                self.enclosing.pop();
            }
        }
    }

    fn list(&mut self, tag: u8, items: &[Id]) {
        self.out.push(tag);
        for item in items {
            self.node(*item);
        }
    }

    fn items(&mut self, items: &[Id]) {
        self.count(items.len());
        for item in items {
            self.node(*item);
        }
    }

    fn fields(&mut self, fields: &Fields) {
        match fields {
            Fields::Unit => self.out.push(0),
            Fields::Newtype(item) => self.list(1, &[*item]),
            Fields::Tuple(items) => {
                self.out.push(2);
                self.items(items);
            }
            Fields::Named(named) => {
                self.out.push(3);
                self.count(named.len());
                for (name, item) in named {
                    self.name(name);
                    self.node(*item);
                }
            }
        }
    }
}

/// Reads one schema.
pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Schema, FormatError> {
    let mut reader = Reader { cursor, nodes: Vec::new(), enclosing: Vec::new() };
    reader.node(0)?;
    Ok(Schema::from_nodes(reader.nodes))
}

struct Reader<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    nodes: Vec<Node>,
    enclosing: Vec<Id>,
}

impl Reader<'_, '_> {
    /// Reads how many things follow; each takes at least one byte.
    fn count(&mut self) -> Result<u32, FormatError> {
        let count = self.cursor.u32()?;
        if u64::from(count) > self.cursor.left() {
            return Err(self.cursor.malformed("a count greater than what is left"));
        }
        Ok(count)
    }

    fn node(&mut self, depth: usize) -> Result<Id, FormatError> {
        if depth > DEPTH_MAX {
            return Err(self.cursor.malformed("a schema that is nested too deep"));
        }
        let tag = self.cursor.u8()?;
        if tag == RECURSION {
            let levels = self.cursor.u32()? as usize;
            let outer = self.enclosing.iter().rev().nth(levels).copied();
            return outer.ok_or_else(|| self.cursor.malformed("a recursion to nowhere"));
        }
        // The place is taken first, so that the root and every whole come before their parts.
        let id = self.nodes.len();
        self.nodes.push(Node::Leaf(Leaf::Unit));
        let node = match tag {
            OPTION => Node::Option(self.node(depth + 1)?),
            SEQ => Node::Seq(self.node(depth + 1)?),
            MAP => Node::Map(self.node(depth + 1)?, self.node(depth + 1)?),
            TUPLE => Node::Tuple(self.items(depth)?),
            OPAQUE => {
                let name = self.cursor.text()?.to_owned();
                Node::Opaque { name, version: self.cursor.u32()? }
            }
            STRUCT => {
                let name = self.cursor.text()?.to_owned();
                self.enclosing.push(id);
                let fields = self.fields(depth)?;
                self.enclosing.pop();
                Node::Struct { name, fields }
            }
            ENUM => {
                let name = self.cursor.text()?.to_owned();
                let count = self.count()?;
                self.enclosing.push(id);
                let variants = (0..count)
                    .map(|_| Ok((self.cursor.text()?.to_owned(), self.fields(depth)?)))
                    .collect::<Result<_, FormatError>>()?;
                self.enclosing.pop();
                Node::Enum { name, variants }
            }
            leaf => match Leaf::ALL.get(usize::from(leaf)) {
                Some((leaf, _)) => Node::Leaf(*leaf),
                None => return Err(self.cursor.malformed("an unknown kind of type")),
            },
        };
        if let Some(place) = self.nodes.get_mut(id) {
            *place = node;
        }
        Ok(id)
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Id>, FormatError> {
        let count = self.count()?;
        (0..count).map(|_| self.node(depth + 1)).collect()
    }

    fn fields(&mut self, depth: usize) -> Result<Fields, FormatError> {
        match self.cursor.u8()? {
            0 => Ok(Fields::Unit),
            1 => Ok(Fields::Newtype(self.node(depth + 1)?)),
            2 => Ok(Fields::Tuple(self.items(depth)?)),
            3 => {
                let count = self.count()?;
                let field = |_| Ok((self.cursor.text()?.to_owned(), self.node(depth + 1)?));
                (0..count).map(field).collect::<Result<_, FormatError>>().map(Fields::Named)
            }
            _ => Err(self.cursor.malformed("an unknown form of fields")),
        }
    }
}
