//! Root: its proportion of a subnet's alpha, and when its alpha dividends may be sold.

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
    fn sell_flag_is_strict() {
        assert!(!sell_flag(1.0));
        assert!(sell_flag(1.0 + f64::EPSILON));
        assert!(!sell_flag(f64::NAN));
    }
}
