//! What a table keeps of each namespace, in the order of the namespaces, at places that stay.
//!
//! ```text
//! namespace --last one used?--> place --> space
//!     '--search in order--------^
//! ```
//!
//! Records of one batch mostly fall into the same window, so that the namespace that was used last is
//! tried first. A place is an index that is good until its namespace is removed.
//!
//! **Cost**: O(log n) to find, add or remove one of n namespaces, and nothing for the last one used.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{Bound, Index, IndexMut};

/// What is kept of each namespace.
#[derive(Debug)]
pub(crate) struct Spaces<N, S> {
    places: BTreeMap<N, usize>,
    spaces: Vec<Option<(N, S)>>,
    /// Places that are empty.
    free: Vec<usize>,
    /// The place that was found last.
    last: Cell<usize>,
}

impl<N, S> Default for Spaces<N, S> {
    fn default() -> Self {
        let (places, spaces, free) = (BTreeMap::new(), Vec::new(), Vec::new());
        Spaces { places, spaces, free, last: Cell::new(0) }
    }
}

impl<N: Ord + Clone, S> Spaces<N, S> {
    /// Finds the place of a namespace.
    #[inline]
    pub(crate) fn find(&self, namespace: &N) -> Option<usize> {
        let last = self.last.get();
        match self.spaces.get(last) {
            Some(Some((name, _))) if name == namespace => Some(last),
            _ => self.search(namespace),
        }
    }

    #[cold]
    fn search(&self, namespace: &N) -> Option<usize> {
        let found = self.places.get(namespace).copied();
        self.last.set(found.unwrap_or(self.last.get()));
        found
    }

    /// Adds a namespace that is not there, and returns its place.
    pub(crate) fn insert(&mut self, namespace: N, space: S) -> usize {
        let place = self.free.pop().unwrap_or(self.spaces.len());
        let added = Some((namespace.clone(), space));
        match self.spaces.get_mut(place) {
            Some(free) => *free = added,
            None => self.spaces.push(added),
        }
        let before = self.places.insert(namespace, place);
        debug_assert!(before.is_none(), "a namespace has one place");
        self.last.set(place);
        place
    }

    /// Removes the namespace at a place.
    pub(crate) fn remove(&mut self, place: usize) -> Option<(N, S)> {
        let (namespace, space) = self.spaces.get_mut(place)?.take()?;
        self.places.remove(&namespace);
        self.free.push(place);
        Some((namespace, space))
    }

    /// Returns how many places there are, with those that are empty.
    pub(crate) fn places(&self) -> usize {
        self.spaces.len()
    }

    /// Returns what is at a place, if it is not empty.
    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut S> {
        self.spaces.get_mut(place)?.as_mut().map(|(_, space)| space)
    }

    /// Returns the first namespace after `after`.
    pub(crate) fn next(&self, after: Option<&N>) -> Option<&N> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.places.range((from, Bound::Unbounded)).next().map(|(name, _)| name)
    }

    /// Visits the places in the order of their namespaces.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = usize> {
        self.places.values().copied()
    }

    /// Visits what is kept, in no order that means anything.
    pub(crate) fn values(&self) -> impl Iterator<Item = &S> {
        self.spaces.iter().flatten().map(|(_, space)| space)
    }
}

impl<N, S> Index<usize> for Spaces<N, S> {
    type Output = S;
    #[inline]
    fn index(&self, place: usize) -> &S {
        match &self.spaces[place] {
            Some((_, space)) => space,
            None => unreachable!("a place is used after its namespace was removed"),
        }
    }
}

impl<N, S> IndexMut<usize> for Spaces<N, S> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut S {
        match &mut self.spaces[place] {
            Some((_, space)) => space,
            None => unreachable!("a place is used after its namespace was removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay_until_their_namespaces_are_removed_and_are_used_again() {
        let mut spaces: Spaces<i64, String> = Spaces::default();
        let [b, a, c] = [20, 10, 30].map(|n| spaces.insert(n, n.to_string()));
        assert_eq!(
            (spaces.find(&10), spaces.find(&20), spaces.find(&30)),
            (Some(a), Some(b), Some(c))
        );
        assert_eq!(spaces.remove(a), Some((10, "10".to_string())));
        assert_eq!((spaces.find(&10), spaces.remove(a)), (None, None), "also if it was used last");
        assert_eq!(spaces.find(&10), None);
        let d = spaces.insert(5, "5".to_string());
        assert_eq!((d, spaces.places()), (a, 3));
        assert_eq!((spaces.find(&10), spaces.find(&5)), (None, Some(d)));
        spaces[d].push('!');
        let order: Vec<&str> = spaces.in_order().map(|place| spaces[place].as_str()).collect();
        assert_eq!(order, ["5!", "20", "30"]);
        assert_eq!((spaces.next(None), spaces.next(Some(&5))), (Some(&5), Some(&20)));
        assert_eq!((spaces.next(Some(&29)), spaces.next(Some(&30))), (Some(&30), None));
        assert_eq!(spaces.values().count(), 3);
        assert!(spaces.get_mut(3).is_none());
    }
}
