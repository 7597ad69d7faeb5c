//! What the chain decides: deterministic rules, no randomness, no I/O, no clock, no threads.

pub mod params;
pub mod state;
