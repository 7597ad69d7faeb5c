//! Emission shares: the kernel against the scalar definitions, and against the chain on the shipped snapshot.

use proptest::prelude::*;
use taorisk::input::snapshot::Snapshot;
use taorisk::protocol::emission;
use taorisk::protocol::flow_kernel::FlowChunk;
use taorisk::protocol::params::HillGateParams;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::root;
use taorisk::protocol::rule_names::RuleVersion;
use taorisk::protocol::share_kernel;
use taorisk::protocol::share_kernel::RawShares;
use taorisk::protocol::share_kernel::ShareStep;
use taorisk::protocol::share_rules;
use taorisk::protocol::share_rules::FlowAverages;
use taorisk::protocol::share_rules::FlowLevel;
use taorisk::protocol::share_rules::GateThreshold;
use taorisk::protocol::share_rules::ShareInput;
use taorisk::protocol::share_rules::ShareRule;
use taorisk::protocol::slots::CHUNK_SLOTS;
use taorisk::protocol::slots::ChainChunk;
use taorisk::protocol::slots::StepBuffers;
use taorisk::protocol::upgrades;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::Vector;
use taorisk::simd::dispatch;

use crate::drive::deviation;
use crate::drive::plan;
use crate::drive::watch;

/// Root stake times its weight (TAO).
const WEIGHTED_ROOT_TAO: f64 = 1e6;

/// The share rule as the step engine runs it.
struct KernelShares<'a> {
    chunks: &'a [ChainChunk],
    flows: &'a [FlowChunk],
    params: &'a ProtocolParams,
    level: FlowLevel,
    guess: f64,
}

struct Outcome {
    price_sum: f64,
    raw: Vec<f64>,
    weights: Vec<f64>,
    /// The gate's rank among the weights.
    ranked: f64,
    shares: Vec<f64>,
}

impl Kernel for KernelShares<'_> {
    type Output = Outcome;

    #[inline(always)]
    fn run<V: Vector>(self) -> Outcome {
        let live = self.chunks.len();
        let mut buffers = StepBuffers::new();
        let (rule, gate) = (self.params.share_rule, self.params.hill_gate);
        let step = ShareStep { rule, weighted_root_tao: WEIGHTED_ROOT_TAO, flows: self.flows, level: self.level };
        let RawShares { price_sum, factor } = share_kernel::raw_shares::<V>(self.chunks, &step, &mut buffers);
        let weights = buffers.raw_share.0[..live].as_flattened().to_vec();
        let ranked = share_kernel::ranked_value::<V>(&buffers.raw_share.0[..live], gate.rank, self.guess);
        let threshold = if rule.gate(&gate).is_some() { ranked * factor } else { 0.0 };
        let last = share_kernel::final_shares::<V>(self.chunks, factor, gate.exponent, threshold, &mut buffers);
        let shares = buffers.share.0[..live].as_flattened().iter().map(|share| share * last).collect();
        let raw = weights.iter().map(|weight| weight * factor).collect();
        Outcome { price_sum, raw, weights, ranked, shares }
    }
}

fn chunks_of(inputs: &[ShareInput]) -> (Vec<ChainChunk>, Vec<FlowChunk>) {
    // Two chunks share a division, and paths have them in twos.
    let chunks = inputs.len().div_ceil(CHUNK_SLOTS).next_multiple_of(2);
    let (mut chain, mut flows) = (vec![ChainChunk::empty(); chunks], vec![FlowChunk::default(); chunks]);
    let flag = |is_set: bool| if is_set { 1.0 } else { 0.0 };
    for (slot, input) in inputs.iter().enumerate() {
        let (chunk, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
        chain[chunk].moving_price[lane] = input.moving_price;
        chain[chunk].miner_burned[lane] = input.miner_burned;
        chain[chunk].staked_alpha[lane] = staked_alpha(slot);
        chain[chunk].started[lane] = flag(input.started);
        chain[chunk].enabled[lane] = flag(input.enabled);
        (flows[chunk].user[lane], flows[chunk].protocol[lane]) = (input.flow.user, input.flow.protocol);
    }
    (chain, flows)
}

/// Stake outside a pool that holds one alpha.
fn staked_alpha(slot: usize) -> f64 {
    20_000.0 * slot as f64
}

/// Prices of few values, so that ranks are tied, and of many; burns of none, all and more than all.
fn any_input() -> impl Strategy<Value = ShareInput> {
    let moving_price = prop_oneof![Just(0.0), Just(0.01), Just(0.02), (-18.0..0.0).prop_map(f64::exp)];
    let miner_burned = prop_oneof![3 => Just(0.0), 1 => Just(1.0), 1 => Just(1.3), 2 => 0.0..1.0];
    let flow = || prop_oneof![1 => Just(0.0), 4 => -1.0..1.0];
    let switches = (prop::bool::weighted(0.9), prop::bool::weighted(0.8));
    (moving_price, miner_burned, (flow(), flow()), switches).prop_map(
        |(moving_price, miner_burned, (user, protocol), (started, enabled))| {
            let flow = FlowAverages { user, protocol };
            ShareInput { moving_price, miner_burned, root_proportion: 0.0, flow, started, enabled }
        },
    )
}

fn any_inputs() -> impl Strategy<Value = Vec<ShareInput>> {
    let any = || prop::collection::vec(any_input(), 1..=256);
    prop_oneof![
        8 => any(),
        1 => any().prop_map(|inputs| inputs.into_iter().map(|i| ShareInput { enabled: false, ..i }).collect()),
        1 => any().prop_map(|inputs| inputs.into_iter().map(|i| ShareInput { moving_price: 0.0, ..i }).collect()),
        1 => any().prop_map(|inputs| inputs.into_iter().map(|i| ShareInput { miner_burned: 1.0, ..i }).collect()),
        1 => any().prop_map(|inputs| inputs.into_iter().map(|i| ShareInput { moving_price: 0.03, ..i }).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn kernel_shares_are_the_scalar_ones(
        mut inputs in any_inputs(),
        share_rule in prop::sample::select(ShareRule::ALL),
        rank in prop_oneof![1..40_usize, Just(32), 200..300_usize],
        exponent in 1..6_u32,
        cutoff_tao in prop_oneof![Just(0.0), -0.5..0.5],
        flow_exponent in prop_oneof![Just(1.0), 0.5..3.0],
        guess in prop_oneof![Just(0.0), 0.0..0.1, Just(1.0)],
    ) {
        for (slot, input) in inputs.iter_mut().enumerate() {
            input.root_proportion = root::root_proportion(1.0, WEIGHTED_ROOT_TAO, 1.0 + staked_alpha(slot));
        }
        let mut params = ProtocolParams { share_rule, ..upgrades::current_params() };
        params.hill_gate = HillGateParams { rank, exponent, ..params.hill_gate };
        (params.tao_flow.cutoff_tao, params.tao_flow.exponent) = (cutoff_tao, flow_exponent);
        let flows_started = inputs.iter().filter(|input| input.started).map(|input| input.flow);
        let level = FlowLevel::of(share_rule, &params.tao_flow, flows_started);
        let (chunks, flows) = chunks_of(&inputs);
        let kernel = KernelShares { chunks: &chunks, flows: &flows, params: &params, level, guess };
        let found = dispatch(Backend::detect(), kernel);
        let mut raw = Vec::new();
        share_rules::ungated_shares(&params, &inputs, &mut raw);
        prop_assert_eq!(found.ranked, GateThreshold::Rank(rank).of(&found.weights));
        let prices = inputs.iter().filter(|input| input.started).map(|input| input.moving_price);
        prop_assert!(deviation(found.price_sum, prices.sum()) < 1e-14);
        let mut shares = Vec::new();
        share_rules::emission_shares(&params, GateThreshold::Rank(rank).of(&found.raw), &inputs, &mut shares);
        for (slot, (kernel, scalar)) in found.raw.iter().zip(&raw).chain(found.shares.iter().zip(&shares)).enumerate() {
            prop_assert!(deviation(*kernel, *scalar) < 1e-13, "{}: {} and {}", slot, kernel, scalar);
        }
    }
}

/// The chain's own emission of the snapshot's block (MECHANICS, Appendix A).
#[test]
fn the_gate_reproduces_the_emission_of_the_snapshot() {
    let plan = plan(7_200, 1, |_| {});
    let shares = watch(&plan, 1, |view, _| view.buffers.share.clone()).expect("a sound path")[0][1].clone();
    let snapshot = Snapshot::read(&Snapshot::embedded()).expect("the built-in snapshot");
    let weighted_root = plan.input.protocol.tao_weight * plan.input.start.root_stake_tao;
    let (mut uncapped, mut capped) = (Vec::new(), Vec::new());
    for row in &snapshot.subnets {
        let Some(observed) = row.tao_in_emission_per_block.filter(|tao| *tao > 1e-7) else { continue };
        let emitted = 0.5 * shares.get(usize::from(row.netuid) - 1);
        let issuance = row.alpha_in + row.outstanding_alpha();
        let cap = weighted_root / (weighted_root + issuance) * emission::block_emission(issuance) * row.price;
        // The chain shows nine decimals.
        if (observed / cap - 1.0).abs() < 1e-5 {
            capped.push((emitted / cap, observed / cap - 1.0));
        } else {
            uncapped.push(observed / emitted);
        }
    }
    uncapped.sort_by(f64::total_cmp);
    let at = |level: f64| {
        let position = level * (uncapped.len() - 1) as f64;
        let below = position.floor() as usize;
        let above = (below + 1).min(uncapped.len() - 1);
        uncapped[below] + (position - position.floor()) * (uncapped[above] - uncapped[below])
    };
    let worst = capped.iter().fold(0.0, |worst: f64, (_, gap)| worst.max(gap.abs()));
    println!(
        "uncapped {}: ratio 5 % {:.4}, median {:.4}, 95 % {:.4}; capped {}: largest gap {worst:.1e}, smallest E/cap {:.3}",
        uncapped.len(),
        at(0.05),
        at(0.5),
        at(0.95),
        capped.len(),
        capped.iter().fold(f64::INFINITY, |least, (ratio, _)| least.min(*ratio))
    );
    assert_eq!((uncapped.len(), capped.len()), (54, 34));
    assert!((at(0.5) - 0.999).abs() < 1e-3);
    assert!((at(0.05) - 0.94).abs() < 6e-3 && (at(0.95) - 1.12).abs() < 6e-3);
    assert!(worst < 2.1e-6);
    assert!(capped.iter().all(|(ratio, _)| *ratio > 0.95), "our emission reaches the cap where the chain's does");
}
