//! What all paths of a run share: rules, parameters, the start, and constants of one step.

use crate::engine::changed::ChangedDraws;
use crate::engine::drivers;
use crate::engine::drivers::Driver;
use crate::engine::drivers::Drivers;
use crate::engine::extras::Extras;
use crate::engine::path::Occupant;
use crate::engine::path::PathState;
use crate::engine::replicates::Replicates;
use crate::engine::revenue::RevenuePlan;
use crate::model::dividends::DividendStep;
use crate::model::entrants::Nature;
use crate::model::kernel::BehaviourChunk;
use crate::model::kernel::FlowStep;
use crate::model::market_states::MarketStep;
use crate::model::outside::OutsideStep;
use crate::model::params::ModelParams;
use crate::model::revenue::RevenueParams;
use crate::model::revenue::RevenueStep;
use crate::model::root_stake::RootStakeStep;
use crate::model::switches::RuleSwitch;
use crate::model::uncertainty;
use crate::protocol::coinbase_step::EmissionSales;
use crate::protocol::flow_kernel::FlowChunk;
use crate::protocol::moving_price_table::AgeFactors;
use crate::protocol::moving_price_table::AgeRule;
use crate::protocol::params::ProtocolParams;
use crate::protocol::pool::Pool;
use crate::protocol::share_rules::FlowAverages;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::state::ChainState;
use crate::protocol::state::FlowState;
use crate::protocol::state::SubnetState;
use crate::rng::GROUP_SLOTS;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SLOT_CAPACITY;

/// What a run simulates, before anything is derived from it.
#[derive(Clone, Debug)]
pub struct PlanInput {
    /// Seed of all draws.
    pub seed: u64,
    /// Rules of the chain at the start.
    pub protocol: ProtocolParams,
    /// Changes of rules that may come.
    pub switches: Vec<RuleSwitch>,
    /// Behaviour and chance.
    pub model: ModelParams,
    /// How paths share parameters drawn around `model`; `None`: all have those.
    pub replicates: Option<Replicates>,
    /// State that every path starts from.
    pub start: ChainState,
    /// USD per TAO at the start.
    pub tao_usd: f64,
    /// K: blocks per step, a divisor of 7,200.
    pub blocks_per_step: u64,
    /// r: a step takes its chance from r steps of K / r blocks, so that the path is coupled to the one of those steps; a
    /// divisor of K, 1 for a path of its own.
    pub draw_refinement: u32,
    /// Number of steps.
    pub steps: u32,
    /// What acts on paths.
    pub drivers: Drivers,
}

/// Everything that all paths of a run share, immutable.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What was asked for.
    pub input: PlanInput,
    /// Whether all pool weights are 1/2 for ever: they are at the start, and no rule that may come moves them.
    pub equal_weights: bool,
    /// Whether flow averages are kept: a rule that may come reads them.
    pub keeps_flows: bool,
    /// How dividends of holders differ from the average; `None`: they do not.
    pub dividends: Option<DividendStep>,
    /// Own flow of root stake; `None`: there is none.
    pub root_stake: Option<RootStakeStep>,
    /// Subnets with revenue.
    pub(crate) revenue: Vec<RevenuePlan>,
    /// Flows beside the organic law; `None`: there are none.
    pub extras: Option<Extras>,
    /// States of the market; `None`: it has but one.
    pub market: Option<MarketStep>,
    /// Draws that are not what their addresses say; `None`: none are.
    pub changed: Option<ChangedDraws>,
    pub(crate) chain: Vec<ChainChunk>,
    pub(crate) behaviour: Vec<BehaviourChunk>,
    pub(crate) flows: Vec<FlowChunk>,
    pub(crate) occupants: Vec<Option<Occupant>>,
    /// Slots not started or not enabled at the start.
    pub(crate) unsettled: Vec<u16>,
    /// Log-volatilities that are known at the start.
    pub(crate) start_volatility: Vec<(u16, [f64; 2])>,
    pub(crate) start_age_offset: Vec<Lanes8>,
    /// TAO in all pools at the start.
    pub(crate) start_pool_tao: f64,
    pub(crate) flow: FlowStep,
    pub(crate) outside: OutsideStep,
    pub(crate) sales: EmissionSales,
    pub(crate) age_rule: AgeRule,
    /// Most that a flow can let a reserve grow, as a part of it.
    pub(crate) growth_cap: f64,
    pub(crate) since_start: Vec<AgeFactors<f64>>,
}

impl Plan {
    /// Derives what the steps need.
    ///
    /// # Panics
    /// If `draw_refinement` does not divide `blocks_per_step`.
    pub fn new(input: PlanInput) -> Self {
        let input = drivers::switched(input);
        let blocks = input.blocks_per_step;
        assert!(blocks.is_multiple_of(u64::from(input.draw_refinement)), "{} parts of {blocks}", input.draw_refinement);
        let chunks = chunks_for(input.start.subnets.iter().map(|s| s.netuid.slot() + 1).max().unwrap_or(0));
        let mut chain = vec![ChainChunk::empty(); chunks];
        let mut behaviour = vec![BehaviourChunk::empty(); chunks];
        let mut occupants = vec![None; SLOT_CAPACITY];
        let mut start_age_offset = vec![[f64::INFINITY; CHUNK_SLOTS]; chunks];
        for subnet in &input.start.subnets {
            let (chunk, lane) = locate(subnet.netuid.slot());
            chain[chunk].set_lane(lane, subnet);
            behaviour[chunk].settle(lane, subnet.registered_at, &nature(&input, subnet));
            if !input.drivers.acts(Driver::OwnFlow) {
                behaviour[chunk].own_loading[lane] = 0.0;
            }
            occupants[subnet.netuid.slot()] = Some(incumbent(subnet));
            if let Some(first) = subnet.first_emission_block {
                start_age_offset[chunk][lane] = first as f64 - 2.0;
            }
        }
        let unsettled = input.start.subnets.iter().filter(|s| !(s.is_started() && s.emission_enabled));
        let age_rule = AgeRule::new(&input.protocol, blocks);
        let keeps_flows = possible_rules(&input).any(|rules| rules.share_rule.reads_flows());
        Self {
            equal_weights: input.start.subnets.iter().all(|s| s.weight_tao == 0.5) && !moves_weights(&input),
            keeps_flows,
            dividends: DividendStep::new(&input.model.validators, blocks),
            root_stake: RootStakeStep::coupled(&input.model.root_stake, blocks, input.draw_refinement),
            revenue: input.model.revenue.iter().map(|params| revenue_plan(&input, params)).collect(),
            extras: Extras::new(&input),
            market: market_step(&input),
            changed: None,
            flows: start_flows(&input, chunks),
            chain,
            behaviour,
            occupants,
            unsettled: unsettled.map(|s| s.netuid.slot() as u16).collect(),
            start_volatility: start_volatility(&input),
            start_age_offset,
            start_pool_tao: input.start.subnets.iter().fold(0.0, |sum, subnet| sum + subnet.reserve_tao),
            flow: flow_step(&input),
            outside: outside_step(&input),
            sales: emission_sales(&input.model, blocks),
            growth_cap: 1.01 * math::exp_m1(input.model.flow.flow_cap),
            since_start: age_rule.since_start(input.steps as usize + 1),
            age_rule,
            input,
        }
    }

    /// The law of a path's flows in the state of the market that it is in.
    #[inline(always)]
    pub(crate) fn flow_law(&self, path: &PathState) -> &FlowStep {
        match &self.market {
            None => &self.flow,
            Some(market) => &market.flows[path.market_state],
        }
    }

    /// Block after which step `step` (counted from 0) opens.
    pub fn opening_block(&self, step: u32) -> u64 {
        self.input.start.block + u64::from(step) * self.input.blocks_per_step
    }
}

/// How the flow of a subnet of the snapshot scales. Where parameters are drawn, so is what is not known of the single subnet.
fn nature(input: &PlanInput, subnet: &SubnetState) -> Nature {
    let flow = &input.model.flow;
    let own = input.model.subnets.iter().find(|own| own.netuid == subnet.netuid);
    let known = Nature::of_incumbent(flow, own);
    let Some(replicate) = input.replicates.as_ref().and_then(|replicates| replicates.drawn) else { return known };
    let drawn = uncertainty::draw_nature(flow, input.seed, replicate, subnet.netuid.slot());
    let loading_max = (1.0 - known.sector_loading * known.sector_loading).sqrt();
    Nature {
        log_scale: if own.is_some_and(|own| own.scale.is_some()) { known.log_scale } else { drawn.log_scale },
        loading: if own.is_some_and(|own| own.loading.is_some()) { known.loading } else { drawn.loading }
            .clamp(-loading_max, loading_max),
        ..known
    }
}

/// The rules of the start and those after each switch by itself: every single version that may be in force is among them.
fn possible_rules(input: &PlanInput) -> impl Iterator<Item = ProtocolParams> {
    let switched = input.switches.iter().map(|switch| {
        let mut params = input.protocol;
        switch.apply(&mut params);
        params
    });
    std::iter::once(input.protocol).chain(switched)
}

/// Whether injections at a price other than the pool's may meet weighted pools.
fn moves_weights(input: &PlanInput) -> bool {
    possible_rules(input).any(|rules| !rules.injection_rule.keeps_price())
        && possible_rules(input).any(|rules| rules.pool_rule.is_weighted())
}

/// Revenue of a subnet, which stands in the snapshot.
fn revenue_plan(input: &PlanInput, params: &RevenueParams) -> RevenuePlan {
    let netuid = params.subnet.netuid;
    let subnet = input.start.subnets.iter().find(|subnet| subnet.netuid == netuid);
    RevenuePlan {
        law: RevenueStep::coupled(params, input.blocks_per_step, input.draw_refinement),
        slot: netuid.slot(),
        miner_burned: subnet.map_or(0.0, |subnet| subnet.miner_burned.min(1.0)),
    }
}

fn flow_step(input: &PlanInput) -> FlowStep {
    known_volatility(input, FlowStep::coupled(&input.model.flow, input.blocks_per_step, input.draw_refinement))
}

/// The flow, told where the volatility of a subnet at the start is known.
fn known_volatility(input: &PlanInput, flow: FlowStep) -> FlowStep {
    if start_volatility(input).is_empty() { flow } else { flow.with_known_volatility() }
}

/// What all subnets share; without that driver no flow has any of the common factor, with which TAO/USD goes on to be correlated.
fn outside_step(input: &PlanInput) -> OutsideStep {
    let step = OutsideStep::coupled(&input.model, input.blocks_per_step, input.draw_refinement);
    if input.drivers.acts(Driver::CommonFactor) { step } else { step.without_factor() }
}

fn market_step(input: &PlanInput) -> Option<MarketStep> {
    let market = input.model.market.as_ref()?;
    let mut step = MarketStep::new(market, &input.model, input.blocks_per_step, input.draw_refinement);
    step.flows = step.flows.into_iter().map(|flow| known_volatility(input, flow)).collect();
    Some(step)
}

fn start_volatility(input: &PlanInput) -> Vec<(u16, [f64; 2])> {
    let known = input.model.subnets.iter();
    known.filter_map(|subnet| Some((subnet.netuid.slot() as u16, subnet.log_volatility?))).collect()
}

/// Flow averages of the snapshot; those of a flow rule that has none yet start as it says.
fn start_flows(input: &PlanInput, chunks: usize) -> Vec<FlowChunk> {
    let mut flows = vec![FlowChunk::default(); chunks];
    for subnet in input.start.subnets.iter().filter(|subnet| subnet.is_started()) {
        let (chunk, lane) = locate(subnet.netuid.slot());
        let price = Pool::from(subnet).spot_price();
        let user = input.protocol.share_rule.first_flow_average(subnet.moving_price, price);
        let averages = subnet.flow.averages.or(Some(FlowAverages { user, protocol: 0.0 }));
        flows[chunk].set_lane(lane, &FlowState { averages, ..subnet.flow });
    }
    flows
}

/// Chunk and lane of a slot.
#[inline(always)]
pub fn locate(slot: usize) -> (usize, usize) {
    (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS)
}

/// Chunks that hold `slots` slots, in whole groups.
pub fn chunks_for(slots: usize) -> usize {
    slots.div_ceil(GROUP_SLOTS) * (GROUP_SLOTS / CHUNK_SLOTS)
}

/// A subnet of the snapshot; delays are drawn per path.
fn incumbent(subnet: &SubnetState) -> Occupant {
    Occupant {
        registered_at: subnet.registered_at,
        incumbent: true,
        started_step: None,
        start_block: None,
        enable_delay_blocks: 0.0,
        enable_block: None,
    }
}

/// What of received emission people sell over a step of `blocks` blocks.
pub fn emission_sales(model: &ModelParams, blocks: u64) -> EmissionSales {
    let sales = &model.sales;
    EmissionSales {
        owner: sales.owner,
        miner: sales.miner,
        validator: sales.validator,
        root_swap: sales.root_swap_fraction,
        claim_of_stock: 0.0,
        claim_of_new: 0.0,
    }
    .with_claims(sales.root_claim_delay_days * BLOCKS_PER_DAY as f64, blocks as f64)
}
