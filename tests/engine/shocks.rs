//! Shocks of a scenario, as the engine realises them: against the same paths without them.

use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::recorder::StepView;
use taorisk::model::shocks::ShockKind;
use taorisk::model::shocks::ShockParams;

use crate::drive::plan;
use crate::drive::watch;

/// Slots of subnets of the snapshot that have started.
const STRUCK: usize = 63;
const OTHER: usize = 3;

fn shock(day: f64, hours: f64, kind: ShockKind) -> ShockParams {
    ShockParams { day, days: hours / 24.0, kind }
}

fn reserve(view: &StepView<'_>, slot: usize) -> f64 {
    let (chunk, lane) = locate(slot);
    view.path.chain[chunk].reserve_tao[lane]
}

/// What is seen of nine paths after every step, the start first.
fn seen<T: Send>(blocks: u64, shocks: &[ShockParams], see: impl Fn(&StepView<'_>) -> T + Sync) -> Vec<Vec<T>> {
    let change = |input: &mut PlanInput| input.model.shocks = shocks.to_vec();
    watch(&plan(blocks, 20 * 7_200 / blocks as u32, change), 9, |view, _| see(view)).expect("sound paths")
}

#[test]
fn a_flow_of_tao_enters_its_pool_alone() {
    let flow = [shock(2.0, 0.0, ShockKind::FlowTao(vec![(STRUCK as u16, 2_740.0)]))];
    let see = |view: &StepView<'_>| [reserve(view, STRUCK), reserve(view, OTHER), view.path.free_tao];
    let (base, struck) = (seen(7_200, &[], see), seen(7_200, &flow, see));
    for (base, struck) in base.iter().zip(&struck) {
        assert_eq!(base[..3], struck[..3], "nothing before its day");
        let grown = struck[3][0] / base[3][0] - 1.0;
        let expected = 2_740.0 / base[2][0];
        assert!((grown / expected - 1.0).abs() < 1e-5, "{grown} {expected}");
        assert_eq!(base[3][1], struck[3][1], "no other pool in that step");
        // What enters is the pool's growth by the organic flow too.
        let paid = base[3][2] - struck[3][2];
        assert!((paid / (struck[3][0] - base[3][0]) - 1.0).abs() < 1e-6, "{paid}");
    }
}

#[test]
fn a_fraction_leaves_whatever_the_step() {
    let slots = vec![STRUCK as u16, OTHER as u16];
    let outflow = [shock(1.5, 36.0, ShockKind::PoolFraction { slots, fraction: -0.3 })];
    for blocks in [7_200, 720] {
        let see = |view: &StepView<'_>| [reserve(view, STRUCK), reserve(view, OTHER)];
        let (base, struck) = (seen(blocks, &[], see), seen(blocks, &outflow, see));
        let after = (3 * 7_200 / blocks) as usize;
        for (base, struck) in base.iter().zip(&struck) {
            for slot in 0..2 {
                let left = struck[after][slot] / base[after][slot];
                // Emission comes to the pools at its own pace meanwhile, and shares move a little.
                assert!((left - 0.7).abs() < 2e-3, "{blocks}: {left}");
            }
        }
    }
}

#[test]
fn tao_usd_and_root_stake_change_by_what_is_said() {
    let shocks = [shock(3.0, 48.0, ShockKind::TaoUsd(-0.6)), shock(4.0, 0.0, ShockKind::RootStake(-0.1))];
    let see = |view: &StepView<'_>| [view.path.outside.tao_usd, view.path.root_stake_tao];
    let (base, struck) = (seen(7_200, &[], see), seen(7_200, &shocks, see));
    for (base, struck) in base.iter().zip(&struck) {
        assert_eq!(base[3], struck[3]);
        let rates: Vec<f64> = [4, 5, 9].map(|day| struck[day][0] / base[day][0]).to_vec();
        assert!((rates[0] - 0.4_f64.sqrt()).abs() < 1e-9 && (rates[1] - 0.4).abs() < 1e-9, "{rates:?}");
        assert!((rates[2] - 0.4).abs() < 1e-9);
        assert!((struck[5][1] / base[5][1] - 0.9).abs() < 1e-4);
    }
}

#[test]
fn a_freeze_lets_nothing_in_and_ends() {
    let kinds = [ShockKind::Freeze { slots: None }, ShockKind::Freeze { slots: Some(vec![STRUCK as u16]) }];
    for (kind, is_of_all) in kinds.into_iter().zip([true, false]) {
        let frozen = [shock(2.0, 240.0, kind)];
        let flows = seen(7_200, &frozen, |view| [STRUCK, OTHER].map(|slot| view.buffers.flow(slot)));
        let inflows = |slot: usize, days: std::ops::Range<usize>| {
            flows.iter().flat_map(|path| &path[days.clone()]).filter(|flow| flow[slot] > 0.0).count()
        };
        assert_eq!(inflows(0, 3..13), 0);
        assert_eq!(inflows(1, 3..13) == 0, is_of_all);
        assert!(inflows(0, 1..3) > 0 && inflows(0, 13..21) > 10, "outside its time money comes");
    }
}

#[test]
fn shocks_that_move_nothing_leave_every_bit() {
    let nothing = [
        shock(1.0, 24.0, ShockKind::PoolFraction { slots: vec![OTHER as u16], fraction: 0.0 }),
        shock(1.0, 0.0, ShockKind::TaoUsd(0.0)),
        shock(1.0, 0.0, ShockKind::RootStake(0.0)),
    ];
    let bits = |view: &StepView<'_>| {
        [reserve(view, OTHER), view.path.price(STRUCK), view.path.outside.tao_usd, view.path.root_stake_tao]
            .map(f64::to_bits)
    };
    assert_eq!(seen(7_200, &[], bits), seen(7_200, &nothing, bits));
}
