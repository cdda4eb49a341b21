//! Goes over postcard's bytes by a schema, without making values.
//!
//! Used where a type is written, to find out that it writes what its schema says, and where one is
//! read of which few bytes could stand for much (see [`Schema::is_unbounded`]) or some are dropped.

use crate::format::codec::CodecError;
use crate::format::input::{Input, deeper};
use crate::schema::{Fields, Id, Leaf, Node, Schema};

/// Asserts that bytes are one value of a schema.
pub(crate) fn walk(schema: &Schema, bytes: &[u8]) -> Result<(), CodecError> {
    if matches!(schema.root(), Node::Opaque { .. }) {
        return Ok(());
    }
    let mut input = Input::new(bytes);
    pass(schema, 0, &mut input, 0)?;
    input.finish()
}

fn pass(schema: &Schema, id: Id, input: &mut Input<'_>, depth: usize) -> Result<(), CodecError> {
    let depth = deeper(depth)?;
    match schema.node(id) {
        Node::Leaf(kind) => leaf(*kind, input),
        Node::Option(item) => match input.flag()? {
            true => pass(schema, *item, input, depth),
            false => Ok(()),
        },
        Node::Seq(item) => repeat(schema, &[*item], input, depth),
        Node::Map(key, value) => repeat(schema, &[*key, *value], input, depth),
        Node::Tuple(items) => each(schema, items, input, depth),
        Node::Struct { fields: held, .. } => fields(schema, held, input, depth),
        Node::Enum { variants, .. } => {
            let index = input.variant(variants.len())? as usize;
            match variants.get(index) {
                Some((_, held)) => fields(schema, held, input, depth),
                None => Err(input.malformed("a variant that does not exist")),
            }
        }
        Node::Opaque { .. } => Err(input.malformed("a part whose structure is not known")),
    }
}

fn repeat(
    schema: &Schema,
    items: &[Id],
    input: &mut Input<'_>,
    depth: usize,
) -> Result<(), CodecError> {
    let count = input.count_of(schema, items)?;
    if items.iter().all(|item| schema.is_empty(*item)) {
        return Ok(());
    }
    (0..count).try_for_each(|_| each(schema, items, input, depth))
}

fn each(
    schema: &Schema,
    items: &[Id],
    input: &mut Input<'_>,
    depth: usize,
) -> Result<(), CodecError> {
    items.iter().try_for_each(|item| pass(schema, *item, input, depth))
}

fn fields(
    schema: &Schema,
    fields: &Fields,
    input: &mut Input<'_>,
    depth: usize,
) -> Result<(), CodecError> {
    match fields {
        Fields::Unit => Ok(()),
        Fields::Newtype(item) => pass(schema, *item, input, depth),
        Fields::Tuple(items) => each(schema, items, input, depth),
        Fields::Named(named) => {
            named.iter().try_for_each(|(_, item)| pass(schema, *item, input, depth))
        }
    }
}

fn leaf(leaf: Leaf, input: &mut Input<'_>) -> Result<(), CodecError> {
    match leaf {
        Leaf::Unit => Ok(()),
        Leaf::Bool => input.flag().map(|_| ()),
        Leaf::I8 | Leaf::U8 => input.take(1).map(|_| ()),
        Leaf::I16 | Leaf::U16 => input.varint(16).map(|_| ()),
        Leaf::I32 | Leaf::U32 => input.varint(32).map(|_| ()),
        Leaf::I64 | Leaf::U64 => input.varint(64).map(|_| ()),
        Leaf::I128 | Leaf::U128 => input.varint(128).map(|_| ()),
        Leaf::F32 => input.take(4).map(|_| ()),
        Leaf::F64 => input.take(8).map(|_| ()),
        Leaf::Char => input.char().map(|_| ()),
        Leaf::Str => input.text().map(|_| ()),
        Leaf::Bytes => input.bytes().map(|_| ()),
    }
}
