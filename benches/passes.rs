//! Time per subnet-step of each pass of the step kernel by itself, on a path of the embedded scenario after thirty days, with
//! 128 and 256 slots. Every pass must give the same bits on every instruction set.
//!
//! Throughput is in subnet-steps: 1 / (elements per second) is the time of one. What a step costs beside its passes is the rest
//! of `step` in the bench `run`.

use std::hash::DefaultHasher;
use std::hash::Hasher;
use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use taorisk::cli::run::plan_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::path::PathState;
use taorisk::engine::path::Workspace;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::emission_sales;
use taorisk::engine::step;
use taorisk::model::kernel::Draw;
use taorisk::model::kernel::FlowBuffers;
use taorisk::model::kernel::FlowStep;
use taorisk::model::kernel::flow_draws;
use taorisk::model::outside::OutsideStep;
use taorisk::protocol::coinbase_step::CoinbaseStep;
use taorisk::protocol::kernel;
use taorisk::protocol::kernel::StepInput;
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
use taorisk::simd::Backend;
use taorisk::simd::Kernel;
use taorisk::simd::Vector;
use taorisk::simd::dispatch;
use taorisk::units::BLOCKS_PER_DAY;
use taorisk::units::NetUid;
use taorisk::units::SLOT_CAPACITY;

/// Steps before a pass is measured.
const STEPS: u32 = 30;
/// Rank and steepness of the gate.
const GATE: (usize, u32) = (32, 3);

#[derive(Clone, Copy, Debug)]
enum Pass {
    Draws,
    Shares,
    Trades,
}

const PASSES: [Pass; 3] = [Pass::Draws, Pass::Shares, Pass::Trades];

/// What all passes read.
struct Fixture {
    flow: FlowStep,
    outside: OutsideStep,
    draw: Draw,
    coinbase: CoinbaseStep,
    row: [AgeChunk; MAX_CHUNKS],
    held: SlotValues,
    path: PathState,
    buffers: StepBuffers,
    /// Of the gate, in the step before: from there the search begins.
    threshold: f64,
    slots: u64,
}

/// What a pass writes.
#[derive(Clone)]
struct State {
    path: PathState,
    buffers: StepBuffers,
    flow: FlowBuffers,
    growth: SlotSingles,
}

impl State {
    /// Time of `pass` on the fixture's path, put back before: in the second-level cache, as a batch of paths is.
    fn time(&mut self, fixture: &Fixture, pass: impl FnOnce(&mut Self)) -> Duration {
        self.path.chain.copy_from_slice(&fixture.path.chain);
        self.path.behaviour.copy_from_slice(&fixture.path.behaviour);
        self.path.outside = fixture.path.outside;
        let start = Instant::now();
        pass(self);
        start.elapsed()
    }
}

/// The embedded scenario, every subnet twice where `is_doubled`.
fn plan(is_doubled: bool) -> Plan {
    let scenario = Scenario::load(None, &Overrides::default()).expect("the embedded scenario is valid");
    let mut input = plan_of(&scenario).input;
    if is_doubled {
        let subnets = input.start.subnets.clone();
        for subnet in subnets {
            let netuid = NetUid::from_slot(subnet.netuid.slot() + SLOT_CAPACITY / 2);
            input.start.issuance_tao += subnet.reserve_tao;
            input.start.subnets.push(taorisk::protocol::state::SubnetState { netuid, ..subnet });
        }
        input.protocol.subnet_limit = SLOT_CAPACITY;
    }
    Plan::new(input)
}

fn fixture(plan: &Plan) -> Fixture {
    let backend = Backend::detect();
    let (mut path, mut work) = (PathState::new(plan), Workspace::default());
    let (held, mut row) = (SlotValues::splat(0.0), [AgeChunk::frozen(); MAX_CHUNKS]);
    step::reset(backend, plan, &mut path, 0);
    for number in 0..STEPS {
        step::fill_ages(backend, plan, number, &mut row);
        step::advance(backend, plan, number, &row, &mut path, &held, &mut work).expect("a sound path");
    }
    let (input, blocks) = (&plan.input, BLOCKS_PER_DAY);
    Fixture {
        flow: FlowStep::new(&input.model.flow, blocks),
        outside: OutsideStep::new(&input.model, blocks),
        draw: Draw { seed: input.seed, path: 0, step: STEPS, block: plan.opening_block(STEPS) as f64 },
        coinbase: CoinbaseStep {
            blocks: blocks as f64,
            emission_tao: [0.5, 0.25],
            emission_part: [1.0, 0.0],
            weighted_root_tao: input.protocol.tao_weight * path.root_stake_tao,
            sell_flag: true,
            injection_rule: input.protocol.injection_rule,
            root_rule: input.protocol.root_rule,
            weighted: true,
            owner_cut: input.protocol.owner_cut,
            sales: emission_sales(&input.model, blocks),
        },
        row,
        held,
        threshold: GateThreshold::Rank(GATE.0).of(work.buffers.raw_share.0[..path.chain.len()].as_flattened()),
        buffers: work.buffers,
        slots: input.start.subnets.len() as u64,
        path,
    }
}

/// One pass over the slots of one path.
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
        let State { path, buffers, flow, growth } = state;
        match pass {
            Pass::Draws => {
                let common = fixture.outside.advance(fixture.draw, &mut path.outside);
                let draw = fixture.draw;
                flow_draws::<V>(&fixture.flow, draw, common, &path.chain, &mut path.behaviour, flow, growth);
            }
            Pass::Shares => {
                let weighted_root_tao = fixture.coinbase.weighted_root_tao;
                let step = ShareStep { rule: ShareRule::E2H, weighted_root_tao, flows: &[], level: FlowLevel::NONE };
                let raw = share_kernel::raw_shares::<V>(&path.chain, &step, buffers);
                let weights = &buffers.raw_share.0[..path.chain.len()];
                let threshold = share_kernel::ranked_value::<V>(weights, GATE.0, fixture.threshold);
                let threshold = threshold * raw.factor;
                black_box(share_kernel::final_shares::<V>(&path.chain, raw.factor, GATE.1, threshold, buffers));
            }
            Pass::Trades => {
                let Fixture { coinbase, held, row, .. } = fixture;
                let input = StepInput { coinbase, share_factor: 1.0, growth, held };
                let ages = |chunk: usize| &row[chunk];
                let (sums, is_sound) = kernel::step_pass::<V, true>(&mut path.chain, input, ages, true, buffers);
                black_box(sums);
                assert!(is_sound, "a sound path");
            }
        }
    }
}

/// Bits of all that passes write of the live slots.
fn hash(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut write = |values: &[f64]| values.iter().for_each(|value| hasher.write_u64(value.to_bits()));
    let live = state.path.chain.len();
    for chunk in &state.path.chain {
        [chunk.reserve_alpha, chunk.reserve_tao, chunk.staked_alpha, chunk.moving_price].iter().for_each(|v| write(v));
    }
    for values in [&state.buffers.share, &state.buffers.growth, &state.buffers.coinbase_ratio] {
        write(values.0[..live].as_flattened());
    }
    state.growth.0.as_flattened().iter().for_each(|value| hasher.write_u32(value.to_bits()));
    hasher.finish()
}

fn bench(criterion: &mut Criterion) {
    for is_doubled in [false, true] {
        let fixture = fixture(&plan(is_doubled));
        let start = || {
            let (path, buffers) = (fixture.path.clone(), fixture.buffers.clone());
            let mut state = State { path, buffers, flow: FlowBuffers::default(), growth: SlotSingles::zero() };
            // Trades follow the flows that draws leave.
            dispatch(Backend::detect(), Run { pass: Pass::Draws, fixture: &fixture, state: &mut state });
            state.path = fixture.path.clone();
            state
        };
        for pass in PASSES {
            let run = |backend, state: &mut State| dispatch(backend, Run { pass, fixture: &fixture, state });
            let mut group = criterion.benchmark_group(format!("pass/{}/{pass:?}", fixture.slots));
            group.throughput(Throughput::Elements(fixture.slots));
            let mut expected = start();
            run(Backend::Portable, &mut expected);
            for backend in Backend::available() {
                let mut found = start();
                run(backend, &mut found);
                assert_eq!(hash(&found), hash(&expected), "{pass:?} on {backend}");
                group.bench_function(BenchmarkId::from_parameter(backend), |bencher| {
                    let mut state = start();
                    bencher.iter_custom(|iterations| {
                        (0..iterations).map(|_| state.time(&fixture, |state| run(backend, black_box(state)))).sum()
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
