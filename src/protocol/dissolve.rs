//! Dissolution of a subnet: what its alpha stakers and its owner receive.

use crate::protocol::params::ProtocolParams;
use crate::protocol::rule_names::rule_versions;
use crate::protocol::state::SubnetState;

rule_versions! {
    /// Version of the dissolution rule: what shares the pool's TAO with the stakers (MECHANICS 10.3).
    pub enum DissolveRule {
        /// Nothing does (spec 320 to 412).
        D0,
        /// The pool's alpha and the protocol's do (spec 413 and 414).
        D1,
        /// The protocol's alpha does, and the pool's where the subnet was registered after the refund block (spec 415 on).
        D2,
    }
}

/// Whose alpha shares the pool's TAO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharers {
    /// The stakers' alone.
    Stakers,
    /// The stakers' and the protocol's.
    StakersProtocol,
    /// The stakers', the protocol's and the pool's.
    StakersProtocolPool,
}

impl Sharers {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stakers => "stakers",
            Self::StakersProtocol => "stakers_protocol",
            Self::StakersProtocolPool => "stakers_protocol_pool",
        }
    }
}

/// Whose alpha shares the pot of a subnet registered at that block, under the rule in force.
#[inline(always)]
pub fn sharers(params: &ProtocolParams, registered_at: u64) -> Sharers {
    match params.dissolve_rule {
        DissolveRule::D0 => Sharers::Stakers,
        DissolveRule::D2 if registered_at <= params.tao_in_refund_block => Sharers::StakersProtocol,
        DissolveRule::D1 | DissolveRule::D2 => Sharers::StakersProtocolPool,
    }
}

/// TAO paid per staked alpha when the pool's TAO `pot_tao` is shared out; 0 where nothing is staked or in the way.
///
/// ```text
/// payout = y / (S + PA + x)    under D2 without x where registered up to the refund block; under D0 y / S
/// ```
///
/// `staked_alpha` `S`: stake entries only (not pending, burned in place or unclaimed root alpha, which get nothing and do
/// not dilute); `reserve_alpha` `x`; `protocol_alpha` `PA`. The part of `x` and `PA` is recycled.
/// Limits of validity: not counted here is the rounding to whole rao, one leftover rao for each of some stakes.
/// Source: pallets/subtensor/src/staking/remove_stake.rs, `destroy_alpha_in_out_stakes`.
pub fn payout_per_alpha(
    params: &ProtocolParams,
    pot_tao: f64,
    staked_alpha: f64,
    reserve_alpha: f64,
    protocol_alpha: f64,
    registered_at: u64,
) -> f64 {
    let (protocol, in_pool) = match sharers(params, registered_at) {
        Sharers::Stakers => (0.0, 0.0),
        Sharers::StakersProtocol => (protocol_alpha, 0.0),
        Sharers::StakersProtocolPool => (protocol_alpha, reserve_alpha),
    };
    let weights = staked_alpha + protocol + in_pool;
    if weights > 0.0 { pot_tao / weights } else { 0.0 }
}

/// [`payout_per_alpha`] of a subnet as it stands.
pub fn subnet_payout_per_alpha(params: &ProtocolParams, subnet: &SubnetState) -> f64 {
    payout_per_alpha(
        params,
        subnet.reserve_tao,
        subnet.staked_alpha,
        subnet.reserve_alpha,
        subnet.protocol_alpha,
        subnet.registered_at,
    )
}

/// TAO returned to the owner: for subnets registered before the registration restart, the lock less the value of the owner
/// cuts received; 0 for all others.
///
/// ```text
/// refund = max(0, locked - I_alpha * owner_cut * p)
/// ```
///
/// The chain pays at most what the subnet account holds after the stakers are paid, less the protocol's part; the caller caps.
/// Source: pallets/subtensor/src/staking/remove_stake.rs, `destroy_alpha_in_out_stakes`.
pub fn owner_refund(params: &ProtocolParams, subnet: &SubnetState, spot_price: f64) -> f64 {
    if subnet.registered_at < params.registration_start_block {
        (subnet.subnet_locked_tao - subnet.issuance_alpha() * params.owner_cut * spot_price).max(0.0)
    } else {
        0.0
    }
}

/// [`owner_refund`] of a legacy subnet in rao, before the cap, exact: the chain truncates the owner cut and the price to
/// 32 fractional bits. `owner_cut`: parts of 65,535; `spot_price`: U64F64 bits.
pub fn owner_refund_rao(locked: u64, issuance_alpha: u64, owner_cut: u16, spot_price: u128) -> u64 {
    let owner_cut = (u128::from(owner_cut) << 32) / u128::from(u16::MAX);
    let owner_alpha = (u128::from(issuance_alpha) * owner_cut) >> 32;
    let value = owner_alpha.saturating_mul(spot_price >> 32) >> 32;
    locked.saturating_sub(value.try_into().unwrap_or(u64::MAX))
}

/// The pot of a dissolution, shared out in whole rao.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutsRao {
    /// To each stake, in their order.
    pub stakes: Vec<u64>,
    /// The protocol's part, recycled.
    pub protocol: u64,
}

/// Shares out `pot` (rao) in proportion to `stakes` and one `protocol_weight` (alpha rao each), exactly: every part is
/// floored, then the leftover goes one rao each to the largest remainders, earlier entries first among equals.
///
/// Limits of validity: among equal remainders the chain follows the hash order of its storage.
pub fn payouts_rao(pot: u64, stakes: &[u64], protocol_weight: u64) -> PayoutsRao {
    let weights: Vec<u128> = stakes.iter().chain([&protocol_weight]).map(|weight| u128::from(*weight)).collect();
    let sum = weights.iter().sum::<u128>().max(1);
    let product = |entry: usize| u128::from(pot) * weights[entry];
    let mut parts: Vec<u64> = (0..weights.len()).map(|entry| (product(entry) / sum) as u64).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).filter(|entry| product(*entry) % sum > 0).collect();
    by_remainder.sort_by_key(|entry| std::cmp::Reverse(product(*entry) % sum));
    let leftover: u128 = (0..weights.len()).map(|entry| product(entry) % sum).sum::<u128>() / sum;
    by_remainder.iter().take(leftover as usize).for_each(|entry| parts[*entry] += 1);
    let protocol = parts.pop().unwrap_or(0);
    PayoutsRao { stakes: parts, protocol }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::test_support::chain;
    use crate::protocol::test_support::params;

    #[test]
    fn leftover_rao_go_to_the_largest_remainders() {
        let payouts =
            payouts_rao(1_000_000_000_007, &[600_000_000_000, 300_000_000_000, 100_000_000_001], 8_000_000_000_000);
        assert_eq!(payouts.stakes, [66_666_666_667, 33_333_333_334, 11_111_111_111]);
        assert_eq!(payouts.protocol, 888_888_888_895);
        assert_eq!(payouts.stakes.iter().sum::<u64>() + payouts.protocol, 1_000_000_000_007);
    }

    #[test]
    fn equal_remainders_go_to_the_first() {
        assert_eq!(payouts_rao(5, &[1, 1, 1], 0), PayoutsRao { stakes: vec![2, 2, 1], protocol: 0 });
    }

    #[test]
    fn nothing_is_paid_without_weights_or_without_a_pot() {
        assert_eq!(payouts_rao(5, &[0, 0], 0), PayoutsRao { stakes: vec![0, 0], protocol: 0 });
        assert_eq!(payouts_rao(0, &[7], 9), PayoutsRao { stakes: vec![0], protocol: 0 });
        assert_eq!(payouts_rao(5, &[], 3), PayoutsRao { stakes: vec![], protocol: 5 });
    }

    #[test]
    fn the_pool_itself_shares_the_pot_only_after_the_refund_block() {
        let params = params();
        let mut subnet = chain(1).subnets.remove(0);
        subnet.registered_at = params.tao_in_refund_block;
        assert_eq!(subnet_payout_per_alpha(&params, &subnet), 120_000.0 / 3e6);
        subnet.registered_at += 1;
        assert_eq!(subnet_payout_per_alpha(&params, &subnet), 120_000.0 / 3.2e6);
        subnet.reserve_tao = 0.0;
        assert_eq!(subnet_payout_per_alpha(&params, &subnet), 0.0);
    }

    #[test]
    fn who_shares_the_pot_depends_on_the_version() {
        let mut subnet = chain(1).subnets.remove(0);
        subnet.protocol_alpha = 800_000.0;
        for (dissolve_rule, weights) in [(DissolveRule::D0, 3e6), (DissolveRule::D1, 4e6), (DissolveRule::D2, 3.8e6)] {
            let params = ProtocolParams { dissolve_rule, ..params() };
            assert_eq!(subnet_payout_per_alpha(&params, &subnet), 120_000.0 / weights, "{dissolve_rule:?}");
        }
    }

    #[test]
    fn only_owners_of_legacy_subnets_are_refunded() {
        let params = params();
        let mut subnet = chain(1).subnets.remove(0);
        subnet.subnet_locked_tao = 1e6;
        assert_eq!(owner_refund(&params, &subnet, 0.6), 0.0);
        subnet.registered_at = params.registration_start_block - 1;
        assert_eq!(owner_refund(&params, &subnet, 0.6), 1e6 - 3.2e6 * params.owner_cut * 0.6);
        assert_eq!(owner_refund(&params, &subnet, 6.0), 0.0);
    }

    #[test]
    fn owner_is_refunded_what_the_cuts_have_not_paid() {
        assert_eq!(owner_refund_rao(1_000, 1_600, 65_535, 1 << 63), 200);
        assert_eq!(owner_refund_rao(1_000, 2_002, 65_535, 1 << 63), 0);
    }
}
