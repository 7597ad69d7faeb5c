//! Days on which all subnets jumped, and what so few of them say.
//!
//! Rule: a day counts as a common jump where the mean over subnets of the clipped standardized flow lies more than
//! [`LIMIT`] of its usual deviations (from the median absolute deviation) from its median. Its size is the median over subnets of
//! the flow in units of the scale. Smaller common jumps cannot be told from the factor; the law of sizes being exponential,
//! what a jump exceeds the limit by has the same mean as the jump, and the rate is corrected by the chance of exceeding it.
//! With so few days the prior decides much:
//!
//! ```text
//! rate ~ Gamma: (1 + n) / (1/rate_0 + days P(seen))            error of its log 1/sqrt(1 + n)
//! mean ~ (2 mean_0 + sum of excesses) / (2 + n)                the same on each side, 1/sqrt(2 + n)
//! up   ~ (2 up_0 + n_up) / (2 + n)                             error of its logit 1/sqrt((2 + n) up (1 - up))
//! ```

use crate::calibration::layout::Layout;
use crate::calibration::loadings::CLIP;
use crate::calibration::volatility::LawOfSizes;
use crate::model::params::JumpParams;
use crate::simd::math;

/// Deviations beyond which a day is a common jump: 1 normal day in 150,000.
const LIMIT: f64 = 4.5;
/// Subnets that a day needs, and such days that the rule needs.
const SUBNETS_MIN: usize = 10;
const DAYS_MIN: usize = 30;
/// Days of prior knowledge of the mean sizes and of the direction.
const PRIOR_JUMPS: f64 = 2.0;

/// What the rule finds.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommonDays {
    /// The days.
    pub jumps: Vec<usize>,
    /// Days looked at.
    pub days: usize,
    /// Mean clipped flow at which a day counts.
    limit: f64,
}

/// Finds the days of common jumps.
pub(crate) fn find(layout: &Layout, clipped: &[f64]) -> CommonDays {
    let mean = |rows: &Vec<usize>| rows.iter().map(|&row| clipped[row]).sum::<f64>() / rows.len() as f64;
    let counted = layout.days.iter().enumerate().filter(|(_, rows)| rows.len() >= SUBNETS_MIN);
    let means: Vec<(usize, f64)> = counted.map(|(day, rows)| (day, mean(rows))).collect();
    if means.len() < DAYS_MIN {
        return CommonDays::default();
    }
    let center = median(means.iter().map(|(_, mean)| *mean).collect());
    let deviation = 1.4826 * median(means.iter().map(|(_, mean)| (mean - center).abs()).collect());
    let limit = LIMIT * deviation;
    let jumps = means.iter().filter(|(_, mean)| (mean - center).abs() > limit).map(|(day, _)| *day).collect();
    CommonDays { jumps, days: means.len(), limit }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Law of common jumps, and standard errors in the order rate, direction, mean up, mean down, on their scales.
pub(crate) fn law(
    found: &CommonDays,
    layout: &Layout,
    flows: &[f64],
    sizes: &LawOfSizes,
    prior: &JumpParams,
) -> (JumpParams, [f64; 4]) {
    let [_, slope] = sizes.clipped_slopes(CLIP);
    let limit = found.limit / slope;
    let size = |day: &usize| median(layout.days[*day].iter().map(|&row| flows[row] / sizes.scale).collect());
    let sizes: Vec<f64> = found.jumps.iter().map(size).collect();
    let excess = |is_side: fn(f64) -> bool| {
        let side: Vec<f64> = sizes.iter().copied().filter(|size| is_side(*size)).collect();
        (side.len() as f64, side.iter().map(|size| (size.abs() - limit).max(0.0)).sum::<f64>())
    };
    let ((ups, up_sum), (downs, down_sum)) = (excess(|size| size >= 0.0), excess(|size| size < 0.0));
    let mean = |prior: f64, count: f64, sum: f64| (PRIOR_JUMPS * prior + sum) / (PRIOR_JUMPS + count);
    let (up_mean, down_mean) = (mean(prior.up_mean, ups, up_sum), mean(prior.down_mean, downs, down_sum));
    let up = mean(prior.up_probability, ups + downs, ups);
    let seen = up * math::exp(-limit / up_mean) + (1.0 - up) * math::exp(-limit / down_mean);
    let exposure = if prior.rate_per_day > 0.0 { 1.0 / prior.rate_per_day } else { 0.0 };
    let rate_per_day = (1.0 + ups + downs) / (exposure + found.days as f64 * seen).max(1.0);
    let law = JumpParams { rate_per_day, up_probability: up, up_mean, down_mean };
    let weight = PRIOR_JUMPS + ups + downs;
    let errors = [1.0 + ups + downs, weight * up * (1.0 - up), PRIOR_JUMPS + ups, PRIOR_JUMPS + downs];
    (law, errors.map(|count| 1.0 / count.sqrt()))
}
