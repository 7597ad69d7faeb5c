//! A number with its error: what every published figure is.

/// Quantile of the standard normal law at 97.5 %: half-width of a 95 % interval in standard errors.
pub const Z95: f64 = 1.959_963_984_540_054;
/// Chance that a one-sided bound is missed.
const ONE_SIDED_MISS: f64 = 0.05;
/// Standard deviations around the mean over which binomial weights are summed; the rest is below 1e-14.
const BINOMIAL_REACH: f64 = 8.0;
/// Skewness of a mean below which it is not seen: the ends of an interval move by less than 1e-8 standard errors.
const SKEWNESS_MIN: f64 = 1e-8;
/// Ranks added to that reach, for means so small that the law is skewed.
const BINOMIAL_SLACK: u64 = 60;

/// A value with its standard error and 95 % confidence interval.
///
/// A bound that the sample cannot give (the upper bound of a 99 % quantile from 50 samples) is infinite, never left
/// out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error, in the unit of the value.
    pub standard_error: f64,
    /// Lower end of the 95 % interval.
    pub ci_low: f64,
    /// Upper end of the 95 % interval.
    pub ci_high: f64,
    /// Outcomes that the value rests on.
    pub samples: u64,
}

impl Estimate {
    /// A number known without error, such as an opening value.
    pub fn exact(value: f64, samples: u64) -> Self {
        Self { value, standard_error: 0.0, ci_low: value, ci_high: value, samples }
    }

    /// A value whose error is normal: `value +- Z95 * standard_error`.
    pub fn normal(value: f64, standard_error: f64, samples: u64) -> Self {
        let half_width = Z95 * standard_error;
        Self { value, standard_error, ci_low: value - half_width, ci_high: value + half_width, samples }
    }

    /// A mean of `samples` independent terms of `shape`: Hall's interval, whose two sides differ where terms are skewed.
    ///
    /// ```text
    /// T = (mean - truth) / se,  a = skewness / sqrt(n)
    /// g(T) = T + a/6 + a T^2 / 3 + a^2 T^3 / 27  has no skewness left, and grows with T:
    /// g^-1(x) = 3 ((1 + a (x - a/6))^(1/3) - 1) / a
    /// truth in  mean - g^-1(+-t) se,  t the 97.5 % quantile of Student's law with 2 n / (kurtosis - 1) degrees of freedom
    /// ```
    ///
    /// The degrees of freedom are those of a chi-square law as spread as `se^2` is (Satterthwaite): they matter where few
    /// terms carry the variance.
    /// Source: Hall (1992), On the removal of skewness by transformation, J. R. Statist. Soc. B 54, 221-228.
    pub fn skewed(value: f64, standard_error: f64, shape: Shape, samples: u64) -> Self {
        let degrees = 2.0 * samples as f64 / (shape.kurtosis - 1.0);
        Self::skewed_of(value, standard_error, shape, (samples, degrees))
    }

    /// [`Self::skewed`] where the standard error has other degrees of freedom, which come after the number of terms.
    pub(crate) fn skewed_of(value: f64, standard_error: f64, shape: Shape, (samples, degrees): (u64, f64)) -> Self {
        if !(standard_error > 0.0 && standard_error.is_finite()) {
            return Self::normal(value, standard_error, samples);
        }
        let skewness = shape.skewness / (samples as f64).sqrt();
        let quantile = student_z95(degrees);
        Self {
            value,
            standard_error,
            ci_low: value - without_skewness(quantile, skewness) * standard_error,
            ci_high: value - without_skewness(-quantile, skewness) * standard_error,
            samples,
        }
    }

    /// A value between two bounds that were found without a standard error: `(high - low) / (2 * Z95)` stands for it.
    pub fn between(value: f64, ci_low: f64, ci_high: f64, samples: u64) -> Self {
        let width = ci_high - ci_low;
        let standard_error = if width.is_finite() { width / (2.0 * Z95) } else { f64::INFINITY };
        Self { value, standard_error, ci_low, ci_high, samples }
    }

    /// A probability from `hits` in `samples > 0` outcomes, with the Wilson score interval.
    ///
    /// The standard error is the interval's half-width over [`Z95`], so it is never 0. With no hit, or nothing but
    /// hits, the far end is the exact one-sided 95 % bound `1 - 0.05^(1/n)` (about `3 / n`), and the near end 0 or 1.
    /// Source: Brown, Cai, DasGupta (2001), doi:10.1214/ss/1009213286.
    pub fn proportion(hits: u64, samples: u64) -> Self {
        assert!(samples > 0 && hits <= samples, "{hits} hits in {samples} samples");
        let n = samples as f64;
        let plain = Self::wilson(hits as f64 / n, n, samples);
        let far = one_sided_bound(n);
        match hits {
            0 => Self { ci_low: 0.0, ci_high: far, ..plain },
            _ if hits == samples => Self { ci_low: 1.0 - far, ci_high: 1.0, ..plain },
            _ => plain,
        }
    }

    /// Wilson's interval of a probability seen in `n` outcomes.
    fn wilson(value: f64, n: f64, samples: u64) -> Self {
        let z_squared = Z95 * Z95;
        let shrink = 1.0 / (1.0 + z_squared / n);
        let centre = (value + z_squared / (2.0 * n)) * shrink;
        let standard_error = (value * (1.0 - value) / n + z_squared / (4.0 * n * n)).sqrt() * shrink;
        Self {
            value,
            standard_error,
            ci_low: centre - Z95 * standard_error,
            ci_high: centre + Z95 * standard_error,
            samples,
        }
    }

    /// This probability from outcomes that depend on each other, so that its variance is `variance`: the Wilson interval of
    /// as many independent outcomes as have that variance, at most all.
    ///
    /// With no hit, or nothing but hits, it stays: what dependence does to an event vanishes with its probability.
    pub fn dependent(&self, variance: f64) -> Self {
        let spread = self.value * (1.0 - self.value);
        if spread == 0.0 {
            return *self;
        }
        if variance == f64::INFINITY {
            return Self { standard_error: f64::INFINITY, ci_low: 0.0, ci_high: 1.0, ..*self };
        }
        Self::wilson(self.value, (spread / variance).min(self.samples as f64), self.samples)
    }

    /// The same value with its error and both sides of its interval times `factor >= 1`, none of it below 0.
    pub fn widened(&self, factor: f64) -> Self {
        Self {
            standard_error: self.standard_error * factor,
            ci_low: (self.value - factor * (self.value - self.ci_low)).max(0.0),
            ci_high: self.value + factor * (self.ci_high - self.value),
            ..*self
        }
    }

    /// A rate from `events` over an `exposure > 0`, seen on `samples` paths, with a Poisson interval.
    ///
    /// Byar's approximation of the exact limits (within 1 % of them from one event on). Without an event the upper
    /// end is the exact one-sided 95 % bound `-ln(0.05) / exposure`, and the standard error one event's.
    /// Source: Breslow, Day (1987), Statistical Methods in Cancer Research II, chapter 2.
    pub fn rate(events: u64, exposure: f64, samples: u64) -> Self {
        assert!(exposure > 0.0, "exposure {exposure} (must be > 0)");
        let count = events as f64;
        let limit = |count: f64, z: f64| {
            let root = 1.0 - 1.0 / (9.0 * count) + z / (3.0 * count.sqrt());
            count * root * root * root
        };
        let (low, high) = match events {
            0 => (0.0, -ONE_SIDED_MISS.ln()),
            _ => (limit(count, -Z95), limit(count + 1.0, Z95)),
        };
        let standard_error = count.max(1.0).sqrt();
        let per_event = 1.0 / exposure;
        Self { value: count, standard_error, ci_low: low, ci_high: high, samples }.scaled(per_event)
    }

    /// Half of the interval's width: the figure after a plus-minus sign.
    pub fn half_width(&self) -> f64 {
        0.5 * (self.ci_high - self.ci_low)
    }

    /// The same estimate in another unit; `factor > 0`.
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            standard_error: self.standard_error * factor,
            ci_low: self.ci_low * factor,
            ci_high: self.ci_high * factor,
            samples: self.samples,
        }
    }
}

/// Third and fourth central moment of a law over those powers of its standard deviation; the normal law has 0 and 3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Third.
    pub skewness: f64,
    /// Fourth, at least 1.
    pub kurtosis: f64,
}

impl Shape {
    /// That of central moments of the orders 2, 3 and 4.
    pub fn of_moments(second: f64, third: f64, fourth: f64) -> Self {
        Self { skewness: third / (second * second.sqrt()), kurtosis: fourth / (second * second) }
    }
}

/// Hall's `g^-1`: the studentised mean at which the transformed one is `x`.
fn without_skewness(x: f64, skewness: f64) -> f64 {
    if skewness.abs() < SKEWNESS_MIN {
        return x;
    }
    3.0 * ((1.0 + skewness * (x - skewness / 6.0)).cbrt() - 1.0) / skewness
}

/// Quantile of Student's law at 97.5 %: Abramowitz, Stegun (1964), 26.7.5; within 0.2 % from 5 degrees of freedom on, 4 % at 2.
pub(crate) fn student_z95(degrees: f64) -> f64 {
    let (z, square) = (Z95, Z95 * Z95);
    let terms = [
        (square + 1.0) / 4.0,
        (square * (5.0 * square + 16.0) + 3.0) / 96.0,
        (square * (square * (3.0 * square + 19.0) + 17.0) - 15.0) / 384.0,
    ];
    z + z * terms.iter().rev().fold(0.0, |sum, term| (sum + term) / degrees)
}

/// Largest probability under which `n` outcomes without a hit still have chance [`ONE_SIDED_MISS`].
fn one_sided_bound(n: f64) -> f64 {
    -(ONE_SIDED_MISS.ln() / n).exp_m1()
}

/// Rank (from 1) of the order statistic that estimates the quantile at `level` in (0, 1): `ceil(samples * level)`.
///
/// The product is lowered by 1e-6 first, so that rounding in `1e5 * 0.95` does not move the rank.
pub fn quantile_rank(samples: u64, level: f64) -> u64 {
    assert!(level > 0.0 && level < 1.0, "level {level} (must be in (0, 1))");
    ((samples as f64 * level - 1e-6).ceil() as u64).clamp(1, samples.max(1))
}

/// Ranks `(low, high)` of the order statistics that enclose the quantile at `level` with at least 95 % confidence.
///
/// `low = 0` and `high = samples + 1` mean that no order statistic bounds it. With B binomial(samples, level),
/// `P(x_(low) <= q < x_(high)) = P(low <= B < high)`, each side missed with chance at most 2.5 %.
/// The binomial law is summed from the ratio of neighbouring weights: exact to rounding at any size, in about
/// `16 * sqrt(n p (1 - p))` steps (the continued fraction of statrs stops short of convergence at n = 1e6).
pub fn quantile_rank_interval(samples: u64, level: f64) -> (u64, u64) {
    let n = samples as f64;
    let mean = n * level;
    let reach = (BINOMIAL_REACH * (mean * (1.0 - level)).sqrt()).ceil() as u64 + BINOMIAL_SLACK;
    let mode = (mean as u64).min(samples);
    let (first, last) = (mode.saturating_sub(reach), (mode + reach).min(samples));
    let weights = binomial_weights(samples, level, first, mode, last);
    let total: f64 = weights.iter().sum();
    let rank_at = |share: f64| {
        let mut sum = 0.0;
        let position = weights.iter().position(|weight| {
            sum += weight;
            sum >= share * total
        });
        first + position.unwrap_or(weights.len() - 1) as u64
    };
    (rank_at(0.025), rank_at(0.975) + 1)
}

/// Binomial weights of `first..=last` relative to that of `mode`.
fn binomial_weights(samples: u64, level: f64, first: u64, mode: u64, last: u64) -> Vec<f64> {
    let odds = level / (1.0 - level);
    let up = |k: u64| (samples - k) as f64 / (k + 1) as f64 * odds;
    let mut weights = vec![1.0; (last - first + 1) as usize];
    for k in mode..last {
        weights[(k + 1 - first) as usize] = weights[(k - first) as usize] * up(k);
    }
    for k in (first..mode).rev() {
        weights[(k - first) as usize] = weights[(k + 1 - first) as usize] / up(k);
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::Binomial;
    use statrs::distribution::DiscreteCDF;

    #[test]
    fn wilson_interval_of_a_published_example() {
        // 81 of 263: Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<857, table I, method 3: 0.2553, 0.3662.
        let estimate = Estimate::proportion(81, 263);
        assert!((estimate.ci_low - 0.2553).abs() < 5e-5, "{estimate:?}");
        assert!((estimate.ci_high - 0.3662).abs() < 5e-5, "{estimate:?}");
    }

    #[test]
    fn no_hit_gives_an_upper_bound_and_all_hits_a_lower_one() {
        let none = Estimate::proportion(0, 1000);
        assert_eq!((none.value, none.ci_low), (0.0, 0.0));
        assert!(((1.0 - none.ci_high).powi(1000) - 0.05).abs() < 1e-12, "{none:?}");
        assert!(none.standard_error > 0.0);
        let all = Estimate::proportion(1000, 1000);
        assert_eq!((all.value, all.ci_high), (1.0, 1.0));
        assert_eq!(all.ci_low, 1.0 - none.ci_high);
    }

    #[test]
    fn student_quantiles_of_the_tables() {
        for (degrees, quantile, error) in
            [(2.0, 4.302_7, 0.04), (5.0, 2.570_6, 2e-3), (10.0, 2.228_1, 2e-4), (30.0, 2.042_3, 2e-5), (1e9, Z95, 1e-8)]
        {
            assert!((student_z95(degrees) / quantile - 1.0).abs() < error, "{degrees}: {}", student_z95(degrees));
        }
    }

    #[test]
    fn the_interval_of_a_skewed_mean_undoes_its_transformation() {
        // 25 terms of skewness 2: a = 0.4, and Student's law with 2 * 25 / (9 - 1) degrees of freedom.
        let estimate = Estimate::skewed(7.0, 0.5, Shape { skewness: 2.0, kurtosis: 9.0 }, 25);
        let (a, quantile) = (0.4, student_z95(6.25));
        let transformed = |truth: f64| {
            let t = (7.0 - truth) / 0.5;
            t + a / 6.0 + a * t * t / 3.0 + a * a * t * t * t / 27.0
        };
        assert!((transformed(estimate.ci_low) - quantile).abs() < 1e-12, "{estimate:?}");
        assert!((transformed(estimate.ci_high) + quantile).abs() < 1e-12, "{estimate:?}");
        assert!(estimate.ci_high - 7.0 > 7.0 - estimate.ci_low);
        let plain = Estimate::skewed(7.0, 0.5, Shape { skewness: 0.0, kurtosis: 3.0 }, 1_000_000_000);
        assert!((plain.ci_high - Estimate::normal(7.0, 0.5, 1).ci_high).abs() < 1e-8, "{plain:?}");
        let shape = Shape::of_moments(0.0, 0.0, 0.0);
        assert_eq!(Estimate::skewed(7.0, 0.0, shape, 9), Estimate::exact(7.0, 9));
        assert_eq!(Estimate::skewed(7.0, f64::INFINITY, shape, 9).ci_high, f64::INFINITY);
    }

    #[test]
    fn dependent_outcomes_count_less() {
        let plain = Estimate::proportion(81, 263);
        let (p, n) = (plain.value, 263.0);
        let same = plain.dependent(p * (1.0 - p) / n);
        assert!((same.ci_low - plain.ci_low).abs() < 1e-12 && (same.ci_high - plain.ci_high).abs() < 1e-12);
        assert_eq!(plain.dependent(1e-9 * p), plain.dependent(p * (1.0 - p) / n), "never more than there are");
        let quarter = plain.dependent(4.0 * p * (1.0 - p) / n);
        assert!((quarter.standard_error / plain.standard_error / 2.0 - 1.0).abs() < 0.02, "{quarter:?}");
        assert_eq!(Estimate::proportion(0, 10).dependent(0.0), Estimate::proportion(0, 10));
        assert_eq!(plain.dependent(f64::INFINITY).ci_high, 1.0);
        let wide = Estimate::rate(10, 2.0, 100).widened(2.0);
        assert!(wide.value == 5.0 && wide.ci_low == 0.0 && wide.ci_high > 13.0, "{wide:?}");
    }

    #[test]
    fn rates_have_poisson_limits() {
        // Exact 95 % limits of 10 events: 4.795 and 18.391 (Garwood 1936, doi:10.1093/biomet/28.3-4.437); of 1:
        // 0.0253, 5.572.
        let ten = Estimate::rate(10, 2.0, 100);
        assert_eq!((ten.value, ten.samples), (5.0, 100));
        assert!((ten.ci_low * 2.0 / 4.795 - 1.0).abs() < 0.01 && (ten.ci_high * 2.0 / 18.391 - 1.0).abs() < 0.01);
        assert!((Estimate::rate(1, 1.0, 1).ci_high / 5.572 - 1.0).abs() < 0.01);
        let none = Estimate::rate(0, 3.0, 1);
        assert!(((-none.ci_high * 3.0).exp() - 0.05).abs() < 1e-12 && none.ci_low == 0.0 && none.standard_error > 0.0);
    }

    #[test]
    fn ranks_survive_rounding_of_the_product() {
        for (samples, level, rank) in
            [(100_000, 0.95, 95_000), (1_000_000, 0.99, 990_000), (10, 0.95, 10), (1, 0.5, 1), (1000, 0.07, 70)]
        {
            assert_eq!(quantile_rank(samples, level), rank, "{samples} {level}");
        }
    }

    #[test]
    fn rank_intervals_equal_the_binomial_law() {
        for samples in [1, 2, 5, 30, 100, 999] {
            for level in [0.05, 0.5, 0.9, 0.95, 0.99, 0.999] {
                let law = Binomial::new(level, samples).unwrap();
                let (low, high) = quantile_rank_interval(samples, level);
                // The smallest rank with F >= share, by search: statrs' inverse starts from a bracket of its own.
                let by_search = |share| (0..=samples).find(|&k| law.cdf(k) >= share).unwrap();
                assert_eq!((low, high), (by_search(0.025), by_search(0.975) + 1), "{samples} {level}");
            }
        }
    }

    #[test]
    fn rank_intervals_of_large_samples_are_normal() {
        let (low, high) = quantile_rank_interval(1_000_000, 0.95);
        let half_width = Z95 * (1e6 * 0.95 * 0.05_f64).sqrt();
        assert!((low as f64 - (950_000.0 - half_width)).abs() < 3.0, "{low}");
        assert!((high as f64 - (950_000.0 + half_width)).abs() < 3.0, "{high}");
    }
}
