//! All estimators of the flow law on one panel, one after the other.
//!
//! Size and age first, then the drift (mean flow weighted by `g^-2`), then flows in units of their expected size, in which the
//! common jumps, volatility, single jumps and loadings are found. Errors are not found here: the whole is repeated on simulated
//! panels ([`crate::calibration::flow_law`]).

use crate::calibration::common_jumps;
use crate::calibration::common_jumps::CommonDays;
use crate::calibration::layout::Layout;
use crate::calibration::linear;
use crate::calibration::linear::Matrix;
use crate::calibration::loadings;
use crate::calibration::loadings::CLIP;
use crate::calibration::loadings::Loadings;
use crate::calibration::size_age;
use crate::calibration::volatility;
use crate::calibration::volatility::LawOfSizes;
use crate::calibration::volatility::PairCounts;
use crate::calibration::volatility::PairLikelihood;
use crate::model::params::FlowParams;
use crate::model::params::JumpParams;
use crate::model::uncertainty::Scale;
use crate::simd::math;

/// Coordinates that are estimated together: scenario key and scale.
pub(crate) const COORDINATES: [(&str, Scale); 15] = [
    ("flow.scale_median", Scale::Log),
    ("flow.scale_sd_log", Scale::Log),
    ("flow.volatility_fast.sd_log", Scale::Log),
    ("flow.volatility_fast.half_life_days", Scale::Log),
    ("flow.volatility_slow.sd_log", Scale::Log),
    ("flow.volatility_slow.half_life_days", Scale::Log),
    ("flow.jumps.rate_per_day", Scale::Log),
    ("flow.jumps.up_probability", Scale::Logit),
    ("flow.jumps.up_mean", Scale::Log),
    ("flow.jumps.down_mean", Scale::Log),
    ("flow.loading_sd", Scale::Log),
    ("flow.size_exponent", Scale::Linear),
    ("flow.age_exponent", Scale::Linear),
    ("flow.drift_per_day", Scale::Linear),
    ("flow.loading_mean", Scale::Logit),
];
/// Number of coordinates.
pub(crate) const SIZE: usize = COORDINATES.len();
/// The first so many hold their part of the prior already; the rest are free of it.
pub(crate) const WITH_PRIOR: usize = volatility::SIZE + 1;

/// The unit of standardized flows is the median size; what the median scale is in it, before any data.
const SCALE_IN_MEDIANS: f64 = 1.5;

/// A panel's estimates.
pub(crate) struct FlowEstimate {
    /// In the order of [`COORDINATES`].
    pub at: [f64; SIZE],
    /// Law of the standardized flows.
    pub law: LawOfSizes,
    /// Flows less their drift, in units of their expected size.
    pub standardized: Vec<f64>,
    /// What became of the prior, see [`volatility::PairFit::pull`].
    pub pull: Matrix,
    /// Loadings.
    pub loadings: Loadings,
    /// Common jumps.
    pub common: CommonDays,
}

/// Estimates all of `flows`, more than half of which are not zero, with `prior` where the data are silent.
pub(crate) fn estimate(layout: &Layout, flows: &[f64], prior: &FlowParams) -> FlowEstimate {
    let exponents = size_age::exponents(layout, flows, [prior.size_exponent, prior.age_exponent]);
    let logs: Vec<f64> = layout.places.iter().map(|place| log_size(layout, place, exponents)).collect();
    let drift = drift(layout, flows, &logs);
    let (standardized, unit) = standardize(layout, flows, &logs, drift);
    let clipped: Vec<f64> = standardized.iter().map(|flow| flow.clamp(-CLIP, CLIP)).collect();
    let common = common_jumps::find(layout, &clipped);
    let counts: Vec<bool> = layout.places.iter().map(|place| !common.jumps.contains(&place.day)).collect();
    let start = prior_law(prior);
    let likelihood = PairLikelihood {
        counts: &PairCounts::new(layout, &standardized, |row| counts[row]),
        center: start.coordinates(),
        volatility_cap: prior.volatility_cap,
    };
    let fit = likelihood.maximize(start.coordinates());
    let law = LawOfSizes::of_coordinates(&fit.at, prior.volatility_cap);
    let relative_spread = prior.loading_sd / prior.loading_mean;
    let loadings = loadings::fit(layout, &clipped, &counts, &law, relative_spread);
    let mut pull = linear::zeros(WITH_PRIOR);
    pull.iter_mut().zip(&fit.pull).for_each(|(row, of_fit)| row[..volatility::SIZE].copy_from_slice(of_fit));
    pull[volatility::SIZE][volatility::SIZE] = loadings.relative.pull;
    let mean = loadings.mean.unwrap_or(prior.loading_mean);
    let mut at = [0.0; SIZE];
    at[..volatility::SIZE].copy_from_slice(&fit.at);
    // From the panel's middle to the reference size and age.
    at[0] += unit + exponents[0] * layout.center[0] + exponents[1] * layout.center[1];
    let rest = [math::ln(mean * loadings.relative.sd), exponents[0], exponents[1], drift, logit(mean)];
    at[volatility::SIZE..].copy_from_slice(&rest);
    FlowEstimate { at, law, standardized, pull, loadings, common }
}

/// `ln g` against the middle of the panel.
fn log_size(layout: &Layout, place: &crate::calibration::layout::Place, exponents: [f64; 2]) -> f64 {
    -exponents[0] * (place.size - layout.center[0]) - exponents[1] * (place.age - layout.center[1])
}

/// Mean flow per day, rows weighted by the inverse of their expected square.
fn drift(layout: &Layout, flows: &[f64], logs: &[f64]) -> f64 {
    let (mut sum, mut days) = (0.0, 0.0);
    for ((place, flow), log) in layout.places.iter().zip(flows).zip(logs) {
        let weight = math::exp(-2.0 * log);
        sum += weight * flow;
        days += weight * place.days;
    }
    sum / days
}

/// Flows without drift over `g sqrt(D)`, in units of their median size, and the log of that unit.
fn standardize(layout: &Layout, flows: &[f64], logs: &[f64], drift: f64) -> (Vec<f64>, f64) {
    let rows = layout.places.iter().zip(flows).zip(logs);
    let mut standardized: Vec<f64> =
        rows.map(|((place, flow), log)| (flow - drift * place.days) / (math::exp(*log) * place.root_days)).collect();
    let unit = common_jumps::median(standardized.iter().map(|flow| flow.abs()).collect());
    standardized.iter_mut().for_each(|flow| *flow /= unit);
    (standardized, math::ln(unit))
}

fn prior_law(prior: &FlowParams) -> LawOfSizes {
    LawOfSizes {
        scale: SCALE_IN_MEDIANS,
        scale_sd_log: prior.scale_sd_log,
        volatility: prior.volatility,
        volatility_cap: prior.volatility_cap,
        jumps: prior.jumps,
    }
}

pub(crate) fn logit(p: f64) -> f64 {
    math::ln(p / (1.0 - p))
}

fn inverse_logit(x: f64) -> f64 {
    1.0 / (1.0 + math::exp(-x))
}

/// The parameters at [`COORDINATES`]; what they do not hold is taken from `given`.
pub(crate) fn params_at(at: &[f64], given: &FlowParams, common_jump: JumpParams) -> FlowParams {
    let exp = |i: usize| math::exp(at[i]);
    let law: [f64; volatility::SIZE] = std::array::from_fn(|i| at[i]);
    let law = LawOfSizes::of_coordinates(&law, given.volatility_cap);
    FlowParams {
        scale_median: law.scale,
        scale_sd_log: law.scale_sd_log,
        size_exponent: at[11],
        age_exponent: at[12],
        drift_per_day: at[13],
        volatility: law.volatility,
        jumps: law.jumps,
        common_jump,
        loading_mean: inverse_logit(at[14]),
        loading_sd: exp(10),
        ..given.clone()
    }
}
