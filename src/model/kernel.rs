//! Organic flow of one step over chunks of eight slots: draws, volatilities, jumps.

use crate::model::entrants::Nature;
use crate::model::params::FlowParams;
use crate::model::params::JumpParams;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::MAX_CHUNKS;
use crate::protocol::slots::SlotValues;
use crate::rng;
use crate::rng::Purpose;
use crate::rng::SlotWords;
use crate::simd::Lanes;
use crate::simd::Vector;
use crate::simd::Words;
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
    jumps: JumpParams,
    /// Of the jumps of one drawn step.
    jump_thresholds: Vec<u32>,
    /// Drawn steps that make up a step.
    draws: u32,
    /// Weight of each drawn step's normals: of the flow, of the fast and of the slow volatility.
    draw_weights: Vec<[f64; 3]>,
}

impl FlowStep {
    /// Constants for steps of `blocks` blocks.
    pub fn new(params: &FlowParams, blocks: u64) -> Self {
        Self::coupled(params, blocks, 1)
    }

    /// The same with the chance of `draws` steps of `blocks / draws` blocks each: the draw addresses are theirs.
    ///
    /// Exact in law, and the volatilities are those of the shorter steps at common times. A step's flow keeps the rule
    /// of one step of `blocks` blocks: it moves by the volatility at its end throughout.
    ///
    /// ```text
    /// Z = sum_j Z_j / sqrt(r)     h' = rho^r h + sqrt(1 - rho^2) xi sum_j rho^(r-1-j) z_j     J = sum_j J_j,   j = 0..r-1
    /// ```
    ///
    /// `rho` is of the shorter step. Source: MODEL 4.1; Giles (2008), doi:10.1287/opre.1070.0496, section 4.
    pub fn coupled(params: &FlowParams, blocks: u64, draws: u32) -> Self {
        let days = blocks as f64 / BLOCKS_PER_DAY as f64;
        let draw_days = days / f64::from(draws);
        let part = |i: usize| &params.volatility[i];
        let persistence_over =
            |days: f64| [0, 1].map(|i| math::exp(-days * std::f64::consts::LN_2 / part(i).half_life_days));
        let persistence = persistence_over(days);
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
            jumps: params.jumps,
            jump_thresholds: poisson_thresholds(params.jumps.rate_per_day * draw_days),
            draws,
            draw_weights: draw_weights(draws, persistence_over(draw_days), persistence),
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

/// Weights under which standard normals of `draws` shorter steps sum to standard normals of one step: equal for the flow,
/// fading with age for the parts of volatility. Persistences are over a shorter step and over the whole.
fn draw_weights(draws: u32, shorter: [f64; 2], whole: [f64; 2]) -> Vec<[f64; 3]> {
    let equal = 1.0 / f64::from(draws).sqrt();
    let [fast, slow] = [0, 1].map(|i| ((1.0 - shorter[i] * shorter[i]) / (1.0 - whole[i] * whole[i])).sqrt());
    let mut weights = vec![[equal, fast, slow]; draws as usize];
    for number in (1..weights.len()).rev() {
        let [_, fast, slow] = weights[number];
        weights[number - 1] = [equal, shorter[0] * fast, shorter[1] * slow];
    }
    weights
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
    radii: [[u64; CHUNK_SLOTS]; MAX_CHUNKS],
    angles: [[u64; CHUNK_SLOTS]; MAX_CHUNKS],
    normals: [SlotValues; 3],
    /// Sum of the jumps of each slot, in units of its scale.
    jump: SlotValues,
    /// Bit `i` of byte `c`: slot `8 c + i` may jump.
    may_jump: [u8; MAX_CHUNKS],
    /// Slot, and purpose with index, of each jump: the last two words of its address.
    jump_slots: Vec<u64>,
    jump_numbers: Vec<u64>,
}

impl Default for FlowBuffers {
    fn default() -> Self {
        let zero = SlotValues::splat(0.0);
        Self {
            radii: [[0; CHUNK_SLOTS]; MAX_CHUNKS],
            angles: [[0; CHUNK_SLOTS]; MAX_CHUNKS],
            normals: [zero.clone(), zero.clone(), zero.clone()],
            jump: zero,
            may_jump: [0; MAX_CHUNKS],
            jump_slots: Vec::with_capacity(SLOT_CAPACITY),
            jump_numbers: Vec::with_capacity(SLOT_CAPACITY),
        }
    }
}

impl FlowBuffers {
    #[inline(always)]
    fn chunk_normals<V: Vector>(&self, chunk: usize) -> [V; 3] {
        let [radii, angles] = [&self.radii[chunk], &self.angles[chunk]].map(V::load_words);
        rng::slot_normals::<V>(&SlotWords { radii, angles })
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
    let live = chain.len();
    buffers.jump = SlotValues::splat(0.0);
    for number in 0..step.draws {
        let draw = Draw { step: draw.step * step.draws + number, ..draw };
        draw_words::<V>(step, draw, live, buffers);
        list_jumps(step, buffers);
        draw_jumps::<V>(step, draw, buffers);
        if step.draws == 1 {
            draw_normals::<V>(live, buffers);
        } else {
            add_normals::<V>(&step.draw_weights[number as usize], number == 0, live, buffers);
        }
    }
    moves::<V>(step, common, behaviour, buffers);
    flows::<V>(step, draw.block, chain, behaviour, buffers, flow);
}

/// Random words of every slot, and which may jump: those whose residue begins no higher than the threshold does.
#[inline(always)]
fn draw_words<V: Vector>(step: &FlowStep, draw: Draw, live: usize, buffers: &mut FlowBuffers) {
    // The residue's first byte is the low one of word 3; in the low bits of 2^52 it compares as a number.
    let two_52: f64 = 4503599627370496.0;
    let any_jump = step.jump_thresholds.first().copied().unwrap_or(0);
    let highest = V::splat(two_52 + f64::from(any_jump >> 24));
    let (byte, integer) = (V::Words::splat(0xff), V::Words::splat(two_52.to_bits()));
    buffers.may_jump = [0; MAX_CHUNKS];
    for i in 0..live {
        let first_slot = (i * CHUNK_SLOTS) as u32;
        let words = rng::slot_words::<V>(draw.seed, draw.path, draw.step, Purpose::SlotNormals, first_slot);
        let first_byte = V::from_words((words.angles.shift_right::<32>() & byte) | integer);
        buffers.may_jump[i] = V::bitmask(first_byte.le(highest));
        V::store_words(words.radii, &mut buffers.radii[i]);
        V::store_words(words.angles, &mut buffers.angles[i]);
    }
}

/// Lists the addresses of the step's jumps, by slot, then number within the step.
#[inline(always)]
fn list_jumps(step: &FlowStep, buffers: &mut FlowBuffers) {
    buffers.jump_slots.clear();
    buffers.jump_numbers.clear();
    for (group, bytes) in buffers.may_jump.as_chunks::<8>().0.iter().enumerate() {
        let mut bits = u64::from_le_bytes(*bytes);
        while bits != 0 {
            let slot = 64 * group + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let (chunk, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
            let word = rng::residue(buffers.radii[chunk][lane], buffers.angles[chunk][lane]);
            for index in 0..poisson_count(&step.jump_thresholds, word) {
                buffers.jump_slots.push(slot as u64);
                buffers.jump_numbers.push((Purpose::SlotJump as u64) << 16 | index as u64);
            }
        }
    }
}

/// Normals of every slot from its words.
#[inline(always)]
fn draw_normals<V: Vector>(live: usize, buffers: &mut FlowBuffers) {
    for i in 0..live {
        let normals = buffers.chunk_normals::<V>(i);
        for (all, chunk) in buffers.normals.iter_mut().zip(normals) {
            chunk.store(&mut all.0[i]);
        }
    }
}

/// The same, weighted and added to those of the drawn steps before, where this is not the `first`.
#[inline(always)]
fn add_normals<V: Vector>(weights: &[f64; 3], first: bool, live: usize, buffers: &mut FlowBuffers) {
    for i in 0..live {
        let normals = buffers.chunk_normals::<V>(i);
        for ((all, chunk), weight) in buffers.normals.iter_mut().zip(normals).zip(weights) {
            let sum = if first { V::splat(0.0) } else { V::load(&all.0[i]) };
            V::splat(*weight).mul_add(chunk, sum).store(&mut all.0[i]);
        }
    }
}

/// Draws the listed jumps, eight at a time, and adds them up by slot.
#[inline(always)]
fn draw_jumps<V: Vector>(step: &FlowStep, draw: Draw, buffers: &mut FlowBuffers) {
    let count = buffers.jump_slots.len();
    let padded = count.next_multiple_of(CHUNK_SLOTS);
    buffers.jump_slots.resize(padded, 0);
    buffers.jump_numbers.resize(padded, 0);
    let (path, number) = (V::Words::splat(u64::from(draw.path)), V::Words::splat(u64::from(draw.step)));
    let addresses = buffers.jump_slots.as_chunks().0.iter().zip(buffers.jump_numbers.as_chunks().0);
    for (i, (slots, numbers)) in addresses.enumerate() {
        let counter = [path, number, V::load_words(slots), V::load_words(numbers)];
        let [decides, size, ..] = rng::philox4x32_lanes::<V>(counter, rng::key(draw.seed));
        let jumps: V = kou_jump(rng::open_unit_lanes(decides), rng::open_unit_lanes(size), &step.jumps);
        let drawn = slots.iter().zip(jumps.to_array()).take(count - i * CHUNK_SLOTS);
        for (&slot, jump) in drawn {
            let slot = slot as usize % SLOT_CAPACITY;
            buffers.jump.set(slot, buffers.jump.get(slot) + jump);
        }
    }
}

/// Moves the volatilities on and leaves each slot's move in units of its scale in place of the first normal.
#[inline(always)]
fn moves<V: Vector>(step: &FlowStep, common: CommonFlow, behaviour: &mut [BehaviourChunk], buffers: &mut FlowBuffers) {
    let factor = V::splat(common.factor);
    let own_mean = V::splat(-step.jump_mean);
    let shared_jump = V::splat((common.jump - step.common_jump_mean) * step.inverse_loading_mean);
    for (i, behaviour) in behaviour.iter_mut().enumerate() {
        let mut log_volatility = V::splat(-step.log_volatility_shift);
        for part in 0..2 {
            let old = V::load(&behaviour.log_volatility[part]);
            let innovation = V::splat(step.innovation[part]) * V::load(&buffers.normals[part + 1].0[i]);
            let new = V::splat(step.persistence[part]).mul_add(old, innovation);
            new.store(&mut behaviour.log_volatility[part]);
            log_volatility = log_volatility + new;
        }
        let volatility = math::exp(V::splat(step.log_volatility_cap).min(log_volatility)) * V::splat(step.root_days);
        let loading = V::load(&behaviour.loading);
        let own = V::load(&behaviour.own_loading) * V::load(&buffers.normals[0].0[i]);
        let jumps = loading.mul_add(shared_jump, V::load(&buffers.jump.0[i]) + own_mean);
        volatility.mul_add(loading.mul_add(factor, own), jumps).store(&mut buffers.normals[0].0[i]);
    }
}

/// Flows from the moves.
#[inline(always)]
fn flows<V: Vector>(
    step: &FlowStep,
    block: f64,
    chain: &[ChainChunk],
    behaviour: &[BehaviourChunk],
    buffers: &FlowBuffers,
    flow: &mut SlotValues,
) {
    let (low, high) = (V::splat(-step.flow_cap), V::splat(step.flow_cap));
    for (i, (chain, behaviour)) in chain.iter().zip(behaviour).enumerate() {
        let scale = scale::<V>(step, block, chain, behaviour);
        let flows = scale.mul_add(V::load(&buffers.normals[0].0[i]), V::splat(step.drift));
        (high.min(low.max(flows)) * V::load(&chain.started)).store(&mut flow.0[i]);
    }
}

/// Daily scale `g` of eight slots.
#[inline(always)]
fn scale<V: Vector>(step: &FlowStep, block: f64, chain: &ChainChunk, behaviour: &BehaviourChunk) -> V {
    let reserve = V::splat(step.reserve_floor).max(V::load(&chain.reserve_tao));
    let age = (V::splat(block) - V::load(&behaviour.registered_at)).max(V::splat(step.age_floor_blocks));
    let log_scale = V::load(&behaviour.log_scale) + V::splat(step.log_reference);
    let by_size = V::splat(-step.size_exponent).mul_add(math::ln_normal(reserve), log_scale);
    math::exp(V::splat(-step.age_exponent).mul_add(math::ln_normal(age), by_size))
}

/// One two-sided exponential jump from two uniform draws.
#[inline(always)]
pub fn kou_jump<L: Lanes>(decides: L, size: L, jump: &JumpParams) -> L {
    let size = rng::exponential(size);
    let is_up = decides.lt(L::splat(jump.up_probability));
    L::select(is_up, size * L::splat(jump.up_mean), -(size * L::splat(jump.down_mean)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::params::VolatilityPart;
    use crate::rng::Address;
    use crate::simd::Backend;
    use crate::simd::Kernel;
    use crate::simd::dispatch;

    const CHUNKS: usize = 32;
    const DRAW: Draw = Draw { seed: 11, path: 5, step: 7, block: 2_000_000.0 };
    const COMMON: CommonFlow = CommonFlow { factor: 0.7, jump: 1.5 };

    fn params() -> FlowParams {
        let part = |sd_log, half_life_days| VolatilityPart { sd_log, half_life_days };
        let jumps = JumpParams { rate_per_day: 0.4, up_probability: 0.6, up_mean: 2.0, down_mean: 1.5 };
        FlowParams {
            scale_median: 0.02,
            scale_sd_log: 0.5,
            size_exponent: 0.11,
            age_exponent: 0.25,
            age_floor_days: 7.0,
            reserve_floor_tao: 100.0,
            drift_per_day: 0.001,
            volatility: [part(0.5, 2.0), part(0.4, 40.0)],
            volatility_cap: 4.0,
            jumps,
            common_jump: jumps,
            loading_mean: 0.4,
            loading_sd: 0.2,
            flow_cap: 1.5,
        }
    }

    fn slots() -> (Vec<ChainChunk>, Vec<BehaviourChunk>) {
        let (mut chain, mut behaviour) = (vec![ChainChunk::empty(); CHUNKS], vec![BehaviourChunk::empty(); CHUNKS]);
        for slot in 0..CHUNKS * CHUNK_SLOTS {
            let (i, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
            chain[i].reserve_tao[lane] = 50.0 + 90.0 * slot as f64;
            chain[i].started[lane] = if slot % 9 == 0 { 0.0 } else { 1.0 };
            let nature = Nature { log_scale: -4.0 + 0.01 * slot as f64, loading: 0.003 * slot as f64 };
            behaviour[i].settle(lane, 7_000 * slot as u64, &nature);
            behaviour[i].set_volatility(lane, [0.1, -0.2]);
        }
        (chain, behaviour)
    }

    struct Draws<'a>(&'a FlowStep, &'a mut FlowBuffers);

    impl Kernel for Draws<'_> {
        type Output = SlotValues;

        #[inline(always)]
        fn run<V: Vector>(self) -> SlotValues {
            let (chain, mut behaviour) = slots();
            let mut flow = SlotValues::splat(0.0);
            flow_draws::<V>(self.0, DRAW, COMMON, &chain, &mut behaviour, self.1, &mut flow);
            flow
        }
    }

    fn jump_of(step: &FlowStep, slot: usize) -> f64 {
        let address = |purpose, index| Address { path: 5, step: 7, slot: slot as u32, purpose, index };
        let (_, residue) = rng::slot_draws_scalar(DRAW.seed, address(Purpose::SlotNormals, 0));
        let jumps = (0..poisson_count(&step.jump_thresholds, residue)).map(|index| {
            let words = rng::words(DRAW.seed, address(Purpose::SlotJump, index as u16));
            kou_jump(rng::open_unit(words[0]), rng::open_unit(words[1]), &step.jumps)
        });
        jumps.fold(0.0, |sum, jump| sum + jump)
    }

    /// The formula of [`flow_draws`] with the standard library's functions.
    fn flow_of(params: &FlowParams, step: &FlowStep, slot: usize) -> f64 {
        let (chain, behaviour) = slots();
        let (i, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
        let address = Address { path: 5, step: 7, slot: slot as u32, purpose: Purpose::SlotNormals, index: 0 };
        let (normals, _) = rng::slot_draws_scalar(DRAW.seed, address);
        let log_volatility = (0..2).fold(0.0, |sum, part| {
            let VolatilityPart { sd_log, half_life_days } = params.volatility[part];
            let kept = 0.5_f64.powf(1.0 / half_life_days);
            let moved = kept * behaviour[i].log_volatility[part][lane];
            sum + moved + sd_log * (1.0 - kept * kept).sqrt() * normals[part + 1] - 0.5 * sd_log * sd_log
        });
        let age_days = ((DRAW.block - behaviour[i].registered_at[lane]) / 7_200.0).max(params.age_floor_days);
        let reserve = chain[i].reserve_tao[lane].max(params.reserve_floor_tao);
        let size = (reserve / REFERENCE_RESERVE_TAO).powf(-params.size_exponent);
        let age = (age_days / REFERENCE_AGE_DAYS).powf(-params.age_exponent);
        let scale = behaviour[i].log_scale[lane].exp() * size * age;
        let loading = behaviour[i].loading[lane];
        let diffusion = loading * COMMON.factor + (1.0 - loading * loading).sqrt() * normals[0];
        let own = jump_of(step, slot) - params.jumps.mean_per_day();
        let shared = loading / params.loading_mean * (COMMON.jump - params.common_jump.mean_per_day());
        let volatility = log_volatility.exp().min(params.volatility_cap);
        let flow = params.drift_per_day + scale * (volatility * diffusion + own + shared);
        flow.clamp(-params.flow_cap, params.flow_cap) * chain[i].started[lane]
    }

    #[test]
    fn flows_are_those_of_the_formula_one_slot_at_a_time() {
        let params = params();
        let step = FlowStep::new(&params, BLOCKS_PER_DAY);
        let expected: Vec<f64> = (0..CHUNKS * CHUNK_SLOTS).map(|slot| flow_of(&params, &step, slot)).collect();
        let mut buffers = FlowBuffers::default();
        for backend in Backend::available() {
            let flow = dispatch(backend, Draws(&step, &mut buffers));
            for (slot, expected) in expected.iter().enumerate() {
                let flow = flow.get(slot);
                assert!((flow - expected).abs() < 1e-14, "{backend}, slot {slot}: {flow}, not {expected}");
                assert_eq!(buffers.jump.get(slot), jump_of(&step, slot), "{backend}, slot {slot}");
            }
        }
        assert!((0..256).filter(|&slot| buffers.jump.get(slot) != 0.0).count() > 50, "jumps are tested");
    }
}
