//! What a running job shows of itself, looked at from another thread while it runs.
//!
//! | family | what it would catch |
//! |---|---|
//! | counters | time that belongs to no phase or to two, an edge that is blamed for another, a split that is shown where it was long ago |
//! | plan | an edge that is missing, a step that is shown as an operator of its own |

mod blamed;
mod counters;
mod plan;
mod taps;
