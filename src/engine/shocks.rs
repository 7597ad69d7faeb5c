//! Shocks of a scenario on a path: when they begin, whom they strike, and what they do in a step.
//!
//! A step opens with how much of each shock falls into it. Targets that depend on the path are chosen in the step that the shock
//! begins in. Trades go through the pools in exact steps of their own, between the sales of emission and the organic flow, in the
//! order of the scenario; they count as flow of their slots. A plan without shocks runs none of this.

use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::revenue::paid_out;
use crate::model::kernel::CommonFlow;
use crate::model::shocks::Choice;
use crate::model::shocks::Effect;
use crate::model::shocks::Seller;
use crate::model::shocks::ShockParams;
use crate::model::shocks::Targets;
use crate::protocol::coinbase_step::EmissionSales;
use crate::protocol::kernel::SELLABLE_PART;
use crate::protocol::registration;
use crate::protocol::slots::SlotSingles;
use crate::protocol::slots::SlotValues;
use crate::protocol::slots::StepBuffers;
use crate::protocol::state::SubnetState;
use crate::simd::math;

/// Shocks of one path.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathShocks {
    states: Vec<ShockState>,
    trades: Vec<ShockTrade>,
}

/// Where one shock stands.
#[derive(Clone, Debug, Default)]
struct ShockState {
    /// Blocks after the start at which it begins; infinite: never.
    begins: f64,
    /// What of it falls into the step under way.
    weight: f64,
    /// Those whom it strikes.
    slots: Vec<u16>,
    /// Block at which these were chosen: who registered later is not meant.
    chosen_at: Option<u64>,
}

/// A trade of a shock in the pool of one slot, in the step under way.
#[derive(Clone, Copy, Debug)]
struct ShockTrade {
    slot: u16,
    size: TradeSize,
    /// TAO that it put into the pool.
    paid_tao: f64,
    /// The same as a part of the TAO that was in there.
    growth: f64,
}

#[derive(Clone, Copy, Debug)]
enum TradeSize {
    /// TAO in; negative: out.
    Tao(f64),
    /// TAO in, as a part of the pool's.
    OfPool(f64),
    /// Alpha sold, as a part of what is staked outside the market's book.
    OfStake(f64),
}

/// A pool as a trade finds it: reserves, `w2 / w1`, alpha staked outside the market's book.
struct Market {
    alpha: f64,
    tao: f64,
    ratio: f64,
    staked_alpha: f64,
}

/// Draws when the shocks of a path begin.
#[inline(always)]
pub(crate) fn reset(plan: &Plan, path: u32, shocks: &mut PathShocks) {
    let input = &plan.input;
    shocks.trades.clear();
    shocks.states.resize_with(input.model.shocks.len(), ShockState::default);
    for (index, (shock, state)) in input.model.shocks.iter().zip(&mut shocks.states).enumerate() {
        (state.begins, state.weight) = (shock.draw_begin(index, input.seed, path), 0.0);
        state.chosen_at = None;
    }
}

/// Finds what of each shock falls into the step.
#[inline(always)]
pub(crate) fn open(plan: &Plan, step: u32, path: &mut PathState) {
    let blocks = plan.input.blocks_per_step as f64;
    for (shock, state) in plan.input.model.shocks.iter().zip(&mut path.shocks.states) {
        state.weight = shock.weight(state.begins, f64::from(step) * blocks, blocks);
    }
}

/// Chooses targets, and sizes the trades of the step. `share`: of TAO emission, by slot, or in proportion to it.
#[inline(always)]
pub(crate) fn prepare(plan: &Plan, step: u32, path: &mut PathState, share: impl Fn(usize) -> f64) {
    if plan.input.model.shocks.is_empty() {
        return;
    }
    let mut shocks = std::mem::take(&mut path.shocks);
    shocks.trades.clear();
    for (shock, state) in plan.input.model.shocks.iter().zip(&mut shocks.states) {
        if state.weight > 0.0 && shock.effect.has_targets() {
            state.choose(&shock.targets, plan, plan.opening_block(step), path, &share);
            state.size_trades(shock.effect, path, &mut shocks.trades);
        }
    }
    path.shocks = shocks;
}

impl ShockState {
    fn choose(
        &mut self,
        targets: &Targets,
        plan: &Plan,
        opening: u64,
        path: &PathState,
        share: &impl Fn(usize) -> f64,
    ) {
        if self.chosen_at.is_some() && targets.choice != Choice::All {
            return;
        }
        self.chosen_at = Some(opening);
        self.slots.clear();
        let is_there = |slot: usize| path.occupants[slot].is_some() && !targets.spares(slot);
        self.slots.extend((0..path.occupants.len()).filter(|slot| is_there(*slot)).map(|slot| slot as u16));
        match &targets.choice {
            Choice::All => {}
            Choice::Slots(_) => {
                self.slots.retain(|slot| targets.name(usize::from(*slot)));
                self.chosen_at = Some(plan.input.start.block);
            }
            Choice::Top(count) => {
                let share = |slot: &u16| share(usize::from(*slot));
                self.slots.sort_unstable_by(|a, b| share(b).total_cmp(&share(a)).then(a.cmp(b)));
                self.slots.truncate(*count);
            }
            Choice::NearPrune(count) => {
                let period = path.protocol.immunity_period_blocks;
                let is_old = |slot: &u16| !registration::is_immune(opening, registered_at(path, *slot), period);
                self.slots.retain(is_old);
                self.slots.sort_unstable_by(|a, b| {
                    let order = moving_price(path, *a).total_cmp(&moving_price(path, *b));
                    order.then(registered_at(path, *a).cmp(&registered_at(path, *b))).then(a.cmp(b))
                });
                self.slots.truncate(*count);
            }
        }
    }

    /// Those of its targets that live.
    fn targets(&self, path: &PathState) -> impl Iterator<Item = usize> {
        let chosen_at = self.chosen_at.unwrap_or(0);
        self.slots.iter().filter(move |slot| registered_at(path, **slot) <= chosen_at).map(|slot| usize::from(*slot))
    }

    #[inline(always)]
    fn size_trades(&self, effect: Effect, path: &PathState, trades: &mut Vec<ShockTrade>) {
        let pool = |slot: usize| {
            let (chunk, lane) = locate(slot);
            path.chain[chunk].reserve_tao[lane]
        };
        let started = |slot: &usize| {
            let (chunk, lane) = locate(*slot);
            path.chain[chunk].started[lane] > 0.0
        };
        let part = |change: f64| math::exp_m1(self.weight * math::ln_1p(change));
        let pools_tao = self.targets(path).filter(started).fold(0.0, |sum, slot| sum + pool(slot));
        for slot in self.targets(path).filter(started) {
            let size = match effect {
                Effect::FlowTao(tao) => TradeSize::Tao(self.weight * tao * (pool(slot) / pools_tao)),
                Effect::PoolFraction(change) => TradeSize::OfPool(part(change)),
                Effect::StakeFraction(change) => TradeSize::OfStake(-part(change)),
                _ => return,
            };
            trades.push(ShockTrade { slot: slot as u16, size, paid_tao: 0.0, growth: 0.0 });
        }
    }
}

/// Block of registration of the subnet in `slot`; of none, one that never comes.
fn registered_at(path: &PathState, slot: u16) -> u64 {
    path.occupants[usize::from(slot)].map_or(u64::MAX, |occupant| occupant.registered_at)
}

fn moving_price(path: &PathState, slot: u16) -> f64 {
    let (chunk, lane) = locate(usize::from(slot));
    path.chain[chunk].moving_price[lane]
}

impl ShockTrade {
    /// Trades with at most `wallets_tao`; returns the alpha that leaves the pool.
    #[inline(always)]
    fn execute(&mut self, market: &Market, wallets_tao: f64) -> f64 {
        let Market { alpha, tao, ratio, staked_alpha } = *market;
        let for_alpha = |sold: f64| paid_out(alpha, tao, sold, 1.0 / ratio);
        let wanted = match self.size {
            TradeSize::Tao(wanted) => wanted,
            TradeSize::OfPool(part) => part * tao,
            TradeSize::OfStake(part) => -for_alpha(part * staked_alpha),
        };
        let sellable = SELLABLE_PART * staked_alpha;
        let most = for_alpha(sellable);
        let (paid, bought) = if -wanted >= most {
            (-most, -sellable)
        } else {
            let paid = if wanted > 0.0 { wanted.min(wallets_tao.max(0.0)) } else { wanted };
            (paid, paid_out(tao, alpha, paid, ratio))
        };
        (self.paid_tao, self.growth) = (paid, paid / tao);
        bought
    }
}

impl PathShocks {
    /// Whether something trades in the step.
    #[inline(always)]
    pub(crate) fn trade(&self) -> bool {
        !self.trades.is_empty()
    }

    /// Those that act in the step, with what falls into it.
    #[inline(always)]
    fn acting<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a ShockParams, f64)> {
        let weights = self.states.iter().map(|state| state.weight);
        plan.input.model.shocks.iter().zip(weights).filter(|(_, weight)| *weight > 0.0)
    }

    /// Block at which shock `index` begins on the path; `None`: it never does.
    pub(crate) fn begin(&self, plan: &Plan, index: usize) -> Option<u64> {
        let begins = self.states.get(index)?.begins;
        begins.is_finite().then(|| plan.input.start.block + begins as u64)
    }

    /// Factor on TAO/USD in the step.
    #[inline(always)]
    pub(crate) fn tao_usd_factor(&self, plan: &Plan) -> f64 {
        self.acting(plan).fold(1.0, |product, (shock, weight)| match shock.effect {
            Effect::TaoUsd(change) => product * math::exp(weight * math::ln_1p(change)),
            _ => product,
        })
    }

    /// What shocks add to the common factor and to common jumps in the step.
    #[inline(always)]
    pub(crate) fn common_flow(&self, plan: &Plan) -> CommonFlow {
        let blocks = plan.input.blocks_per_step as f64;
        let mut added = CommonFlow { factor: 0.0, jump: 0.0 };
        for (shock, weight) in self.acting(plan) {
            match shock.effect {
                Effect::CommonFactor(deviations) => added.factor += shock.factor_shift(deviations, weight, blocks),
                Effect::CommonJump(size) => added.jump += weight * size,
                _ => {}
            }
        }
        added
    }

    /// Factor on the hazard of registration attempts in the step.
    #[inline(always)]
    pub(crate) fn registration_factor(&self, plan: &Plan) -> f64 {
        self.acting(plan).fold(1.0, |product, (shock, weight)| match shock.effect {
            Effect::Registrations(factor) => product * (1.0 + weight * (factor - 1.0)),
            _ => product,
        })
    }

    /// Factor on the revenue of the subnet of the snapshot in `slot`, in the step.
    #[inline(always)]
    pub(crate) fn revenue_factor(&self, plan: &Plan, slot: usize) -> f64 {
        self.acting(plan).fold(1.0, |product, (shock, weight)| match shock.effect {
            Effect::Revenue(factor) if shock.targets.name(slot) => product * (1.0 + weight * (factor - 1.0)),
            _ => product,
        })
    }

    /// What of received emission people sell in the step.
    #[inline(always)]
    pub(crate) fn sales(&self, plan: &Plan) -> EmissionSales {
        let mut sales = plan.sales;
        for (shock, weight) in self.acting(plan) {
            let Effect::Sales(seller, part) = shock.effect else { continue };
            let sold = match seller {
                Seller::Owner => &mut sales.owner,
                Seller::Miner => &mut sales.miner,
                Seller::Validator => &mut sales.validator,
            };
            *sold += weight * (part - *sold);
        }
        sales
    }

    /// TAO that go to root in the step, of `root_stake_tao` there; negative: from it.
    #[inline(always)]
    pub(crate) fn root_flow_tao(&self, plan: &Plan, root_stake_tao: f64) -> f64 {
        let flow_tao = self.acting(plan).fold(0.0, |sum, (shock, weight)| match shock.effect {
            Effect::RootStakeTao(tao) => sum + weight * tao,
            Effect::RootStakeFraction(change) => sum + root_stake_tao * math::exp_m1(weight * math::ln_1p(change)),
            _ => sum,
        });
        flow_tao.max(-SELLABLE_PART * root_stake_tao)
    }
}

/// Cuts off organic inflows where new stake is frozen. `growth`: `e^f - 1` of the organic flow as drawn.
#[inline(always)]
pub(crate) fn freeze(plan: &Plan, path: &PathState, growth: &mut SlotSingles) {
    for (shock, state) in plan.input.model.shocks.iter().zip(&path.shocks.states) {
        if state.weight > 0.0 && shock.effect == Effect::Freeze {
            for slot in state.targets(path) {
                let inflow = growth.get(slot).max(0.0);
                growth.add(slot, -(state.weight as f32) * inflow);
            }
        }
    }
}

/// Lets the step's trades go through the pools between the sales of emission and the organic flow; returns what they cost wallets,
/// which have `wallets_tao`.
#[inline(always)]
pub(crate) fn trade(path: &mut PathState, wallets_tao: f64, held: &SlotValues, buffers: &mut StepBuffers) -> f64 {
    let mut cost = 0.0;
    for trade in &mut path.shocks.trades {
        let slot = usize::from(trade.slot);
        let (chunk, lane) = locate(slot);
        let chain = &mut path.chain[chunk];
        let (alpha, tao) = (buffers.reserve_alpha_mid.get(slot), buffers.reserve_tao_mid.get(slot));
        let ratio = chain.weight_tao[lane] / (1.0 - chain.weight_tao[lane]);
        let staked_alpha = (chain.staked_alpha[lane] - held.get(slot)).max(0.0);
        let bought = trade.execute(&Market { alpha, tao, ratio, staked_alpha }, wallets_tao - cost);
        buffers.reserve_alpha_mid.set(slot, alpha - bought);
        buffers.reserve_tao_mid.set(slot, tao + trade.paid_tao);
        chain.staked_alpha[lane] += bought;
        cost += trade.paid_tao;
    }
    cost
}

/// [`trade`] for the block engine, in the pool of `subnet`; returns what its trades cost.
#[inline(always)]
pub(crate) fn trade_subnet(path: &mut PathState, held_alpha: f64, subnet: &mut SubnetState) -> f64 {
    let (mut cost, wallets_tao) = (0.0, path.free_tao);
    for trade in path.shocks.trades.iter_mut().filter(|trade| usize::from(trade.slot) == subnet.netuid.slot()) {
        let ratio = subnet.weight_tao / (1.0 - subnet.weight_tao);
        let staked_alpha = (subnet.staked_alpha - held_alpha).max(0.0);
        let market = Market { alpha: subnet.reserve_alpha, tao: subnet.reserve_tao, ratio, staked_alpha };
        let bought = trade.execute(&market, wallets_tao - cost);
        subnet.reserve_alpha -= bought;
        subnet.reserve_tao += trade.paid_tao;
        subnet.staked_alpha += bought;
        cost += trade.paid_tao;
    }
    cost
}

/// Lets the step's trades count as flow of their slots.
#[inline(always)]
pub(crate) fn close(path: &PathState, buffers: &mut StepBuffers) {
    for trade in &path.shocks.trades {
        let slot = usize::from(trade.slot);
        buffers.flow_tao.set(slot, buffers.flow_tao.get(slot) + trade.paid_tao);
        buffers.growth.set(slot, (1.0 + buffers.growth.get(slot)) * (1.0 + trade.growth) - 1.0);
    }
}

/// As [`close`], of the flow as drawn.
#[inline(always)]
pub(crate) fn close_drawn(path: &PathState, growth: &mut SlotSingles) {
    for trade in &path.shocks.trades {
        let slot = usize::from(trade.slot);
        growth.set(slot, ((1.0 + f64::from(growth.get(slot))) * (1.0 + trade.growth) - 1.0) as f32);
    }
}
