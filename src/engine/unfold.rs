//! One step of a subnet unfolded into its blocks, along the path that the step's closed form implies.
//!
//! ```text
//! ln s_j = ln p + c j/K + u (j-1)/K      ln p_j = ln p + (c + u) j/K      m_j = a_b min(s_j, 1) + (1 - a_b) m_(j-1)
//! ```
//!
//! `p`: spot price at the step's opening; `c`: log move made by the coinbase, `u` by all trades; `s_j`: what the moving
//! price sees in block `j` of `K`, after its coinbase; `p_j`: after its trades; `b`: age (MODEL 3.5). `p_K` is the step's
//! closing price. `m_K` is its moving price up to the closed form's error: with `d = max(1, (c + u)^2)` at most `6.1e-4 d` of
//! it on a subnet's first day and `1e-4 d` later (`tests/replay.rs`).
//!
//! Not modelled: a step that crosses 1 TAO per alpha caps its effective price once, its blocks are capped one by one, and
//! the two ends may differ by some per cent. Chance within the step. The step draws one flow, so that its blocks move evenly; a path with
//! `blocks_per_step = 1` has other draws and is another path.

use crate::engine::block;
use crate::engine::path::PathState;
use crate::engine::plan::Plan;
use crate::engine::plan::locate;
use crate::engine::record::EventKind;
use crate::engine::recorder::StepView;
use crate::protocol::moving_price;
use crate::protocol::params::ProtocolParams;
use crate::simd::math;
use crate::units::NetUid;
use crate::units::SubnetId;

/// What a subnet was before a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOpening {
    /// The subnet.
    pub id: SubnetId,
    /// Its moving price.
    pub moving_price: f64,
    /// Block from which it ages, where it has started.
    pub first_emission_block: Option<u64>,
}

impl StepOpening {
    /// The subnet in `slot`, if there is one.
    pub fn of(plan: &Plan, path: &PathState, slot: usize) -> Option<Self> {
        let (chunk, lane) = locate(slot);
        let registered_at = path.occupants[slot]?.registered_at;
        Some(Self {
            id: SubnetId { netuid: NetUid::from_slot(slot), registered_at },
            moving_price: path.chain[chunk].moving_price[lane],
            first_emission_block: block::first_emission_block(plan, path, slot),
        })
    }
}

/// How the price of one subnet moved within one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepMove {
    /// Path index.
    pub path: u64,
    /// The step, counted from 1.
    pub step: u32,
    /// Block after which it opened.
    pub opening_block: u64,
    /// K.
    pub blocks: u64,
    /// The subnet before the step.
    pub opening: StepOpening,
    /// Spot price then (TAO per alpha).
    pub opening_price: f64,
    /// Log price move made by the coinbase.
    pub coinbase_move: f64,
    /// Log price move made by all trades.
    pub trade_move: f64,
}

/// One subnet after one block of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockRow {
    /// Path index.
    pub path: u64,
    /// Block.
    pub block: u64,
    /// The subnet.
    pub id: SubnetId,
    /// Spot price after the block's coinbase, which the moving price follows (TAO per alpha).
    pub sampled_price: f64,
    /// Spot price after the block's trades (TAO per alpha).
    pub price: f64,
    /// Moving price.
    pub moving_price: f64,
}

impl StepMove {
    /// The step that led to `view`; a subnet that was deregistered at its end closes at its last price.
    pub fn of(opening: StepOpening, view: &StepView<'_>) -> Self {
        let slot = opening.id.netuid.slot();
        let is_its_end =
            |kind, registered_at| (kind, registered_at) == (EventKind::Deregistered, opening.id.registered_at);
        let end = view.events.iter().find(|event| event.slot == slot && is_its_end(event.kind, event.registered_at));
        let closing_price = end.map_or_else(|| view.path.price(slot), |event| event.price);
        let opening_price = view.buffers.price_open.get(slot);
        let coinbase_move = view.buffers.coinbase_move(slot);
        let blocks = view.plan.input.blocks_per_step;
        Self {
            path: u64::from(view.path.path),
            step: view.step,
            opening_block: view.block - blocks,
            blocks,
            opening,
            opening_price,
            coinbase_move,
            trade_move: math::ln(closing_price / opening_price) - coinbase_move,
        }
    }

    /// The step's blocks, in order.
    pub fn unfold(&self, params: &ProtocolParams) -> impl Iterator<Item = BlockRow> + use<> {
        let step = *self;
        let (smoothing, halving) = (params.moving_price_smoothing, params.moving_price_age_blocks);
        let mut average = step.opening.moving_price;
        (1..=step.blocks).map(move |j| {
            let part = |blocks: u64| blocks as f64 / step.blocks as f64;
            let coinbase = step.coinbase_move * part(j);
            let sampled_price = step.opening_price * math::exp(coinbase + step.trade_move * part(j - 1));
            let block = step.opening_block + j;
            if let Some(first) = step.opening.first_emission_block {
                let age = moving_price::age_blocks(block, Some(first));
                let smoothing = moving_price::smoothing_at_age(smoothing, age, halving);
                average = moving_price::update(average, sampled_price, smoothing);
            }
            BlockRow {
                path: step.path,
                block,
                id: step.opening.id,
                sampled_price,
                price: step.opening_price * math::exp(coinbase + step.trade_move * part(j)),
                moving_price: average,
            }
        })
    }
}
