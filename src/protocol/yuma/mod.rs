//! The Yuma epoch of one subnet: from validators' stakes and weights to what miners and validators are paid.
//!
//! Source: subtensor@14bc6f9 `pallets/subtensor/src/epoch/{run_epoch,math}.rs`. Everything is a pure function of one
//! epoch's inputs and of what carries over from the one before, [`epoch::YumaState`].
//!
//! | Chain | Here |
//! |---|---|
//! | `epoch_mechanism` | [`epoch::run_epoch`] |
//! | `get_stake_weights_for_network` | [`epoch::combined_stake`] |
//! | `is_topk_nonzero` | [`consensus::top_stakes`] |
//! | `weighted_median_col_sparse` | [`consensus::consensus`], [`consensus::weighted_median`] |
//! | `col_clip_sparse`, `interpolate_sparse` | [`consensus::clip`], [`bonds::bond_weights`] |
//! | `compute_ema_bonds_normal_sparse`, `inplace_col_max_upscale_sparse` | [`bonds::yuma2`] |
//! | `compute_bonds_sparse`, `mat_ema_alpha_sparse`, `alpha_sigmoid` | [`bonds::yuma3`] |
//! | `reveal_crv3_commits_for_subnet` | [`epoch::weights_in_force`] |
//!
//! Matrices have a row per validator and a column per miner, both over all uids. Proportions are `f64` that are truncated to
//! 2^-32 wherever the chain truncates (its I32F32). Sums of them are then exact in an `f64`, and the outcome equals the
//! chain's to the last bit on every golden vector; without the truncation, stored bonds drift by up to 65 parts of 65,535 and
//! what validators are paid by 2e-6 within three epochs. What remains is the rounding of a product in `f64` before it is
//! truncated: a step of 2^-32 in less than one product of a million.
//!
//! # Not modelled
//!
//! - Several mechanisms in one subnet: run an epoch for each on its part of the emission and add the results.
//! - Parents and children: the stake is what a hotkey inherits, after both; dividends are those of the uid, before their
//!   split.
//! - The quantisation of weights to u16 when they are set: weights are taken as given; rounding them moves consensus by at
//!   most 1/65535.
//! - Saturation: proportions stay within [0, 1], where the chain's saturating operations do not saturate.

use ndarray::ArrayViewMut1;

use crate::protocol::fixed::floor_32;

pub mod bonds;
pub mod consensus;
pub mod epoch;

/// Parts of a stored proportion (u16).
pub const PROPORTION_PARTS: f64 = 65_535.0;

/// How bonds are kept and turned into dividends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BondsRule {
    /// Bonds are shares of each miner, held in proportion to stake times weight. Subnets created before runtime 397.
    Yuma2,
    /// Bonds follow the weights of each validator by itself (`Yuma3On`); stake counts in the dividend only.
    Yuma3,
    /// As [`BondsRule::Yuma3`], with a smoothing of each bond that grows with its distance from consensus (`LiquidAlphaOn`).
    Yuma3Liquid(LiquidSmoothing),
}

/// Liquid alpha: bounds and shape of the smoothing of a bond.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiquidSmoothing {
    /// Smallest weight of the newest value (fraction); `AlphaValues.0` / 65535.
    pub low: f64,
    /// Largest weight of the newest value (fraction); `AlphaValues.1` / 65535.
    pub high: f64,
    /// Slope of the sigmoid per unit of distance; `AlphaSigmoidSteepness` / 100.
    pub steepness: f64,
}

impl LiquidSmoothing {
    /// The chain's defaults.
    pub const DEFAULT: Self =
        Self { low: 45_875.0 / PROPORTION_PARTS, high: 58_982.0 / PROPORTION_PARTS, steepness: 10.0 };
}

/// Hyperparameters of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YumaParams {
    /// Share of active stake that must give a weight at least for it to be the consensus (fraction); `Kappa` / 65535.
    pub kappa: f64,
    /// How bonds are kept.
    pub bonds_rule: BondsRule,
    /// How far weights above consensus are clipped before they make bonds: 0 not, 1 fully; `BondsPenalty` / 65535.
    pub bonds_penalty: f64,
    /// Part of the old bonds that an epoch keeps (fraction); `BondsMovingAverage` / 1e6. Liquid smoothing does not read it.
    pub bonds_moving_average: f64,
    /// Most validators with a permit; `MaxAllowedValidators`.
    pub validator_limit: usize,
    /// Combined stake below which a uid counts for nothing, the owner's excepted (unit of the stakes); `StakeThreshold`.
    pub stake_threshold: f64,
    /// Blocks after its last update at which a uid becomes inactive; from `ActivityCutoffFactorMilli`.
    pub activity_cutoff_blocks: u64,
    /// Blocks between two epochs; `Tempo`.
    pub tempo_blocks: u64,
}

impl YumaParams {
    /// The chain's defaults for a new subnet, but for the stake threshold of mainnet, which is 1000 alpha.
    pub const DEFAULT: Self = Self {
        kappa: 32_767.0 / PROPORTION_PARTS,
        bonds_rule: BondsRule::Yuma3,
        bonds_penalty: 1.0,
        bonds_moving_average: 0.9,
        validator_limit: 64,
        stake_threshold: 0.0,
        activity_cutoff_blocks: 5_000,
        tempo_blocks: 360,
    };
}

/// `value` as the chain stores a proportion: parts of [`PROPORTION_PARTS`], truncated. Requires `0 <= value`; saturates.
pub fn proportion_u16(value: f64) -> u16 {
    (value * PROPORTION_PARTS).floor() as u16
}

/// Product of two proportions, truncated to 2^-32 downwards.
fn product(a: f64, b: f64) -> f64 {
    floor_32(a * b)
}

/// Divides by the sum, truncated to 2^-32; unchanged where the sum is 0.
fn normalize(mut values: ArrayViewMut1<'_, f64>) {
    let sum = values.sum();
    if sum > 0.0 {
        values.mapv_inplace(|value| floor_32(value / sum));
    }
}
