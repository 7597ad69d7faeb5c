//! The network as it was observed at a block, as the state from which paths start.
//!
//! # Not modelled
//! What a history does not show is filled: alpha burned or owned by the protocol follows [`staked_part`] in every subnet; TAO
//! issuance is a straight line through what is known of it; emission is enabled everywhere, as it was until 2026-06-23; no root
//! alpha waits to be claimed (two days of it, below 1e-3 of a pool).

use crate::calibration::history::History;
use crate::calibration::history::Observation;
use crate::calibration::history::Registration;
use crate::protocol::calendar::block_at_midnight;
use crate::protocol::params::ProtocolParams;
use crate::protocol::registration;
use crate::protocol::share_rules::FlowAverages;
use crate::protocol::state::ChainState;
use crate::protocol::state::FlowState;
use crate::protocol::state::SubnetState;
use crate::protocol::upgrades;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SLOT_CAPACITY;
use crate::units::SubnetId;

/// Age (blocks) at which an observation no longer stands for its subnet.
pub const STALE_BLOCKS: u64 = 3 * BLOCKS_PER_DAY / 2;
/// Withheld part of miner emission where it is not observed: the mean over subnets on 2026-09-30.
const MINER_BURNED: f64 = 0.355;
/// Subnets registered before this block have it as first emission block: the chain set it so.
const FIRST_EMISSION_BLOCK_MIN: u64 = 5_228_683;
/// Blocks and TAO issuance: one TAO a block to the first halving at half of the supply, then the reading of 2026-08-07.
const ISSUANCE: [(u64, f64); 3] = [(7_103_976 - 5_000_000, 5.5e6), (7_103_976, 10.5e6), (8_791_247, 11_206_919.0)];
/// Blocks and part of the alpha outside pools that wallets stake: medians over subnets of taostats' `alpha_staked`. Before
/// 2025-10-20 nothing was burned or bought by the protocol.
const STAKED_PARTS: [(u64, f64); 4] = [
    (block_at_midnight((2025, 10, 20)), 1.0),
    (block_at_midnight((2025, 11, 15)), 0.85),
    (block_at_midnight((2026, 1, 15)), 0.81),
    (block_at_midnight((2026, 3, 15)), 0.77),
];
/// Lock cost set by the runtime upgrade that announced registrations anew (spec 326, 2025-10-07): what counts as last paid (TAO),
/// and its block, which the first cost paid afterwards gives (650.6 TAO at block 6,693,448).
const REOPENING: (u64, f64) = (6_608_228, 1_250.0);
/// Last registration before they were stopped.
const CLOSING_BLOCK: u64 = 5_856_038;

/// Part of the alpha outside pools that wallets stake; the rest is burned or the protocol's.
pub fn staked_part(block: u64) -> f64 {
    interpolate(&STAKED_PARTS, block)
}

/// TAO issuance after `block`.
pub fn issuance_tao(block: u64) -> f64 {
    let [_, (block0, issuance0), (block1, issuance1)] = ISSUANCE;
    if block <= block1 {
        return interpolate(&ISSUANCE, block);
    }
    issuance1 + (issuance1 - issuance0) / (block1 - block0) as f64 * (block - block1) as f64
}

/// The straight line between the points around `block`, the nearest beyond them.
fn interpolate(points: &[(u64, f64)], block: u64) -> f64 {
    let next = points.partition_point(|(at, _)| *at < block).clamp(1, points.len() - 1);
    let ((b0, v0), (b1, v1)) = (points[next - 1], points[next]);
    let part = (block.clamp(b0, b1) - b0) as f64 / (b1 - b0) as f64;
    v0 + part * (v1 - v0)
}

/// Whether anybody could register, or knew when he could, at `block`.
pub fn registrations_are_open(block: u64) -> bool {
    !(CLOSING_BLOCK..REOPENING.0).contains(&block)
}

/// Latest observation of each slot up to `block`, by slot; those of subnets gone or not seen for long are left out.
pub fn latest(history: &History, block: u64) -> Vec<&Observation> {
    let mut by_slot: Vec<Option<&Observation>> = vec![None; SLOT_CAPACITY];
    for seen in history.observations.iter().filter(|seen| seen.block <= block && seen.block + STALE_BLOCKS >= block) {
        let slot = &mut by_slot[seen.subnet.netuid.slot()];
        if slot.is_none_or(|other| other.block < seen.block) {
            *slot = Some(seen);
        }
    }
    by_slot
        .into_iter()
        .flatten()
        .filter(|seen| death_block(history, seen.subnet).is_none_or(|death| death > block))
        .collect()
}

/// Block at which another subnet took the slot of `subnet`: from registrations, else from who was seen there next.
pub fn death_block(history: &History, subnet: SubnetId) -> Option<u64> {
    let took = |next: &&Registration| {
        next.subnet.netuid == subnet.netuid && next.replaced_registered_at == Some(subnet.registered_at)
    };
    let registered = history.registrations.iter().find(took).map(|next| next.subnet);
    let place = history.observations.partition_point(|seen| seen.subnet <= subnet);
    let seen = || history.observations.get(place).map(|next| next.subnet).filter(|next| next.netuid == subnet.netuid);
    registered.or_else(seen).map(|next| next.registered_at)
}

/// Observations of `subnet`, by block.
pub fn of_subnet(history: &History, subnet: SubnetId) -> &[Observation] {
    let first = history.observations.partition_point(|seen| seen.subnet < subnet);
    let count = history.observations[first..].partition_point(|seen| seen.subnet == subnet);
    &history.observations[first..first + count]
}

/// The network at `block` under the rules `protocol`, from what was known then.
pub fn chain_at(history: &History, block: u64, protocol: &ProtocolParams) -> ChainState {
    let (last_lock_block, last_lock_tao) = last_lock(history, block);
    let state = |seen: &&Observation| subnet_state(history, seen, block, protocol);
    ChainState {
        block,
        issuance_tao: issuance_tao(block),
        root_stake_tao: history.root_stake_at(block),
        last_lock_tao,
        last_lock_block,
        subnets: latest(history, block).iter().map(state).collect(),
    }
}

fn subnet_state(history: &History, seen: &Observation, block: u64, protocol: &ProtocolParams) -> SubnetState {
    let user = seen.flow_average_tao_per_block.filter(|_| protocol.share_rule.reads_flows());
    let averages = user.map(|user| FlowAverages { user, protocol: 0.0 });
    let staked_alpha = staked_part(block) * seen.outstanding_alpha;
    let started = !seen.is_startup;
    SubnetState {
        registered_at: seen.subnet.registered_at,
        first_emission_block: started.then(|| first_emission_block(history, seen.subnet)),
        emission_enabled: true,
        reserve_tao: seen.reserve_tao.max(f64::MIN_POSITIVE),
        reserve_alpha: seen.reserve_alpha.max(f64::MIN_POSITIVE),
        weight_tao: if protocol.pool_rule.is_weighted() { weight_tao(seen) } else { 0.5 },
        staked_alpha,
        burned_alpha: seen.outstanding_alpha - staked_alpha,
        moving_price: if started { seen.moving_price.unwrap_or(seen.price).min(1.0) } else { 0.0 },
        miner_burned: seen.miner_burned.unwrap_or(MINER_BURNED),
        flow: FlowState { averages, ..FlowState::default() },
        ..SubnetState::empty(seen.subnet.netuid)
    }
}

/// The weight at which the pool has the observed price (MODEL 2.1).
fn weight_tao(seen: &Observation) -> f64 {
    seen.reserve_tao / (seen.price * seen.reserve_alpha + seen.reserve_tao)
}

/// First emission block of a subnet seen started: one alpha a block is minted since, so that the alpha outside the pool at its
/// first started observation dates it.
fn first_emission_block(history: &History, subnet: SubnetId) -> u64 {
    if subnet.registered_at < FIRST_EMISSION_BLOCK_MIN {
        return FIRST_EMISSION_BLOCK_MIN;
    }
    let first = of_subnet(history, subnet).iter().find(|seen| !seen.is_startup);
    let dated = first.map(|seen| seen.block.saturating_sub(seen.outstanding_alpha.round() as u64));
    dated.unwrap_or(0).max(subnet.registered_at + 1)
}

/// Block and TAO of the last registration, its cost computed from the one before where it is not known.
fn last_lock(history: &History, block: u64) -> (u64, f64) {
    let mut last = (0, 0.0);
    let reopening = [(REOPENING.0, Some(REOPENING.1))].into_iter();
    let paid = history.registrations.iter().map(|seen| (seen.subnet.registered_at, seen.lock_cost_tao));
    let mut locks: Vec<(u64, Option<f64>)> = paid.chain(reopening).filter(|(at, _)| *at <= block).collect();
    locks.sort_unstable_by_key(|(at, _)| *at);
    for (at, paid_tao) in locks {
        let params = upgrades::params_at_block(at);
        let computed = || registration::lock_cost(&params, last.1, last.0, at, upgrades::block_emission_tao(at));
        last = (at, paid_tao.unwrap_or_else(computed));
    }
    last
}
