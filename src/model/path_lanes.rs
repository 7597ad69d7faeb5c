//! Lanes that stand for paths: one path by itself, or eight side by side.

use std::num::Wrapping;

use crate::rng;
use crate::simd::LANES;
use crate::simd::Lanes;
use crate::simd::Vector;

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
        let (first, second) = rng::box_muller::<V::Singles>(V::low_halves(x0, x2), V::low_halves(x1, x3));
        let [mut firsts, mut seconds] = [[0.0; 2 * LANES]; 2];
        V::store_singles(first, &mut firsts);
        V::store_singles(second, &mut seconds);
        let (firsts, seconds): (&[[f32; LANES]], &[[f32; LANES]]) = (firsts.as_chunks().0, seconds.as_chunks().0);
        [V::load_wide(&firsts[0]), V::load_wide(&seconds[0]), V::load_wide(&firsts[1])]
    }
}
