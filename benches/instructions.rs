//! Instructions of each pass of the step kernel over 256 slots on AVX2, counted under valgrind, which knows no AVX-512.
//!
//! The bits are those that the bench `passes` asserts; here the portable backend is the reference too.

#![allow(missing_docs, reason = "what the macros make has none")]

mod support;

use gungraun::library_benchmark;
use gungraun::library_benchmark_group;
use gungraun::main;
use support::passes::Fixture;
use support::passes::Pass;
use support::passes::State;
use support::passes::hash;
use taorisk::simd::Backend;

/// A pass and all it touches; boxed, so that moving it costs nothing.
struct Case {
    pass: Pass,
    fixture: Fixture,
    state: State,
}

fn prepared(pass: Pass) -> Box<Case> {
    let fixture = Fixture::new(&support::doubled(&support::plan()));
    let state = fixture.state();
    Box::new(Case { pass, fixture, state })
}

fn checked(case: Box<Case>) {
    let Case { pass, fixture, state } = *case;
    let mut expected = fixture.state();
    fixture.run(Backend::Portable, pass, &mut expected);
    assert_eq!(hash(&state), hash(&expected), "{pass:?}");
}

#[library_benchmark(setup = prepared, teardown = checked)]
#[bench::words(Pass::Words)]
#[bench::draws(Pass::Draws)]
#[bench::weights(Pass::Weights)]
#[bench::threshold(Pass::Threshold)]
#[bench::gate(Pass::Gate)]
#[bench::coinbase(Pass::Coinbase)]
#[bench::trade(Pass::Trade)]
#[bench::moving_price(Pass::MovingPrice)]
#[bench::tiles(Pass::Tiles)]
fn avx2(mut case: Box<Case>) -> Box<Case> {
    case.fixture.run(Backend::Avx2, case.pass, &mut case.state);
    case
}

library_benchmark_group!(name = passes, benchmarks = avx2);
main!(library_benchmark_groups = passes);
