//! What moves the value of a book, each driver by itself: what it is to switch one off, on the same chance.
//!
//! With no driver acting a book is worth at any time, to the bit, what it is worth at the start. A draw keeps its address whoever
//! acts, so that paths of two sets of drivers differ by what the drivers do and by nothing else.
//!
//! | Driver | What is off without it |
//! |---|---|
//! | TAO/USD | the rate: P&L is valued at the opening one. A valuation, not simulated: the rate is drawn and correlated as ever |
//! | common factor | its term and those of sectors and common jumps in the log flow, the latter with their compensator; states of the market |
//! | own flow | a subnet's own shock, how volatilities move (flows then have the mean one), drifts, answers to prices and dividends |
//! | jumps | jumps of single subnets, with their compensator; jumps of clusters; trades of the scenario's shocks |
//! | emission | injection, chain buys, mint and with it dividends, sales and root claims; revenue; the own flow of root stake |
//! | deregistration | attempts to register, and so prunes, payouts and entrants |
//! | slippage | liquidation: holdings are worth their spot price. A valuation, not simulated |
//! | rules | switches of rules |
//!
//! Drifts are means of the organic flow and belong to the own flow, volatility of the common factor's part to whoever makes it
//! move. Starts of subnets of the snapshot and their enabling come whoever acts: without the drivers that they let in, nothing
//! follows from them. The lock cost falls as fast as ever.
//!
//! # Not modelled
//! - Drivers apart in the block engine, which takes those only that change parameters.

use crate::engine::plan::PlanInput;
use crate::model::params::FeedbackParams;
use crate::model::root_stake::RootStakeParams;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Driver {
    /// The rate of TAO in USD.
    TaoUsd,
    /// What all subnets share.
    CommonFactor,
    /// What a subnet's stakers do by themselves.
    OwnFlow,
    /// Jumps of single subnets and of clusters.
    Jumps,
    /// What the chain pays, and what becomes of it.
    Emission,
    /// Registrations, and who has to go for them.
    Deregistration,
    /// Liquidation against spot.
    Slippage,
    /// Changes of rules.
    Rules,
}

impl Driver {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::TaoUsd,
        Self::CommonFactor,
        Self::OwnFlow,
        Self::Jumps,
        Self::Emission,
        Self::Deregistration,
        Self::Slippage,
        Self::Rules,
    ];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaoUsd => "tao_usd",
            Self::CommonFactor => "common_factor",
            Self::OwnFlow => "own_flow",
            Self::Jumps => "jumps",
            Self::Emission => "emission",
            Self::Deregistration => "deregistration",
            Self::Slippage => "slippage",
            Self::Rules => "rules",
        }
    }

    /// Whether paths have to be simulated again without it; else they are valued in another way.
    pub fn is_simulated(self) -> bool {
        !matches!(self, Self::TaoUsd | Self::Slippage)
    }

    /// Whether a scenario gives it anything to do.
    pub fn is_present(self, input: &PlanInput) -> bool {
        let model = &input.model;
        match self {
            Self::CommonFactor => has_common_factor(input),
            Self::Jumps => {
                model.flow.jumps.rate_per_day > 0.0
                    || model.clusters.iter().any(|cluster| cluster.rate_per_day > 0.0)
                    || model.shocks.iter().any(|shock| shock.effect.trades())
            }
            Self::Deregistration => model.registration.hazard_per_day > 0.0,
            Self::Rules => !input.switches.is_empty(),
            Self::TaoUsd | Self::OwnFlow | Self::Emission | Self::Slippage => true,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

fn has_common_factor(input: &PlanInput) -> bool {
    let (model, flow) = (&input.model, &input.model.flow);
    let is_loaded = flow.loading_mean != 0.0
        || flow.loading_sd != 0.0
        || model.subnets.iter().any(|subnet| subnet.loading.is_some_and(|loading| loading != 0.0));
    let in_sectors = flow.sector_loading != 0.0 && model.subnets.iter().any(|subnet| subnet.sector.is_some());
    is_loaded || in_sectors || model.market.is_some()
}

/// Those that act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drivers(u8);

impl Drivers {
    /// All.
    pub const ALL: Self = Self(u8::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// These but for one.
    #[must_use]
    pub const fn without(self, driver: Driver) -> Self {
        Self(self.0 & !driver.bit())
    }

    /// Whether it is one of them.
    #[inline(always)]
    pub const fn acts(self, driver: Driver) -> bool {
        self.0 & driver.bit() != 0
    }
}

/// What is simulated with the input's drivers alone: the parameters of those that do not act are such that they do nothing.
///
/// What no parameter tells the plan and the path look up themselves: loadings on own shocks and on sectors, the common factor, the
/// coinbase.
pub(crate) fn switched(mut input: PlanInput) -> PlanInput {
    let acts = |driver| input.drivers.acts(driver);
    let model = &mut input.model;
    if !acts(Driver::CommonFactor) {
        model.flow.common_jump.rate_per_day = 0.0;
        model.market = None;
        model.shocks.iter_mut().filter(|shock| shock.effect.is_shared_flow()).for_each(|shock| shock.probability = 0.0);
    }
    if !acts(Driver::OwnFlow) {
        model.flow.drift_per_day = 0.0;
        model.flow.volatility.iter_mut().for_each(|part| part.sd_log = 0.0);
        for subnet in &mut model.subnets {
            (subnet.drift_per_day, subnet.log_volatility) = (None, None);
        }
        model.feedback = FeedbackParams::default();
    }
    if !acts(Driver::Jumps) {
        model.flow.jumps.rate_per_day = 0.0;
        model.clusters.clear();
        for shock in model.shocks.iter_mut().filter(|shock| shock.effect.trades()) {
            shock.probability = 0.0;
        }
    }
    if !acts(Driver::Emission) {
        model.revenue.clear();
        model.root_stake = RootStakeParams::default();
    }
    if !acts(Driver::Deregistration) {
        model.registration.hazard_per_day = 0.0;
    }
    if !acts(Driver::Rules) {
        input.switches.clear();
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_lack_what_was_taken_out() {
        for driver in Driver::ALL {
            assert!(Drivers::ALL.acts(driver) && !Drivers::NONE.acts(driver));
            let others = Drivers::ALL.without(driver);
            assert!(Driver::ALL.iter().all(|other| others.acts(*other) != (*other == driver)), "{driver:?}");
        }
        assert_eq!(Driver::ALL.iter().fold(Drivers::ALL, |set, driver| set.without(*driver)), Drivers::NONE);
    }
}
