//! Vectors of one AVX-512 register.
//!
//! SAFETY of every block here: the types are private to `simd` and only [`run`] hands them to a kernel, so each
//! operation executes on a machine whose instruction set [`dispatch`](crate::simd::dispatch) has checked. Loads and
//! stores go through references to arrays of the register's size, with instructions that need no alignment.
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::ops::Add;
use std::ops::BitAnd;
use std::ops::BitOr;
use std::ops::BitXor;
use std::ops::Div;
use std::ops::Mul;
use std::ops::Neg;
use std::ops::Sub;

use crate::simd::backend::Kernel;
use crate::simd::lanes::LANES;
use crate::simd::lanes::Lanes;
use crate::simd::lanes::Singles;
use crate::simd::lanes::Vector;
use crate::simd::lanes::Words;

/// Eight f64 lanes.
#[derive(Clone, Copy)]
pub struct Doubles(__m512d);

/// Eight words of 64 bits.
#[derive(Clone, Copy)]
pub struct DoubleWords(__m512i);

/// Sixteen f32 lanes.
#[derive(Clone, Copy)]
pub struct Floats(__m512);

/// Sixteen words of 32 bits.
#[derive(Clone, Copy)]
pub struct FloatWords(__m512i);

/// Runs `kernel` with the instruction set enabled.
///
/// # Safety
///
/// The machine has AVX2, FMA and AVX-512 F, DQ, VL and BW.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")]
pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Doubles>()
}

macro_rules! binary {
    ($type:ident: $($operator:ident $method:ident $intrinsic:ident),*) => {$(
        impl $operator for $type {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    )*};
}

binary!(Doubles: Add add _mm512_add_pd, Sub sub _mm512_sub_pd, Mul mul _mm512_mul_pd, Div div _mm512_div_pd);
binary!(DoubleWords: Add add _mm512_add_epi64, Sub sub _mm512_sub_epi64);
binary!(DoubleWords: BitAnd bitand _mm512_and_si512, BitOr bitor _mm512_or_si512, BitXor bitxor _mm512_xor_si512);
binary!(Floats: Add add _mm512_add_ps, Sub sub _mm512_sub_ps, Mul mul _mm512_mul_ps);
binary!(FloatWords: Add add _mm512_add_epi32, Sub sub _mm512_sub_epi32);
binary!(FloatWords: BitAnd bitand _mm512_and_si512, BitOr bitor _mm512_or_si512, BitXor bitxor _mm512_xor_si512);

macro_rules! words {
    ($type:ident, $word:ty, $splat:ident, $left:ident, $right:ident) => {
        impl Words for $type {
            type Word = $word;

            #[inline(always)]
            fn splat(word: $word) -> Self {
                Self(unsafe { $splat(word.cast_signed()) })
            }

            #[inline(always)]
            fn shift_left<const BITS: u32>(self) -> Self {
                Self(unsafe { $left::<BITS>(self.0) })
            }

            #[inline(always)]
            fn shift_right<const BITS: u32>(self) -> Self {
                Self(unsafe { $right::<BITS>(self.0) })
            }
        }
    };
}

words!(DoubleWords, u64, _mm512_set1_epi64, _mm512_slli_epi64, _mm512_srli_epi64);
words!(FloatWords, u32, _mm512_set1_epi32, _mm512_slli_epi32, _mm512_srli_epi32);

impl Neg for Doubles {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self(unsafe { _mm512_xor_pd(self.0, _mm512_set1_pd(-0.0)) })
    }
}

impl Lanes for Doubles {
    type Mask = __mmask8;
    type Words = DoubleWords;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self(unsafe { _mm512_set1_pd(value) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm512_fmadd_pd(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm512_sqrt_pd(self.0) })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(unsafe { _mm512_abs_pd(self.0) })
    }

    #[inline(always)]
    fn lt(self, other: Self) -> __mmask8 {
        unsafe { _mm512_cmp_pd_mask::<_CMP_LT_OQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn le(self, other: Self) -> __mmask8 {
        unsafe { _mm512_cmp_pd_mask::<_CMP_LE_OQ>(self.0, other.0) }
    }

    #[inline(always)]
    fn select(mask: __mmask8, if_true: Self, if_false: Self) -> Self {
        Self(unsafe { _mm512_mask_blend_pd(mask, if_false.0, if_true.0) })
    }

    // The instruction is the comparison and selection that the trait defines.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_pd(self.0, other.0) })
    }

    #[inline(always)]
    fn to_words(self) -> DoubleWords {
        DoubleWords(unsafe { _mm512_castpd_si512(self.0) })
    }

    #[inline(always)]
    fn from_words(words: DoubleWords) -> Self {
        Self(unsafe { _mm512_castsi512_pd(words.0) })
    }

    #[inline(always)]
    fn multiply_low(left: DoubleWords, right: DoubleWords) -> DoubleWords {
        DoubleWords(unsafe { _mm512_mul_epu32(left.0, right.0) })
    }

    #[inline(always)]
    fn swap_halves(words: DoubleWords) -> DoubleWords {
        DoubleWords(unsafe { _mm512_shuffle_epi32::<0b10_11_00_01>(words.0) })
    }

    #[inline(always)]
    fn lookup(table: &[f64; 16], index: DoubleWords) -> Self {
        let table = table.as_ptr();
        Self(unsafe { _mm512_permutex2var_pd(_mm512_loadu_pd(table), index.0, _mm512_loadu_pd(table.add(LANES))) })
    }
}

impl Singles for Floats {
    type Words = FloatWords;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(unsafe { _mm512_sqrt_ps(self.0) })
    }

    #[inline(always)]
    fn from_integers(words: FloatWords) -> Self {
        Self(unsafe { _mm512_cvtepi32_ps(words.0) })
    }

    #[inline(always)]
    fn to_words(self) -> FloatWords {
        FloatWords(unsafe { _mm512_castps_si512(self.0) })
    }

    #[inline(always)]
    fn from_words(words: FloatWords) -> Self {
        Self(unsafe { _mm512_castsi512_ps(words.0) })
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(words: FloatWords) -> FloatWords {
        FloatWords(unsafe { _mm512_srai_epi32::<BITS>(words.0) })
    }

    #[inline(always)]
    fn select_bit<const BIT: u32>(words: FloatWords, if_set: Self, if_clear: Self) -> Self {
        Self(unsafe {
            let set = _mm512_test_epi32_mask(words.0, _mm512_set1_epi32(1 << BIT));
            _mm512_mask_blend_ps(set, if_clear.0, if_set.0)
        })
    }
}

impl Vector for Doubles {
    type Singles = Floats;

    #[inline(always)]
    fn load(from: &[f64; LANES]) -> Self {
        Self(unsafe { _mm512_loadu_pd(from.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        unsafe { _mm512_storeu_pd(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_words(from: &[u64; LANES]) -> DoubleWords {
        DoubleWords(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store_words(words: DoubleWords, to: &mut [u64; LANES]) {
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), words.0) }
    }

    #[inline(always)]
    fn bitmask(mask: __mmask8) -> u8 {
        mask
    }

    #[inline(always)]
    fn low_halves(first: DoubleWords, second: DoubleWords) -> FloatWords {
        FloatWords(unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            _mm512_permutex2var_epi32(first.0, even, second.0)
        })
    }

    #[inline(always)]
    fn load_half_words(from: &[u32; 2 * LANES]) -> FloatWords {
        FloatWords(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store_half_words(words: FloatWords, to: &mut [u32; 2 * LANES]) {
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), words.0) }
    }

    #[inline(always)]
    fn load_singles(from: &[f32; 2 * LANES]) -> Floats {
        Floats(unsafe { _mm512_loadu_ps(from.as_ptr()) })
    }

    #[inline(always)]
    fn load_single_pair(first: &[f32; LANES], second: &[f32; LANES]) -> Floats {
        Floats(unsafe {
            let low = _mm512_castps256_ps512(_mm256_loadu_ps(first.as_ptr()));
            _mm512_insertf32x8::<1>(low, _mm256_loadu_ps(second.as_ptr()))
        })
    }

    #[inline(always)]
    fn store_singles(singles: Floats, to: &mut [f32; 2 * LANES]) {
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), singles.0) }
    }

    #[inline(always)]
    fn narrow(first: Self, second: Self) -> Floats {
        Floats(unsafe {
            let low = _mm512_castps256_ps512(_mm512_cvtpd_ps(first.0));
            _mm512_insertf32x8::<1>(low, _mm512_cvtpd_ps(second.0))
        })
    }

    #[inline(always)]
    fn load_wide(from: &[f32; LANES]) -> Self {
        Self(unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(from.as_ptr())) })
    }
}
