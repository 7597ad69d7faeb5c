//! Organic flows of subnets over about a day each: what the flow law is fitted to.

use crate::units::SubnetId;

/// One subnet between two observations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowRow {
    /// Index into [`FlowPanel::subnets`].
    pub subnet: u32,
    /// Day of the later observation, counted from the panel's first.
    pub day: u32,
    /// Length (days).
    pub days: f64,
    /// TAO in the pool at the earlier observation.
    pub reserve_tao: f64,
    /// Age since registration at the earlier observation (days).
    pub age_days: f64,
    /// Organic flow: log move of the TAO reserve by trades, less `known`.
    pub flow: f64,
    /// Log move by trades that are known: chain buys, sales of emission, root claims.
    pub known: f64,
}

/// Flows of many subnets, by subnet, then day.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowPanel {
    /// Who.
    pub subnets: Vec<SubnetId>,
    /// Rows; gaps in days may be anywhere.
    pub rows: Vec<FlowRow>,
}

impl FlowPanel {
    /// Rows of each subnet, in order.
    pub fn by_subnet(&self) -> impl Iterator<Item = &[FlowRow]> {
        self.rows.chunk_by(|a, b| a.subnet == b.subnet)
    }
}
