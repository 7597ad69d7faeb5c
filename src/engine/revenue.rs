//! Subnets with revenue on a path: miner emission withheld under a peg, buybacks, and what creators sell of their pay.
//!
//! A step opens with what comes in and what is withheld; after the sales of emission and root claims, before the organic flow
//! (MODEL 3.4), buybacks and the difference of creators' sales go through the pool. The TAO of a buyback come from wallets, where
//! whoever took the USD for them had them; it ends where these are empty. A subnet that is deregistered has no revenue again.
//!
//! Not modelled: creators' part of a sale comes before root claims, here after them: these are sold at a price that is off by twice
//! the difference of sales over the pool's alpha, at most 0.5 % in a day for 1.2 million alpha.

use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::model::kernel::Draw;
use crate::model::revenue::RevenueLevel;
use crate::model::revenue::RevenueStep;
use crate::protocol::kernel::StepSums;
use crate::protocol::slots::StepBuffers;
use crate::simd::math;

/// Revenue of one subnet of the snapshot, the same for all paths.
#[derive(Clone, Debug)]
pub struct RevenuePlan {
    /// Its law.
    pub(crate) law: RevenueStep,
    /// Where the subnet stands.
    pub(crate) slot: usize,
    /// Withheld part of miner emission without a peg.
    pub(crate) miner_burned: f64,
}

/// Revenue of one subnet on one path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubnetRevenue {
    level: RevenueLevel,
    /// Whether the subnet was deregistered.
    is_over: bool,
    /// Of the step under way.
    pub step: RevenueFigures,
    /// Since the start.
    pub total: RevenueFigures,
    /// Alpha that miners receive in the step under way.
    miner_alpha: f64,
}

/// What came in, and what it was used for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RevenueFigures {
    /// Revenue (USD).
    pub revenue_usd: f64,
    /// TAO that bought alpha.
    pub buyback_tao: f64,
    /// What miners received, at the opening price of each step (TAO).
    pub miner_tao: f64,
    /// What was withheld of their emission, likewise (TAO).
    pub withheld_tao: f64,
}

/// Puts the revenue of all subnets at a path's start.
#[inline(always)]
pub(crate) fn reset(plan: &Plan, revenue: &mut Vec<SubnetRevenue>) {
    revenue.resize_with(plan.revenue.len(), SubnetRevenue::default);
    for (plan, revenue) in plan.revenue.iter().zip(revenue) {
        let mut level = std::mem::take(&mut revenue.level);
        plan.law.reset(&mut level);
        *revenue = SubnetRevenue { level, ..SubnetRevenue::default() };
    }
}

/// Lets the step's revenue come in, and withholds of miner emission what pegged payouts do not need.
#[inline(always)]
pub(crate) fn open(plan: &Plan, draw: Draw, path: &mut PathState) {
    let server_part = 0.5 * (1.0 - path.protocol.owner_cut) * plan.input.blocks_per_step as f64;
    for (of, revenue) in plan.revenue.iter().zip(&mut path.revenue) {
        let holder = path.occupants[of.slot].map(|occupant| occupant.registered_at);
        revenue.is_over |= holder != Some(of.law.subnet().registered_at);
        revenue.step = RevenueFigures::default();
        if revenue.is_over {
            continue;
        }
        let (chunk, lane) = locate(of.slot);
        let chain = &mut path.chain[chunk];
        let server_alpha = server_part * chain.alpha_emission[lane] * chain.started[lane];
        let server_tao = server_alpha * chain.price(lane);
        let factor = path.shocks.revenue_factor(plan, of.slot);
        let revenue_usd = factor * of.law.advance(draw, &mut revenue.level);
        let burned = of.law.miner_burned(of.miner_burned, revenue_usd, server_tao * path.outside.tao_usd);
        chain.miner_burned[lane] = burned;
        revenue.miner_alpha = server_alpha * (1.0 - burned);
        revenue.step.revenue_usd = revenue_usd;
        revenue.step.miner_tao = server_tao * (1.0 - burned);
        revenue.step.withheld_tao = server_tao * burned;
    }
}

/// Lets creators sell what they sell besides other miners' part, or buy back what they do not sell of it, then buys back, between
/// the sales of emission, of which miners sell `miner_part`, and the organic flow. Proceeds of creators are added to `sums`; returns what buybacks cost (TAO).
#[inline(always)]
pub(crate) fn trade(
    plan: &Plan,
    path: &mut PathState,
    miner_part: f64,
    sums: &mut StepSums,
    buffers: &mut StepBuffers,
) -> f64 {
    let mut bought_tao = 0.0;
    for (of, revenue) in plan.revenue.iter().zip(&mut path.revenue) {
        let (chunk, lane) = locate(of.slot);
        let chain = &mut path.chain[chunk];
        if revenue.is_over || chain.started[lane] == 0.0 {
            continue;
        }
        let ratio = chain.weight_tao[lane] / (1.0 - chain.weight_tao[lane]);
        let (x, y) = (buffers.reserve_alpha_mid.get(of.slot), buffers.reserve_tao_mid.get(of.slot));
        let sold = (of.law.creator_sale_fraction().unwrap_or(miner_part) - miner_part) * revenue.miner_alpha;
        let sold_tao = paid_out(x, y, sold, 1.0 / ratio);
        let (x, y) = (x + sold, y - sold_tao);
        sums.sold_tao += sold_tao;
        let wallets_tao = path.free_tao + (sums.sold_tao - bought_tao);
        let wanted_tao = of.law.buyback_usd(revenue.step.revenue_usd) / path.outside.tao_usd;
        let paid_tao = wanted_tao.min(wallets_tao.max(0.0));
        let bought = paid_out(y, x, paid_tao, ratio);
        bought_tao += paid_tao;
        revenue.step.buyback_tao = paid_tao;
        buffers.reserve_alpha_mid.set(of.slot, x - bought);
        buffers.reserve_tao_mid.set(of.slot, y + paid_tao);
        buffers.sold_tao.set(of.slot, buffers.sold_tao.get(of.slot) + sold_tao);
        chain.staked_alpha[lane] += bought - sold;
    }
    bought_tao
}

/// What a pool pays out for `net_in`, which may be negative: [`crate::protocol::pool::Pool::buy`] and `sell` with the kernel's
/// elementary functions.
#[inline(always)]
pub(crate) fn paid_out(reserve_in: f64, reserve_out: f64, net_in: f64, exponent: f64) -> f64 {
    if exponent == 1.0 {
        reserve_out * (net_in / (reserve_in + net_in))
    } else {
        -reserve_out * math::exp_m1(-exponent * math::ln_1p(net_in / reserve_in))
    }
}

/// Ends the step: buybacks join the flows of their slots in `buffers`, its figures the totals.
#[inline(always)]
pub(crate) fn close(plan: &Plan, path: &mut PathState, buffers: &mut StepBuffers) {
    for (of, revenue) in plan.revenue.iter().zip(&mut path.revenue) {
        buffers.flow_tao.set(of.slot, buffers.flow_tao.get(of.slot) + revenue.step.buyback_tao);
        revenue.close();
    }
}

impl SubnetRevenue {
    /// Adds the step's figures to the totals.
    pub(crate) fn close(&mut self) {
        let RevenueFigures { revenue_usd, buyback_tao, miner_tao, withheld_tao } = self.step;
        self.total.revenue_usd += revenue_usd;
        self.total.buyback_tao += buyback_tao;
        self.total.miner_tao += miner_tao;
        self.total.withheld_tao += withheld_tao;
    }

    /// Whether the subnet was deregistered.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}
