//! Normal draws: Box-Muller on f32 lanes.
//!
//! A block of four words gives two pairs: the top 24 bits of words 0 and 2 are radii, words 1 and 3 are directions. The
//! radius takes `u = (n + 1) 2^-24` in (0, 1], so draws end at `sqrt(48 ln 2)`, 5.77 standard deviations; beyond lies 8e-9
//! of the law. A fixed number of draws, unlike a ziggurat's, is what an address needs.
//!
//! Slots draw in groups of 32, three normals each, from three blocks of every eight: no draw is left over. The normal
//! number j of the slot `32 g + 8 c + l` comes from the block at the slot word `32 g + l` and the index j: from its pair
//! `c mod 2`, the first output where `c < 2`, else the second.

use std::num::Wrapping;

use crate::rng::address::Address;
use crate::rng::address::Purpose;
use crate::rng::address::key;
use crate::rng::address::words;
use crate::rng::philox::philox4x32_family;
use crate::simd::LANES;
use crate::simd::Singles;
use crate::simd::Vector;
use crate::simd::Words;
use crate::simd::single;

/// Slots whose normals are drawn together.
pub const GROUP_SLOTS: usize = 4 * LANES;
/// Normals of a slot and step.
pub const SLOT_NORMALS: usize = 3;

/// Sixteen words of 32 bits.
pub type HalfWords<V> = <<V as Vector>::Singles as Singles>::Words;

/// Two independent standard normals from 32-bit words; the low eight bits of `radius` are not used.
#[inline(always)]
pub fn box_muller<S: Singles>(radius: S::Words, direction: S::Words) -> (S, S) {
    let n = S::from_integers(radius.shift_right::<8>() + S::Words::splat(1));
    let radius = single::minus_two_ln_of_part(n).sqrt();
    let (cosine, sine) = single::direction::<S>(direction);
    (radius * cosine, radius * sine)
}

/// Words of one normal of 32 slots: the first pair of each block, then the second.
#[derive(Clone, Copy)]
pub struct GroupWords<V: Vector> {
    /// Words 0 and 2.
    pub radii: HalfWords<V>,
    /// Words 1 and 3.
    pub directions: HalfWords<V>,
}

/// Words of the three normals of the 32 slots from `first_slot` on.
#[inline(always)]
pub fn group_words<V: Vector>(
    seed: u64,
    path: u32,
    step: u32,
    purpose: Purpose,
    first_slot: u32,
) -> [GroupWords<V>; SLOT_NORMALS] {
    let [path, step, slot, last] = Address { path, step, slot: first_slot, purpose, index: 0 }.counter();
    let lanes = V::load_words(&[0, 1, 2, 3, 4, 5, 6, 7]) + V::Words::splat(u64::from(slot));
    let pair = |[a, b, c, d]: [V::Words; 4]| GroupWords { radii: V::low_halves(a, c), directions: V::low_halves(b, d) };
    let [first, second, third] = philox4x32_family::<V, SLOT_NORMALS>([path, step], lanes, last, key(seed));
    [pair(first), pair(second), pair(third)]
}

/// Standard normals of the first sixteen and of the last sixteen slots of a group.
#[inline(always)]
pub fn group_normals<V: Vector>(words: GroupWords<V>) -> [V::Singles; 2] {
    let (first, second) = box_muller::<V::Singles>(words.radii, words.directions);
    [first, second]
}

/// The normals of one slot: the scalar twin of [`group_normals`].
pub fn slot_normals(seed: u64, path: u32, step: u32, purpose: Purpose, slot: u32) -> [f64; SLOT_NORMALS] {
    let (chunk, lane) = (slot as usize % GROUP_SLOTS / LANES, slot % LANES as u32);
    let block_slot = slot - slot % GROUP_SLOTS as u32 + lane;
    std::array::from_fn(|index| {
        let normals = normals4(words(seed, Address { path, step, slot: block_slot, purpose, index: index as u16 }));
        normals[2 * (chunk % 2) + chunk / 2]
    })
}

/// Four independent standard normals of one block of words.
#[inline(always)]
pub fn normals4(words: [u32; 4]) -> [f64; 4] {
    let [x0, x1, x2, x3] = words.map(Wrapping);
    let (a, b) = box_muller::<f32>(x0, x1);
    let (c, d) = box_muller::<f32>(x2, x3);
    [a, b, c, d].map(f64::from)
}
