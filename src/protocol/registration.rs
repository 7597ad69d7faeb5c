//! Registration of a subnet: what it costs, when it is allowed, whom it displaces and how its pool is seeded.

use crate::protocol::params::ProtocolParams;
use crate::protocol::rule_names::rule_versions;
use crate::protocol::state::SubnetState;
use crate::units::NetUid;

rule_versions! {
    /// Version of the pool seed: what the lock paid at a registration becomes (MECHANICS 9.3).
    pub enum SeedRule {
        /// The pool opens with the smallest lock cost of TAO at a price of 1; the rest of the lock is recycled (spec 233 to 396).
        S0,
        /// The whole lock is the pool's TAO, at the median price; the owner gets stake for what is above the smallest lock
        /// cost (spec 397 to 401).
        S1,
        /// The whole lock is the pool's TAO, at the median price (spec 402 on).
        S2,
    }
}

/// Cost of the next registration (TAO) at `block`.
///
/// ```text
/// I = floor(lock_reduction_interval * e)        cost = max(min_lock, 2 L - L / I * (n - n_L)),  no decay where I = 0
/// ```
///
/// `L`, `n_L`: TAO paid at the last registration and its block; the factor 2 is 1 where `n_L` is 0; `e`: block emission
/// (TAO). Falls from `2 L` through `L` after `I` blocks to the minimum.
/// Rounding: the chain floors `L / I` to rao, this does not; below `(n - n_L)` rao.
/// Source: pallets/subtensor/src/coinbase/root.rs, `get_network_lock_cost`.
#[inline(always)]
pub fn lock_cost(
    params: &ProtocolParams,
    last_lock_tao: f64,
    last_lock_block: u64,
    block: u64,
    emission_tao: f64,
) -> f64 {
    let interval = lock_interval(params, emission_tao);
    let elapsed = block.saturating_sub(last_lock_block) as f64;
    let decay = if interval > 0.0 { last_lock_tao / interval * elapsed } else { 0.0 };
    let start = if last_lock_block == 0 { last_lock_tao } else { 2.0 * last_lock_tao };
    (start - decay).max(params.lock_cost_min_tao)
}

/// Blocks in which the lock cost falls by what was last paid, at a block emission of `emission_tao`: `I` of [`lock_cost`].
#[inline(always)]
pub fn lock_interval(params: &ProtocolParams, emission_tao: f64) -> f64 {
    (params.lock_reduction_interval_blocks as f64 * emission_tao).floor()
}

/// State and parameters of the lock cost in the chain's integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockCostRao {
    /// Paid at the last registration (rao).
    pub last_lock: u64,
    /// Its block.
    pub last_lock_block: u64,
    /// `NetworkMinLockCost` (rao).
    pub min_lock: u64,
    /// `NetworkLockReductionInterval` (blocks).
    pub reduction_interval: u64,
}

impl LockCostRao {
    /// Blocks in which the cost falls by what was last paid: it halves with the block emission (rao).
    pub fn effective_interval(&self, emission: u64) -> u64 {
        (u128::from(self.reduction_interval) * u128::from(emission) / 1_000_000_000) as u64
    }

    /// [`lock_cost`] in rao, exact; saturates as the chain does.
    pub fn at(&self, block: u64, emission: u64) -> u64 {
        let start = if self.last_lock_block == 0 { self.last_lock } else { self.last_lock.saturating_mul(2) };
        let decay_per_block = self.last_lock.checked_div(self.effective_interval(emission)).unwrap_or(0);
        let decay = decay_per_block.saturating_mul(block.saturating_sub(self.last_lock_block));
        start.saturating_sub(decay).max(self.min_lock)
    }
}

/// Whether the global rate limit forbids a registration at `block`; `last_lock_block` 0: there was none yet.
/// Source: pallets/subtensor/src/subnets/subnet.rs, `do_register_network`.
pub fn rate_limited(block: u64, last_lock_block: u64, rate_limit_blocks: u64) -> bool {
    last_lock_block != 0 && block.saturating_sub(last_lock_block) < rate_limit_blocks
}

/// Whether a subnet cannot be pruned at `block` because of its age.
pub fn is_immune(block: u64, registered_at: u64, immunity_period_blocks: u64) -> bool {
    block < registered_at.saturating_add(immunity_period_blocks)
}

/// What decides on the pruning of one subnet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PruneCandidate {
    /// Slot.
    pub netuid: NetUid,
    /// Block of registration.
    pub registered_at: u64,
    /// Moving price (any unit); 1 TAO per alpha for a subnet without a pool.
    pub moving_price: f64,
}

impl From<&SubnetState> for PruneCandidate {
    fn from(subnet: &SubnetState) -> Self {
        Self { netuid: subnet.netuid, registered_at: subnet.registered_at, moving_price: subnet.moving_price }
    }
}

/// The subnet that a registration at the subnet limit displaces: among those past their immunity the lowest moving
/// price, then the oldest registration, then the first in the chain's storage order. `None`: all are immune.
/// Source: pallets/subtensor/src/coinbase/root.rs, `get_network_to_prune`.
pub fn prune_target(
    block: u64,
    immunity_period_blocks: u64,
    candidates: impl Iterator<Item = PruneCandidate>,
) -> Option<NetUid> {
    candidates
        .filter(|candidate| !is_immune(block, candidate.registered_at, immunity_period_blocks))
        .min_by(|a, b| {
            let order = a.moving_price.total_cmp(&b.moving_price);
            order.then(a.registered_at.cmp(&b.registered_at)).then(storage_key(a.netuid).cmp(&storage_key(b.netuid)))
        })
        .map(|candidate| candidate.netuid)
}

/// Order of storage iteration: keys are little-endian, so that netuid 256 comes right after 0.
fn storage_key(netuid: NetUid) -> u16 {
    netuid.0.swap_bytes()
}

/// The netuid of a new subnet below the limit: the lowest that is free. `subnets` ascend by netuid.
/// Source: pallets/subtensor/src/subnets/subnet.rs, `get_next_netuid`.
pub fn lowest_free_netuid(subnets: &[SubnetState]) -> NetUid {
    let taken = subnets.iter().zip(1_u16..).take_while(|(subnet, netuid)| subnet.netuid.0 == *netuid);
    NetUid(taken.count() as u16 + 1)
}

/// Median of the positive spot prices, at which a new pool opens: the mean of the middle two for an even count, 1 without any.
/// Source: pallets/subtensor/src/staking/stake_utils.rs, `get_median_subnet_alpha_price`.
pub fn median_price(spot_prices: impl Iterator<Item = f64>) -> f64 {
    median_of(&mut spot_prices.filter(|price| *price > 0.0).collect::<Vec<f64>>())
}

/// [`median_price`] of positive prices in a buffer, which it reorders.
pub fn median_of(prices: &mut [f64]) -> f64 {
    if prices.is_empty() {
        return 1.0;
    }
    middle_of(prices, prices.len() / 2, prices.len().is_multiple_of(2))
}

/// Of ascending positive `prices` the one at `index`, or where `is_pair` the mean of it and the one before; reorders them.
pub fn middle_of(prices: &mut [f64], index: usize, is_pair: bool) -> f64 {
    // Bits of positive numbers ascend with them.
    let (below, upper, _) = prices.select_nth_unstable_by_key(index, |price| price.to_bits());
    if is_pair { 0.5 * (below.iter().fold(0.0, |most, &price| f64::max(most, price)) + *upper) } else { *upper }
}

/// A subnet as registered: its pool is seeded by the rule in force, and it has not started. Under S2 the whole lock is the
/// pool's TAO, alpha is minted to the median price and nothing is staked. TAO of the lock that is not in the pool is
/// recycled.
///
/// `median_price` is taken after the dissolution of a displaced subnet.
/// Rounding: the chain floors the pool's alpha to rao.
/// Source: pallets/subtensor/src/subnets/subnet.rs, `do_register_network`, `init_new_network`.
pub fn new_subnet(
    params: &ProtocolParams,
    netuid: NetUid,
    block: u64,
    paid_lock_tao: f64,
    median_price: f64,
) -> SubnetState {
    let minimum = params.lock_cost_min_tao;
    let lock_tao = paid_lock_tao.max(minimum);
    let (reserve_tao, price, staked_alpha) = match params.seed_rule {
        SeedRule::S0 => (minimum, 1.0, 0.0),
        SeedRule::S1 => (lock_tao, median_price, (lock_tao - minimum) / median_price),
        SeedRule::S2 => (lock_tao, median_price, 0.0),
    };
    SubnetState {
        registered_at: block,
        emission_enabled: params.entrants_enabled,
        reserve_tao,
        reserve_alpha: reserve_tao / price,
        staked_alpha,
        subnet_locked_tao: paid_lock_tao,
        ..SubnetState::empty(netuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::test_support::chain;
    use crate::protocol::test_support::params;

    const LAST: LockCostRao = LockCostRao {
        last_lock: 653_020_000_000,
        last_lock_block: 9_210_610,
        min_lock: 1_000_000_000,
        reduction_interval: 115_200,
    };

    fn candidate(netuid: u16, registered_at: u64, moving_price: f64) -> PruneCandidate {
        PruneCandidate { netuid: NetUid(netuid), registered_at, moving_price }
    }

    fn target(block: u64, immunity: u64, candidates: &[PruneCandidate]) -> Option<u16> {
        prune_target(block, immunity, candidates.iter().copied()).map(|netuid| netuid.0)
    }

    #[test]
    fn cost_falls_from_twice_the_last_to_the_minimum() {
        let cost = |elapsed: u64| LAST.at(LAST.last_lock_block + elapsed, 500_000_000);
        assert_eq!(cost(0), 1_306_040_000_000);
        assert_eq!(cost(57_600), 653_020_044_800);
        assert_eq!(cost(115_200), 1_000_000_000);
        assert_eq!(cost(1_000_000_000), 1_000_000_000);
    }

    #[test]
    fn cost_does_not_decay_without_emission_nor_double_before_the_first_registration() {
        assert_eq!(LAST.at(LAST.last_lock_block + 1_000_000, 0), 2 * LAST.last_lock);
        let first = LockCostRao { last_lock_block: 0, ..LAST };
        assert_eq!(first.at(0, 500_000_000), LAST.last_lock);
        assert_eq!(LockCostRao { last_lock: u64::MAX, ..LAST }.at(LAST.last_lock_block, 0), u64::MAX);
    }

    #[test]
    fn rate_limit_ends_on_its_block() {
        assert!(rate_limited(14_499, 100, 14_400));
        assert!(!rate_limited(14_500, 100, 14_400));
        assert!(!rate_limited(1, 0, 14_400));
    }

    #[test]
    fn immunity_ends_on_its_block() {
        let only = [candidate(1, 100, 0.5)];
        assert_eq!(target(1_099, 1_000, &only), None);
        assert_eq!(target(1_100, 1_000, &only), Some(1));
        assert_eq!(target(u64::MAX - 1, u64::MAX, &only), None);
    }

    #[test]
    fn ties_go_to_the_oldest_and_then_to_storage_order() {
        assert_eq!(target(10, 0, &[candidate(1, 5, 0.2), candidate(2, 6, 0.1), candidate(3, 4, 0.1)]), Some(3));
        assert_eq!(target(10, 0, &[candidate(7, 5, 0.0), candidate(6, 5, 0.0)]), Some(6));
        assert_eq!(target(10, 0, &[candidate(1, 5, 0.0), candidate(256, 5, 0.0)]), Some(256));
        assert_eq!(target(10, 0, &[]), None);
    }

    #[test]
    fn a_new_subnet_takes_the_lowest_free_netuid_and_opens_at_the_median_price() {
        let mut subnets = chain(3).subnets;
        assert_eq!(lowest_free_netuid(&subnets), NetUid(4));
        subnets.remove(1);
        assert_eq!(lowest_free_netuid(&subnets), NetUid(2));
        assert_eq!(lowest_free_netuid(&[]), NetUid(1));
        let subnet = new_subnet(&params(), NetUid(2), 9_000_000, 600.0, 0.02);
        assert_eq!((subnet.reserve_tao, subnet.reserve_alpha), (600.0, 30_000.0));
        assert!(!subnet.is_started() && !subnet.emission_enabled && subnet.outstanding_alpha() == 0.0);
    }

    #[test]
    fn the_lock_seeds_the_pool_by_the_rule_in_force() {
        for (seed_rule, tao, alpha, staked) in [
            (SeedRule::S0, 1.0, 1.0, 0.0),
            (SeedRule::S1, 600.0, 30_000.0, 29_950.0),
            (SeedRule::S2, 600.0, 30_000.0, 0.0),
        ] {
            let params = ProtocolParams { seed_rule, entrants_enabled: true, ..params() };
            let subnet = new_subnet(&params, NetUid(2), 9_000_000, 600.0, 0.02);
            assert_eq!((subnet.reserve_tao, subnet.reserve_alpha, subnet.staked_alpha), (tao, alpha, staked));
            assert!(subnet.emission_enabled);
        }
    }

    #[test]
    fn median_of_even_odd_and_empty_sets() {
        assert_eq!(median_price([0.3, 0.1, 0.0, 0.2].into_iter()), 0.2);
        assert_eq!(median_price([0.4, 0.1, 0.2, 0.3].into_iter()), 0.25);
        assert_eq!(median_price([0.0].into_iter()), 1.0);
    }
}
