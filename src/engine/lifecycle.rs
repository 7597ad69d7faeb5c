//! What happens to subnets at a step's end: registration, prune and dissolution, start_call, emission enabling.
//!
//! # Not modelled
//! - More than one registration in a step: the chain's rate limit is two days.
//! - The owner refund of legacy subnets: their lock was recycled at registration, so that nothing is left to refund.

use crate::engine::advance::Workspace;
use crate::engine::drivers::Driver;
use crate::engine::path::LifecycleEvent;
use crate::engine::path::Occupant;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::chunks_for;
use crate::engine::plan::locate;
use crate::engine::record::EventKind;
use crate::engine::slot_search;
use crate::model::entrants;
use crate::model::kernel::BehaviourChunk;
use crate::model::registration::RegistrationClock;
use crate::protocol::dissolve;
use crate::protocol::flow_kernel::FlowChunk;
use crate::protocol::registration;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::StepBuffers;
use crate::protocol::state::FlowState;
use crate::protocol::state::SubnetState;
use crate::simd::Vector;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// Lets the registration attempt of the step act, then due starts and enablings.
///
/// Inlined, as all it calls, so that elementary functions are compiled for the kernel's instruction set.
#[inline(always)]
pub(crate) fn end_step<V: Vector>(plan: &Plan, step: u32, path: &mut PathState, work: &mut Workspace) {
    if let Some(block) = path.attempt.take() {
        attempt::<V>(plan, path, block, work);
        path.clock = RegistrationClock::start(plan.input.seed, path.path, path.clock.ordinal + 1);
    }
    let closing = plan.opening_block(step + 1);
    if path.next_due <= closing as f64 {
        act_on_waiting(step, closing, path, work);
    }
}

/// One registration attempt: fails without a free or prunable slot, or when the cost exceeds all wallets.
#[inline(always)]
fn attempt<V: Vector>(plan: &Plan, path: &mut PathState, block: u64, work: &mut Workspace) {
    let emission = path.emission_level().per_block;
    let cost = registration::lock_cost(&path.protocol, path.last_lock_tao, path.last_lock_block, block, emission);
    if !(cost <= path.free_tao) {
        return;
    }
    let slot = if slot_search::occupied_slots::<V>(&path.behaviour) < path.protocol.subnet_limit {
        path.occupants.iter().position(Option::is_none)
    } else {
        let immunity = path.protocol.immunity_period_blocks;
        let target = slot_search::prune_target::<V>(&path.chain, &path.behaviour, block, immunity);
        if let Some(slot) = target {
            dissolve_slot(path, slot, block, work);
        }
        target
    };
    if let Some(slot) = slot {
        register::<V>(plan, path, slot, block, cost, work);
    }
}

/// Pays the pool's TAO out to stakers, recycles the protocol's part, frees the slot (MECHANICS 10.3).
fn dissolve_slot(path: &mut PathState, slot: usize, block: u64, work: &mut Workspace) {
    let Some(occupant) = path.occupants[slot] else { return };
    let (chunk, lane) = locate(slot);
    let chain = &path.chain[chunk];
    let staked = chain.staked_alpha[lane];
    let pot = chain.reserve_tao[lane];
    let payout = dissolve::payout_per_alpha(
        &path.protocol,
        pot,
        staked,
        chain.reserve_alpha[lane],
        chain.protocol_alpha[lane],
        occupant.registered_at,
    );
    let price = chain.price(lane);
    let dissolved = event(EventKind::Deregistered, slot, block, &occupant, chain.moving_price[lane], price, payout);
    work.events.push(LifecycleEvent { pot_tao: pot, staked_alpha: staked, ..dissolved });
    path.free_tao += payout * staked;
    path.issuance_tao -= pot - payout * staked;
    path.occupants[slot] = None;
    path.waiting.retain(|&(waiting, _)| usize::from(waiting) != slot);
    path.started_here.retain(|&(started, _)| usize::from(started) != slot);
    path.behaviour[chunk].registered_at[lane] = f64::INFINITY;
    path.chain[chunk].set_lane(lane, &SubnetState::empty(NetUid::from_slot(slot)));
    if let Some(flows) = path.flows.get_mut(chunk) {
        flows.set_lane(lane, &FlowState::default());
    }
}

/// Puts an entrant into a free slot, its pool seeded with the lock at the median price (MECHANICS 9.3).
#[inline(always)]
fn register<V: Vector>(plan: &Plan, path: &mut PathState, slot: usize, block: u64, cost: f64, work: &mut Workspace) {
    let input = &plan.input;
    let model = &input.model;
    grow(path, slot, &mut work.buffers);
    let median = work.prices.median::<V>(&path.chain, &path.behaviour, path.median_price);
    path.median_price = median;
    let character = entrants::draw_entrant(&model.flow, &model.entrants, input.seed, path.path, path.clock.ordinal);
    let start_call_delay = path.protocol.start_call_delay_blocks as f64;
    let mut subnet = registration::new_subnet(&path.protocol, NetUid::from_slot(slot), block, cost, median);
    subnet.miner_burned = character.miner_burned;
    let (chunk, lane) = locate(slot);
    path.chain[chunk].set_lane(lane, &subnet);
    path.behaviour[chunk].settle(lane, block, &character.nature);
    if !input.drivers.acts(Driver::OwnFlow) {
        path.behaviour[chunk].own_loading[lane] = 0.0;
    }
    path.behaviour[chunk].set_volatility(lane, character.log_volatility);
    let occupant = Occupant {
        registered_at: block,
        incumbent: false,
        started_step: None,
        start_block: character.delays.start_blocks.map(|delay| block as f64 + delay.max(start_call_delay)),
        enable_delay_blocks: character.delays.enable_blocks,
        enable_block: None,
    };
    path.occupants[slot] = Some(occupant);
    path.wait(slot);
    path.free_tao -= cost;
    path.issuance_tao -= cost - subnet.reserve_tao;
    path.last_lock_tao = cost;
    path.last_lock_block = block;
    let price = path.price(slot);
    work.events.push(event(EventKind::Registered, slot, block, &occupant, 0.0, price, cost));
}

/// Makes room for `slot` when the subnet limit is above the number of subnets at the start. What recorders read of the
/// step is 0 there: the buffers still hold another path's values.
fn grow(path: &mut PathState, slot: usize, buffers: &mut StepBuffers) {
    debug_assert!(slot < SLOT_CAPACITY);
    let chunks = chunks_for(slot + 1);
    let live = path.chain.len();
    if chunks > live {
        for values in [&mut buffers.share, &mut buffers.growth, &mut buffers.staked_open, &mut buffers.validator_alpha]
        {
            values.0[live..chunks].fill([0.0; CHUNK_SLOTS]);
        }
        path.chain.resize(chunks, ChainChunk::empty());
        path.behaviour.resize(chunks, BehaviourChunk::empty());
        if !path.flows.is_empty() {
            path.flows.resize(chunks, FlowChunk::default());
        }
    }
}

/// start_call and emission enabling act at the first step end after their block.
#[inline(never)]
fn act_on_waiting(step: u32, closing: u64, path: &mut PathState, work: &mut Workspace) {
    path.next_due = f64::INFINITY;
    let mut index = 0;
    while let Some(&(slot, mut due)) = path.waiting.get(index) {
        if due <= closing as f64 {
            let slot = usize::from(slot);
            act_once(path, slot, closing as f64, Stage::Start, step, work);
            act_once(path, slot, closing as f64, Stage::Enable, step, work);
            let Some(next) = path.occupants[slot].and_then(|occupant| occupant.due_block()) else {
                path.waiting.swap_remove(index);
                continue;
            };
            due = next;
            path.waiting[index].1 = due;
        }
        path.next_due = path.next_due.min(due);
        index += 1;
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Start,
    Enable,
}

/// Lets one stage act where it is due.
fn act_once(path: &mut PathState, slot: usize, closing: f64, stage: Stage, step: u32, work: &mut Workspace) {
    let (chunk, lane) = locate(slot);
    let Some(occupant) = &mut path.occupants[slot] else { return };
    let due = if stage == Stage::Start { &mut occupant.start_block } else { &mut occupant.enable_block };
    let Some(block) = due.take_if(|block| *block <= closing) else { return };
    let chain = &mut path.chain[chunk];
    let kind = if stage == Stage::Start { EventKind::Started } else { EventKind::EmissionEnabled };
    let (moving_price, price) = (chain.moving_price[lane], chain.price(lane));
    work.events.push(event(kind, slot, block.ceil() as u64, occupant, moving_price, price, 0.0));
    if stage == Stage::Enable {
        chain.enabled[lane] = 1.0;
        return;
    }
    chain.started[lane] = 1.0;
    let is_enabled = chain.enabled[lane] > 0.0;
    occupant.started_step = Some(step + 1);
    occupant.enable_block = (!is_enabled).then_some(block + occupant.enable_delay_blocks);
    path.started_here.push((slot as u16, step + 1));
    path.start_flow(slot);
}

fn event(
    kind: EventKind,
    slot: usize,
    block: u64,
    occupant: &Occupant,
    moving_price: f64,
    price: f64,
    paid_tao: f64,
) -> LifecycleEvent {
    let Occupant { registered_at, incumbent, .. } = *occupant;
    let (pot_tao, staked_alpha) = (0.0, 0.0);
    LifecycleEvent { kind, slot, block, registered_at, incumbent, moving_price, price, paid_tao, pot_tao, staked_alpha }
}
