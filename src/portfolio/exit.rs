//! The exit basis: what a book brings that begins to leave at a report horizon and sells over days, while the path goes on.
//!
//! At the horizon and at each step's end until `days` later a book sells of each position at most a part of the pool's alpha, in
//! copies of its own ([`crate::portfolio::pool_copy`]); what is left by then is sold whole. Until sold, positions earn dividends,
//! and a deregistration pays them out. The exit value is the cash held at the horizon and what came in; in USD at the rate of
//! each day. Where all can be sold at once it is the liquidation value. An order that the chain refuses brings nothing.
//!
//! Not modelled: policies, which end at the horizon for this basis; others that leave the same pools in the same days, besides
//! what flows do of themselves.

use crate::engine::policy::Market;
use crate::portfolio::board::Board;
use crate::portfolio::dealer::Dealer;
use crate::portfolio::passes::AdvanceBook;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::state::Pass;
use crate::simd;
use crate::simd::Backend;

/// How books leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExitPlan {
    /// Steps that it takes.
    pub steps: u32,
    /// Most alpha sold at a step's end, as a fraction of the pool's.
    pub participation_per_step: f64,
}

/// One book that leaves on one path from one horizon on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exit {
    /// What is still held, and what it has brought.
    pub state: BookState,
    /// What it has brought, each amount at the rate of its day (USD).
    pub cash_usd: f64,
}

impl Exit {
    /// Begins with what `state` holds. `tao_usd`: the rate at the horizon.
    pub(crate) fn begin(&mut self, state: &BookState, tao_usd: f64) {
        self.state.copy_holdings(state);
        self.cash_usd = self.state.cash_tao * tao_usd;
    }

    /// Lets what a step brought come in, which `board` has noted. `worth` is scratch.
    pub(crate) fn advance(
        &mut self,
        backend: Backend,
        desk: &Desk,
        board: &Board,
        market: &Market<'_>,
        worth: &mut [f64],
    ) {
        let (view, cash_tao) = (market.view(), self.state.cash_tao);
        let pass = Pass { accrues: true, dilutes: true };
        simd::dispatch(backend, AdvanceBook { board, desk, state: &mut self.state, worth, pass });
        view.events.iter().for_each(|event| self.state.settle(desk, event, worth));
        self.count_usd(cash_tao, view.path.outside.tao_usd);
    }

    /// Sells what the plan allows after a step, in copies; everything at the `last`.
    pub(crate) fn sell(&mut self, desk: &Desk, market: &mut Market<'_>, plan: ExitPlan, is_last: bool) {
        let cash_tao = self.state.cash_tao;
        let mut dealer =
            Dealer { market, in_path: false, may_buy: false, slippage_max: None, desk, state: &mut self.state };
        for holding in 0..desk.holdings.len() {
            let held = dealer.state.alpha[holding];
            if held > 0.0 {
                let alpha = part_to_sell(held, plan, dealer.pool(holding).reserve_alpha, is_last);
                dealer.sell(holding, alpha);
            }
        }
        self.count_usd(cash_tao, market.view().path.outside.tao_usd);
    }

    /// Counts cash that came in since there was `cash_tao` at the rate of now.
    fn count_usd(&mut self, cash_tao: f64, tao_usd: f64) {
        self.cash_usd += (self.state.cash_tao - cash_tao) * tao_usd;
    }
}

/// Alpha of `held` to be sold in a pool of `reserve_alpha`, and of it all at the `last` chance.
pub(crate) fn part_to_sell(held: f64, plan: ExitPlan, reserve_alpha: f64, is_last: bool) -> f64 {
    if is_last { held } else { held.min(plan.participation_per_step * reserve_alpha) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn participation_limits_all_but_the_last_sale() {
        let plan = ExitPlan { steps: 3, participation_per_step: 0.1 };
        assert_eq!(part_to_sell(500.0, plan, 1_000.0, false), 100.0);
        assert_eq!(part_to_sell(50.0, plan, 1_000.0, false), 50.0);
        assert_eq!(part_to_sell(500.0, plan, 1_000.0, true), 500.0);
    }
}
