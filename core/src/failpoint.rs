//! Places at which a test can let a job fail: every step of the checkpoint protocol has one before
//! it and one after it.
//!
//! In release builds without the feature `failpoints` reaching one does nothing. Else the environment
//! variable `FAILPOINTS` says what happens where, in the language of the `fail` crate:
//!
//! ```text
//! FAILPOINTS='log-before=2*off->return(kill)'      the third time: kill -9 of the own process
//! FAILPOINTS='upload-after=return(error)'          always: the step fails
//! FAILPOINTS='commit-before=1*panic'               the first time: the thread panics
//! ```

use crate::error::Result;

/// All failpoints, in the order in which a job reaches them for the first time.
pub const ALL: [&str; 24] = [
    "fence-before",
    "fence-after",
    "parts-read",
    "recover-before",
    "recover-after",
    "trigger-before",
    "trigger-after",
    "freeze-before",
    "freeze-after",
    "prepare-before",
    "prepare-after",
    "upload-before",
    "upload-after",
    "ack-before",
    "manifest-before",
    "manifest-after",
    "log-before",
    "log-after",
    "commit-before",
    "commit-after",
    "mark-before",
    "mark-after",
    "collect-before",
    "collect-after",
];

/// Reaches a failpoint.
///
/// # Errors
/// When a test wants it so.
///
/// # Panics
/// When a test wants it so.
#[cfg(any(debug_assertions, feature = "failpoints"))]
pub fn reach(point: &str) -> Result<()> {
    use std::sync::Once;

    use crate::error::Error;

    static READ: Once = Once::new();
    // The scenario is that of the whole process: it never ends.
    READ.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    debug_assert!(ALL.contains(&point), "{point} is not in the list");
    fail::fail_point!(point, |wish| {
        if wish.as_deref() == Some("kill") {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        }
        Err(Error::state(format!("failpoint {point}")))
    });
    Ok(())
}

/// Reaches a failpoint, which does nothing in such a build.
///
/// # Errors
/// Never.
#[cfg(not(any(debug_assertions, feature = "failpoints")))]
#[inline]
pub fn reach(_point: &str) -> Result<()> {
    Ok(())
}
