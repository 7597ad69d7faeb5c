//! One lane: the scalar twin that rare events use, and the definition that the vectors are tested against.

use std::num::Wrapping;

use crate::simd::lanes::Lanes;
use crate::simd::lanes::Singles;
use crate::simd::lanes::Words;

macro_rules! words {
    ($word:ty) => {
        impl Words for Wrapping<$word> {
            type Word = $word;

            #[inline(always)]
            fn splat(word: $word) -> Self {
                Self(word)
            }

            #[inline(always)]
            fn shift_left<const BITS: u32>(self) -> Self {
                Self(self.0 << BITS)
            }

            #[inline(always)]
            fn shift_right<const BITS: u32>(self) -> Self {
                Self(self.0 >> BITS)
            }
        }
    };
}

words!(u64);
words!(u32);

impl Lanes for f64 {
    type Mask = bool;
    type Words = Wrapping<u64>;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        f64::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn lt(self, other: Self) -> bool {
        self < other
    }

    #[inline(always)]
    fn le(self, other: Self) -> bool {
        self <= other
    }

    #[inline(always)]
    fn select(mask: bool, if_true: Self, if_false: Self) -> Self {
        if mask { if_true } else { if_false }
    }

    #[inline(always)]
    fn to_words(self) -> Wrapping<u64> {
        Wrapping(self.to_bits())
    }

    #[inline(always)]
    fn from_words(words: Wrapping<u64>) -> Self {
        f64::from_bits(words.0)
    }

    #[inline(always)]
    fn multiply_low(left: Wrapping<u64>, right: Wrapping<u64>) -> Wrapping<u64> {
        Wrapping((left.0 & 0xffff_ffff) * (right.0 & 0xffff_ffff))
    }

    #[inline(always)]
    fn swap_halves(words: Wrapping<u64>) -> Wrapping<u64> {
        Wrapping(words.0.rotate_left(32))
    }

    #[inline(always)]
    fn lookup(table: &[f64; 16], index: Wrapping<u64>) -> Self {
        table[(index.0 & 15) as usize]
    }
}

impl Singles for f32 {
    type Words = Wrapping<u32>;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        f32::mul_add(self, factor, addend)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn from_integers(words: Wrapping<u32>) -> Self {
        words.0.cast_signed() as f32
    }

    #[inline(always)]
    fn to_words(self) -> Wrapping<u32> {
        Wrapping(self.to_bits())
    }

    #[inline(always)]
    fn from_words(words: Wrapping<u32>) -> Self {
        f32::from_bits(words.0)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(words: Wrapping<u32>) -> Wrapping<u32> {
        Wrapping((words.0.cast_signed() >> BITS).cast_unsigned())
    }

    #[inline(always)]
    fn select_bit<const BIT: u32>(words: Wrapping<u32>, if_set: Self, if_clear: Self) -> Self {
        if words.0 >> BIT & 1 == 1 { if_set } else { if_clear }
    }
}
