//! The state of one path.

use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::record::EventKind;
use crate::engine::revenue;
use crate::engine::revenue::SubnetRevenue;
use crate::engine::shocks;
use crate::engine::shocks::PathShocks;
use crate::engine::tilt::PathDraws;
use crate::model::entrants;
use crate::model::kernel::BehaviourChunk;
use crate::model::kernel::CommonFlow;
use crate::model::kernel::Draw;
use crate::model::outside::Outside;
use crate::model::registration::RegistrationClock;
use crate::model::switches::RuleSwitch;
use crate::protocol::emission::EmissionLevel;
use crate::protocol::flow_kernel::FlowChunk;
use crate::protocol::params::ProtocolParams;
use crate::protocol::share_rules::FlowAverages;
use crate::protocol::share_rules::ShareRule;
use crate::protocol::slots;
use crate::protocol::slots::ChainChunk;
use crate::protocol::state::FlowState;
use crate::simd::Vector;
use crate::simd::math;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// Who holds a slot, and what is still to come for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Occupant {
    /// Block of registration.
    pub registered_at: u64,
    /// Whether the subnet is one of the snapshot.
    pub incumbent: bool,
    /// Steps since the path's start at which start_call took effect on the path; `None`: before the path or not yet.
    pub started_step: Option<u32>,
    /// Block of start_call, where it is still to come.
    pub start_block: Option<f64>,
    /// Blocks from start_call (started incumbents: from the snapshot) to emission enabling.
    pub enable_delay_blocks: f64,
    /// Block of emission enabling, where it is still to come and start_call has happened.
    pub enable_block: Option<f64>,
}

impl Occupant {
    /// Block of what comes next for it, where something is still to come.
    pub fn due_block(&self) -> Option<f64> {
        self.start_block.or(self.enable_block)
    }
}

/// Something that befell a subnet within a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LifecycleEvent {
    /// What happened.
    pub kind: EventKind,
    /// Where.
    pub slot: usize,
    /// Block of the event.
    pub block: u64,
    /// Registration block of the subnet that it befell.
    pub registered_at: u64,
    /// Whether that subnet is one of the snapshot.
    pub incumbent: bool,
    /// Its moving price then.
    pub moving_price: f64,
    /// Its spot price then (TAO per alpha).
    pub price: f64,
    /// TAO paid: the lock cost of a registration, the payout per staked alpha of a deregistration, else 0.
    pub paid_tao: f64,
    /// TAO in its pool at a deregistration, else 0.
    pub pot_tao: f64,
    /// Alpha staked at a deregistration, else 0.
    pub staked_alpha: f64,
}

/// A path is unsound: a value became NaN or negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "path {path}, step {step}, {netuid}: a pool, stake or moving price became NaN or negative; \
     `--seed {seed} --paths {}` repeats it, and the scenario's parameters are the place to look", path + 1
)]
pub struct PathFault {
    /// Path index.
    pub path: u32,
    /// Step, counted from 1.
    pub step: u32,
    /// Slot where it showed first.
    pub netuid: NetUid,
    /// Seed of the run.
    pub seed: u64,
}

/// State of one path.
#[derive(Clone, Debug)]
pub struct PathState {
    /// Path index.
    pub path: u32,
    /// Rules in force.
    pub protocol: ProtocolParams,
    /// The chain's slots.
    pub chain: Vec<ChainChunk>,
    /// Flow averages of the slots; none where no rule that may come reads them.
    pub flows: Vec<FlowChunk>,
    /// The model's slots.
    pub behaviour: Vec<BehaviourChunk>,
    /// Who holds each slot; `None`: free.
    pub occupants: Vec<Option<Occupant>>,
    /// TAO issuance.
    pub issuance_tao: f64,
    /// TAO staked on root.
    pub root_stake_tao: f64,
    /// TAO in wallets, kept as a ledger of what was paid in and out.
    pub free_tao: f64,
    /// TAO paid at the last registration.
    pub last_lock_tao: f64,
    /// Block of the last registration.
    pub last_lock_block: u64,
    /// TAO/USD and willingness to pay.
    pub outside: Outside,
    /// What the flows of the step share.
    pub common: CommonFlow,
    /// Revenue of those subnets that have some.
    pub revenue: Vec<SubnetRevenue>,
    /// Shocks of the scenario.
    pub(crate) shocks: PathShocks,
    /// Log move of root stake by its own flow, as far as it will return.
    pub(crate) root_stake_moved: f64,
    /// State of the market in the step; 0 where it has but one.
    pub market_state: usize,
    /// Sum of the common factor over the steps so far, before shocks.
    pub factor_sum: f64,
    /// Draws so far that are changed.
    pub draws: PathDraws,
    /// Clock of the next registration attempt.
    pub clock: RegistrationClock,
    /// Block of the registration attempt that the step brings, if it does.
    pub(crate) attempt: Option<u64>,
    /// Slots that are still to start or to be enabled, and the block of what comes next for each.
    pub(crate) waiting: Vec<(u16, f64)>,
    /// No block of what comes next for them is below this.
    pub(crate) next_due: f64,
    /// Slots that started on the path, and after how many steps: their age is counted in steps.
    pub(crate) started_here: Vec<(u16, u32)>,
    /// The median price at the last registration, from which the next is searched.
    pub(crate) median_price: f64,
    /// Blocks at which changes of rules come, in the order of the scenario; infinite where never or passed.
    switch_blocks: Vec<f64>,
    pub(crate) gate_threshold: f64,
    pub(crate) gate_interval: u64,
    emission_level: EmissionLevel,
}

impl PathState {
    /// An unused path, to be [`reset`](Self::reset).
    pub fn new(plan: &Plan) -> Self {
        let start = &plan.input.start;
        Self {
            path: 0,
            protocol: plan.input.protocol,
            chain: plan.chain.clone(),
            flows: Vec::new(),
            behaviour: plan.behaviour.clone(),
            occupants: vec![None; SLOT_CAPACITY],
            issuance_tao: start.issuance_tao,
            root_stake_tao: start.root_stake_tao,
            free_tao: 0.0,
            last_lock_tao: start.last_lock_tao,
            last_lock_block: start.last_lock_block,
            outside: Outside { tao_usd: 0.0, log_willingness: 0.0 },
            common: CommonFlow { factor: 0.0, jump: 0.0 },
            revenue: Vec::with_capacity(plan.revenue.len()),
            shocks: PathShocks::default(),
            root_stake_moved: 0.0,
            market_state: 0,
            factor_sum: 0.0,
            draws: PathDraws::default(),
            clock: RegistrationClock { ordinal: 0, remaining: 0.0 },
            attempt: None,
            waiting: Vec::with_capacity(SLOT_CAPACITY),
            next_due: f64::INFINITY,
            started_here: Vec::with_capacity(SLOT_CAPACITY),
            switch_blocks: Vec::with_capacity(plan.input.switches.len()),
            median_price: 0.0,
            gate_threshold: 0.0,
            gate_interval: u64::MAX,
            emission_level: EmissionLevel::at(start.issuance_tao),
        }
    }

    /// Puts the path `path` at its start: the snapshot, and what it does not tell drawn.
    #[inline(always)]
    pub fn reset<V: Vector>(&mut self, plan: &Plan, path: u32) {
        let input = &plan.input;
        let registration = &input.model.registration;
        self.path = path;
        self.protocol = input.protocol;
        self.flows.clear();
        if plan.keeps_flows {
            self.flows.extend_from_slice(&plan.flows);
        }
        self.switch_blocks.clear();
        let switch_block = |(index, switch): (usize, &RuleSwitch)| {
            switch.draw_block(index, input.seed, path, input.start.block).unwrap_or(f64::INFINITY)
        };
        self.switch_blocks.extend(input.switches.iter().enumerate().map(switch_block));
        self.chain.clear();
        self.chain.extend_from_slice(&plan.chain);
        self.behaviour.clear();
        self.behaviour.extend_from_slice(&plan.behaviour);
        self.occupants.clear();
        self.occupants.extend_from_slice(&plan.occupants);
        self.issuance_tao = input.start.issuance_tao;
        self.root_stake_tao = input.start.root_stake_tao;
        self.free_tao = self.issuance_tao - plan.start_pool_tao - self.root_stake_tao;
        self.last_lock_tao = input.start.last_lock_tao;
        self.last_lock_block = input.start.last_lock_block;
        self.outside = Outside {
            tao_usd: input.tao_usd,
            log_willingness: math::ln(registration.willingness_start_tao / registration.willingness_median_tao),
        };
        revenue::reset(plan, &mut self.revenue);
        shocks::reset(plan, path, &mut self.shocks);
        self.root_stake_moved = 0.0;
        self.market_state = plan.market.as_ref().map_or(0, |market| market.start);
        self.clock = RegistrationClock::start(input.seed, path, 0);
        (self.common, self.factor_sum) = (CommonFlow { factor: 0.0, jump: 0.0 }, 0.0);
        if let Some(changed) = &plan.changed {
            changed.reset(path, &mut self.draws);
        }
        self.attempt = None;
        self.waiting.clear();
        self.next_due = f64::INFINITY;
        self.started_here.clear();
        // Threshold and median price of the last path stay as first guesses: the searches are exact from any.
        self.gate_interval = u64::MAX;
        plan.flow.draw_volatility::<V>(input.seed, path, &mut self.behaviour);
        for &(slot, parts) in &plan.start_volatility {
            let (chunk, lane) = locate(usize::from(slot));
            self.behaviour[chunk].set_volatility(lane, parts);
        }
        for &slot in &plan.unsettled {
            self.settle_incumbent(plan, usize::from(slot));
        }
    }

    /// Draws when an incumbent that is not started or not enabled will be.
    #[inline(always)]
    fn settle_incumbent(&mut self, plan: &Plan, slot: usize) {
        let input = &plan.input;
        let Some(occupant) = &mut self.occupants[slot] else { return };
        let delays = entrants::draw_incumbent_delays(&input.model.entrants, input.seed, self.path, slot);
        let now = input.start.block as f64;
        let (chunk, lane) = locate(slot);
        let started = plan.chain[chunk].started[lane] > 0.0;
        occupant.start_block = delays.start_blocks.filter(|_| !started).map(|delay| now + delay);
        occupant.enable_delay_blocks = delays.enable_blocks;
        occupant.enable_block = started.then_some(now + delays.enable_blocks);
        self.wait(slot);
    }

    /// Lists a slot for which something is still to come.
    pub(crate) fn wait(&mut self, slot: usize) {
        if let Some(due) = self.occupants[slot].and_then(|occupant| occupant.due_block()) {
            self.waiting.push((slot as u16, due));
            self.next_due = self.next_due.min(due);
        }
    }

    /// Puts the rules in force that have come by the block `opening`, in the order of their blocks, then of the scenario: two
    /// that come within one step end as they would in steps of their own.
    #[inline]
    pub(crate) fn switch_rules(&mut self, plan: &Plan, opening: f64) {
        while let Some(index) = self.next_switch().filter(|index| self.switch_blocks[*index] <= opening) {
            self.switch_blocks[index] = f64::INFINITY;
            let before = self.protocol.share_rule;
            plan.input.switches[index].apply(&mut self.protocol);
            self.enter_rules(before);
        }
    }

    #[inline]
    fn next_switch(&self) -> Option<usize> {
        (0..self.switch_blocks.len()).min_by(|a, b| self.switch_blocks[*a].total_cmp(&self.switch_blocks[*b]))
    }

    /// What the chain's migrations do to the state when rules come into force.
    fn enter_rules(&mut self, before: ShareRule) {
        self.gate_interval = u64::MAX;
        if !self.protocol.pool_rule.is_weighted() {
            self.chain.iter_mut().for_each(|chunk| chunk.weight_tao = [0.5; slots::CHUNK_SLOTS]);
        }
        if self.protocol.share_rule.starts_flows_at_prices() && self.protocol.share_rule != before {
            (0..self.chain.len() * slots::CHUNK_SLOTS).for_each(|slot| self.start_flow(slot));
        }
    }

    /// Gives a started slot the first flow average of the rule in force.
    pub(crate) fn start_flow(&mut self, slot: usize) {
        let (chunk, lane) = locate(slot);
        if let Some(flows) = self.flows.get_mut(chunk).filter(|_| self.chain[chunk].started[lane] > 0.0) {
            let (moving_price, price) = (self.chain[chunk].moving_price[lane], self.chain[chunk].price(lane));
            let user = self.protocol.share_rule.first_flow_average(moving_price, price);
            let averages = Some(FlowAverages { user, protocol: 0.0 });
            flows.set_lane(lane, &FlowState { averages, ..FlowState::default() });
        }
    }

    /// The block emission at the issuance of now.
    #[inline(always)]
    pub(crate) fn emission_level(&mut self) -> EmissionLevel {
        if !self.emission_level.holds_at(self.issuance_tao) {
            self.emission_level = EmissionLevel::at(self.issuance_tao);
        }
        self.emission_level
    }

    /// Lets TAO flow to root from wallets, at most all that they have, or back.
    #[inline(always)]
    pub(crate) fn move_root_stake(&mut self, plan: &Plan, draw: Draw) {
        if let Some(flow) = &plan.root_stake {
            let growth = math::exp_m1(flow.advance(draw, &mut self.root_stake_moved));
            self.stake_on_root(self.root_stake_tao * growth);
        }
        if !plan.input.model.shocks.is_empty() {
            self.stake_on_root(self.shocks.root_flow_tao(plan, self.root_stake_tao));
        }
    }

    #[inline(always)]
    fn stake_on_root(&mut self, tao: f64) {
        let staked_tao = tao.min(self.free_tao.max(0.0));
        self.root_stake_tao += staked_tao;
        self.free_tao -= staked_tao;
    }

    /// Block at which the shock with the number `index` of the scenario begins on the path; `None`: it never does.
    pub fn shock_block(&self, plan: &Plan, index: usize) -> Option<u64> {
        self.shocks.begin(plan, index)
    }

    /// Whether the subnet of the snapshot still lives in `slot`.
    #[inline(always)]
    pub(crate) fn keeps_incumbent(&self, slot: usize) -> bool {
        match self.occupants[slot] {
            Some(occupant) => occupant.incumbent,
            None => false,
        }
    }

    /// Spot price (TAO per alpha) in `slot`.
    #[inline]
    pub fn price(&self, slot: usize) -> f64 {
        let (chunk, lane) = locate(slot);
        self.chain[chunk].price(lane)
    }

    /// TAO in all pools.
    pub fn pool_tao(&self) -> f64 {
        let occupied = self.occupants.iter().enumerate().filter(|(_, occupant)| occupant.is_some());
        occupied.fold(0.0, |sum, (slot, _)| {
            let (chunk, lane) = locate(slot);
            sum + self.chain[chunk].reserve_tao[lane]
        })
    }

    /// Difference between TAO issuance and where the ledger says it is, relative to issuance.
    pub fn tao_imbalance(&self) -> f64 {
        (self.pool_tao() + self.root_stake_tao + self.free_tao - self.issuance_tao) / self.issuance_tao
    }
}
