//! Estimates from paths in a few independent replicates of a point set, each with the error that the replicates' spread tells.
//!
//! Paths of one replicate fill the space of their leading draws together, hence depend on each other; replicates do not. With `h` the
//! influence of a path on a measure, S_r its sum over the n_r paths of replicate r of R,
//!
//! ```text
//! se^2 = R / (R - 1)  sum_r (S_r - n_r mean h)^2 / N^2          interval: value -+ t se, t the quantile of Student's law, R - 1 degrees
//! h: x for the mean; ((x - mean)^2 - s^2) / 2s for the deviation; 1[...] for a probability; (L - VaR)+ / (1 - c) for the shortfall
//! ```
//!
//! Values are those of all paths at once: exact order statistics and tail means as in [`crate::risk::tail`]. A value at risk has Woodruff's
//! interval: the losses at the ranks `n c - t e` and `n c + t e + 1`, `e` the error of the number beyond it, straight between order
//! statistics where these are no whole ranks. Whole ones on the outer sides hold the truth too often in a tail of 41 losses, and the
//! ranks `n c -+ t e + 1/2` not often enough (`ESTIMATORS.md`). A probability has Wilson's, of as many independent
//! paths as have its variance. A shortfall has Hall's ([`crate::risk::tail`]), which its tail's skewness makes longer above. The
//! alternative, the mean of the replicates' own quantiles and shortfalls, has the bias of samples a sixteenth as large.
//!
//! Coverage of the intervals of a normal law in per cent, 64 % of whose variance is led, n = 4,096, 2,000 replications (error 0.5), and the
//! variance over that of independent paths (value at risk with whole ranks on the outer sides, which is half a rank wider on each; as built
//! it is between 93 and 97, as a test asks of all):
//!
//! | | mean | deviation | probability of a loss | VaR 99 % | ES 99 % |
//! |---|---|---|---|---|---|
//! | Sobol | 94.9, 0.37 | 95.2, 0.60 | 94.5, 0.57 | 96.9, 0.84 | 96.5, 0.79 |
//! | stratified | 94.8, 0.37 | 94.8, 0.81 | 94.3, 0.62 | 96.9, 0.90 | 96.6, 0.90 |
//! | antithetic | 95.0, 0.37 | 94.4, 1.45 | 94.7, 0.58 | 96.2, 1.00 | 96.9, 1.00 |
//!
//! Of 41 losses in the tail, Hall's interval of the shortfall is somewhat too wide, as it is for independent paths; one of `+- t se` was too
//! short above (93.6, 93.6, 94.2).
//!
//! Memory: of each outcome the worst losses down to the lower end of the lowest level's interval, 16 bytes each.
//!
//! # Not modelled
//! - What a point set does to events of fewer than [`HITS_MIN`] paths: they have the interval of independent paths.
//!
//! Sources: Owen (1997), doi:10.1137/S0036142994277468; Woodruff (1952), doi:10.1080/01621459.1952.10483443; L'Ecuyer et al.
//! (2023), Confidence intervals for randomized quasi-Monte Carlo estimators, Winter Simulation Conference: Student's interval covers
//! better than bootstraps.

use crate::risk::estimate::Estimate;
use crate::risk::estimate::Shape;
use crate::risk::estimate::quantile_rank;
use crate::risk::estimate::student_z95;
use crate::risk::tail;
use crate::rng::REPLICATES;

/// Paths with an event, and without, below which its probability has the interval of independent paths.
pub const HITS_MIN: f64 = 2.0 * REPLICATES as f64;
/// Errors of the share beyond a level, as independent paths have it, by which the tail that is kept reaches beyond the level.
const TAIL_MARGIN: f64 = 6.0;
/// Losses that are kept before the first cut.
const FIRST_CUT: usize = 1024;

/// Of each replicate.
type ByReplicate = [f64; REPLICATES];

/// Number and sum of values, by replicate.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplicateSums {
    counts: ByReplicate,
    sums: ByReplicate,
}

impl ReplicateSums {
    /// Adds the value of a path.
    #[inline]
    pub fn push(&mut self, replicate: usize, value: f64) {
        self.counts[replicate] += 1.0;
        self.sums[replicate] += value;
    }

    /// The mean; `None` without a value.
    pub fn mean(&self) -> Option<Estimate> {
        let spread = Spread::of(&self.counts);
        (spread.samples > 0.0).then(|| spread.estimate(self.total() / spread.samples, spread.error(&self.sums)))
    }

    /// The mean of ones and zeros; `None` without a value.
    pub fn probability(&self) -> Option<Estimate> {
        let (spread, hits) = (Spread::of(&self.counts), self.total());
        let samples = spread.samples as u64;
        (samples > 0).then(|| {
            let (plain, error) = (Estimate::proportion(hits as u64, samples), spread.error(&self.sums));
            let is_known = hits.min(spread.samples - hits) >= HITS_MIN && error > 0.0 && error.is_finite();
            if is_known { spread.wilson(plain, error) } else { plain }
        })
    }

    /// The same paths with the hits of others, which leave out paths without one.
    #[must_use]
    pub fn with_hits(&self, hits: &Self) -> Self {
        Self { counts: self.counts, sums: hits.sums }
    }

    /// Sum of all values.
    fn total(&self) -> f64 {
        total(&self.sums)
    }
}

fn total(values: &ByReplicate) -> f64 {
    values.iter().fold(0.0, |sum, value| sum + value)
}

/// How sums of replicates of some sizes spread.
struct Spread<'a> {
    counts: &'a ByReplicate,
    samples: f64,
    /// Replicates with a path.
    replicates: f64,
}

impl<'a> Spread<'a> {
    fn of(counts: &'a ByReplicate) -> Self {
        let replicates = counts.iter().filter(|count| **count > 0.0).count() as f64;
        Self { counts, samples: total(counts), replicates }
    }

    /// Standard error of the mean of values with these sums; infinite for fewer than two replicates.
    fn error(&self, sums: &ByReplicate) -> f64 {
        if self.replicates < 2.0 {
            return f64::INFINITY;
        }
        let mean = total(sums) / self.samples;
        let deviations = sums.iter().zip(self.counts).map(|(sum, count)| sum - count * mean);
        let squares = deviations.fold(0.0, |sum, deviation| sum + deviation * deviation);
        (self.replicates / (self.replicates - 1.0) * squares).sqrt() / self.samples
    }

    /// Quantile of Student's law at 97.5 %.
    fn quantile(&self) -> f64 {
        if self.replicates < 2.0 { f64::INFINITY } else { student_z95(self.replicates - 1.0) }
    }

    fn estimate(&self, value: f64, standard_error: f64) -> Estimate {
        let half_width = if standard_error > 0.0 { self.quantile() * standard_error } else { 0.0 };
        let samples = self.samples as u64;
        Estimate { value, standard_error, ci_low: value - half_width, ci_high: value + half_width, samples }
    }

    /// A mean of terms of `shape`, as independent paths have it.
    ///
    /// `se^2` is as spread as that of R normal sums and what the kurtosis of the terms adds: `2 / (R - 1) + (kurtosis - 3) / N`, in
    /// units of its own square, hence twice the inverse of that in degrees of freedom.
    fn skewed(&self, value: f64, standard_error: f64, shape: Shape) -> Estimate {
        let spread = 2.0 / (self.replicates - 1.0) + (shape.kurtosis - 3.0).max(0.0) / self.samples;
        Estimate::skewed_of(value, standard_error, shape, (self.samples as u64, 2.0 / spread))
    }

    /// Wilson's interval with Student's quantile, of a probability strictly between 0 and 1 with this error.
    fn wilson(&self, plain: Estimate, standard_error: f64) -> Estimate {
        let (p, t) = (plain.value, self.quantile());
        // t^2 over the number of independent paths with that error.
        let pull = t * t * standard_error * standard_error / (p * (1.0 - p));
        let centre = (p + 0.5 * pull) / (1.0 + pull);
        let half_width = (t * t * standard_error * standard_error + 0.25 * pull * pull).sqrt() / (1.0 + pull);
        Estimate { standard_error, ci_low: centre - half_width, ci_high: centre + half_width, ..plain }
    }
}

/// Outcomes of a book: their mean, deviation, probability of a loss, and worst.
#[derive(Clone, Debug)]
pub struct ReplicatedPnl {
    /// From the first outcome, so that their squares do not cancel.
    origin: Option<f64>,
    counts: ByReplicate,
    sums: ByReplicate,
    squares: ByReplicate,
    losses: ReplicateSums,
    worst: LabelledWorst,
}

impl ReplicatedPnl {
    /// Nothing yet of up to `samples` outcomes; levels of tail measures are from `confidence_min` on.
    pub fn new(samples: u64, confidence_min: f64) -> Self {
        Self {
            origin: None,
            counts: [0.0; REPLICATES],
            sums: [0.0; REPLICATES],
            squares: [0.0; REPLICATES],
            losses: ReplicateSums::default(),
            worst: LabelledWorst::new(samples, confidence_min),
        }
    }

    /// Adds the outcome of a path; paths come in their order.
    ///
    /// # Panics
    /// On NaN.
    pub fn push(&mut self, replicate: usize, pnl: f64) {
        let value = pnl - *self.origin.get_or_insert(pnl);
        self.counts[replicate] += 1.0;
        self.sums[replicate] += value;
        self.squares[replicate] += value * value;
        self.losses.push(replicate, if pnl < 0.0 { 1.0 } else { 0.0 });
        self.worst.push(LabelledLoss { loss: -pnl, replicate });
    }

    /// The mean; `None` without an outcome.
    pub fn mean(&self) -> Option<Estimate> {
        let mean = ReplicateSums { counts: self.counts, sums: self.sums }.mean()?;
        let origin = self.origin?;
        let Estimate { value, ci_low, ci_high, .. } = mean;
        Some(Estimate { value: origin + value, ci_low: origin + ci_low, ci_high: origin + ci_high, ..mean })
    }

    /// The standard deviation; `None` for fewer than two outcomes.
    pub fn standard_deviation(&self) -> Option<Estimate> {
        let spread = Spread::of(&self.counts);
        let n = spread.samples;
        let mean = total(&self.sums) / n;
        let variance = ((total(&self.squares) - n * mean * mean) / (n - 1.0)).max(0.0);
        let deviation = variance.sqrt();
        let influence = |r: usize| {
            let squares = self.squares[r] - 2.0 * mean * self.sums[r] + self.counts[r] * mean * mean;
            (squares - self.counts[r] * variance) / (2.0 * deviation)
        };
        let error = if deviation > 0.0 { spread.error(&std::array::from_fn(influence)) } else { 0.0 };
        (n > 1.0).then(|| spread.estimate(deviation, error))
    }

    /// Probability of an outcome below 0; `None` without one.
    pub fn loss_probability(&self) -> Option<Estimate> {
        self.losses.probability()
    }

    /// Tail measures at `confidence`, value at risk and expected shortfall, level by level; none without an outcome.
    pub fn tails(self, confidence: &[f64]) -> Vec<[Estimate; 2]> {
        let (counts, worst) = (self.counts, self.worst.into_sorted());
        let tail = SortedWorst { spread: Spread::of(&counts), worst };
        let levels = confidence.iter().filter(|_| !tail.worst.is_empty());
        levels.map(|&level| [tail.value_at_risk(level), tail.expected_shortfall(level)]).collect()
    }
}

#[derive(Clone, Copy, Debug)]
struct LabelledLoss {
    loss: f64,
    replicate: usize,
}

/// The largest losses of a stream, with their replicates.
#[derive(Clone, Debug)]
struct LabelledWorst {
    keep: usize,
    threshold: f64,
    cut_at: usize,
    losses: Vec<LabelledLoss>,
}

impl LabelledWorst {
    fn new(samples: u64, confidence_min: f64) -> Self {
        let expected = samples as f64 * (1.0 - confidence_min);
        let keep = (expected + TAIL_MARGIN * expected.sqrt() + TAIL_MARGIN * TAIL_MARGIN).ceil() as usize;
        Self { keep, threshold: f64::NEG_INFINITY, cut_at: FIRST_CUT.max(2 * keep), losses: Vec::new() }
    }

    fn push(&mut self, point: LabelledLoss) {
        assert!(!point.loss.is_nan(), "a loss that is NaN");
        if point.loss > self.threshold {
            self.losses.push(point);
            if self.losses.len() == self.cut_at {
                self.cut_back();
            }
        }
    }

    /// Largest first, equal ones as they came.
    fn into_sorted(mut self) -> Vec<LabelledLoss> {
        self.cut_back();
        self.losses
    }

    fn cut_back(&mut self) {
        self.losses.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        if self.losses.len() > self.keep {
            self.losses.truncate(self.keep);
            self.threshold = self.losses[self.keep - 1].loss;
        }
    }
}

/// The worst losses, largest first.
struct SortedWorst<'a> {
    spread: Spread<'a>,
    worst: Vec<LabelledLoss>,
}

impl SortedWorst<'_> {
    fn value_at_risk(&self, confidence: f64) -> Estimate {
        let n = self.spread.samples;
        let value = self.order_statistic(quantile_rank(n as u64, confidence) as f64);
        let error = self.spread.error(&self.sums_beyond(value, |_| 1.0));
        let t = self.spread.quantile();
        let low = self.between_order_statistics(n * (confidence - t * error));
        let high = self.between_order_statistics(n * (confidence + t * error) + 1.0);
        let (ci_low, ci_high) = (low.min(value), high.max(value));
        let width = ci_high - ci_low;
        let standard_error = if width.is_finite() { width / (2.0 * t) } else { f64::INFINITY };
        Estimate { value, standard_error, ci_low, ci_high, samples: n as u64 }
    }

    /// The value at risk and the mean excess beyond it, over the share of the tail.
    fn expected_shortfall(&self, confidence: f64) -> Estimate {
        let n = self.spread.samples;
        let value_at_risk = self.order_statistic(quantile_rank(n as u64, confidence) as f64);
        let sums = self.sums_beyond(value_at_risk, |loss| loss - value_at_risk);
        let mass = n * (1.0 - confidence);
        let error = if mass < 2.0 { f64::INFINITY } else { self.spread.error(&sums) / (1.0 - confidence) };
        let excesses = self.worst.iter().map(|point| point.loss - value_at_risk).take_while(|excess| *excess > 0.0);
        let shape = tail::shape_of_excesses(excesses, n as u64, mass);
        self.spread.skewed(value_at_risk + total(&sums) / mass, error, shape)
    }

    /// Sums over the losses above a value, by replicate.
    fn sums_beyond(&self, value: f64, of_loss: impl Fn(f64) -> f64) -> ByReplicate {
        let mut sums = [0.0; REPLICATES];
        for point in self.worst.iter().take_while(|point| point.loss > value) {
            sums[point.replicate] += of_loss(point.loss);
        }
        sums
    }

    /// The loss at `rank`, straight between the order statistics on both sides of it.
    fn between_order_statistics(&self, rank: f64) -> f64 {
        let (below, above) = (self.order_statistic(rank.floor()), self.order_statistic(rank.floor() + 1.0));
        match (below.is_finite(), above.is_finite()) {
            (true, true) => below + (rank - rank.floor()) * (above - below),
            (true, false) => above,
            _ => below,
        }
    }

    /// The loss of `rank` from the smallest (1) to the largest; infinite beyond those that there are or are kept.
    fn order_statistic(&self, rank: f64) -> f64 {
        if !(rank <= self.spread.samples) {
            return f64::INFINITY;
        }
        let from_largest = self.spread.samples - rank;
        self.worst.get(from_largest as usize).map_or(f64::NEG_INFINITY, |point| point.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::moments::Moments;
    use crate::risk::tail::WorstTail;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::PointSet;
    use crate::rng::Points;
    use crate::rng::Purpose;

    const SETS: [PointSet; 3] = [PointSet::Sobol, PointSet::Stratified, PointSet::Antithetic];
    /// Quantile and tail mean of the standard normal law at 99 %.
    const NORMAL_TAIL: [f64; 2] = [2.326_347_874_040_841, 2.665_214_220_345_8];

    fn pnl(values: impl Iterator<Item = f64>, samples: u64) -> ReplicatedPnl {
        let mut pnl = ReplicatedPnl::new(samples, 0.9);
        values.enumerate().for_each(|(path, value)| pnl.push(path % REPLICATES, value));
        pnl
    }

    #[test]
    fn values_are_those_of_plain_statistics() {
        let n = 5_000;
        let values = || (0..n as u32).map(|i| 1e6 + f64::from(i * 7919 % n as u32) - 2_000.5);
        let (mut moments, mut tail) = (Moments::default(), WorstTail::new(n, 0.9));
        values().for_each(|value| moments.push(value));
        values().for_each(|value| tail.push(-value));
        let (found, tail) = (pnl(values(), n), tail.into_sorted());
        let near = |a: Option<Estimate>, b: Option<Estimate>| (a.unwrap().value / b.unwrap().value - 1.0).abs() < 1e-12;
        assert!(near(found.mean(), moments.mean()) && near(found.standard_deviation(), moments.standard_deviation()));
        assert_eq!(found.loss_probability().unwrap().value, 0.0);
        let [risk, shortfall] = found.tails(&[0.99])[0];
        assert_eq!(risk.value, tail.value_at_risk(0.99).unwrap().value);
        assert!(near(Some(shortfall), tail.expected_shortfall(0.99)));
    }

    #[test]
    fn errors_of_a_hand_made_sample() {
        // Two of sixteen replicates, sums 4 and 12 of two paths each: about the mean 4 they are off by 4.
        let mut sums = ReplicateSums::default();
        [(0, 1.0), (0, 3.0), (5, 5.0), (5, 7.0)].into_iter().for_each(|(replicate, value)| sums.push(replicate, value));
        let mean = sums.mean().unwrap();
        assert_eq!((mean.value, mean.standard_error), (4.0, (2.0 * 32.0_f64).sqrt() / 4.0));
        let mut alone = ReplicateSums::default();
        alone.push(3, 1.0);
        assert_eq!(alone.mean().unwrap().standard_error, f64::INFINITY);
        assert!(ReplicateSums::default().mean().is_none() && ReplicateSums::default().probability().is_none());
        assert!(ReplicatedPnl::new(0, 0.9).tails(&[0.95]).is_empty());
    }

    #[test]
    fn few_outcomes_admit_what_they_cannot_say() {
        let [risk, shortfall] = pnl((0..100).map(f64::from), 100).tails(&[0.99])[0];
        assert_eq!((risk.value, risk.ci_high), (-1.0, f64::INFINITY));
        assert_eq!(shortfall.standard_error, f64::INFINITY);
        // As many as independent paths would have.
        let mut rare = ReplicateSums::default();
        (0..1_000).for_each(|path| rare.push(path % REPLICATES, if path < 3 { 1.0 } else { 0.0 }));
        assert_eq!(rare.probability().unwrap(), Estimate::proportion(3, 1_000));
        let mut same = pnl((0..64).map(|_| 2.0), 64);
        assert_eq!(same.standard_deviation().unwrap(), Estimate::exact(0.0, 64));
        same.push(0, 3.0);
        assert!(same.mean().unwrap().standard_error > 0.0);
    }

    #[test]
    fn the_worst_are_kept_whatever_the_order() {
        let n = 40_000_u32;
        let mut worst = LabelledWorst::new(n.into(), 0.95);
        for i in 0..n {
            worst.push(LabelledLoss { loss: f64::from(i * 7919 % n), replicate: i as usize % REPLICATES });
            assert!(worst.losses.len() <= worst.cut_at);
        }
        let keep = worst.keep;
        let losses = worst.into_sorted();
        assert_eq!(losses.len(), keep);
        assert!(losses.iter().zip((0..n).rev()).all(|(point, loss)| point.loss == f64::from(loss)));
        assert!(keep > 2_200 && keep < 2_400, "{keep}");
    }

    /// Estimates from `paths` outcomes `0.8 X + 0.6 E`, X led: mean, deviation, probability of a loss, tail measures.
    fn estimates(set: PointSet, seed: u64, paths: u32) -> [Estimate; 5] {
        let points = Points::new(set, seed, paths.into(), 2);
        let mut pnl = ReplicatedPnl::new(paths.into(), 0.99);
        let mut led = Vec::new();
        for path in 0..paths {
            points.normals(path, &mut led);
            let address = Address { path, step: 0, slot: 0, purpose: Purpose::Design, index: 0 };
            let [own, ..] = rng::normals4(rng::words(seed, address));
            pnl.push(set.replicate(path.into()), 0.6 * led[0] + 0.28_f64.sqrt() * led[1] + 0.6 * own);
        }
        let (mean, deviation) = (pnl.mean().unwrap(), pnl.standard_deviation().unwrap());
        let probability = pnl.loss_probability().unwrap();
        let [risk, shortfall] = pnl.tails(&[0.99])[0];
        [mean, deviation, probability, risk, shortfall]
    }

    #[test]
    fn intervals_cover() {
        let truth = [0.0, 1.0, 0.5, NORMAL_TAIL[0], NORMAL_TAIL[1]];
        for set in SETS {
            let mut covered = [0; 5];
            let mut squares = [0.0; 5];
            for seed in 0..2_000 {
                for (measure, found) in estimates(set, seed, 4_096).into_iter().enumerate() {
                    covered[measure] += u32::from(found.ci_low <= truth[measure] && truth[measure] <= found.ci_high);
                    squares[measure] += (found.value - truth[measure]).powi(2) / 2_000.0;
                }
            }
            // 93 to 97 % of 2,000; the expected 1,900 have a standard deviation of 9.7.
            assert!(covered.iter().all(|hits| (1_860..=1_940).contains(hits)), "{set:?}: {covered:?}");
            // Of the mean's variance 0.36 / n is left; of that of tails less than plain paths have.
            let left = squares[0] * 4_096.0;
            assert!((left / 0.36 - 1.0).abs() < 0.15, "{set:?}: {left}");
        }
    }
}
