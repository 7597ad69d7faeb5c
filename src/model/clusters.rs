//! Jumps of a few named subnets at once, such as one operator's: the joint shock of 2026-04-10 in MODEL 4.1.

use crate::model::jumps::poisson_count;
use crate::model::jumps::poisson_thresholds;
use crate::model::params::ClusterParams;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::units::BLOCKS_PER_DAY;

/// The law of one cluster's jumps in one step.
#[derive(Clone, Debug)]
pub struct ClusterStep {
    /// Slots of its subnets.
    pub slots: Vec<u16>,
    thresholds: Vec<u32>,
    mean: f64,
    sd: f64,
    draws: u32,
}

impl ClusterStep {
    /// The law over steps of `blocks` blocks, with the chance of `draws` shorter steps.
    pub fn new(params: &ClusterParams, blocks: u64, draws: u32) -> Self {
        let days = blocks as f64 / BLOCKS_PER_DAY as f64 / f64::from(draws);
        Self {
            slots: params.netuids.iter().map(|netuid| netuid.slot() as u16).collect(),
            thresholds: poisson_thresholds(params.rate_per_day * days),
            mean: params.log_reserve_mean,
            sd: params.log_reserve_sd,
            draws,
        }
    }

    /// Log move of the reserves of all its subnets in the step; `number`: the cluster's in its scenario.
    #[inline(always)]
    pub fn draw_move(&self, seed: u64, path: u32, step: u32, number: u32) -> f64 {
        let mut sum = 0.0;
        for step in step * self.draws..(step + 1) * self.draws {
            let address = Address { path, step, slot: number, purpose: Purpose::ClusterJump, index: 0 };
            for jump in 0..poisson_count(&self.thresholds, rng::words(seed, address)[0]) {
                let words = rng::words(seed, Address { index: 1 + jump as u16, ..address });
                sum += self.mean + self.sd * rng::normals4(words)[0];
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::NetUid;

    fn cluster() -> ClusterParams {
        let netuids = vec![NetUid(3), NetUid(81)];
        ClusterParams { netuids, rate_per_day: 0.2, log_reserve_mean: -0.4, log_reserve_sd: 0.1 }
    }

    #[test]
    fn jumps_have_the_compound_poisson_law() {
        let law = ClusterStep::new(&cluster(), BLOCKS_PER_DAY, 1);
        assert_eq!(law.slots, [2, 80]);
        let draws = 50_000;
        let moves: Vec<f64> = (0..draws).map(|step| law.draw_move(7, 1, step, 0)).collect();
        let mean = moves.iter().sum::<f64>() / f64::from(draws);
        // Variance of the sum in a day: rate (mean^2 + sd^2).
        let error = (0.2 * (0.16 + 0.01) / f64::from(draws)).sqrt();
        assert!((mean + 0.08).abs() < 4.0 * error, "{mean} +- {error}");
        let struck = moves.iter().filter(|jump| **jump != 0.0).count() as f64 / f64::from(draws);
        let chance = -(-0.2_f64).exp_m1();
        assert!((struck - chance).abs() < 4.0 * (chance * (1.0 - chance) / f64::from(draws)).sqrt(), "{struck}");
    }

    #[test]
    fn a_step_has_the_jumps_of_its_parts() {
        let (whole, part) =
            (ClusterStep::new(&cluster(), BLOCKS_PER_DAY, 6), ClusterStep::new(&cluster(), BLOCKS_PER_DAY / 6, 1));
        let mut moved = 0;
        for step in 0..200 {
            let parts = (6 * step..6 * step + 6).map(|part_step| part.draw_move(3, 2, part_step, 4));
            let sum = parts.sum::<f64>();
            assert!((sum - whole.draw_move(3, 2, step, 4)).abs() < 1e-12);
            moved += u32::from(sum != 0.0);
        }
        assert!(moved > 10, "{moved} steps with a jump");
    }
}
