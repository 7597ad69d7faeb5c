//! Paired runs share their chance: one change leaves every other draw as it was.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use taorisk::cli::run::plan_of;
use taorisk::cli::run::recorder_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::record::EventKind;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::portfolio::position::Book;
use taorisk::portfolio::position::Position;
use taorisk::risk::recorder::BatchRecord;
use taorisk::simd::Backend;
use taorisk::units::NetUid;

use crate::drive::deviation;
use crate::drive::plan;
use crate::drive::watch;

const STEPS: u32 = 60;

/// Flows that depend on draws alone: no size, no age, stake enough to sell; and a factor that TAO/USD shows.
fn bare(change: impl FnOnce(&mut PlanInput)) -> Plan {
    plan(7_200, STEPS, |input| {
        let model = &mut input.model;
        (model.flow.size_exponent, model.flow.age_exponent) = (0.0, 0.0);
        model.flow.common_jump.rate_per_day = 0.05;
        model.tao_usd.correlation_with_flow = 0.5;
        for subnet in &mut input.start.subnets {
            subnet.staked_alpha = subnet.staked_alpha.max(3.0 * subnet.reserve_alpha);
        }
        change(input);
    })
}

/// Clock, TAO/USD, willingness, volatilities, flows and registrations after a step.
#[derive(Debug, PartialEq)]
struct Chance {
    clock: (u32, f64),
    outside: (f64, f64),
    log_volatility: Vec<f64>,
    flow: Vec<f64>,
    /// Slots whose subnet is of the snapshot and has started.
    incumbent: Vec<bool>,
    registered: Vec<(u64, f64)>,
}

fn chance(plan: &Plan) -> Vec<Vec<(Chance, f64)>> {
    watch(plan, 4, |view, _| {
        let path = view.path;
        let registered = view.events.iter().filter(|event| event.kind == EventKind::Registered);
        let chance = Chance {
            clock: (path.clock.ordinal, path.clock.remaining),
            outside: (path.outside.tao_usd, path.outside.log_willingness),
            log_volatility: (0..128).map(|slot| path.behaviour[slot / 8].log_volatility[0][slot % 8]).collect(),
            flow: (0..128).map(|slot| view.buffers.flow(slot)).collect(),
            incumbent: (0..128)
                .map(|slot| {
                    path.occupants[slot].is_some_and(|o| o.incumbent) && path.chain[slot / 8].started[slot % 8] > 0.0
                })
                .collect(),
            registered: registered.map(|event| (event.block, event.paid_tao)).collect(),
        };
        (chance, path.price(3))
    })
    .expect("sound paths")
}

#[test]
fn a_changed_sale_leaves_all_chance_as_it_was() {
    let base = chance(&bare(|_| {}));
    let bumped = chance(&bare(|input| input.model.sales.owner += 0.3));
    let (mut registrations, mut flows) = (0, 0);
    for (base, bumped) in base.iter().zip(&bumped) {
        for ((a, _), (b, _)) in base.iter().zip(bumped) {
            assert_eq!((a.clock, a.outside), (b.clock, b.outside));
            assert_eq!(a.registered, b.registered);
            let same_subnet = (0..128).filter(|&slot| a.incumbent[slot] && b.incumbent[slot]);
            for slot in same_subnet {
                assert_eq!(a.log_volatility[slot], b.log_volatility[slot]);
                assert!(deviation(a.flow[slot], b.flow[slot]) < 1e-12, "slot {slot}");
                flows += 1;
            }
            registrations += a.registered.len();
        }
        assert!(bumped[60].1 < 0.999 * base[60].1, "sales must have moved the price");
    }
    println!("{registrations} registrations and {flows} flows, the same in both");
    assert!(registrations > 10 && flows > 4 * 60 * 90);
}

#[test]
fn a_changed_seed_changes_all_chance() {
    let (base, other) = (chance(&bare(|_| {})), chance(&bare(|input| input.seed = 2)));
    let ((a, _), (b, _)) = (&base[0][1], &other[0][1]);
    assert!(a.clock != b.clock && a.outside != b.outside);
    assert!(a.flow.iter().zip(&b.flow).all(|(a, b)| a != b || *a == 0.0));
}

fn records(scenario: &Scenario) -> Vec<BatchRecord> {
    let options = RunOptions { first_path: 0, paths: 12, batch_paths: 5, threads: 2, backend: Backend::detect() };
    let mut records = Vec::new();
    let take = |record| {
        records.push(record);
        ControlFlow::Continue(())
    };
    run::run(&plan_of(scenario), &options, || recorder_of(scenario), take, &AtomicBool::new(false))
        .expect("sound paths");
    records
}

#[test]
fn a_second_book_leaves_the_paths_as_they_were() {
    let text = "[run]\nhorizon_days = 40\nreport_days = [20]\nsample_paths = 12\n";
    let one = Scenario::from_text("pair", text, Path::new(""), &Overrides::default()).expect("a scenario");
    let mut two = one.clone();
    let position =
        |netuid| Position { netuid: NetUid(netuid), alpha: 200_000.0, take: 0.1, ..one.books[0].positions[0].clone() };
    two.books.push(Book { name: "second".to_owned(), positions: vec![position(9), position(64)] });
    let (one, two) = (records(&one), records(&two));
    assert_eq!(one.len(), two.len());
    for (one, two) in one.iter().zip(&two) {
        assert_eq!(one.samples, two.samples);
        assert_eq!((&one.events, &one.deregistrations), (&two.events, &two.deregistrations));
        let first: Vec<_> = two.paths.iter().filter(|row| row.book == 0).copied().collect();
        assert_eq!(one.paths, first);
        assert!(two.paths.iter().any(|row| row.book == 1 && row.pnl_mark_tao != 0.0));
    }
    assert!(one.iter().map(|record| record.samples.len()).sum::<usize>() > 12 * 40 * 100);
}
