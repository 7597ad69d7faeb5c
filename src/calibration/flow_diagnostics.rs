//! How the fitted flow law describes the data: the same figures of the observed panel and of simulated ones.

use crate::calibration::filter;
use crate::calibration::flow_estimate::FlowEstimate;
use crate::calibration::layout::LAGS;
use crate::calibration::layout::Layout;

/// Probabilities of the quantiles of standardized residuals.
const PROBABILITIES: [f64; 15] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999];
/// Bins of size and of age, of equal numbers of rows.
const BINS: usize = 8;

/// A figure of the data beside its law under the fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Where: a probability, a lag (days), a mean size (TAO) or a mean age (days).
    pub at: f64,
    /// Of the data.
    pub data: f64,
    /// Mean of simulated panels.
    pub fitted: f64,
    /// Standard deviation of one simulated panel.
    pub fitted_sd: f64,
}

/// What the data say of the fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowDiagnostics {
    /// Rows, days and subnets that were used.
    pub rows: usize,
    /// Days with a row.
    pub days: usize,
    /// Subnets with a row.
    pub subnets: usize,
    /// Days that were taken for common jumps.
    pub common_jump_days: Vec<u32>,
    /// Quantiles of the flows over the size that the filter expected, in units of the median size: a Q-Q picture.
    pub residual_quantiles: Vec<Figure>,
    /// Autocorrelations of the log size of standardized flows within subnets.
    pub autocorrelations: Vec<Figure>,
    /// Mean of `|f| / sqrt(days)` by size of pool.
    pub scale_by_size: Vec<Figure>,
    /// The same by age.
    pub scale_by_age: Vec<Figure>,
}

/// The figures of one panel, in the order of the fields.
pub(crate) struct Description([Vec<f64>; 4]);

/// Describes flows and their estimate.
pub(crate) fn describe(layout: &Layout, flows: &[f64], estimate: &FlowEstimate) -> Description {
    let filtered = filter::run(layout, &estimate.standardized, &estimate.law);
    let residual = |(flow, log): (&f64, &f64)| flow * (-log).exp();
    let mut residuals: Vec<f64> = estimate.standardized.iter().zip(&filtered.expected).map(residual).collect();
    residuals.sort_unstable_by(f64::total_cmp);
    let quantiles = PROBABILITIES.map(|p| residuals[((residuals.len() - 1) as f64 * p).round() as usize]);
    let sizes = bins(layout, |row| layout.places[row].size).into_iter().map(|rows| mean_size(layout, flows, &rows));
    let ages = bins(layout, |row| layout.places[row].age).into_iter().map(|rows| mean_size(layout, flows, &rows));
    Description([
        quantiles.to_vec(),
        autocorrelations(layout, &filter::log_sizes(&estimate.standardized)),
        sizes.collect(),
        ages.collect(),
    ])
}

fn bins(layout: &Layout, of: impl Fn(usize) -> f64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..layout.places.len()).collect();
    order.sort_by(|a, b| of(*a).total_cmp(&of(*b)));
    order.chunks(order.len().div_ceil(BINS)).map(<[usize]>::to_vec).collect()
}

fn mean_size(layout: &Layout, flows: &[f64], rows: &[usize]) -> f64 {
    rows.iter().map(|&row| flows[row].abs() / layout.places[row].root_days).sum::<f64>() / rows.len() as f64
}

fn autocorrelations(layout: &Layout, logs: &[f64]) -> Vec<f64> {
    let mut centered = logs.to_vec();
    for rows in &layout.subnets {
        let mean = logs[rows.clone()].iter().sum::<f64>() / rows.len() as f64;
        centered[rows.clone()].iter_mut().for_each(|log| *log -= mean);
    }
    let variance = centered.iter().map(|log| log * log).sum::<f64>() / centered.len() as f64;
    let product = |pairs: &Vec<[usize; 2]>| {
        pairs.iter().map(|[a, b]| centered[*a] * centered[*b]).sum::<f64>() / pairs.len().max(1) as f64
    };
    layout.pairs.iter().map(|pairs| product(pairs) / variance).collect()
}

/// The figures of the data beside those of simulated panels.
pub(crate) fn compare(
    layout: &Layout,
    data: Description,
    simulated: &[Description],
    common_days: &[usize],
) -> FlowDiagnostics {
    let geometric = |rows: &[usize], of: &dyn Fn(usize) -> f64, unit: f64| {
        unit * (rows.iter().map(|&row| of(row)).sum::<f64>() / rows.len() as f64).exp()
    };
    let (size, age) = (|row: usize| layout.places[row].size, |row: usize| layout.places[row].age);
    let places = [
        PROBABILITIES.to_vec(),
        LAGS.map(f64::from).to_vec(),
        bins(layout, size).iter().map(|rows| geometric(rows, &size, 5_000.0)).collect(),
        bins(layout, age).iter().map(|rows| geometric(rows, &age, 200.0)).collect(),
    ];
    let figures = |field: usize| -> Vec<Figure> {
        let of = |(i, (&at, &data)): (usize, (&f64, &f64))| {
            let values = simulated.iter().map(|description| description.0[field][i]);
            let n = simulated.len() as f64;
            let mean = values.clone().sum::<f64>() / n;
            let fitted_sd = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            Figure { at, data, fitted: mean, fitted_sd }
        };
        places[field].iter().zip(&data.0[field]).enumerate().map(of).collect()
    };
    FlowDiagnostics {
        rows: layout.places.len(),
        days: layout.days_seen(),
        subnets: layout.subnets.len(),
        common_jump_days: common_days.iter().map(|&day| day as u32).collect(),
        residual_quantiles: figures(0),
        autocorrelations: figures(1),
        scale_by_size: figures(2),
        scale_by_age: figures(3),
    }
}
