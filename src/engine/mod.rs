//! Paths: one path a step forward, batches of paths, what is recorded of them.

pub mod record;
