//! Organic flow of one step over all slots: draws, volatilities, scales.
//!
//! Chance is drawn and put together in single precision, sixteen slots at a time: each flow is exact to about 1e-6 of itself. What
//! is carried from step to step, the log-volatility here and all that the chain knows, is double.

use crate::model::entrants::Nature;
use crate::model::jumps::SlotJumps;
use crate::model::params::FlowParams;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::MAX_CHUNKS;
use crate::protocol::slots::SlotSingles;
use crate::protocol::slots::SlotValues;
use crate::rng;
use crate::rng::GROUP_SLOTS;
use crate::rng::GroupWords;
use crate::rng::Purpose;
use crate::rng::SLOT_NORMALS;
use crate::simd::Singles;
use crate::simd::Vector;
use crate::simd::math;
use crate::simd::single;
use crate::units::BLOCKS_PER_DAY;

/// Chunks whose normals are drawn together.
const GROUP_CHUNKS: usize = GROUP_SLOTS / CHUNK_SLOTS;
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
    /// Block of registration; infinite in a free slot.
    pub registered_at: Lanes8,
    /// Base-2 log of the occupant's daily scale.
    pub log2_scale: [f32; CHUNK_SLOTS],
    /// Loading on the common factor.
    pub loading: [f32; CHUNK_SLOTS],
    /// `sqrt(1 - loading^2)`.
    pub own_loading: [f32; CHUNK_SLOTS],
}

impl BehaviourChunk {
    /// Eight empty slots.
    pub fn empty() -> Self {
        let zero = [0.0; CHUNK_SLOTS];
        Self {
            log_volatility: [[0.0; CHUNK_SLOTS]; 2],
            registered_at: [f64::INFINITY; CHUNK_SLOTS],
            log2_scale: zero,
            loading: zero,
            own_loading: [1.0; CHUNK_SLOTS],
        }
    }

    /// Puts a subnet registered at `block` into a lane.
    pub fn settle(&mut self, lane: usize, block: u64, nature: &Nature) {
        self.registered_at[lane] = block as f64;
        self.log2_scale[lane] = (nature.log_scale * std::f64::consts::LOG2_E) as f32;
        self.loading[lane] = nature.loading as f32;
        self.own_loading[lane] = (1.0 - nature.loading * nature.loading).sqrt() as f32;
    }

    /// Puts both parts of the log-volatility into a lane.
    pub fn set_volatility(&mut self, lane: usize, parts: [f64; 2]) {
        for (lanes, part) in self.log_volatility.iter_mut().zip(parts) {
            lanes[lane] = part;
        }
    }
}

/// Constants of the flow over one step length; those of the flow itself in single precision.
#[derive(Clone, Debug)]
pub struct FlowStep {
    volatility_sd: [f64; 2],
    persistence: [f64; 2],
    innovation: [f64; 2],
    drift: f32,
    /// `log2(sqrt(D))` less half the variance of log-volatility.
    log2_volatility_shift: f32,
    /// `log2(cap sqrt(D))`.
    log2_volatility_cap: f32,
    size_exponent: f32,
    age_exponent: f32,
    log2_reference: f32,
    reserve_floor: f32,
    age_floor_blocks: f32,
    flow_cap: f32,
    inverse_loading_mean: f64,
    jump_mean: f32,
    common_jump_mean: f64,
    jumps: SlotJumps,
    /// Drawn steps that make up a step.
    draws: u32,
    /// Weight of each drawn step's normals: of the flow, of the fast and of the slow volatility.
    draw_weights: Vec<[f32; SLOT_NORMALS]>,
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
        let log2 = |x: f64| math::ln(x) * std::f64::consts::LOG2_E;
        let log2_reference = params.size_exponent * log2(REFERENCE_RESERVE_TAO)
            + params.age_exponent * log2(REFERENCE_AGE_DAYS * BLOCKS_PER_DAY as f64);
        Self {
            volatility_sd: [0, 1].map(|i| part(i).sd_log),
            persistence,
            innovation,
            drift: (params.drift_per_day * days) as f32,
            log2_volatility_shift: (0.5 * log2(days) - 0.5 * variance * std::f64::consts::LOG2_E) as f32,
            log2_volatility_cap: (log2(params.volatility_cap) + 0.5 * log2(days)) as f32,
            size_exponent: params.size_exponent as f32,
            age_exponent: params.age_exponent as f32,
            log2_reference: log2_reference as f32,
            reserve_floor: params.reserve_floor_tao as f32,
            age_floor_blocks: (params.age_floor_days * BLOCKS_PER_DAY as f64) as f32,
            flow_cap: params.flow_cap as f32,
            inverse_loading_mean: if params.loading_mean > 0.0 { 1.0 / params.loading_mean } else { 0.0 },
            jump_mean: (params.jumps.mean_per_day() * days) as f32,
            common_jump_mean: params.common_jump.mean_per_day() * days,
            jumps: SlotJumps::new(&params.jumps, draw_days),
            draws,
            draw_weights: draw_weights(draws, persistence_over(draw_days), persistence),
        }
    }

    /// Draws the log-volatility of every slot at a path's start from its stationary law.
    #[inline(always)]
    pub fn draw_volatility<V: Vector>(&self, seed: u64, path: u32, behaviour: &mut [BehaviourChunk]) {
        for (group, chunks) in behaviour.chunks_mut(GROUP_CHUNKS).enumerate() {
            let first_slot = (group * GROUP_SLOTS) as u32;
            let words = rng::group_words::<V>(seed, path, 0, Purpose::InitialVolatility, first_slot);
            for part in 0..2 {
                let mut normals = [[0.0; 2 * CHUNK_SLOTS]; 2];
                for (row, drawn) in normals.iter_mut().zip(rng::group_normals::<V>(words[part])) {
                    V::store_singles(drawn, row);
                }
                for (chunk, normals) in chunks.iter_mut().zip(normals.as_flattened().as_chunks().0) {
                    (V::splat(self.volatility_sd[part]) * V::load_wide(normals)).store(&mut chunk.log_volatility[part]);
                }
            }
        }
    }
}

/// Weights under which standard normals of `draws` shorter steps sum to standard normals of one step: equal for the flow,
/// fading with age for the parts of volatility. Persistences are over a shorter step and over the whole.
fn draw_weights(draws: u32, shorter: [f64; 2], whole: [f64; 2]) -> Vec<[f32; SLOT_NORMALS]> {
    let equal = 1.0 / f64::from(draws).sqrt();
    let [fast, slow] = [0, 1].map(|i| ((1.0 - shorter[i] * shorter[i]) / (1.0 - whole[i] * whole[i])).sqrt());
    let mut weights = vec![[equal, fast, slow]; draws as usize];
    for number in (1..weights.len()).rev() {
        let [_, fast, slow] = weights[number];
        weights[number - 1] = [equal, shorter[0] * fast, shorter[1] * slow];
    }
    weights.into_iter().map(|of_draw| of_draw.map(|weight| weight as f32)).collect()
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

/// Words of one normal of every slot, as [`rng::GroupWords`] has them.
type WordRows = [[u32; 2 * CHUNK_SLOTS]; MAX_CHUNKS / GROUP_CHUNKS];

/// Buffers of the flow passes.
#[derive(Clone, Debug)]
pub struct FlowBuffers {
    radii: [WordRows; SLOT_NORMALS],
    directions: [WordRows; SLOT_NORMALS],
    normals: [SlotSingles; SLOT_NORMALS],
    /// Sum of the jumps of each slot, in units of its scale.
    jump: SlotSingles,
}

impl Default for FlowBuffers {
    fn default() -> Self {
        let words = [[[0; 2 * CHUNK_SLOTS]; MAX_CHUNKS / GROUP_CHUNKS]; SLOT_NORMALS];
        let zero = SlotSingles::zero();
        Self { radii: words, directions: words, normals: [zero.clone(), zero.clone(), zero.clone()], jump: zero }
    }
}

/// Draws the step's organic flow of every slot and moves the volatilities on. `growth` becomes `e^f - 1`, by which the flow
/// lets the TAO reserve grow.
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
    growth: &mut SlotValues,
) {
    let groups = chain.len().div_ceil(GROUP_CHUNKS);
    buffers.jump = SlotSingles::zero();
    for number in 0..step.draws {
        let draw = Draw { step: draw.step * step.draws + number, ..draw };
        draw_words::<V>(draw, groups, buffers);
        step.jumps.add::<V>(draw.seed, draw.path, draw.step, groups, &mut buffers.jump);
        if step.draws == 1 {
            draw_normals::<V>(groups, buffers);
        } else {
            add_normals::<V>(&step.draw_weights[number as usize], number == 0, groups, buffers);
        }
    }
    flows::<V>(step, draw.block, common, chain, behaviour, buffers, growth);
}

/// Random words of every slot's normals.
#[inline(always)]
fn draw_words<V: Vector>(draw: Draw, groups: usize, buffers: &mut FlowBuffers) {
    for group in 0..groups {
        let first_slot = (group * GROUP_SLOTS) as u32;
        let words = rng::group_words::<V>(draw.seed, draw.path, draw.step, Purpose::SlotNormals, first_slot);
        for (number, GroupWords { radii, directions }) in words.into_iter().enumerate() {
            V::store_half_words(radii, &mut buffers.radii[number][group]);
            V::store_half_words(directions, &mut buffers.directions[number][group]);
        }
    }
}

/// Normals number `number` of the slots of a group, from their words.
#[inline(always)]
fn group_normals<V: Vector>(number: usize, group: usize, buffers: &FlowBuffers) -> [V::Singles; 2] {
    let radii = V::load_half_words(&buffers.radii[number][group]);
    let directions = V::load_half_words(&buffers.directions[number][group]);
    rng::group_normals::<V>(GroupWords { radii, directions })
}

/// Normals of every slot from its words.
#[inline(always)]
fn draw_normals<V: Vector>(groups: usize, buffers: &mut FlowBuffers) {
    for number in 0..SLOT_NORMALS {
        for group in 0..groups {
            let [first, second] = group_normals::<V>(number, group, buffers);
            V::store_singles(first, &mut buffers.normals[number].0[2 * group]);
            V::store_singles(second, &mut buffers.normals[number].0[2 * group + 1]);
        }
    }
}

/// The same, weighted and added to those of the drawn steps before, where this is not the `first`.
#[inline(always)]
fn add_normals<V: Vector>(weights: &[f32; SLOT_NORMALS], first: bool, groups: usize, buffers: &mut FlowBuffers) {
    for (number, weight) in weights.iter().enumerate() {
        for group in 0..groups {
            let normals = group_normals::<V>(number, group, buffers);
            for (row, normals) in buffers.normals[number].0[2 * group..].iter_mut().zip(normals) {
                let sum = if first { V::Singles::splat(0.0) } else { V::load_singles(row) };
                V::store_singles(V::Singles::splat(*weight).mul_add(normals, sum), row);
            }
        }
    }
}

/// Moves the volatilities on and makes each slot's flow from its draws.
#[inline(always)]
fn flows<V: Vector>(
    step: &FlowStep,
    block: f64,
    common: CommonFlow,
    chain: &[ChainChunk],
    behaviour: &mut [BehaviourChunk],
    buffers: &FlowBuffers,
    growth: &mut SlotValues,
) {
    let single = V::Singles::splat;
    let shared_jump = (common.jump - step.common_jump_mean) * step.inverse_loading_mean;
    let (low, high) = (single(-step.flow_cap), single(step.flow_cap));
    let pairs = chain.as_chunks::<2>().0.iter().zip(behaviour.as_chunks_mut::<2>().0);
    for (i, ((chain, behaviour), growth)) in pairs.zip(growth.0.as_chunks_mut::<2>().0).enumerate() {
        let volatility = volatility::<V>(step, i, behaviour, buffers);
        let scale = scale::<V>(step, block, chain, behaviour);
        let [a, b] = behaviour;
        let loading = V::load_single_pair(&a.loading, &b.loading);
        let own = V::load_single_pair(&a.own_loading, &b.own_loading) * V::load_singles(&buffers.normals[0].0[i]);
        let jumps = V::load_singles(&buffers.jump.0[i]) - single(step.jump_mean);
        let jumps = loading.mul_add(single(shared_jump as f32), jumps);
        let moves = volatility.mul_add(loading.mul_add(single(common.factor as f32), own), jumps);
        let flow = high.min(low.max(scale.mul_add(moves, single(step.drift))));
        let mut row = [0.0; 2 * CHUNK_SLOTS];
        V::store_singles(single::exp_m1(flow), &mut row);
        for ((row, chain), growth) in row.as_chunks().0.iter().zip(chain).zip(growth) {
            (V::load_wide(row) * V::load(&chain.started)).store(growth);
        }
    }
}

/// Moves the log-volatilities of sixteen slots on and returns `min(exp(h - Var h/2), cap) sqrt(D)`.
#[inline(always)]
fn volatility<V: Vector>(
    step: &FlowStep,
    row: usize,
    behaviour: &mut [BehaviourChunk; 2],
    buffers: &FlowBuffers,
) -> V::Singles {
    let mut sums = [V::splat(0.0); 2];
    for (half, (chunk, sum)) in behaviour.iter_mut().zip(&mut sums).enumerate() {
        for (part, lanes) in chunk.log_volatility.iter_mut().enumerate() {
            let normals: &[[f32; CHUNK_SLOTS]] = buffers.normals[part + 1].0[row].as_chunks().0;
            let innovation = V::splat(step.innovation[part]) * V::load_wide(&normals[half]);
            let moved = V::splat(step.persistence[part]).mul_add(V::load(lanes), innovation);
            moved.store(lanes);
            *sum = *sum + moved;
        }
    }
    let shift = V::Singles::splat(step.log2_volatility_shift);
    let log2 = V::narrow(sums[0], sums[1]).mul_add(V::Singles::splat(std::f32::consts::LOG2_E), shift);
    single::exp2(V::Singles::splat(step.log2_volatility_cap).min(log2))
}

/// Daily scale `g` of sixteen slots.
#[inline(always)]
fn scale<V: Vector>(
    step: &FlowStep,
    block: f64,
    chain: &[ChainChunk; 2],
    behaviour: &[BehaviourChunk; 2],
) -> V::Singles {
    let single = V::Singles::splat;
    let [a, b] = chain;
    let reserve = V::narrow(V::load(&a.reserve_tao), V::load(&b.reserve_tao)).max(single(step.reserve_floor));
    let [a, b] = behaviour;
    let block = V::splat(block);
    let age = V::narrow(block - V::load(&a.registered_at), block - V::load(&b.registered_at));
    let age = age.max(single(step.age_floor_blocks));
    let log2 = V::load_single_pair(&a.log2_scale, &b.log2_scale) + single(step.log2_reference);
    let log2 = single(-step.size_exponent).mul_add(single::log2(reserve), log2);
    single::exp2(single(-step.age_exponent).mul_add(single::log2(age), log2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::params::JumpParams;
    use crate::model::params::VolatilityPart;
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

    /// The formula of [`flow_draws`] with the standard library's functions.
    fn flow_of(params: &FlowParams, jump: f64, slot: usize) -> f64 {
        let (chain, behaviour) = slots();
        let (i, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
        let normals = rng::slot_normals(DRAW.seed, DRAW.path, DRAW.step, Purpose::SlotNormals, slot as u32);
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
        let scale = f64::from(behaviour[i].log2_scale[lane]).exp2() * size * age;
        let loading = f64::from(behaviour[i].loading[lane]);
        let diffusion = loading * COMMON.factor + (1.0 - loading * loading).sqrt() * normals[0];
        let own = jump - params.jumps.mean_per_day();
        let shared = loading / params.loading_mean * (COMMON.jump - params.common_jump.mean_per_day());
        let volatility = log_volatility.exp().min(params.volatility_cap);
        let flow = params.drift_per_day + scale * (volatility * diffusion + own + shared);
        flow.clamp(-params.flow_cap, params.flow_cap) * chain[i].started[lane]
    }

    #[test]
    fn flows_are_those_of_the_formula_one_slot_at_a_time() {
        let params = params();
        let step = FlowStep::new(&params, BLOCKS_PER_DAY);
        let mut buffers = FlowBuffers::default();
        let reference = dispatch(Backend::Portable, Draws(&step, &mut buffers));
        for backend in Backend::available() {
            let growth = dispatch(backend, Draws(&step, &mut buffers));
            assert_eq!(growth.0, reference.0, "{backend}");
            for slot in 0..CHUNKS * CHUNK_SLOTS {
                let flow = growth.get(slot).ln_1p();
                let expected = flow_of(&params, f64::from(buffers.jump.get(slot)), slot);
                assert!(
                    (flow - expected).abs() < 1e-6 * (0.02 + expected.abs()),
                    "{backend}, {slot}: {flow}, not {expected}"
                );
            }
        }
        assert!((0..256).filter(|&slot| buffers.jump.get(slot) != 0.0).count() > 50, "jumps are tested");
    }
}
