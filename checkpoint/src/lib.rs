//! highwater checkpoint.
