//! What all subnets of a path share: the common flow factor, TAO/USD, the willingness to pay for a slot.

use crate::model::jumps::kou_jump;
use crate::model::jumps::poisson_count;
use crate::model::jumps::poisson_thresholds;
use crate::model::kernel::CommonFlow;
use crate::model::kernel::Draw;
use crate::model::params::JumpParams;
use crate::model::params::ModelParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Index, within [`Purpose::GlobalJumps`], of the word that counts the jumps; jumps follow from 1.
const COUNT_INDEX: u16 = 0;
/// First index of TAO/USD jumps: common jumps stand below it.
const TAO_USD_JUMP_INDEX: u16 = 1 << 15;

/// State of a path that is not the chain's and not a subnet's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outside {
    /// USD per TAO.
    pub tao_usd: f64,
    /// Log of the willingness to pay for a registration, against its median.
    pub log_willingness: f64,
}

/// Constants of the shared processes over one step length.
#[derive(Clone, Debug)]
pub struct OutsideStep {
    tao_usd_drift: f64,
    tao_usd_volatility: f64,
    correlation: f64,
    own_correlation: f64,
    tao_usd_jumps: Vec<u32>,
    jump_mean: f64,
    jump_sd: f64,
    common: JumpParams,
    common_jumps: Vec<u32>,
    persistence: f64,
    innovation: f64,
    willingness_median: f64,
    /// Drawn steps that make up a step; all else here is of one of them.
    draws: u32,
    inverse_root_draws: f64,
}

impl OutsideStep {
    /// Constants for steps of `blocks` blocks.
    ///
    /// TAO/USD is a jump diffusion in logs whose jumps are compensated, so that the drift is that of the rate itself.
    pub fn new(params: &ModelParams, blocks: u64) -> Self {
        Self::coupled(params, blocks, 1)
    }

    /// The same with the chance of `draws` steps of `blocks / draws` blocks each: the processes take those steps, and the
    /// flows share the sum of their jumps and the normed sum of their factors.
    pub fn coupled(params: &ModelParams, blocks: u64, draws: u32) -> Self {
        let days = blocks as f64 / BLOCKS_PER_DAY as f64 / f64::from(draws);
        let rate = &params.tao_usd;
        let registration = &params.registration;
        let mean_jump_factor = math::exp_m1(rate.jump_mean + 0.5 * rate.jump_sd * rate.jump_sd);
        let variance = rate.volatility_per_sqrt_day * rate.volatility_per_sqrt_day;
        let persistence = math::exp(-days * std::f64::consts::LN_2 / registration.willingness_half_life_days);
        Self {
            tao_usd_drift: (rate.drift_per_day - 0.5 * variance - rate.jump_rate_per_day * mean_jump_factor) * days,
            tao_usd_volatility: rate.volatility_per_sqrt_day * days.sqrt(),
            correlation: rate.correlation_with_flow,
            own_correlation: (1.0 - rate.correlation_with_flow * rate.correlation_with_flow).sqrt(),
            tao_usd_jumps: poisson_thresholds(rate.jump_rate_per_day * days),
            jump_mean: rate.jump_mean,
            jump_sd: rate.jump_sd,
            common: params.flow.common_jump,
            common_jumps: poisson_thresholds(params.flow.common_jump.rate_per_day * days),
            persistence,
            innovation: registration.willingness_sd_log * (1.0 - persistence * persistence).sqrt(),
            willingness_median: registration.willingness_median_tao,
            draws,
            inverse_root_draws: 1.0 / f64::from(draws).sqrt(),
        }
    }

    /// Moves the shared processes one step on and returns what the flows share.
    #[inline(always)]
    pub fn advance(&self, draw: Draw, outside: &mut Outside) -> CommonFlow {
        let first = draw.step * self.draws;
        let mut sum = self.advance_once(Draw { step: first, ..draw }, outside);
        for step in first + 1..first + self.draws {
            let CommonFlow { factor, jump } = self.advance_once(Draw { step, ..draw }, outside);
            sum = CommonFlow { factor: sum.factor + factor, jump: sum.jump + jump };
        }
        CommonFlow { factor: self.inverse_root_draws * sum.factor, ..sum }
    }

    /// One drawn step.
    #[inline(always)]
    fn advance_once(&self, draw: Draw, outside: &mut Outside) -> CommonFlow {
        let normals = rng::normals4(global_words(draw, Purpose::GlobalNormals, 0));
        let counts = global_words(draw, Purpose::GlobalJumps, COUNT_INDEX);
        let shock = self.correlation * normals[0] + self.own_correlation * normals[1];
        let jumps = self.tao_usd_jump(draw, poisson_count(&self.tao_usd_jumps, counts[1]));
        outside.tao_usd *= math::exp(self.tao_usd_drift + self.tao_usd_volatility * shock + jumps);
        outside.log_willingness = self.persistence * outside.log_willingness + self.innovation * normals[2];
        CommonFlow { factor: normals[0], jump: self.common_jump(draw, poisson_count(&self.common_jumps, counts[0])) }
    }

    /// Willingness to pay (TAO).
    #[inline(always)]
    pub fn willingness_tao(&self, outside: &Outside) -> f64 {
        self.willingness_median * math::exp(outside.log_willingness)
    }

    #[inline(always)]
    fn common_jump(&self, draw: Draw, count: usize) -> f64 {
        let jump = &self.common;
        (1..=count as u16)
            .map(|index| global_words(draw, Purpose::GlobalJumps, index))
            .map(|words| kou_jump(rng::open_unit(words[0]), rng::open_unit(words[1]), jump))
            .fold(0.0, |sum, jump| sum + jump)
    }

    #[inline(always)]
    fn tao_usd_jump(&self, draw: Draw, count: usize) -> f64 {
        (0..count as u16)
            .map(|index| global_words(draw, Purpose::GlobalJumps, TAO_USD_JUMP_INDEX + index))
            .map(|words| self.jump_mean + self.jump_sd * rng::normals4(words)[0])
            .fold(0.0, |sum, jump| sum + jump)
    }
}

#[inline(always)]
fn global_words(draw: Draw, purpose: Purpose, index: u16) -> [u32; 4] {
    rng::words(draw.seed, Address { path: draw.path, step: draw.step, slot: 0, purpose, index })
}
