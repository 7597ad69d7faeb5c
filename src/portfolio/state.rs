//! One book on one path: holdings, cash, dividends, payouts, value and drawdown.

use crate::engine::path::LifecycleEvent;
use crate::engine::path::PathState;
use crate::engine::record::EventKind;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::recorder::StepView;
use crate::portfolio::board::Board;
use crate::portfolio::board::BoardChunk;
use crate::portfolio::policy::BookPolicy;
use crate::portfolio::policy::Policy;
use crate::portfolio::pool_copy::PoolCopies;
use crate::portfolio::pool_copy::PoolCopy;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::portfolio::valuation;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::SlotValues;
use crate::simd::Vector;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// What all paths know of a book: what it may hold, and what it does.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    /// Its positions, then what else its policy may buy.
    pub holdings: Vec<Holding>,
    /// How many of them are positions.
    pub positions: usize,
    /// What it does; `None`: it holds.
    pub policy: Option<BookPolicy>,
    /// Value at the start that is in no position (TAO).
    pub cash_tao: f64,
    /// Whether any holding roams.
    pub roams: bool,
    /// Part of the dividend that the validator's take leaves, by holding in whole chunks.
    kept: Vec<f64>,
    /// 0 in the slots of its holdings, else infinite.
    pub out_of_reach: SlotValues,
    /// Number of its board.
    pub board: usize,
    /// Whether its book starts as one that only holds, the first of all.
    pub follows: bool,
}

/// What a step needs to know of something that a book may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Holding {
    /// Where it is.
    pub slot: usize,
    /// Part of the dividend that the validator's take leaves.
    pub kept: f64,
    /// Whether it is any subnet in the slot, one after the other, rather than that of the start.
    pub is_roaming: bool,
}

impl Desk {
    /// What `book` may hold under `policy`.
    pub(crate) fn new(book: &Book, policy: Option<BookPolicy>) -> Self {
        let own = |position: &Position| Holding {
            slot: position.netuid.slot(),
            kept: 1.0 - position.take,
            is_roaming: false,
        };
        let mut holdings: Vec<Holding> = book.positions.iter().map(own).collect();
        if let Some(of) = &policy {
            let kept = 1.0 - of.take;
            let is_held = |netuid: &NetUid| book.positions.iter().any(|position| position.netuid == *netuid);
            let named = of.policy.netuids().iter().map(|(netuid, _)| *netuid).filter(|netuid| !is_held(netuid));
            holdings.extend(named.map(|netuid| Holding { slot: netuid.slot(), kept, is_roaming: false }));
            if matches!(of.policy, Policy::Rotate(_)) {
                holdings.extend((0..SLOT_CAPACITY).map(|slot| Holding { slot, kept, is_roaming: true }));
            }
        }
        let cash_tao = policy.as_ref().map_or(0.0, |of| of.cash_tao);
        let roams = holdings.iter().any(|holding| holding.is_roaming);
        let mut kept: Vec<f64> = holdings.iter().map(|holding| holding.kept).collect();
        kept.resize(padded(holdings.len()), 0.0);
        let mut out_of_reach = SlotValues::splat(f64::INFINITY);
        holdings.iter().for_each(|holding| out_of_reach.set(holding.slot, 0.0));
        Self {
            holdings,
            positions: book.positions.len(),
            policy,
            cash_tao,
            roams,
            kept,
            out_of_reach,
            board: 0,
            follows: false,
        }
    }

    /// Values at a horizon: one for each position, and one for cash and all else where there may be any.
    pub(crate) fn values(&self) -> usize {
        self.positions + usize::from(self.cash_tao > 0.0 || self.holdings.len() > self.positions)
    }

    /// Where its holdings are, in their order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.holdings.iter().map(|holding| holding.slot)
    }

    /// Whether it may buy.
    pub(crate) fn buys(&self) -> bool {
        let policy = self.policy.as_ref().map(|of| &of.policy);
        matches!(policy, Some(Policy::Rebalance(_) | Policy::TwapEntry { .. } | Policy::Rotate(_)))
    }

    /// Whether it may trade.
    pub(crate) fn trades(&self) -> bool {
        self.policy.as_ref().is_some_and(|of| of.policy != Policy::Hold)
    }
}

/// Lanes of so many holdings in whole chunks.
fn padded(holdings: usize) -> usize {
    holdings.next_multiple_of(CHUNK_SLOTS)
}

/// A holding that a deregistration turned into TAO.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settlement {
    /// Slot of the subnet.
    pub slot: usize,
    /// Alpha held then.
    pub alpha: f64,
    /// Its value at spot just before (TAO).
    pub mark_tao: f64,
    /// What was paid for it (TAO).
    pub paid_tao: f64,
}

/// One book on one path. Vectors are parallel to the holdings of its desk; those of numbers end in zeros that fill a chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct BookState {
    /// Whether it has all in common with the first book up to now, which is then followed in its place.
    pub follows: bool,
    /// Alpha held.
    pub alpha: Vec<f64>,
    /// TAO that it has brought, less what was paid for more of it.
    pub earned_tao: Vec<f64>,
    /// The pools as the book's own trades leave them; those of the market's book are the path's.
    pub copies: PoolCopies,
    /// Whether any copy may not be the path's pool.
    pub has_copies: bool,
    /// Value at the start (TAO).
    pub opening_values: Vec<f64>,
    /// Whether some was sold, a bit for each holding of a chunk.
    pub was_sold: Vec<u8>,
    /// Whether some was sold of what is still held.
    pub sold_in_part: bool,
    /// Whether the subnet of the start is no more.
    pub is_gone: Vec<bool>,
    /// Deregistrations so far.
    pub settlements: Vec<Settlement>,
    /// All TAO that it has, what came in in the order in which it came.
    pub cash_tao: f64,
    /// Value at spot after the last step (TAO).
    pub mark_tao: f64,
    /// Value at spot at the start (TAO).
    pub opening_tao: f64,
    /// Orders that were refused.
    pub refused_orders: u32,
    peak_tao: f64,
    lowest_tao: f64,
    max_drawdown: f64,
    /// Steps since the peak, and the most there ever were.
    under_water_steps: u32,
    longest_under_water_steps: u32,
    deregistered: u16,
}

/// TAO paid for `alpha` of a dissolved subnet. A book that does not move the path may hold alpha that is not in its stake: that shares
/// the pot too, so that nobody is paid more than there is.
fn payout_tao(alpha: f64, event: &LifecycleEvent) -> f64 {
    let missing_alpha = alpha - event.staked_alpha;
    if !(missing_alpha > 0.0) {
        return alpha * event.paid_tao;
    }
    let weights = if event.paid_tao > 0.0 { event.pot_tao / event.paid_tao } else { 0.0 };
    event.pot_tao * (alpha / (weights + missing_alpha))
}

/// What a book has and what that is worth, in the path's own pools.
pub(crate) struct Valued<'a> {
    pub alpha: &'a [f64],
    /// Of its positions.
    pub values: &'a [PositionValue],
}

impl Valued<'_> {
    /// The value of `alpha` of the holding number `index`, if it is as much as that book has.
    fn of(&self, index: usize, alpha: f64) -> Option<PositionValue> {
        self.values.get(index).copied().filter(|_| self.alpha[index] == alpha)
    }
}

/// What a pass over the holdings of a book does besides valuing them.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    /// Dividends come in.
    pub accrues: bool,
    /// What sets copies apart is diluted.
    pub dilutes: bool,
}

/// Alpha of eight holdings with their dividends: validator part x (1 - take) x position / staked x the factor of its validator
/// (MODEL 9, 5), which compound as alpha. `bought`: what the book has staked in copies.
#[inline(always)]
fn accrued<V: Vector>(alpha: V, kept: V, bought: Option<V>, of_step: &BoardChunk) -> V {
    let (zero, one) = (V::splat(0.0), V::splat(1.0));
    // On the path others may have sold what a book that does not move it holds: it is then the only staker.
    let part = (alpha * V::load(&of_step.inverse_staked)).min(one);
    let part = match bought.map(|bought| (bought, bought.abs().gt(zero))) {
        Some((bought, has_bought)) if V::bitmask(has_bought) != 0 => {
            let staked_alpha = (V::load(&of_step.staked_alpha) + bought).max(alpha);
            V::select(has_bought, alpha / staked_alpha, part)
        }
        _ => part,
    };
    let average = kept * V::load(&of_step.validator_alpha) * part;
    // Where nothing is held, nothing may be staked.
    V::select(alpha.gt(zero), alpha + average * V::load(&of_step.factor), alpha)
}

/// So many times `value`.
pub(crate) fn refill<T: Clone>(values: &mut Vec<T>, value: T, count: usize) {
    values.clear();
    values.resize(count, value);
}

impl BookState {
    /// Goes its own way from now on, from what the first book has.
    pub(crate) fn part_from(&mut self, first: &Self) {
        self.clone_from(first);
        self.follows = false;
    }

    /// Opens it on `board`, which knows the prices; `worth` is scratch.
    pub(crate) fn open(&mut self, book: &Book, desk: &Desk, board: &Board, worth: &mut Vec<f64>) {
        let count = padded(desk.holdings.len());
        self.follows = desk.follows;
        self.alpha.clear();
        self.alpha.extend(book.positions.iter().map(|position| position.alpha));
        self.alpha.resize(count, 0.0);
        refill(&mut self.earned_tao, 0.0, count);
        self.copies.reset(count);
        self.has_copies = false;
        refill(&mut self.was_sold, 0, count / CHUNK_SLOTS);
        self.sold_in_part = false;
        refill(&mut self.is_gone, false, count);
        let prices = board.chunks.iter().flat_map(|chunk| chunk.price);
        self.opening_values.clear();
        self.opening_values.extend(self.alpha.iter().zip(prices).map(|(alpha, price)| alpha * price));
        self.settlements.clear();
        (self.cash_tao, self.deregistered, self.refused_orders) = (desk.cash_tao, 0, 0);
        (self.peak_tao, self.lowest_tao, self.max_drawdown) = (f64::NEG_INFINITY, f64::INFINITY, 0.0);
        (self.under_water_steps, self.longest_under_water_steps) = (0, 0);
        worth.clone_from(&self.opening_values);
        self.mark(self.sum(worth));
        self.opening_tao = self.mark_tao;
    }

    /// Takes over what `other` holds, and nothing else of it.
    pub(crate) fn copy_holdings(&mut self, other: &Self) {
        self.alpha.clone_from(&other.alpha);
        self.copies.clone_from(&other.copies);
        self.has_copies = other.has_copies;
        refill(&mut self.earned_tao, 0.0, other.alpha.len());
        refill(&mut self.was_sold, 0, other.alpha.len() / CHUNK_SLOTS);
        refill(&mut self.is_gone, false, other.alpha.len());
        self.settlements.clear();
        self.cash_tao = other.cash_tao;
    }

    /// Lets what `board` says of a step come in, and leaves in `worth` what each holding is worth at spot (TAO).
    #[inline(always)]
    pub(crate) fn advance<V: Vector>(&mut self, desk: &Desk, board: &Board, pass: Pass, worth: &mut [f64]) {
        let (alphas, worths) = (self.alpha.as_chunks_mut().0, worth.as_chunks_mut().0);
        let is_diluted = self.has_copies && pass.dilutes;
        let mut has_copies = false;
        for (index, (lanes, worth)) in alphas.iter_mut().zip(worths).enumerate() {
            let of_step = &board.chunks[index];
            if pass.accrues {
                let kept = V::load(&desk.kept.as_chunks().0[index]);
                let bought = self.has_copies.then(|| self.copies.staked_alpha(index));
                accrued(V::load(lanes), kept, bought, of_step).store(lanes);
            }
            if is_diluted {
                let (kept, rest) = (V::load(&of_step.kept), V::load(&of_step.rest));
                has_copies |= self.copies.dilute(index, kept, rest, of_step.are_near_equal);
            }
            let mut price = V::load(&of_step.price);
            if self.has_copies {
                price = price * self.copies.price_factor(index);
            }
            (V::load(lanes) * price).store(worth);
        }
        if is_diluted {
            self.has_copies = has_copies;
        }
    }

    /// Pays out what a deregistration ends.
    pub(crate) fn settle(&mut self, desk: &Desk, event: &LifecycleEvent, worth: &mut [f64]) {
        if event.kind != EventKind::Deregistered || desk.out_of_reach.get(event.slot) > 0.0 {
            return;
        }
        for (index, holding) in desk.holdings.iter().enumerate().filter(|(_, holding)| holding.slot == event.slot) {
            self.copies.set(index, PoolCopy::UNTOUCHED);
            worth[index] = 0.0;
            self.is_gone[index] = !holding.is_roaming;
            let alpha = std::mem::take(&mut self.alpha[index]);
            if alpha > 0.0 {
                let paid_tao = payout_tao(alpha, event);
                self.earned_tao[index] += paid_tao;
                self.cash_tao += paid_tao;
                self.deregistered += 1;
                let mark_tao = alpha * event.price;
                self.settlements.push(Settlement { slot: event.slot, alpha, mark_tao, paid_tao });
            }
        }
    }

    /// Value (TAO) at spot of the whole. `worth`: what its holdings are worth.
    pub(crate) fn sum(&self, worth: &[f64]) -> f64 {
        worth.iter().fold(self.cash_tao, |sum, worth| sum + worth)
    }

    /// Notes the `value` at spot, in every step: the drawdown needs its peak.
    pub(crate) fn mark(&mut self, value: f64) {
        self.mark_tao = value;
        self.lowest_tao = if value < self.lowest_tao { value } else { self.lowest_tao };
        let is_peak = value >= self.peak_tao;
        self.peak_tao = if is_peak { value } else { self.peak_tao };
        self.under_water_steps = if is_peak { 0 } else { self.under_water_steps + 1 };
        self.longest_under_water_steps = self.longest_under_water_steps.max(self.under_water_steps);
        let drawdown = if self.peak_tao > 0.0 { 1.0 - value / self.peak_tao } else { 0.0 };
        self.max_drawdown = if drawdown > self.max_drawdown { drawdown } else { self.max_drawdown };
    }

    /// Writes what is held into `held`.
    pub(crate) fn hold(&self, desk: &Desk, held: &mut SlotValues) {
        if desk.roams {
            *held = SlotValues::splat(0.0);
        }
        for (alpha, holding) in self.alpha.iter().zip(&desk.holdings) {
            // A slot may have two holdings, of which one at most is not 0.
            let other = if desk.roams { held.get(holding.slot) } else { 0.0 };
            held.set(holding.slot, *alpha + other);
        }
    }

    /// Values the positions, at spot and sold now, each with the TAO that it has brought; cash of the start and all else last,
    /// where `values` has a place for it. `valued`: another book of the same holdings that was valued just now, if any.
    pub(crate) fn value(
        &self,
        desk: &Desk,
        path: &PathState,
        fee_rate: f64,
        valued: Option<&Valued<'_>>,
        values: &mut [PositionValue],
    ) {
        let value = |(index, holding): (usize, &Holding)| {
            let (alpha, earned_tao) = (self.alpha[index], self.earned_tao[index]);
            if alpha == 0.0 {
                return PositionValue { earned_tao, ..PositionValue::default() };
            }
            let copy = self.copies.get(index);
            if let Some(value) = valued.filter(|_| !copy.is_touched()).and_then(|valued| valued.of(index, alpha)) {
                return PositionValue { earned_tao, ..value };
            }
            let pool = valuation::pool_of(path, holding.slot);
            PositionValue {
                mark_tao: alpha * (path.price(holding.slot) * copy.price_factor()),
                liquidation_tao: valuation::sale_proceeds(&copy.pool(pool), alpha, fee_rate),
                earned_tao,
            }
        };
        let mut all = desk.holdings.iter().enumerate().map(value);
        let (positions, other) = values.split_at_mut(desk.positions);
        positions.iter_mut().zip(&mut all).for_each(|(place, value)| *place = value);
        if let [place] = other {
            *place = all.fold(PositionValue { earned_tao: desk.cash_tao, ..PositionValue::default() }, |sum, value| {
                PositionValue {
                    mark_tao: sum.mark_tao + value.mark_tao,
                    liquidation_tao: sum.liquidation_tao + value.liquidation_tao,
                    earned_tao: sum.earned_tao + value.earned_tao,
                }
            });
        }
    }

    pub(crate) fn row(&self, view: &StepView<'_>, values: &[PositionValue]) -> PathRow {
        let mark = self.mark_tao;
        let liquidation = values.iter().fold(self.cash_tao, |sum, value| sum + value.liquidation_tao);
        let (rate, opening_rate) = (view.path.outside.tao_usd, view.plan.input.tao_usd);
        let days_per_step = view.plan.input.blocks_per_step as f64 / BLOCKS_PER_DAY as f64;
        PathRow {
            path: u64::from(view.path.path),
            pnl_mark_tao: mark - self.opening_tao,
            pnl_liquidation_tao: liquidation - self.opening_tao,
            pnl_mark_usd: mark * rate - self.opening_tao * opening_rate,
            pnl_liquidation_usd: liquidation * rate - self.opening_tao * opening_rate,
            tao_usd: rate,
            max_drawdown: self.max_drawdown,
            longest_under_water_days: f64::from(self.longest_under_water_steps) * days_per_step,
            lowest_pnl_tao: self.lowest_tao - self.opening_tao,
            deregistered_holdings: self.deregistered,
            weight: view.plan.weight(view.path),
            ..PathRow::EMPTY
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portfolio::passes::AdvanceBook;
    use crate::portfolio::passes::PriceBoards;
    use crate::simd;
    use crate::simd::Backend;

    fn dissolved(paid_tao: f64, staked_alpha: f64) -> LifecycleEvent {
        LifecycleEvent {
            kind: EventKind::Deregistered,
            slot: 3,
            block: 0,
            registered_at: 0,
            incumbent: true,
            moving_price: 0.0,
            price: 0.1,
            paid_tao,
            pot_tao: 100.0,
            staked_alpha,
        }
    }

    /// Others have sold their stake on the path, 1 alpha of it is left, and the book holds 50.
    #[test]
    fn the_only_staker_has_the_whole_dividend_and_no_more() {
        let position = Position { netuid: NetUid(4), alpha: 50.0, take: 0.1, cost_tao: None };
        let book = Book { name: "main".to_owned(), positions: vec![position] };
        let desk = Desk::new(&book, None);
        let mut board = Board::new(desk.slots().collect());
        let mut state = BookState::default();
        let mut worth = Vec::new();
        state.open(&book, &desk, &board, &mut worth);
        let mut accrue = |staked_alpha| {
            let of_step = &mut board.chunks[0];
            (of_step.staked_alpha[0], of_step.validator_alpha[0]) = (staked_alpha, 200.0);
            simd::dispatch(Backend::detect(), PriceBoards { boards: std::slice::from_mut(&mut board) });
            let pass = Pass { accrues: true, dilutes: false };
            let advance = AdvanceBook { board: &board, desk: &desk, state: &mut state, worth: &mut worth, pass };
            simd::dispatch(Backend::detect(), advance);
            state.alpha[0]
        };
        let alpha = accrue(1.0);
        assert!((alpha - (50.0 + 0.9 * 200.0)).abs() < 1e-12, "{alpha}");
        let alpha = accrue(1_000.0);
        assert!((alpha - 230.0 * (1.0 + 0.9 * 200.0 / 1_000.0)).abs() < 1e-12, "{alpha}");
    }

    #[test]
    fn nobody_is_paid_more_than_the_pot() {
        // 100 TAO over 400 alpha: 150 of stakers, the rest of the protocol and the pool.
        let event = dissolved(0.25, 150.0);
        assert_eq!((payout_tao(40.0, &event), payout_tao(150.0, &event)), (10.0, 37.5));
        // 50 alpha that are in nobody's stake share it with the 400.
        assert!((payout_tao(200.0, &event) - 200.0 / 450.0 * 100.0).abs() < 1e-12);
        // The others have sold all but a millionth.
        let event = dissolved(1e8, 1e-6);
        assert!((payout_tao(5.0, &event) - 100.0).abs() < 1e-9);
        assert_eq!(payout_tao(5.0, &dissolved(0.0, 0.0)), 100.0);
    }
}
