//! Moving prices over K blocks, over chunks of eight slots.
//!
//! The closed form of MODEL 3.5, by a mean over the step that is tabulated by age.

use crate::protocol::moving_price_table::AgeChunk;
use crate::protocol::moving_price_table::MEAN_MOVE_MAX;
use crate::protocol::moving_price_table::MEAN_TERMS;
use crate::protocol::moving_price_table::geometric_sums;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::StepBuffers;
use crate::simd::Vector;
use crate::simd::math;

/// Largest relative move by the coinbase in the short form.
const COINBASE_MAX: f64 = 1.0 / 32.0;

/// `p` in `2 atanh z = z p(z^2)` for `2 atanh z` up to [`MEAN_MOVE_MAX`]; minimax, error 1.6e-10.
const TWICE_ATANH: [f64; 5] =
    [2.000000000320296, 0.6666664016697584, 0.4000349921818076, 0.28410582468858816, 0.25198075720882134];

/// Moving prices over K blocks (MODEL 3.5), the spot price moving evenly in logs through the step; `buffers` have a row for every
/// slot.
///
/// Returns whether every slot is sound: reserves positive, stake and moving price not negative, none NaN.
#[inline(always)]
pub fn moving_price_pass<'a, V: Vector, const EQUAL: bool>(
    chunks: &mut [ChainChunk],
    blocks: f64,
    ages: impl Fn(usize) -> &'a AgeChunk,
    buffers: &StepBuffers,
) -> bool {
    V::bitmask(tile::<V, EQUAL>(0, 0, chunks, &Limits::new(blocks), &ages, buffers)) == 0xff
}

/// A mask of all lanes.
#[inline(always)]
pub(super) fn every_lane<V: Vector>() -> V::Mask {
    V::splat(0.0).le(V::splat(0.0))
}

/// The same for chunks from `first` on, whose rows in `buffers` begin at `row`; the mask of sound lanes.
#[inline(always)]
pub(super) fn tile<'a, V: Vector, const EQUAL: bool>(
    first: usize,
    row: usize,
    chunks: &mut [ChainChunk],
    limits: &Limits,
    ages: &impl Fn(usize) -> &'a AgeChunk,
    buffers: &StepBuffers,
) -> V::Mask {
    let one = V::splat(1.0);
    let zero = V::splat(0.0);
    let mut sound = every_lane::<V>();
    for (t, chunk) in chunks.iter_mut().enumerate() {
        let age = ages(first + t);
        let x = V::load(&chunk.reserve_alpha);
        let y = V::load(&chunk.reserve_tao);
        let opening = V::load(&buffers.price_open.0[row + t]);
        let coinbase = V::load(&buffers.coinbase_ratio.0[row + t]);
        let effective = if limits.blocks == 1.0 {
            opening * coinbase
        } else {
            let before = if EQUAL { x * opening } else { x * chunk.weight_ratio::<V, EQUAL>() * opening };
            effective_price::<V>(y, before, opening, coinbase, age, limits)
        };
        let old = V::load(&chunk.moving_price);
        let gain = V::load(&age.gain) * V::load(&chunk.started);
        let new = gain.mul_add(one.min(effective) - old, old);
        new.store(&mut chunk.moving_price);
        sound = sound & y.gt(zero) & x.gt(zero) & V::load(&chunk.staked_alpha).ge(zero) & new.ge(zero);
    }
    sound
}

/// Within what the short form of the effective price holds, for steps of `blocks` blocks.
pub(super) struct Limits {
    blocks: f64,
    coinbase: f64,
}

impl Limits {
    /// The coinbase's log move over K is taken to its third order, and the power of it to its first: 1e-10 at these bounds.
    pub(super) fn new(blocks: f64) -> Self {
        let third_order = (4e-10 * blocks).sqrt().sqrt();
        Self { blocks, coinbase: COINBASE_MAX.min(1e-5 * blocks).min(third_order) }
    }
}

/// The one price that, held through the step, moves the average as the moving spot does: `p e^(c/K) M(c + u)`, where the
/// coinbase moves the price by `c` in logs, all trades by `u`, and M is the mean of [`crate::protocol::moving_price_table::AgeFactors`].
///
/// Exact to 2e-9; the closed form itself differs from the blocks by 1e-4 at most (MODEL 3.5).
#[inline(always)]
fn effective_price<V: Vector>(y: V, before: V, opening: V, coinbase: V, age: &AgeChunk, limits: &Limits) -> V {
    let one = V::splat(1.0);
    let z = (y - before) / (y + before);
    let total = z * math::horner(z * z, &TWICE_ATANH);
    let mut mean = V::load(&age.mean[MEAN_TERMS - 1]);
    for term in age.mean[..MEAN_TERMS - 1].iter().rev() {
        mean = mean.mul_add(total, V::load(term));
    }
    let mean = mean.mul_add(total, one);
    let moved = coinbase - one;
    let log = (moved * moved).mul_add(moved.mul_add(V::splat(1.0 / 3.0), V::splat(-0.5)), moved);
    let sampled = (opening * log).mul_add(V::splat(1.0 / limits.blocks), opening);
    let effective = sampled * mean;
    let inside = total.abs().le(V::splat(MEAN_MOVE_MAX)) & moved.abs().le(V::splat(limits.coinbase));
    if V::bitmask(inside) == 0xff {
        return effective;
    }
    let exact = effective_price_by_logs(opening, math::ln(coinbase), math::ln(y / before), age, limits.blocks);
    V::select(inside, effective, exact)
}

/// The same from the logs `c` and `c + u`, for moves of any size.
///
/// ```text
/// r0 = -l/K   r = (c + u - l)/K   J = (K - 1)/2   S0(r) = expm1(K r)/expm1(r)   S1(r) = (K e^(K r) - e^r S0)/expm1(r)
/// p_eff = p e^(c/K) (S0(r) + t (S1(r) - J S0(r))) / (the same at r0)
/// ```
#[inline(always)]
fn effective_price_by_logs<V: Vector>(opening: V, coinbase: V, total: V, age: &AgeChunk, blocks: f64) -> V {
    let inverse_blocks = V::splat(1.0 / blocks);
    let growth = -math::ln_1p(-V::load(&age.gain));
    let tilt = V::load(&age.tilt);
    let mean = weighted_sum(total + growth, tilt, blocks) / weighted_sum(growth, tilt, blocks);
    opening * math::exp(coinbase * inverse_blocks) * mean
}

/// `S0(r) + t (S1(r) - J S0(r))` for `K r = total`.
#[inline(always)]
fn weighted_sum<V: Vector>(total: V, tilt: V, blocks: f64) -> V {
    let rate = total * V::splat(1.0 / blocks);
    let (s0, s1) = geometric_sums::<V>(total, rate, math::exp_m1(rate), V::splat(blocks), blocks);
    tilt.mul_add(s1 - V::splat(0.5 * (blocks - 1.0)) * s0, s0)
}
