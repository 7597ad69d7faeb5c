//! The flow law from a panel of flows: parameters, what is known of them, and of each subnet.
#![doc = include_str!("CALIBRATION.md")]

use std::ops::ControlFlow;

use thiserror::Error;

use crate::calibration::common_jumps;
use crate::calibration::filter;
use crate::calibration::filter::Filtered;
use crate::calibration::flow_diagnostics;
use crate::calibration::flow_diagnostics::FlowDiagnostics;
use crate::calibration::flow_estimate;
use crate::calibration::flow_estimate::COORDINATES;
use crate::calibration::flow_estimate::FlowEstimate;
use crate::calibration::flow_estimate::SIZE;
use crate::calibration::flow_estimate::WITH_PRIOR;
use crate::calibration::jackknife;
use crate::calibration::layout::Layout;
use crate::calibration::linear;
use crate::calibration::linear::Matrix;
use crate::calibration::loadings;
use crate::calibration::panel::FlowPanel;
use crate::calibration::panel::FlowRow;
use crate::calibration::simulate;
use crate::calibration::volatility;
use crate::engine::parallel;
use crate::model::params::FlowParams;
use crate::model::uncertainty::ParameterLaw;
use crate::model::uncertainty::Scale;
use crate::model::uncertainty::UncertainParameter;
use crate::simd::math;
use crate::units::SubnetId;

/// Rows that a panel needs.
pub const ROWS_MIN: usize = 200;
/// Simulated panels that the errors need: twice the number of coordinates and a few.
pub const SIMULATIONS_MIN: usize = 40;
/// Simulated panels that are also described for the diagnostics.
const DESCRIBED: usize = 20;
/// Prior standard deviations of the coordinates after [`WITH_PRIOR`]: exponents, drift (per day), loading (logit).
const PRIOR_SD: [f64; SIZE - WITH_PRIOR] = [0.2, 0.25, 0.005, 0.7];
/// Part of the correlations of simulated estimates that is kept: the rest is chance of the simulations.
const CORRELATION_KEPT: f64 = 0.95;

/// How to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FitOptions {
    /// Seed of the simulated panels.
    pub seed: u64,
    /// Number of simulated panels, at least [`SIMULATIONS_MIN`].
    pub simulations: usize,
    /// Threads; results do not depend on them.
    pub threads: usize,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { seed: 1, simulations: 100, threads: 2 }
    }
}

/// The fitted flow law.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowLaw {
    /// Parameters; those not estimated (floors, caps) as given.
    pub params: FlowParams,
    /// What is known of those estimated.
    pub law: ParameterLaw,
    /// What is known of each subnet of the panel with rows, in its order.
    pub subnets: Vec<SubnetBehaviour>,
    /// The fit against the data.
    pub diagnostics: FlowDiagnostics,
}

/// What is known of one subnet after its last row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubnetBehaviour {
    /// Who.
    pub subnet: SubnetId,
    /// Rows.
    pub rows: usize,
    /// Day of the last row, of which the volatility is.
    pub last_day: u32,
    /// Daily scale `s`, shrunk towards the median.
    pub scale: f64,
    /// Standard error of its log, the median's own error left out.
    pub scale_log_error: f64,
    /// Loading on the common factor, shrunk towards the mean.
    pub loading: f64,
    /// Standard error, the mean's own error left out.
    pub loading_error: f64,
    /// Fast and slow part of log-volatility at the end of the last row.
    pub log_volatility: [f64; 2],
    /// Their standard errors.
    pub log_volatility_error: [f64; 2],
}

/// Why no flow law could be fitted.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum FitError {
    /// Too little data.
    #[error(
        "{rows} rows of flows are too few to fit a flow law: at least {ROWS_MIN} are needed; leave the law as it is"
    )]
    TooFewRows {
        /// Rows there are.
        rows: usize,
    },
    /// More than half of the flows are zero.
    #[error("{zeros} of {rows} flows are zero: no size of flows can be found; check the source of the flows")]
    NoFlow {
        /// Zero flows.
        zeros: usize,
        /// Rows.
        rows: usize,
    },
    /// A value that no row may have.
    #[error("row {row} of the flow panel: {name} is {value} (must be {must})")]
    BadRow {
        /// Number of the row, from 0.
        row: usize,
        /// Which value.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// Rows do not go by subnet, then day, or a day of a subnet comes twice.
    #[error("row {row} of the flow panel does not come after the row before it (by subnet, then day, each once)")]
    Unsorted {
        /// Number of the row, from 0.
        row: usize,
    },
    /// Too few simulated panels.
    #[error(
        "{simulations} simulations are too few for the errors of a flow law: at least {SIMULATIONS_MIN} are needed"
    )]
    TooFewSimulations {
        /// Number asked for.
        simulations: usize,
    },
    /// A parameter that must be positive for the fit to start from.
    #[error("the flow parameters to start from have {name} = {value} (must be {must}): the fit moves its logarithm")]
    BadStart {
        /// Which.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// Threads could not be started.
    #[error("the threads of the fit could not be started: {0}")]
    Threads(String),
}

/// Fits the flow law to a panel.
///
/// `prior`: where the data are silent, how far it holds stands in the module's table; floors, caps and what is not
/// estimated are taken from it.
///
/// # Errors
///
/// Where rows are too few, not finite or not in order, flows are mostly zero, or `prior` has parameters without a logarithm.
pub fn fit_flow(panel: &FlowPanel, prior: &FlowParams, options: &FitOptions) -> Result<FlowLaw, FitError> {
    check_panel(panel)?;
    check_start(prior)?;
    if options.simulations < SIMULATIONS_MIN {
        return Err(FitError::TooFewSimulations { simulations: options.simulations });
    }
    let layout = Layout::new(panel, prior);
    let flows: Vec<f64> = panel.rows.iter().map(|row| row.flow).collect();
    let found = flow_estimate::estimate(&layout, &flows, prior, None);
    let (common_jump, common_errors) =
        common_jumps::law(&found.common, &layout, &found.standardized, &found.law, &prior.common_jump);
    let raw = flow_estimate::params_at(&found.at, prior, common_jump);
    let repeats = repeat(&layout, &raw, prior, &found, options)?;
    let parts = leave_out(panel, prior, &found, options)?;
    let covariance = covariance(&repeats.estimates, &parts, &found);
    let at = without_bias(&repeats.estimates, &found);
    let (at, covariance) = with_prior(&found, at, covariance, prior);
    let params = flow_estimate::params_at(&at, prior, common_jump);
    let data = flow_diagnostics::describe(&layout, &flows, &found);
    Ok(FlowLaw {
        subnets: subnets(panel, &layout, &found, &params),
        law: parameter_law(&covariance, common_errors),
        diagnostics: flow_diagnostics::compare(&layout, data, &repeats.descriptions, &found.common.jumps),
        params,
    })
}

fn check_panel(panel: &FlowPanel) -> Result<(), FitError> {
    let rows = &panel.rows;
    let before = |a: &FlowRow, b: &FlowRow| (a.subnet, a.day) < (b.subnet, b.day);
    for (row, at) in rows.iter().enumerate() {
        let bad = |name, value, must| FitError::BadRow { row, name, value, must };
        if at.subnet as usize >= panel.subnets.len() {
            return Err(bad("subnet", f64::from(at.subnet), "an index of the panel's subnets"));
        }
        for (name, value) in [("days", at.days), ("reserve_tao", at.reserve_tao)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(bad(name, value, "positive and finite"));
            }
        }
        if !(at.age_days >= 0.0 && at.age_days.is_finite()) {
            return Err(bad("age_days", at.age_days, "at least 0 and finite"));
        }
        if !at.flow.is_finite() {
            return Err(bad("flow", at.flow, "finite"));
        }
        if row > 0 && !before(&rows[row - 1], at) {
            return Err(FitError::Unsorted { row });
        }
    }
    if rows.len() < ROWS_MIN {
        return Err(FitError::TooFewRows { rows: rows.len() });
    }
    let zeros = rows.iter().filter(|row| row.flow == 0.0).count();
    if 2 * zeros >= rows.len() {
        return Err(FitError::NoFlow { zeros, rows: rows.len() });
    }
    Ok(())
}

fn check_start(prior: &FlowParams) -> Result<(), FitError> {
    let [fast, slow] = prior.volatility;
    let jumps = prior.jumps;
    let positive = [
        ("scale_median", prior.scale_median),
        ("scale_sd_log", prior.scale_sd_log),
        ("volatility_fast.sd_log", fast.sd_log),
        ("volatility_fast.half_life_days", fast.half_life_days),
        ("volatility_slow.sd_log", slow.sd_log),
        ("volatility_slow.half_life_days", slow.half_life_days),
        ("jumps.rate_per_day", jumps.rate_per_day),
        ("jumps.up_mean", jumps.up_mean),
        ("jumps.down_mean", jumps.down_mean),
        ("loading_sd", prior.loading_sd),
        ("common_jump.rate_per_day", prior.common_jump.rate_per_day),
        ("common_jump.up_mean", prior.common_jump.up_mean),
        ("common_jump.down_mean", prior.common_jump.down_mean),
        ("volatility_cap", prior.volatility_cap),
    ];
    let fractions = [
        ("jumps.up_probability", jumps.up_probability),
        ("common_jump.up_probability", prior.common_jump.up_probability),
        ("loading_mean", prior.loading_mean),
    ];
    if let Some(&(name, value)) = positive.iter().find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
        return Err(FitError::BadStart { name, value, must: "positive and finite" });
    }
    match fractions.iter().find(|(_, value)| !(*value > 0.0 && *value < 1.0)) {
        Some(&(name, value)) => Err(FitError::BadStart { name, value, must: "between 0 and 1" }),
        None => Ok(()),
    }
}

/// What the estimators make of simulated panels.
struct Repeats {
    estimates: Vec<Vec<f64>>,
    descriptions: Vec<flow_diagnostics::Description>,
}

fn repeat(
    layout: &Layout,
    raw: &FlowParams,
    prior: &FlowParams,
    near: &FlowEstimate,
    options: &FitOptions,
) -> Result<Repeats, FitError> {
    let mut repeats = Repeats { estimates: Vec::new(), descriptions: Vec::new() };
    let work = |_: &mut (), number: usize| {
        let flows = simulate::simulate(layout, raw, options.seed, number as u32);
        let found = flow_estimate::estimate(layout, &flows, prior, Some(&near.law));
        let description = (number < DESCRIBED).then(|| flow_diagnostics::describe(layout, &flows, &found));
        (found.at, description)
    };
    let consume = |(at, description): ([f64; SIZE], _)| {
        repeats.estimates.push(at.to_vec());
        repeats.descriptions.extend(description);
        ControlFlow::Continue(())
    };
    in_parallel(options, options.simulations, work, consume)?;
    Ok(repeats)
}

/// Estimates of the panel with parts left out.
fn leave_out(
    panel: &FlowPanel,
    prior: &FlowParams,
    near: &FlowEstimate,
    options: &FitOptions,
) -> Result<Vec<[f64; SIZE]>, FitError> {
    let mut estimates = Vec::new();
    let work = |_: &mut (), number: usize| {
        let part = jackknife::without(panel, number);
        let flows: Vec<f64> = part.rows.iter().map(|row| row.flow).collect();
        flow_estimate::estimate(&Layout::new(&part, prior), &flows, prior, Some(&near.law)).at
    };
    let consume = |at| {
        estimates.push(at);
        ControlFlow::Continue(())
    };
    in_parallel(options, jackknife::count(panel), work, consume)?;
    Ok(estimates)
}

fn in_parallel<T: Send>(
    options: &FitOptions,
    tasks: usize,
    work: impl Fn(&mut (), usize) -> T + Sync,
    consume: impl FnMut(T) -> ControlFlow<()>,
) -> Result<(), FitError> {
    let done = parallel::ordered(options.threads.max(1), tasks, || (), work, consume);
    done.map(|_| ()).map_err(|error| FitError::Threads(error.to_string()))
}

/// Covariance of the estimates' errors: what simulated estimates vary by, more where leaving parts out says so, and what
/// the prior's own error adds to those it pulls.
fn covariance(repeats: &[Vec<f64>], parts: &[[f64; SIZE]], found: &FlowEstimate) -> Matrix {
    let mut covariance = linear::covariance(repeats);
    let factors = jackknife::factors(parts, |i| covariance[i][i]);
    let spreads = [filter::SCALE_PRIOR_SD, loadings::SPREAD_PRIOR_SD];
    let prior_sd: Vec<f64> = volatility::PRIOR_SD.into_iter().chain(spreads).collect();
    let pulled = |i: usize, j: usize| -> f64 {
        (0..WITH_PRIOR).map(|k| found.pull[i][k] * found.pull[j][k] * prior_sd[k].powi(2)).sum()
    };
    for (i, row) in covariance.iter_mut().enumerate() {
        for (j, entry) in row.iter_mut().enumerate() {
            *entry *= factors[i] * factors[j] * if i == j { 1.0 } else { CORRELATION_KEPT };
            if i.max(j) < WITH_PRIOR {
                *entry += pulled(i, j);
            }
        }
    }
    covariance
}

/// Estimates less what the same estimators err by on simulated panels, in the mean, at most one standard deviation (one step of
/// indirect inference).
fn without_bias(repeats: &[Vec<f64>], found: &FlowEstimate) -> Vec<f64> {
    let n = repeats.len() as f64;
    let corrected = |i: usize| {
        let mean = repeats.iter().map(|at| at[i]).sum::<f64>() / n;
        let deviation = (repeats.iter().map(|at| (at[i] - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        found.at[i] - (mean - found.at[i]).clamp(-deviation, deviation)
    };
    (0..SIZE).map(corrected).collect()
}

/// Brings in the prior of the coordinates that have none yet: the normal law of all given what the prior says of these.
fn with_prior(found: &FlowEstimate, at: Vec<f64>, covariance: Matrix, prior: &FlowParams) -> (Vec<f64>, Matrix) {
    let center =
        [prior.size_exponent, prior.age_exponent, prior.drift_per_day, flow_estimate::logit(prior.loading_mean)];
    let (mut at, mut covariance) = (at, covariance);
    // One coordinate after the other: the priors are independent.
    for (k, (center, sd)) in (WITH_PRIOR..SIZE).zip(center.into_iter().zip(PRIOR_SD)) {
        if k == SIZE - 1 && found.loadings.mean.is_none() {
            // Nothing was seen: the prior's error is all there is.
            (0..SIZE).for_each(|i| (covariance[i][k], covariance[k][i]) = (0.0, 0.0));
            covariance[k][k] = sd * sd;
            continue;
        }
        let column: Vec<f64> = covariance.iter().map(|row| row[k]).collect();
        let total = column[k] + sd * sd;
        let surprise = (center - at[k]) / total;
        for i in 0..SIZE {
            at[i] += column[i] * surprise;
            (0..SIZE).for_each(|j| covariance[i][j] -= column[i] * column[j] / total);
        }
    }
    (at, covariance)
}

const COMMON_JUMP: [(&str, Scale); 4] = [
    ("flow.common_jump.rate_per_day", Scale::Log),
    ("flow.common_jump.up_probability", Scale::Logit),
    ("flow.common_jump.up_mean", Scale::Log),
    ("flow.common_jump.down_mean", Scale::Log),
];

fn parameter_law(covariance: &Matrix, common_errors: [f64; 4]) -> ParameterLaw {
    let size = SIZE + COMMON_JUMP.len();
    let errors: Vec<f64> = (0..SIZE).map(|i| covariance[i][i].sqrt()).chain(common_errors).collect();
    let mut correlation = linear::zeros(size);
    for i in 0..size {
        for j in 0..size {
            correlation[i][j] = match i.max(j) {
                _ if i == j => 1.0,
                last if last < SIZE => covariance[i][j] / (errors[i] * errors[j]),
                _ => 0.0,
            };
        }
    }
    let parameter = |(&(key, scale), standard_error): (&(&str, Scale), f64)| UncertainParameter {
        key: key.to_owned(),
        scale,
        standard_error,
    };
    let parameters = COORDINATES.iter().chain(&COMMON_JUMP).zip(errors).map(parameter).collect();
    ParameterLaw { parameters, correlation }
}

fn subnets(panel: &FlowPanel, layout: &Layout, found: &FlowEstimate, params: &FlowParams) -> Vec<SubnetBehaviour> {
    let Filtered { last, .. } = filter::run(layout, &found.standardized, &found.law);
    let relative = found.loadings.relative;
    let behaviour = |(number, (rows, level)): (usize, (&std::ops::Range<usize>, filter::Level))| {
        let error = |i: usize| level.covariance[i][i].max(0.0).sqrt();
        let loading = match found.loadings.of_subnets[number] {
            Some(seen) => seen.shrunk(relative.mean, relative.sd),
            None => crate::calibration::shrink::Noisy { value: relative.mean, error: relative.sd },
        };
        let last = panel.rows[rows.end - 1];
        SubnetBehaviour {
            subnet: panel.subnets[last.subnet as usize],
            rows: rows.len(),
            last_day: last.day,
            scale: params.scale_median * math::exp(level.mean[2]),
            scale_log_error: error(2),
            loading: params.loading_mean * loading.value / relative.mean,
            loading_error: params.loading_mean * loading.error / relative.mean,
            log_volatility: [level.mean[0], level.mean[1]],
            log_volatility_error: [error(0), error(1)],
        }
    };
    layout.subnets.iter().zip(last).enumerate().map(behaviour).collect()
}
