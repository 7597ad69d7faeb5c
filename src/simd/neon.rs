//! Vectors of four NEON registers.
//!
//! SAFETY of every block here: NEON belongs to the base instruction set of aarch64, so each operation executes
//! wherever this file is compiled. Loads and stores go through references to arrays of the registers' size.
#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::ops::Add;
use std::ops::BitAnd;
use std::ops::BitOr;
use std::ops::BitXor;
use std::ops::Div;
use std::ops::Mul;
use std::ops::Neg;
use std::ops::Not;
use std::ops::Sub;

use crate::simd::lanes::LANES;
use crate::simd::lanes::Lanes;
use crate::simd::lanes::Singles;
use crate::simd::lanes::Vector;
use crate::simd::lanes::Words;

/// Eight f64 lanes.
#[derive(Clone, Copy)]
pub struct Doubles([float64x2_t; 4]);

/// Eight words of 64 bits; as a mask, all bits of a word or none.
#[derive(Clone, Copy)]
pub struct DoubleWords([uint64x2_t; 4]);

/// Sixteen f32 lanes.
#[derive(Clone, Copy)]
pub struct Floats([float32x4_t; 4]);

/// Sixteen words of 32 bits.
#[derive(Clone, Copy)]
pub struct FloatWords([uint32x4_t; 4]);

/// An intrinsic on each register.
macro_rules! each {
    ($intrinsic:ident($($argument:expr),*)) => {
        unsafe {
            [
                $intrinsic($($argument.0[0]),*),
                $intrinsic($($argument.0[1]),*),
                $intrinsic($($argument.0[2]),*),
                $intrinsic($($argument.0[3]),*),
            ]
        }
    };
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

binary!(Doubles: Add add vaddq_f64, Sub sub vsubq_f64, Mul mul vmulq_f64, Div div vdivq_f64);
binary!(DoubleWords: Add add vaddq_u64, Sub sub vsubq_u64);
binary!(DoubleWords: BitAnd bitand vandq_u64, BitOr bitor vorrq_u64, BitXor bitxor veorq_u64);
binary!(Floats: Add add vaddq_f32, Sub sub vsubq_f32, Mul mul vmulq_f32);
binary!(FloatWords: Add add vaddq_u32, Sub sub vsubq_u32);
binary!(FloatWords: BitAnd bitand vandq_u32, BitOr bitor vorrq_u32, BitXor bitxor veorq_u32);

// One instruction shifts by a count per lane, to the right where it is negative.
macro_rules! words {
    ($type:ident, $word:ty, $splat:ident, $shift:ident, $counts:ident, $count:ty, $vector:ident) => {
        impl Words for $type {
            type Word = $word;

            #[inline(always)]
            fn splat(word: $word) -> Self {
                Self([unsafe { $splat(word) }; 4])
            }

            #[inline(always)]
            fn shift_left<const BITS: u32>(self) -> Self {
                let counts = $vector([unsafe { $counts(BITS as $count) }; 4]);
                Self(each!($shift(self, counts)))
            }

            #[inline(always)]
            fn shift_right<const BITS: u32>(self) -> Self {
                let counts = $vector([unsafe { $counts(-(BITS as $count)) }; 4]);
                Self(each!($shift(self, counts)))
            }
        }
    };
}

struct DoubleCounts([int64x2_t; 4]);
struct FloatCounts([int32x4_t; 4]);

words!(DoubleWords, u64, vdupq_n_u64, vshlq_u64, vdupq_n_s64, i64, DoubleCounts);
words!(FloatWords, u32, vdupq_n_u32, vshlq_u32, vdupq_n_s32, i32, FloatCounts);

impl Neg for Doubles {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self(each!(vnegq_f64(self)))
    }
}

impl Not for DoubleWords {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        self ^ Self::splat(u64::MAX)
    }
}

impl Lanes for Doubles {
    type Mask = DoubleWords;
    type Words = DoubleWords;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([unsafe { vdupq_n_f64(value) }; 4])
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(each!(vfmaq_f64(addend, self, factor)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(each!(vsqrtq_f64(self)))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self(each!(vabsq_f64(self)))
    }

    #[inline(always)]
    fn lt(self, other: Self) -> DoubleWords {
        DoubleWords(each!(vcltq_f64(self, other)))
    }

    #[inline(always)]
    fn le(self, other: Self) -> DoubleWords {
        DoubleWords(each!(vcleq_f64(self, other)))
    }

    #[inline(always)]
    fn select(mask: DoubleWords, if_true: Self, if_false: Self) -> Self {
        Self(each!(vbslq_f64(mask, if_true, if_false)))
    }

    #[inline(always)]
    fn to_words(self) -> DoubleWords {
        DoubleWords(each!(vreinterpretq_u64_f64(self)))
    }

    #[inline(always)]
    fn from_words(words: DoubleWords) -> Self {
        Self(each!(vreinterpretq_f64_u64(words)))
    }

    #[inline(always)]
    fn multiply_low(left: DoubleWords, right: DoubleWords) -> DoubleWords {
        let left = Halves(each!(vmovn_u64(left)));
        let right = Halves(each!(vmovn_u64(right)));
        DoubleWords(each!(vmull_u32(left, right)))
    }

    #[inline(always)]
    fn swap_halves(words: DoubleWords) -> DoubleWords {
        let singles = FloatWords(each!(vreinterpretq_u32_u64(words)));
        let swapped = FloatWords(each!(vrev64q_u32(singles)));
        DoubleWords(each!(vreinterpretq_u64_u32(swapped)))
    }

    #[inline(always)]
    fn lookup(table: &[f64; 16], index: DoubleWords) -> Self {
        let mut indices = [0; LANES];
        Self::store_words(index, &mut indices);
        Self::load(&indices.map(|i| table[(i & 15) as usize]))
    }
}

/// Low halves of the words of a vector.
struct Halves([uint32x2_t; 4]);

impl Singles for Floats {
    type Words = FloatWords;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([unsafe { vdupq_n_f32(value) }; 4])
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(each!(vfmaq_f32(addend, self, factor)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(each!(vsqrtq_f32(self)))
    }

    #[inline(always)]
    fn from_integers(words: FloatWords) -> Self {
        let signed = FloatCounts(each!(vreinterpretq_s32_u32(words)));
        Self(each!(vcvtq_f32_s32(signed)))
    }

    #[inline(always)]
    fn to_words(self) -> FloatWords {
        FloatWords(each!(vreinterpretq_u32_f32(self)))
    }

    #[inline(always)]
    fn from_words(words: FloatWords) -> Self {
        Self(each!(vreinterpretq_f32_u32(words)))
    }

    // A comparison and a selection: the instructions `fmin` and `fmax` treat NaN otherwise.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        let less = FloatWords(each!(vcltq_f32(self, other)));
        Self(each!(vbslq_f32(less, self, other)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        let greater = FloatWords(each!(vcgtq_f32(self, other)));
        Self(each!(vbslq_f32(greater, self, other)))
    }

    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(words: FloatWords) -> FloatWords {
        let by = -BITS.cast_signed();
        FloatWords(words.0.map(|register| unsafe {
            vreinterpretq_u32_s32(vshlq_s32(vreinterpretq_s32_u32(register), vdupq_n_s32(by)))
        }))
    }

    #[inline(always)]
    fn select_bit<const BIT: u32>(words: FloatWords, if_set: Self, if_clear: Self) -> Self {
        let bit = FloatWords::splat(1 << BIT);
        let set = FloatWords(each!(vtstq_u32(words, bit)));
        Self(each!(vbslq_f32(set, if_set, if_clear)))
    }
}

impl Vector for Doubles {
    type Singles = Floats;

    #[inline(always)]
    fn load(from: &[f64; LANES]) -> Self {
        let from = from.as_ptr();
        Self([0, 2, 4, 6].map(|i| unsafe { vld1q_f64(from.add(i)) }))
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        for (register, pair) in self.0.into_iter().zip(to.as_chunks_mut::<2>().0) {
            unsafe { vst1q_f64(pair.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    fn load_words(from: &[u64; LANES]) -> DoubleWords {
        let from = from.as_ptr();
        DoubleWords([0, 2, 4, 6].map(|i| unsafe { vld1q_u64(from.add(i)) }))
    }

    #[inline(always)]
    fn store_words(words: DoubleWords, to: &mut [u64; LANES]) {
        for (register, pair) in words.0.into_iter().zip(to.as_chunks_mut::<2>().0) {
            unsafe { vst1q_u64(pair.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    fn bitmask(mask: DoubleWords) -> u8 {
        let mut words = [0; LANES];
        Self::store_words(mask, &mut words);
        words.iter().enumerate().fold(0, |bits, (lane, &word)| bits | ((word & 1) as u8) << lane)
    }

    #[inline(always)]
    fn low_halves(first: DoubleWords, second: DoubleWords) -> FloatWords {
        let pack = |a, b| unsafe { vuzp1q_u32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b)) };
        let ([a, b, c, d], [e, f, g, h]) = (first.0, second.0);
        FloatWords([pack(a, b), pack(c, d), pack(e, f), pack(g, h)])
    }

    #[inline(always)]
    fn load_half_words(from: &[u32; 2 * LANES]) -> FloatWords {
        let from = from.as_ptr();
        FloatWords([0, 4, 8, 12].map(|i| unsafe { vld1q_u32(from.add(i)) }))
    }

    #[inline(always)]
    fn store_half_words(words: FloatWords, to: &mut [u32; 2 * LANES]) {
        for (register, four) in words.0.into_iter().zip(to.as_chunks_mut::<4>().0) {
            unsafe { vst1q_u32(four.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    fn load_singles(from: &[f32; 2 * LANES]) -> Floats {
        let from = from.as_ptr();
        Floats([0, 4, 8, 12].map(|i| unsafe { vld1q_f32(from.add(i)) }))
    }

    #[inline(always)]
    fn load_single_pair(first: &[f32; LANES], second: &[f32; LANES]) -> Floats {
        let (first, second) = (first.as_ptr(), second.as_ptr());
        Floats(unsafe { [vld1q_f32(first), vld1q_f32(first.add(4)), vld1q_f32(second), vld1q_f32(second.add(4))] })
    }

    #[inline(always)]
    fn store_singles(singles: Floats, to: &mut [f32; 2 * LANES]) {
        for (register, four) in singles.0.into_iter().zip(to.as_chunks_mut::<4>().0) {
            unsafe { vst1q_f32(four.as_mut_ptr(), register) }
        }
    }

    #[inline(always)]
    fn narrow(first: Self, second: Self) -> Floats {
        let pack = |a, b| unsafe { vcombine_f32(vcvt_f32_f64(a), vcvt_f32_f64(b)) };
        let ([a, b, c, d], [e, f, g, h]) = (first.0, second.0);
        Floats([pack(a, b), pack(c, d), pack(e, f), pack(g, h)])
    }

    #[inline(always)]
    fn load_wide(from: &[f32; LANES]) -> Self {
        let from = from.as_ptr();
        Self([0, 2, 4, 6].map(|i| unsafe { vcvt_f64_f32(vld1_f32(from.add(i))) }))
    }
}
