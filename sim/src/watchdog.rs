//! A limit on how long a test may take, for tests that would otherwise hang.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Runs `part` on a thread of its own and returns its result.
///
/// # Panics
/// When it takes longer than `limit`, naming `what` hangs; when `part` panics.
pub fn within<R: Send + 'static>(
    limit: Duration,
    what: &str,
    part: impl FnOnce() -> R + Send + 'static,
) -> R {
    let (send, receive) = channel();
    let thread = std::thread::spawn(move || {
        // Nobody listens any more if it came too late.
        let _ = send.send(part());
    });
    match receive.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("{what} hangs: no end after {limit:?}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Ok(()) => unreachable!("{what} ended without a result"),
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}
