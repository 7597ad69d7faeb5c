//! What happens to subnets at a step's end: registration, prune and dissolution, start_call, emission enabling.
//!
//! # Not modelled
//! - More than one registration in a step: the chain's rate limit is two days.
//! - The owner refund of legacy subnets: their lock was recycled at registration, so that nothing is left to refund.

use crate::engine::path::LifecycleEvent;
use crate::engine::path::Occupant;
use crate::engine::path::PathState;
use crate::engine::path::Workspace;
use crate::engine::plan::Plan;
use crate::engine::plan::chunks_for;
use crate::engine::plan::locate;
use crate::engine::record::EventKind;
use crate::model::entrants;
use crate::model::kernel::BehaviourChunk;
use crate::model::registration::CostLine;
use crate::model::registration::RegistrationClock;
use crate::model::registration::RegistrationHazard;
use crate::protocol::dissolve;
use crate::protocol::emission;
use crate::protocol::flow_kernel::FlowChunk;
use crate::protocol::registration;
use crate::protocol::registration::PruneCandidate;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::StepBuffers;
use crate::protocol::state::FlowState;
use crate::protocol::state::SubnetState;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// Runs the registration clock through the step, then lets due starts and enablings act.
///
/// Inlined, as all it calls, so that elementary functions are compiled for the kernel's instruction set.
#[inline(always)]
pub(crate) fn end_step(plan: &Plan, step: u32, path: &mut PathState, work: &mut Workspace) {
    let opening = plan.opening_block(step);
    let closing = opening + plan.input.blocks_per_step;
    let from = first_allowed_block(path).max(opening);
    if from < closing
        && let Some(blocks) = run_clock(plan, path, from, (closing - from) as f64)
    {
        let block = (from + blocks.ceil().max(1.0) as u64).min(closing);
        attempt(plan, path, block, work);
        path.clock = RegistrationClock::start(plan.input.seed, path.path, path.clock.ordinal + 1);
    }
    if path.next_due <= closing as f64 {
        act_on_waiting(step, closing, path, work);
    }
}

/// First block at which the rate limit allows a registration.
fn first_allowed_block(path: &PathState) -> u64 {
    match path.last_lock_block {
        0 => 0,
        last => last + path.protocol.registration_rate_limit_blocks,
    }
}

#[inline(always)]
fn run_clock(plan: &Plan, path: &mut PathState, from: u64, blocks: f64) -> Option<f64> {
    let willingness = plan.outside.willingness_tao(&path.outside);
    let hazard = RegistrationHazard::new(&plan.input.model.registration, willingness);
    let cost = cost_line(path, from);
    hazard.run(&mut path.clock, cost, blocks)
}

#[inline(always)]
fn cost_line(path: &PathState, block: u64) -> CostLine {
    let protocol = &path.protocol;
    let emission = emission::block_emission(path.issuance_tao);
    let interval = (protocol.lock_reduction_interval_blocks as f64 * emission).floor();
    CostLine {
        start_tao: lock_cost(path, block),
        fall_per_block: if interval > 0.0 { path.last_lock_tao / interval } else { 0.0 },
        floor_tao: protocol.lock_cost_min_tao,
    }
}

#[inline(always)]
fn lock_cost(path: &PathState, block: u64) -> f64 {
    let emission = emission::block_emission(path.issuance_tao);
    registration::lock_cost(&path.protocol, path.last_lock_tao, path.last_lock_block, block, emission)
}

/// One registration attempt: fails without a free or prunable slot, or when the cost exceeds all wallets.
#[inline(always)]
fn attempt(plan: &Plan, path: &mut PathState, block: u64, work: &mut Workspace) {
    let cost = lock_cost(path, block);
    if !(cost <= path.free_tao) {
        return;
    }
    let slot = if occupied_slots(path) < path.protocol.subnet_limit {
        path.occupants.iter().position(Option::is_none)
    } else {
        let target = prune_target(path, block);
        if let Some(slot) = target {
            dissolve_slot(path, slot, block, work);
        }
        target
    };
    if let Some(slot) = slot {
        register(plan, path, slot, block, cost, work);
    }
}

/// Free slots carry an infinite block of registration.
#[inline(always)]
fn occupied_slots(path: &PathState) -> usize {
    path.behaviour.iter().flat_map(|chunk| chunk.registered_at).filter(|block| block.is_finite()).count()
}

/// The chain's rule, asked only about the subnets whose moving price is the lowest past immunity: mostly one.
#[inline(always)]
fn prune_target(path: &PathState, block: u64) -> Option<usize> {
    let immunity = path.protocol.immunity_period_blocks;
    let last = block.checked_sub(immunity)? as f64;
    let mut lowest = [f64::INFINITY; CHUNK_SLOTS];
    for (chain, behaviour) in path.chain.iter().zip(&path.behaviour) {
        for (lane, lowest) in lowest.iter_mut().enumerate() {
            let price = if behaviour.registered_at[lane] <= last { chain.moving_price[lane] } else { f64::INFINITY };
            *lowest = if price < *lowest { price } else { *lowest };
        }
    }
    let lowest = lowest.into_iter().fold(f64::INFINITY, f64::min);
    let has_lowest = |chunk: &usize| path.chain[*chunk].moving_price.iter().any(|price| *price <= lowest);
    let lanes = |chunk| (0..CHUNK_SLOTS).map(move |lane| (chunk, lane));
    let candidates = (0..path.chain.len()).filter(has_lowest).flat_map(lanes).filter_map(|(chunk, lane)| {
        let slot = chunk * CHUNK_SLOTS + lane;
        let moving_price = path.chain[chunk].moving_price[lane];
        let is_lowest = path.behaviour[chunk].registered_at[lane] <= last && moving_price <= lowest;
        let occupant = path.occupants[slot].filter(|_| is_lowest)?;
        Some(PruneCandidate { netuid: NetUid::from_slot(slot), registered_at: occupant.registered_at, moving_price })
    });
    registration::prune_target(block, immunity, candidates).map(NetUid::slot)
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
    work.events.push(event(EventKind::Deregistered, slot, block, &occupant, chain.moving_price[lane], price, payout));
    path.free_tao += payout * staked;
    path.issuance_tao -= pot - payout * staked;
    path.occupants[slot] = None;
    path.waiting.retain(|&waiting| usize::from(waiting) != slot);
    path.started_here.retain(|&started| usize::from(started) != slot);
    path.behaviour[chunk].registered_at[lane] = f64::INFINITY;
    path.chain[chunk].set_lane(lane, &SubnetState::empty(NetUid::from_slot(slot)));
    if let Some(flows) = path.flows.get_mut(chunk) {
        flows.set_lane(lane, &FlowState::default());
    }
}

/// Puts an entrant into a free slot, its pool seeded with the lock at the median price (MECHANICS 9.3).
#[inline(always)]
fn register(plan: &Plan, path: &mut PathState, slot: usize, block: u64, cost: f64, work: &mut Workspace) {
    let input = &plan.input;
    let model = &input.model;
    grow(path, slot, &mut work.buffers);
    let median = median_price(path, &mut work.scratch);
    let character = entrants::draw_entrant(&model.flow, &model.entrants, input.seed, path.path, path.clock.ordinal);
    let start_call_delay = path.protocol.start_call_delay_blocks as f64;
    let mut subnet = registration::new_subnet(&path.protocol, NetUid::from_slot(slot), block, cost, median);
    subnet.miner_burned = character.miner_burned;
    let (chunk, lane) = locate(slot);
    path.chain[chunk].set_lane(lane, &subnet);
    path.behaviour[chunk].settle(lane, block, &character.nature);
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

/// [`registration::median_price`] of the occupied slots.
#[inline(always)]
fn median_price(path: &PathState, scratch: &mut [f64; SLOT_CAPACITY]) -> f64 {
    let mut count = 0;
    for (chain, behaviour) in path.chain.iter().zip(&path.behaviour) {
        for lane in 0..CHUNK_SLOTS {
            let price = chain.price(lane);
            scratch[count % SLOT_CAPACITY] = price;
            count += usize::from(price > 0.0 && behaviour.registered_at[lane].is_finite());
        }
    }
    registration::median_of(&mut scratch[..count])
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
    while index < path.waiting.len() {
        let slot = usize::from(path.waiting[index]);
        act_once(path, slot, closing as f64, Stage::Start, step, work);
        act_once(path, slot, closing as f64, Stage::Enable, step, work);
        match path.occupants[slot].and_then(|occupant| occupant.due_block()) {
            Some(due) => {
                path.next_due = path.next_due.min(due);
                index += 1;
            }
            None => {
                path.waiting.swap_remove(index);
            }
        }
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
    path.started_here.push(slot as u16);
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
    LifecycleEvent { kind, slot, block, registered_at, incumbent, moving_price, price, paid_tao }
}
