//! Exponential tilts of draws: the tilted laws, and the cumulants that likelihood weights need.
//!
//! A law P of a sum X tilted by p is `dQ = exp(p X - C(p)) dP`, `C(p) = ln E_P exp(p X)`: a normal law moves by p, a compound
//! Poisson law has other intensities and sizes of the same kind. What was drawn from Q weighs `dP / dQ = exp(-p X + C(p))`, so that
//! the sum of a path's draws and their number tell the weight, and C is convex in p, as is the log weight.
//! Source: Asmussen, Glynn (2007), Stochastic Simulation, V.1b and XIII.3; for Kou's jumps, Kou (2002), doi:10.1287/mnsc.48.8.1086.

use crate::model::jumps;
use crate::model::jumps::kou_jump;
use crate::model::jumps::poisson_thresholds;
use crate::model::params::JumpParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;

/// Largest tilt of jumps, as a part of the one beyond which there is no law.
pub const JUMP_TILT_MAX: f64 = 0.9;

/// Normal jumps of a log, a compound Poisson process (Merton).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormalJumps {
    /// Intensity (per day).
    pub rate_per_day: f64,
    /// Mean of a jump.
    pub mean: f64,
    /// Standard deviation of a jump.
    pub sd: f64,
}

/// A law of draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// So many standard normals.
    Normals(f64),
    /// Kou's jumps over so many days.
    Jumps(JumpParams, f64),
    /// Normal jumps over so many days.
    NormalJumps(NormalJumps, f64),
}

impl Source {
    /// `C(p)` of the sum of its draws, and the first two derivatives: mean and variance under the tilt.
    pub fn cumulant(&self, p: f64) -> [f64; 3] {
        match *self {
            Self::Normals(count) => [0.5 * p * p, p, 1.0].map(|of_one| count * of_one),
            Self::Jumps(law, days) => {
                let (up, down) = (law.up_mean / (1.0 - p * law.up_mean), law.down_mean / (1.0 + p * law.down_mean));
                let ups = law.up_probability / (1.0 - p * law.up_mean);
                let downs = (1.0 - law.up_probability) / (1.0 + p * law.down_mean);
                let per_jump =
                    [ups + downs - 1.0, ups * up - downs * down, 2.0 * (ups * up * up + downs * down * down)];
                per_jump.map(|of_one| law.rate_per_day * days * of_one)
            }
            Self::NormalJumps(law, days) => {
                let mean = law.mean + p * law.sd * law.sd;
                let log_factor = p * law.mean + 0.5 * (p * law.sd) * (p * law.sd);
                let factor = math::exp(log_factor);
                let per_jump = [math::exp_m1(log_factor), factor * mean, factor * (law.sd * law.sd + mean * mean)];
                per_jump.map(|of_one| law.rate_per_day * days * of_one)
            }
        }
    }

    /// The tilts that there are laws for, with a margin.
    pub fn range(&self) -> [f64; 2] {
        match *self {
            Self::Jumps(law, _) => [-JUMP_TILT_MAX / law.down_mean, JUMP_TILT_MAX / law.up_mean],
            _ => [f64::NEG_INFINITY, f64::INFINITY],
        }
    }
}

/// The law of jumps tilted by `p`, which has to lie in [`Source::range`].
pub fn tilted_jumps(law: &JumpParams, p: f64) -> JumpParams {
    let up = law.up_probability / (1.0 - p * law.up_mean);
    let down = (1.0 - law.up_probability) / (1.0 + p * law.down_mean);
    JumpParams {
        rate_per_day: law.rate_per_day * (up + down),
        up_probability: up / (up + down),
        up_mean: law.up_mean / (1.0 - p * law.up_mean),
        down_mean: law.down_mean / (1.0 + p * law.down_mean),
    }
}

/// The same of normal jumps.
pub fn tilted_normal_jumps(law: &NormalJumps, p: f64) -> NormalJumps {
    let factor = math::exp(p * law.mean + 0.5 * (p * law.sd) * (p * law.sd));
    NormalJumps { rate_per_day: law.rate_per_day * factor, mean: law.mean + p * law.sd * law.sd, ..*law }
}

/// Jumps of one slot over a step, drawn by themselves.
#[derive(Clone, Debug)]
pub struct OneSlotJumps {
    law: JumpParams,
    thresholds: Vec<u32>,
}

impl OneSlotJumps {
    /// The law over steps of `days` days.
    pub fn new(law: JumpParams, days: f64) -> Self {
        Self { law, thresholds: poisson_thresholds(law.rate_per_day * days) }
    }

    /// Sum of the jumps of a path's step.
    #[inline]
    pub fn draw(&self, seed: u64, path: u32, step: u32, slot: u32) -> f64 {
        let address = Address { path, step, slot, purpose: Purpose::TiltedJump, index: 0 };
        let count = jumps::poisson_count(&self.thresholds, rng::words(seed, address)[0]);
        (1..=count).fold(0.0, |sum, index| {
            let [decides, size, ..] = rng::words(seed, Address { index: index as u16, ..address });
            sum + kou_jump(rng::open_unit(decides), rng::open_unit(size), &self.law)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KOU: JumpParams = JumpParams { rate_per_day: 0.3, up_probability: 0.6, up_mean: 2.0, down_mean: 1.5 };
    const MERTON: NormalJumps = NormalJumps { rate_per_day: 0.2, mean: -0.05, sd: 0.1 };
    const SOURCES: [Source; 3] = [Source::Normals(3.0), Source::Jumps(KOU, 2.0), Source::NormalJumps(MERTON, 5.0)];

    #[test]
    fn derivatives_are_those_of_the_cumulant() {
        let h = 1e-5;
        for source in SOURCES {
            assert_eq!(source.cumulant(0.0)[0], 0.0);
            for p in [-0.3, 0.0, 0.2] {
                let [low, high] = [p - h, p + h].map(|p| source.cumulant(p));
                let [_, first, second] = source.cumulant(p);
                assert!(((high[0] - low[0]) / (2.0 * h) - first).abs() < 1e-6 * (1.0 + first.abs()), "{source:?} {p}");
                assert!(
                    ((high[1] - low[1]) / (2.0 * h) - second).abs() < 1e-6 * (1.0 + second.abs()),
                    "{source:?} {p}"
                );
            }
        }
    }

    /// `C_Q(r) = C(p + r) - C(p)`: the tilted law's own cumulant at any point, hence the law.
    #[test]
    fn tilted_laws_are_tilted() {
        for p in [-0.4, 0.1, 0.3] {
            for r in [-0.1, 0.05, 0.15] {
                let shifted = |source: Source| source.cumulant(p + r)[0] - source.cumulant(p)[0];
                let of_kou = Source::Jumps(tilted_jumps(&KOU, p), 2.0).cumulant(r)[0];
                assert!((of_kou - shifted(SOURCES[1])).abs() < 1e-12, "{p} {r}");
                let of_normal = Source::NormalJumps(tilted_normal_jumps(&MERTON, p), 5.0).cumulant(r)[0];
                assert!((of_normal - shifted(SOURCES[2])).abs() < 1e-12, "{p} {r}");
            }
        }
        assert_eq!(tilted_jumps(&KOU, 0.0), KOU);
    }

    #[test]
    fn jumps_of_one_slot_have_their_law_and_weigh_what_they_should() {
        let p = -0.25;
        let source = Source::Jumps(KOU, 1.0);
        let law = OneSlotJumps::new(tilted_jumps(&KOU, p), 1.0);
        let [log_factor, mean, variance] = source.cumulant(p);
        let n = 200_000;
        let (mut sum, mut weights, mut weighted) = (0.0, 0.0, 0.0);
        for path in 0..n {
            let jump = law.draw(5, path, 3, 17);
            let weight = (log_factor - p * jump).exp();
            (sum, weights, weighted) = (sum + jump, weights + weight, weighted + weight * jump);
        }
        let n = f64::from(n);
        assert!((sum / n - mean).abs() < 4.0 * (variance / n).sqrt(), "{}", sum / n);
        // E_Q w^2 = exp(C(p) + C(-p)); E_Q (w J)^2 below E_P(w J^2), by the tilt -p some 1.3 Var.
        let error = ((log_factor + source.cumulant(-p)[0]).exp_m1() / n).sqrt();
        assert!((weights / n - 1.0).abs() < 4.0 * error, "{} {error}", weights / n);
        let untilted = KOU.mean_per_day();
        let error = (2.0 * source.cumulant(0.0)[2] / n).sqrt();
        assert!((weighted / n - untilted).abs() < 4.0 * error, "{} {untilted} {error}", weighted / n);
    }
}
