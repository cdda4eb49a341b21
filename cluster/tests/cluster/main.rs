//! Whole clusters of processes on this machine: jobs that run, fail, are stopped, rescaled and restored.
//!
//! | family | what it would catch |
//! |---|---|
//! | `runs.rs` | answers that are not those of a program without a cluster; commands that do not do what they say |
//! | `disturbed.rs` | records lost or doubled, processes left behind, jobs that do not come back, when agents, jobs and coordinators are killed or stopped |
//! | `strangers.rs` | somebody let in without the token, a server that falls over what it is sent |

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

mod local;

mod disturbed;
mod runs;
mod strangers;
