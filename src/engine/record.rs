//! What is kept of a path: rows that cross from the engine to risk and output.

use crate::engine::revenue::RevenueFigures;
use crate::units::NetUid;

/// Outcome of one book on one path up to one report horizon. P&L is against the opening mark value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathRow {
    /// Path index.
    pub path: u64,
    /// Index of the book in the scenario.
    pub book: u16,
    /// Index of the horizon in the scenario's report horizons.
    pub horizon: u16,
    /// P&L (TAO) with holdings at spot.
    pub pnl_mark_tao: f64,
    /// P&L (TAO) with holdings sold through the pools, after fees and slippage.
    pub pnl_liquidation_tao: f64,
    /// P&L (USD) with holdings at spot.
    pub pnl_mark_usd: f64,
    /// P&L (USD) with holdings sold through the pools.
    pub pnl_liquidation_usd: f64,
    /// P&L (TAO) with holdings sold over days from the horizon on; `None` without an exit basis.
    pub pnl_exit_tao: Option<f64>,
    /// P&L (USD) with holdings sold over days from the horizon on, each sale at the rate of its day.
    pub pnl_exit_usd: Option<f64>,
    /// TAO/USD price at the horizon.
    pub tao_usd: f64,
    /// Largest fall of the mark value (TAO) from its running peak, as a fraction of the peak.
    pub max_drawdown: f64,
    /// Longest time (days) from a peak of the mark value (TAO), or a step with the same value, until it is reached again, or to the
    /// horizon.
    pub longest_under_water_days: f64,
    /// Lowest P&L (TAO) at spot after any step so far.
    pub lowest_pnl_tao: f64,
    /// Holdings deregistered so far.
    pub deregistered_holdings: u16,
    /// Likelihood weight of the path (1 without importance sampling).
    pub weight: f64,
}

impl PathRow {
    /// A row in which nothing happened, of weight 1.
    pub const EMPTY: Self = Self {
        path: 0,
        book: 0,
        horizon: 0,
        pnl_mark_tao: 0.0,
        pnl_liquidation_tao: 0.0,
        pnl_mark_usd: 0.0,
        pnl_liquidation_usd: 0.0,
        pnl_exit_tao: None,
        pnl_exit_usd: None,
        tao_usd: 0.0,
        max_drawdown: 0.0,
        longest_under_water_days: 0.0,
        lowest_pnl_tao: 0.0,
        deregistered_holdings: 0,
        weight: 1.0,
    };
}

/// The common factor of one path up to one report horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FactorRow {
    /// Path index.
    pub path: u64,
    /// Index of the horizon in the scenario's report horizons.
    pub horizon: u16,
    /// Sum of its normals, normed to a variance of 1.
    pub common: f64,
}

/// Worth of one position of a book on one path at one report horizon; its P&L is a value and `earned_tao` less its opening mark
/// value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PositionValue {
    /// Value (TAO) at spot of the alpha still held.
    pub mark_tao: f64,
    /// TAO for it if sold through its pool, after fees and slippage.
    pub liquidation_tao: f64,
    /// TAO that the position has brought: payouts of deregistered subnets.
    pub earned_tao: f64,
}

/// What happened in an [`EventRow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A subnet was registered.
    Registered,
    /// A subnet was pruned and dissolved.
    Deregistered,
    /// start_call took effect.
    Started,
    /// Root enabled its TAO emission.
    EmissionEnabled,
}

impl EventKind {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Deregistered => "deregistered",
            Self::Started => "started",
            Self::EmissionEnabled => "emission_enabled",
        }
    }
}

/// One lifecycle event of one path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EventRow {
    /// Path index.
    pub path: u64,
    /// Block of the event.
    pub block: u64,
    /// Slot.
    pub netuid: NetUid,
    /// Registration block of the subnet that the event befell.
    pub registered_at: u64,
    /// What happened.
    pub kind: EventKind,
    /// Its moving price then.
    pub moving_price: f64,
    /// TAO paid for the registration; `Registered` only.
    pub lock_cost_tao: Option<f64>,
    /// TAO that a staked alpha was paid; `Deregistered` only.
    pub payout_tao_per_alpha: Option<f64>,
}

/// State of one subnet of one path after one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleRow {
    /// Path index.
    pub path: u64,
    /// Steps since the start; 0 is the snapshot.
    pub step: u32,
    /// Block after which this is the state.
    pub block: u64,
    /// Slot.
    pub netuid: NetUid,
    /// Registration block of the occupant.
    pub registered_at: u64,
    /// Pool reserve (TAO).
    pub reserve_tao: f64,
    /// Pool reserve (alpha).
    pub reserve_alpha: f64,
    /// Spot price (TAO per alpha).
    pub price: f64,
    /// Moving price.
    pub moving_price: f64,
    /// Share of the TAO emission in the step that led here (0 at step 0).
    pub emission_share: f64,
    /// Alpha staked by wallets.
    pub staked_alpha: f64,
    /// Alpha outside the pool.
    pub outstanding_alpha: f64,
    /// Organic net flow of the step as a log move of the TAO reserve.
    pub flow: f64,
}

/// Deregistration of a subnet of the snapshot on one path; kept for every path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeregistrationRow {
    /// Path index.
    pub path: u64,
    /// Slot of the subnet.
    pub slot: u16,
    /// First report horizon (index) that the event lies within; the number of horizons if none.
    pub horizon: u16,
    /// Block of the event.
    pub block: u64,
    /// TAO paid per staked alpha.
    pub payout_tao_per_alpha: f64,
    /// Spot price (TAO per alpha) just before.
    pub price_before: f64,
}

/// A holding of a book that a deregistration turned into TAO on one path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SettlementRow {
    /// Path index.
    pub path: u64,
    /// Index of the book in the scenario.
    pub book: u16,
    /// Index of the position in the book.
    pub position: u16,
    /// First report horizon (index) that the event lies within; the number of horizons if none.
    pub horizon: u16,
    /// Block of the event.
    pub block: u64,
    /// Value (TAO) of the holding at spot just before.
    pub mark_tao: f64,
    /// TAO paid for it.
    pub paid_tao: f64,
    /// Lock cost (TAO) that the entrant paid whose registration caused it; 0 if none took the slot in the same step.
    pub entrant_lock_tao: f64,
}

/// Revenue of one subnet on one path up to one report horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RevenueRow {
    /// Path index.
    pub path: u64,
    /// Its number among the subnets with revenue of the scenario.
    pub subnet: u16,
    /// Index of the horizon in the scenario's report horizons.
    pub horizon: u16,
    /// Sums since the start.
    pub total: RevenueFigures,
}
