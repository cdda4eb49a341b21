//! Stored state without the types of the program: for tools that look into savepoints.
//!
//! ```text
//! chain of parts --UntypedState::open--> header: operator, state, schemas, kind
//!       |                |
//!       |                '--groups()--> per key group its entries, encoded --json--> JSON values
//!       '-- deltas are folded in: slots name keys by their hash, which `untyped/hash.rs` derives
//! ```
//!
//! The schemas in the header of a part say how its bytes are read ([`Schema::to_json`]) and what
//! kind of state it is ([`StoredKind`]). What a type's attributes have hidden from serde is hidden
//! here as well.
//!
//! **Invariants**
//! - *As restored*: the entries of a chain are those that a job would restore from it
//!   (`state/tests/untyped_chains.rs` compares both).
//! - *Never a guess*: a delta is folded in only if every key of the chain has the hash that puts it
//!   where it stands (asserted in `untyped/hash.rs`); else it is refused with a sentence.
//!
//! **Cost**: the entries of one key group in memory at a time, besides the parts. A chain with
//! deltas is gone through twice: once to check the hash of its keys.

mod chain;
mod hash;
mod json;
mod kind;

use highwater_core::cut::EncodedState;
use highwater_core::key::KeyGroup;
use serde_json::Value;

use crate::format::{FormatError, Header, Place, RawEntry, Role, Schemas};
use chain::Chain;

pub use kind::StoredKind;

/// A state of one operator on one former worker.
///
/// # Examples
/// ```
/// use highwater_core::cut::{Cut, CutKind};
/// use highwater_core::key::KeyGroups;
/// use highwater_core::time::Epoch;
/// use highwater_state::untyped::UntypedState;
/// use highwater_state::{Backend, Hashed};
///
/// let mut backend = Backend::heap("uid", KeyGroups::new(128, 1), 0).durable(true);
/// let mut table = backend.table::<String, (), (u64, Option<bool>)>("counts")?;
/// table.insert(Hashed::new(&"JFK".to_string()), &(), (7, None));
/// let mut cut = Cut::new(Epoch(1), CutKind::default(), i64::MIN, 0);
/// table.freeze(&mut cut);
/// let stored = cut.encode()?;
///
/// let state = UntypedState::open(&stored)?;
/// assert_eq!(state.header().schemas.value.to_string(), "(u64, option<bool>)");
/// for group in state.groups() {
///     for entry in group?.json(&state.header().schemas) {
///         let entry = entry?;
///         assert_eq!(entry.key, "JFK");
///         assert_eq!(entry.value, serde_json::json!([7, null]));
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UntypedState<'a> {
    chain: Chain<'a>,
}

impl<'a> UntypedState<'a> {
    /// Opens a full part and the deltas after it, oldest first.
    ///
    /// # Errors
    /// When one of them is damaged, they do not belong together, or there are deltas and the hash of
    /// the keys cannot be derived from their schema.
    pub fn open(chain: &'a [EncodedState]) -> Result<Self, FormatError> {
        Ok(UntypedState { chain: Chain::open(chain)? })
    }

    /// Returns the header of the newest part. Its counts are those of that part alone.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.chain.header()
    }

    /// Returns what kind of state it is, as far as its schemas show.
    #[must_use]
    pub fn kind(&self) -> StoredKind {
        StoredKind::of(self.header())
    }

    /// Reads the key groups that have entries or a floor, in order.
    pub fn groups(&self) -> impl Iterator<Item = Result<UntypedGroup<'a>, FormatError>> + '_ {
        self.chain.groups().map(|group| self.chain.fold(group))
    }
}

/// The entries of one key group.
#[derive(Clone, Debug)]
pub struct UntypedGroup<'a> {
    /// The key group.
    pub group: KeyGroup,
    /// The watermark that the group had seen, `i64::MIN` for none.
    pub floor: i64,
    /// The entries, by their encoded namespaces, then keys.
    pub entries: Vec<RawEntry<'a>>,
}

impl UntypedGroup<'_> {
    /// Decodes the entries.
    ///
    /// - `schemas`: those of the header.
    pub fn json<'s>(
        &'s self,
        schemas: &'s Schemas,
    ) -> impl Iterator<Item = Result<JsonEntry, FormatError>> + 's {
        let place = Place::Block(self.group);
        (0..).zip(&self.entries).map(move |(at, raw)| JsonEntry::decode(schemas, raw, place, at))
    }
}

/// An entry as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonEntry {
    /// The namespace; `null` for most states.
    pub namespace: Value,
    /// The key.
    pub key: Value,
    /// The value.
    pub value: Value,
}

impl JsonEntry {
    /// Decodes an entry.
    ///
    /// - `place`, `entry`: where it stands, for the error.
    ///
    /// # Errors
    /// When its bytes are not what the schemas say.
    pub fn decode(
        schemas: &Schemas,
        raw: &RawEntry<'_>,
        place: Place,
        entry: u64,
    ) -> Result<Self, FormatError> {
        let failed = |role| move |source| FormatError::Decode { place, entry, role, source };
        Ok(JsonEntry {
            namespace: schemas.namespace.to_json(raw.namespace).map_err(failed(Role::Namespace))?,
            key: schemas.key.to_json(raw.key).map_err(failed(Role::Key))?,
            value: schemas.value.to_json(raw.value).map_err(failed(Role::Value))?,
        })
    }
}
