//! One step of K blocks forward on one path, and the buffers that it takes.

use crate::engine::drivers::Driver;
use crate::engine::extras::Buffers;
use crate::engine::lifecycle;
use crate::engine::path::LifecycleEvent;
use crate::engine::path::PathFault;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::revenue;
use crate::engine::shocks;
use crate::engine::slot_search::MedianPrices;
use crate::model::extra::ExtraFlows;
use crate::model::kernel as model_kernel;
use crate::model::kernel::Draw;
use crate::model::kernel::FlowBuffers;
use crate::protocol::block::GATE_PERIOD_BLOCKS;
use crate::protocol::coinbase_step::CoinbaseStep;
use crate::protocol::emission::EmissionLevel;
use crate::protocol::flow_kernel;
use crate::protocol::kernel;
use crate::protocol::kernel::StepInput;
use crate::protocol::kernel::StepSums;
use crate::protocol::moving_price_kernel;
use crate::protocol::moving_price_table::AgeChunk;
use crate::protocol::share_kernel;
use crate::protocol::share_kernel::RawShares;
use crate::protocol::share_kernel::ShareStep;
use crate::protocol::share_rules::FlowLevel;
use crate::protocol::share_rules::GateThreshold;
use crate::protocol::slots;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::MAX_CHUNKS;
use crate::protocol::slots::SlotSingles;
use crate::protocol::slots::SlotValues;
use crate::protocol::slots::StepBuffers;
use crate::simd::Vector;
use crate::units::NetUid;

/// Buffers of a worker, used for every path.
pub struct Workspace {
    /// What the protocol passes leave behind.
    pub buffers: StepBuffers,
    /// Events of the step.
    pub events: Vec<LifecycleEvent>,
    /// Whether every slot leaves its row in `buffers`: for those who read more of it than `share`, `staked_open` and
    /// `validator_alpha`.
    pub keeps_rows: bool,
    pub(crate) flow: FlowBuffers,
    /// `e^f - 1` of the organic flow as drawn.
    pub(crate) growth: SlotSingles,
    pub(crate) extra: ExtraFlows,
    pub(crate) prices: MedianPrices,
    ages: [AgeChunk; MAX_CHUNKS],
}

impl Default for Workspace {
    fn default() -> Self {
        Self {
            buffers: StepBuffers::new(),
            events: Vec::with_capacity(16),
            keeps_rows: true,
            flow: FlowBuffers::default(),
            growth: SlotSingles::zero(),
            extra: ExtraFlows::default(),
            prices: MedianPrices::default(),
            ages: [AgeChunk::frozen(); MAX_CHUNKS],
        }
    }
}

impl Workspace {
    /// Forgets the last step.
    pub fn clear(&mut self) {
        self.buffers = StepBuffers::new();
        self.events.clear();
    }
}

/// Fills the age factors of incumbents for the step `step`.
#[inline(always)]
pub fn fill_ages<V: Vector>(plan: &Plan, step: u32, row: &mut [AgeChunk; MAX_CHUNKS]) {
    plan.age_rule.fill_row::<V>(plan.opening_block(step) as f64, &plan.start_age_offset, row);
}

/// One step forward of an opened path. `row`: age factors of incumbents; `held`: alpha of books.
#[inline(always)]
pub fn advance<V: Vector>(
    plan: &Plan,
    step: u32,
    row: &[AgeChunk; MAX_CHUNKS],
    path: &mut PathState,
    held: &SlotValues,
    work: &mut Workspace,
) -> Result<(), PathFault> {
    let draw = Draw { seed: plan.input.seed, path: path.path, step, block: plan.opening_block(step) as f64 };
    revenue::open(plan, draw, path);
    if plan.equal_weights {
        advance_slots::<V, true>(plan, step, row, path, held, work)?;
    } else {
        advance_slots::<V, false>(plan, step, row, path, held, work)?;
    }
    path.move_root_stake(plan, draw);
    work.events.clear();
    lifecycle::end_step::<V>(plan, step, path, work);
    Ok(())
}

#[inline(always)]
fn advance_slots<V: Vector, const EQUAL: bool>(
    plan: &Plan,
    step: u32,
    row: &[AgeChunk; MAX_CHUNKS],
    path: &mut PathState,
    held: &SlotValues,
    work: &mut Workspace,
) -> Result<(), PathFault> {
    let draw = Draw { seed: plan.input.seed, path: path.path, step, block: plan.opening_block(step) as f64 };
    let Workspace { buffers, flow, growth, extra, ages, keeps_rows, .. } = work;
    let shares = shares::<V>(plan.opening_block(step), path, buffers);
    shocks::prepare(plan, step, path, |slot| buffers.share.get(slot));
    let ages = patch_ages::<V>(plan, step, row, path, ages);
    let inflow_tao = match &plan.extras {
        None => draw_flows::<V>(plan, draw, path, flow, growth),
        Some(extras) => {
            let (law, changed) = (plan.flow_law(path), plan.changed.as_ref());
            let of_flow = Buffers { flow, extra, growth, changed };
            extras.draw_flows::<V>(law, draw, path, &buffers.share, &ages, of_flow);
            f64::INFINITY
        }
    };
    shocks::freeze(plan, path, growth);
    let coinbase = coinbase_step(plan, path, shares.price_sum > 1.0);
    let input = StepInput {
        coinbase: &coinbase,
        share_factor: shares.factor,
        growth,
        held,
        stake_floor: plan.input.model.flow.stake_floor,
    };
    let is_affordable = costs_at_most(plan, &coinbase, inflow_tao) <= path.free_tao;
    let is_quiet = plan.revenue.is_empty() && !path.shocks.trade();
    let is_plain = !plan.keeps_flows && is_quiet && plan.input.drivers.acts(Driver::Emission);
    let (sums, is_sound) = if is_affordable && is_plain {
        kernel::step_pass::<V, EQUAL>(&mut path.chain, input, ages, *keeps_rows, buffers)
    } else {
        advance_checked::<V, EQUAL>(plan, path, input, ages, buffers)
    };
    shocks::close_drawn(path, growth);
    path.issuance_tao += sums.spent_tao;
    path.root_stake_tao += sums.root_tao;
    path.free_tao += sums.sold_tao - sums.flow_tao;
    if is_sound { Ok(()) } else { Err(find_fault(plan, step, path)) }
}

/// The organic flow of every slot; more than it costs (TAO), as [`model_kernel::flow_draws`] says.
#[inline(always)]
pub(crate) fn draw_flows<V: Vector>(
    plan: &Plan,
    draw: Draw,
    path: &mut PathState,
    flow: &mut FlowBuffers,
    growth: &mut SlotSingles,
) -> f64 {
    let law = plan.flow_law(path);
    let PathState { common, chain, behaviour, occupants, draws, .. } = path;
    model_kernel::draw_chance::<V>(law, draw, chain, behaviour, flow);
    if let Some(changed) = &plan.changed {
        changed.change_slots(draw, occupants, draws, flow);
    }
    model_kernel::flows::<V>(law, *common, chain, behaviour, flow, growth)
}

/// More than the organic flow can cost (TAO): all flows into pools, at reserves that the coinbase can have let grow by then.
/// With extra flows nothing is known before they trade.
fn costs_at_most(plan: &Plan, coinbase: &CoinbaseStep, inflow_tao: f64) -> f64 {
    1.01 * inflow_tao + coinbase.blocks * coinbase.emission_tao[0] * plan.growth_cap
}

/// [`kernel::step_pass`] where the flow may cost more than there is in wallets, enters flow averages, or follows buybacks or shocks;
/// or where nothing is emitted.
#[inline(always)]
fn advance_checked<'a, V: Vector, const EQUAL: bool>(
    plan: &Plan,
    path: &mut PathState,
    input: StepInput<'_>,
    ages: impl Fn(usize) -> &'a AgeChunk,
    buffers: &mut StepBuffers,
) -> (StepSums, bool) {
    let emits = plan.input.drivers.acts(Driver::Emission);
    let mut sums = if emits {
        kernel::coinbase_pass::<V, EQUAL>(&mut path.chain, input, buffers)
    } else {
        kernel::still_pass::<V, EQUAL>(&path.chain, input.growth, buffers)
    };
    let mut bought_tao = revenue::trade(plan, path, input.coinbase.sales.miner, &mut sums, buffers);
    if path.shocks.trade() {
        bought_tao += shocks::trade(path, path.free_tao + sums.sold_tao - bought_tao, input.held, buffers);
    }
    let wallets_tao = path.free_tao + sums.sold_tao - bought_tao;
    let flow_tao = bought_tao + trade_flows::<V, EQUAL>(path, wallets_tao, (input.held, input.stake_floor), buffers);
    revenue::close(plan, path, buffers);
    shocks::close(path, buffers);
    if !emits {
        clear_rounding(&mut path.chain);
    }
    let blocks = input.coinbase.blocks;
    if plan.keeps_flows {
        flow_kernel::close_pass::<V>(&path.protocol, blocks, &path.chain, &mut path.flows, buffers);
    }
    let is_sound = moving_price_kernel::moving_price_pass::<V, EQUAL>(&mut path.chain, blocks, ages, buffers);
    (StepSums { flow_tao, ..sums }, is_sound)
}

/// Leaves gated shares in `buffers.share`, yet to be multiplied by the factor that is returned.
#[inline(always)]
fn shares<V: Vector>(opening: u64, path: &mut PathState, buffers: &mut StepBuffers) -> RawShares {
    let rule = path.protocol.share_rule;
    let level = match rule.reads_flows() {
        true => flow_kernel::open_pass::<V>(&path.protocol, &path.chain, &mut path.flows),
        false => FlowLevel::NONE,
    };
    let weighted_root_tao = path.protocol.tao_weight * path.root_stake_tao;
    let step = ShareStep { rule, weighted_root_tao, flows: &path.flows, level };
    let raw = share_kernel::raw_shares::<V>(&path.chain, &step, buffers);
    let (exponent, threshold) = match rule.gate(&path.protocol.hill_gate) {
        None => (1, 0.0),
        Some(gate) => {
            let interval = opening / GATE_PERIOD_BLOCKS;
            if interval != path.gate_interval {
                let weights = &buffers.raw_share.0[..path.chain.len()];
                path.gate_threshold = match gate.threshold {
                    GateThreshold::Rank(rank) if raw.factor > 0.0 => {
                        raw.factor * share_kernel::ranked_value::<V>(weights, rank, path.gate_threshold / raw.factor)
                    }
                    threshold => {
                        let shares: Vec<f64> =
                            weights.as_flattened().iter().map(|weight| weight * raw.factor).collect();
                        threshold.of(&shares)
                    }
                };
                path.gate_interval = interval;
            }
            (gate.exponent, path.gate_threshold)
        }
    };
    let factor = share_kernel::final_shares::<V>(&path.chain, raw.factor, exponent, threshold, buffers);
    RawShares { factor, ..raw }
}

#[inline(always)]
fn coinbase_step(plan: &Plan, path: &mut PathState, sell_flag: bool) -> CoinbaseStep {
    let blocks = plan.input.blocks_per_step as f64;
    let EmissionLevel { per_block: emission, until, .. } = path.emission_level();
    let is_near = until - path.issuance_tao < blocks * emission;
    let before = if is_near { ((until - path.issuance_tao) / emission).ceil().clamp(0.0, blocks) } else { blocks };
    let protocol = &path.protocol;
    CoinbaseStep {
        blocks,
        emission_tao: [emission, 0.5 * emission],
        emission_part: [before / blocks, (blocks - before) / blocks],
        weighted_root_tao: protocol.tao_weight * path.root_stake_tao,
        sell_flag,
        injection_rule: protocol.injection_rule,
        root_rule: protocol.root_rule,
        weighted: protocol.pool_rule.is_weighted(),
        owner_cut: protocol.owner_cut,
        sales: path.shocks.sales(plan),
    }
}

/// Stakes that are sold out day by day and that no emission refills fall to where rounding of the pool's alpha takes them below 0.
fn clear_rounding(chain: &mut [ChainChunk]) {
    for alpha in chain.iter_mut().flat_map(|chunk| &mut chunk.staked_alpha).filter(|alpha| **alpha < 0.0) {
        *alpha = 0.0;
    }
}

/// Organic flow, scaled down where it would cost more than `free_tao`. Returns what it cost (TAO).
#[inline(always)]
fn trade_flows<V: Vector, const EQUAL: bool>(
    path: &mut PathState,
    free_tao: f64,
    kept: (&SlotValues, f64),
    buffers: &mut StepBuffers,
) -> f64 {
    let mut cost = kernel::flow_pass::<V, EQUAL>(&mut path.chain, kept, buffers);
    while cost > free_tao.max(0.0) {
        let factor = if cost.is_finite() { 0.99 * free_tao.max(0.0) / cost } else { 0.0 };
        kernel::rescale_flows(&mut path.chain, factor, buffers);
        cost = kernel::flow_pass::<V, EQUAL>(&mut path.chain, kept, buffers);
    }
    cost
}

/// Age factors of the path: those of incumbents, with the lanes of subnets that started on the path put in.
#[inline(always)]
fn patch_ages<'a, V: Vector>(
    plan: &'a Plan,
    step: u32,
    row: &'a [AgeChunk; MAX_CHUNKS],
    path: &PathState,
    patched: &'a mut [AgeChunk; MAX_CHUNKS],
) -> impl Fn(usize) -> &'a AgeChunk + use<'a, V> {
    let mut mask = 0u32;
    for &(slot, started) in &path.started_here {
        let (chunk, lane) = locate(usize::from(slot));
        if mask & (1 << chunk) == 0 {
            patched[chunk].copy_from::<V>(&row[chunk]);
            mask |= 1 << chunk;
        }
        patched[chunk].set(lane, &plan.since_start[(step - started) as usize]);
    }
    let patched: &'a [AgeChunk; MAX_CHUNKS] = patched;
    move |chunk| if mask & (1 << chunk) == 0 { &row[chunk] } else { &patched[chunk] }
}

#[cold]
fn find_fault(plan: &Plan, step: u32, path: &PathState) -> PathFault {
    let unsound = |slot: &usize| {
        let (chunk, lane) = locate(*slot);
        let chain = &path.chain[chunk];
        let sound = chain.reserve_tao[lane] > 0.0
            && chain.reserve_alpha[lane] > 0.0
            && chain.staked_alpha[lane] >= 0.0
            && chain.moving_price[lane] >= 0.0;
        !sound
    };
    let slot = (0..path.chain.len() * slots::CHUNK_SLOTS).find(unsound).unwrap_or(0);
    PathFault { path: path.path, step: step + 1, netuid: NetUid::from_slot(slot), seed: plan.input.seed }
}
