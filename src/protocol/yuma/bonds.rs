//! Bonds: what a validator holds of each miner by its weights of the past, and the dividends that it earns with them.

use ndarray::Array1;
use ndarray::Array2;
use ndarray::ArrayView1;
use ndarray::Zip;

use crate::protocol::fixed::floor_32;
use crate::protocol::yuma::LiquidSmoothing;
use crate::protocol::yuma::PROPORTION_PARTS;
use crate::protocol::yuma::normalize;
use crate::protocol::yuma::product;

/// What an epoch leaves a validator with.
#[derive(Clone, Debug, PartialEq)]
pub struct BondsOutcome {
    /// New bonds as they are stored, before truncation to u16 (fractions).
    pub bonds: Array2<f64>,
    /// Dividend of each uid; they sum to 1, or to 0 where nobody earns any.
    pub dividends: Array1<f64>,
}

/// What one epoch's incentives are distributed by.
#[derive(Clone, Copy, Debug)]
pub struct BondsInputs<'a> {
    /// Weights that make bonds, from [`bond_weights`].
    pub weights: &'a Array2<f64>,
    /// Stored bonds (parts of 65535), outdated columns removed.
    pub held: &'a Array2<f64>,
    /// Normalised active stake.
    pub active_stake: ArrayView1<'a, f64>,
    /// Incentive of each uid.
    pub incentive: &'a Array1<f64>,
    /// Part of the old bonds that is kept (fraction).
    pub moving_average: f64,
}

/// Weights that make bonds: `w + penalty * (clipped - w)`. Source: `interpolate_sparse`.
pub fn bond_weights(weights: &Array2<f64>, clipped: &Array2<f64>, penalty: f64) -> Array2<f64> {
    let penalty = floor_32(penalty);
    let mut result = weights.clone();
    result.zip_mut_with(clipped, |weight, &clipped| *weight += product(penalty, clipped - *weight));
    result
}

/// The rule of Yuma2.
///
/// ```text
/// B  = held bonds, columns normalised          dB = S_i * w_ij, columns normalised
/// B' = a dB + (1 - a) B, columns normalised    a  = 1 - moving average
/// D  = normalise over i of the sum over j of B'_ij * I_j;   stored: B'_ij / max over i of B'_ij
/// ```
pub fn yuma2(inputs: &BondsInputs<'_>) -> BondsOutcome {
    let mut old = inputs.held.clone();
    normalize_columns(&mut old);
    let mut new = inputs.weights.clone();
    for (mut row, &stake) in new.rows_mut().into_iter().zip(inputs.active_stake) {
        row.mapv_inplace(|weight| product(stake, weight));
    }
    normalize_columns(&mut new);
    let mut bonds = smooth(&new, &old, inputs.moving_average);
    normalize_columns(&mut bonds);
    let mut dividends = earned(&bonds, inputs.incentive);
    normalize(dividends.view_mut());
    for mut column in bonds.columns_mut() {
        let largest = column.fold(0.0_f64, |largest, &bond| largest.max(bond));
        if largest > 0.0 {
            column.mapv_inplace(|bond| floor_32(bond / largest));
        }
    }
    BondsOutcome { bonds, dividends }
}

/// The rule of Yuma3; `liquid` are the smoothing of liquid alpha and the consensus, which must not be all 0.
///
/// ```text
/// B  = held bonds / 65535
/// B' = a w + (1 - a) B                         a = 1 - moving average
/// liquid:
///   d  = clamp(w - C_j, 0, 1) where w >= B, else clamp(B - w, 0, 1)
///   a  = low + (high - low) / (1 + exp(-steepness (d - 1/2)))
///   B' = min(1, a w + (1 - a) B) where w > 0, else 0: what is weighted no more is lost at once
/// D  = normalise over i of S_i * the sum over j of I_j * B'_ij / (sum over i of B'_ij)
/// ```
pub fn yuma3(inputs: &BondsInputs<'_>, liquid: Option<(&LiquidSmoothing, &Array1<f64>)>) -> BondsOutcome {
    let old = inputs.held.mapv(|bond| floor_32(bond / PROPORTION_PARTS));
    let bonds = match liquid {
        Some((smoothing, consensus)) => smooth_liquid(inputs.weights, &old, consensus, smoothing),
        None => smooth(inputs.weights, &old, inputs.moving_average),
    };
    let mut shares = bonds.clone();
    normalize_columns(&mut shares);
    let mut dividends = earned(&shares, inputs.incentive);
    dividends.zip_mut_with(&inputs.active_stake, |earned, &stake| *earned = product(*earned, stake));
    normalize(dividends.view_mut());
    BondsOutcome { bonds, dividends }
}

fn normalize_columns(matrix: &mut Array2<f64>) {
    for column in matrix.columns_mut() {
        normalize(column);
    }
}

/// Sum over miners of the bond times the incentive.
fn earned(bonds: &Array2<f64>, incentive: &Array1<f64>) -> Array1<f64> {
    let earn = |row: ArrayView1<'_, f64>| row.iter().zip(incentive).map(|(&bond, &paid)| product(bond, paid)).sum();
    bonds.rows().into_iter().map(earn).collect()
}

/// Moving average of one smoothing for all. Source: `mat_ema_sparse`.
fn smooth(new: &Array2<f64>, old: &Array2<f64>, moving_average: f64) -> Array2<f64> {
    let kept = floor_32(moving_average);
    Zip::from(new).and(old).map_collect(|&new, &old| product(1.0 - kept, new) + product(kept, old))
}

/// Moving average with a smoothing for each bond. Source: `mat_ema_alpha_sparse`.
fn smooth_liquid(
    weights: &Array2<f64>,
    old: &Array2<f64>,
    consensus: &Array1<f64>,
    smoothing: &LiquidSmoothing,
) -> Array2<f64> {
    let mut bonds = weights.clone();
    for (mut row, old) in bonds.rows_mut().into_iter().zip(old.rows()) {
        Zip::from(&mut row).and(old).and(consensus).for_each(|bond, &old, &consensus| {
            let weight = *bond;
            if weight > 0.0 {
                let a = liquid_weight(smoothing, weight, old, consensus);
                *bond = (product(a, weight) + product(1.0 - a, old)).min(1.0);
            }
        });
    }
    bonds
}

/// Weight of the newest value of a bond. Source: `alpha_sigmoid`.
fn liquid_weight(smoothing: &LiquidSmoothing, weight: f64, bond: f64, consensus: f64) -> f64 {
    let distance = if weight >= bond { weight - consensus } else { bond - weight };
    let low = floor_32(smoothing.low);
    let high = floor_32(smoothing.high).max(low);
    let exponent = product(floor_32(-smoothing.steepness), distance.clamp(0.0, 1.0) - 0.5);
    let sigmoid = floor_32(1.0 / (1.0 + exp_32(exponent)));
    (low + product(sigmoid, high - low)).clamp(low, high)
}

/// Largest argument of the exponential, in size. Source: `exp_safe`.
const EXPONENT_MAX: f64 = 20.0;
/// Terms of the series: three per fractional bit.
const EXPONENTIAL_TERMS: u32 = 96;

/// `exp(x)` by the chain's Taylor series, each term truncated to 2^-32.
///
/// Within 1e-8 of `exp`, relative, up to an argument of 5; a bond moves by less.
/// Source: substrate-fixed, `transcendental::exp`.
fn exp_32(x: f64) -> f64 {
    let size = x.abs().min(EXPONENT_MAX);
    let (mut sum, mut term) = (1.0 + size, size);
    for i in 2..EXPONENTIAL_TERMS {
        term = floor_32(product(term, size) / f64::from(i));
        sum += term;
    }
    if x < 0.0 { floor_32(1.0 / sum) } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;
    use ndarray::arr2;

    #[test]
    fn exponential_is_near_the_true_one() {
        for x in [0.0, 0.1, 1.0, -1.0, 2.5, 5.0, -5.0] {
            let deviation = (exp_32(x) - f64::exp(x)).abs();
            assert!(deviation < 1e-8 * f64::exp(x).max(1.0), "{x}: {deviation}");
        }
        assert_eq!(exp_32(-50.0), exp_32(-20.0));
    }

    #[test]
    fn penalty_goes_from_weight_to_clipped_weight() {
        let (weights, clipped) = (arr2(&[[0.5, 0.25]]), arr2(&[[0.25, 0.0]]));
        assert_eq!(bond_weights(&weights, &clipped, 0.0), weights);
        assert_eq!(bond_weights(&weights, &clipped, 1.0), clipped);
        assert_eq!(bond_weights(&weights, &clipped, 0.5), arr2(&[[0.375, 0.125]]));
    }

    #[test]
    fn liquid_smoothing_grows_with_the_distance_and_stays_in_its_bounds() {
        let smoothing = LiquidSmoothing { low: 0.25, high: 0.75, steepness: 10.0 };
        let at = |distance: f64| liquid_weight(&smoothing, distance, 0.0, 0.0);
        assert!((at(0.5) - 0.5).abs() < 1e-9);
        assert!(0.25 < at(0.0) && at(0.0) < at(0.5) && at(0.5) < at(1.0) && at(1.0) < 0.75);
        // A bond above the weight counts by its distance from the weight, and consensus does not matter.
        assert_eq!(liquid_weight(&smoothing, 0.1, 0.6, 0.9), liquid_weight(&smoothing, 0.5, 0.0, 0.0));
    }

    #[test]
    fn liquid_bonds_are_lost_where_the_weight_is() {
        let smoothing = LiquidSmoothing::DEFAULT;
        let bonds = smooth_liquid(&arr2(&[[0.0, 0.5]]), &arr2(&[[0.9, 0.5]]), &arr1(&[0.1, 0.5]), &smoothing);
        assert_eq!(bonds[[0, 0]], 0.0);
        assert!((bonds[[0, 1]] - 0.5).abs() < 1e-9);
        assert_eq!(smooth(&arr2(&[[0.0]]), &arr2(&[[0.5]]), 0.75), arr2(&[[0.375]]));
    }

    #[test]
    fn two_validators_by_hand() {
        // Miner 1 earns everything; stakes 3 : 1, weights equal, no bonds before.
        // Yuma2: bonds 3 : 1. Yuma3: bonds equal, dividends by stake.
        let weights = arr2(&[[0.0, 1.0], [0.0, 1.0]]);
        let held = Array2::zeros((2, 2));
        let (stake, incentive) = (arr1(&[0.75, 0.25]), arr1(&[0.0, 1.0]));
        let inputs = BondsInputs {
            weights: &weights,
            held: &held,
            active_stake: stake.view(),
            incentive: &incentive,
            moving_average: 0.5,
        };
        let outcome = yuma2(&inputs);
        assert_eq!(outcome.dividends, stake);
        assert_eq!(outcome.bonds.column(1), arr1(&[1.0, floor_32(1.0 / 3.0)]));
        let outcome = yuma3(&inputs, None);
        assert_eq!(outcome.dividends, stake);
        assert_eq!(outcome.bonds.column(1), arr1(&[0.5, 0.5]));
    }
}
