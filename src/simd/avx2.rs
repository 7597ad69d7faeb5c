//! Vectors of two AVX2 registers.
//!
//! SAFETY of every block here: the types are private to `simd` and only [`run`] hands them to a kernel, so each
//! operation executes on a machine whose instruction set [`dispatch`](crate::simd::dispatch) has checked. Loads and
//! stores go through references to arrays of the registers' size, with instructions that need no alignment.
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::ops::Add;
use std::ops::BitAnd;
use std::ops::BitOr;
use std::ops::BitXor;
use std::ops::Div;
use std::ops::Mul;
use std::ops::Neg;
use std::ops::Not;
use std::ops::Sub;

use crate::simd::backend::Kernel;
use crate::simd::lanes::LANES;
use crate::simd::lanes::Lanes;
use crate::simd::lanes::Singles;
use crate::simd::lanes::Vector;
use crate::simd::lanes::Words;

/// Eight f64 lanes.
#[derive(Clone, Copy)]
pub struct Doubles([__m256d; 2]);

/// Eight truth values: all bits of a lane or none.
#[derive(Clone, Copy)]
pub struct DoubleMask([__m256d; 2]);

/// Eight words of 64 bits.
#[derive(Clone, Copy)]
pub struct DoubleWords([__m256i; 2]);

/// Sixteen f32 lanes.
#[derive(Clone, Copy)]
pub struct Floats([__m256; 2]);

/// Sixteen words of 32 bits.
#[derive(Clone, Copy)]
pub struct FloatWords([__m256i; 2]);

/// Runs `kernel` with the instruction set enabled.
///
/// # Safety
///
/// The machine has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Doubles>()
}

/// An intrinsic on each register.
macro_rules! each {
    ($intrinsic:ident($($argument:expr),*)) => {
        unsafe { [$intrinsic($($argument.0[0]),*), $intrinsic($($argument.0[1]),*)] }
    };
    ($intrinsic:ident::<$option:ident>($($argument:expr),*)) => {
        unsafe { [$intrinsic::<$option>($($argument.0[0]),*), $intrinsic::<$option>($($argument.0[1]),*)] }
    };
}

/// The same value in each register.
macro_rules! both {
    ($register:expr) => {{
        let register = unsafe { $register };
        [register, register]
    }};
}

macro_rules! binary {
    ($type:ident: $($operator:ident $method:ident $intrinsic:ident),*) => {$(
        impl $operator for $type {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(each!($intrinsic(self, other)))
            }
        }
    )*};
}

binary!(Doubles: Add add _mm256_add_pd, Sub sub _mm256_sub_pd, Mul mul _mm256_mul_pd, Div div _mm256_div_pd);
binary!(DoubleMask: BitAnd bitand _mm256_and_pd, BitOr bitor _mm256_or_pd, BitXor bitxor _mm256_xor_pd);
binary!(DoubleWords: Add add _mm256_add_epi64, Sub sub _mm256_sub_epi64);
binary!(DoubleWords: BitAnd bitand _mm256_and_si256, BitOr bitor _mm256_or_si256, BitXor bitxor _mm256_xor_si256);
binary!(Floats: Add add _mm256_add_ps, Sub sub _mm256_sub_ps, Mul mul _mm256_mul_ps);
binary!(FloatWords: Add add _mm256_add_epi32, Sub sub _mm256_sub_epi32);
binary!(FloatWords: BitAnd bitand _mm256_and_si256, BitOr bitor _mm256_or_si256, BitXor bitxor _mm256_xor_si256);

// Shift counts come as registers, since the immediate forms take `i32`; the compiler folds them into immediates.
macro_rules! words {
    ($type:ident, $word:ty, $splat:ident, $left:ident, $right:ident) => {
        impl Words for $type {
            type Word = $word;

            #[inline(always)]
            fn splat(word: $word) -> Self {
                Self(both!($splat(word.cast_signed())))
            }

            #[inline(always)]
            fn shift_left<const BITS: u32>(self) -> Self {
                let count = unsafe { _mm_cvtsi32_si128(BITS.cast_signed()) };
                Self(unsafe { [$left(self.0[0], count), $left(self.0[1], count)] })
            }

            #[inline(always)]
            fn shift_right<const BITS: u32>(self) -> Self {
                let count = unsafe { _mm_cvtsi32_si128(BITS.cast_signed()) };
                Self(unsafe { [$right(self.0[0], count), $right(self.0[1], count)] })
            }
        }
    };
}

words!(DoubleWords, u64, _mm256_set1_epi64x, _mm256_sll_epi64, _mm256_srl_epi64);
words!(FloatWords, u32, _mm256_set1_epi32, _mm256_sll_epi32, _mm256_srl_epi32);

impl Neg for Doubles {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        let sign = Self::splat(-0.0);
        Self(each!(_mm256_xor_pd(self, sign)))
    }
}

impl Not for DoubleMask {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        self ^ Self(both!(_mm256_castsi256_pd(_mm256_set1_epi64x(-1))))
    }
}

impl Lanes for Doubles {
    type Mask = DoubleMask;
    type Words = DoubleWords;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self(both!(_mm256_set1_pd(value)))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(each!(_mm256_fmadd_pd(self, factor, addend)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(each!(_mm256_sqrt_pd(self)))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        let sign = Self::splat(-0.0);
        Self(each!(_mm256_andnot_pd(sign, self)))
    }

    #[inline(always)]
    fn lt(self, other: Self) -> DoubleMask {
        DoubleMask(each!(_mm256_cmp_pd::<_CMP_LT_OQ>(self, other)))
    }

    #[inline(always)]
    fn le(self, other: Self) -> DoubleMask {
        DoubleMask(each!(_mm256_cmp_pd::<_CMP_LE_OQ>(self, other)))
    }

    #[inline(always)]
    fn select(mask: DoubleMask, if_true: Self, if_false: Self) -> Self {
        Self(each!(_mm256_blendv_pd(if_false, if_true, mask)))
    }

    // The instruction is the comparison and selection that the trait defines.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(each!(_mm256_min_pd(self, other)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(each!(_mm256_max_pd(self, other)))
    }

    #[inline(always)]
    fn to_words(self) -> DoubleWords {
        DoubleWords(each!(_mm256_castpd_si256(self)))
    }

    #[inline(always)]
    fn from_words(words: DoubleWords) -> Self {
        Self(each!(_mm256_castsi256_pd(words)))
    }

    #[inline(always)]
    fn multiply_low(left: DoubleWords, right: DoubleWords) -> DoubleWords {
        DoubleWords(each!(_mm256_mul_epu32(left, right)))
    }

    #[inline(always)]
    fn swap_halves(words: DoubleWords) -> DoubleWords {
        DoubleWords(unsafe {
            [_mm256_shuffle_epi32::<0b10_11_00_01>(words.0[0]), _mm256_shuffle_epi32::<0b10_11_00_01>(words.0[1])]
        })
    }

    #[inline(always)]
    fn lookup(table: &[f64; 16], index: DoubleWords) -> Self {
        let index = index & DoubleWords::splat(15);
        let table = table.as_ptr();
        // The masked index stays inside the table.
        Self(unsafe { [_mm256_i64gather_pd::<8>(table, index.0[0]), _mm256_i64gather_pd::<8>(table, index.0[1])] })
    }
}

impl Singles for Floats {
    type Words = FloatWords;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(both!(_mm256_set1_ps(value)))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(each!(_mm256_fmadd_ps(self, factor, addend)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(each!(_mm256_sqrt_ps(self)))
    }

    #[inline(always)]
    fn from_integers(words: FloatWords) -> Self {
        Self(each!(_mm256_cvtepi32_ps(words)))
    }

    #[inline(always)]
    fn to_words(self) -> FloatWords {
        FloatWords(each!(_mm256_castps_si256(self)))
    }

    #[inline(always)]
    fn from_words(words: FloatWords) -> Self {
        Self(each!(_mm256_castsi256_ps(words)))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(each!(_mm256_min_ps(self, other)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(each!(_mm256_max_ps(self, other)))
    }

    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(words: FloatWords) -> FloatWords {
        let shift = |register| unsafe { _mm256_sra_epi32(register, _mm_cvtsi32_si128(BITS.cast_signed())) };
        FloatWords(words.0.map(shift))
    }

    #[inline(always)]
    fn select_bit<const BIT: u32>(words: FloatWords, if_set: Self, if_clear: Self) -> Self {
        // The blend reads the highest bit.
        let shift = |register| unsafe { _mm256_sll_epi32(register, _mm_cvtsi32_si128((31 - BIT).cast_signed())) };
        let highest = Self::from_words(FloatWords(words.0.map(shift)));
        Self(each!(_mm256_blendv_ps(if_clear, if_set, highest)))
    }
}

impl Vector for Doubles {
    type Singles = Floats;

    #[inline(always)]
    fn load(from: &[f64; LANES]) -> Self {
        let from = from.as_ptr();
        Self(unsafe { [_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4))] })
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        let to = to.as_mut_ptr();
        unsafe {
            _mm256_storeu_pd(to, self.0[0]);
            _mm256_storeu_pd(to.add(4), self.0[1]);
        }
    }

    #[inline(always)]
    fn load_words(from: &[u64; LANES]) -> DoubleWords {
        let from = from.as_ptr();
        DoubleWords(unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(4).cast())] })
    }

    #[inline(always)]
    fn store_words(words: DoubleWords, to: &mut [u64; LANES]) {
        let to = to.as_mut_ptr();
        unsafe {
            _mm256_storeu_si256(to.cast(), words.0[0]);
            _mm256_storeu_si256(to.add(4).cast(), words.0[1]);
        }
    }

    #[inline(always)]
    fn bitmask(mask: DoubleMask) -> u8 {
        let [low, high] = each!(_mm256_movemask_pd(mask));
        (low | (high << 4)) as u8
    }

    #[inline(always)]
    fn low_halves(first: DoubleWords, second: DoubleWords) -> FloatWords {
        let pack = |[low, high]: [__m256i; 2]| unsafe {
            let [low, high] = [_mm256_castsi256_ps(low), _mm256_castsi256_ps(high)];
            let mixed = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(low, high));
            _mm256_castpd_si256(_mm256_permute4x64_pd::<0b11_01_10_00>(mixed))
        };
        FloatWords([pack(first.0), pack(second.0)])
    }

    #[inline(always)]
    fn load_half_words(from: &[u32; 2 * LANES]) -> FloatWords {
        let from = from.as_ptr();
        FloatWords(unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())] })
    }

    #[inline(always)]
    fn store_half_words(words: FloatWords, to: &mut [u32; 2 * LANES]) {
        let to = to.as_mut_ptr();
        unsafe {
            _mm256_storeu_si256(to.cast(), words.0[0]);
            _mm256_storeu_si256(to.add(8).cast(), words.0[1]);
        }
    }

    #[inline(always)]
    fn load_singles(from: &[f32; 2 * LANES]) -> Floats {
        let from = from.as_ptr();
        Floats(unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] })
    }

    #[inline(always)]
    fn load_single_pair(first: &[f32; LANES], second: &[f32; LANES]) -> Floats {
        Floats(unsafe { [_mm256_loadu_ps(first.as_ptr()), _mm256_loadu_ps(second.as_ptr())] })
    }

    #[inline(always)]
    fn store_singles(singles: Floats, to: &mut [f32; 2 * LANES]) {
        let to = to.as_mut_ptr();
        unsafe {
            _mm256_storeu_ps(to, singles.0[0]);
            _mm256_storeu_ps(to.add(8), singles.0[1]);
        }
    }

    #[inline(always)]
    fn narrow(first: Self, second: Self) -> Floats {
        let pack = |[low, high]: [__m256d; 2]| unsafe { _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low)) };
        Floats([pack(first.0), pack(second.0)])
    }

    #[inline(always)]
    fn load_wide(from: &[f32; LANES]) -> Self {
        let from = from.as_ptr();
        Self(unsafe { [_mm256_cvtps_pd(_mm_loadu_ps(from)), _mm256_cvtps_pd(_mm_loadu_ps(from.add(4)))] })
    }
}
