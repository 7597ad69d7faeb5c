//! Probabilities of rare deregistrations as JSON.

use serde::Serialize;

use crate::output::parquet::Identity;

/// What was asked, and the answer of each subnet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RareResult {
    /// Days from the start.
    pub horizon_days: f64,
    /// Particles of each level and replication.
    pub particles: u32,
    /// Replications.
    pub replications: u32,
    /// In the order asked for.
    pub subnets: Vec<RareSubnet>,
}

/// Probability that a subnet is deregistered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RareSubnet {
    /// The subnet.
    pub netuid: u16,
    /// Its name.
    pub name: String,
    /// By the horizon.
    pub probability: f64,
    /// Its standard error; infinite where nothing was reached.
    pub standard_error: f64,
    /// Lower end of its 95 % interval.
    pub ci_low: f64,
    /// Upper end of its 95 % interval.
    pub ci_high: f64,
    /// Whether these are of the last level, not of the deregistration.
    pub is_bound: bool,
    /// Steps of subnets that it took.
    pub subnet_steps: f64,
    /// The same of plain paths with that error; infinite where nothing was reached.
    pub plain_subnet_steps: f64,
    /// Their ratio.
    pub gain: f64,
    /// From the farthest.
    pub levels: Vec<RareLevel>,
}

/// A level of nearness and who reached it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RareLevel {
    /// Infinite at the deregistration.
    pub nearness: f64,
    /// Part of the particles.
    pub share: f64,
    /// Its standard error.
    pub share_standard_error: f64,
}

#[derive(Serialize)]
struct Document<'a> {
    scenario_hash: &'a str,
    seed: u64,
    #[serde(flatten)]
    result: &'a RareResult,
}

/// The result as one JSON object, with where it comes from. What is infinite is null.
pub fn json(identity: &Identity, result: &RareResult) -> String {
    let Identity { scenario_hash, seed } = identity;
    let document = Document { scenario_hash, seed: *seed, result };
    serde_json::to_string_pretty(&document).expect("names are text and numbers are numbers") + "\n"
}
