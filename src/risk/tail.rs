//! The worst losses of a stream, kept exactly, and the value at risk and expected shortfall that they give.
//!
//! Memory: `samples * (1 - confidence)` losses and a margin for the interval, times 33/32 for the buffer, 8 bytes
//! each. At a confidence of 95 % that is 0.042 MB per measure at 1e5 samples and 0.416 MB at 1e6, so one book with
//! two bases, two currencies and four horizons grows by 6.0 MB from 1e5 to 1e6 paths. Pages are touched only as
//! losses arrive.
//!
//! The interval of expected shortfall ([`SortedTail::expected_shortfall`]) is freed of the skewness of the tail. A plain one,
//! `+- 1.96 se`, misses the truth above it most of the time: where the sample lacks its rare large losses, value and error are
//! both too small. Coverage of 95 % intervals in per cent, plain and as built, over 10,000 replications (3,000 at n = 1e5), and
//! of the latter in how many the truth lies below and above:
//!
//! | law | level | n = 1e3 | n = 1e4 | n = 1e5 |
//! |---|---|---|---|---|
//! | normal | 0.95 | 93.7, 95.9 (2.7, 1.4) | 94.8, 95.0 (2.6, 2.3) | 95.0, 95.0 (2.4, 2.6) |
//! | | 0.99 | 89.9, 98.0 (1.8, 0.3) | 94.3, 95.5 (2.7, 1.9) | 94.7, 95.0 (3.0, 2.0) |
//! | t5 | 0.95 | 92.8, 96.1 (1.7, 2.2) | 94.6, 95.2 (2.2, 2.6) | 94.6, 94.9 (2.6, 2.6) |
//! | | 0.99 | 86.5, 98.7 (0.7, 0.6) | 93.2, 95.4 (2.0, 2.5) | 95.2, 95.5 (2.1, 2.3) |
//! | | 0.999 | | 85.4, 99.0 (0.6, 0.4) | 94.4, 96.0 (1.9, 2.2) |
//! | t3 | 0.95 | 90.0, 96.0 (0.9, 3.0) | 93.5, 94.8 (1.8, 3.4) | 94.9, 95.2 (2.2, 2.7) |
//! | | 0.99 | 81.1, 98.7 (0.5, 0.9) | 91.5, 95.4 (1.3, 3.3) | 93.7, 94.8 (1.8, 3.4) |
//! | | 0.999 | | 80.6, 98.8 (0.4, 0.8) | 91.8, 95.3 (1.2, 3.4) |
//!
//! Ten tail losses are too few for either; the interval as built then errs on the wide side. Tried and left out: Johnson's
//! modified t, which moves the interval and does not widen it (t3, 0.99, n = 1e4: 90.9); Hall's transformation without
//! Student's quantile (t3: 93.9 to 94.8, t5: 94.2 to 95.4); an interval of the logarithm (t3: 92.4).

use crate::risk::estimate::Estimate;
use crate::risk::estimate::Shape;
use crate::risk::estimate::quantile_rank;
use crate::risk::estimate::quantile_rank_interval;

/// Losses above the ones needed, as a divisor of those: how far the buffer fills before it is cut back.
const BUFFER_DIVISOR: usize = 32;

/// The largest losses of a stream of known length.
///
/// A loss at or below the smallest one kept after the last cut is dropped at once; the buffer is cut back to its size
/// when full. The multiset of kept losses does not depend on the order of arrival.
#[derive(Clone, Debug)]
pub struct WorstTail {
    expected: u64,
    keep: usize,
    pushed: u64,
    threshold: f64,
    losses: Vec<f64>,
}

impl WorstTail {
    /// A tail that serves every level in `[confidence_min, 1)` of up to `samples` losses.
    pub fn new(samples: u64, confidence_min: f64) -> Self {
        let keep = kept_losses(samples, confidence_min);
        let losses = Vec::with_capacity(keep + keep / BUFFER_DIVISOR + 1);
        Self { expected: samples, keep, pushed: 0, threshold: f64::NEG_INFINITY, losses }
    }

    /// Adds a loss (a profit is a negative loss). Panics on NaN and on more losses than announced.
    pub fn push(&mut self, loss: f64) {
        assert!(
            !loss.is_nan() && self.pushed < self.expected,
            "loss {loss}, number {} of {}",
            self.pushed,
            self.expected
        );
        self.pushed += 1;
        if loss > self.threshold || self.losses.len() < self.keep {
            self.losses.push(loss);
            if self.losses.len() == self.losses.capacity() {
                self.cut_back();
            }
        }
    }

    /// The tail in order, ready for estimates.
    pub fn into_sorted(mut self) -> SortedTail {
        self.losses.sort_unstable_by(|a, b| b.total_cmp(a));
        self.losses.truncate(self.keep);
        SortedTail { samples: self.pushed, worst: self.losses }
    }

    fn cut_back(&mut self) {
        let (_, smallest, _) = self.losses.select_nth_unstable_by(self.keep - 1, |a, b| b.total_cmp(a));
        self.threshold = *smallest;
        self.losses.truncate(self.keep);
    }
}

/// Losses needed for the lower end of the interval at `confidence`, the farthest from the worst.
fn kept_losses(samples: u64, confidence: f64) -> usize {
    let (low, _) = quantile_rank_interval(samples, confidence);
    (samples + 1 - low.max(1)) as usize
}

/// The worst losses, largest first.
#[derive(Clone, Debug)]
pub struct SortedTail {
    samples: u64,
    worst: Vec<f64>,
}

impl SortedTail {
    /// Loss exceeded with probability `1 - confidence`: order statistic of rank `ceil(n * confidence)`.
    ///
    /// The interval is of order statistics, by exact binomial ranks; the standard error is its width over `2 * Z95`.
    /// An end beyond the sample is infinite. `None` without samples.
    pub fn value_at_risk(&self, confidence: f64) -> Option<Estimate> {
        if self.samples == 0 {
            return None;
        }
        let (low, high) = quantile_rank_interval(self.samples, confidence);
        let ci_low = if low == 0 { f64::NEG_INFINITY } else { self.order_statistic(low) };
        let ci_high = if high > self.samples { f64::INFINITY } else { self.order_statistic(high) };
        let value = self.order_statistic(quantile_rank(self.samples, confidence));
        Some(Estimate::between(value, ci_low, ci_high, self.samples))
    }

    /// Mean of the worst `1 - confidence` share of losses, the value at risk counted with the fraction that fills the
    /// share.
    ///
    /// ```text
    /// n (1 - c) ES = sum_{i > j} x_(i) + (j - n c) x_(j),   j = ceil(n c)
    /// se^2 = [Var(L | tail) + c (ES - VaR)^2] / (n (1 - c))
    /// ```
    ///
    /// That is the error of a mean of the terms `(L - VaR)+ / (1 - c)`, most of them 0: so skewed that the interval is
    /// [`Estimate::skewed`] (module documentation). With fewer than two losses in the tail the error is unknown, hence infinite.
    /// `None` without samples.
    /// Source: Acerbi, Tasche (2002), doi:10.1016/S0378-4266(02)00283-2, proposition 4.1; the variance is the delta
    /// method's for `VaR + E(L - VaR)+ / (1 - c)`, as in Chen (2008), doi:10.1093/jjfinec/nbm019, for independent
    /// losses.
    pub fn expected_shortfall(&self, confidence: f64) -> Option<Estimate> {
        if self.samples == 0 {
            return None;
        }
        let rank = quantile_rank(self.samples, confidence);
        let position = self.samples as f64 * confidence;
        let mass = (self.samples as f64 - position).max(f64::MIN_POSITIVE);
        let beyond = &self.worst[..(self.samples - rank) as usize];
        let value_at_risk = self.order_statistic(rank);
        let atom = (mass - beyond.len() as f64).max(0.0);
        let excess: f64 = beyond.iter().rev().map(|loss| loss - value_at_risk).sum::<f64>() / mass;
        let deviation = |loss: f64| (loss - value_at_risk - excess) * (loss - value_at_risk - excess);
        let spread: f64 = beyond.iter().rev().map(|&loss| deviation(loss)).sum();
        let variance = (spread + atom * deviation(value_at_risk)) / mass;
        let standard_error =
            if mass < 2.0 { f64::INFINITY } else { ((variance + confidence * excess * excess) / mass).sqrt() };
        let shape = shape_of_excesses(beyond.iter().rev().map(|loss| loss - value_at_risk), self.samples, mass);
        Some(Estimate::skewed(value_at_risk + excess, standard_error, shape, self.samples))
    }

    /// The loss of `rank` from the smallest (1) to the largest (`samples`).
    fn order_statistic(&self, rank: u64) -> f64 {
        self.worst[(self.samples - rank) as usize]
    }
}

/// Shape of the terms `(L - VaR)+ / (1 - c)` of `samples` losses, of which `mass = n (1 - c)` are in the tail.
pub(crate) fn shape_of_excesses(excesses: impl Iterator<Item = f64> + Clone, samples: u64, mass: f64) -> Shape {
    let n = samples as f64;
    let per_share = n / mass;
    let mean = excesses.clone().sum::<f64>() / mass;
    let zeros = n - excesses.clone().count() as f64;
    let about_zero = [mean * mean, -mean * mean * mean, mean * mean * mean * mean];
    let sums = excesses.fold(about_zero.map(|power| zeros * power), |[second, third, fourth], excess| {
        let deviation = excess * per_share - mean;
        let square = deviation * deviation;
        [second + square, third + square * deviation, fourth + square * square]
    });
    let [second, third, fourth] = sums.map(|sum| sum / n);
    Shape::of_moments(second, third, fourth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(losses: impl ExactSizeIterator<Item = f64>, confidence: f64) -> SortedTail {
        let mut tail = WorstTail::new(losses.len() as u64, confidence);
        losses.for_each(|loss| tail.push(loss));
        tail.into_sorted()
    }

    /// A permutation of 0..n without a generator: 7919 is prime.
    fn shuffled(n: u64) -> impl ExactSizeIterator<Item = f64> {
        (0..n as u32).map(move |i| (u64::from(i) * 7919 % n) as f64)
    }

    #[test]
    fn hand_made_sample_with_a_fractional_atom() {
        // Ten losses 1..10 at 75 %: VaR = x_(8) = 8; ES = (10 + 9 + 0.5 * 8) / 2.5 = 9.2.
        let tail = tail((1..11).map(f64::from), 0.75);
        assert_eq!(tail.value_at_risk(0.75).unwrap().value, 8.0);
        let shortfall = tail.expected_shortfall(0.75).unwrap();
        assert!((shortfall.value - 9.2).abs() < 1e-12);
        // Tail variance: (0.8^2 + 0.2^2 + 0.5 * 1.2^2) / 2.5 = 0.56; plus 0.75 * 1.2^2 = 1.08.
        assert!((shortfall.standard_error - (1.64_f64 / 2.5).sqrt()).abs() < 1e-12, "{shortfall:?}");
    }

    #[test]
    fn keeps_exactly_the_worst_whatever_the_order() {
        let n = 20_011;
        let sorted = tail((0..n as u32).map(f64::from), 0.95);
        let mixed = tail(shuffled(n), 0.95);
        assert_eq!(sorted.worst, mixed.worst);
        assert_eq!(mixed.worst[0], (n - 1) as f64);
        for pair in mixed.worst.windows(2) {
            assert_eq!(pair[0] - pair[1], 1.0);
        }
        let value = mixed.value_at_risk(0.95).unwrap();
        assert_eq!(value.value, (quantile_rank(n, 0.95) - 1) as f64);
        let (low, high) = quantile_rank_interval(n, 0.95);
        assert_eq!((value.ci_low, value.ci_high), ((low - 1) as f64, (high - 1) as f64));
    }

    #[test]
    fn buffer_never_grows() {
        let mut tail = WorstTail::new(50_000, 0.95);
        let capacity = tail.losses.capacity();
        for loss in 0..50_000 {
            tail.push(f64::from(loss));
        }
        assert_eq!(tail.losses.capacity(), capacity);
        assert!(capacity < 50_000 / 20 * 9 / 8, "{capacity}");
    }

    #[test]
    fn small_samples_admit_what_they_cannot_say() {
        let tail = tail((0..10).map(f64::from), 0.95);
        let value = tail.value_at_risk(0.99).unwrap();
        assert_eq!((value.value, value.ci_high, value.standard_error), (9.0, f64::INFINITY, f64::INFINITY));
        let shortfall = tail.expected_shortfall(0.99).unwrap();
        assert_eq!((shortfall.value, shortfall.standard_error), (9.0, f64::INFINITY));
        assert_eq!(WorstTail::new(5, 0.95).into_sorted().value_at_risk(0.95), None);
    }

    #[test]
    fn equal_losses_have_no_spread() {
        let tail = tail((0..1000).map(|_| 4.0), 0.95);
        assert_eq!(tail.expected_shortfall(0.99).unwrap(), Estimate::exact(4.0, 1000));
        assert_eq!(tail.value_at_risk(0.95).unwrap(), Estimate::exact(4.0, 1000));
    }
}
