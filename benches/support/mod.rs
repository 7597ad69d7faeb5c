//! What benches share: plans of the embedded scenario, and a batch of paths with nobody watching.
#![allow(dead_code, reason = "each bench uses a part")]

pub mod passes;

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use taorisk::cli::run::plan_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::recorder::Recorder;
use taorisk::engine::recorder::StepView;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::protocol::slots::SlotValues;
use taorisk::protocol::state::SubnetState;
use taorisk::simd::Backend;
use taorisk::units::NetUid;
use taorisk::units::SLOT_CAPACITY;

/// Paths that the program advances together.
pub const BATCH_PATHS: usize = 32;
/// A weight of TAO that takes every pool off the short forms.
const WEIGHT_TAO: f64 = 0.45;

/// The embedded scenario: 128 subnets, 90 days, one step a day.
pub fn scenario() -> Scenario {
    Scenario::load(None, &Overrides::default()).expect("the embedded scenario is valid")
}

/// Its plan.
pub fn plan() -> Plan {
    plan_of(&scenario())
}

/// The plan with every subnet twice, in slots of its own: a full network.
pub fn doubled(plan: &Plan) -> Plan {
    let mut input: PlanInput = plan.input.clone();
    for subnet in &plan.input.start.subnets {
        let netuid = NetUid::from_slot(subnet.netuid.slot() + SLOT_CAPACITY / 2);
        input.start.issuance_tao += subnet.reserve_tao;
        input.start.subnets.push(SubnetState { netuid, ..subnet.clone() });
    }
    input.protocol.subnet_limit = SLOT_CAPACITY;
    Plan::new(input)
}

/// The plan with pools of unequal weights.
pub fn weighted(plan: &Plan) -> Plan {
    let mut input: PlanInput = plan.input.clone();
    input.start.subnets.iter_mut().for_each(|subnet| subnet.weight_tao = WEIGHT_TAO);
    Plan::new(input)
}

/// Live slots of a plan at its start.
pub fn live_slots(plan: &Plan) -> u64 {
    plan.input.start.subnets.len() as u64
}

/// Reads nothing of a step and keeps, of each batch, the largest gap in a TAO ledger at the end.
#[derive(Default)]
pub struct Nothing {
    imbalance: f64,
}

impl Recorder for Nothing {
    type Batch = f64;

    fn reads_rows(&self, _path: u32) -> bool {
        false
    }

    fn open(&mut self, _index: usize, _view: &StepView<'_>, _held: &mut SlotValues) {}

    fn step(&mut self, _index: usize, view: &StepView<'_>, _held: &mut SlotValues) {
        if view.step == view.plan.input.steps {
            self.imbalance = self.imbalance.max(view.path.tao_imbalance().abs());
        }
    }

    fn close(&mut self, _first_path: u64, _count: usize) -> f64 {
        std::mem::take(&mut self.imbalance)
    }
}

/// Runs `batches` batches on one thread as the program does, audits included, and returns the largest gap in a TAO ledger.
pub fn run_batches(plan: &Plan, backend: Backend, batches: u64) -> f64 {
    let paths = batches * BATCH_PATHS as u64;
    let options = RunOptions { first_path: 0, paths, batch_paths: BATCH_PATHS, threads: 1, backend };
    let mut imbalance = 0.0_f64;
    let consume = |batch: f64| {
        imbalance = imbalance.max(batch);
        ControlFlow::Continue(())
    };
    run::run(plan, &options, Nothing::default, consume, &AtomicBool::new(false)).expect("the embedded scenario runs");
    imbalance
}
