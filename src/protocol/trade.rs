//! Trades of users against the pools of a chain state, with fees.

use thiserror::Error;

use crate::protocol::fixed::Rounding;
use crate::protocol::params::ProtocolParams;
use crate::protocol::pool;
use crate::protocol::pool::Pool;
use crate::protocol::pool::PoolError;
use crate::protocol::state::ChainState;
use crate::protocol::state::SubnetState;
use crate::units::NetUid;

/// A trade that a user asks for; gross of the fee. Amounts in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Stake TAO.
    Buy {
        /// Subnet.
        netuid: NetUid,
        /// TAO paid, fee included.
        gross_tao: f64,
    },
    /// Unstake alpha.
    Sell {
        /// Subnet.
        netuid: NetUid,
        /// Alpha paid, fee included.
        gross_alpha: f64,
    },
}

/// A trade of a user as executed. Amounts in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Paid in, fee included; less than was asked for where the chain's default price limit stopped the trade.
    pub paid_in: f64,
    /// Fee, in the token paid.
    pub fee: f64,
    /// Alpha bought, or TAO paid to the seller.
    pub paid_out: f64,
    /// TAO that the block author receives: the fee of a buy, the proceeds of the fee alpha of a sale; 0 where the fee stays
    /// in the pool.
    pub author_tao: f64,
}

/// Why an order was not executed; the state is then unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OrderError {
    /// No such subnet.
    #[error("there is no subnet of that netuid")]
    UnknownSubnet,
    /// Before start_call nobody can stake.
    #[error("the subnet has not started")]
    NotStarted,
    /// More TAO than there is in wallets.
    #[error("the order costs more TAO than there is in wallets")]
    NotEnoughTao,
    /// More alpha than is staked in the subnet.
    #[error("the order sells more alpha than is staked")]
    NotEnoughStake,
    /// The pool refuses.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Executes a user's order at the default price limits.
///
/// # Errors
/// The order is refused and the state unchanged: see [`OrderError`].
pub fn execute(
    params: &ProtocolParams,
    rounding: Rounding,
    state: &mut ChainState,
    order: Order,
) -> Result<Trade, OrderError> {
    let (Order::Buy { netuid, .. } | Order::Sell { netuid, .. }) = order;
    execute_in(params, rounding, find(state, netuid).ok_or(OrderError::UnknownSubnet)?, order)
}

/// [`execute`] in a subnet that was found; the order's netuid is not read.
///
/// # Errors
/// As [`execute`].
pub fn execute_in(
    params: &ProtocolParams,
    rounding: Rounding,
    subnet: &mut SubnetState,
    order: Order,
) -> Result<Trade, OrderError> {
    if !subnet.is_started() {
        return Err(OrderError::NotStarted);
    }
    match order {
        Order::Buy { gross_tao, .. } => buy(params, rounding, subnet, gross_tao),
        Order::Sell { gross_alpha, .. } => sell(params, rounding, subnet, gross_alpha),
    }
}

/// The fee goes to the block author and only the rest into the pool, or all of it into the pool.
fn buy(
    params: &ProtocolParams,
    rounding: Rounding,
    subnet: &mut SubnetState,
    gross_tao: f64,
) -> Result<Trade, OrderError> {
    let pool = Pool::from(&*subnet);
    let (mut net_tao, mut fee) = net_and_fee(rounding, gross_tao, params.fee_rate);
    pool.check_buy(net_tao)?;
    if pool.tao_within_limit(net_tao) < net_tao {
        net_tao = rounding.floor_rao(pool.tao_within_limit(net_tao));
        fee = rounding.floor_rao(fee_on_net(net_tao, params.fee_rate));
    }
    let bought_alpha = rounding.floor_rao(pool.buy(net_tao));
    let author_tao = if params.pool_rule.pays_author() { fee } else { 0.0 };
    subnet.reserve_tao += net_tao + (fee - author_tao);
    subnet.reserve_alpha -= bought_alpha;
    subnet.staked_alpha += bought_alpha;
    subnet.flow.pending.user += net_tao;
    Ok(Trade { paid_in: net_tao + fee, fee, paid_out: bought_alpha, author_tao })
}

/// The fee alpha stays in the pool or is sold for the block author right after the net alpha: all of the gross enters the
/// pool.
fn sell(
    params: &ProtocolParams,
    rounding: Rounding,
    subnet: &mut SubnetState,
    gross_alpha: f64,
) -> Result<Trade, OrderError> {
    let pool = Pool::from(&*subnet);
    let (mut net_alpha, mut fee) = net_and_fee(rounding, gross_alpha, params.fee_rate);
    pool.check_sell(net_alpha)?;
    if gross_alpha > subnet.staked_alpha {
        return Err(OrderError::NotEnoughStake);
    }
    if pool.alpha_within_limit(net_alpha) < net_alpha {
        net_alpha = rounding.floor_rao(pool.alpha_within_limit(net_alpha));
        fee = rounding.floor_rao(fee_on_net(net_alpha, params.fee_rate));
    }
    let paid_out = rounding.floor_rao(pool.sell(net_alpha));
    let author_tao = match params.pool_rule.pays_author() {
        true => rounding.floor_rao(pool.after_sell(net_alpha).sell(fee)),
        false => 0.0,
    };
    subnet.reserve_alpha += net_alpha + fee;
    subnet.staked_alpha -= net_alpha + fee;
    subnet.reserve_tao -= paid_out + author_tao;
    subnet.flow.pending.user -= paid_out + author_tao;
    Ok(Trade { paid_in: net_alpha + fee, fee, paid_out, author_tao })
}

fn net_and_fee(rounding: Rounding, gross: f64, fee_rate: f64) -> (f64, f64) {
    let fee = rounding.floor_rao(pool::fee(gross, fee_rate));
    (gross - fee, fee)
}

/// Fee of a trade that its price limit cut to `net`.
fn fee_on_net(net: f64, fee_rate: f64) -> f64 {
    net * (fee_rate / (1.0 - fee_rate))
}

/// The subnet of a netuid.
pub(super) fn find(state: &mut ChainState, netuid: NetUid) -> Option<&mut SubnetState> {
    let position = state.subnets.binary_search_by_key(&netuid, |subnet| subnet.netuid).ok()?;
    state.subnets.get_mut(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::pool::PoolRule;
    use crate::protocol::test_support::chain;
    use crate::protocol::test_support::params;

    const NETUID: NetUid = NetUid(1);

    #[test]
    fn a_buy_moves_only_the_net_amount_into_the_pool() {
        let (params, mut state) = (params(), chain(1));
        let before = state.subnets[0].clone();
        let trade = execute(&params, Rounding::Continuous, &mut state, Order::Buy { netuid: NETUID, gross_tao: 100.0 })
            .unwrap();
        let after = &state.subnets[0];
        assert_eq!(trade.author_tao, trade.fee);
        assert_eq!(after.reserve_tao, before.reserve_tao + (100.0 - trade.fee));
        assert_eq!(after.reserve_alpha, before.reserve_alpha - trade.paid_out);
        assert_eq!(after.staked_alpha, before.staked_alpha + trade.paid_out);
    }

    #[test]
    fn a_sale_moves_the_gross_amount_into_the_pool_and_pays_the_author_in_tao() {
        let (params, mut state) = (params(), chain(1));
        let before = state.subnets[0].clone();
        let trade =
            execute(&params, Rounding::Continuous, &mut state, Order::Sell { netuid: NETUID, gross_alpha: 500.0 })
                .unwrap();
        let after = &state.subnets[0];
        assert_eq!(trade.paid_in, 500.0);
        assert_eq!(after.reserve_alpha, before.reserve_alpha + 500.0);
        assert_eq!(after.staked_alpha, before.staked_alpha - 500.0);
        assert_eq!(after.reserve_tao, before.reserve_tao - (trade.paid_out + trade.author_tao));
        let (all, sold) = (Pool::from(&before).sell(500.0), trade.paid_out + trade.author_tao);
        assert!((all - sold).abs() < 1e-10 * all, "two sales in a row pay what one does");
    }

    #[test]
    fn the_fee_stays_in_the_pool_under_a1_and_goes_to_the_author_since() {
        for (pool_rule, in_pool) in [(PoolRule::A1, true), (PoolRule::A1b, false), (PoolRule::A2, false)] {
            let params = ProtocolParams { pool_rule, fee_rate: 0.25, ..params() };
            let (mut bought, mut sold) = (chain(1), chain(1));
            let buy = Order::Buy { netuid: NETUID, gross_tao: 100.0 };
            let trade = execute(&params, Rounding::Continuous, &mut bought, buy).unwrap();
            // 75 TAO buy 200,000 * 75 / 120,075 alpha.
            assert_eq!((trade.fee, trade.author_tao), (25.0, if in_pool { 0.0 } else { 25.0 }));
            assert_eq!(bought.subnets[0].reserve_tao, if in_pool { 120_100.0 } else { 120_075.0 });
            assert!((trade.paid_out - 200_000.0 * 75.0 / 120_075.0).abs() < 1e-9);
            assert_eq!(bought.subnets[0].flow.pending.user, 75.0);
            let sell = Order::Sell { netuid: NETUID, gross_alpha: 400.0 };
            let trade = execute(&params, Rounding::Continuous, &mut sold, sell).unwrap();
            // 300 alpha are paid 120,000 * 300 / 200,300 TAO; the author's 100 sell on.
            let (paid, left) = (120_000.0 * 300.0 / 200_300.0, 120_000.0 * 200_000.0 / 200_400.0);
            assert!((trade.paid_out - paid).abs() < 1e-9 && sold.subnets[0].reserve_alpha == 200_400.0);
            let expected = if in_pool { 120_000.0 - paid } else { left };
            assert!((sold.subnets[0].reserve_tao - expected).abs() < 1e-9, "{pool_rule:?}");
        }
    }

    #[test]
    fn a_trade_is_cut_at_the_default_price_limit() {
        let (params, mut state) = (params(), chain(1));
        state.subnets[0].reserve_tao = 2.0;
        let trade =
            execute(&params, Rounding::Continuous, &mut state, Order::Sell { netuid: NETUID, gross_alpha: 1e6 })
                .unwrap();
        assert!(trade.paid_in < 1e6 && (trade.fee / trade.paid_in - params.fee_rate).abs() < 1e-15);
        assert_eq!(state.subnets[0].staked_alpha, 3e6 - trade.paid_in);
        assert!((Pool::from(&state.subnets[0]).spot_price() / pool::PRICE_MIN - 1.0).abs() < 2.0 * params.fee_rate);
    }

    #[test]
    fn refused_orders_change_nothing() {
        let params = params();
        for (order, error) in [
            (Order::Buy { netuid: NetUid(9), gross_tao: 1.0 }, OrderError::UnknownSubnet),
            (Order::Buy { netuid: NetUid(2), gross_tao: 1.0 }, OrderError::NotStarted),
            (Order::Buy { netuid: NETUID, gross_tao: 1e12 }, OrderError::Pool(PoolError::InputTooLarge)),
            (Order::Buy { netuid: NETUID, gross_tao: f64::NAN }, OrderError::Pool(PoolError::InputTooLarge)),
            (Order::Sell { netuid: NETUID, gross_alpha: 4e6 }, OrderError::NotEnoughStake),
        ] {
            let mut state = chain(2);
            state.subnets[1].first_emission_block = None;
            let before = state.clone();
            assert_eq!(execute(&params, Rounding::Continuous, &mut state, order), Err(error));
            assert_eq!(state, before);
        }
    }
}
