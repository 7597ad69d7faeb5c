//! Limits with known answers: little money, little stake, no flow, one subnet, one step, empty slots, faults.

use std::fs;

use assert_cmd::Command;
use taorisk::engine::advance::Workspace;
use taorisk::engine::path::PathFault;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::run::RunError;
use taorisk::engine::step;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::simd::Backend;
use taorisk::units::NetUid;
use tempfile::TempDir;

use crate::drive::deviation;
use crate::drive::plan;
use crate::drive::silence;
use crate::drive::watch;

/// Nothing but a drift in every subnet's flow.
fn only_drift(input: &mut PlanInput, drift_per_day: f64) {
    silence(input);
    input.model.flow.drift_per_day = drift_per_day;
}

#[test]
fn buys_are_scaled_down_to_the_free_tao() {
    const FREE_TAO: f64 = 50_000.0;
    let plan = plan(7_200, 5, |input| {
        only_drift(input, 0.4);
        let pools: f64 = input.start.subnets.iter().map(|subnet| subnet.reserve_tao).sum();
        input.start.issuance_tao = pools + input.start.root_stake_tao + FREE_TAO;
    });
    let seen = watch(&plan, 2, |view, _| {
        let started = |slot: &usize| view.path.chain[locate(*slot).0].started[locate(*slot).1] > 0.0;
        let slots: Vec<usize> = (0..128).filter(started).collect();
        let flows: Vec<f64> = slots.iter().map(|&slot| view.buffers.flow(slot)).collect();
        let cost: f64 = slots.iter().map(|&slot| view.buffers.flow_tao.get(slot)).sum();
        (view.path.free_tao, flows, cost)
    })
    .expect("sound paths");
    for path in &seen {
        assert!((path[0].0 - FREE_TAO).abs() < 1e-6);
        for (step, pair) in path.windows(2).enumerate() {
            let ((before, ..), (after, flows, cost)) = (&pair[0], &pair[1]);
            println!("step {step}: free {before:.1} -> {after:.3}, cost {cost:.1}, flow {:.2e}", flows[0]);
            assert!(*after >= 0.0 && *cost > 0.5 * before && *cost <= before * (1.0 + 1e-12));
            assert!(flows[0] > 0.0 && flows[0] < 0.1);
            // One factor for all.
            assert!(flows.iter().all(|flow| deviation(*flow, flows[0]) < 1e-9));
        }
    }
}

#[test]
fn sales_leave_the_books_the_floor_and_a_thousandth_of_the_rest() {
    let plan = plan(7_200, 4, |input| {
        only_drift(input, -1.4);
        for subnet in input.start.subnets.iter_mut().filter(|subnet| subnet.netuid.0 % 2 == 0) {
            subnet.staked_alpha *= 0.01;
        }
    });
    let limited = watch(&plan, 2, |view, held| {
        let mut limited = 0;
        for slot in (0..128).filter(|_| view.step > 0) {
            let (chunk, lane) = locate(slot);
            let chain = &view.path.chain[chunk];
            let pool = view.buffers.reserve_alpha_mid.get(slot);
            let sold = chain.reserve_alpha[lane] - pool;
            let before = chain.staked_alpha[lane] + sold;
            let kept = held.get(slot).max(view.plan.input.model.flow.stake_floor * (before + pool));
            let sellable = 0.999 * (before - kept).max(0.0);
            assert!(sold <= sellable + 1e-9 * before.max(chain.reserve_alpha[lane]), "slot {slot}");
            assert!(chain.staked_alpha[lane] >= kept.min(before) * (1.0 - 1e-9), "slot {slot}");
            limited += usize::from(chain.started[lane] > 0.0 && sellable > 0.0 && sold > 0.998 * sellable);
        }
        for slot in (0..128).step_by(3) {
            let (chunk, lane) = locate(slot);
            held.set(slot, 0.5 * view.path.chain[chunk].staked_alpha[lane]);
        }
        limited
    })
    .expect("sound paths");
    println!("slots at the limit after each step: {limited:?}");
    assert!(limited.iter().all(|path| path[1..].iter().all(|&count| count > 30)));
}

/// A started subnet's price moves by the chain buy alone: `y' x / (y x')` at weights of one half.
#[test]
fn without_flow_and_sales_prices_move_by_emission_only() {
    let plan = plan(7_200, 30, silence);
    let prices = watch(&plan, 1, |view, _| {
        (0..128).map(|slot| (view.path.price(slot), view.buffers.coinbase_move(slot))).collect::<Vec<_>>()
    })
    .expect("a sound path");
    let mut moved = 0;
    for pair in prices[0].windows(2) {
        for ((before, _), (after, coinbase)) in pair[0].iter().zip(&pair[1]) {
            assert!(deviation(*after, before * coinbase.exp()) < 1e-12);
            assert!(*coinbase >= -1e-14);
            moved += usize::from(*coinbase > 1e-6);
        }
    }
    println!("{moved} of {} moves are chain buys", 30 * 128);
    assert!(moved > 30 * 30);
}

/// One enabled subnet takes all: 3,600 TAO a day, of which the cap is injected and the rest buys.
#[test]
fn a_single_subnet_earns_the_whole_emission() {
    let plan = plan(7_200, 1, |input| {
        silence(input);
        input.start.subnets.retain(|subnet| subnet.netuid == NetUid(64));
    });
    let subnet = plan.input.start.subnets[0].clone();
    let seen = watch(&plan, 1, |view, _| view.path.clone()).expect("a sound path");
    let (chunk, lane) = locate(NetUid(64).slot());
    let after = &seen[0][1];
    let spent = after.issuance_tao - plan.input.start.issuance_tao;
    assert!(deviation(spent, 3_600.0) < 1e-9);
    let chain = &after.chain[chunk];
    assert!(deviation(chain.reserve_tao[lane], subnet.reserve_tao + 3_600.0) < 1e-12);
    let weighted_root = plan.input.protocol.tao_weight * plan.input.start.root_stake_tao;
    let injected_alpha = 7_200.0 * weighted_root / (weighted_root + subnet.issuance_alpha());
    let excess = 3_600.0 - injected_alpha * subnet.reserve_tao / subnet.reserve_alpha;
    let bought = subnet.reserve_alpha * excess / (subnet.reserve_tao + excess);
    assert!(excess > 0.0);
    assert!(deviation(chain.reserve_alpha[lane], subnet.reserve_alpha - bought + injected_alpha) < 1e-12);
    assert!(deviation(chain.protocol_alpha[lane], subnet.protocol_alpha + bought) < 1e-12);
}

/// Slots between subnets, and behind the last, stay as they are.
#[test]
fn empty_slots_stay_empty() {
    let plan = plan(7_200, 20, |input| {
        input.start.subnets.retain(|subnet| subnet.netuid.0 % 3 == 0);
        input.protocol.subnet_limit = input.start.subnets.len();
        input.model.registration.hazard_per_day = 0.0;
    });
    let last = watch(&plan, 1, |view, _| view.path.clone()).expect("a sound path")[0].pop().expect("steps");
    for slot in (0..last.chain.len() * 8).filter(|&slot| last.occupants[slot].is_none()) {
        let (chunk, lane) = locate(slot);
        let chain = &last.chain[chunk];
        assert_eq!((chain.reserve_tao[lane], chain.reserve_alpha[lane]), (1.0, 1.0));
        assert_eq!((chain.outstanding_alpha(lane), chain.moving_price[lane], chain.started[lane]), (0.0, 0.0, 0.0));
    }
    assert_eq!(last.occupants.iter().flatten().count(), plan.input.start.subnets.len());
}

/// Writes a value into a lane of a chunk.
type Plant = fn(&mut PathState, usize, usize);

/// Plants a value in a path after `sound_steps` steps and advances once more.
struct Planted<'a> {
    plan: &'a Plan,
    path: u32,
    sound_steps: u32,
    plant: Plant,
    slot: usize,
}

impl Planted<'_> {
    fn run(self) -> Result<(), PathFault> {
        let (plan, backend) = (self.plan, Backend::detect());
        let (mut path, mut work) = (PathState::new(plan), Workspace::default());
        let mut row = [AgeChunk::frozen(); MAX_CHUNKS];
        step::reset(backend, plan, &mut path, self.path);
        for number in 0..=self.sound_steps {
            if number == self.sound_steps {
                let (chunk, lane) = locate(self.slot);
                (self.plant)(&mut path, chunk, lane);
            }
            step::fill_ages(backend, plan, number, &mut row);
            step::advance(backend, plan, number, &row, &mut path, &SlotValues::splat(0.0), &mut work)?;
        }
        Ok(())
    }
}

#[test]
fn a_planted_nan_or_negative_value_is_found_where_it_is() {
    let plan = plan(7_200, 10, |input| input.seed = 77);
    let plants: [(&str, Plant); 7] = [
        ("reserve TAO NaN", |path, chunk, lane| path.chain[chunk].reserve_tao[lane] = f64::NAN),
        ("reserve TAO negative", |path, chunk, lane| path.chain[chunk].reserve_tao[lane] = -5.0),
        ("reserve alpha NaN", |path, chunk, lane| path.chain[chunk].reserve_alpha[lane] = f64::NAN),
        ("stake NaN", |path, chunk, lane| path.chain[chunk].staked_alpha[lane] = f64::NAN),
        ("stake negative", |path, chunk, lane| path.chain[chunk].staked_alpha[lane] = -1e9),
        ("moving price NaN", |path, chunk, lane| path.chain[chunk].moving_price[lane] = f64::NAN),
        ("moving price negative", |path, chunk, lane| path.chain[chunk].moving_price[lane] = -0.9),
    ];
    for (name, plant) in plants {
        let planted = Planted { plan: &plan, path: 5, sound_steps: 3, plant, slot: 50 };
        let fault = PathFault { path: 5, step: 4, netuid: NetUid(51), seed: 77 };
        assert_eq!(planted.run(), Err(fault), "{name}");
    }
    let harmless = Planted { plan: &plan, path: 5, sound_steps: 3, plant: |_, _, _| {}, slot: 50 };
    assert_eq!(harmless.run(), Ok(()));
}

#[test]
fn a_fault_ends_the_run_and_says_how_to_repeat_it() {
    let plan = plan(7_200, 3, |input| input.start.subnets[6].staked_alpha = f64::NAN);
    let error = watch(&plan, 20, |_, _| ()).expect_err("an unsound start");
    assert!(matches!(error, RunError::Fault(PathFault { path: 0, step: 1, netuid: NetUid(7), seed: 1 })));
    let text = error.to_string();
    assert!(text.starts_with("path 0, step 1, SN7: ") && text.contains("`--seed 1 --paths 1` repeats it"), "{text}");
}

/// Jumps that overflow, times scales that underflow, through the program.
#[test]
fn a_fault_ends_the_program_with_code_1_and_leaves_nothing() {
    let directory = TempDir::new().expect("a temporary directory");
    let jumps = "[flow.jumps]\nup_mean = 1.7e308\ndown_mean = 1.7e308\n";
    let scenario = format!("[run]\npaths = 8\nhorizon_days = 3\n[flow]\nsize_exponent = 1e6\n{jumps}");
    fs::write(directory.path().join("scenario.toml"), scenario).expect("a scenario file");
    let output = Command::new(env!("CARGO_BIN_EXE_taorisk"))
        .current_dir(directory.path())
        .args(["run", "scenario.toml", "--out", "run", "--quiet"])
        .output()
        .expect("the program starts");
    let message = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.starts_with("error: path 0, step 1, SN"), "{message}");
    assert!(message.contains("`--seed 1 --paths 1` repeats it"), "{message}");
    let left: Vec<_> = fs::read_dir(directory.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["scenario.toml"]);
}
