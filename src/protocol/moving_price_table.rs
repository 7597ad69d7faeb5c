//! Factors of the moving price that depend on age alone, computed once for all paths of a batch.

use crate::protocol::params::ProtocolParams;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::Lanes8;
use crate::simd::Lanes;
use crate::simd::Vector;
use crate::simd::math;

/// Factors of eight slots over one step.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct AgeChunk {
    /// `l`: log of the part of the old average that is kept.
    pub log_keep: Lanes8,
    /// `e^l`.
    pub keep: Lanes8,
    /// `1 - e^l`.
    pub gain: Lanes8,
    /// `t`: growth of the smoothing within the step.
    pub tilt: Lanes8,
    /// `1 / (S0(r0) + t (S1(r0) - J S0(r0)))`.
    pub inverse_denominator: Lanes8,
}

impl AgeChunk {
    /// Factors that leave the average as it is.
    pub fn frozen() -> Self {
        let zero = [0.0; CHUNK_SLOTS];
        Self { log_keep: zero, keep: [1.0; 8], gain: zero, tilt: zero, inverse_denominator: zero }
    }

    /// Overwrites one lane.
    pub fn set(&mut self, lane: usize, factors: &AgeFactors<f64>) {
        self.log_keep[lane] = factors.log_keep;
        self.keep[lane] = factors.keep;
        self.gain[lane] = factors.gain;
        self.tilt[lane] = factors.tilt;
        self.inverse_denominator[lane] = factors.inverse_denominator;
    }
}

/// The factors of [`AgeChunk`] for one lane or eight.
#[derive(Clone, Copy, Debug)]
pub struct AgeFactors<L> {
    log_keep: L,
    keep: L,
    gain: L,
    tilt: L,
    inverse_denominator: L,
}

/// Smoothing per block by age, and the length of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgeRule {
    smoothing: f64,
    age_blocks: f64,
    blocks: f64,
}

impl AgeRule {
    /// The rule of `params` over steps of `blocks` blocks.
    pub fn new(params: &ProtocolParams, blocks: f64) -> Self {
        Self { smoothing: params.moving_price_smoothing, age_blocks: params.moving_price_age_blocks, blocks }
    }

    /// Factors of a step whose first sample has the age `first_age` (blocks since start_call, at least 1).
    ///
    /// ```text
    /// a_b = A b / (b + h)     b+- = first + (K - 1)/2 +- d     d = sqrt((K^2 - 1)/12)
    /// l = (K/2) (ln(1 - a(b-)) + ln(1 - a(b+)))     t = (a(b+) - a(b-)) / (d (a(b+) + a(b-)))
    /// ```
    ///
    /// Source: MODEL 3.5; exact at K = 1.
    #[inline(always)]
    pub fn factors<L: Lanes>(&self, first_age: L) -> AgeFactors<L> {
        let k = self.blocks;
        let half_width = ((k * k - 1.0) / 12.0).sqrt();
        let middle = first_age + L::splat(0.5 * (k - 1.0));
        let low = self.smoothing_at(middle - L::splat(half_width));
        let high = self.smoothing_at(middle + L::splat(half_width));
        let log_keep = L::splat(0.5 * k) * (math::ln_1p(-low) + math::ln_1p(-high));
        let gain = -math::exp_m1(log_keep);
        let keep = L::splat(1.0) - gain;
        if k == 1.0 {
            let (tilt, inverse_denominator) = (L::splat(0.0), L::splat(1.0));
            return AgeFactors { log_keep, keep, gain, tilt, inverse_denominator };
        }
        let tilt = (high - low) / (L::splat(half_width) * (high + low));
        let total = -log_keep;
        let rate = total * L::splat(1.0 / k);
        let (s0, s1) = geometric_sums(total, rate, math::exp_m1(rate), L::splat(k), k);
        let denominator = tilt.mul_add(s1 - L::splat(0.5 * (k - 1.0)) * s0, s0);
        AgeFactors { log_keep, keep, gain, tilt, inverse_denominator: L::splat(1.0) / denominator }
    }

    #[inline(always)]
    fn smoothing_at<L: Lanes>(&self, age: L) -> L {
        L::splat(self.smoothing) * (age / (age + L::splat(self.age_blocks)))
    }

    /// Fills a row of chunks for the step that opens after `block`; `start_age_offset` holds `first_emission_block - 2`,
    /// so that the first sample's age is `block - offset` (MECHANICS 8.1).
    #[inline(always)]
    pub fn fill_row<V: Vector>(&self, block: f64, start_age_offset: &[Lanes8], row: &mut [AgeChunk]) {
        for (chunk, offset) in row.iter_mut().zip(start_age_offset) {
            let age = (V::splat(block) - V::load(offset)).max(V::splat(1.0));
            let factors = self.factors(age);
            factors.log_keep.store(&mut chunk.log_keep);
            factors.keep.store(&mut chunk.keep);
            factors.gain.store(&mut chunk.gain);
            factors.tilt.store(&mut chunk.tilt);
            factors.inverse_denominator.store(&mut chunk.inverse_denominator);
        }
    }

    /// Factors of a subnet started at a step's end, for each count of steps since: the first sample has age 1.
    pub fn since_start(&self, steps: usize) -> Vec<AgeFactors<f64>> {
        (0..steps).map(|j| self.factors(1.0 + j as f64 * self.blocks)).collect()
    }
}

/// `S0` and `S1` of the effective price (MODEL 3.5), by their series where `|K r|` is below 1e-4. `rate_growth`: `expm1(r)`.
#[inline(always)]
pub(crate) fn geometric_sums<L: Lanes>(total: L, rate: L, rate_growth: L, k: L, blocks: f64) -> (L, L) {
    let one = L::splat(1.0);
    let small = total.abs().lt(L::splat(1e-4));
    let growth = math::exp_m1(total);
    let inverse = one / L::select(small, one, rate_growth);
    let s0 = growth * inverse;
    let s1 = (k * (growth + one) - (rate_growth + one) * s0) * inverse;
    let quadratic = L::splat((blocks - 1.0) * (2.0 * blocks - 1.0) / 12.0);
    let series0 = k * (one + rate * (L::splat(0.5 * (blocks - 1.0)) + rate * quadratic));
    let series1 = L::splat(0.5 * blocks * (blocks - 1.0)) * (one + rate * L::splat((2.0 * blocks - 1.0) / 3.0));
    (L::select(small, series0, s0), L::select(small, series1, s1))
}
