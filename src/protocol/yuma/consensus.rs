//! Whose stake counts, what weight of a miner the majority of it supports, and the weights clipped to that.

use ndarray::Array1;
use ndarray::Array2;
use ndarray::ArrayView1;

use crate::protocol::fixed::floor_32;
use crate::protocol::yuma::normalize;
use crate::protocol::yuma::product;

/// Permits of the next epoch: the `limit` largest stakes, as far as they are above 0.
///
/// Of equal stakes the higher uids go first. Source: `is_topk_nonzero`, a stable ascending sort whose front is dropped.
pub fn top_stakes(stake: ArrayView1<'_, f64>, limit: usize) -> Vec<bool> {
    let mut permits: Vec<bool> = stake.iter().map(|&stake| stake > 0.0).collect();
    let mut ascending: Vec<usize> = (0..stake.len()).collect();
    ascending.sort_by(|&a, &b| stake[a].total_cmp(&stake[b]));
    for &uid in &ascending[..stake.len().saturating_sub(limit)] {
        permits[uid] = false;
    }
    permits
}

/// The consensus weight of each miner: the largest weight that validators with at least `kappa` of the active stake give it.
///
/// ```text
/// C_j = max { v in {w_ij} : sum of S_i over w_ij >= v  is at least  kappa }
/// ```
///
/// Over validators `i` with `S_i > 0`, whose stakes are normalised again; a weight not given is 0. Where all active stake
/// falls short of `kappa` by rounding it is the smallest weight. Source: `weighted_median_col_sparse`.
pub fn consensus(weights: &Array2<f64>, active_stake: ArrayView1<'_, f64>, kappa: f64) -> Array1<f64> {
    let uids: Vec<usize> = (0..active_stake.len()).filter(|&uid| active_stake[uid] > 0.0).collect();
    let mut stake: Array1<f64> = uids.iter().map(|&uid| active_stake[uid]).collect();
    normalize(stake.view_mut());
    let minority = stake.sum() - floor_32(kappa);
    let mut scores = Vec::with_capacity(uids.len());
    let column = |column: ArrayView1<'_, f64>| {
        scores.clear();
        scores.extend(uids.iter().zip(&stake).map(|(&uid, &stake)| (column[uid], stake)));
        weighted_median(&mut scores, minority)
    };
    weights.columns().into_iter().map(column).collect()
}

/// The score at which the stake counted from below first exceeds `minority`; the largest where it never does, 0 of none.
///
/// `scores` are pairs of score and stake, and are left sorted. The chain finds the same by partition around pivots: it goes
/// to the lower part where the stake below the pivot exceeds `minority`, and to the upper where the stake up to the pivot
/// does not. Source: `weighted_median`.
pub fn weighted_median(scores: &mut [(f64, f64)], minority: f64) -> f64 {
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut counted = 0.0;
    let reaches = |&&(_, stake): &&(f64, f64)| {
        counted += stake;
        counted > minority
    };
    scores.iter().find(reaches).or(scores.last()).map_or(0.0, |&(score, _)| score)
}

/// Weights not above consensus: `min(w_ij, C_j)`. Source: `col_clip_sparse`.
pub fn clip(weights: &Array2<f64>, consensus: &Array1<f64>) -> Array2<f64> {
    let mut clipped = weights.clone();
    for mut row in clipped.rows_mut() {
        row.zip_mut_with(consensus, |weight, &consensus| *weight = weight.min(consensus));
    }
    clipped
}

/// Incentive of each uid: `normalise over j of the sum over i of S_i * clipped_ij`.
pub fn incentive(clipped: &Array2<f64>, active_stake: ArrayView1<'_, f64>) -> Array1<f64> {
    let rank = |column: ArrayView1<'_, f64>| column.iter().zip(active_stake).map(|(&w, &s)| product(w, s)).sum();
    let mut ranks: Array1<f64> = clipped.columns().into_iter().map(rank).collect();
    normalize(ranks.view_mut());
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;
    use ndarray::arr2;
    use proptest::prelude::*;

    #[test]
    fn permits_go_to_the_largest_stakes_and_ties_to_the_higher_uids() {
        let stake = arr1(&[0.2, 0.0, 0.2, 0.4, 0.2]);
        assert_eq!(top_stakes(stake.view(), 2), [false, false, false, true, true]);
        assert_eq!(top_stakes(stake.view(), 9), [true, false, true, true, true]);
        assert_eq!(top_stakes(stake.view(), 0), [false; 5]);
    }

    #[test]
    fn median_of_few() {
        assert_eq!(weighted_median(&mut [], 0.5), 0.0);
        assert_eq!(weighted_median(&mut [(0.3, 1.0)], 2.0), 0.3);
        assert_eq!(weighted_median(&mut [(0.3, 1.0), (0.1, 1.0)], -0.1), 0.1);
        // The stake below 0.2 equals the minority and does not exceed it.
        assert_eq!(weighted_median(&mut [(0.5, 0.25), (0.1, 0.5), (0.2, 0.25)], 0.5), 0.2);
        assert_eq!(weighted_median(&mut [(0.5, 0.25), (0.1, 0.5), (0.2, 0.25)], 0.75), 0.5);
    }

    #[test]
    fn kappa_decides_between_two_camps() {
        let weights = arr2(&[[0.0, 0.9], [0.0, 0.1], [0.0, 0.5]]);
        let stake = arr1(&[0.4, 0.6, 0.0]);
        let at = |kappa: f64| consensus(&weights, stake.view(), kappa)[1];
        assert_eq!((at(0.0), at(0.399), at(0.401), at(1.0)), (0.9, 0.9, 0.1, 0.1));
        assert_eq!(consensus(&weights, arr1(&[0.0; 3]).view(), 0.5), arr1(&[0.0, 0.0]));
    }

    /// The chain's partition around pivots, literally.
    fn median_by_partition(scores: &[(f64, f64)], minority: f64) -> f64 {
        let mut part: Vec<(f64, f64)> = scores.to_vec();
        let (mut below, mut up_to): (f64, f64) = (0.0, scores.iter().map(|(_, stake)| stake).sum());
        while part.len() > 1 {
            let pivot = part[part.len() / 2].0;
            let lower: Vec<(f64, f64)> = part.iter().copied().filter(|(score, _)| *score < pivot).collect();
            let upper: Vec<(f64, f64)> = part.iter().copied().filter(|(score, _)| *score > pivot).collect();
            let low: f64 = lower.iter().map(|(_, stake)| stake).sum();
            let high: f64 = upper.iter().map(|(_, stake)| stake).sum();
            if minority < below + low && !lower.is_empty() {
                (part, up_to) = (lower, below + low);
            } else if up_to - high <= minority && !upper.is_empty() {
                (part, below) = (upper, up_to - high);
            } else {
                return pivot;
            }
        }
        part.first().map_or(0.0, |(score, _)| *score)
    }

    proptest! {
        /// Scores and stakes from few values, so that ties and exact hits of the minority are common.
        #[test]
        fn median_is_that_of_the_chains_partition(
            scores in prop::collection::vec((0_u32..6, 1_u32..5), 0..12),
            minority in -4_i32..50,
        ) {
            let mut scores: Vec<(f64, f64)> =
                scores.into_iter().map(|(score, stake)| (f64::from(score), f64::from(stake))).collect();
            let minority = f64::from(minority);
            let expected = median_by_partition(&scores, minority);
            prop_assert_eq!(weighted_median(&mut scores, minority), expected);
        }
    }
}
