//! The market that a policy trades in: orders against a path's own pools, between two steps.
//!
//! An order is the chain's ([`crate::protocol::trade`]): its fee, its checks, its price limits, under the rules in force on the path.
//! It moves reserves and staked alpha, and where flow averages are kept it waits to enter them with the last block's flow. TAO of
//! buyers comes from wallets; sellers and the block author are paid into them. Orders decided at a step's end act there, at
//! the pools as they are then: the next step opens on what they left. Whoever trades is a [`Recorder`].
//!
//! Not modelled: that a book's cash lies in the same wallets which others' flows draw on, some parts in 1e4 of them; orders spread
//! over the blocks of a step.
//!
//! [`Recorder`]: crate::engine::recorder::Recorder

use crate::engine::advance::Workspace;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::recorder::StepView;
use crate::protocol::fixed::Rounding;
use crate::protocol::state::SubnetState;
use crate::protocol::trade;
use crate::protocol::trade::Order;
use crate::protocol::trade::OrderError;
use crate::protocol::trade::Trade;
use crate::units::NetUid;

/// The pools of one path after one step.
pub struct Market<'a> {
    plan: &'a Plan,
    path: &'a mut PathState,
    work: &'a Workspace,
    step: u32,
}

impl<'a> Market<'a> {
    /// The pools of `path` after the step `step`, counted from 1, which left `work` behind.
    pub fn new(plan: &'a Plan, path: &'a mut PathState, work: &'a Workspace, step: u32) -> Self {
        Self { plan, path, work, step }
    }

    /// What there is to see.
    pub fn view(&self) -> StepView<'_> {
        let Self { plan, work, step, .. } = *self;
        let block = plan.opening_block(step);
        StepView { plan, path: self.path, buffers: &work.buffers, events: &work.events, step, block }
    }

    /// `e^f - 1` of the step's organic flow in `slot`, as drawn.
    pub fn growth(&self, slot: usize) -> f64 {
        f64::from(self.work.growth.get(slot))
    }

    /// Sells `gross_alpha`, fee included, staked in `slot`.
    ///
    /// # Errors
    /// The order is refused and nothing changed: see [`OrderError`].
    pub fn sell(&mut self, slot: usize, gross_alpha: f64) -> Result<Trade, OrderError> {
        self.execute(slot, Order::Sell { netuid: NetUid::from_slot(slot), gross_alpha })
    }

    /// Buys alpha of `slot` for `gross_tao`, fee included, out of wallets.
    ///
    /// # Errors
    /// The order is refused and nothing changed: see [`OrderError`].
    pub fn buy(&mut self, slot: usize, gross_tao: f64) -> Result<Trade, OrderError> {
        if gross_tao <= self.path.free_tao {
            self.execute(slot, Order::Buy { netuid: NetUid::from_slot(slot), gross_tao })
        } else {
            Err(OrderError::NotEnoughTao)
        }
    }

    fn execute(&mut self, slot: usize, order: Order) -> Result<Trade, OrderError> {
        let mut subnet = subnet_in(self.path, slot).ok_or(OrderError::UnknownSubnet)?;
        let trade = trade::execute_in(&self.path.protocol, Rounding::Continuous, &mut subnet, order)?;
        let (chunk, lane) = locate(slot);
        let chain = &mut self.path.chain[chunk];
        self.path.free_tao -= subnet.reserve_tao - chain.reserve_tao[lane];
        chain.reserve_tao[lane] = subnet.reserve_tao;
        chain.reserve_alpha[lane] = subnet.reserve_alpha;
        chain.staked_alpha[lane] = subnet.staked_alpha;
        if let Some(flows) = self.path.flows.get_mut(chunk) {
            flows.pending_user[lane] += subnet.flow.pending.user;
        }
        Ok(trade)
    }
}

/// What an order in `slot` meets: the subnet there, with no flow pending; `None` where there is none.
pub fn subnet_in(path: &PathState, slot: usize) -> Option<SubnetState> {
    let occupant = path.occupants[slot]?;
    let (chunk, lane) = locate(slot);
    let is_started = path.chain[chunk].started[lane] > 0.0;
    Some(SubnetState {
        registered_at: occupant.registered_at,
        first_emission_block: is_started.then_some(occupant.registered_at),
        ..path.chain[chunk].lane(lane, NetUid::from_slot(slot))
    })
}
