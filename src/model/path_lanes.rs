//! Lanes that stand for paths: one path by itself, or eight side by side.

use std::num::Wrapping;

use crate::rng;
use crate::rng::SlotWords;
use crate::simd::LANES;
use crate::simd::Lanes;
use crate::simd::Vector;
use crate::simd::Words;

/// Lanes whose every lane is a path of its own; its bits do not depend on what stands in the others.
pub trait PathLanes: Lanes {
    /// Lanes from the first values.
    fn gather(values: &[f64; LANES]) -> Self;

    /// Words from the first values.
    fn gather_words(values: &[u64; LANES]) -> Self::Words;

    /// The lanes as the first values; the others are 0.
    fn scatter(self) -> [f64; LANES];

    /// Bit `i` is lane `i` of the mask.
    fn bits(mask: Self::Mask) -> u8;

    /// The first three of [`rng::normals4`] of the low halves of each lane's words.
    fn normals(words: [Self::Words; 4]) -> [Self; 3];

    /// Whether any lane is set.
    #[inline(always)]
    fn any(mask: Self::Mask) -> bool {
        Self::bits(mask) != 0
    }
}

impl PathLanes for f64 {
    #[inline(always)]
    fn gather(values: &[f64; LANES]) -> Self {
        values[0]
    }

    #[inline(always)]
    fn gather_words(values: &[u64; LANES]) -> Wrapping<u64> {
        Wrapping(values[0])
    }

    #[inline(always)]
    fn scatter(self) -> [f64; LANES] {
        let mut values = [0.0; LANES];
        values[0] = self;
        values
    }

    #[inline(always)]
    fn bits(mask: bool) -> u8 {
        u8::from(mask)
    }

    #[inline(always)]
    fn normals(words: [Wrapping<u64>; 4]) -> [f64; 3] {
        let [a, b, c, _] = rng::normals4(words.map(|word| word.0 as u32));
        [a, b, c]
    }
}

impl<V: Vector> PathLanes for V {
    #[inline(always)]
    fn gather(values: &[f64; LANES]) -> Self {
        V::load(values)
    }

    #[inline(always)]
    fn gather_words(values: &[u64; LANES]) -> V::Words {
        V::load_words(values)
    }

    #[inline(always)]
    fn scatter(self) -> [f64; LANES] {
        self.to_array()
    }

    #[inline(always)]
    fn bits(mask: V::Mask) -> u8 {
        V::bitmask(mask)
    }

    #[inline(always)]
    fn normals([x0, x1, x2, x3]: [V::Words; 4]) -> [V; 3] {
        rng::slot_normals::<V>(&SlotWords { radii: pair::<V>(x0, x2), angles: pair::<V>(x1, x3) })
    }
}

/// Low halves of both, side by side as [`SlotWords`] has them.
#[inline(always)]
fn pair<V: Vector>(first: V::Words, second: V::Words) -> V::Words {
    let low = V::Words::splat(u64::from(u32::MAX));
    (first & low) | (V::swap_halves(second) & V::Words::splat(!u64::from(u32::MAX)))
}
