//! The state in which every path starts: the snapshot, completed by what a snapshot does not show.

use crate::config::ConfigError;
use crate::config::checks::Checks;
use crate::config::checks::checked;
use crate::input::snapshot::Snapshot;
use crate::input::snapshot::SnapshotRow;
use crate::model::params::SaleParams;
use crate::protocol::emission;
use crate::protocol::params::ProtocolParams;
use crate::protocol::root;
use crate::protocol::root::RootAlpha;
use crate::protocol::state::ChainState;
use crate::protocol::state::FlowState;
use crate::protocol::state::SubnetState;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;
use crate::units::SUPPLY_CAP;

/// Registrations before this block had to wait [`START_DELAY_OLD`] before start_call.
const START_DELAY_CHANGE_BLOCK: u64 = 7_366_000;
/// Blocks from registration to first emission before that change (seven days and a block).
const START_DELAY_OLD: u64 = 50_401;
/// Blocks from registration to first emission since (one day and a block).
const START_DELAY_NEW: u64 = 7_201;
/// Subnets registered later mint one alpha a block outside the pool and had none before, which dates their start.
const DATED_BY_ALPHA_BLOCK: u64 = 8_400_000;
/// Reserves whose spot price is their ratio to this relative accuracy have equal weights.
const EQUAL_WEIGHTS_TOLERANCE: f64 = 1e-9;

/// The chain's figures that no subnet row holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Globals {
    /// `TotalIssuance` (TAO).
    pub issuance_tao: f64,
    /// TAO staked on root.
    pub root_stake_tao: f64,
    /// TAO paid at the last registration.
    pub last_lock_tao: f64,
    /// Block of the last registration.
    pub last_lock_block: u64,
}

/// The chain's own figures, checked against the snapshot.
pub(super) fn globals(
    checks: &Checks<'_>,
    snapshot: &Snapshot,
    protocol: &ProtocolParams,
) -> Result<Globals, ConfigError> {
    let block = checked!(checks.blocks(chain.block));
    if block != snapshot.block {
        let allowed = format!("{}, the snapshot's; all of [chain] belongs to one block", snapshot.block);
        return Err(checks.refuse("chain.block", block, allowed));
    }
    let subnets = snapshot.subnets.len();
    if protocol.subnet_limit < subnets {
        let allowed = format!("at least {subnets}, the subnets of the snapshot");
        return Err(checks.refuse("protocol.subnet_limit", protocol.subnet_limit, allowed));
    }
    let root_stake_tao = checked!(checks.not_negative(chain.root_stake_tao));
    let in_use = snapshot.subnets.iter().map(|subnet| subnet.tao_in).sum::<f64>() + root_stake_tao;
    let issuance_tao = checks.file.chain.issuance_tao;
    let is_allowed = issuance_tao >= in_use && issuance_tao <= SUPPLY_CAP;
    let allowed = format!("from {:.0}, the TAO in pools and on root, to {SUPPLY_CAP:.0}", in_use.ceil());
    checks.number("chain.issuance_tao", issuance_tao, is_allowed, &allowed)?;
    let last_registration = snapshot.subnets.iter().map(|subnet| subnet.registration_block).max().unwrap_or(0);
    Ok(Globals {
        issuance_tao,
        root_stake_tao,
        last_lock_tao: checked!(checks.not_negative(chain.last_lock_tao)),
        last_lock_block: checked!(checks.whole(chain.last_lock_block, last_registration, block)),
    })
}

/// The start of a path (MODEL 2.1).
///
/// - Pool weights follow from spot price and reserves: `w_alpha / w_tao = price * alpha / tao`.
/// - The moving price of a started subnet, where not given, is its spot price, at most 1; of another it is 0.
/// - The first block with emission, where not given, is [`first_emission_block`].
/// - Under a pool rule without weights the price is the ratio of the reserves.
/// - Root claimers hold back `root_alpha * delay`, the stationary stock, but at most half of what is staked.
pub(super) fn chain_start(
    snapshot: &Snapshot,
    globals: Globals,
    protocol: &ProtocolParams,
    sales: &SaleParams,
) -> ChainState {
    let mut subnets: Vec<SubnetState> = snapshot.subnets.iter().map(|row| subnet_start(row, snapshot.block)).collect();
    if !protocol.pool_rule.is_weighted() {
        subnets.iter_mut().for_each(|subnet| subnet.weight_tao = 0.5);
    }
    let price_sum: f64 = subnets.iter().map(|subnet| subnet.moving_price).sum();
    if protocol.root_rule.root_alpha(root::sell_flag(price_sum), false) == RootAlpha::Claimable {
        let delay_blocks = sales.root_claim_delay_days * BLOCKS_PER_DAY as f64;
        for subnet in subnets.iter_mut().filter(|subnet| subnet.is_started()) {
            let root_alpha = root_alpha_per_block(subnet, globals.root_stake_tao, protocol);
            let unclaimed = (root_alpha * delay_blocks).min(subnet.staked_alpha / 2.0);
            subnet.unclaimed_root_alpha = unclaimed;
            subnet.staked_alpha -= unclaimed;
        }
    }
    ChainState {
        block: snapshot.block,
        issuance_tao: globals.issuance_tao,
        root_stake_tao: globals.root_stake_tao,
        last_lock_tao: globals.last_lock_tao,
        last_lock_block: globals.last_lock_block,
        subnets,
    }
}

fn subnet_start(row: &SnapshotRow, block: u64) -> SubnetState {
    SubnetState {
        netuid: NetUid(row.netuid),
        registered_at: row.registration_block,
        first_emission_block: row.is_started().then(|| first_emission_block(row, block)),
        emission_enabled: row.emission_enabled,
        reserve_tao: row.tao_in,
        reserve_alpha: row.alpha_in,
        weight_tao: weight_tao(row),
        staked_alpha: row.alpha_staked_by_wallets,
        protocol_alpha: row.alpha_protocol_owned,
        burned_alpha: row.alpha_burned,
        unclaimed_root_alpha: 0.0,
        moving_price: if row.is_started() { row.moving_price.unwrap_or(row.price.min(1.0)) } else { 0.0 },
        miner_burned: row.miner_burned_fraction,
        flow: FlowState { averages: row.flow_averages(), ..FlowState::default() },
        subnet_locked_tao: row.subnet_locked_tao,
    }
}

fn weight_tao(row: &SnapshotRow) -> f64 {
    let weight_ratio = row.price * row.alpha_in / row.tao_in;
    if (weight_ratio - 1.0).abs() <= EQUAL_WEIGHTS_TOLERANCE { 0.5 } else { 1.0 / (1.0 + weight_ratio) }
}

/// The first block with emission of a started subnet: given, or the registration and the delay of its time.
///
/// A subnet registered after [`DATED_BY_ALPHA_BLOCK`] has minted one alpha a block outside the pool since its start,
/// so that it cannot have started before `block - outstanding alpha`. Never after `block`: it has started.
fn first_emission_block(row: &SnapshotRow, block: u64) -> u64 {
    let registered = row.registration_block;
    let delay = if registered < START_DELAY_CHANGE_BLOCK { START_DELAY_OLD } else { START_DELAY_NEW };
    let dated = block.saturating_sub(row.outstanding_alpha().round() as u64);
    let earliest = if registered > DATED_BY_ALPHA_BLOCK { dated } else { 0 };
    row.first_emission_block.unwrap_or((registered + delay).max(earliest).min(block))
}

/// Alpha that root earns in a block.
fn root_alpha_per_block(subnet: &SubnetState, root_stake_tao: f64, protocol: &ProtocolParams) -> f64 {
    let issuance = subnet.issuance_alpha();
    let root_proportion = root::root_proportion(protocol.tao_weight, root_stake_tao, issuance);
    emission::split_alpha(emission::block_emission(issuance), protocol.owner_cut, root_proportion).root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> SnapshotRow {
        SnapshotRow {
            netuid: 1,
            name: String::new(),
            registration_block: 5_000_000,
            tao_in: 1_000.0,
            alpha_in: 50_000.0,
            miner_burned_fraction: 0.25,
            emission_enabled: true,
            alpha_staked_by_wallets: 40_000.0,
            alpha_protocol_owned: 300.0,
            alpha_burned: 200.0,
            price: 0.02,
            moving_price: None,
            first_emission_block: None,
            subnet_locked_tao: 0.0,
            user_flow_average_tao_per_block: None,
            protocol_flow_average_tao_per_block: None,
            tao_in_emission_per_block: None,
        }
    }

    #[test]
    fn weights_follow_from_price_and_reserves() {
        assert_eq!(subnet_start(&row(), 9_000_000).weight_tao, 0.5);
        let tilted = SnapshotRow { price: 0.03, ..row() };
        // w_alpha / w_tao = 0.03 * 50,000 / 1,000 = 1.5.
        assert!((subnet_start(&tilted, 9_000_000).weight_tao - 0.4).abs() < 1e-15);
    }

    #[test]
    fn first_emission_follows_the_rules_of_its_time() {
        let start = |registration_block: u64| {
            let row = SnapshotRow { registration_block, ..row() };
            subnet_start(&row, 9_000_000).first_emission_block
        };
        assert_eq!(start(7_365_999), Some(7_365_999 + 50_401));
        assert_eq!(start(7_366_000), Some(7_366_000 + 7_201));
        assert_eq!(start(8_400_000), Some(8_400_000 + 7_201));
        assert_eq!(start(8_400_001), Some(9_000_000 - 40_500), "dated by 40,500 alpha outside the pool");
        assert_eq!(start(8_990_000), Some(8_997_201), "the delay is later than the date");
        assert_eq!(start(8_999_000), Some(9_000_000), "never after the snapshot");
    }

    #[test]
    fn a_slot_without_alpha_outside_has_not_started() {
        let idle = SnapshotRow { alpha_staked_by_wallets: 0.0, alpha_protocol_owned: 0.0, alpha_burned: 0.0, ..row() };
        let state = subnet_start(&SnapshotRow { moving_price: Some(0.5), ..idle }, 9_000_000);
        assert_eq!((state.first_emission_block, state.moving_price), (None, 0.0));
        let high = subnet_start(&SnapshotRow { price: 1.5, tao_in: 75_000.0, ..row() }, 9_000_000);
        assert_eq!(high.moving_price, 1.0);
        let given = subnet_start(&SnapshotRow { moving_price: Some(0.5), ..row() }, 9_000_000);
        assert_eq!(given.moving_price, 0.5);
    }
}
