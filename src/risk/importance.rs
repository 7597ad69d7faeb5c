//! Importance sampling: means, probabilities, value at risk and expected shortfall from outcomes with likelihood weights.
//!
//! Paths are drawn under a law Q that makes what matters frequent; a path weighs `w = dP / dQ`, and `E_Q(w g) = E_P(g)`:
//!
//! ```text
//! plain            mean(w g)                                   var: sample variance of w g / n
//! self-normalised  r + sum w^2 (g - r) / sum(w)^2, where       var: sum w^2 (g - r)^2 / sum(w)^2
//!                  r = sum(w g) / sum(w)
//! ```
//!
//! The plain estimator is unbiased, and the better one for what is far out: `w g` is small there and 0 elsewhere, whatever w is.
//! The self-normalised one does not depend on the origin of g, and is the better one where g is the same for most paths; its second
//! term is the bias of the ratio r in 1/n, and a bias in 1/n^2 is left. Value at risk is the loss beyond which the weights, from the worst loss on, pass `1 - c` (never `c` from the best on:
//! weights there vary most), and expected shortfall that loss and the weighted mean of `(L - VaR)+ / (1 - c)`.
//!
//! An estimate is refused, not returned, where it rests on few paths, as its own error is then unknown too ([`Degenerate`]):
//!
//! ```text
//! terms t = w g (self-normalised: also t = w):   (sum t)^2 / sum t^2 >= 100,   max t / sum t <= 1/20
//! ```
//!
//! The relative error of a sum of so uneven terms is some `1 / sqrt(100)`, and intervals hold down to the bound: of accepted
//! estimates of a normal tail of 1e-6, 95.2, 94.7, 95.2 and, where half are refused, 97.8 % (1,000
//! replications each). The second bound sees what the first may not: that one term stands out of a law whose tail the
//! sample has just begun to see.
//! Sources: Glynn (1996), Importance sampling for Monte Carlo estimation of quantiles, for the upper tail; Owen (2013), Monte Carlo
//! theory, methods and examples, 9.1 to 9.3; Kong (1992) for the effective sample; Chatterjee, Diaconis (2018),
//! doi:10.1214/17-AAP1326, for the largest share; Tin (1965), Comparison of some ratio estimators, for the bias of a ratio.
//!
//! # Not modelled
//! - How Q is found, and whether it covers P: where P puts chance and Q none, the estimate lacks it and nothing shows.
//! - Paths that share parameters in replicates: errors are those of independent paths.

use crate::risk::estimate::Estimate;
use crate::risk::estimate::Z95;

/// Least effective number of terms.
pub const EFFECTIVE_MIN: f64 = 100.0;
/// Largest part of a sum that may be one term's.
pub const SHARE_MAX: f64 = 0.05;
/// Slack, in paths, of the position of a quantile, as in [`crate::risk::estimate::quantile_rank`].
const RANK_SLACK: f64 = 1e-6;

/// How weights are normed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// By the number of paths.
    Plain,
    /// By their sum.
    Own,
}

/// Why there is no estimate.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Degenerate {
    /// The terms are as uneven as a few.
    #[error(
        "weights degenerate: the estimate rests on {0:.1} effective paths, below {EFFECTIVE_MIN}; tilt less or take more paths"
    )]
    FewPaths(f64),
    /// One term dominates.
    #[error(
        "weights degenerate: one path carries {0:.3} of the estimate, above {SHARE_MAX}; tilt less or take more paths"
    )]
    OnePath(f64),
    /// The losses that were kept do not reach as far as the measure does.
    #[error("the losses that were kept do not reach the quantile: keep more of them")]
    NotKept,
}

/// An estimate from weights, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    /// The estimate.
    pub estimate: Estimate,
    /// Equal terms that would be as uneven as those it is made of.
    pub effective_samples: f64,
}

/// Sum, sum of squares and largest of terms that are not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TermSums {
    sum: f64,
    square: f64,
    largest: f64,
}

impl TermSums {
    fn push(&mut self, term: f64) {
        self.sum += term;
        self.square += term * term;
        self.largest = self.largest.max(term);
    }

    /// Equal terms that would be as uneven.
    pub fn effective(&self) -> f64 {
        if self.square > 0.0 { self.sum * self.sum / self.square } else { 0.0 }
    }

    /// # Errors
    /// A sum that rests on few of its terms.
    fn check(&self) -> Result<f64, Degenerate> {
        let effective = self.effective();
        if !(effective >= EFFECTIVE_MIN) {
            return Err(Degenerate::FewPaths(effective));
        }
        let share = self.largest / self.sum;
        if share <= SHARE_MAX { Ok(effective) } else { Err(Degenerate::OnePath(share)) }
    }
}

/// Weights of all paths of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightSums {
    samples: u64,
    terms: TermSums,
}

impl WeightSums {
    /// Adds the weight of a path. Panics where it is negative or no number.
    pub fn push(&mut self, weight: f64) {
        assert!(weight >= 0.0 && weight.is_finite(), "weight {weight} (must be finite and not negative)");
        self.samples += 1;
        self.terms.push(weight);
    }

    /// Paths.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Mean weight; the truth is 1. Where it is far from 1 in its errors, weights or tilt are wrong.
    pub fn mean(&self) -> Estimate {
        let n = self.samples as f64;
        let variance = (self.terms.square - self.terms.sum * self.terms.sum / n).max(0.0) / (n - 1.0);
        Estimate::normal(self.terms.sum / n, (variance / n).sqrt(), self.samples)
    }

    /// Kish's effective sample: what self-normalised estimators rest on.
    pub fn effective(&self) -> f64 {
        self.terms.effective()
    }
}

/// A weighted mean in one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightedMean {
    weights: WeightSums,
    /// Sums of w y, w^2 y, (w y)^2 and terms |w y|.
    first: f64,
    cross: f64,
    second: f64,
    terms: TermSums,
}

impl WeightedMean {
    /// Adds the outcome of a path; the plain mean is best of outcomes about 0.
    pub fn push(&mut self, outcome: f64, weight: f64) {
        self.weights.push(weight);
        let term = weight * outcome;
        self.first += term;
        self.cross += weight * term;
        self.second += term * term;
        self.terms.push(term.abs());
    }

    /// The mean.
    ///
    /// # Errors
    /// Weights that degenerate.
    pub fn mean(&self, norm: Norm) -> Result<Weighted, Degenerate> {
        estimate(&self.weights, [self.first, self.cross, self.second], &self.terms, norm)
    }
}

/// A probability in one pass over the paths on which the event is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightedHits(TermSums);

impl WeightedHits {
    /// Adds the weight of a path on which the event is.
    pub fn push(&mut self, weight: f64) {
        self.0.push(weight);
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.0.largest == 0.0
    }

    /// The probability, where `weights` are those of all paths.
    ///
    /// # Errors
    /// Weights that degenerate.
    pub fn probability(&self, weights: &WeightSums, norm: Norm) -> Result<Weighted, Degenerate> {
        estimate(weights, [self.0.sum, self.0.square, self.0.square], &self.0, norm)
    }
}

/// A loss and the weight of its path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightedLoss {
    /// Loss.
    pub loss: f64,
    /// Weight.
    pub weight: f64,
}

/// The worst losses of a run, largest first, and the weights of all of its paths.
#[derive(Clone, Copy, Debug)]
pub struct WeightedTail<'a> {
    /// Weights of all paths.
    pub weights: &'a WeightSums,
    /// Worst losses, largest first.
    pub worst: &'a [WeightedLoss],
    /// How weights are normed.
    pub norm: Norm,
}

impl WeightedTail<'_> {
    /// Probability of a loss above `threshold`, from the losses above it at least.
    ///
    /// # Errors
    /// Weights that degenerate.
    pub fn probability_beyond(&self, threshold: f64) -> Result<Weighted, Degenerate> {
        self.mean_of(|loss| if loss > threshold { 1.0 } else { 0.0 })
    }

    /// Loss exceeded with probability `1 - confidence`.
    ///
    /// The interval lies where the tail probability is `1 - confidence` plus and minus its own error (Woodruff 1952).
    ///
    /// # Errors
    /// Weights that degenerate, or too few losses kept.
    pub fn value_at_risk(&self, confidence: f64) -> Result<Weighted, Degenerate> {
        let share = 1.0 - confidence;
        let value = self.quantile(share)?;
        let beyond = self.probability_beyond(value)?;
        let half_width = Z95 * beyond.estimate.standard_error;
        let ci_low = self.quantile(share + half_width)?;
        let ci_high = if half_width < share { self.quantile(share - half_width)? } else { f64::INFINITY };
        Ok(Weighted { estimate: Estimate::between(value, ci_low, ci_high, self.weights.samples), ..beyond })
    }

    /// Mean of the worst `1 - confidence` share of losses.
    ///
    /// # Errors
    /// Weights that degenerate, or too few losses kept.
    pub fn expected_shortfall(&self, confidence: f64) -> Result<Weighted, Degenerate> {
        let share = 1.0 - confidence;
        let value_at_risk = self.quantile(share)?;
        let beyond = self.mean_of(|loss| (loss - value_at_risk).max(0.0) / share)?;
        let value = value_at_risk + beyond.estimate.value;
        let estimate = Estimate::normal(value, beyond.estimate.standard_error, self.weights.samples);
        Ok(Weighted { estimate, ..beyond })
    }

    /// First loss at which the weights from the largest on pass `share`.
    fn quantile(&self, share: f64) -> Result<f64, Degenerate> {
        debug_assert!(self.worst.is_sorted_by(|a, b| a.loss >= b.loss));
        let n = self.weights.samples as f64;
        let total = match self.norm {
            Norm::Plain => n,
            Norm::Own => self.weights.terms.sum,
        };
        let passes = (share + share.min(RANK_SLACK / n)) * total;
        let mut sum = 0.0;
        let found = self.worst.iter().find(|point| {
            sum += point.weight;
            sum > passes
        });
        found.map(|point| point.loss).ok_or(Degenerate::NotKept)
    }

    /// Mean of a figure that is not negative and 0 outside the losses kept.
    fn mean_of(&self, figure: impl Fn(f64) -> f64) -> Result<Weighted, Degenerate> {
        let (mut cross, mut terms) = (0.0, TermSums::default());
        for point in self.worst {
            let term = point.weight * figure(point.loss);
            cross += point.weight * term;
            terms.push(term);
        }
        estimate(self.weights, [terms.sum, cross, terms.square], &terms, self.norm)
    }
}

/// Mean of y from `[sum w y, sum w^2 y, sum (w y)^2]`.
fn estimate(
    weights: &WeightSums,
    [first, cross, second]: [f64; 3],
    terms: &TermSums,
    norm: Norm,
) -> Result<Weighted, Degenerate> {
    let n = weights.samples as f64;
    let effective = terms.check()?;
    let (value, variance, effective_samples) = match norm {
        Norm::Plain => (first / n, (second - first * first / n) / (n - 1.0) / n, effective),
        Norm::Own => {
            let all = weights.terms.check()?;
            let WeightSums { terms: TermSums { sum, square, .. }, .. } = *weights;
            let ratio = first / sum;
            let spread = second - 2.0 * ratio * cross + ratio * ratio * square;
            (ratio + (cross - ratio * square) / (sum * sum), spread / (sum * sum), effective.min(all))
        }
    };
    let estimate = Estimate::normal(value, variance.max(0.0).sqrt(), weights.samples);
    Ok(Weighted { estimate, effective_samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::moments::Moments;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;

    const REPLICATIONS: u32 = 500;
    /// 93 to 97 % of 500.
    const COVERAGE: std::ops::RangeInclusive<u32> = 465..=485;

    /// Standard normal losses drawn with mean `shift`, largest first, and the weights of all.
    fn sample(replication: u32, paths: u32, shift: f64) -> (WeightSums, Vec<WeightedLoss>) {
        let mut weights = WeightSums::default();
        let mut losses: Vec<_> = (0..paths)
            .map(|path| {
                let address = Address { path, step: replication, slot: 1, purpose: Purpose::Design, index: 0 };
                let normal = rng::normals4(rng::words(12, address))[0];
                WeightedLoss { loss: normal + shift, weight: (-shift * normal - 0.5 * shift * shift).exp() }
            })
            .collect();
        losses.iter().for_each(|point| weights.push(point.weight));
        losses.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        (weights, losses)
    }

    type Measure = fn(&WeightedTail<'_>) -> Result<Weighted, Degenerate>;

    /// Mean over replications in their standard errors from the truth, coverage, mean of the errors over the spread.
    fn replicate(paths: u32, shift: f64, norm: Norm, measure: Measure, truth: f64) -> (f64, u32, f64) {
        let (mut values, mut errors, mut covered) = (Moments::default(), Moments::default(), 0);
        for replication in 0..REPLICATIONS {
            let (weights, losses) = sample(replication, paths, shift);
            let tail = WeightedTail { weights: &weights, worst: &losses, norm };
            let estimate = measure(&tail).unwrap().estimate;
            values.push(estimate.value);
            errors.push(estimate.standard_error);
            covered += u32::from(estimate.ci_low <= truth && truth <= estimate.ci_high);
        }
        let mean = values.mean().unwrap();
        let spread = values.standard_deviation().unwrap().value;
        ((mean.value - truth) / mean.standard_error, covered, errors.mean().unwrap().value / spread)
    }

    #[test]
    fn one_in_a_million_from_two_thousand_paths() {
        // Quantile of the standard normal law at 1 - 1e-6.
        let measure: Measure = |tail| tail.probability_beyond(4.753_424_308_822_899);
        let (off, covered, errors) = replicate(2000, 4.75, Norm::Plain, measure, 1e-6);
        assert!(
            off.abs() < 3.0 && COVERAGE.contains(&covered) && (errors - 1.0).abs() < 0.1,
            "{off} {covered} {errors}"
        );
        // Plain Monte Carlo has a relative error of 1 / sqrt(n p): 22.
        let (weights, losses) = sample(0, 2000, 4.75);
        let tail = WeightedTail { weights: &weights, worst: &losses, norm: Norm::Plain };
        let estimate = measure(&tail).unwrap();
        // Second moment of w 1[L > q]: exp(shift^2) Q(q + shift) = 6.3892e-12; 4 standard errors of the error from 2000 paths.
        let second = 6.3892e-12_f64;
        let (error, effective) = (((second - 1e-12) / 2000.0).sqrt(), 2000.0 * 1e-12 / second);
        assert!((estimate.estimate.standard_error / error - 1.0).abs() < 0.15, "{estimate:?} {error}");
        assert!((estimate.effective_samples / effective - 1.0).abs() < 0.15, "{estimate:?} {effective}");
        // What rests on all weights is refused: of the bulk there is hardly a path.
        let own = WeightedTail { norm: Norm::Own, ..tail };
        assert!(matches!(measure(&own), Err(Degenerate::FewPaths(few)) if few < 20.0), "{:?}", measure(&own));
    }

    #[test]
    fn tail_measures_of_a_normal_loss() {
        let (quantile, mean) = (2.326_347_874_040_841, 2.665_214_220_345_808);
        let var: Measure = |tail| tail.value_at_risk(0.99);
        let shortfall: Measure = |tail| tail.expected_shortfall(0.99);
        for (norm, shift) in [(Norm::Plain, 2.3), (Norm::Own, 1.0)] {
            for (measure, truth) in [(var, quantile), (shortfall, mean)] {
                let (off, covered, errors) = replicate(5000, shift, norm, measure, truth);
                // The bias of a quantile and of a ratio is of the order 1/n: a twentieth of one replication's error.
                assert!(off.abs() < 3.0 + 0.05 * f64::from(REPLICATIONS).sqrt(), "{norm:?} {truth} {off}");
                assert!(COVERAGE.contains(&covered), "{norm:?} {truth} {covered}");
                assert!((errors - 1.0).abs() < 0.1, "{norm:?} {truth} {errors}");
            }
        }
    }

    #[test]
    fn without_a_tilt_it_is_plain_monte_carlo() {
        let (weights, losses) = sample(3, 4000, 0.0);
        assert_eq!(weights.mean(), Estimate::exact(1.0, 4000));
        assert_eq!(weights.effective(), 4000.0);
        let mut worst = crate::risk::tail::WorstTail::new(4000, 0.95);
        losses.iter().for_each(|point| worst.push(point.loss));
        let worst = worst.into_sorted();
        for norm in [Norm::Plain, Norm::Own] {
            let tail = WeightedTail { weights: &weights, worst: &losses, norm };
            let (var, shortfall) = (tail.value_at_risk(0.95).unwrap(), tail.expected_shortfall(0.95).unwrap());
            assert_eq!(var.estimate.value, worst.value_at_risk(0.95).unwrap().value);
            let plain = worst.expected_shortfall(0.95).unwrap();
            assert!((shortfall.estimate.value - plain.value).abs() < 1e-12);
            assert!((shortfall.estimate.standard_error / plain.standard_error - 1.0).abs() < 0.01);
            assert!(tail.value_at_risk(0.999).is_err(), "4 paths");
            let cut = WeightedTail { worst: &losses[..200], ..tail };
            assert_eq!(cut.value_at_risk(0.95), Err(Degenerate::NotKept), "its interval needs more");
        }
    }

    #[test]
    fn means_of_either_norm() {
        let (mut plain, mut own) = (Moments::default(), Moments::default());
        let mut errors = (Moments::default(), Moments::default());
        for replication in 0..REPLICATIONS {
            let mut mean = WeightedMean::default();
            // Of an outcome 10 + N(0, 1): self-normalised, the offset costs nothing.
            for point in sample(replication, 1000, 0.5).1 {
                mean.push(10.0 + point.loss, point.weight);
            }
            let [a, b] = [Norm::Plain, Norm::Own].map(|norm| mean.mean(norm).unwrap().estimate);
            plain.push((a.value - 10.0) / a.standard_error);
            own.push((b.value - 10.0) / b.standard_error);
            errors.0.push(a.standard_error);
            errors.1.push(b.standard_error);
        }
        // E(w^2 y^2) - 100 = e^0.25 (9.5^2 + 1) - 100, and E(w^2 (y - 10)^2) = e^0.25 1.25.
        for (errors, variance) in [(errors.0, 0.25_f64.exp() * 91.25 - 100.0), (errors.1, 0.25_f64.exp() * 1.25)] {
            let ratio = errors.mean().unwrap().value / (variance / 1000.0).sqrt();
            assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
        }
        for scores in [plain, own] {
            let (mean, deviation) = (scores.mean().unwrap(), scores.standard_deviation().unwrap());
            assert!(mean.value.abs() < 0.15 && (deviation.value - 1.0).abs() < 0.1, "{mean:?} {deviation:?}");
        }
    }

    /// The ratio of sums alone is too large by `e^0.49 (1/2 - Q(0.7)) / 400`, 4.7 of these standard errors.
    #[test]
    fn a_self_normalised_probability_has_no_bias_in_one_over_n() {
        let mut values = Moments::default();
        for replication in 0..20_000 {
            let (weights, losses) = sample(replication, 400, 0.7);
            let tail = WeightedTail { weights: &weights, worst: &losses, norm: Norm::Own };
            tail.probability_beyond(0.0).into_iter().for_each(|found| values.push(found.estimate.value));
        }
        let mean = values.mean().unwrap();
        assert!(values.samples() > 19_900, "{values:?}");
        assert!((mean.value - 0.5).abs() < 3.0 * mean.standard_error, "{mean:?}");
    }

    #[test]
    fn one_dominating_path_is_refused() {
        let mut mean = WeightedMean::default();
        (0..1000).for_each(|_| mean.push(1.0, 1.0));
        mean.push(1.0, 100.0);
        assert!(
            matches!(mean.mean(Norm::Plain), Err(Degenerate::OnePath(share)) if (share - 100.0 / 1100.0).abs() < 1e-12)
        );
        assert_eq!(WeightedMean::default().mean(Norm::Own), Err(Degenerate::FewPaths(0.0)));
    }
}
