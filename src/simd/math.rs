//! Elementary functions on f64 lanes: one definition, branch-free, the same bits at any width.
//!
//! Largest errors (in units of the last place) are asserted by `tests/elementary.rs` against values correctly rounded
//! from 60 digits: `exp` and `ln` 1.5, `exp_m1` and `ln_1p` 2. The polynomials are minimax (Remez, 60 digits) and their
//! own error is below a tenth of a unit.

use crate::simd::lanes::Lanes;
use crate::simd::lanes::Vector;
use crate::simd::lanes::Words;

/// `ln 2` to 42 fractional bits, so that its products with exponents are exact, and the rest.
const LN_2_HIGH: f64 = 0.6931471805598903;
const LN_2_LOW: f64 = 5.497923018708371e-14;

/// Adding this rounds to an integer and leaves it in the low bits: `1.5 * 2^52`.
const ROUND: f64 = 6755399441055744.0;

/// `q` in `e^r = 1 + r + r^2 q(r)` for `|r| <= ln(2) / 2`; relative error of `e^r` 4e-18.
const EXP: [f64; 10] = [
    0.5000000000000011,
    0.16666666666666413,
    0.04166666666653045,
    0.00833333333349412,
    0.0013888888943543484,
    0.000198412695071099,
    2.4801493198539184e-05,
    2.7557586093684564e-06,
    2.7630209734325676e-07,
    2.5000087498961516e-08,
];

/// Twice `EXP`: the result is scaled by half its power of two, which stays finite up to the overflow of `exp`.
const EXP_TWICE: [f64; 10] = {
    let mut twice = EXP;
    let mut i = 0;
    while i < twice.len() {
        twice[i] *= 2.0;
        i += 1;
    }
    twice
};

/// `q` in `ln(1 + r) = r + r^2 q(r)` for `|r| <= 1/32`; relative error of the logarithm 1.1e-17.
const LN: [f64; 8] = [
    -0.49999999999999684,
    0.33333333333332693,
    -0.2500000000434768,
    0.20000000006034338,
    -0.16666650602535799,
    0.14285696094339728,
    -0.12521964913643005,
    0.11132962477967226,
];

/// Bits of 0.703125, where the sixteen intervals of the mantissa begin. One of them has 1.0 well inside.
const MANTISSA_FIRST: u64 = 0x3fe6_8000_0000_0000;
const MANTISSA_BITS: u64 = 0x000f_ffff_ffff_ffff;
const EXPONENT_BITS: u64 = 0x7ff0_0000_0000_0000;
const ONE_BITS: u64 = 0x3ff0_0000_0000_0000;

/// Near-reciprocals `c` of the midpoints of the intervals: `m c = 1 + r` with `|r| <= 1/32`.
const RECIPROCAL: [f64; 16] = [
    1.3918107991491124,
    1.3336346647736288,
    1.2794558997039216,
    1.2311226618950177,
    1.1849478226454502,
    1.143189139688472,
    1.1037482241257914,
    1.0663658330253944,
    1.0325708328871372,
    1.0,
    0.9411874083163443,
    0.8889349330537651,
    0.8424156400582963,
    0.800283403563619,
    0.7620622511885758,
    0.727368077419903,
];

/// `-ln c`. Each `c` was searched so that its logarithm is within 2^-63 of a multiple of 2^-42 (the accurate tables of
/// Gal, doi:10.1007/3-540-16798-6_1): the sum with `k LN_2_HIGH` is exact and needs no low part.
const MINUS_LN_RECIPROCAL: [f64; 16] = [
    -0.33060563252274733,
    -0.2879080454981704,
    -0.24643490920379918,
    -0.2079264863446042,
    -0.1696987420948517,
    -0.13382184766578575,
    -0.09871186398868304,
    -0.06425644982050471,
    -0.032051646780473675,
    0.0,
    0.06061300054784624,
    0.11773123731245505,
    0.17148175226361673,
    0.22278935959297996,
    0.2717270321591059,
    0.31832263325986787,
];

/// Even and odd powers apart: half the latency of Horner's rule for one more multiplication. `N` is even.
#[inline(always)]
fn polynomial<L: Lanes, const N: usize>(x: L, x_squared: L, coefficients: &[f64; N]) -> L {
    let mut even = L::splat(coefficients[N - 2]);
    let mut odd = L::splat(coefficients[N - 1]);
    let mut i = N - 2;
    while i > 0 {
        i -= 2;
        even = even.mul_add(x_squared, L::splat(coefficients[i]));
        odd = odd.mul_add(x_squared, L::splat(coefficients[i + 1]));
    }
    odd.mul_add(x, even)
}

/// A polynomial by Horner's rule.
#[inline(always)]
pub fn horner<L: Lanes, const N: usize>(x: L, coefficients: &[f64; N]) -> L {
    let mut sum = L::splat(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = sum.mul_add(x, L::splat(coefficients[i]));
    }
    sum
}

/// `e^x`. At most 1.5 units in the last place; exactly 0 below -708, where results near the smallest normal begin, and
/// infinite from the overflow at 709.78 on. NaN stays NaN.
#[inline(always)]
pub fn exp<L: Lanes>(x: L) -> L {
    // Twice the result is computed and scaled by 2^(n - 1), whose biased exponent is n + 1022.
    let round = L::splat(ROUND + 1022.0);
    let capped = L::splat(710.0).min(x);
    let shifted = capped.mul_add(L::splat(std::f64::consts::LOG2_E), round);
    let n = shifted - round;
    let half_power = L::from_words(shifted.to_words().shift_left::<52>());
    let r = n.mul_add(L::splat(-LN_2_LOW), n.mul_add(L::splat(-LN_2_HIGH), capped));
    let two = L::splat(2.0);
    let twice = r.mul_add(r.mul_add(polynomial(r, r * r, &EXP_TWICE), two), two);
    L::select(x.lt(L::splat(-708.0)), L::splat(0.0), twice * half_power)
}

/// `e^x - 1`, accurate also for small `x`. At most 2 units in the last place; infinite above 709. NaN stays NaN.
#[inline(always)]
pub fn exp_m1<L: Lanes>(x: L) -> L {
    // Below -40 the result rounds to -1.
    let round = L::splat(ROUND + 1023.0);
    let capped = L::splat(-40.0).max(x);
    let shifted = capped.mul_add(L::splat(std::f64::consts::LOG2_E), round);
    let n = shifted - round;
    let power = L::from_words(shifted.to_words().shift_left::<52>());
    // r + r_low is the reduced argument: next to |n| = 1 the result is small and the rounding of r alone would show.
    let high = n.mul_add(L::splat(-LN_2_HIGH), capped);
    let r = n.mul_add(L::splat(-LN_2_LOW), high);
    let r_low = n.mul_add(L::splat(-LN_2_LOW), high - r);
    let r_squared = r * r;
    let rest = r_squared.mul_add(polynomial(r, r_squared, &EXP), r_low);
    let sum = power.mul_add(rest, power.mul_add(r, power - L::splat(1.0)));
    L::select(x.gt(L::splat(709.0)), L::splat(f64::INFINITY), sum)
}

/// `x = 2^k m`: the biased exponent of `2^k` with sixteen bits of the interval's number below it.
struct Binary<L: Lanes> {
    offset: L::Words,
    k: L,
    m: L,
}

#[inline(always)]
fn split<L: Lanes>(x: L) -> Binary<L> {
    let offset = x.to_words() + L::Words::splat(ONE_BITS - MANTISSA_FIRST);
    let m = L::from_words((offset & L::Words::splat(MANTISSA_BITS)) + L::Words::splat(MANTISSA_FIRST));
    // The exponent in the low bits of 2^52 reads as 2^52 + 1023 + k.
    let two_52: f64 = 4503599627370496.0;
    let k = L::from_words(offset.shift_right::<52>() | L::Words::splat(two_52.to_bits())) - L::splat(two_52 + 1023.0);
    Binary { offset, k, m }
}

/// `k ln 2 - ln c + ln(1 + r)`.
#[inline(always)]
fn ln_sum<L: Lanes>(k: L, minus_ln_c: L, r: L) -> L {
    let r_squared = r * r;
    let rest = r_squared.mul_add(polynomial(r, r_squared, &LN), k * L::splat(LN_2_LOW));
    k.mul_add(L::splat(LN_2_HIGH), minus_ln_c) + (r + rest)
}

/// Natural logarithm. At most 1.5 units in the last place; minus infinity at 0 and at subnormal arguments, NaN below.
#[inline(always)]
pub fn ln<L: Lanes>(x: L) -> L {
    let Binary { offset, k, m } = split(x);
    let index = offset.shift_right::<48>();
    let r = m.mul_add(L::lookup(&RECIPROCAL, index), L::splat(-1.0));
    let value = ln_sum(k, L::lookup(&MINUS_LN_RECIPROCAL, index), r);
    at_edges(x.ge(L::splat(f64::MIN_POSITIVE)), x, value, x)
}

/// `ln(1 + x)`, accurate also for small `x`. At most 2 units in the last place; minus infinity at -1, NaN below.
#[inline(always)]
pub fn ln_1p<L: Lanes>(x: L) -> L {
    let one = L::splat(1.0);
    let sum = one + x;
    // What the sum lost (Knuth's two-sum).
    let back = sum - one;
    let lost = (one - (sum - back)) + (x - back);
    let Binary { offset, k, m } = split(sum);
    let index = offset.shift_right::<48>();
    let c = L::lookup(&RECIPROCAL, index);
    // 2^(1 - k), and 0 for the largest k.
    let twice_inverse = L::from_words(L::Words::splat(EXPONENT_BITS) - (offset & L::Words::splat(EXPONENT_BITS)));
    let r = lost.mul_add(c * L::splat(0.5) * twice_inverse, m.mul_add(c, L::splat(-1.0)));
    let value = ln_sum(k, L::lookup(&MINUS_LN_RECIPROCAL, index), r);
    at_edges(sum.gt(L::splat(0.0)), sum, value, x)
}

/// `value` where `inside`; else minus infinity or, for negative arguments, NaN. Infinity and NaN return themselves.
#[inline(always)]
fn at_edges<L: Lanes>(inside: L::Mask, argument: L, value: L, itself: L) -> L {
    let zero = L::splat(0.0);
    let outside = L::select(argument.lt(zero), L::splat(f64::NAN), L::splat(f64::NEG_INFINITY));
    let value = L::select(inside, value, outside);
    L::select(argument.le(L::splat(f64::MAX)), value, itself)
}

/// Where the short series of [`pow_m1`] hold.
const POW_MAX: f64 = 0.125;

/// `p` in `ln(1 + u) = u + u^2 p(u)` for `|u| <= POW_MAX`; minimax, relative error of the logarithm 2e-14.
const LN_1P_SHORT: [f64; 10] = [
    -0.5000000000001573,
    0.3333333333347948,
    -0.2499999994973631,
    0.19999999841267024,
    -0.1666669234446472,
    0.1428576387529459,
    -0.12495415523711375,
    0.11104669597537998,
    -0.10332853308282389,
    0.09461048684065566,
];

/// `p` in `e^x - 1 = x + x^2 p(x)` for `|x| <= POW_MAX`; minimax, relative error 3e-15.
const EXP_M1_SHORT: [f64; 7] = [
    0.4999999999999997,
    0.16666666666781676,
    0.04166666666707755,
    0.008333332744502749,
    0.001388888779513841,
    0.00019848806418988607,
    2.481127800845808e-5,
];

/// `(1 + u)^power - 1` for `u > -1`, to 1e-13 of itself where `|power ln(1 + u)|` is below 1: the trade in a weighted pool.
///
/// Most trades are small parts of a pool, and most weights near 1/2: then two short series serve. A lane's value does not depend on
/// what is in the others.
#[inline(always)]
pub fn pow_m1<V: Vector>(u: V, power: V) -> V {
    let bound = V::splat(POW_MAX);
    let log = (u * u).mul_add(horner(u, &LN_1P_SHORT), u) * power;
    let short = (log * log).mul_add(horner(log, &EXP_M1_SHORT), log);
    let is_short = u.abs().le(bound) & log.abs().le(bound);
    if V::bitmask(is_short) == 0xff {
        return short;
    }
    V::select(is_short, short, exp_m1(ln_1p(u) * power))
}

/// `x^y = e^(y ln x)` for `x > 0`. The relative error grows as `|y ln x|` units in the last place: for cold use.
#[inline(always)]
pub fn pow<L: Lanes>(x: L, y: L) -> L {
    exp(y * ln(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Backend;
    use crate::simd::Kernel;
    use crate::simd::LANES;
    use crate::simd::dispatch;

    struct Power([f64; LANES], [f64; LANES]);

    impl Kernel for Power {
        type Output = [f64; LANES];

        #[inline(always)]
        fn run<V: Vector>(self) -> [f64; LANES] {
            pow_m1(V::load(&self.0), V::load(&self.1)).to_array()
        }
    }

    #[test]
    fn powers_of_trades_hold_over_all_weights() {
        for backend in Backend::available() {
            for weight in [0.01, 0.1, 0.3, 0.45, 0.499, 0.5, 0.51, 0.7, 0.9, 0.99] {
                let power = -(weight / (1.0 - weight));
                for size in [1e-9, 1e-4, 0.01, 0.0312, 0.124, 0.126, 0.4, 3.0] {
                    let u = std::array::from_fn(|lane| size * [1.0, -0.3, 0.5, -0.2, 0.7, -0.1, 0.9, 0.05][lane]);
                    for (found, u) in dispatch(backend, Power(u, [power; LANES])).iter().zip(u) {
                        let expected = (u.ln_1p() * power).exp_m1();
                        let error = (found - expected).abs() / expected.abs();
                        // Where the power is far from 1, the exponent's rounding grows with it.
                        let exponent = (u.ln_1p() * power).abs().max(1.0);
                        assert!(error <= 1e-13 * exponent, "{backend}, weight {weight}, {u}: {found}, not {expected}");
                    }
                }
            }
        }
    }
}
