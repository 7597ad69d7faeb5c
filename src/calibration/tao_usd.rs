//! TAO/USD by maximum likelihood: a jump diffusion on the returns of single days (Merton, J. Financial Economics 3 (1976), 125).
//!
//! ```text
//! r = ln(U' / U) ~ sum_n Poisson(n; rate) N(c + n m, v^2 + n s^2)     over one day
//! ```
//!
//! `v`: volatility; `m`, `s`: mean and standard deviation of log jumps; `c`: a free mean. Days without a close on the day
//! before are left out: a return of several days is another mixture. The drift of the rate that this implies is returned
//! beside the parameters and not among them: none is assumed of the future (`tao_usd.drift_per_day` of the scenario).

use crate::calibration::history::TaoUsdClose;
use crate::calibration::likelihood;
use crate::calibration::likelihood::Found;
use crate::calibration::likelihood::Unknown;
use crate::model::params::TaoUsdParams;
use crate::model::uncertainty::Scale;
use crate::simd::math;

/// Returns that a fit needs.
pub const RETURNS_MIN: usize = 30;
/// Jumps in a day that are told apart.
const JUMPS_MAX: usize = 12;
/// Prior standard deviations: of logs, and of means per day.
const LOG_PRIOR_SD: f64 = 1.0;
const MEAN_PRIOR_SD: f64 = 0.05;
/// The free mean of a day, which is no key of a scenario.
const MEAN: &str = "mean of a day without a jump";

/// TAO/USD, and what is not written to the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct TaoUsdLaw {
    /// Volatility, jump rate, jump mean, jump standard deviation.
    pub found: Found,
    /// Drift of the rate (per day).
    pub drift_per_day: f64,
    /// Its standard error.
    pub drift_error: f64,
    /// Returns.
    pub returns: usize,
}

/// A return of one day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayReturn {
    /// Its later day (from 1970-01-01).
    pub day: i64,
    /// Log return.
    pub log_return: f64,
}

/// Returns of single days, gaps left out.
pub fn day_returns(closes: &[TaoUsdClose]) -> Vec<DayReturn> {
    let pairs = closes.windows(2).filter(|pair| pair[1].day == pair[0].day + 1);
    pairs.map(|pair| DayReturn { day: pair[1].day, log_return: math::ln(pair[1].close / pair[0].close) }).collect()
}

/// Fits the law to returns of one day; `None` where they are too few or all the same.
pub fn fit_tao_usd(returns: &[DayReturn], prior: &TaoUsdParams) -> Option<TaoUsdLaw> {
    let (mean, sd) = moments(returns);
    if returns.len() < RETURNS_MIN || !(sd > 0.0) {
        return None;
    }
    let log = |key, prior| Unknown { key, scale: Scale::Log, prior, prior_sd: LOG_PRIOR_SD };
    let linear = |key, prior| Unknown { key, scale: Scale::Linear, prior, prior_sd: MEAN_PRIOR_SD };
    let unknowns = [
        log("tao_usd.volatility_per_sqrt_day", prior.volatility_per_sqrt_day),
        log("tao_usd.jump_rate_per_day", prior.jump_rate_per_day),
        linear("tao_usd.jump_mean", prior.jump_mean),
        log("tao_usd.jump_sd", prior.jump_sd),
        linear(MEAN, mean),
    ];
    let mut found = likelihood::find(&unknowns, |values| log_likelihood(returns, values))?;
    let [volatility, rate, jump_mean, jump_sd, day_mean] = found.values[..] else { return None };
    let jump_factor = math::exp_m1(jump_mean + 0.5 * jump_sd * jump_sd);
    let drift_per_day = day_mean + 0.5 * volatility * volatility + rate * jump_factor;
    found.values.pop();
    found.law.parameters.pop();
    found.law.correlation.pop();
    found.law.correlation.iter_mut().for_each(|row| row.truncate(unknowns.len() - 1));
    let drift_error = sd / (returns.len() as f64).sqrt();
    Some(TaoUsdLaw { found, drift_per_day, drift_error, returns: returns.len() })
}

/// Log-likelihood of returns at volatility, jump rate, jump mean, jump standard deviation and mean of the day.
fn log_likelihood(returns: &[DayReturn], values: &[f64]) -> f64 {
    let [volatility, rate, jump_mean, jump_sd, mean] = values[..] else { return f64::NEG_INFINITY };
    let mut weight = math::exp(-rate);
    let components: Vec<[f64; 3]> = (0..=JUMPS_MAX)
        .map(|jumps| {
            let n = jumps as f64;
            if jumps > 0 {
                weight *= rate / n;
            }
            let sd = (volatility * volatility + n * jump_sd * jump_sd).sqrt();
            [weight / (sd * (2.0 * std::f64::consts::PI).sqrt()), mean + n * jump_mean, sd]
        })
        .collect();
    let density = |r: f64| {
        components.iter().map(|[height, mean, sd]| height * math::exp(-0.5 * ((r - mean) / sd).powi(2))).sum::<f64>()
    };
    returns.iter().map(|day| math::ln(density(day.log_return).max(f64::MIN_POSITIVE))).sum()
}

fn moments(returns: &[DayReturn]) -> (f64, f64) {
    let n = returns.len() as f64;
    let mean = returns.iter().map(|day| day.log_return).sum::<f64>() / n;
    let square = returns.iter().map(|day| (day.log_return - mean).powi(2)).sum::<f64>() / n;
    (mean, square.sqrt())
}

/// Correlation of TAO/USD with the common flow factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowCorrelation {
    /// Of the factor with the diffusion of TAO/USD, which is what the model correlates.
    pub value: f64,
    /// Standard error.
    pub standard_error: f64,
    /// Days with both.
    pub days: usize,
}

/// Days that a correlation needs.
const CORRELATION_DAYS_MIN: usize = 20;

/// Correlation of returns with the common factor `(day, factor)` of the same days; `None` where there are too few.
///
/// Jumps of TAO/USD are not correlated with flows in the model, so that the correlation of the diffusion is that of whole
/// returns times sd(return) / volatility. The flow of a day ends some hours before the close: a small loss, left as it is.
pub fn flow_correlation(returns: &[DayReturn], factor: &[(i64, f64)], volatility: f64) -> Option<FlowCorrelation> {
    let pairs: Vec<[f64; 2]> = factor
        .iter()
        .filter_map(|(day, factor)| {
            let place = returns.binary_search_by_key(day, |day| day.day).ok()?;
            Some([*factor, returns[place].log_return])
        })
        .collect();
    let n = pairs.len() as f64;
    let mean = |k: usize| pairs.iter().map(|pair| pair[k]).sum::<f64>() / n;
    let means = [mean(0), mean(1)];
    let product =
        |i: usize, j: usize| pairs.iter().map(|pair| (pair[i] - means[i]) * (pair[j] - means[j])).sum::<f64>() / n;
    let (sd_factor, sd_return) = (product(0, 0).sqrt(), product(1, 1).sqrt());
    if pairs.len() < CORRELATION_DAYS_MIN || !(sd_factor > 0.0 && sd_return > 0.0) {
        return None;
    }
    let whole = product(0, 1) / (sd_factor * sd_return);
    let to_diffusion = sd_return / volatility;
    let value = (whole * to_diffusion).clamp(-0.99, 0.99);
    let standard_error = (1.0 - whole * whole) / (n - 1.0).sqrt() * to_diffusion;
    Some(FlowCorrelation { value, standard_error, days: pairs.len() })
}
