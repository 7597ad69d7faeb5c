//! What part of claimed root alpha is sold, from the chain's own books.
//!
//! Under the rules that counted flows the chain kept an average of what users paid into a pool and took out, in which the
//! sale of claimed root alpha does not count, while it moves the pool like any other:
//!
//! ```text
//! sold = users' flow - net flow of the pool + chain buys        fraction = sum of sold / sum of claimable, a month of a subnet
//! users' flow between two observations = n (S' - q^n S) / (1 - q^n)      S: the average, q = 1 - smoothing, n blocks
//! ```
//!
//! The estimate is the median over subnets of the median over their months: single months are wrong by the path of the flow
//! within days. It does not use the drift, from which sales could not be told apart.

use crate::calibration::history::History;
use crate::calibration::history::Observation;
use crate::calibration::organic::ChainRates;
use crate::protocol::share_rules::ShareRule;
use crate::protocol::upgrades;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Blocks of a month, and intervals that it needs.
const MONTH_BLOCKS: u64 = 30 * BLOCKS_PER_DAY;
const INTERVALS_MIN: usize = 20;
/// Longest interval (blocks).
const INTERVAL_MAX: u64 = 13 * BLOCKS_PER_DAY / 10;
/// Smallest pool (TAO).
const RESERVE_TAO_MIN: f64 = 100.0;
/// Subnets that an estimate needs.
const SUBNETS_MIN: usize = 10;
/// Standard deviation of a normal law over its median absolute deviation, and of its median over its mean.
const SD_OF_DEVIATION: f64 = 1.482_602_218_505_602;
const MEDIAN_ERROR: f64 = 1.253_314_137_315_5;

/// Part of claimed root alpha that is sold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RootSwapFraction {
    /// The fraction.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Months of subnets.
    pub months: usize,
    /// Subnets.
    pub subnets: usize,
}

/// The fraction sold; `None` where the history has too little of flow averages. `rates`: as of each observation.
pub fn root_swap_fraction(history: &History, rates: &[ChainRates]) -> Option<RootSwapFraction> {
    let mut of_subnets = Vec::new();
    let mut months = 0;
    let mut first = 0;
    for seen in history.observations.chunk_by(|a, b| a.subnet == b.subnet) {
        let mut fractions = fractions_of_months(seen, &rates[first..first + seen.len()]);
        first += seen.len();
        months += fractions.len();
        of_subnets.extend(median(&mut fractions));
    }
    if of_subnets.len() < SUBNETS_MIN {
        return None;
    }
    let value = median(&mut of_subnets)?;
    let mut deviations: Vec<f64> = of_subnets.iter().map(|fraction| (fraction - value).abs()).collect();
    let sd = SD_OF_DEVIATION * median(&mut deviations)?;
    let standard_error = MEDIAN_ERROR * sd / (of_subnets.len() as f64).sqrt();
    let is_fraction = value > 0.0 && value < 1.0 && standard_error > 0.0;
    is_fraction.then_some(RootSwapFraction { value, standard_error, months, subnets: of_subnets.len() })
}

fn fractions_of_months(seen: &[Observation], rates: &[ChainRates]) -> Vec<f64> {
    let intervals: Vec<(u64, [f64; 2])> = seen
        .windows(2)
        .zip(rates.windows(2))
        .filter_map(|(pair, rates)| {
            Some((pair[1].block / MONTH_BLOCKS, sold_and_claimable(&pair[0], &pair[1], rates)?))
        })
        .collect();
    let fraction = |month: &[(u64, [f64; 2])]| {
        let sum = |k: usize| month.iter().map(|(_, amounts)| amounts[k]).sum::<f64>();
        (month.len() >= INTERVALS_MIN).then(|| sum(0) / sum(1))
    };
    intervals.chunk_by(|a, b| a.0 == b.0).filter_map(fraction).collect()
}

/// TAO of root alpha sold in an interval, and what all that became claimable is worth.
fn sold_and_claimable(before: &Observation, after: &Observation, rates: &[ChainRates]) -> Option<[f64; 2]> {
    let counted = |seen: &Observation| {
        let rule = upgrades::params_at_block(seen.block).share_rule;
        rule.reads_flows() && rule != ShareRule::N && !seen.is_startup && seen.reserve_tao > RESERVE_TAO_MIN
    };
    let blocks = after.block - before.block;
    let claimable = 0.5 * (rates[0].root_claimable_alpha + rates[1].root_claimable_alpha);
    if !(counted(before) && counted(after) && blocks <= INTERVAL_MAX && claimable > 0.0) {
        return None;
    }
    let n = blocks as f64;
    let smoothing = upgrades::params_at_block(before.block).tao_flow.smoothing;
    let kept = math::exp(n * math::ln_1p(-smoothing));
    let averages = [before.flow_average_tao_per_block?, after.flow_average_tao_per_block?];
    let users = n * (averages[1] - kept * averages[0]) / (1.0 - kept);
    let bought = 0.5 * n * (rates[0].chain_buy_tao + rates[1].chain_buy_tao);
    let price = 0.5 * (before.price + after.price);
    Some([users - after.net_flow_tao? + bought, n * claimable * price])
}

fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let middle = values.len() / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}
