//! highwater sim.
