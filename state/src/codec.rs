//! Ways of turning values into bytes that are **not** durable.
//!
//! What is stored or sent is written by [`Codec`](crate::format::Codec), whose contract is to be
//! readable for ever. What is here trades that for speed, is bound to one process, and deliberately
//! does not implement that trait, so that no [`StateFormat`](crate::StateFormat) can be made of it.

pub mod abomonation;
