//! Probability of an event as a logistic function of one figure: the plain rival of simulated probabilities.

/// `P = 1 / (1 + exp(-(intercept + slope x)))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logistic {
    /// Log odds at `x = 0`.
    pub intercept: f64,
    /// Change of the log odds with `x`.
    pub slope: f64,
}

/// Most steps of Newton; from 0 some 10 are enough.
const STEPS_MAX: usize = 100;
/// Weight of `slope^2 / 2` against the log-likelihood: nothing beside a dozen events, but a slope where `x` tells all events apart.
const RIDGE: f64 = 1e-3;
/// Step below which the fit is done.
const TOLERANCE: f64 = 1e-10;

impl Logistic {
    /// Largest likelihood of `(x, came)`; `None` where all came or none.
    ///
    /// Newton with the step halved until the likelihood does not fall. Source: McCullagh and Nelder (1989), Generalized Linear
    /// Models, 4.4.
    pub fn fit(data: &[(f64, bool)]) -> Option<Self> {
        let events = data.iter().filter(|(_, came)| *came).count();
        if events == 0 || events == data.len() {
            return None;
        }
        let odds = events as f64 / (data.len() - events) as f64;
        let mut law = Self { intercept: odds.ln(), slope: 0.0 };
        for _ in 0..STEPS_MAX {
            let step = law.newton_step(data);
            law = law.improved_by(step, data);
            if !(step.0.abs().max(step.1.abs()) > TOLERANCE) {
                break;
            }
        }
        Some(law)
    }

    /// Probability at `x`.
    pub fn probability(&self, x: f64) -> f64 {
        1.0 / (1.0 + (-(self.intercept + self.slope * x)).exp())
    }

    fn log_likelihood(&self, data: &[(f64, bool)]) -> f64 {
        let of = |(x, came): &(f64, bool)| {
            let score = self.intercept + self.slope * x;
            // ln P = -ln(1 + exp(-score)), the larger exponent taken out.
            let lost = if *came { -score } else { score };
            -(lost.max(0.0) + (-lost.abs()).exp().ln_1p())
        };
        data.iter().map(of).sum::<f64>() - 0.5 * RIDGE * self.slope * self.slope
    }

    fn newton_step(&self, data: &[(f64, bool)]) -> (f64, f64) {
        let (mut gradient, mut curvature) = ([0.0, -RIDGE * self.slope], [0.0, 0.0, RIDGE]);
        for (x, came) in data {
            let p = self.probability(*x);
            let (error, weight) = (if *came { 1.0 - p } else { -p }, p * (1.0 - p));
            gradient = [gradient[0] + error, gradient[1] + error * x];
            curvature = [curvature[0] + weight, curvature[1] + weight * x, curvature[2] + weight * x * x];
        }
        let [a, b, c] = curvature;
        let determinant = a * c - b * b;
        if !(determinant > 0.0) {
            return (0.0, 0.0);
        }
        ((c * gradient[0] - b * gradient[1]) / determinant, (a * gradient[1] - b * gradient[0]) / determinant)
    }

    fn improved_by(self, (intercept, slope): (f64, f64), data: &[(f64, bool)]) -> Self {
        let before = self.log_likelihood(data);
        let halved = std::iter::successors(Some(1.0), |part| Some(0.5 * part)).take(30);
        let moved =
            halved.map(|part| Self { intercept: self.intercept + part * intercept, slope: self.slope + part * slope });
        moved.into_iter().find(|law| law.log_likelihood(data) >= before).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With x of two values the fit meets both frequencies: 1 of 4 at 0, 3 of 4 at 1.
    #[test]
    fn two_groups_have_their_frequencies() {
        let data: Vec<(f64, bool)> =
            (0..400).map(|k| (f64::from(k % 2), (k / 2) % 4 < if k % 2 == 0 { 1 } else { 3 })).collect();
        let law = Logistic::fit(&data).expect("events of both kinds");
        // The ridge moves the slope of 2 ln 3 by 1e-3 of its own variance, some 0.1.
        assert!((law.intercept + 3.0_f64.ln()).abs() < 1e-3, "{law:?}");
        assert!((law.slope - 2.0 * 3.0_f64.ln()).abs() < 1e-3, "{law:?}");
        assert!((law.probability(0.0) - 0.25).abs() < 1e-3);
    }

    /// Where x tells all events apart the likelihood has no maximum; the ridge gives it one.
    #[test]
    fn separated_events_have_a_finite_fit() {
        let data: Vec<(f64, bool)> = (0..100).map(|k| (f64::from(k), k >= 95)).collect();
        let law = Logistic::fit(&data).expect("events of both kinds");
        assert!(law.slope.is_finite() && law.probability(99.0) > 0.99 && law.probability(90.0) < 0.01, "{law:?}");
    }

    #[test]
    fn one_outcome_alone_gives_no_fit() {
        assert_eq!(Logistic::fit(&[(1.0, true), (2.0, true)]), None);
        assert_eq!(Logistic::fit(&[]), None);
    }
}
