//! The engine: step against block, conservation, limits, faults, laws of what chance decides, paired runs and coupled levels.

mod behaviours;
mod conservation;
mod coupled;
mod dividends;
mod drive;
mod equality;
mod forms;
mod laws;
mod leading;
mod limits;
mod opening;
mod pairs;
mod policies;
mod revenue;
mod shares;
mod shocks;
mod tilt;
