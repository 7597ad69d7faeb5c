//! Factors of the moving price that depend on age alone, computed once for all paths of a batch.

use crate::protocol::params::ProtocolParams;
use crate::protocol::quadrature::BlockQuadrature;
use crate::protocol::quadrature::NODES;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::Lanes8;
use crate::simd::Lanes;
use crate::simd::Vector;
use crate::simd::math;

/// Coefficients of a mean price beyond the constant 1.
pub const MEAN_TERMS: usize = 7;
/// Largest log move of the price within a step that they hold for.
pub const MEAN_MOVE_MAX: f64 = 0.5;

/// Zeros of the Chebyshev polynomial of degree [`MEAN_TERMS`].
const CHEBYSHEV: [f64; MEAN_TERMS] = [
    0.9749279121818236,
    0.7818314824680298,
    0.4338837391175581,
    0.0,
    -0.4338837391175581,
    -0.7818314824680298,
    -0.9749279121818236,
];

/// Factors of eight slots over one step.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct AgeChunk {
    /// `1 - e^l`: part of the old average that is replaced.
    pub gain: Lanes8,
    /// Coefficients `c` of [`AgeFactors`].
    pub mean: [Lanes8; MEAN_TERMS],
    /// `t`: growth of the smoothing within the step.
    pub tilt: Lanes8,
}

impl AgeChunk {
    /// Factors that leave the average as it is.
    pub fn frozen() -> Self {
        Self { gain: [0.0; CHUNK_SLOTS], mean: [[0.0; CHUNK_SLOTS]; MEAN_TERMS], tilt: [0.0; CHUNK_SLOTS] }
    }

    /// Takes all lanes over: a few vectors, where a copy of the struct would be a call.
    #[inline(always)]
    pub fn copy_from<V: Vector>(&mut self, other: &Self) {
        V::load(&other.gain).store(&mut self.gain);
        V::load(&other.tilt).store(&mut self.tilt);
        for (lanes, other) in self.mean.iter_mut().zip(&other.mean) {
            V::load(other).store(lanes);
        }
    }

    /// Overwrites one lane.
    #[inline(always)]
    pub fn set(&mut self, lane: usize, factors: &AgeFactors<f64>) {
        self.gain[lane] = factors.gain;
        for (lanes, coefficient) in self.mean.iter_mut().zip(factors.mean) {
            lanes[lane] = coefficient;
        }
        self.tilt[lane] = factors.tilt;
    }
}

/// The factors of [`AgeChunk`] for one lane or eight.
///
/// The step's samples enter the average with weights that grow with the block: `w_j = e^(-l j/K) (1 + t (j - (K - 1)/2))`. What a
/// price that moves evenly by `s` in logs contributes is its mean under them,
///
/// ```text
/// M(s) = sum_j w_j e^(s j/K) / sum_j w_j = 1 + c_1 s + c_2 s^2 + .. + c_7 s^7     j = 0..K-1, |s| <= 1/2, error 1e-9
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AgeFactors<L> {
    gain: L,
    mean: [L; MEAN_TERMS],
    tilt: L,
}

/// Smoothing per block by age, and the length of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgeRule {
    smoothing: f64,
    age_blocks: f64,
    blocks: f64,
    quadrature: BlockQuadrature,
    /// Of each coefficient of the mean: what a unit of weight on each node gives.
    terms: [[f64; NODES]; MEAN_TERMS],
}

impl AgeRule {
    /// The rule of `params` over steps of `blocks` blocks.
    pub fn new(params: &ProtocolParams, blocks: u64) -> Self {
        let quadrature = BlockQuadrature::new(blocks);
        let k = blocks as f64;
        let mut terms = [[0.0; NODES]; MEAN_TERMS];
        for (node, x) in quadrature.nodes.iter().enumerate() {
            for (term, coefficient) in terms.iter_mut().zip(exponential_terms((x + 0.5 * (k - 1.0)) / k)) {
                term[node] = coefficient;
            }
        }
        Self {
            smoothing: params.moving_price_smoothing,
            age_blocks: params.moving_price_age_blocks,
            blocks: k,
            quadrature,
            terms,
        }
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
        let mut mean = [L::splat(0.0); MEAN_TERMS];
        if k == 1.0 {
            return AgeFactors { gain, mean, tilt: L::splat(0.0) };
        }
        let tilt = (high - low) / (L::splat(half_width) * (high + low));
        let mut sum = L::splat(0.0);
        for (i, (node, share)) in self.quadrature.nodes.iter().zip(self.quadrature.weights).enumerate() {
            let growth = L::splat(share) * math::exp(log_keep * L::splat(-node / k));
            let weight = growth * tilt.mul_add(L::splat(*node), L::splat(1.0));
            sum = sum + weight;
            for (coefficient, term) in mean.iter_mut().zip(&self.terms) {
                *coefficient = weight.mul_add(L::splat(term[i]), *coefficient);
            }
        }
        let inverse = L::splat(1.0) / sum;
        for coefficient in &mut mean {
            *coefficient = *coefficient * inverse;
        }
        AgeFactors { gain, mean, tilt }
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
            factors.gain.store(&mut chunk.gain);
            factors.tilt.store(&mut chunk.tilt);
            for (coefficient, lanes) in factors.mean.iter().zip(&mut chunk.mean) {
                coefficient.store(lanes);
            }
        }
    }

    /// Factors of a subnet started at a step's end, for each count of steps since: the first sample has age 1.
    pub fn since_start(&self, steps: usize) -> Vec<AgeFactors<f64>> {
        (0..steps).map(|j| self.factors(1.0 + j as f64 * self.blocks)).collect()
    }
}

/// Coefficients of `s^1 ..` in `e^(s x)`, by interpolation of `expm1(s x)/s` at Chebyshev's nodes (Newton's divided differences).
fn exponential_terms(x: f64) -> [f64; MEAN_TERMS] {
    let nodes = CHEBYSHEV.map(|node| MEAN_MOVE_MAX * node);
    let mut divided = nodes.map(|s| if s == 0.0 { x } else { math::exp_m1(s * x) / s });
    for order in 1..MEAN_TERMS {
        for i in (order..MEAN_TERMS).rev() {
            divided[i] = (divided[i] - divided[i - 1]) / (nodes[i] - nodes[i - order]);
        }
    }
    let mut polynomial = [0.0; MEAN_TERMS];
    for (difference, node) in divided.iter().zip(nodes).rev() {
        for i in (1..MEAN_TERMS).rev() {
            polynomial[i] = polynomial[i - 1] - node * polynomial[i];
        }
        polynomial[0] = difference - node * polynomial[0];
    }
    polynomial
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::upgrades;

    #[test]
    fn mean_prices_are_those_of_every_block() {
        for blocks in [2_u64, 7, 60, 360, 7_200] {
            let rule = AgeRule::new(&upgrades::current_params(), blocks);
            let k = blocks as f64;
            for age in [1.0, 500.0, 7_201.0, 100_000.0, 3e6] {
                let factors = rule.factors(age);
                let rate = -math::ln_1p(-factors.gain) / k;
                let weight = |j: f64| (rate * j).exp() * (1.0 + factors.tilt * (j - 0.5 * (k - 1.0)));
                let total: f64 = (0..blocks).map(|j| weight(j as f64)).sum();
                for s in [-0.5, -0.3, -0.01, 1e-6, 0.05, 0.21, 0.5_f64] {
                    let direct = (0..blocks).map(|j| weight(j as f64) * (s * j as f64 / k).exp()).sum::<f64>() / total;
                    let mean = 1.0 + s * math::horner(s, &factors.mean);
                    assert!(
                        (mean / direct - 1.0).abs() < 1e-9,
                        "{blocks} blocks, age {age}, move {s}: {mean}, not {direct}"
                    );
                }
            }
        }
    }
}
