//! Runs each pass of the step kernel once over 256 slots on AVX2, for `.ci/track.py` to count under valgrind, which knows no
//! AVX-512.
//!
//! The bits are those that the bench `passes` asserts; here the portable backend is the reference too.

mod support;

use support::passes::Fixture;
use support::passes::Pass;
use support::passes::State;
use support::passes::hash;
use taorisk::simd::Backend;

/// What is counted: each call by itself, found by this name.
#[inline(never)]
fn counted_pass(fixture: &Fixture, pass: Pass, state: &mut State) {
    fixture.run(Backend::Avx2, pass, state);
}

/// Names the passes in their order, each with its slots.
fn main() {
    if !Backend::available().contains(&Backend::Avx2) {
        println!("nothing is counted: this machine has no AVX2");
        return;
    }
    let fixture = Fixture::new(&support::doubled(&support::plan()));
    for pass in Pass::ALL {
        let (mut state, mut expected) = (fixture.state(), fixture.state());
        counted_pass(&fixture, pass, &mut state);
        fixture.run(Backend::Portable, pass, &mut expected);
        assert_eq!(hash(&state), hash(&expected), "{pass:?}");
        println!("{pass:?} {}", fixture.slots);
    }
}
