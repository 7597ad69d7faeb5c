//! One book on one path: holdings, cash, dividends, payouts, value and drawdown.

use crate::engine::path::LifecycleEvent;
use crate::engine::path::PathState;
use crate::engine::record::EventKind;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::recorder::StepView;
use crate::portfolio::policy::BookPolicy;
use crate::portfolio::policy::Policy;
use crate::portfolio::pool_copy::PoolCopy;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::portfolio::valuation;
use crate::protocol::slots::SlotValues;
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
        Self { holdings, positions: book.positions.len(), policy, cash_tao, roams }
    }

    /// Values at a horizon: one for each position, and one for cash and all else where there may be any.
    pub(crate) fn values(&self) -> usize {
        self.positions + usize::from(self.cash_tao > 0.0 || self.holdings.len() > self.positions)
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

/// What a step says of a slot, for all books.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quote {
    /// Spot price (TAO per alpha).
    pub price: f64,
    /// Staked alpha at the step's opening.
    pub staked_alpha: f64,
    /// Alpha paid to validators and their stakers.
    pub validator_alpha: f64,
    /// Factor on the dividend of a holder's validator.
    pub factor: f64,
}

impl Quote {
    /// Nothing is known.
    pub(crate) const NONE: Self = Self { price: 0.0, staked_alpha: 0.0, validator_alpha: 0.0, factor: 1.0 };

    pub(crate) fn update(&mut self, slot: usize, view: &StepView<'_>) {
        self.price = view.path.price(slot);
        self.staked_alpha = view.buffers.staked_open.get(slot);
        self.validator_alpha = view.buffers.validator_alpha.get(slot);
    }
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

/// One book on one path. Vectors are parallel to the holdings of its desk.
#[derive(Clone, Debug, Default)]
pub(crate) struct BookState {
    /// Alpha held.
    pub alpha: Vec<f64>,
    /// TAO that it has brought, less what was paid for more of it.
    pub earned_tao: Vec<f64>,
    /// The pools as the book's own trades leave them; those of the market's book are the path's.
    pub copies: Vec<PoolCopy>,
    /// Whether any copy is not the path's pool.
    pub has_copies: bool,
    /// Value at the start (TAO).
    pub opening_values: Vec<f64>,
    /// Whether some was sold.
    pub was_sold: Vec<bool>,
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

fn refill<T: Clone>(values: &mut Vec<T>, value: T, count: usize) {
    values.clear();
    values.resize(count, value);
}

impl BookState {
    pub(crate) fn open(&mut self, book: &Book, desk: &Desk, quotes: &[Quote]) {
        let count = desk.holdings.len();
        self.alpha.clear();
        self.alpha.extend(book.positions.iter().map(|position| position.alpha));
        self.alpha.resize(count, 0.0);
        refill(&mut self.earned_tao, 0.0, count);
        refill(&mut self.copies, PoolCopy::UNTOUCHED, count);
        self.has_copies = false;
        refill(&mut self.was_sold, false, count);
        refill(&mut self.is_gone, false, count);
        self.opening_values.clear();
        let values = self.alpha.iter().zip(&desk.holdings).map(|(alpha, holding)| alpha * quotes[holding.slot].price);
        self.opening_values.extend(values);
        self.settlements.clear();
        (self.cash_tao, self.deregistered, self.refused_orders) = (desk.cash_tao, 0, 0);
        (self.peak_tao, self.lowest_tao, self.max_drawdown) = (f64::NEG_INFINITY, f64::INFINITY, 0.0);
        (self.under_water_steps, self.longest_under_water_steps) = (0, 0);
        self.mark(desk, quotes);
        self.opening_tao = self.mark_tao;
    }

    /// Takes over what `other` holds, and nothing else of it.
    pub(crate) fn copy_holdings(&mut self, other: &Self) {
        self.alpha.clone_from(&other.alpha);
        self.copies.clone_from(&other.copies);
        self.has_copies = other.has_copies;
        refill(&mut self.earned_tao, 0.0, other.alpha.len());
        refill(&mut self.was_sold, false, other.alpha.len());
        refill(&mut self.is_gone, false, other.alpha.len());
        self.settlements.clear();
        self.cash_tao = other.cash_tao;
    }

    /// Quotes what is held in slots that are not quoted for all.
    pub(crate) fn quote_roaming(&self, desk: &Desk, view: &StepView<'_>, quotes: &mut [Quote]) {
        if !desk.roams {
            return;
        }
        let roaming = desk.holdings.iter().zip(&self.alpha).rev().take_while(|(holding, _)| holding.is_roaming);
        for (holding, _) in roaming.filter(|(_, alpha)| **alpha > 0.0) {
            quotes[holding.slot].update(holding.slot, view);
        }
    }

    /// A holder's dividend is validator part x (1 - take) x position / staked x the factor of its validator (MODEL 9, 5), and
    /// compounds as alpha.
    pub(crate) fn accrue(&mut self, desk: &Desk, quotes: &[Quote]) {
        for ((alpha, holding), copy) in self.alpha.iter_mut().zip(&desk.holdings).zip(&self.copies) {
            if *alpha > 0.0 {
                let quote = &quotes[holding.slot];
                // On the path others may have sold what a book that does not move it holds: it is then the only staker.
                let staked_alpha = (quote.staked_alpha + copy.staked_alpha()).max(*alpha);
                if staked_alpha > 0.0 {
                    let average = holding.kept * quote.validator_alpha * (*alpha / staked_alpha);
                    *alpha += average * quote.factor;
                }
            }
        }
    }

    pub(crate) fn settle(&mut self, desk: &Desk, event: &LifecycleEvent) {
        if event.kind != EventKind::Deregistered {
            return;
        }
        for (index, holding) in desk.holdings.iter().enumerate().filter(|(_, holding)| holding.slot == event.slot) {
            self.copies[index] = PoolCopy::UNTOUCHED;
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

    /// Lets liquidity that a step brought into the path's pools dilute what sets the copies apart.
    pub(crate) fn dilute(&mut self, desk: &Desk, path: &PathState, growth: impl Fn(usize) -> f64) {
        if !self.has_copies {
            return;
        }
        self.has_copies = false;
        for (copy, holding) in self.copies.iter_mut().zip(&desk.holdings).filter(|(copy, _)| copy.is_touched()) {
            self.has_copies = true;
            copy.dilute(valuation::pool_of(path, holding.slot), growth(holding.slot));
        }
    }

    /// Notes what is in the path's pools when a step closes.
    pub(crate) fn close_step(&mut self, desk: &Desk, path: &PathState) {
        if !self.has_copies {
            return;
        }
        for (copy, holding) in self.copies.iter_mut().zip(&desk.holdings).filter(|(copy, _)| copy.is_touched()) {
            copy.close_step(valuation::pool_of(path, holding.slot).reserve_tao);
        }
    }

    /// Value (TAO) at spot of what is held of `holding`, the holding number `index`.
    #[inline]
    pub(crate) fn value_of(&self, index: usize, holding: &Holding, quotes: &[Quote]) -> f64 {
        self.alpha[index] * (quotes[holding.slot].price * self.copies[index].price_factor())
    }

    /// Values the book at spot, in every step: the drawdown needs its peak.
    pub(crate) fn mark(&mut self, desk: &Desk, quotes: &[Quote]) {
        let holdings = self.alpha.iter().zip(&desk.holdings).zip(&self.copies);
        let value = holdings.fold(self.cash_tao, |sum, ((alpha, holding), copy)| {
            sum + alpha * (quotes[holding.slot].price * copy.price_factor())
        });
        self.mark_tao = value;
        if value < self.lowest_tao {
            self.lowest_tao = value;
        }
        if value >= self.peak_tao {
            self.peak_tao = value;
            self.under_water_steps = 0;
        } else {
            self.under_water_steps += 1;
            self.longest_under_water_steps = self.longest_under_water_steps.max(self.under_water_steps);
        }
        let drawdown = if self.peak_tao > 0.0 { 1.0 - value / self.peak_tao } else { 0.0 };
        if drawdown > self.max_drawdown {
            self.max_drawdown = drawdown;
        }
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
    /// where `values` has a place for it.
    pub(crate) fn value(&self, desk: &Desk, path: &PathState, fee_rate: f64, values: &mut [PositionValue]) {
        let value = |(index, holding): (usize, &Holding)| match self.alpha[index] {
            0.0 => PositionValue { earned_tao: self.earned_tao[index], ..PositionValue::default() },
            alpha => PositionValue {
                mark_tao: alpha * (path.price(holding.slot) * self.copies[index].price_factor()),
                liquidation_tao: valuation::sale_proceeds(
                    &self.copies[index].pool(valuation::pool_of(path, holding.slot)),
                    alpha,
                    fee_rate,
                ),
                earned_tao: self.earned_tao[index],
            },
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
            ..PathRow::EMPTY
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut quotes = vec![Quote::NONE; SLOT_CAPACITY];
        quotes[3] = Quote { price: 0.1, staked_alpha: 1.0, validator_alpha: 200.0, factor: 1.0 };
        let mut state = BookState::default();
        state.open(&book, &desk, &quotes);
        state.accrue(&desk, &quotes);
        assert!((state.alpha[0] - (50.0 + 0.9 * 200.0)).abs() < 1e-12, "{:?}", state.alpha);
        quotes[3].staked_alpha = 1_000.0;
        state.accrue(&desk, &quotes);
        assert!((state.alpha[0] - 230.0 * (1.0 + 0.9 * 200.0 / 1_000.0)).abs() < 1e-12, "{:?}", state.alpha);
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
