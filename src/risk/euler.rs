//! Components of value at risk and expected shortfall (Euler): what each part of a book adds to them.
//!
//! With `L = sum of L_i`, VaR `q` and density `f` of L there, levels c, n paths and `k = n (1 - c)`:
//!
//! ```text
//! VaR_i = E[L_i | L = q]        estimated by local linear regression of L_i on L at the published q:
//!         sum_j l_j L_ij,  l_j = w_j (1 + (q - A)(L_j - A) / S),  A = sum w_j L_j,  S = sum w_j (L_j - A)^2
//! ES_i  = E[L_i | tail] = VaR_i + sum over the tail of (L_ij - VaR_i) / k,  q itself counted with the fraction that fills k
//! ```
//!
//! `w`: Epanechnikov weights over the `k^(4/5)` order statistics on either side of that of the VaR. The sum
//! of the regressions is the regression of L on itself, so components add to the published measures to rounding; what smoothing
//! leaves over, `q - A`, goes to each part by its slope on L, and slopes sum to 1.
//!
//! Bias: half the curvature of `E[L_i | L]` times the variance of the weights over L, of the order `k^(-2/5)` of the component's
//! own curvature; none where the expectation is linear, as for elliptical laws. The curvatures sum to 0 over parts. Variance:
//! that of L_i given L over the `1.7 k^(4/5)` losses that count. A window of the ranks that the VaR may have by chance, `2 k^(1/2)`,
//! was the alternative: hardly any bias, and at k = 5,000 twice the error.
//!
//! Errors are those of mean influences path by path:
//!
//! ```text
//! VaR_i: n l_j e_ij + b_i 1[L_j > q] / f        e_ij residual and b_i slope of the regression: the spread in the window,
//!                                               and the VaR's own error; the former times m / (m - 2), m = 1 / sum l_j^2
//! ES_i:  (L_ij - VaR_i) 1[L_j > q] / (1 - c)    so that se^2 = [Var(L_i | tail) + c (ES_i - VaR_i)^2] / k
//! ```
//!
//! `1 / f` is the slope of the order statistics over their ranks in the window. With fewer than two losses in the tail the errors
//! are infinite.
//!
//! Source: Tasche (1999), Risk contributions and performance measurement, section 5; Gourieroux, Laurent, Scaillet (2000),
//! doi:10.1016/S0927-5398(00)00011-6; Fan, Gijbels (1996), Local Polynomial Modelling and Its Applications, theorem 3.1.

use std::collections::BTreeMap;

use crate::risk::estimate::Estimate;
use crate::risk::estimate::quantile_rank;
use crate::risk::tail_rows::SortedRows;
use crate::risk::tail_rows::kernel_reach;

/// How paths depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sampling {
    /// Number of paths.
    pub(crate) paths: u64,
    /// Paths of a replicate, which share parameters; 1: all are independent. Path 0 is the first of one.
    pub(crate) replicate_paths: u64,
}

impl Sampling {
    /// Standard error of the mean over all paths of influences, 0 on those not given; each path at most once.
    ///
    /// ```text
    /// se^2 = R / (R - 1) sum over r of (S_r - n_r m)^2 / n^2    S_r: sum over the n_r paths of replicate r, of R; m: mean
    /// ```
    pub(crate) fn error(&self, influences: impl Iterator<Item = (u32, f64)>) -> f64 {
        let (n, length) = (self.paths as f64, self.replicate_paths as f64);
        let replicates = self.paths.div_ceil(self.replicate_paths);
        if replicates < 2 {
            return f64::INFINITY;
        }
        let (mut sum, mut squares, mut in_last) = (0.0, 0.0, 0.0);
        if self.replicate_paths == 1 {
            influences.for_each(|(_, h)| (sum, squares) = (sum + h, squares + h * h));
        } else {
            let mut sums = BTreeMap::new();
            influences.for_each(|(path, h)| *sums.entry(u64::from(path) / self.replicate_paths).or_insert(0.0) += h);
            sums.values().for_each(|s| (sum, squares) = (sum + s, squares + s * s));
            in_last = sums.get(&(replicates - 1)).copied().unwrap_or(0.0);
        }
        // All replicates have as many paths, but for the last, which may have fewer.
        let (count, mean, missing) = (replicates as f64, sum / n, replicates as f64 * length - n);
        let products = length * sum - missing * in_last;
        let lengths = count * length * length - missing * (2.0 * length - missing);
        let variance: f64 = count / (count - 1.0) * (squares - 2.0 * mean * products + mean * mean * lengths);
        variance.max(0.0).sqrt() / n
    }
}

/// Tail measures of one level, and what splits them up.
pub(crate) struct TailPoint<'a> {
    rows: &'a SortedRows,
    confidence: f64,
    /// Place of the value at risk: the number of losses beyond it.
    place: usize,
    /// Losses in the tail, `n (1 - c)`.
    mass: f64,
    value_at_risk: f64,
    /// First place of the window, weights of its places as they are and as the regression has them.
    first: usize,
    weights: Vec<f64>,
    regression: Vec<f64>,
    /// Weighted mean and sum of squares of the losses in the window.
    centre: f64,
    spread: f64,
    inverse_density: f64,
}

impl<'a> TailPoint<'a> {
    /// The measures at `confidence`; `None` without losses.
    pub(crate) fn new(rows: &'a SortedRows, confidence: f64) -> Option<Self> {
        if rows.len() == 0 {
            return None;
        }
        let samples = rows.samples();
        let place = (samples - quantile_rank(samples, confidence)) as usize;
        let reach = kernel_reach(samples, confidence);
        let (first, last) = (place.saturating_sub(reach), (place + reach).min(rows.len() - 1));
        let weights = epanechnikov(place, reach, first, last);
        let losses = || (first..=last).map(|j| rows.loss(j));
        let value_at_risk = rows.loss(place);
        let centre = dot(&weights, losses());
        let spread = dot(&weights, losses().map(|loss| (loss - centre) * (loss - centre)));
        let pull = if spread > 0.0 { (value_at_risk - centre) / spread } else { 0.0 };
        let regression = weights.iter().zip(losses()).map(|(w, loss)| w * (1.0 + pull * (loss - centre))).collect();
        let middle = dot(&weights, (first..=last).map(|j| j as f64));
        let by_rank = |j: usize| j as f64 - middle;
        let ranks = dot(&weights, (first..=last).map(|j| by_rank(j) * by_rank(j)));
        let slope = dot(&weights, (first..=last).map(|j| by_rank(j) * (centre - rows.loss(j))));
        Some(Self {
            rows,
            confidence,
            place,
            mass: (samples as f64 - samples as f64 * confidence).max(f64::MIN_POSITIVE),
            value_at_risk,
            first,
            inverse_density: if ranks > 0.0 { slope / ranks * samples as f64 } else { 0.0 },
            weights,
            regression,
            centre,
            spread,
        })
    }

    /// Value at risk and expected shortfall of the whole, as [`crate::risk::tail::SortedTail`] has them.
    pub(crate) fn totals(&self) -> [f64; 2] {
        [self.value_at_risk, self.tail_mean(self.value_at_risk, |j| self.rows.loss(j))]
    }

    /// Components of value at risk and expected shortfall of the part that `of` gives from the parts of a loss.
    pub(crate) fn components(&self, of: impl Fn(&[f64]) -> f64, sampling: Sampling) -> [Estimate; 2] {
        let part = |j: usize| of(self.rows.parts(j));
        let window = self.first..self.first + self.weights.len();
        let value = dot(&self.regression, window.clone().map(part));
        let mean = dot(&self.weights, window.clone().map(part));
        let against = dot(&self.weights, window.clone().map(|j| (self.rows.loss(j) - self.centre) * (part(j) - mean)));
        let slope = if self.spread > 0.0 { against / self.spread } else { 0.0 };
        let scale = self.residual_scale();
        let residual = |j: usize| match j.checked_sub(self.first).and_then(|index| self.regression.get(index)) {
            Some(weight) => {
                let residual = part(j) - value - slope * (self.rows.loss(j) - self.value_at_risk);
                self.rows.samples() as f64 * scale * weight * residual
            }
            None => 0.0,
        };
        let quantile = |j: usize| if j < self.place { slope * self.inverse_density } else { 0.0 };
        let influences = (0..window.end).map(|j| (self.rows.path(j), residual(j) + quantile(j)));
        let value_error = if self.is_known() { sampling.error(influences) } else { f64::INFINITY };
        let excess = |j: usize| (self.rows.path(j), (part(j) - value) / (1.0 - self.confidence));
        let tail_error = if self.is_known() { sampling.error((0..self.place).map(excess)) } else { f64::INFINITY };
        let samples = self.rows.samples();
        [
            Estimate::normal(value, value_error, samples),
            Estimate::normal(self.tail_mean(value, part), tail_error, samples),
        ]
    }

    /// Component of expected shortfall of the part that `of` gives, and the influences on it of the paths beyond the value at risk,
    /// each with its path.
    pub(crate) fn shortfall_part(&self, of: impl Fn(&[f64]) -> f64) -> (f64, Vec<(u32, f64)>) {
        let part = |j: usize| of(self.rows.parts(j));
        let value = dot(&self.regression, (self.first..self.first + self.weights.len()).map(part));
        let excess = |j: usize| (self.rows.path(j), (part(j) - value) / (1.0 - self.confidence));
        (self.tail_mean(value, part), (0..self.place).map(excess).collect())
    }

    /// Influences on value at risk and expected shortfall of the paths beyond the former, by path.
    pub(crate) fn influences(&self) -> Vec<(u32, [f64; 2])> {
        let influence = |j: usize| {
            let excess = (self.rows.loss(j) - self.value_at_risk) / (1.0 - self.confidence);
            (self.rows.path(j), [self.inverse_density, excess])
        };
        let mut influences: Vec<_> = (0..self.place).map(influence).collect();
        influences.sort_unstable_by_key(|&(path, _)| path);
        influences
    }

    /// Whether there are losses enough for an error.
    pub(crate) fn is_known(&self) -> bool {
        self.mass >= 2.0
    }

    /// `at` plus the mean over the tail of what `part` is above it.
    fn tail_mean(&self, at: f64, part: impl Fn(usize) -> f64) -> f64 {
        let atom = (self.mass - self.place as f64).max(0.0) * (part(self.place) - at);
        let beyond = (0..self.place).rev().fold(0.0, |sum, j| sum + (part(j) - at));
        at + (beyond + atom) / self.mass
    }

    /// What the two parameters of the regression take from its residuals, as a factor on them.
    fn residual_scale(&self) -> f64 {
        let count = 1.0 / dot(&self.regression, self.regression.iter().copied());
        if count > 2.0 { (count / (count - 2.0)).sqrt() } else { f64::INFINITY }
    }
}

/// Weights of sum 1 of the places `first..=last`, which fall to 0 beyond `reach` places from `place`.
fn epanechnikov(place: usize, reach: usize, first: usize, last: usize) -> Vec<f64> {
    let weight = |j: usize| {
        let distance = j.abs_diff(place) as f64 / (reach + 1) as f64;
        1.0 - distance * distance
    };
    let mut weights: Vec<f64> = (first..=last).map(weight).collect();
    let total = weights.iter().fold(0.0, |sum, weight| sum + weight);
    weights.iter_mut().for_each(|weight| *weight /= total);
    weights
}

fn dot(weights: &[f64], values: impl Iterator<Item = f64>) -> f64 {
    weights.iter().zip(values).fold(0.0, |sum, (weight, value)| sum + weight * value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::tail::WorstTail;
    use crate::risk::tail_rows::TailRows;

    /// Losses in two parts: a curve of the path's number, and the rest.
    fn rows(n: u64, confidence: f64) -> (SortedRows, WorstTail) {
        let (mut rows, mut tail) = (TailRows::new(n, confidence, 2), WorstTail::new(n, confidence));
        for path in 0..n {
            let u = (path * 7919 % n) as f64 / n as f64;
            let (loss, first) = (u * u * 100.0 - 40.0, (path as f64).sin() * 5.0 + 30.0 * u);
            rows.push(path, loss, |parts| parts.copy_from_slice(&[first, loss - first]));
            tail.push(loss);
        }
        (rows.into_sorted(), tail)
    }

    #[test]
    fn components_add_to_the_published_measures() {
        for (n, confidence) in [(20_011, 0.95), (20_011, 0.99), (1_009, 0.975), (97, 0.95), (11, 0.9), (1, 0.95)] {
            let (rows, tail) = rows(n, confidence);
            let tail = tail.into_sorted();
            let point = TailPoint::new(&rows, confidence).unwrap();
            let published =
                [tail.value_at_risk(confidence), tail.expected_shortfall(confidence)].map(|e| e.unwrap().value);
            let sampling = Sampling { paths: n, replicate_paths: 1 };
            let [first, second] = [0, 1].map(|part| point.components(|parts| parts[part], sampling));
            for measure in 0..2 {
                let sum = first[measure].value + second[measure].value;
                assert!((sum / published[measure] - 1.0).abs() < 1e-12, "{n} {confidence}: {sum} {published:?}");
                assert!((point.totals()[measure] / published[measure] - 1.0).abs() < 1e-12);
            }
        }
    }

    /// The part that is the whole has the measures and errors of the whole.
    #[test]
    fn the_whole_is_its_own_component() {
        let (rows, tail) = rows(20_011, 0.95);
        let tail = tail.into_sorted();
        let sampling = Sampling { paths: 20_011, replicate_paths: 1 };
        let [value, shortfall] = TailPoint::new(&rows, 0.95).unwrap().components(|parts| parts[0] + parts[1], sampling);
        let published = tail.expected_shortfall(0.95).unwrap();
        assert!(
            (shortfall.standard_error / published.standard_error - 1.0).abs() < 1e-3,
            "{shortfall:?} {published:?}"
        );
        let published = tail.value_at_risk(0.95).unwrap();
        assert!((value.standard_error / published.standard_error - 1.0).abs() < 0.03, "{value:?} {published:?}");
    }

    #[test]
    fn few_losses_have_no_false_certainty() {
        let (rows, _) = rows(11, 0.9);
        let sampling = Sampling { paths: 11, replicate_paths: 1 };
        let [value, shortfall] = TailPoint::new(&rows, 0.9).unwrap().components(|parts| parts[0], sampling);
        assert_eq!((value.standard_error, shortfall.standard_error), (f64::INFINITY, f64::INFINITY));
        assert!(TailPoint::new(&TailRows::new(5, 0.9, 1).into_sorted(), 0.9).is_none());
    }

    #[test]
    fn replicates_count_as_one_outcome_each() {
        let plain = Sampling { paths: 100, replicate_paths: 1 };
        let influences = || (0..40).map(|path| (path, f64::from(path / 10) - 1.5));
        // In tens that move together the error is that of ten outcomes of ten.
        let joint = Sampling { paths: 100, replicate_paths: 10 };
        let squares = 10.0 * (2.0 * 1.5_f64.powi(2) + 2.0 * 0.25);
        assert!((plain.error(influences()) - (100.0 / 99.0 * squares).sqrt() / 100.0).abs() < 1e-12);
        assert!((joint.error(influences()) - (10.0 / 9.0 * 10.0 * squares).sqrt() / 100.0).abs() < 1e-12);
        // 40 paths, of which 10 are missing in the last of two: -25 and 25 are sums over 30 and 10 of mean 0.
        let uneven = Sampling { paths: 40, replicate_paths: 30 };
        let ends = [(3, -25.0), (39, 25.0)];
        assert!((uneven.error(ends.into_iter()) - (2.0_f64 * 1_250.0).sqrt() / 40.0).abs() < 1e-12);
        // Of mean 1/4, so that 7.5 and 2.5 are expected of 0 and 10.
        assert!((uneven.error([(39, 10.0)].into_iter()) - (2.0_f64 * 2.0 * 7.5 * 7.5).sqrt() / 40.0).abs() < 1e-12);
        assert_eq!(Sampling { paths: 100, replicate_paths: 100 }.error(influences()), f64::INFINITY);
    }
}
