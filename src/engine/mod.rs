//! Paths: one path a step forward, batches of paths, what is recorded of them.

pub mod audit;
pub mod block;
mod lifecycle;
pub mod parallel;
pub mod path;
pub mod plan;
pub mod record;
pub mod recorder;
pub mod run;
pub mod step;
pub mod unfold;
