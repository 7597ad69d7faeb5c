//! The law of validators' dividends, and what collusion gains, as JSON.

use serde::Serialize;

/// A figure with its standard error; null where the sets do not give it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FittedFigure {
    /// The figure.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// What was simulated.
#[derive(Clone, Debug, Serialize)]
pub struct SetsDescription {
    /// Rule of the bonds.
    pub rule: &'static str,
    /// Part of stake that must agree on a weight.
    pub kappa: f64,
    /// Simulated sets.
    pub sets: u32,
    /// Epochs measured in each.
    pub epochs: u32,
    /// Validators of a set.
    pub validators: usize,
    /// Miners of a set.
    pub miners: usize,
    /// Median over validators of the standard deviation of ln (quality seen / true quality).
    pub noise: f64,
    /// Probability that a validator copies the last consensus.
    pub copiers: f64,
    /// Probability that a validator lags.
    pub laggards: f64,
    /// By how much (days).
    pub lag_days: f64,
    /// Seed of all chance.
    pub seed: u64,
}

/// The law of ln v, v a validator's dividends against the average by stake.
#[derive(Clone, Debug, Serialize)]
pub struct LawDocument {
    /// What was simulated.
    pub simulated: SetsDescription,
    /// Standard deviation between validators.
    pub spread_sd_log: FittedFigure,
    /// Stationary standard deviation in time.
    pub noise_sd_log: FittedFigure,
    /// Half-life of that (days).
    pub noise_half_life_days: FittedFigure,
    /// Mean v of validators that see today's quality.
    pub observer_dividend: Option<FittedFigure>,
    /// Mean v of those that see that of some days ago.
    pub laggard_dividend: Option<FittedFigure>,
    /// Mean v of those that copy.
    pub copier_dividend: Option<FittedFigure>,
}

/// What a group of validators gains that gives all of its weight to its own miner.
#[derive(Clone, Debug, Serialize)]
pub struct CartelFigures {
    /// Its part of the stake.
    pub stake_fraction: f64,
    /// Share of its miner in what miners earn.
    pub incentive_share: FittedFigure,
    /// Its dividends against the average by stake.
    pub cartel_dividend: FittedFigure,
    /// Those of all others.
    pub honest_dividend: FittedFigure,
}

/// Collusion at several stakes.
#[derive(Clone, Debug, Serialize)]
pub struct CollusionDocument {
    /// What was simulated.
    pub simulated: SetsDescription,
    /// Validators of the group.
    pub members: usize,
    /// Part of their weight that the others give its miner.
    pub honest_weight: f64,
    /// By stake, ascending.
    pub cartels: Vec<CartelFigures>,
}

/// A document as indented JSON.
pub fn to_json<T: Serialize>(document: &T) -> String {
    let text = serde_json::to_string_pretty(document).expect("a document is numbers, texts and lists");
    text + "\n"
}
