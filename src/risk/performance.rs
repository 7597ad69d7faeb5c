//! Reward against risk of a simulated P&L: Sharpe, Sortino and Omega over a horizon, not annualised.
//!
//! ```text
//! Sharpe   mean X / sd X
//! Sortino  mean X / sqrt(E min(X, 0)^2)
//! Omega    E max(X, 0) / E max(-X, 0)
//! ```
//!
//! X is P&L over the horizon against a threshold of 0. All three are of the same X at any horizon, so figures of different
//! horizons are not comparable by a root of time: the simulated P&L is neither independent over time nor normal.
//! Errors are the delta method's with joint moments of the same paths; the intervals of Sharpe and Sortino are normal, Omega's
//! is normal for its logarithm. Without spread, a loss or, for Omega, a gain a ratio
//! says nothing, and is left out.
//! Source: Mertens's variance of Sharpe, in Opdyke (2007), doi:10.1057/palgrave.jam.2250084; Sortino, van der Meer (1991),
//! doi:10.3905/jpm.1991.409343; Omega: Keating, Shadwick (2002), A universal performance measure.

use crate::risk::estimate::Estimate;
use crate::risk::estimate::Z95;
use crate::risk::moments::Moments;
use crate::simd::math;

/// A ratio of a P&L with what each outcome adds to its error.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    /// The number and its error.
    pub estimate: Estimate,
    influence: Influence,
}

/// What a P&L x adds to a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Influence {
    /// `s - ratio s^2 / 2`, `s = (x - mean) / deviation`.
    Sharpe { mean: f64, deviation: f64, ratio: f64 },
    /// `gain x+ + loss x- + square x-^2`.
    Parts { gain: f64, loss: f64, square: f64 },
}

impl Ratio {
    /// Influence of a P&L on the ratio, up to a constant.
    pub fn influence(&self, pnl: f64) -> f64 {
        match self.influence {
            Influence::Sharpe { mean, deviation, ratio } => {
                let score = (pnl - mean) / deviation;
                score - 0.5 * ratio * score * score
            }
            Influence::Parts { gain, loss, square } => {
                let (above, below) = (pnl.max(0.0), (-pnl).max(0.0));
                gain * above + loss * below + square * below * below
            }
        }
    }
}

/// Sharpe's ratio from the moments of a P&L.
///
/// `n se^2 = 1 - skewness S + (kurtosis - 1) S^2 / 4`.
pub fn sharpe_ratio(pnl: &Moments) -> Option<Ratio> {
    let (mean, deviation) = (pnl.mean()?.value, pnl.standard_deviation()?.value);
    let (shape, samples) = (pnl.shape(), pnl.samples());
    let ratio = mean / deviation;
    let variance = 1.0 - shape.skewness * ratio + 0.25 * (shape.kurtosis - 1.0) * ratio * ratio;
    let standard_error = (variance.max(0.0) / samples as f64).sqrt();
    let estimate = Estimate::normal(ratio, standard_error, samples);
    (deviation > 0.0).then_some(Ratio { estimate, influence: Influence::Sharpe { mean, deviation, ratio } })
}

/// Sums of the powers of gains and of losses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PartialMoments {
    samples: u64,
    gains: [f64; 2],
    losses: [f64; 4],
}

impl PartialMoments {
    /// Adds a P&L.
    pub fn push(&mut self, pnl: f64) {
        self.samples += 1;
        if pnl > 0.0 {
            self.gains[0] += pnl;
            self.gains[1] += pnl * pnl;
        } else {
            let square = pnl * pnl;
            self.losses[0] -= pnl;
            self.losses[1] += square;
            self.losses[2] -= square * pnl;
            self.losses[3] += square * square;
        }
    }

    /// Sortino's ratio. With D the mean square of losses,
    /// `n se^2 = [Var X - (mean / D) Cov(X, min(X, 0)^2) + mean^2 Var(min(X, 0)^2) / 4 D^2] / D`.
    pub fn sortino_ratio(&self) -> Option<Ratio> {
        let ([gain, gain2], [loss, loss2, loss3, loss4]) = self.means();
        let (mean, root) = (gain - loss, loss2.sqrt());
        let tilt = mean / loss2;
        let variance = gain2 + loss2 - mean * mean;
        let covariance = -loss3 - mean * loss2;
        let total = variance - tilt * covariance + 0.25 * tilt * tilt * (loss4 - loss2 * loss2);
        let standard_error = (total.max(0.0) / loss2 / self.samples as f64).sqrt();
        let influence = Influence::Parts { gain: 1.0 / root, loss: -1.0 / root, square: -0.5 * tilt / root };
        let estimate = Estimate::normal(mean / root, standard_error, self.samples);
        (loss2 > 0.0).then_some(Ratio { estimate, influence })
    }

    /// The Omega ratio. `n se^2 = [E x+^2 + Omega^2 E x-^2] / (E x-)^2`, x+ and x- the parts of a P&L: never both.
    pub fn omega_ratio(&self) -> Option<Ratio> {
        let ([gain, gain2], [loss, loss2, ..]) = self.means();
        let ratio = gain / loss;
        let standard_error = ((gain2 + ratio * ratio * loss2) / self.samples as f64).sqrt() / loss;
        let influence = Influence::Parts { gain: 1.0 / loss, loss: -ratio / loss, square: 0.0 };
        let estimate = log_normal(ratio, standard_error, self.samples);
        (gain > 0.0 && loss > 0.0).then_some(Ratio { estimate, influence })
    }

    fn means(&self) -> ([f64; 2], [f64; 4]) {
        let n = self.samples as f64;
        (self.gains.map(|sum| sum / n), self.losses.map(|sum| sum / n))
    }
}

/// A positive value whose logarithm has a normal error.
fn log_normal(value: f64, standard_error: f64, samples: u64) -> Estimate {
    let factor = math::exp(Z95 * standard_error / value);
    Estimate { value, standard_error, ci_low: value / factor, ci_high: value * factor, samples }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::ContinuousCDF;
    use statrs::distribution::Normal;

    struct Ratios {
        sharpe: Option<Ratio>,
        sortino: Option<Ratio>,
        omega: Option<Ratio>,
    }

    fn ratios(outcomes: &[f64]) -> Ratios {
        let (mut moments, mut parts) = (Moments::default(), PartialMoments::default());
        for &pnl in outcomes {
            moments.push(pnl);
            parts.push(pnl);
        }
        Ratios { sharpe: sharpe_ratio(&moments), sortino: parts.sortino_ratio(), omega: parts.omega_ratio() }
    }

    /// The middles of `n` equal shares of a normal law.
    fn normal(n: u32, mean: f64, deviation: f64) -> Vec<f64> {
        let law = Normal::new(mean, deviation).unwrap();
        (0..n).map(|i| law.inverse_cdf((f64::from(i) + 0.5) / f64::from(n))).collect()
    }

    #[test]
    fn ratios_of_a_normal_law() {
        // At m = mean / sd: E x- = phi(m) - m Phi(-m), E x+ = m + E x-, E x-^2 = (1 + m^2) Phi(-m) - m phi(m).
        let m = 0.4_f64;
        let (density, below) = ((-0.5 * m * m).exp() / std::f64::consts::TAU.sqrt(), Normal::standard().cdf(-m));
        let (loss, square) = (density - m * below, (1.0 + m * m) * below - m * density);
        let found = ratios(&normal(1_000_000, 40.0, 100.0));
        let value = |ratio: &Option<Ratio>| ratio.as_ref().unwrap().estimate.value;
        assert!((value(&found.sharpe) - m).abs() < 1e-4);
        assert!((value(&found.sortino) - m / square.sqrt()).abs() < 1e-4);
        assert!((value(&found.omega) - (m + loss) / loss).abs() < 1e-4);
        // Lo (2002): n se^2 = 1 + S^2 / 2 for a normal law.
        let error = found.sharpe.unwrap().estimate.standard_error;
        assert!((error / ((1.0 + 0.5 * m * m) / 1e6_f64).sqrt() - 1.0).abs() < 1e-3, "{error}");
    }

    #[test]
    fn errors_are_those_of_the_influences() {
        let outcomes: Vec<f64> = (0..1_000).map(|i| f64::from(i * i % 977) - 300.0).collect();
        let found = ratios(&outcomes);
        for ratio in [found.sharpe, found.sortino, found.omega].into_iter().flatten() {
            let mut influences = Moments::default();
            outcomes.iter().for_each(|&pnl| influences.push(ratio.influence(pnl)));
            let of_influences = influences.mean().unwrap().standard_error;
            assert!((ratio.estimate.standard_error / of_influences - 1.0).abs() < 1e-3, "{ratio:?} {of_influences}");
        }
    }

    #[test]
    fn no_ratio_without_a_loss_or_spread() {
        let gains = ratios(&[1.0, 2.0]);
        assert!(gains.sharpe.is_some() && gains.sortino.is_none() && gains.omega.is_none());
        assert_eq!(ratios(&[3.0; 4]).sharpe, None);
        assert!(ratios(&[]).sharpe.is_none() && ratios(&[]).omega.is_none());
        let losses = ratios(&[-1.0, -2.0]);
        assert!(losses.sortino.is_some() && losses.omega.is_none());
    }
}
