//! What the versions of the injection and root rules make of eight slots, and alpha emission across halvings.

use crate::protocol::coinbase_step::CoinbaseStep;
use crate::protocol::emission;
use crate::protocol::emission::InjectionRule;
use crate::protocol::root::RootAlpha;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::protocol::slots::ChainChunk;
use crate::protocol::slots::Lanes8;
use crate::simd::Vector;
use crate::units::SUPPLY_CAP;

/// What becomes of root's alpha of a step.
pub(super) struct RootFate<V> {
    /// Claimable by root stakers.
    pub accrued: V,
    /// Sold by the chain at once.
    pub sold: V,
    /// Nobody's, outside the pool.
    pub lost: V,
    /// The validators' and their stakers'.
    pub to_validators: V,
}

/// [`RootRule::root_alpha`] of eight slots; the chain buys where there is an excess.
#[inline(always)]
pub(super) fn root_fate<V: Vector>(step: &CoinbaseStep, root_alpha: V, excess_tao: V) -> RootFate<V> {
    let zero = V::splat(0.0);
    let mut fate = RootFate { accrued: zero, sold: zero, lost: zero, to_validators: zero };
    let (flag, rule) = (step.sell_flag, step.root_rule);
    let mut rest = root_alpha;
    if rule.root_alpha(flag, true) == RootAlpha::Lost {
        fate.lost = V::select(excess_tao.gt(zero), root_alpha, zero);
        rest = root_alpha - fate.lost;
    }
    match rule.root_alpha(flag, false) {
        RootAlpha::Claimable => fate.accrued = rest,
        RootAlpha::Sold => fate.sold = rest,
        RootAlpha::Validators => fate.to_validators = rest,
        RootAlpha::Lost => fate.lost = root_alpha,
        RootAlpha::Recycled => {}
    }
    fate
}

/// What caps an injection: root proportion, alpha minted over the step and spot price.
#[derive(Clone, Copy)]
pub(super) struct CapTerms<V> {
    pub rho: V,
    pub minted: V,
    pub price: V,
}

/// Most TAO that is injected over a step in which blocks emit `emission_tao` in all.
#[inline(always)]
fn cap_tao<V: Vector>(rule: InjectionRule, emission_tao: f64, terms: CapTerms<V>) -> V {
    let CapTerms { rho, minted, price } = terms;
    match rule {
        InjectionRule::J0 => V::splat(f64::INFINITY),
        InjectionRule::J1 | InjectionRule::J2 => V::splat(emission_tao) * price,
        InjectionRule::J3 => minted * price,
        InjectionRule::J4 | InjectionRule::J4b => minted.min(V::splat(emission_tao)) * price,
        InjectionRule::J5 => rho * minted * price,
    }
}

/// Alpha injected with the TAO: `proportional` at the price, but for the rules that do not keep it.
#[inline(always)]
pub(super) fn injected_alpha<V: Vector>(rule: InjectionRule, proportional: V, excess: V, minted: V) -> V {
    match rule {
        InjectionRule::J0 => proportional.min(minted),
        InjectionRule::J1 => V::select(excess.gt(V::splat(0.0)), minted, proportional),
        _ => proportional,
    }
}

/// Injected TAO and excess over a step that is all like one of its parts.
#[inline(always)]
pub(super) fn injected<V: Vector>(step: &CoinbaseStep, part: usize, share: V, terms: CapTerms<V>) -> (V, V) {
    let emission_tao = step.blocks * step.emission_tao[part];
    let emission = share * V::splat(emission_tao);
    let injected = emission.min(cap_tao(step.injection_rule, emission_tao, terms));
    (injected, emission - injected)
}

/// Injected TAO and excess over a step in which the TAO emission may halve.
#[inline(always)]
pub(super) fn blend_parts<V: Vector>(step: &CoinbaseStep, share: V, terms: CapTerms<V>) -> (V, V) {
    let (first, first_excess) = injected::<V>(step, 0, share, terms);
    if step.emission_part[1] == 0.0 {
        return (first, first_excess);
    }
    let (second, second_excess) = injected::<V>(step, 1, share, terms);
    let (a, b) = (V::splat(step.emission_part[0]), V::splat(step.emission_part[1]));
    (a * first + b * second, a * first_excess + b * second_excess)
}

/// `growth` being the issuance of the step, mean alpha emission per block of a step in which some lane's issuance crosses its halving; moves that lane's threshold on.
#[cold]
#[inline(never)]
fn cross_halvings_lanes(chunk: &mut ChainChunk, issuance: Lanes8, growth: Lanes8, blocks: f64) -> Lanes8 {
    let mut mean = chunk.alpha_emission;
    for lane in 0..CHUNK_SLOTS {
        // The first block that opens at or above the threshold pays half.
        let before = (blocks * (chunk.halving_issuance[lane] - issuance[lane]) / growth[lane]).ceil().max(0.0);
        if before < blocks && chunk.started[lane] > 0.0 {
            let rate = chunk.alpha_emission[lane];
            mean[lane] = rate * (before + 0.5 * (blocks - before)) / blocks;
            chunk.alpha_emission[lane] = 0.5 * rate;
            chunk.halving_issuance[lane] = 0.5 * (chunk.halving_issuance[lane] + SUPPLY_CAP);
        }
    }
    mean
}

/// Alpha emission where recycling has brought the issuance back below a halving that was passed.
#[inline(always)]
pub(super) fn return_below_halvings<V: Vector>(chunk: &mut ChainChunk, issuance: V) {
    let next = V::load(&chunk.halving_issuance);
    let passed = next + next - V::splat(SUPPLY_CAP);
    let below = issuance.lt(passed) & next.lt(V::splat(f64::INFINITY));
    if V::bitmask(below) != 0 {
        return_below_halvings_lanes(chunk, issuance.to_array());
    }
}

#[cold]
#[inline(never)]
fn return_below_halvings_lanes(chunk: &mut ChainChunk, issuance: Lanes8) {
    for lane in (0..CHUNK_SLOTS).filter(|lane| issuance[*lane] > 0.0) {
        if chunk.halving_issuance[lane].is_infinite() {
            continue;
        }
        chunk.alpha_emission[lane] = emission::block_emission(issuance[lane]);
        chunk.halving_issuance[lane] = emission::next_halving(issuance[lane]);
    }
}

/// [`cross_halvings_lanes`] on vectors.
#[inline(always)]
pub(super) fn cross_halvings<V: Vector>(chunk: &mut ChainChunk, issuance: V, growth: V, blocks: f64) -> V {
    V::from_array(cross_halvings_lanes(chunk, issuance.to_array(), growth.to_array(), blocks))
}
