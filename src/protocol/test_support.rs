//! A small chain for the unit tests of this layer.

use crate::protocol::params::ProtocolParams;
use crate::protocol::params::ShareRule;
use crate::protocol::state::ChainState;
use crate::protocol::state::SubnetState;
use crate::units::NetUid;

/// Mainnet parameters.
pub fn params() -> ProtocolParams {
    ProtocolParams {
        share_rule: ShareRule::E2,
        tao_weight: 0.18,
        owner_cut: 11_796.0 / 65_535.0,
        fee_rate: 33.0 / 65_535.0,
        moving_price_smoothing: 0.0003,
        moving_price_age_blocks: 201_600.0,
        lock_cost_min_tao: 1.0,
        lock_reduction_interval_blocks: 115_200,
        registration_rate_limit_blocks: 14_400,
        immunity_period_blocks: 864_000,
        subnet_limit: 128,
        tao_in_refund_block: 8_334_450,
        registration_start_block: 6_573_966,
    }
}

/// `count` equal started subnets, netuids from 1.
pub fn chain(count: u16) -> ChainState {
    ChainState {
        block: 8_600_000,
        issuance_tao: 11.3e6,
        root_stake_tao: 5.45e6,
        last_lock_tao: 653.0,
        last_lock_block: 8_590_000,
        subnets: (1..=count).map(subnet).collect(),
    }
}

fn subnet(netuid: u16) -> SubnetState {
    SubnetState {
        netuid: NetUid(netuid),
        registered_at: 8_000_000,
        first_emission_block: Some(8_000_001),
        emission_enabled: true,
        reserve_tao: 120_000.0,
        reserve_alpha: 200_000.0,
        weight_tao: 0.5,
        staked_alpha: 3e6,
        protocol_alpha: 0.0,
        burned_alpha: 0.0,
        unclaimed_root_alpha: 0.0,
        moving_price: 0.6,
        miner_burned: 0.0,
        subnet_locked_tao: 1_000.0,
    }
}
