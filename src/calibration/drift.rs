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
    // The two-way form may be too small by chance, and is 0 for a single subnet: at least that of independent rows.
    let variance = (squares(&by_subnet) + squares(&by_day) - alone).max(alone);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::panel::FlowPanel;
    use crate::calibration::panel::FlowRow;
    use crate::units::NetUid;
    use crate::units::SubnetId;

    fn flows(rows: &[(u32, u32, f64)], block: impl Fn(u32) -> u64) -> OrganicFlows {
        let row = |&(subnet, day, flow): &(u32, u32, f64)| FlowRow {
            subnet,
            day,
            days: 1.0,
            reserve_tao: 1e3,
            age_days: 100.0,
            flow,
            known: 0.0,
        };
        let count = rows.iter().map(|row| row.0 + 1).max().unwrap_or(0) as u16;
        let subnet = |slot: u16| SubnetId { netuid: NetUid(slot + 1), registered_at: 1 };
        OrganicFlows {
            panel: FlowPanel { subnets: (0..count).map(subnet).collect(), rows: rows.iter().map(row).collect() },
            blocks: rows.iter().map(|row| block(row.1)).collect(),
            first_day: 20_000,
            ..OrganicFlows::default()
        }
    }

    #[test]
    fn a_drift_is_a_mean_with_clusters() {
        // Two subnets whose flows differ by a constant, over days that alternate: 0.01 +- 0.002 +- 0.001.
        let sign = |odd: bool| if odd { -1.0 } else { 1.0 };
        let flow = |subnet: u32, day: u32| 0.01 + 0.002 * sign(subnet == 1) + 0.001 * sign(day % 2 == 1);
        let rows: Vec<(u32, u32, f64)> =
            (0..2).flat_map(|subnet| (0..20).map(move |day| (subnet, day, flow(subnet, day)))).collect();
        let found = drifts(&flows(&rows, |_| 6_000_000));
        assert_eq!((found.len(), found[0].kind, found[0].rows, found[0].days), (1, EmissionKind::Prices, 40, 20));
        assert!((found[0].per_day - 0.01).abs() < 1e-15);
        // Sums by subnet: +-0.04; by day: +-0.002; rows: 0.003^2 and 0.001^2, half each.
        let variance: f64 = 2.0 * 0.04 * 0.04 + 20.0 * 0.002 * 0.002 - 20.0 * (9e-6 + 1e-6);
        assert!((found[0].standard_error - variance.sqrt() / 40.0).abs() < 1e-12);
    }

    #[test]
    fn kinds_follow_the_rules_and_need_days() {
        let rows: Vec<(u32, u32, f64)> = (0..45).map(|day| (0, day, 0.001 * f64::from(day))).collect();
        // 25 days before the switch to flows, 20 after; then one day less.
        let before = |first: u64| move |day: u32| first + 7_200 * u64::from(day);
        let found = drifts(&flows(&rows, before(6_813_300 - 25 * 7_200)));
        let kinds: Vec<EmissionKind> = found.iter().map(|drift| drift.kind).collect();
        assert_eq!(kinds, [EmissionKind::Prices, EmissionKind::Flows]);
        assert_eq!(drifts(&flows(&rows, before(6_813_300 - 26 * 7_200))).len(), 1);
        assert_eq!(EmissionKind::at_block(u64::MAX), EmissionKind::GatedPrices);
    }

    #[test]
    fn the_factor_is_the_mean_over_enough_subnets() {
        let sign = |day: u32| if day.is_multiple_of(2) { 1.0 } else { -1.0 };
        let rows: Vec<(u32, u32, f64)> = (0..20)
            .flat_map(|subnet| (0..30).map(move |day| (subnet, day, f64::from(subnet + 1) * sign(day))))
            .collect();
        let factor = common_factor(&flows(&rows, |_| 6_000_000));
        assert_eq!(factor.len(), 30);
        assert_eq!((factor[0], factor[1]), ((20_000, 1.0), (20_001, -1.0)));
        assert!(common_factor(&flows(&rows[30..], |_| 6_000_000)).is_empty());
    }
}
