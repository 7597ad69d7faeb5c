//! Answers of flows to prices, dividends and lost emission: momentum, yield chasing, capital flight (MODEL 4.1, "Feedback").
//!
//! ```text
//! feedback = momentum clip(ln(min(p, 1) / m), +- 0.5) + dividends (yield - mean yield) - flight [enabled, no emission]    per day
//! ```
//!
//! `p`: spot price; `m`: moving price; yield: alpha dividends per staked alpha and day, the mean over started subnets. Prices and
//! yields are those of the step's opening; within a step of more than one block the gap `ln(p / m)` moves on with the
//! flow, since it closes in about a day.
//!
//! # Not modelled
//! - A gap that closes by more than about itself in a substep: the substeps are wrong there. It takes an average below a tenth of
//!   the price after months; an entrant's first days are no such case, since its average hardly moves.
//! - What the coinbase does to the price within the step: 3 to 5 % of the feedback of a day's steps (momentum -0.5, drift 0.02 a
//!   day, emission on).
//! - Root's part of dividends where the rules of the time give it back to validators: the yield is without it.

use crate::model::extra::ExtraFlows;
use crate::model::params::FeedbackParams;
use crate::protocol::moving_price::PRICE_CAP;
use crate::protocol::moving_price_table::AgeChunk;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::MAX_CHUNKS;
use crate::protocol::slots::SlotSingles;
use crate::protocol::slots::SlotValues;
use crate::simd::Lanes;
use crate::simd::Vector;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Largest absolute gap that momentum answers to.
const GAP_CLIP: f64 = 0.5;
/// Substeps of a step of more than one block.
const SUBSTEPS: u32 = 20;
/// Below this `(e^z - 1 - z) / z^2` is its series.
const SERIES_BELOW: f64 = 0.05;
/// Coefficients of that series: `1 / (k + 2)!`.
const PHI_2: [f64; 8] =
    [1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5_040.0, 1.0 / 40_320.0, 1.0 / 362_880.0];

/// Constants of the feedback over one step length.
#[derive(Clone, Copy, Debug)]
pub struct FeedbackStep {
    params: FeedbackParams,
    blocks: f64,
    days: f64,
}

/// What of the chain's rules and state the yield of all slots depends on.
#[derive(Clone, Copy, Debug)]
pub struct DividendTerms {
    /// TAO staked on root times its weight.
    pub weighted_root_tao: f64,
    /// Part of alpha emission that owners take.
    pub owner_cut: f64,
}

impl FeedbackStep {
    /// Constants for steps of `blocks` blocks; `None`: flows do not answer to anything.
    pub fn new(params: &FeedbackParams, blocks: u64) -> Option<Self> {
        let days = blocks as f64 / BLOCKS_PER_DAY as f64;
        (*params != FeedbackParams::default()).then_some(Self { params: *params, blocks: blocks as f64, days })
    }

    /// Adds what answers to dividends and to lost emission to `drift`. `share`: of TAO emission, or in proportion to it.
    #[inline(always)]
    pub fn add_answers<V: Vector>(
        &self,
        terms: DividendTerms,
        chain: &[ChainChunk],
        share: &SlotValues,
        drift: &mut SlotSingles,
    ) {
        let FeedbackParams { dividends, flight, .. } = self.params;
        if dividends == 0.0 && flight == 0.0 {
            return;
        }
        let mut yields = [[0.0; CHUNK_SLOTS]; MAX_CHUNKS];
        let mean = dividend_yields::<V>(terms, chain, &mut yields);
        let (response, flight) = (V::splat(dividends * self.days), V::splat(-flight * self.days));
        let zero = V::splat(0.0);
        let rows = chain.as_chunks::<2>().0.iter().zip(&mut drift.0);
        for (i, (pair, row)) in rows.enumerate() {
            let mut answers = [zero; 2];
            for (half, (chunk, answer)) in pair.iter().zip(&mut answers).enumerate() {
                let gets_none = V::load(&share.0[2 * i + half]).le(zero) & V::load(&chunk.enabled).gt(zero);
                let excess = V::load(&yields[2 * i + half]) - V::splat(mean);
                *answer = response.mul_add(excess, V::select(gets_none, flight, zero));
            }
            V::store_singles(V::load_singles(row) + V::narrow(answers[0], answers[1]), row);
        }
    }

    /// Adds momentum to `extra.drift`: its answer to the gap that opens the step, and within the step to what the whole flow
    /// makes of it. `ages`: age factors of a chunk.
    #[inline(always)]
    pub fn add_momentum<'a, V: Vector>(
        &self,
        chain: &[ChainChunk],
        ages: impl Fn(usize) -> &'a AgeChunk,
        extra: &mut ExtraFlows,
    ) {
        if self.params.momentum == 0.0 {
            return;
        }
        let ExtraFlows { organic, drift, moves, .. } = extra;
        let rows = chain.as_chunks::<2>().0.iter().zip(&mut drift.0);
        for (i, ([a, b], row)) in rows.enumerate() {
            let other = V::load_singles(row) + (V::load_singles(&organic.0[i]) + V::load_singles(&moves.0[i]));
            let mut flow = [0.0; 2 * CHUNK_SLOTS];
            V::store_singles(other, &mut flow);
            let halves: &[[f32; CHUNK_SLOTS]] = flow.as_chunks().0;
            let first = self.momentum_of::<V>(a, ages(2 * i), V::load_wide(&halves[0]));
            let last = self.momentum_of::<V>(b, ages(2 * i + 1), V::load_wide(&halves[1]));
            V::store_singles(V::load_singles(row) + V::narrow(first, last), row);
        }
    }

    /// Momentum's flow of eight slots; 0 where a subnet is not started or has no moving price yet.
    #[inline(always)]
    fn momentum_of<V: Vector>(&self, chunk: &ChainChunk, ages: &AgeChunk, flow: V) -> V {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let weight_alpha = one - V::load(&chunk.weight_tao);
        let price =
            weight_alpha * V::load(&chunk.reserve_tao) / (V::load(&chunk.weight_tao) * V::load(&chunk.reserve_alpha));
        let moving_price = V::load(&chunk.moving_price);
        let answers = moving_price.gt(zero) & V::load(&chunk.started).gt(zero);
        let gap = math::ln(V::select(answers, V::splat(PRICE_CAP).min(price) / moving_price, one));
        if self.blocks == 1.0 {
            return V::splat(self.params.momentum * self.days) * clip(gap);
        }
        let log_keep = math::ln_1p(-V::load(&ages.gain));
        let course = GapCourse {
            gap,
            inverse_weight: one / weight_alpha,
            rate: -(log_keep * V::splat(1.0 / self.days)),
            rate_tilt: V::load(&ages.tilt) * V::splat(self.blocks),
        };
        V::select(answers, course.momentum(self.params.momentum, self.days, flow), zero)
    }
}

/// Alpha dividends per staked alpha and day of every slot, 0 where nothing is staked; returns their mean over started subnets.
#[inline(always)]
fn dividend_yields<V: Vector>(terms: DividendTerms, chain: &[ChainChunk], yields: &mut [Lanes8; MAX_CHUNKS]) -> f64 {
    let (zero, root) = (V::splat(0.0), V::splat(terms.weighted_root_tao));
    let validator_part = V::splat(0.5 * (1.0 - terms.owner_cut) * BLOCKS_PER_DAY as f64);
    let (mut sum, mut count) = (zero, zero);
    for (chunk, yields) in chain.iter().zip(yields) {
        let (staked, started) = (V::load(&chunk.staked_alpha), V::load(&chunk.started));
        let issuance = chunk.issuance::<V>();
        let paid = V::load(&chunk.alpha_emission) * started * validator_part * (issuance / (root + issuance));
        let of_slot = V::select(staked.gt(zero), paid / staked, zero);
        of_slot.store(yields);
        (sum, count) = (sum + of_slot, count + started);
    }
    sum.sum_halving() / count.sum_halving().max(1.0)
}

/// How the gap `g = ln(p / m)` of a slot goes on within a step.
#[derive(Clone, Copy, Debug)]
struct GapCourse<L> {
    /// At the opening.
    gap: L,
    /// `1 / w1`, by which a log move of the TAO reserve moves the log price.
    inverse_weight: L,
    /// Mean rate at which the moving price follows the price (per day).
    rate: L,
    /// How that rate grows: the change from the first block to the last, relative to the mean.
    rate_tilt: L,
}

impl<L: Lanes> GapCourse<L> {
    /// Momentum's flow over a step of `days` days whose other flow is `flow`, by exponential Euler steps on the gap.
    ///
    /// ```text
    /// R = (F/D + k clip(g))/w1 - th (e^g - 1)     J = [|g| < 0.5] k/w1 - th e^g     ph = (e^(J h) - 1)/J     h = D/20
    /// f += k (clip(g) h + [|g| < 0.5] R (ph - h)/J)     g += R ph
    /// ```
    ///
    /// Source: MODEL 4.1. Where the gap is clipped the flow is exact in the gap; the quotients by J are kept accurate near J = 0.
    #[inline(always)]
    fn momentum(self, kappa: f64, days: f64, flow: L) -> L {
        let h = days / f64::from(SUBSTEPS);
        let (zero, one, step) = (L::splat(0.0), L::splat(1.0), L::splat(h));
        let other = flow * L::splat(1.0 / days) * self.inverse_weight;
        let response = L::splat(kappa) * self.inverse_weight;
        let (mut gap, mut sum) = (self.gap, zero);
        for number in 0..SUBSTEPS {
            let middle = (f64::from(number) + 0.5) / f64::from(SUBSTEPS) - 0.5;
            let rate = self.rate * self.rate_tilt.mul_add(L::splat(middle), one);
            let (clipped, excess) = (clip(gap), math::exp_m1(gap));
            let is_open = gap.abs().lt(L::splat(GAP_CLIP));
            let slope = (response * clipped + other) - rate * excess;
            let steepness = L::select(is_open, response, zero) - rate * (excess + one);
            let (first, second) = phi(steepness * step);
            let bend = L::select(is_open, slope * step * second, zero);
            sum = sum + (clipped + bend) * step;
            gap = gap + slope * step * first;
        }
        L::splat(kappa) * sum
    }
}

#[inline(always)]
fn clip<L: Lanes>(gap: L) -> L {
    L::splat(GAP_CLIP).min(L::splat(-GAP_CLIP).max(gap))
}

/// `(e^z - 1) / z` and `(e^z - 1 - z) / z^2`.
#[inline(always)]
fn phi<L: Lanes>(z: L) -> (L, L) {
    let one = L::splat(1.0);
    let is_small = z.abs().lt(L::splat(SERIES_BELOW));
    let safe = L::select(is_small, one, z);
    let first = math::exp_m1(safe) / safe;
    let series = math::horner(z, &PHI_2);
    (L::select(is_small, series.mul_add(z, one), first), L::select(is_small, series, (first - one) / safe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Backend;
    use crate::simd::Kernel;
    use crate::simd::dispatch;

    /// Openings that reach every branch: gaps inside, at and beyond the clip, sold and bought flows, responses that cancel the
    /// closing of the gap, slow and fast averages, tilted ages and weights.
    fn courses() -> Vec<(f64, GapCourse<f64>, f64)> {
        let mut courses = Vec::new();
        for kappa in [-0.3, 0.0215, 0.5, 3.0] {
            for gap in [-6.0, -0.7, -0.5, -0.2, 0.0, 0.03, 0.49, 2.0, 15.0] {
                for flow in [-0.8, -0.02, 0.0, 0.05, 1.3] {
                    for (rate, rate_tilt) in [(0.0, 0.0), (0.043, 1.9), (1.07, 0.02), (2.16, 0.0)] {
                        courses.push((kappa, GapCourse { gap, inverse_weight: 1.0 / 0.47, rate, rate_tilt }, flow));
                    }
                }
            }
        }
        courses
    }

    /// The text of MODEL 4.1 with the standard library's functions; the limit of `(ph - h) / J` where it cancels.
    fn reference(kappa: f64, course: GapCourse<f64>, days: f64, flow: f64) -> f64 {
        let (mut g, mut f, h) = (course.gap, 0.0, days / 20.0);
        for number in 0..20 {
            let th = course.rate * (1.0 + course.rate_tilt * ((f64::from(number) + 0.5) / 20.0 - 0.5));
            let clipped = g.clamp(-0.5, 0.5);
            let inside = if g.abs() < 0.5 { 1.0 } else { 0.0 };
            let r = (flow / days + kappa * clipped) * course.inverse_weight - th * g.exp_m1();
            let j = inside * kappa * course.inverse_weight - th * g.exp();
            let is_flat = (j * h).abs() < 1e-6;
            let ph = if is_flat { h + 0.5 * j * h * h } else { (j * h).exp_m1() / j };
            let bend = if is_flat { 0.5 * h * h } else { (ph - h) / j };
            f += kappa * (clipped * h + inside * r * bend);
            g += r * ph;
        }
        f
    }

    #[test]
    fn momentum_is_that_of_the_text() {
        for days in [1.0, 0.05] {
            for (kappa, course, flow) in courses() {
                let (found, expected) = (course.momentum(kappa, days, flow), reference(kappa, course, days, flow));
                let tolerance = 1e-9 * (kappa.abs() * days + expected.abs());
                assert!((found - expected).abs() < tolerance, "{kappa}, {course:?}, {flow}: {found}, not {expected}");
            }
        }
    }

    /// Against 20,000 Euler steps of the gap, where it closes by less than itself in a substep.
    #[test]
    fn momentum_is_close_to_the_gap_s_course() {
        let mut worst = 0.0_f64;
        let reached = |(_, course, _): &(f64, GapCourse<f64>, f64)| course.rate * course.gap.exp() < 4.0;
        for (kappa, course, flow) in courses().into_iter().filter(reached) {
            let steps = 20_000;
            let h = 1.0 / f64::from(steps);
            let (mut g, mut f) = (course.gap, 0.0);
            for number in 0..steps {
                let th = course.rate * (1.0 + course.rate_tilt * ((f64::from(number) + 0.5) * h - 0.5));
                let response = kappa * g.clamp(-0.5, 0.5);
                f += response * h;
                g += ((flow + response) * course.inverse_weight - th * g.exp_m1()) * h;
            }
            worst = worst.max((course.momentum(kappa, 1.0, flow) - f).abs() / (0.5 * kappa.abs()));
        }
        assert!(worst < 0.02, "{worst}");
    }

    #[test]
    fn quotients_are_accurate_about_zero() {
        // 1 + z/first (1 + z/(first + 1) (1 + ..)).
        let series = |first: i32, z: f64| (first..30).rev().fold(1.0, |sum, k| 1.0 + z / f64::from(k) * sum);
        for z in [-0.9, -0.050_001, -0.049_999, -1e-3, -1e-9, 0.0, 1e-12, 0.02, 0.049_999, 0.050_001, 0.9] {
            let (first, second) = phi(z);
            assert!((first / series(2, z) - 1.0).abs() < 1e-14, "{z}: {first}");
            assert!((second / (0.5 * series(3, z)) - 1.0).abs() < 1e-13, "{z}: {second}");
        }
        assert_eq!(phi(0.0), (1.0, 0.5));
        let (first, second) = phi(-800.0);
        assert!((first - 1.0 / 800.0).abs() < 1e-15 && (second - 799.0 / 640_000.0).abs() < 1e-15);
    }

    fn chain() -> Vec<ChainChunk> {
        let mut chain = vec![ChainChunk::empty(); 4];
        for slot in 0..24 {
            let (chunk, lane) = (&mut chain[slot / CHUNK_SLOTS], slot % CHUNK_SLOTS);
            chunk.reserve_tao[lane] = 1_000.0 + 10.0 * slot as f64;
            chunk.reserve_alpha[lane] = 50_000.0;
            chunk.staked_alpha[lane] = if slot == 5 { 0.0 } else { 100_000.0 + 5_000.0 * slot as f64 };
            chunk.moving_price[lane] = if slot == 6 { 0.0 } else { 0.02 };
            chunk.weight_tao[lane] = 0.52;
            chunk.alpha_emission[lane] = 1.0;
            chunk.started[lane] = if slot == 7 { 0.0 } else { 1.0 };
            chunk.enabled[lane] = if slot % 2 == 0 { 1.0 } else { 0.0 };
        }
        chain
    }

    struct Answers<'a>(&'a FeedbackStep, &'a SlotValues);

    impl Kernel for Answers<'_> {
        type Output = ExtraFlows;

        #[inline(always)]
        fn run<V: Vector>(self) -> ExtraFlows {
            let mut extra = ExtraFlows::default();
            let terms = DividendTerms { weighted_root_tao: 1e6, owner_cut: 0.18 };
            self.0.add_answers::<V>(terms, &chain(), self.1, &mut extra.drift);
            let mut ages = AgeChunk::frozen();
            ages.gain = [0.3; CHUNK_SLOTS];
            self.0.add_momentum::<V>(&chain(), |_| &ages, &mut extra);
            extra
        }
    }

    fn answers(params: FeedbackParams, blocks: u64) -> Vec<f64> {
        let step = FeedbackStep::new(&params, blocks).expect("an answer");
        let mut share = SlotValues::splat(0.01);
        share.set(2, 0.0);
        share.set(3, 0.0);
        let of = |backend| dispatch(backend, Answers(&step, &share)).drift;
        let drift = of(Backend::Portable);
        assert!(Backend::available().into_iter().all(|backend| of(backend).0 == drift.0));
        (0..32).map(|slot| f64::from(drift.get(slot))).collect()
    }

    #[test]
    fn capital_leaves_enabled_subnets_without_emission() {
        let found = answers(FeedbackParams { flight: 0.002, ..FeedbackParams::default() }, BLOCKS_PER_DAY);
        let expected = |slot: usize| if slot == 2 { f64::from(-0.002_f32) } else { 0.0 };
        assert!((0..32).all(|slot| found[slot] == expected(slot)), "{found:?}");
    }

    #[test]
    fn dividends_draw_flows_by_what_they_pay_above_the_mean() {
        let found = answers(FeedbackParams { dividends: 0.2, ..FeedbackParams::default() }, BLOCKS_PER_DAY / 2);
        let chain = chain();
        let per_day = |slot: usize| {
            let (chunk, lane) = (&chain[slot / CHUNK_SLOTS], slot % CHUNK_SLOTS);
            let issuance = chunk.issuance_alpha(lane);
            let paid = 7_200.0 * 0.41 * (1.0 - 1e6 / (1e6 + issuance)) * chunk.started[lane];
            if chunk.staked_alpha[lane] > 0.0 { paid / chunk.staked_alpha[lane] } else { 0.0 }
        };
        let mean = (0..24).map(per_day).sum::<f64>() / 23.0;
        for (slot, found) in found.iter().enumerate().take(24) {
            let expected = 0.2 * 0.5 * (per_day(slot) - mean);
            assert!((found - expected).abs() < 1e-8, "{slot}: {found}, not {expected}");
        }
        assert!(found[0] > 0.0 && found[5] < 0.0 && found[23] < 0.0);
    }

    #[test]
    fn momentum_follows_the_gap_of_started_subnets_with_an_average() {
        let params = FeedbackParams { momentum: 0.4, ..FeedbackParams::default() };
        let (block, day) = (answers(params, 1), answers(params, BLOCKS_PER_DAY));
        for slot in 0..24 {
            let price: f64 = 0.48 * (1_000.0 + 10.0 * slot as f64) / (0.52 * 50_000.0);
            let gap = (price / 0.02).ln();
            let answers = !matches!(slot, 6 | 7);
            let expected = if answers { 0.4 / 7_200.0 * gap } else { 0.0 };
            assert!((block[slot] - expected).abs() < 1e-11, "{slot}: {}, not {expected}", block[slot]);
            let course = GapCourse { gap, inverse_weight: 1.0 / 0.48, rate: -(0.7_f64.ln()), rate_tilt: 0.0 };
            let expected = if answers { reference(0.4, course, 1.0, 0.0) } else { 0.0 };
            assert!((day[slot] - expected).abs() < 1e-8, "{slot}: {}, not {expected}", day[slot]);
        }
        assert!(day[0] < 0.0 && day[23] > 0.0, "prices below and above their averages");
    }
}
