//! What is done to all holdings of books at once, on the instruction set chosen at run time.

use crate::portfolio::board::Board;
use crate::portfolio::look::Look;
use crate::portfolio::look::Looks;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::state::Pass;
use crate::protocol::slots::Lanes8;
use crate::simd::Kernel;
use crate::simd::Vector;

/// Lets what a step brought come in on all books of a path, values them, and looks which of them may order something.
pub(crate) struct Advance<'a> {
    pub boards: &'a mut [Board],
    pub desks: &'a [Desk],
    pub states: &'a mut [BookState],
    /// What holdings are worth (TAO), by book.
    pub worths: &'a mut [Vec<f64>],
    pub pass: Pass,
    /// TAO in the pools of the boards when the last step closed, board by board, left as it is now; none where no copy is diluted.
    pub closing_tao: &'a mut [Lanes8],
    pub looks: Looks<'a>,
}

impl Kernel for Advance<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { boards, desks, states, worths, pass, closing_tao, looks } = self;
        let mut closing_tao = closing_tao.iter_mut();
        for chunk in boards.iter_mut().flat_map(|board| &mut board.chunks) {
            chunk.set_prices::<V>();
            if let Some(closing_tao) = closing_tao.next() {
                chunk.set_dilution::<V>(closing_tao);
            }
        }
        let books = desks.iter().zip(&mut *states).zip(&mut *worths);
        for ((desk, state), worth) in books.filter(|((_, state), _)| !state.follows) {
            state.advance::<V>(desk, &boards[desk.board], pass, worth);
        }
        let Looks { path, last, acting, is_called } = looks;
        for (number, (acts, is_called)) in acting.iter().zip(is_called).enumerate() {
            let source = if states[number].follows { 0 } else { number };
            let look = Look { desk: &desks[number], state: &states[source], worth: &worths[source], path, last };
            *is_called = *acts && look.may_order::<V>();
        }
    }
}

/// Prices boards, and nothing else.
pub(crate) struct PriceBoards<'a> {
    pub boards: &'a mut [Board],
}

impl Kernel for PriceBoards<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.boards.iter_mut().flat_map(|board| &mut board.chunks).for_each(|chunk| chunk.set_prices::<V>());
    }
}

/// [`Advance`] of one book, on a board that knows its prices.
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
