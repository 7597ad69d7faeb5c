//! Paths: one path a step forward, batches of paths, what is recorded of them.
//!
//! [`convergence`] says what the length of the step does to results.

pub mod advance;
pub mod audit;
pub mod block;
pub mod changed;
pub mod drivers;
pub mod extras;
pub mod leading;
mod lifecycle;
pub mod opening;
pub mod parallel;
pub mod path;
pub mod plan;
pub mod policy;
pub mod record;
pub mod recorder;
pub mod replicates;
pub mod revenue;
pub mod run;
mod shocks;
mod slot_search;
pub mod splitting;
pub mod step;
pub mod tilt;
pub mod unfold;

#[doc = include_str!("CONVERGENCE.md")]
pub mod convergence {}
