//! The contents of the window that slides over the slices, kept up to date from one to the next.
//!
//! ```text
//!            flip
//! slices  a b c | d e          running aggregate of a key: d + e
//! chain   a+b+c |              suffix aggregates of a key: a+b+c, b+c, c, each only where the key
//!           b+c |              has something in the slice
//!             c |
//! window [a, e] = a+b+c + d+e  one merge per key and window, however many slices it has
//! ```
//!
//! When the window has left the last slice before the flip, the chains are made anew from all its
//! slices and the running aggregates start again. Each slice so costs a key at most two merges.
//!
//! All of it is a cache: it can be computed from the slices at any time, and no checkpoint holds
//! it. It is kept per key group, so that firing can stop between two groups.
//!
//! **Cost**: memory for one copy of the slices of the window, and one aggregate per key.
//!
//! **Sources**: Tangwongsan et al., General Incremental Sliding-Window Aggregation, VLDB 2015.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use highwater_core::key::{Key, StableHasher};

use super::function::WindowFunction;

/// The aggregates of one key.
#[derive(Debug)]
struct Aggregates<A> {
    /// A slice before the flip, and the aggregate from there to the flip; the earliest last.
    chain: Vec<(i64, A)>,
    /// The aggregate of the slices after the flip.
    running: Option<A>,
}

impl<A> Default for Aggregates<A> {
    fn default() -> Self {
        Aggregates { chain: Vec::new(), running: None }
    }
}

/// The aggregates of the keys of one group over one window.
#[derive(Debug)]
pub(super) struct TwoStacks<K, A> {
    /// Iterated in an order that depends on the operations alone, because the hash is fixed.
    keys: HashMap<K, Aggregates<A>, BuildHasherDefault<StableHasher>>,
    /// The first instant of the window.
    first: i64,
    /// Slices up to this instant are in the chains.
    flip: i64,
    /// Slices up to this instant are in the aggregates.
    last: i64,
}

/// Passes what keys have in a slice to a closure.
pub(super) type Visit<'a, K, A> = &'a mut dyn FnMut(i64, &mut dyn FnMut(&K, &A));

impl<K: Key, A: Clone + 'static> TwoStacks<K, A> {
    pub(super) fn new() -> Self {
        TwoStacks { keys: HashMap::default(), first: i64::MIN, flip: i64::MIN, last: i64::MIN }
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
        if W::GROWS || self.keys.is_empty() {
            // Copies of such accumulators cost more than merging all slices once.
            self.keys.clear();
            self.flip = first.saturating_sub(1);
            self.last = self.flip;
        }
        if first.saturating_sub(1) > self.flip {
            self.rebuild(slices, visit, function);
            self.flip = last;
        } else {
            for slice in slices.filter(|slice| **slice > self.last) {
                visit(*slice, &mut |key, acc| match self.keys.get_mut(key) {
                    Some(found) => append(&mut found.running, acc.clone(), function),
                    None => {
                        let running = Some(acc.clone());
                        self.keys.insert(key.clone(), Aggregates { chain: Vec::new(), running });
                    }
                });
            }
        }
        self.last = last;
    }

    fn rebuild<'s, T, W: WindowFunction<K, T, Acc = A>>(
        &mut self,
        slices: impl DoubleEndedIterator<Item = &'s i64>,
        visit: Visit<'_, K, A>,
        function: &W,
    ) {
        for aggregates in self.keys.values_mut() {
            aggregates.chain.clear();
            aggregates.running = None;
        }
        for slice in slices.rev() {
            visit(*slice, &mut |key, acc| match self.keys.get_mut(key) {
                Some(found) => prepend(&mut found.chain, *slice, acc.clone(), function),
                None => {
                    let chain = vec![(*slice, acc.clone())];
                    self.keys.insert(key.clone(), Aggregates { chain, running: None });
                }
            });
        }
    }

    /// Passes each key that has something in the window to `emit`, with its contents.
    pub(super) fn emit<T, W: WindowFunction<K, T, Acc = A>>(
        &mut self,
        function: &mut W,
        emit: &mut dyn FnMut(&mut W, &K, &A),
    ) {
        let first = self.first;
        self.keys.retain(|key, Aggregates { chain, running }| {
            while chain.last().is_some_and(|(slice, _)| *slice < first) {
                chain.pop();
            }
            match (chain.last(), running) {
                (None, None) => return false,
                (None, Some(acc)) => emit(function, key, acc),
                (Some((_, acc)), None) => emit(function, key, acc),
                (Some((_, suffix)), Some(running)) => {
                    let mut acc = suffix.clone();
                    function.merge(&mut acc, running.clone());
                    emit(function, key, &acc);
                }
            }
            true
        });
        if W::GROWS {
            self.keys.clear();
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
        if !within || self.keys.is_empty() {
            return;
        }
        let mut fresh = Aggregates::default();
        let window = slices.filter(|slice| self.first <= **slice && **slice <= self.last);
        let mut after_flip = Vec::new();
        for slice in window.rev() {
            let Some(acc) = get(slice) else { continue };
            if *slice > self.flip {
                after_flip.push(acc);
            } else {
                prepend(&mut fresh.chain, *slice, acc, function);
            }
        }
        for acc in after_flip.into_iter().rev() {
            append(&mut fresh.running, acc, function);
        }
        self.keys.insert(key.clone(), fresh);
    }
}

fn append<K, T, W: WindowFunction<K, T>>(running: &mut Option<W::Acc>, acc: W::Acc, function: &W) {
    match running {
        Some(running) => function.merge(running, acc),
        None => *running = Some(acc),
    }
}

fn prepend<K, T, W: WindowFunction<K, T>>(
    chain: &mut Vec<(i64, W::Acc)>,
    slice: i64,
    mut acc: W::Acc,
    function: &W,
) {
    if let Some((_, suffix)) = chain.last() {
        function.merge(&mut acc, suffix.clone());
    }
    chain.push((slice, acc));
}
