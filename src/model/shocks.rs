//! Shocks of a scenario: money that moves at a stated time, on every path alike.
//!
//! A shock lasts from one block to another; a step takes the part of it that lies within the step, so that what a shock does
//! does not hang on the length of steps. One that lasts no time falls in the step that its block opens or lies in.
//!
//! ```text
//! flow of X TAO into a pool of y TAO:    f = ln max(1 + X part / y, 1/20)     part: of the shock's time, in the step
//! a fraction q of the pool's TAO:        f = part ln (1 + q)
//! TAO/USD, root stake by a fraction q:   times (1 + q)^part
//! freeze of new stake:                   f <- min(f, 0), of the whole flow of the step
//! ```
//!
//! Flows are log moves of the TAO reserve along the pool's curve, in subnets of the snapshot only. What is sold is limited by
//! the alpha that others hold, what is bought by the TAO in wallets, as organic flows are.
//!
//! # Not modelled
//! - A freeze that comes or goes within a step acts on the whole step if most of it is frozen, else not.

use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;

/// Least that a flow in TAO leaves of a reserve in one step, as a part of it.
const LEFT_MIN: f64 = 0.05;

/// What a shock does.
#[derive(Clone, Debug, PartialEq)]
pub enum ShockKind {
    /// TAO that flow into each pool over the shock; negative: out of it. By slot.
    FlowTao(Vec<(u16, f64)>),
    /// The part of a pool's TAO that flows in, above -1.
    PoolFraction {
        /// Slots of its subnets.
        slots: Vec<u16>,
        /// That part.
        fraction: f64,
    },
    /// No net inflow.
    Freeze {
        /// Slots that it holds for; `None`: all, also those of entrants.
        slots: Option<Vec<u16>>,
    },
    /// Relative change of TAO/USD, above -1.
    TaoUsd(f64),
    /// Relative change of root stake by stakers, above -1.
    RootStake(f64),
}

/// A shock: what happens and when.
#[derive(Clone, Debug, PartialEq)]
pub struct ShockParams {
    /// Days after the start at which it begins.
    pub day: f64,
    /// How long it lasts (days).
    pub days: f64,
    /// What it does.
    pub kind: ShockKind,
}

impl ShockParams {
    /// The part of it that lies in step `step` (from 0) of `blocks` blocks.
    pub fn part(&self, step: u32, blocks: u64) -> f64 {
        let blocks = blocks as f64;
        let (opening, begins) = (f64::from(step) * blocks, self.day * BLOCKS_PER_DAY as f64);
        let lasts = self.days * BLOCKS_PER_DAY as f64;
        if lasts > 0.0 {
            ((opening + blocks).min(begins + lasts) - opening.max(begins)).max(0.0) / lasts
        } else if (opening..opening + blocks).contains(&begins) {
            1.0
        } else {
            0.0
        }
    }

    /// Whether most of step `step` lies in it.
    pub fn covers(&self, step: u32, blocks: u64) -> bool {
        self.part(step, blocks) * self.days * BLOCKS_PER_DAY as f64 > 0.5 * blocks as f64
    }
}

/// Log move of a reserve that `flow_tao` enter; see the module.
#[inline(always)]
pub fn log_move(flow_tao: f64, reserve_tao: f64) -> f64 {
    let grown = 1.0 + flow_tao / reserve_tao;
    if grown > LEFT_MIN { math::ln(grown) } else { math::ln(LEFT_MIN) }
}

/// Factor of TAO/USD, or of root stake, in a step: the product over the shocks of that kind; 1 without any.
pub fn factor(shocks: &[ShockParams], step: u32, blocks: u64, change: fn(&ShockKind) -> Option<f64>) -> f64 {
    shocks.iter().fold(1.0, |product, shock| match change(&shock.kind) {
        Some(fraction) => product * math::exp(shock.part(step, blocks) * math::ln(1.0 + fraction)),
        None => product,
    })
}

impl ShockKind {
    /// The change of TAO/USD, of a shock of it.
    pub fn tao_usd(&self) -> Option<f64> {
        if let Self::TaoUsd(fraction) = self { Some(*fraction) } else { None }
    }

    /// The change of root stake, of a shock of it.
    pub fn root_stake(&self) -> Option<f64> {
        if let Self::RootStake(fraction) = self { Some(*fraction) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shock(day: f64, days: f64) -> ShockParams {
        ShockParams { day, days, kind: ShockKind::TaoUsd(-0.6) }
    }

    #[test]
    fn the_parts_of_a_shock_sum_to_one_whatever_the_step() {
        for (day, days) in [(0.0, 0.375), (2.9, 0.375), (1.0, 0.0), (0.5, 3.2), (4.999, 0.0)] {
            for blocks in [7_200, 1_440, 360] {
                let steps = 8 * 7_200 / blocks as u32;
                let sum: f64 = (0..steps).map(|step| shock(day, days).part(step, blocks)).sum();
                assert!((sum - 1.0).abs() < 1e-12, "{day} {days} {blocks}: {sum}");
            }
        }
        assert_eq!(shock(1.0, 0.0).part(1, 7_200), 1.0);
        assert!((shock(2.75, 0.5).part(2, 7_200) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_change_is_whole_once_its_time_is_over() {
        let shocks = [shock(1.5, 2.0), ShockParams { kind: ShockKind::RootStake(0.1), ..shock(0.0, 1.0) }];
        let whole: f64 = (0..5).map(|step| factor(&shocks, step, 7_200, ShockKind::tao_usd)).product();
        assert!((whole - 0.4).abs() < 1e-12, "{whole}");
        assert_eq!(factor(&shocks, 4, 7_200, ShockKind::tao_usd), 1.0);
        assert_eq!(factor(&[], 0, 7_200, ShockKind::root_stake), 1.0);
    }

    #[test]
    fn a_flow_leaves_a_twentieth() {
        assert!((log_move(50.0, 100.0) - 1.5_f64.ln()).abs() < 1e-15);
        assert_eq!(log_move(-1e9, 100.0), math::ln(0.05));
    }

    #[test]
    fn a_freeze_holds_where_most_of_the_step_is_frozen() {
        let frozen = shock(1.25, 1.5);
        let covered: Vec<bool> = (0..4).map(|step| frozen.covers(step, 7_200)).collect();
        assert_eq!(covered, [false, true, true, false]);
    }
}
