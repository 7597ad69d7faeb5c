//! A small chain for the unit tests of this layer.

use crate::protocol::params::ProtocolParams;
use crate::protocol::share_rules::ShareRule;
use crate::protocol::state::ChainState;
use crate::protocol::state::FlowState;
use crate::protocol::state::SubnetState;
use crate::protocol::upgrades;
use crate::units::NetUid;

/// Mainnet parameters.
pub fn params() -> ProtocolParams {
    ProtocolParams { share_rule: ShareRule::E2, moving_price_smoothing: 0.0003, ..upgrades::current_params() }
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
        flow: FlowState::default(),
        subnet_locked_tao: 1_000.0,
    }
}
