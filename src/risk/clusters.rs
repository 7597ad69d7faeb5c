//! Outcomes of paths in replicates that share their parameters: errors that know of it, and what the parameters add.
//!
//! Paths of one replicate depend on each other through its parameters, replicates do not. So the error of a measure is that
//! of a sample of replicates: with `h` the influence of an outcome on the measure, S_r its sum over replicate r of n_r paths,
//!
//! ```text
//! se^2 = R / (R - 1)  sum_r (S_r - n_r mean h)^2 / N^2
//! h: x for the mean; ((x - mean)^2 - s^2) / 2s for the deviation; 1[x < 0]; (L - VaR)+ / (1 - c) for the shortfall
//! ```
//!
//! Quantiles have Woodruff's interval: the order statistics at the level plus and minus 1.96 errors of the share below. Some
//! 30 replicates are needed for 95 % intervals to cover 95 %: the error is itself an estimate.
//! Source: Woodruff (1952), doi:10.1080/01621459.1952.10483443; the sandwich of independent clusters, for instance Binder
//! (1983), doi:10.2307/1402588.
//!
//! The *parameter error* of a measure is its standard deviation over the law of the parameters were there paths without end:
//! what remains when Monte Carlo error is gone. It is a component of variance between replicates, the noise of finite
//! replicates taken out:
//!
//! ```text
//! variance = mean over r of  R / (R - 1) (y_r - mean y)^2 - noise_r
//! mean, probability of a loss:  y_r the mean of replicate r,        noise_r = s_r^2 / n
//! VaR, ES:                      y_r = (a_r + b_r) / 2 of its halves, noise_r = (a_r - b_r)^2 / 4
//! ```
//!
//! unbiased whatever the law of the outcomes; its root is biased downwards, by about 1 / 4R and the noise. The VaR of a half of
//! m paths is its order statistic at (m + 1) c, interpolated, at most the largest; the ES the mean of its worst (1 - c) m. Both
//! lie off those of endless paths by a bias that hardly differs between replicates, and so hardly counts; but levels beyond
//! m / (m + 1) are out of reach, and have the error of that level. Tried and left out: the share of each replicate beyond the
//! common VaR over the density there (the influence function), 30 to 42 % too large where the parameters' part of the deviation is
//! half of the chance's, and what an exponential tail makes of it, 20 to 30 % too small for the shipped book.
//!
//! Memory: 4 bytes for each path and outcome.

use crate::risk::estimate::Estimate;
use crate::risk::estimate::Z95;

/// Outcomes path by path, in single precision: they give errors, not values.
#[derive(Clone, Debug)]
pub struct Clusters {
    replicate_paths: u64,
    first_path: Option<u64>,
    values: Vec<f32>,
}

impl Clusters {
    /// Nothing yet; path p is of replicate `p / replicate_paths`.
    pub fn new(replicate_paths: u64) -> Self {
        Self { replicate_paths, first_path: None, values: Vec::new() }
    }

    /// Adds the outcome of a path; paths come one after the other.
    pub fn push(&mut self, path: u64, value: f64) {
        self.first_path.get_or_insert(path);
        self.values.push(value as f32);
    }

    /// The sample, ready for errors.
    pub fn into_sample(self) -> ClusterSample {
        let mut sorted = self.values.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let length = self.replicate_paths as usize;
        let head = (self.replicate_paths - self.first_path.unwrap_or(0) % self.replicate_paths) as usize % length;
        ClusterSample { length, head: head.min(sorted.len()), values: self.values, sorted }
    }
}

/// A finished sample.
#[derive(Clone, Debug)]
pub struct ClusterSample {
    /// Paths of a whole replicate.
    length: usize,
    /// Paths before the first whole one.
    head: usize,
    values: Vec<f32>,
    sorted: Vec<f32>,
}

/// A component of variance: that of a measure given the parameters, over the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component {
    /// Its estimate; negative where noise hides it.
    pub variance: f64,
    /// Standard error of that.
    pub error: f64,
}

impl ClusterSample {
    /// The estimate of a mean with the error of a sample of replicates.
    pub fn mean(&self, plain: Estimate) -> Estimate {
        Estimate::normal(plain.value, self.error(|x| x), plain.samples)
    }

    /// The same of any measure, by the influence of each outcome on it.
    pub fn influenced(&self, plain: Estimate, influence: impl Fn(f64) -> f64) -> Estimate {
        Estimate::normal(plain.value, self.error(influence), plain.samples)
    }

    /// The same of a standard deviation.
    pub fn deviation(&self, plain: Estimate) -> Estimate {
        let mean = self.average(|x| x);
        let influence = |x: f64| ((x - mean) * (x - mean)) / (2.0 * plain.value);
        let error = if plain.value > 0.0 { self.error(influence) } else { 0.0 };
        Estimate::normal(plain.value, error, plain.samples)
    }

    /// The same of the probability of an outcome below 0.
    pub fn probability(&self, plain: Estimate) -> Estimate {
        self.probability_below(plain, 0.0)
    }

    /// The same of the probability of an outcome below `bound`.
    pub fn probability_below(&self, plain: Estimate, bound: f64) -> Estimate {
        let error = self.error(|x| if x < bound { 1.0 } else { 0.0 });
        plain.dependent(error * error)
    }

    /// The same of the quantile at `level`.
    pub fn quantile(&self, plain: Estimate, level: f64) -> Estimate {
        let quantile = plain.value;
        let error = self.error(|x| if x <= quantile { 1.0 } else { 0.0 });
        let n = self.sorted.len() as f64;
        let (low, high) = ((n * (level - Z95 * error)).floor(), (n * (level + Z95 * error)).ceil() + 1.0);
        let at = |rank: f64| f64::from(self.sorted[rank as usize - 1]);
        let ci_low = if low >= 1.0 { at(low).min(quantile) } else { f64::NEG_INFINITY };
        let ci_high = if high <= n { at(high).max(quantile) } else { f64::INFINITY };
        Estimate::between(quantile, ci_low, ci_high, plain.samples)
    }

    /// The same of the loss exceeded with probability `1 - confidence`.
    pub fn value_at_risk(&self, plain: Estimate, confidence: f64) -> Estimate {
        let of_pnl = self.quantile(Estimate { value: -plain.value, ..plain }, 1.0 - confidence);
        Estimate { value: plain.value, ci_low: -of_pnl.ci_high, ci_high: -of_pnl.ci_low, ..of_pnl }
    }

    /// The same of the mean loss beyond `value_at_risk`.
    pub fn expected_shortfall(&self, plain: Estimate, value_at_risk: f64, confidence: f64) -> Estimate {
        let error = self.error(excess(value_at_risk)) / (1.0 - confidence);
        let error = if plain.standard_error.is_finite() { error } else { f64::INFINITY };
        Estimate::normal(plain.value, error, plain.samples)
    }

    /// Parameter error of the mean; `None` with fewer than two whole replicates.
    pub fn mean_parameter_error(&self) -> Option<Estimate> {
        Some(self.under(self.mean_component(|x| x)?, f64::sqrt))
    }

    /// Parameter error of the probability of a loss.
    pub fn loss_parameter_error(&self) -> Option<Estimate> {
        Some(self.under(self.mean_component(is_loss)?, f64::sqrt))
    }

    /// Parameter error of the value at risk.
    pub fn value_at_risk_parameter_error(&self, confidence: f64) -> Option<Estimate> {
        Some(self.under(self.tail_component(|losses| value_at_risk(losses, confidence))?, f64::sqrt))
    }

    /// Parameter error of the expected shortfall.
    pub fn shortfall_parameter_error(&self, confidence: f64) -> Option<Estimate> {
        Some(self.under(self.tail_component(|losses| expected_shortfall(losses, confidence))?, f64::sqrt))
    }

    /// Share of the variance of outcomes that the parameters make: what knowing them would take away.
    pub fn parameter_variance_share(&self) -> Option<Estimate> {
        let component = self.mean_component(|x| x)?;
        let (sum, replicates) = self
            .whole()
            .map(|values| moments(values, |x| x).1)
            .fold((0.0, 0.0), |(sum, count), variance| (sum + variance, count + 1.0));
        let total = component.variance.max(0.0) + sum / replicates;
        let share = |variance: f64| if total > 0.0 { (variance / total).min(1.0) } else { 0.0 };
        Some(self.under(component, share))
    }

    /// Standard error of the mean of a function of outcomes; infinite for a single replicate.
    pub fn error(&self, function: impl Fn(f64) -> f64) -> f64 {
        let mean = self.average(&function);
        let (mut replicates, mut squares) = (0.0, 0.0);
        for replicate in self.replicates() {
            let sum = replicate.iter().fold(0.0, |sum, &x| sum + (function(f64::from(x)) - mean));
            replicates += 1.0;
            squares += sum * sum;
        }
        if replicates < 2.0 {
            return f64::INFINITY;
        }
        (replicates / (replicates - 1.0) * squares).sqrt() / self.values.len() as f64
    }

    /// Component of the mean of a function of outcomes; `None` with fewer than two whole replicates.
    pub fn mean_component(&self, function: impl Fn(f64) -> f64) -> Option<Component> {
        let n = self.length as f64;
        component(self.whole().map(|values| {
            let (mean, variance) = moments(values, &function);
            (mean, variance / n)
        }))
    }

    /// Component of a function of sorted losses, from the two halves of each replicate.
    fn tail_component(&self, function: impl Fn(&[f64]) -> f64) -> Option<Component> {
        let half = self.length / 2;
        let of_half = |values: &[f32]| {
            let mut losses: Vec<f64> = values.iter().map(|&x| -f64::from(x)).collect();
            losses.sort_unstable_by(f64::total_cmp);
            function(&losses)
        };
        component(self.whole().map(|values| {
            let (a, b) = (of_half(&values[..half]), of_half(&values[half..2 * half]));
            (0.5 * (a + b), 0.25 * (a - b) * (a - b))
        }))
    }

    fn whole(&self) -> impl Iterator<Item = &[f32]> {
        self.values[self.head..].chunks_exact(self.length)
    }

    fn replicates(&self) -> impl Iterator<Item = &[f32]> {
        let (head, rest) = self.values.split_at(self.head);
        std::iter::once(head).filter(|head| !head.is_empty()).chain(rest.chunks(self.length))
    }

    fn average(&self, function: impl Fn(f64) -> f64) -> f64 {
        self.values.iter().fold(0.0, |sum, &x| sum + function(f64::from(x))) / self.values.len() as f64
    }

    /// A growing function of the component, with the interval that the component's has under it.
    fn under(&self, component: Component, function: impl Fn(f64) -> f64) -> Estimate {
        let at = |errors: f64| function((component.variance + errors * component.error).max(0.0));
        Estimate::between(at(0.0), at(-Z95), at(Z95), self.values.len() as u64)
    }
}

/// The component that measures of replicates, each with the variance of its noise, have; `None` for fewer than two.
///
/// Its error is that of the mean over replicates, whatever their law.
fn component(measures: impl Iterator<Item = (f64, f64)>) -> Option<Component> {
    let measures: Vec<(f64, f64)> = measures.collect();
    let replicates = measures.len() as f64;
    if replicates < 2.0 {
        return None;
    }
    let mean = measures.iter().fold(0.0, |sum, (measure, _)| sum + measure) / replicates;
    let own = |&(measure, noise): &(f64, f64)| replicates / (replicates - 1.0) * (measure - mean).powi(2) - noise;
    let variance = measures.iter().map(own).fold(0.0, |sum, own| sum + own) / replicates;
    let squares = measures.iter().map(own).fold(0.0, |sum, own| sum + (own - variance).powi(2));
    Some(Component { variance, error: (squares / (replicates * (replicates - 1.0))).sqrt() })
}

/// Order statistic of rising losses at `(m + 1) confidence`, interpolated.
fn value_at_risk(losses: &[f64], confidence: f64) -> f64 {
    let last = losses.len() - 1;
    let place = ((losses.len() + 1) as f64 * confidence - 1.0).clamp(0.0, last as f64);
    let (below, part) = (place.floor() as usize, place.fract());
    losses[below] + part * (losses[(below + 1).min(last)] - losses[below])
}

/// Mean of the worst `(1 - confidence) m` of rising losses, at least of the worst.
fn expected_shortfall(losses: &[f64], confidence: f64) -> f64 {
    let mass = ((1.0 - confidence) * losses.len() as f64).max(1.0);
    let weights = losses.iter().rev().enumerate().map(|(rank, loss)| (loss, (mass - rank as f64).clamp(0.0, 1.0)));
    weights.fold(0.0, |sum, (loss, weight)| sum + weight * loss) / mass
}

fn is_loss(x: f64) -> f64 {
    if x < 0.0 { 1.0 } else { 0.0 }
}

/// The loss beyond `value_at_risk`.
fn excess(value_at_risk: f64) -> impl Fn(f64) -> f64 {
    move |x| (-x - value_at_risk).max(0.0)
}

/// Mean and sample variance of a function of at least two values.
fn moments(values: &[f32], function: impl Fn(f64) -> f64) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().fold(0.0, |sum, &x| sum + function(f64::from(x))) / n;
    let squares = values.iter().fold(0.0, |sum, &x| sum + (function(f64::from(x)) - mean).powi(2));
    (mean, squares / (n - 1.0))
}

/// Sums over replicates of what rare paths bring, one replicate after the other: the error of their mean or of their number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReplicateSums {
    /// The replicate under way, its paths and the sum of their values.
    replicate: u64,
    open: (f64, f64),
    replicates: f64,
    counts: f64,
    squared_counts: f64,
    sums: f64,
    products: f64,
    squared_sums: f64,
}

impl ReplicateSums {
    /// Adds a value of a path of `replicate`; replicates ascend.
    pub(crate) fn push(&mut self, replicate: u64, value: f64) {
        if replicate != self.replicate {
            *self = self.closed();
            self.replicate = replicate;
        }
        self.open = (self.open.0 + 1.0, self.open.1 + value);
    }

    /// Variance of the mean of the values; infinite where they are of one replicate.
    pub(crate) fn mean_variance(&self) -> f64 {
        let Self { replicates, counts, squared_counts, sums, products, squared_sums, .. } = self.closed();
        let mean = sums / counts;
        let squares = (squared_sums - 2.0 * mean * products + mean * mean * squared_counts).max(0.0);
        if replicates > 1.0 { replicates / (replicates - 1.0) * squares / (counts * counts) } else { f64::INFINITY }
    }

    /// Variance of the share of `samples` paths in `all` replicates that brought a value.
    pub(crate) fn share_variance(&self, samples: f64, all: f64) -> f64 {
        let Self { counts, squared_counts, .. } = self.closed();
        let squares = (squared_counts - counts * counts / all).max(0.0);
        if all > 1.0 { all / (all - 1.0) * squares / (samples * samples) } else { f64::INFINITY }
    }

    /// The sums with the replicate under way.
    fn closed(&self) -> Self {
        let (count, sum) = self.open;
        Self {
            replicate: self.replicate,
            open: (0.0, 0.0),
            replicates: self.replicates + if count > 0.0 { 1.0 } else { 0.0 },
            counts: self.counts + count,
            squared_counts: self.squared_counts + count * count,
            sums: self.sums + sum,
            products: self.products + count * sum,
            squared_sums: self.squared_sums + sum * sum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::moments::Moments;

    fn sample(length: u64, first_path: u64, values: &[f64]) -> ClusterSample {
        let mut clusters = Clusters::new(length);
        values.iter().zip(first_path..).for_each(|(&value, path)| clusters.push(path, value));
        clusters.into_sample()
    }

    #[test]
    fn errors_of_a_hand_made_sample() {
        // Two replicates: sums about the mean 3.5 are -6 and 6; se^2 = 2 (36 + 36) / 16.
        let two = sample(2, 0, &[0.0, 1.0, 6.0, 7.0]);
        assert_eq!(two.error(|x| x), 3.0);
        // Means 0.5 and 6.5, variances 0.5: 2 * 9 - 0.5 / 2 each.
        assert_eq!(two.mean_component(|x| x).unwrap(), Component { variance: 17.75, error: 0.0 });
        assert_eq!(two.mean_parameter_error().unwrap().value, 17.75_f64.sqrt());
        assert_eq!(two.parameter_variance_share().unwrap().value, 17.75 / 18.25);
    }

    #[test]
    fn replicates_of_one_path_are_independent_paths() {
        let values: Vec<f64> = (0..500_u32).map(|i| f64::from(i * 7919 % 500) - 200.0).collect();
        let mut moments = Moments::default();
        values.iter().for_each(|&value| moments.push(value));
        let single = sample(1, 0, &values);
        let plain = moments.mean().unwrap();
        assert!((single.mean(plain).standard_error / plain.standard_error - 1.0).abs() < 1e-6);
        let deviation = moments.standard_deviation().unwrap();
        assert!((single.deviation(deviation).standard_error / deviation.standard_error - 1.0).abs() < 0.01);
        let quantile = single.quantile(Estimate::exact(49.0, 500), 0.5);
        // Ranks 250 -+ 1.96 sqrt(125): 228 and 273 of -200, -199, ...
        assert_eq!((quantile.ci_low, quantile.ci_high), (27.0, 72.0), "{quantile:?}");
    }

    #[test]
    fn replicates_are_counted_from_path_0() {
        let values = [9.0, 1.0, 2.0, 3.0, 4.0, 8.0];
        let lengths = |first| sample(2, first, &values).replicates().map(<[f32]>::len).collect::<Vec<_>>();
        assert_eq!((lengths(0), lengths(3)), (vec![2, 2, 2], vec![1, 2, 2, 1]));
        // Whole ones only: 1, 2 and 3, 4; means 1.5 and 3.5.
        assert_eq!(sample(2, 3, &values).mean_component(|x| x).unwrap().variance, 2.0 - 0.25);
        assert_eq!(sample(8, 0, &values).mean_component(|x| x), None);
        assert_eq!(sample(8, 0, &values).error(|x| x), f64::INFINITY);
    }

    #[test]
    fn tails_of_halves_of_a_hand_made_sample() {
        // VaR at 60 % of three losses 1, 2, 5: place 2.4 is 2 + 0.4 * 3; ES: 5 and 0.2 of 2, over 1.2.
        assert!((value_at_risk(&[1.0, 2.0, 5.0], 0.6) - 3.2).abs() < 1e-12);
        assert!((expected_shortfall(&[1.0, 2.0, 5.0], 0.6) - 5.4 / 1.2).abs() < 1e-12);
        assert_eq!((value_at_risk(&[1.0, 2.0], 0.99), expected_shortfall(&[1.0, 2.0], 0.99)), (2.0, 2.0));
        // Worst of the halves: 0, 2 and 10, 14; means 1 and 12, noises 1 and 4.
        let pnl = [0.0, 1.0, -2.0, 3.0, -10.0, 0.0, -14.0, 0.0];
        let error = sample(4, 0, &pnl).value_at_risk_parameter_error(0.99).unwrap();
        assert!((error.value - (2.0 * 5.5 * 5.5 - 2.5_f64).sqrt()).abs() < 1e-12, "{error:?}");
        assert_eq!(sample(4, 0, &pnl).shortfall_parameter_error(0.99).unwrap().value, error.value);
    }

    #[test]
    fn an_error_hidden_by_noise_is_bounded() {
        let none = sample(3, 0, &[0.0, 1.0, 2.0, 2.0, 0.0, 1.0, 1.0, 2.0, 0.1]).mean_parameter_error().unwrap();
        assert!(none.value == 0.0 && none.ci_low == 0.0, "{none:?}");
    }

    #[test]
    fn sums_of_rare_paths_are_those_of_the_sample() {
        // Values of paths of the replicates 0, 2 and 3 of five of two paths each.
        let mut sums = ReplicateSums::default();
        for (replicate, value) in [(0, 1.0), (0, 2.0), (2, 6.0), (3, 5.0)] {
            sums.push(replicate, value);
        }
        // Mean 3.5; sums about it -4, 2.5, 1.5.
        assert!((sums.mean_variance() - 1.5 * (16.0 + 6.25 + 2.25) / 16.0).abs() < 1e-12);
        let hits = sample(2, 0, &[1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let error = hits.error(|x| x);
        assert!((sums.share_variance(10.0, 5.0) - error * error).abs() < 1e-15);
    }
}
