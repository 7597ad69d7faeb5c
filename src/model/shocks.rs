//! Shocks of a scenario: money that moves and behaviour that changes at a stated time, or at one that chance decides.
//!
//! A shock begins at a day, certain or drawn once per path, and lasts for some time, both in whole blocks. A step takes of it
//! what falls into the step, so that the length of steps hardly bears on what it does:
//!
//! ```text
//! w = blocks of the shock in the step / blocks of the shock       for what moves: all of it comes, whatever the steps
//! c = blocks of the shock in the step / blocks of the step        for what lasts
//!
//! flow of X TAO                      w X through the pools of all targets, by the TAO in them when the step opens
//! a part q of the pools              the TAO in each pool times (1 + q)^w
//! a part q of the stake is sold      what is staked outside the market's book times (1 + q)^w
//! TAO/USD, root stake change by q    times (1 + q)^w
//! common factor of flows by a sd     + w a sqrt(T / D) on its draw: its sum over the T days of the shock moves by a of its
//!                                    standard deviations (D: days of the step)
//! a common jump of size j            + w j, in units of the scale
//! freeze of new stake                organic inflows times 1 - c
//! registrations, revenue by m        their hazard, their level times 1 + c (m - 1)
//! a part s of emission is sold       (1 - c) of the part without the shock, and c s
//! ```
//!
//! # Not modelled
//! - Who does it: TAO come out of wallets, at most what is there, and alpha out of the stake outside the market's book, at most
//!   that; fees of the trades are paid outside the pool. What cannot move is not made up for later.
//! - How people answer, but for what the scenario's own feedbacks say: organic flows go on, through pools as the shock left them.
//! - Within a step: flows come after the sales of emission and before the organic flow, a shock of registrations is spread
//!   evenly over the step that it begins or ends in.

use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::units::BLOCKS_PER_DAY;

/// A shock: what, to whom, when.
#[derive(Clone, Debug, PartialEq)]
pub struct ShockParams {
    /// Name in stories; empty: none.
    pub name: String,
    /// Days after the start at which it begins, or from which on it may.
    pub day: f64,
    /// How long it lasts (days). `None`: at once if it moves something, to the end if it changes behaviour.
    pub days: Option<f64>,
    /// Hazard from that day on (per day); `None`: it begins then.
    pub hazard_per_day: Option<f64>,
    /// Probability that it comes at all, drawn once per path.
    pub probability: f64,
    /// What it does.
    pub effect: Effect,
    /// Whom it strikes, where the effect is one on subnets.
    pub targets: Targets,
}

/// What a shock does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// TAO that flow into the pools of all targets together; negative: out of them.
    FlowTao(f64),
    /// Part of each pool's TAO that flows in, above -1.
    PoolFraction(f64),
    /// Relative change of the alpha staked outside the market's book, by sales: -1 to 0.
    StakeFraction(f64),
    /// No net organic inflow.
    Freeze,
    /// Relative change of TAO/USD, above -1.
    TaoUsd(f64),
    /// Shift of the sum of the common factor of flows over the shock, in its standard deviations.
    CommonFactor(f64),
    /// A common jump of this size, in units of the subnets' scale.
    CommonJump(f64),
    /// TAO that wallets stake on root; negative: that they take back.
    RootStakeTao(f64),
    /// Relative change of root stake, above -1.
    RootStakeFraction(f64),
    /// Factor on the hazard of registration attempts.
    Registrations(f64),
    /// Factor on revenue.
    Revenue(f64),
    /// Part of received emission that these sell.
    Sales(Seller, f64),
}

/// Who sells emission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seller {
    /// Owners, of the owner cut.
    Owner,
    /// Miners.
    Miner,
    /// Validators and their stakers.
    Validator,
}

/// Subnets that a shock strikes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// Which.
    pub choice: Choice,
    /// Slots that it spares.
    pub except: Vec<u16>,
}

/// How targets are found. A subnet that is deregistered is struck no more, whoever follows in its slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Choice {
    /// All subnets there are.
    #[default]
    All,
    /// Subnets of the snapshot, by slot.
    Slots(Vec<u16>),
    /// So many with the largest emission when it begins, of those not spared.
    Top(usize),
    /// So many that would be pruned next when it begins, of those not spared.
    NearPrune(usize),
}

impl Targets {
    /// Whether it spares the subnet in `slot`.
    pub fn spares(&self, slot: usize) -> bool {
        self.except.iter().any(|spared| usize::from(*spared) == slot)
    }

    /// Whether the subnet of the snapshot in `slot` is one of them, where that is known before the shock begins.
    pub fn name(&self, slot: usize) -> bool {
        let is_named = match &self.choice {
            Choice::All => true,
            Choice::Slots(slots) => slots.iter().any(|named| usize::from(*named) == slot),
            Choice::Top(_) | Choice::NearPrune(_) => false,
        };
        is_named && !self.spares(slot)
    }
}

impl Effect {
    /// Whether it holds while the shock lasts; else it moves something in that time.
    pub fn lasts(self) -> bool {
        matches!(self, Self::Freeze | Self::Registrations(_) | Self::Revenue(_) | Self::Sales(..))
    }

    /// Whether it trades in pools.
    pub fn trades(self) -> bool {
        matches!(self, Self::FlowTao(_) | Self::PoolFraction(_) | Self::StakeFraction(_))
    }

    /// Whether it moves what all flows share.
    pub fn is_shared_flow(self) -> bool {
        matches!(self, Self::CommonFactor(_) | Self::CommonJump(_))
    }

    /// Whether it needs some time: a shift in standard deviations is one of a sum over it.
    pub fn takes_time(self) -> bool {
        self.lasts() || matches!(self, Self::CommonFactor(_))
    }

    /// Whether it strikes some subnets rather than what they share.
    pub fn has_targets(self) -> bool {
        self.trades() || matches!(self, Self::Freeze | Self::Revenue(_))
    }
}

impl ShockParams {
    /// Blocks after the start at which the shock, the `index`-th of its scenario, begins on the path; infinite: never.
    #[inline(always)]
    pub fn draw_begin(&self, index: usize, seed: u64, path: u32) -> f64 {
        let address = Address { path, step: 0, slot: 0, purpose: Purpose::Shock, index: index as u16 };
        let [decides, waits, _, _] = rng::words(seed, address).map(rng::open_unit);
        let waited = self.hazard_per_day.map_or(0.0, |per_day| rng::exponential(waits) / per_day);
        if decides < self.probability { blocks_of(self.day + waited) } else { f64::INFINITY }
    }

    /// What of it falls into the `blocks` blocks after `opening`, if it begins at `begins`: `w` or `c` of the module.
    #[inline(always)]
    pub fn weight(&self, begins: f64, opening: f64, blocks: f64) -> f64 {
        let closing = opening + blocks;
        let lasts = match self.days {
            Some(days) => blocks_of(days),
            None if self.effect.lasts() => f64::INFINITY,
            None => 0.0,
        };
        if lasts == 0.0 {
            return if begins >= opening && begins < closing { 1.0 } else { 0.0 };
        }
        let within = (closing.min(begins + lasts) - opening.max(begins)).max(0.0);
        within / if self.effect.lasts() { blocks } else { lasts }
    }

    /// By how much the common factor's draw of a step of `blocks` blocks moves under a shift of `deviations`, with `weight` of the
    /// shock in it.
    #[inline(always)]
    pub fn factor_shift(&self, deviations: f64, weight: f64, blocks: f64) -> f64 {
        deviations * weight * (self.days.map_or(0.0, blocks_of) / blocks).sqrt()
    }
}

fn blocks_of(days: f64) -> f64 {
    (days * BLOCKS_PER_DAY as f64).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: u32 = 20_000;

    fn shock(day: f64, days: Option<f64>, effect: Effect) -> ShockParams {
        let (hazard_per_day, probability, targets) = (None, 1.0, Targets::default());
        ShockParams { name: String::new(), day, days, hazard_per_day, probability, effect, targets }
    }

    fn weights(shock: &ShockParams, blocks: u64) -> Vec<f64> {
        let begins = shock.draw_begin(0, 1, 0);
        (0..8 * 7_200 / blocks).map(|step| shock.weight(begins, (step * blocks) as f64, blocks as f64)).collect()
    }

    #[test]
    fn all_of_what_moves_comes_whatever_the_steps() {
        for (day, days) in [(0.0, Some(0.375)), (2.9, Some(0.375)), (1.0, None), (0.5, Some(3.2)), (4.999, Some(0.0))] {
            for blocks in [7_200, 1_440, 360] {
                let sum: f64 = weights(&shock(day, days, Effect::TaoUsd(-0.6)), blocks).iter().sum();
                assert!((sum - 1.0).abs() < 1e-12, "{day} {days:?} {blocks}: {sum}");
            }
        }
        assert_eq!(weights(&shock(1.0, None, Effect::FlowTao(1.0)), 7_200)[..3], [0.0, 1.0, 0.0]);
        assert_eq!(weights(&shock(2.75, Some(0.5), Effect::FlowTao(1.0)), 7_200)[2..4], [0.5, 0.5]);
    }

    #[test]
    fn a_shift_of_the_factor_is_that_of_its_sum_whatever_the_steps() {
        let shift = shock(0.0, Some(3.2), Effect::CommonFactor(-2.0));
        for blocks in [7_200, 1_440, 360] {
            let moves =
                weights(&shift, blocks).into_iter().map(|weight| shift.factor_shift(-2.0, weight, blocks as f64));
            // In a step of D days the factor moves logs by sqrt(D) Z; over 3.2 days the sum has a variance of 3.2.
            let sum = moves.sum::<f64>() * (blocks as f64 / 7_200.0).sqrt();
            assert!((sum / 3.2_f64.sqrt() + 2.0).abs() < 1e-12, "{blocks}: {sum}");
        }
    }

    #[test]
    fn what_lasts_holds_for_its_time_or_to_the_end() {
        let freeze = |days| weights(&shock(1.25, days, Effect::Freeze), 7_200);
        assert_eq!(freeze(Some(1.5))[..4], [0.0, 0.75, 0.75, 0.0]);
        assert_eq!(freeze(None)[..4], [0.0, 0.75, 1.0, 1.0]);
        assert_eq!(*freeze(None).last().unwrap(), 1.0);
    }

    #[test]
    fn chance_decides_whether_and_when() {
        let possible = ShockParams { probability: 0.3, ..shock(2.0, None, Effect::Freeze) };
        let begins: Vec<f64> = (0..PATHS).map(|path| possible.draw_begin(3, 1, path)).collect();
        let found = begins.iter().filter(|begin| **begin == 14_400.0).count() as f64 / f64::from(PATHS);
        // Four standard errors of sqrt(0.21 / 20,000).
        assert!((found - 0.3).abs() < 0.013, "{found}");
        assert!(begins.iter().all(|begin| *begin == 14_400.0 || *begin == f64::INFINITY));
        let waiting = ShockParams { hazard_per_day: Some(0.05), ..shock(2.0, None, Effect::Freeze) };
        let begins: Vec<f64> = (0..PATHS).map(|path| waiting.draw_begin(3, 1, path)).collect();
        assert!(begins.iter().all(|begin| *begin >= 14_400.0));
        let mean_days = begins.iter().map(|begin| begin / 7_200.0 - 2.0).sum::<f64>() / f64::from(PATHS);
        // Four standard errors of 20 / sqrt(20,000).
        assert!((mean_days - 20.0).abs() < 0.57, "{mean_days}");
        assert_ne!(waiting.draw_begin(0, 1, 7), waiting.draw_begin(1, 1, 7), "shocks are drawn apart");
    }

    #[test]
    fn targets_are_named_unless_spared() {
        let named = Targets { choice: Choice::Slots(vec![3, 7]), except: vec![7] };
        assert!(named.name(3) && !named.name(7) && !named.name(1));
        assert!(Targets { except: vec![7], ..Targets::default() }.name(3));
        assert!(!Targets { choice: Choice::Top(5), except: Vec::new() }.name(3));
    }
}
