//! What a program does when it is sent SIGTERM or SIGINT while its jobs take checkpoints.
//!
//! ```text
//! the system --SIGTERM--> this process --.
//! the system --SIGTERM--> supervisor ----+--> the first: take a last checkpoint, end with code 0
//!                                        '--> the second, or SIGINT: end at once
//! ```
//!
//! A signal to the whole process group reaches an attempt twice, directly and through its
//! supervisor. That counts once: the two ways are counted apart, and the greater count decides.
//!
//! Without a job at work the signals do what they do in any program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use highwater_core::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::control::Desk;

/// What is known of the signals of this process.
struct Attendant {
    watching: bool,
    directly: u32,
    through_supervisor: u32,
    /// The jobs at work, each with a number.
    desks: Vec<(u64, Arc<Desk>)>,
    next: u64,
}

static ATTENDANT: Mutex<Attendant> = Mutex::new(Attendant {
    watching: false,
    directly: 0,
    through_supervisor: 0,
    desks: Vec::new(),
    next: 0,
});

fn attendant() -> MutexGuard<'static, Attendant> {
    ATTENDANT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Attends to a job until it is dropped.
pub(crate) struct Attended {
    number: u64,
}

/// Lets signals stop a job with a last checkpoint.
///
/// # Errors
/// When the system does not let the process take the signals.
pub(crate) fn attend(desk: &Arc<Desk>) -> Result<Attended> {
    let mut attendant = attendant();
    if !attendant.watching {
        let mut signals = Signals::new([SIGTERM, SIGINT])
            .map_err(|cause| Error::Start { message: format!("no signals: {cause}") })?;
        std::thread::spawn(move || signals.forever().for_each(|signal| received(signal, false)));
        attendant.watching = true;
    }
    let number = attendant.next;
    attendant.next += 1;
    attendant.desks.push((number, Arc::clone(desk)));
    Ok(Attended { number })
}

impl Drop for Attended {
    fn drop(&mut self) {
        attendant().desks.retain(|(number, _)| *number != self.number);
    }
}

/// Takes a signal that the supervisor was sent.
pub(crate) fn passed_on(signal: i32) {
    received(signal, true);
}

fn received(signal: i32, through_supervisor: bool) {
    let mut attendant = attendant();
    let before = attendant.directly.max(attendant.through_supervisor);
    match through_supervisor {
        true => attendant.through_supervisor += 1,
        false => attendant.directly += 1,
    }
    let count = attendant.directly.max(attendant.through_supervisor);
    if signal != SIGTERM || count > 1 || attendant.desks.is_empty() {
        // It does not return for these signals.
        let _ = low_level::emulate_default_handler(signal);
        low_level::exit(128 + signal);
    }
    if count > before {
        for (_, desk) in &attendant.desks {
            let desk = Arc::clone(desk);
            std::thread::spawn(move || desk.leave());
        }
    }
}
