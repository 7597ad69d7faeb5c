//! How much the estimates move when part of the panel is left out: what the panel itself says of their errors.
//!
//! Groups of subnets, blocks of days, and cells of both are left out in turn; with `v` the jackknife variances of the three,
//! `v_subnets + v_days - v_cells` counts each dependence once (Cameron, Gelbach & Miller 2011, doi:10.1198/jbes.2010.07136). It
//! holds whatever the law of the flows, but is a noisy figure of about 20 values: it replaces the variance of simulated estimates
//! only where it exceeds it by more than chance.

use crate::calibration::flow_estimate::SIZE;
use crate::calibration::panel::FlowPanel;
use crate::calibration::panel::FlowRow;

/// Groups of each kind.
const GROUPS: u32 = 20;
/// Subnets and days that are needed for as many groups to make sense.
const SUBNETS_MIN: u32 = 2 * GROUPS;
const DAYS_MIN: u32 = 5 * GROUPS;
/// Ratio to the simulated variance below which chance explains it: 95 % quantile of chi-square over its 19 degrees of freedom.
const CHANCE: f64 = 1.586;

/// Number of panels with parts left out, 0 where the panel is too small.
pub(crate) fn count(panel: &FlowPanel) -> usize {
    let last = |of: fn(&FlowRow) -> u32| panel.rows.iter().map(of).max().map_or(0, |last| last + 1);
    let is_large = last(|row| row.subnet) >= SUBNETS_MIN && last(|row| row.day) >= DAYS_MIN;
    if is_large { 3 * GROUPS as usize } else { 0 }
}

/// The panel without part `number`, below [`count`].
pub(crate) fn without(panel: &FlowPanel, number: usize) -> FlowPanel {
    let days = panel.rows.iter().map(|row| row.day + 1).max().unwrap_or(1);
    let (kind, left_out) = (number as u32 / GROUPS, number as u32 % GROUPS);
    let group = |row: &FlowRow| {
        let block = row.day * GROUPS / days;
        match kind {
            0 => row.subnet % GROUPS,
            1 => block,
            _ => (7 * row.subnet + 3 * block + row.subnet / GROUPS) % GROUPS,
        }
    };
    let rows = panel.rows.iter().filter(|row| group(row) != left_out).copied().collect();
    FlowPanel { subnets: panel.subnets.clone(), rows }
}

/// What to multiply each coordinate's simulated standard error by, from the estimates of all parts.
pub(crate) fn factors(estimates: &[[f64; SIZE]], simulated_variance: impl Fn(usize) -> f64) -> [f64; SIZE] {
    let kinds: Vec<&[[f64; SIZE]]> = estimates.chunks(GROUPS as usize).collect();
    let [subnets, days, cells] = kinds[..] else { return [1.0; SIZE] };
    std::array::from_fn(|i| {
        let [subnets, days, cells] = [subnets, days, cells].map(|kind| variance(kind, i));
        let ratio = (subnets + days - cells).max(subnets).max(days) / simulated_variance(i);
        if ratio > CHANCE { ratio.sqrt() } else { 1.0 }
    })
}

fn variance(estimates: &[[f64; SIZE]], i: usize) -> f64 {
    let n = estimates.len() as f64;
    let mean = estimates.iter().map(|at| at[i]).sum::<f64>() / n;
    (n - 1.0) / n * estimates.iter().map(|at| (at[i] - mean).powi(2)).sum::<f64>()
}
