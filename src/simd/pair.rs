//! Two values side by side, operation by operation: independent chains that keep the arithmetic ports busy.
//!
//! A chain of dependent operations waits four cycles at each; a machine that issues two a cycle needs eight such chains at
//! hand. Pairs of pairs of vectors put four of them next to each other in the program, at the same depth.

use std::ops::Add;
use std::ops::BitAnd;
use std::ops::BitOr;
use std::ops::BitXor;
use std::ops::Mul;
use std::ops::Sub;

use crate::simd::lanes::Singles;
use crate::simd::lanes::Words;

/// Two values.
#[derive(Clone, Copy, Debug)]
pub struct Pair<T>(pub T, pub T);

macro_rules! binary {
    ($($operator:ident $method:ident),*) => {$(
        impl<T: $operator<Output = T>> $operator for Pair<T> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0.$method(other.0), self.1.$method(other.1))
            }
        }
    )*};
}

binary!(Add add, Sub sub, Mul mul, BitAnd bitand, BitOr bitor, BitXor bitxor);

impl<W: Words<Word: Copy>> Words for Pair<W> {
    type Word = W::Word;

    #[inline(always)]
    fn splat(word: W::Word) -> Self {
        Self(W::splat(word), W::splat(word))
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self) -> Self {
        Self(self.0.shift_left::<BITS>(), self.1.shift_left::<BITS>())
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self) -> Self {
        Self(self.0.shift_right::<BITS>(), self.1.shift_right::<BITS>())
    }
}

impl<S: Singles> Singles for Pair<S> {
    type Words = Pair<S::Words>;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(S::splat(value), S::splat(value))
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(self.0.mul_add(factor.0, addend.0), self.1.mul_add(factor.1, addend.1))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.sqrt(), self.1.sqrt())
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0), self.1.min(other.1))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0), self.1.max(other.1))
    }

    #[inline(always)]
    fn from_integers(words: Self::Words) -> Self {
        Self(S::from_integers(words.0), S::from_integers(words.1))
    }

    #[inline(always)]
    fn shift_right_signed<const BITS: u32>(words: Self::Words) -> Self::Words {
        Pair(S::shift_right_signed::<BITS>(words.0), S::shift_right_signed::<BITS>(words.1))
    }

    #[inline(always)]
    fn to_words(self) -> Self::Words {
        Pair(self.0.to_words(), self.1.to_words())
    }

    #[inline(always)]
    fn from_words(words: Self::Words) -> Self {
        Self(S::from_words(words.0), S::from_words(words.1))
    }

    #[inline(always)]
    fn select_bit<const BIT: u32>(words: Self::Words, if_set: Self, if_clear: Self) -> Self {
        Self(S::select_bit::<BIT>(words.0, if_set.0, if_clear.0), S::select_bit::<BIT>(words.1, if_set.1, if_clear.1))
    }
}
