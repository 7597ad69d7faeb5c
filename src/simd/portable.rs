//! Vectors as arrays of the scalar twin, for machines without one of the instruction sets.

use std::array;
use std::num::Wrapping;
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

/// Lanes in memory.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Array<T, const N: usize>([T; N]);

/// Eight f64 lanes.
pub type Doubles = Array<f64, LANES>;

impl<T: Copy, const N: usize> Array<T, N> {
    #[inline(always)]
    fn map<U>(self, f: impl Fn(T) -> U) -> Array<U, N> {
        Array(self.0.map(f))
    }

    #[inline(always)]
    fn zip<S: Copy, U>(self, other: Array<S, N>, f: impl Fn(T, S) -> U) -> Array<U, N> {
        Array(array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn zip3<S: Copy, R: Copy, U>(self, b: Array<S, N>, c: Array<R, N>, f: impl Fn(T, S, R) -> U) -> Array<U, N> {
        Array(array::from_fn(|i| f(self.0[i], b.0[i], c.0[i])))
    }
}

macro_rules! binary {
    ($($operator:ident $method:ident),*) => {$(
        impl<T: Copy + $operator<Output = T>, const N: usize> $operator for Array<T, N> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, T::$method)
            }
        }
    )*};
}

binary!(Add add, Sub sub, Mul mul, Div div, BitAnd bitand, BitOr bitor, BitXor bitxor);

impl<T: Copy + Neg<Output = T>, const N: usize> Neg for Array<T, N> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        self.map(T::neg)
    }
}

impl<T: Copy + Not<Output = T>, const N: usize> Not for Array<T, N> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        self.map(T::not)
    }
}

impl<T: Words, const N: usize> Words for Array<T, N> {
    type Word = T::Word;

    #[inline(always)]
    fn splat(word: T::Word) -> Self {
        Self([T::splat(word); N])
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self) -> Self {
        self.map(T::shift_left::<BITS>)
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self) -> Self {
        self.map(T::shift_right::<BITS>)
    }
}

impl Lanes for Doubles {
    type Mask = Array<bool, LANES>;
    type Words = Array<Wrapping<u64>, LANES>;

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self.zip3(factor, addend, f64::mul_add)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f64::sqrt)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f64::abs)
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Self::Mask {
        self.zip(other, <f64 as Lanes>::lt)
    }

    #[inline(always)]
    fn le(self, other: Self) -> Self::Mask {
        self.zip(other, <f64 as Lanes>::le)
    }

    #[inline(always)]
    fn select(mask: Self::Mask, if_true: Self, if_false: Self) -> Self {
        mask.zip3(if_true, if_false, f64::select)
    }

    #[inline(always)]
    fn to_words(self) -> Self::Words {
        self.map(f64::to_words)
    }

    #[inline(always)]
    fn from_words(words: Self::Words) -> Self {
        words.map(f64::from_words)
    }

    #[inline(always)]
    fn multiply_low(left: Self::Words, right: Self::Words) -> Self::Words {
        left.zip(right, f64::multiply_low)
    }

    #[inline(always)]
    fn swap_halves(words: Self::Words) -> Self::Words {
        words.map(f64::swap_halves)
    }

    #[inline(always)]
    fn lookup(table: &[f64; 16], index: Self::Words) -> Self {
        index.map(|i| f64::lookup(table, i))
    }
}

impl Singles for Array<f32, 16> {
    type Words = Array<Wrapping<u32>, 16>;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 16])
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self.zip3(factor, addend, f32::mul_add)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }

    #[inline(always)]
    fn from_integers(words: Self::Words) -> Self {
        words.map(f32::from_integers)
    }

    #[inline(always)]
    fn to_words(self) -> Self::Words {
        self.map(f32::to_words)
    }

    #[inline(always)]
    fn from_words(words: Self::Words) -> Self {
        words.map(f32::from_words)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, <f32 as Singles>::min)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, <f32 as Singles>::max)
    }

    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(words: Self::Words) -> Self::Words {
        words.map(f32::shift_right_signed::<BITS>)
    }

    #[inline(always)]
    fn select_bit<const BIT: u32>(words: Self::Words, if_set: Self, if_clear: Self) -> Self {
        words.zip3(if_set, if_clear, f32::select_bit::<BIT>)
    }
}

impl Vector for Doubles {
    type Singles = Array<f32, 16>;

    #[inline(always)]
    fn load(from: &[f64; LANES]) -> Self {
        Self(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f64; LANES]) {
        *to = self.0;
    }

    #[inline(always)]
    fn load_words(from: &[u64; LANES]) -> Self::Words {
        Array(from.map(Wrapping))
    }

    #[inline(always)]
    fn store_words(words: Self::Words, to: &mut [u64; LANES]) {
        *to = words.0.map(|word| word.0);
    }

    #[inline(always)]
    fn bitmask(mask: Self::Mask) -> u8 {
        mask.0.iter().enumerate().fold(0, |bits, (lane, &set)| bits | (u8::from(set) << lane))
    }

    #[inline(always)]
    fn low_halves(first: Self::Words, second: Self::Words) -> Array<Wrapping<u32>, 16> {
        let low = |word: Wrapping<u64>| Wrapping(word.0 as u32);
        Array(array::from_fn(|i| low(if i < LANES { first.0[i] } else { second.0[i - LANES] })))
    }

    #[inline(always)]
    fn load_half_words(from: &[u32; 16]) -> Array<Wrapping<u32>, 16> {
        Array(from.map(Wrapping))
    }

    #[inline(always)]
    fn store_half_words(words: Array<Wrapping<u32>, 16>, to: &mut [u32; 16]) {
        *to = words.0.map(|word| word.0);
    }

    #[inline(always)]
    fn load_singles(from: &[f32; 16]) -> Self::Singles {
        Array(*from)
    }

    #[inline(always)]
    fn load_single_pair(first: &[f32; LANES], second: &[f32; LANES]) -> Self::Singles {
        Array(array::from_fn(|i| if i < LANES { first[i] } else { second[i - LANES] }))
    }

    #[inline(always)]
    fn store_singles(singles: Self::Singles, to: &mut [f32; 16]) {
        *to = singles.0;
    }

    #[inline(always)]
    fn narrow(first: Self, second: Self) -> Self::Singles {
        Array(array::from_fn(|i| if i < LANES { first.0[i] as f32 } else { second.0[i - LANES] as f32 }))
    }

    #[inline(always)]
    fn load_wide(from: &[f32; LANES]) -> Self {
        Array(from.map(f64::from))
    }
}
