//! Decisions: which orders a policy gives after a step. What becomes of them is [`crate::portfolio::dealer`]'s.

use crate::engine::path::PathState;
use crate::engine::recorder::StepView;
use crate::portfolio::policy::Policy;
use crate::portfolio::policy::PruneReach;
use crate::portfolio::policy::Rebalance;
use crate::portfolio::policy::Rotation;
use crate::portfolio::policy::Span;
use crate::portfolio::policy::Stop;
use crate::portfolio::policy::Targets;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::state::Quote;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;

/// What a step's orders may spend.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Budget {
    /// What its sales bring.
    #[default]
    Proceeds,
    /// So much TAO.
    Cash(f64),
    /// All cash.
    AllCash,
}

/// Orders of one book after one step, by number of holding. Sales come first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    /// Alpha to sell.
    pub sales: Vec<(usize, f64)>,
    /// Parts of the budget to buy for, in any unit.
    pub purchases: Vec<(usize, f64)>,
    /// What is spent on purchases.
    pub budget: Budget,
    /// Scratch: what each holding is to be worth (TAO), and is.
    targets: Vec<(usize, f64, f64)>,
    /// Scratch: dividend yields.
    yields: Vec<(usize, f64)>,
}

/// What a decision looks at.
pub(crate) struct Situation<'a> {
    pub view: &'a StepView<'a>,
    pub desk: &'a Desk,
    pub state: &'a BookState,
    pub quotes: &'a [Quote],
}

impl Situation<'_> {
    /// Leaves the orders of the book's policy.
    pub(crate) fn decide(&self, orders: &mut Orders) {
        orders.sales.clear();
        orders.purchases.clear();
        orders.budget = Budget::Proceeds;
        let Some(of) = &self.desk.policy else { return };
        match &of.policy {
            Policy::Hold => {}
            Policy::Rebalance(rebalance) => self.rebalance(rebalance, orders),
            Policy::Stop(stop) => self.stop(stop, orders),
            Policy::ExitBeforePrune(reach) => self.exit_before_prune(*reach, orders),
            Policy::TwapExit(span) => self.leave(*span, orders),
            Policy::TwapEntry { span, weights } => self.enter(*span, weights, of.cash_tao, orders),
            Policy::Rotate(rotation) => self.rotate(rotation, orders),
        }
    }

    fn steps_per_day(&self) -> f64 {
        BLOCKS_PER_DAY as f64 / self.view.plan.input.blocks_per_step as f64
    }

    /// Whether a multiple of `every_days` has come with the step.
    fn is_due(&self, every_days: f64) -> bool {
        let periods =
            |step: u32| (f64::from(step) / (every_days * self.steps_per_day()) * (1.0 + f64::EPSILON)).floor();
        periods(self.view.step) > periods(self.view.step - 1)
    }

    /// Steps of `span` that are left, this one included; `None` outside it.
    fn steps_left(&self, span: Span) -> Option<u32> {
        let begin = (span.start_day * self.steps_per_day()).round() as u32;
        let end = begin + ((span.days * self.steps_per_day()).round() as u32).max(1);
        (begin < self.view.step && self.view.step <= end).then(|| end + 1 - self.view.step)
    }

    /// Holdings of which there is some, with their numbers.
    fn held(&self) -> impl Iterator<Item = usize> + '_ {
        self.state.alpha.iter().enumerate().filter(|(_, alpha)| **alpha > 0.0).map(|(index, _)| index)
    }

    fn value(&self, index: usize) -> f64 {
        self.state.value_of(index, &self.desk.holdings[index], self.quotes)
    }

    fn sell_all(&self, index: usize, orders: &mut Orders) {
        orders.sales.push((index, self.state.alpha[index]));
    }

    fn rebalance(&self, rebalance: &Rebalance, orders: &mut Orders) {
        if !self.is_due(rebalance.every_days) {
            return;
        }
        let weight = |index: usize| match &rebalance.targets {
            _ if self.state.is_gone[index] => 0.0,
            Targets::Opening => self.state.opening_values[index],
            Targets::Equal => 1.0,
            Targets::List(weights) => weight_of(weights, self.desk.holdings[index].slot),
        };
        orders.targets.clear();
        orders.targets.extend((0..self.desk.holdings.len()).map(|index| (index, weight(index), self.value(index))));
        self.order_targets(rebalance.tolerance, 0.0, orders);
    }

    /// Orders that bring holdings from their values to their weights, in the value of them all and `cash_tao`.
    fn order_targets(&self, tolerance: f64, cash_tao: f64, orders: &mut Orders) {
        let sum = |of: fn(&(usize, f64, f64)) -> f64| orders.targets.iter().fold(0.0, |sum, target| sum + of(target));
        let (weights, value) = (sum(|target| target.1), cash_tao + sum(|target| target.2));
        if !(weights > 0.0 && value > 0.0) {
            return;
        }
        let off = |target: &(usize, f64, f64)| target.2 - value * (target.1 / weights);
        if !orders.targets.iter().any(|target| off(target).abs() > tolerance * value) {
            return;
        }
        for target in &orders.targets {
            let (index, weight, held) = *target;
            let excess = off(target);
            if excess > 0.0 {
                let part = if weight > 0.0 { excess / held } else { 1.0 };
                orders.sales.push((index, self.state.alpha[index] * part));
            } else if excess < 0.0 {
                orders.purchases.push((index, -excess));
            }
        }
    }

    fn stop(&self, stop: &Stop, orders: &mut Orders) {
        let is_hit =
            |value: f64, opening: f64| value <= (1.0 - stop.loss) * opening || value >= (1.0 + stop.gain) * opening;
        if stop.whole_book {
            let value = self.held().fold(self.state.cash_tao, |sum, index| sum + self.value(index));
            if self.state.was_sold.contains(&true) || is_hit(value, self.state.opening_tao) {
                self.held().for_each(|index| self.sell_all(index, orders));
            }
            return;
        }
        let BookState { alpha, copies, opening_values, was_sold, .. } = self.state;
        let holdings = alpha.iter().zip(&self.desk.holdings).zip(copies).zip(opening_values).zip(was_sold);
        for (index, ((((&alpha, holding), copy), &opening), &was_sold)) in holdings.enumerate() {
            let value = alpha * (self.quotes[holding.slot].price * copy.price_factor());
            if alpha > 0.0 && (was_sold || is_hit(value, opening)) {
                orders.sales.push((index, alpha));
            }
        }
    }

    fn exit_before_prune(&self, reach: PruneReach, orders: &mut Orders) {
        let path = self.view.path;
        let next = self.view.block + self.view.plan.input.blocks_per_step;
        let Some(last) = next.checked_sub(path.protocol.immunity_period_blocks) else { return };
        let last = last as f64;
        let moving_price = |index: usize| {
            let slot = self.desk.holdings[index].slot;
            let (chunk, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
            (path.behaviour[chunk].registered_at[lane] <= last).then(|| path.chain[chunk].moving_price[lane])
        };
        let lowest = self.held().filter_map(moving_price).fold(f64::INFINITY, f64::min);
        let is_near = |moving_price: f64| match reach {
            PruneReach::Rank(rank) => count_below(path, last, moving_price) < rank,
            PruneReach::Distance(distance) => moving_price < (1.0 + distance) * lowest_outside_grace(path, last),
        };
        if lowest == f64::INFINITY || !is_near(lowest) || has_free_slot(path) {
            return;
        }
        for index in self.held() {
            if moving_price(index).is_some_and(is_near) {
                self.sell_all(index, orders);
            }
        }
    }

    fn leave(&self, span: Span, orders: &mut Orders) {
        let Some(left) = self.steps_left(span) else { return };
        orders.sales.extend(self.held().map(|index| (index, self.state.alpha[index] / f64::from(left))));
    }

    /// The cash of the start in even parts; that of a subnet that is no more stays.
    fn enter(&self, span: Span, weights: &[(NetUid, f64)], cash_tao: f64, orders: &mut Orders) {
        if self.steps_left(span).is_none() {
            return;
        }
        let steps = (span.days * self.steps_per_day()).round().max(1.0);
        let is_open = |index: &usize| !self.state.is_gone[*index];
        let weight = |index: usize| (index, weight_of(weights, self.desk.holdings[index].slot));
        let wanted = (0..self.desk.holdings.len()).filter(is_open).map(weight).filter(|(_, weight)| *weight > 0.0);
        orders.purchases.extend(wanted);
        let open = orders.purchases.iter().fold(0.0, |sum, (_, weight)| sum + weight);
        orders.budget = Budget::Cash(cash_tao / steps * open);
    }

    fn rotate(&self, rotation: &Rotation, orders: &mut Orders) {
        if !self.is_due(rotation.every_days) {
            return;
        }
        let slots = self.view.path.chain.len() * CHUNK_SLOTS;
        let candidates = self.desk.holdings.iter().enumerate().filter(|(index, holding)| {
            holding.slot < slots && !self.state.is_gone[*index] && self.is_open_to_stake(holding.slot)
        });
        orders.yields.clear();
        for (index, holding) in candidates {
            let buffers = self.view.buffers;
            let staked_alpha = buffers.staked_open.get(holding.slot) + self.state.copies[index].staked_alpha();
            let rate = holding.kept * buffers.validator_alpha.get(holding.slot) / staked_alpha;
            // A position and what else is held in its slot are one subnet: the position comes first.
            let is_listed = |listed: &(usize, f64)| self.desk.holdings[listed.0].slot == holding.slot;
            if rate > 0.0 && rate.is_finite() && !orders.yields.iter().any(is_listed) {
                orders.yields.push((index, rate));
            }
        }
        orders.yields.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        orders.yields.truncate(rotation.count);
        orders.targets.clear();
        for index in self.held() {
            let is_best = orders.yields.iter().any(|(best, _)| *best == index);
            orders.targets.push((index, f64::from(u8::from(is_best)), self.value(index)));
        }
        let new = orders.yields.iter().filter(|(index, _)| self.state.alpha[*index] == 0.0);
        orders.targets.extend(new.map(|(index, _)| (*index, 1.0, 0.0)));
        orders.budget = Budget::AllCash;
        self.order_targets(rotation.tolerance, self.state.cash_tao, orders);
    }

    fn is_open_to_stake(&self, slot: usize) -> bool {
        self.view.path.chain[slot / CHUNK_SLOTS].started[slot % CHUNK_SLOTS] > 0.0
    }
}

fn weight_of(weights: &[(NetUid, f64)], slot: usize) -> f64 {
    weights.iter().find(|(netuid, _)| netuid.slot() == slot).map_or(0.0, |(_, weight)| *weight)
}

/// Registration blocks and moving prices of all slots; free ones have an infinite block.
fn lanes(path: &PathState) -> impl Iterator<Item = (f64, f64)> + '_ {
    let chunks = path.behaviour.iter().zip(&path.chain);
    chunks.flat_map(|(behaviour, chain)| behaviour.registered_at.into_iter().zip(chain.moving_price))
}

/// Subnets registered up to the block `last` with a moving price below `moving_price`.
fn count_below(path: &PathState, last: f64, moving_price: f64) -> usize {
    lanes(path)
        .fold(0, |count, (registered_at, other)| count + usize::from((registered_at <= last) & (other < moving_price)))
}

/// Lowest moving price of the subnets registered up to the block `last`.
fn lowest_outside_grace(path: &PathState, last: f64) -> f64 {
    lanes(path).fold(f64::INFINITY, |lowest, (registered_at, moving_price)| {
        if (registered_at <= last) & (moving_price < lowest) { moving_price } else { lowest }
    })
}

/// Whether the next registration needs no prune.
fn has_free_slot(path: &PathState) -> bool {
    path.occupants.iter().flatten().count() < path.protocol.subnet_limit
}
