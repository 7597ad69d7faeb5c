//! What a step says of the slots that books hold, side by side: one board for all books of the same holdings.

use crate::engine::path::PathState;
use crate::engine::plan::locate;
use crate::engine::recorder::StepView;
use crate::portfolio::pool_copy;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::Lanes8;
use crate::simd::Vector;

/// The slots of some holdings after a step, in the order of the holdings.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    slots: Vec<usize>,
    /// Eight holdings each; lanes behind the last are of no slot.
    pub chunks: Vec<BoardChunk>,
}

/// Eight slots, fields side by side.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoardChunk {
    /// Pool reserve (alpha).
    pub reserve_alpha: Lanes8,
    /// Pool reserve (TAO).
    pub reserve_tao: Lanes8,
    /// Pool weight of TAO.
    pub weight_tao: Lanes8,
    /// Staked alpha at the step's opening.
    pub staked_alpha: Lanes8,
    /// Alpha paid to validators and their stakers.
    pub validator_alpha: Lanes8,
    /// Factor on the dividend of a holder's validator.
    pub factor: Lanes8,
    /// `e^f - 1` of the step's organic flow.
    growth: Lanes8,
    /// Spot price (TAO per alpha).
    pub price: Lanes8,
    /// 1 over the staked alpha; infinite where nothing is staked.
    pub inverse_staked: Lanes8,
    /// Part of what sets a copy apart that the step's liquidity leaves.
    pub kept: Lanes8,
    /// Power of that in a copy's price, the inverse pool weight of alpha, less 2.
    pub rest: Lanes8,
    /// Whether all of them are near 0: [`pool_copy::are_near_equal`].
    pub are_near_equal: bool,
}

impl BoardChunk {
    /// Of no slot.
    const EMPTY: Self = Self {
        reserve_alpha: [1.0; CHUNK_SLOTS],
        reserve_tao: [1.0; CHUNK_SLOTS],
        weight_tao: [0.5; CHUNK_SLOTS],
        staked_alpha: [0.0; CHUNK_SLOTS],
        validator_alpha: [0.0; CHUNK_SLOTS],
        factor: [1.0; CHUNK_SLOTS],
        growth: [0.0; CHUNK_SLOTS],
        price: [1.0; CHUNK_SLOTS],
        inverse_staked: [f64::INFINITY; CHUNK_SLOTS],
        kept: [1.0; CHUNK_SLOTS],
        rest: [0.0; CHUNK_SLOTS],
        are_near_equal: true,
    };

    /// Prices from reserves, as [`crate::protocol::slots::ChainChunk::price`], and what a dividend is shared by: of all books once.
    #[inline(always)]
    pub fn set_prices<V: Vector>(&mut self) {
        (V::splat(1.0) / V::load(&self.staked_alpha)).store(&mut self.inverse_staked);
        let weight = V::load(&self.weight_tao);
        let price = ((V::splat(1.0) - weight) * V::load(&self.reserve_tao)) / (weight * V::load(&self.reserve_alpha));
        price.store(&mut self.price);
    }

    /// What dilutes copies. `closing_tao`: TAO in the pools when the last step closed; then that of now.
    #[inline(always)]
    pub fn set_dilution<V: Vector>(&mut self, closing_tao: &mut Lanes8) {
        let (reserve_tao, weight_tao) = (V::load(&self.reserve_tao), V::load(&self.weight_tao));
        let (before, growth) = (V::load(closing_tao), V::load(&self.growth));
        let [kept, rest] = pool_copy::dilution(before, growth, reserve_tao, weight_tao);
        kept.store(&mut self.kept);
        rest.store(&mut self.rest);
        self.are_near_equal = pool_copy::are_near_equal(rest);
        reserve_tao.store(closing_tao);
    }
}

impl Board {
    /// Of holdings in `slots`.
    pub fn new(slots: Vec<usize>) -> Self {
        Self { chunks: vec![BoardChunk::EMPTY; slots.len().div_ceil(CHUNK_SLOTS)], slots }
    }

    /// Where the holdings are.
    pub fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Notes what a step brought; `growth`: `e^f - 1` of the organic flow in a slot.
    pub fn note(&mut self, view: &StepView<'_>, growth: impl Fn(usize) -> f64) {
        let buffers = view.buffers;
        self.set(view.path, |chunk, lane, slot| {
            chunk.staked_alpha[lane] = buffers.staked_open.get(slot);
            chunk.validator_alpha[lane] = buffers.validator_alpha.get(slot);
            chunk.growth[lane] = growth(slot);
        });
    }

    /// Notes the pools again, after orders in them.
    pub fn note_pools(&mut self, path: &PathState) {
        self.set(path, |_, _, _| ());
    }

    /// Notes the pools and what `set` does with a chunk, its lane and the slot.
    #[inline]
    fn set(&mut self, path: &PathState, set: impl Fn(&mut BoardChunk, usize, usize)) {
        for (chunk, slots) in self.chunks.iter_mut().zip(self.slots.chunks(CHUNK_SLOTS)) {
            for (lane, &slot) in slots.iter().enumerate() {
                let (from, at) = locate(slot);
                let Some(chain) = path.chain.get(from) else { continue };
                chunk.reserve_alpha[lane] = chain.reserve_alpha[at];
                chunk.reserve_tao[lane] = chain.reserve_tao[at];
                chunk.weight_tao[lane] = chain.weight_tao[at];
                set(chunk, lane, slot);
            }
        }
    }

    /// Notes the factors of validators; `factors`: by slot.
    pub fn note_factors(&mut self, factors: &[f64]) {
        for (chunk, slots) in self.chunks.iter_mut().zip(self.slots.chunks(CHUNK_SLOTS)) {
            slots.iter().zip(&mut chunk.factor).for_each(|(&slot, factor)| *factor = factors[slot]);
        }
    }
}
