//! The flow's chance over a step, put together from that of the shorter steps that it is made of.
//!
//! Paths of long and of short steps are then paths of one chance, each with the law that it has on draws of its own, and the nearer to
//! each other the better the long step takes up what moves within it. Two things are free there, and are chosen for that:
//!
//! ```text
//! own normal      Z = sum_j w_j Z_j / sqrt(sum_j w_j^2),   w_j = exp(h_j - h_0)     h_j: log-volatility after the j-th shorter step
//! log-volatility  h_m, m = r/2 + 1: in the middle of h_1 to h_r; the step leaves h_r behind
//! ```
//!
//! Given all volatilities `Z` is standard normal and independent from step to step, whatever the weights; and the h_m of successive
//! steps have the law of the h_r, since log-volatility is stationary from a path's or an entrant's start on. Where that start is
//! known it is not, and m = r. Equal weights and m = r would do too, but leave up to five times the variance of the difference.
//!
//! # Not modelled
//! - Weights for the common factor: one that all slots share cannot follow the volatility of each.
//! - The decay of volatility within a step in its weights, and its cap.

use crate::model::kernel::BehaviourChunk;
use crate::model::kernel::GROUP_CHUNKS;
use crate::model::kernel::ROWS;
use crate::model::kernel::Row;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::SlotSingles;
use crate::rng::SLOT_NORMALS;
use crate::simd::Singles;
use crate::simd::Vector;
use crate::simd::single;

/// Constants of a step of `draws` shorter ones.
#[derive(Clone, Debug)]
pub(super) struct Refinement {
    pub(super) draws: u32,
    /// Shorter steps after which the step's volatility is taken.
    middle: u32,
    /// Persistence of both parts of its log until then.
    persistence: [f64; 2],
    /// What their weighted normals until then move them by.
    innovation: [f64; 2],
    /// Weights of both parts' normals in each shorter step: they sum to standard normals over all.
    weights: Vec<[f32; 2]>,
    /// By which a normal of each part moves the base-2 log of volatility in a shorter step.
    log2_moves: [f32; 2],
}

impl Refinement {
    /// For log-volatility whose parts have a `persistence` over so many shorter steps, and move by `innovation` over all `draws`.
    pub(super) fn new(draws: u32, persistence: impl Fn(u32) -> [f64; 2], innovation: [f64; 2]) -> Self {
        let weights = weights(draws, persistence(1), persistence(draws));
        let moves = |part: usize| innovation[part] * weights[draws as usize - 1][part] * std::f64::consts::LOG2_E;
        let (middle, narrow) = (draws / 2 + 1, |values: [f64; 2]| values.map(|value| value as f32));
        let after = persistence(draws - middle);
        Self {
            draws,
            middle,
            persistence: persistence(middle),
            innovation: [0, 1].map(|part| innovation[part] / after[part]),
            log2_moves: narrow([0, 1].map(moves)),
            weights: weights.into_iter().map(narrow).collect(),
        }
    }

    /// The same with the volatility at the end, by its persistence and innovation over the step.
    pub(super) fn at_end(self, persistence: [f64; 2], innovation: [f64; 2]) -> Self {
        Self { middle: self.draws, persistence, innovation, ..self }
    }
}

/// Weights under which standard normals of `draws` shorter steps sum to those by which log-volatility moves over all: they fade with
/// age. Persistences are over a shorter step and over all.
fn weights(draws: u32, shorter: [f64; 2], whole: [f64; 2]) -> Vec<[f64; 2]> {
    let last = [0, 1].map(|i| ((1.0 - shorter[i] * shorter[i]) / (1.0 - whole[i] * whole[i])).sqrt());
    let mut weights = vec![last; draws as usize];
    for number in (1..weights.len()).rev() {
        let [fast, slow] = weights[number];
        weights[number - 1] = [shorter[0] * fast, shorter[1] * slow];
    }
    weights
}

/// Sums over the shorter steps of a step.
#[derive(Clone, Debug)]
pub(super) struct RefinedBuffers {
    /// Of weighted normals, as [`crate::model::kernel::FlowBuffers`] keeps those of a step.
    sums: [[Row; 2]; ROWS],
    /// Of squared weights of the own normals.
    squares: SlotSingles,
    /// Base-2 log of volatility against the step's opening.
    moved: SlotSingles,
    /// Log-volatility of the step.
    volatility: SlotSingles,
}

impl Default for RefinedBuffers {
    fn default() -> Self {
        let zero = SlotSingles::zero();
        Self { sums: [[[0.0; 2 * CHUNK_SLOTS]; 2]; ROWS], squares: zero.clone(), moved: zero.clone(), volatility: zero }
    }
}

impl RefinedBuffers {
    #[inline(always)]
    pub(super) fn clear(&mut self, groups: usize) {
        self.sums[..SLOT_NORMALS * groups].fill([[0.0; 2 * CHUNK_SLOTS]; 2]);
        self.squares.0[..2 * groups].fill([0.0; 2 * CHUNK_SLOTS]);
        self.moved.0[..2 * groups].fill([0.0; 2 * CHUNK_SLOTS]);
    }

    /// Adds the `normals` of the shorter step `number`, and takes the step's volatility where it is the one after which it does.
    #[inline(always)]
    pub(super) fn add<V: Vector>(
        &mut self,
        refinement: &Refinement,
        number: u32,
        normals: &[[Row; 2]; ROWS],
        behaviour: &[BehaviourChunk],
    ) {
        let weights = &refinement.weights[number as usize];
        for group in 0..behaviour.len() / GROUP_CHUNKS {
            self.add_group::<V>(refinement, weights, group, normals);
        }
        if number + 1 == refinement.middle {
            self.take_volatility::<V>(refinement, behaviour);
        }
    }

    #[inline(always)]
    fn add_group<V: Vector>(
        &mut self,
        refinement: &Refinement,
        weights: &[f32; 2],
        group: usize,
        normals: &[[Row; 2]; ROWS],
    ) {
        let splat = V::Singles::splat;
        let rows = SLOT_NORMALS * group..SLOT_NORMALS * (group + 1);
        let ([own, fast, slow], [sum, fast_sum, slow_sum]) = (&normals[rows.clone()], &mut self.sums[rows]) else {
            return;
        };
        for half in 0..2 {
            let (squares, moved) = (&mut self.squares.0[2 * group + half], &mut self.moved.0[2 * group + half]);
            let (fast, slow) = (V::load_singles(&fast[half]), V::load_singles(&slow[half]));
            let log2 = splat(refinement.log2_moves[0]).mul_add(fast, V::load_singles(moved));
            let log2 = splat(refinement.log2_moves[1]).mul_add(slow, log2);
            let weight = single::exp2(log2);
            V::store_singles(log2, moved);
            V::store_singles(weight.mul_add(V::load_singles(&own[half]), V::load_singles(&sum[half])), &mut sum[half]);
            V::store_singles(weight.mul_add(weight, V::load_singles(squares)), squares);
            let fast_sum = &mut fast_sum[half];
            V::store_singles(splat(weights[0]).mul_add(fast, V::load_singles(fast_sum)), fast_sum);
            let slow_sum = &mut slow_sum[half];
            V::store_singles(splat(weights[1]).mul_add(slow, V::load_singles(slow_sum)), slow_sum);
        }
    }

    /// Log-volatility in the middle of the step, from that at its opening.
    #[inline(always)]
    fn take_volatility<V: Vector>(&mut self, refinement: &Refinement, behaviour: &[BehaviourChunk]) {
        for (i, chunks) in behaviour.as_chunks::<2>().0.iter().enumerate() {
            let rows = &self.sums[SLOT_NORMALS * (i / 2)..SLOT_NORMALS * (i / 2) + SLOT_NORMALS];
            let at = |chunk: usize, part: usize| {
                let sums: &[[f32; CHUNK_SLOTS]] = rows[1 + part][i % 2].as_chunks().0;
                let innovation = V::splat(refinement.innovation[part]) * V::load_wide(&sums[chunk]);
                V::splat(refinement.persistence[part]).mul_add(V::load(&chunks[chunk].log_volatility[part]), innovation)
            };
            V::store_singles(V::narrow(at(0, 0) + at(0, 1), at(1, 0) + at(1, 1)), &mut self.volatility.0[i]);
        }
    }

    /// Leaves the normals of the step in `normals`.
    #[inline(always)]
    pub(super) fn close(&self, groups: usize, normals: &mut [[Row; 2]; ROWS]) {
        normals[..SLOT_NORMALS * groups].copy_from_slice(&self.sums[..SLOT_NORMALS * groups]);
        for (own, squares) in normals.chunks_mut(SLOT_NORMALS).zip(self.squares.0.as_chunks::<2>().0).take(groups) {
            for (normal, square) in own[0].as_flattened_mut().iter_mut().zip(squares.as_flattened()) {
                *normal /= square.sqrt();
            }
        }
    }

    /// Log-volatility of the step, sixteen slots to a row.
    #[inline(always)]
    pub(super) fn volatility(&self) -> &SlotSingles {
        &self.volatility
    }
}
