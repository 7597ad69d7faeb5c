//! Emission shares: the kernel against the scalar definitions, and against the chain on the shipped snapshot.

use proptest::prelude::*;
use taorisk::input::snapshot::Snapshot;
use taorisk::protocol::emission;
use taorisk::protocol::emission::ShareInput;
use taorisk::protocol::params::ShareRule;
use taorisk::protocol::share_kernel;
use taorisk::protocol::slots::CHUNK_SLOTS;
use taorisk::protocol::slots::ChainChunk;
use taorisk::protocol::slots::StepBuffers;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::Vector;
use taorisk::simd::dispatch;

use crate::drive::deviation;
use crate::drive::plan;
use crate::drive::watch;

/// The share rule as the step engine runs it.
struct KernelShares<'a> {
    chunks: &'a [ChainChunk],
    rank: usize,
    exponent: u32,
    guess: f64,
    gated: bool,
}

struct Outcome {
    price_sum: f64,
    raw: Vec<f64>,
    threshold: f64,
    shares: Vec<f64>,
}

impl Kernel for KernelShares<'_> {
    type Output = Outcome;

    #[inline(always)]
    fn run<V: Vector>(self) -> Outcome {
        let live = self.chunks.len();
        let mut buffers = StepBuffers::new();
        let price_sum = share_kernel::raw_shares::<V>(self.chunks, &mut buffers);
        let raw = buffers.raw_share.0[..live].as_flattened().to_vec();
        let ranked = share_kernel::ranked_value::<V>(&buffers.raw_share.0[..live], self.rank, self.guess);
        let threshold = if self.gated { ranked } else { 0.0 };
        share_kernel::final_shares::<V>(self.chunks, self.exponent, threshold, &mut buffers);
        Outcome { price_sum, raw, threshold: ranked, shares: buffers.share.0[..live].as_flattened().to_vec() }
    }
}

fn chunks_of(inputs: &[ShareInput]) -> Vec<ChainChunk> {
    let mut chunks = vec![ChainChunk::empty(); inputs.len().div_ceil(CHUNK_SLOTS)];
    let flag = |is_set: bool| if is_set { 1.0 } else { 0.0 };
    for (slot, input) in inputs.iter().enumerate() {
        let (chunk, lane) = (&mut chunks[slot / CHUNK_SLOTS], slot % CHUNK_SLOTS);
        chunk.moving_price[lane] = input.moving_price;
        chunk.miner_burned[lane] = input.miner_burned;
        chunk.started[lane] = flag(input.started);
        chunk.enabled[lane] = flag(input.enabled);
    }
    chunks
}

/// Prices of few values, so that ranks are tied, and of many; burns of none, all and more than all.
fn any_input() -> impl Strategy<Value = ShareInput> {
    let moving_price = prop_oneof![Just(0.0), Just(0.01), Just(0.02), (-18.0..0.0).prop_map(f64::exp)];
    let miner_burned = prop_oneof![3 => Just(0.0), 1 => Just(1.0), 1 => Just(1.3), 2 => 0.0..1.0];
    (moving_price, miner_burned, prop::bool::weighted(0.9), prop::bool::weighted(0.8)).prop_map(
        |(moving_price, miner_burned, started, enabled)| ShareInput { moving_price, miner_burned, started, enabled },
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
        inputs in any_inputs(),
        rank in prop_oneof![1..40_usize, Just(32), 200..300_usize],
        exponent in 1..6_u32,
        guess in prop_oneof![Just(0.0), 0.0..0.1, Just(1.0)],
        gated in any::<bool>(),
    ) {
        let chunks = chunks_of(&inputs);
        let found = dispatch(Backend::detect(), KernelShares { chunks: &chunks, rank, exponent, guess, gated });
        let mut raw = Vec::new();
        emission::e2_shares(&inputs, &mut raw);
        prop_assert_eq!(found.threshold, emission::hill_threshold(&found.raw, rank));
        let prices = inputs.iter().filter(|input| input.started).map(|input| input.moving_price);
        prop_assert!(deviation(found.price_sum, prices.sum()) < 1e-14);
        let rule = if gated { ShareRule::E2H { rank, exponent } } else { ShareRule::E2 };
        let mut shares = Vec::new();
        emission::emission_shares(rule, found.threshold, &inputs, &mut shares);
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
