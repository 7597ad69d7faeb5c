//! Shares of the TAO emission over chunks of eight slots: [`crate::protocol::share_rules`] in vectors.

use crate::protocol::flow_kernel::FlowChunk;
use crate::protocol::share_rules::FlowLevel;
use crate::protocol::share_rules::ShareRule;
use crate::protocol::share_rules::ShareTerms;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::protocol::slots::StepBuffers;
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

/// What [`raw_shares`] leaves besides the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawShares {
    /// Sum of moving prices.
    pub price_sum: f64,
    /// Inverse of the sum of weights; 0 where that is 0.
    pub factor: f64,
}

/// Weights before the gate: the rule's over started slots; plain price shares where those are all 0 and the rule falls back
/// to them. They stand in `buffers.raw_share` and, times `factor`, are the shares.
#[inline(always)]
pub fn raw_shares<V: Vector>(chunks: &[ChainChunk], step: &ShareStep<'_>, buffers: &mut StepBuffers) -> RawShares {
    let [mut price_sum, mut sum] = [V::splat(0.0); 2];
    for (i, chunk) in chunks.iter().enumerate() {
        let price = V::load(&chunk.moving_price) * V::load(&chunk.started);
        let weight = step.weights(i, chunk, price);
        price_sum = price_sum + price;
        sum = sum + weight;
        weight.store(&mut buffers.raw_share.0[i]);
    }
    let (price_sum, mut sum) = (price_sum.sum_halving(), sum.sum_halving());
    if !(sum > 0.0) && step.rule.falls_back_to_prices() {
        for (raw, chunk) in buffers.raw_share.0.iter_mut().zip(chunks) {
            (V::load(&chunk.moving_price) * V::load(&chunk.started)).store(raw);
        }
        sum = price_sum;
    }
    RawShares { price_sum, factor: if sum > 0.0 { 1.0 / sum } else { 0.0 } }
}

/// The `rank`-th largest positive value; the smallest positive where there are fewer; 0 where there is none.
///
/// One pass finds the values near `guess`, among which it mostly is: from one step's threshold to the next it moves by a
/// few ranks. Else it walks from there by counting passes.
#[inline(always)]
pub fn ranked_value<V: Vector>(values: &[Lanes8], rank: usize, guess: f64) -> f64 {
    let mut near = Near::<V>::new(guess);
    for (group, lanes) in values.chunks(8).enumerate() {
        near.count(8 * CHUNK_SLOTS * group, lanes, values.as_flattened());
    }
    // Not `unwrap_or_else`: it is compiled without the backend's instructions, and its closure with it.
    match near.ranked(rank) {
        Some(value) => value,
        None => walk_to_rank::<V>(values, rank, guess),
    }
}

/// Values within a sixteenth of a guess, and how many are above them.
struct Near<V: Vector> {
    low: V,
    high: V,
    above: usize,
    values: [Lanes8; NEAR_MAX / CHUNK_SLOTS],
    found: usize,
}

/// More values than this are not looked at one by one.
const NEAR_MAX: usize = 2 * CHUNK_SLOTS;

impl<V: Vector> Near<V> {
    #[inline(always)]
    fn new(guess: f64) -> Self {
        let (low, high) = (V::splat(guess * (15.0 / 16.0)), V::splat(guess * (17.0 / 16.0)));
        Self { low, high, above: 0, values: [[0.0; CHUNK_SLOTS]; NEAR_MAX / CHUNK_SLOTS], found: 0 }
    }

    /// Adds up to eight chunks, whose bits are looked at together; `first`: index of their first value.
    #[inline(always)]
    fn count(&mut self, first: usize, group: &[Lanes8], values: &[f64]) {
        let (mut above, mut from_low) = (0u64, 0u64);
        for (i, lanes) in group.iter().enumerate() {
            let value = V::load(lanes);
            above |= u64::from(V::bitmask(value.gt(self.high))) << (8 * i);
            from_low |= u64::from(V::bitmask(value.ge(self.low))) << (8 * i);
        }
        self.above += above.count_ones() as usize;
        let mut near = from_low & !above;
        while near != 0 {
            let value = values[first + near.trailing_zeros() as usize];
            self.values.as_flattened_mut()[self.found % NEAR_MAX] = value;
            self.found += 1;
            near &= near - 1;
        }
    }

    /// The value of rank `rank` where it is among those found, and positive: the least that fewer than `rank` are above.
    ///
    /// Each value is counted against all others, lane by lane, which no branch depends on: a sort would be mispredicted at every
    /// other step.
    #[inline(always)]
    fn ranked(&self, rank: usize) -> Option<f64> {
        let place = rank.checked_sub(self.above + 1)?;
        if self.found > NEAR_MAX || place >= self.found {
            return None;
        }
        let (one, zero) = (V::splat(1.0), V::splat(0.0));
        let [a, b] = [V::load(&self.values[0]), V::load(&self.values[1])];
        let [mut above_a, mut above_b] = [zero; 2];
        for value in self.values.as_flattened() {
            let value = V::splat(*value);
            above_a = above_a + V::select(value.gt(a), one, zero);
            above_b = above_b + V::select(value.gt(b), one, zero);
        }
        let (last, none) = (V::splat(place as f64), V::splat(f64::INFINITY));
        let least = V::select(above_a.le(last), a, none).min(V::select(above_b.le(last), b, none));
        Some(least.to_array().into_iter().fold(f64::INFINITY, f64::min)).filter(|value| *value > 0.0)
    }
}

/// [`ranked_value`] from any guess.
#[inline(always)]
fn walk_to_rank<V: Vector>(values: &[Lanes8], rank: usize, guess: f64) -> f64 {
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

/// Final shares of an even number of chunks, up to a factor, which is returned: the gate where there is one (`threshold` > 0, else ungated), disabled slots
/// zeroed. `raw_factor` makes shares of `buffers.raw_share`.
///
/// ```text
/// gate(b) = b / (1 + (threshold / b)^h) = b b^h / (b^h + threshold^h)
/// ```
#[inline(always)]
pub fn final_shares<V: Vector>(
    chunks: &[ChainChunk],
    raw_factor: f64,
    exponent: u32,
    threshold: f64,
    buffers: &mut StepBuffers,
) -> f64 {
    let level = int_power(threshold, exponent);
    let mut sum = 0.0;
    if level > GATE_LEVEL_MIN {
        sum = gated::<V>(chunks, raw_factor, exponent, level, buffers);
    }
    if !(sum > 0.0) {
        sum = ungated::<V>(chunks, raw_factor, buffers);
    }
    if sum > 0.0 { 1.0 / sum } else { 0.0 }
}

/// Below this power of the threshold, two of which would still have a product, all shares are far above the gate.
const GATE_LEVEL_MIN: f64 = 1e-150;

/// The gate over two chunks at a time, which share a division.
#[inline(always)]
fn gated<V: Vector>(
    chunks: &[ChainChunk],
    raw_factor: f64,
    exponent: u32,
    level: f64,
    buffers: &mut StepBuffers,
) -> f64 {
    let (factor, level) = (V::splat(raw_factor), V::splat(level));
    let raw = buffers.raw_share.0.as_chunks::<2>().0;
    let pairs = chunks.as_chunks::<2>().0.iter().zip(raw).zip(buffers.share.0.as_chunks_mut::<2>().0);
    let mut sum = V::splat(0.0);
    for (([a, b], [raw_a, raw_b]), [share_a, share_b]) in pairs {
        let (base_a, base_b) = (V::load(raw_a) * factor, V::load(raw_b) * factor);
        let (power_a, power_b) = (lane_power(base_a, exponent), lane_power(base_b, exponent));
        let (whole_a, whole_b) = (power_a + level, power_b + level);
        let inverse = V::splat(1.0) / (whole_a * whole_b);
        let a = (base_a * V::load(&a.enabled)) * (power_a * (whole_b * inverse));
        let b = (base_b * V::load(&b.enabled)) * (power_b * (whole_a * inverse));
        sum = sum + (a + b);
        a.store(share_a);
        b.store(share_b);
    }
    sum.sum_halving()
}

#[inline(always)]
fn ungated<V: Vector>(chunks: &[ChainChunk], raw_factor: f64, buffers: &mut StepBuffers) -> f64 {
    let mut sum = V::splat(0.0);
    for (i, chunk) in chunks.iter().enumerate() {
        let share = V::load(&buffers.raw_share.0[i]) * V::splat(raw_factor) * V::load(&chunk.enabled);
        sum = sum + share;
        share.store(&mut buffers.share.0[i]);
    }
    sum.sum_halving()
}

#[inline(always)]
fn lane_power<V: Vector>(base: V, exponent: u32) -> V {
    if exponent == 3 {
        return base * base * base;
    }
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
