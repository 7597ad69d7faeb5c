//! Particles of splitting: paths that go on, by chance of their own, from where another came near to a deregistration.
//!
//! A particle takes over the state that another path had after some step and draws all later steps under a path word of its own. No
//! other particle has these addresses, so that its fate depends neither on the order of work nor on threads. What the path before
//! drew for later stays: when rules switch and shocks come, when subnets of the snapshot start. The registration clock is drawn
//! anew: what is left of an Exp(1) that has not run out is again Exp(1), and siblings share less.
//!
//! # Not modelled
//! - Books: nobody trades inside a particle, and no holding is kept out of organic sales.

use crate::engine::advance::Workspace;
use crate::engine::path::PathFault;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::record::EventKind;
use crate::engine::run::AgeRows;
use crate::engine::step;
use crate::model::params::VolatilityPart;
use crate::model::registration::RegistrationClock;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::SlotValues;
use crate::simd::Backend;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Moving prices below this (TAO per alpha) are all as near to 0: slots that never started have 0.
const MOVING_PRICE_MIN: f64 = 1e-9;

/// The deregistration of a subnet of the snapshot, and how near a path is to it.
#[derive(Clone, Debug)]
pub struct Watch {
    slot: usize,
    /// Of those left, none first.
    by_steps_left: Vec<Outlook>,
}

/// What the time that is left tells of the way that is still to go.
#[derive(Clone, Copy, Debug)]
struct Outlook {
    /// Registrations to be expected.
    registrations: f64,
    root_days: f64,
    /// Mean of what will be left of each part of log-volatility.
    volatility_left: [f64; 2],
}

impl Watch {
    /// Of the subnet in `slot`, where `registrations_per_day` are to be expected.
    pub fn new(plan: &Plan, slot: usize, registrations_per_day: f64) -> Self {
        let step_days = plan.input.blocks_per_step as f64 / BLOCKS_PER_DAY as f64;
        let outlook = |steps_left: u32| {
            let days = f64::from(steps_left) * step_days;
            Outlook {
                registrations: registrations_per_day * days,
                root_days: days.sqrt(),
                volatility_left: [0, 1].map(|part| mean_left(&plan.input.model.flow.volatility[part], days)),
            }
        };
        Self { slot, by_steps_left: (0..=plan.input.steps).map(outlook).collect() }
    }

    /// How near a path is after a step, with `steps_left > 0` to go: minus its distance in standard deviations of what is left to chance.
    ///
    /// ```text
    /// -ln(m / m_k) / (v sqrt(T))      k = registrations expected in T,   v = exp(mean log-volatility over T)
    /// ```
    ///
    /// `m`: moving price of the subnet; `m_k`: that of all others out of grace at the horizon which has k of them below it, about the
    /// line under which a subnet is deregistered in time; `T`: days left. The volatility is the subnet's own, its expected way
    /// back included: a path that will soon move much is nearer than one with the same price that will not. It bears on the
    /// error alone, not on what is estimated.
    fn nearness(&self, plan: &Plan, path: &PathState, steps_left: u32, rivals: &mut Vec<f64>) -> f64 {
        let outlook = &self.by_steps_left[steps_left as usize];
        let (chunk, lane) = locate(self.slot);
        let moving_price = path.chain[chunk].moving_price[lane].max(MOVING_PRICE_MIN);
        self.list_rivals(plan, path, rivals);
        let line = line_of(rivals, outlook.registrations).unwrap_or(moving_price).max(MOVING_PRICE_MIN);
        let [fast, slow] = path.behaviour[chunk].log_volatility.map(|part| part[lane]);
        let [fast_left, slow_left] = outlook.volatility_left;
        let distance = math::ln(moving_price / line);
        -distance / (math::exp(fast_left * fast + slow_left * slow) * outlook.root_days)
    }

    /// Moving prices of all other subnets that are out of grace at the horizon.
    fn list_rivals(&self, plan: &Plan, path: &PathState, rivals: &mut Vec<f64>) {
        let horizon = plan.opening_block(plan.input.steps);
        let last = horizon as f64 - path.protocol.immunity_period_blocks as f64;
        let own = locate(self.slot);
        rivals.clear();
        for (number, (chain, behaviour)) in path.chain.iter().zip(&path.behaviour).enumerate() {
            for lane in 0..CHUNK_SLOTS {
                if behaviour.registered_at[lane] <= last && (number, lane) != own {
                    rivals.push(chain.moving_price[lane]);
                }
            }
        }
    }
}

/// The price with `below` prices below it, between two of them linear, at most the highest; `None`: there is none.
fn line_of(prices: &mut [f64], below: f64) -> Option<f64> {
    let index = (below as usize).min(prices.len().checked_sub(1)?);
    let (_, &mut price, higher) = prices.select_nth_unstable_by(index, f64::total_cmp);
    let next = higher.iter().copied().reduce(f64::min).unwrap_or(price);
    Some(price + (next - price) * (below - index as f64).min(1.0))
}

/// Mean over the next `days` of what is left of a part of log-volatility: `(1 - 2^-x) / (x ln 2)`, `x` the days in half-lives.
fn mean_left(part: &VolatilityPart, days: f64) -> f64 {
    let decay = days / part.half_life_days * std::f64::consts::LN_2;
    if decay > 0.0 { -math::exp_m1(-decay) / decay } else { 1.0 }
}

/// State of a path after a step.
#[derive(Clone, Debug)]
pub struct Waypoint {
    path: PathState,
    /// Steps since the start.
    step: u32,
    /// How near to the deregistration; infinite at it.
    nearness: f64,
}

/// How far a particle came.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Its state at the first step at which it was as near as asked for.
    pub reached: Option<Waypoint>,
    /// The nearest that it came; infinite where the subnet was deregistered.
    pub nearest: f64,
}

/// Runs particles, one after the other.
pub struct Walker {
    backend: Backend,
    path: PathState,
    held: SlotValues,
    work: Workspace,
    ages: AgeRows,
    rivals: Vec<f64>,
    /// Steps run.
    pub steps: u64,
    /// Registrations in them.
    pub registrations: u64,
}

impl Walker {
    /// One that has run nothing.
    pub fn new(plan: &Plan, backend: Backend) -> Self {
        let mut work = Workspace::default();
        work.keeps_rows = false;
        Self {
            backend,
            path: PathState::new(plan),
            held: SlotValues::splat(0.0),
            work,
            ages: AgeRows::default(),
            rivals: Vec::with_capacity(plan.occupants.len()),
            steps: 0,
            registrations: 0,
        }
    }

    /// Runs a particle with the path word `word` from `start`, or from the start of paths, until it is as near as `level`, the
    /// horizon at most. With an infinite level it runs until the subnet is deregistered.
    ///
    /// # Errors
    /// A value of the path became NaN or negative.
    pub fn walk(
        &mut self,
        plan: &Plan,
        watch: &Watch,
        start: Option<&Waypoint>,
        word: u32,
        level: f64,
    ) -> Result<Walk, PathFault> {
        let (mut step, mut nearness) = self.set_out(plan, start, word);
        let mut nearest = nearness;
        while !(nearness >= level) && step < plan.input.steps {
            self.advance(plan, step)?;
            step += 1;
            nearness = self.nearness(plan, watch, step);
            nearest = nearest.max(nearness);
        }
        let reached = (nearness >= level).then(|| Waypoint { path: self.path.clone(), step, nearness });
        Ok(Walk { reached, nearest })
    }

    fn set_out(&mut self, plan: &Plan, start: Option<&Waypoint>, word: u32) -> (u32, f64) {
        let Some(waypoint) = start else {
            step::reset(self.backend, plan, &mut self.path, word);
            return (0, f64::NEG_INFINITY);
        };
        self.path = waypoint.path.clone();
        self.path.path = word;
        self.path.clock = RegistrationClock::start(plan.input.seed, word, self.path.clock.ordinal);
        (waypoint.step, waypoint.nearness)
    }

    fn advance(&mut self, plan: &Plan, step: u32) -> Result<(), PathFault> {
        let row = self.ages.at(self.backend, plan, step);
        step::advance(self.backend, plan, step, row, &mut self.path, &self.held, &mut self.work)?;
        self.steps += 1;
        let registered = self.work.events.iter().filter(|event| event.kind == EventKind::Registered);
        self.registrations += registered.count() as u64;
        Ok(())
    }

    fn nearness(&mut self, plan: &Plan, watch: &Watch, step: u32) -> f64 {
        if !self.path.keeps_incumbent(watch.slot) {
            return f64::INFINITY;
        }
        match plan.input.steps - step {
            0 => f64::NEG_INFINITY,
            steps_left => watch.nearness(plan, &self.path, steps_left, &mut self.rivals),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_so_many_prices_below_it() {
        let line = |below| line_of(&mut [0.4, 0.1, 0.2], below);
        assert_eq!([0.0, 1.0, 2.0, 7.0].map(line), [Some(0.1), Some(0.2), Some(0.4), Some(0.4)]);
        assert!((line(1.5).unwrap() - 0.3).abs() < 1e-12);
        assert_eq!(line_of(&mut [], 0.0), None);
    }

    #[test]
    fn volatility_fades_with_its_half_life() {
        let part = VolatilityPart { sd_log: 0.5, half_life_days: 10.0 };
        // The mean of 2^-(t / 10) over 20 days: 3/4 / (2 ln 2).
        assert!((mean_left(&part, 20.0) - 0.375 / std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(mean_left(&part, 0.0), 1.0);
    }
}
