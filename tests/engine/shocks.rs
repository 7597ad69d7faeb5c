//! Shocks of a scenario on paths: what they do, exactly, against the same paths without them.

use std::collections::BTreeSet;

use taorisk::engine::advance::Workspace;
use taorisk::engine::audit::Audit;
use taorisk::engine::drivers::Driver;
use taorisk::engine::drivers::Drivers;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::recorder::StepView;
use taorisk::engine::step;
use taorisk::model::shocks::Choice;
use taorisk::model::shocks::Effect;
use taorisk::model::shocks::Seller;
use taorisk::model::shocks::ShockParams;
use taorisk::model::shocks::Targets;
use taorisk::protocol::fixed::Rounding;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::params::ProtocolParams;
use taorisk::protocol::registration;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::protocol::state::SubnetState;
use taorisk::protocol::trade;
use taorisk::protocol::trade::Order;
use taorisk::simd::Backend;
use taorisk::units::NetUid;
use taorisk::units::SLOT_CAPACITY;

use crate::drive::customers;
use crate::drive::deviation;
use crate::drive::plan;
use crate::drive::silence;
use crate::drive::watch;

/// Slots of subnets of the snapshot that have started.
const STRUCK: usize = 63;
const OTHER: usize = 3;
const PATHS: u64 = 3;
/// Rounding of a dozen operations, relative.
const ROUNDING: f64 = 1e-13;

fn shock(day: f64, hours: Option<f64>, effect: Effect, choice: Choice) -> ShockParams {
    ShockParams {
        name: String::new(),
        day,
        days: hours.map(|hours| hours / 24.0),
        hazard_per_day: None,
        probability: 1.0,
        effect,
        targets: Targets { choice, except: Vec::new() },
    }
}

fn on_one(day: f64, hours: Option<f64>, effect: Effect) -> ShockParams {
    shock(day, hours, effect, Choice::Slots(vec![STRUCK as u16]))
}

/// A plan of `days` days with these shocks.
fn shocked(blocks: u64, days: u32, shocks: &[ShockParams], change: impl FnOnce(&mut PlanInput)) -> Plan {
    plan(blocks, days * (7_200 / blocks) as u32, |input| {
        change(input);
        input.model.shocks = shocks.to_vec();
    })
}

/// What `see` says of paths, at their start and after every step.
fn seen<T: Send>(plan: &Plan, see: impl Fn(&StepView<'_>) -> T + Sync) -> Vec<Vec<T>> {
    watch(plan, PATHS, |view, _| see(view)).expect("sound paths")
}

fn subnet(view: &StepView<'_>, slot: usize) -> SubnetState {
    let (chunk, lane) = locate(slot);
    let mut subnet = view.path.chain[chunk].lane(lane, NetUid::from_slot(slot));
    subnet.first_emission_block = Some(0);
    subnet
}

/// Without flows a pool comes to the shock as it closes without one: it must close as after a user's trade free of fees.
#[test]
fn a_flow_of_tao_is_a_trade_in_its_pool_and_in_no_other() {
    for tao in [2_740.0, -1_000.0] {
        let flow = [on_one(2.25, Some(9.0), Effect::FlowTao(tao))];
        let see = |view: &StepView<'_>| (view.path.clone(), subnet(view, STRUCK), view.buffers.flow_tao.get(STRUCK));
        let base = seen(&shocked(7_200, 4, &[], silence), see);
        let struck = seen(&shocked(7_200, 4, &flow, silence), see);
        for (base, struck) in base.iter().zip(&struck) {
            let ((without, mut pool, _), (with, found, flow_tao)) = (base[3].clone(), &struck[3]);
            let free = ProtocolParams { fee_rate: 0.0, ..without.protocol };
            if tao > 0.0 {
                let order = Order::Buy { netuid: pool.netuid, gross_tao: tao };
                trade::execute_in(&free, Rounding::Continuous, &mut pool, order).expect("a possible order");
            } else {
                let alpha = pool.reserve_alpha * (-tao / (pool.reserve_tao + tao));
                let weights = pool.weight_tao / (1.0 - pool.weight_tao);
                let alpha = if weights == 1.0 {
                    alpha
                } else {
                    pool.reserve_alpha * (-weights * (tao / pool.reserve_tao).ln_1p()).exp_m1()
                };
                let order = Order::Sell { netuid: pool.netuid, gross_alpha: alpha };
                trade::execute_in(&free, Rounding::Continuous, &mut pool, order).expect("a possible order");
            }
            for (found, expected) in [
                (found.reserve_tao, pool.reserve_tao),
                (found.reserve_alpha, pool.reserve_alpha),
                (found.staked_alpha, pool.staked_alpha),
                (with.free_tao, without.free_tao - tao),
                (*flow_tao, tao),
            ] {
                assert!(deviation(found, expected) < 1e-11, "{found}, not {expected}");
            }
            assert_eq!(base[2].0.free_tao.to_bits(), struck[2].0.free_tao.to_bits(), "nothing before its day");
            for slot in (0..without.chain.len() * 8).filter(|slot| *slot != STRUCK) {
                let (chunk, lane) = locate(slot);
                let [a, b] = [&without, with].map(|path| path.chain[chunk].reserve_tao[lane].to_bits());
                assert_eq!(a, b, "slot {slot}");
            }
        }
    }
}

#[test]
fn all_of_a_flow_comes_over_its_time_shared_by_the_pools() {
    let choice = Choice::Slots(vec![OTHER as u16, STRUCK as u16]);
    let flow = [shock(0.3, Some(60.0), Effect::FlowTao(5_000.0), choice)];
    for blocks in [7_200, 720] {
        let plan = shocked(blocks, 4, &flow, silence);
        let see = |view: &StepView<'_>| {
            let pools = [STRUCK, OTHER].map(|slot| subnet(view, slot).reserve_tao);
            (pools, [STRUCK, OTHER].map(|slot| view.buffers.flow_tao.get(slot)))
        };
        for path in seen(&plan, see) {
            let total: f64 = path[1..].iter().flat_map(|(_, flows)| flows).sum();
            assert!(deviation(total, 5_000.0) < 1e-9, "{blocks}: {total}");
            for (opening, closing) in path.iter().zip(&path[1..]).filter(|(_, closing)| closing.1[0] > 1e-6) {
                let (pools, flows) = (opening.0, closing.1);
                assert!(deviation(flows[0] / flows[1], pools[0] / pools[1]) < ROUNDING);
            }
        }
    }
}

#[test]
fn a_part_of_pools_and_of_stakes_leaves_whatever_the_step() {
    let pool = [on_one(1.5, Some(36.0), Effect::PoolFraction(-0.3))];
    let stake = [on_one(1.5, Some(36.0), Effect::StakeFraction(-0.4))];
    let quiet = |input: &mut PlanInput| {
        silence(input);
        input.protocol.root_rule = taorisk::protocol::root::RootRule::R3;
        input.start.subnets.iter_mut().for_each(|subnet| subnet.emission_enabled = false);
    };
    let see = |view: &StepView<'_>| {
        let subnet = subnet(view, STRUCK);
        [subnet.reserve_tao, subnet.staked_alpha]
    };
    for blocks in [7_200, 720] {
        let after = 3 * (7_200 / blocks) as usize;
        let left = |shocks: &[ShockParams], value: usize| {
            let base = seen(&shocked(blocks, 3, &[], quiet), see);
            let struck = seen(&shocked(blocks, 3, shocks, quiet), see);
            struck[0][after][value] / base[0][after][value]
        };
        let (pool, stake) = (left(&pool, 0), left(&stake, 1));
        // What is minted and injected meanwhile, a thousandth of pool and stake, comes in part after the trades.
        assert!((pool - 0.7).abs() < 1e-3 && (stake - 0.6).abs() < 1e-3, "{blocks}: {pool} {stake}");
    }
}

#[test]
fn a_sale_beyond_the_stake_takes_what_there_is() {
    let flow = [on_one(1.0, None, Effect::FlowTao(-1e9))];
    let see = |view: &StepView<'_>| (subnet(view, STRUCK), view.path.tao_imbalance());
    let base = seen(&shocked(7_200, 3, &[], silence), see);
    for (base, struck) in base.iter().zip(seen(&shocked(7_200, 3, &flow, silence), see)) {
        let (base, (left, imbalance)) = (&base[2].0, &struck[2]);
        assert!(deviation(left.staked_alpha, 0.001 * base.staked_alpha) < 1e-9, "{}", left.staked_alpha);
        assert!(left.reserve_tao > 0.0 && left.reserve_tao < base.reserve_tao && imbalance.abs() < 1e-12);
    }
}

/// Slots whose pools differ after the step that the shock falls into.
fn slots_struck(choice: Choice, except: &[u16], change: fn(&mut PlanInput)) -> (BTreeSet<usize>, Vec<f64>, PathState) {
    let mut dump = shock(1.0, None, Effect::PoolFraction(-0.1), choice);
    dump.targets.except = except.to_vec();
    let see = |view: &StepView<'_>| {
        let share: Vec<f64> = (0..SLOT_CAPACITY).map(|slot| view.buffers.share.get(slot)).collect();
        (view.path.clone(), share)
    };
    let base = seen(&shocked(7_200, 2, &[], change), see).remove(0);
    let struck = seen(&shocked(7_200, 2, &[dump], change), see).remove(0);
    let differs = |slot: &usize| {
        let (chunk, lane) = locate(*slot);
        base[2].0.chain[chunk].reserve_tao[lane] != struck[2].0.chain[chunk].reserve_tao[lane]
    };
    ((0..base[2].0.chain.len() * 8).filter(differs).collect(), base[2].1.clone(), base[1].0.clone())
}

#[test]
fn the_top_by_emission_is_struck_but_for_the_spared() {
    let rank = |share: &[f64]| {
        let mut slots: Vec<usize> = (0..share.len()).collect();
        slots.sort_by(|a, b| share[*b].total_cmp(&share[*a]));
        slots
    };
    let (struck, share, _) = slots_struck(Choice::Top(10), &[], silence);
    assert_eq!(struck, rank(&share)[..10].iter().copied().collect());
    let first = rank(&share)[0];
    let (struck, _, _) = slots_struck(Choice::Top(10), &[first as u16], silence);
    assert_eq!(struck, rank(&share)[1..11].iter().copied().collect());
}

#[test]
fn those_next_to_be_pruned_are_struck() {
    let (struck, _, opening) = slots_struck(Choice::NearPrune(4), &[], silence);
    let block = opening.occupants.iter().flatten().map(|occupant| occupant.registered_at).max().unwrap_or(0);
    let subnets = opening.occupants.iter().enumerate().filter_map(|(slot, occupant)| Some((slot, (*occupant)?)));
    let price = |slot: usize| {
        let (chunk, lane) = locate(slot);
        opening.chain[chunk].moving_price[lane]
    };
    let now = plan(7_200, 2, |_| {}).opening_block(1);
    let period = opening.protocol.immunity_period_blocks;
    let mut mature: Vec<usize> = subnets
        .filter(|(_, occupant)| !registration::is_immune(now, occupant.registered_at, period))
        .map(|(slot, _)| slot)
        .collect();
    mature.sort_by(|a, b| price(*a).total_cmp(&price(*b)));
    assert!(block <= now && mature.len() > 4);
    // A pool that has not started has nothing to trade.
    let started = |slot: &&usize| {
        let (chunk, lane) = locate(**slot);
        opening.chain[chunk].started[lane] > 0.0
    };
    assert_eq!(struck, mature[..4].iter().filter(started).copied().collect());
}

#[test]
fn a_freeze_lets_nothing_in_and_ends() {
    let freezes = [shock(2.0, Some(240.0), Effect::Freeze, Choice::All), on_one(2.0, Some(240.0), Effect::Freeze)];
    let see = |view: &StepView<'_>| [STRUCK, OTHER].map(|slot| view.buffers.flow(slot));
    let base = seen(&shocked(7_200, 20, &[], |_| {}), see);
    for (freeze, is_of_all) in freezes.into_iter().zip([true, false]) {
        // Two that overlap are one.
        let overlapping = [freeze.clone(), ShockParams { day: 4.0, days: Some(3.0), ..freeze }];
        let flows = seen(&shocked(7_200, 20, &overlapping, |_| {}), see);
        let inflows = |slot: usize, days: std::ops::Range<usize>| {
            flows.iter().flat_map(|path| &path[days.clone()]).filter(|flow| flow[slot] > 0.0).count()
        };
        assert_eq!(inflows(0, 3..13), 0);
        assert_eq!(inflows(1, 3..13) == 0, is_of_all);
        assert!(inflows(0, 1..3) > 0 && inflows(0, 13..21) > 5, "outside its time money comes");
        for (base, frozen) in base.iter().zip(&flows) {
            assert_eq!(base[..3], frozen[..3]);
            assert_eq!(base[3][0].min(0.0), frozen[3][0], "outflows go on");
        }
    }
    let half = [on_one(2.5, Some(12.0), Effect::Freeze)];
    for (base, halved) in base.iter().zip(seen(&shocked(7_200, 3, &half, |_| {}), see)) {
        let expected = if base[3][0] > 0.0 { 0.5 * base[3][0].exp_m1() } else { base[3][0].exp_m1() };
        assert!(deviation(halved[3][0].exp_m1(), expected) < 1e-6);
    }
}

#[test]
fn tao_usd_and_root_stake_change_by_what_is_said() {
    let everyone = |effect| shock(3.0, Some(48.0), effect, Choice::All);
    let see = |view: &StepView<'_>| [view.path.outside.tao_usd, view.path.root_stake_tao, view.path.free_tao];
    let base = seen(&shocked(7_200, 9, &[], |_| {}), see);
    for (base, gap) in base.iter().zip(seen(&shocked(7_200, 9, &[everyone(Effect::TaoUsd(-0.6))], |_| {}), see)) {
        for (day, expected) in [(3, 1.0), (4, 0.4_f64.sqrt()), (5, 0.4), (9, 0.4)] {
            assert!(deviation(gap[day][0] / base[day][0], expected) < ROUNDING, "day {day}");
        }
        assert_eq!(base[9][1..], gap[9][1..]);
    }
    let at_once = |effect| shock(3.0, None, effect, Choice::All);
    let moved = [Effect::RootStakeTao(-50_000.0), Effect::RootStakeFraction(0.1)];
    for effect in moved {
        for (base, moved) in base.iter().zip(seen(&shocked(7_200, 9, &[at_once(effect)], |_| {}), see)) {
            let expected = match effect {
                Effect::RootStakeTao(tao) => tao,
                _ => 0.1 * base[4][1],
            };
            assert_eq!(base[3], moved[3]);
            assert!(deviation(moved[4][1] - base[4][1], expected) < 1e-9);
            assert!(deviation(base[4][2] - moved[4][2], expected) < 1e-9);
        }
    }
}

/// Until an attempt comes, the clock has run down by the integrated hazard.
#[test]
fn a_run_multiplies_the_hazard_of_registrations() {
    let scarce = |input: &mut PlanInput| input.model.registration.hazard_per_day *= 1e-6;
    let see = |view: &StepView<'_>| view.path.clock.remaining;
    let run = [shock(2.0, Some(36.0), Effect::Registrations(30.0), Choice::All)];
    let base = seen(&shocked(7_200, 6, &[], scarce), see);
    for (base, run) in base.iter().zip(seen(&shocked(7_200, 6, &run, scarce), see)) {
        let spent = |clock: &[f64], day: usize| clock[day] - clock[day + 1];
        let factors: Vec<f64> = (0..6).map(|day| spent(&run, day) / spent(base, day)).collect();
        for (found, expected) in factors.iter().zip([1.0, 1.0, 30.0, 15.5, 1.0, 1.0]) {
            // The hazard spent is 1e-7 of the clock.
            assert!(deviation(*found, expected) < 1e-6, "{factors:?}");
        }
    }
    let rushed = [shock(0.0, None, Effect::Registrations(100.0), Choice::All)];
    let count = |shocks: &[ShockParams]| {
        let plan = shocked(7_200, 30, shocks, |_| {});
        seen(&plan, |view| view.path.clock.ordinal).iter().map(|path| path[30]).sum::<u32>()
    };
    assert!(count(&rushed) > count(&[]));
}

#[test]
fn sales_from_the_first_day_are_those_of_the_parameters() {
    let see = |view: &StepView<'_>| (subnet(view, STRUCK), view.path.free_tao);
    let earning = |input: &mut PlanInput| {
        let customers = customers(input, STRUCK as u16 + 1);
        input.model.revenue.push(taorisk::model::revenue::RevenueParams { creator_sale_fraction: None, ..customers });
    };
    for (seller, set) in [
        (Seller::Miner, (|input, part| input.model.sales.miner = part) as fn(&mut PlanInput, f64)),
        (Seller::Owner, |input, part| input.model.sales.owner = part),
        (Seller::Validator, |input, part| input.model.sales.validator = part),
    ] {
        let from_start = [shock(0.0, None, Effect::Sales(seller, 0.9), Choice::All)];
        let set_alike = |input: &mut PlanInput| {
            earning(input);
            set(input, 0.9);
        };
        let (a, b) = (shocked(7_200, 5, &from_start, earning), shocked(7_200, 5, &[], set_alike));
        for (a, b) in seen(&a, see).iter().flatten().zip(seen(&b, see).iter().flatten()) {
            assert!(deviation(a.0.staked_alpha, b.0.staked_alpha) < 1e-12 && deviation(a.1, b.1) < 1e-12);
            assert!(deviation(a.0.reserve_tao, b.0.reserve_tao) < 1e-12);
        }
        let later = [shock(3.0, None, Effect::Sales(seller, 0.9), Choice::All)];
        let (base, changed) = (shocked(7_200, 5, &[], earning), shocked(7_200, 5, &later, earning));
        for (base, changed) in seen(&base, see).iter().zip(seen(&changed, see)) {
            assert_eq!(base[..4], changed[..4]);
            assert!(changed[4].1 > base[4].1, "more is sold for TAO");
        }
    }
}

#[test]
fn a_loss_of_all_revenue_is_its_stop() {
    let earning = |stop_day: f64| {
        move |input: &mut PlanInput| {
            let customers = customers(input, STRUCK as u16 + 1);
            input.model.revenue.push(taorisk::model::revenue::RevenueParams { stop_day, ..customers });
        }
    };
    let see = |view: &StepView<'_>| (view.path.revenue[0].total, view.path.free_tao);
    let loss = [on_one(3.0, None, Effect::Revenue(0.0))];
    let lost = seen(&shocked(7_200, 8, &loss, earning(f64::INFINITY)), see);
    assert_eq!(lost, seen(&shocked(7_200, 8, &[], earning(3.0)), see));
    let back = [on_one(3.0, Some(48.0), Effect::Revenue(0.0))];
    for (lost, back) in lost.iter().zip(seen(&shocked(7_200, 8, &back, earning(f64::INFINITY)), see)) {
        assert_eq!(lost[5], back[5]);
        assert!(back[8].0.revenue_usd > lost[8].0.revenue_usd);
    }
}

#[test]
fn a_possible_shock_leaves_the_paths_that_it_misses() {
    let fall = shock(2.0, None, Effect::PoolFraction(-0.5), Choice::All);
    let possible = [ShockParams { probability: 0.5, hazard_per_day: Some(0.2), ..fall }];
    let plan = shocked(7_200, 8, &possible, |_| {});
    let see = |view: &StepView<'_>| (view.path.shock_block(view.plan, 0), view.path.price(OTHER).to_bits());
    let watched = |plan: &Plan| watch(plan, 40, |view, _| see(view)).expect("sound paths");
    let (base, struck) = (watched(&shocked(7_200, 8, &[], |_| {})), watched(&plan));
    let start = plan.opening_block(0);
    let mut missed = 0;
    for (base, struck) in base.iter().zip(&struck) {
        let begins = struck[0].0.map_or(f64::INFINITY, |block| (block - start) as f64 / 7_200.0);
        assert!(begins >= 2.0);
        for day in 0..=8 {
            assert_eq!(base[day].1 == struck[day].1, day as f64 <= begins, "day {day}, {begins}");
        }
        missed += u32::from(begins == f64::INFINITY);
    }
    assert!((8..33).contains(&missed), "{missed}");
}

#[test]
fn shocks_that_move_nothing_leave_every_bit() {
    let everyone = |effect| shock(1.0, Some(24.0), effect, Choice::All);
    let nothing = [
        everyone(Effect::FlowTao(0.0)),
        everyone(Effect::PoolFraction(0.0)),
        everyone(Effect::StakeFraction(0.0)),
        everyone(Effect::TaoUsd(0.0)),
        everyone(Effect::RootStakeTao(0.0)),
        everyone(Effect::RootStakeFraction(0.0)),
        everyone(Effect::Registrations(1.0)),
    ];
    let bits = |view: &StepView<'_>| {
        let path = view.path;
        let all = [path.free_tao, path.issuance_tao, path.root_stake_tao, path.outside.tao_usd, path.clock.remaining];
        let prices = (0..SLOT_CAPACITY).filter(|slot| path.occupants[*slot].is_some()).map(|slot| path.price(slot));
        all.into_iter().chain(prices).map(f64::to_bits).collect::<Vec<u64>>()
    };
    assert_eq!(seen(&shocked(7_200, 6, &[], |_| {}), bits), seen(&shocked(7_200, 6, &nothing, |_| {}), bits));
}

/// They are jumps that the scenario sets.
#[test]
fn without_jumps_shocks_trade_nothing() {
    let fall = [shock(1.0, None, Effect::PoolFraction(-0.5), Choice::All)];
    let without_jumps = |input: &mut PlanInput| input.drivers = Drivers::ALL.without(Driver::Jumps);
    let price = |view: &StepView<'_>| view.path.price(OTHER).to_bits();
    let (base, fallen) = (shocked(7_200, 3, &[], without_jumps), shocked(7_200, 3, &fall, without_jumps));
    assert_eq!(seen(&base, price), seen(&fallen, price));
    assert!(Driver::Jumps.is_present(&fallen.input));
}

/// One path by hand; before step 2 `tamper` may act.
fn by_hand(plan: &Plan, tamper: impl Fn(&mut PathState)) -> PathState {
    let (backend, held) = (Backend::detect(), SlotValues::splat(0.0));
    let (mut path, mut work, mut audit) = (PathState::new(plan), Workspace::default(), Audit::default());
    let mut row = [AgeChunk::frozen(); MAX_CHUNKS];
    step::reset(backend, plan, &mut path, 0);
    for step in 0..plan.input.steps {
        if step == 2 {
            tamper(&mut path);
        }
        audit.open(&path);
        step::fill_ages(backend, plan, step, &mut row);
        step::advance(backend, plan, step, &row, &mut path, &held, &mut work).expect("a sound path");
        audit.close(plan, step, &path, &work).expect("books that balance");
    }
    path
}

#[test]
fn the_books_balance_and_a_successor_is_not_struck() {
    let drain = [on_one(0.5, Some(96.0), Effect::FlowTao(-2_000.0)), on_one(1.0, None, Effect::PoolFraction(0.2))];
    let reserve = |path: &PathState| path.chain[locate(STRUCK).0].reserve_tao[locate(STRUCK).1];
    let struck = by_hand(&shocked(7_200, 5, &drain, silence), |_| {});
    let replaced = by_hand(&shocked(7_200, 5, &drain, silence), |path| {
        let occupant = path.occupants[STRUCK].as_mut().expect("a subnet there");
        occupant.registered_at += 100_000_000;
    });
    // Two days and a half of four were left of the drain.
    let spared = reserve(&replaced) - reserve(&struck);
    assert!((spared - 1_250.0).abs() < 20.0, "{spared}");
    assert!(struck.tao_imbalance().abs() < 1e-12);
}
