//! The pool in whole rao: the same rules as in `pool`, with the chain's rounding, price limits and refusals.

use crate::protocol::fixed::ONE_U64F64;
use crate::protocol::fixed::mul_div_floor;
use crate::protocol::fixed::mul_u64f64;
use crate::protocol::fixed::ratio_u64f64;
use crate::protocol::pool::LIMITED_INPUT_MAX_RESERVES;
use crate::protocol::pool::PoolError;
use crate::protocol::pool::growth;
use crate::protocol::pool::paid_out;

/// 1 as a weight (`Perquintill`, parts of 10^18).
pub const WEIGHT_ONE: u64 = 1_000_000_000_000_000_000;
/// `MinimumReserve` (rao).
const RESERVE_MIN_RAO: u64 = 1_000_000;
const INPUT_MAX_RESERVES: u64 = 1_000;

/// Direction of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// TAO in, alpha out.
    Buy,
    /// Alpha in, TAO out.
    Sell,
}

/// One trade as asked for. Amounts in rao of the token paid in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwapRequest {
    /// Direction.
    pub side: Side,
    /// Gross input, fee included.
    pub amount: u64,
    /// `FeeRate` (parts of 65,535); 0 for fee-free trades.
    pub fee_rate: u16,
    /// Price (rao per alpha token) that the spot price must not pass.
    pub price_limit: u64,
}

/// One trade as executed. `paid_in + fee` is below the request where the price limit stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap {
    /// Input that entered the pool, net of fee.
    pub paid_in: u64,
    /// Output.
    pub paid_out: u64,
    /// Fee, in the token paid in; it does not enter the pool here.
    pub fee: u64,
}

/// Reserves (rao) and TAO weight (parts of 10^18) of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRao {
    /// TAO in the pool (rao).
    pub reserve_tao: u64,
    /// Alpha in the pool (rao).
    pub reserve_alpha: u64,
    /// `SwapBalancer.quote`.
    pub weight_tao: u64,
}

impl PoolRao {
    /// Spot price as the chain holds it (U64F64 raw bits): two truncated quotients, multiplied and truncated.
    pub fn spot_price_raw(&self) -> u128 {
        let weights = ratio_u64f64(WEIGHT_ONE - self.weight_tao, self.weight_tao);
        mul_u64f64(weights, ratio_u64f64(self.reserve_tao, self.reserve_alpha))
    }

    /// Executes `request` on the pool.
    ///
    /// The price limit is compared with the spot price after the whole trade; if that lies beyond, the input is cut to
    /// `reserve * ((p / p')^w - 1)`, at most 17.4467 reserves, and the fee is taken on what is left.
    /// Limits of validity: the power is evaluated in `f64`, so that trades of more than half a pool of unequal weights can
    /// pay 1 rao more or less than the chain's; everything else is exact.
    /// Source: pallets/swap/src/pallet/{impls,swap_step}.rs, `swap_inner`, `determine_action`, `process_swap`.
    ///
    /// # Errors
    /// The first condition of the chain that is violated; the pool is then unchanged.
    pub fn swap(&mut self, request: SwapRequest) -> Result<Swap, PoolError> {
        let mut fee = fee_rao(request.amount, request.fee_rate);
        let mut paid_in = request.amount - fee;
        self.check(request, paid_in)?;
        let limit = ratio_u64f64(request.price_limit, 1_000_000_000);
        let target = self.after(request.side, paid_in, self.quote(request.side, paid_in)).spot_price_raw();
        if !request.side.reaches(target, limit) {
            paid_in = self.input_to_price(request.side, limit);
            fee = fee_on_net_rao(paid_in, request.fee_rate);
        }
        let paid_out = self.quote(request.side, paid_in);
        if paid_in > 0 && paid_out == 0 {
            return Err(PoolError::ReservesTooLow);
        }
        *self = self.after(request.side, paid_in, paid_out);
        Ok(Swap { paid_in, paid_out, fee })
    }

    /// Output of a trade of `net_in`, floored, without any check.
    ///
    /// The chain rounds the part that stays, `(reserve_in / (reserve_in + net_in))^exponent`, down to 10^-18 and then to 2^-64,
    /// so that a little more leaves: over many small trades on reserves of 10^16 rao that adds up.
    pub fn quote(&self, side: Side, net_in: u64) -> u64 {
        let (_, reserve_out) = self.reserves(side);
        let stays = ratio_u64f64(WEIGHT_ONE.saturating_sub(self.leaving(side, net_in)), WEIGHT_ONE);
        (mul_u64f64(ONE_U64F64 - stays, u128::from(reserve_out) << 64) >> 64) as u64
    }

    /// Adds protocol liquidity; the weights move so that the spot price does not. Returns whether it was added: the chain
    /// injects nothing where a weight would leave 0.01 to 0.99. Exact in integers.
    ///
    /// ```text
    /// q1 = round(w_x * y * (x + alpha))    q2 = round(w_y * x * (y + tao))    w_y' = floor(q2 / (q1 + q2))
    /// ```
    ///
    /// Source: pallets/swap/src/pallet/{impls,balancer}.rs, `adjust_protocol_liquidity`, `update_weights_for_added_liquidity`.
    pub fn inject(&mut self, tao: u64, alpha: u64) -> bool {
        let (x, y) = (u128::from(self.reserve_alpha), u128::from(self.reserve_tao));
        let alpha_part = mul_weight_round(WEIGHT_ONE - self.weight_tao, y.saturating_mul(x + u128::from(alpha)));
        let tao_part = mul_weight_round(self.weight_tao, x.saturating_mul(y + u128::from(tao)));
        let Some(weight_tao) = weight_of(tao_part, alpha_part.saturating_add(tao_part)) else {
            return false;
        };
        *self = Self {
            reserve_tao: self.reserve_tao.saturating_add(tao),
            reserve_alpha: self.reserve_alpha.saturating_add(alpha),
            weight_tao,
        };
        true
    }

    /// Part of the output reserve that leaves (parts of 10^18), rounded up; at equal weights exact.
    fn leaving(&self, side: Side, net_in: u64) -> u64 {
        let (reserve_in, _) = self.reserves(side);
        let (weight_in, weight_out) = self.weights(side);
        if weight_in == weight_out {
            let (net_in, reserve_in) = (u128::from(net_in), u128::from(reserve_in));
            return (net_in * u128::from(WEIGHT_ONE)).div_ceil((reserve_in + net_in).max(1)) as u64;
        }
        // The quotient is taken of integers: `1 - weight` in f64 would lose digits of a weight of 0.01.
        let exponent = weight_in as f64 / weight_out as f64;
        (paid_out(reserve_in as f64, 1.0, net_in as f64, exponent) * WEIGHT_ONE as f64).ceil() as u64
    }

    fn check(&self, request: SwapRequest, net_in: u64) -> Result<(), PoolError> {
        let (reserve_in, reserve_out) = self.reserves(request.side);
        let limit = ratio_u64f64(request.price_limit, 1_000_000_000);
        let spot = self.spot_price_raw();
        if net_in > reserve_in.saturating_mul(INPUT_MAX_RESERVES) {
            Err(PoolError::InputTooLarge)
        } else if reserve_out < RESERVE_MIN_RAO {
            Err(PoolError::ReservesTooLow)
        } else if spot == limit || !request.side.reaches(spot, limit) {
            Err(PoolError::PriceLimitExceeded)
        } else {
            Ok(())
        }
    }

    /// Input that moves the spot price to `price` (raw bits).
    fn input_to_price(&self, side: Side, price: u128) -> u64 {
        let spot = self.spot_price_raw();
        let (high, low) = (spot.max(price), spot.min(price));
        let (_, weight_out) = self.weights(side);
        let weight = weight_out as f64 / WEIGHT_ONE as f64;
        let reserves = growth((high - low) as f64 / low as f64, weight).min(LIMITED_INPUT_MAX_RESERVES);
        (self.reserves(side).0 as f64 * reserves) as u64
    }

    fn after(&self, side: Side, paid_in: u64, paid_out: u64) -> Self {
        let (reserve_in, reserve_out) = self.reserves(side);
        let (new_in, new_out) = (reserve_in.saturating_add(paid_in), reserve_out.saturating_sub(paid_out));
        let (reserve_tao, reserve_alpha) = match side {
            Side::Buy => (new_in, new_out),
            Side::Sell => (new_out, new_in),
        };
        Self { reserve_tao, reserve_alpha, weight_tao: self.weight_tao }
    }

    /// Reserve that the input enters, and the other.
    fn reserves(&self, side: Side) -> (u64, u64) {
        match side {
            Side::Buy => (self.reserve_tao, self.reserve_alpha),
            Side::Sell => (self.reserve_alpha, self.reserve_tao),
        }
    }

    /// Weight of the token paid in, and of the other.
    fn weights(&self, side: Side) -> (u64, u64) {
        let weight_alpha = WEIGHT_ONE - self.weight_tao;
        match side {
            Side::Buy => (self.weight_tao, weight_alpha),
            Side::Sell => (weight_alpha, self.weight_tao),
        }
    }
}

impl Side {
    /// Whether a trade of this side may move the spot price to `price` under `limit` (raw bits).
    fn reaches(self, price: u128, limit: u128) -> bool {
        match self {
            Self::Buy => price <= limit,
            Self::Sell => price >= limit,
        }
    }
}

/// Weight of TAO of a new pool at `price_raw` (U64F64 bits), or one half where no price is given.
/// `None`: a weight would leave 0.01 to 0.99, or the pool is empty; the chain then refuses with `ReservesOutOfBalance`.
///
/// ```text
/// w_y = y / (p * x + y)
/// ```
///
/// Source: pallets/swap/src/pallet/impls.rs, `maybe_initialize_palswap`.
pub fn initial_weight(reserve_tao: u64, reserve_alpha: u64, price_raw: Option<u128>) -> Option<u64> {
    let Some(price) = price_raw else {
        return Some(WEIGHT_ONE / 2);
    };
    let alpha = u128::from(reserve_alpha);
    let value = (price >> 64) * alpha + (((price & (ONE_U64F64 - 1)) * alpha) >> 64);
    let sum = value.saturating_add(u128::from(reserve_tao));
    if sum == 0 { None } else { weight_of(u128::from(reserve_tao), sum) }
}

/// Fee on a gross amount (rao): the chain multiplies by the rate truncated to 64 bits and floors.
pub fn fee_rao(amount: u64, fee_rate: u16) -> u64 {
    ((u128::from(amount) * ratio_u64f64(fee_rate.into(), u16::MAX.into())) >> 64) as u64
}

/// Fee that belongs to a net amount (rao), `net * rate / (1 - rate)`.
fn fee_on_net_rao(net: u64, fee_rate: u16) -> u64 {
    let rate = ratio_u64f64(fee_rate.into(), (u16::MAX - fee_rate).into());
    ((u128::from(net) * rate) >> 64) as u64
}

/// `part / sum` in parts of 10^18, floored, if it is an admissible weight; one half for an empty pool.
fn weight_of(part: u128, sum: u128) -> Option<u64> {
    let weight = if sum == 0 { WEIGHT_ONE / 2 } else { mul_div_floor(part, WEIGHT_ONE, sum) };
    (WEIGHT_ONE / 100..=WEIGHT_ONE - WEIGHT_ONE / 100).contains(&weight).then_some(weight)
}

/// `weight * value`, rounded to the nearest integer.
fn mul_weight_round(weight: u64, value: u128) -> u128 {
    let (one, weight) = (u128::from(WEIGHT_ONE), u128::from(weight));
    value / one * weight + (value % one * weight + one / 2) / one
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: PoolRao =
        PoolRao { reserve_tao: 120_000_000_000_000, reserve_alpha: 200_000_000_000_000, weight_tao: WEIGHT_ONE / 2 };
    /// 0.6 TAO per alpha is the spot price of [`POOL`].
    const SPOT: u64 = 600_000_000;

    fn buy(amount: u64, price_limit: u64) -> SwapRequest {
        SwapRequest { side: Side::Buy, amount, fee_rate: 33, price_limit }
    }

    #[test]
    fn fee_is_floored_from_a_truncated_rate() {
        assert_eq!(fee_rao(100_000_000_000, 33), 50_354_772);
        assert_eq!(fee_rao(65_535, 33), 32, "the rate in 64 bits is just below 33 / 65,535");
        assert_eq!(fee_rao(65_535, 0), 0);
    }

    #[test]
    fn a_limit_cuts_the_input_to_what_reaches_it() {
        let mut pool = POOL;
        let swap = pool.swap(buy(50_000_000_000_000, 660_000_000)).unwrap();
        assert!(swap.paid_in + swap.fee < 50_000_000_000_000);
        let price = pool.spot_price_raw() as f64 / ONE_U64F64 as f64;
        assert!((price / 0.66 - 1.0).abs() < 1e-12);
        assert!((swap.fee as f64 / (swap.paid_in + swap.fee) as f64 * 65_535.0 / 33.0 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_limit_on_the_wrong_side_or_at_the_spot_price_refuses() {
        for price_limit in [SPOT - 1, 500_000_000] {
            assert_eq!(POOL.clone().swap(buy(1_000_000_000, price_limit)), Err(PoolError::PriceLimitExceeded));
        }
        let sell = SwapRequest { side: Side::Sell, ..buy(1_000_000_000, SPOT + 1) };
        assert_eq!(POOL.clone().swap(sell), Err(PoolError::PriceLimitExceeded));
    }

    #[test]
    fn a_limited_trade_takes_in_at_most_17_reserves() {
        let mut pool = PoolRao { reserve_alpha: 2_000_000, reserve_tao: 1_000_000_000, ..POOL };
        let swap = pool.swap(SwapRequest { fee_rate: 0, ..buy(900_000_000_000, 1_000_000_000_000_000) }).unwrap();
        assert!(swap.paid_in <= 900_000_000_000);
        let mut pool = PoolRao { reserve_alpha: 2_000_000, reserve_tao: 1_000_000_000, ..POOL };
        let cut = pool.swap(SwapRequest { fee_rate: 0, ..buy(900_000_000_000, 400_000_000_000_000) }).unwrap();
        assert_eq!(cut.paid_in, 17_446_744_073);
    }

    #[test]
    fn a_refused_trade_leaves_the_pool() {
        let thin = PoolRao { reserve_alpha: 999_999, ..POOL };
        for (mut pool, request, error) in [
            (POOL, buy(u64::MAX, u64::MAX), PoolError::InputTooLarge),
            (thin, buy(1_000_000, u64::MAX), PoolError::ReservesTooLow),
            (PoolRao { reserve_alpha: 1_000_000, ..POOL }, buy(10, u64::MAX), PoolError::ReservesTooLow),
        ] {
            let before = pool;
            assert_eq!((pool.swap(request), pool), (Err(error), before));
        }
    }

    #[test]
    fn an_injection_that_would_leave_the_bounds_is_dropped() {
        let mut pool = POOL;
        assert!(!pool.inject(POOL.reserve_tao * 200, 0));
        assert_eq!(pool, POOL);
        assert!(pool.inject(1_000, 1_000));
    }

    #[test]
    fn initial_weight_is_one_half_without_a_price() {
        assert_eq!(initial_weight(0, 0, None), Some(WEIGHT_ONE / 2));
        assert_eq!(initial_weight(0, 0, Some(ONE_U64F64)), None);
        assert_eq!(initial_weight(300, 100, Some(ONE_U64F64)), Some(WEIGHT_ONE / 4 * 3));
        assert_eq!(initial_weight(1, 100, Some(ONE_U64F64)), None);
    }
}
