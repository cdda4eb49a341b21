//! What a stored type looks like: names, fields in their order, variants, options.
//!
//! ```text
//! type --Deserialize, fed with made-up values--> Schema --hash of its bytes--> fingerprint
//!                                                   |
//! stored schema --------------- differs? -----------'--> compatible, or where it is not
//! ```
//!
//! A schema is derived from serde alone ([`Schema::of`]) and stored in full in the header of every
//! part, since postcard's bytes do not describe themselves. Equal fingerprints mean that bytes are
//! read alike. A struct may grow by optional fields at its end; nothing else may change
//! ([`Schema::readable_as`]).
//!
//! **Invariants**: a schema is a tree whose only other links lead to an enclosing struct or enum,
//! for recursive types (by construction in `schema/trace.rs` and `schema/wire.rs`); nodes are
//! numbered in the order in which they are written, so that equal schemas have equal bytes.
//!
//! **Left out**: attributes that serde does not show, such as `#[serde(default)]`; aliases, which
//! hide the names of fields (such a struct is described by position and cannot grow).
//!
//! **Sources**: Flink's state schema evolution; our reading in semantics.md section 2.

mod compatible;
mod trace;
mod wire;

pub use compatible::Difference;

use std::any::type_name;
use std::fmt;

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use wire::read;

/// How deep a type may be nested.
const DEPTH_MAX: usize = 96;

/// A type that does not show what it looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{type_name} does not show its structure to serde: {why}; describe it with Schema::opaque")]
pub struct SchemaError {
    /// The type in question, as the compiler names it.
    pub type_name: &'static str,
    /// What was in the way.
    pub why: String,
}

/// The structure of a stored type.
#[derive(Clone, PartialEq, Eq)]
pub struct Schema {
    /// The root first, then its parts in the order in which they are written.
    nodes: Vec<Node>,
    fingerprint: u64,
    /// Whether bytes must be walked before they are decoded, see [`Schema::is_unbounded`].
    unbounded: bool,
    /// Whether postcard drops bytes of it, see [`Schema::is_lax`].
    lax: bool,
}

/// The place of a node in its schema.
pub(crate) type Id = usize;

/// One type within a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Leaf(Leaf),
    Option(Id),
    Seq(Id),
    Map(Id, Id),
    Tuple(Vec<Id>),
    Struct { name: String, fields: Fields },
    Enum { name: String, variants: Vec<(String, Fields)> },
    Opaque { name: String, version: u32 },
}

/// What a struct or a variant holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    Unit,
    Newtype(Id),
    Tuple(Vec<Id>),
    Named(Vec<(String, Id)>),
}

impl Fields {
    /// Returns the types of the fields.
    pub(crate) fn ids(&self) -> Vec<Id> {
        match self {
            Fields::Unit => Vec::new(),
            Fields::Newtype(id) => vec![*id],
            Fields::Tuple(ids) => ids.clone(),
            Fields::Named(fields) => fields.iter().map(|(_, id)| *id).collect(),
        }
    }
}

/// A type without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    Unit,
    Bool,
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
    Char,
    Str,
    Bytes,
}

impl Leaf {
    /// All of them, in the order of their tags in stored schemas: append only.
    pub(crate) const ALL: [(Leaf, &'static str); 17] = [
        (Leaf::Unit, "()"),
        (Leaf::Bool, "bool"),
        (Leaf::I8, "i8"),
        (Leaf::I16, "i16"),
        (Leaf::I32, "i32"),
        (Leaf::I64, "i64"),
        (Leaf::I128, "i128"),
        (Leaf::U8, "u8"),
        (Leaf::U16, "u16"),
        (Leaf::U32, "u32"),
        (Leaf::U64, "u64"),
        (Leaf::U128, "u128"),
        (Leaf::F32, "f32"),
        (Leaf::F64, "f64"),
        (Leaf::Char, "char"),
        (Leaf::Str, "string"),
        (Leaf::Bytes, "bytes"),
    ];

    fn name(self) -> &'static str {
        Leaf::ALL.get(self as usize).map_or("", |(_, name)| name)
    }
}

impl Schema {
    /// Derives the schema of a type by reading made-up values of it.
    ///
    /// # Errors
    /// When the type asks for a self-describing format (`#[serde(untagged)]`, `flatten`, a JSON
    /// value), or refuses all values that were made up for it.
    ///
    /// # Examples
    /// ```
    /// # use highwater_state::schema::Schema;
    /// #[derive(serde::Deserialize)]
    /// struct Order {
    ///     id: u64,
    ///     note: Option<String>,
    ///     lines: Vec<(String, f64)>,
    /// }
    /// let schema = Schema::of::<Order>()?;
    /// let text = "struct Order { id: u64, note: option<string>, lines: seq<(string, f64)> }";
    /// assert_eq!(schema.to_string(), text);
    /// # Ok::<(), highwater_state::schema::SchemaError>(())
    /// ```
    pub fn of<T: DeserializeOwned>() -> Result<Self, SchemaError> {
        trace::trace::<T>()
            .map(Schema::from_nodes)
            .map_err(|why| SchemaError { type_name: type_name::<T>(), why })
    }

    /// Returns the schema of a type whose structure is not known: only equal names and versions
    /// are readable as each other, everything else takes a migration.
    #[must_use]
    pub fn opaque(name: &str, version: u32) -> Self {
        Schema::from_nodes(vec![Node::Opaque { name: name.to_owned(), version }])
    }

    /// Returns the name of the type, or the kind of type if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.root() {
            Node::Struct { name, .. } | Node::Enum { name, .. } | Node::Opaque { name, .. } => name,
            Node::Leaf(leaf) => leaf.name(),
            Node::Option(_) => "option",
            Node::Seq(_) => "seq",
            Node::Map(..) => "map",
            Node::Tuple(_) => "tuple",
        }
    }

    /// Returns the hash of the schema: equal in every process and every version.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Asserts that values stored with this schema can be read as values of another one without a
    /// migration: both are equal, or structs of the other have more optional fields at their end.
    ///
    /// # Errors
    /// The first difference that is not allowed.
    pub fn readable_as(&self, reader: &Schema) -> Result<(), Difference> {
        compatible::check(self, reader)
    }

    pub(crate) fn from_nodes(nodes: Vec<Node>) -> Self {
        let lax = nodes.contains(&Node::Leaf(Leaf::Char));
        let mut schema = Schema { nodes, fingerprint: 0, unbounded: false, lax };
        schema.fingerprint = xxh3_64(&schema.to_bytes());
        schema.unbounded = schema.find_unbounded();
        schema
    }

    /// Writes the schema as it is stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        wire::write(&self.nodes)
    }

    /// Returns all nodes, in the order of their ids.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn root(&self) -> &Node {
        self.node(0)
    }

    /// Returns a node; ids come from the schema itself, which has no others.
    pub(crate) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Leaf(Leaf::Unit))
    }

    /// Returns whether a few bytes can stand for arbitrarily much work: the type is recursive, or
    /// has a sequence of elements that take no bytes. Checksums tell damage, not malice; such bytes
    /// are walked before they are decoded, to refuse what is too deep or too long.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.unbounded
    }

    /// Returns whether there is a character in it: postcard reads the first of a text for it, and
    /// drops those behind. Such bytes are walked as well before they are decoded.
    pub(crate) fn is_lax(&self) -> bool {
        self.lax
    }

    fn find_unbounded(&self) -> bool {
        self.nodes.iter().enumerate().any(|(id, node)| match node {
            Node::Seq(item) => *item <= id || self.is_empty(*item),
            Node::Map(key, value) => {
                (*key <= id || *value <= id) || (self.is_empty(*key) && self.is_empty(*value))
            }
            Node::Option(item) => *item <= id,
            Node::Tuple(ids) => ids.iter().any(|item| *item <= id),
            Node::Struct { fields, .. } => fields.ids().iter().any(|item| *item <= id),
            Node::Enum { variants, .. } => {
                variants.iter().any(|(_, fields)| fields.ids().iter().any(|item| *item <= id))
            }
            Node::Leaf(_) | Node::Opaque { .. } => false,
        })
    }

    /// Returns whether values of a type take no bytes.
    pub(crate) fn is_empty(&self, id: Id) -> bool {
        // A part that encloses its whole would be endless, so it is not empty.
        let empty = |items: &[Id]| items.iter().all(|item| *item > id && self.is_empty(*item));
        match self.node(id) {
            Node::Leaf(leaf) => *leaf == Leaf::Unit,
            Node::Tuple(items) => empty(items),
            Node::Struct { fields, .. } => empty(&fields.ids()),
            _ => false,
        }
    }

    fn show(&self, f: &mut fmt::Formatter<'_>, parent: Option<Id>, id: Id) -> fmt::Result {
        let part = |f: &mut fmt::Formatter<'_>, item: Id| self.show(f, Some(id), item);
        match self.node(id) {
            Node::Struct { name, .. } | Node::Enum { name, .. } if parent >= Some(id) => {
                write!(f, "^{name}")
            }
            Node::Leaf(leaf) => f.write_str(leaf.name()),
            Node::Opaque { name, version } => write!(f, "opaque {name} version {version}"),
            Node::Option(item) => {
                f.write_str("option<")?;
                part(f, *item)?;
                f.write_str(">")
            }
            Node::Seq(item) => {
                f.write_str("seq<")?;
                part(f, *item)?;
                f.write_str(">")
            }
            Node::Map(key, value) => {
                f.write_str("map<")?;
                part(f, *key)?;
                f.write_str(", ")?;
                part(f, *value)?;
                f.write_str(">")
            }
            Node::Tuple(items) => self.show_fields(f, id, &Fields::Tuple(items.clone())),
            Node::Struct { name, fields } => {
                write!(f, "struct {name}")?;
                self.show_fields(f, id, fields)
            }
            Node::Enum { name, variants } => {
                write!(f, "enum {name} {{")?;
                for (i, (variant, fields)) in variants.iter().enumerate() {
                    write!(f, "{}{variant}", if i == 0 { " " } else { ", " })?;
                    self.show_fields(f, id, fields)?;
                }
                f.write_str(" }")
            }
        }
    }

    fn show_fields(&self, f: &mut fmt::Formatter<'_>, id: Id, fields: &Fields) -> fmt::Result {
        let (open, close) = match fields {
            Fields::Unit => return Ok(()),
            Fields::Newtype(_) | Fields::Tuple(_) => ("(", ")"),
            Fields::Named(_) => (" { ", " }"),
        };
        f.write_str(open)?;
        for (i, item) in fields.ids().into_iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            if let Fields::Named(named) = fields {
                write!(f, "{}: ", named.get(i).map_or("", |(name, _)| name))?;
            }
            self.show(f, Some(id), item)?;
        }
        f.write_str(close)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f, None, 0)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:016x})", self.fingerprint)
    }
}
