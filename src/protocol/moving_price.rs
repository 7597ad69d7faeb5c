//! The moving price of a subnet: an average of its capped spot price whose smoothing grows with age.

use crate::protocol::fixed::ONE_U64F64;
use crate::protocol::fixed::mul_u64f64;
use crate::protocol::fixed::ratio_u64f64;

/// Spot price (TAO per alpha) above which the moving price does not follow.
pub const PRICE_CAP: f64 = 1.0;
/// Scale of 32 fractional bits.
const SCALE_32: f64 = 4_294_967_296.0;

/// Blocks since start_call at `block`; a subnet that has not started counts from block 0.
/// Source: pallets/subtensor/src/staking/stake_utils.rs, `update_moving_price`.
pub fn age_blocks(block: u64, first_emission_block: Option<u64>) -> u64 {
    block.saturating_sub(first_emission_block.unwrap_or(0).saturating_sub(1))
}

/// Smoothing per block of a subnet `age_blocks` old, `smoothing * b / (b + h)`; 0 where `b` and `h` are 0.
///
/// `smoothing`: `SubnetMovingAlpha`; `halving_blocks` `h`: `EMAPriceHalvingBlocks`.
pub fn smoothing_at_age(smoothing: f64, age_blocks: u64, halving_blocks: f64) -> f64 {
    let age = age_blocks as f64;
    if age > 0.0 { smoothing * (age / (age + halving_blocks)) } else { 0.0 }
}

/// The moving price one block later, without the chain's truncation.
///
/// ```text
/// m' = a min(p, 1) + (1 - a) m
/// ```
///
/// `spot_price` `p`: after injection and chain buy of the block; `smoothing` `a`: at the subnet's age.
pub fn update(moving_price: f64, spot_price: f64, smoothing: f64) -> f64 {
    smoothing * spot_price.min(PRICE_CAP) + (1.0 - smoothing) * moving_price
}

/// [`update_raw`] of a moving price held as a multiple of 2^-32. `smoothing` is the one before the age factor.
pub fn update_floored(moving_price: f64, spot_price: f64, smoothing: f64, age_blocks: u64, halving_blocks: u64) -> f64 {
    let spot_price_raw = (spot_price.min(PRICE_CAP) * SCALE_32 * SCALE_32) as u128;
    let (moving_price_raw, smoothing_raw) = ((moving_price * SCALE_32) as u64, (smoothing * SCALE_32) as u64);
    update_raw(moving_price_raw, spot_price_raw, smoothing_raw, age_blocks, halving_blocks) as f64 / SCALE_32
}

/// The moving price one block later in the chain's own arithmetic, exact to the bit. It truncates to 2^-32 in every
/// block, so that a rise below `2^-32 / a` never registers and a fall is at least 2^-32.
///
/// `moving_price`: I96F32 bits; `spot_price`: U64F64 bits; `smoothing`: `SubnetMovingAlpha` (I96F32 bits), before the age factor.
/// Source: pallets/subtensor/src/staking/stake_utils.rs, `update_moving_price`.
pub fn update_raw(moving_price: u64, spot_price: u128, smoothing: u64, age_blocks: u64, halving_blocks: u64) -> u64 {
    let age_factor = ratio_u64f64(age_blocks, age_blocks.saturating_add(halving_blocks));
    let weight = mul_u64f64(u128::from(smoothing) << 32, age_factor);
    let price_part = mul_u64f64(weight, spot_price.min(ONE_U64F64));
    let moving_part = mul_u64f64(ONE_U64F64.saturating_sub(weight), u128::from(moving_price) << 32);
    (price_part.saturating_add(moving_part) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOOTHING_RAW: u64 = 1_288_490;

    #[test]
    fn age_counts_from_start_call() {
        assert_eq!(age_blocks(100, Some(100)), 1);
        assert_eq!(age_blocks(100, Some(150)), 0);
        assert_eq!(age_blocks(100, None), 100);
        assert_eq!(age_blocks(100, Some(0)), 100);
    }

    #[test]
    fn smoothing_grows_with_age_and_is_half_at_the_halving_age() {
        assert_eq!(smoothing_at_age(0.0003, 0, 0.0), 0.0);
        assert_eq!(smoothing_at_age(0.0003, 0, 201_600.0), 0.0);
        assert_eq!(smoothing_at_age(0.0003, 201_600, 201_600.0), 0.00015);
        assert_eq!(smoothing_at_age(0.0003, 5, 0.0), 0.0003);
    }

    #[test]
    fn price_is_capped_at_one() {
        assert_eq!(update(0.5, 7.0, 0.5), 0.75);
        assert_eq!(update(1.0, 7.0, 0.1), 1.0);
    }

    #[test]
    fn small_rises_do_not_register_and_small_falls_do() {
        let (moving_price, age) = (1 << 20, 1_000_000);
        let above = (u128::from(moving_price) + 100) << 32;
        let below = (u128::from(moving_price) - 100) << 32;
        assert_eq!(update_raw(moving_price, above, SMOOTHING_RAW, age, 201_600), moving_price);
        assert_eq!(update_raw(moving_price, below, SMOOTHING_RAW, age, 201_600), moving_price - 1);
    }

    #[test]
    fn float_and_raw_forms_agree() {
        let raw = update_raw(2_662_879_723, ONE_U64F64 / 5 * 3, SMOOTHING_RAW, 3_600_001, 201_600);
        let (before, smoothing) = (2_662_879_723.0 / SCALE_32, SMOOTHING_RAW as f64 / SCALE_32);
        assert_eq!(update_floored(before, 0.6, smoothing, 3_600_001, 201_600), raw as f64 / SCALE_32);
        let real = update(before, 0.6, smoothing_at_age(smoothing, 3_600_001, 201_600.0));
        assert!((real - raw as f64 / SCALE_32).abs() < 1.0 / SCALE_32);
    }
}
