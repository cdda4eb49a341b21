//! The store that the tables of one operator share, and the one view of it for each cut.
//!
//! ```text
//! table a  freeze: write what has changed --.
//! table b  freeze: write what has changed --+--> Store::freeze --> view --share--> a, b, c
//! table c  freeze: write what has changed --'    once they all are there
//! ```
//!
//! An operator freezes its tables one after the other. The view is taken with the last of them, or
//! before one of them is written again, so that a cut costs one freeze however many states there are.
//!
//! **Invariants**
//! - *Frozen is frozen*: a table that waits for its view is not written before there is one, and
//!   none is written before every view is apart from the store ([`TableStore::write`]).
//! - *No view, no bytes*: whoever encodes a table of a cut that was never completed is told so
//!   ([`PendingView::wait`]).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};

use highwater_core::error::{Error, Result};
use highwater_core::store::{Family, FrozenStore, Store, Visit};

/// A table that waits for its view, and where that goes.
type Waiting = (Family, Sender<Box<dyn FrozenStore>>);

/// A store that the tables of one operator share.
pub(crate) struct SharedStore {
    store: RefCell<Box<dyn Store>>,
    /// How many tables there are.
    tables: Cell<usize>,
    /// The tables that are frozen, but for the view.
    waiting: RefCell<Vec<Waiting>>,
    /// The views in which writes to the store would still show: the second of two freezes may be
    /// done before the first.
    views: RefCell<Vec<Box<dyn FrozenStore>>>,
}

impl SharedStore {
    /// Shares a store.
    pub(crate) fn new(store: Box<dyn Store>) -> Rc<Self> {
        Rc::new(SharedStore {
            store: RefCell::new(store),
            tables: Cell::new(0),
            waiting: RefCell::default(),
            views: RefCell::default(),
        })
    }

    /// Takes a view of the store for the tables that wait for one.
    fn take_view(&self) -> Result<()> {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        let view = self.store.borrow_mut().freeze()?;
        for (_, table) in waiting {
            // Whoever has dropped the frozen table needs no view of it.
            let _ = table.send(view.share());
        }
        self.views.borrow_mut().push(view);
        Ok(())
    }
}

/// The family of one table in a store that it shares with others.
pub(crate) struct TableStore {
    shared: Rc<SharedStore>,
    pub(super) family: Family,
}

impl TableStore {
    /// Makes the family of a table.
    pub(crate) fn new(
        shared: &Rc<SharedStore>,
        name: &str,
        expiry_ms: Option<i64>,
    ) -> Result<Self> {
        let family = shared.store.borrow_mut().family(name, expiry_ms)?;
        shared.tables.set(shared.tables.get() + 1);
        Ok(TableStore { shared: Rc::clone(shared), family })
    }

    pub(super) fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        self.shared.store.borrow().get_many(self.family, keys)
    }

    pub(super) fn scan(&self, prefix: &[u8], after: Option<&[u8]>, visit: Visit<'_>) -> Result<()> {
        self.shared.store.borrow().scan(self.family, prefix, after, visit)
    }

    /// Returns whether a write would not have to wait for a view to be apart.
    pub(super) fn may_write(&self) -> bool {
        let mut views = self.shared.views.borrow_mut();
        views.retain(|view| !view.is_apart());
        views.is_empty()
    }

    fn awaits_view(&self) -> bool {
        self.shared.waiting.borrow().iter().any(|(family, _)| *family == self.family)
    }

    /// Writes and removes (`None`) values, once no view would show it.
    pub(super) fn write<'a>(
        &self,
        mut entries: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<()> {
        if self.awaits_view() {
            self.shared.take_view()?;
        }
        while !self.may_write() {
            std::thread::yield_now();
        }
        self.shared.store.borrow_mut().write(self.family, &mut entries)
    }

    /// Freezes the table as it has been written.
    pub(super) fn freeze(&self) -> Result<PendingView> {
        if self.awaits_view() {
            self.shared.take_view()?;
        }
        let (sender, view) = channel();
        self.shared.waiting.borrow_mut().push((self.family, sender));
        if self.shared.waiting.borrow().len() >= self.shared.tables.get() {
            self.shared.take_view()?;
        }
        Ok(PendingView(view))
    }
}

impl Drop for TableStore {
    fn drop(&mut self) {
        self.shared.tables.set(self.shared.tables.get() - 1);
    }
}

/// A view that comes when all tables of the operator are frozen.
pub(super) struct PendingView(Receiver<Box<dyn FrozenStore>>);

impl PendingView {
    /// Returns the view, which the operator has taken before anybody may encode the cut.
    pub(super) fn wait(self) -> Result<Box<dyn FrozenStore>> {
        self.0.try_recv().map_err(|_| {
            Error::program("a state was frozen and encoded without the others of its operator")
        })
    }
}
