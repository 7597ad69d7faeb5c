//! Many noisy estimates of like things: how much the things differ, and what is believed of each (empirical Bayes).
//!
//! ```text
//! x_i ~ N(m, t^2 + e_i^2)      belief of i: m + t^2/(t^2 + e_i^2) (x_i - m), variance t^2 e_i^2/(t^2 + e_i^2)
//! ```
//!
//! Source: Efron & Morris (1973), doi:10.2307/2284155; Morris (1983), doi:10.2307/2287098.

use crate::simd::math;

/// An estimate of one of the things, with its standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noisy {
    pub value: f64,
    pub error: f64,
}

impl Noisy {
    /// What is believed of it, knowing the others.
    pub fn shrunk(self, mean: f64, spread: f64) -> Self {
        let weight = spread * spread / (spread * spread + self.error * self.error);
        Self { value: mean + weight * (self.value - mean), error: spread * (1.0 - weight).sqrt() }
    }
}

/// Center and standard deviation of the things.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub mean: f64,
    pub sd: f64,
    /// Part of the prior in `ln sd`.
    pub pull: f64,
}

/// Half-width of the search in `ln sd`, and its steps.
const SEARCH: f64 = 3.0;
const STEPS: usize = 240;

/// Fits center and spread; `ln sd` has a normal prior around `ln prior_sd` with standard deviation `prior_error`, so that few or
/// like things do not give a spread of zero.
pub(crate) fn fit_spread(things: &[Noisy], prior_sd: f64, prior_error: f64) -> Spread {
    let center = math::ln(prior_sd);
    let value = |log: f64| log_likelihood(things, math::exp(log)) - 0.5 * ((log - center) / prior_error).powi(2);
    let grid = |i: usize| center + SEARCH * (2.0 * i as f64 / STEPS as f64 - 1.0);
    let best = (1..STEPS).map(grid).max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(center);
    let step = 2.0 * SEARCH / STEPS as f64;
    let [below, at, above] = [best - step, best, best + step].map(value);
    let curvature = ((2.0 * at - below - above) / (step * step)).max(prior_error.powi(-2));
    // The vertex of the parabola through the three.
    let vertex = best + (above - below) / (2.0 * step * curvature);
    let sd = math::exp(vertex.clamp(best - step, best + step));
    Spread { mean: mean(things, sd), sd, pull: prior_error.powi(-2) / curvature }
}

fn mean(things: &[Noisy], sd: f64) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for thing in things {
        let weight = 1.0 / (sd * sd + thing.error * thing.error);
        sum += weight * thing.value;
        weights += weight;
    }
    if weights > 0.0 { sum / weights } else { 0.0 }
}

fn log_likelihood(things: &[Noisy], sd: f64) -> f64 {
    let mean = mean(things, sd);
    let of = |thing: &Noisy| {
        let variance = sd * sd + thing.error * thing.error;
        -0.5 * (math::ln(variance) + (thing.value - mean).powi(2) / variance)
    };
    things.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;

    fn things(count: u32, spread: f64, error: f64) -> Vec<Noisy> {
        let one = |path| {
            let words = rng::words(8, Address { path, step: 0, slot: 0, purpose: Purpose::Entrant, index: 0 });
            let [own, noise, ..] = rng::normals4(words);
            Noisy { value: 2.0 + spread * own + error * noise, error }
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn center_and_spread_are_found() {
        let found = fit_spread(&things(2_000, 0.3, 0.2), 0.1, 2.0);
        // Standard errors: sqrt(0.13/2000) = 0.008; of the spread 0.13/(0.3 sqrt(4000)) = 0.007.
        assert!((found.mean - 2.0).abs() < 0.032 && (found.sd - 0.3).abs() < 0.028, "{found:?}");
        assert!(found.pull < 0.01);
    }

    #[test]
    fn nothing_to_see_leaves_the_prior() {
        let found = fit_spread(&[], 0.2, 0.5);
        assert!((found.sd - 0.2).abs() < 1e-12 && (found.pull - 1.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_thing_known_well_is_believed() {
        let sure = Noisy { value: 3.0, error: 1e-6 }.shrunk(2.0, 0.5);
        let vague = Noisy { value: 3.0, error: 1e6 }.shrunk(2.0, 0.5);
        assert!(
            (sure.value - 3.0).abs() < 1e-9 && (vague.value - 2.0).abs() < 1e-9 && (vague.error - 0.5).abs() < 1e-9
        );
    }
}
