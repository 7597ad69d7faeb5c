//! Organic flow of one step over chunks of eight slots: draws, volatilities, jumps.

use crate::model::entrants::Nature;
use crate::model::params::FlowParams;
use crate::protocol::kernel::ChainChunk;
use crate::protocol::kernel::Lanes8;
use crate::protocol::kernel::SlotValues;
use crate::rng;
use crate::rng::Address;
use crate::rng::Purpose;
use crate::simd::Vector;
use crate::simd::math;
use crate::units::BLOCKS_PER_DAY;
use crate::units::SLOT_CAPACITY;

/// Size of a pool that the flow scale refers to (TAO).
const REFERENCE_RESERVE_TAO: f64 = 5_000.0;
/// Age that the flow scale refers to (days).
const REFERENCE_AGE_DAYS: f64 = 200.0;

/// What the model knows of eight slots, fields side by side.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct BehaviourChunk {
    /// Fast and slow part of log-volatility.
    pub log_volatility: [Lanes8; 2],
    /// Log of the occupant's daily scale.
    pub log_scale: Lanes8,
    /// Loading on the common factor.
    pub loading: Lanes8,
    /// `sqrt(1 - loading^2)`.
    pub own_loading: Lanes8,
    /// Block of registration; infinite in a free slot.
    pub registered_at: Lanes8,
}

impl BehaviourChunk {
    /// Eight empty slots.
    pub fn empty() -> Self {
        let zero = [0.0; 8];
        Self {
            log_volatility: [zero; 2],
            log_scale: zero,
            loading: zero,
            own_loading: [1.0; 8],
            registered_at: [f64::INFINITY; 8],
        }
    }

    /// Puts a subnet registered at `block` into a lane.
    pub fn settle(&mut self, lane: usize, block: u64, nature: &Nature) {
        self.registered_at[lane] = block as f64;
        self.log_scale[lane] = nature.log_scale;
        self.loading[lane] = nature.loading;
        self.own_loading[lane] = (1.0 - nature.loading * nature.loading).sqrt();
    }

    /// Sets both parts of the log-volatility in a lane.
    pub fn set_volatility(&mut self, lane: usize, parts: [f64; 2]) {
        for (lanes, part) in self.log_volatility.iter_mut().zip(parts) {
            lanes[lane] = part;
        }
    }
}

/// Constants of the flow over one step length.
#[derive(Clone, Debug)]
pub struct FlowStep {
    drift: f64,
    root_days: f64,
    volatility_sd: [f64; 2],
    persistence: [f64; 2],
    innovation: [f64; 2],
    log_volatility_shift: f64,
    log_volatility_cap: f64,
    size_exponent: f64,
    age_exponent: f64,
    log_reference: f64,
    reserve_floor: f64,
    age_floor_blocks: f64,
    flow_cap: f64,
    inverse_loading_mean: f64,
    jump_mean: f64,
    common_jump_mean: f64,
    up_probability: f64,
    up_mean: f64,
    down_mean: f64,
    jump_thresholds: Vec<u32>,
}

impl FlowStep {
    /// Constants for steps of `blocks` blocks.
    pub fn new(params: &FlowParams, blocks: u64) -> Self {
        let days = blocks as f64 / BLOCKS_PER_DAY as f64;
        let part = |i: usize| &params.volatility[i];
        let persistence = [0, 1].map(|i| math::exp(-days * std::f64::consts::LN_2 / part(i).half_life_days));
        let innovation = [0, 1].map(|i| part(i).sd_log * (1.0 - persistence[i] * persistence[i]).sqrt());
        let variance = part(0).sd_log.powi(2) + part(1).sd_log.powi(2);
        let age_floor_blocks = params.age_floor_days * BLOCKS_PER_DAY as f64;
        Self {
            drift: params.drift_per_day * days,
            root_days: days.sqrt(),
            volatility_sd: [0, 1].map(|i| part(i).sd_log),
            persistence,
            innovation,
            log_volatility_shift: 0.5 * variance,
            log_volatility_cap: math::ln(params.volatility_cap),
            size_exponent: params.size_exponent,
            age_exponent: params.age_exponent,
            log_reference: params.size_exponent * math::ln(REFERENCE_RESERVE_TAO)
                + params.age_exponent * math::ln(REFERENCE_AGE_DAYS * BLOCKS_PER_DAY as f64),
            reserve_floor: params.reserve_floor_tao,
            age_floor_blocks,
            flow_cap: params.flow_cap,
            inverse_loading_mean: if params.loading_mean > 0.0 { 1.0 / params.loading_mean } else { 0.0 },
            jump_mean: params.jumps.mean_per_day() * days,
            common_jump_mean: params.common_jump.mean_per_day() * days,
            up_probability: params.jumps.up_probability,
            up_mean: params.jumps.up_mean,
            down_mean: params.jumps.down_mean,
            jump_thresholds: poisson_thresholds(params.jumps.rate_per_day * days),
        }
    }

    /// Draws the log-volatility of every slot at a path's start from its stationary law.
    #[inline(always)]
    pub fn draw_volatility<V: Vector>(&self, seed: u64, path: u32, behaviour: &mut [BehaviourChunk]) {
        for (i, chunk) in behaviour.iter_mut().enumerate() {
            let drawn = rng::slot_draws::<V>(seed, path, 0, Purpose::InitialVolatility, (i * 8) as u32);
            for part in 0..2 {
                (V::splat(self.volatility_sd[part]) * drawn.normals[part]).store(&mut chunk.log_volatility[part]);
            }
        }
    }
}

/// Cumulative Poisson probabilities from the top: entry j is `2^32 P(N > j)`; a uniform word below it has more than j events.
pub fn poisson_thresholds(mean: f64) -> Vec<u32> {
    let mut probability = math::exp(-mean);
    let mut exceed = -math::exp_m1(-mean);
    let mut thresholds = Vec::new();
    for j in 1.. {
        let threshold = (exceed * 4_294_967_296.0).min(4_294_967_295.0) as u32;
        if threshold == 0 {
            return thresholds;
        }
        thresholds.push(threshold);
        probability *= mean / f64::from(j);
        exceed -= probability;
    }
    thresholds
}

/// Number of events of a Poisson law, given a uniform word.
#[inline(always)]
pub fn poisson_count(thresholds: &[u32], word: u32) -> usize {
    thresholds.iter().take_while(|&&t| word < t).count()
}

/// What all slots of a path share in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CommonFlow {
    /// Common factor.
    pub factor: f64,
    /// Sum of common jumps, in units of the scale.
    pub jump: f64,
}

/// Who draws: seed, path and step of the addresses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Seed of the run.
    pub seed: u64,
    /// Path index.
    pub path: u32,
    /// Step, counted from 0.
    pub step: u32,
    /// Block at which the step opens.
    pub block: f64,
}

/// Buffers of the flow passes.
#[derive(Clone, Debug)]
pub struct FlowBuffers {
    scale: SlotValues,
    jumping: Vec<u16>,
    jump_words: Vec<u32>,
}

impl Default for FlowBuffers {
    fn default() -> Self {
        Self {
            scale: SlotValues::splat(0.0),
            jumping: Vec::with_capacity(SLOT_CAPACITY),
            jump_words: Vec::with_capacity(SLOT_CAPACITY),
        }
    }
}

/// Draws the step's organic flow of every slot into `flow` and moves the volatilities on.
///
/// ```text
/// h' = rho h + sqrt(1 - rho^2) xi z        g = s (max(y, floor)/5000)^-gamma (max(age, floor)/200)^-delta
/// f = a D + g min(exp(h - Var h/2), cap) sqrt(D) (b Z_F + sqrt(1 - b^2) Z) + g (J - E J) + g (b/b_mean)(J_F - E J_F)
/// ```
///
/// clipped to `+- flow_cap`; 0 where not started. Source: MODEL 4.1.
#[inline(always)]
pub fn flow_draws<V: Vector>(
    step: &FlowStep,
    draw: Draw,
    common: CommonFlow,
    chain: &[ChainChunk],
    behaviour: &mut [BehaviourChunk],
    buffers: &mut FlowBuffers,
    flow: &mut SlotValues,
) {
    buffers.jumping.clear();
    buffers.jump_words.clear();
    let any_jump = step.jump_thresholds.first().copied().unwrap_or(0);
    let factor = V::splat(common.factor);
    let own_jump = V::splat(-step.jump_mean);
    let shared_jump = V::splat((common.jump - step.common_jump_mean) * step.inverse_loading_mean);
    for (i, (chain, behaviour)) in chain.iter().zip(behaviour).enumerate() {
        let first_slot = (i * 8) as u32;
        let drawn = rng::slot_draws::<V>(draw.seed, draw.path, draw.step, Purpose::SlotNormals, first_slot);
        for (lane, &word) in drawn.residue.iter().enumerate() {
            if word < any_jump {
                buffers.jumping.push(first_slot as u16 + lane as u16);
                buffers.jump_words.push(word);
            }
        }
        let mut log_volatility = V::splat(-step.log_volatility_shift);
        for part in 0..2 {
            let old = V::load(&behaviour.log_volatility[part]);
            let new = V::splat(step.persistence[part])
                .mul_add(old, V::splat(step.innovation[part]) * drawn.normals[part + 1]);
            new.store(&mut behaviour.log_volatility[part]);
            log_volatility = log_volatility + new;
        }
        let scale = scale::<V>(step, draw.block, chain, behaviour);
        let volatility =
            scale * math::exp(V::splat(step.log_volatility_cap).min(log_volatility)) * V::splat(step.root_days);
        let loading = V::load(&behaviour.loading);
        let diffusion = loading.mul_add(factor, V::load(&behaviour.own_loading) * drawn.normals[0]);
        let jumps = scale * loading.mul_add(shared_jump, own_jump);
        scale.store(&mut buffers.scale.0[i]);
        (V::splat(step.drift) + volatility.mul_add(diffusion, jumps)).store(&mut flow.0[i]);
    }
    add_jumps(step, draw, buffers, flow);
    let (low, high) = (V::splat(-step.flow_cap), V::splat(step.flow_cap));
    for (chain, lanes) in chain.iter().zip(&mut flow.0) {
        let clipped = high.min(low.max(V::load(lanes)));
        (clipped * V::load(&chain.started)).store(lanes);
    }
}

/// Daily scale `g` of eight slots.
#[inline(always)]
fn scale<V: Vector>(step: &FlowStep, block: f64, chain: &ChainChunk, behaviour: &BehaviourChunk) -> V {
    let reserve = V::splat(step.reserve_floor).max(V::load(&chain.reserve_tao));
    let age = (V::splat(block) - V::load(&behaviour.registered_at)).max(V::splat(step.age_floor_blocks));
    let log_scale = V::load(&behaviour.log_scale) + V::splat(step.log_reference);
    let by_size = V::splat(-step.size_exponent).mul_add(math::ln(reserve), log_scale);
    math::exp(V::splat(-step.age_exponent).mul_add(math::ln(age), by_size))
}

/// Adds the jumps of the slots that have any.
#[inline(always)]
fn add_jumps(step: &FlowStep, draw: Draw, buffers: &FlowBuffers, flow: &mut SlotValues) {
    for (&slot, &word) in buffers.jumping.iter().zip(&buffers.jump_words) {
        let slot = usize::from(slot);
        let count = poisson_count(&step.jump_thresholds, word);
        let mut sum = 0.0;
        for index in 0..count {
            let address = Address {
                path: draw.path,
                step: draw.step,
                slot: slot as u32,
                purpose: Purpose::SlotJump,
                index: index as u16,
            };
            sum += kou_jump(rng::words(draw.seed, address), step.up_probability, step.up_mean, step.down_mean);
        }
        flow.set(slot, flow.get(slot) + buffers.scale.get(slot) * sum);
    }
}

/// One two-sided exponential jump from a block of random words.
#[inline(always)]
pub fn kou_jump(words: [u32; 4], up_probability: f64, up_mean: f64, down_mean: f64) -> f64 {
    let size = rng::exponential(rng::open_unit(words[1]));
    if rng::open_unit(words[0]) < up_probability { size * up_mean } else { -(size * down_mean) }
}
