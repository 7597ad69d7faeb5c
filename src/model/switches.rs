//! When the chain's rules change on a path: at a block, at a random time, or perhaps not at all.

use crate::protocol::params::ProtocolParams;
use crate::protocol::upgrades::Change;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::units::BLOCKS_PER_DAY;

/// A change of rules that may come within a path.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSwitch {
    /// When it comes, if it does.
    pub time: SwitchTime,
    /// Probability that it comes at all, drawn once per path.
    pub probability: f64,
    /// What it sets, in this order.
    pub changes: Vec<Change>,
}

/// When a change of rules comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SwitchTime {
    /// At this block.
    Block(u64),
    /// At a constant hazard (per day) from the path's start on.
    Hazard(f64),
}

impl RuleSwitch {
    /// Block at which the switch, the `index`-th of its scenario, comes on the path; `None`: never.
    #[inline(always)]
    pub fn draw_block(&self, index: usize, seed: u64, path: u32, start_block: u64) -> Option<f64> {
        let address = Address { path, step: 0, slot: 0, purpose: Purpose::RuleSwitch, index: index as u16 };
        let [decides, waits, _, _] = rng::words(seed, address).map(rng::open_unit);
        let block = match self.time {
            SwitchTime::Block(block) => block as f64,
            SwitchTime::Hazard(per_day) => {
                start_block as f64 + rng::exponential(waits) / per_day * BLOCKS_PER_DAY as f64
            }
        };
        (decides < self.probability).then_some(block)
    }

    /// Puts the new rules in force.
    pub fn apply(&self, params: &mut ProtocolParams) {
        self.changes.iter().for_each(|change| change.apply(params));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: u32 = 20_000;

    fn switch(time: SwitchTime, probability: f64) -> RuleSwitch {
        RuleSwitch { time, probability, changes: vec![Change::SubnetLimit(256), Change::OwnerCut(0.1)] }
    }

    fn blocks(switch: &RuleSwitch) -> Vec<f64> {
        (0..PATHS).filter_map(|path| switch.draw_block(3, 1, path, 1_000)).collect()
    }

    #[test]
    fn a_sure_switch_comes_at_its_block() {
        assert_eq!(blocks(&switch(SwitchTime::Block(9_000), 1.0)), vec![9_000.0; PATHS as usize]);
        assert!(blocks(&switch(SwitchTime::Block(9_000), 0.0)).is_empty());
    }

    #[test]
    fn a_possible_switch_comes_as_often_as_it_says() {
        let found = blocks(&switch(SwitchTime::Block(9_000), 0.3)).len() as f64 / f64::from(PATHS);
        // Four standard errors of sqrt(0.21 / 20,000).
        assert!((found - 0.3).abs() < 0.013, "{found}");
    }

    #[test]
    fn a_hazard_waits_for_its_inverse_on_average() {
        let blocks = blocks(&switch(SwitchTime::Hazard(0.05), 1.0));
        assert!(blocks.iter().all(|block| *block > 1_000.0));
        let mean_days = blocks.iter().map(|block| (block - 1_000.0) / 7_200.0).sum::<f64>() / f64::from(PATHS);
        // Four standard errors of 20 / sqrt(20,000).
        assert!((mean_days - 20.0).abs() < 0.57, "{mean_days}");
    }

    #[test]
    fn switches_of_a_path_are_drawn_apart() {
        let switch = switch(SwitchTime::Hazard(0.05), 1.0);
        assert_ne!(switch.draw_block(0, 1, 7, 0), switch.draw_block(1, 1, 7, 0));
        assert_ne!(switch.draw_block(0, 1, 7, 0), switch.draw_block(0, 1, 8, 0));
    }

    #[test]
    fn changes_are_made_in_order() {
        let mut params = crate::protocol::upgrades::current_params();
        switch(SwitchTime::Block(0), 1.0).apply(&mut params);
        assert_eq!((params.subnet_limit, params.owner_cut), (256, 0.1));
    }
}
