//! Plans made from the shipped scenario, and paths watched step by step.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use taorisk::cli::run::plan_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::recorder::Recorder;
use taorisk::engine::recorder::StepView;
use taorisk::engine::run;
use taorisk::engine::run::RunError;
use taorisk::engine::run::RunOptions;
use taorisk::model::revenue::CampaignParams;
use taorisk::model::revenue::PayoutPeg;
use taorisk::model::revenue::RevenueParams;
use taorisk::protocol::slots::SlotValues;
use taorisk::simd::Backend;
use taorisk::units::BLOCKS_PER_DAY;
use taorisk::units::NetUid;
use taorisk::units::SubnetId;

/// The shipped scenario with steps of `blocks_per_step` blocks, changed by `change`.
pub fn plan(blocks_per_step: u64, steps: u32, change: impl FnOnce(&mut PlanInput)) -> Plan {
    let scenario = Scenario::from_text("base", "", Path::new(""), &Overrides::default()).expect("the shipped scenario");
    let mut input = PlanInput { blocks_per_step, steps, ..plan_of(&scenario).input };
    change(&mut input);
    Plan::new(input)
}

/// No flow, no sales, no registrations, no starts: only the chain acts.
pub fn silence(input: &mut PlanInput) {
    let model = &mut input.model;
    // Flows of 1e-30 are no flows, and the logarithm of the scale stays finite.
    model.flow.scale_median = 1e-30;
    model.flow.drift_per_day = 0.0;
    (model.sales.owner, model.sales.miner, model.sales.validator) = (0.0, 0.0, 0.0);
    model.sales.root_swap_fraction = 0.0;
    model.registration.hazard_per_day = 0.0;
    model.entrants.never_start_probability_incumbent = 1.0;
    model.entrants.enable_delay_mean_days = 1e9;
}

/// A subnet of the snapshot with customers, campaigns several a day, a peg that binds and creators that sell most.
pub fn customers(input: &PlanInput, netuid: u16) -> RevenueParams {
    let subnet = input.start.subnets.iter().find(|subnet| subnet.netuid == NetUid(netuid)).expect("a subnet there");
    RevenueParams {
        subnet: SubnetId { netuid: NetUid(netuid), registered_at: subnet.registered_at },
        median_usd_per_day: 2_000.0,
        sd_log: 0.7,
        half_life_days: 5.0,
        start_usd_per_day: 1_000.0,
        campaigns: CampaignParams {
            rate_per_day: 3.0,
            budget_median_usd: 7_000.0,
            budget_sd_log: 0.5,
            spend_days: 2.5,
        },
        stop_day: f64::INFINITY,
        margin: 0.3,
        buyback: 0.8,
        peg: Some(PayoutPeg { usd_per_day: 300.0, of_revenue: 0.1 }),
        creator_sale_fraction: Some(0.9),
    }
}

/// Mean delay in days of a number of blocks.
pub fn days(blocks: f64) -> f64 {
    blocks / BLOCKS_PER_DAY as f64
}

/// What `see` says of every path of a run, at its start and after each step; by path.
pub fn watch<T: Send>(
    plan: &Plan,
    paths: u64,
    see: impl Fn(&StepView<'_>, &mut SlotValues) -> T + Sync,
) -> Result<Vec<Vec<T>>, RunError> {
    let seen: Vec<Mutex<Vec<T>>> = (0..paths).map(|_| Mutex::new(Vec::new())).collect();
    watch_all(plan, paths, &|view, held| {
        let said = see(view, held);
        seen[view.path.path as usize].lock().expect("no panic in a watcher").push(said);
    })?;
    Ok(seen.into_iter().map(|said| said.into_inner().expect("no panic in a watcher")).collect())
}

/// Not generic over what is seen, so that the engine is compiled once for all tests.
fn watch_all(plan: &Plan, paths: u64, see: &See) -> Result<(), RunError> {
    let options = RunOptions { first_path: 0, paths, batch_paths: 8, threads: 2, backend: Backend::detect() };
    let stop = AtomicBool::new(false);
    run::run(plan, &options, || Watcher { see }, |()| ControlFlow::Continue(()), &stop).map(|_| ())
}

type See<'a> = dyn Fn(&StepView<'_>, &mut SlotValues) + Sync + 'a;

struct Watcher<'a> {
    see: &'a See<'a>,
}

impl Recorder for Watcher<'_> {
    type Batch = ();

    fn open(&mut self, _index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        *held = SlotValues::splat(0.0);
        (self.see)(view, held);
    }

    fn step(&mut self, _index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        (self.see)(view, held);
    }

    fn close(&mut self, _first_path: u64, _count: usize) {}
}

/// Difference relative to the larger of the two, 0 where they are equal.
pub fn deviation(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()) }
}
