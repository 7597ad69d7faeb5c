//! Root: its proportion of a subnet's alpha, and what becomes of its alpha dividends.

use crate::protocol::rule_names::rule_versions;

rule_versions! {
    /// Version of the root rule: what becomes of root's alpha of a block (MECHANICS 4.7).
    pub enum RootRule {
        /// Sold into the pool in the block; the TAO joins the root stake (spec 233 to 297).
        R0,
        /// [`RootRule::R0`], but lost in subnets where the chain buys (spec 298 to 333).
        R1,
        /// Claimable by root stakers, but lost in subnets where the chain buys (spec 334 to 341).
        R2,
        /// Claimable while the sell flag is on, else the validators' (spec 342).
        R3,
        /// Claimable while the sell flag is on, else recycled (spec 343 on).
        R4,
    }
}

/// Where root's alpha of a block goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootAlpha {
    /// Into the pool at once.
    Sold,
    /// To root stakers, who claim it.
    Claimable,
    /// Nobody's, outside the pool.
    Lost,
    /// To the validators of the subnet and their stakers.
    Validators,
    /// Out of existence.
    Recycled,
}

impl RootRule {
    /// What becomes of root's alpha in a subnet. `chain_buys`: whether the chain buys alpha of the subnet in the block.
    pub const fn root_alpha(self, sell_flag: bool, chain_buys: bool) -> RootAlpha {
        match self {
            Self::R1 | Self::R2 if chain_buys => RootAlpha::Lost,
            Self::R0 | Self::R1 => RootAlpha::Sold,
            Self::R3 if !sell_flag => RootAlpha::Validators,
            Self::R4 if !sell_flag => RootAlpha::Recycled,
            Self::R2 | Self::R3 | Self::R4 => RootAlpha::Claimable,
        }
    }
}

/// Root's part of the validators' alpha, and the cap of alpha injection per alpha emission; 0 to 1.
///
/// ```text
/// rho = w R / (w R + I)        0 where both terms are 0
/// ```
///
/// `w`: `TaoWeight`; `R`: TAO staked on root; `I`: the subnet's alpha issuance (pool and outside).
/// The chain takes it before the injection for the cap, and after injection and mint for the split.
/// Source: pallets/subtensor/src/coinbase/block_step.rs, `root_proportion`.
pub fn root_proportion(tao_weight: f64, root_stake_tao: f64, issuance_alpha: f64) -> f64 {
    let weighted = tao_weight * root_stake_tao;
    if weighted > 0.0 { weighted / (weighted + issuance_alpha) } else { 0.0 }
}

/// Whether root alpha dividends are kept for their stakers (and sold on claim by default) rather than recycled: the
/// moving prices of the emitting subnets sum to more than 1.
/// Source: pallets/subtensor/src/coinbase/run_coinbase.rs, `get_network_root_sell_flag`.
pub fn sell_flag(moving_price_sum: f64) -> bool {
    moving_price_sum > 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportion_lies_between_zero_and_one() {
        assert_eq!(root_proportion(0.18, 0.0, 100.0), 0.0);
        assert_eq!(root_proportion(0.18, 0.0, 0.0), 0.0);
        assert_eq!(root_proportion(0.5, 100.0, 50.0), 0.5);
        assert_eq!(root_proportion(0.5, 100.0, 0.0), 1.0);
    }

    #[test]
    fn root_alpha_goes_where_the_rule_says() {
        let fates = |rule: RootRule| {
            [(true, true), (true, false), (false, true), (false, false)].map(|(flag, buys)| rule.root_alpha(flag, buys))
        };
        use RootAlpha::Claimable;
        use RootAlpha::Lost;
        use RootAlpha::Recycled;
        use RootAlpha::Sold;
        use RootAlpha::Validators;
        assert_eq!(fates(RootRule::R0), [Sold; 4]);
        assert_eq!(fates(RootRule::R1), [Lost, Sold, Lost, Sold]);
        assert_eq!(fates(RootRule::R2), [Lost, Claimable, Lost, Claimable]);
        assert_eq!(fates(RootRule::R3), [Claimable, Claimable, Validators, Validators]);
        assert_eq!(fates(RootRule::R4), [Claimable, Claimable, Recycled, Recycled]);
    }

    #[test]
    fn sell_flag_is_strict() {
        assert!(!sell_flag(1.0));
        assert!(sell_flag(1.0 + f64::EPSILON));
        assert!(!sell_flag(f64::NAN));
    }
}
