//! One consensus epoch as JSON.

use ndarray::Array2;
use serde::Serialize;

/// Outcome of an epoch for one uid. Shares are fractions of their sum over uids; stake is in the unit given.
#[derive(Clone, Debug, Serialize)]
pub struct UidOutcome {
    /// Index of the neuron.
    pub uid: usize,
    /// Whether it may set weights that count.
    pub permit: bool,
    /// Stake weight.
    pub stake: f64,
    /// Weight that enough stake agrees on.
    pub consensus: f64,
    /// Share of the miners' emission.
    pub incentive: f64,
    /// Part of its weights within consensus.
    pub validator_trust: f64,
    /// Share of the validators' emission.
    pub dividend: f64,
    /// Part of the emission received as a miner.
    pub server_emission: f64,
    /// Part of the emission received as a validator.
    pub validator_emission: f64,
}

/// An epoch of a subnet.
#[derive(Clone, Debug, Serialize)]
pub struct EpochDocument {
    /// Rule of the bonds.
    pub rule: &'static str,
    /// Part of stake that must agree on a weight.
    pub kappa: f64,
    /// One per uid.
    pub uids: Vec<UidOutcome>,
    /// Weights clipped to consensus, a row per validator.
    pub clipped_weights: Vec<Vec<f64>>,
    /// Bonds after the epoch, in parts of 65,535, a row per validator.
    pub bonds_u16: Vec<Vec<u16>>,
}

impl EpochDocument {
    /// The document as indented JSON.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("an epoch is numbers, texts and lists");
        text + "\n"
    }
}

/// The rows of a matrix.
pub fn rows<T: Copy>(matrix: &Array2<T>) -> Vec<Vec<T>> {
    matrix.rows().into_iter().map(|row| row.to_vec()).collect()
}
