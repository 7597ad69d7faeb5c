//! Each pass of the step kernel by itself, on a path of the embedded scenario after thirty days.

use std::hash::DefaultHasher;
use std::hash::Hasher;
use std::hint::black_box;

use taorisk::engine::advance::Workspace;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::emission_sales;
use taorisk::engine::step;
use taorisk::model::kernel::Draw;
use taorisk::model::kernel::FlowBuffers;
use taorisk::model::kernel::FlowStep;
use taorisk::model::kernel::flow_draws;
use taorisk::protocol::coinbase_step::CoinbaseStep;
use taorisk::protocol::kernel;
use taorisk::protocol::kernel::StepInput;
use taorisk::protocol::moving_price_kernel;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::share_kernel;
use taorisk::protocol::share_kernel::ShareStep;
use taorisk::protocol::share_rules::FlowLevel;
use taorisk::protocol::share_rules::GateThreshold;
use taorisk::protocol::share_rules::ShareRule;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotSingles;
use taorisk::protocol::slots::SlotValues;
use taorisk::protocol::slots::StepBuffers;
use taorisk::rng;
use taorisk::rng::GROUP_SLOTS;
use taorisk::rng::Purpose;
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::Vector;
use taorisk::simd::dispatch;
use taorisk::units::BLOCKS_PER_DAY;

use crate::support;

/// As `flow.stake_floor` by default.
const STAKE_FLOOR: f64 = 0.1;

/// Steps before a pass is measured.
const STEPS: u32 = 30;
/// Rank and steepness of the gate.
const GATE: (usize, u32) = (32, 3);

/// A pass, or a few that belong together.
#[derive(Clone, Copy, Debug)]
pub enum Pass {
    /// Random words of the normals alone: part of `Draws`.
    Words,
    /// All of the organic flow: words, jumps, normals, volatilities, scales, flows.
    Draws,
    /// Weights of the share rule and their sum.
    Weights,
    /// The gate's threshold.
    Threshold,
    /// Shares behind the gate.
    Gate,
    /// Injection, emission and its sale, every slot's row kept.
    Coinbase,
    /// Organic flow through the pools, every slot's row kept.
    Trade,
    /// Moving prices, every slot's row kept.
    MovingPrice,
    /// The last three as a step runs them: tile by tile, rows overwritten.
    Tiles,
}

impl Pass {
    /// All of them, in the order of a step.
    pub const ALL: [Self; 9] = [
        Self::Words,
        Self::Draws,
        Self::Weights,
        Self::Threshold,
        Self::Gate,
        Self::Coinbase,
        Self::Trade,
        Self::MovingPrice,
        Self::Tiles,
    ];
}

/// What all passes read.
pub struct Fixture {
    flow: FlowStep,
    draw: Draw,
    coinbase: CoinbaseStep,
    row: [AgeChunk; MAX_CHUNKS],
    held: SlotValues,
    path: PathState,
    buffers: StepBuffers,
    /// Of the gate, in the step before: from there the search begins.
    threshold: f64,
    /// Live slots.
    pub slots: u64,
}

/// What a pass writes.
#[derive(Clone)]
pub struct State {
    path: PathState,
    buffers: StepBuffers,
    flow: FlowBuffers,
    growth: SlotSingles,
}

impl Fixture {
    /// The first path of a plan.
    pub fn new(plan: &Plan) -> Self {
        let backend = Backend::detect();
        let (mut path, mut work) = (PathState::new(plan), Workspace::default());
        let (held, mut row) = (SlotValues::splat(0.0), [AgeChunk::frozen(); MAX_CHUNKS]);
        step::reset(backend, plan, &mut path, 0);
        for number in 0..STEPS {
            step::fill_ages(backend, plan, number, &mut row);
            step::advance(backend, plan, number, &row, &mut path, &held, &mut work).expect("a sound path");
        }
        let input = &plan.input;
        Self {
            flow: FlowStep::new(&input.model.flow, BLOCKS_PER_DAY),
            draw: Draw { seed: input.seed, path: 0, step: STEPS, block: plan.opening_block(STEPS) as f64 },
            coinbase: coinbase_step(plan, &path),
            row,
            held,
            threshold: GateThreshold::Rank(GATE.0).of(work.buffers.raw_share.0[..path.chain.len()].as_flattened()),
            buffers: work.buffers,
            slots: support::live_slots(plan),
            path,
        }
    }

    /// The start of every pass: flows as drawn, all else as the step before has left it.
    pub fn state(&self) -> State {
        let (path, buffers) = (self.path.clone(), self.buffers.clone());
        let mut state = State { path, buffers, flow: FlowBuffers::default(), growth: SlotSingles::zero() };
        self.run(Backend::detect(), Pass::Draws, &mut state);
        self.restore(&mut state);
        state
    }

    /// Puts back what passes move on.
    pub fn restore(&self, state: &mut State) {
        state.path.chain.copy_from_slice(&self.path.chain);
        state.path.behaviour.copy_from_slice(&self.path.behaviour);
    }

    /// Runs a pass over all slots of the path.
    pub fn run(&self, backend: Backend, pass: Pass, state: &mut State) {
        dispatch(backend, Run { pass, fixture: self, state });
    }
}

fn coinbase_step(plan: &Plan, path: &PathState) -> CoinbaseStep {
    let protocol = &plan.input.protocol;
    CoinbaseStep {
        blocks: BLOCKS_PER_DAY as f64,
        emission_tao: [0.5, 0.25],
        emission_part: [1.0, 0.0],
        weighted_root_tao: protocol.tao_weight * path.root_stake_tao,
        sell_flag: true,
        injection_rule: protocol.injection_rule,
        root_rule: protocol.root_rule,
        weighted: true,
        owner_cut: protocol.owner_cut,
        sales: emission_sales(&plan.input.model, BLOCKS_PER_DAY),
    }
}

struct Run<'a> {
    pass: Pass,
    fixture: &'a Fixture,
    state: &'a mut State,
}

impl Kernel for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { pass, fixture, state } = self;
        let Fixture { coinbase, held, row, .. } = fixture;
        let State { path, buffers, flow, growth } = state;
        let (chain, ages) = (&mut path.chain, |chunk: usize| &row[chunk]);
        let input = StepInput { coinbase, share_factor: 1.0, growth, held, stake_floor: STAKE_FLOOR };
        match pass {
            Pass::Words => words::<V>(fixture.draw, chain.len()),
            Pass::Draws => {
                let behaviour = &mut path.behaviour;
                black_box(flow_draws::<V>(&fixture.flow, fixture.draw, path.common, chain, behaviour, flow, growth));
            }
            Pass::Weights => {
                let weighted_root_tao = coinbase.weighted_root_tao;
                let step = ShareStep { rule: ShareRule::E2H, weighted_root_tao, flows: &[], level: FlowLevel::NONE };
                black_box(share_kernel::raw_shares::<V>(chain, &step, buffers));
            }
            Pass::Threshold => {
                let weights = &buffers.raw_share.0[..chain.len()];
                black_box(share_kernel::ranked_value::<V>(weights, GATE.0, fixture.threshold));
            }
            Pass::Gate => {
                black_box(share_kernel::final_shares::<V>(chain, 1.0, GATE.1, fixture.threshold, buffers));
            }
            Pass::Coinbase => {
                black_box(kernel::coinbase_pass::<V, true>(chain, input, buffers));
            }
            Pass::Trade => {
                black_box(kernel::flow_pass::<V, true>(chain, (held, STAKE_FLOOR), buffers));
            }
            Pass::MovingPrice => {
                let blocks = coinbase.blocks;
                assert!(moving_price_kernel::moving_price_pass::<V, true>(chain, blocks, ages, buffers));
            }
            Pass::Tiles => {
                let (sums, is_sound) = kernel::step_pass::<V, true>(chain, input, ages, false, buffers);
                black_box(sums);
                assert!(is_sound, "a sound path");
            }
        }
    }
}

#[inline(always)]
fn words<V: Vector>(draw: Draw, chunks: usize) {
    for first_slot in (0..chunks * taorisk::simd::LANES).step_by(GROUP_SLOTS) {
        let words =
            rng::group_words::<V>(draw.seed, draw.path, draw.step, Purpose::SlotNormals, black_box(first_slot as u32));
        for words in words {
            let (mut radii, mut directions) = ([0; 2 * taorisk::simd::LANES], [0; 2 * taorisk::simd::LANES]);
            V::store_half_words(words.radii, &mut radii);
            V::store_half_words(words.directions, &mut directions);
            black_box((&radii, &directions));
        }
    }
}

/// Bits of all that passes write of the live slots.
pub fn hash(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut write = |values: &[f64]| values.iter().for_each(|value| hasher.write_u64(value.to_bits()));
    let live = state.path.chain.len();
    for chunk in &state.path.chain {
        [chunk.reserve_alpha, chunk.reserve_tao, chunk.staked_alpha, chunk.moving_price].iter().for_each(|v| write(v));
    }
    let buffers = &state.buffers;
    for values in [&buffers.raw_share, &buffers.share, &buffers.growth, &buffers.coinbase_ratio] {
        write(values.0[..live].as_flattened());
    }
    state.growth.0.as_flattened().iter().for_each(|value| hasher.write_u32(value.to_bits()));
    hasher.finish()
}
