//! How far the data's own facts are from those of the law they came from: their sampling errors.
//!
//! Days of one subnet hang together, and so do the subnets of one day. Jackknives that leave out groups of subnets, blocks of
//! days, and cells of both give three variances; `subnets + days - cells` counts each dependence once (Cameron, Gelbach and
//! Miller 2011, doi:10.1198/jbes.2010.07136, equation 2.5). Nothing that leaves rows out tells how far an extreme may fall:
//! the log of the largest of a Pareto tail of index a has the deviation pi / (sqrt(6) a), whatever the number of rows.

use std::f64::consts::PI;

use crate::statistics::SubnetDay;
use crate::statistics::facts;

/// Length of a block of days left out.
const BLOCK_DAYS: u32 = 20;
/// Groups of subnets, and groups of cells, left out.
const GROUPS: u32 = 20;
/// Places of the extremes among the facts, and of the Hill index of the same side.
const EXTREMES: [[usize; 2]; 2] = [[3, 6], [4, 7]];

/// Standard errors of the facts of `panel`, in their order.
pub fn sampling_errors(panel: &[SubnetDay]) -> Vec<f64> {
    let block = |row: &SubnetDay| row.day / BLOCK_DAYS;
    let blocks = panel.iter().map(block).max().unwrap_or(0) + 1;
    let index = subnet_index(panel);
    let by_subnet = |place: usize, _: &SubnetDay| index[place] % GROUPS;
    let by_day = |_: usize, row: &SubnetDay| block(row);
    let by_cell = |place: usize, row: &SubnetDay| (7 * index[place] + 3 * block(row) + index[place] / GROUPS) % GROUPS;
    let [subnets, days, cells] =
        [jackknife(panel, GROUPS, &by_subnet), jackknife(panel, blocks, &by_day), jackknife(panel, GROUPS, &by_cell)];
    let both = subnets.iter().zip(&days).zip(&cells);
    let mut errors: Vec<f64> = both.map(|((s, d), c)| (s + d - c).max(s.max(*d)).sqrt()).collect();
    let found = facts(panel);
    for [extreme, hill] in EXTREMES {
        errors[extreme] = found[extreme].abs() * PI / (6.0_f64.sqrt() * found[hill]);
    }
    errors
}

/// Ordinal of each row's subnet.
fn subnet_index(panel: &[SubnetDay]) -> Vec<u32> {
    let mut ids: Vec<(u16, u64)> = panel.iter().map(|row| row.subnet).collect();
    ids.sort_unstable();
    ids.dedup();
    panel.iter().map(|row| ids.partition_point(|id| *id < row.subnet) as u32).collect()
}

/// Variances of the facts by leaving out each of `groups` groups in turn.
fn jackknife(panel: &[SubnetDay], groups: u32, group: &dyn Fn(usize, &SubnetDay) -> u32) -> Vec<f64> {
    let without = |left_out: u32| {
        let rows = panel.iter().enumerate().filter(|(place, row)| group(*place, row) != left_out);
        facts(&rows.map(|(_, row)| *row).collect::<Vec<_>>())
    };
    let values: Vec<Vec<f64>> = (0..groups).map(without).collect();
    let n = f64::from(groups);
    (0..values[0].len())
        .map(|fact| {
            let mean = values.iter().map(|facts| facts[fact]).sum::<f64>() / n;
            (n - 1.0) / n * values.iter().map(|facts| (facts[fact] - mean).powi(2)).sum::<f64>()
        })
        .collect()
}
