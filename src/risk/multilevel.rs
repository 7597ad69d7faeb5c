//! Multilevel Monte Carlo: how many paths each length of steps gets, and when the shortest is short enough.
//!
//! Level 0 has the longest steps; level l adds the mean of `Y_l`, fine less coarse on the same chance:
//!
//! ```text
//! E(P_L) = sum_l E(Y_l)
//! paths    N_l = eps_s^-2 sqrt(V_l / C_l) sum_k sqrt(V_k C_k)        least cost for a variance of eps_s^2
//! cost     eps_s^-2 (sum_k sqrt(V_k C_k))^2
//! bias     |E(P - P_L)| = |E(Y_l)| K_L / (K_(l-1) - K_l),   E(P - P_l) ~ K_l,   eps^2 = eps_s^2 + bias^2
//! ```
//!
//! `V_l`, `C_l`: variance of `Y_l` and cost of one of them; `K_l`: length of the steps, of which the bias is of the first order
//! ([`crate::engine::convergence`]). Levels pay where `V_l` falls faster than `C_l` grows: then the cost goes with `eps^-2`, as if
//! paths had no steps. What jumps with a path (a deregistration, an indicator) makes `V_l` fall at half the rate of what is smooth.
//!
//! [`estimate`] finds the paths as it goes: a pilot on each level, then what the variances so far ask for, until none asks for more; a
//! level more while the bias is too large. The pilot's paths count, and numbers of paths hang on the paths before them, so that the
//! estimate has a bias of the order of one path in all; errors are taken as if the numbers had been fixed.
//! Source: Giles (2008), doi:10.1287/opre.1070.0496, (12), theorem 3.1 and section 5.
//!
//! # Not modelled
//! - Quantiles: value at risk is the root of means of indicators, level by level; not here.

use std::ops::Range;

use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;

/// Most paths of a level: addresses of paths are parted among levels.
pub const PATHS_MAX: u64 = 1 << 28;
/// Levels that are there from the start: two differences, of which the bias is told.
const LEVELS_MIN: usize = 3;
/// By how much the paths of a level may grow before variances are looked at again.
const GROWTH_MAX: u64 = 8;
/// Part of a level's paths below which more are not worth a round.
const SLACK: f64 = 0.01;
/// Least variance of a level, over that which the level before foretells: a pilot that saw no difference is no proof.
const VARIANCE_KEPT: f64 = 0.5;

/// What a level is known by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Variance of a path's `Y_l`.
    pub variance: f64,
    /// Cost of a path of it.
    pub cost: f64,
}

/// Paths of each level, at least 2, that give the sum a standard error of `error > 0` at least cost.
pub fn allocate(levels: &[Level], error: f64) -> Vec<u64> {
    let total: f64 = levels.iter().map(|level| (level.variance * level.cost).sqrt()).sum();
    let paths = |level: &Level| ((level.variance / level.cost).sqrt() * total / (error * error)).ceil() as u64;
    levels.iter().map(|level| paths(level).max(2)).collect()
}

/// Cost of that allocation, before paths are rounded up.
pub fn cost(levels: &[Level], error: f64) -> f64 {
    let root: f64 = levels.iter().map(|level| (level.variance * level.cost).sqrt()).sum();
    (root / error) * (root / error)
}

/// Exponent with which values grow with the difference of two levels' steps: least squares of `ln |value|` on `ln (K_(l-1) - K_l)`.
///
/// `blocks`, `values`: by level; level 0 is left out. `None` from fewer than two others, or where a value is 0.
pub fn rate(blocks: &[f64], values: &[f64]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = differences(blocks).zip(&values[1..]).map(|(d, v)| (d.ln(), v.abs().ln())).collect();
    if logs.len() < 2 || !logs.iter().all(|(_, log)| log.is_finite()) {
        return None;
    }
    let n = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let spread: f64 = logs.iter().map(|log| (log.0 - x) * (log.0 - x)).sum();
    Some(logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum::<f64>() / spread)
}

/// Bias that is left at the finest level: the larger of what its mean and, one level back, the mean before it say.
///
/// Two levels are asked, as one mean may pass through 0; infinite where there is but one.
pub fn bias(blocks: &[f64], means: &[f64]) -> f64 {
    let finest = blocks.last().copied().unwrap_or(f64::INFINITY);
    let says = differences(blocks).zip(&means[1..]).map(|(difference, mean)| mean.abs() * finest / difference);
    let last: Vec<f64> = says.collect();
    last.iter().rev().take(2).copied().reduce(f64::max).unwrap_or(f64::INFINITY)
}

/// By how much the steps of each level but the first are shorter than those of the level before.
fn differences(blocks: &[f64]) -> impl Iterator<Item = f64> {
    blocks.windows(2).map(|pair| pair[0] - pair[1])
}

/// A level that may be simulated: the length of its steps and the cost of one of its paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// Blocks of a step; shorter from rung to rung.
    pub blocks: f64,
    /// Cost of a path, with that of the path of longer steps beside it.
    pub cost: f64,
    /// Cost of a path by itself.
    pub plain_cost: f64,
}

/// What the paths of a level say of one measure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LevelSums {
    /// Of fine less coarse; of the fine path itself at level 0.
    pub difference: Moments,
    /// 1 for a measure that counts: it differs by that on a path or not at all. 0 for others.
    pub unit: f64,
}

impl LevelSums {
    /// Variance of a difference; where all paths are alike, that of one path in all which differs by a unit.
    pub fn variance(&self) -> f64 {
        let variance = self.difference.standard_deviation().map_or(f64::INFINITY, |of| of.value * of.value);
        if variance > 0.0 { variance } else { self.unit * self.unit / self.difference.samples() as f64 }
    }

    /// Mean of the differences; `None` from fewer than two paths.
    pub fn mean(&self) -> Option<Estimate> {
        let samples = self.difference.samples();
        let mean = self.difference.mean().filter(|_| samples > 1)?;
        Some(Estimate::normal(mean.value, (self.variance() / samples as f64).sqrt(), samples))
    }
}

/// How small an error has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// In the unit of the measure.
    Absolute(f64),
    /// As a fraction of its value.
    Relative(f64),
}

impl Tolerance {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Absolute(error) => error,
            Self::Relative(part) => part * value.abs(),
        }
    }
}

/// What is asked of [`estimate`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Number of the measure that decides.
    pub measure: usize,
    /// Largest root mean square error of it: half of its square for the variance, half for the bias.
    pub error: Tolerance,
    /// Paths of each level to begin with, at least 2.
    pub pilot: u64,
}

/// Levels as far as they were needed, and what they brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Multilevel {
    /// From the longest steps.
    pub rungs: Vec<Rung>,
    /// By level, then measure.
    pub levels: Vec<Vec<LevelSums>>,
    /// Whether error and bias are as small as they were to be.
    pub is_met: bool,
}

impl Multilevel {
    /// The sum of the levels' means of a measure, with its standard error; `None` where a level has fewer than two paths.
    pub fn sum(&self, measure: usize) -> Option<Estimate> {
        let means = self.means(measure)?;
        let variance: f64 = means.iter().map(|mean| mean.standard_error * mean.standard_error).sum();
        let samples = means.iter().map(|mean| mean.samples).sum();
        Some(Estimate::normal(means.iter().map(|mean| mean.value).sum(), variance.sqrt(), samples))
    }

    fn means(&self, measure: usize) -> Option<Vec<Estimate>> {
        self.levels.iter().map(|level| level[measure].mean()).collect()
    }

    /// [`bias`] of a measure.
    pub fn bias(&self, measure: usize) -> f64 {
        let means: Option<Vec<f64>> = self.means(measure).map(|means| means.iter().map(|mean| mean.value).collect());
        means.map_or(f64::INFINITY, |means| bias(&self.blocks(), &means))
    }

    /// [`rate`] of a measure's variances.
    pub fn variance_rate(&self, measure: usize) -> Option<f64> {
        let variances: Vec<f64> = self.levels.iter().map(|level| level[measure].variance()).collect();
        rate(&self.blocks(), &variances)
    }

    fn blocks(&self) -> Vec<f64> {
        self.rungs.iter().map(|rung| rung.blocks).collect()
    }

    /// Paths of a level.
    pub fn paths(&self, level: usize) -> u64 {
        self.levels[level].first().map_or(0, |sums| sums.difference.samples())
    }

    /// Cost of all paths.
    pub fn spent(&self) -> f64 {
        (0..self.rungs.len()).map(|level| self.paths(level) as f64 * self.rungs[level].cost).sum()
    }

    /// Cost of plain paths of the shortest steps that give a measure the error that it has; its variance is that of level 0.
    pub fn plain_cost(&self, measure: usize) -> Option<f64> {
        let (variance, error) = (self.levels[0][measure].variance(), self.sum(measure)?.standard_error);
        Some(variance / (error * error) * self.rungs.last()?.plain_cost)
    }

    /// Variances and costs that paths are shared out by.
    fn known(&self, measure: usize) -> Vec<Level> {
        let mut known: Vec<Level> = Vec::with_capacity(self.levels.len());
        for (level, (rung, sums)) in self.rungs.iter().zip(&self.levels).enumerate() {
            let foretold = if level > 1 { self.foretold(level) * known[level - 1].variance } else { 0.0 };
            known.push(Level { variance: sums[measure].variance().max(VARIANCE_KEPT * foretold), cost: rung.cost });
        }
        known
    }

    /// Variance of a level over that of the level before, where it falls with the length of the steps.
    fn foretold(&self, level: usize) -> f64 {
        let shorter = |level: usize| self.rungs[level - 1].blocks - self.rungs[level].blocks;
        shorter(level) / shorter(level - 1)
    }
}

/// Simulates as many levels of `rungs` with as many paths as `goal` takes. `simulate` adds the paths with these numbers of a level to
/// its sums, `units` has the [`LevelSums::unit`] of each measure.
///
/// # Errors
/// What `simulate` says.
pub fn estimate<E>(
    rungs: &[Rung],
    units: &[f64],
    goal: Goal,
    mut simulate: impl FnMut(usize, Range<u64>, &mut [LevelSums]) -> Result<(), E>,
) -> Result<Multilevel, E> {
    let mut study = Multilevel { rungs: Vec::new(), levels: Vec::new(), is_met: false };
    loop {
        let level = study.rungs.len();
        study.rungs.push(rungs[level]);
        study.levels.push(units.iter().map(|&unit| LevelSums { unit, ..LevelSums::default() }).collect());
        simulate(level, 0..goal.pilot, &mut study.levels[level])?;
        if level + 1 < rungs.len().min(LEVELS_MIN) {
            continue;
        }
        let error = share_out(&mut study, goal, &mut simulate)?;
        let has_error = study.sum(goal.measure).is_some_and(|sum| sum.standard_error <= (1.0 + SLACK) * error);
        study.is_met = has_error && study.bias(goal.measure) <= error;
        if study.is_met || level + 1 == rungs.len() {
            return Ok(study);
        }
    }
}

/// Adds paths to the levels until the error is as small as it is to be; that, for the variance and for the bias each.
fn share_out<E>(
    study: &mut Multilevel,
    goal: Goal,
    simulate: &mut impl FnMut(usize, Range<u64>, &mut [LevelSums]) -> Result<(), E>,
) -> Result<f64, E> {
    loop {
        let value = study.sum(goal.measure).map_or(0.0, |sum| sum.value);
        let error = goal.error.of(value) * std::f64::consts::FRAC_1_SQRT_2;
        let mut is_enough = true;
        for (level, wanted) in allocate(&study.known(goal.measure), error).into_iter().enumerate() {
            let has = study.paths(level);
            let paths = wanted.min(GROWTH_MAX * has).min(PATHS_MAX);
            if paths as f64 > (1.0 + SLACK) * has as f64 {
                simulate(level, has..paths, &mut study.levels[level])?;
                is_enough = false;
            }
        }
        if is_enough {
            return Ok(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;
    use std::convert::Infallible;

    const DRIFT: f64 = 0.05;
    const VOLATILITY: f64 = 0.2;
    /// Steps of a path double from level to level, from 1.
    const LEVELS: usize = 6;

    /// Geometric Brownian motion over one year in `2^level` Euler steps, fine less coarse, of a payoff.
    fn difference(seed: u64, level: usize, path: u64, payoff: fn(f64) -> f64) -> f64 {
        let steps = 1 << level;
        let length = 1.0 / f64::from(steps);
        let (mut fine, mut coarse, mut pair) = (1.0, 1.0, 0.0);
        for step in 0..steps {
            let slot = level as u32;
            let address = Address { path: path as u32, step, slot, purpose: Purpose::Design, index: 0 };
            let shock = length.sqrt() * rng::normals4(rng::words(seed, address))[0];
            fine *= 1.0 + DRIFT * length + VOLATILITY * shock;
            pair += shock;
            if step % 2 == 1 {
                coarse *= 1.0 + DRIFT * 2.0 * length + VOLATILITY * pair;
                pair = 0.0;
            }
        }
        if level == 0 { payoff(fine) } else { payoff(fine) - payoff(coarse) }
    }

    fn brownian_motion(seed: u64, goal: Goal, levels: usize, payoff: fn(f64) -> f64) -> Multilevel {
        let rung = |level: usize| {
            let plain_cost = f64::from(1 << level);
            let cost = if level == 0 { 1.0 } else { 1.5 * plain_cost };
            Rung { blocks: 32.0 / plain_cost, cost, plain_cost }
        };
        let rungs: Vec<Rung> = (0..levels).map(rung).collect();
        let found: Result<Multilevel, Infallible> = estimate(&rungs, &[0.0], goal, |level, paths, sums| {
            paths.for_each(|path| sums[0].difference.push(difference(seed, level, path, payoff)));
            Ok(())
        });
        found.unwrap_or_else(|never| match never {})
    }

    #[test]
    fn geometric_brownian_motion_at_least_cost() {
        let goal = Goal { measure: 0, error: Tolerance::Absolute(3e-4), pilot: 1_000 };
        let study = brownian_motion(14, goal, LEVELS, |price| (price - 1.0).max(0.0));
        let estimate = study.sum(0).unwrap();
        assert!(study.is_met && estimate.standard_error < 1.01 * 3e-4 / 2.0_f64.sqrt(), "{estimate:?}");
        // Euler: weak order 1, and variance of order 1 for a payoff without jumps.
        assert!((study.variance_rate(0).unwrap() - 1.0).abs() < 0.2, "{:?}", study.variance_rate(0));
        // Black, Scholes (1973), undiscounted, r = 0.05, 0.2, one year, at the money: 0.104506 e^0.05.
        let truth = 0.104_505_835_721_856_3 * 0.05_f64.exp();
        let (value, left) = (estimate.value, study.bias(0));
        assert!(
            (value - truth).abs() < 3.0 * estimate.standard_error + left && left < 3e-4 / 2.0_f64.sqrt(),
            "{estimate:?} {left}"
        );
        let plain = study.plain_cost(0).unwrap();
        assert!(study.spent() < 0.3 * plain, "{} {plain}", study.spent());
        let paths: Vec<u64> = (0..study.levels.len()).map(|level| study.paths(level)).collect();
        assert!(paths.windows(2).all(|pair| pair[0] >= pair[1]) && paths[0] > 100_000, "{paths:?}");
    }

    /// 500 intervals of 95 %: at a true coverage of 95 %, 460 to 489 are the range of 3 standard deviations; 465 to 485 are 93 to 97 %.
    #[test]
    fn intervals_cover_the_mean_at_the_shortest_steps() {
        let goal = Goal { measure: 0, error: Tolerance::Relative(0.02), pilot: 100 };
        // The second moment of an Euler path in n steps is ((1 + mu/n)^2 + sigma^2/n)^n.
        let moment = |steps: f64| {
            let growth = 1.0 + DRIFT / steps;
            (growth * growth + VOLATILITY * VOLATILITY / steps).powf(steps)
        };
        let (mut covered, mut misses) = (0, 0.0);
        for seed in 0..500 {
            let study = brownian_motion(seed, goal, 3, |price| price * price);
            let sum = study.sum(0).unwrap();
            covered += u32::from(sum.ci_low <= moment(4.0) && moment(4.0) <= sum.ci_high);
            misses += (sum.value - moment(4.0)) / sum.standard_error;
        }
        assert!((465..=485).contains(&covered), "{covered} of 500");
        assert!(misses.abs() < 3.0 * 500.0_f64.sqrt(), "a bias of {} errors", misses / 500.0);
        let truth = (2.0 * DRIFT + VOLATILITY * VOLATILITY).exp();
        let study = brownian_motion(0, Goal { error: Tolerance::Absolute(1e-3), ..goal }, 3, |price| price * price);
        let (bias, found) = (truth - moment(4.0), study.bias(0));
        assert!((found / bias - 1.0).abs() < 0.5, "{found}, not {bias}");
    }

    #[test]
    fn the_allocation_is_the_optimum() {
        let levels = [(4.0, 1.0), (1.0, 4.0), (0.25, 16.0)].map(|(variance, cost)| Level { variance, cost });
        // sqrt(V C) = 2 each: sum 6, N = 6 sqrt(V / C) / eps^2.
        assert_eq!(allocate(&levels, 0.1), [1200, 300, 75]);
        assert!((cost(&levels, 0.1) - 3600.0).abs() < 1e-9);
        let spent = |paths: &[f64]| levels.iter().zip(paths).map(|(level, n)| level.cost * n).sum::<f64>();
        let variance = |paths: &[f64]| levels.iter().zip(paths).map(|(level, n)| level.variance / n).sum::<f64>();
        let best = [1200.0, 300.0, 75.0];
        assert!((variance(&best) - 0.01).abs() < 1e-15 && (spent(&best) - 3600.0).abs() < 1e-9);
        // Any other with that cost has a larger variance.
        for other in [[1240.0, 290.0, 75.0], [1200.0, 280.0, 80.0], [1160.0, 310.0, 75.0]] {
            assert!(spent(&other) == 3600.0 && variance(&other) > 0.01, "{other:?}");
        }
        assert_eq!(allocate(&[Level { variance: 0.0, cost: 1.0 }], 0.1), [2]);
    }

    #[test]
    fn rates_and_the_bias_they_leave() {
        let blocks = [800.0, 400.0, 200.0, 100.0];
        assert!((rate(&blocks, &[7.0, 0.4, 0.1, 0.025]).unwrap() - 2.0).abs() < 1e-12);
        // First order: what is left at 100 is as much as came from 200 to 100.
        assert!((bias(&blocks, &[7.0, 0.4, 0.2, 0.1]) - 0.1).abs() < 1e-15);
        assert!((bias(&blocks, &[7.0, 0.4, 0.2, 0.0]) - 0.1).abs() < 1e-15, "a mean of 0 is no proof");
        // From 500 to 100 in one step: a quarter of that is left.
        assert!((bias(&[500.0, 100.0], &[7.0, -0.4]) - 0.1).abs() < 1e-15);
        assert_eq!(bias(&[500.0], &[7.0]), f64::INFINITY);
        assert_eq!((rate(&[2.0, 1.0], &[1.0, 0.5]), rate(&[4.0, 2.0, 1.0], &[1.0, 0.5, 0.0])), (None, None));
    }

    #[test]
    fn few_paths_have_no_false_certainty() {
        let mut sums = LevelSums { unit: 1.0, ..LevelSums::default() };
        sums.difference.push(0.0);
        assert_eq!(sums.mean(), None, "one path has no error");
        (0..9).for_each(|_| sums.difference.push(0.0));
        assert!((sums.variance() - 0.1).abs() < 1e-15 && (sums.mean().unwrap().standard_error - 0.1).abs() < 1e-15);
        sums.difference.push(1.0);
        assert!((sums.variance() - 1.0 / 11.0).abs() < 1e-15);
        // Level 2 has seen nothing: half of what level 1 foretells, not nothing, decides its paths.
        let level = |variance: f64| {
            let mut sums = LevelSums::default();
            let spread = (0.5 * variance).sqrt();
            [spread, -spread].into_iter().for_each(|value| sums.difference.push(value));
            vec![sums]
        };
        let rungs = [4.0, 2.0, 1.0].map(|blocks| Rung { blocks, cost: 1.0, plain_cost: 1.0 }).to_vec();
        let study = Multilevel { rungs, levels: vec![level(9.0), level(4.0), level(0.0)], is_met: false };
        let variances: Vec<f64> = study.known(0).iter().map(|level| level.variance).collect();
        assert!(variances.iter().zip([9.0, 4.0, 1.0]).all(|(found, expected)| (found - expected).abs() < 1e-12));
    }
}
