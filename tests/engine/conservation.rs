//! TAO and alpha are conserved, with halvings, prunes, starts, more slots and changes of the rules inside.

use taorisk::engine::advance::Workspace;
use taorisk::engine::audit::Audit;
use taorisk::engine::path::LifecycleEvent;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::record::EventKind;
use taorisk::engine::step;
use taorisk::model::root_stake::RootStakeParams;
use taorisk::model::switches::RuleSwitch;
use taorisk::model::switches::SwitchTime;
use taorisk::protocol::emission;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::protocol::upgrades;
use taorisk::protocol::upgrades::Change;
use taorisk::simd::Backend;
use taorisk::units::SLOT_CAPACITY;

use crate::drive::customers;
use crate::drive::days;
use crate::drive::plan;
use crate::drive::silence;
use crate::drive::watch;

const PATHS: u64 = 4;

/// One path after one step.
struct Seen {
    path: PathState,
    share: SlotValues,
    kinds: Vec<EventKind>,
}

/// Many registrations, prunes once the slots are full, halvings of TAO and of six subnets' alpha.
fn eventful(input: &mut PlanInput) {
    let blocks = input.blocks_per_step as f64;
    input.protocol.subnet_limit = 170;
    input.protocol.registration_rate_limit_blocks = 0;
    input.protocol.immunity_period_blocks = 20 * input.blocks_per_step;
    input.protocol.lock_reduction_interval_blocks = input.blocks_per_step;
    let model = &mut input.model;
    (model.registration.hazard_per_day, model.registration.elasticity) = (0.7 / days(blocks), 0.0);
    model.entrants.never_start_probability_incumbent = 0.0;
    model.entrants.start_delay_mean_days = days(2.0 * blocks);
    model.entrants.enable_delay_mean_days = days(5.0 * blocks);
    input.start.issuance_tao = 15_750_000.0 - 0.5 * 20.37 * blocks;
    for (index, threshold, steps) in [
        (3, 10.5e6, 1.4),
        (19, 10.5e6, 7.2),
        (50, 10.5e6, 30.9),
        (63, 15.75e6, 12.1),
        (92, 18.375e6, 3.0),
        (1, 10.5e6, 60.5),
    ] {
        let subnet = &mut input.start.subnets[index];
        subnet.staked_alpha += threshold - steps * blocks - subnet.issuance_alpha();
    }
}

/// TAO block emission of each block of the step that follows `open`, all of it spent.
fn tao_emissions(plan: &Plan, open: &PathState) -> Vec<f64> {
    let blocks = 0..plan.input.blocks_per_step;
    blocks
        .scan(open.issuance_tao, |issuance, _| {
            let minted = emission::block_emission(*issuance);
            *issuance += minted;
            Some(minted)
        })
        .collect()
}

/// Alpha that a step mints for one slot, less what is recycled: block by block, from the opening state.
fn minted_alpha(plan: &Plan, open: &PathState, emissions: &[f64], share: f64, slot: usize, flag: bool) -> f64 {
    let protocol = &plan.input.protocol;
    let (chunk, lane) = locate(slot);
    let chunk = &open.chain[chunk];
    let weighted_root = protocol.tao_weight * open.root_stake_tao;
    let issuance = chunk.issuance_alpha(lane);
    let rho = weighted_root / (weighted_root + issuance);
    let price = chunk.price(lane);
    let rates = [1.0, 0.5].map(|part| part * emission::block_emission(issuance));
    let left = emission::next_halving(issuance) - issuance;
    let (mut minted, mut out) = (0.0, 0.0);
    for emission_tao in emissions {
        let rate = if minted < left { rates[0] } else { rates[1] };
        out += rate;
        minted += rate + (share * emission_tao).min(rho * rate * price) / price;
    }
    let server = 0.5 * (1.0 - protocol.owner_cut) * out;
    let middle = issuance + minted * (0.5 + 0.5 / emissions.len() as f64);
    let recycled = if flag { 0.0 } else { server * weighted_root / (weighted_root + middle) };
    minted - recycled
}

fn assert_conserved(
    title: &str,
    blocks_per_step: u64,
    steps: u32,
    change: impl FnOnce(&mut PlanInput),
) -> Vec<Vec<Seen>> {
    let plan = plan(blocks_per_step, steps, change);
    let kinds = |events: &[LifecycleEvent]| events.iter().map(|event| event.kind).collect();
    let seen = watch(&plan, PATHS, |view, _| Seen {
        path: view.path.clone(),
        share: view.buffers.share.clone(),
        kinds: kinds(view.events),
    })
    .expect("sound paths");
    let (mut worst_tao, mut worst_alpha, mut worst_halving) = (0.0_f64, 0.0_f64, 0.0_f64);
    for pair in seen.iter().flat_map(|path| path.windows(2)) {
        let [open, close] = pair else { unreachable!() };
        worst_tao = worst_tao.max(close.path.tao_imbalance().abs());
        let started = open.path.chain.iter().flat_map(|chunk| chunk.moving_price.iter().zip(&chunk.started));
        let flag = started.map(|(price, started)| price * started).sum::<f64>() > 1.0;
        let emissions = tao_emissions(&plan, &open.path);
        for slot in 0..SLOT_CAPACITY {
            let (chunk, lane) = locate(slot);
            let (Some(before), Some(after)) = (open.path.occupants[slot], close.path.occupants[slot]) else { continue };
            if before.registered_at != after.registered_at {
                continue;
            }
            let (opening, closing) = (&open.path.chain[chunk], &close.path.chain[chunk]);
            let gained = closing.issuance_alpha(lane) - opening.issuance_alpha(lane);
            if opening.started[lane] == 0.0 {
                assert_eq!(gained, 0.0, "slot {slot} has not started");
                continue;
            }
            let minted = minted_alpha(&plan, &open.path, &emissions, close.share.get(slot), slot, flag);
            let gap = (gained - minted).abs();
            if opening.alpha_emission[lane] == closing.alpha_emission[lane] {
                worst_alpha = worst_alpha.max(gap / opening.issuance_alpha(lane));
            } else {
                worst_halving = worst_halving.max(gap);
            }
        }
    }
    println!(
        "{title}: TAO imbalance {worst_tao:.1e} of issuance; alpha {worst_alpha:.1e} of issuance, \
         {worst_halving:.1e} alpha in a step with a halving"
    );
    assert!(worst_tao < 1e-9);
    assert!(worst_alpha < 1e-12);
    // One block's rate, up to which the crossing may be misplaced.
    assert!(worst_halving <= 1.0);
    seen
}

fn count(seen: &[Vec<Seen>], kind: EventKind) -> usize {
    seen.iter().flatten().flat_map(|seen| &seen.kinds).filter(|&&found| found == kind).count()
}

#[test]
fn an_eventful_run_conserves_tao_and_alpha() {
    for (title, blocks_per_step) in [("K = 7200", 7_200), ("K = 360", 360)] {
        let seen = assert_conserved(title, blocks_per_step, 120, eventful);
        for kind in [EventKind::Registered, EventKind::Deregistered, EventKind::Started, EventKind::EmissionEnabled] {
            println!("{}: {}", kind.name(), count(&seen, kind));
            assert!(count(&seen, kind) >= 20, "{}: {}", kind.name(), count(&seen, kind));
        }
        let last = &seen[0].last().expect("steps").path;
        assert!(last.chain.len() > 16, "the slots must have grown");
        assert_eq!(last.occupants.iter().flatten().count(), 170);
        assert!(last.issuance_tao > 15.75e6 && emission::block_emission(last.issuance_tao) == 0.25);
        let halvings = |slot: usize| {
            let (chunk, lane) = locate(slot);
            seen[0][0].path.chain[chunk].alpha_emission[lane] / seen[0][50].path.chain[chunk].alpha_emission[lane]
        };
        let halved = [3, 19, 50, 63, 92].into_iter().filter(|&slot| halvings(slot) == 2.0).count();
        assert!(halved >= 3, "{halved} of the subnets before a halving are left and have passed it");
    }
}

/// Campaigns, pegs, creators' sales, and TAO that move between root and wallets.
#[test]
fn revenue_and_flows_of_root_stake_conserve_tao_and_alpha() {
    for (title, blocks_per_step) in [("revenue, K = 7200", 7_200), ("revenue, K = 360", 360)] {
        let seen = assert_conserved(title, blocks_per_step, 120, |input| {
            eventful(input);
            input.model.revenue = [120, 51, 5, 10].map(|netuid| customers(input, netuid)).to_vec();
            input.model.root_stake =
                RootStakeParams { drift_per_day: 0.001, sd_log_per_sqrt_day: 0.05, half_life_days: 9.0 };
        });
        let end = &seen[0].last().expect("steps").path;
        assert!(end.revenue.iter().any(|revenue| revenue.total.buyback_tao > 0.0), "{:?}", end.revenue);
        let root = |seen: &Seen| seen.path.root_stake_tao;
        assert!(seen[0].windows(2).any(|pair| root(&pair[1]) < root(&pair[0])), "root stake must leave too");
    }
}

/// Wallets that pour into root until they are empty, and root that pours out.
#[test]
fn root_stake_takes_no_more_than_wallets_have() {
    for drift_per_day in [0.5, -0.5] {
        let plan = plan(7_200, 20, |input| {
            silence(input);
            input.model.root_stake = RootStakeParams { drift_per_day, ..RootStakeParams::default() };
        });
        let seen = watch(&plan, 1, |view, _| view.path.clone()).expect("a sound path");
        let (start, end) = (&seen[0][0], &seen[0][20]);
        assert!(seen[0].iter().all(|path| path.tao_imbalance().abs() < 1e-12 && path.free_tao > -1e-9));
        let first = seen[0][1].root_stake_tao - start.root_stake_tao;
        let expected = (start.root_stake_tao * drift_per_day.exp_m1()).min(start.free_tao);
        assert!((first / expected - 1.0).abs() < 1e-12, "{first} TAO, not {expected}");
        let all = start.root_stake_tao + start.free_tao;
        let expected = if drift_per_day > 0.0 { all } else { start.root_stake_tao * (-10.0_f64).exp() };
        assert!((end.root_stake_tao / expected - 1.0).abs() < 1e-3, "{} TAO", end.root_stake_tao);
    }
}

#[test]
fn recycled_root_alpha_is_minted_for_nobody() {
    assert_conserved("flag off", 7_200, 60, |input| {
        input.start.subnets.iter_mut().for_each(|subnet| subnet.moving_price *= 0.3);
        input.start.subnets.truncate(40);
    });
}

#[test]
fn the_shipped_scenario_conserves_tao_and_alpha() {
    assert_conserved("shipped", 7_200, 90, |_| {});
}

/// One path, every step audited.
struct Audited<'a> {
    plan: &'a Plan,
    path: u32,
}

impl Audited<'_> {
    /// The path at its end, and how many subnets were pruned.
    fn run(self) -> (PathState, usize) {
        let backend = Backend::detect();
        let mut state = PathState::new(self.plan);
        step::reset(backend, self.plan, &mut state, self.path);
        let (held, mut work, mut audit) = (SlotValues::splat(0.0), Workspace::default(), Audit::default());
        let mut row = [AgeChunk::frozen(); MAX_CHUNKS];
        let mut pruned = 0;
        for number in 0..self.plan.input.steps {
            step::fill_ages(backend, self.plan, number, &mut row);
            audit.open(&state);
            step::advance(backend, self.plan, number, &row, &mut state, &held, &mut work).expect("a sound path");
            audit.close(self.plan, number, &state, &work).expect("balanced books");
            pruned += work.events.iter().filter(|event| event.kind == EventKind::Deregistered).count();
        }
        (state, pruned)
    }
}

/// A plan of 120 days whose rules change on days 40 and 80.
fn upgraded(first: &[Change], second: &[Change]) -> Plan {
    plan(7_200, 120, |input| {
        eventful(input);
        input.protocol.subnet_limit = 128;
        let start = input.start.block;
        let at = |day: u64, changes: &[Change]| {
            let time = SwitchTime::Block(start + day * 7_200);
            RuleSwitch { time, probability: 1.0, changes: changes.to_vec() }
        };
        input.switches = vec![at(40, first), at(80, second)];
    })
}

/// Two changes of one key within one step, the later one written first: the later one holds, at any length of step.
#[test]
fn rules_that_come_within_one_step_come_in_the_order_of_their_blocks() {
    for blocks in [7_200, 60] {
        let plan = plan(blocks, 14_400 / blocks as u32, |input| {
            let start = input.start.block;
            let at = |block, owner_cut| {
                let (time, changes) = (SwitchTime::Block(start + block), vec![Change::OwnerCut(owner_cut)]);
                RuleSwitch { time, probability: 1.0, changes }
            };
            input.switches = vec![at(5_000, 0.3), at(1_000, 0.1)];
        });
        let cuts = watch(&plan, 1, |view, _| view.path.protocol.owner_cut).expect("a sound path");
        assert_eq!(cuts[0].last(), Some(&0.3), "{blocks} blocks per step");
    }
}

#[test]
fn upgrades_under_way_conserve_tao_and_alpha() {
    let historic = |spec| {
        let keeps_limits = |change: &Change| {
            !matches!(
                change,
                Change::SubnetLimit(_)
                    | Change::ImmunityPeriod(_)
                    | Change::RegistrationRateLimit(_)
                    | Change::LockReductionInterval(_)
            )
        };
        let mut changes = Change::to(&upgrades::params_at_spec(spec));
        changes.retain(keeps_limits);
        changes.push(Change::SubnetLimit(if spec < 400 { 150 } else { 256 }));
        changes
    };
    let modern = |rank, limit| vec![Change::HillRank(rank), Change::SubnetLimit(limit), Change::OwnerCut(0.1)];
    for (title, first, second) in [
        ("the gate's rank", modern(48, 150), modern(64, 256)),
        ("launch, then taoflow", historic(233), historic(411)),
        ("subsidy, then E1", historic(298), historic(421)),
        ("F1, then F2", historic(338), historic(413)),
    ] {
        let plan = upgraded(&first, &second);
        for path in 0..2 {
            let (end, pruned) = Audited { plan: &plan, path }.run();
            let imbalance = end.tao_imbalance().abs();
            let subnets = end.occupants.iter().flatten().count();
            println!("{title}, path {path}: {pruned} prunes, {subnets} subnets, imbalance {imbalance:.1e}");
            assert!(imbalance < 1e-9 && pruned >= 10, "path {path}: {imbalance:e} of issuance, {pruned} prunes");
            assert!(subnets > 150 && end.issuance_tao > 15.7e6);
        }
    }
}
