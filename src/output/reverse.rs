//! The most likely way to a loss as JSON.

use serde::Serialize;

use crate::output::parquet::Identity;

/// A shock that makes a loss; amounts are fractions of the book's opening value at spot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReverseResult {
    /// Name of the book.
    pub book: String,
    /// Days from the start.
    pub horizon_days: f64,
    /// Days over which the shock spreads.
    pub window_days: f64,
    /// TAO or USD.
    pub currency: &'static str,
    /// mark or liquidation.
    pub basis: &'static str,
    /// Paths of every figure.
    pub paths: u64,
    /// Mean loss asked for.
    pub loss: f64,
    /// Shift of the common factor's sum over the window (standard deviations).
    pub common_factor_sd: f64,
    /// Shift of log TAO/USD over the window (standard deviations).
    pub tao_usd_sd: f64,
    /// The same as a relative change.
    pub tao_usd_change: f64,
    /// Jumps that come with it.
    pub jumps: Vec<ReverseJump>,
    /// Mahalanobis distance of both shifts.
    pub distance: f64,
    /// Square root of its square less twice the logs of the jumps' probabilities.
    pub distance_with_jumps: f64,
    /// Probability to be so far or farther on that side, times the jumps'.
    pub probability: f64,
    /// Probability to be so far or farther in any direction, times the jumps'.
    pub probability_any_direction: f64,
    /// Probability of that loss or more without the shock.
    pub loss_probability: f64,
    /// Its 95 % interval.
    pub loss_probability_interval: [f64; 2],
    /// Mean loss without the shock.
    pub base_loss: f64,
    /// Its standard error.
    pub base_loss_standard_error: f64,
    /// Mean loss with it.
    pub found_loss: f64,
    /// Its standard error.
    pub found_loss_standard_error: f64,
    /// Mean loss with it on fresh chance.
    pub fresh_loss: f64,
    /// Its standard error.
    pub fresh_loss_standard_error: f64,
    /// What positions add to the mean loss.
    pub positions: Vec<ReversePosition>,
    /// The shock as an overlay.
    pub overlay: String,
}

/// A jump that comes with a shock.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReverseJump {
    /// What it is.
    pub name: String,
    /// Probability of at least one over the window.
    pub probability: f64,
}

/// What a position adds to the mean loss with a shock.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReversePosition {
    /// Its name.
    pub name: String,
    /// More than without the shock, on the same chance.
    pub added_loss: f64,
    /// Its standard error.
    pub added_loss_standard_error: f64,
}

#[derive(Serialize)]
struct Document<'a> {
    scenario_hash: &'a str,
    seed: u64,
    #[serde(flatten)]
    result: &'a ReverseResult,
}

/// The result as one JSON object, with where it comes from.
pub fn json(identity: &Identity, result: &ReverseResult) -> String {
    let Identity { scenario_hash, seed } = identity;
    let document = Document { scenario_hash, seed: *seed, result };
    serde_json::to_string_pretty(&document).expect("names are text and numbers are numbers") + "\n"
}
