//! The own flow of root stake: TAO that stakers bring to root and take from it, besides claimed dividends.
//!
//! ```text
//! R' = R exp(drift days + x' - x)     x' = rho x + sd sqrt((1 - rho^2) / (2 k)) z     k = ln 2 / half-life   rho = exp(-k days)
//! ```
//!
//! Without a half-life x is a random walk of `sd sqrt(days)`. x starts at 0: what came returns by half in a half-life, what claims
//! add stays. Root stake moves the root proportion and so the caps of injection. Source: MODEL 4.4.
//!
//! Not modelled: an answer of the flow to root's yield or to TAO/USD.

use crate::model::kernel::Draw;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Own flow of root stake; all 0: none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RootStakeParams {
    /// Drift of its log (per day).
    pub drift_per_day: f64,
    /// Volatility of its log (per square-root day).
    pub sd_log_per_sqrt_day: f64,
    /// Half-life of what the volatility moved (days); 0: it does not return.
    pub half_life_days: f64,
}

/// The flow over one step length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RootStakeStep {
    /// Drawn steps that make up a step; all else is of one of them.
    draws: u32,
    drift: f64,
    persistence: f64,
    innovation: f64,
}

impl RootStakeStep {
    /// Constants for steps of `blocks` blocks, each with the chance of `draws` steps of `blocks / draws` blocks; `None` where
    /// nothing flows.
    pub fn coupled(params: &RootStakeParams, blocks: u64, draws: u32) -> Option<Self> {
        let days = blocks as f64 / BLOCKS_PER_DAY as f64 / f64::from(draws);
        let flows = params.drift_per_day != 0.0 || params.sd_log_per_sqrt_day > 0.0;
        let reversion = if params.half_life_days > 0.0 { std::f64::consts::LN_2 / params.half_life_days } else { 0.0 };
        let variance = if reversion > 0.0 { -math::exp_m1(-2.0 * reversion * days) / (2.0 * reversion) } else { days };
        flows.then(|| Self {
            draws,
            drift: params.drift_per_day * days,
            persistence: math::exp(-reversion * days),
            innovation: params.sd_log_per_sqrt_day * variance.sqrt(),
        })
    }

    /// Moves `moved`, the part of the log that returns, through the step and returns the log move of root stake.
    #[inline(always)]
    pub fn advance(&self, Draw { seed, path, step, .. }: Draw, moved: &mut f64) -> f64 {
        let opening = *moved;
        for step in step * self.draws..(step + 1) * self.draws {
            let address = Address { path, step, slot: 0, purpose: Purpose::RootStakeNormals, index: 0 };
            let [normal, ..] = rng::normals4(rng::words(seed, address));
            *moved = self.persistence * *moved + self.innovation * normal;
        }
        f64::from(self.draws) * self.drift + (*moved - opening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: RootStakeParams =
        RootStakeParams { drift_per_day: 0.001, sd_log_per_sqrt_day: 0.02, half_life_days: 0.0 };

    fn log_moves(law: &RootStakeStep, path: u32, steps: u32) -> Vec<f64> {
        let mut moved = 0.0;
        (0..steps).map(|step| law.advance(Draw { seed: 9, path, step, block: 0.0 }, &mut moved)).collect()
    }

    #[test]
    fn nothing_flows_by_default() {
        assert_eq!(RootStakeStep::coupled(&RootStakeParams::default(), 7_200, 1), None);
    }

    /// Four standard errors of 20,000 paths: 2.8 % of the standard deviation in the mean, 2 % in the spread.
    #[test]
    fn the_log_has_its_law_on_any_steps() {
        let reverting = RootStakeParams { half_life_days: 4.0, ..PARAMS };
        let reversion = std::f64::consts::LN_2 / 4.0;
        let stationary = (1.0 - (-2.0 * reversion * 16.0).exp()) / (2.0 * reversion);
        for (params, variance) in [(PARAMS, 16.0), (reverting, stationary)] {
            let expected_sd = 0.02 * variance.sqrt();
            for (blocks, draws, steps) in [(7_200, 1, 16), (7_200, 4, 16), (1_800, 1, 64)] {
                let law = RootStakeStep::coupled(&params, blocks, draws).expect("something flows");
                let sums: Vec<f64> = (0..20_000).map(|path| log_moves(&law, path, steps).iter().sum()).collect();
                let mean = sums.iter().sum::<f64>() / 20_000.0;
                let sd = (sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / 19_999.0).sqrt();
                assert!((mean - 0.016).abs() < 4.0 * expected_sd / 20_000.0_f64.sqrt(), "mean {mean}");
                assert!((sd / expected_sd - 1.0).abs() < 4.0 / 40_000.0_f64.sqrt(), "sd {sd}, not {expected_sd}");
            }
        }
    }
}
