//! Time per subnet-step of batches of paths and of whole runs, and time of a pool operation, on the embedded scenario.
//!
//! Throughput is in subnet-steps (pool operations): 1 / (elements per second) is the time of one. `batch` is the engine's run with a
//! recorder that keeps nothing, `run` that with the recorder of the program. Each case asserts its result: runs the hash of their
//! P&L over backends and batch sizes, batches their TAO ledger, pools a round trip.

mod support;

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
use taorisk::cli::run::recorder_of;
use taorisk::config::scenario::Scenario;
use taorisk::engine::plan::Plan;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::protocol::pool::Pool;
use taorisk::risk::recorder::BatchRecord;
use taorisk::simd::Backend;

const PATHS: u64 = 512;
/// Batches of a repeat; the first holds an audit.
const BATCHES: u64 = 16;
/// A gap in the TAO ledger that only a mistake could leave.
const IMBALANCE_MAX: f64 = 1e-9;

/// Backends of this machine but the arrays.
fn vector_backends() -> impl Iterator<Item = Backend> {
    Backend::available().into_iter().filter(|&backend| backend != Backend::Portable)
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
    let scenario = support::scenario();
    let plan = support::plan();
    let expected = run_hash(&scenario, &plan, Backend::Portable, 16, 64);
    for backend in Backend::available() {
        for batch_paths in [1, 16, 64] {
            assert_eq!(run_hash(&scenario, &plan, backend, batch_paths, 64), expected, "{backend}, {batch_paths}");
        }
    }
    let mut group = criterion.benchmark_group("run");
    group.sample_size(10);
    group.throughput(Throughput::Elements(PATHS * u64::from(plan.input.steps) * support::live_slots(&plan)));
    for backend in vector_backends() {
        group.bench_function(BenchmarkId::from_parameter(backend), |bencher| {
            bencher.iter(|| run_hash(&scenario, &plan, backend, support::BATCH_PATHS, PATHS));
        });
    }
    group.finish();
}

/// Whole batches with nobody watching: what a subnet-step costs before anything is recorded.
fn bench_batch(criterion: &mut Criterion) {
    let plan = support::plan();
    let full = support::doubled(&plan);
    let cases = [("", full.clone()), ("/weighted", support::weighted(&full)), ("", plan)];
    for (weights, plan) in cases {
        let slots = support::live_slots(&plan);
        let mut group = criterion.benchmark_group(format!("batch/{slots}{weights}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(
            BATCHES * support::BATCH_PATHS as u64 * slots * u64::from(plan.input.steps),
        ));
        for backend in vector_backends() {
            group.bench_function(BenchmarkId::from_parameter(backend), |bencher| {
                bencher.iter(|| support::run_batches(black_box(&plan), backend, BATCHES));
            });
            let imbalance = support::run_batches(&plan, backend, 1);
            assert!(imbalance <= IMBALANCE_MAX, "{slots} slots, {backend}: {imbalance}");
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

criterion_group!(benches, bench_pool, bench_batch, bench_run);
criterion_main!(benches);
