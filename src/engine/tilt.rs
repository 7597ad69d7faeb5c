//! Tilted runs: which draws come from another law, and the likelihood weight of a path that was drawn from it.
//!
//! The draws of the common factor, of TAO/USD, and of the own flows of chosen subnets while those live, normals and jumps alike, come
//! from exponentially tilted laws ([`crate::model::tilt`]); all else is as it was. A path keeps the sum of each kind of draw:
//!
//! ```text
//! ln(dP / dQ) = sum over kinds k of -p_k S_k + n_k C_k(p_k)      S: sum of draws    n: steps in which they were tilted
//! w = 1 / (1/m + (1 - 1/m) dQ / dP)                              one path in m is drawn from P
//! ```
//!
//! Whether a subnet still lives is known when its step is drawn, so that the weight is a martingale: that at an earlier horizon is the
//! running one. With one path in m from P, by path index, no weight is above m (Owen, Zhou 2000,
//! doi:10.1080/01621459.2000.10473909).
//!
//! # Not modelled
//! - Volatilities, registrations, revenue, sectors and clusters are not tilted.
//! - Tilts with market states or drawn parameters: whoever asks has to refuse them.

use crate::engine::changed::ChangedDraws;
use crate::engine::leading::PathLeading;
use crate::engine::path::Occupant;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::model::bridge::NormalLaw;
use crate::model::kernel::Draw;
use crate::model::kernel::FlowBuffers;
use crate::model::outside::OutsideStep;
use crate::model::outside::SharedDraws;
use crate::model::params::TaoUsdParams;
use crate::model::tilt;
use crate::model::tilt::NormalJumps;
use crate::model::tilt::OneSlotJumps;
use crate::model::tilt::Source;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Kinds of draws that all slots share: normals of the common factor and of TAO/USD, common jumps, jumps of TAO/USD.
pub const SHARED_SOURCES: usize = 4;
/// Kinds of draws of a slot: own normals, own jumps.
pub const SLOT_SOURCES: usize = 2;

/// Tilts of the own flow of one subnet of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotTilt {
    /// Its slot.
    pub slot: u16,
    /// Shift of the sum of its own normals up to the last horizon, in standard deviations.
    pub normal_sd: f64,
    /// Tilt of its own jumps, per unit of its scale.
    pub jump: f64,
}

/// By how much draws are tilted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tilt {
    /// Shift of the sum of the common factor's normals up to the last horizon, in standard deviations.
    pub common_factor_sd: f64,
    /// The same of TAO/USD's own normals.
    pub tao_usd_sd: f64,
    /// Tilt of the common jumps, per unit of scale.
    pub common_jump: f64,
    /// Tilt of the log jumps of TAO/USD.
    pub tao_usd_jump: f64,
    /// Of single subnets.
    pub slots: Vec<SlotTilt>,
    /// One path in so many is not tilted; 1: none is, and draws are told all the same. 0: all are.
    pub plain_every: u32,
}

impl Tilt {
    /// All tilts, in the order of sources: shared ones, then two of each slot.
    pub fn values(&self) -> Vec<f64> {
        let shared = [self.common_factor_sd, self.tao_usd_sd, self.common_jump, self.tao_usd_jump];
        shared.into_iter().chain(self.slots.iter().flat_map(|slot| [slot.normal_sd, slot.jump])).collect()
    }

    /// The same with other tilts.
    ///
    /// # Panics
    /// If there are fewer values than sources.
    #[must_use]
    pub fn with_values(&self, values: &[f64]) -> Self {
        let (shared, own) = values.split_at(SHARED_SOURCES);
        let slots = self.slots.iter().zip(own.as_chunks::<SLOT_SOURCES>().0);
        Self {
            common_factor_sd: shared[0],
            tao_usd_sd: shared[1],
            common_jump: shared[2],
            tao_usd_jump: shared[3],
            slots: slots.map(|(of, &[normal_sd, jump])| SlotTilt { normal_sd, jump, ..*of }).collect(),
            plain_every: self.plain_every,
        }
    }
}

/// Draws of one kind on a path so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DrawSum {
    /// Their sum.
    pub sum: f64,
    /// Steps that have brought some.
    pub steps: u32,
}

impl DrawSum {
    #[inline(always)]
    fn add(&mut self, draw: f64) {
        self.sum += draw;
        self.steps += 1;
    }
}

/// What a path keeps of changed draws; of those that may be tilted in the order of sources, nothing without a tilt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PathDraws {
    /// Whether the path is tilted.
    is_tilted: bool,
    sums: Vec<DrawSum>,
    pub(crate) leading: PathLeading,
}

impl PathDraws {
    /// The sums, in the order of sources.
    pub fn sums(&self) -> &[DrawSum] {
        &self.sums
    }
}

/// A tilt over one step length.
#[derive(Clone, Debug)]
pub struct TiltPlan {
    tilt: Tilt,
    /// Draws are tilted in so many steps.
    steps: u32,
    /// What is drawn in a step, by source, and how it is tilted.
    sources: Vec<Source>,
    exponents: Vec<f64>,
    /// Tilts per exponent.
    units: Vec<f64>,
    cumulants: Vec<f64>,
    outside: OutsideStep,
    slots: Vec<TiltedSlot>,
}

#[derive(Clone, Debug)]
struct TiltedSlot {
    slot: usize,
    shift: f32,
    /// Where they are tilted.
    jumps: Option<OneSlotJumps>,
}

impl TiltPlan {
    /// The tilt of the first `steps` steps of paths whose shared processes are `outside`.
    ///
    /// # Panics
    /// If a tilt of jumps is beyond what there is a law for ([`Source::range`]).
    pub(crate) fn new(input: &PlanInput, outside: &OutsideStep, tilt: Tilt, steps: u32) -> Self {
        let days = input.blocks_per_step as f64 / BLOCKS_PER_DAY as f64;
        let sources = sources(input, tilt.slots.len(), days);
        let units = units(tilt.slots.len(), steps, input.draw_refinement);
        let exponents = exponents(&tilt, &units);
        for (source, &p) in sources.iter().zip(&exponents) {
            let [low, high] = source.range();
            assert!(low <= p && p <= high, "a tilt of {p} (must be from {low} to {high}) of {source:?}");
        }
        let flow = &input.model.flow;
        let common = tilt::tilted_jumps(&flow.common_jump, tilt.common_jump);
        let tao_usd = tilt::tilted_normal_jumps(&tao_usd_jumps(&input.model.tao_usd), tilt.tao_usd_jump);
        let slot = |(of, exponents): (&SlotTilt, &[f64; SLOT_SOURCES])| TiltedSlot {
            slot: usize::from(of.slot),
            shift: exponents[0] as f32,
            jumps: (of.jump != 0.0).then(|| OneSlotJumps::new(tilt::tilted_jumps(&flow.jumps, of.jump), days)),
        };
        Self {
            slots: tilt.slots.iter().zip(exponents[SHARED_SOURCES..].as_chunks().0).map(slot).collect(),
            outside: outside.clone().with_drawn_jumps(common, &tao_usd, days),
            cumulants: sources.iter().zip(&exponents).map(|(source, &p)| source.cumulant(p)[0]).collect(),
            exponents,
            units,
            sources,
            steps,
            tilt,
        }
    }

    /// What was asked for.
    pub fn tilt(&self) -> &Tilt {
        &self.tilt
    }

    /// What a step draws of each kind.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The tilt whose sums of draws have these exponents.
    pub fn tilt_of(&self, exponents: &[f64]) -> Tilt {
        let values: Vec<f64> = exponents.iter().zip(&self.units).map(|(p, unit)| p * unit).collect();
        self.tilt.with_values(&values)
    }

    /// Log of the density of the path under the law of the scenario over that under the tilted law.
    pub fn log_ratio(&self, draws: &PathDraws) -> f64 {
        let terms = draws.sums.iter().zip(self.exponents.iter().zip(&self.cumulants));
        terms.fold(0.0, |sum, (draw, (p, cumulant))| sum + (f64::from(draw.steps) * cumulant - p * draw.sum))
    }

    /// Likelihood weight of the path.
    pub fn weight(&self, draws: &PathDraws) -> f64 {
        let plain = match self.tilt.plain_every {
            0 => 0.0,
            every => 1.0 / f64::from(every),
        };
        1.0 / (plain + (1.0 - plain) * math::exp(-self.log_ratio(draws)))
    }

    pub(crate) fn reset(&self, path: u32, draws: &mut PathDraws) {
        let every = self.tilt.plain_every;
        draws.is_tilted = every == 0 || !path.is_multiple_of(every);
        draws.sums.clear();
        draws.sums.resize(self.sources.len(), DrawSum::default());
    }

    /// The law of the shared processes of a path in a step, and the laws of its normals; `plain`: the law where it is not tilted.
    #[inline]
    pub(crate) fn shared_law<'a>(
        &'a self,
        plain: &'a OutsideStep,
        step: u32,
        draws: &PathDraws,
    ) -> (&'a OutsideStep, Option<[NormalLaw; 2]>) {
        if draws.is_tilted && step < self.steps {
            (&self.outside, Some([self.exponents[0], self.exponents[1]].map(NormalLaw::shifted)))
        } else {
            (plain, None)
        }
    }

    /// Takes note of what was drawn for a step.
    #[inline]
    pub(crate) fn note_shared(&self, step: u32, shared: &SharedDraws<f64>, draws: &mut PathDraws) {
        if step < self.steps {
            let drawn = [shared.common, shared.tao_usd, shared.common_jump, shared.tao_usd_jump];
            draws.sums.iter_mut().zip(drawn).for_each(|(sum, draw)| sum.add(draw));
        }
    }

    /// Tilts the own draws of slots in a step, and takes note of them.
    #[inline(never)]
    pub(crate) fn tilt_slots(
        &self,
        draw: Draw,
        occupants: &[Option<Occupant>],
        draws: &mut PathDraws,
        flow: &mut FlowBuffers,
    ) {
        if draw.step >= self.steps {
            return;
        }
        let sums = draws.sums[SHARED_SOURCES..].as_chunks_mut().0.iter_mut();
        for (of, [normals, jumps]) in self.slots.iter().zip(sums) {
            if !occupants[of.slot].is_some_and(|occupant| occupant.incumbent) {
                continue;
            }
            let normal = flow.own_normal(of.slot);
            if draws.is_tilted {
                *normal += of.shift;
            }
            normals.add(f64::from(*normal));
            let jump = flow.own_jump(of.slot);
            if let Some(law) = of.jumps.as_ref().filter(|_| draws.is_tilted) {
                *jump = law.draw(draw.seed, draw.path, draw.step, of.slot as u32) as f32;
            }
            jumps.add(f64::from(*jump));
        }
    }
}

fn tao_usd_jumps(params: &TaoUsdParams) -> NormalJumps {
    NormalJumps { rate_per_day: params.jump_rate_per_day, mean: params.jump_mean, sd: params.jump_sd }
}

/// What a step of `days` days draws of each kind.
fn sources(input: &PlanInput, slots: usize, days: f64) -> Vec<Source> {
    let flow = &input.model.flow;
    let normals = Source::Normals(f64::from(input.draw_refinement));
    let tao_usd = Source::NormalJumps(tao_usd_jumps(&input.model.tao_usd), days);
    let shared = [normals, normals, Source::Jumps(flow.common_jump, days), tao_usd];
    let own = [Source::Normals(1.0), Source::Jumps(flow.jumps, days)];
    shared.into_iter().chain((0..slots).flat_map(|_| own)).collect()
}

/// Tilts per exponent: a shift of a sum of n normals by so many standard deviations is one of each by `1 / sqrt(n)` of that.
fn units(slots: usize, steps: u32, draw_refinement: u32) -> Vec<f64> {
    let root = |draws: u32| f64::from(draws).sqrt();
    let shared = [root(steps * draw_refinement), root(steps * draw_refinement), 1.0, 1.0];
    shared.into_iter().chain((0..slots).flat_map(|_| [root(steps), 1.0])).collect()
}

/// Exponents of the sums of draws. Shifts of own normals are as single precision has them.
fn exponents(tilt: &Tilt, units: &[f64]) -> Vec<f64> {
    let mut exponents: Vec<f64> = tilt.values().iter().zip(units).map(|(value, unit)| value / unit).collect();
    for shift in exponents[SHARED_SOURCES..].iter_mut().step_by(SLOT_SOURCES) {
        *shift = f64::from(*shift as f32);
    }
    exponents
}

impl Plan {
    /// The same paths with draws tilted up to step `steps`; they weigh what [`Plan::weight`] tells.
    ///
    /// # Panics
    /// If the market has states, parameters are drawn, or a tilt of jumps is beyond what there is a law for.
    #[must_use]
    pub fn with_tilt(mut self, tilt: Tilt, steps: u32) -> Self {
        assert!(self.market.is_none() && self.input.replicates.is_none(), "tilts with market states or replicates");
        let tilt = Box::new(TiltPlan::new(&self.input, &self.outside, tilt, steps));
        self.changed = Some(ChangedDraws::Tilted(tilt));
        self
    }

    /// The tilt, where there is one.
    pub fn tilt(&self) -> Option<&TiltPlan> {
        match &self.changed {
            Some(ChangedDraws::Tilted(tilt)) => Some(tilt),
            _ => None,
        }
    }

    /// Likelihood weight of a path so far; 1 without a tilt.
    pub fn weight(&self, path: &PathState) -> f64 {
        self.tilt().map_or(1.0, |tilt| tilt.weight(&path.draws))
    }
}
