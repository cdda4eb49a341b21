//! How the end of one process becomes the end of all.
//!
//! ```text
//! link: failed there | closed | silent --.
//! data: closed, damaged  -- a moment -----+--> the first: all sockets closed --> the job fails here
//! ```
//!
//! A process that fails says so over its links before it closes anything. The sockets for data say
//! nothing, so that they wait a moment for the link to say it better.

use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_core::peers::OnLoss;

use crate::link::Failed;

/// How long a broken data connection waits for its link to say why.
const MOMENT: Duration = Duration::from_millis(500);

#[derive(Default)]
struct State {
    /// Who has failed or is gone first.
    lost: Option<Failed>,
    act: Option<OnLoss>,
    /// Whether this process has said that it goes: nothing is a loss any more.
    leaving: bool,
    /// The sockets for data, to be closed.
    data: Vec<TcpStream>,
}

/// What has become of the other processes.
#[derive(Default)]
pub(crate) struct Fate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Fate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes these sockets when somebody is lost.
    pub(crate) fn close_with(&self, data: Vec<TcpStream>) {
        let mut state = self.state();
        if state.lost.is_some() {
            shut(&data);
        }
        state.data = data;
    }

    /// Takes note of the failure or loss of another process.
    pub(crate) fn lose(&self, failed: Failed) {
        let mut state = self.state();
        if state.lost.is_some() || state.leaving {
            return;
        }
        shut(&state.data);
        if let Some(act) = &state.act {
            act(failed.error());
        }
        state.lost = Some(failed);
        drop(state);
        self.changed.notify_all();
    }

    /// Takes note of a connection for data that broke, unless its link says why.
    pub(crate) fn lose_data(&self, process: usize, message: String) {
        let state = self.state();
        let told = self.changed.wait_timeout_while(state, MOMENT, |state| state.lost.is_none());
        drop(told);
        self.lose(Failed::lost(process, message));
    }

    pub(crate) fn on_loss(&self, act: OnLoss) {
        let mut state = self.state();
        if let Some(failed) = &state.lost {
            act(failed.error());
        }
        state.act = Some(act);
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.state().lost.is_some()
    }

    /// Waits until somebody is lost or `done` says so.
    pub(crate) fn wait(&self, done: &std::sync::atomic::AtomicBool) {
        let state = self.state();
        let over =
            |state: &State| state.lost.is_some() || done.load(std::sync::atomic::Ordering::SeqCst);
        let waited = self.changed.wait_while(state, |state| !over(state));
        drop(waited);
    }

    /// Lets whoever waits look again.
    pub(crate) fn notify(&self) {
        // With the lock nobody is between looking and waiting.
        drop(self.state());
        self.changed.notify_all();
    }

    /// Says that this process goes.
    pub(crate) fn leave(&self) {
        let mut state = self.state();
        state.leaving = true;
        state.act = None;
        shut(&std::mem::take(&mut state.data));
    }
}

fn shut(data: &[TcpStream]) {
    for socket in data {
        // One that is closed already is closed.
        let _ = socket.shutdown(Shutdown::Both);
    }
}
