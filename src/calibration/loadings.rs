//! How subnets load on the common factor, from flows of the same day.
//!
//! Standardized flows are clipped, so that no jump decides; `c = E dE[clipped u]/dZ` is what is left of a unit of the normal
//! draw ([`LawOfSizes::clipped_slopes`]), and two subnets' clipped flows have the mean product `c^2 b_i b_j` (the next term of
//! the series is of the order of `b^6`). Single loadings come from regressions on the mean of the others; the spread of
//! the slopes, less their errors, is that of the loadings.

use crate::calibration::layout::Layout;
use crate::calibration::shrink;
use crate::calibration::shrink::Noisy;
use crate::calibration::shrink::Spread;
use crate::calibration::volatility::LawOfSizes;

/// Where standardized flows are clipped (medians of their size).
pub(crate) const CLIP: f64 = 2.0;
/// Subnets that a day needs to count.
const SUBNETS_MIN: usize = 3;
/// Rows that a subnet needs for a slope of its own.
const ROWS_MIN: usize = 20;
/// Largest mean loading that is reported.
const LOADING_MAX: f64 = 0.95;
/// Prior standard deviation of the log of the spread of loadings.
const SPREAD_PRIOR_SD: f64 = 0.5;

/// Loadings of a panel.
pub(crate) struct Loadings {
    /// `None`: no day has enough subnets, or their flows do not go together.
    pub mean: Option<f64>,
    /// Of loadings in units of their mean.
    pub relative: Spread,
    /// Each subnet's, in units of the mean, before shrinkage; `None`: too few rows.
    pub of_subnets: Vec<Option<Noisy>>,
}

/// Fits the loadings from clipped flows of the rows that count; `prior` is the spread of loadings over their mean.
pub(crate) fn fit(layout: &Layout, clipped: &[f64], counts: &[bool], law: &LawOfSizes, prior: f64) -> Loadings {
    let others = means_of_others(layout, clipped, counts);
    let (mut products, mut pairs) = (0.0, 0.0);
    for rows in &layout.days {
        let n = rows.iter().filter(|&&row| others[row].is_some()).count() as f64;
        let sum: f64 = rows.iter().filter_map(|&row| Some(clipped[row] * others[row]?)).sum();
        products += sum * (n - 1.0);
        pairs += n * (n - 1.0);
    }
    let product = products / pairs;
    let [slope, _] = law.clipped_slopes(CLIP);
    let mean = (product > 0.0).then(|| (product.sqrt() / slope).min(LOADING_MAX));
    let slopes: Vec<Option<Noisy>> =
        layout.subnets.iter().map(|rows| regression(rows.clone(), clipped, &others)).collect();
    let found: Vec<Noisy> = slopes.iter().flatten().copied().collect();
    let weight = |slope: &Noisy| slope.error.powi(-2);
    let common =
        found.iter().map(|slope| slope.value * weight(slope)).sum::<f64>() / found.iter().map(weight).sum::<f64>();
    let relative = |slope: Noisy| Noisy { value: slope.value / common, error: slope.error / common };
    if mean.is_none() || !(common > 0.0) {
        let relative = shrink::fit_spread(&[], prior, SPREAD_PRIOR_SD);
        return Loadings { mean, relative, of_subnets: vec![None; slopes.len()] };
    }
    let of_subnets: Vec<Option<Noisy>> = slopes.into_iter().map(|slope| slope.map(relative)).collect();
    let found: Vec<Noisy> = of_subnets.iter().flatten().copied().collect();
    Loadings { mean, relative: shrink::fit_spread(&found, prior, SPREAD_PRIOR_SD), of_subnets }
}

/// Of each row, the mean clipped flow of the other subnets on its day.
fn means_of_others(layout: &Layout, clipped: &[f64], counts: &[bool]) -> Vec<Option<f64>> {
    let mut found = vec![None; clipped.len()];
    for rows in &layout.days {
        let counted: Vec<usize> = rows.iter().copied().filter(|&row| counts[row]).collect();
        if counted.len() >= SUBNETS_MIN {
            let sum: f64 = counted.iter().map(|&row| clipped[row]).sum();
            let others = (counted.len() - 1) as f64;
            counted.iter().for_each(|&row| found[row] = Some((sum - clipped[row]) / others));
        }
    }
    found
}

/// Slope of a subnet's flows on those of the others, with the error that allows for changing variance (White 1980).
fn regression(rows: std::ops::Range<usize>, clipped: &[f64], others: &[Option<f64>]) -> Option<Noisy> {
    let points: Vec<[f64; 2]> = rows.filter_map(|row| Some([others[row]?, clipped[row]])).collect();
    let square: f64 = points.iter().map(|[x, _]| x * x).sum();
    if points.len() < ROWS_MIN || !(square > 0.0) {
        return None;
    }
    let value = points.iter().map(|[x, y]| x * y).sum::<f64>() / square;
    let error = points.iter().map(|[x, y]| (x * (y - value * x)).powi(2)).sum::<f64>().sqrt() / square;
    Some(Noisy { value, error })
}
