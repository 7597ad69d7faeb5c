//! What a holder earns against the average of stakers: how well the validator does that its position is staked with.
//!
//! ```text
//! v = exp(spread z - spread^2 / 2) exp(noise x - noise^2 / 2) c     x' = rho x + sqrt(1 - rho^2) e,  rho = 2^(-days / half-life)
//! ```
//!
//! `z`, `e` and the first `x` are standard normal, so that v has mean 1 at any time but for `c`, the factor that collusion
//! within subnets puts on the dividends of all holders from a day on. The law of v comes from running Yuma on simulated sets,
//! [`crate::model::validators`]. Draws are addressed by path, step and slot: books that hold the same subnet hold it with the
//! same validator.
//!
//! Not modelled: moving to a better validator; what the factor does within a step, which takes that at its end (the law is one
//! of daily means: on steps of less than a day it lacks what moves faster than that); that the other stakers have less by what
//! this holder has more (its share of the stake times v - 1).

use crate::model::params::ValidatorParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Steps that the normals of one block of words serve: drawing one each step takes a third of a path's time.
const SHOCK_STEPS: u32 = 4;
/// Indices within [`Purpose::Validator`]: what a holder starts with; shocks, whose step word is the step by [`SHOCK_STEPS`].
const START_INDEX: u16 = 0;
const SHOCK_INDEX: u16 = 1;

/// How well one holder's validator does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Performance {
    /// Constant part of its log, less half of its variance.
    log_level: f64,
    /// Part that moves, in stationary standard deviations.
    noise: f64,
    /// Its shocks in [`SHOCK_STEPS`] steps.
    shocks: [f64; SHOCK_STEPS as usize],
}

/// The process of a validator's performance over one step length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DividendStep {
    spread_sd: f64,
    noise_sd: f64,
    persistence: f64,
    innovation: f64,
    factor: f64,
    /// Steps before the factor is in force.
    factor_step: u32,
}

impl DividendStep {
    /// Constants for steps of `blocks` blocks; `None` where every validator does as the average for ever.
    pub fn new(params: &ValidatorParams, blocks: u64) -> Option<Self> {
        let is_average = params.spread_sd_log == 0.0 && params.noise_sd_log == 0.0 && params.dividend_factor == 1.0;
        let days = blocks as f64 / BLOCKS_PER_DAY as f64;
        let persistence = math::exp(-days * std::f64::consts::LN_2 / params.noise_half_life_days);
        (!is_average).then(|| Self {
            spread_sd: params.spread_sd_log,
            noise_sd: params.noise_sd_log,
            persistence,
            innovation: (1.0 - persistence * persistence).sqrt(),
            factor: params.dividend_factor,
            factor_step: (params.dividend_factor_day / days).ceil() as u32,
        })
    }

    /// Draws the validator of the holder of `slot` on a path.
    pub fn start(&self, seed: u64, path: u32, slot: usize) -> Performance {
        let [level, noise, ..] = normals(seed, path, 0, slot, START_INDEX);
        let log_level = self.spread_sd * (level - 0.5 * self.spread_sd);
        Performance { log_level, noise, shocks: normals(seed, path, 0, slot, SHOCK_INDEX) }
    }

    /// Moves it through the step `step`, counted from 1. Steps come in order.
    pub fn advance(&self, seed: u64, path: u32, step: u32, slot: usize, performance: &mut Performance) {
        if self.noise_sd > 0.0 {
            let (block, place) = (step / SHOCK_STEPS, (step % SHOCK_STEPS) as usize);
            if place == 0 {
                performance.shocks = normals(seed, path, block, slot, SHOCK_INDEX);
            }
            performance.noise = self.persistence * performance.noise + self.innovation * performance.shocks[place];
        }
    }

    /// Factor on the holder's dividend in the step `step`, counted from 1.
    pub fn factor(&self, step: u32, performance: &Performance) -> f64 {
        let noise = self.noise_sd * (performance.noise - 0.5 * self.noise_sd);
        let level = math::exp(performance.log_level + noise);
        if step > self.factor_step { level * self.factor } else { level }
    }
}

fn normals(seed: u64, path: u32, step: u32, slot: usize, index: u16) -> [f64; 4] {
    let address = Address { path, step, slot: slot as u32, purpose: Purpose::Validator, index };
    rng::normals4(rng::words(seed, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: ValidatorParams = ValidatorParams {
        spread_sd_log: 0.0,
        noise_sd_log: 0.0,
        noise_half_life_days: 2.0,
        dividend_factor: 1.0,
        dividend_factor_day: 0.0,
    };
    const PATHS: u32 = 40_000;

    #[test]
    fn nothing_is_drawn_where_all_validators_do_alike() {
        assert_eq!(DividendStep::new(&OFF, 7_200), None);
        assert!(DividendStep::new(&ValidatorParams { noise_sd_log: 0.1, ..OFF }, 7_200).is_some());
    }

    /// Logs of the factor after each of `steps` steps.
    fn log_factors(law: &DividendStep, path: u32, steps: u32) -> Vec<f64> {
        let mut performance = law.start(7, path, 3);
        let step = |step| {
            law.advance(7, path, step, 3, &mut performance);
            math::ln(law.factor(step, &performance))
        };
        (1..=steps).map(step).collect()
    }

    /// n = 4e4: a mean off by 0.02 sd or a covariance off by 3 % of the variance fails in more than 97 of 100.
    #[test]
    fn the_law_is_that_of_its_parameters() {
        let (spread, noise) = (0.3, 0.4);
        let params = ValidatorParams { spread_sd_log: spread, noise_sd_log: noise, ..OFF };
        let law = DividendStep::new(&params, 7_200).expect("it is not off");
        let paths: Vec<Vec<f64>> = (0..PATHS).map(|path| log_factors(&law, path, 5)).collect();
        let n = f64::from(PATHS);
        let (spread2, noise2) = (spread * spread, noise * noise);
        let mean = -0.5 * (spread2 + noise2);
        let total = spread2 + noise2;
        for step in [0, 4] {
            let level = paths.iter().map(|logs| logs[step].exp()).sum::<f64>() / n;
            let sd = (total.exp() - 1.0).sqrt();
            assert!((level - 1.0).abs() < 4.0 * sd / n.sqrt(), "mean {level} after step {step}");
            let variance = paths.iter().map(|logs| (logs[step] - mean).powi(2)).sum::<f64>() / n;
            assert!((variance - total).abs() < 4.0 * total * (2.0 / n).sqrt(), "variance {variance}");
        }
        // Two steps of a day are one half-life; shocks of one block and of two.
        for (from, to, persistence) in [(0, 2, 0.5), (1, 3, 0.5), (0, 4, 0.25)] {
            let covariance = paths.iter().map(|logs| (logs[from] - mean) * (logs[to] - mean)).sum::<f64>() / n;
            let expected = spread2 + persistence * noise2;
            let error = ((total * total + expected * expected) / n).sqrt();
            assert!((covariance - expected).abs() < 4.0 * error, "{covariance}, expected {expected} +- {error}");
        }
    }

    #[test]
    fn the_collusion_factor_acts_from_its_day_on() {
        let params = ValidatorParams { dividend_factor: 0.25, dividend_factor_day: 1.5, ..OFF };
        let law = DividendStep::new(&params, 3_600).expect("it is not off");
        let factors: Vec<f64> = log_factors(&law, 0, 5).into_iter().map(f64::exp).collect();
        assert_eq!(factors[..3], [1.0; 3]);
        assert!(factors[3..].iter().all(|factor| (factor - 0.25).abs() < 1e-15), "{factors:?}");
    }
}
