//! Positions and books: what a fund holds.

use crate::units::NetUid;

/// Alpha of one subnet staked with a validator.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Subnet held.
    pub netuid: NetUid,
    /// Alpha tokens held at the start.
    pub alpha: f64,
    /// The validator's take on dividends (fraction).
    pub take: f64,
    /// What the position cost (TAO), for reports only.
    pub cost_tao: Option<f64>,
}

/// A named set of positions.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    /// Name in files and tables.
    pub name: String,
    /// Positions, at most one per netuid, ascending by netuid.
    pub positions: Vec<Position>,
}
