//! Shares of the TAO emission over chunks of eight slots: [`crate::protocol::share_rules`] in vectors.

use crate::protocol::flow_kernel::FlowChunk;
use crate::protocol::share_rules::FlowLevel;
use crate::protocol::share_rules::ShareRule;
use crate::protocol::share_rules::ShareTerms;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::StepBuffers;
use crate::protocol::slots::sum_slots;
use crate::simd::Vector;

/// What the share rule reads besides the chain's slots.
#[derive(Clone, Copy, Debug)]
pub struct ShareStep<'a> {
    /// Rule in force.
    pub rule: ShareRule,
    /// Root stake times its weight (TAO), for the root proportion.
    pub weighted_root_tao: f64,
    /// Flow averages, one for each chunk; read by flow rules alone.
    pub flows: &'a [FlowChunk],
    /// Level of the flow rule in force.
    pub level: FlowLevel,
}

impl ShareStep<'_> {
    /// Weights of the rule over a chunk, `moving_price` being 0 where not started.
    #[inline(always)]
    fn weights<V: Vector>(&self, i: usize, chunk: &ChainChunk, moving_price: V) -> V {
        let zero = V::splat(0.0);
        let mut terms = ShareTerms {
            moving_price,
            miner_burned: V::load(&chunk.miner_burned),
            root_proportion: zero,
            user_flow: zero,
            protocol_flow: zero,
        };
        if self.rule.reads_flows() {
            terms.user_flow = V::load(&self.flows[i].user);
            terms.protocol_flow = V::load(&self.flows[i].protocol);
            return self.rule.weight(&terms, &self.level) * V::load(&chunk.started);
        }
        if self.rule.reads_root_proportions() {
            let root = V::splat(self.weighted_root_tao);
            terms.root_proportion = root / (root + chunk.issuance::<V>());
        }
        self.rule.weight(&terms, &self.level)
    }
}

/// Shares before the gate: the rule's weights over started slots, normalised; plain price shares where those are all 0 and
/// the rule falls back to them. Returns the sum of moving prices.
#[inline(always)]
pub fn raw_shares<V: Vector>(chunks: &[ChainChunk], step: &ShareStep<'_>, buffers: &mut StepBuffers) -> f64 {
    let live = chunks.len();
    for (i, chunk) in chunks.iter().enumerate() {
        let price = V::load(&chunk.moving_price) * V::load(&chunk.started);
        price.store(&mut buffers.share.0[i]);
        step.weights(i, chunk, price).store(&mut buffers.raw_share.0[i]);
    }
    let price_sum = sum_slots::<V>(&buffers.share.0[..live]);
    let mut sum = sum_slots::<V>(&buffers.raw_share.0[..live]);
    if !(sum > 0.0) && step.rule.falls_back_to_prices() {
        buffers.raw_share.0[..live].copy_from_slice(&buffers.share.0[..live]);
        sum = price_sum;
    }
    scale::<V>(&mut buffers.raw_share.0[..live], if sum > 0.0 { 1.0 / sum } else { 0.0 });
    price_sum
}

/// The `rank`-th largest positive value; the smallest positive where there are fewer; 0 where there is none.
///
/// Walks from `guess` by counting passes: from one step's threshold to the next it moves by a few ranks at most.
#[inline(always)]
pub fn ranked_value<V: Vector>(values: &[Lanes8], rank: usize, guess: f64) -> f64 {
    let mut candidate = guess.max(f64::MIN_POSITIVE);
    loop {
        let mut scan = RankScan::<V>::new();
        for group in values.chunks(8) {
            scan.count(group, V::splat(candidate));
        }
        if scan.above as usize >= rank {
            candidate = scan.next_up.to_array().into_iter().fold(f64::INFINITY, f64::min);
        } else if (scan.above + scan.equal) as usize >= rank {
            return candidate;
        } else {
            let below = scan.next_down.to_array().into_iter().fold(0.0, f64::max);
            if !(below > 0.0) {
                return smallest_positive(values);
            }
            candidate = below;
        }
    }
}

/// How many values are above and at a candidate, and the nearest on either side, lane by lane.
struct RankScan<V: Vector> {
    above: u32,
    equal: u32,
    next_up: V,
    next_down: V,
}

impl<V: Vector> RankScan<V> {
    #[inline(always)]
    fn new() -> Self {
        Self { above: 0, equal: 0, next_up: V::splat(f64::INFINITY), next_down: V::splat(0.0) }
    }

    /// Adds up to eight chunks, whose bits are counted together.
    #[inline(always)]
    fn count(&mut self, group: &[Lanes8], candidate: V) {
        let (mut above, mut below) = (0u64, 0u64);
        for (i, lanes) in group.iter().enumerate() {
            let value = V::load(lanes);
            let (is_above, is_below) = (value.gt(candidate), value.lt(candidate));
            above |= u64::from(V::bitmask(is_above)) << (8 * i);
            below |= u64::from(V::bitmask(is_below)) << (8 * i);
            self.next_up = V::select(is_above, value, V::splat(f64::INFINITY)).min(self.next_up);
            self.next_down = V::select(is_below, value, V::splat(0.0)).max(self.next_down);
        }
        self.above += above.count_ones();
        self.equal += (CHUNK_SLOTS * group.len()) as u32 - (above | below).count_ones();
    }
}

fn smallest_positive(values: &[Lanes8]) -> f64 {
    let least = values.as_flattened().iter().copied().filter(|&v| v > 0.0).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 0.0 }
}

/// Final shares: the gate where there is one (`threshold` > 0, else ungated), disabled slots zeroed, normalised.
///
/// ```text
/// gate(b) = b / (1 + (threshold / b)^h) = b b^h / (b^h + threshold^h)
/// ```
#[inline(always)]
pub fn final_shares<V: Vector>(chunks: &[ChainChunk], exponent: u32, threshold: f64, buffers: &mut StepBuffers) {
    let live = chunks.len();
    let level = V::splat(int_power(threshold, exponent));
    let gated = threshold > 0.0;
    for (i, chunk) in chunks.iter().enumerate() {
        let raw = V::load(&buffers.raw_share.0[i]);
        let open = V::load(&chunk.enabled);
        let share = if gated {
            let power = lane_power(raw, exponent);
            (raw * open) * (power / (power + level))
        } else {
            raw * open
        };
        share.store(&mut buffers.share.0[i]);
    }
    let sum = sum_slots::<V>(&buffers.share.0[..live]);
    if sum > 0.0 {
        scale::<V>(&mut buffers.share.0[..live], 1.0 / sum);
    } else if gated {
        final_shares_ungated::<V>(chunks, buffers);
    }
}

#[inline(always)]
fn final_shares_ungated<V: Vector>(chunks: &[ChainChunk], buffers: &mut StepBuffers) {
    let live = chunks.len();
    for (i, chunk) in chunks.iter().enumerate() {
        (V::load(&buffers.raw_share.0[i]) * V::load(&chunk.enabled)).store(&mut buffers.share.0[i]);
    }
    let sum = sum_slots::<V>(&buffers.share.0[..live]);
    scale::<V>(&mut buffers.share.0[..live], if sum > 0.0 { 1.0 / sum } else { 0.0 });
}

#[inline(always)]
fn scale<V: Vector>(values: &mut [Lanes8], factor: f64) {
    let factor = V::splat(factor);
    for lanes in values {
        (V::load(lanes) * factor).store(lanes);
    }
}

#[inline(always)]
fn lane_power<V: Vector>(base: V, exponent: u32) -> V {
    let mut power = base;
    for _ in 1..exponent {
        power = power * base;
    }
    power
}

fn int_power(base: f64, exponent: u32) -> f64 {
    let mut power = base;
    for _ in 1..exponent {
        power *= base;
    }
    power
}
