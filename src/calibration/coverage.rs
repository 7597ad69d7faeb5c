//! Whether losses beyond value at risk came as often as they should, and independently of each other.

use rand::TryRng;
use statrs::distribution::ChiSquared;
use statrs::distribution::ContinuousCDF;

use crate::rng::Address;
use crate::rng::AddressedRng;
use crate::rng::Purpose;

/// A likelihood ratio and the probability of one as large where the null hypothesis holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioTest {
    /// Twice the log of the likelihood ratio.
    pub statistic: f64,
    /// Its asymptotic p-value.
    pub p_value: f64,
}

impl RatioTest {
    fn new(statistic: f64, freedom: f64) -> Self {
        let law = ChiSquared::new(freedom).expect("degrees of freedom are positive");
        // Rounding may leave a ratio of 1 just below.
        let statistic = statistic.max(0.0);
        Self { statistic, p_value: law.sf(statistic) }
    }
}

/// Log-likelihood of `hits` events among `trials` of probability `p`; an impossible event that did not come counts 0.
fn log_likelihood(hits: u64, trials: u64, p: f64) -> f64 {
    let term = |count: u64, p: f64| if count == 0 { 0.0 } else { count as f64 * p.ln() };
    term(hits, p) + term(trials - hits, 1.0 - p)
}

fn rate(hits: u64, trials: u64) -> f64 {
    if trials == 0 { 0.0 } else { hits as f64 / trials as f64 }
}

/// Kupiec's test of unconditional coverage (proportion of failures): whether `hits` exceedances in `trials` independent
/// windows fit a probability `p` of each.
///
/// ```text
/// LR = 2 (ln L(x / n) - ln L(p)),    ln L(q) = x ln q + (n - x) ln(1 - q);    chi-squared, one degree of freedom
/// ```
///
/// Source: Kupiec (1995), doi:10.3905/jod.1995.407942.
pub fn kupiec(hits: u64, trials: u64, p: f64) -> RatioTest {
    let free = log_likelihood(hits, trials, rate(hits, trials));
    RatioTest::new(2.0 * (free - log_likelihood(hits, trials, p)), 1.0)
}

/// Christoffersen's tests of a sequence of exceedances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Christoffersen {
    /// Whether an exceedance is as likely after one as after none, against a first-order Markov chain.
    pub independence: RatioTest,
    /// Whether that and the right frequency hold together.
    pub conditional_coverage: RatioTest,
}

/// Tests `hits`, the exceedances of consecutive windows, against a probability `p` of each.
///
/// The first window conditions only; the frequency is tested on the others, so that the two ratios add up.
/// Source: Christoffersen (1998), doi:10.2307/2527341, equations 3 to 6.
pub fn christoffersen(hits: &[bool], p: f64) -> Christoffersen {
    let mut counts = [[0_u64; 2]; 2];
    for pair in hits.windows(2) {
        counts[usize::from(pair[0])][usize::from(pair[1])] += 1;
    }
    let after = counts.map(|[none, one]| (one, none + one));
    let (ones, trials) = (after[0].0 + after[1].0, after[0].1 + after[1].1);
    let markov: f64 = after.iter().map(|(ones, trials)| log_likelihood(*ones, *trials, rate(*ones, *trials))).sum();
    let free = log_likelihood(ones, trials, rate(ones, trials));
    let independence = 2.0 * (markov - free);
    let coverage = 2.0 * (markov - log_likelihood(ones, trials, p));
    Christoffersen {
        independence: RatioTest::new(independence, 1.0),
        conditional_coverage: RatioTest::new(coverage, 2.0),
    }
}

/// A value summed over what was scored of one date, and how many that was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DateSum {
    /// Sum.
    pub sum: f64,
    /// How many.
    pub count: f64,
}

impl DateSum {
    fn plus(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, count: self.count + other.count }
    }
}

/// Sums by date of pairs of date and value, which come in the order of dates.
pub fn by_date(values: impl Iterator<Item = (u32, f64)>) -> Vec<DateSum> {
    let mut dates: Vec<(u32, DateSum)> = Vec::new();
    for (date, value) in values {
        let one = DateSum { sum: value, count: 1.0 };
        match dates.last_mut() {
            Some((last, sum)) if *last == date => *sum = sum.plus(one),
            _ => dates.push((date, one)),
        }
    }
    dates.into_iter().map(|(_, sum)| sum).collect()
}

/// How far the mean over dates that depend on each other may be off.
///
/// Circular block bootstrap: blocks of consecutive dates, the first following the last, are laid end to end until there are as
/// many as before. Blocks as long as the windows overlap keep what overlapping does to the mean.
/// Sources: Politis and Romano (1992), A circular block-resampling procedure for stationary data, in LePage and Billard,
/// Exploring the Limits of Bootstrap; Kuensch (1989), doi:10.1214/aos/1176347265.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    /// Mean over all that was scored: a date weighs by its count. NaN without a date.
    pub mean: f64,
    /// Means of resampled dates less `mean`, ascending; none where a single block holds all dates and so says nothing of their spread.
    deviations: Vec<f64>,
}

/// Times that dates are resampled.
const REPLICATES: u32 = 2_000;

impl Bootstrap {
    /// Resamples `dates` in blocks of `block`; each `stream` has its own chance.
    pub fn new(dates: &[DateSum], block: usize, seed: u64, stream: u32) -> Self {
        let mean_of = |sum: DateSum| sum.sum / sum.count;
        let mean = mean_of(dates.iter().fold(DateSum::default(), |total, date| total.plus(*date)));
        let (count, block) = (dates.len(), block.clamp(1, dates.len().max(1)));
        let replicate = |number: u32| {
            let address = Address { path: number, step: stream, slot: 0, purpose: Purpose::Backtest, index: 0 };
            let mut starts = AddressedRng::new(seed, address);
            let mut total = DateSum::default();
            let mut start = 0;
            for place in 0..count {
                if place % block == 0 {
                    let Ok(word) = starts.try_next_u32();
                    start = below(word, count);
                }
                total = total.plus(dates[(start + place % block) % count]);
            }
            mean_of(total) - mean
        };
        let replicates = if count > block { REPLICATES } else { 0 };
        let mut deviations: Vec<f64> = (0..replicates).map(replicate).collect();
        deviations.sort_unstable_by(f64::total_cmp);
        Self { mean, deviations }
    }

    /// Standard error of the mean; `None` where one block holds all dates.
    pub fn standard_error(&self) -> Option<f64> {
        let squares = self.deviations.iter().map(|deviation| deviation * deviation);
        (!self.deviations.is_empty()).then(|| (squares.sum::<f64>() / self.deviations.len() as f64).sqrt())
    }

    /// Two-sided p-value of a true mean of `expected`: how often a resampled mean is as far from the mean as that is.
    ///
    /// At least one in the number of resamples and one, so never 0; `None` where one block holds all dates.
    pub fn p_value(&self, expected: f64) -> Option<f64> {
        let distance = (self.mean - expected).abs();
        let as_far = self.deviations.iter().filter(|deviation| deviation.abs() >= distance).count();
        (!self.deviations.is_empty()).then(|| (as_far + 1) as f64 / (self.deviations.len() + 1) as f64)
    }
}

/// A number from 0 to `count - 1` from a random word.
pub(super) fn below(word: u32, count: usize) -> usize {
    ((u64::from(word) * count as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
    }

    /// Non-rejection regions at 5 % of Kupiec (1995), table 3: for p = 1 % and 255 days fewer than 7 failures, for 510 days
    /// from 2 to 10, for 1,000 days from 5 to 16; for p = 5 % and 255 days from 7 to 20, for 1,000 days from 38 to 64.
    #[test]
    fn kupiec_keeps_his_regions() {
        for (trials, p, kept) in [
            (255, 0.01, 0..=6),
            (510, 0.01, 2..=10),
            (1_000, 0.01, 5..=16),
            (255, 0.05, 7..=20),
            (1_000, 0.05, 38..=64),
        ] {
            for hits in 0..=trials / 8 {
                // His first region leaves out the lower end: no failure in 255 days has a ratio of 5.1.
                let is_kept = kept.contains(&hits) && !(hits == 0 && trials == 255);
                assert_eq!(kupiec(hits, trials, p).p_value > 0.05, is_kept, "{hits} of {trials} at {p}");
            }
        }
    }

    #[test]
    fn kupiec_by_hand() {
        // 2 (5 ln 0.1 + 45 ln 0.9 - 5 ln 0.05 - 45 ln 0.95)
        let test = kupiec(5, 50, 0.05);
        close(test.statistic, 2.0 * (5.0 * 2.0_f64.ln() + 45.0 * (0.9_f64 / 0.95).ln()), 1e-12);
        close(test.p_value, 0.150673, 1e-6);
        // None at all: 2 n ln(1 / (1 - p)); nothing tried says nothing.
        close(kupiec(0, 50, 0.05).statistic, -100.0 * 0.95_f64.ln(), 1e-12);
        assert_eq!(kupiec(0, 0, 0.05).p_value, 1.0);
        assert_eq!(kupiec(5, 100, 0.05), RatioTest { statistic: 0.0, p_value: 1.0 });
    }

    /// 0 0 1 1 0 0 0 1 0 0 0: of 10 transitions 00: 5, 01: 2, 10: 2, 11: 1.
    #[test]
    fn christoffersen_by_hand() {
        let hits = [0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0].map(|hit| hit == 1);
        let test = christoffersen(&hits, 0.2);
        let likelihood = |ones: f64, zeros: f64, q: f64| ones * q.ln() + zeros * (1.0 - q).ln();
        let markov = likelihood(2.0, 5.0, 2.0 / 7.0) + likelihood(1.0, 2.0, 1.0 / 3.0);
        close(test.independence.statistic, 2.0 * (markov - likelihood(3.0, 7.0, 0.3)), 1e-12);
        close(test.conditional_coverage.statistic, 2.0 * (markov - likelihood(3.0, 7.0, 0.2)), 1e-12);
        let parts = test.independence.statistic + kupiec(3, 10, 0.2).statistic;
        close(test.conditional_coverage.statistic, parts, 1e-12);
        let clustered: Vec<bool> = (0..200).map(|day| (100..110).contains(&day)).collect();
        let test = christoffersen(&clustered, 0.05);
        assert!(test.independence.p_value < 1e-6 && kupiec(10, 200, 0.05).p_value == 1.0, "{test:?}");
    }

    fn uniform(number: u32) -> f64 {
        rng::open_unit(rng::philox4x32([number, 0, 0, 0], [0, 0])[0])
    }

    #[test]
    fn a_bootstrap_of_independent_dates_has_their_error() {
        let values = (0..400).map(|date| (date, uniform(date)));
        let dates = by_date(values);
        let bootstrap = Bootstrap::new(&dates, 1, 1, 0);
        let variance = dates.iter().map(|date| (date.sum - bootstrap.mean).powi(2)).sum::<f64>() / 400.0;
        // 2,000 replicates give a standard deviation to 1.6 %.
        let error = bootstrap.standard_error().unwrap();
        close(error / (variance / 400.0).sqrt(), 1.0, 0.07);
        assert!(bootstrap.p_value(bootstrap.mean).unwrap() > 0.99);
        close(bootstrap.p_value(bootstrap.mean + 1.96 * error).unwrap(), 0.05, 0.02);
        assert_ne!(bootstrap, Bootstrap::new(&dates, 1, 1, 1));
    }

    /// Dates in runs of ten alike: blocks of ten tell that there are 40 of them and not 400.
    #[test]
    fn blocks_keep_dependence() {
        let values = (0..400).map(|date| (date, uniform(date / 10)));
        let dates = by_date(values);
        let [single, blocks] = [1, 10].map(|block| Bootstrap::new(&dates, block, 1, 0).standard_error().unwrap());
        assert!(blocks / single > 2.2, "{blocks} {single}");
        assert_eq!(by_date([(1, 1.0), (1, 3.0), (4, 2.0)].into_iter()).len(), 2);
        let single = Bootstrap::new(&[DateSum { sum: 4.0, count: 2.0 }], 5, 1, 0);
        assert_eq!((single.mean, single.standard_error(), single.p_value(0.0)), (2.0, None, None));
        assert_eq!(Bootstrap::new(&dates[..10], 10, 1, 0).standard_error(), None);
    }
}
