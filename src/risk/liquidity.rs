//! What leaving costs: against size and days, where the book has lost most, and how large a book may be to leave cheaply.
//!
//! ```text
//! cost = (value at spot when the exit begins - what it brings) / value at spot        a ratio of means over paths
//! ```
//!
//! The price moves while an exit takes days; on average over paths that is the drift of what is not sold yet, and it is in
//! the cost, as in the implementation shortfall of Perold (1988, doi:10.3905/jpm.1988.409150). *Crowding* is what the cost grows by on
//! the paths where the same book, held, has lost most by then: there others have left the same pools before.
//! *Capacity* is the largest multiple of the book that leaves at a cost below a limit: where the line between the two sizes around
//! it, in the logarithm of size, meets the limit. Its error is that of the cost there over the line's slope.

use crate::risk::estimate::Estimate;
use crate::risk::estimate::Z95;
use crate::risk::estimate::quantile_rank;

/// One book that begins to leave on one path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leaving {
    /// Its value (TAO) at spot then.
    pub mark_tao: f64,
    /// What leaving brings (TAO).
    pub proceeds_tao: f64,
}

/// Cost of leaving (fraction of the value at spot) of one size over so many days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExitCost {
    /// Over all paths.
    pub mean: Estimate,
    /// Over the paths of the largest losses.
    pub in_tail: Estimate,
    /// The second less the first: crowding.
    pub crowding: Estimate,
    /// Mean value (TAO) at spot of what is sold.
    pub sold_tao: f64,
}

impl ExitCost {
    /// Costs on all paths, of which `is_tail` marks those of the largest losses. `None` without any in either.
    ///
    /// Errors take the border of the tail as given.
    pub fn new(paths: &[Leaving], is_tail: &[bool]) -> Option<Self> {
        debug_assert_eq!(paths.len(), is_tail.len());
        let tail: Vec<Leaving> =
            paths.iter().zip(is_tail).filter(|(_, is_tail)| **is_tail).map(|(path, _)| *path).collect();
        let (mean, in_tail) = (Ratio::new(paths)?, Ratio::new(&tail)?);
        // Path by path: what it adds to the cost in the tail, less what it adds to that of all.
        let share = paths.len() as f64 / tail.len() as f64;
        let influences = paths.iter().zip(is_tail).map(|(path, is_tail)| {
            let in_tail = if *is_tail { share * in_tail.influence(path) } else { 0.0 };
            in_tail - mean.influence(path)
        });
        let difference = in_tail.value - mean.value;
        Some(Self {
            sold_tao: mean.mark_tao,
            mean: mean.estimate(paths),
            in_tail: in_tail.estimate(&tail),
            crowding: Estimate::normal(difference, error_of(influences, paths.len()), paths.len() as u64),
        })
    }
}

/// A ratio of means: one less proceeds over value.
struct Ratio {
    value: f64,
    mark_tao: f64,
}

impl Ratio {
    fn new(paths: &[Leaving]) -> Option<Self> {
        let mark_tao = paths.iter().map(|path| path.mark_tao).sum::<f64>() / paths.len() as f64;
        let proceeds_tao = paths.iter().map(|path| path.proceeds_tao).sum::<f64>() / paths.len() as f64;
        (mark_tao > 0.0).then(|| Self { value: 1.0 - proceeds_tao / mark_tao, mark_tao })
    }

    /// What one path's outcome moves the ratio by, times the number of paths.
    fn influence(&self, path: &Leaving) -> f64 {
        (path.mark_tao - path.proceeds_tao - self.value * path.mark_tao) / self.mark_tao
    }

    fn estimate(&self, paths: &[Leaving]) -> Estimate {
        let error = error_of(paths.iter().map(|path| self.influence(path)), paths.len());
        Estimate::normal(self.value, error, paths.len() as u64)
    }
}

/// Standard error of a mean of terms whose mean is 0; infinite of fewer than two.
fn error_of(terms: impl Iterator<Item = f64>, count: usize) -> f64 {
    if count < 2 {
        return f64::INFINITY;
    }
    let n = count as f64;
    (terms.map(|term| term * term).sum::<f64>() / (n * (n - 1.0))).sqrt()
}

/// Marks the paths of the largest `1 - level` share of `losses`; ties at the border are in.
pub fn largest_losses(losses: &[f64], level: f64) -> Vec<bool> {
    let mut sorted = losses.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let border = sorted.get(quantile_rank(losses.len() as u64, level) as usize - 1).copied().unwrap_or(f64::INFINITY);
    losses.iter().map(|loss| *loss >= border).collect()
}

/// The largest multiple of a book that leaves at a cost of at most `limit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Capacity {
    /// That multiple.
    Multiple(Estimate),
    /// Even the smallest size that was tried costs more.
    BelowSmallest,
    /// Even the largest size that was tried costs less.
    AboveLargest,
}

impl Capacity {
    /// Of the mean costs of sizes, ascending by size.
    pub fn new(sizes: &[f64], costs: &[Estimate], limit: f64) -> Self {
        debug_assert_eq!(sizes.len(), costs.len());
        let Some(above) = costs.iter().position(|cost| cost.value > limit) else { return Self::AboveLargest };
        let Some(below) = above.checked_sub(1) else { return Self::BelowSmallest };
        let slope = (costs[above].value - costs[below].value) / (sizes[above] / sizes[below]).ln();
        let part = (limit - costs[below].value) / (costs[above].value - costs[below].value);
        let error = (1.0 - part) * costs[below].standard_error + part * costs[above].standard_error;
        let log_size = sizes[below].ln() + (limit - costs[below].value) / slope;
        let half_width = Z95 * error / slope;
        let at = |log: f64| log.exp();
        let (low, high) = (at(log_size - half_width), at(log_size + half_width));
        Self::Multiple(Estimate::between(at(log_size), low, high, costs[below].samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaving(mark_tao: f64, cost: f64) -> Leaving {
        Leaving { mark_tao, proceeds_tao: mark_tao * (1.0 - cost) }
    }

    #[test]
    fn costs_are_weighed_by_value() {
        let paths = [leaving(100.0, 0.1), leaving(300.0, 0.2), leaving(50.0, 0.4), leaving(50.0, 0.5)];
        let cost = ExitCost::new(&paths, &[false, false, true, true]).unwrap();
        assert!((cost.mean.value - (10.0 + 60.0 + 20.0 + 25.0) / 500.0).abs() < 1e-15);
        assert!((cost.in_tail.value - 0.45).abs() < 1e-15);
        assert!((cost.crowding.value - 0.22).abs() < 1e-15);
        // Two equal values: the error of a mean of 0.4 and 0.5.
        assert!((cost.in_tail.standard_error - 0.05).abs() < 1e-15, "{cost:?}");
    }

    #[test]
    fn intervals_cover_the_truth() {
        // Values exponential around 1 and costs around 0.1 + 0.1 in the tail of the first fifth, by a plain generator.
        let mut state = 1_u64;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let (mut held, replications) = ([0; 3], 400);
        for _ in 0..replications {
            let is_tail: Vec<bool> = (0..1_000).map(|path| path < 200).collect();
            let paths: Vec<Leaving> = is_tail
                .iter()
                .map(|tail| leaving(-uniform().ln(), 0.2 * uniform() + if *tail { 0.1 } else { 0.0 }))
                .collect();
            let cost = ExitCost::new(&paths, &is_tail).unwrap();
            for (held, (estimate, truth)) in
                held.iter_mut().zip([(cost.mean, 0.12), (cost.in_tail, 0.2), (cost.crowding, 0.08)])
            {
                *held += i32::from(estimate.ci_low <= truth && truth <= estimate.ci_high);
            }
        }
        let covered = held.map(|held| f64::from(held) / f64::from(replications));
        assert!(covered.iter().all(|covered| (0.925..0.985).contains(covered)), "{covered:?}");
    }

    #[test]
    fn the_tail_has_its_share() {
        let losses: Vec<f64> = (0..1_000).map(|i| f64::from(i * 7 % 1_000)).collect();
        let is_tail = largest_losses(&losses, 0.95);
        assert_eq!(is_tail.iter().filter(|tail| **tail).count(), 51);
        assert!(losses.iter().zip(is_tail).all(|(loss, tail)| tail == (*loss >= 949.0)));
    }

    #[test]
    fn capacity_lies_where_the_cost_meets_the_limit() {
        let costs = [0.01, 0.03, 0.05].map(|cost| Estimate::normal(cost, 0.001, 100));
        let sizes = [1.0, 10.0, 100.0];
        let Capacity::Multiple(size) = Capacity::new(&sizes, &costs, 0.04) else { panic!() };
        assert!((size.value - 10_f64.powf(1.5)).abs() < 1e-9, "{size:?}");
        // The cost is known to 0.001, which is a twentieth of a decade.
        assert!((size.ci_high / size.value - 10_f64.powf(0.05 * Z95)).abs() < 1e-9, "{size:?}");
        assert_eq!(Capacity::new(&sizes, &costs, 0.06), Capacity::AboveLargest);
        assert_eq!(Capacity::new(&sizes, &costs, 0.005), Capacity::BelowSmallest);
    }
}
