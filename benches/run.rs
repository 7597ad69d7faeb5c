//! Time per subnet-step of whole runs and of single steps, and time of a pool operation, on the embedded scenario.
//!
//! Throughput is in subnet-steps (pool operations): 1 / (elements per second) is the time of one. Each case asserts its
//! result: runs the hash of their P&L over backends and batch sizes, steps their TAO ledger, pools a round trip.

use std::hash::DefaultHasher;
use std::hash::Hasher;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use taorisk::cli::run::plan_of;
use taorisk::cli::run::recorder_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::path::PathState;
use taorisk::engine::path::Workspace;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::engine::step;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::pool::Pool;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::risk::recorder::BatchRecord;
use taorisk::simd::Backend;
use taorisk::units::NetUid;
use taorisk::units::SLOT_CAPACITY;

const PATHS: u64 = 512;
const BATCH_PATHS: usize = 32;
/// A gap in the TAO ledger that only a mistake could leave.
const IMBALANCE_MAX: f64 = 1e-9;

fn scenario() -> Scenario {
    Scenario::load(None, &Overrides::default()).expect("the embedded scenario is valid")
}

/// The plan with every subnet twice, in slots of its own: a full network.
fn doubled(plan: &Plan) -> Plan {
    let mut input: PlanInput = plan.input.clone();
    let subnets = input.start.subnets.clone();
    let copies = subnets.iter().map(|subnet| {
        let slot = subnet.netuid.slot() + SLOT_CAPACITY / 2;
        taorisk::protocol::state::SubnetState { netuid: NetUid::from_slot(slot), ..subnet.clone() }
    });
    input.start.subnets.extend(copies);
    input.start.issuance_tao += subnets.iter().map(|subnet| subnet.reserve_tao).sum::<f64>();
    input.protocol.subnet_limit = SLOT_CAPACITY;
    Plan::new(input)
}

fn run_hash(scenario: &Scenario, plan: &Plan, backend: Backend, batch_paths: usize, paths: u64) -> u64 {
    let options = RunOptions { first_path: 0, paths, batch_paths, threads: 1, backend };
    let mut hasher = DefaultHasher::new();
    let consume = |batch: BatchRecord| {
        for row in &batch.paths {
            for value in [row.pnl_mark_tao, row.pnl_liquidation_tao, row.pnl_mark_usd, row.max_drawdown] {
                hasher.write_u64(value.to_bits());
            }
        }
        ControlFlow::Continue(())
    };
    let stop = AtomicBool::new(false);
    run::run(plan, &options, || recorder_of(scenario), consume, &stop).expect("the embedded scenario runs");
    hasher.finish()
}

fn bench_run(criterion: &mut Criterion) {
    let scenario = scenario();
    let plan = plan_of(&scenario);
    let expected = run_hash(&scenario, &plan, Backend::Portable, 16, 64);
    for backend in Backend::available() {
        for batch_paths in [1, 16, 64] {
            assert_eq!(run_hash(&scenario, &plan, backend, batch_paths, 64), expected, "{backend}, {batch_paths}");
        }
    }
    let mut group = criterion.benchmark_group("run");
    group.sample_size(10);
    group.throughput(Throughput::Elements(PATHS * u64::from(plan.input.steps) * plan.input.start.subnets.len() as u64));
    for backend in Backend::available().into_iter().filter(|&backend| backend != Backend::Portable) {
        group.bench_function(BenchmarkId::from_parameter(backend), |bencher| {
            bencher.iter(|| run_hash(&scenario, &plan, backend, BATCH_PATHS, PATHS));
        });
    }
    group.finish();
}

/// One path through all its steps, without a recorder.
struct Steps<'a> {
    plan: &'a Plan,
    row: &'a mut [AgeChunk; MAX_CHUNKS],
    path: &'a mut PathState,
    held: &'a SlotValues,
    work: &'a mut Workspace,
}

impl Steps<'_> {
    fn run(self, backend: Backend) {
        let Self { plan, row, path, held, work } = self;
        step::reset(backend, plan, path, 0);
        work.clear();
        for number in 0..plan.input.steps {
            step::fill_ages(backend, plan, number, row);
            step::advance(backend, plan, number, row, path, held, work).expect("the embedded scenario is sound");
        }
    }
}

fn bench_step(criterion: &mut Criterion) {
    let plan = plan_of(&scenario());
    for plan in [doubled(&plan), plan] {
        let slots = plan.input.start.subnets.len() as u64;
        let mut group = criterion.benchmark_group(format!("step/{slots}"));
        group.throughput(Throughput::Elements(slots * u64::from(plan.input.steps)));
        for backend in Backend::available().into_iter().filter(|&backend| backend != Backend::Portable) {
            let (mut path, mut work) = (PathState::new(&plan), Workspace::default());
            let mut row = [AgeChunk::frozen(); MAX_CHUNKS];
            let held = SlotValues::splat(0.0);
            group.bench_function(BenchmarkId::from_parameter(backend), |bencher| {
                bencher.iter(|| {
                    let (row, path, work) = (&mut row, &mut path, &mut work);
                    Steps { plan: black_box(&plan), row, path, held: &held, work }.run(backend);
                });
            });
            let (row, path, work) = (&mut row, &mut path, &mut work);
            Steps { plan: &plan, row, path, held: &held, work }.run(backend);
            let imbalance = path.tao_imbalance();
            assert!(imbalance.abs() <= IMBALANCE_MAX, "{slots} slots, {backend}: {imbalance}");
        }
        group.finish();
    }
}

fn bench_pool(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    group.throughput(Throughput::Elements(2));
    for weight_tao in [0.5, 0.45] {
        let pool = Pool { reserve_tao: 20_000.0, reserve_alpha: 1_500_000.0, weight_tao };
        let round_trip = |pool: Pool| {
            let bought = pool.buy(100.0);
            (pool.after_buy(100.0).sell(bought), bought)
        };
        group.bench_function(BenchmarkId::new("buy and sell", weight_tao), |bencher| {
            bencher.iter(|| round_trip(black_box(pool)));
        });
        let (paid, _) = round_trip(pool);
        assert!((paid - 100.0).abs() < 1e-8, "weight {weight_tao}: {paid} TAO back of 100");
    }
    group.finish();
}

criterion_group!(benches, bench_pool, bench_step, bench_run);
criterion_main!(benches);
