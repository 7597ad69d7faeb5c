//! Normal draws: Box-Muller on f32 lanes, widened to f64.
//!
//! A block of four words gives two pairs: the top 24 bits of words 0 and 2 are radii, those of words 1 and 3 angles.
//! The radius takes `u = (n + 1) 2^-24` in (0, 1], so draws end at `sqrt(48 ln 2)`, 5.77 standard deviations; beyond lies
//! 8e-9 of the law. A fixed number of draws, unlike a ziggurat's, is what an address needs.

use std::num::Wrapping;

use crate::rng::address::Address;
use crate::rng::address::Purpose;
use crate::rng::address::key;
use crate::rng::address::words;
use crate::rng::philox::philox4x32_lanes;
use crate::simd::LANES;
use crate::simd::Singles;
use crate::simd::Vector;
use crate::simd::Words;
use crate::simd::single;

/// Draws of eight slots.
#[derive(Clone, Copy, Debug)]
pub struct SlotDraws<V: Vector> {
    /// Three independent standard normals per slot.
    pub normals: [V; 3],
    /// 32 uniform bits per slot, independent of the normals.
    pub residue: [u32; LANES],
}

/// Cosine and sine branch of Box-Muller from 32-bit words, of which the low eight bits are left unused.
#[inline(always)]
fn box_muller<S: Singles>(radius: S::Words, angle: S::Words) -> (S, S) {
    let n = radius.shift_right::<8>() + S::Words::splat(1);
    let u = S::from_integers(n) * S::splat(1.0 / 16_777_216.0);
    let radius = (single::ln(u) * S::splat(-2.0)).sqrt();
    let (sine, cosine) = single::sin_cos_turn::<S>(angle.shift_right::<8>());
    (radius * cosine, radius * sine)
}

/// Random words of eight slots, paired as Box-Muller reads them: words 0 and 2 in `radii`, 1 and 3 in `angles`, the
/// first of each in low halves.
#[derive(Clone, Copy, Debug)]
pub struct SlotWords<V: Vector> {
    /// Words 0 and 2.
    pub radii: V::Words,
    /// Words 1 and 3.
    pub angles: V::Words,
}

/// Words of the eight slots from `first_slot` on, at index 0 of `purpose`.
#[inline(always)]
pub fn slot_words<V: Vector>(seed: u64, path: u32, step: u32, purpose: Purpose, first_slot: u32) -> SlotWords<V> {
    let [path, step, slot, purpose] = Address { path, step, slot: first_slot, purpose, index: 0 }.counter();
    let splat = |word: u32| V::Words::splat(u64::from(word));
    let slots = V::load_words(&[0, 1, 2, 3, 4, 5, 6, 7]) + splat(slot);
    let [x0, x1, x2, x3] = philox4x32_lanes::<V>([splat(path), splat(step), slots, splat(purpose)], key(seed));
    SlotWords { radii: pair::<V>(x0, x2), angles: pair::<V>(x1, x3) }
}

/// Low halves of both. By a shuffle: a shift would be merged with the product before it into a slow 64-bit one.
#[inline(always)]
fn pair<V: Vector>(first: V::Words, second: V::Words) -> V::Words {
    let low = V::Words::splat(u64::from(u32::MAX));
    (first & low) | (V::swap_halves(second) & V::Words::splat(!u64::from(u32::MAX)))
}

/// Three independent standard normals per slot.
#[inline(always)]
pub fn slot_normals<V: Vector>(words: &SlotWords<V>) -> [V; 3] {
    let (cosine, sine) = box_muller::<V::Singles>(V::halves(words.radii), V::halves(words.angles));
    [V::widen_even(cosine), V::widen_even(sine), V::widen_odd(cosine)]
}

/// The bits that the normals leave of one slot's words: 32, uniform.
#[inline(always)]
pub fn residue(radii: u64, angles: u64) -> u32 {
    let [r, a] = [radii.to_le_bytes(), angles.to_le_bytes()];
    u32::from_le_bytes([r[0], a[0], r[4], a[4]])
}

/// Draws of the eight slots from `first_slot` on, at index 0 of `purpose`.
#[inline(always)]
pub fn slot_draws<V: Vector>(seed: u64, path: u32, step: u32, purpose: Purpose, first_slot: u32) -> SlotDraws<V> {
    let words = slot_words::<V>(seed, path, step, purpose, first_slot);
    let [mut radii, mut angles] = [[0; LANES]; 2];
    V::store_words(words.radii, &mut radii);
    V::store_words(words.angles, &mut angles);
    let residue = std::array::from_fn(|lane| residue(radii[lane], angles[lane]));
    SlotDraws { normals: slot_normals(&words), residue }
}

/// The draws of one slot: the scalar twin of [`slot_draws`].
#[inline(always)]
pub fn slot_draws_scalar(seed: u64, address: Address) -> ([f64; 3], u32) {
    let words = words(seed, address);
    let [a, b, c, _] = normals4(words);
    ([a, b, c], u32::from_le_bytes(words.map(|word| word as u8)))
}

/// Four independent standard normals of one block of words; the first three are those of [`slot_draws`].
#[inline(always)]
pub fn normals4(words: [u32; 4]) -> [f64; 4] {
    let [x0, x1, x2, x3] = words.map(Wrapping);
    let (a, b) = box_muller::<f32>(x0, x1);
    let (c, d) = box_muller::<f32>(x2, x3);
    [a, b, c, d].map(f64::from)
}
