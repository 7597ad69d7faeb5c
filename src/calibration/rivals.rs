//! Plain forecasts to be better than: a random walk with historical volatility, and a block bootstrap of past days.
//!
//! Both know daily log returns of the last [`WINDOW_DAYS`] days, and no rule of the chain.

use rand::TryRng;

use crate::calibration::coverage::below;
use crate::calibration::history::History;
use crate::calibration::history::Observation;
use crate::calibration::observed;
use crate::calibration::score;
use crate::protocol::calendar;
use crate::rng::Address;
use crate::rng::AddressedRng;
use crate::rng::Purpose;
use crate::units::SubnetId;

/// Days of returns that the rivals know.
pub const WINDOW_DAYS: usize = 90;
/// Returns from which a subnet has a volatility of its own.
const RETURNS_MIN: usize = 20;
/// Length of bootstrapped blocks (days).
const BLOCK_DAYS: u32 = 5;
/// Slot words of the chance of bootstraps: apart from those of other chance of a backtest.
const STREAM: u32 = 1 << 20;

/// Daily log returns of one subnet, by day of the window; `None`: not observed on two days in a row.
pub type Returns = Vec<Option<f64>>;

/// What is observed of a subnet.
pub type Figure = fn(&Observation) -> f64;

/// Past returns of subnets.
#[derive(Clone, Debug)]
pub struct PastReturns {
    returns: Vec<Returns>,
    /// Median over subnets of the daily standard deviation about 0.
    pooled_sd: f64,
}

impl PastReturns {
    /// Returns of `figure` of `subnets` over the days before `block`.
    pub fn new(history: &History, subnets: &[SubnetId], block: u64, figure: Figure) -> Self {
        let returns: Vec<Returns> = subnets.iter().map(|subnet| returns_of(history, *subnet, block, figure)).collect();
        let mut sds: Vec<f64> = returns.iter().filter_map(own_sd).collect();
        sds.sort_unstable_by(f64::total_cmp);
        let pooled_sd = sds.get(sds.len() / 2).copied().unwrap_or(0.0);
        Self { returns, pooled_sd }
    }

    /// Daily standard deviation about 0 of a subnet, or the median one where it has too few returns.
    pub fn daily_sd(&self, subnet: usize) -> f64 {
        own_sd(&self.returns[subnet]).unwrap_or(self.pooled_sd)
    }

    /// The same of an equal holding of several subnets, from its own past returns.
    pub fn book_daily_sd(&self, book: &[usize]) -> f64 {
        let book_return = |day: usize| {
            let known: Vec<f64> = book.iter().filter_map(|subnet| self.returns[*subnet][day]).collect();
            let mean = known.iter().map(|move_log| move_log.exp()).sum::<f64>() / known.len() as f64;
            // Fewer than half of the holdings are another book.
            (2 * known.len() >= book.len()).then(|| mean.ln())
        };
        let returns: Returns = (0..WINDOW_DAYS).map(book_return).collect();
        own_sd(&returns).unwrap_or(self.pooled_sd / (book.len() as f64).sqrt())
    }

    /// Cumulated log returns of all subnets on one bootstrapped path at horizons (days, ascending): by horizon, then subnet.
    ///
    /// Blocks of days are common to all subnets; a day on which a subnet was not observed lends it the return of another one.
    pub fn bootstrap_path(&self, seed: u64, block: u64, path: u32, horizons: &[u32]) -> Vec<Vec<f64>> {
        let address = Address { path, step: block as u32, slot: STREAM, purpose: Purpose::Backtest, index: 0 };
        let mut rng = AddressedRng::new(seed, address);
        let mut word = || {
            let Ok(word) = rng.try_next_u32();
            word
        };
        let mut sums = vec![0.0; self.returns.len()];
        let mut kept = Vec::new();
        let mut first = 0;
        for day in 0..horizons.last().copied().unwrap_or(0) {
            if day % BLOCK_DAYS == 0 {
                first = below(word(), WINDOW_DAYS);
            }
            let past = (first + (day % BLOCK_DAYS) as usize) % WINDOW_DAYS;
            for (sum, returns) in sums.iter_mut().zip(&self.returns) {
                *sum += returns[past].or_else(|| self.lent(past, &mut word)).unwrap_or(0.0);
            }
            if horizons.contains(&(day + 1)) {
                kept.push(sums.clone());
            }
        }
        kept
    }

    /// Return of a random subnet on a day; of a few tried, the first that was observed, else the first of all.
    fn lent(&self, day: usize, word: &mut impl FnMut() -> u32) -> Option<f64> {
        let tried = (0..8).find_map(|_| self.returns[below(word(), self.returns.len())][day]);
        tried.or_else(|| self.returns.iter().find_map(|returns| returns[day]))
    }
}

fn own_sd(returns: &Returns) -> Option<f64> {
    let count = returns.iter().flatten().count();
    let squares: f64 = returns.iter().flatten().map(|move_log| move_log * move_log).sum();
    (count >= RETURNS_MIN).then(|| (squares / count as f64).sqrt())
}

fn returns_of(history: &History, subnet: SubnetId, block: u64, figure: Figure) -> Returns {
    let last_day = calendar::day_of_block(block);
    let mut closes: Vec<Option<f64>> = vec![None; WINDOW_DAYS + 1];
    let own = observed::of_subnet(history, subnet).iter();
    for seen in own.filter(|seen| seen.block <= block && !seen.is_startup) {
        let days_ago = last_day - calendar::day_of_block(seen.block);
        if let Some(close) = usize::try_from(WINDOW_DAYS as i64 - days_ago).ok().and_then(|day| closes.get_mut(day)) {
            *close = Some(figure(seen).ln());
        }
    }
    closes.windows(2).map(|pair| Some(pair[1]? - pair[0]?)).collect()
}

/// CRPS of the random walk over `days` days: a normal law of mean 0, in logs.
pub fn random_walk_crps(daily_sd: f64, days: f64, outcome_log: f64) -> f64 {
    score::crps_normal(0.0, daily_sd * days.sqrt(), outcome_log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::BLOCKS_PER_DAY;
    use crate::units::NetUid;

    const BLOCK: u64 = 9_000_000;

    fn subnet(netuid: u16) -> SubnetId {
        SubnetId { netuid: NetUid(netuid), registered_at: 1 }
    }

    fn seen(netuid: u16, days_ago: u64, price: f64) -> Observation {
        Observation {
            subnet: subnet(netuid),
            block: BLOCK - days_ago * BLOCKS_PER_DAY,
            price,
            moving_price: None,
            reserve_tao: 1e3,
            reserve_alpha: 1e5,
            outstanding_alpha: 1e5,
            injected_tao_per_block: None,
            is_startup: false,
            flow_average_tao_per_block: None,
            miner_burned: None,
            net_flow_tao: None,
        }
    }

    /// Subnet 1 moves up and down by 10 %, subnet 2 was seen twice only.
    fn returns() -> PastReturns {
        let up_and_down =
            (0..=100).rev().map(|days_ago| seen(1, days_ago, if days_ago % 2 == 0 { 0.01 } else { 0.011 }));
        let observations = up_and_down.chain([seen(2, 1, 0.02), seen(2, 0, 0.03)]).collect();
        let history = History { observations, ..History::default() };
        PastReturns::new(&history, &[subnet(1), subnet(2)], BLOCK, |seen| seen.price)
    }

    #[test]
    fn volatility_is_of_the_window_or_pooled() {
        let returns = returns();
        let step = 1.1_f64.ln();
        assert_eq!(returns.returns[0].iter().flatten().count(), WINDOW_DAYS);
        assert!((returns.daily_sd(0) - step).abs() < 1e-12);
        assert_eq!(returns.daily_sd(1), returns.daily_sd(0));
        assert!((returns.book_daily_sd(&[0]) - step).abs() < 1e-12);
        assert!((random_walk_crps(step, 4.0, 0.0) - 2.0 * step * 0.233_694_977_254_915).abs() < 1e-12);
    }

    #[test]
    fn a_bootstrapped_path_is_made_of_past_days() {
        let returns = returns();
        let step = 1.1_f64.ln();
        for path in 0..100 {
            let sums = returns.bootstrap_path(7, BLOCK, path, &[1, 10]);
            assert_eq!((sums.len(), sums[0].len()), (2, 2));
            // Two blocks of five alternating returns: 0, or two steps.
            let steps = sums[1][0] / step;
            assert!(
                (steps - steps.round()).abs() < 1e-9 && steps.round() as i64 % 2 == 0 && steps.abs() < 2.1,
                "{steps}"
            );
            assert!((sums[0][0].abs() - step).abs() < 1e-12);
            // The other has one day of its own, on which it rose by half, and borrows the rest.
            assert!([step, 1.5_f64.ln()].iter().any(|own| (sums[0][1].abs() - own).abs() < 1e-12), "{sums:?}");
            assert_eq!(sums, returns.bootstrap_path(7, BLOCK, path, &[1, 10]));
        }
        assert_ne!(returns.bootstrap_path(7, BLOCK, 0, &[1, 30]), returns.bootstrap_path(8, BLOCK, 0, &[1, 30]));
    }
}
