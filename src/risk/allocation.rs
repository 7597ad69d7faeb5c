//! The frontier of mean against expected shortfall of a book that must leave through its pools, and of one that does not ask.
//!
//! Leaving a position worth `v` TAO at spot pays (see [`Pool::sell`], with `alpha = v / p` and `p = w_x y / (w_y x)`)
//!
//! ```text
//! paid(v) = y * (1 - (1 + u)^-e),    u = (1 - fee) v / (e y),    e = w_x / w_y
//!         = (1 - fee) v - (1 - fee)^2 v^2 / (2 w_x y) + ...
//! ```
//!
//! `y`: TAO in the pool; `w_x`, `w_y`: weights of alpha and TAO. So a weight `w` in a book of `V` TAO costs `fee w + k w^2` of
//! the book with `k = (1 - fee)^2 V / (2 w_x y)`: convex, and the program takes it so. What is left out is of third order and positive:
//! the exact cost is lower by about `(e + 2) v / (3 e y)` of the second term (`v / y` at equal weights). All figures
//! reported of a portfolio have the exact cost.
//!
//! Not modelled in the program: the pools of the horizon in place of those of the start, in which a fallen price means less TAO but
//! also a smaller position. Fresh paths, on which the portfolios are books of their own, have both.

use crate::portfolio::valuation;
use crate::protocol::pool::Pool;
use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;
use crate::risk::program::Goal;
use crate::risk::program::Limits;
use crate::risk::program::Program;
use crate::risk::program::ProgramError;
use crate::risk::program::Returns;
use crate::risk::tail::WorstTail;

/// Room that is left beside a shortfall that must not be exceeded (fraction of it): an interior point method needs some.
const SHORTFALL_ROOM: f64 = 1e-6;

/// A book to be shared out, and what it may be put into.
#[derive(Clone, Copy, Debug)]
pub struct Allocation<'a> {
    /// Value of the book (TAO).
    pub book_tao: f64,
    /// Pools of the assets at the start.
    pub pools: &'a [Pool],
    /// Swap fee.
    pub fee_rate: f64,
    /// Returns of the assets.
    pub returns: &'a Returns,
    /// Confidence of the shortfall.
    pub confidence: f64,
    /// Limits of weights.
    pub limits: &'a Limits,
}

/// A point of the frontier, and who has the same shortfall at spot without asking for the cost.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontierPoint {
    /// Weights that know what leaving costs.
    pub aware: Vec<f64>,
    /// Weights of the largest mean at spot, at the same shortfall at spot.
    pub blind: Vec<f64>,
}

impl Allocation<'_> {
    /// `points >= 2` points from the least shortfall to the largest mean, both after costs, the mean going up in equal steps.
    ///
    /// # Errors
    /// [`ProgramError`].
    pub fn frontier(&self, points: usize) -> Result<Vec<FrontierPoint>, ProgramError> {
        let impacts = self.impacts();
        let program = self.program(&impacts);
        let equal = vec![1.0 / self.pools.len() as f64; self.pools.len()];
        let best = program.solve(Goal::LargestMean { shortfall_max: None }, &equal)?;
        let mut aware = vec![program.solve(Goal::LeastShortfall { mean_min: None }, &equal)?];
        let (low, high) = (program.net_mean(&aware[0]), program.net_mean(&best));
        for number in 1..points - 1 {
            let mean_min = low + (high - low) * number as f64 / (points - 1) as f64;
            let next = program.solve(Goal::LeastShortfall { mean_min: Some(mean_min) }, &aware[number - 1])?;
            aware.push(next);
        }
        aware.push(best);
        aware.into_iter().map(|aware| Ok(FrontierPoint { blind: self.blind(&aware)?, aware })).collect()
    }

    /// Weights of the largest mean at spot that have no more shortfall at spot than these.
    fn blind(&self, aware: &[f64]) -> Result<Vec<f64>, ProgramError> {
        let shortfall = self.returns.shortfall(aware, self.confidence).value;
        let goal = Goal::LargestMean { shortfall_max: Some(shortfall + SHORTFALL_ROOM * shortfall.abs()) };
        self.program(&vec![0.0; self.pools.len()]).solve(goal, aware)
    }

    fn program<'a>(&'a self, costs: &'a [f64]) -> Program<'a> {
        Program { returns: self.returns, confidence: self.confidence, costs, limits: self.limits }
    }

    fn impacts(&self) -> Vec<f64> {
        self.pools.iter().map(|pool| impact(pool, self.book_tao, self.fee_rate)).collect()
    }

    /// Exact cost (fraction of the book) of leaving through the pools of the start.
    pub fn exit_cost(&self, weights: &[f64]) -> f64 {
        let paid = |(pool, weight): (&Pool, &f64)| {
            let alpha = self.book_tao * weight / pool.spot_price();
            weight - valuation::sale_proceeds(pool, alpha, self.fee_rate) / self.book_tao
        };
        self.pools.iter().zip(weights).map(paid).sum()
    }

    /// The same as the program takes it.
    pub fn modelled_cost(&self, weights: &[f64]) -> f64 {
        self.fee_rate + self.program(&self.impacts()).cost(weights)
    }
}

/// `k`: cost of a weight `w` in a book of `book_tao` as a fraction of the book, over `w^2`, without the fee.
pub fn impact(pool: &Pool, book_tao: f64, fee_rate: f64) -> f64 {
    let kept = 1.0 - fee_rate;
    kept * kept * book_tao / (2.0 * pool.weight_alpha() * pool.reserve_tao)
}

/// Number of equal weights that are as concentrated: `1 / sum w^2`.
pub fn effective_holdings(weights: &[f64]) -> f64 {
    1.0 / weights.iter().map(|weight| weight * weight).sum::<f64>()
}

/// Mean and expected shortfall of P&L.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Mean P&L.
    pub mean: Estimate,
    /// Expected shortfall, a loss being positive.
    pub shortfall: Estimate,
}

/// Both of at least one P&L, one of each path.
///
/// Where weights were chosen on the same paths, the shortfall is too low and the mean too high by what choosing gains; their errors
/// do not know of it.
pub fn measure(pnl: impl ExactSizeIterator<Item = f64>, confidence: f64) -> Measured {
    let (mut moments, mut tail) = (Moments::default(), WorstTail::new(pnl.len() as u64, confidence));
    for value in pnl {
        moments.push(value);
        tail.push(-value);
    }
    let shortfall = tail.into_sorted().expected_shortfall(confidence).expect("at least one path");
    Measured { mean: moments.mean().expect("at least one path"), shortfall }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEE_RATE: f64 = 0.0005;
    const ANY: Limits = Limits { weight_max: 1.0, groups: Vec::new() };

    /// Two assets of equal law that fall together on one path in ten, and by turns on others.
    fn returns() -> Returns {
        let path = |number: u32| {
            let wave = |factor: u32| f64::from(number * factor % 997) / 997.0 - 0.45;
            if number.is_multiple_of(10) { [-0.1, -0.1] } else { [0.5 * wave(101), 0.5 * wave(313)] }
        };
        Returns::new(2, (0..2_000).flat_map(path).collect())
    }

    fn pool(reserve_tao: f64, weight_tao: f64) -> Pool {
        Pool { reserve_tao, reserve_alpha: 20.0 * reserve_tao, weight_tao }
    }

    fn frontier_of(pools: &[Pool], book_tao: f64) -> Vec<FrontierPoint> {
        let (returns, limits) = (returns(), ANY);
        let allocation =
            Allocation { book_tao, pools, fee_rate: FEE_RATE, returns: &returns, confidence: 0.9, limits: &limits };
        allocation.frontier(3).expect("limits that allow all")
    }

    /// The error of the quadratic cost is the third-order term: a tenth of the size, a thousandth of the error.
    #[test]
    fn costs_are_exact_to_the_second_order() {
        for weight_tao in [0.2, 0.5, 0.8] {
            let pool = pool(5_000.0, weight_tao);
            let e = pool.weight_alpha() / pool.weight_tao;
            for part in [1e-3, 1e-2] {
                let value = part * pool.reserve_tao;
                let exact = value - valuation::sale_proceeds(&pool, value / pool.spot_price(), FEE_RATE);
                let modelled = value * (FEE_RATE + impact(&pool, value, FEE_RATE));
                let third = value * impact(&pool, value, FEE_RATE) * (e + 2.0) / (3.0 * e) * part;
                assert!(
                    ((modelled - exact) / third - 1.0).abs() < 0.05,
                    "{weight_tao} {part}: {modelled} {exact} {third}"
                );
            }
        }
    }

    #[test]
    fn large_books_leave_small_pools() {
        let pools = [pool(500.0, 0.5), pool(50_000.0, 0.5)];
        let small_pool = [1.0, 100.0, 1_000.0].map(|book_tao| frontier_of(&pools, book_tao)[0].aware[0]);
        assert!(small_pool[0] > small_pool[1] + 0.01 && small_pool[1] > small_pool[2] + 0.1, "{small_pool:?}");
        let points = frontier_of(&pools, 1_000.0);
        let (returns, limits) = (returns(), ANY);
        let allocation = Allocation {
            book_tao: 1_000.0,
            pools: &pools,
            fee_rate: FEE_RATE,
            returns: &returns,
            confidence: 0.9,
            limits: &limits,
        };
        for FrontierPoint { aware, blind } in &points {
            assert!(returns.mean(blind) >= returns.mean(aware) - 1e-6, "{blind:?}: on paper the blind do no worse");
            let after = |weights: &[f64]| returns.mean(weights) - allocation.exit_cost(weights);
            assert!(after(blind) <= after(aware) + 1e-4, "{aware:?} {blind:?}: after costs they do no better");
            let shortfall = |weights: &[f64]| returns.shortfall(weights, 0.9).value;
            assert!(shortfall(blind) <= shortfall(aware) + 1e-5);
        }
        let means: Vec<f64> = points.iter().map(|point| after_costs(&allocation, &point.aware)).collect();
        assert!(means.windows(2).all(|pair| pair[0] < pair[1]), "{means:?}");
    }

    fn after_costs(allocation: &Allocation<'_>, weights: &[f64]) -> f64 {
        allocation.returns.mean(weights) - allocation.exit_cost(weights)
    }

    #[test]
    fn equal_weights_are_as_many_holdings() {
        assert!((effective_holdings(&[0.25; 4]) - 4.0).abs() < 1e-12);
        assert_eq!(effective_holdings(&[1.0, 0.0]), 1.0);
    }
}
