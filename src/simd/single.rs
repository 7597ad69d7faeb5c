//! Logarithm and sine on f32 lanes, for the normals only.

use crate::simd::lanes::Singles;
use crate::simd::lanes::Words;

/// `ln 2` to 15 fractional bits, and the rest.
const LN_2_HIGH: f32 = 0.693_145_75;
const LN_2_LOW: f32 = 1.428_606_8e-6;

/// Bits of the square root of 1/2, where the mantissa begins.
const MANTISSA_FIRST: u32 = 0x3f35_04f3;
const MANTISSA_BITS: u32 = 0x007f_ffff;
const ONE_BITS: u32 = 0x3f80_0000;

/// `q` in `ln(1 + f) = f + f^2 q(f)`, minimax for `sqrt(1/2) <= 1 + f <= sqrt 2`; relative error 3e-8.
const LN: [f32; 8] =
    [-0.499_999_9, 0.333_339_48, -0.250_017_4, 0.199_621_92, -0.165_709_87, 0.149_170_94, -0.143_032_95, 0.087_320_134];

/// `sin(2 pi r) = r p(r^2)`, minimax for `|r| <= 1/8`; relative error 3e-9.
const SINE: [f32; 4] = [6.283_185_5, -41.341_66, 81.592_354, -75.393_57];

/// `cos(2 pi r) = 1 + r^2 p(r^2)`, minimax for `|r| <= 1/8`; relative error 6e-11.
const COSINE: [f32; 4] = [-19.739_208, 64.939_32, -85.443_245, 59.229_588];

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

/// Natural logarithm of normal positive lanes, to 2 units in the last place.
#[inline(always)]
pub fn ln<S: Singles>(x: S) -> S {
    let offset = x.to_words() + S::Words::splat(ONE_BITS - MANTISSA_FIRST);
    let k = S::from_integers(offset.shift_right::<23>() - S::Words::splat(127));
    let m = S::from_words((offset & S::Words::splat(MANTISSA_BITS)) + S::Words::splat(MANTISSA_FIRST));
    let f = m - S::splat(1.0);
    let rest = (f * f).mul_add(horner(f, &LN), k * S::splat(LN_2_LOW));
    k.mul_add(S::splat(LN_2_HIGH), f + rest)
}

/// Sine and cosine of `2 pi n / 2^24` for words `n < 2^24`, to 2 units in the last place.
#[inline(always)]
pub fn sin_cos_turn<S: Singles>(n: S::Words) -> (S, S) {
    let quadrant = (n + S::Words::splat(1 << 21)).shift_right::<22>();
    let r = S::from_integers(n - quadrant.shift_left::<22>()) * S::splat(1.0 / 16_777_216.0);
    let r_squared = r * r;
    let sine = r * horner(r_squared, &SINE);
    let cosine = r_squared.mul_add(horner(r_squared, &COSINE), S::splat(1.0));
    let two = S::Words::splat(2);
    let sine_sign = (quadrant & two).shift_left::<30>();
    let cosine_sign = ((quadrant + S::Words::splat(1)) & two).shift_left::<30>();
    (
        S::from_words(S::select_odd(quadrant, cosine, sine).to_words() ^ sine_sign),
        S::from_words(S::select_odd(quadrant, sine, cosine).to_words() ^ cosine_sign),
    )
}
