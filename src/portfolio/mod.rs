//! Books of positions and what they are worth.

pub mod position;
pub mod tracker;
pub mod valuation;
