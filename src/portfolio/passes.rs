//! What is done to all holdings of books at once, on the instruction set chosen at run time.

use crate::engine::path::PathState;
use crate::portfolio::board::Board;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::state::Pass;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::SlotValues;
use crate::simd::Kernel;
use crate::simd::Vector;

/// Lets what a step brought come in on all books of a path, and values them.
pub(crate) struct Advance<'a> {
    pub boards: &'a mut [Board],
    pub desks: &'a [Desk],
    pub states: &'a mut [BookState],
    /// What holdings are worth (TAO), by book.
    pub worths: &'a mut [Vec<f64>],
    pub pass: Pass,
    /// TAO in the pools of the boards when the last step closed, board by board, left as it is now; none where no copy is diluted.
    pub closing_tao: &'a mut [Lanes8],
}

impl Kernel for Advance<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { boards, desks, states, worths, pass, closing_tao } = self;
        let mut closing_tao = closing_tao.iter_mut();
        for chunk in boards.iter_mut().flat_map(|board| &mut board.chunks) {
            chunk.set_prices::<V>();
            if let Some(closing_tao) = closing_tao.next() {
                chunk.set_dilution::<V>(closing_tao);
            }
        }
        let books = desks.iter().zip(states).zip(worths);
        for ((desk, state), worth) in books.filter(|((_, state), _)| !state.follows) {
            state.advance::<V>(desk, &boards[desk.board], pass, worth);
        }
    }
}

/// The same of one book, on a board that knows its prices.
pub(crate) struct AdvanceBook<'a> {
    pub board: &'a Board,
    pub desk: &'a Desk,
    pub state: &'a mut BookState,
    pub worth: &'a mut [f64],
    pub pass: Pass,
}

impl Kernel for AdvanceBook<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.state.advance::<V>(self.desk, self.board, self.pass, self.worth);
    }
}

/// Whether any holding is at its stop-loss or take-profit, or beyond.
pub(crate) struct IsBeyond<'a> {
    /// What holdings are worth, 0 where none is held, and were at the start; in whole chunks.
    pub worth: &'a [f64],
    pub opening: &'a [f64],
    /// The stops as parts of the opening value.
    pub low: f64,
    pub high: f64,
}

impl Kernel for IsBeyond<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let (low, high, zero) = (V::splat(self.low), V::splat(self.high), V::splat(0.0));
        let mut is_beyond = false;
        for (worth, opening) in self.worth.as_chunks().0.iter().zip(self.opening.as_chunks().0) {
            let (worth, opening) = (V::load(worth), V::load(opening));
            let is_hit = worth.le(low * opening) | worth.ge(high * opening);
            is_beyond |= V::bitmask(is_hit & worth.gt(zero)) != 0;
        }
        is_beyond
    }
}

/// Whether fewer than `rank` of the subnets registered up to the block `last` have a moving price below this.
pub(crate) struct IsInReach<'a> {
    pub path: &'a PathState,
    pub last: f64,
    pub rank: usize,
    pub moving_price: f64,
}

impl Kernel for IsInReach<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<V: Vector>(self) -> bool {
        let (last, limit) = (V::splat(self.last), V::splat(self.moving_price));
        let mut below = 0;
        for (behaviour, chain) in self.path.behaviour.iter().zip(&self.path.chain) {
            let is_old = V::load(&behaviour.registered_at).le(last);
            below += V::bitmask(is_old & V::load(&chain.moving_price).lt(limit)).count_ones() as usize;
            if below >= self.rank {
                return false;
            }
        }
        true
    }
}

/// Lowest moving price of the subnets registered up to the block `last`, in all slots.
pub(crate) struct Lowest<'a> {
    pub path: &'a PathState,
    pub last: f64,
}

impl Kernel for Lowest<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let (last, mut lowest) = (V::splat(self.last), V::splat(f64::INFINITY));
        for (behaviour, chain) in self.path.behaviour.iter().zip(&self.path.chain) {
            let is_old = V::load(&behaviour.registered_at).le(last);
            lowest = V::select(is_old, V::load(&chain.moving_price).min(lowest), lowest);
        }
        lowest.to_array().into_iter().fold(f64::INFINITY, f64::min)
    }
}

/// Lowest moving price of all, old or new, in the slots that `out_of_reach` does not lift.
pub(crate) struct LowestInReach<'a> {
    pub path: &'a PathState,
    /// Infinite in the slots that do not count, else 0.
    pub out_of_reach: &'a SlotValues,
}

impl Kernel for LowestInReach<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        let mut lowest = V::splat(f64::INFINITY);
        for (chain, out_of_reach) in self.path.chain.iter().zip(&self.out_of_reach.0) {
            lowest = V::load(&chain.moving_price).max(V::load(out_of_reach)).min(lowest);
        }
        lowest.to_array().into_iter().fold(f64::INFINITY, f64::min)
    }
}

/// Orders that bring holdings from their values to their weights: how many sales and purchases. All in whole chunks.
pub(crate) struct ToWeights<'a> {
    /// What holdings are worth (TAO).
    pub worth: &'a [f64],
    pub alpha: &'a [f64],
    /// What they are to be worth, in any unit.
    pub weights: &'a [f64],
    /// Part of the value that one of them must be off for any order.
    pub tolerance: f64,
    /// What else is to be spent (TAO).
    pub cash_tao: f64,
    /// Where the orders go: alpha, and TAO; all 0.
    pub sales: &'a mut [f64],
    pub purchases: &'a mut [f64],
}

impl Kernel for ToWeights<'_> {
    type Output = (usize, usize);

    #[inline(always)]
    fn run<V: Vector>(self) -> (usize, usize) {
        let Self { worth, alpha, weights, tolerance, cash_tao, sales, purchases } = self;
        let (worth, weights, alpha) = (worth.as_chunks().0, weights.as_chunks().0, alpha.as_chunks().0);
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let sum = |of: &[Lanes8]| of.iter().fold(zero, |sum, lanes| sum + V::load(lanes)).sum_halving();
        let (weight, value) = (sum(weights), cash_tao + sum(worth));
        if !(weight > 0.0 && value > 0.0) {
            return (0, 0);
        }
        let (scale, bound) = (V::splat(value / weight), V::splat(tolerance * value));
        let excess = |chunk: usize| V::load(&worth[chunk]) - scale * V::load(&weights[chunk]);
        if (0..worth.len()).all(|chunk| V::bitmask(excess(chunk).abs().gt(bound)) == 0) {
            return (0, 0);
        }
        let mut counts = (0, 0);
        for (chunk, (sales, purchases)) in
            sales.as_chunks_mut().0.iter_mut().zip(purchases.as_chunks_mut().0).enumerate()
        {
            let excess = excess(chunk);
            let (is_sale, is_purchase) = (excess.gt(zero), excess.lt(zero));
            let is_weighted = V::load(&weights[chunk]).gt(zero);
            let part = V::select(is_weighted, excess / V::load(&worth[chunk]), one);
            V::select(is_sale, V::load(&alpha[chunk]) * part, zero).store(sales);
            V::select(is_purchase, -excess, zero).store(purchases);
            counts.0 += V::bitmask(is_sale).count_ones() as usize;
            counts.1 += V::bitmask(is_purchase).count_ones() as usize;
        }
        counts
    }
}
