//! The mean of organic flows under each way of sharing the emission, and the daily common factor.
//!
//! Who earned the emission changed what stakers did: the drift is that of a kind of share rule, and what was seen under one
//! says little of another. It is a plain mean over rows, as the model's drift is the mean of the flow with its jumps; its
//! error counts that rows of a subnet and rows of a day belong together (Cameron, Gelbach and Miller, J. Business &
//! Economic Statistics 29 (2011), 238, eq. 2.11).

use std::collections::BTreeMap;

use crate::calibration::organic::OrganicFlows;
use crate::protocol::share_rules::ShareRule;
use crate::protocol::upgrades;

/// Days that a drift needs.
pub const DAYS_MIN: usize = 20;
/// Subnets that a day's factor needs.
const FACTOR_SUBNETS_MIN: usize = 20;
/// Largest standardised flow that counts in a factor.
const FACTOR_CLIP: f64 = 6.0;
/// Rows that a subnet needs to be standardised.
const SCALE_ROWS_MIN: usize = 30;

/// What a subnet earns by, as stakers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EmissionKind {
    /// By moving price: until 2025-11.
    Prices,
    /// By net flow (Taoflow): from 2025-11 to 2026-06.
    Flows,
    /// By moving price, with a penalty or behind a gate: since 2026-06.
    GatedPrices,
}

impl EmissionKind {
    /// The kind in force at a block.
    pub fn at_block(block: u64) -> Self {
        match upgrades::params_at_block(block).share_rule {
            ShareRule::P0 => Self::Prices,
            ShareRule::F0 | ShareRule::F1 | ShareRule::F2 | ShareRule::N => Self::Flows,
            ShareRule::E1 | ShareRule::E2 | ShareRule::E2H | ShareRule::E2Q => Self::GatedPrices,
        }
    }

    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prices => "emission by price",
            Self::Flows => "emission by net flow",
            Self::GatedPrices => "emission by gated price",
        }
    }
}

/// Mean of organic flows under one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Which.
    pub kind: EmissionKind,
    /// Mean (log reserve move per day).
    pub per_day: f64,
    /// Standard error.
    pub standard_error: f64,
    /// Rows.
    pub rows: usize,
    /// Days.
    pub days: usize,
}

/// Drifts of the kinds that the flows span for [`DAYS_MIN`] days or more, in order of time.
pub fn drifts(flows: &OrganicFlows) -> Vec<Drift> {
    let mut by_kind: BTreeMap<EmissionKind, Vec<usize>> = BTreeMap::new();
    for (row, block) in flows.blocks.iter().enumerate() {
        by_kind.entry(EmissionKind::at_block(*block)).or_default().push(row);
    }
    by_kind.into_iter().filter_map(|(kind, rows)| drift(flows, kind, &rows)).collect()
}

fn drift(flows: &OrganicFlows, kind: EmissionKind, rows: &[usize]) -> Option<Drift> {
    let seen = |row: &usize| &flows.panel.rows[*row];
    let days: f64 = rows.iter().map(|row| seen(row).days).sum();
    let per_day = rows.iter().map(|row| seen(row).flow).sum::<f64>() / days;
    let mut by_subnet: BTreeMap<u32, f64> = BTreeMap::new();
    let mut by_day: BTreeMap<u32, f64> = BTreeMap::new();
    let mut alone = 0.0;
    for row in rows.iter().map(seen) {
        let excess = row.flow - per_day * row.days;
        *by_subnet.entry(row.subnet).or_default() += excess;
        *by_day.entry(row.day).or_default() += excess;
        alone += excess * excess;
    }
    let squares = |sums: &BTreeMap<u32, f64>| sums.values().map(|sum| sum * sum).sum::<f64>();
    // The two-way form may be negative by chance; then the larger of its parts.
    let both = squares(&by_subnet) + squares(&by_day) - alone;
    let variance = if both > 0.0 { both } else { squares(&by_subnet).max(squares(&by_day)) };
    let enough = by_day.len() >= DAYS_MIN && variance > 0.0;
    let standard_error = variance.sqrt() / days;
    enough.then_some(Drift { kind, per_day, standard_error, rows: rows.len(), days: by_day.len() })
}

/// The common factor of each day (from 1970-01-01): mean of flows over the typical size of their subnet's, clipped.
pub fn common_factor(flows: &OrganicFlows) -> Vec<(i64, f64)> {
    let mut by_day: BTreeMap<u32, (f64, usize)> = BTreeMap::new();
    for rows in flows.panel.by_subnet().filter(|rows| rows.len() >= SCALE_ROWS_MIN) {
        let mut sizes: Vec<f64> = rows.iter().map(|row| row.flow.abs()).collect();
        let middle = sizes.len() / 2;
        let scale = *sizes.select_nth_unstable_by(middle, f64::total_cmp).1;
        for row in rows.iter().filter(|_| scale > 0.0) {
            let (sum, count) = by_day.entry(row.day).or_default();
            *sum += (row.flow / scale).clamp(-FACTOR_CLIP, FACTOR_CLIP);
            *count += 1;
        }
    }
    let known = by_day.into_iter().filter(|(_, (_, count))| *count >= FACTOR_SUBNETS_MIN);
    known.map(|(day, (sum, count))| (flows.first_day + i64::from(day), sum / count as f64)).collect()
}
