//! One block of the chain: the order of operations; nothing else decides it.
//!
//! The coinbase (mint, shares, injection and chain buy, alpha out, epochs, moving prices) comes before all that users do
//! in the block. Shares use the moving prices of the block before, moving prices the spot prices after the chain buys.
//! There are no pendings here: alpha out is credited to stakers, burned alpha and unclaimed root alpha when it is minted,
//! so that the alpha outside the pool is the chain's in every block, and its parts differ by less than one tempo's worth.

use crate::protocol::emission;
use crate::protocol::emission::AlphaSplit;
use crate::protocol::emission::Injection;
use crate::protocol::emission::InjectionTerms;
use crate::protocol::fixed::Rounding;
use crate::protocol::moving_price;
use crate::protocol::neuron_burn;
use crate::protocol::params::ProtocolParams;
use crate::protocol::pool::Pool;
use crate::protocol::root;
use crate::protocol::root::RootAlpha;
use crate::protocol::share_rules;
use crate::protocol::share_rules::ShareInput;
use crate::protocol::state::ChainState;
use crate::protocol::state::SubnetState;
use crate::protocol::trade;
use crate::protocol::trade::Order;
use crate::protocol::trade::OrderError;
use crate::protocol::trade::Trade;
use crate::units::NetUid;

/// What an epoch of a subnet changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochOutcome {
    /// Subnet.
    pub netuid: NetUid,
    /// Withheld part of its miner emission (fraction), in force from the next block.
    pub miner_burned: f64,
    /// Withheld miner alpha that is recycled rather than burned in place (tokens); taken from the burned alpha, of which
    /// it is a part.
    pub recycled_alpha: f64,
}

/// All that a block is given from outside, in the order in which it happens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockInputs {
    /// Epochs that fire, at the end of the coinbase.
    pub epochs: Vec<EpochOutcome>,
    /// Trades of users.
    pub orders: Vec<Order>,
    /// `SubnetEmissionEnabled` as set by root.
    pub emission_switches: Vec<(NetUid, bool)>,
    /// TAO that neuron registrations pay; where the pool refuses, nobody registers.
    pub neuron_burns: Vec<(NetUid, f64)>,
    /// Subnets whose owner calls start_call: they emit from the next block.
    pub start_calls: Vec<NetUid>,
}

/// Blocks between two updates of the Hill gate's threshold.
pub const GATE_PERIOD_BLOCKS: u64 = 360;

/// Threshold of the Hill gate, which the chain recomputes only now and then; unused by share rules without a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HillGate {
    /// Threshold in force (share).
    pub threshold: f64,
    /// Block of its last computation.
    pub last_update_block: u64,
}

impl HillGate {
    /// The gate computed from `state` as it stands.
    pub fn of(params: &ProtocolParams, state: &ChainState) -> Self {
        let inputs: Vec<ShareInput> = state.subnets.iter().map(|subnet| share_input(subnet, 0.0)).collect();
        let mut gate = Self { threshold: 0.0, last_update_block: 0 };
        gate.refresh(params, state.block, &inputs, &mut Vec::new());
        gate
    }

    /// Computes the threshold from `inputs` where the rule has a gate; `scratch` is overwritten.
    fn refresh(&mut self, params: &ProtocolParams, block: u64, inputs: &[ShareInput], scratch: &mut Vec<f64>) {
        if let Some(gate) = params.share_rule.gate(&params.hill_gate) {
            share_rules::ungated_shares(params, inputs, scratch);
            *self = Self { threshold: gate.threshold.of(scratch), last_update_block: block };
        }
    }

    fn is_due(&self, block: u64) -> bool {
        block.saturating_sub(self.last_update_block) >= GATE_PERIOD_BLOCKS
    }
}

/// What the coinbase of a block did in one subnet. Amounts in tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubnetReport {
    /// Subnet.
    pub netuid: NetUid,
    /// Final share of the TAO emission.
    pub emission_share: f64,
    /// TAO emission of the subnet.
    pub emission_tao: f64,
    /// Root proportion before the injection.
    pub root_proportion: f64,
    /// Most alpha that may be injected.
    pub injection_cap_alpha: f64,
    /// TAO added to the pool.
    pub injected_tao: f64,
    /// Alpha minted into the pool.
    pub injected_alpha: f64,
    /// TAO set aside for the chain buy; where the pool refuses it, this TAO is lost outside the pool.
    pub excess_tao: f64,
    /// Alpha that the chain bought.
    pub bought_alpha: f64,
    /// Alpha minted outside the pool, by receiver.
    pub alpha_out: AlphaSplit,
    /// Pool weight of TAO after the injection.
    pub weight_tao: f64,
    /// TAO paid for root alpha that the chain sold, for root stakers.
    pub root_sale_tao: f64,
    /// Spot price after the coinbase, which enters the moving price.
    pub spot_price: f64,
}

/// What a block did; reused from block to block, so that none but the first allocates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockReport {
    /// TAO minted.
    pub minted_tao: f64,
    /// TAO of it that no subnet took, recycled at once.
    pub recycled_tao: f64,
    /// Whether root alpha was kept rather than recycled.
    pub sell_flag: bool,
    /// One per subnet, in the order of the state.
    pub subnets: Vec<SubnetReport>,
    /// One per order, in their order.
    pub trades: Vec<Result<Trade, OrderError>>,
    share_inputs: Vec<ShareInput>,
    shares: Vec<f64>,
}

/// Advances `state` by one block; `report` is overwritten.
pub fn advance_block(
    params: &ProtocolParams,
    rounding: Rounding,
    state: &mut ChainState,
    gate: &mut HillGate,
    inputs: &BlockInputs,
    report: &mut BlockReport,
) {
    coinbase(params, rounding, state, gate, &inputs.epochs, report);
    report.trades.clear();
    report.trades.extend(inputs.orders.iter().map(|order| trade::execute(params, rounding, state, *order)));
    for (netuid, burn_tao) in &inputs.neuron_burns {
        with_subnet(state, *netuid, |subnet| {
            let _ = neuron_burn::burn_for_neurons(params, rounding, subnet, *burn_tao);
        });
    }
    for (netuid, enabled) in &inputs.emission_switches {
        with_subnet(state, *netuid, |subnet| subnet.emission_enabled = *enabled);
    }
    let next_block = state.block + 1;
    for netuid in &inputs.start_calls {
        with_subnet(state, *netuid, |subnet| subnet.first_emission_block = Some(next_block));
    }
}

/// All of a block that comes before user orders: mint, shares, injection and chain buy, alpha out, epochs, moving prices.
pub fn coinbase(
    params: &ProtocolParams,
    rounding: Rounding,
    state: &mut ChainState,
    gate: &mut HillGate,
    epochs: &[EpochOutcome],
    report: &mut BlockReport,
) {
    state.block += 1;
    report.minted_tao = emission::block_emission(state.issuance_tao);
    report.sell_flag = share_emission(params, rounding, state, gate, &mut report.share_inputs, &mut report.shares);
    let context = EmissionContext {
        params,
        rounding,
        block_emission_tao: report.minted_tao,
        root_stake_tao: state.root_stake_tao,
        sell_flag: report.sell_flag,
    };
    report.subnets.clear();
    for (subnet, share) in state.subnets.iter_mut().zip(&report.shares) {
        let emitted = emit_to_subnet(&context, subnet, report.minted_tao * share);
        report.subnets.push(SubnetReport { emission_share: *share, ..emitted });
    }
    let spent: f64 = report.subnets.iter().map(|subnet| subnet.injected_tao + subnet.excess_tao).sum();
    report.recycled_tao = report.minted_tao - spent;
    state.issuance_tao += spent;
    state.root_stake_tao += report.subnets.iter().map(|subnet| subnet.root_sale_tao).sum::<f64>();
    epochs.iter().for_each(|epoch| with_subnet(state, epoch.netuid, |subnet| close_epoch(subnet, epoch)));
    update_moving_prices(params, rounding, state);
}

/// Fills `shares` and returns the sell flag, both from the moving prices of the block before.
pub(super) fn share_emission(
    params: &ProtocolParams,
    rounding: Rounding,
    state: &mut ChainState,
    gate: &mut HillGate,
    inputs: &mut Vec<ShareInput>,
    shares: &mut Vec<f64>,
) -> bool {
    if params.share_rule.reads_flows() {
        advance_flows(params, state);
    }
    inputs.clear();
    let root_stake_tao = state.root_stake_tao;
    let root_proportion = |subnet: &SubnetState| match params.share_rule.reads_root_proportions() {
        true => root_proportion(params, rounding, root_stake_tao, subnet.issuance_alpha()),
        false => 0.0,
    };
    inputs.extend(state.subnets.iter().map(|subnet| share_input(subnet, root_proportion(subnet))));
    if gate.is_due(state.block) {
        gate.refresh(params, state.block, inputs, shares);
    }
    share_rules::emission_shares(params, gate.threshold, inputs, shares);
    root::sell_flag(inputs.iter().filter(|input| input.started).map(|input| input.moving_price).sum())
}

/// Flow averages of all started subnets, by what came in since the block before.
fn advance_flows(params: &ProtocolParams, state: &mut ChainState) {
    for subnet in state.subnets.iter_mut().filter(|subnet| subnet.is_started()) {
        let spot_price = Pool::from(&*subnet).spot_price();
        subnet.flow.advance(params.share_rule, params.tao_flow.smoothing, subnet.moving_price, spot_price);
    }
}

fn share_input(subnet: &SubnetState, root_proportion: f64) -> ShareInput {
    ShareInput {
        moving_price: subnet.moving_price,
        miner_burned: subnet.miner_burned,
        root_proportion,
        flow: subnet.flow.averages.unwrap_or_default(),
        started: subnet.is_started(),
        enabled: subnet.emission_enabled,
    }
}

/// What the emission of all subnets of a block has in common.
#[derive(Clone, Copy, Debug)]
pub struct EmissionContext<'a> {
    /// Parameters of the chain.
    pub params: &'a ProtocolParams,
    /// Truncations followed.
    pub rounding: Rounding,
    /// TAO minted in the block.
    pub block_emission_tao: f64,
    /// TAO staked on root.
    pub root_stake_tao: f64,
    /// Whether root alpha is kept rather than recycled.
    pub sell_flag: bool,
}

impl EmissionContext<'_> {
    fn root_proportion(&self, issuance_alpha: f64) -> f64 {
        root_proportion(self.params, self.rounding, self.root_stake_tao, issuance_alpha)
    }
}

fn root_proportion(params: &ProtocolParams, rounding: Rounding, root_stake_tao: f64, issuance_alpha: f64) -> f64 {
    let weight = rounding.floor_32(params.tao_weight);
    rounding.floor_32(root::root_proportion(weight, root_stake_tao, issuance_alpha))
}

/// Emits `emission_tao` and the block's alpha to one subnet; nothing happens to one that has not started.
///
/// The order is the chain's: the weight moves for the injection; the chain buys with the excess on the new weight and the
/// old reserves; the injected amounts enter the pool; alpha out is minted and split by the root proportion after all that.
/// The report's `emission_share` is left at 0.
/// Source: pallets/subtensor/src/coinbase/run_coinbase.rs, `inject_and_maybe_swap`, `emit_to_subnets`.
pub fn emit_to_subnet(context: &EmissionContext<'_>, subnet: &mut SubnetState, emission_tao: f64) -> SubnetReport {
    let (params, rounding) = (context.params, context.rounding);
    let terms = injection_terms(context, subnet, emission_tao);
    let split = emission::inject(params.injection_rule, &terms);
    let injected = reweigh(params, subnet, rounding.floor_rao(split.tao), rounding.floor_rao(split.alpha));
    let excess_tao = rounding.floor_rao(split.excess_tao);
    let bought_alpha = chain_buy(params, rounding, subnet, excess_tao);
    subnet.reserve_tao += injected.tao;
    subnet.reserve_alpha += injected.alpha;
    subnet.flow.pending.protocol += injected.tao + if bought_alpha > 0.0 { excess_tao } else { 0.0 };
    let (alpha_out, root_sale_tao) = mint_alpha_out(context, subnet, terms.alpha_emission, excess_tao > 0.0);
    SubnetReport {
        netuid: subnet.netuid,
        emission_share: 0.0,
        emission_tao,
        root_proportion: terms.root_proportion,
        injection_cap_alpha: terms.cap_alpha(params.injection_rule),
        injected_tao: injected.tao,
        injected_alpha: injected.alpha,
        excess_tao,
        bought_alpha,
        alpha_out,
        weight_tao: subnet.weight_tao,
        root_sale_tao,
        spot_price: Pool::from(&*subnet).spot_price(),
    }
}

fn injection_terms(context: &EmissionContext<'_>, subnet: &SubnetState, emission_tao: f64) -> InjectionTerms {
    let issuance_alpha = subnet.issuance_alpha();
    InjectionTerms {
        emission_tao,
        price: context.rounding.floor_32(Pool::from(subnet).spot_price()),
        root_proportion: context.root_proportion(issuance_alpha),
        alpha_emission: if subnet.is_started() { emission::block_emission(issuance_alpha) } else { 0.0 },
        block_emission_tao: context.block_emission_tao,
    }
}

/// Moves the weight for an injection, where the pool is weighted, and returns what may be injected: nothing where a weight
/// would leave its bounds, or before the start.
fn reweigh(params: &ProtocolParams, subnet: &mut SubnetState, tao: f64, alpha: f64) -> Injection {
    let weight_tao = match params.pool_rule.is_weighted() {
        true => Pool::from(&*subnet).weight_after_injection(tao, alpha),
        false => Some(subnet.weight_tao),
    };
    match weight_tao.filter(|_| subnet.is_started()) {
        Some(weight_tao) => {
            subnet.weight_tao = weight_tao;
            Injection { tao, alpha, excess_tao: 0.0 }
        }
        None => Injection { tao: 0.0, alpha: 0.0, excess_tao: 0.0 },
    }
}

/// Buys alpha with `excess_tao`, free of fee, for the protocol to keep or to recycle; returns the alpha bought. Where the
/// pool refuses, or would give nothing, the TAO is lost outside the pool.
fn chain_buy(params: &ProtocolParams, rounding: Rounding, subnet: &mut SubnetState, excess_tao: f64) -> f64 {
    let pool = Pool::from(&*subnet);
    if excess_tao <= 0.0 || pool.check_buy(excess_tao).is_err() {
        return 0.0;
    }
    let spent_tao = pool.tao_within_limit(excess_tao);
    let bought_alpha = rounding.floor_rao(pool.buy(spent_tao));
    if bought_alpha > 0.0 {
        subnet.reserve_tao += spent_tao;
    }
    subnet.reserve_alpha -= bought_alpha;
    if params.injection_rule.keeps_bought_alpha() {
        subnet.protocol_alpha += bought_alpha;
    }
    bought_alpha
}

/// Mints alpha out and credits it: owner, validators and paid miners to stake, withheld miner alpha to burned alpha, root
/// alpha by the root rule. Returns who it was for, and the TAO that root alpha was sold for.
fn mint_alpha_out(
    context: &EmissionContext<'_>,
    subnet: &mut SubnetState,
    alpha_emission: f64,
    chain_buys: bool,
) -> (AlphaSplit, f64) {
    let root_proportion = context.root_proportion(subnet.issuance_alpha() + alpha_emission);
    let owner_cut = context.rounding.floor_32(context.params.owner_cut);
    let mut split = emission::split_alpha(alpha_emission, owner_cut, root_proportion);
    let fate = context.params.root_rule.root_alpha(context.sell_flag, chain_buys);
    if fate == RootAlpha::Validators {
        split.validator += std::mem::take(&mut split.root);
    }
    let withheld = split.server * subnet.miner_burned.min(1.0);
    let root_alpha = context.rounding.floor_rao(split.root);
    subnet.staked_alpha += alpha_emission - root_alpha - withheld;
    subnet.burned_alpha += withheld;
    let mut sale_tao = 0.0;
    match fate {
        RootAlpha::Sold => sale_tao = sell_root_alpha(context.rounding, subnet, root_alpha),
        RootAlpha::Claimable => subnet.unclaimed_root_alpha += root_alpha,
        RootAlpha::Lost => subnet.burned_alpha += root_alpha,
        RootAlpha::Validators | RootAlpha::Recycled => {}
    }
    (split, sale_tao)
}

/// Sells root's alpha into the pool, free of fee; returns the TAO paid.
fn sell_root_alpha(rounding: Rounding, subnet: &mut SubnetState, root_alpha: f64) -> f64 {
    let sale_tao = rounding.floor_rao(Pool::from(&*subnet).sell(root_alpha));
    subnet.reserve_alpha += root_alpha;
    subnet.reserve_tao -= sale_tao;
    sale_tao
}

fn close_epoch(subnet: &mut SubnetState, epoch: &EpochOutcome) {
    subnet.miner_burned = epoch.miner_burned;
    subnet.burned_alpha -= epoch.recycled_alpha;
}

fn update_moving_prices(params: &ProtocolParams, rounding: Rounding, state: &mut ChainState) {
    let block = state.block;
    for subnet in state.subnets.iter_mut().filter(|subnet| subnet.is_started()) {
        let age = moving_price::age_blocks(block, subnet.first_emission_block);
        let spot_price = Pool::from(&*subnet).spot_price();
        let (smoothing, halving_blocks) = (params.moving_price_smoothing, params.moving_price_age_blocks);
        subnet.moving_price = match rounding {
            Rounding::Floored => {
                let halving_blocks = halving_blocks as u64;
                moving_price::update_floored(subnet.moving_price, spot_price, smoothing, age, halving_blocks)
            }
            Rounding::Continuous => {
                let smoothing = moving_price::smoothing_at_age(smoothing, age, halving_blocks);
                moving_price::update(subnet.moving_price, spot_price, smoothing)
            }
        };
    }
}

/// Changes a subnet if it exists.
fn with_subnet(state: &mut ChainState, netuid: NetUid, change: impl FnOnce(&mut SubnetState)) {
    if let Some(subnet) = trade::find(state, netuid) {
        change(subnet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::share_rules::ShareRule;
    use crate::protocol::test_support::chain;
    use crate::protocol::test_support::params;

    const CONTINUOUS: Rounding = Rounding::Continuous;

    /// The report of one coinbase of `state`.
    fn emit(params: &ProtocolParams, state: &mut ChainState) -> BlockReport {
        let (mut gate, mut report) = (HillGate::of(params, state), BlockReport::default());
        coinbase(params, CONTINUOUS, state, &mut gate, &[], &mut report);
        report
    }

    #[test]
    fn all_of_the_emission_is_recycled_where_no_subnet_earns() {
        let mut state = chain(2);
        state.subnets.iter_mut().for_each(|subnet| subnet.emission_enabled = false);
        let before = state.clone();
        let report = emit(&params(), &mut state);
        assert_eq!((report.minted_tao, report.recycled_tao), (0.5, 0.5));
        assert_eq!(state.issuance_tao, before.issuance_tao);
        assert_eq!(state.subnets[0].reserve_tao, before.subnets[0].reserve_tao);
        assert_eq!(state.subnets[0].issuance_alpha(), before.subnets[0].issuance_alpha() + 1.0);
    }

    #[test]
    fn a_subnet_that_has_not_started_neither_mints_nor_moves() {
        let mut state = chain(2);
        state.subnets[1].first_emission_block = None;
        state.subnets[1].weight_tao = 0.537;
        let before = state.subnets[1].clone();
        let report = emit(&params(), &mut state);
        assert_eq!(state.subnets[1], before);
        assert_eq!(report.subnets[0].emission_share, 1.0);
        assert_eq!(report.subnets[1].emission_share, 0.0);
    }

    #[test]
    fn a_capped_subnet_spends_all_of_its_emission() {
        let mut state = chain(1);
        let report = emit(&params(), &mut state);
        let subnet = &report.subnets[0];
        assert_eq!(subnet.injected_alpha, subnet.injection_cap_alpha);
        assert!(subnet.excess_tao > 0.0 && subnet.bought_alpha > 0.0);
        assert!((subnet.injected_tao + subnet.excess_tao - 0.5).abs() < 1e-15);
        assert_eq!(state.subnets[0].protocol_alpha, subnet.bought_alpha);
        assert!((state.subnets[0].weight_tao - 0.5).abs() < 1e-12);
    }

    #[test]
    fn root_alpha_is_recycled_while_the_flag_is_off() {
        let (mut on, mut off) = (chain(2), chain(1));
        let kept = emit(&params(), &mut on);
        let recycled = emit(&params(), &mut off);
        assert!(kept.sell_flag && !recycled.sell_flag);
        assert_eq!(on.subnets[0].unclaimed_root_alpha, kept.subnets[0].alpha_out.root);
        assert_eq!(off.subnets[0].unclaimed_root_alpha, 0.0);
        let difference = on.subnets[0].outstanding_alpha()
            - on.subnets[0].protocol_alpha
            - (off.subnets[0].outstanding_alpha() - off.subnets[0].protocol_alpha);
        assert!((difference - kept.subnets[0].alpha_out.root).abs() < 1e-8);
    }

    #[test]
    fn withheld_miner_alpha_is_burned_in_place_and_recycled_at_the_epoch() {
        let (params, mut state) = (params(), chain(1));
        state.subnets[0].miner_burned = 0.25;
        let report = emit(&params, &mut state);
        let withheld = 0.25 * report.subnets[0].alpha_out.server;
        assert_eq!(state.subnets[0].burned_alpha, withheld);
        let epoch = EpochOutcome { netuid: NetUid(1), miner_burned: 0.5, recycled_alpha: withheld };
        close_epoch(&mut state.subnets[0], &epoch);
        assert_eq!((state.subnets[0].burned_alpha, state.subnets[0].miner_burned), (0.0, 0.5));
    }

    #[test]
    fn a_chain_buy_that_the_pool_refuses_is_lost_outside_it() {
        let (params, mut state) = (params(), chain(1));
        state.subnets[0].reserve_alpha = 0.0005;
        let context = EmissionContext {
            params: &params,
            rounding: CONTINUOUS,
            block_emission_tao: 0.5,
            root_stake_tao: 0.0,
            sell_flag: true,
        };
        let report = emit_to_subnet(&context, &mut state.subnets[0], 0.5);
        assert_eq!((report.excess_tao, report.bought_alpha), (0.5, 0.0));
        assert_eq!(state.subnets[0].reserve_tao, 120_000.0);
    }

    #[test]
    fn start_call_and_switches_act_from_the_next_block() {
        let (params, mut state) = (params(), chain(2));
        state.subnets[1].first_emission_block = None;
        state.subnets[0].emission_enabled = false;
        let (mut gate, mut report) = (HillGate::of(&params, &state), BlockReport::default());
        let inputs = BlockInputs {
            start_calls: vec![NetUid(2), NetUid(77)],
            emission_switches: vec![(NetUid(1), true)],
            ..BlockInputs::default()
        };
        advance_block(&params, CONTINUOUS, &mut state, &mut gate, &inputs, &mut report);
        assert_eq!(report.subnets[0].emission_share, 0.0);
        assert_eq!(state.subnets[1].first_emission_block, Some(8_600_002));
        advance_block(&params, CONTINUOUS, &mut state, &mut gate, &BlockInputs::default(), &mut report);
        assert!((report.subnets[0].emission_share - 0.5).abs() < 1e-15);
        assert!(report.subnets[1].alpha_out.server > 0.0);
    }

    #[test]
    fn neuron_burns_recycle_alpha() {
        let (params, mut burned, mut quiet) = (params(), chain(1), chain(1));
        let (mut gate, mut report) = (HillGate::of(&params, &burned), BlockReport::default());
        let inputs = BlockInputs { neuron_burns: vec![(NetUid(1), 2.0), (NetUid(77), 1.0)], ..BlockInputs::default() };
        advance_block(&params, CONTINUOUS, &mut burned, &mut gate, &inputs, &mut report);
        advance_block(&params, CONTINUOUS, &mut quiet, &mut gate, &BlockInputs::default(), &mut report);
        let (burned, quiet) = (&burned.subnets[0], &quiet.subnets[0]);
        assert!(burned.issuance_alpha() < quiet.issuance_alpha());
        assert!((burned.reserve_tao - quiet.reserve_tao - 2.0 * (1.0 - params.fee_rate)).abs() < 1e-9);
    }

    #[test]
    fn the_gate_is_recomputed_every_360_blocks() {
        let mut params = ProtocolParams { share_rule: ShareRule::E2H, ..params() };
        params.hill_gate.rank = 1;
        let mut state = chain(2);
        let (mut gate, mut report) = (HillGate::of(&params, &state), BlockReport::default());
        assert_eq!(gate, HillGate { threshold: 0.5, last_update_block: 8_600_000 });
        state.subnets[0].moving_price = 0.2;
        for _ in 0..359 {
            coinbase(&params, CONTINUOUS, &mut state, &mut gate, &[], &mut report);
        }
        assert_eq!(gate.threshold, 0.5);
        coinbase(&params, CONTINUOUS, &mut state, &mut gate, &[], &mut report);
        assert!(gate.threshold > 0.6 && gate.last_update_block == 8_600_360);
    }
}
