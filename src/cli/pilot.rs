//! The pilot of a run with importance sampling: finds the tilt, in two rounds, and writes it into the scenario.
//!
//! The first round, untilted, sees the nearer tail; the second, under the tilt found from that, the tail that is asked for. Pilot paths
//! have indices of their own, beyond those of any run, so that the tilt does not depend on the draws that it will weigh.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use anyhow::Context;

use crate::cli::run;
use crate::cli::run::Machine;
use crate::config::estimator::ImportanceSampling;
use crate::config::scenario::Scenario;
use crate::engine::plan::Plan;
use crate::engine::run as engine_run;
use crate::engine::run::RunOptions;
use crate::engine::tilt::SlotTilt;
use crate::engine::tilt::Tilt;
use crate::risk::importance::Degenerate;
use crate::risk::tilt_fit::PilotPath;
use crate::risk::tilt_fit::PilotRecorder;
use crate::risk::tilt_fit::TiltTarget;
use crate::risk::tilt_fit::fit_tilt;

/// First path of the pilot: no run has as many paths.
const FIRST_PATH: u64 = 15 << 28;
/// Part of the pilot's paths that the first round takes.
const FIRST_ROUND: f64 = 0.4;
/// How much larger a tail the first round looks at.
const FIRST_TAIL: f64 = 5.0;
/// Largest tail that it looks at.
const TAIL_MAX: f64 = 0.25;
/// Most subnets whose own draws are tilted: the largest holdings.
const SLOTS_MAX: usize = 24;
/// Decimals of the tilts that are written.
const DECIMALS: f64 = 1e3;

/// The scenario with its tilt: itself where it has one, or needs none.
///
/// # Errors
/// A pilot that fails or has too few paths for its tail; an interruption.
pub(super) fn complete(scenario: Scenario, machine: &Machine, stop: &AtomicBool) -> anyhow::Result<Scenario> {
    let Some(importance) = scenario.estimator.importance().filter(|importance| importance.tilt.is_none()).cloned()
    else {
        return Ok(scenario);
    };
    let tilt = Pilot { scenario: &scenario, importance: &importance, machine, stop }.run()?;
    Ok(scenario.with_tilt(&tilt)?)
}

struct Pilot<'a> {
    scenario: &'a Scenario,
    importance: &'a ImportanceSampling,
    machine: &'a Machine,
    stop: &'a AtomicBool,
}

impl Pilot<'_> {
    fn run(&self) -> anyhow::Result<Tilt> {
        let ImportanceSampling { target, pilot_paths, plain_every, .. } = *self.importance;
        let first = (FIRST_ROUND * pilot_paths as f64) as u64;
        let nearer = 1.0 - (FIRST_TAIL * (1.0 - target.level)).min(TAIL_MAX.max(1.0 - target.level));
        let untilted = Tilt { plain_every: 1, slots: self.slots(), ..Tilt::default() };
        let tilt = self.round(0..first, untilted, TiltTarget { level: nearer, ..target })?;
        self.round(first..pilot_paths, Tilt { plain_every, ..tilt }, target)
            .map(|tilt| Tilt { plain_every, ..rounded(&tilt) })
    }

    /// The tilt that serves `target`, from the paths of a round under another.
    fn round(&self, paths: std::ops::Range<u64>, tilt: Tilt, target: TiltTarget) -> anyhow::Result<Tilt> {
        let plan = run::plain_plan_of(self.scenario).with_tilt(tilt, self.scenario.horizon_steps);
        let seen = self.simulate(&plan, paths, target)?;
        let tilted = plan.tilt().expect("a plan with a tilt");
        let exponents = fit_tilt(&seen, tilted.sources(), &target).map_err(explain)?;
        Ok(tilted.tilt_of(&exponents))
    }

    fn simulate(&self, plan: &Plan, paths: std::ops::Range<u64>, target: TiltTarget) -> anyhow::Result<Vec<PilotPath>> {
        let horizon = self.scenario.horizon_steps;
        let recorder = || PilotRecorder::new(target, horizon, run::tracker_of(self.scenario, &[horizon]));
        let options: RunOptions = self.machine.options(FIRST_PATH + paths.start, paths.end - paths.start);
        let mut seen = Vec::new();
        let consume = |mut batch: Vec<PilotPath>| {
            seen.append(&mut batch);
            ControlFlow::Continue(())
        };
        engine_run::run(plan, &options, recorder, consume, self.stop).map_err(run::explain).context("the pilot")?;
        Ok(seen)
    }

    /// Slots of the largest holdings of the first book, by value at the start.
    fn slots(&self) -> Vec<SlotTilt> {
        let scenario = self.scenario;
        let mut held: Vec<(u16, f64)> = scenario.books[0]
            .positions
            .iter()
            .filter_map(|position| {
                let subnet = scenario.start.subnets.iter().find(|subnet| subnet.netuid == position.netuid)?;
                let price = subnet.reserve_tao / subnet.reserve_alpha;
                Some((position.netuid.slot() as u16, position.alpha * price))
            })
            .collect();
        held.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        held.dedup_by_key(|(slot, _)| *slot);
        held.truncate(SLOTS_MAX);
        held.into_iter().map(|(slot, _)| SlotTilt { slot, normal_sd: 0.0, jump: 0.0 }).collect()
    }
}

fn explain(refusal: Degenerate) -> anyhow::Error {
    anyhow::anyhow!("the pilot finds no tilt: {refusal} (estimator.pilot_paths, estimator.level)")
}

fn rounded(tilt: &Tilt) -> Tilt {
    let values: Vec<f64> = tilt.values().iter().map(|value| (value * DECIMALS).round() / DECIMALS).collect();
    tilt.with_values(&values)
}
