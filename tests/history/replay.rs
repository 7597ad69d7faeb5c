//! The block engine under the rules of the day, driven by observed flows.

use taorisk::protocol::block;
use taorisk::protocol::block::BlockInputs;
use taorisk::protocol::block::BlockReport;
use taorisk::protocol::block::HillGate;
use taorisk::protocol::block::SubnetReport;
use taorisk::protocol::fixed::Rounding;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::pool::Pool;
use taorisk::protocol::share_rules::FlowAverages;
use taorisk::protocol::state::ChainState;
use taorisk::protocol::state::FlowState;
use taorisk::protocol::state::SubnetState;
use taorisk::protocol::trade::Order;
use taorisk::protocol::upgrades;
use taorisk::units::BLOCKS_PER_DAY;
use taorisk::units::NetUid;

use crate::observed::Day;
use crate::observed::History;
use crate::observed::Observation;

/// First block that pays 0.5 TAO; the issuance at which it does is not in the data.
const HALVING_BLOCK: u64 = 7_103_976;
/// First block in which moving prices age from there rather than from registration (spec 258; fitted to the data).
const AGE_FROM_START_BLOCK: u64 = 5_280_432;
/// First blocks in which moving prices age with 100,800 (spec 246; its day) and 201,600 (spec 252; fitted to the data).
const AGE_BLOCKS: [u64; 2] = [5_072_000, 5_163_632];
/// Part of claimed root alpha that is sold; fitted to the flow averages of the chain.
const CLAIM_SWAP_FRACTION: f64 = 0.84;
/// Subnets with less TAO in the pool, or registered less than this ago, are young.
const YOUNG_POOL_TAO: f64 = 100.0;
const YOUNG_BLOCKS: u64 = 30 * BLOCKS_PER_DAY;
/// Blocks between two trades of users in a subnet; observed flows are those of hours.
const ORDER_PERIOD_BLOCKS: u64 = 6;
/// Largest distance of a pool's weight from 1/2 that is believed.
const WEIGHT_SHIFT_MAX: f64 = 0.05;

/// Rules in force at a block; tests may change them.
pub type Rules = fn(u64) -> ProtocolParams;

/// Rules of the chain at `block`, without fees: observed flows are net of them.
pub fn chain_rules(block: u64) -> ProtocolParams {
    let moving_price_age_blocks = match AGE_BLOCKS.partition_point(|start| *start <= block) {
        0 => 0.0,
        1 => 100_800.0,
        _ => 201_600.0,
    };
    ProtocolParams { moving_price_age_blocks, fee_rate: 0.0, ..upgrades::params_at_block(block) }
}

/// The chain replayed from an observed day.
pub struct Replay<'a> {
    history: &'a History,
    rules: Rules,
    /// The chain as far as it is replayed.
    pub state: ChainState,
    /// What its last block did.
    pub report: BlockReport,
    day: usize,
    gate: HillGate,
    inputs: BlockInputs,
    before: Vec<Pool>,
    /// TAO of trades that the coinbase stood for since each subnet's last order.
    coinbase_flows: Vec<f64>,
}

impl<'a> Replay<'a> {
    pub fn start(history: &'a History, day: usize, rules: Rules) -> Self {
        let block = history.days[day].block;
        let state = ChainState {
            block,
            issuance_tao: 0.0,
            root_stake_tao: 0.0,
            last_lock_tao: 0.0,
            last_lock_block: 0,
            subnets: Vec::new(),
        };
        let gate = HillGate::of(&rules(block), &state);
        Self {
            history,
            rules,
            state,
            report: BlockReport::default(),
            day,
            gate,
            inputs: BlockInputs::default(),
            before: Vec::new(),
            coinbase_flows: Vec::new(),
        }
    }

    /// Advances to an observed day, taking in on the way what no rule can know: new subnets, and those still young.
    pub fn advance_to_day(&mut self, day: usize) {
        while self.day < day {
            self.take_in(&self.history.days[self.day]);
            self.advance_to_block(self.history.days[self.day + 1].block);
            self.day += 1;
        }
    }

    /// Advances to a block, through the observed days before it.
    pub fn advance_through_days(&mut self, block: u64) {
        while self.history.days.get(self.day + 1).is_some_and(|next| next.block <= block) {
            self.advance_to_day(self.day + 1);
        }
        self.take_in(&self.history.days[self.day]);
        self.advance_to_block(block);
    }

    /// Advances to a block before the next observed day, or on it.
    fn advance_to_block(&mut self, block: u64) {
        let history = self.history;
        let first = history.flows.partition_point(|row| row.block <= self.state.block);
        for pair in history.flows[first - 1..].windows(2) {
            if self.state.block >= block {
                break;
            }
            let blocks = (pair[1].block - pair[0].block) as f64;
            let rate: Vec<f64> = pair[1].net_tao.iter().map(|flow| flow / blocks).collect();
            while self.state.block < block.min(pair[1].block) {
                let end = self.next_cut(block.min(pair[1].block));
                self.remove_replaced();
                self.advance_under_one_rule(end, &rate);
            }
        }
    }

    /// The last block before rules or subnets change, at most `end`.
    fn next_cut(&self, end: u64) -> u64 {
        let fixed = [HALVING_BLOCK, AGE_FROM_START_BLOCK, AGE_BLOCKS[0], AGE_BLOCKS[1]];
        let upgrades = upgrades::UPGRADES.iter().map(|upgrade| upgrade.block);
        let replacements = self.history.replacements.iter().map(|replacement| replacement.block);
        let changes = fixed.into_iter().chain(upgrades).chain(replacements);
        changes.map(|change| change - 1).filter(|cut| *cut > self.state.block).fold(end, u64::min)
    }

    fn advance_under_one_rule(&mut self, end: u64, rate: &[f64]) {
        let first = self.state.block + 1;
        let params = (self.rules)(first);
        if !(self.rules)(self.state.block).share_rule.reads_flows() {
            // Before spec 334 nobody counted flows: the first flow rule finds none waiting.
            self.state.subnets.iter_mut().for_each(|subnet| subnet.flow = FlowState::default());
        }
        self.state.issuance_tao = if first < HALVING_BLOCK { 10.4e6 } else { 10.6e6 };
        self.state.root_stake_tao = self.history.root_stake_tao(first);
        for subnet in self.state.subnets.iter_mut().filter(|subnet| subnet.is_started()) {
            subnet.first_emission_block = Some(first_emission_block(self.history, subnet, first));
        }
        self.coinbase_flows.resize(self.state.subnets.len(), 0.0);
        for _ in self.state.block..end {
            self.advance_block(&params, rate);
        }
    }

    /// One block. Users of a subnet trade in every [`ORDER_PERIOD_BLOCKS`]-th, so that with what the coinbase has moved
    /// since their last trade the pool moves by the observed flow.
    fn advance_block(&mut self, params: &ProtocolParams, rate: &[f64]) {
        let block = self.state.block + 1;
        self.inputs.orders.clear();
        for (subnet, coinbase_flow) in self.state.subnets.iter().zip(&mut self.coinbase_flows) {
            let slot = subnet.netuid.slot();
            if (block + slot as u64).is_multiple_of(ORDER_PERIOD_BLOCKS) {
                let observed_flow = rate[slot] * ORDER_PERIOD_BLOCKS as f64;
                self.inputs.orders.extend(order(subnet, observed_flow - std::mem::take(coinbase_flow)));
            }
        }
        self.before.clear();
        self.before.extend(self.state.subnets.iter().map(Pool::from));
        let (state, gate, report) = (&mut self.state, &mut self.gate, &mut self.report);
        block::advance_block(params, Rounding::Floored, state, gate, &self.inputs, report);
        for (slot, report) in self.report.subnets.iter().enumerate() {
            self.coinbase_flows[slot] += coinbase_flow(&self.before[slot], report);
            claim(&mut self.state.subnets[slot]);
        }
    }

    /// Removes subnets whose slot is taken in the next block; until then they are there to be judged.
    fn remove_replaced(&mut self) {
        let next_block = self.state.block + 1;
        for replacement in self.history.replacements.iter().filter(|replacement| replacement.block == next_block) {
            self.state.subnets.retain(|subnet| subnet.netuid != replacement.netuid);
            self.coinbase_flows.clear();
        }
    }

    /// Takes in subnets that are new, have started since, or are young.
    fn take_in(&mut self, day: &Day) {
        let params = (self.rules)(day.block);
        for seen in &day.subnets {
            let place = self.state.subnets.binary_search_by_key(&seen.netuid, |subnet| subnet.netuid);
            match place {
                Ok(place) if is_still(&self.state.subnets[place], seen, day.block) => {}
                Ok(place) => self.state.subnets[place] = state_of(seen, &params),
                Err(place) => self.state.subnets.insert(place, state_of(seen, &params)),
            }
        }
        self.coinbase_flows.clear();
    }
}

/// Whether a replayed subnet goes on, rather than being read again.
fn is_still(subnet: &SubnetState, seen: &Observation, block: u64) -> bool {
    let same = subnet.registered_at == seen.registered_at && subnet.is_started() == seen.started;
    same && !is_young(seen, block)
}

/// Whether a subnet is so young that it is read again at every observation: its pool grows by multiples in a day, where one
/// net flow says little.
pub fn is_young(seen: &Observation, block: u64) -> bool {
    seen.reserve_tao < YOUNG_POOL_TAO || block < seen.registered_at + YOUNG_BLOCKS
}

/// A subnet as observed. The first emission block is set with the rules.
fn state_of(seen: &Observation, params: &ProtocolParams) -> SubnetState {
    let user = seen.flow_average_tao;
    let averages = params.share_rule.reads_flows().then_some(FlowAverages { user, protocol: 0.0 });
    SubnetState {
        registered_at: seen.registered_at,
        first_emission_block: seen.started.then_some(seen.registered_at),
        emission_enabled: true,
        reserve_tao: seen.reserve_tao,
        reserve_alpha: seen.reserve_alpha,
        weight_tao: weight_tao(seen),
        staked_alpha: seen.outstanding_alpha,
        moving_price: seen.moving_price,
        flow: FlowState { averages, pending: FlowAverages::default() },
        ..SubnetState::empty(seen.netuid)
    }
}

/// The weight at which the pool has the observed price (MODEL 2.1); 1/2 where that is not close to it.
fn weight_tao(seen: &Observation) -> f64 {
    let weight = seen.reserve_tao / (seen.price * seen.reserve_alpha + seen.reserve_tao);
    if (weight - 0.5).abs() <= WEIGHT_SHIFT_MAX && seen.reserve_tao >= YOUNG_POOL_TAO { weight } else { 0.5 }
}

/// First emission block of a started subnet, for emission and age, in the rules of `block`.
fn first_emission_block(history: &History, subnet: &SubnetState, block: u64) -> u64 {
    if block < AGE_FROM_START_BLOCK {
        subnet.registered_at + 1
    } else {
        history.first_emission_block(subnet.netuid, subnet.registered_at)
    }
}

/// The order by which `net_tao` enters the pool, or leaves it where negative.
fn order(subnet: &SubnetState, net_tao: f64) -> Option<Order> {
    let netuid: NetUid = subnet.netuid;
    if net_tao > 0.0 {
        return Some(Order::Buy { netuid, gross_tao: net_tao });
    }
    let exponent = subnet.weight_tao / (1.0 - subnet.weight_tao);
    let gross_alpha = subnet.reserve_alpha * (-exponent * (net_tao / subnet.reserve_tao).ln_1p()).exp_m1();
    (gross_alpha > 0.0).then_some(Order::Sell { netuid, gross_alpha })
}

/// TAO of trades that would have moved the root of the price as the coinbase did: the measure of observed flows.
///
/// ```text
/// flow = sqrt(x y) (sqrt(y'/x') - sqrt(y/x))
/// ```
fn coinbase_flow(before: &Pool, report: &SubnetReport) -> f64 {
    let liquidity = (before.reserve_tao * before.reserve_alpha).sqrt();
    let root_price = (report.spot_price * before.weight_tao / before.weight_alpha()).sqrt();
    liquidity * (root_price - (before.reserve_tao / before.reserve_alpha).sqrt())
}

/// Root alpha is claimed as it accrues. Its sale is part of the observed flow, but no flow of users; it is valued at the
/// moving price, because nobody sells at the prices of a pool that has just started.
fn claim(subnet: &mut SubnetState) {
    let claimed = std::mem::take(&mut subnet.unclaimed_root_alpha);
    subnet.staked_alpha += claimed;
    subnet.flow.pending.user += CLAIM_SWAP_FRACTION * claimed * subnet.moving_price;
}
