//! Execution: the orders of one book after one step, in the path's own pools or in the book's copies.

use crate::engine::policy;
use crate::engine::policy::Market;
use crate::portfolio::board::Board;
use crate::portfolio::bulk::Bulk;
use crate::portfolio::bulk::Fill;
use crate::portfolio::bulk::NotePurchases;
use crate::portfolio::bulk::NoteSales;
use crate::portfolio::bulk::ROUNDING;
use crate::portfolio::bulk::Side;
use crate::portfolio::decision::Budget;
use crate::portfolio::decision::Orders;
use crate::portfolio::pool_copy::PoolCopy;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::valuation;
use crate::protocol::pool::Pool;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::trade::Order;
use crate::protocol::trade::OrderError;
use crate::protocol::trade::Trade;
use crate::simd;
use crate::simd::Backend;
use crate::units::NetUid;

/// Orders from which on it is quicker to execute them all at once.
const AT_ONCE_MIN: usize = 4;

/// Trades for one book.
pub(crate) struct Dealer<'d, 'm> {
    /// The path's pools.
    pub market: &'d mut Market<'m>,
    /// Whether orders move them; else they move the book's copies.
    pub in_path: bool,
    /// Whether it may buy again what it has sold; else a copy ends with the holding.
    pub may_buy: bool,
    /// Largest relative price move of an order; `None`: any.
    pub slippage_max: Option<f64>,
    pub desk: &'d Desk,
    pub state: &'d mut BookState,
}

/// Where orders of one book meet all at once.
pub(crate) struct Counter<'a> {
    /// Scratch.
    pub bulk: &'a mut Bulk,
    /// The pools of the path.
    pub board: &'a Board,
    pub backend: Backend,
}

impl Dealer<'_, '_> {
    /// Sells, then buys with what the budget allows; at `counter` where that is as good as order by order.
    pub(crate) fn execute(&mut self, orders: &Orders, counter: &mut Counter<'_>) {
        let cash_tao = self.state.cash_tao;
        if orders.sale_count.max(orders.purchase_count) >= AT_ONCE_MIN {
            counter.bulk.meet(counter.board.slots(), self.market.view().path);
        }
        if !(orders.sale_count >= AT_ONCE_MIN && self.sell_at_once(&orders.sales, counter)) {
            given(&orders.sales).for_each(|(holding, alpha)| self.sell(holding, alpha));
        }
        let budget_tao = match orders.budget {
            Budget::Proceeds => self.state.cash_tao - cash_tao,
            Budget::Cash(tao) => tao,
            Budget::AllCash => self.state.cash_tao,
        };
        let unit_tao = budget_tao.min(self.state.cash_tao) / orders.purchases.iter().sum::<f64>();
        if !(orders.purchase_count >= AT_ONCE_MIN && self.buy_at_once(&orders.purchases, unit_tao, counter)) {
            given(&orders.purchases).for_each(|(holding, part)| self.buy(holding, unit_tao * part));
        }
    }

    /// [`Self::sell`] of all `sales`; `false` where it has done nothing.
    fn sell_at_once(&mut self, sales: &[f64], counter: &mut Counter<'_>) -> bool {
        let is_done = self.fill(Side::Sell, sales, 1.0, counter);
        if is_done {
            let (orders, state, keeps_copies) = (&*counter.bulk, &mut *self.state, self.may_buy);
            self.state.cash_tao += simd::dispatch(counter.backend, NoteSales { orders, state, keeps_copies });
        }
        is_done
    }

    /// [`Self::buy`] of all `purchases`, each for `unit_tao` times its part; `false` where it has done nothing.
    fn buy_at_once(&mut self, purchases: &[f64], unit_tao: f64, counter: &mut Counter<'_>) -> bool {
        let is_done = unit_tao > 0.0 && self.fill(Side::Buy, purchases, unit_tao, counter);
        if is_done {
            let (orders, state) = (&*counter.bulk, &mut *self.state);
            let paid_tao = simd::dispatch(counter.backend, NotePurchases { orders, state });
            // All that there is may come to more than that by a rounding.
            self.state.cash_tao = (self.state.cash_tao - paid_tao).max(0.0);
        }
        is_done
    }

    /// Fills orders in the book's copies, in so large units; whether that is all that there is to them.
    fn fill(&mut self, side: Side, gross: &[f64], unit: f64, counter: &mut Counter<'_>) -> bool {
        if self.in_path || self.slippage_max.is_some() {
            return false;
        }
        let (protocol, copies) = (self.market.view().path.protocol, &self.state.copies);
        let (fee_rate, pays_author) = (protocol.fee_rate, protocol.pool_rule.pays_author());
        let Counter { bulk, board, backend } = counter;
        let fill = Fill { side, gross, unit, orders: bulk, board, copies, fee_rate, pays_author };
        let are_plain = simd::dispatch(*backend, fill);
        self.state.has_copies |= are_plain;
        are_plain
    }

    /// Sells at most `alpha` of a holding.
    pub(crate) fn sell(&mut self, holding: usize, alpha: f64) {
        let gross_alpha = match self.slippage_max {
            None => alpha,
            Some(part) => {
                let pool = self.pool(holding);
                alpha.min(pool.alpha_to_price(pool.spot_price() * (1.0 - part)))
            }
        };
        if !(gross_alpha > 0.0) {
            return;
        }
        let netuid = NetUid::from_slot(self.desk.holdings[holding].slot);
        let Some(trade) = self.trade(holding, Order::Sell { netuid, gross_alpha }) else { return };
        self.note_sale(holding, trade.paid_in, trade.paid_out);
    }

    /// Notes that `paid_in` (alpha) of a holding was sold for `paid_out` (TAO).
    fn note_sale(&mut self, holding: usize, paid_in: f64, paid_out: f64) {
        let state = &mut *self.state;
        let left = state.alpha[holding] - paid_in;
        state.alpha[holding] = if left <= ROUNDING * state.alpha[holding] { 0.0 } else { left };
        if !self.may_buy && state.alpha[holding] == 0.0 {
            state.copies.set(holding, PoolCopy::UNTOUCHED);
        }
        state.earned_tao[holding] += paid_out;
        state.cash_tao += paid_out;
        state.was_sold[holding / CHUNK_SLOTS] |= 1 << (holding % CHUNK_SLOTS);
        state.sold_in_part |= state.alpha[holding] > 0.0;
    }

    /// Buys more of a holding for at most `tao`, and what there is in cash.
    fn buy(&mut self, holding: usize, tao: f64) {
        let wanted_tao = tao.min(self.state.cash_tao);
        let gross_tao = match self.slippage_max {
            None => wanted_tao,
            Some(part) => {
                let pool = self.pool(holding);
                let fee_rate = self.market.view().path.protocol.fee_rate;
                wanted_tao.min(pool.tao_to_price(pool.spot_price() * (1.0 + part)) / (1.0 - fee_rate))
            }
        };
        if !(gross_tao > 0.0) {
            return;
        }
        let netuid = NetUid::from_slot(self.desk.holdings[holding].slot);
        let Some(trade) = self.trade(holding, Order::Buy { netuid, gross_tao }) else { return };
        self.note_purchase(holding, trade.paid_in, trade.paid_out);
    }

    /// Notes that `paid_out` (alpha) of a holding was bought for `paid_in` (TAO).
    fn note_purchase(&mut self, holding: usize, paid_in: f64, paid_out: f64) {
        self.state.alpha[holding] += paid_out;
        self.state.earned_tao[holding] -= paid_in;
        self.state.cash_tao -= paid_in;
    }

    fn trade(&mut self, holding: usize, order: Order) -> Option<Trade> {
        let slot = self.desk.holdings[holding].slot;
        let trade = match (self.in_path, order) {
            (true, Order::Sell { gross_alpha, .. }) => self.market.sell(slot, gross_alpha),
            (true, Order::Buy { gross_tao, .. }) => self.market.buy(slot, gross_tao),
            (false, order) => self.trade_in_copy(holding, order),
        };
        self.state.refused_orders += u32::from(trade.is_err());
        trade.ok()
    }

    fn trade_in_copy(&mut self, holding: usize, order: Order) -> Result<Trade, OrderError> {
        let view = self.market.view();
        self.state.has_copies = true;
        let subnet = policy::subnet_in(view.path, self.desk.holdings[holding].slot).ok_or(OrderError::UnknownSubnet)?;
        let mut copy = self.state.copies.get(holding);
        let trade = copy.execute(&view.path.protocol, subnet, order)?;
        self.state.copies.set(holding, copy);
        Ok(trade)
    }

    /// The pool that an order of the holding meets.
    pub(crate) fn pool(&self, holding: usize) -> Pool {
        let pool = valuation::pool_of(self.market.view().path, self.desk.holdings[holding].slot);
        self.state.copies.get(holding).pool(pool)
    }
}

/// The orders that are given, with their holdings.
fn given(orders: &[f64]) -> impl Iterator<Item = (usize, f64)> + '_ {
    orders.iter().copied().enumerate().filter(|(_, order)| *order > 0.0)
}
