//! The pool of a subnet: price, trades, injection and fees, as formulas over real numbers.

use thiserror::Error;

use crate::protocol::rule_names::rule_versions;
use crate::protocol::state::SubnetState;

rule_versions! {
    /// Version of the pool (MECHANICS 7.1).
    pub enum PoolRule {
        /// Equal weights, no fee to the pool (spec 233 to 282).
        A0,
        /// Equal weights on virtual reserves; fees stay in the pool (spec 283 to 390).
        A1,
        /// [`PoolRule::A1`] with fees to the block author (spec 391 to 422).
        A1b,
        /// Weights that injections move; fees to the block author (spec 423 on).
        A2,
    }
}

impl PoolRule {
    /// Whether an injection moves the weights rather than the price.
    pub const fn is_weighted(self) -> bool {
        matches!(self, Self::A2)
    }

    /// Whether the fee of a trade goes to the block author rather than staying in the pool.
    pub const fn pays_author(self) -> bool {
        matches!(self, Self::A0 | Self::A1b | Self::A2)
    }
}

/// Smallest reserve (TAO or alpha) that the chain lets a trade take from: `MinimumReserve`.
pub const RESERVE_MIN: f64 = 0.001;
/// Largest net input of a trade, in multiples of the reserve that it enters.
pub const INPUT_MAX_RESERVES: f64 = 1_000.0;
/// Price (TAO per alpha) above which nothing is bought without an own limit: `max_price`.
pub const PRICE_MAX: f64 = 1e6;
/// Price (TAO per alpha) below which nothing is sold without an own limit: `min_price`.
pub const PRICE_MIN: f64 = 1e-6;
/// Most that a trade stopped by its price limit takes in, in multiples of the reserve that it enters: the chain holds the
/// power `(p / p')^w` as an unsigned 64-bit number of units of 10^-18.
pub const LIMITED_INPUT_MAX_RESERVES: f64 = u64::MAX as f64 / 1e18 - 1.0;
/// Smallest weight of either reserve: `MIN_WEIGHT` of the balancer.
pub const WEIGHT_MIN: f64 = 0.01;

/// Why the chain refuses a trade; the pool is then unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PoolError {
    /// The reserve paid out is below the chain's minimum, or the trade would pay out nothing.
    #[error("the pool's output reserve is too low for this trade")]
    ReservesTooLow,
    /// The spot price is at the price limit already, or beyond.
    #[error("the spot price is beyond the price limit")]
    PriceLimitExceeded,
    /// The net input is more than 1,000 times the reserve that it enters.
    #[error("the input is too large against the pool's input reserve")]
    InputTooLarge,
}

/// Reserves and weight of a pool. All amounts of one pool are in one unit: tokens (TAO and alpha), or rao of both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// TAO in the pool.
    pub reserve_tao: f64,
    /// Alpha in the pool.
    pub reserve_alpha: f64,
    /// Weight of TAO; that of alpha is the rest to 1. Between [`WEIGHT_MIN`] and `1 - WEIGHT_MIN`.
    pub weight_tao: f64,
}

impl From<&SubnetState> for Pool {
    fn from(subnet: &SubnetState) -> Self {
        Self { reserve_tao: subnet.reserve_tao, reserve_alpha: subnet.reserve_alpha, weight_tao: subnet.weight_tao }
    }
}

impl Pool {
    /// Weight of alpha.
    pub fn weight_alpha(&self) -> f64 {
        1.0 - self.weight_tao
    }

    /// Spot price (TAO per alpha); 0 without alpha in the pool.
    ///
    /// ```text
    /// p = (w_x / w_y) * (y / x)
    /// ```
    ///
    /// `x`, `w_x`: reserve and weight of alpha; `y`, `w_y`: of TAO.
    /// Source: pallets/swap/src/pallet/balancer.rs, `calculate_price`.
    pub fn spot_price(&self) -> f64 {
        if self.reserve_alpha > 0.0 {
            self.weight_alpha() / self.weight_tao * (self.reserve_tao / self.reserve_alpha)
        } else {
            0.0
        }
    }

    /// Alpha that `net_tao` (after fees) buys.
    ///
    /// ```text
    /// bought = x * (1 - (y / (y + net_tao))^(w_y / w_x))
    /// ```
    ///
    /// Requires positive reserves and `net_tao >= 0`; then `0 <= bought <= x`. Not checked here: see [`Pool::check_buy`].
    /// Rounding: the chain floors to whole rao, this does not.
    /// Source: pallets/swap/src/pallet/{balancer,swap_step}.rs, `exp_quote_base`, `convert_deltas`.
    pub fn buy(&self, net_tao: f64) -> f64 {
        paid_out(self.reserve_tao, self.reserve_alpha, net_tao, self.weight_tao / self.weight_alpha())
    }

    /// TAO that `net_alpha` (after fees) is sold for.
    ///
    /// ```text
    /// paid = y * (1 - (x / (x + net_alpha))^(w_x / w_y))
    /// ```
    ///
    /// Requires positive reserves and `net_alpha >= 0`; then `0 <= paid <= y`. Not checked here: see [`Pool::check_sell`].
    /// Rounding: the chain floors to whole rao, this does not.
    /// Source: pallets/swap/src/pallet/{balancer,swap_step}.rs, `exp_base_quote`, `convert_deltas`.
    pub fn sell(&self, net_alpha: f64) -> f64 {
        paid_out(self.reserve_alpha, self.reserve_tao, net_alpha, self.weight_alpha() / self.weight_tao)
    }

    /// The pool after [`Pool::buy`] of `net_tao`.
    pub fn after_buy(&self, net_tao: f64) -> Self {
        let reserve_alpha = self.reserve_alpha - self.buy(net_tao);
        Self { reserve_tao: self.reserve_tao + net_tao, reserve_alpha, ..*self }
    }

    /// The pool after [`Pool::sell`] of `net_alpha`.
    pub fn after_sell(&self, net_alpha: f64) -> Self {
        let reserve_tao = self.reserve_tao - self.sell(net_alpha);
        Self { reserve_alpha: self.reserve_alpha + net_alpha, reserve_tao, ..*self }
    }

    /// Spot price after a buy of `net_tao`: `p * ((y + net_tao) / y)^(1 / w_x)`.
    pub fn price_after_buy(&self, net_tao: f64) -> f64 {
        self.spot_price() * ((net_tao / self.reserve_tao).ln_1p() / self.weight_alpha()).exp()
    }

    /// Spot price after a sale of `net_alpha`: `p * (x / (x + net_alpha))^(1 / w_y)`.
    pub fn price_after_sell(&self, net_alpha: f64) -> f64 {
        self.spot_price() * (-(net_alpha / self.reserve_alpha).ln_1p() / self.weight_tao).exp()
    }

    /// Net TAO that moves the spot price up to `price`: `y * ((price / p)^w_x - 1)`. Requires `price >= p > 0`.
    pub fn tao_to_price(&self, price: f64) -> f64 {
        self.reserve_tao * growth(price / self.spot_price() - 1.0, self.weight_alpha())
    }

    /// Net alpha that moves the spot price down to `price`: `x * ((p / price)^w_y - 1)`. Requires `p >= price > 0`.
    pub fn alpha_to_price(&self, price: f64) -> f64 {
        self.reserve_alpha * growth(self.spot_price() / price - 1.0, self.weight_tao)
    }

    /// The part of a buy of `net_tao` (tokens) that the chain executes without an own price limit: all of it, or what moves
    /// the spot price to [`PRICE_MAX`], at most [`LIMITED_INPUT_MAX_RESERVES`] reserves.
    pub fn tao_within_limit(&self, net_tao: f64) -> f64 {
        // At most 2^4 times the price: cheaper to see than what it will be.
        if net_tao <= self.reserve_tao && self.weight_alpha() >= 0.25 && self.spot_price() <= PRICE_MAX / 16.0 {
            return net_tao;
        }
        if self.price_after_buy(net_tao) > PRICE_MAX {
            self.tao_to_price(PRICE_MAX).min(LIMITED_INPUT_MAX_RESERVES * self.reserve_tao)
        } else {
            net_tao
        }
    }

    /// The part of a sale of `net_alpha` (tokens) that the chain executes without an own price limit: all of it, or what
    /// moves the spot price to [`PRICE_MIN`], at most [`LIMITED_INPUT_MAX_RESERVES`] reserves.
    pub fn alpha_within_limit(&self, net_alpha: f64) -> f64 {
        if net_alpha <= self.reserve_alpha && self.weight_tao >= 0.25 && self.spot_price() >= PRICE_MIN * 16.0 {
            return net_alpha;
        }
        if self.price_after_sell(net_alpha) < PRICE_MIN {
            self.alpha_to_price(PRICE_MIN).min(LIMITED_INPUT_MAX_RESERVES * self.reserve_alpha)
        } else {
            net_alpha
        }
    }

    /// Weight of TAO after the protocol has added `tao` and `alpha`, such that the spot price stays; `None` where a weight
    /// would fall below [`WEIGHT_MIN`]: the chain then injects nothing.
    ///
    /// ```text
    /// w_y' = w_y * x * (y + tao) / (w_x * y * (x + alpha) + w_y * x * (y + tao))        1/2 if both terms are 0
    /// ```
    ///
    /// Source: pallets/swap/src/pallet/balancer.rs, `update_weights_for_added_liquidity`.
    pub fn weight_after_injection(&self, tao: f64, alpha: f64) -> Option<f64> {
        let alpha_part = self.weight_alpha() * self.reserve_tao * (self.reserve_alpha + alpha);
        let tao_part = self.weight_tao * self.reserve_alpha * (self.reserve_tao + tao);
        let sum = alpha_part + tao_part;
        let weight = if sum > 0.0 { tao_part / sum } else { 0.5 };
        (WEIGHT_MIN..=1.0 - WEIGHT_MIN).contains(&weight).then_some(weight)
    }

    /// Whether the chain executes a buy of `net_tao` (tokens) without an own price limit.
    ///
    /// # Errors
    /// The first condition violated, in the chain's order.
    pub fn check_buy(&self, net_tao: f64) -> Result<(), PoolError> {
        check(net_tao, self.reserve_tao, self.reserve_alpha, self.spot_price() < PRICE_MAX)
    }

    /// Whether the chain executes a sale of `net_alpha` (tokens) without an own price limit.
    ///
    /// # Errors
    /// The first condition violated, in the chain's order.
    pub fn check_sell(&self, net_alpha: f64) -> Result<(), PoolError> {
        check(net_alpha, self.reserve_alpha, self.reserve_tao, self.spot_price() > PRICE_MIN)
    }
}

/// Fee on the input of a trade, paid to the block author: `amount * fee_rate`.
/// Source: pallets/swap/src/pallet/impls.rs, `calculate_fee_amount`.
pub fn fee(amount: f64, fee_rate: f64) -> f64 {
    amount * fee_rate
}

/// `reserve_out * (1 - (reserve_in / (reserve_in + net_in))^exponent)`, the one formula of trades.
///
/// Evaluated with `ln_1p` and `exp_m1`: written literally, `1 - (...)` cancels for trades small against the pool.
/// At equal weights the exponent is 1 and the rational form is used: it is exact to a rounding.
pub(super) fn paid_out(reserve_in: f64, reserve_out: f64, net_in: f64, exponent: f64) -> f64 {
    if exponent == 1.0 {
        reserve_out * (net_in / (reserve_in + net_in))
    } else {
        -reserve_out * (-exponent * (net_in / reserve_in).ln_1p()).exp_m1()
    }
}

/// `(1 + excess)^weight - 1`, accurate for a small `excess`.
pub(super) fn growth(excess: f64, weight: f64) -> f64 {
    (weight * excess.ln_1p()).exp_m1()
}

fn check(net_in: f64, reserve_in: f64, reserve_out: f64, inside_limit: bool) -> Result<(), PoolError> {
    // Each condition is written so that NaN fails it.
    let not_too_large = net_in <= INPUT_MAX_RESERVES * reserve_in;
    let not_too_low = reserve_out >= RESERVE_MIN;
    match (not_too_large, not_too_low, inside_limit) {
        (false, _, _) => Err(PoolError::InputTooLarge),
        (_, false, _) => Err(PoolError::ReservesTooLow),
        (_, _, false) => Err(PoolError::PriceLimitExceeded),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: Pool = Pool { reserve_tao: 120_000.0, reserve_alpha: 200_000.0, weight_tao: 0.5 };
    const UNEVEN: Pool = Pool { reserve_tao: 128_000.0, reserve_alpha: 300_000.0, weight_tao: 0.55 };

    fn is_close(ours: f64, expected: f64) -> bool {
        (ours - expected).abs() <= 1e-13 * expected.abs()
    }

    #[test]
    fn product_of_reserves_is_constant_at_equal_weights() {
        let product = EVEN.reserve_tao * EVEN.reserve_alpha;
        for after in [EVEN.after_buy(5_000.0), EVEN.after_sell(70_000.0)] {
            assert!(is_close(after.reserve_tao * after.reserve_alpha, product));
        }
    }

    #[test]
    fn weighted_product_is_constant_at_any_weights() {
        let invariant = |pool: &Pool| pool.reserve_alpha.powf(0.45) * pool.reserve_tao.powf(0.55);
        for after in [UNEVEN.after_buy(5_000.0), UNEVEN.after_sell(70_000.0)] {
            assert!(is_close(invariant(&after), invariant(&UNEVEN)));
        }
    }

    #[test]
    fn both_forms_of_the_formula_agree_at_equal_weights() {
        let nearly = Pool { weight_tao: 0.5 + 1e-15, ..EVEN };
        assert!((EVEN.buy(1_000.0) / nearly.buy(1_000.0) - 1.0).abs() < 1e-13);
    }

    #[test]
    fn price_after_a_trade_is_the_price_of_the_pool_after_it() {
        for pool in [EVEN, UNEVEN] {
            assert!(is_close(pool.price_after_buy(7_000.0), pool.after_buy(7_000.0).spot_price()));
            assert!(is_close(pool.price_after_sell(7_000.0), pool.after_sell(7_000.0).spot_price()));
        }
    }

    #[test]
    fn amount_to_a_price_reaches_it() {
        for pool in [EVEN, UNEVEN] {
            let price = pool.spot_price();
            assert!(is_close(pool.price_after_buy(pool.tao_to_price(1.3 * price)), 1.3 * price));
            assert!(is_close(pool.price_after_sell(pool.alpha_to_price(0.4 * price)), 0.4 * price));
            assert_eq!(pool.tao_to_price(price), 0.0);
        }
    }

    #[test]
    fn trades_stop_at_the_default_limits() {
        let thin = Pool { reserve_alpha: 2.0, ..EVEN };
        assert_eq!(thin.tao_within_limit(1.0), 1.0);
        assert!(is_close(thin.after_buy(thin.tao_within_limit(1e6)).spot_price(), PRICE_MAX));
        let cheap = Pool { reserve_tao: 2.0, ..EVEN };
        assert!(is_close(cheap.after_sell(cheap.alpha_within_limit(1e6)).spot_price(), PRICE_MIN));
        assert_eq!(EVEN.alpha_within_limit(1e9), LIMITED_INPUT_MAX_RESERVES * EVEN.reserve_alpha);
    }

    #[test]
    fn tiny_trades_do_not_cancel() {
        let bought = UNEVEN.buy(1e-9);
        assert!((bought * UNEVEN.spot_price() / 1e-9 - 1.0).abs() < 1e-12);
        assert_eq!(UNEVEN.buy(0.0), 0.0);
    }

    #[test]
    fn an_empty_pool_has_price_zero() {
        assert_eq!(Pool { reserve_alpha: 0.0, ..EVEN }.spot_price(), 0.0);
        assert_eq!(Pool { reserve_tao: 0.0, ..EVEN }.spot_price(), 0.0);
    }

    #[test]
    fn injection_keeps_the_price_and_stops_at_the_bounds() {
        let weight_tao = UNEVEN.weight_after_injection(500.0, 20.0).unwrap();
        let (reserve_tao, reserve_alpha) = (UNEVEN.reserve_tao + 500.0, UNEVEN.reserve_alpha + 20.0);
        assert!(is_close(Pool { reserve_tao, reserve_alpha, weight_tao }.spot_price(), UNEVEN.spot_price()));
        assert_eq!(UNEVEN.weight_after_injection(2e7, 0.0), None);
        assert_eq!(UNEVEN.weight_after_injection(0.0, 5e7), None);
        assert_eq!(
            Pool { reserve_tao: 0.0, reserve_alpha: 0.0, weight_tao: 0.7 }.weight_after_injection(1.0, 1.0),
            Some(0.5)
        );
    }

    #[test]
    fn checks_name_the_violated_condition() {
        let thin = Pool { reserve_alpha: 0.0009, ..EVEN };
        assert_eq!(EVEN.check_buy(1_000.0 * EVEN.reserve_tao), Ok(()));
        assert_eq!(EVEN.check_buy(1_000.1 * EVEN.reserve_tao), Err(PoolError::InputTooLarge));
        assert_eq!(EVEN.check_buy(f64::NAN), Err(PoolError::InputTooLarge));
        assert_eq!(thin.check_buy(1.0), Err(PoolError::ReservesTooLow));
        assert_eq!(Pool { reserve_alpha: 0.01, ..EVEN }.check_buy(1.0), Err(PoolError::PriceLimitExceeded));
        assert_eq!(Pool { reserve_tao: 0.1, ..EVEN }.check_sell(1.0), Err(PoolError::PriceLimitExceeded));
    }
}
