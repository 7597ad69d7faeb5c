//! Neuron registrations as a flow: the TAO that they pay buys alpha in the pool, and the alpha is recycled.

use crate::protocol::fixed::Rounding;
use crate::protocol::params::ProtocolParams;
use crate::protocol::pool;
use crate::protocol::pool::Pool;
use crate::protocol::pool::PoolError;
use crate::protocol::state::SubnetState;

/// How the price of a neuron registration moves. Amounts in TAO.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnPriceRule {
    /// `BurnHalfLife` (blocks): without registrations the price halves in this time.
    pub half_life_blocks: f64,
    /// `BurnIncreaseMult`: factor on the price at each registration.
    pub increase: f64,
    /// `MinBurn` (TAO).
    pub price_min_tao: f64,
    /// `MaxBurn` (TAO).
    pub price_max_tao: f64,
}

impl BurnPriceRule {
    /// The chain's defaults.
    pub const DEFAULT: Self =
        Self { half_life_blocks: 360.0, increase: 1.26, price_min_tao: 0.0005, price_max_tao: 100.0 };

    /// Price one block later, after `registrations` in it (a number or a rate).
    ///
    /// ```text
    /// B' = clamp(B * 2^(-1 / half-life) * increase^registrations, min, max)
    /// ```
    ///
    /// Limits of validity: the chain floors to whole rao and clamps after the decay and after each registration.
    /// Source: pallets/subtensor/src/subnets/registration.rs, `update_registration_prices_for_networks`, `do_register`.
    pub fn next_price(&self, price_tao: f64, registrations: f64) -> f64 {
        let growth = registrations * self.increase.ln() - std::f64::consts::LN_2 / self.half_life_blocks;
        (price_tao * growth.exp()).clamp(self.price_min_tao, self.price_max_tao)
    }

    /// Registrations per block at which the price stays, `ln 2 / (half-life * ln increase)`: 60 a day by default. So many come
    /// in the long run wherever the price lies between its bounds, if demand falls with the price.
    pub fn steady_registrations_per_block(&self) -> f64 {
        std::f64::consts::LN_2 / (self.half_life_blocks * self.increase.ln())
    }

    /// TAO paid per block while the price stays at `price_tao`.
    pub fn steady_burn_tao(&self, price_tao: f64) -> f64 {
        self.steady_registrations_per_block() * price_tao.clamp(self.price_min_tao, self.price_max_tao)
    }
}

/// Lets registrations of one block pay `burn_tao` into a subnet, and returns the alpha recycled.
///
/// ```text
/// y' = y + burn - fee        x' = x - bought        alpha outside the pool stays
/// ```
///
/// All of it, fee included, counts as a flow of users. The fee belongs to nobody: it stays on the subnet's account outside the pool until the subnet is dissolved. A subnet need
/// not have started. Source: pallets/subtensor/src/subnets/registration.rs, `do_register`.
///
/// # Errors
/// The pool refuses, and nothing is registered.
pub fn burn_for_neurons(
    params: &ProtocolParams,
    rounding: Rounding,
    subnet: &mut SubnetState,
    burn_tao: f64,
) -> Result<f64, PoolError> {
    let pool = Pool::from(&*subnet);
    let net_tao = burn_tao - rounding.floor_rao(pool::fee(burn_tao, params.fee_rate));
    pool.check_buy(net_tao)?;
    let recycled_alpha = rounding.floor_rao(pool.buy(net_tao));
    subnet.reserve_tao += net_tao;
    subnet.reserve_alpha -= recycled_alpha;
    subnet.flow.pending.user += burn_tao;
    Ok(recycled_alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::test_support::chain;
    use crate::protocol::test_support::params;

    #[test]
    fn price_halves_without_registrations_and_stays_at_the_steady_rate() {
        let rule = BurnPriceRule::DEFAULT;
        let halved = (0..360).fold(8.0, |price, _| rule.next_price(price, 0.0));
        assert!((halved - 4.0).abs() < 1e-12);
        assert!((rule.next_price(8.0, 1.0) / 8.0 - 1.26 * 0.5_f64.powf(1.0 / 360.0)).abs() < 1e-14);
        let steady = rule.steady_registrations_per_block();
        assert!((rule.next_price(8.0, steady) - 8.0).abs() < 1e-14 && (7_200.0 * steady - 60.0).abs() < 0.03);
        assert_eq!(rule.steady_burn_tao(1e-9), steady * 0.0005);
    }

    #[test]
    fn price_stays_within_its_bounds() {
        let rule = BurnPriceRule::DEFAULT;
        assert_eq!(rule.next_price(0.0005, 0.0), 0.0005);
        assert_eq!(rule.next_price(99.0, 5.0), 100.0);
    }

    #[test]
    fn burned_tao_enters_the_pool_net_of_the_fee_and_the_alpha_is_gone() {
        let params = params();
        let mut subnet = chain(1).subnets.remove(0);
        subnet.first_emission_block = None;
        let before = subnet.clone();
        let recycled = burn_for_neurons(&params, Rounding::Continuous, &mut subnet, 2.0).unwrap();
        assert_eq!(subnet.reserve_tao, before.reserve_tao + (2.0 - 2.0 * params.fee_rate));
        assert_eq!(subnet.reserve_alpha, before.reserve_alpha - recycled);
        assert_eq!(subnet.outstanding_alpha(), before.outstanding_alpha());
        assert_eq!(subnet.flow.pending.user, 2.0);
        let kept = subnet.clone();
        let refused = burn_for_neurons(&params, Rounding::Continuous, &mut subnet, 1e12);
        assert_eq!((refused, subnet), (Err(PoolError::InputTooLarge), kept));
    }
}
