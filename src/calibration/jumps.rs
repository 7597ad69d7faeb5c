//! Distribution of a normal flow with its jumps, in closed form up to two jumps.
//!
//! ```text
//! P(sigma Z + J <= x) = sum_n P(N = n) F_n(x)        three jumps and more stand with two
//! F of Z and an upward jump:  Phi(x/s) - T(x)                                    T = exp(s^2/(2 m^2) - x/m) Phi(x/s - s/m)
//! F of Z and two of them:     Phi(x/s) - T(x) (1 + x/m - s^2/m^2) - (s/m) phi(x/s)
//! ```
//!
//! `s`: deviation of the normal part, `m`: mean jump. Downward jumps mirror it; one up and one down sum to a two-sided
//! exponential. Source: Kou (2002), doi:10.1287/mnsc.48.8.1086, appendix B, worked out for two jumps.

use statrs::function::erf::erfc;

use crate::model::params::JumpParams;
use crate::simd::math;

/// Density of the standard normal law.
pub(crate) fn normal_density(x: f64) -> f64 {
    math::exp(-0.5 * x * x) * 0.398_942_280_401_432_7
}

/// Distribution function of the standard normal law.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// Below this the ratio of the tail to the density is a series: the tail itself would be lost in underflow (1e-5 of it).
const TAIL: f64 = -8.0;

/// `T` of the module's formulas.
fn tilted(x: f64, sd: f64, mean: f64) -> f64 {
    let w = x / sd - sd / mean;
    if w > TAIL {
        return math::exp(sd * sd / (2.0 * mean * mean) - x / mean) * normal_cdf(w);
    }
    let square = 1.0 / (w * w);
    normal_density(x / sd) / -w * (1.0 - square * (1.0 - square * (3.0 - 15.0 * square)))
}

/// What jumps of one direction take from the distribution function: by one, and by two.
fn taken(x: f64, sd: f64, mean: f64) -> [f64; 2] {
    let once = tilted(x, sd, mean);
    let ratio = sd / mean;
    [once, once * (1.0 + x / mean - ratio * ratio) + ratio * normal_density(x / sd)]
}

/// Distribution function of `sd Z` and the jumps of a day, at `x`.
pub(crate) fn jumping_normal_cdf(x: f64, sd: f64, law: &JumpParams) -> f64 {
    let none = math::exp(-law.rate_per_day);
    let one = law.rate_per_day * none;
    let two = 1.0 - none - one;
    let (up, down) = (law.up_probability, 1.0 - law.up_probability);
    let [up_once, up_twice] = taken(x, sd, law.up_mean);
    let [down_once, down_twice] = taken(-x, sd, law.down_mean);
    let up_part = law.up_mean / (law.up_mean + law.down_mean);
    let one_taken = up * up_once - down * down_once;
    let both = up_part * up_once - (1.0 - up_part) * down_once;
    let two_taken = up * up * up_twice - down * down * down_twice + 2.0 * up * down * both;
    (normal_cdf(x / sd) - one * one_taken - two * two_taken).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::jumps::kou_jump;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;

    const LAW: JumpParams = JumpParams { rate_per_day: 0.8, up_probability: 0.6, up_mean: 2.0, down_mean: 0.7 };

    /// Share of drawn sums of a normal and exactly `jumps` jumps that are at most `x`.
    fn drawn(x: f64, sd: f64, jumps: u16, samples: u32) -> f64 {
        let below = (0..samples).filter(|&path| {
            let words = |index| rng::words(5, Address { path, step: 0, slot: 0, purpose: Purpose::SlotJump, index });
            let sum = (1..=jumps).fold(sd * rng::normals4(words(0))[0], |sum, index| {
                let [decides, size, ..] = words(index).map(rng::open_unit);
                sum + kou_jump(decides, size, &LAW)
            });
            sum <= x
        });
        below.count() as f64 / f64::from(samples)
    }

    #[test]
    fn the_distribution_is_that_of_drawn_sums() {
        const SAMPLES: u32 = 200_000;
        let probabilities = [(-0.8_f64).exp(), 0.8 * (-0.8_f64).exp(), 1.0 - 1.8 * (-0.8_f64).exp()];
        for (sd, x) in [(0.5, 0.3), (0.5, -1.2), (1.5, 2.5), (0.2, 4.0), (6.0, -7.0)] {
            let expected: f64 = (0..3).map(|n| probabilities[n as usize] * drawn(x, sd, n, SAMPLES)).sum();
            let found = jumping_normal_cdf(x, sd, &LAW);
            assert!(
                (found - expected).abs() < 4.0 * (0.25 / f64::from(SAMPLES)).sqrt(),
                "{sd}, {x}: {found}, not {expected}"
            );
        }
    }

    #[test]
    fn the_tail_joins_the_rest() {
        for (sd, mean) in [(1.0, 0.125), (3.0, 0.3)] {
            let edge = sd * (TAIL + sd / mean);
            let [below, above] = [edge - 1e-9, edge + 1e-9].map(|x| tilted(x, sd, mean));
            assert!((below / above - 1.0).abs() < 3e-5, "{below}, {above}");
        }
        assert!(jumping_normal_cdf(-60.0, 1.0, &LAW) < 1e-12 && jumping_normal_cdf(60.0, 1.0, &LAW) > 1.0 - 1e-9);
    }
}
