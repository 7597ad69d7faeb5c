//! What a backtest keeps of paths: the value of a unit of alpha and the pool of every subnet of the start, at horizons.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use crate::engine::path::LifecycleEvent;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::record::EventKind;
use crate::engine::recorder::Recorder;
use crate::engine::recorder::StepView;
use crate::engine::run;
use crate::engine::run::RunError;
use crate::engine::run::RunOptions;
use crate::protocol::slots::SlotValues;
use crate::protocol::state::SubnetState;

/// One subnet at one horizon of one path, against the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    /// Value of a unit of alpha: spot price, or the payout at deregistration, over the spot price at the start.
    pub value: f64,
    /// TAO in the pool over that at the start; NaN where it was deregistered.
    pub reserve: f64,
}

impl Fate {
    /// Whether it was deregistered.
    pub fn is_dead(&self) -> bool {
        self.reserve.is_nan()
    }
}

/// Fates on many paths: by path, then horizon, then subnet in the order of the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Fates {
    subnets: usize,
    horizons: usize,
    values: Vec<Fate>,
}

impl Fates {
    /// None yet, of so many subnets and horizons.
    pub fn new(subnets: usize, horizons: usize) -> Self {
        Self { subnets, horizons, values: Vec::new() }
    }

    /// Number of paths.
    pub fn paths(&self) -> usize {
        self.values.len() / (self.subnets * self.horizons).max(1)
    }

    /// Fates of all subnets on a path at a horizon.
    pub fn at(&self, path: usize, horizon: usize) -> &[Fate] {
        let first = (path * self.horizons + horizon) * self.subnets;
        &self.values[first..first + self.subnets]
    }

    /// Fate of one subnet on every path at a horizon.
    pub fn of(&self, subnet: usize, horizon: usize) -> impl Iterator<Item = Fate> {
        (0..self.paths()).map(move |path| self.at(path, horizon)[subnet])
    }

    /// Simulates `options.paths` more paths of `plan` to the last of `horizon_steps`, which ascend.
    ///
    /// # Errors
    /// As [`run::run`].
    pub fn simulate(
        &mut self,
        plan: &Plan,
        horizon_steps: &[u32],
        options: &RunOptions,
        stop: &AtomicBool,
    ) -> Result<(), RunError> {
        let consume = |batch: Vec<Fate>| {
            self.values.extend(batch);
            ControlFlow::Continue(())
        };
        run::run(plan, options, || FateRecorder::new(plan, horizon_steps), consume, stop).map(|_| ())
    }
}

/// A subnet of the start.
#[derive(Clone, Copy, Debug)]
struct Origin {
    slot: usize,
    price: f64,
    reserve_tao: f64,
}

/// Records fates.
struct FateRecorder {
    origins: Vec<Origin>,
    horizon_steps: Vec<u32>,
    /// Payout per alpha of those deregistered, by path, then subnet; NaN while alive.
    payouts: Vec<f64>,
    fates: Vec<Fate>,
}

const UNKNOWN: Fate = Fate { value: f64::NAN, reserve: f64::NAN };

impl FateRecorder {
    fn new(plan: &Plan, horizon_steps: &[u32]) -> Self {
        let origin = |subnet: &SubnetState| Origin {
            slot: subnet.netuid.slot(),
            price: f64::NAN,
            reserve_tao: subnet.reserve_tao,
        };
        Self {
            origins: plan.input.start.subnets.iter().map(origin).collect(),
            horizon_steps: horizon_steps.to_vec(),
            payouts: Vec::new(),
            fates: Vec::new(),
        }
    }

    fn settle(&mut self, index: usize, event: &LifecycleEvent) {
        if event.kind != EventKind::Deregistered || !event.incumbent {
            return;
        }
        let place = self.origins.iter().position(|origin| origin.slot == event.slot);
        if let Some(place) = place {
            self.payouts[index * self.origins.len() + place] = event.paid_tao;
        }
    }

    fn fate(&self, index: usize, place: usize, view: &StepView<'_>) -> Fate {
        let origin = &self.origins[place];
        let payout = self.payouts[index * self.origins.len() + place];
        if !payout.is_nan() {
            return Fate { value: payout / origin.price, reserve: f64::NAN };
        }
        let (chunk, lane) = locate(origin.slot);
        let reserve = view.path.chain[chunk].reserve_tao[lane] / origin.reserve_tao;
        Fate { value: view.path.price(origin.slot) / origin.price, reserve }
    }
}

impl Recorder for FateRecorder {
    type Batch = Vec<Fate>;

    fn reads_rows(&self, _path: u32) -> bool {
        false
    }

    fn open(&mut self, index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        *held = SlotValues::splat(0.0);
        let count = self.origins.len();
        for origin in &mut self.origins {
            origin.price = view.path.price(origin.slot);
        }
        self.payouts.resize(self.payouts.len().max((index + 1) * count), f64::NAN);
        self.payouts[index * count..(index + 1) * count].fill(f64::NAN);
        self.fates.resize(self.fates.len().max((index + 1) * count * self.horizon_steps.len()), UNKNOWN);
    }

    fn step(&mut self, index: usize, view: &StepView<'_>, _held: &mut SlotValues) {
        view.events.iter().for_each(|event| self.settle(index, event));
        let Some(horizon) = self.horizon_steps.iter().position(|&step| step == view.step) else { return };
        let first = (index * self.horizon_steps.len() + horizon) * self.origins.len();
        for place in 0..self.origins.len() {
            self.fates[first + place] = self.fate(index, place, view);
        }
    }

    fn close(&mut self, _first_path: u64, count: usize) -> Vec<Fate> {
        self.fates[..count * self.horizon_steps.len() * self.origins.len()].to_vec()
    }
}
