//! What part each of several drivers has in a risk measure, from the losses of all their coalitions on the same paths.
//!
//! The parts are Shapley's: the mean, over all orders in which the drivers can be switched on, of what a driver changes when its
//! turn comes. They add up to the measure; no order is preferred.
//!
//! ```text
//! part(d) = sum over S without d of s! (n - 1 - s)! / n! (v(S + d) - v(S)),   s drivers in S, n in all
//! ```
//!
//! Source: Shapley (1953), A value for n-person games, doi:10.1515/9781400881970-018; Shorrocks (2013),
//! doi:10.1007/s10888-011-9214-z, for parts of a statistic.
//!
//! # Errors
//! A part is a sum of measures on the same paths, each of which is to first order a mean of influences of its paths; so is the
//! part, of the same sum of influences path by path, and its error is that of their mean. What coalitions share cancels.
//!
//! # Not modelled
//! - The error of the density at a value at risk, which the influences take for known. Half as many spacings give it as losses lie
//!   beyond: with ten of these it is known to 45 %, with a hundred to 14 %.
//! - Paths that share parameters drawn for them.

use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;
use crate::risk::paired::Tail;

/// A measure of losses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossMeasure {
    /// Mean loss.
    Mean,
    /// Standard deviation.
    StandardDeviation,
    /// Loss exceeded with probability 1 - level.
    ValueAtRisk(f64),
    /// Mean of the worst 1 - level share.
    ExpectedShortfall(f64),
}

impl LossMeasure {
    /// All measures, the tail's at these levels.
    pub fn all(levels: &[f64]) -> Vec<Self> {
        let tails = levels.iter().flat_map(|&level| [Self::ValueAtRisk(level), Self::ExpectedShortfall(level)]);
        [Self::Mean, Self::StandardDeviation].into_iter().chain(tails).collect()
    }

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean_loss",
            Self::StandardDeviation => "sd_pnl",
            Self::ValueAtRisk(_) => "value_at_risk",
            Self::ExpectedShortfall(_) => "expected_shortfall",
        }
    }

    /// Confidence level; `None` for measures without one.
    pub fn level(self) -> Option<f64> {
        match self {
            Self::ValueAtRisk(level) | Self::ExpectedShortfall(level) => Some(level),
            Self::Mean | Self::StandardDeviation => None,
        }
    }

    /// The measure of losses, as [`crate::risk::book`] publishes it, and the influence of each path on it, of mean 0.
    fn influence(self, losses: &[f64]) -> Influenced {
        match self {
            Self::Mean => centred(mean(losses), losses.iter().copied()),
            Self::StandardDeviation => {
                let (mean, spread) = (mean(losses), spread(losses));
                let per_square = if spread > 0.0 { 0.5 / spread } else { 0.0 };
                centred(spread, losses.iter().map(|loss| per_square * (loss - mean) * (loss - mean)))
            }
            Self::ValueAtRisk(level) => {
                let tail = Tail::new(losses, level);
                // Losses that do not differ around the value at risk are an atom there, which chance does not move.
                let inverse = if tail.inverse_density.is_finite() { tail.inverse_density } else { 0.0 };
                centred(tail.value_at_risk, losses.iter().map(|&loss| inverse * f64::from(tail.exceeds(loss))))
            }
            Self::ExpectedShortfall(level) => {
                let tail = Tail::new(losses, level);
                centred(tail.expected_shortfall, losses.iter().map(|&loss| tail.excess(loss)))
            }
        }
    }
}

/// A measure, and what each path adds to it: exactly 0 where all paths are alike.
struct Influenced {
    value: f64,
    paths: Vec<f64>,
}

fn centred(value: f64, influences: impl Iterator<Item = f64>) -> Influenced {
    let mut paths: Vec<f64> = influences.collect();
    let is_constant = paths.iter().all(|influence| *influence == paths[0]);
    let mean = if is_constant { paths[0] } else { paths.iter().sum::<f64>() / paths.len() as f64 };
    paths.iter_mut().for_each(|influence| *influence -= mean);
    Influenced { value, paths }
}

fn moments(losses: &[f64]) -> Moments {
    let mut moments = Moments::default();
    losses.iter().for_each(|&loss| moments.push(loss));
    moments
}

fn mean(losses: &[f64]) -> f64 {
    moments(losses).mean().expect("at least one path").value
}

fn spread(losses: &[f64]) -> f64 {
    moments(losses).standard_deviation().expect("at least two paths").value
}

/// What a driver does to a measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Its part in Shapley order.
    pub shapley: Estimate,
    /// What it does where no other acts.
    pub alone: Estimate,
    /// What it does where all others act already.
    pub last: Estimate,
}

/// A measure and its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// What is measured.
    pub measure: LossMeasure,
    /// Where all drivers act.
    pub total: Estimate,
    /// Where none does.
    pub none: Estimate,
    /// Of each driver; with `none` they add up to the total.
    pub parts: Vec<Part>,
}

/// Losses of all coalitions of `n` drivers on the same paths: `losses[s]` where the drivers of the bit mask `s` act, driver `i` being
/// bit `i`. Memory: `2^n` losses of 8 bytes a path, and as much as `3 n + 2` coalitions have for the errors.
#[derive(Clone, Debug)]
pub struct Coalitions {
    drivers: usize,
    losses: Vec<Vec<f64>>,
}

impl Coalitions {
    /// Those with these losses.
    ///
    /// # Panics
    /// If there are not `2^drivers` of them, not all of the same paths, or fewer than two paths.
    pub fn new(drivers: usize, losses: Vec<Vec<f64>>) -> Self {
        assert_eq!(losses.len(), 1 << drivers, "coalitions of {drivers} drivers");
        assert!(losses[0].len() > 1 && losses.iter().all(|paths| paths.len() == losses[0].len()), "the same paths");
        Self { drivers, losses }
    }

    /// The parts of the drivers in a measure.
    pub fn attribute(&self, measure: LossMeasure) -> Attribution {
        let (everyone, paths) = (self.losses.len() - 1, self.losses[0].len());
        let mut total = Sum::new(paths);
        let mut none = Sum::new(paths);
        let mut parts: Vec<[Sum; 3]> = (0..self.drivers).map(|_| [(); 3].map(|()| Sum::new(paths))).collect();
        for (coalition, losses) in self.losses.iter().enumerate() {
            let found = measure.influence(losses);
            if coalition == everyone {
                total.add(1.0, &found);
            }
            if coalition == 0 {
                none.add(1.0, &found);
            }
            for (driver, [shapley, alone, last]) in parts.iter_mut().enumerate() {
                let bit = 1 << driver;
                shapley.add(self.weight(coalition, bit), &found);
                alone.add(sign(coalition, bit, 0), &found);
                last.add(sign(coalition, bit, everyone & !bit), &found);
            }
        }
        let part = |[shapley, alone, last]: [Sum; 3]| Part {
            shapley: shapley.estimate(),
            alone: alone.estimate(),
            last: last.estimate(),
        };
        Attribution {
            measure,
            total: total.estimate(),
            none: none.estimate(),
            parts: parts.into_iter().map(part).collect(),
        }
    }

    /// Weight of a coalition in the part of the driver `bit`: `s! (n - 1 - s)! / n!`, `s` the others in it; negative without the driver.
    fn weight(&self, coalition: usize, bit: usize) -> f64 {
        let others = (coalition & !bit).count_ones() as usize;
        // One over n times the number of coalitions of so many others.
        let choices = (0..others).fold(1.0, |choices, k| choices * (self.drivers - 1 - k) as f64 / (k + 1) as f64);
        let weight = 1.0 / (self.drivers as f64 * choices);
        if coalition & bit == 0 { -weight } else { weight }
    }
}

/// Weight of a coalition in what the driver `bit` does where `others` act.
fn sign(coalition: usize, bit: usize, others: usize) -> f64 {
    match coalition {
        with if with == others | bit => 1.0,
        without if without == others => -1.0,
        _ => 0.0,
    }
}

/// A weighted sum of measures and of their influences.
struct Sum {
    value: f64,
    paths: Vec<f64>,
}

impl Sum {
    fn new(paths: usize) -> Self {
        Self { value: 0.0, paths: vec![0.0; paths] }
    }

    fn add(&mut self, weight: f64, found: &Influenced) {
        if weight != 0.0 {
            self.value += weight * found.value;
            self.paths.iter_mut().zip(&found.paths).for_each(|(sum, influence)| *sum += weight * influence);
        }
    }

    /// Influences have mean 0 but for rounding.
    fn estimate(&self) -> Estimate {
        let paths = self.paths.len() as f64;
        let squares: f64 = self.paths.iter().map(|influence| influence * influence).sum();
        Estimate::normal(self.value, (squares / (paths * (paths - 1.0))).sqrt(), self.paths.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses in -1 to 1 without pattern.
    fn noise(paths: u64, seed: u64) -> Vec<f64> {
        let mixed =
            |path: u64| (path + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
        (0..paths).map(|path| (mixed(path) >> 11) as f64 / (1u64 << 52) as f64 - 1.0).collect()
    }

    fn game(drivers: usize, loss: impl Fn(usize, usize) -> f64, paths: usize) -> Coalitions {
        let losses = (0..1 << drivers).map(|coalition| (0..paths).map(|path| loss(coalition, path)).collect());
        Coalitions::new(drivers, losses.collect())
    }

    #[test]
    fn two_drivers_share_their_interaction() {
        // v: none 0, the first 1, the second 2, both 7, whatever the path.
        let game = game(2, |coalition, _| [0.0, 1.0, 2.0, 7.0][coalition], 3);
        for measure in [LossMeasure::Mean, LossMeasure::ValueAtRisk(0.5), LossMeasure::ExpectedShortfall(0.5)] {
            let found = game.attribute(measure);
            let values = found.parts.iter().map(|part| [part.shapley, part.alone, part.last].map(|e| e.value));
            assert_eq!(values.collect::<Vec<_>>(), [[3.0, 1.0, 5.0], [4.0, 2.0, 6.0]], "{measure:?}");
            assert_eq!((found.total.value, found.none.value), (7.0, 0.0));
            assert!(found.parts.iter().all(|part| part.shapley.standard_error == 0.0), "no chance, no error");
        }
    }

    #[test]
    fn parts_add_up_and_do_not_depend_on_the_order_of_drivers() {
        let sources: Vec<Vec<f64>> = (0..5).map(|driver| noise(400, 3 + driver)).collect();
        let loss = |coalition: usize, path: usize| {
            let acts = |driver: usize| if coalition >> driver & 1 == 1 { sources[driver][path] } else { 0.0 };
            acts(0) + 2.0 * acts(1) + acts(2) * acts(3) + acts(1) * (1.0 + acts(4)).powi(3)
        };
        let order = [3, 0, 4, 1, 2];
        let moved = |coalition: usize| (0..5).fold(0, |sum, place| sum | (coalition >> place & 1) << order[place]);
        let (plain, permuted) = (game(5, loss, 400), game(5, |coalition, path| loss(moved(coalition), path), 400));
        for measure in LossMeasure::all(&[0.9]) {
            let (found, other) = (plain.attribute(measure), permuted.attribute(measure));
            let sum: f64 = found.parts.iter().map(|part| part.shapley.value).sum();
            assert!((sum + found.none.value - found.total.value).abs() < 1e-12, "{measure:?}: {sum}");
            for (place, part) in other.parts.iter().enumerate() {
                let same = &found.parts[order[place]];
                assert!((part.shapley.value - same.shapley.value).abs() < 1e-12, "{measure:?}");
                assert!((part.shapley.standard_error - same.shapley.standard_error).abs() < 1e-12, "{measure:?}");
                assert_eq!((part.alone, part.last), (same.alone, same.last), "{measure:?}");
            }
        }
    }

    #[test]
    fn a_driver_that_does_nothing_has_no_part_and_no_error() {
        let source = noise(300, 8);
        let game = game(3, |coalition, path| if coalition & 2 > 0 { source[path] } else { 0.0 }, 300);
        for measure in LossMeasure::all(&[0.8]) {
            let found = game.attribute(measure);
            for idle in [0, 2] {
                let part = found.parts[idle];
                assert!(part.shapley.value.abs() < 1e-16 && part.shapley.standard_error < 1e-17, "{part:?}");
                assert_eq!((part.alone.value, part.last.standard_error), (0.0, 0.0));
            }
            assert!((found.parts[1].shapley.value - found.total.value).abs() < 1e-15);
            assert!((found.parts[1].shapley.standard_error - found.total.standard_error).abs() < 1e-15);
        }
    }

    /// The errors are those of the measures themselves where one driver does everything.
    #[test]
    fn errors_of_one_driver_are_those_of_the_measure() {
        let source = noise(2_000, 21);
        let losses = vec![vec![0.0; 2_000], source.clone()];
        let game = Coalitions::new(1, losses);
        let moments = moments(&source);
        let error = |measure| game.attribute(measure).parts[0].shapley.standard_error;
        let (mean, sd) = (moments.mean().unwrap(), moments.standard_deviation().unwrap());
        assert!((error(LossMeasure::Mean) / mean.standard_error - 1.0).abs() < 1e-9);
        assert!((error(LossMeasure::StandardDeviation) / sd.standard_error - 1.0).abs() < 1e-3);
        // Uniform on -1 to 1: the density is 1/2 everywhere.
        let quantile = 2.0 * (0.9_f64 * 0.1 / 2_000.0).sqrt();
        assert!((error(LossMeasure::ValueAtRisk(0.9)) / quantile - 1.0).abs() < 0.2);
    }
}
