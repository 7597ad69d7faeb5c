//! Elementary functions on f32 lanes, for chance only: normals, volatilities, scales, jumps and flows of one step.
//!
//! Errors are relative, against exact values, and asserted by `tests/elementary.rs`. Polynomials are minimax.

use std::f32::consts::FRAC_PI_4;
use std::f32::consts::LN_2;
use std::f32::consts::LOG2_E;

use crate::simd::lanes::Singles;
use crate::simd::lanes::Words;

/// Bits of the square root of 1/2, where the mantissa begins.
const MANTISSA_FIRST: u32 = 0x3f35_04f3;
const MANTISSA_BITS: u32 = 0x007f_ffff;
const SIGN_BIT: u32 = 0x8000_0000;

/// Adding this rounds to an integer and leaves it, above the exponent's bias, in the low bits.
const ROUND: f32 = 12_582_912.0 + 127.0;

/// `ln 2` to 15 fractional bits, and the rest.
const LN_2_HIGH: f32 = 0.693_145_75;
const LN_2_LOW: f32 = 1.428_606_8e-6;

/// `p` in `-2 ln(1 + f) = f p(f)` for `sqrt(1/2) <= 1 + f <= sqrt 2`; error 1.7e-7.
const MINUS_TWO_LN: [f32; 8] =
    [-1.999_999_9, 1.000_007_3, -0.666_701_2, 0.499_398_18, -0.398_003_3, 0.345_016_64, -0.324_451_63, 0.202_137_81];

/// `p` in `log2(1 + f) = f p(f)`, as above; error 1.7e-7.
const LOG_2: [f32; 8] =
    [LOG2_E, -0.721_352_8, 0.480_923_24, -0.360_239_64, 0.287_098_7, -0.248_876_9, 0.234_042_38, -0.145_811_61];

/// `p` in `2^r = 1 + r p(r)` for `|r| <= 1/2`; error 2.6e-9.
const EXP_2: [f32; 6] = [LN_2, 0.240_226_53, 0.055_503_106, 0.009_617_693, 0.001_340_664_4, 0.000_155_946_76];

/// `q` in `e^r - 1 = r + r^2 q(r)` for `|r| <= ln(2) / 2`; error 1.3e-7.
const EXP_M1: [f32; 5] = [0.499_998_2, 0.166_665_77, 0.041_726_31, 0.008_363_148, 0.000_994_135];

/// `sin(pi/4 t) = t p(t^2)` for `|t| <= 1`; error 3.3e-9.
const SINE: [f32; 4] = [FRAC_PI_4, -0.080_745_43, 0.002_490_001, -3.595_045_2e-5];

/// `cos(pi/4 t) = 1 + t^2 p(t^2)` for `|t| <= 1`; error 3.3e-8.
const COSINE: [f32; 3] = [-0.308_424_5, 0.015_850_398, -0.000_319_160_15];

#[inline(always)]
fn horner<S: Singles, const N: usize>(x: S, coefficients: &[f32; N]) -> S {
    let mut sum = S::splat(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = sum.mul_add(x, S::splat(coefficients[i]));
    }
    sum
}

/// `k` and `f` of `x = 2^(k + exponent) (1 + f)`, for normal positive lanes.
#[inline(always)]
fn split<S: Singles>(x: S, exponent: u32) -> (S, S) {
    let offset = x.to_words() - S::Words::splat(MANTISSA_FIRST + (exponent << 23));
    let k = S::from_integers(S::shift_right_signed::<23>(offset));
    let m = S::from_words((offset & S::Words::splat(MANTISSA_BITS)) + S::Words::splat(MANTISSA_FIRST));
    (k, m - S::splat(1.0))
}

/// `-2 ln(n 2^-24)` of integers `0 < n <= 2^24`; error 3e-7.
#[inline(always)]
pub fn minus_two_ln_of_part<S: Singles>(n: S) -> S {
    let (k, f) = split(n, 24);
    k.mul_add(S::splat(-2.0 * LN_2), f * horner(f, &MINUS_TWO_LN))
}

/// Logarithm to base 2 of normal positive lanes; error 3e-7.
#[inline(always)]
pub fn log2<S: Singles>(x: S) -> S {
    let (k, f) = split(x, 0);
    f.mul_add(horner(f, &LOG_2), k)
}

/// `2^x`, held between `2^-126` and `2^126`; error 1.5e-7.
#[inline(always)]
pub fn exp2<S: Singles>(x: S) -> S {
    let held = S::splat(126.0).min(S::splat(-126.0).max(x));
    let shifted = held + S::splat(ROUND);
    let r = held - (shifted - S::splat(ROUND));
    r.mul_add(horner(r, &EXP_2), S::splat(1.0)) * S::from_words(shifted.to_words().shift_left::<23>())
}

/// `e^x - 1` for `|x| <= 80`; nonsense beyond; error 4e-7.
#[inline(always)]
pub fn exp_m1<S: Singles>(x: S) -> S {
    let shifted = x.mul_add(S::splat(LOG2_E), S::splat(ROUND));
    let n = shifted - S::splat(ROUND);
    let r = n.mul_add(S::splat(-LN_2_LOW), n.mul_add(S::splat(-LN_2_HIGH), x));
    let power = S::from_words(shifted.to_words().shift_left::<23>());
    let small = (r * r).mul_add(horner(r, &EXP_M1), r);
    power.mul_add(small, power - S::splat(1.0))
}

/// Cosine and sine of an angle that the word draws evenly from the circle: bit 31 turns the sign of the first, bit 30
/// exchanges the two, the rest says where in the eighth turns on either side of zero.
#[inline(always)]
pub fn direction<S: Singles>(word: S::Words) -> (S, S) {
    let t = S::from_integers(word.shift_left::<2>()) * S::splat(1.0 / 2_147_483_648.0);
    let t_squared = t * t;
    let sine = t * horner(t_squared, &SINE);
    let cosine = t_squared.mul_add(horner(t_squared, &COSINE), S::splat(1.0));
    let cosine = S::from_words(cosine.to_words() ^ (word & S::Words::splat(SIGN_BIT)));
    (S::select_bit::<30>(word, sine, cosine), S::select_bit::<30>(word, cosine, sine))
}
