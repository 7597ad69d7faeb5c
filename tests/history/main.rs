//! History as a witness: the block engine, started from an observed day and given the observed flows, against the chain's
//! later days; see `src/protocol/HISTORY.md`.

mod errors;
mod observed;
mod prunes;
mod replay;
mod witness;
