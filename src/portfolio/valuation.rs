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

/// TAO paid for `alpha` sold into the pool of `slot` in one trade, after the fee.
///
/// The fee's alpha is sold after the trade, so it does not lower what the seller gets (MECHANICS 7.4).
/// Not modelled: the chain's refusal of trades above 1,000 times the reserve, which no book comes near.
pub fn liquidation_value(path: &PathState, slot: usize, alpha: f64, fee_rate: f64) -> f64 {
    sale_value(pool_of(path, slot), alpha, fee_rate)
}

/// The same in the pool `pool`.
pub fn sale_value(pool: Pool, alpha: f64, fee_rate: f64) -> f64 {
    pool.sell(alpha - pool::fee(alpha, fee_rate))
}
