//! What a position is worth: at spot, and sold now through its pool.

use crate::engine::path::PathState;
use crate::engine::plan::locate;
use crate::protocol::pool;
use crate::protocol::pool::Pool;

/// The pool of `slot`.
pub fn pool_of(path: &PathState, slot: usize) -> Pool {
    let (chunk, lane) = locate(slot);
    let chain = &path.chain[chunk];
    Pool {
        reserve_tao: chain.reserve_tao[lane],
        reserve_alpha: chain.reserve_alpha[lane],
        weight_tao: chain.weight_tao[lane],
    }
}

/// Value (TAO) of `alpha` at the spot price of `slot`.
pub fn mark_value(path: &PathState, slot: usize, alpha: f64) -> f64 {
    alpha * path.price(slot)
}

/// TAO paid for `alpha` sold now into the pool of `slot`: see [`sale_proceeds`].
///
/// A book has one position per subnet, so this is all its alpha of the pool together.
pub fn liquidation_value(path: &PathState, slot: usize, alpha: f64, fee_rate: f64) -> f64 {
    sale_proceeds(&pool_of(path, slot), alpha, fee_rate)
}

/// TAO paid for `alpha` sold in one trade without an own price limit, after the fee, as the chain does it: nothing where it
/// refuses the trade, and no more than down to its lowest price; what it then hands back is worth nothing.
///
/// The fee's alpha is sold after the trade, so it does not lower what the seller gets (MECHANICS 7.4).
/// Not modelled: a subnet that has not started sells as one that has; rounding to whole rao, below 1 rao.
/// Source: [`crate::protocol::trade::execute`].
pub fn sale_proceeds(pool: &Pool, alpha: f64, fee_rate: f64) -> f64 {
    let net_alpha = alpha - pool::fee(alpha, fee_rate);
    match pool.check_sell(net_alpha) {
        Ok(()) => pool.sell(pool.alpha_within_limit(net_alpha)),
        Err(_) => 0.0,
    }
}
