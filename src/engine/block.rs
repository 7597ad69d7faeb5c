//! One block of a path in the chain's own order, over the scalar protocol functions: the reference of the step engine.
//!
//! Mode `continuous`: real numbers, emission paid and sold every block, withheld parts fixed. Chance, behaviour and
//! lifecycle are the step engine's own functions; everything the chain decides within a block is not.

use crate::engine::advance;
use crate::engine::advance::Workspace;
use crate::engine::extras::Buffers;
use crate::engine::lifecycle;
use crate::engine::opening;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::revenue;
use crate::engine::revenue::SubnetRevenue;
use crate::engine::shocks;
use crate::model::kernel::Draw;
use crate::protocol::block;
use crate::protocol::block::BlockReport;
use crate::protocol::block::GATE_PERIOD_BLOCKS;
use crate::protocol::block::HillGate;
use crate::protocol::block::SubnetReport;
use crate::protocol::fixed::Rounding;
use crate::protocol::kernel::SELLABLE_PART;
use crate::protocol::moving_price_table::AgeChunk;
use crate::protocol::params::ProtocolParams;
use crate::protocol::pool::Pool;
use crate::protocol::slots::SlotValues;
use crate::protocol::state::ChainState;
use crate::protocol::state::SubnetState;
use crate::simd::Vector;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;

/// What the block engine keeps from block to block of one path.
#[derive(Clone, Debug)]
pub struct BlockState {
    chain: ChainState,
    gate: HillGate,
    gate_interval: u64,
    report: BlockReport,
}

impl BlockState {
    /// Before the first block.
    pub fn new(plan: &Plan) -> Self {
        Self {
            chain: plan.input.start.clone(),
            gate: HillGate { threshold: 0.0, last_update_block: 0 },
            gate_interval: u64::MAX,
            report: BlockReport::default(),
        }
    }
}

/// One block forward; `plan` must have one block per step. `held`: alpha of books.
#[inline(always)]
pub fn advance_block<V: Vector>(
    plan: &Plan,
    step: u32,
    path: &mut PathState,
    held: &SlotValues,
    state: &mut BlockState,
    work: &mut Workspace,
) {
    debug_assert_eq!(plan.input.blocks_per_step, 1);
    let opening = plan.opening_block(step);
    let before = path.protocol;
    opening::open::<V>(plan, step, std::slice::from_mut(path));
    if path.protocol != before {
        state.gate_interval = u64::MAX;
    }
    let draw = Draw { seed: plan.input.seed, path: path.path, step, block: opening as f64 };
    revenue::open(plan, draw, path);
    read_slots(plan, opening, path, &mut state.chain);
    run_coinbase(&path.protocol, opening, state);
    let share = |slot: usize| state.report.subnets.iter().find(|report| report.netuid.slot() == slot);
    shocks::prepare(plan, step, path, |slot| share(slot).map_or(0.0, |report| report.emission_tao));
    draw_flows::<V>(plan, step, path, &state.report, work);
    shocks::freeze(plan, path, &mut work.growth);
    path.issuance_tao = state.chain.issuance_tao;
    path.root_stake_tao = state.chain.root_stake_tao;
    for (subnet, report) in state.chain.subnets.iter_mut().zip(&state.report.subnets) {
        let slot = subnet.netuid.slot();
        let earner =
            (0..plan.revenue.len()).find(|&index| plan.revenue[index].slot == slot && !path.revenue[index].is_over());
        let creators = earner.and_then(|index| plan.revenue[index].law.creator_sale_fraction());
        sell_emission(plan, path, creators, subnet, report);
        if let Some(index) = earner {
            buy_back(plan, path, index, subnet);
        }
        let shocked_tao = shocks::trade_subnet(path, held.get(slot), subnet);
        subnet.flow.pending.user += shocked_tao;
        path.free_tao -= shocked_tao;
        let started = if subnet.is_started() { 1.0 } else { 0.0 };
        let paid_tao = trade_flow(
            subnet,
            f64::from(work.growth.get(slot)) * started,
            held.get(slot),
            plan.input.model.flow.stake_floor,
        );
        subnet.flow.pending.user += paid_tao;
        path.free_tao -= paid_tao;
        let (chunk, lane) = locate(slot);
        path.chain[chunk].set_lane(lane, subnet);
        if let Some(flows) = path.flows.get_mut(chunk) {
            flows.set_lane(lane, &subnet.flow);
        }
    }
    path.revenue.iter_mut().for_each(SubnetRevenue::close);
    path.move_root_stake(plan, draw);
    work.events.clear();
    lifecycle::end_step::<V>(plan, step, path, work);
}

/// Flows of the block, from the state at its opening; the coinbase is asked for the shares of emission alone.
#[inline(always)]
fn draw_flows<V: Vector>(plan: &Plan, step: u32, path: &mut PathState, report: &BlockReport, work: &mut Workspace) {
    let draw = Draw { seed: plan.input.seed, path: path.path, step, block: plan.opening_block(step) as f64 };
    let law = plan.flow_law(path);
    let Workspace { buffers, flow, growth, extra, .. } = work;
    let Some(extras) = &plan.extras else {
        advance::draw_flows::<V>(plan, draw, path, flow, growth);
        return;
    };
    for subnet in &report.subnets {
        buffers.share.set(subnet.netuid.slot(), subnet.emission_tao);
    }
    // At one block per step no answer of the flow depends on age.
    let frozen = AgeChunk::frozen();
    extras.draw_flows::<V>(
        law,
        draw,
        path,
        &buffers.share,
        |_| &frozen,
        Buffers { flow, extra, growth, changed: plan.changed.as_ref() },
    );
}

fn read_slots(plan: &Plan, opening: u64, path: &PathState, chain: &mut ChainState) {
    chain.block = opening;
    chain.issuance_tao = path.issuance_tao;
    chain.root_stake_tao = path.root_stake_tao;
    chain.subnets.clear();
    for (slot, occupant) in path.occupants.iter().enumerate() {
        let Some(occupant) = occupant else { continue };
        let (chunk, lane) = locate(slot);
        let first_emission_block = first_emission_block(plan, path, slot);
        let netuid = NetUid::from_slot(slot);
        let registered_at = occupant.registered_at;
        let flow = path.flows.get(chunk).map(|flows| flows.lane(lane)).unwrap_or_default();
        let subnet = path.chain[chunk].lane(lane, netuid);
        chain.subnets.push(SubnetState { registered_at, first_emission_block, flow, ..subnet });
    }
}

/// Block from which the subnet in `slot` ages; `None` where it has not started, or there is none.
pub(crate) fn first_emission_block(plan: &Plan, path: &PathState, slot: usize) -> Option<u64> {
    let (chunk, lane) = locate(slot);
    match path.occupants[slot]?.started_step {
        Some(step) => Some(plan.opening_block(step) + 1),
        None if path.chain[chunk].started[lane] > 0.0 => Some((plan.start_age_offset[chunk][lane] + 2.0) as u64),
        None => None,
    }
}

/// The coinbase, with the gate's threshold recomputed where the step engine recomputes it.
fn run_coinbase(params: &ProtocolParams, opening: u64, state: &mut BlockState) {
    let interval = opening / GATE_PERIOD_BLOCKS;
    let due = interval != state.gate_interval;
    state.gate_interval = interval;
    state.gate.last_update_block = if due { 0 } else { opening };
    block::coinbase(params, Rounding::Continuous, &mut state.chain, &mut state.gate, &[], &mut state.report);
}

/// Sales by owners, miners and validators, then root claims, one after the other through the pool (MODEL 3.4). `creators`: the
/// part that miners sell, where it is not that of other subnets.
fn sell_emission(
    plan: &Plan,
    path: &mut PathState,
    creators: Option<f64>,
    subnet: &mut SubnetState,
    report: &SubnetReport,
) {
    let sales = path.shocks.sales(plan);
    let miner_part = creators.unwrap_or(sales.miner);
    let split = &report.alpha_out;
    let paid_to_miners = split.server * (1.0 - subnet.miner_burned.min(1.0));
    let sold = sales.owner * split.owner + miner_part * paid_to_miners + sales.validator * split.validator;
    subnet.staked_alpha -= sold;
    let proceeds_tao = sell(subnet, sold);
    path.free_tao += proceeds_tao;
    subnet.flow.pending.user -= proceeds_tao;
    let sales = &plan.input.model.sales;
    let delay_blocks = sales.root_claim_delay_days * BLOCKS_PER_DAY as f64;
    let claimed = -(-1.0 / delay_blocks).exp_m1() * subnet.unclaimed_root_alpha;
    let swapped = sales.root_swap_fraction * claimed;
    subnet.unclaimed_root_alpha -= claimed;
    subnet.staked_alpha += claimed - swapped;
    let root_tao = sell(subnet, swapped);
    path.root_stake_tao += root_tao;
    subnet.flow.pending.protocol -= root_tao;
}

/// Lets the revenue with the number `index` buy alpha of its `subnet`.
fn buy_back(plan: &Plan, path: &mut PathState, index: usize, subnet: &mut SubnetState) {
    if !subnet.is_started() {
        return;
    }
    let revenue = &mut path.revenue[index];
    let paid_tao = plan.revenue[index].law.buyback_usd(revenue.step.revenue_usd) / path.outside.tao_usd;
    revenue.step.buyback_tao = paid_tao;
    path.free_tao -= paid_tao;
    let pool = Pool::from(&*subnet);
    let after = pool.after_buy(paid_tao);
    (subnet.reserve_tao, subnet.reserve_alpha) = (after.reserve_tao, after.reserve_alpha);
    subnet.staked_alpha += pool.reserve_alpha - after.reserve_alpha;
    subnet.flow.pending.user += paid_tao;
}

fn sell(subnet: &mut SubnetState, alpha: f64) -> f64 {
    let before = Pool::from(&*subnet);
    let after = before.after_sell(alpha);
    subnet.reserve_alpha = after.reserve_alpha;
    subnet.reserve_tao = after.reserve_tao;
    before.reserve_tao - after.reserve_tao
}

/// Lets the TAO reserve grow by a part of itself and returns the TAO that it cost; sales beyond the sellable stake are cut off.
fn trade_flow(subnet: &mut SubnetState, growth: f64, held_alpha: f64, stake_floor: f64) -> f64 {
    let pool = Pool::from(&*subnet);
    if growth >= 0.0 {
        let tao = pool.reserve_tao * growth;
        let bought = pool.buy(tao);
        subnet.reserve_tao += tao;
        subnet.reserve_alpha -= bought;
        subnet.staked_alpha += bought;
        return tao;
    }
    let ratio = pool.weight_tao / pool.weight_alpha();
    let kept = held_alpha.max(stake_floor * (subnet.staked_alpha + pool.reserve_alpha));
    let sellable = SELLABLE_PART * (subnet.staked_alpha - kept).max(0.0);
    let sold = (pool.reserve_alpha * (-growth.ln_1p() * ratio).exp_m1()).min(sellable);
    subnet.staked_alpha -= sold;
    -sell(subnet, sold)
}
