//! Policies: what a book does along a path, as parameters.
//!
//! A policy decides after every step, on prices and holdings as they are then, and its orders act at once. The first book of a run
//! is the market's: its orders move the path's pools. All others trade in copies ([`crate::portfolio::pool_copy`]). Cash
//! earns nothing.
//!
//! Not modelled: policies that trade within a step; fees of transactions other than the swap's (0.0001 TAO or so each).

use crate::units::NetUid;

/// What a book does, and with what besides its positions.
#[derive(Clone, Debug, PartialEq)]
pub struct BookPolicy {
    /// What it does.
    pub policy: Policy,
    /// TAO that it has at the start, part of its value.
    pub cash_tao: f64,
    /// Largest relative price move of one order, which is cut to it; `None`: any.
    pub slippage_max: Option<f64>,
    /// Validator's take on dividends (fraction) in subnets that it did not open with.
    pub take: f64,
}

/// What a book does.
#[derive(Clone, Debug, PartialEq)]
pub enum Policy {
    /// Nothing.
    Hold,
    /// Goes back to weights.
    Rebalance(Rebalance),
    /// Sells what has lost or gained enough.
    Stop(Stop),
    /// Sells what may be deregistered next.
    ExitBeforePrune(PruneReach),
    /// Sells everything, evenly in alpha.
    TwapExit(Span),
    /// Buys with its cash, evenly in TAO; `weights` sum to 1.
    TwapEntry {
        /// When.
        span: Span,
        /// Parts of the cash.
        weights: Vec<(NetUid, f64)>,
    },
    /// Goes to equal parts of the subnets with the highest dividends, cash included.
    Rotate(Rotation),
}

/// Rebalancing on a calendar. Dead subnets drop out of the weights. What positions above their weights are sold for buys
/// those below; other cash stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Rebalance {
    /// Days from one to the next.
    pub every_days: f64,
    /// Weights to go back to.
    pub targets: Targets,
    /// Nothing is done while no weight is off by more than this.
    pub tolerance: f64,
}

/// Weights of positions in the value of them all.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Those of the opening values.
    Opening,
    /// The same for each position.
    Equal,
    /// These; what is not named is sold.
    List(Vec<(NetUid, f64)>),
}

/// Stop-loss and take-profit. What they sell is not bought back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// Fall from the opening value, as a fraction of it, at which to sell; infinite: never.
    pub loss: f64,
    /// Rise from the opening value, as a fraction of it, at which to sell; infinite: never.
    pub gain: f64,
    /// Whether the value is that of the whole book, cash included, and everything is sold; else each position has its own.
    pub whole_book: bool,
}

/// What counts as near to deregistration. Grace is as at the end of the step to come: nothing can be sold before. While slots are
/// free, nothing is near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PruneReach {
    /// Fewer than so many subnets outside grace have a lower moving price; its own grace is over.
    Rank(usize),
    /// Its moving price is less than this fraction above the lowest outside grace; its own is over.
    Distance(f64),
}

/// Days on which something is done in even parts, one at each step's end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Days after the start at which it begins.
    pub start_day: f64,
    /// Days that it takes, at least a step.
    pub days: f64,
}

/// Rotation into dividend yield: what a TAO staked at spot earns a day, after the take, as the step just over paid it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotation {
    /// Days from one to the next.
    pub every_days: f64,
    /// Subnets to be in.
    pub count: usize,
    /// Nothing is done while no weight is off by more than this.
    pub tolerance: f64,
}

impl Policy {
    /// Its kind, as a scenario names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Rebalance(_) => "rebalance",
            Self::Stop(_) => "stop",
            Self::ExitBeforePrune(_) => "exit_before_deregistration",
            Self::TwapExit(_) => "twap_exit",
            Self::TwapEntry { .. } => "twap_entry",
            Self::Rotate(_) => "yield_rotation",
        }
    }

    /// Subnets that it names.
    pub fn netuids(&self) -> &[(NetUid, f64)] {
        match self {
            Self::TwapEntry { weights, .. } => weights,
            Self::Rebalance(Rebalance { targets: Targets::List(weights), .. }) => weights,
            _ => &[],
        }
    }
}
