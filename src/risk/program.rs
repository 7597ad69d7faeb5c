//! Weights of least expected shortfall, or of largest mean, on simulated paths: a convex program and its solution.
//!
//! ```text
//! minimise over w, z     z + E(-r w - z)+ / (1 - c) + sum_i k_i w_i^2
//! subject to             sum_i w_i = 1,   0 <= w_i <= cap,   sums of groups <= their caps,   E r w - sum_i k_i w_i^2 >= m
//! ```
//!
//! `r`: returns by path and asset; `c`: confidence; `k_i w_i^2`: cost of leaving a position of weight `w_i`. The first two terms
//! are the expected shortfall at the best `z`, a value at risk (Rockafellar, Uryasev 2000, doi:10.21314/JOR.2000.038,
//! theorem 1); the expectation is over the paths, so the program is linear but for the costs, which make one second-order cone.
//! The other way round it is the largest mean at a shortfall of at most so much.
//!
//! Only paths in the tail of the solution bind. The program is solved with the worst paths of some weights and again with
//! those of each solution added, until its shortfall is that over all paths: each time a relaxation, so that the last one is optimal. It is
//! solved by an interior point method on one thread; the same input gives the same weights.

use clarabel::algebra::CscMatrix;
use clarabel::solver::DefaultSettingsBuilder;
use clarabel::solver::DefaultSolver;
use clarabel::solver::IPSolver;
use clarabel::solver::SolverStatus;
use clarabel::solver::SupportedConeT;
use thiserror::Error;

use crate::risk::estimate::Estimate;
use crate::risk::tail::WorstTail;

/// Paths of the first program, in multiples of those beyond the value at risk.
const START_TAILS: f64 = 2.0;
/// Paths that a solution adds, in the same unit.
const ADDED_TAILS: f64 = 1.2;
/// How far a shortfall over all paths may be above the program's (fraction of the book).
const SHORTFALL_TOLERANCE: f64 = 1e-7;
/// What the limits may leave out of a book by rounding.
pub const ROOM_TOLERANCE: f64 = 1e-9;
/// Weights below are the solver's rounding.
const WEIGHT_MIN: f64 = 1e-5;

/// Why there are no weights.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ProgramError {
    /// The caps sum to less than the book.
    #[error("the limits leave room for {room:.4} of the book, less than all of it")]
    NoRoom {
        /// Largest sum of weights that they allow.
        room: f64,
    },
    /// No weights within the limits have what is demanded.
    #[error("no weights within the limits have the mean or the shortfall that is demanded")]
    Infeasible,
    /// The solver gave up.
    #[error("the solver found no solution: {0}")]
    Unsolved(String),
}

/// Returns of assets on paths.
#[derive(Clone, Debug, PartialEq)]
pub struct Returns {
    assets: usize,
    /// By path, then asset.
    values: Vec<f64>,
    means: Vec<f64>,
}

impl Returns {
    /// Of `assets` assets, by path, then asset. Panics where paths are incomplete, or none.
    pub fn new(assets: usize, values: Vec<f64>) -> Self {
        assert!(assets > 0 && !values.is_empty() && values.len().is_multiple_of(assets), "returns of whole paths");
        let paths = (values.len() / assets) as f64;
        let mut means = vec![0.0; assets];
        for path in values.chunks_exact(assets) {
            means.iter_mut().zip(path).for_each(|(mean, value)| *mean += value / paths);
        }
        Self { assets, values, means }
    }

    /// Number of assets.
    pub fn assets(&self) -> usize {
        self.assets
    }

    /// Number of paths.
    pub fn paths(&self) -> usize {
        self.values.len() / self.assets
    }

    /// Return of the weights on each path.
    pub fn of<'a>(&'a self, weights: &'a [f64]) -> impl ExactSizeIterator<Item = f64> + 'a {
        self.values.chunks_exact(self.assets).map(|path| dot(path, weights))
    }

    /// Mean return of the weights.
    pub fn mean(&self, weights: &[f64]) -> f64 {
        dot(&self.means, weights)
    }

    /// Expected shortfall of the weights over all paths.
    pub fn shortfall(&self, weights: &[f64], confidence: f64) -> Estimate {
        let mut tail = WorstTail::new(self.paths() as u64, confidence);
        self.of(weights).for_each(|value| tail.push(-value));
        tail.into_sorted().expected_shortfall(confidence).expect("at least one path")
    }

    fn path(&self, path: usize) -> &[f64] {
        &self.values[path * self.assets..(path + 1) * self.assets]
    }

    /// The `count` paths with the lowest returns; of equal ones, the first.
    fn worst(&self, weights: &[f64], count: usize) -> Vec<usize> {
        let returns: Vec<f64> = self.of(weights).collect();
        let mut order: Vec<usize> = (0..returns.len()).collect();
        if count < order.len() {
            order.select_nth_unstable_by(count, |&a, &b| returns[a].total_cmp(&returns[b]).then(a.cmp(&b)));
            order.truncate(count);
        }
        order
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A cap on the sum of some weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Places of its assets, in no other group.
    pub members: Vec<usize>,
    /// Largest sum of their weights.
    pub weight_max: f64,
}

/// What weights may be, besides positive and summing to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Largest weight of an asset.
    pub weight_max: f64,
    /// Caps of groups.
    pub groups: Vec<Group>,
}

impl Limits {
    /// Largest sum of the weights of `assets` assets.
    pub fn room(&self, assets: usize) -> f64 {
        let grouped: usize = self.groups.iter().map(|group| group.members.len()).sum();
        let of_group = |group: &Group| group.weight_max.min(group.members.len() as f64 * self.weight_max);
        (assets - grouped) as f64 * self.weight_max + self.groups.iter().map(of_group).sum::<f64>()
    }
}

/// What is sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Least shortfall after costs, with a mean after costs of at least so much where given.
    LeastShortfall {
        /// Demanded mean.
        mean_min: Option<f64>,
    },
    /// Largest mean after costs, with a shortfall after costs of at most so much where given.
    LargestMean {
        /// Allowed shortfall.
        shortfall_max: Option<f64>,
    },
}

/// Assets, their costs and limits. All amounts are fractions of the book.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Returns.
    pub returns: &'a Returns,
    /// Confidence of the shortfall.
    pub confidence: f64,
    /// `k_i >= 0`.
    pub costs: &'a [f64],
    /// Limits.
    pub limits: &'a Limits,
}

impl Program<'_> {
    /// Cost of the weights.
    pub fn cost(&self, weights: &[f64]) -> f64 {
        self.costs.iter().zip(weights).map(|(cost, weight)| cost * weight * weight).sum()
    }

    /// Mean after costs.
    pub fn net_mean(&self, weights: &[f64]) -> f64 {
        self.returns.mean(weights) - self.cost(weights)
    }

    /// The weights that attain the goal; `start`: weights whose tail the first program has, best of a near solution.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub fn solve(&self, goal: Goal, start: &[f64]) -> Result<Vec<f64>, ProgramError> {
        let assets = self.returns.assets();
        let room = self.limits.room(assets);
        if !(room >= 1.0 - ROOM_TOLERANCE) {
            return Err(ProgramError::NoRoom { room });
        }
        if goal == (Goal::LargestMean { shortfall_max: None }) {
            return Ok(self.solve_on(&[], goal)?.weights);
        }
        let beyond = (1.0 - self.confidence) * self.returns.paths() as f64;
        let tails = |factor: f64| (beyond * factor).ceil() as usize + assets;
        let mut tail = self.returns.worst(start, tails(START_TAILS));
        loop {
            tail.sort_unstable();
            let Solution { weights, shortfall } = self.solve_on(&tail, goal)?;
            let exact = self.returns.shortfall(&weights, self.confidence).value;
            let allowed = match goal {
                Goal::LargestMean { shortfall_max: Some(bound) } => shortfall.max(bound - self.cost(&weights)),
                _ => shortfall,
            };
            let missing = self.returns.worst(&weights, tails(ADDED_TAILS)).into_iter();
            let missing: Vec<usize> = missing.filter(|path| tail.binary_search(path).is_err()).collect();
            if exact <= allowed + SHORTFALL_TOLERANCE || missing.is_empty() {
                return Ok(weights);
            }
            tail.extend(missing);
        }
    }

    /// The program with the paths of `tail` alone; without any, without a shortfall.
    fn solve_on(&self, tail: &[usize], goal: Goal) -> Result<Solution, ProgramError> {
        let layout = Layout { assets: self.returns.assets(), tail: tail.len() };
        let (rows, cones) = self.constraints(layout, tail, goal);
        let (matrix, bounds) = rows.into_matrix(layout.variables());
        let settings = DefaultSettingsBuilder::default().verbose(false).max_threads(1).build();
        let settings = settings.map_err(|error| ProgramError::Unsolved(error.to_string()))?;
        let quadratic = CscMatrix::zeros((layout.variables(), layout.variables()));
        let objective = self.objective(layout, goal);
        let solver = DefaultSolver::new(&quadratic, &objective, &matrix, &bounds, &cones, settings);
        let mut solver = solver.map_err(|error| ProgramError::Unsolved(error.to_string()))?;
        solver.solve();
        match solver.solution.status {
            SolverStatus::Solved | SolverStatus::AlmostSolved => Ok(self.read(layout, &solver.solution.x)),
            SolverStatus::PrimalInfeasible | SolverStatus::AlmostPrimalInfeasible => Err(ProgramError::Infeasible),
            status => Err(ProgramError::Unsolved(format!("{status:?}"))),
        }
    }

    fn read(&self, layout: Layout, x: &[f64]) -> Solution {
        let kept = x[..layout.assets].iter().map(|&weight| if weight < WEIGHT_MIN { 0.0 } else { weight });
        let mut weights: Vec<f64> = kept.collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let shortfall = match x.get(layout.level()..) {
            Some([level, excesses @ ..]) => level + self.per_excess() * excesses.iter().sum::<f64>(),
            _ => 0.0,
        };
        Solution { weights, shortfall }
    }

    /// What a path's loss beyond the level adds to the shortfall.
    fn per_excess(&self) -> f64 {
        1.0 / ((1.0 - self.confidence) * self.returns.paths() as f64)
    }

    fn objective(&self, layout: Layout, goal: Goal) -> Vec<f64> {
        let mut objective = vec![0.0; layout.variables()];
        objective[layout.cost()] = 1.0;
        match goal {
            Goal::LeastShortfall { .. } => {
                objective[layout.level()] = 1.0;
                objective[layout.level() + 1..].fill(self.per_excess());
            }
            Goal::LargestMean { .. } => {
                objective[..layout.assets].iter_mut().zip(&self.returns.means).for_each(|(o, mean)| *o = -mean);
            }
        }
        objective
    }

    /// Rows `a x <= b` of all constraints: one equality, inequalities, one second-order cone.
    fn constraints(&self, layout: Layout, tail: &[usize], goal: Goal) -> (Rows, [SupportedConeT<f64>; 3]) {
        let mut rows = Rows::default();
        rows.push(1.0, (0..layout.assets).map(|asset| (asset, 1.0)));
        for asset in 0..layout.assets {
            rows.push(0.0, [(asset, -1.0)]);
            rows.push(self.limits.weight_max, [(asset, 1.0)]);
        }
        for group in &self.limits.groups {
            rows.push(group.weight_max, group.members.iter().map(|&asset| (asset, 1.0)));
        }
        rows.push(0.0, [(layout.cost(), -1.0)]);
        self.push_demand(&mut rows, layout, goal);
        for (number, &path) in tail.iter().enumerate() {
            let excess = layout.level() + 1 + number;
            let loss = self.returns.path(path).iter().enumerate().map(|(asset, value)| (asset, -value));
            rows.push(0.0, loss.chain([(layout.level(), -1.0), (excess, -1.0)]));
            rows.push(0.0, [(excess, -1.0)]);
        }
        let inequalities = rows.bounds.len() - 1;
        let cone = self.push_cost(&mut rows, layout);
        let cones = [
            SupportedConeT::ZeroConeT(1),
            SupportedConeT::NonnegativeConeT(inequalities),
            SupportedConeT::SecondOrderConeT(cone),
        ];
        (rows, cones)
    }

    fn push_demand(&self, rows: &mut Rows, layout: Layout, goal: Goal) {
        match goal {
            Goal::LeastShortfall { mean_min: Some(mean_min) } => {
                let means = self.returns.means.iter().enumerate().map(|(asset, mean)| (asset, -mean));
                rows.push(-mean_min, means.chain([(layout.cost(), 1.0)]));
            }
            Goal::LargestMean { shortfall_max: Some(shortfall_max) } => {
                let excesses = (0..layout.tail).map(|number| (layout.level() + 1 + number, self.per_excess()));
                rows.push(shortfall_max, [(layout.cost(), 1.0), (layout.level(), 1.0)].into_iter().chain(excesses));
            }
            _ => {}
        }
    }

    /// `sum k w^2 <= t` as `|(t - s, 2 sqrt(s k) w)| <= t + s`, with `s` of the size of `t`; returns the cone's dimension.
    fn push_cost(&self, rows: &mut Rows, layout: Layout) -> usize {
        let first = rows.bounds.len();
        let equal = 1.0 / layout.assets as f64;
        let scale = self.cost(&vec![equal; layout.assets]).max(f64::MIN_POSITIVE.sqrt());
        rows.push(scale, [(layout.cost(), -1.0)]);
        rows.push(-scale, [(layout.cost(), -1.0)]);
        for (asset, cost) in self.costs.iter().enumerate().filter(|(_, cost)| **cost > 0.0) {
            rows.push(0.0, [(asset, -2.0 * (scale * cost).sqrt())]);
        }
        rows.bounds.len() - first
    }
}

struct Solution {
    weights: Vec<f64>,
    /// The program's own, over the paths that it knows.
    shortfall: f64,
}

/// Places of the variables: weights, cost, level of the tail, excess over it on each path of the tail.
#[derive(Clone, Copy)]
struct Layout {
    assets: usize,
    tail: usize,
}

impl Layout {
    fn cost(self) -> usize {
        self.assets
    }

    fn level(self) -> usize {
        self.assets + 1
    }

    /// Without a tail there is no level either.
    fn variables(self) -> usize {
        if self.tail > 0 { self.assets + 2 + self.tail } else { self.assets + 1 }
    }
}

/// Rows of a sparse matrix with their bounds.
#[derive(Default)]
struct Rows {
    row: Vec<usize>,
    column: Vec<usize>,
    value: Vec<f64>,
    bounds: Vec<f64>,
}

impl Rows {
    fn push(&mut self, bound: f64, entries: impl IntoIterator<Item = (usize, f64)>) {
        for (column, value) in entries {
            self.row.push(self.bounds.len());
            self.column.push(column);
            self.value.push(value);
        }
        self.bounds.push(bound);
    }

    fn into_matrix(self, columns: usize) -> (CscMatrix<f64>, Vec<f64>) {
        let matrix = CscMatrix::new_from_triplets(self.bounds.len(), columns, self.row, self.column, self.value);
        (matrix, self.bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::Distribution;
    use rand_distr::StandardNormal;
    use statrs::distribution::Continuous;
    use statrs::distribution::ContinuousCDF;
    use statrs::distribution::Normal;

    use crate::rng::Address;
    use crate::rng::AddressedRng;
    use crate::rng::Purpose;

    const CONFIDENCE: f64 = 0.95;
    const FREE: Limits = Limits { weight_max: 1.0, groups: Vec::new() };

    /// Normal returns with unit-free means, deviations and one correlation through a common normal.
    fn normals(paths: u32, means: &[f64], deviations: &[f64], correlation: f64) -> Returns {
        let mut values = Vec::new();
        for path in 0..paths {
            let address = Address { path, step: 0, slot: 0, purpose: Purpose::Entrant, index: 0 };
            let mut rng = AddressedRng::new(11, address);
            let mut draw = || -> f64 { StandardNormal.sample(&mut rng) };
            let common = draw();
            for (mean, deviation) in means.iter().zip(deviations) {
                let own = (1.0 - correlation).sqrt() * draw();
                values.push(mean + deviation * (correlation.sqrt() * common + own));
            }
        }
        Returns::new(means.len(), values)
    }

    fn weights(returns: &Returns, costs: &[f64], limits: &Limits, goal: Goal) -> Vec<f64> {
        let start = vec![1.0 / returns.assets() as f64; returns.assets()];
        Program { returns, confidence: CONFIDENCE, costs, limits }.solve(goal, &start).expect("feasible")
    }

    /// Of elliptical returns the shortfall is `k sd - mean`: its least value is that of `k sd - mean` over the line of weights.
    #[test]
    fn two_normal_assets_lie_on_the_closed_form_frontier() {
        let (means, deviations, correlation) = ([0.05, 0.12], [0.10, 0.25], 0.3);
        let returns = normals(40_000, &means, &deviations, correlation);
        let law = Normal::standard();
        let factor = law.pdf(law.inverse_cdf(CONFIDENCE)) / (1.0 - CONFIDENCE);
        let closed = |second: f64| {
            let (a, b) = ((1.0 - second) * deviations[0], second * deviations[1]);
            let deviation = (a * a + b * b + 2.0 * correlation * a * b).sqrt();
            factor * deviation - (means[0] * (1.0 - second) + means[1] * second)
        };
        let least = (0..=1_000).map(|step| f64::from(step) / 1_000.0).min_by(|a, b| closed(*a).total_cmp(&closed(*b)));
        let found = weights(&returns, &[0.0; 2], &FREE, Goal::LeastShortfall { mean_min: None });
        assert!((found[1] - least.unwrap()).abs() < 0.02, "{found:?}, closed form {least:?}");
        for second in [0.3, 0.5, 0.8] {
            let mean_min = returns.mean(&[1.0 - second, second]);
            let found = weights(&returns, &[0.0; 2], &FREE, Goal::LeastShortfall { mean_min: Some(mean_min) });
            assert!((found[1] - second).abs() < 1e-5, "{found:?}: the demand fixes {second}");
            let shortfall = returns.shortfall(&found, CONFIDENCE);
            let errors = (shortfall.value - closed(second)) / shortfall.standard_error;
            assert!(errors.abs() < 4.0, "{second}: {shortfall:?}, closed form {}", closed(second));
            let goal = Goal::LargestMean { shortfall_max: Some(shortfall.value) };
            let back = weights(&returns, &[0.0; 2], &FREE, goal);
            assert!((back[1] - second).abs() < 1e-4, "{back:?}: the same point the other way round");
        }
    }

    /// Every point of a grid of weights, costs included.
    #[test]
    fn three_assets_are_as_good_as_a_grid_says() {
        const STEPS: u32 = 100;
        let returns = normals(2_000, &[0.02, 0.06, 0.10], &[0.08, 0.15, 0.30], 0.2);
        let (costs, limits) = ([0.01, 0.04, 0.08], Limits { weight_max: 0.7, groups: Vec::new() });
        let program = Program { returns: &returns, confidence: CONFIDENCE, costs: &costs, limits: &limits };
        let objective = |w: &[f64]| returns.shortfall(w, CONFIDENCE).value + program.cost(w);
        let mean_min = 0.035;
        let found = program.solve(Goal::LeastShortfall { mean_min: Some(mean_min) }, &[1.0, 0.0, 0.0]).unwrap();
        assert!(program.net_mean(&found) > mean_min - 1e-6 && found.iter().all(|w| *w <= 0.7 + 1e-6), "{found:?}");
        let mut best = f64::INFINITY;
        for a in 0..=STEPS {
            for b in 0..=STEPS - a {
                let w = [a, b, STEPS - a - b].map(|part| f64::from(part) / f64::from(STEPS));
                if w.iter().all(|w| *w <= 0.7) && program.net_mean(&w) >= mean_min {
                    best = best.min(objective(&w));
                }
            }
        }
        assert!(objective(&found) <= best + 1e-6 && objective(&found) > best - 0.002, "{} {best}", objective(&found));
    }

    #[test]
    fn limits_are_kept_and_impossible_ones_refused() {
        let returns = normals(2_000, &[0.01, 0.02, 0.08, 0.10], &[0.1, 0.1, 0.2, 0.2], 0.1);
        let group = Group { members: vec![2, 3], weight_max: 0.25 };
        let limits = Limits { weight_max: 0.5, groups: vec![group] };
        let best = weights(&returns, &[0.0; 4], &limits, Goal::LargestMean { shortfall_max: None });
        assert!(
            (best[2] + best[3] - 0.25).abs() < 1e-5 && best[3] > 0.2499 && (best[1] - 0.5).abs() < 1e-5,
            "{best:?}"
        );
        assert!((best.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let full = Limits { weight_max: 0.25, groups: Vec::new() };
        let only = weights(&returns, &[0.01; 4], &full, Goal::LeastShortfall { mean_min: None });
        assert!(only.iter().all(|weight| (weight - 0.25).abs() < 1e-5), "{only:?}");
        let solve = |limits: &Limits| {
            let goal = Goal::LeastShortfall { mean_min: Some(0.2) };
            Program { returns: &returns, confidence: CONFIDENCE, costs: &[0.0; 4], limits }.solve(goal, &[0.25; 4])
        };
        assert_eq!(solve(&FREE), Err(ProgramError::Infeasible));
        assert_eq!(solve(&Limits { weight_max: 0.2, groups: Vec::new() }), Err(ProgramError::NoRoom { room: 0.8 }));
    }

    #[test]
    fn costs_move_weight_to_where_it_is_cheap_to_leave() {
        let returns = normals(4_000, &[0.05, 0.05], &[0.2, 0.2], 0.2);
        let goal = Goal::LeastShortfall { mean_min: None };
        let second = [0.0, 0.1, 1.0].map(|cost| weights(&returns, &[0.01, cost], &FREE, goal)[1]);
        assert!(second[0] > second[1] + 0.02 && second[1] > second[2] + 0.1, "{second:?}");
        assert_eq!(weights(&returns, &[0.01, 0.1], &FREE, goal)[1], second[1], "the same again");
    }
}
