//! The forms that a step takes, for speed, have the same bits: with and without rows for those who read, with and without the
//! check of what the flow costs.

use taorisk::engine::advance::Workspace;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::step;
use taorisk::model::switches::RuleSwitch;
use taorisk::model::switches::SwitchTime;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::share_rules::ShareRule;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::protocol::upgrades::Change;
use taorisk::simd::Backend;

use crate::drive::plan;

const STEPS: u32 = 40;

/// The scenario; with `is_checked`, a flow rule may come long after the end, so that every step keeps flows and checks their cost.
fn forms_plan(is_checked: bool) -> Plan {
    plan(7_200, STEPS, |input| {
        let time = SwitchTime::Block(input.start.block + 100_000_000);
        let switch = RuleSwitch { time, probability: 1.0, changes: vec![Change::ShareRule(ShareRule::F1)] };
        input.switches = if is_checked { vec![switch] } else { vec![] };
    })
}

/// Bits of what a path is after its steps.
fn end(plan: &Plan, backend: Backend, keeps_rows: bool, index: u32) -> Vec<u64> {
    let (mut path, mut work) = (PathState::new(plan), Workspace::default());
    work.keeps_rows = keeps_rows;
    let (held, mut row) = (SlotValues::splat(0.0), [AgeChunk::frozen(); MAX_CHUNKS]);
    step::reset(backend, plan, &mut path, index);
    for number in 0..STEPS {
        step::fill_ages(backend, plan, number, &mut row);
        step::advance(backend, plan, number, &row, &mut path, &held, &mut work).expect("a sound path");
    }
    let sums = [path.issuance_tao, path.root_stake_tao, path.free_tao];
    let chunks = path.chain.iter().flat_map(|chunk| {
        [chunk.reserve_alpha, chunk.reserve_tao, chunk.staked_alpha, chunk.protocol_alpha, chunk.moving_price].concat()
    });
    sums.into_iter().chain(chunks).map(f64::to_bits).collect()
}

#[test]
fn all_forms_of_a_step_have_the_same_bits() {
    let [plain, checked] = [false, true].map(forms_plan);
    assert!(checked.keeps_flows && !plain.keeps_flows);
    for index in 0..4 {
        let expected = end(&plain, Backend::detect(), true, index);
        for backend in Backend::available() {
            assert_eq!(end(&plain, backend, false, index), expected, "{backend}, path {index}, without rows");
            assert_eq!(end(&checked, backend, true, index), expected, "{backend}, path {index}, checked");
        }
    }
}
