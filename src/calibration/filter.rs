//! Log-volatility and scale of each subnet as its flows show them: a linear filter on `ln |u|`.
//!
//! ```text
//! ln |u| = mean + h_fast + h_slow + e + noise        e: log scale of the subnet against the median one, constant
//! ```
//!
//! Kalman filter, best among linear ones (Harvey, Ruiz & Shephard 1994, doi:10.2307/2297980); the constant part is the
//! empirical Bayes estimate of the scale. The noise, a log of squared normals with jumps, has the variance that the data leave it;
//! its long lower tail is cut by the least size.

use crate::calibration::layout::Layout;
use crate::calibration::volatility::LawOfSizes;
use crate::simd::math;

/// Least size of a flow, in units of the median: what is below says no more than this.
const SIZE_MIN: f64 = 0.1;
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
    let logs = log_sizes(flows);
    let n = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / n;
    let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / n;
    let noise = (variance - law.variance()).max(NOISE_MIN * variance);
    let mut expected = Vec::with_capacity(logs.len());
    let last = layout.subnets.iter().map(|rows| {
        let mut level = Level::start(law);
        for row in rows.clone() {
            level.advance(law, layout.places[row].elapsed);
            expected.push(level.mean.iter().sum());
            level.observe(logs[row] - mean, noise);
        }
        level
    });
    Filtered { last: last.collect(), expected }
}

impl Level {
    fn start(law: &LawOfSizes) -> Self {
        let mut covariance = [[0.0; 3]; 3];
        let parts = [law.volatility[0].sd_log, law.volatility[1].sd_log, law.scale_sd_log];
        (0..3).for_each(|i| covariance[i][i] = parts[i] * parts[i]);
        Self { mean: [0.0; 3], covariance }
    }

    fn advance(&mut self, law: &LawOfSizes, days: f64) {
        let kept = |i: usize| math::exp(-days * std::f64::consts::LN_2 / law.volatility[i].half_life_days);
        let kept = [kept(0), kept(1), 1.0];
        for i in 0..3 {
            self.mean[i] *= kept[i];
            (0..3).for_each(|j| self.covariance[i][j] *= kept[i] * kept[j]);
        }
        for i in 0..2 {
            self.covariance[i][i] += law.volatility[i].sd_log.powi(2) * (1.0 - kept[i] * kept[i]);
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
