//! Ids, quantities and constants that every layer shares.

use std::fmt;

/// Rao in one TAO, and alpha units in one alpha token.
pub const RAO_PER_TAO: f64 = 1e9;
/// Blocks of 12 s in one day.
pub const BLOCKS_PER_DAY: u64 = 7_200;
/// Largest number of subnet slots of a path; slot = netuid - 1, root has none.
pub const SLOT_CAPACITY: usize = 256;
/// Cap of TAO and of each subnet's alpha (tokens).
pub const SUPPLY_CAP: f64 = 21e6;

/// A subnet slot number of the chain, 1 to [`SLOT_CAPACITY`]; reused after a deregistration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetUid(pub u16);

impl NetUid {
    /// Index of this netuid in arrays over slots.
    pub fn slot(self) -> usize {
        usize::from(self.0) - 1
    }

    /// The netuid that stands at `slot`.
    pub fn from_slot(slot: usize) -> Self {
        debug_assert!(slot < SLOT_CAPACITY);
        Self(slot as u16 + 1)
    }
}

impl fmt::Display for NetUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SN{}", self.0)
    }
}

/// A subnet itself, not its slot: the chain reuses a netuid after a deregistration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubnetId {
    /// The slot it occupies.
    pub netuid: NetUid,
    /// Block of its registration.
    pub registered_at: u64,
}
