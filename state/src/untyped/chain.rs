//! A full part and the deltas after it, put together one key group at a time.
//!
//! ```text
//! full    entries of the group --------------------------> map, by encoded namespace and key
//! delta   slots: of which namespace, which hashes --------> removes
//!         entries of the group ---------------------------> adds
//! ```
//!
//! The same as [`crate::table`] does with types when a job is restored (`table/restore.rs`).

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::cut::EncodedState;
use highwater_core::key::{KeyGroup, KeyGroupRange, KeyGroups};

use super::UntypedGroup;
use super::hash::KeyHash;
use crate::format::{
    Codec, CodecError, FormatError, Header, PartReader, Place, Postcard, RawEntry, Role,
    SchemaMismatch,
};
use crate::schema::Difference;
use crate::snapshot::{Marks as SlotMarks, Slot, each_slot, slots_name};

/// What a delta replaces, by encoded namespace.
type Marks<'a> = BTreeMap<&'a [u8], Vec<(KeyGroupRange, SlotMarks)>>;

/// One part, and what it replaces if it is a delta.
#[derive(Debug)]
struct Link<'a> {
    part: PartReader<'a>,
    marks: Option<Marks<'a>>,
}

/// The parts of a state, oldest first, never none.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    first: Link<'a>,
    deltas: Vec<Link<'a>>,
    hash: KeyHash,
}

impl<'a> Chain<'a> {
    pub(super) fn open(stored: &'a [EncodedState]) -> Result<Self, FormatError> {
        let no_full = FormatError::Order {
            place: Place::Header,
            what: "a delta without a full part before it",
        };
        let last_full = stored.iter().rposition(|part| part.slots.is_none());
        let Some([first, deltas @ ..]) = last_full.and_then(|full| stored.get(full..)) else {
            return Err(no_full);
        };
        let first = Link::open(first)?;
        let deltas = deltas.iter().map(|delta| Link::follow(&first, delta));
        let deltas = deltas.collect::<Result<Vec<_>, _>>()?;
        let hash = KeyHash::new(&first.part.header().schemas.key);
        let mut chain = Chain { first, deltas, hash };
        if chain.needs_hash() {
            chain.check_hash()?;
        }
        Ok(chain)
    }

    pub(super) fn header(&self) -> &Header {
        self.deltas.last().unwrap_or(&self.first).part.header()
    }

    fn links(&self) -> impl Iterator<Item = &Link<'a>> {
        std::iter::once(&self.first).chain(&self.deltas)
    }

    /// Returns the groups of which a part has something to say, in order.
    pub(super) fn groups(&self) -> impl Iterator<Item = KeyGroup> + use<> {
        self.links().flat_map(|link| link.part.groups()).collect::<BTreeSet<_>>().into_iter()
    }

    /// Puts the entries of a key group together.
    pub(super) fn fold(&self, group: KeyGroup) -> Result<UntypedGroup<'a>, FormatError> {
        let only = KeyGroupRange { first: group, last: group };
        let mut folded = UntypedGroup { group, floor: i64::MIN, entries: Vec::new() };
        if self.deltas.is_empty() {
            for block in self.first.part.blocks(only) {
                let block = block?;
                folded.floor = block.floor();
                folded.entries = block.collect::<Result<_, _>>()?;
            }
            return Ok(folded);
        }
        let mut entries: BTreeMap<(&[u8], &[u8]), &[u8]> = BTreeMap::new();
        for link in self.links() {
            let mut gone = Vec::new();
            for entry in entries.keys() {
                if self.replaces(link, group, *entry)? {
                    gone.push(*entry);
                }
            }
            for entry in &gone {
                entries.remove(entry);
            }
            for block in link.part.blocks(only) {
                let block = block?;
                folded.floor = folded.floor.max(block.floor());
                for raw in block {
                    let RawEntry { namespace, key, value } = raw?;
                    entries.insert((namespace, key), value);
                }
            }
        }
        let raw = |((namespace, key), value)| RawEntry { namespace, key, value };
        folded.entries = entries.into_iter().map(raw).collect();
        Ok(folded)
    }

    /// Returns whether a delta replaces an entry of what came before it.
    fn replaces(
        &self,
        delta: &Link<'a>,
        group: KeyGroup,
        (namespace, key): (&[u8], &[u8]),
    ) -> Result<bool, FormatError> {
        for marks in delta.marks(group, namespace) {
            if marks.marks_all() {
                return Ok(true);
            }
            let answer = self.hash.answer(key, |hash| marks.has(hash));
            match answer.map_err(|source| undecodable(group, source))? {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => return Err(self.unhashed()),
            }
        }
        Ok(false)
    }

    /// Returns whether a delta names keys by their hash.
    fn needs_hash(&self) -> bool {
        let marks = self.deltas.iter().filter_map(|delta| delta.marks.as_ref());
        marks.flat_map(BTreeMap::values).flatten().any(|(_, marks)| !marks.marks_all())
    }

    /// Gives up all ways to hash a key that do not explain where the keys stand.
    fn check_hash(&mut self) -> Result<(), FormatError> {
        let header = self.first.part.header();
        let groups = KeyGroups::new(header.max_parallelism, 1);
        let mut hash = self.hash.clone();
        for link in self.links() {
            for block in link.part.blocks(link.part.header().range) {
                let block = block?;
                let group = block.group();
                for raw in block {
                    let raw = raw?;
                    let stands_here = |hash| {
                        let is_marked = || link.marks(group, raw.namespace).any(|m| m.has(hash));
                        groups.of_hash(hash) == group && (link.marks.is_none() || is_marked())
                    };
                    let kept = hash.keep(raw.key, stands_here);
                    if !kept.map_err(|source| undecodable(group, source))? {
                        return Err(self.unhashed());
                    }
                }
            }
        }
        self.hash = hash;
        Ok(())
    }

    fn unhashed(&self) -> FormatError {
        let Header { operator, state, schemas, .. } = self.header();
        FormatError::Unhashed {
            operator: operator.clone(),
            state: state.clone(),
            key: schemas.key.to_string(),
        }
    }
}

fn undecodable(group: KeyGroup, source: CodecError) -> FormatError {
    FormatError::Decode { place: Place::Block(group), entry: 0, role: Role::Key, source }
}

impl<'a> Link<'a> {
    /// Opens a full part.
    fn open(stored: &'a EncodedState) -> Result<Self, FormatError> {
        let part = PartReader::open(&stored.part)?;
        let found = part.header().codec;
        if found != Postcard::ID {
            return Err(FormatError::Codec { found, expected: Postcard::ID });
        }
        Ok(Link { part, marks: None })
    }

    /// Opens a delta on top of a part.
    fn follow(full: &Link<'a>, stored: &'a EncodedState) -> Result<Self, FormatError> {
        let Link { part, .. } = Link::open(stored)?;
        let header = full.part.header();
        belongs(part.header(), header, &header.state)?;
        for ((role, found), (_, expected)) in
            part.header().schemas.roles().into_iter().zip(header.schemas.roles())
        {
            if found.fingerprint() != expected.fingerprint() {
                let what = "the parts of one chain have one type".to_owned();
                let difference = Difference { path: expected.name().to_owned(), what };
                return Err(FormatError::Schema(Box::new(SchemaMismatch {
                    operator: header.operator.clone(),
                    state: header.state.clone(),
                    role,
                    stored: found.clone(),
                    expected: expected.clone(),
                    difference,
                })));
            }
        }
        let mut marks = Marks::new();
        if let Some(slots) = &stored.slots {
            let slots = PartReader::open(slots)?;
            belongs(slots.header(), header, &slots_name(&header.state))?;
            each_slot(&slots, |Slot { of, namespace, marks: of_namespace, .. }| {
                marks.entry(namespace).or_default().push((of, of_namespace));
                Ok(())
            })?;
        }
        Ok(Link { part, marks: Some(marks) })
    }

    /// Returns the marks of a namespace in a key group.
    fn marks(&self, group: KeyGroup, namespace: &[u8]) -> impl Iterator<Item = &SlotMarks> {
        let marks = self.marks.as_ref().and_then(|marks| marks.get(namespace));
        let marks = marks.into_iter().flatten();
        marks.filter(move |(of, _)| of.contains(group)).map(|(_, marks)| marks)
    }
}

/// Asserts that a part belongs to the same state as another one.
fn belongs(found: &Header, to: &Header, state: &str) -> Result<(), FormatError> {
    if (found.operator.as_str(), found.state.as_str()) != (to.operator.as_str(), state) {
        return Err(FormatError::State {
            found: (found.operator.clone(), found.state.clone()),
            expected: (to.operator.clone(), state.to_owned()),
        });
    }
    if found.max_parallelism != to.max_parallelism {
        let (found, expected) = (found.max_parallelism, to.max_parallelism);
        return Err(FormatError::MaxParallelism { found, expected });
    }
    Ok(())
}
