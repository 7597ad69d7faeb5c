//! The probability of a rare deregistration by splitting on how near the subnet comes to it.
//!
//! A pilot finds levels of nearness ([`Watch`]), each reached from the one before by [`PASS`] of its particles, the last level being
//! the deregistration itself. Replications with draws of their own then run over these fixed levels, so that the estimate is unbiased
//! whatever the pilot found: levels decide the error alone. What it gains stands in [`crate::risk::splitting_measured`].
//!
//! Where the deregistration is too rare for [`LEVELS_MAX`] levels, the last of them stands for it: whoever is deregistered has
//! come so near, and the estimate is an upper bound.
//!
//! # Not modelled
//! - Parameters drawn by replicates: particles of one path would share them. The caller refuses.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::engine::parallel;
use crate::engine::path::PathFault;
use crate::engine::plan::Plan;
use crate::engine::run::RunError;
use crate::engine::splitting::Walk;
use crate::engine::splitting::Walker;
use crate::engine::splitting::Watch;
use crate::engine::splitting::Waypoint;
use crate::risk::estimate::Estimate;
use crate::risk::moments::Moments;
use crate::risk::splitting;
use crate::risk::splitting::Particle;
use crate::risk::splitting::Process;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::Backend;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;

/// Part of the pilot's particles that passes a level.
pub const PASS: f64 = 0.2;
/// Most levels: 1e-14 of all paths pass so many.
pub const LEVELS_MAX: u32 = 20;
/// Particles of a replication at which addresses still suffice with the most replications.
pub const PARTICLES_MAX: u32 = 100_000;
/// Most replications.
pub const REPLICATIONS_MAX: u32 = 1_000;
/// Paths from which the pace of registrations is taken.
const PACE_PATHS: u32 = 64;
/// Particles of the pilot that a thread runs at a time.
const PILOT_BLOCK: u32 = 16;

/// Why splitting ended early.
#[derive(Debug, thiserror::Error)]
pub enum RareError {
    /// A value became NaN or negative.
    #[error(
        "step {step}, {netuid}: a pool, stake or moving price became NaN or negative on a particle; the scenario's parameters are \
         the place to look"
    )]
    Unsound {
        /// Step, counted from 1.
        step: u32,
        /// Where it showed first.
        netuid: NetUid,
    },
    /// It was stopped, or threads could not be started.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<PathFault> for RareError {
    fn from(fault: PathFault) -> Self {
        Self::Unsound { step: fault.step, netuid: fault.netuid }
    }
}

/// Particles, replications, and how they are spread over the machine. Only the first two bear on results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Particles of each level, 1 to [`PARTICLES_MAX`].
    pub particles: u32,
    /// Replications, [`splitting::REPLICATIONS_MIN`] to [`REPLICATIONS_MAX`].
    pub replications: u32,
    /// Threads.
    pub threads: usize,
    /// Instruction set.
    pub backend: Backend,
}

/// Levels of nearness, fixed before what is estimated over them.
#[derive(Clone, Debug)]
pub struct Levels {
    /// What is waited for.
    pub watch: Watch,
    /// From the farthest; infinite: the deregistration.
    pub nearness: Vec<f64>,
    /// Path-steps that it took to find them.
    pub steps: u64,
}

/// A level and the part of particles that reached it from the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelShare {
    /// Infinite: the deregistration.
    pub nearness: f64,
    /// Over replications that came to the level before.
    pub share: Estimate,
}

/// The probability of a rare deregistration.
#[derive(Clone, Debug, PartialEq)]
pub struct RareEvent {
    /// By the horizon.
    pub probability: Estimate,
    /// Whether that is the probability to reach the last level, not the deregistration behind it.
    pub is_bound: bool,
    /// Levels that some replication came to.
    pub levels: Vec<LevelShare>,
    /// Path-steps of the pilot and of all replications.
    pub steps: u64,
    /// Path-steps of plain paths with the same error: `p (1 - p) / se^2` paths to the horizon; infinite where nothing was reached.
    pub plain_steps: f64,
}

impl RareEvent {
    /// How many times less work than plain paths.
    pub fn gain(&self) -> f64 {
        self.plain_steps / self.steps as f64
    }
}

/// Splitting for one subnet of the snapshot.
pub struct Splitting<'a> {
    plan: &'a Plan,
    slot: usize,
    effort: Effort,
    stop: &'a AtomicBool,
}

impl<'a> Splitting<'a> {
    /// For the subnet in `slot`; `stop` ends it.
    pub fn new(plan: &'a Plan, slot: usize, effort: Effort, stop: &'a AtomicBool) -> Self {
        Self { plan, slot, effort, stop }
    }

    /// No level but the deregistration: plain paths.
    pub fn plain(&self) -> Levels {
        Levels { watch: Watch::new(self.plan, self.slot, 0.0), nearness: vec![f64::INFINITY], steps: 0 }
    }

    /// Finds levels on particles of its own: runs all to the horizon, takes as next level what [`PASS`] of them reached, and runs them
    /// again up to there.
    ///
    /// # Errors
    /// [`RareError`].
    pub fn find_levels(&self) -> Result<Levels, RareError> {
        let mut steps = 0;
        let watch = Watch::new(self.plan, self.slot, self.registrations_per_day(&mut steps)?);
        let mut nearness: Vec<f64> = Vec::new();
        let mut starts = Vec::new();
        loop {
            let pass = Pass { watch: &watch, starts: &starts, level: nearness.len() as u32 };
            let mut nearest: Vec<f64> = Vec::with_capacity(self.effort.particles as usize);
            steps += self.pilot(&pass, self.effort.particles, f64::INFINITY, |walk| nearest.push(walk.nearest))?.steps;
            let next = next_level(&mut nearest);
            if next == f64::INFINITY || pass.level + 1 == LEVELS_MAX {
                nearness.push(next);
                return Ok(Levels { watch, nearness, steps });
            }
            let mut reached = Vec::new();
            steps += self.pilot(&pass, self.effort.particles, next, |walk| reached.extend(walk.reached))?.steps;
            nearness.push(next);
            starts = reached;
        }
    }

    fn registrations_per_day(&self, steps: &mut u64) -> Result<f64, RareError> {
        let plain = self.plain();
        let pass = Pass { watch: &plain.watch, starts: &[], level: 0 };
        let work = self.pilot(&pass, PACE_PATHS.min(self.effort.particles), f64::INFINITY, |_| {})?;
        *steps += work.steps;
        let days = work.steps as f64 * self.plan.input.blocks_per_step as f64 / BLOCKS_PER_DAY as f64;
        Ok(work.registrations as f64 / days)
    }

    /// Runs particles of the pilot up to a nearness, and hands over how each fared, in order.
    fn pilot(
        &self,
        pass: &Pass<'_>,
        particles: u32,
        nearness: f64,
        mut consume: impl FnMut(Walk),
    ) -> Result<Work, RareError> {
        let Effort { threads, backend, replications, .. } = self.effort;
        let block = |walker: &mut Walker, block: usize| -> Result<Vec<Walk>, RareError> {
            let first = block as u32 * PILOT_BLOCK;
            let run = |index| {
                let particle = Particle { replication: replications, level: pass.level, index };
                let start = (!pass.starts.is_empty()).then(|| &pass.starts[self.parent(particle, pass.starts.len())]);
                self.check()?;
                Ok(walker.walk(self.plan, pass.watch, start, self.word(particle), nearness)?)
            };
            (first..(first + PILOT_BLOCK).min(particles)).map(run).collect()
        };
        let mut outcome = Ok(());
        let take = |walks: Result<Vec<Walk>, RareError>| match walks {
            Ok(walks) => {
                walks.into_iter().for_each(&mut consume);
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        };
        let make_walker = || Walker::new(self.plan, backend);
        let blocks = particles.div_ceil(PILOT_BLOCK) as usize;
        let walkers = parallel::ordered(threads, blocks, make_walker, block, take).map_err(RunError::from)?;
        outcome.map(|()| Work::of(&walkers))
    }

    /// Estimates over fixed levels; `count` hears of every replication that is done.
    ///
    /// # Errors
    /// [`RareError`].
    pub fn estimate(&self, levels: &Levels, mut count: impl FnMut()) -> Result<RareEvent, RareError> {
        let Effort { threads, backend, replications, .. } = self.effort;
        let mut shares: Vec<Vec<f64>> = Vec::with_capacity(replications as usize);
        let mut outcome = Ok(());
        let replicate = |walker: &mut Walker, replication: usize| {
            let mut process = Replication { splitting: self, levels, walker, fault: None };
            let number = levels.nearness.len() as u32;
            let shares = splitting::level_shares(&mut process, replication as u32, number, self.effort.particles);
            process.fault.map_or(Ok(shares), Err)
        };
        let take = |done: Result<Vec<f64>, RareError>| match done {
            Ok(done) => {
                shares.push(done);
                count();
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        };
        let make_walker = || Walker::new(self.plan, backend);
        let walkers = parallel::ordered(threads, replications as usize, make_walker, replicate, take);
        let walkers = walkers.map_err(RunError::from)?;
        outcome.map(|()| self.summary(levels, &shares, levels.steps + Work::of(&walkers).steps))
    }

    fn summary(&self, levels: &Levels, shares: &[Vec<f64>], steps: u64) -> RareEvent {
        // A replication that lost all its particles ends with a share of 0.
        let products: Vec<f64> = shares.iter().map(|shares| shares.iter().product()).collect();
        let probability = splitting::probability(&products).expect("as many replications as it takes");
        let share_at = |(level, &nearness): (usize, &f64)| {
            let mut moments = Moments::default();
            shares.iter().filter_map(|shares| shares.get(level)).for_each(|share| moments.push(*share));
            moments.mean().map(|share| LevelShare { nearness, share })
        };
        let variance = probability.standard_error * probability.standard_error;
        let plain_paths = probability.value * (1.0 - probability.value) / variance;
        let is_reached = probability.value > 0.0;
        RareEvent {
            is_bound: levels.nearness.last().is_some_and(|nearness| nearness.is_finite()),
            levels: levels.nearness.iter().enumerate().filter_map(share_at).collect(),
            steps,
            plain_steps: if is_reached { plain_paths * f64::from(self.plan.input.steps) } else { f64::INFINITY },
            probability,
        }
    }

    fn check(&self) -> Result<(), RareError> {
        if self.stop.load(Ordering::Relaxed) { Err(RunError::Interrupted.into()) } else { Ok(()) }
    }

    /// The path word of a particle: at the first level those of plain paths from 0 on, the pilot's after those of replications.
    fn word(&self, particle: Particle) -> u32 {
        let Effort { particles, replications, .. } = self.effort;
        (particle.level * (replications + 1) + particle.replication) * particles + particle.index
    }

    /// Systematic draw: particles in order go on from states in order, each state from as many as any other, one more or less.
    fn parent(&self, particle: Particle, states: usize) -> usize {
        let Particle { replication, level, index } = particle;
        let address = Address { path: replication, step: level, slot: 0, purpose: Purpose::Splitting, index: 0 };
        let shift = rng::open_unit(rng::words(self.plan.input.seed, address)[0]);
        let place = (f64::from(index) + shift) / f64::from(self.effort.particles);
        ((place * states as f64) as usize).min(states - 1)
    }
}

/// Particles of the pilot that set out from one level.
struct Pass<'a> {
    watch: &'a Watch,
    /// None: the start of paths.
    starts: &'a [Waypoint],
    level: u32,
}

/// What walkers have run.
struct Work {
    steps: u64,
    registrations: u64,
}

impl Work {
    fn of(walkers: &[Walker]) -> Self {
        let sum = |of: fn(&Walker) -> u64| walkers.iter().map(of).sum();
        Self { steps: sum(|walker| walker.steps), registrations: sum(|walker| walker.registrations) }
    }
}

/// What [`PASS`] of the particles reached; where all did, who start at the level before, the next above; the deregistration where
/// there is none.
fn next_level(nearest: &mut [f64]) -> f64 {
    let passing = (PASS * nearest.len() as f64) as usize;
    let index = passing.saturating_sub(1);
    let (_, &mut level, _) = nearest.select_nth_unstable_by(index, |a, b| b.total_cmp(a));
    let above = |floor: f64| nearest.iter().copied().filter(|nearest| *nearest > floor).fold(f64::INFINITY, f64::min);
    let lowest = nearest.iter().copied().fold(f64::INFINITY, f64::min);
    if level > lowest { level } else { above(lowest) }
}

/// One replication on one thread.
struct Replication<'a> {
    splitting: &'a Splitting<'a>,
    levels: &'a Levels,
    walker: &'a mut Walker,
    fault: Option<RareError>,
}

impl Process for Replication<'_> {
    /// `None`: the start of paths.
    type State = Option<Waypoint>;

    fn start(&self) -> Self::State {
        None
    }

    fn advance(&mut self, particle: Particle, state: &Self::State) -> Option<Self::State> {
        let (splitting, levels) = (self.splitting, self.levels);
        if self.fault.is_none() {
            self.fault = splitting.check().err();
        }
        if self.fault.is_some() {
            return None;
        }
        let nearness = levels.nearness[particle.level as usize];
        let word = splitting.word(particle);
        match self.walker.walk(splitting.plan, &levels.watch, state.as_ref(), word, nearness) {
            Ok(walk) => walk.reached.map(Some),
            Err(fault) => {
                self.fault = Some(fault.into());
                None
            }
        }
    }

    fn parent(&self, particle: Particle, states: usize) -> usize {
        self.splitting.parent(particle, states)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_what_a_fifth_reached() {
        let mut nearest: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 100)).collect();
        assert_eq!(next_level(&mut nearest), 80.0);
        nearest.iter_mut().filter(|nearest| **nearest >= 80.0).for_each(|nearest| *nearest = f64::INFINITY);
        assert_eq!(next_level(&mut nearest), f64::INFINITY);
        // Steps that few take are not jumped over; where nobody comes nearer, the deregistration is next.
        let mut few = [3.0; 20];
        assert_eq!(next_level(&mut few), f64::INFINITY);
        (few[4], few[7]) = (5.0, 4.0);
        assert_eq!(next_level(&mut few), 4.0);
    }
}
