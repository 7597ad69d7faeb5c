//! Control variates: means, probabilities, value at risk and expected shortfall from outcomes whose controls have known means.
//!
//! A control is a figure of a path whose mean is known without simulation. What the sample misses of that mean corrects the
//! estimate, by coefficients of least squares:
//!
//! ```text
//! b = S_xx^-1 S_xy,   mean = Y - b'(X - mu) = sum_i w_i y_i
//! w_i = 1/n + d'(x_i - X),   d = S_xx^-1 (mu - X),   sum w_i = 1,   sum w_i^2 = 1/n + (mu - X)'d
//! se^2 = (S_yy - S_xy'b) / (n - rank - 1) * (1/n + (mu - X)'d)
//! ```
//!
//! S: centred sums of products; X, Y: sample means. The weights do not depend on y, so that one regression serves every measure of
//! a run: a tail probability is a sum of weights, value at risk the loss where that sum passes `1 - c`, and expected shortfall
//! that loss and the weighted mean of `(L - VaR)+ / (1 - c)`. Only the worst losses are kept, each with its controls.
//!
//! For jointly normal outcome and controls the mean is unbiased and its variance that of the plain mean times
//! `(1 - R^2) (n - 2) / (n - d - 2)`; else its bias is of the order 1/n.
//! A control that is linear in a factor says little about a tail (of 1 % of a normal loss 7 % of the variance at a correlation of 1);
//! [`normal_controls`] adds what does.
//! Sources: Lavenberg, Welch (1981), doi:10.1287/mnsc.27.3.322; Hesterberg, Nelson (1998), doi:10.1287/mnsc.44.9.1295, for the
//! weights and the quantile; Woodruff (1952), doi:10.1080/01621459.1952.10483443, for its interval.
//!
//! # Not modelled
//! - Paths that share parameters in replicates: errors are those of independent paths.
//! - Nonlinear use of controls, but for functions of them given as controls of their own.

use crate::risk::estimate::Estimate;
use crate::risk::estimate::Z95;

/// Part of a control's spread that the controls before it leave unexplained, below which it is left out.
const INDEPENDENT_MIN: f64 = 1e-9;
/// Slack, in paths, of the position of a quantile, as in [`crate::risk::estimate::quantile_rank`].
const RANK_SLACK: f64 = 1e-6;

/// An estimate with controls, and what they gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controlled {
    /// The estimate.
    pub estimate: Estimate,
    /// Its variance over that of the plain estimate from the same paths; above 1 where controls cost more than they explain.
    pub variance_ratio: f64,
}

/// Sample means and centred products of `D` controls, updated one path at a time.
#[derive(Clone, Copy, Debug)]
pub struct ControlSums<const D: usize> {
    samples: u64,
    mean: [f64; D],
    products: [[f64; D]; D],
}

impl<const D: usize> Default for ControlSums<D> {
    fn default() -> Self {
        Self { samples: 0, mean: [0.0; D], products: [[0.0; D]; D] }
    }
}

impl<const D: usize> ControlSums<D> {
    /// Adds the controls of a path; returns them less their means, it included, for the outcomes of the path.
    pub fn push(&mut self, controls: &[f64; D]) -> [f64; D] {
        self.samples += 1;
        let before: [f64; D] = std::array::from_fn(|i| controls[i] - self.mean[i]);
        for i in 0..D {
            self.mean[i] += before[i] / self.samples as f64;
        }
        let after = std::array::from_fn(|i| controls[i] - self.mean[i]);
        for i in 0..D {
            for j in 0..=i {
                self.products[i][j] += before[i] * after[j];
            }
        }
        after
    }

    /// The regression on controls whose means are `truth`; `None` with too few paths for an error.
    ///
    /// A control that those before it explain, or that does not vary, is left out.
    pub fn regression(&self, truth: &[f64; D]) -> Option<Regression<D>> {
        let (root, rank) = cholesky(&self.products);
        let missed: [f64; D] = std::array::from_fn(|i| truth[i] - self.mean[i]);
        let direction = solve(&root, &missed);
        let freedom = self.samples.checked_sub(rank + 1).filter(|freedom| *freedom > 0)? as f64;
        let leverage = dot(&missed, &direction);
        Some(Regression { samples: self.samples, mean: self.mean, root, direction, leverage, freedom })
    }
}

/// An outcome of paths whose `D` controls are summed elsewhere, for all outcomes of the paths.
#[derive(Clone, Copy, Debug)]
pub struct OutcomeSums<const D: usize> {
    own: ControlSums<1>,
    cross: [f64; D],
}

impl<const D: usize> Default for OutcomeSums<D> {
    fn default() -> Self {
        Self { own: ControlSums::default(), cross: [0.0; D] }
    }
}

impl<const D: usize> OutcomeSums<D> {
    /// Adds the outcome of a path; `centred`: what [`ControlSums::push`] returned of its controls.
    pub fn push(&mut self, outcome: f64, centred: &[f64; D]) {
        let before = outcome - self.own.mean[0];
        self.own.push(&[outcome]);
        (0..D).for_each(|i| self.cross[i] += before * centred[i]);
    }

    /// The mean where those of the controls are `truth`; `None` with too few paths for an error.
    pub fn mean(&self, controls: &ControlSums<D>, truth: &[f64; D]) -> Option<Controlled> {
        let terms = Terms { mean: self.own.mean[0], square: self.own.products[0][0], cross: self.cross };
        let regression = controls.regression(truth)?;
        let (value, error) = regression.apply(&terms);
        Some(regression.controlled(Estimate::normal(value, error, controls.samples), error, &terms))
    }
}

/// One of the worst losses, with the controls of its path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TailPoint<const D: usize> {
    /// Loss.
    pub loss: f64,
    /// Controls.
    pub controls: [f64; D],
}

/// Means of a figure that is 0 outside the tail, or of any.
struct Terms<const D: usize> {
    mean: f64,
    /// Centred sum of squares.
    square: f64,
    /// Centred sums of products with the controls.
    cross: [f64; D],
}

/// Weights of paths that give the controls their true means.
#[derive(Clone, Copy, Debug)]
pub struct Regression<const D: usize> {
    samples: u64,
    mean: [f64; D],
    root: [[f64; D]; D],
    direction: [f64; D],
    leverage: f64,
    freedom: f64,
}

impl<const D: usize> Regression<D> {
    /// Weight of a path; the weights of all paths add up to 1. It may be negative far from the mean, in small samples.
    pub fn weight(&self, controls: &[f64; D]) -> f64 {
        1.0 / self.samples as f64 + dot(&self.direction, &self.centred(controls))
    }

    /// Probability of a loss above `threshold`, from the losses above it at least.
    pub fn probability_beyond(&self, tail: &[TailPoint<D>], threshold: f64) -> Controlled {
        let terms = self.terms(tail, |loss| if loss > threshold { 1.0 } else { 0.0 });
        let (value, error) = self.apply(&terms);
        self.controlled(Estimate::normal(value, error, self.samples), error, &terms)
    }

    /// Loss exceeded with probability `1 - confidence`, from the worst losses, largest first.
    ///
    /// The interval lies where the tail probability is `1 - confidence` plus and minus its own error (Woodruff); with controls
    /// that explain nothing it is that of order statistics in the normal approximation. An end beyond the sample is infinite.
    /// `None` where the value or the lower end lies outside the losses that were kept.
    pub fn value_at_risk(&self, tail: &[TailPoint<D>], confidence: f64) -> Option<Controlled> {
        let share = 1.0 - confidence;
        let value = self.quantile(tail, share)?;
        let terms = self.terms(tail, |loss| if loss > value { 1.0 } else { 0.0 });
        let (_, error) = self.apply(&terms);
        let ci_low = self.quantile(tail, share + Z95 * error)?;
        let above = share - Z95 * error;
        let ci_high = if above > 0.0 { self.quantile(tail, above)? } else { f64::INFINITY };
        Some(self.controlled(Estimate::between(value, ci_low, ci_high, self.samples), error, &terms))
    }

    /// Mean of the worst `1 - confidence` share of losses, from the worst losses, largest first.
    ///
    /// `None` where the value at risk lies outside the losses that were kept.
    pub fn expected_shortfall(&self, tail: &[TailPoint<D>], confidence: f64) -> Option<Controlled> {
        let share = 1.0 - confidence;
        let value_at_risk = self.quantile(tail, share)?;
        let terms = self.terms(tail, |loss| (loss - value_at_risk).max(0.0) / share);
        let (excess, error) = self.apply(&terms);
        Some(self.controlled(Estimate::normal(value_at_risk + excess, error, self.samples), error, &terms))
    }

    /// First loss at which the weights from the largest on pass `share`.
    fn quantile(&self, tail: &[TailPoint<D>], share: f64) -> Option<f64> {
        debug_assert!(tail.is_sorted_by(|a, b| a.loss >= b.loss));
        let passes = share + RANK_SLACK / self.samples as f64;
        let mut sum = 0.0;
        let found = tail.iter().find(|point| {
            sum += self.weight(&point.controls);
            sum > passes
        });
        found.map(|point| point.loss)
    }

    fn terms(&self, tail: &[TailPoint<D>], term: impl Fn(f64) -> f64) -> Terms<D> {
        let (mut sum, mut square, mut cross) = (0.0, 0.0, [0.0; D]);
        for point in tail {
            let value = term(point.loss);
            let centred = self.centred(&point.controls);
            (sum, square) = (sum + value, square + value * value);
            (0..D).for_each(|i| cross[i] += value * centred[i]);
        }
        let n = self.samples as f64;
        Terms { mean: sum / n, square: square - sum * sum / n, cross }
    }

    /// The controlled mean of the terms and its standard error.
    fn apply(&self, terms: &Terms<D>) -> (f64, f64) {
        let explained = dot(&terms.cross, &solve(&self.root, &terms.cross));
        let variance = (terms.square - explained).max(0.0) / self.freedom;
        let value = terms.mean + dot(&self.direction, &terms.cross);
        (value, (variance * (1.0 / self.samples as f64 + self.leverage)).sqrt())
    }

    fn controlled(&self, estimate: Estimate, error: f64, terms: &Terms<D>) -> Controlled {
        let n = self.samples as f64;
        let plain = terms.square / (n - 1.0) / n;
        Controlled { estimate, variance_ratio: if plain > 0.0 { error * error / plain } else { 1.0 } }
    }

    fn centred(&self, controls: &[f64; D]) -> [f64; D] {
        std::array::from_fn(|i| controls[i] - self.mean[i])
    }
}

/// Controls that serve mean and tail at once of a score that is standard normal: it, whether it is above `threshold`, and how far.
pub fn normal_controls(score: f64, threshold: f64) -> [f64; 3] {
    let beyond = score - threshold;
    [score, if beyond > 0.0 { 1.0 } else { 0.0 }, beyond.max(0.0)]
}

/// Their means: `0, Q(t), phi(t) - t Q(t)`, where `beyond` is `Q(t)`, the probability of a score above `threshold`.
pub fn normal_control_means(threshold: f64, beyond: f64) -> [f64; 3] {
    let density = (-0.5 * threshold * threshold).exp() / std::f64::consts::TAU.sqrt();
    [0.0, beyond, density - threshold * beyond]
}

fn dot<const D: usize>(a: &[f64; D], b: &[f64; D]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Lower root of a symmetric matrix of which the lower half is given, and its rank: dependent rows and columns are 0.
fn cholesky<const D: usize>(matrix: &[[f64; D]; D]) -> ([[f64; D]; D], u64) {
    let (mut root, mut rank) = ([[0.0; D]; D], 0);
    for i in 0..D {
        for j in 0..i {
            let rest = matrix[i][j] - (0..j).map(|k| root[i][k] * root[j][k]).sum::<f64>();
            root[i][j] = if root[j][j] > 0.0 { rest / root[j][j] } else { 0.0 };
        }
        let pivot = matrix[i][i] - (0..i).map(|k| root[i][k] * root[i][k]).sum::<f64>();
        if pivot > INDEPENDENT_MIN * matrix[i][i] {
            root[i][i] = pivot.sqrt();
            rank += 1;
        } else {
            root[i] = [0.0; D];
        }
    }
    (root, rank)
}

/// `(root root')^-1 right`, 0 in dependent rows.
fn solve<const D: usize>(root: &[[f64; D]; D], right: &[f64; D]) -> [f64; D] {
    let mut values = *right;
    for i in 0..D {
        let rest = values[i] - (0..i).map(|k| root[i][k] * values[k]).sum::<f64>();
        values[i] = if root[i][i] > 0.0 { rest / root[i][i] } else { 0.0 };
    }
    for i in (0..D).rev() {
        let rest = values[i] - (i + 1..D).map(|k| root[k][i] * values[k]).sum::<f64>();
        values[i] = if root[i][i] > 0.0 { rest / root[i][i] } else { 0.0 };
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::moments::Moments;
    use crate::risk::tail::WorstTail;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;

    /// `Q(t)` at the quantiles used here.
    const Z99: f64 = 2.326_347_874_040_841;
    const CORRELATION: f64 = 0.9;
    const REPLICATIONS: u32 = 500;
    /// One outcome and its controls.
    #[derive(Default)]
    struct ControlledMean<const D: usize> {
        controls: ControlSums<D>,
        outcome: OutcomeSums<D>,
    }

    impl<const D: usize> ControlledMean<D> {
        fn push(&mut self, outcome: f64, controls: &[f64; D]) {
            let centred = self.controls.push(controls);
            self.outcome.push(outcome, &centred);
        }

        fn mean(&self, truth: &[f64; D]) -> Option<Controlled> {
            self.outcome.mean(&self.controls, truth)
        }
    }

    /// Bounds of issue and method: 93 to 97 % of 500.
    const COVERAGE: std::ops::RangeInclusive<u32> = 465..=485;

    /// Independent standard normals of a replication.
    fn pairs(replication: u32, paths: u32) -> impl Iterator<Item = [f64; 2]> {
        (0..paths).map(move |path| {
            let address = Address { path, step: replication, slot: 0, purpose: Purpose::Design, index: 0 };
            let [first, second, ..] = rng::normals4(rng::words(11, address));
            [first, second]
        })
    }

    /// A loss with mean 1 and deviation 1, and its control.
    fn losses(replication: u32, paths: u32) -> Vec<(f64, f64)> {
        let own = (1.0 - CORRELATION * CORRELATION).sqrt();
        pairs(replication, paths).map(|[x, e]| (1.0 + CORRELATION * x + own * e, x)).collect()
    }

    fn tail_of(sample: &[(f64, f64)]) -> (Regression<3>, Vec<TailPoint<3>>) {
        let mut sums = ControlSums::default();
        let mut tail: Vec<_> =
            sample.iter().map(|&(loss, x)| TailPoint { loss, controls: normal_controls(x, Z99) }).collect();
        tail.iter().for_each(|point| _ = sums.push(&point.controls));
        tail.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        tail.truncate(sample.len() / 20);
        (sums.regression(&normal_control_means(Z99, 0.01)).unwrap(), tail)
    }

    /// Values and intervals of a measure over replications: mean in standard errors from the truth, coverage, spread.
    fn replicate(truth: f64, measure: impl Fn(u32) -> Estimate) -> (f64, u32, f64) {
        let (mut values, mut covered) = (Moments::default(), 0);
        for estimate in (0..REPLICATIONS).map(measure) {
            values.push(estimate.value);
            covered += u32::from(estimate.ci_low <= truth && truth <= estimate.ci_high);
        }
        let mean = values.mean().unwrap();
        ((mean.value - truth) / mean.standard_error, covered, values.standard_deviation().unwrap().value)
    }

    #[test]
    fn of_a_normal_pair_the_variance_is_known() {
        let (n, measured) = (200, |replication| {
            let mut mean = ControlledMean::default();
            losses(replication, 200).iter().for_each(|&(loss, x)| mean.push(loss, &[x]));
            mean.mean(&[0.0]).unwrap()
        });
        let (off, covered, spread) = replicate(1.0, |replication| measured(replication).estimate);
        assert!(off.abs() < 3.0 && COVERAGE.contains(&covered), "{off} {covered}");
        // Variance over that of the plain mean, 1/n: (1 - rho^2) (n - 2) / (n - 3); 500 replications tell it to 6 %.
        let predicted = (1.0 - CORRELATION * CORRELATION) * 198.0 / 197.0;
        let ratio = spread * spread * f64::from(n) / predicted;
        assert!((ratio - 1.0).abs() < 0.19, "{ratio}");
        let mut ratios = Moments::default();
        (0..REPLICATIONS).for_each(|replication| ratios.push(measured(replication).variance_ratio));
        assert!((ratios.mean().unwrap().value / predicted - 1.0).abs() < 0.03, "{ratios:?}");
    }

    #[test]
    fn tail_measures_of_a_normal_loss() {
        let paths = 5000;
        // Of N(1, 1): VaR = 1 + z, ES = 1 + phi(z) / 0.01.
        let truth = [1.0 + Z99, 1.0 + 2.665_214_220_345_808];
        let var = |replication| {
            let (regression, tail) = tail_of(&losses(replication, paths));
            regression.value_at_risk(&tail, 0.99).unwrap()
        };
        let shortfall = |replication| {
            let (regression, tail) = tail_of(&losses(replication, paths));
            regression.expected_shortfall(&tail, 0.99).unwrap()
        };
        let plain = |replication| {
            let sample = losses(replication, paths);
            let mut tail = WorstTail::new(sample.len() as u64, 0.99);
            sample.iter().for_each(|&(loss, _)| tail.push(loss));
            tail.into_sorted()
        };
        let [var_run, shortfall_run] =
            [replicate(truth[0], |r| var(r).estimate), replicate(truth[1], |r| shortfall(r).estimate)];
        let plain_runs = [
            replicate(truth[0], |r| plain(r).value_at_risk(0.99).unwrap()),
            replicate(truth[1], |r| plain(r).expected_shortfall(0.99).unwrap()),
        ];
        // The bias of a quantile is of the order 1/n: 3 standard errors, and a twentieth of one replication's error.
        assert!((var_run.0 / f64::from(REPLICATIONS).sqrt()).abs() < 0.05 + 3.0 / 22.0, "{var_run:?}");
        assert!((shortfall_run.0 / f64::from(REPLICATIONS).sqrt()).abs() < 0.05 + 3.0 / 22.0, "{shortfall_run:?}");
        assert!(COVERAGE.contains(&var_run.1) && COVERAGE.contains(&shortfall_run.1), "{var_run:?} {shortfall_run:?}");
        for (controlled, plain, ratio) in [
            (var_run, plain_runs[0], var(0).variance_ratio),
            (shortfall_run, plain_runs[1], shortfall(0).variance_ratio),
        ] {
            let measured = (controlled.2 / plain.2).powi(2);
            assert!(measured < 0.75 && (measured / ratio - 1.0).abs() < 0.3, "{measured} {ratio}");
        }
    }

    #[test]
    fn a_regression_by_hand() {
        // S_xx = 2, S_xy = 3, S_yy = 14/3: b = 3/2, residual 1/6 with 1 degree of freedom; at 2 the line is at 7/3 + 3.
        let mut mean = ControlledMean::default();
        [(1.0, -1.0), (2.0, 0.0), (4.0, 1.0)].iter().for_each(|&(y, x)| mean.push(y, &[x]));
        let found = mean.mean(&[2.0]).unwrap();
        assert!((found.estimate.value - 16.0 / 3.0).abs() < 1e-12, "{found:?}");
        // (1/6) (1/3 + 4/2), against (14/3) / 2 / 3.
        assert!((found.estimate.standard_error.powi(2) - 7.0 / 18.0).abs() < 1e-12, "{found:?}");
        assert!((found.variance_ratio - 0.5).abs() < 1e-12, "{found:?}");
        let regression = mean.controls.regression(&[2.0]).unwrap();
        let weights = [-1.0, 0.0, 1.0].map(|x| regression.weight(&[x]));
        let by_hand = [-2.0 / 3.0, 1.0 / 3.0, 4.0 / 3.0];
        assert!(weights.iter().zip(by_hand).all(|(weight, known)| (weight - known).abs() < 1e-12), "{weights:?}");
    }

    #[test]
    fn controls_at_their_means_change_nothing() {
        let sample = losses(1, 1000);
        let mut sums = ControlSums::default();
        let mut tail: Vec<_> = sample.iter().map(|&(loss, x)| TailPoint { loss, controls: [x] }).collect();
        tail.iter().for_each(|point| _ = sums.push(&point.controls));
        tail.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        let regression = sums.regression(&sums.mean).unwrap();
        let mut worst = WorstTail::new(1000, 0.95);
        sample.iter().for_each(|&(loss, _)| worst.push(loss));
        let worst = worst.into_sorted();
        let value = |controlled: Option<Controlled>| controlled.unwrap().estimate.value;
        assert_eq!(value(regression.value_at_risk(&tail, 0.95)), worst.value_at_risk(0.95).unwrap().value);
        let shortfall = value(regression.expected_shortfall(&tail, 0.95));
        assert!((shortfall - worst.expected_shortfall(0.95).unwrap().value).abs() < 1e-12);
        assert_eq!(regression.value_at_risk(&tail[..50], 0.95), None, "too few are kept");
    }

    #[test]
    fn dependent_controls_are_left_out() {
        let sample = losses(2, 500);
        let (mut one, mut three) = (ControlledMean::default(), ControlledMean::default());
        for &(loss, x) in &sample {
            one.push(loss, &[x]);
            three.push(loss, &[x, 3.0 - 2.0 * x, 7.0]);
        }
        let (one, three) = (one.mean(&[0.0]).unwrap(), three.mean(&[0.0, 3.0, 7.0]).unwrap());
        assert!((one.estimate.value - three.estimate.value).abs() < 1e-12, "{one:?} {three:?}");
        assert!((one.variance_ratio - three.variance_ratio).abs() < 1e-12, "{one:?} {three:?}");
        // A linear outcome is known without error.
        let mut linear = ControlledMean::default();
        sample.iter().for_each(|&(_, x)| linear.push(5.0 - 2.0 * x, &[x]));
        let linear = linear.mean(&[0.25]).unwrap().estimate;
        assert!((linear.value - 4.5).abs() < 1e-12 && linear.standard_error < 1e-8, "{linear:?}");
        assert!(ControlSums::<1>::default().regression(&[0.0]).is_none());
    }
}
