//! Execution: the orders of one book after one step, in the path's own pools or in the book's copies.

use crate::engine::policy;
use crate::engine::policy::Market;
use crate::portfolio::decision::Budget;
use crate::portfolio::decision::Orders;
use crate::portfolio::pool_copy::PoolCopy;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::state::Quote;
use crate::portfolio::valuation;
use crate::protocol::pool::Pool;
use crate::protocol::trade::Order;
use crate::protocol::trade::OrderError;
use crate::protocol::trade::Trade;
use crate::units::NetUid;

/// Part of a holding that rounding may leave of one that was sold.
const ROUNDING: f64 = 1e-12;

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
    pub quotes: &'d mut [Quote],
}

impl Dealer<'_, '_> {
    /// Sells, then buys with what the budget allows.
    pub(crate) fn execute(&mut self, orders: &Orders) {
        let cash_tao = self.state.cash_tao;
        for &(holding, alpha) in &orders.sales {
            self.sell(holding, alpha);
        }
        let budget_tao = match orders.budget {
            Budget::Proceeds => self.state.cash_tao - cash_tao,
            Budget::Cash(tao) => tao,
            Budget::AllCash => self.state.cash_tao,
        };
        let parts = orders.purchases.iter().fold(0.0, |sum, (_, part)| sum + part);
        for &(holding, part) in &orders.purchases {
            self.buy(holding, budget_tao * (part / parts));
        }
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
        let state = &mut *self.state;
        let left = state.alpha[holding] - trade.paid_in;
        state.alpha[holding] = if left <= ROUNDING * state.alpha[holding] { 0.0 } else { left };
        if !self.may_buy && state.alpha[holding] == 0.0 {
            state.copies[holding] = PoolCopy::UNTOUCHED;
        }
        state.earned_tao[holding] += trade.paid_out;
        state.cash_tao += trade.paid_out;
        state.was_sold[holding] = true;
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
        self.state.alpha[holding] += trade.paid_out;
        self.state.earned_tao[holding] -= trade.paid_in;
        self.state.cash_tao -= trade.paid_in;
    }

    fn trade(&mut self, holding: usize, order: Order) -> Option<Trade> {
        let slot = self.desk.holdings[holding].slot;
        let trade = match (self.in_path, order) {
            (true, Order::Sell { gross_alpha, .. }) => self.market.sell(slot, gross_alpha),
            (true, Order::Buy { gross_tao, .. }) => self.market.buy(slot, gross_tao),
            (false, order) => self.trade_in_copy(holding, order),
        };
        self.quotes[slot].update(slot, &self.market.view());
        self.state.refused_orders += u32::from(trade.is_err());
        trade.ok()
    }

    fn trade_in_copy(&mut self, holding: usize, order: Order) -> Result<Trade, OrderError> {
        let view = self.market.view();
        self.state.has_copies = true;
        let subnet = policy::subnet_in(view.path, self.desk.holdings[holding].slot).ok_or(OrderError::UnknownSubnet)?;
        self.state.copies[holding].execute(&view.path.protocol, subnet, order)
    }

    /// The pool that an order of the holding meets.
    pub(crate) fn pool(&self, holding: usize) -> Pool {
        let pool = valuation::pool_of(self.market.view().path, self.desk.holdings[holding].slot);
        self.state.copies[holding].pool(pool)
    }
}
