//! How the size of flows falls with the pool's size and the subnet's age.
//!
//! ```text
//! E |f| = sqrt(D) exp(c - gamma ln(max(y, floor)/5000) - delta ln(max(age, floor)/200))
//! ```
//!
//! Poisson pseudo-likelihood: consistent whatever the law of `|f|` around its mean, days without flow take part, and the
//! many tiny flows, whose logarithms would decide a log-linear regression, weigh little (Santos Silva & Tenreyro 2006,
//! doi:10.1162/rest.88.4.641; Gourieroux, Monfort & Trognon 1984, doi:10.2307/1913472).

use crate::calibration::layout::Layout;
use crate::calibration::linear;
use crate::simd::math;

const ITERATIONS: usize = 40;

/// Exponents `[gamma, delta]` from flows that are not all zero.
///
/// `start` is where they are drawn to, with standard deviation 1 of one row: it decides only where sizes or ages do not vary.
pub(crate) fn exponents(layout: &Layout, flows: &[f64], start: [f64; 2]) -> [f64; 2] {
    let mean = flows.iter().map(|flow| flow.abs()).sum::<f64>() / flows.len() as f64;
    let anchor = [0.0, -start[0], -start[1]];
    let mut slopes = anchor;
    for _ in 0..ITERATIONS {
        let (mut score, mut information) = ([0.0; 3], linear::zeros(3));
        for (place, flow) in layout.places.iter().zip(flows) {
            let x = [1.0, place.size - layout.center[0], place.age - layout.center[1]];
            let expected = place.root_days * math::exp(slopes.iter().zip(x).map(|(b, x)| b * x).sum::<f64>());
            let residual = flow.abs() / mean - expected;
            for i in 0..3 {
                score[i] += residual * x[i];
                (0..3).for_each(|j| information[i][j] += expected * x[i] * x[j]);
            }
        }
        for i in 1..3 {
            score[i] += anchor[i] - slopes[i];
            information[i][i] += 1.0;
        }
        let Some(lower) = linear::cholesky(&information) else { break };
        let step = linear::solve(&lower, &score);
        // A Newton step of a convex objective, kept short far from its end.
        slopes.iter_mut().zip(&step).for_each(|(slope, step)| *slope += step.clamp(-1.0, 1.0));
        if step.iter().all(|step| step.abs() < 1e-6) {
            break;
        }
    }
    [-slopes[1], -slopes[2]]
}
