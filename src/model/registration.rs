//! When somebody registers a subnet: a hazard that falls with the lock cost, on one exponential clock per attempt.

use crate::model::params::RegistrationParams;
use crate::model::path_lanes::PathLanes;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Clock of the next registration attempt of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegistrationClock {
    /// Number of attempts so far: the address of this clock's draw and of the entrant's.
    pub ordinal: u32,
    /// Integrated hazard left until the attempt, an Exp(1) draw at the beginning.
    pub remaining: f64,
}

impl RegistrationClock {
    /// The clock of attempt `ordinal` of a path.
    #[inline(always)]
    pub fn start(seed: u64, path: u32, ordinal: u32) -> Self {
        let purpose = Purpose::RegistrationClock;
        let words = rng::words(seed, Address { path, step: ordinal, slot: 0, purpose, index: 0 });
        Self { ordinal, remaining: rng::exponential(rng::open_unit(words[0])) }
    }
}

/// Lock cost over time: falls on a line to a floor (MECHANICS 9.1). Amounts in TAO, times in blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostLine<L = f64> {
    /// Cost at the beginning.
    pub start_tao: L,
    /// Fall per block.
    pub fall_per_block: L,
    /// Floor.
    pub floor_tao: L,
}

impl<L: PathLanes> CostLine<L> {
    /// Cost `blocks` later.
    #[inline(always)]
    pub fn cost_after(&self, blocks: L) -> L {
        (self.start_tao - self.fall_per_block * blocks).max(self.floor_tao)
    }

    #[inline(always)]
    fn blocks_to_floor(&self) -> L {
        let zero = L::splat(0.0);
        let blocks = ((self.start_tao - self.floor_tao) / self.fall_per_block).max(zero);
        L::select(self.fall_per_block.gt(zero), blocks, zero)
    }
}

/// Hazard `lambda (W / cost)^eta` per block at a frozen willingness W.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegistrationHazard<L = f64> {
    per_block: L,
    elasticity: f64,
    willingness_tao: L,
}

/// What a run of a clock comes to.
#[derive(Clone, Copy, Debug)]
pub struct ClockRun<L: PathLanes> {
    /// Integrated hazard left at the end, where no attempt comes before.
    pub remaining: L,
    /// Where the attempt comes within the run.
    pub comes: L::Mask,
    /// Blocks in which the cost falls, and the hazard over them: 0 where there are none.
    falling_blocks: L,
    falling: L,
    /// Hazard per block at the floor.
    flat_rate: L,
}

impl<L: PathLanes> RegistrationHazard<L> {
    /// The hazard while the willingness to pay is `willingness_tao`.
    #[inline(always)]
    pub fn new(params: &RegistrationParams, willingness_tao: L) -> Self {
        Self {
            per_block: L::splat(params.hazard_per_day / BLOCKS_PER_DAY as f64),
            elasticity: params.elasticity,
            willingness_tao,
        }
    }

    /// The hazard times `factor`.
    #[inline(always)]
    #[must_use]
    pub fn times(self, factor: L) -> Self {
        Self { per_block: self.per_block * factor, ..self }
    }

    /// Runs clocks with `remaining` left for `blocks` blocks along `cost`.
    ///
    /// ```text
    /// cost c = c0 - r t:  H(t) = lambda W ((W/c)^(eta-1) - (W/c0)^(eta-1)) / (r (eta - 1));   eta = 1: lambda W ln(c0/c) / r
    /// at the floor:       H(t) = lambda (W/c)^eta t
    /// ```
    ///
    /// Source: MODEL 4.5.
    #[inline(always)]
    pub fn run(&self, remaining: L, cost: &CostLine<L>, blocks: L) -> ClockRun<L> {
        let zero = L::splat(0.0);
        let falling_blocks = cost.blocks_to_floor().min(blocks);
        let flat_blocks = blocks - falling_blocks;
        let (falls, is_flat) = (falling_blocks.gt(zero), flat_blocks.gt(zero));
        let (mut falling, mut flat, mut flat_rate) = (zero, zero, zero);
        if L::any(falls) {
            falling = L::select(falls, self.falling_hazard(cost, cost.cost_after(falling_blocks)), zero);
        }
        if L::any(is_flat) {
            flat_rate = self.per_block * self.power(cost.cost_after(blocks), L::splat(self.elasticity));
            flat = L::select(is_flat, flat_rate * flat_blocks, zero);
        }
        let on_flat = remaining - falling;
        let comes = remaining.le(falling) | on_flat.le(flat);
        ClockRun { remaining: on_flat - flat, comes, falling_blocks, falling, flat_rate }
    }

    /// Blocks until the attempt, where it comes within `run`, of clocks that had `remaining` left.
    #[inline(always)]
    pub fn time(&self, remaining: L, cost: &CostLine<L>, run: &ClockRun<L>) -> L {
        let early = self.falling_time(cost, remaining).min(run.falling_blocks);
        let late = run.falling_blocks + (remaining - run.falling) / run.flat_rate;
        L::select(remaining.le(run.falling), early, late)
    }

    #[inline(always)]
    fn power(&self, cost: L, exponent: L) -> L {
        math::pow(self.willingness_tao / cost, exponent)
    }

    #[inline(always)]
    fn scale(&self, cost: &CostLine<L>) -> L {
        self.per_block * self.willingness_tao / cost.fall_per_block
    }

    #[inline(always)]
    fn falling_hazard(&self, cost: &CostLine<L>, end_cost: L) -> L {
        if self.elasticity == 1.0 {
            return self.scale(cost) * math::ln(cost.start_tao / end_cost);
        }
        let excess = L::splat(self.elasticity - 1.0);
        self.scale(cost) * (self.power(end_cost, excess) - self.power(cost.start_tao, excess)) / excess
    }

    #[inline(always)]
    fn falling_time(&self, cost: &CostLine<L>, hazard: L) -> L {
        let end_cost = if self.elasticity == 1.0 {
            cost.start_tao * math::exp(-hazard / self.scale(cost))
        } else {
            let excess = self.elasticity - 1.0;
            let power = self.power(cost.start_tao, L::splat(excess)) + hazard * L::splat(excess) / self.scale(cost);
            self.willingness_tao * math::pow(power, L::splat(-1.0 / excess))
        };
        (cost.start_tao - end_cost) / cost.fall_per_block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hazard(elasticity: f64) -> RegistrationHazard {
        RegistrationHazard { per_block: 0.25 / 7200.0, elasticity, willingness_tao: 500.0 }
    }

    /// Runs the clock; the blocks until the attempt if it comes within `blocks`.
    fn run(hazard: &RegistrationHazard, clock: &mut RegistrationClock, cost: CostLine, blocks: f64) -> Option<f64> {
        let run = hazard.run(clock.remaining, &cost, blocks);
        let time = run.comes.then(|| hazard.time(clock.remaining, &cost, &run));
        clock.remaining = run.remaining;
        time
    }

    fn integrate(hazard: &RegistrationHazard, cost: CostLine, blocks: f64) -> f64 {
        let parts = 200_000;
        let width = blocks / f64::from(parts);
        (0..parts)
            .map(|i| (f64::from(i) + 0.5) * width)
            .map(|t| hazard.per_block * (500.0 / cost.cost_after(t)).powf(hazard.elasticity) * width)
            .sum()
    }

    #[test]
    fn integrated_hazard_agrees_with_quadrature_across_the_floor() {
        let cost = CostLine { start_tao: 700.0, fall_per_block: 0.02, floor_tao: 650.0 };
        for elasticity in [6.7, 1.0, 0.5] {
            let hazard = hazard(elasticity);
            let mut clock = RegistrationClock { ordinal: 0, remaining: 1e9 };
            assert_eq!(run(&hazard, &mut clock, cost, 5_000.0), None);
            let spent = 1e9 - clock.remaining;
            assert!((spent - integrate(&hazard, cost, 5_000.0)).abs() < 1e-6, "elasticity {elasticity}: {spent}");
        }
    }

    #[test]
    fn the_attempt_comes_where_the_integral_reaches_the_clock() {
        let cost = CostLine { start_tao: 700.0, fall_per_block: 0.02, floor_tao: 650.0 };
        for (elasticity, remaining) in [(6.7, 0.005), (6.7, 0.02), (1.0, 0.03), (1.0, 0.1)] {
            let hazard = hazard(elasticity);
            let mut clock = RegistrationClock { ordinal: 0, remaining };
            let time = run(&hazard, &mut clock, cost, 5_000.0).expect("within the interval");
            assert!((integrate(&hazard, cost, time) - remaining).abs() < 1e-6, "elasticity {elasticity}: {time}");
        }
    }

    #[test]
    fn the_clock_is_the_same_in_one_run_or_many() {
        let cost = CostLine { start_tao: 700.0, fall_per_block: 0.02, floor_tao: 1.0 };
        let hazard = hazard(6.7);
        let mut whole = RegistrationClock { ordinal: 0, remaining: 0.5 };
        let mut parts = whole;
        assert_eq!(run(&hazard, &mut whole, cost, 3_000.0), None);
        for part in 0..3 {
            let start_tao = cost.cost_after(1_000.0 * f64::from(part));
            assert_eq!(run(&hazard, &mut parts, CostLine { start_tao, ..cost }, 1_000.0), None);
        }
        assert!((whole.remaining - parts.remaining).abs() < 1e-12);
    }
}
