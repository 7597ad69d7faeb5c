//! P&L in USD given all that happens in TAO: the expectation over what TAO/USD does by itself.
//!
//! Flows know nothing of TAO/USD; it knows of them by the common factor alone. Given the value `V` (TAO) of a book at a horizon `T` and
//! the normed sum `Z` of the factor's normals until then, the rate is that of the start times `e^X`:
//!
//! ```text
//! X = (mu - vol^2/2 - rate (E e^J - 1)) T + vol sqrt(T) (rho Z + sqrt(1 - rho^2) E) + sum of N jumps J,   N ~ Poisson(rate T)
//! E(e^X | Z) = exp(mu T + rho vol sqrt(T) Z - rho^2 vol^2 T / 2)
//! P(V e^X < V_0 | V, Z) = sum_n P(N = n) Phi((ln(V_0 / V) - E(X | Z, n)) / sd(X | Z, n))
//! ```
//!
//! Both have the mean of the P&L itself and of the indicator of a loss, less variance, and no jump: what two coupled paths differ in
//! their indicators becomes what they differ in a smooth function of their values. Source: Giles (2015),
//! doi:10.1017/S096249291500001X, section 5, on digital options.
//!
//! # Not modelled
//! - Market states, shocks, and revenue, whose buybacks read the rate: whoever asks has to refuse them.

use statrs::function::erf::erfc;

use crate::model::params::TaoUsdParams;
use crate::simd::math;

/// Probability of more jumps that may be left out.
const LEFT_OUT: f64 = 1e-12;

/// The law of TAO/USD at a horizon, given the common factor until then.
#[derive(Clone, Debug)]
pub struct RateLaw {
    start_usd: f64,
    /// Mean of the log move without jumps at a factor of 0, and what a unit of the factor adds.
    log_mean: f64,
    log_slope: f64,
    /// Log of the mean move at a factor of 0; a unit of the factor adds as much.
    log_growth: f64,
    /// By number of jumps: probability, what they add to the mean, standard deviation of the log move.
    jumps: Vec<(f64, f64, f64)>,
}

impl RateLaw {
    /// The law `days` after a start at `start_usd`.
    pub fn new(params: &TaoUsdParams, start_usd: f64, days: f64) -> Self {
        let variance = params.volatility_per_sqrt_day * params.volatility_per_sqrt_day * days;
        let common = params.correlation_with_flow * params.correlation_with_flow * variance;
        let jump_variance = params.jump_sd * params.jump_sd;
        let mean_jumps = params.jump_rate_per_day * days;
        let compensator = mean_jumps * math::exp_m1(params.jump_mean + 0.5 * jump_variance);
        let moments = |n: usize, probability: f64| {
            let n = n as f64;
            (probability, n * params.jump_mean, (variance - common + n * jump_variance).sqrt())
        };
        let numbers = numbers(mean_jumps);
        Self {
            start_usd,
            log_mean: params.drift_per_day * days - 0.5 * variance - compensator,
            log_slope: common.sqrt().copysign(params.correlation_with_flow),
            log_growth: params.drift_per_day * days - 0.5 * common,
            jumps: numbers.into_iter().enumerate().map(|(n, probability)| moments(n, probability)).collect(),
        }
    }

    /// Mean P&L (USD) of `value_tao`, which was worth `opening_tao` at the start.
    pub fn mean_pnl_usd(&self, value_tao: f64, opening_tao: f64, factor: f64) -> f64 {
        self.start_usd * (value_tao * math::exp(self.log_growth + self.log_slope * factor) - opening_tao)
    }

    /// Probability that this P&L is negative.
    pub fn loss_probability(&self, value_tao: f64, opening_tao: f64, factor: f64) -> f64 {
        if !(value_tao > 0.0) {
            return if opening_tao > value_tao { 1.0 } else { 0.0 };
        }
        let distance = math::ln(opening_tao / value_tao) - self.log_mean - self.log_slope * factor;
        let below = |&(probability, mean, sd): &(f64, f64, f64)| {
            probability * 0.5 * erfc((mean - distance) / sd * std::f64::consts::FRAC_1_SQRT_2)
        };
        self.jumps.iter().map(below).sum()
    }
}

/// Poisson probabilities, up to what is left out.
fn numbers(mean: f64) -> Vec<f64> {
    let mut probabilities = vec![math::exp(-mean)];
    let mut left = 1.0 - probabilities[0];
    while left > LEFT_OUT && probabilities.len() < 1_000 {
        let next = probabilities[probabilities.len() - 1] * mean / probabilities.len() as f64;
        probabilities.push(next);
        left -= next;
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outside::RateMoments;

    fn params(correlation_with_flow: f64) -> TaoUsdParams {
        TaoUsdParams {
            drift_per_day: 0.002,
            volatility_per_sqrt_day: 0.04,
            correlation_with_flow,
            jump_rate_per_day: 0.05,
            jump_mean: -0.03,
            jump_sd: 0.08,
        }
    }

    /// Mean over the factor, by the midpoint rule in 4,000 parts from -8 to 8.
    fn over_factors(of: impl Fn(f64) -> f64) -> f64 {
        let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        (0..4_000).map(|i| -8.0 + (f64::from(i) + 0.5) * 0.004).map(|z| of(z) * density(z) * 0.004).sum()
    }

    #[test]
    fn over_all_factors_the_rate_grows_with_its_drift() {
        let known = RateMoments::new(&params(0.6), 30.0);
        let law = RateLaw::new(&params(0.6), 250.0, 30.0);
        let mean = over_factors(|z| law.mean_pnl_usd(3.0, 2.0, z));
        assert!((mean / (250.0 * (3.0 * known.growth - 2.0)) - 1.0).abs() < 1e-9, "{mean}");
        // E(e^X Z): the derivative of the mean by a shift of the factor.
        let slope = over_factors(|z| z * law.mean_pnl_usd(1.0, 0.0, z)) / 250.0;
        assert!((slope - known.factor_covariance * known.growth).abs() < 1e-9, "{slope}");
    }

    /// The law of X does not hang on how it is split between the factor and the rest.
    #[test]
    fn losses_are_as_probable_whatever_is_conditioned_on() {
        for value in [0.5, 1.0, 1.3] {
            let whole = RateLaw::new(&params(0.0), 250.0, 30.0).loss_probability(value, 1.0, 0.7);
            for correlation in [0.6, -0.9] {
                let law = RateLaw::new(&params(correlation), 250.0, 30.0);
                let mean = over_factors(|z| law.loss_probability(value, 1.0, z));
                assert!((mean - whole).abs() < 1e-9, "{value}, {correlation}: {mean}, not {whole}");
            }
            assert!(whole > 0.01 && whole < 0.999, "{whole}");
        }
    }

    #[test]
    fn without_noise_a_loss_is_certain_or_impossible() {
        let quiet = TaoUsdParams { jump_rate_per_day: 0.0, volatility_per_sqrt_day: 1e-9, ..params(0.3) };
        let law = RateLaw::new(&quiet, 1.0, 10.0);
        assert_eq!((law.loss_probability(0.97, 1.0, 0.0), law.loss_probability(1.0, 1.0, 0.0)), (1.0, 0.0));
        assert_eq!((law.loss_probability(0.0, 1.0, 0.0), law.loss_probability(0.0, 0.0, 0.0)), (1.0, 0.0));
    }
}
