//! Few parameters by maximum likelihood, with a wide prior that holds where data are silent, and their errors.
//!
//! Parameters move in the coordinate in which their errors are about normal ([`Scale`]). The maximum is found without
//! derivatives (Nelder and Mead, Computer Journal 7 (1965), 308, started again from where it stopped); the errors are those
//! of the observed information: the inverse of the second derivatives of the log-likelihood and log-prior there.

use crate::calibration::linear;
use crate::calibration::linear::Matrix;
use crate::model::uncertainty::ParameterLaw;
use crate::model::uncertainty::Scale;
use crate::model::uncertainty::UncertainParameter;
use crate::simd::math;

/// Most evaluations of a search.
const EVALUATIONS_MAX: usize = 4_000;
/// Searches, each from where the last one stopped: a simplex may collapse before the maximum.
const SEARCHES: usize = 3;
/// Spread of values over the simplex at which a search stops.
const TOLERANCE: f64 = 1e-9;
/// First steps, and steps of second derivatives, in prior standard deviations.
const FIRST_STEP: f64 = 0.3;
const HESSIAN_STEP: f64 = 0.01;

/// A parameter to be found, with its prior: normal on its scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unknown {
    /// Key in a scenario.
    pub key: &'static str,
    /// Where it moves.
    pub scale: Scale,
    /// Middle of its prior, and start of the search.
    pub prior: f64,
    /// Standard deviation of its prior on that scale.
    pub prior_sd: f64,
}

/// Parameters found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Values, in the order of the unknowns.
    pub values: Vec<f64>,
    /// Their errors.
    pub law: ParameterLaw,
    /// Log-likelihood there, the prior left out.
    pub log_likelihood: f64,
}

impl Found {
    /// The value of a parameter.
    ///
    /// # Panics
    /// If it was no unknown.
    pub fn value(&self, key: &str) -> f64 {
        self.values[self.place(key)]
    }

    /// Its standard error on its scale.
    ///
    /// # Panics
    /// If it was no unknown.
    pub fn standard_error(&self, key: &str) -> f64 {
        self.law.parameters[self.place(key)].standard_error
    }

    fn place(&self, key: &str) -> usize {
        self.law.parameters.iter().position(|parameter| parameter.key == key).expect("a parameter that was looked for")
    }
}

/// The place of `value` on a scale.
pub fn coordinate(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value,
        Scale::Log => math::ln(value),
        Scale::Logit => math::ln(value / (1.0 - value)),
    }
}

/// The value at a place of a scale.
pub fn value_at(scale: Scale, coordinate: f64) -> f64 {
    match scale {
        Scale::Linear => coordinate,
        Scale::Log => math::exp(coordinate),
        Scale::Logit => 1.0 / (1.0 + math::exp(-coordinate)),
    }
}

/// Standard error of the value itself, from that on its scale.
pub fn natural_error(scale: Scale, value: f64, standard_error: f64) -> f64 {
    match scale {
        Scale::Linear => standard_error,
        Scale::Log => value * standard_error,
        Scale::Logit => value * (1.0 - value) * standard_error,
    }
}

/// Finds the parameters at which `log_likelihood` (of the values, in the order of `unknowns`) and the priors together are
/// largest. `None` where the information is not positive definite: the search did not end at a maximum.
pub fn find(unknowns: &[Unknown], log_likelihood: impl Fn(&[f64]) -> f64) -> Option<Found> {
    let values = |at: &[f64]| -> Vec<f64> {
        unknowns
            .iter()
            .zip(at)
            .map(|(unknown, at)| value_at(unknown.scale, centre(unknown) + unknown.prior_sd * at))
            .collect()
    };
    // In prior standard deviations from the prior's middle.
    let objective = |at: &[f64]| {
        let prior = 0.5 * at.iter().map(|at| at * at).sum::<f64>();
        let value = prior - log_likelihood(&values(at));
        if value.is_finite() { value } else { f64::MAX }
    };
    let mut at = vec![0.0; unknowns.len()];
    for _ in 0..SEARCHES {
        at = nelder_mead(&objective, &at, FIRST_STEP);
    }
    let covariance = linear::inverse(&hessian(&objective, &at, HESSIAN_STEP))?;
    let found = values(&at);
    Some(Found { log_likelihood: log_likelihood(&found), law: law(unknowns, &covariance), values: found })
}

fn centre(unknown: &Unknown) -> f64 {
    coordinate(unknown.scale, unknown.prior)
}

fn law(unknowns: &[Unknown], covariance: &Matrix) -> ParameterLaw {
    let sd = |i: usize| covariance[i][i].sqrt();
    let parameter = |(i, unknown): (usize, &Unknown)| UncertainParameter {
        key: unknown.key.to_owned(),
        scale: unknown.scale,
        standard_error: sd(i) * unknown.prior_sd,
    };
    let cell =
        |i: usize, j: usize| if i == j { 1.0 } else { 0.5 * (covariance[i][j] + covariance[j][i]) / (sd(i) * sd(j)) };
    let size = unknowns.len();
    ParameterLaw {
        parameters: unknowns.iter().enumerate().map(parameter).collect(),
        correlation: (0..size).map(|i| (0..size).map(|j| cell(i, j)).collect()).collect(),
    }
}

/// Where `objective` is smallest, searched from `start` with a simplex of `step`.
fn nelder_mead(objective: &impl Fn(&[f64]) -> f64, start: &[f64], step: f64) -> Vec<f64> {
    let size = start.len();
    let corner = |moved: usize| {
        let at: Vec<f64> = start.iter().enumerate().map(|(i, at)| if i == moved { at + step } else { *at }).collect();
        (objective(&at), at)
    };
    // The corner past the last coordinate is the start itself.
    let mut simplex: Vec<(f64, Vec<f64>)> = (0..=size).map(corner).collect();
    let mut evaluations = simplex.len();
    loop {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (best, worst) = (simplex[0].0, simplex[size].0);
        if worst - best <= TOLERANCE || evaluations >= EVALUATIONS_MAX {
            return simplex.swap_remove(0).1;
        }
        let middle: Vec<f64> =
            (0..size).map(|i| simplex[..size].iter().map(|(_, at)| at[i]).sum::<f64>() / size as f64).collect();
        let from_middle = |factor: f64| {
            let along = |(middle, worst): (&f64, &f64)| middle + factor * (worst - middle);
            let at: Vec<f64> = middle.iter().zip(&simplex[size].1).map(along).collect();
            (objective(&at), at)
        };
        let reflected = from_middle(-1.0);
        let next = match reflected.0 {
            value if value < best => {
                let expanded = from_middle(-2.0);
                if expanded.0 < value { expanded } else { reflected }
            }
            value if value < simplex[size - 1].0 => reflected,
            value if value < worst => from_middle(-0.5),
            _ => from_middle(0.5),
        };
        evaluations += 2;
        if next.0 < worst {
            simplex[size] = next;
        } else {
            let best_at = simplex[0].1.clone();
            for corner in &mut simplex[1..] {
                corner.1.iter_mut().zip(&best_at).for_each(|(at, best)| *at = 0.5 * (*at + best));
                corner.0 = objective(&corner.1);
            }
            evaluations += size;
        }
    }
}

/// Second derivatives of `objective` by central differences.
fn hessian(objective: &impl Fn(&[f64]) -> f64, at: &[f64], step: f64) -> Matrix {
    let size = at.len();
    let moved = |i: usize, by_i: f64, j: usize, by_j: f64| {
        let mut at = at.to_vec();
        at[i] += by_i * step;
        at[j] += by_j * step;
        objective(&at)
    };
    let mut second = linear::zeros(size);
    for i in 0..size {
        for j in 0..=i {
            let corners =
                moved(i, 1.0, j, 1.0) - moved(i, 1.0, j, -1.0) - moved(i, -1.0, j, 1.0) + moved(i, -1.0, j, -1.0);
            let value = corners / (4.0 * step * step);
            second[i][j] = value;
            second[j][i] = value;
        }
    }
    second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_likelihood_gives_its_mean_and_covariance() {
        let unknown = |key, prior| Unknown { key, scale: Scale::Log, prior, prior_sd: 1e3 };
        let unknowns = [unknown("a", 1.0), unknown("b", 1.0)];
        // ln a has mean 0.5 and sd 0.2, ln b mean -1 and sd 0.1, correlation 0.6.
        let log_likelihood = |values: &[f64]| {
            let (a, b) = ((values[0].ln() - 0.5) / 0.2, (values[1].ln() + 1.0) / 0.1);
            -(a * a - 1.2 * a * b + b * b) / (2.0 * (1.0 - 0.36))
        };
        // A first step of 300 on a log scale is no place to start a search from.
        assert!(find(&unknowns, log_likelihood).is_none_or(|found| found.values.iter().all(|value| value.is_finite())));
        let unknowns = unknowns.map(|unknown| Unknown { prior_sd: 30.0, ..unknown });
        let found = find(&unknowns, log_likelihood).expect("a maximum");
        assert!((found.value("a").ln() - 0.5).abs() < 1e-4 && (found.value("b").ln() + 1.0).abs() < 1e-4);
        let [error_a, error_b] = ["a", "b"].map(|key| found.standard_error(key));
        assert!((error_a - 0.2).abs() < 1e-3 && (error_b - 0.1).abs() < 1e-3, "{error_a} {error_b}");
        assert!((found.law.correlation[0][1] - 0.6).abs() < 1e-3);
    }

    #[test]
    fn a_prior_holds_where_data_are_silent() {
        let unknowns = [Unknown { key: "p", scale: Scale::Logit, prior: 0.2, prior_sd: 0.7 }];
        let found = find(&unknowns, |_| 0.0).expect("the prior has a maximum");
        assert!((found.value("p") - 0.2).abs() < 1e-5 && (found.standard_error("p") - 0.7).abs() < 1e-5);
    }

    #[test]
    fn scales_and_back() {
        for scale in [Scale::Linear, Scale::Log, Scale::Logit] {
            let (value, step) = (0.3, 1e-6);
            assert!((value_at(scale, coordinate(scale, value)) - value).abs() < 1e-12);
            let slope = (value_at(scale, coordinate(scale, value) + step) - value) / step;
            assert!((natural_error(scale, value, 1.0) - slope).abs() < 1e-5, "{scale:?}");
        }
    }
}
