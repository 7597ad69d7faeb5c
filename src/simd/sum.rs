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
    let mut tree = [V::splat(0.0); CAPACITY / LANES];
    for (node, chunk) in tree.iter_mut().zip(chunks) {
        *node = V::load(chunk);
    }
    let mut width = tree.len() / 2;
    while width > 0 {
        for i in 0..width {
            tree[i] = tree[i] + tree[i + width];
        }
        width /= 2;
    }
    tree[0].sum_halving()
}
