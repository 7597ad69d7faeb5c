//! The chain's fixed-point and wide-integer arithmetic, for the figures that are followed to the last bit.

use crate::units::RAO_PER_TAO;

/// Whether the truncations of the chain are followed that have an economic effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// As on chain: moving prices, and the price and root proportion behind an injection, are truncated to 2^-32; what is
    /// injected, bought, sold and taken as a fee, to whole rao.
    Floored,
    /// Real numbers throughout: for steps over many blocks, and without the dead zone of small rises of a moving price.
    Continuous,
}

impl Rounding {
    /// Truncates to 2^-32, or not.
    pub fn floor_32(self, value: f64) -> f64 {
        match self {
            Self::Floored => floor_32(value),
            Self::Continuous => value,
        }
    }

    /// Truncates an amount in tokens to whole rao, or not.
    pub fn floor_rao(self, tokens: f64) -> f64 {
        match self {
            Self::Floored => (tokens * RAO_PER_TAO).floor() / RAO_PER_TAO,
            Self::Continuous => tokens,
        }
    }
}

/// Raw bits of 1 in U64F64.
pub(super) const ONE_U64F64: u128 = 1 << 64;
/// Scale of 32 fractional bits (U96F32, I96F32).
pub(super) const SCALE_32: f64 = 4_294_967_296.0;

/// `value` truncated to 32 fractional bits, which is how the chain keeps prices, proportions and moving prices.
/// Requires `0 <= value < 2^53 / 2^32` for an exact result.
pub fn floor_32(value: f64) -> f64 {
    (value * SCALE_32).floor() / SCALE_32
}

/// Product of two U64F64 numbers (raw bits), truncated; saturates.
pub(super) fn mul_u64f64(a: u128, b: u128) -> u128 {
    let (a_high, a_low) = (a >> 64, a & (ONE_U64F64 - 1));
    let (b_high, b_low) = (b >> 64, b & (ONE_U64F64 - 1));
    let high = a_high * b_high;
    if high >= ONE_U64F64 {
        return u128::MAX;
    }
    (high << 64).saturating_add(a_high * b_low).saturating_add(a_low * b_high).saturating_add((a_low * b_low) >> 64)
}

/// Quotient of two integers in U64F64 (raw bits), truncated; 0 where the divisor is 0.
pub(super) fn ratio_u64f64(numerator: u64, divisor: u64) -> u128 {
    (u128::from(numerator) << 64).checked_div(u128::from(divisor)).unwrap_or(0)
}

/// Quotient of two U64F64 numbers (raw bits), to 2^-64; saturates, and is 0 where the divisor is 0.
pub(super) fn div_u64f64(a: u128, b: u128) -> u128 {
    match (a.checked_div(b), a.checked_rem(b)) {
        (Some(whole), Some(rest)) if whole < ONE_U64F64 => (whole << 64) + u128::from(mul_div_floor(rest, u64::MAX, b)),
        (Some(_), _) => u128::MAX,
        (None, _) => 0,
    }
}

/// `floor(a * b / c)` without overflow. Requires `a <= c` and `c > 0`; then the result is at most `b`.
///
/// Binary long division of `a * b` by `c`: the remainder is doubled per bit of `b` and stays below `c`.
pub(super) fn mul_div_floor(a: u128, b: u64, c: u128) -> u64 {
    debug_assert!(a <= c && c > 0);
    let (mut quotient, mut remainder) = (0_u64, 0_u128);
    for bit in (0..64 - b.leading_zeros()).rev() {
        let (carry, doubled) = add_modulo(remainder, remainder, c);
        quotient = 2 * quotient + carry;
        remainder = doubled;
        if b >> bit & 1 == 1 {
            let (carry, sum) = add_modulo(remainder, a, c);
            quotient += carry;
            remainder = sum;
        }
    }
    quotient
}

/// `(carry, rest)` with `left + right = carry * modulus + rest` and `rest < modulus`; `left < modulus`, `right <= modulus`.
fn add_modulo(left: u128, right: u128, modulus: u128) -> (u64, u128) {
    let room = modulus - right;
    if left >= room { (1, left - room) } else { (0, left + right) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_of_u64f64_truncates_and_saturates() {
        assert_eq!(mul_u64f64(3 << 63, 1 << 63), 3 << 62);
        assert_eq!(mul_u64f64(1, 1), 0);
        assert_eq!(mul_u64f64(ONE_U64F64, 12_345), 12_345);
        assert_eq!(mul_u64f64(u128::MAX, u128::MAX), u128::MAX);
    }

    #[test]
    fn ratio_of_zero_divisor_is_zero() {
        assert_eq!(ratio_u64f64(1, 2), 1 << 63);
        assert_eq!(ratio_u64f64(1, 0), 0);
    }

    #[test]
    fn quotient_of_u64f64_keeps_its_fraction() {
        assert!(div_u64f64(3 << 64, 2 << 64).abs_diff(3 << 63) <= 1);
        assert!(div_u64f64(1 << 64, 3).abs_diff(u128::MAX / 3) <= 1);
        assert_eq!(div_u64f64(1 << 64, 1), u128::MAX);
        assert!(div_u64f64(1 << 64, 3 << 64).abs_diff(ONE_U64F64 / 3) <= 1);
        assert_eq!((div_u64f64(7, 0), div_u64f64(0, 7)), (0, 0));
    }

    #[test]
    fn mul_div_floor_agrees_with_plain_arithmetic_and_does_not_overflow() {
        for (a, b, c) in [(7_u128, 10_u64, 9_u128), (0, 5, 1), (3, 0, 4), (9, 9, 9), (123_456, 1_000_000_007, 654_321)]
        {
            assert_eq!(u128::from(mul_div_floor(a, b, c)), a * u128::from(b) / c);
        }
        assert_eq!(mul_div_floor(u128::MAX, u64::MAX, u128::MAX), u64::MAX);
        assert_eq!(mul_div_floor(u128::MAX / 2, 1_000_000_000_000_000_000, u128::MAX), 499_999_999_999_999_999);
    }

    #[test]
    fn floor_32_truncates_to_a_multiple() {
        assert_eq!(floor_32(1.0), 1.0);
        assert_eq!(floor_32(1.5 / SCALE_32), 1.0 / SCALE_32);
    }
}
