//! The entries of one state, typed: encoded by key group, and restored for any range of them.
//!
//! ```text
//! frozen tables --StateFormat::block, on any thread--> blocks --StateFormat::part--> bytes
//! bytes --StateFormat::open--> StateReader --groups(range)--> GroupReader --> (N, K, V)
//!              |
//!              '-- stored value type: the same | has grown | migrated | refused with both schemas
//! ```
//!
//! **Invariants**
//! - *Own group*: every key stands in the group that its hash gives (asserted in
//!   [`StateFormat::block`] and in [`GroupReader`], so that a changed hash never loses state).
//! - *As described*: what a type writes is what its schema says (asserted in
//!   [`StateFormat::block`]: for the first entry of each block, in debug builds for all).
//! - Namespaces and keys never change their type, since their hash and their order would; values
//!   may grow or be migrated.
//!
//! **Cost**: a block is sorted by its encoded keys, O(n log n), and held twice while it is made.
//!
//! **Deltas** are parts of the changed entries, with a part of the slots that they replace
//! (`snapshot/slots.rs`); which part is relative to which is known by the manifest.
//!
//! **Sources**: Flink's schema evolution and canonical savepoints (semantics.md sections 2 and 3).

mod encoders;
mod marks;
mod pieces;
mod reader;
mod slots;

pub(crate) use encoders::encode;
pub(crate) use marks::Marks;
pub use reader::{GroupReader, StateReader};
pub(crate) use slots::{Slot, Slots, each_slot, slots_name};

use std::fmt;
use std::marker::PhantomData;

use highwater_core::key::{Key, KeyGroup, KeyGroupRange, KeyGroups, stable_hash};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::format::{
    Block, Codec, CodecError, FormatError, Header, PartReader, PartWriter, Place, Postcard,
    RawEntry, Role, SchemaMismatch, Schemas,
};
use crate::schema::{Difference, Schema};
use reader::Reading;

/// What can be stored durably: any owned value that serde can write and read.
pub trait Stored: Serialize + DeserializeOwned + 'static {}
impl<T: Serialize + DeserializeOwned + 'static> Stored for T {}

/// Converts stored values of an older type to the present one.
pub struct Migration<From, To> {
    stored: Option<Schema>,
    convert: Box<dyn Fn(From) -> To + Send + Sync>,
}

impl<From, To> Migration<From, To> {
    /// Returns a migration from a type whose schema serde shows.
    pub fn new(convert: impl Fn(From) -> To + Send + Sync + 'static) -> Self {
        Migration { stored: None, convert: Box::new(convert) }
    }

    /// Returns a migration from a type that was stored with the given schema.
    pub fn described(stored: Schema, convert: impl Fn(From) -> To + Send + Sync + 'static) -> Self {
        Migration { stored: Some(stored), convert: Box::new(convert) }
    }

    /// Migrates what holds such values; a schema that was given is that of the whole.
    pub(crate) fn within<Outer, Inner>(
        self,
        lift: impl Fn(Outer, &dyn Fn(From) -> To) -> Inner + Send + Sync + 'static,
    ) -> Migration<Outer, Inner>
    where
        From: 'static,
        To: 'static,
    {
        let Migration { stored, convert } = self;
        Migration { stored, convert: Box::new(move |outer| lift(outer, &*convert)) }
    }
}

impl<From, To> fmt::Debug for Migration<From, To> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("stored", &self.stored).finish_non_exhaustive()
    }
}

/// Decodes a value, with the stored schema if it is not the one of the type.
type Decode<V, C> = dyn Fn(&C, Option<&Schema>, &[u8]) -> Result<V, CodecError> + Send + Sync;

/// A migration whose old type has been forgotten.
struct Step<V, C> {
    from: Schema,
    decode: Box<Decode<V, C>>,
}

/// How one state of one operator is stored.
///
/// - `N`, `K`, `V`: the types of namespace, key and value; `C`: the codec.
///
/// # Examples
/// ```
/// use highwater_core::key::{KeyGroups, stable_hash};
/// use highwater_state::{Migration, StateFormat};
///
/// let groups = KeyGroups::new(128, 1);
/// let counts = StateFormat::<(), String, u64>::new("count-uid", "count", groups)?;
/// let (key, count) = ("JFK".to_string(), 7);
/// let group = groups.of_hash(stable_hash(&key));
/// let block = counts.block(group, 1_000, [(&(), &key, &count)])?;
/// let bytes = counts.part(groups.range(0), vec![block])?;
///
/// for group in counts.open(&bytes)?.groups(groups.range(0)) {
///     let group = group?;
///     assert_eq!(group.floor(), 1_000);
///     let entries: Vec<_> = group.collect::<Result<_, _>>()?;
///     assert_eq!(entries, [((), "JFK".to_string(), 7)]);
/// }
///
/// // The next version of the job counts with floats: it has to say how.
/// let counts = StateFormat::<(), String, f64>::new("count-uid", "count", groups)?;
/// assert!(counts.open(&bytes).is_err());
/// let counts = counts.with_migration(Migration::new(|count: u64| count as f64))?;
/// let mut groups = counts.open(&bytes)?.groups(groups.range(0)).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(groups[0].next().unwrap()?, ((), "JFK".to_string(), 7.0));
/// # Ok::<(), highwater_state::format::FormatError>(())
/// ```
pub struct StateFormat<N, K, V, C = Postcard> {
    operator: String,
    state: String,
    groups: KeyGroups,
    schemas: Schemas,
    codec: C,
    steps: Vec<Step<V, C>>,
    types: PhantomData<fn(N, K, V)>,
}

impl<N, K, V, C> fmt::Debug for StateFormat<N, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateFormat { operator, state, schemas, .. } = self;
        write!(f, "StateFormat({operator:?}, {state:?}, {schemas:?})")
    }
}

impl<N: Stored, K: Key, V: Stored> StateFormat<N, K, V> {
    /// Describes a state by the schemas of its types, stored with the default codec.
    ///
    /// - `operator`: the uid of the operator; `state`: the name of the state, unique within it.
    /// - `groups`: the key groups of the job.
    ///
    /// # Errors
    /// When one of the types does not show its schema (see [`Schema::of`]).
    pub fn new(operator: &str, state: &str, groups: KeyGroups) -> Result<Self, FormatError> {
        let untraceable = |role| {
            let (operator, state) = (operator.to_owned(), state.to_owned());
            move |source| FormatError::Untraceable { operator, state, role, source }
        };
        let schemas = Schemas {
            namespace: Schema::of::<N>().map_err(untraceable(Role::Namespace))?,
            key: Schema::of::<K>().map_err(untraceable(Role::Key))?,
            value: Schema::of::<V>().map_err(untraceable(Role::Value))?,
        };
        Ok(StateFormat::described(operator, state, groups, schemas, Postcard))
    }
}

impl<N: Stored, K: Key, V: Stored, C: Codec> StateFormat<N, K, V, C> {
    /// Describes a state whose schemas are given, such as [opaque](Schema::opaque) ones.
    pub fn described(
        operator: &str,
        state: &str,
        groups: KeyGroups,
        schemas: Schemas,
        codec: C,
    ) -> Self {
        let (operator, state) = (operator.to_owned(), state.to_owned());
        StateFormat { operator, state, groups, schemas, codec, steps: vec![], types: PhantomData }
    }

    /// Registers how values of an older type become values of the present one.
    ///
    /// A migration from exactly the stored type goes before everything else; then the stored type
    /// may be readable as the present one, then as one that a migration begins with.
    ///
    /// # Errors
    /// When the older type does not show its schema.
    pub fn with_migration<From: DeserializeOwned + 'static>(
        mut self,
        migration: Migration<From, V>,
    ) -> Result<Self, FormatError> {
        let Migration { stored, convert } = migration;
        let from = match stored {
            Some(schema) => schema,
            None => Schema::of::<From>().map_err(|source| FormatError::Untraceable {
                operator: self.operator.clone(),
                state: self.state.clone(),
                role: Role::Value,
                source,
            })?,
        };
        let decode = move |codec: &C, grown: Option<&Schema>, bytes: &[u8]| match grown {
            None => codec.decode(bytes).map(&convert),
            Some(stored) => codec.decode_evolved(stored, bytes).map(&convert),
        };
        self.steps.push(Step { from, decode: Box::new(decode) });
        Ok(self)
    }

    /// Returns the schemas of the types.
    #[must_use]
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Encodes and sorts the entries of one key group.
    ///
    /// - `floor`: the watermark that the group has seen, `i64::MIN` for none.
    /// - `entries`: in any order.
    ///
    /// # Errors
    /// When a key belongs to another group, comes twice with the same namespace, or a value cannot
    /// be encoded as its schema says.
    pub fn block<'e>(
        &self,
        group: KeyGroup,
        floor: i64,
        entries: impl IntoIterator<Item = (&'e N, &'e K, &'e V)>,
    ) -> Result<Block, FormatError> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let place = Place::Block(group);
        for (entry, (namespace, key, value)) in (0..).zip(entries) {
            let found = self.groups.of_hash(stable_hash(key));
            if found != group {
                return Err(FormatError::KeyGroup { place, entry, found });
            }
            let schemas = &self.schemas;
            let encode = |role| move |source| FormatError::Encode { place, entry, role, source };
            let end = [
                self.encode(namespace, &schemas.namespace, entry, &mut bytes)
                    .map_err(encode(Role::Namespace))?,
                self.encode(key, &schemas.key, entry, &mut bytes).map_err(encode(Role::Key))?,
                self.encode(value, &schemas.value, entry, &mut bytes)
                    .map_err(encode(Role::Value))?,
            ];
            ends.push(end);
        }
        let mut rest = bytes.as_slice();
        let mut take = |length: usize| rest.split_off(..length).unwrap_or_default();
        let raw = ends.iter().map(|[namespace, key, value]| RawEntry {
            namespace: take(*namespace),
            key: take(*key),
            value: take(*value),
        });
        Block::new(group, floor, raw.collect())
    }

    /// Appends a value and returns how many bytes it takes.
    fn encode<T: Serialize>(
        &self,
        value: &T,
        schema: &Schema,
        entry: u64,
        out: &mut Vec<u8>,
    ) -> Result<usize, CodecError> {
        let begin = out.len();
        self.codec.encode(value, out)?;
        let written = out.get(begin..).unwrap_or_default();
        if entry == 0 || schema.is_unbounded() || cfg!(debug_assertions) {
            self.codec.check(schema, written).map_err(|source| match source {
                deep @ CodecError::Deep { .. } => deep,
                source => CodecError::Disagreement { source: Box::new(source) },
            })?;
        }
        Ok(written.len())
    }

    /// Joins blocks to a part.
    ///
    /// - `range`: the key groups that the part stands for.
    /// - `blocks`: those of the range that have something to say, in any order.
    ///
    /// # Errors
    /// When a group is not in the range or has several blocks.
    pub fn part(
        &self,
        range: KeyGroupRange,
        mut blocks: Vec<Block>,
    ) -> Result<Vec<u8>, FormatError> {
        blocks.retain(|block| !block.is_empty());
        blocks.sort_by_key(Block::group);
        let header = Header {
            max_parallelism: self.groups.count(),
            range,
            codec: C::ID,
            blocks: blocks.len() as u32,
            entries: blocks.iter().map(Block::entries).sum(),
            operator: self.operator.clone(),
            state: self.state.clone(),
            schemas: self.schemas.clone(),
        };
        let mut writer = PartWriter::new(Vec::new(), header)?;
        for block in &blocks {
            writer.block(block)?;
        }
        writer.finish()
    }

    /// Opens a part of this state and finds out how its values are read.
    ///
    /// # Errors
    /// When the bytes are not an undamaged part, belong to another state or another job, or hold
    /// values of a type that cannot be read as the present one.
    pub fn open<'a>(&'a self, bytes: &'a [u8]) -> Result<StateReader<'a, N, K, V, C>, FormatError> {
        let part = PartReader::open(bytes)?;
        let header = part.header();
        if (&header.operator, &header.state) != (&self.operator, &self.state) {
            return Err(FormatError::State {
                found: (header.operator.clone(), header.state.clone()),
                expected: (self.operator.clone(), self.state.clone()),
            });
        }
        let (found, expected) = (header.max_parallelism, self.groups.count());
        if found != expected {
            return Err(FormatError::MaxParallelism { found, expected });
        }
        if header.codec != C::ID {
            return Err(FormatError::Codec { found: header.codec, expected: C::ID });
        }
        let reading = self.reading(header)?;
        Ok(StateReader::new(self, part, reading))
    }

    /// Finds out how values of the stored types are read.
    fn reading(&self, header: &Header) -> Result<Reading<'_, V, C>, FormatError> {
        let stored = &header.schemas;
        for (role, found, expected) in [
            (Role::Namespace, &stored.namespace, &self.schemas.namespace),
            (Role::Key, &stored.key, &self.schemas.key),
        ] {
            if found.fingerprint() != expected.fingerprint() {
                return Err(self.mismatch(role, found, expected));
            }
        }
        let (stored, expected) = (&stored.value, &self.schemas.value);
        if stored.fingerprint() == expected.fingerprint() {
            return Ok(Reading::Same);
        }
        let exact = |step: &&Step<V, C>| step.from.fingerprint() == stored.fingerprint();
        if let Some(step) = self.steps.iter().find(exact) {
            return Ok(Reading::Migrated { step, grown: false });
        }
        if stored.readable_as(expected).is_ok() {
            return Ok(Reading::Grown);
        }
        match self.steps.iter().find(|step| stored.readable_as(&step.from).is_ok()) {
            Some(step) => Ok(Reading::Migrated { step, grown: true }),
            None => Err(self.mismatch(Role::Value, stored, expected)),
        }
    }

    fn mismatch(&self, role: Role, stored: &Schema, expected: &Schema) -> FormatError {
        let grown = || Difference {
            path: stored.name().to_owned(),
            what: "the types of keys and namespaces cannot grow".to_owned(),
        };
        FormatError::Schema(Box::new(SchemaMismatch {
            operator: self.operator.clone(),
            state: self.state.clone(),
            role,
            stored: stored.clone(),
            expected: expected.clone(),
            difference: stored.readable_as(expected).err().unwrap_or_else(grown),
        }))
    }
}
