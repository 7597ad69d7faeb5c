//! Decisions: which orders a policy gives after a step. What becomes of them is [`crate::portfolio::dealer`]'s.

use crate::engine::path::PathState;
use crate::engine::recorder::StepView;
use crate::portfolio::look::IsInReach;
use crate::portfolio::look::Lowest;
use crate::portfolio::passes::ToWeights;
use crate::portfolio::policy::Policy;
use crate::portfolio::policy::PruneReach;
use crate::portfolio::policy::Rebalance;
use crate::portfolio::policy::Rotation;
use crate::portfolio::policy::Span;
use crate::portfolio::policy::Stop;
use crate::portfolio::policy::Targets;
use crate::portfolio::state::BookState;
use crate::portfolio::state::Desk;
use crate::portfolio::state::refill;
use crate::protocol::slots::CHUNK_SLOTS;
use crate::simd;
use crate::simd::Backend;
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

/// Orders of one book after one step, by holding in whole chunks; 0: none. Sales come first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    /// Alpha to sell, and how many sales there are.
    pub sales: Vec<f64>,
    pub sale_count: usize,
    /// Parts of the budget to buy for, in any unit, and how many purchases there are.
    pub purchases: Vec<f64>,
    pub purchase_count: usize,
    /// What is spent on purchases.
    pub budget: Budget,
    /// Scratch: weights that holdings are to have.
    weights: Vec<f64>,
    /// Scratch: dividend yields.
    yields: Vec<(usize, f64)>,
}

impl Orders {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.sale_count + self.purchase_count == 0
    }

    /// Forgets all orders, for so many lanes.
    fn clear(&mut self, lanes: usize) {
        if !self.is_empty() || self.sales.len() != lanes {
            refill(&mut self.sales, 0.0, lanes);
            refill(&mut self.purchases, 0.0, lanes);
            (self.sale_count, self.purchase_count) = (0, 0);
        }
        self.budget = Budget::Proceeds;
    }

    fn sell(&mut self, holding: usize, alpha: f64) {
        self.sales[holding] = alpha;
        self.sale_count += 1;
    }

    fn buy(&mut self, holding: usize, part: f64) {
        self.purchases[holding] = part;
        self.purchase_count += 1;
    }
}

/// What a decision looks at.
pub(crate) struct Situation<'a> {
    pub view: &'a StepView<'a>,
    pub desk: &'a Desk,
    pub state: &'a BookState,
    /// What its holdings are worth at spot (TAO).
    pub worth: &'a [f64],
    pub backend: Backend,
}

/// Whether `policy` may give orders after `step`, of which there are so many a day.
pub(crate) fn may_act(policy: &Policy, step: u32, steps_per_day: f64) -> bool {
    // Whether a multiple of so many days has come with the step.
    let is_due = |every_days: f64| {
        let periods = |step: u32| (f64::from(step) / (every_days * steps_per_day) * (1.0 + f64::EPSILON)).floor();
        periods(step) > periods(step - 1)
    };
    match policy {
        Policy::Hold => false,
        Policy::Rebalance(rebalance) => is_due(rebalance.every_days),
        Policy::Rotate(rotation) => is_due(rotation.every_days),
        Policy::Stop(_) | Policy::ExitBeforePrune(_) | Policy::TwapExit(_) | Policy::TwapEntry { .. } => true,
    }
}

/// Steps in a day.
pub(crate) fn steps_per_day(view: &StepView<'_>) -> f64 {
    BLOCKS_PER_DAY as f64 / view.plan.input.blocks_per_step as f64
}

/// Last block of registration at which grace is over before orders after the next step.
pub(crate) fn last_out_of_grace(view: &StepView<'_>) -> Option<f64> {
    let next = view.block + view.plan.input.blocks_per_step;
    next.checked_sub(view.path.protocol.immunity_period_blocks).map(|block| block as f64)
}

impl Situation<'_> {
    /// Leaves the orders of the book's policy, after a step at which it [`may_act`].
    pub(crate) fn decide(&self, orders: &mut Orders) {
        orders.clear(self.state.alpha.len());
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

    /// Steps of `span` that are left, this one included; `None` outside it.
    fn steps_left(&self, span: Span) -> Option<u32> {
        let begin = (span.start_day * steps_per_day(self.view)).round() as u32;
        let end = begin + ((span.days * steps_per_day(self.view)).round() as u32).max(1);
        (begin < self.view.step && self.view.step <= end).then(|| end + 1 - self.view.step)
    }

    /// Holdings of which there is some, with their numbers.
    fn held(&self) -> impl Iterator<Item = usize> + '_ {
        self.state.alpha.iter().enumerate().filter(|(_, alpha)| **alpha > 0.0).map(|(index, _)| index)
    }

    fn sell_all(&self, index: usize, orders: &mut Orders) {
        orders.sell(index, self.state.alpha[index]);
    }

    fn rebalance(&self, rebalance: &Rebalance, orders: &mut Orders) {
        let weight = |index: usize| match &rebalance.targets {
            _ if self.state.is_gone[index] => 0.0,
            Targets::Opening => self.state.opening_values[index],
            Targets::Equal => 1.0,
            Targets::List(weights) => weight_of(weights, self.desk.holdings[index].slot),
        };
        orders.weights.clear();
        orders.weights.extend((0..self.desk.holdings.len()).map(weight));
        orders.weights.resize(self.worth.len(), 0.0);
        self.order_weights(rebalance.tolerance, 0.0, orders);
    }

    /// Orders that bring holdings from their values to their weights, in the value of them all and `cash_tao`.
    fn order_weights(&self, tolerance: f64, cash_tao: f64, orders: &mut Orders) {
        let Orders { sales, purchases, weights, .. } = orders;
        let (worth, alpha) = (self.worth, &self.state.alpha[..]);
        let to_weights = ToWeights { worth, alpha, weights, tolerance, cash_tao, sales, purchases };
        (orders.sale_count, orders.purchase_count) = simd::dispatch(self.backend, to_weights);
    }

    fn stop(&self, stop: &Stop, orders: &mut Orders) {
        let is_hit =
            |value: f64, opening: f64| value <= (1.0 - stop.loss) * opening || value >= (1.0 + stop.gain) * opening;
        if stop.whole_book {
            let value = self.held().fold(self.state.cash_tao, |sum, index| sum + self.worth[index]);
            if self.state.was_sold.iter().any(|bits| *bits != 0) || is_hit(value, self.state.opening_tao) {
                self.held().for_each(|index| self.sell_all(index, orders));
            }
            return;
        }
        let BookState { alpha, opening_values, was_sold, .. } = self.state;
        for (index, (&worth, &opening)) in self.worth.iter().zip(opening_values).enumerate() {
            let was_sold = was_sold[index / CHUNK_SLOTS] >> (index % CHUNK_SLOTS) & 1 == 1;
            if alpha[index] > 0.0 && (was_sold || is_hit(worth, opening)) {
                self.sell_all(index, orders);
            }
        }
    }

    fn exit_before_prune(&self, reach: PruneReach, orders: &mut Orders) {
        let path = self.view.path;
        let Some(last) = last_out_of_grace(self.view) else { return };
        let moving_price = |index: usize| {
            let slot = self.desk.holdings[index].slot;
            let (chunk, lane) = (slot / CHUNK_SLOTS, slot % CHUNK_SLOTS);
            (path.behaviour[chunk].registered_at[lane] <= last).then(|| path.chain[chunk].moving_price[lane])
        };
        let is_near = |moving_price: f64| match reach {
            PruneReach::Rank(rank) => simd::dispatch(self.backend, IsInReach { path, last, rank, moving_price }),
            PruneReach::Distance(distance) => {
                moving_price < (1.0 + distance) * simd::dispatch(self.backend, Lowest { path, last })
            }
        };
        if has_free_slot(path) {
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
        self.held().for_each(|index| orders.sell(index, self.state.alpha[index] / f64::from(left)));
    }

    /// The cash of the start in even parts; that of a subnet that is no more stays.
    fn enter(&self, span: Span, weights: &[(NetUid, f64)], cash_tao: f64, orders: &mut Orders) {
        if self.steps_left(span).is_none() {
            return;
        }
        let steps = (span.days * steps_per_day(self.view)).round().max(1.0);
        let is_open = |index: &usize| !self.state.is_gone[*index];
        let weight = |index: usize| (index, weight_of(weights, self.desk.holdings[index].slot));
        let wanted = (0..self.desk.holdings.len()).filter(is_open).map(weight).filter(|(_, weight)| *weight > 0.0);
        wanted.for_each(|(index, weight)| orders.buy(index, weight));
        let open: f64 = orders.purchases.iter().sum();
        orders.budget = Budget::Cash(cash_tao / steps * open);
    }

    fn rotate(&self, rotation: &Rotation, orders: &mut Orders) {
        let slots = self.view.path.chain.len() * CHUNK_SLOTS;
        let candidates = self.desk.holdings.iter().enumerate().filter(|(index, holding)| {
            holding.slot < slots && !self.state.is_gone[*index] && self.is_open_to_stake(holding.slot)
        });
        orders.yields.clear();
        for (index, holding) in candidates {
            let buffers = self.view.buffers;
            let staked_alpha = buffers.staked_open.get(holding.slot) + self.state.copies.get(index).staked_alpha();
            let rate = holding.kept * buffers.validator_alpha.get(holding.slot) / staked_alpha;
            // A position and what else is held in its slot are one subnet: the position comes first.
            let is_listed = |listed: &(usize, f64)| self.desk.holdings[listed.0].slot == holding.slot;
            if rate > 0.0 && rate.is_finite() && !orders.yields.iter().any(is_listed) {
                orders.yields.push((index, rate));
            }
        }
        orders.yields.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        orders.yields.truncate(rotation.count);
        refill(&mut orders.weights, 0.0, self.worth.len());
        orders.yields.iter().for_each(|(best, _)| orders.weights[*best] = 1.0);
        self.order_weights(rotation.tolerance, self.state.cash_tao, orders);
        orders.budget = Budget::AllCash;
    }

    fn is_open_to_stake(&self, slot: usize) -> bool {
        self.view.path.chain[slot / CHUNK_SLOTS].started[slot % CHUNK_SLOTS] > 0.0
    }
}

fn weight_of(weights: &[(NetUid, f64)], slot: usize) -> f64 {
    weights.iter().find(|(netuid, _)| netuid.slot() == slot).map_or(0.0, |(_, weight)| *weight)
}

/// Whether the next registration needs no prune.
fn has_free_slot(path: &PathState) -> bool {
    path.occupants.iter().flatten().count() < path.protocol.subnet_limit
}
