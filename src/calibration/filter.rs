//! Log-volatility and scale of each subnet as its flows show them: a linear filter on `ln |u|`.
//!
//! ```text
//! ln |u| = mean + k (h_fast + h_slow + e) + noise        e: log scale of the subnet against the median one, constant
//! ```
//!
//! Kalman filter, best among linear ones (Harvey, Ruiz & Shephard 1994, doi:10.2307/2297980); the constant part is the
//! empirical Bayes estimate of the scale. The noise, a log of squared normals with jumps, has the variance that the data leave it;
//! its long lower tail is cut by the least size.

use std::ops::Range;

use crate::calibration::layout::LAGS;
use crate::calibration::layout::Layout;
use crate::calibration::shrink;
use crate::calibration::shrink::Noisy;
use crate::calibration::shrink::Spread;
use crate::calibration::volatility::LawOfSizes;
use crate::model::params::VolatilityPart;
use crate::simd::math;

/// Least size of a flow, in units of the median: what is below says no more than this.
const SIZE_MIN: f64 = 0.1;
/// Prior standard deviation of the log of the spread of scales.
pub(crate) const SCALE_PRIOR_SD: f64 = 0.5;
/// Part of the variance of `ln |u|` that is noise at least.
const NOISE_MIN: f64 = 0.3;

/// Fast and slow part of log-volatility, and log scale, with their variances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub mean: [f64; 3],
    pub covariance: [[f64; 3]; 3],
}

/// What the filter knows after the last row of each subnet, and what it expected of each row before it came.
pub(crate) struct Filtered {
    pub last: Vec<Level>,
    /// Expected log-volatility and log scale, their sum.
    pub expected: Vec<f64>,
}

/// Logs of the sizes of standardized flows, cut below.
pub(crate) fn log_sizes(flows: &[f64]) -> Vec<f64> {
    flows.iter().map(|flow| math::ln(flow.abs().max(SIZE_MIN))).collect()
}

/// Runs the filter over standardized flows.
pub(crate) fn run(layout: &Layout, flows: &[f64], law: &LawOfSizes) -> Filtered {
    let (logs, noise) = measurements(layout, flows, law);
    let mut expected = Vec::with_capacity(logs.len());
    let last = layout.subnets.iter().map(|rows| {
        let mut level = Level::start(law);
        for row in rows.clone() {
            level.advance(&law.volatility, layout.places[row].elapsed);
            expected.push(level.mean.iter().sum());
            level.observe(logs[row], noise);
        }
        level
    });
    Filtered { last: last.collect(), expected }
}

/// Lags whose covariances say how far log sizes follow log-volatility: the first so many of [`LAGS`].
const LAGS_USED: usize = 5;
/// Range of the slope of log sizes on log-volatility.
const SLOPE_RANGE: (f64, f64) = (0.5, 1.2);

/// Log sizes as measurements of log-volatility and scale, and the variance of their noise.
///
/// Jumps and the least size keep log sizes from following volatility one to one: with slope `k`, their covariances over some days
/// are `k^2` times those of volatility and scale. They are divided by `k`.
fn measurements(layout: &Layout, flows: &[f64], law: &LawOfSizes) -> (Vec<f64>, f64) {
    let mut logs = log_sizes(flows);
    let n = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / n;
    logs.iter_mut().for_each(|log| *log -= mean);
    let (mut found, mut expected) = (0.0, 0.0);
    for (pairs, lag) in layout.pairs.iter().zip(LAGS).take(LAGS_USED).filter(|(pairs, _)| !pairs.is_empty()) {
        found += pairs.iter().map(|[a, b]| logs[*a] * logs[*b]).sum::<f64>() / pairs.len() as f64;
        expected += law.covariance(lag) + law.scale_sd_log.powi(2);
    }
    let slope = if expected > 0.0 { (found / expected).max(0.0).sqrt() } else { 1.0 };
    let slope = slope.clamp(SLOPE_RANGE.0, SLOPE_RANGE.1);
    logs.iter_mut().for_each(|log| *log /= slope);
    let variance = logs.iter().map(|log| log * log).sum::<f64>() / n;
    (logs, (variance - law.volatility_variance() - law.scale_sd_log.powi(2)).max(NOISE_MIN * variance))
}

/// Spread of subnets' log scales: of their mean log sizes, less what volatility and noise let a mean vary by.
///
/// ```text
/// Var(mean of n) = sum over parts of xi^2 ((1 + rho)/(1 - rho)/n - 2 rho (1 - rho^n)/(n (1 - rho))^2) + noise/n
/// ```
pub(crate) fn scale_spread(layout: &Layout, flows: &[f64], law: &LawOfSizes, prior_sd: f64) -> Spread {
    let (logs, noise) = measurements(layout, flows, law);
    let of_subnet = |rows: &Range<usize>| {
        let n = rows.len() as f64;
        let of_part = |part: &VolatilityPart| {
            let kept = math::exp(-std::f64::consts::LN_2 / part.half_life_days);
            let beyond = 2.0 * kept * (1.0 - math::exp(n * math::ln(kept))) / (n * (1.0 - kept)).powi(2);
            part.sd_log * part.sd_log * ((1.0 + kept) / (1.0 - kept) / n - beyond)
        };
        let variance = law.volatility.iter().map(of_part).sum::<f64>() + noise / n;
        let level = logs[rows.clone()].iter().sum::<f64>() / n;
        Noisy { value: level, error: variance.sqrt() }
    };
    let levels: Vec<Noisy> = layout.subnets.iter().map(of_subnet).collect();
    shrink::fit_spread(&levels, prior_sd, SCALE_PRIOR_SD)
}

impl Level {
    fn start(law: &LawOfSizes) -> Self {
        let mut covariance = [[0.0; 3]; 3];
        let parts = [law.volatility[0].sd_log, law.volatility[1].sd_log, law.scale_sd_log];
        (0..3).for_each(|i| covariance[i][i] = parts[i] * parts[i]);
        Self { mean: [0.0; 3], covariance }
    }

    /// Lets `days` pass without a flow.
    pub fn advance(&mut self, volatility: &[VolatilityPart; 2], days: f64) {
        let kept = |i: usize| math::exp(-days * std::f64::consts::LN_2 / volatility[i].half_life_days);
        let kept = [kept(0), kept(1), 1.0];
        for i in 0..3 {
            self.mean[i] *= kept[i];
            (0..3).for_each(|j| self.covariance[i][j] *= kept[i] * kept[j]);
        }
        for i in 0..2 {
            self.covariance[i][i] += volatility[i].sd_log.powi(2) * (1.0 - kept[i] * kept[i]);
        }
    }

    fn observe(&mut self, log: f64, noise: f64) {
        let with_sum = self.covariance.map(|row| row.iter().sum::<f64>());
        let variance = with_sum.iter().sum::<f64>() + noise;
        let surprise = (log - self.mean.iter().sum::<f64>()) / variance;
        for i in 0..3 {
            self.mean[i] += with_sum[i] * surprise;
            (0..3).for_each(|j| self.covariance[i][j] -= with_sum[i] * with_sum[j] / variance);
        }
    }
}
