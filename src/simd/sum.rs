//! Sums over the slots of one path, as one fixed tree.

use crate::simd::lanes::LANES;
use crate::simd::lanes::Vector;

/// Slots of the tree; slots that a slice does not reach count as zero.
const CAPACITY: usize = 256;

/// Sum over the slots as a halving tree over 256: `a[i] + a[i + 128]`, then `a[i] + a[i + 64]`, down to one.
///
/// The tree is the same whatever the number of slots, so padding with zeros never changes a sum (`-0.0` alone becomes
/// `0.0`), and whole vectors are added down to eight slots.
///
/// # Panics
///
/// If there are more than 256 values, or a number of them that is no multiple of eight.
#[inline(always)]
pub fn sum_slots<V: Vector>(values: &[f64]) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    assert!(rest.is_empty() && values.len() <= CAPACITY, "{} values are not whole chunks of 256 slots", values.len());
    let mut tree = [V::splat(0.0); 8];
    // Half of a path's slots, or fewer, leaves the upper half of the tree zero.
    if chunks.len() <= CAPACITY / LANES / 2 {
        for (i, sum) in tree.iter_mut().enumerate() {
            *sum = node::<V>(chunks, i) + node::<V>(chunks, i + 8);
        }
    } else {
        for (i, sum) in tree.iter_mut().enumerate() {
            let even = node::<V>(chunks, i) + node::<V>(chunks, i + 16);
            *sum = even + (node::<V>(chunks, i + 8) + node::<V>(chunks, i + 24));
        }
    }
    for width in [4, 2, 1] {
        for i in 0..width {
            tree[i] = tree[i] + tree[i + width];
        }
    }
    tree[0].sum_halving() + 0.0
}

/// A leaf of the tree: zero beyond the values.
#[inline(always)]
fn node<V: Vector>(chunks: &[[f64; LANES]], i: usize) -> V {
    if i < chunks.len() { V::load(&chunks[i]) } else { V::splat(0.0) }
}
