//! What all subnets of a path share: the common flow factor, TAO/USD, the willingness to pay for a slot.

use crate::model::bridge::NormalLaw;
use crate::model::jumps::kou_jump;
use crate::model::jumps::poisson_thresholds;
use crate::model::kernel::CommonFlow;
use crate::model::kernel::Draw;
use crate::model::params::JumpParams;
use crate::model::params::ModelParams;
use crate::model::params::TaoUsdParams;
use crate::model::path_lanes::PathLanes;
use crate::model::tilt::NormalJumps;
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

/// What was drawn for a step.
#[derive(Clone, Copy, Debug)]
pub struct SharedDraws<L> {
    /// Sum of the normals of the common factor, one for each drawn step.
    pub common: L,
    /// Sum of TAO/USD's own normals, likewise.
    pub tao_usd: L,
    /// Sum of the common jumps, in units of the scale.
    pub common_jump: L,
    /// Sum of the log jumps of TAO/USD.
    pub tao_usd_jump: L,
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

    /// The same with other laws of the jumps that are drawn, over steps of `days` days; drifts go on to answer to those of before.
    #[must_use]
    pub fn with_drawn_jumps(self, common: JumpParams, tao_usd: &NormalJumps, days: f64) -> Self {
        let days = days / f64::from(self.draws);
        Self {
            common,
            common_jumps: poisson_thresholds(common.rate_per_day * days),
            tao_usd_jumps: poisson_thresholds(tao_usd.rate_per_day * days),
            jump_mean: tao_usd.mean,
            jump_sd: tao_usd.sd,
            ..self
        }
    }

    /// Moves the shared processes of a path one step on and returns what its flows share.
    #[inline(always)]
    pub fn advance(&self, draw: Draw, outside: &mut Outside) -> CommonFlow {
        let Draw { seed, path, step, .. } = draw;
        let paths = Words::splat(u64::from(path));
        let draws = self.advance_lanes::<f64>(LaneDraw { seed, paths, step }, outside, None);
        CommonFlow { factor: self.factor(&draws), jump: draws.common_jump }
    }

    /// The same of a path in each lane, and what was drawn. `laws`: of each normal of the common factor, and of
    /// TAO/USD's own, where they are not standard.
    #[inline(always)]
    pub fn advance_lanes<L: PathLanes>(
        &self,
        draw: LaneDraw<L>,
        outside: &mut Outside<L>,
        laws: Option<[NormalLaw; 2]>,
    ) -> SharedDraws<L> {
        let first = draw.step * self.draws;
        let mut draws = self.advance_once(LaneDraw { step: first, ..draw }, outside, laws);
        for step in first + 1..first + self.draws {
            let more = self.advance_once(LaneDraw { step, ..draw }, outside, laws);
            draws.common = draws.common + more.common;
            draws.tao_usd = draws.tao_usd + more.tao_usd;
            draws.common_jump = draws.common_jump + more.common_jump;
            draws.tao_usd_jump = draws.tao_usd_jump + more.tao_usd_jump;
        }
        draws
    }

    /// The common factor that flows share.
    #[inline(always)]
    pub fn factor<L: Lanes>(&self, draws: &SharedDraws<L>) -> L {
        L::splat(self.inverse_root_draws) * draws.common
    }

    /// One drawn step.
    #[inline(always)]
    fn advance_once<L: PathLanes>(
        &self,
        draw: LaneDraw<L>,
        outside: &mut Outside<L>,
        laws: Option<[NormalLaw; 2]>,
    ) -> SharedDraws<L> {
        let [mut common, mut own, willingness] = L::normals(global_words(draw, Purpose::GlobalNormals, 0));
        if let Some([of_common, of_own]) = laws {
            (common, own) = (of_common.of(common), of_own.of(own));
        }
        let [common_count, tao_usd_count, ..] = global_words(draw, Purpose::GlobalJumps, COUNT_INDEX);
        let shock = L::splat(self.correlation) * common + L::splat(self.own_correlation) * own;
        let tao_usd_jump = self.sum_tao_usd_jumps(draw, rng::open_unit_lanes(tao_usd_count));
        let move_log = L::splat(self.tao_usd_drift) + L::splat(self.tao_usd_volatility) * shock + tao_usd_jump;
        outside.tao_usd = outside.tao_usd * math::exp(move_log);
        outside.log_willingness =
            L::splat(self.persistence) * outside.log_willingness + L::splat(self.innovation) * willingness;
        let common_jump = self.sum_common_jumps(draw, rng::open_unit_lanes(common_count));
        SharedDraws { common, tao_usd: own, common_jump, tao_usd_jump }
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

/// What is known without simulation of TAO/USD after some days, where neither the market has states nor shocks strike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateMoments {
    /// Mean of the log of the rate over that of the start.
    pub log_mean: f64,
    /// Its variance.
    pub log_variance: f64,
    /// Mean of the rate over that of the start.
    pub growth: f64,
    /// Covariance of the log with the normed sum of the common factor's normals.
    pub factor_covariance: f64,
}

impl RateMoments {
    /// Of a jump diffusion in logs with compensated jumps:
    ///
    /// ```text
    /// E ln = (drift - vol^2/2 - rate (E e^J - 1) + rate E J) t    Var ln = (vol^2 + rate E J^2) t    E e^ln = e^(drift t)
    /// ```
    ///
    /// Means of what is drawn from 32-bit words are so up to 2^-24.
    pub fn new(params: &TaoUsdParams, days: f64) -> Self {
        let (variance, rate) =
            (params.volatility_per_sqrt_day * params.volatility_per_sqrt_day, params.jump_rate_per_day);
        let (jump_mean, jump_variance) = (params.jump_mean, params.jump_sd * params.jump_sd);
        let compensator = rate * math::exp_m1(jump_mean + 0.5 * jump_variance);
        Self {
            log_mean: (params.drift_per_day - 0.5 * variance - compensator + rate * jump_mean) * days,
            log_variance: (variance + rate * (jump_mean * jump_mean + jump_variance)) * days,
            growth: math::exp(params.drift_per_day * days),
            factor_covariance: params.volatility_per_sqrt_day * params.correlation_with_flow * days.sqrt(),
        }
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
