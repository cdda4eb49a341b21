//! The contents of the window that slides over the slices, kept up to date from one to the next.
//!
//! ```text
//!            flip
//! slices  a b c | d e          running aggregate of a key: d + e
//! undo    c: new               suffix aggregate of a key: a+b+c; when the window leaves a it is
//!         b: c                 b+c again, then c, then none: what was replaced on the way from the
//!         a: b+c               flip back, noted only for the keys that have something in the slice
//! window [a, e] = a+b+c + d+e  one merge per key and window, however many slices it has
//! ```
//!
//! When the window has left the last slice before the flip, the suffixes are made anew from all its
//! slices and the running aggregates start again. Each slice so costs a key at most two merges.
//!
//! Late records change a slice whose values have been merged already. After the flip the running
//! aggregate is made anew; before it the key gets a list of suffixes of its own, which overrides
//! what the undo list says of it until the next flip.
//!
//! All of it is a cache: it can be computed from the slices at any time, and no checkpoint holds
//! it. It is kept per key group, so that firing can stop between two groups.
//!
//! **Cost**: memory for one copy of the slices of the window, and two aggregates per key. A key
//! that has nothing in the window any more stays until the next flip.
//!
//! **Sources**: Tangwongsan et al., General Incremental Sliding-Window Aggregation, VLDB 2015.

use std::collections::BTreeMap;

use hashbrown::HashTable;
use highwater_core::key::{Key, stable_hash};

use super::function::WindowFunction;

/// The aggregates of one key.
#[derive(Debug)]
struct Aggregates<K, A> {
    key: K,
    /// The aggregate from the first slice of the window to the flip.
    suffix: Option<A>,
    /// The aggregate of the slices after the flip.
    running: Option<A>,
}

/// The keys of a group, numbered in the order in which they were found.
#[derive(Debug)]
struct Numbered<K, A> {
    numbers: HashTable<usize>,
    list: Vec<Aggregates<K, A>>,
}

impl<K: Key, A> Numbered<K, A> {
    /// Returns the number of a key, a new one if it has none.
    #[inline]
    fn number(&mut self, key: &K) -> usize {
        let (numbers, list) = (&mut self.numbers, &mut self.list);
        let hash = stable_hash(key);
        if let Some(number) = numbers.find(hash, |number| list[*number].key == *key) {
            return *number;
        }
        let number = list.len();
        list.push(Aggregates { key: key.clone(), suffix: None, running: None });
        numbers.insert_unique(hash, number, |number| stable_hash(&list[*number].key));
        number
    }

    fn clear(&mut self) {
        self.numbers.clear();
        self.list.clear();
    }
}

/// What there was before a slice went into the suffixes.
#[derive(Debug)]
struct Undo<A> {
    slice: i64,
    /// How many keys had a suffix: those numbered below.
    keys: usize,
    /// The suffixes that were replaced.
    before: Vec<(usize, A)>,
}

/// The aggregates of the keys of one group over one window.
#[derive(Debug)]
pub(super) struct TwoStacks<K, A> {
    keys: Numbered<K, A>,
    /// The slices before the flip, the earliest last.
    undo: Vec<Undo<A>>,
    /// The suffixes of keys that had late records before the flip: a slice, and the aggregate from
    /// there to the flip; the earliest last.
    late: BTreeMap<usize, Vec<(i64, A)>>,
    /// The first instant of the window.
    first: i64,
    /// Slices up to this instant are in the suffixes.
    flip: i64,
    /// Slices up to this instant are in the aggregates.
    last: i64,
}

/// Passes what keys have in a slice to a closure.
pub(super) type Visit<'a, K, A> = &'a mut dyn FnMut(i64, &mut dyn FnMut(&K, &A));

impl<K: Key, A: Clone + 'static> TwoStacks<K, A> {
    pub(super) fn new() -> Self {
        TwoStacks {
            keys: Numbered { numbers: HashTable::new(), list: Vec::new() },
            undo: Vec::new(),
            late: BTreeMap::new(),
            first: i64::MIN,
            flip: i64::MIN,
            last: i64::MIN,
        }
    }

    /// Moves to the window from `first` to `last`, both included.
    ///
    /// - `slices`: the slices of the window, in order.
    pub(super) fn advance<'s, T, W: WindowFunction<K, T, Acc = A>>(
        &mut self,
        (first, last): (i64, i64),
        slices: impl DoubleEndedIterator<Item = &'s i64>,
        visit: Visit<'_, K, A>,
        function: &W,
    ) {
        self.first = first;
        if W::GROWS || self.keys.list.is_empty() {
            // Copies of such accumulators cost more than merging all slices once.
            self.clear();
            self.flip = first.saturating_sub(1);
            self.last = self.flip;
        }
        if first.saturating_sub(1) > self.flip {
            self.rebuild(slices, visit, function);
            self.flip = last;
        } else {
            self.leave();
            let keys = &mut self.keys;
            for slice in slices.filter(|slice| **slice > self.last) {
                visit(*slice, &mut |key, acc| {
                    let number = keys.number(key);
                    append(&mut keys.list[number].running, acc.clone(), function);
                });
            }
        }
        self.last = last;
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.undo.clear();
        self.late.clear();
    }

    fn rebuild<'s, T, W: WindowFunction<K, T, Acc = A>>(
        &mut self,
        slices: impl DoubleEndedIterator<Item = &'s i64>,
        visit: Visit<'_, K, A>,
        function: &W,
    ) {
        self.clear();
        let (keys, undo) = (&mut self.keys, &mut self.undo);
        for slice in slices.rev() {
            // Neighbours are mostly alike, and growing from nothing would cost more than the rest.
            let alike = undo.last().map_or(0, |undo: &Undo<A>| undo.before.len());
            let known = keys.list.len();
            let mut before = Vec::with_capacity(alike);
            visit(*slice, &mut |key, acc| {
                let number = keys.number(key);
                let suffix = &mut keys.list[number].suffix;
                let longer = prepend(acc.clone(), suffix.as_ref(), function);
                if let Some(replaced) = suffix.replace(longer) {
                    before.push((number, replaced));
                }
            });
            undo.push(Undo { slice: *slice, keys: known, before });
        }
    }

    /// Takes the slices before the window out of the suffixes.
    fn leave(&mut self) {
        let (list, first) = (&mut self.keys.list, self.first);
        while let Some(undo) = self.undo.pop_if(|undo| undo.slice < first) {
            for (number, before) in undo.before {
                list[number].suffix = Some(before);
            }
            list[undo.keys..].iter_mut().for_each(|key| key.suffix = None);
        }
        for (number, suffixes) in &mut self.late {
            while suffixes.last().is_some_and(|(slice, _)| *slice < first) {
                suffixes.pop();
            }
            list[*number].suffix = suffixes.last().map(|(_, acc)| acc.clone());
        }
    }

    /// Passes each key that has something in the window to `emit`, with its contents.
    pub(super) fn emit<T, W: WindowFunction<K, T, Acc = A>>(
        &mut self,
        function: &mut W,
        mut emit: impl FnMut(&mut W, &K, &A),
    ) {
        for Aggregates { key, suffix, running } in &self.keys.list {
            match (suffix, running) {
                (None, None) => {}
                (None, Some(acc)) | (Some(acc), None) => emit(function, key, acc),
                (Some(suffix), Some(running)) => {
                    let mut acc = suffix.clone();
                    function.merge(&mut acc, running.clone());
                    emit(function, key, &acc);
                }
            }
        }
        if W::GROWS {
            self.clear();
        }
    }

    /// Computes the aggregates of one key anew, after a late record went into a slice.
    ///
    /// - `touched`: that slice; `slices`: all slices, in order; `get`: what the key has in a slice.
    pub(super) fn refresh<'s, T, W: WindowFunction<K, T, Acc = A>>(
        &mut self,
        (key, touched): (&K, i64),
        slices: impl DoubleEndedIterator<Item = &'s i64>,
        get: &mut dyn FnMut(&i64) -> Option<A>,
        function: &W,
    ) {
        let within = self.first <= touched && touched <= self.last;
        if !within || self.keys.list.is_empty() {
            return;
        }
        let (first, flip, last) = (self.first, self.flip, self.last);
        let number = self.keys.number(key);
        let aggregates = &mut self.keys.list[number];
        if touched > flip {
            aggregates.running = None;
            for slice in slices.filter(|slice| flip < **slice && **slice <= last) {
                let Some(acc) = get(slice) else { continue };
                append(&mut aggregates.running, acc, function);
            }
        } else {
            let mut suffixes: Vec<(i64, A)> = Vec::new();
            for slice in slices.filter(|slice| first <= **slice && **slice <= flip).rev() {
                let Some(acc) = get(slice) else { continue };
                let later = suffixes.last().map(|(_, later)| later);
                suffixes.push((*slice, prepend(acc, later, function)));
            }
            aggregates.suffix = suffixes.last().map(|(_, acc)| acc.clone());
            self.late.insert(number, suffixes);
        }
    }
}

#[inline]
fn append<K, T, W: WindowFunction<K, T>>(running: &mut Option<W::Acc>, acc: W::Acc, function: &W) {
    match running {
        Some(running) => function.merge(running, acc),
        None => *running = Some(acc),
    }
}

/// Returns the aggregate of a slice and what comes after it.
#[inline]
fn prepend<K, T, W: WindowFunction<K, T>>(
    mut acc: W::Acc,
    later: Option<&W::Acc>,
    function: &W,
) -> W::Acc {
    if let Some(later) = later {
        function.merge(&mut acc, later.clone());
    }
    acc
}
