//! The coinbase, sales of emission and organic flow of K blocks, over chunks of eight slots.
//!
//! Each pass is short; a few chunks go through all passes before the next few, so that what one leaves for another in
//! [`StepBuffers`] stays in the first-level cache. Every pass is the closed form over K blocks of the scalar definitions
//! beside this file and equals them at K = 1.
//!
//! Passes come in two forms. `EQUAL` holds when every pool weight is 1/2, which injection then keeps exactly;
//! the general form pays four powers more per slot, mostly short ones.
//!
//! # Not modelled
//! - The bounds [0.01, 0.99] on weights: price-proportional injection only moves weights towards 1/2.
//! - Whole rao: amounts are f64 tokens. Effect below 1e-9 TAO per block.

use crate::protocol::coinbase_step::CoinbaseStep;
use crate::protocol::moving_price_kernel;
use crate::protocol::moving_price_table::AgeChunk;
use crate::protocol::root::RootAlpha;
use crate::protocol::rule_kernel::CapTerms;
use crate::protocol::rule_kernel::blend_parts;
use crate::protocol::rule_kernel::cross_halvings;
use crate::protocol::rule_kernel::injected;
use crate::protocol::rule_kernel::injected_alpha;
use crate::protocol::rule_kernel::return_below_halvings;
use crate::protocol::rule_kernel::root_fate;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::SlotSingles;
use crate::protocol::slots::SlotValues;
use crate::protocol::slots::StepBuffers;
use crate::protocol::slots::TILE_CHUNKS;
use crate::simd::Vector;
use crate::simd::math;

/// TAO that a step moved, over all slots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepSums {
    /// Put into pools by the chain: injection and chain buys.
    pub spent_tao: f64,
    /// Paid for root claims.
    pub root_tao: f64,
    /// Paid to owners, miners and validators.
    pub sold_tao: f64,
    /// Put into pools by organic flow.
    pub flow_tao: f64,
}

/// The same as it grows, chunk by chunk.
#[derive(Clone, Copy)]
struct Sums<V> {
    spent: V,
    root: V,
    sold: V,
    flow: V,
}

impl<V: Vector> Sums<V> {
    #[inline(always)]
    fn zero() -> Self {
        let zero = V::splat(0.0);
        Self { spent: zero, root: zero, sold: zero, flow: zero }
    }

    #[inline(always)]
    fn total(self) -> StepSums {
        StepSums {
            spent_tao: self.spent.sum_halving(),
            root_tao: self.root.sum_halving(),
            sold_tao: self.sold.sum_halving(),
            flow_tao: self.flow.sum_halving(),
        }
    }
}

/// A few chunks that go through all passes together: the number of the first, and its row in the buffers.
#[derive(Clone, Copy)]
struct Tile {
    first: usize,
    row: usize,
}

/// What a step reads besides the slots.
#[derive(Clone, Copy)]
pub struct StepInput<'a> {
    /// Of the chain.
    pub coinbase: &'a CoinbaseStep,
    /// Shares are `buffers.share` times this.
    pub share_factor: f64,
    /// `e^f - 1` of the organic flow as drawn.
    pub growth: &'a SlotSingles,
    /// Alpha of books, not for sale by others.
    pub held: &'a SlotValues,
    /// Part of the staked and the pool's alpha that stays staked, books included.
    pub stake_floor: f64,
}

/// Coinbase, sales and organic flow, then moving prices, of a step whose flow cannot cost more than there is in wallets.
///
/// With `keeps` every slot leaves its own row in `buffers`; else all tiles use the same few, which stay in the first-level cache,
/// but for `share`, `staked_open` and `validator_alpha`. Returns the sums, and whether every slot is sound.
#[inline(always)]
pub fn step_pass<'a, V: Vector, const EQUAL: bool>(
    chunks: &mut [ChainChunk],
    input: StepInput<'_>,
    ages: impl Fn(usize) -> &'a AgeChunk,
    keeps: bool,
    buffers: &mut StepBuffers,
) -> (StepSums, bool) {
    let mut sums = Sums::<V>::zero();
    let mut sound = moving_price_kernel::every_lane::<V>();
    let limits = moving_price_kernel::Limits::new(input.coinbase.blocks);
    for (number, chunks) in chunks.chunks_mut(TILE_CHUNKS).enumerate() {
        let first = number * TILE_CHUNKS;
        let tile = Tile { first, row: if keeps { first } else { 0 } };
        coinbase_tile::<V, EQUAL>(tile, chunks, input, buffers, &mut sums);
        flow_tile::<V, EQUAL>(tile, chunks, (input.held, input.stake_floor), buffers, &mut sums.flow);
        sound = sound & moving_price_kernel::tile::<V, EQUAL>(first, tile.row, chunks, &limits, &ages, buffers);
    }
    (sums.total(), V::bitmask(sound) == 0xff)
}

/// The coinbase and sales alone; every slot leaves its row in `buffers`.
#[inline(always)]
pub fn coinbase_pass<V: Vector, const EQUAL: bool>(
    chunks: &mut [ChainChunk],
    input: StepInput<'_>,
    buffers: &mut StepBuffers,
) -> StepSums {
    let mut sums = Sums::<V>::zero();
    for (number, chunks) in chunks.chunks_mut(TILE_CHUNKS).enumerate() {
        let first = number * TILE_CHUNKS;
        coinbase_tile::<V, EQUAL>(Tile { first, row: first }, chunks, input, buffers, &mut sums);
    }
    sums.total()
}

/// In place of a [`coinbase_pass`], a step in which nothing is injected, minted, sold or claimed: pools come to the flow as they are.
#[inline(always)]
pub fn still_pass<V: Vector, const EQUAL: bool>(
    chunks: &[ChainChunk],
    growth: &SlotSingles,
    buffers: &mut StepBuffers,
) -> StepSums {
    let drawn = growth.0.as_flattened().as_chunks::<CHUNK_SLOTS>().0;
    let zero = V::splat(0.0);
    for (i, chunk) in chunks.iter().enumerate() {
        let x = V::load(&chunk.reserve_alpha);
        let y = V::load(&chunk.reserve_tao);
        (V::load_wide(&drawn[i]) * V::load(&chunk.started)).store(&mut buffers.growth.0[i]);
        (y / (x * chunk.weight_ratio::<V, EQUAL>())).store(&mut buffers.price_open.0[i]);
        V::splat(1.0).store(&mut buffers.coinbase_ratio.0[i]);
        x.store(&mut buffers.reserve_alpha_mid.0[i]);
        y.store(&mut buffers.reserve_tao_mid.0[i]);
        V::load(&chunk.staked_alpha).store(&mut buffers.staked_open.0[i]);
        for values in [&mut buffers.share, &mut buffers.validator_alpha, &mut buffers.spent_tao] {
            zero.store(&mut values.0[i]);
        }
        for values in [&mut buffers.root_tao, &mut buffers.sold_tao] {
            zero.store(&mut values.0[i]);
        }
    }
    Sums::<V>::zero().total()
}

/// Organic net flow after a [`coinbase_pass`], `kept` as in [`StepInput`]; returns what it cost (TAO), to be checked against free TAO.
#[inline(always)]
pub fn flow_pass<V: Vector, const EQUAL: bool>(
    chunks: &mut [ChainChunk],
    kept: (&SlotValues, f64),
    buffers: &mut StepBuffers,
) -> f64 {
    let mut cost = V::splat(0.0);
    flow_tile::<V, EQUAL>(Tile { first: 0, row: 0 }, chunks, kept, buffers, &mut cost);
    cost.sum_halving()
}

/// Injection, chain buy, alpha emission with its splits, sales of emission and root claims over K blocks.
///
/// In the chain's order (MECHANICS 5.2, 6.2; MODEL 3.3 and 3.4), all terms from the opening state:
///
/// ```text
/// rho = tw R / (tw R + issuance)      p = (w1 / w2) (y / x)
/// t = min(E, cap p)   a = t / p   excess = E - t                over K blocks; cap = rho ae under rule J5
/// w2' keeps p for (t, a); excess buys alpha on the old reserves; x += a, y += t
/// cut, server = (ae - cut) / 2, root = rho' server, validator = server - root
/// ```
///
/// Quotients known at the same time share one division, by the product of their denominators.
/// rho' is taken where the middle block stands after its injection and mint, which is the chain's own state at K = 1.
#[inline(always)]
fn coinbase_tile<V: Vector, const EQUAL: bool>(
    tile: Tile,
    chunks: &mut [ChainChunk],
    input: StepInput<'_>,
    buffers: &mut StepBuffers,
    sums: &mut Sums<V>,
) {
    let step = input.coinbase;
    injection_pass::<V, EQUAL>(tile, chunks, input, buffers, &mut sums.spent);
    emission_pass::<V, EQUAL>(tile, chunks, step, buffers);
    if step.root_rule.root_alpha(step.sell_flag, false) == RootAlpha::Sold {
        root_first_sale_pass::<V, EQUAL>(tile, chunks, buffers, sums);
    } else {
        sale_pass::<V, EQUAL>(tile, chunks, buffers, sums);
    }
}

/// What the chain puts into each pool, and what it mints.
#[inline(always)]
fn injection_pass<V: Vector, const EQUAL: bool>(
    Tile { first, row }: Tile,
    chunks: &mut [ChainChunk],
    input: StepInput<'_>,
    buffers: &mut StepBuffers,
    spent: &mut V,
) {
    let step = input.coinbase;
    let drawn = input.growth.0.as_flattened().as_chunks::<CHUNK_SLOTS>().0;
    let one = V::splat(1.0);
    let blocks = V::splat(step.blocks);
    let root = V::splat(step.weighted_root_tao);
    let to_middle = V::splat(0.5 * (1.0 + 1.0 / step.blocks));
    for (t, chunk) in chunks.iter_mut().enumerate() {
        let (i, r) = (first + t, row + t);
        let x = V::load(&chunk.reserve_alpha);
        let y = V::load(&chunk.reserve_tao);
        let started = V::load(&chunk.started);
        let share = V::load(&buffers.share.0[i]) * V::splat(input.share_factor);
        let issuance = chunk.issuance::<V>();
        let diluted = root + issuance;
        let w2 = V::load(&chunk.weight_tao);
        let (xw, yw) = if EQUAL { (x, y) } else { (w2 * x, (one - w2) * y) };
        let xy = xw * yw;
        let inverse = one / (diluted * xy);
        let rho = root * (xy * inverse);
        let quotient = diluted * inverse;
        let price = (yw * yw) * quotient;
        let per_price = (xw * xw) * quotient;

        let mut rate = V::load(&chunk.alpha_emission);
        if !step.injection_rule.keeps_bought_alpha() {
            return_below_halvings::<V>(chunk, issuance);
            rate = V::load(&chunk.alpha_emission);
        }
        let near = (issuance + (blocks + blocks)).ge(V::load(&chunk.halving_issuance));
        if V::bitmask(near) != 0 {
            let (first, _) = injected::<V>(step, 0, share, CapTerms { rho, minted: blocks * rate, price });
            rate = cross_halvings::<V>(chunk, issuance, blocks.mul_add(rate, first * per_price), step.blocks);
        }
        let minted = blocks * rate * started;
        let (injected_tao, excess) = blend_parts::<V>(step, share, CapTerms { rho, minted, price });
        let injected_alpha = injected_alpha::<V>(step.injection_rule, injected_tao * per_price, excess, minted);
        let spent_tao = injected_tao + excess;
        *spent = *spent + spent_tao;

        share.store(&mut buffers.share.0[i]);
        (V::load_wide(&drawn[i]) * started).store(&mut buffers.growth.0[r]);
        price.store(&mut buffers.price_open.0[r]);
        spent_tao.store(&mut buffers.spent_tao.0[r]);
        let scratch = &mut buffers.scratch;
        per_price.store(&mut scratch.per_price[t]);
        excess.store(&mut scratch.excess_tao[t]);
        injected_alpha.store(&mut scratch.injected_alpha[t]);
        minted.store(&mut scratch.minted_alpha[t]);
        (injected_alpha + minted).mul_add(to_middle, diluted).store(&mut scratch.diluted[t]);
    }
}

/// Weights for the injection, the chain buy on the old reserves, who gets the minted alpha and who sells of it.
/// Leaves the alpha reserve after injection in `reserve_alpha_mid`, and root alpha that the chain sells in `diluted`.
#[inline(always)]
fn emission_pass<V: Vector, const EQUAL: bool>(
    Tile { first, row }: Tile,
    chunks: &mut [ChainChunk],
    step: &CoinbaseStep,
    buffers: &mut StepBuffers,
) {
    let one = V::splat(1.0);
    let root = V::splat(step.weighted_root_tao);
    let sales = &step.sales;
    let cut_part = V::splat(step.owner_cut);
    let server_part = V::splat(0.5 * (1.0 - step.owner_cut));
    for (t, chunk) in chunks.iter_mut().enumerate() {
        let (i, r) = (first + t, row + t);
        let scratch = &mut buffers.scratch;
        let x = V::load(&chunk.reserve_alpha);
        let y = V::load(&chunk.reserve_tao);
        let excess = V::load(&scratch.excess_tao[t]);
        let injected = V::load(&scratch.injected_alpha[t]);
        let middle = V::load(&scratch.diluted[t]);
        let y_bought = y + excess;
        let inverse = one / (y_bought * middle);
        let bought = if EQUAL {
            x * (excess * (middle * inverse))
        } else {
            let w2 = V::load(&chunk.weight_tao);
            let growth = (one - w2) * (injected / x);
            let growth_tao = match step.injection_rule.keeps_price() {
                true => growth,
                false => w2 * ((V::load(&buffers.spent_tao.0[r]) - excess) / y),
            };
            let moved = (w2 + growth_tao) / (one + growth + growth_tao);
            let w2_new = if step.weighted { moved } else { w2 };
            w2_new.store(&mut chunk.weight_tao);
            -(x * math::pow_m1(excess / y, -(w2_new / (one - w2_new))))
        };

        let minted = V::load(&scratch.minted_alpha[t]);
        let cut = minted * cut_part;
        let server = minted * server_part;
        let root_alpha = if step.injection_rule.keeps_bought_alpha() {
            server * (root * (y_bought * inverse))
        } else {
            server * (root / (middle - bought * V::splat(0.5 * (1.0 + 1.0 / step.blocks))))
        };
        let fate = root_fate::<V>(step, root_alpha, excess);
        let validator = (server - root_alpha) + fate.to_validators;
        let withheld = server * V::load(&chunk.miner_burned).min(one);
        let miner = server - withheld;
        let accrued = fate.accrued;
        let paid = validator.mul_add(V::splat(sales.validator), miner * V::splat(sales.miner));
        let sold = cut.mul_add(V::splat(sales.owner), paid);
        let unclaimed = V::load(&chunk.unclaimed_root_alpha);
        let claimed = unclaimed.mul_add(V::splat(sales.claim_of_stock), accrued * V::splat(sales.claim_of_new));
        let swapped = claimed * V::splat(sales.root_swap);

        let staked = V::load(&chunk.staked_alpha);
        staked.store(&mut buffers.staked_open.0[i]);
        validator.store(&mut buffers.validator_alpha.0[i]);
        sold.store(&mut scratch.sold_alpha[t]);
        swapped.store(&mut scratch.swapped_alpha[t]);
        fate.sold.store(&mut scratch.diluted[t]);
        ((x - bought) + injected).store(&mut buffers.reserve_alpha_mid.0[r]);
        let paid_out = (cut + miner) + (validator - sold);
        (staked + (paid_out + (claimed - swapped))).store(&mut chunk.staked_alpha);
        if step.injection_rule.keeps_bought_alpha() {
            (V::load(&chunk.protocol_alpha) + bought).store(&mut chunk.protocol_alpha);
        }
        (V::load(&chunk.burned_alpha) + (withheld + fate.lost)).store(&mut chunk.burned_alpha);
        (unclaimed + (accrued - claimed)).store(&mut chunk.unclaimed_root_alpha);
    }
}

/// Sales of emission, then of claimed root alpha, through the pool after injection. Leaves what the coinbase makes of the price
/// in `coinbase_ratio`.
#[inline(always)]
fn sale_pass<V: Vector, const EQUAL: bool>(
    Tile { row, .. }: Tile,
    chunks: &[ChainChunk],
    buffers: &mut StepBuffers,
    sums: &mut Sums<V>,
) {
    let one = V::splat(1.0);
    for (t, chunk) in chunks.iter().enumerate() {
        let r = row + t;
        let x = V::load(&buffers.reserve_alpha_mid.0[r]);
        let y = V::load(&chunk.reserve_tao) + V::load(&buffers.spent_tao.0[r]);
        let sold = V::load(&buffers.scratch.sold_alpha[t]);
        let swapped = V::load(&buffers.scratch.swapped_alpha[t]);
        let xa = x + sold;
        let xb = xa + swapped;
        let xab = xa * xb;
        let inverse = one / (x * xab);
        let per_x = xab * inverse;
        let (ya, yb, price) = if EQUAL {
            let part = ((x * y) * x) * inverse;
            (part * xb, part * xa, y * per_x)
        } else {
            let ratio = chunk.weight_ratio::<V, EQUAL>();
            let power = -(one / ratio);
            let ya = math::pow_m1(sold * per_x, power).mul_add(y, y);
            let yb = math::pow_m1((sold + swapped) * per_x, power).mul_add(y, y);
            (ya, yb, -(y * per_x * power))
        };
        let (root_tao, sold_tao) = (ya - yb, y - ya);
        sums.root = sums.root + root_tao;
        sums.sold = sums.sold + sold_tao;
        (price * V::load(&buffers.scratch.per_price[t])).store(&mut buffers.coinbase_ratio.0[r]);
        root_tao.store(&mut buffers.root_tao.0[r]);
        sold_tao.store(&mut buffers.sold_tao.0[r]);
        xb.store(&mut buffers.reserve_alpha_mid.0[r]);
        yb.store(&mut buffers.reserve_tao_mid.0[r]);
    }
}

/// [`sale_pass`] where the chain itself sells root alpha: before all others, so that the moving price sees it at once.
#[inline(always)]
fn root_first_sale_pass<V: Vector, const EQUAL: bool>(
    Tile { row, .. }: Tile,
    chunks: &[ChainChunk],
    buffers: &mut StepBuffers,
    sums: &mut Sums<V>,
) {
    let one = V::splat(1.0);
    for (t, chunk) in chunks.iter().enumerate() {
        let r = row + t;
        let x = V::load(&buffers.reserve_alpha_mid.0[r]);
        let y = V::load(&chunk.reserve_tao) + V::load(&buffers.spent_tao.0[r]);
        let xa = x + V::load(&buffers.scratch.diluted[t]);
        let xb = xa + V::load(&buffers.scratch.sold_alpha[t]);
        let xc = xb + V::load(&buffers.scratch.swapped_alpha[t]);
        let ratio = chunk.weight_ratio::<V, EQUAL>();
        let (ya, yb, yc) = if EQUAL {
            (y * (x / xa), y * (x / xb), y * (x / xc))
        } else {
            let power = -(one / ratio);
            let ya = y * math::exp(power * math::ln(xa / x));
            let yb = ya * math::exp(power * math::ln(xb / xa));
            (ya, yb, ya * math::exp(power * math::ln(xc / xa)))
        };
        let (root_tao, sold_tao) = ((y - ya) + (yb - yc), ya - yb);
        sums.root = sums.root + root_tao;
        sums.sold = sums.sold + sold_tao;
        (ya / (xa * ratio) * V::load(&buffers.scratch.per_price[t])).store(&mut buffers.coinbase_ratio.0[r]);
        root_tao.store(&mut buffers.root_tao.0[r]);
        sold_tao.store(&mut buffers.sold_tao.0[r]);
        xc.store(&mut buffers.reserve_alpha_mid.0[r]);
        yc.store(&mut buffers.reserve_tao_mid.0[r]);
    }
}

/// Organic net flow: `y' = y e^f`, `x' = x e^(-f w2 / w1)`, sales limited to the stake beyond what books hold and what never leaves.
///
/// `buffers.growth` holds `e^f - 1` before the limit on entry and after it on return. Leaves the TAO that the flow moved in
/// `buffers.flow_tao`.
#[inline(always)]
fn flow_tile<V: Vector, const EQUAL: bool>(
    Tile { first, row }: Tile,
    chunks: &mut [ChainChunk],
    (held, stake_floor): (&SlotValues, f64),
    buffers: &mut StepBuffers,
    cost: &mut V,
) {
    let one = V::splat(1.0);
    let (sellable_part, stake_floor) = (V::splat(SELLABLE_PART), V::splat(stake_floor));
    let zero = V::splat(0.0);
    for (t, chunk) in chunks.iter_mut().enumerate() {
        let (i, r) = (first + t, row + t);
        let x = V::load(&buffers.reserve_alpha_mid.0[r]);
        let y = V::load(&buffers.reserve_tao_mid.0[r]);
        let staked = V::load(&chunk.staked_alpha);
        let mut growth = V::load(&buffers.growth.0[r]);
        let ratio = chunk.weight_ratio::<V, EQUAL>();
        let mut x_new = if EQUAL { x / (one + growth) } else { math::pow_m1(growth, -ratio).mul_add(x, x) };
        let kept = ((staked + x) * stake_floor).max(V::load(&held.0[i]));
        let limit = (staked - kept).max(zero).mul_add(sellable_part, x);
        let over = x_new.gt(limit);
        if V::bitmask(over) != 0 {
            let limited = if EQUAL { x / limit - one } else { math::pow_m1((limit - x) / x, -(one / ratio)) };
            growth = V::select(over, limited, growth);
            x_new = V::select(over, limit, x_new);
            growth.store(&mut buffers.growth.0[r]);
        }
        let flow_tao = y * growth;
        *cost = *cost + flow_tao;
        flow_tao.store(&mut buffers.flow_tao.0[r]);
        (y + flow_tao).store(&mut chunk.reserve_tao);
        x_new.store(&mut chunk.reserve_alpha);
        (staked + (x - x_new)).store(&mut chunk.staked_alpha);
    }
}

/// Part of the stake that may leave which does in one step at most (MODEL 4.1).
pub const SELLABLE_PART: f64 = 0.999;

/// Takes the pool moves of [`flow_pass`] back and multiplies every flow by `factor`, for a pass with less money.
#[cold]
#[inline(never)]
pub fn rescale_flows(chunks: &mut [ChainChunk], factor: f64, buffers: &mut StepBuffers) {
    for (i, chunk) in chunks.iter_mut().enumerate() {
        for lane in 0..CHUNK_SLOTS {
            let before = buffers.reserve_alpha_mid.0[i][lane];
            chunk.staked_alpha[lane] -= before - chunk.reserve_alpha[lane];
            let growth = &mut buffers.growth.0[i][lane];
            *growth = math::exp_m1(factor * math::ln_1p(*growth));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::coinbase_step::EmissionSales;
    use crate::protocol::emission::InjectionRule;
    use crate::protocol::root::RootRule;
    use crate::simd::Backend;
    use crate::simd::Kernel;
    use crate::simd::dispatch;

    const CHUNKS: usize = 16;

    /// Pools from tiny to large, one in nine not started.
    fn slots() -> Vec<ChainChunk> {
        let mut chunks = vec![ChainChunk::empty(); CHUNKS];
        for slot in 0..CHUNKS * CHUNK_SLOTS {
            let (chunk, lane) = (&mut chunks[slot / CHUNK_SLOTS], slot % CHUNK_SLOTS);
            let size = slot as f64;
            chunk.reserve_alpha[lane] = 30_000.0 + 20_000.0 * size;
            chunk.reserve_tao[lane] = 400.0 + 3.0 * size * size;
            chunk.staked_alpha[lane] = 15_000.0 * size;
            chunk.protocol_alpha[lane] = 100.0 * size;
            chunk.burned_alpha[lane] = 50.0;
            chunk.unclaimed_root_alpha[lane] = 10.0 * size;
            chunk.moving_price[lane] = 0.001 * size;
            chunk.miner_burned[lane] = if slot % 5 == 0 { 1.0 } else { 0.2 };
            chunk.alpha_emission[lane] = 1.0;
            chunk.started[lane] = if slot % 9 == 0 { 0.0 } else { 1.0 };
            chunk.enabled[lane] = 1.0;
        }
        chunks
    }

    fn shares() -> StepBuffers {
        let mut buffers = StepBuffers::new();
        (0..CHUNKS * CHUNK_SLOTS).for_each(|slot| buffers.share.set(slot, slot as f64 / 8_128.0));
        buffers
    }

    fn step(emission_tao: f64) -> CoinbaseStep {
        let sales = EmissionSales {
            owner: 0.5,
            miner: 0.6,
            validator: 0.1,
            root_swap: 0.7,
            claim_of_stock: 0.4,
            claim_of_new: 0.2,
        };
        CoinbaseStep {
            blocks: 7_200.0,
            emission_tao: [emission_tao, 0.5 * emission_tao],
            emission_part: [0.75, 0.25],
            weighted_root_tao: 990_000.0,
            sell_flag: true,
            injection_rule: InjectionRule::J5,
            root_rule: RootRule::R4,
            weighted: true,
            owner_cut: 0.18,
            sales,
        }
    }

    struct Coinbase<const EQUAL: bool>(f64);

    impl<const EQUAL: bool> Kernel for Coinbase<EQUAL> {
        type Output = (Vec<ChainChunk>, StepBuffers);

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let (mut chunks, mut buffers) = (slots(), shares());
            let growth = SlotSingles::zero();
            let held = SlotValues::splat(0.0);
            let input = StepInput {
                coinbase: &step(self.0),
                share_factor: 1.0,
                growth: &growth,
                held: &held,
                stake_floor: 0.0,
            };
            coinbase_pass::<V, EQUAL>(&mut chunks, input, &mut buffers);
            (chunks, buffers)
        }
    }

    fn outputs((chunks, buffers): &(Vec<ChainChunk>, StepBuffers), slot: usize) -> [f64; 12] {
        let (chunk, lane) = (&chunks[slot / CHUNK_SLOTS], slot % CHUNK_SLOTS);
        [
            buffers.price_open.get(slot),
            buffers.coinbase_ratio.get(slot),
            buffers.validator_alpha.get(slot),
            buffers.root_tao.get(slot),
            buffers.sold_tao.get(slot),
            buffers.spent_tao.get(slot),
            buffers.reserve_alpha_mid.get(slot),
            buffers.reserve_tao_mid.get(slot),
            chunk.staked_alpha[lane],
            chunk.protocol_alpha[lane],
            chunk.burned_alpha[lane],
            chunk.unclaimed_root_alpha[lane],
        ]
    }

    /// The formulas of [`coinbase_pass`] at equal weights as they are written, every quotient with its own division.
    fn plain(step: &CoinbaseStep, slot: usize) -> [f64; 12] {
        let (chunks, buffers) = (slots(), shares());
        let (chunk, lane) = (&chunks[slot / CHUNK_SLOTS], slot % CHUNK_SLOTS);
        let (x, y, staked) = (chunk.reserve_alpha[lane], chunk.reserve_tao[lane], chunk.staked_alpha[lane]);
        let (issuance, root) = (chunk.issuance_alpha(lane), step.weighted_root_tao);
        let rate = chunk.alpha_emission[lane] * chunk.started[lane];
        let (price, cap) = (y / x, root / (root + issuance) * rate * (y / x));
        let (mut spent, mut injected) = (0.0, 0.0);
        for (emission, part) in step.emission_tao.iter().zip(step.emission_part) {
            spent += step.blocks * part * buffers.share.get(slot) * emission;
            injected += step.blocks * part * (buffers.share.get(slot) * emission).min(cap);
        }
        let excess = spent - injected;
        let bought = x * (excess / (y + excess));
        let (x2, y2) = (x - bought + injected / price, y + spent);
        let cut = step.blocks * rate * step.owner_cut;
        let server = (step.blocks * rate - cut) / 2.0;
        let middle = issuance + (injected / price / step.blocks + rate) * (step.blocks + 1.0) / 2.0;
        let accrued = server * (root / (root + middle));
        let (validator, withheld) = (server - accrued, server * chunk.miner_burned[lane]);
        let miner = server - withheld;
        let sales = &step.sales;
        let sold = sales.owner * cut + sales.miner * miner + sales.validator * validator;
        let unclaimed = chunk.unclaimed_root_alpha[lane];
        let claimed = unclaimed * sales.claim_of_stock + accrued * sales.claim_of_new;
        let swapped = claimed * sales.root_swap;
        let (xa, xb) = (x2 + sold, x2 + sold + swapped);
        let (ya, yb) = (x2 * y2 / xa, x2 * y2 / xb);
        [
            price,
            y2 / x2 / price,
            validator,
            ya - yb,
            y2 - ya,
            spent,
            xb,
            yb,
            staked + cut + miner + validator - sold + claimed - swapped,
            chunk.protocol_alpha[lane] + bought,
            chunk.burned_alpha[lane] + withheld,
            unclaimed + accrued - claimed,
        ]
    }

    /// Relative to the value, or to the pool where it is a difference of larger ones.
    fn assert_close(results: [f64; 12], expected: [f64; 12], pool_tao: f64, context: &str) {
        for (i, (result, expected)) in results.iter().zip(expected).enumerate() {
            let size = match i {
                3 | 4 => pool_tao,
                _ => expected.abs(),
            };
            assert!((result - expected).abs() <= 1e-12 * size, "{context}, output {i}: {result}, not {expected}");
        }
    }

    #[test]
    fn shared_divisions_agree_with_the_formulas() {
        for backend in Backend::available() {
            for emission_tao in [0.0, 0.5, 20.0] {
                let equal = dispatch(backend, Coinbase::<true>(emission_tao));
                let general = dispatch(backend, Coinbase::<false>(emission_tao));
                for slot in 0..CHUNKS * CHUNK_SLOTS {
                    let expected = plain(&step(emission_tao), slot);
                    let context = format!("{backend}, {emission_tao} TAO, slot {slot}");
                    assert_close(outputs(&equal, slot), expected, expected[7], &context);
                    assert_close(outputs(&general, slot), expected, expected[7], &format!("{context}, general"));
                }
            }
        }
    }
}
