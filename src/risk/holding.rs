//! What a book holds at the start, as attribution and credit name it.

use crate::units::SubnetId;

/// A position at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    /// Subnet held.
    pub id: SubnetId,
    /// Its name.
    pub name: String,
    /// Its sector, where it has one.
    pub sector: Option<String>,
    /// Value (TAO) at spot.
    pub mark_tao: f64,
}

/// A book at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldBook {
    /// Its name.
    pub name: String,
    /// Its positions, in the order of the scenario's book.
    pub holdings: Vec<Holding>,
    /// Value (TAO) at the start of cash and of what its policy may come to hold besides; `None`: it can have neither.
    pub other_tao: Option<f64>,
}
