//! Organic flow of one step over all slots: draws, volatilities, scales.
//!
//! Chance is drawn and put together in single precision, sixteen slots at a time: each flow is exact to about 1e-6 of itself. What
//! is carried from step to step, the log-volatility here and all that the chain knows, is double.

use crate::model::entrants::Nature;
use crate::model::jumps::SlotJumps;
use crate::model::params::FlowParams;
use crate::model::refined::RefinedBuffers;
use crate::model::refined::Refinement;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::MAX_CHUNKS;
use crate::protocol::slots::SlotSingles;
use crate::rng;
use crate::rng::GROUP_SLOTS;
use crate::rng::Purpose;
use crate::rng::SLOT_NORMALS;
use crate::simd::Pair;
use crate::simd::Singles;
use crate::simd::Vector;
use crate::simd::math;
use crate::simd::single;
use crate::units::BLOCKS_PER_DAY;

/// Chunks whose normals are drawn together.
pub(super) const GROUP_CHUNKS: usize = GROUP_SLOTS / CHUNK_SLOTS;
/// Size of a pool that the flow scale refers to (TAO).
pub const REFERENCE_RESERVE_TAO: f64 = 5_000.0;
/// Age that the flow scale refers to (days).
pub const REFERENCE_AGE_DAYS: f64 = 200.0;

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
    /// `sqrt(1 - loading^2 - c^2)`, `c` the loading on the factor of the occupant's sector.
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
        let own = 1.0 - nature.loading * nature.loading - nature.sector_loading * nature.sector_loading;
        self.own_loading[lane] = own.sqrt() as f32;
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
    refinement: Refinement,
}

impl FlowStep {
    /// Constants for steps of `blocks` blocks.
    pub fn new(params: &FlowParams, blocks: u64) -> Self {
        Self::coupled(params, blocks, 1)
    }

    /// The same with the chance of `draws` steps of `blocks / draws` blocks each: the draw addresses are theirs.
    ///
    /// Exact in law, and the volatilities are those of the shorter steps at common times. A step's flow keeps the rule
    /// of one step of `blocks` blocks: it moves by one volatility throughout ([`crate::model::refined`]).
    ///
    /// ```text
    /// Z = sum_j w_j Z_j     h' = rho^r h + sqrt(1 - rho^2) xi sum_j rho^(r-1-j) z_j     J = sum_j J_j,   j = 0..r-1
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
            refinement: Refinement::new(draws, |steps| persistence_over(f64::from(steps) * draw_days), innovation),
        }
    }

    /// The same for subnets whose volatility at the start is known.
    pub fn with_known_volatility(self) -> Self {
        Self { refinement: self.refinement.at_end(self.persistence, self.innovation), ..self }
    }

    /// The same with all volatility, capped as it is, multiplied by `scale`.
    pub fn with_volatility_scaled(mut self, scale: f64) -> Self {
        let log2 = (math::ln(scale) * std::f64::consts::LOG2_E) as f32;
        self.log2_volatility_shift += log2;
        self.log2_volatility_cap += log2;
        self
    }

    /// Cap of the absolute flow over the step.
    #[inline(always)]
    pub(super) fn flow_cap(&self) -> f32 {
        self.flow_cap
    }

    /// Draws the log-volatility of every slot at a path's start from its stationary law.
    #[inline(always)]
    pub fn draw_volatility<V: Vector>(&self, seed: u64, path: u32, behaviour: &mut [BehaviourChunk]) {
        for (group, chunks) in behaviour.chunks_mut(GROUP_CHUNKS).enumerate() {
            let first_slot = (group * GROUP_SLOTS) as u32;
            let words = rng::group_words::<V>(seed, path, 0, Purpose::InitialVolatility, first_slot);
            for (part, (words, sd)) in words.into_iter().zip(self.volatility_sd).enumerate() {
                let mut normals = [[0.0; 2 * CHUNK_SLOTS]; 2];
                for (row, drawn) in normals.iter_mut().zip(rng::group_normals::<V>(words)) {
                    V::store_singles(drawn, row);
                }
                for (chunk, normals) in chunks.iter_mut().zip(normals.as_flattened().as_chunks().0) {
                    (V::splat(sd) * V::load_wide(normals)).store(&mut chunk.log_volatility[part]);
                }
            }
        }
    }
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

/// Rows of draws: one for each normal of each group of 32 slots.
pub(super) const ROWS: usize = SLOT_NORMALS * MAX_CHUNKS / GROUP_CHUNKS;
/// Rows that are computed together, operation by operation.
const INTERLEAVED: usize = 4;

/// Sixteen slots' single-precision values.
pub(super) type Row = [f32; 2 * CHUNK_SLOTS];

/// Buffers of the flow passes.
#[derive(Clone, Debug)]
pub struct FlowBuffers {
    /// Words of row `3 g + j`: normal j of group g.
    radii: [[u32; 2 * CHUNK_SLOTS]; ROWS],
    directions: [[u32; 2 * CHUNK_SLOTS]; ROWS],
    /// Normals of the same rows: the first sixteen slots of the group, and the last.
    normals: [[Row; 2]; ROWS],
    /// Sum of the jumps of each slot, in units of its scale.
    jump: SlotSingles,
    /// Log-volatility, then volatility over the step.
    volatility: SlotSingles,
    /// TAO reserve.
    reserve: SlotSingles,
    /// Daily scale.
    scale: SlotSingles,
    /// Age in blocks.
    age: SlotSingles,
    refined: RefinedBuffers,
}

impl Default for FlowBuffers {
    fn default() -> Self {
        let (words, zero) = ([[0; 2 * CHUNK_SLOTS]; ROWS], SlotSingles::zero());
        Self {
            radii: words,
            directions: words,
            normals: [[[0.0; 2 * CHUNK_SLOTS]; 2]; ROWS],
            jump: zero.clone(),
            volatility: zero.clone(),
            reserve: zero.clone(),
            scale: zero.clone(),
            age: zero,
            refined: RefinedBuffers::default(),
        }
    }
}

impl FlowBuffers {
    /// The own normal of the flow of `slot` in the step.
    #[inline(always)]
    pub fn own_normal(&mut self, slot: usize) -> &mut f32 {
        &mut self.normals[SLOT_NORMALS * (slot / GROUP_SLOTS)].as_flattened_mut()[slot % GROUP_SLOTS]
    }

    /// The sum of its own jumps, in units of its scale.
    #[inline(always)]
    pub fn own_jump(&mut self, slot: usize) -> &mut f32 {
        &mut self.jump.0.as_flattened_mut()[slot]
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
/// clipped to `+- flow_cap`. Source: MODEL 4.1. Returns what all flows into pools would cost at the reserves of `chain`, exact to
/// 1e-5 (TAO). Slots that are not started are treated as if they were.
#[inline(always)]
pub fn flow_draws<V: Vector>(
    step: &FlowStep,
    draw: Draw,
    common: CommonFlow,
    chain: &[ChainChunk],
    behaviour: &mut [BehaviourChunk],
    buffers: &mut FlowBuffers,
    growth: &mut SlotSingles,
) -> f64 {
    draw_chance::<V>(step, draw, chain, behaviour, buffers);
    flows::<V>(step, common, chain, behaviour, buffers, growth)
}

/// Groups of slots that a path has.
#[inline(always)]
pub(super) fn groups_of(chain: &[ChainChunk]) -> usize {
    chain.len().div_ceil(GROUP_CHUNKS)
}

/// The first half of [`flow_draws`]: all that flows are put together from, normals, jumps, volatilities moved on, scales.
#[inline(always)]
pub fn draw_chance<V: Vector>(
    step: &FlowStep,
    draw: Draw,
    chain: &[ChainChunk],
    behaviour: &mut [BehaviourChunk],
    buffers: &mut FlowBuffers,
) {
    let groups = groups_of(chain);
    buffers.jump.0[..2 * groups].fill([0.0; 2 * CHUNK_SLOTS]);
    if step.refinement.draws == 1 {
        draw_step::<V>(step, draw, groups, buffers);
    } else {
        draw_refined::<V>(step, draw, &behaviour[..GROUP_CHUNKS * groups], buffers);
    }
    move_volatilities::<V>(step, draw.block, chain, behaviour, buffers);
    if step.refinement.draws > 1 {
        buffers.volatility.0[..2 * groups].copy_from_slice(&buffers.refined.volatility().0[..2 * groups]);
    }
    scales::<V>(step, behaviour, buffers);
}

/// Jumps and normals of a drawn step.
#[inline(always)]
fn draw_step<V: Vector>(step: &FlowStep, draw: Draw, groups: usize, buffers: &mut FlowBuffers) {
    draw_words::<V>(draw, groups, buffers);
    step.jumps.add::<V>(draw.seed, draw.path, draw.step, groups, &mut buffers.jump);
    draw_normals::<V>(groups, buffers);
}

/// Jumps and normals of a step of several drawn ones.
#[inline(always)]
fn draw_refined<V: Vector>(step: &FlowStep, draw: Draw, behaviour: &[BehaviourChunk], buffers: &mut FlowBuffers) {
    let (refinement, groups) = (&step.refinement, behaviour.len() / GROUP_CHUNKS);
    buffers.refined.clear(groups);
    for number in 0..refinement.draws {
        let draw = Draw { step: draw.step * refinement.draws + number, ..draw };
        draw_step::<V>(step, draw, groups, buffers);
        let FlowBuffers { refined, normals, .. } = buffers;
        refined.add::<V>(refinement, number, normals, behaviour);
    }
    buffers.refined.close(groups, &mut buffers.normals);
}

/// Random words of every slot's normals.
#[inline(always)]
fn draw_words<V: Vector>(draw: Draw, groups: usize, buffers: &mut FlowBuffers) {
    let radii = buffers.radii.as_chunks_mut::<SLOT_NORMALS>().0.iter_mut();
    let rows = radii.zip(buffers.directions.as_chunks_mut::<SLOT_NORMALS>().0).take(groups);
    for (group, (radii, directions)) in rows.enumerate() {
        let first_slot = (group * GROUP_SLOTS) as u32;
        let words = rng::group_words::<V>(draw.seed, draw.path, draw.step, Purpose::SlotNormals, first_slot);
        for ((words, radii), directions) in words.into_iter().zip(radii).zip(directions) {
            V::store_half_words(words.radii, radii);
            V::store_half_words(words.directions, directions);
        }
    }
}

/// Normals of four rows from their words: the first sixteen slots of each, and the last.
#[inline(always)]
fn four_rows<V: Vector>(
    [r0, r1, r2, r3]: &[[u32; 2 * CHUNK_SLOTS]; INTERLEAVED],
    [d0, d1, d2, d3]: &[[u32; 2 * CHUNK_SLOTS]; INTERLEAVED],
) -> [[V::Singles; 2]; INTERLEAVED] {
    let load = V::load_half_words;
    let radii = Pair(Pair(load(r0), load(r1)), Pair(load(r2), load(r3)));
    let directions = Pair(Pair(load(d0), load(d1)), Pair(load(d2), load(d3)));
    let (first, last) = rng::box_muller::<Pair<Pair<V::Singles>>>(radii, directions);
    [[first.0.0, last.0.0], [first.0.1, last.0.1], [first.1.0, last.1.0], [first.1.1, last.1.1]]
}

/// Normals of every slot from its words.
#[inline(always)]
fn draw_normals<V: Vector>(groups: usize, buffers: &mut FlowBuffers) {
    let words = buffers.radii.as_chunks().0.iter().zip(buffers.directions.as_chunks().0);
    let rows = words.zip(buffers.normals.as_chunks_mut::<INTERLEAVED>().0);
    for ((radii, directions), rows) in rows.take((SLOT_NORMALS * groups).div_ceil(INTERLEAVED)) {
        for (row, normals) in rows.as_flattened_mut().iter_mut().zip(four_rows::<V>(radii, directions).as_flattened()) {
            V::store_singles(*normals, row);
        }
    }
}

/// Moves the log-volatilities on, and narrows what the flow depends on.
#[inline(always)]
fn move_volatilities<V: Vector>(
    step: &FlowStep,
    block: f64,
    chain: &[ChainChunk],
    behaviour: &mut [BehaviourChunk],
    buffers: &mut FlowBuffers,
) {
    let FlowBuffers { normals, volatility, reserve, age, .. } = buffers;
    let block = V::splat(block);
    let pairs = chain.as_chunks::<2>().0.iter().zip(behaviour.as_chunks_mut::<2>().0);
    for (i, ([a, b], [c, d])) in pairs.enumerate() {
        let normals = &normals[SLOT_NORMALS * (i / 2)..SLOT_NORMALS * (i / 2) + SLOT_NORMALS];
        let (fast, slow) = (&normals[1][i % 2], &normals[2][i % 2]);
        let (fast, slow): (&[[f32; CHUNK_SLOTS]], &[[f32; CHUNK_SLOTS]]) = (fast.as_chunks().0, slow.as_chunks().0);
        let log = move_volatility::<V>(step, c, &fast[0], &slow[0]);
        let other_log = move_volatility::<V>(step, d, &fast[1], &slow[1]);
        V::store_singles(V::narrow(log, other_log), &mut volatility.0[i]);
        V::store_singles(V::narrow(V::load(&a.reserve_tao), V::load(&b.reserve_tao)), &mut reserve.0[i]);
        let ages = V::narrow(block - V::load(&c.registered_at), block - V::load(&d.registered_at));
        V::store_singles(ages, &mut age.0[i]);
    }
}

/// Moves the log-volatility of eight slots on, and returns it.
#[inline(always)]
fn move_volatility<V: Vector>(
    step: &FlowStep,
    behaviour: &mut BehaviourChunk,
    fast: &[f32; CHUNK_SLOTS],
    slow: &[f32; CHUNK_SLOTS],
) -> V {
    let [fast_lanes, slow_lanes] = &mut behaviour.log_volatility;
    move_part::<V>(step, 0, fast_lanes, fast) + move_part::<V>(step, 1, slow_lanes, slow)
}

#[inline(always)]
fn move_part<V: Vector>(step: &FlowStep, part: usize, lanes: &mut Lanes8, normals: &[f32; CHUNK_SLOTS]) -> V {
    let innovation = V::splat(step.innovation[part]) * V::load_wide(normals);
    let moved = V::splat(step.persistence[part]).mul_add(V::load(lanes), innovation);
    moved.store(lanes);
    moved
}

/// Volatility over the step, `min(exp(h - Var h/2), cap) sqrt(D)`, and daily scale `g` of every slot.
#[inline(always)]
fn scales<V: Vector>(step: &FlowStep, behaviour: &[BehaviourChunk], buffers: &mut FlowBuffers) {
    let FlowBuffers { volatility, reserve, scale, age, .. } = buffers;
    let single = Pair::<V::Singles>::splat;
    let results = volatility.0.as_chunks_mut::<2>().0.iter_mut().zip(scale.0.as_chunks_mut::<2>().0);
    let rows = results.zip(reserve.0.as_chunks::<2>().0.iter().zip(age.0.as_chunks::<2>().0));
    let rows = rows.zip(behaviour.as_chunks::<GROUP_CHUNKS>().0);
    for ((([va, vb], [sa, sb]), ([ra, rb], [aa, ab])), [c, d, e, f]) in rows {
        let reserve = Pair(V::load_singles(ra), V::load_singles(rb)).max(single(step.reserve_floor));
        let age = Pair(V::load_singles(aa), V::load_singles(ab)).max(single(step.age_floor_blocks));
        let of_occupant =
            Pair(V::load_single_pair(&c.log2_scale, &d.log2_scale), V::load_single_pair(&e.log2_scale, &f.log2_scale));
        let volatility = Pair(V::load_singles(va), V::load_singles(vb));
        let log2 = volatility.mul_add(single(std::f32::consts::LOG2_E), single(step.log2_volatility_shift));
        let volatility = single::exp2(single(step.log2_volatility_cap).min(log2));
        let log2 = of_occupant + single(step.log2_reference);
        let log2 = single(-step.size_exponent).mul_add(single::log2(reserve), log2);
        let scale = single::exp2(single(-step.age_exponent).mul_add(single::log2(age), log2));
        V::store_singles(volatility.0, va);
        V::store_singles(volatility.1, vb);
        V::store_singles(scale.0, sa);
        V::store_singles(scale.1, sb);
    }
}

/// 32 slots' single-precision values.
pub(super) type Group<V> = Pair<<V as Vector>::Singles>;

/// The values of a group's slots.
#[inline(always)]
pub(super) fn load_group<V: Vector>(values: &SlotSingles, group: usize) -> Group<V> {
    Pair(V::load_singles(&values.0[2 * group]), V::load_singles(&values.0[2 * group + 1]))
}

/// The law of a step's flows on what all slots share, up to the cap.
#[derive(Clone, Copy)]
pub(super) struct FlowLaw {
    factor: f32,
    shared_jump: f32,
    jump_mean: f32,
    drift: f32,
}

impl FlowLaw {
    #[inline(always)]
    pub fn new(step: &FlowStep, common: CommonFlow) -> Self {
        Self {
            factor: common.factor as f32,
            shared_jump: ((common.jump - step.common_jump_mean) * step.inverse_loading_mean) as f32,
            jump_mean: step.jump_mean,
            drift: step.drift,
        }
    }

    /// Flows of a group's slots from their draws, volatilities and scales, before the cap. `shock`: besides the common factor and
    /// the slots' own.
    #[inline(always)]
    pub fn flow<V: Vector>(
        &self,
        group: usize,
        [c, d, e, f]: &[BehaviourChunk; GROUP_CHUNKS],
        buffers: &FlowBuffers,
        shock: Option<Group<V>>,
    ) -> Group<V> {
        let single = Group::<V>::splat;
        let [first, last] = &buffers.normals[SLOT_NORMALS * group];
        let normals = Pair(V::load_singles(first), V::load_singles(last));
        let loading = Pair(V::load_single_pair(&c.loading, &d.loading), V::load_single_pair(&e.loading, &f.loading));
        let own_loading = Pair(
            V::load_single_pair(&c.own_loading, &d.own_loading),
            V::load_single_pair(&e.own_loading, &f.own_loading),
        );
        let mut diffusion = loading.mul_add(single(self.factor), own_loading * normals);
        if let Some(shock) = shock {
            diffusion = diffusion + shock;
        }
        let own_jumps = load_group::<V>(&buffers.jump, group) - single(self.jump_mean);
        let jumps = loading.mul_add(single(self.shared_jump), own_jumps);
        let moves = load_group::<V>(&buffers.volatility, group).mul_add(diffusion, jumps);
        load_group::<V>(&buffers.scale, group).mul_add(moves, single(self.drift))
    }
}

/// Chunks of the groups of slots that a path has.
#[inline(always)]
pub(super) fn behaviour_groups(behaviour: &[BehaviourChunk]) -> &[[BehaviourChunk; GROUP_CHUNKS]] {
    behaviour.as_chunks().0
}

/// The second half of [`flow_draws`]: each slot's flow from its draws, volatility and scale.
#[inline(always)]
pub fn flows<V: Vector>(
    step: &FlowStep,
    common: CommonFlow,
    chain: &[ChainChunk],
    behaviour: &[BehaviourChunk],
    buffers: &FlowBuffers,
    growth: &mut SlotSingles,
) -> f64 {
    let single = Group::<V>::splat;
    let mut inflow = single(0.0);
    let law = FlowLaw::new(step, common);
    let (low, high) = (single(-step.flow_cap), single(step.flow_cap));
    let groups = behaviour_groups(behaviour).iter().take(groups_of(chain));
    for (group, (chunks, growth)) in groups.zip(growth.0.as_chunks_mut::<2>().0).enumerate() {
        let flow = high.min(low.max(law.flow::<V>(group, chunks, buffers, None)));
        let grown = single::exp_m1(flow);
        inflow = grown.max(single(0.0)).mul_add(load_group::<V>(&buffers.reserve, group), inflow);
        V::store_singles(grown.0, &mut growth[0]);
        V::store_singles(grown.1, &mut growth[1]);
    }
    let mut lanes = [0.0; 2 * CHUNK_SLOTS];
    V::store_singles(inflow.0 + inflow.1, &mut lanes);
    let halves: &[[f32; CHUNK_SLOTS]] = lanes.as_chunks().0;
    (V::load_wide(&halves[0]) + V::load_wide(&halves[1])).sum_halving()
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
            sector_loading: 0.0,
            flow_cap: 1.5,
            stake_floor: 0.0,
        }
    }

    fn slots() -> (Vec<ChainChunk>, Vec<BehaviourChunk>) {
        let (mut chain, mut behaviour) = (vec![ChainChunk::empty(); CHUNKS], vec![BehaviourChunk::empty(); CHUNKS]);
        for slot in 0..CHUNKS * CHUNK_SLOTS {
            let (i, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
            chain[i].reserve_tao[lane] = 50.0 + 90.0 * slot as f64;
            chain[i].started[lane] = 1.0;
            let nature =
                Nature { log_scale: -4.0 + 0.01 * slot as f64, loading: 0.003 * slot as f64, sector_loading: 0.0 };
            behaviour[i].settle(lane, 7_000 * slot as u64, &nature);
            behaviour[i].set_volatility(lane, [0.1, -0.2]);
        }
        (chain, behaviour)
    }

    struct Draws<'a>(&'a FlowStep, &'a mut FlowBuffers);

    impl Kernel for Draws<'_> {
        type Output = SlotSingles;

        #[inline(always)]
        fn run<V: Vector>(self) -> SlotSingles {
            let (chain, mut behaviour) = slots();
            let mut flow = SlotSingles::zero();
            let inflow = flow_draws::<V>(self.0, DRAW, COMMON, &chain, &mut behaviour, self.1, &mut flow);
            let into = |slot: usize| {
                f64::from(flow.get(slot)).max(0.0) * chain[slot / CHUNK_SLOTS].reserve_tao[slot % CHUNK_SLOTS]
            };
            let expected: f64 = (0..CHUNKS * CHUNK_SLOTS).map(into).sum();
            assert!((inflow / expected - 1.0).abs() < 1e-5, "{inflow} TAO, not {expected}");
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
        flow.clamp(-params.flow_cap, params.flow_cap)
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
                let flow = f64::from(growth.get(slot)).ln_1p();
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
