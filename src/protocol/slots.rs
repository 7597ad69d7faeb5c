//! The state of a path's slots in chunks of eight, fields side by side, and the buffers between passes.

use crate::protocol::emission;
use crate::protocol::state::SubnetState;
use crate::simd::Vector;
use crate::simd::math;
use crate::units::NetUid;
use crate::units::SLOT_CAPACITY;

/// Slots in a chunk: one vector.
pub const CHUNK_SLOTS: usize = 8;
/// Chunks of a full path.
pub const MAX_CHUNKS: usize = SLOT_CAPACITY / CHUNK_SLOTS;

/// One value for each slot of a chunk.
pub type Lanes8 = [f64; CHUNK_SLOTS];

/// One value for each slot of a path.
#[repr(C, align(64))]
#[derive(Clone, Debug)]
pub struct SlotValues(pub [Lanes8; MAX_CHUNKS]);

impl SlotValues {
    /// The same value in every slot.
    pub fn splat(value: f64) -> Self {
        Self([[value; CHUNK_SLOTS]; MAX_CHUNKS])
    }

    /// Value at `slot`.
    #[inline(always)]
    pub fn get(&self, slot: usize) -> f64 {
        self.0[slot / CHUNK_SLOTS][slot % CHUNK_SLOTS]
    }

    /// Sets the value at `slot`.
    #[inline(always)]
    pub fn set(&mut self, slot: usize, value: f64) {
        self.0[slot / CHUNK_SLOTS][slot % CHUNK_SLOTS] = value;
    }
}

/// One single-precision value for each slot of a path, in rows of two chunks.
#[repr(C, align(64))]
#[derive(Clone, Debug)]
pub struct SlotSingles(pub [[f32; 2 * CHUNK_SLOTS]; MAX_CHUNKS / 2]);

impl SlotSingles {
    /// 0 in every slot.
    pub fn zero() -> Self {
        Self([[0.0; 2 * CHUNK_SLOTS]; MAX_CHUNKS / 2])
    }

    /// The value at `slot`.
    pub fn get(&self, slot: usize) -> f32 {
        self.0.as_flattened()[slot]
    }

    /// Sets the value at `slot`.
    #[inline(always)]
    pub fn set(&mut self, slot: usize, value: f32) {
        self.0.as_flattened_mut()[slot] = value;
    }

    /// Adds to the value at `slot`.
    #[inline(always)]
    pub fn add(&mut self, slot: usize, value: f32) {
        self.0.as_flattened_mut()[slot] += value;
    }
}

/// What the chain knows of eight slots, fields side by side. Amounts in TAO and alpha tokens.
///
/// An empty slot is not started and has reserves of 1, so that no lane divides by zero.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct ChainChunk {
    /// Pool reserve (alpha).
    pub reserve_alpha: Lanes8,
    /// Pool reserve (TAO).
    pub reserve_tao: Lanes8,
    /// Pool weight of TAO.
    pub weight_tao: Lanes8,
    /// Alpha staked by wallets.
    pub staked_alpha: Lanes8,
    /// Alpha bought by the chain.
    pub protocol_alpha: Lanes8,
    /// Alpha burned in place.
    pub burned_alpha: Lanes8,
    /// Root alpha accrued and not claimed.
    pub unclaimed_root_alpha: Lanes8,
    /// Moving price (TAO per alpha).
    pub moving_price: Lanes8,
    /// Withheld part of miner emission.
    pub miner_burned: Lanes8,
    /// Alpha minted per block.
    pub alpha_emission: Lanes8,
    /// Alpha issuance at which `alpha_emission` halves next.
    pub halving_issuance: Lanes8,
    /// 1 after start_call, else 0.
    pub started: Lanes8,
    /// 1 where root has enabled TAO emission, else 0.
    pub enabled: Lanes8,
}

impl ChainChunk {
    /// Eight empty slots.
    pub fn empty() -> Self {
        Self {
            reserve_alpha: [1.0; 8],
            reserve_tao: [1.0; 8],
            weight_tao: [0.5; 8],
            staked_alpha: [0.0; 8],
            protocol_alpha: [0.0; 8],
            burned_alpha: [0.0; 8],
            unclaimed_root_alpha: [0.0; 8],
            moving_price: [0.0; 8],
            miner_burned: [0.0; 8],
            alpha_emission: [0.0; 8],
            halving_issuance: [f64::INFINITY; 8],
            started: [0.0; 8],
            enabled: [0.0; 8],
        }
    }

    /// Writes a subnet into a lane.
    pub fn set_lane(&mut self, lane: usize, subnet: &SubnetState) {
        let issuance = subnet.issuance_alpha();
        self.reserve_alpha[lane] = subnet.reserve_alpha;
        self.reserve_tao[lane] = subnet.reserve_tao;
        self.weight_tao[lane] = subnet.weight_tao;
        self.staked_alpha[lane] = subnet.staked_alpha;
        self.protocol_alpha[lane] = subnet.protocol_alpha;
        self.burned_alpha[lane] = subnet.burned_alpha;
        self.unclaimed_root_alpha[lane] = subnet.unclaimed_root_alpha;
        self.moving_price[lane] = subnet.moving_price;
        self.miner_burned[lane] = subnet.miner_burned;
        self.alpha_emission[lane] = emission::block_emission(issuance);
        self.halving_issuance[lane] = emission::next_halving(issuance);
        self.started[lane] = if subnet.is_started() { 1.0 } else { 0.0 };
        self.enabled[lane] = if subnet.emission_enabled { 1.0 } else { 0.0 };
    }

    /// What a lane knows of its subnet: all but dates and the lock.
    pub fn lane(&self, lane: usize, netuid: NetUid) -> SubnetState {
        SubnetState {
            emission_enabled: self.enabled[lane] > 0.0,
            reserve_tao: self.reserve_tao[lane],
            reserve_alpha: self.reserve_alpha[lane],
            weight_tao: self.weight_tao[lane],
            staked_alpha: self.staked_alpha[lane],
            protocol_alpha: self.protocol_alpha[lane],
            burned_alpha: self.burned_alpha[lane],
            unclaimed_root_alpha: self.unclaimed_root_alpha[lane],
            moving_price: self.moving_price[lane],
            miner_burned: self.miner_burned[lane],
            ..SubnetState::empty(netuid)
        }
    }

    /// Alpha in the pool and outside it, of one lane.
    pub fn issuance_alpha(&self, lane: usize) -> f64 {
        self.reserve_alpha[lane] + self.outstanding_alpha(lane)
    }

    /// Alpha in the pool and outside it, of all lanes.
    #[inline(always)]
    pub fn issuance<V: Vector>(&self) -> V {
        let inside = V::load(&self.staked_alpha) + V::load(&self.protocol_alpha);
        V::load(&self.reserve_alpha) + (inside + (V::load(&self.burned_alpha) + V::load(&self.unclaimed_root_alpha)))
    }

    /// `w2 / w1` of the pools; 1 where all weights are known to be `EQUAL`.
    #[inline(always)]
    pub(crate) fn weight_ratio<V: Vector, const EQUAL: bool>(&self) -> V {
        if EQUAL {
            return V::splat(1.0);
        }
        let w2 = V::load(&self.weight_tao);
        w2 / (V::splat(1.0) - w2)
    }

    /// Alpha outside the pool, of one lane.
    pub fn outstanding_alpha(&self, lane: usize) -> f64 {
        self.staked_alpha[lane] + self.protocol_alpha[lane] + self.burned_alpha[lane] + self.unclaimed_root_alpha[lane]
    }

    /// Spot prices (TAO per alpha).
    #[inline(always)]
    pub(crate) fn spot_prices<V: Vector>(&self) -> V {
        let weight = V::load(&self.weight_tao);
        ((V::splat(1.0) - weight) * V::load(&self.reserve_tao)) / (weight * V::load(&self.reserve_alpha))
    }

    /// Spot price (TAO per alpha) of one lane.
    #[inline(always)]
    pub fn price(&self, lane: usize) -> f64 {
        let weight = self.weight_tao[lane];
        ((1.0 - weight) * self.reserve_tao[lane]) / (weight * self.reserve_alpha[lane])
    }
}

/// Chunks that go through the passes of the coinbase together.
pub const TILE_CHUNKS: usize = 4;

/// What the passes of the coinbase leave for each other of a tile of chunks.
#[derive(Clone, Debug, Default)]
pub(crate) struct CoinbaseScratch {
    /// Inverse of the opening price.
    pub per_price: [Lanes8; TILE_CHUNKS],
    /// TAO of the chain buy.
    pub excess_tao: [Lanes8; TILE_CHUNKS],
    /// Injected alpha.
    pub injected_alpha: [Lanes8; TILE_CHUNKS],
    /// Weighted root TAO and the issuance of the middle block; then root alpha that the chain sells.
    pub diluted: [Lanes8; TILE_CHUNKS],
    /// Alpha minted to holders.
    pub minted_alpha: [Lanes8; TILE_CHUNKS],
    /// Alpha of the emission that is sold.
    pub sold_alpha: [Lanes8; TILE_CHUNKS],
    /// Root alpha that is claimed and sold.
    pub swapped_alpha: [Lanes8; TILE_CHUNKS],
}

/// What one step of K blocks leaves behind for later passes and for recorders.
#[derive(Clone, Debug)]
pub struct StepBuffers {
    /// Share of the TAO emission.
    pub share: SlotValues,
    /// Scratch of the share rule: weights before they are normalised and gated.
    pub raw_share: SlotValues,
    /// Spot price at the step's opening (TAO per alpha).
    pub price_open: SlotValues,
    /// Price after the coinbase, as a multiple of the opening price.
    pub coinbase_ratio: SlotValues,
    /// Staked alpha at the step's opening.
    pub staked_open: SlotValues,
    /// Alpha paid to validators and their stakers over the step, before takes.
    pub validator_alpha: SlotValues,
    /// TAO paid for root claims.
    pub root_tao: SlotValues,
    /// TAO paid to owners, miners and validators for emission they sold.
    pub sold_tao: SlotValues,
    /// TAO that the chain put into the pool: injection and chain buy.
    pub spent_tao: SlotValues,
    /// Reserves before the organic flow.
    pub reserve_tao_mid: SlotValues,
    /// Reserves before the organic flow.
    pub reserve_alpha_mid: SlotValues,
    /// Relative growth of the TAO reserve by the organic net flow, `e^f - 1`.
    pub growth: SlotValues,
    /// TAO that the organic flow put into the pool, and buybacks of subnets with revenue.
    pub flow_tao: SlotValues,
    pub(crate) scratch: CoinbaseScratch,
}

impl StepBuffers {
    /// All zero, prices unmoved.
    pub fn new() -> Self {
        let zero = SlotValues::splat(0.0);
        Self {
            share: zero.clone(),
            raw_share: zero.clone(),
            price_open: zero.clone(),
            coinbase_ratio: SlotValues::splat(1.0),
            staked_open: zero.clone(),
            validator_alpha: zero.clone(),
            root_tao: zero.clone(),
            sold_tao: zero.clone(),
            spent_tao: zero.clone(),
            reserve_tao_mid: zero.clone(),
            reserve_alpha_mid: zero.clone(),
            growth: zero.clone(),
            flow_tao: zero,
            scratch: CoinbaseScratch::default(),
        }
    }

    /// Organic net flow of a slot, a log move of the TAO reserve.
    pub fn flow(&self, slot: usize) -> f64 {
        math::ln_1p(self.growth.get(slot))
    }

    /// Log price move that the coinbase made in a slot.
    pub fn coinbase_move(&self, slot: usize) -> f64 {
        math::ln(self.coinbase_ratio.get(slot))
    }
}

impl Default for StepBuffers {
    fn default() -> Self {
        Self::new()
    }
}
