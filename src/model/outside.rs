//! What all subnets of a path share: the common flow factor, TAO/USD, the willingness to pay for a slot.

use crate::model::jumps::kou_jump;
use crate::model::jumps::poisson_thresholds;
use crate::model::kernel::CommonFlow;
use crate::model::kernel::Draw;
use crate::model::params::JumpParams;
use crate::model::params::ModelParams;
use crate::model::path_lanes::PathLanes;
use crate::rng;
use crate::rng::Purpose;
use crate::simd::Lanes;
use crate::simd::Words;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Index, within [`Purpose::GlobalJumps`], of the word that counts the jumps; jumps follow from 1.
const COUNT_INDEX: u16 = 0;
/// First index of TAO/USD jumps: common jumps stand below it.
const TAO_USD_JUMP_INDEX: u16 = 1 << 15;

/// State of a path that is not the chain's and not a subnet's, or that of a path in each lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outside<L = f64> {
    /// USD per TAO.
    pub tao_usd: L,
    /// Log of the willingness to pay for a registration, against its median.
    pub log_willingness: L,
}

/// Who draws: [`Draw`] with a path in each lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneDraw<L: Lanes> {
    /// Seed of the run.
    pub seed: u64,
    /// Path indices.
    pub paths: L::Words,
    /// Step, counted from 0.
    pub step: u32,
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
    /// By which the sum of their factors is normed; 0: flows share no factor.
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

    /// The same where flows share no factor; draws, and what is correlated with it, stay.
    #[must_use]
    pub fn without_factor(self) -> Self {
        Self { inverse_root_draws: 0.0, ..self }
    }

    /// Moves the shared processes of a path one step on and returns what its flows share.
    #[inline(always)]
    pub fn advance(&self, draw: Draw, outside: &mut Outside) -> CommonFlow {
        let Draw { seed, path, step, .. } = draw;
        let paths = Words::splat(u64::from(path));
        let [factor, jump] = self.advance_lanes::<f64>(LaneDraw { seed, paths, step }, outside);
        CommonFlow { factor, jump }
    }

    /// The same of a path in each lane: factors and jumps.
    #[inline(always)]
    pub fn advance_lanes<L: PathLanes>(&self, draw: LaneDraw<L>, outside: &mut Outside<L>) -> [L; 2] {
        let first = draw.step * self.draws;
        let [mut factor, mut jump] = self.advance_once(LaneDraw { step: first, ..draw }, outside);
        for step in first + 1..first + self.draws {
            let [more_factor, more_jump] = self.advance_once(LaneDraw { step, ..draw }, outside);
            (factor, jump) = (factor + more_factor, jump + more_jump);
        }
        [L::splat(self.inverse_root_draws) * factor, jump]
    }

    /// One drawn step.
    #[inline(always)]
    fn advance_once<L: PathLanes>(&self, draw: LaneDraw<L>, outside: &mut Outside<L>) -> [L; 2] {
        let [common, own, willingness] = L::normals(global_words(draw, Purpose::GlobalNormals, 0));
        let [common_count, tao_usd_count, ..] = global_words(draw, Purpose::GlobalJumps, COUNT_INDEX);
        let shock = L::splat(self.correlation) * common + L::splat(self.own_correlation) * own;
        let tao_usd_jumps = self.sum_tao_usd_jumps(draw, rng::open_unit_lanes(tao_usd_count));
        let move_log = L::splat(self.tao_usd_drift) + L::splat(self.tao_usd_volatility) * shock + tao_usd_jumps;
        outside.tao_usd = outside.tao_usd * math::exp(move_log);
        outside.log_willingness =
            L::splat(self.persistence) * outside.log_willingness + L::splat(self.innovation) * willingness;
        [common, self.sum_common_jumps(draw, rng::open_unit_lanes(common_count))]
    }

    /// Willingness to pay (TAO).
    #[inline(always)]
    pub fn willingness_tao<L: Lanes>(&self, outside: &Outside<L>) -> L {
        L::splat(self.willingness_median) * math::exp(outside.log_willingness)
    }

    /// Sum of as many common jumps as the uniform draw `count` tells in each lane.
    #[inline(always)]
    fn sum_common_jumps<L: PathLanes>(&self, draw: LaneDraw<L>, count: L) -> L {
        let (mut sum, mut index) = (L::splat(0.0), 0);
        while let Some(jumps) = more_jumps(&self.common_jumps, count, index) {
            let [decides, size, ..] = global_words(draw, Purpose::GlobalJumps, COUNT_INDEX + 1 + index);
            let jump = kou_jump(rng::open_unit_lanes(decides), rng::open_unit_lanes(size), &self.common);
            sum = L::select(jumps, sum + jump, sum);
            index += 1;
        }
        sum
    }

    /// The same of TAO/USD jumps.
    #[inline(always)]
    fn sum_tao_usd_jumps<L: PathLanes>(&self, draw: LaneDraw<L>, count: L) -> L {
        let (mut sum, mut index) = (L::splat(0.0), 0);
        while let Some(jumps) = more_jumps(&self.tao_usd_jumps, count, index) {
            let [normal, ..] = L::normals(global_words(draw, Purpose::GlobalJumps, TAO_USD_JUMP_INDEX + index));
            let jump = L::splat(self.jump_mean) + L::splat(self.jump_sd) * normal;
            sum = L::select(jumps, sum + jump, sum);
            index += 1;
        }
        sum
    }
}

/// Lanes that have more than `number` jumps by the thresholds of [`poisson_thresholds`], if any; `count` is the word's uniform
/// draw: the middle of its cell, which is below a threshold where the word is.
#[inline(always)]
fn more_jumps<L: PathLanes>(thresholds: &[u32], count: L, number: u16) -> Option<L::Mask> {
    let threshold = *thresholds.get(usize::from(number))?;
    let jumps = count.lt(L::splat(f64::from(threshold) / 4_294_967_296.0));
    L::any(jumps).then_some(jumps)
}

#[inline(always)]
fn global_words<L: Lanes>(draw: LaneDraw<L>, purpose: Purpose, index: u16) -> [L::Words; 4] {
    let purpose = L::Words::splat((purpose as u64) << 16 | u64::from(index));
    let counter = [draw.paths, L::Words::splat(u64::from(draw.step)), L::Words::splat(0), purpose];
    rng::philox4x32_lanes::<L>(counter, rng::key(draw.seed))
}
