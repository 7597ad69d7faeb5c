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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NetUid;
    use crate::units::SubnetId;

    /// Subnets of which `fraction` of 0.1 alpha a block is sold at a price of 0.01 while users' flows wander.
    fn history(subnets: u16, fraction: f64) -> (History, Vec<ChainRates>) {
        let smoothing = upgrades::LAUNCH.tao_flow.smoothing;
        let kept = math::exp(7_200.0 * math::ln_1p(-smoothing));
        let mut history = History::default();
        for slot in 0..subnets {
            let mut average = 0.003;
            for day in 0..61_u64 {
                let users = 40.0 * (0.37 * day as f64 + f64::from(slot)).sin();
                average = kept * average + (1.0 - kept) * users / 7_200.0;
                history.observations.push(Observation {
                    subnet: SubnetId { netuid: NetUid(slot + 1), registered_at: 5_000_000 },
                    block: 7_128_000 + 7_200 * day,
                    price: 0.01,
                    moving_price: None,
                    reserve_tao: 5_000.0,
                    reserve_alpha: 500_000.0,
                    outstanding_alpha: 1e6,
                    injected_tao_per_block: None,
                    flow_average_tao_per_block: Some(average),
                    miner_burned: None,
                    is_startup: false,
                    net_flow_tao: Some(users + 7_200.0 * (0.02 - fraction * 0.1 * 0.01)),
                });
            }
        }
        let rates = ChainRates { chain_buy_tao: 0.02, root_claimable_alpha: 0.1, ..ChainRates::default() };
        let count = history.observations.len();
        (history, vec![rates; count])
    }

    #[test]
    fn the_books_give_what_was_sold() {
        let (history, rates) = history(12, 0.7);
        // All alike but for rounding, so that the median absolute deviation may be 0 and with it the error.
        let mut fractions = fractions_of_months(&history.observations[..61], &rates[..61]);
        assert_eq!(fractions.len(), 2);
        assert!((median(&mut fractions).unwrap() - 0.7).abs() < 1e-9);
        if let Some(found) = root_swap_fraction(&history, &rates) {
            assert!((found.value - 0.7).abs() < 1e-9 && (found.months, found.subnets) == (24, 12));
        }
    }

    #[test]
    fn other_rules_and_few_subnets_tell_nothing() {
        let (mut seen, rates) = history(9, 0.7);
        assert_eq!(root_swap_fraction(&seen, &rates), None);
        // Before flows were counted.
        seen.observations.iter_mut().for_each(|seen| seen.block -= 1_000_000);
        assert!(fractions_of_months(&seen.observations[..61], &rates[..61]).is_empty());
    }
}
