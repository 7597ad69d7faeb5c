//! Time per subnet-step of each pass of the step kernel by itself, with 128 and 256 slots. Every pass must give the same bits on
//! every instruction set.
//!
//! Throughput is in subnet-steps: 1 / (elements per second) is the time of one. What a step costs as a whole is `batch` in
//! the bench `run`; which part of it each pass takes there is in `roofline`.

mod support;

use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use support::passes::Fixture;
use support::passes::Pass;
use support::passes::State;
use support::passes::hash;
use taorisk::simd::Backend;

/// Passes between two looks at the clock.
const ROUNDS: u64 = 4;

/// Time of a pass on the fixture's path, put back before: in the second-level cache, as a batch of paths is.
fn time(fixture: &Fixture, state: &mut State, backend: Backend, pass: Pass) -> Duration {
    fixture.restore(state);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        fixture.run(backend, pass, black_box(state));
    }
    start.elapsed()
}

fn bench(criterion: &mut Criterion) {
    let plan = support::plan();
    for plan in [support::doubled(&plan), plan] {
        let fixture = Fixture::new(&plan);
        for pass in Pass::ALL {
            let mut group = criterion.benchmark_group(format!("pass/{}/{pass:?}", fixture.slots));
            group.throughput(Throughput::Elements(fixture.slots * ROUNDS));
            let mut expected = fixture.state();
            fixture.run(Backend::Portable, pass, &mut expected);
            for backend in Backend::available() {
                let mut state = fixture.state();
                fixture.run(backend, pass, &mut state);
                assert_eq!(hash(&state), hash(&expected), "{pass:?} on {backend}");
                group.bench_function(BenchmarkId::from_parameter(backend), |bencher| {
                    bencher.iter_custom(|repeats| (0..repeats).map(|_| time(&fixture, &mut state, backend, pass)).sum())
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
