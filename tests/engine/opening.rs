//! What paths of a batch have done for them together is what each would do by itself, to the bit, on every instruction set.

use taorisk::engine::advance::Workspace;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::step;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::simd::Backend;

use crate::drive::plan;
use crate::drive::watch;

/// More than one group of eight, and one path over.
const PATHS: usize = 17;

/// What an opening decides, as bits: shared processes, the clock, and through it who registers when.
type Opened = (Vec<[u64; 5]>, u32, u64);

/// The paths forward, opened in groups of `together`.
fn run(plan: &Plan, backend: Backend, together: usize) -> Vec<Opened> {
    let mut paths: Vec<PathState> = (0..PATHS).map(|_| PathState::new(plan)).collect();
    (0..).zip(&mut paths).for_each(|(index, path)| step::reset(backend, plan, path, index));
    let (held, mut work) = (SlotValues::splat(0.0), Workspace::default());
    let mut row = [AgeChunk::frozen(); MAX_CHUNKS];
    let mut seen = vec![Vec::new(); PATHS];
    for number in 0..plan.input.steps {
        step::fill_ages(backend, plan, number, &mut row);
        paths.chunks_mut(together).for_each(|group| step::open(backend, plan, number, group));
        for (path, seen) in paths.iter_mut().zip(&mut seen) {
            let (outside, common) = (path.outside, path.common);
            let values = [outside.tao_usd, outside.log_willingness, common.factor, common.jump, path.clock.remaining];
            seen.push(values.map(f64::to_bits));
            step::advance_opened(backend, plan, number, &row, path, &held, &mut work).expect("a sound path");
        }
    }
    paths.iter().zip(seen).map(|(path, seen)| (seen, path.clock.ordinal, path.last_lock_block)).collect()
}

/// Elasticity 1 and a high floor take the other branches of the hazard.
#[test]
fn paths_open_together_as_they_do_alone() {
    for (elasticity, lock_cost_min_tao, draws) in [(6.7, 1.0, 1), (1.0, 400.0, 3), (2.0, 640.0, 1)] {
        let plan = plan(7_200, 12, |input| {
            input.model.registration.elasticity = elasticity;
            input.model.registration.hazard_per_day = 2.0;
            input.model.flow.common_jump.rate_per_day = 0.8;
            input.protocol.lock_cost_min_tao = lock_cost_min_tao;
            input.draw_refinement = draws;
        });
        let expected = run(&plan, Backend::Portable, 1);
        let attempts: u32 = expected.iter().map(|(_, attempts, _)| attempts).sum();
        assert!(attempts > 20, "{attempts} attempts are few");
        for backend in Backend::available() {
            for together in [1, 3, 8, PATHS] {
                assert!(run(&plan, backend, together) == expected, "{backend}, {together} together");
            }
        }
    }
}

/// More steps than a worker keeps the age factors of, and more batches than threads.
#[test]
fn late_batches_step_as_a_path_alone_does() {
    const WATCHED: u64 = 24;
    let plan = plan(7_200, 132, |_| ());
    let chain_bits = |path: &PathState| path.chain.iter().map(|chunk| chunk.moving_price.map(f64::to_bits)).collect();
    let seen: Vec<Vec<Vec<[u64; 8]>>> = watch(&plan, WATCHED, |view, _| chain_bits(view.path)).expect("sound paths");
    let (backend, held, mut work) = (Backend::detect(), SlotValues::splat(0.0), Workspace::default());
    let (mut path, mut row) = (PathState::new(&plan), [AgeChunk::frozen(); MAX_CHUNKS]);
    for (index, seen) in (0..).zip(&seen) {
        step::reset(backend, &plan, &mut path, index);
        for number in 0..plan.input.steps {
            step::fill_ages(backend, &plan, number, &mut row);
            step::advance(backend, &plan, number, &row, &mut path, &held, &mut work).expect("a sound path");
            assert_eq!(chain_bits(&path), seen[number as usize + 1], "path {index}, step {number}");
        }
    }
}
