//! The operations a kernel may use: lanes of f64, their words and masks, and the f32 lanes behind the normals.

use std::ops::Add;
use std::ops::BitAnd;
use std::ops::BitOr;
use std::ops::BitXor;
use std::ops::Div;
use std::ops::Mul;
use std::ops::Neg;
use std::ops::Not;
use std::ops::Sub;

/// Lanes of a vector, on every backend.
pub const LANES: usize = 8;

/// One truth value per lane.
pub trait Mask: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {}

impl<M: Copy + BitAnd<Output = M> + BitOr<Output = M> + Not<Output = M>> Mask for M {}

/// One unsigned integer per lane; arithmetic wraps.
pub trait Words:
    Copy
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
{
    /// The integer of one lane: `u64` or `u32`.
    type Word;

    /// `word` in every lane.
    fn splat(word: Self::Word) -> Self;

    /// Shifts towards the high end by `BITS`, fewer than a word has.
    fn shift_left<const BITS: u32>(self) -> Self;

    /// Shifts towards the low end by `BITS`, fewer than a word has; zeros enter.
    fn shift_right<const BITS: u32>(self) -> Self;
}

/// One or eight lanes of f64. All operations are exactly rounded (IEEE 754, to nearest even).
pub trait Lanes:
    Copy
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// What comparisons give.
    type Mask: Mask;

    /// The bits of the lanes, one `u64` each.
    type Words: Words<Word = u64>;

    /// `value` in every lane.
    fn splat(value: f64) -> Self;

    /// `self * factor + addend`, rounded once on every backend.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// Square root; NaN for negative lanes.
    fn sqrt(self) -> Self;

    /// Clears the sign.
    fn abs(self) -> Self;

    /// `self < other`; false where either is NaN, as are the other comparisons.
    fn lt(self, other: Self) -> Self::Mask;

    /// `self <= other`.
    fn le(self, other: Self) -> Self::Mask;

    /// `self > other`.
    #[inline(always)]
    fn gt(self, other: Self) -> Self::Mask {
        other.lt(self)
    }

    /// `self >= other`.
    #[inline(always)]
    fn ge(self, other: Self) -> Self::Mask {
        other.le(self)
    }

    /// `if_true` in the lanes of `mask`, `if_false` in the others.
    fn select(mask: Self::Mask, if_true: Self, if_false: Self) -> Self;

    /// `if self < other { self } else { other }`: where either is NaN the result is `other`.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::select(self.lt(other), self, other)
    }

    /// `if self > other { self } else { other }`: where either is NaN the result is `other`.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(self.gt(other), self, other)
    }

    /// The bits of the lanes.
    fn to_words(self) -> Self::Words;

    /// The lanes with these bits.
    fn from_words(words: Self::Words) -> Self;

    /// Products of the low halves: 32 x 32 to 64 bits.
    fn multiply_low(left: Self::Words, right: Self::Words) -> Self::Words;

    /// Low and high half of each word exchanged: a shuffle, which is on another port than shifts and products.
    fn swap_halves(words: Self::Words) -> Self::Words;

    /// `table[index mod 16]` in each lane.
    fn lookup(table: &[f64; 16], index: Self::Words) -> Self;
}

/// f32 lanes, only what chance needs: one lane in the scalar twin, sixteen beside a [`Vector`].
pub trait Singles: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    /// The bits of the lanes, one `u32` each.
    type Words: Words<Word = u32>;

    /// `value` in every lane.
    fn splat(value: f32) -> Self;

    /// `self * factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// Square root.
    fn sqrt(self) -> Self;

    /// `if self < other { self } else { other }`.
    fn min(self, other: Self) -> Self;

    /// `if self > other { self } else { other }`.
    fn max(self, other: Self) -> Self;

    /// The words as signed integers, rounded to f32.
    fn from_integers(words: Self::Words) -> Self;

    /// Shifts words towards the low end by `BITS`; copies of the sign enter.
    fn shift_right_signed<const BITS: u32>(words: Self::Words) -> Self::Words;

    /// The bits of the lanes.
    fn to_words(self) -> Self::Words;

    /// The lanes with these bits.
    fn from_words(words: Self::Words) -> Self;

    /// `if_set` in the lanes whose word has the bit `BIT`, `if_clear` in the others.
    fn select_bit<const BIT: u32>(words: Self::Words, if_set: Self, if_clear: Self) -> Self;
}

/// Exactly eight lanes of f64: one chunk of slots.
pub trait Vector: Lanes {
    /// Sixteen lanes of f32: two chunks of slots.
    type Singles: Singles;

    /// Reads eight lanes.
    fn load(from: &[f64; LANES]) -> Self;

    /// Writes eight lanes.
    fn store(self, to: &mut [f64; LANES]);

    /// The lanes as words, from an array.
    fn load_words(from: &[u64; LANES]) -> Self::Words;

    /// The words as an array.
    fn store_words(words: Self::Words, to: &mut [u64; LANES]);

    /// Bit `i` is lane `i` of the mask.
    fn bitmask(mask: Self::Mask) -> u8;

    /// Low halves of the words of `first`, then of `second`.
    fn low_halves(first: Self::Words, second: Self::Words) -> <Self::Singles as Singles>::Words;

    /// Sixteen words of 32 bits from an array.
    fn load_half_words(from: &[u32; 2 * LANES]) -> <Self::Singles as Singles>::Words;

    /// Sixteen words of 32 bits, as an array.
    fn store_half_words(words: <Self::Singles as Singles>::Words, to: &mut [u32; 2 * LANES]);

    /// Reads sixteen f32 lanes.
    fn load_singles(from: &[f32; 2 * LANES]) -> Self::Singles;

    /// Reads eight f32 lanes, then eight from elsewhere.
    fn load_single_pair(first: &[f32; LANES], second: &[f32; LANES]) -> Self::Singles;

    /// Writes sixteen f32 lanes.
    fn store_singles(singles: Self::Singles, to: &mut [f32; 2 * LANES]);

    /// The lanes of `first`, then of `second`, rounded to f32.
    fn narrow(first: Self, second: Self) -> Self::Singles;

    /// Reads eight f32 lanes, widened exactly.
    fn load_wide(from: &[f32; LANES]) -> Self;

    /// A vector from an array.
    #[inline(always)]
    fn from_array(array: [f64; LANES]) -> Self {
        Self::load(&array)
    }

    /// The lanes as an array.
    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        let mut array = [0.0; LANES];
        self.store(&mut array);
        array
    }

    /// Sum of the lanes as a halving tree: `((0+4)+(2+6)) + ((1+5)+(3+7))`.
    #[inline(always)]
    fn sum_halving(self) -> f64 {
        let a = self.to_array();
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }
}
