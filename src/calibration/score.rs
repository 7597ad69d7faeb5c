//! How good a probability forecast was: place of the outcome, continuous ranked probability score, Brier score.

use std::f64::consts::FRAC_1_SQRT_2;
use std::f64::consts::PI;

use statrs::function::erf::erfc;

/// Simulated values of one quantity, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble(Vec<f64>);

impl Ensemble {
    /// Sorts `values`.
    ///
    /// # Panics
    /// If there are none, or one is NaN.
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty() && values.iter().all(|value| !value.is_nan()), "values of an ensemble are numbers");
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    /// The values, ascending.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Probability integral transform of `outcome`, uniform on (0, 1) where it comes from the law of the values.
    ///
    /// ```text
    /// (values below + u (values equal + 1)) / (values + 1),    u uniform
    /// ```
    ///
    /// Randomised among ties: outcomes that many values share (a payout, a horizon without trades) keep it uniform.
    /// Source: Czado, Gneiting and Held (2009), doi:10.1111/j.1541-0420.2009.01191.x.
    pub fn pit(&self, outcome: f64, uniform: f64) -> f64 {
        let below = self.0.partition_point(|value| *value < outcome);
        let equal = self.0.partition_point(|value| *value <= outcome) - below;
        (below as f64 + uniform * (equal + 1) as f64) / (self.0.len() + 1) as f64
    }

    /// Smallest value that at least the part `level` of all values does not exceed.
    pub fn quantile(&self, level: f64) -> f64 {
        let rank = (level * self.0.len() as f64 - 1e-9).ceil().max(1.0) as usize;
        self.0[rank.min(self.0.len()) - 1]
    }

    /// Continuous ranked probability score, in the unit of the values; less is better.
    ///
    /// ```text
    /// CRPS = integral (F(x) - 1[x >= y])^2 dx = 2/n^2 sum (x_i - y) (n 1[y < x_i] - i + 1/2),    F the law of the n values
    /// ```
    ///
    /// Source: Gneiting and Raftery (2007), doi:10.1198/016214506000001437, equation 20; the sum over sorted values: Jordan,
    /// Krueger and Lerch (2019), doi:10.18637/jss.v090.i12.
    pub fn crps(&self, outcome: f64) -> f64 {
        let n = self.0.len() as f64;
        let terms = self.0.iter().enumerate().map(|(index, value)| {
            let above = if outcome < *value { n } else { 0.0 };
            (value - outcome) * (above - index as f64 - 0.5)
        });
        2.0 / (n * n) * terms.sum::<f64>()
    }
}

/// [`Ensemble::crps`] of a normal law: `sd (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi))`, `z = (y - mean) / sd`; at `sd = 0` the
/// absolute error. Source: Gneiting and Raftery (2007), equation 21.
pub fn crps_normal(mean: f64, sd: f64, outcome: f64) -> f64 {
    if !(sd > 0.0) {
        return (outcome - mean).abs();
    }
    let z = (outcome - mean) / sd;
    let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    sd * (z * (1.0 - 2.0 * normal_tail(z)) + 2.0 * density - 1.0 / PI.sqrt())
}

/// Probability that a standard normal exceeds `z`.
fn normal_tail(z: f64) -> f64 {
    0.5 * erfc(z * FRAC_1_SQRT_2)
}

/// Whether an outcome with that place lies in the central interval that should hold the part `level` of all outcomes.
pub fn is_covered(pit: f64, level: f64) -> bool {
    (pit - 0.5).abs() <= 0.5 * level
}

/// Numbers of places in so many equal parts of (0, 1).
pub fn pit_histogram(pits: impl Iterator<Item = f64>, bins: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    for pit in pits {
        counts[((pit * bins as f64) as usize).min(bins - 1)] += 1;
    }
    counts
}

/// Forecast probability of an event, and whether it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventForecast {
    /// Probability.
    pub probability: f64,
    /// Whether it came.
    pub came: bool,
}

impl EventForecast {
    fn outcome(&self) -> f64 {
        if self.came { 1.0 } else { 0.0 }
    }

    /// Squared error of the probability.
    pub fn squared_error(&self) -> f64 {
        let error = self.probability - self.outcome();
        error * error
    }
}

/// Forecasts of about the same probability, and how often the event came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationPoint {
    /// Forecasts.
    pub count: u64,
    /// Their mean.
    pub mean_probability: f64,
    /// Part of them in which the event came.
    pub frequency: f64,
}

/// Brier score and its parts: `score = reliability - resolution + uncertainty + within`.
#[derive(Clone, Debug, PartialEq)]
pub struct Brier {
    /// Mean squared error of the probability; less is better.
    pub score: f64,
    /// Mean squared distance of the curve's frequencies from its probabilities.
    pub reliability: f64,
    /// Mean squared distance of its frequencies from the base rate.
    pub resolution: f64,
    /// That of always forecasting the base rate.
    pub uncertainty: f64,
    /// What differs within the points of the curve; 0 where their forecasts are equal.
    pub within: f64,
    /// Calibration curve, by probability.
    pub curve: Vec<CalibrationPoint>,
}

impl Brier {
    /// Scores forecasts; points of the curve hold those between consecutive `edges` (ascending, 0 and 1 left out).
    ///
    /// Sources: Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; Murphy (1973),
    /// doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; forecasts that differ within a point: Stephenson, Coelho and
    /// Jolliffe (2008), doi:10.1175/2007WAF2006116.1.
    pub fn new(forecasts: &[EventForecast], edges: &[f64]) -> Self {
        let n = forecasts.len() as f64;
        let mean = |terms: f64| if n > 0.0 { terms / n } else { 0.0 };
        let curve = curve(forecasts, edges);
        let base_rate = mean(forecasts.iter().map(EventForecast::outcome).sum());
        let over_points = |term: fn(&CalibrationPoint, f64) -> f64| {
            mean(curve.iter().map(|point| point.count as f64 * term(point, base_rate)).sum())
        };
        let score = mean(forecasts.iter().map(EventForecast::squared_error).sum());
        let reliability = over_points(|point, _| (point.mean_probability - point.frequency).powi(2));
        let resolution = over_points(|point, base_rate| (point.frequency - base_rate).powi(2));
        let uncertainty = base_rate * (1.0 - base_rate);
        let within = score - (reliability - resolution + uncertainty);
        Self { score, reliability, resolution, uncertainty, within, curve }
    }
}

fn curve(forecasts: &[EventForecast], edges: &[f64]) -> Vec<CalibrationPoint> {
    let point = |bin: usize| {
        let held = || {
            let in_bin = move |seen: &&EventForecast| edges.partition_point(|edge| *edge <= seen.probability) == bin;
            forecasts.iter().filter(in_bin)
        };
        let count = held().count();
        (count > 0).then(|| CalibrationPoint {
            count: count as u64,
            mean_probability: held().map(|seen| seen.probability).sum::<f64>() / count as f64,
            frequency: held().map(EventForecast::outcome).sum::<f64>() / count as f64,
        })
    };
    (0..=edges.len()).filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ensemble() -> Ensemble {
        Ensemble::new(vec![4.0, 1.0, 2.0, 2.0])
    }

    #[test]
    fn places_count_what_lies_below_and_share_ties() {
        let ensemble = ensemble();
        for (outcome, uniform, place) in [
            (0.0, 0.0, 0.0),
            (0.0, 1.0, 0.2),
            (2.0, 0.0, 0.2),
            (2.0, 1.0, 0.8),
            (3.0, 0.5, 0.7),
            (5.0, 0.0, 0.8),
            (5.0, 1.0, 1.0),
        ] {
            assert!((ensemble.pit(outcome, uniform) - place).abs() < 1e-15, "{outcome} {uniform}");
        }
    }

    /// An outcome that is any of n + 1 exchangeable values, ties or not, has places that fill (0, 1) evenly.
    #[test]
    fn places_of_exchangeable_values_are_uniform() {
        let all = [1.0, 2.0, 2.0, 2.0, 7.0];
        let mut below_third = 0.0;
        for left_out in 0..all.len() {
            let others = all.iter().enumerate().filter(|(index, _)| *index != left_out).map(|(_, value)| *value);
            let ensemble = Ensemble::new(others.collect());
            let grid = (0..3_000).map(|k| (f64::from(k) + 0.5) / 3_000.0);
            below_third += grid.filter(|u| ensemble.pit(all[left_out], *u) < 1.0 / 3.0).count() as f64 / 3_000.0;
        }
        assert!((below_third / all.len() as f64 - 1.0 / 3.0).abs() < 1e-3, "{below_third}");
    }

    #[test]
    fn quantiles_are_order_statistics() {
        let ensemble = Ensemble::new((1..=100).map(f64::from).collect());
        assert_eq!(
            [0.001, 0.01, 0.05, 0.5, 0.95, 1.0].map(|p| ensemble.quantile(p)),
            [1.0, 1.0, 5.0, 50.0, 95.0, 100.0]
        );
    }

    /// The two forms of Gneiting and Raftery: E|X - y| - E|X - X'| / 2, by hand over all pairs.
    #[test]
    fn crps_is_mean_distance_less_half_the_spread() {
        let ensemble = ensemble();
        let values = ensemble.values();
        let spread: f64 = values.iter().flat_map(|a| values.iter().map(move |b| (a - b).abs())).sum::<f64>() / 16.0;
        for outcome in [-1.0, 1.0, 2.0, 2.5, 4.0, 9.0] {
            let distance = values.iter().map(|value| (value - outcome).abs()).sum::<f64>() / 4.0;
            assert!((ensemble.crps(outcome) - (distance - 0.5 * spread)).abs() < 1e-14, "{outcome}");
        }
        assert_eq!(Ensemble::new(vec![3.0]).crps(5.0), 2.0);
    }

    #[test]
    fn crps_of_a_normal_law() {
        // At the mean of a standard normal: 2 / sqrt(2 pi) - 1 / sqrt(pi).
        assert!((crps_normal(0.0, 1.0, 0.0) - 0.233_694_977_254_915).abs() < 1e-12);
        assert!((crps_normal(1.0, 2.0, 1.0) - 2.0 * 0.233_694_977_254_915).abs() < 1e-12);
        assert_eq!(crps_normal(1.0, 0.0, 4.0), 3.0);
        // Midpoints of 20,000 equal parts of its probability stand for the law to 1e-4.
        let values = (0..20_000).map(|k| {
            let p = (f64::from(k) + 0.5) / 20_000.0;
            std::f64::consts::SQRT_2 * statrs::function::erf::erf_inv(2.0 * p - 1.0)
        });
        let ensemble = Ensemble::new(values.collect());
        for outcome in [-2.0, 0.3, 4.0] {
            assert!((ensemble.crps(outcome) - crps_normal(0.0, 1.0, outcome)).abs() < 1e-4, "{outcome}");
        }
    }

    #[test]
    fn intervals_are_central_and_histograms_whole() {
        assert!(is_covered(0.5, 0.0) && is_covered(0.03, 0.95) && !is_covered(0.02, 0.95) && !is_covered(0.98, 0.95));
        assert_eq!(pit_histogram([0.0, 0.1, 0.5, 0.99, 1.0].into_iter(), 2), [2, 3]);
    }

    /// Twelve days of rain at three forecasts: by hand.
    #[test]
    fn brier_score_and_its_parts() {
        let of = |probability: f64, came: usize, count: usize| {
            (0..count).map(move |k| EventForecast { probability, came: k < came })
        };
        let forecasts: Vec<EventForecast> = of(0.1, 0, 5).chain(of(0.4, 1, 4)).chain(of(0.9, 3, 3)).collect();
        let brier = Brier::new(&forecasts, &[0.25, 0.75]);
        // (5 x 0.01 + 3 x 0.16 + 0.36 + 3 x 0.01) / 12
        assert!((brier.score - 0.92 / 12.0).abs() < 1e-15);
        // (5 x 0.1^2 + 4 x 0.15^2 + 3 x 0.1^2) / 12
        assert!((brier.reliability - 0.17 / 12.0).abs() < 1e-15);
        // (5 / 9 + 4 / 144 + 3 x 4 / 9) / 12
        let resolution = (5.0 / 9.0 + 4.0 / 144.0 + 12.0 / 9.0) / 12.0;
        assert!((brier.resolution - resolution).abs() < 1e-15);
        assert!((brier.uncertainty - 2.0 / 9.0).abs() < 1e-15 && brier.within.abs() < 1e-15);
        assert_eq!(brier.curve.iter().map(|point| point.count).collect::<Vec<_>>(), [5, 4, 3]);
        assert_eq!(brier.curve[1].frequency, 0.25);
        let coarse = Brier::new(&forecasts, &[]);
        assert!((coarse.score - brier.score).abs() < 1e-15 && coarse.within.abs() > 0.1);
    }
}
