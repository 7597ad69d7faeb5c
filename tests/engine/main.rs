//! The engine: step against block, conservation, limits, faults, laws of what chance decides, paired runs.

mod conservation;
mod dividends;
mod drive;
mod equality;
mod laws;
mod limits;
mod pairs;
mod shares;
