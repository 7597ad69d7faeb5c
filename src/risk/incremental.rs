//! What the tail measures of a book would be without a position, or with more of it, on the same paths.
//!
//! The book without position i loses `L - L_i`, with a tenth more of it `L + 0.1 L_i`. Both are of the same paths: the position
//! keeps the market impact that it had in them, and the tenth more has none of its own. Memory: 16 bytes for each row of
//! [`crate::risk::tail_rows`], for each position twice.

use crate::risk::estimate::Estimate;
use crate::risk::euler::Sampling;
use crate::risk::euler::TailPoint;
use crate::risk::tail_rows::SortedRows;
use crate::risk::tail_rows::TailRows;

/// Part of a position that is added to it.
pub const SCALE: f64 = 0.1;

/// Tails of a book without each of its positions, and with more of each.
#[derive(Clone, Debug)]
pub(crate) struct Variants {
    without: Vec<TailRows>,
    with_more: Vec<TailRows>,
    /// A loss up to this is in no tail.
    threshold: f64,
    /// Paths on which no variant lost more.
    missed: u64,
}

impl Variants {
    /// Tails of `paths` paths for a book of so many positions.
    pub(crate) fn new(paths: u64, confidence_min: f64, positions: usize) -> Self {
        let tails = || (0..positions).map(|_| TailRows::new(paths, confidence_min, 0)).collect();
        Self { without: tails(), with_more: tails(), threshold: f64::NEG_INFINITY, missed: 0 }
    }

    /// Memory of them (bytes).
    pub(crate) fn bytes(paths: u64, confidence_min: f64, positions: usize) -> f64 {
        2.0 * positions as f64 * TailRows::bytes(paths, confidence_min, 0)
    }

    /// Adds a path on which the book lost `total`, and its positions `parts`.
    pub(crate) fn push(&mut self, path: u64, total: f64, parts: impl Iterator<Item = f64> + Clone) {
        let most = parts.clone().fold(0.0, |most: f64, part| most.max(-part).max(SCALE * part));
        if total + most <= self.threshold {
            self.missed += 1;
            return;
        }
        for ((without, with_more), part) in self.without.iter_mut().zip(&mut self.with_more).zip(parts) {
            without.push(path, total - part, |_| ());
            with_more.push(path, total + SCALE * part, |_| ());
        }
        let tails = self.without.iter().chain(&self.with_more);
        self.threshold = tails.map(TailRows::threshold).fold(f64::INFINITY, f64::min);
    }

    /// The tails in order: for each position that of the book without it, and with more of it.
    pub(crate) fn into_sorted(self) -> impl Iterator<Item = [SortedRows; 2]> {
        let Self { without, with_more, missed, .. } = self;
        let sorted = move |tail: TailRows| tail.with_missed(missed).into_sorted();
        without.into_iter().zip(with_more).map(move |(without, with_more)| [without, with_more].map(sorted))
    }
}

/// Differences of value at risk and expected shortfall, `other - base`, of two books on the same paths.
///
/// Their errors are those of the mean differences of influences path by path, over the paths in either tail:
///
/// ```text
/// VaR: 1[L > q] / f     ES: (L - q)+ / (1 - c)
/// ```
///
/// each with the density `f` of its own book ([`TailPoint`]): that of a book with a tenth more risk is a tenth lower, which is all
/// that the two differ in. (Runs that differ by noise share a density: [`crate::risk::paired`].)
pub(crate) fn differences(base: &TailPoint<'_>, other: &TailPoint<'_>, sampling: Sampling) -> [Estimate; 2] {
    let joint = joint_influences(&base.influences(), &other.influences());
    let (from, to) = (base.totals(), other.totals());
    [0, 1].map(|measure| {
        let error = sampling.error(joint.iter().map(|&(path, h)| (path, h[measure])));
        let error = if base.is_known() { error } else { f64::INFINITY };
        Estimate::normal(to[measure] - from[measure], error, sampling.paths)
    })
}

/// `other - base` by path; both ascend by path.
fn joint_influences(base: &[(u32, [f64; 2])], other: &[(u32, [f64; 2])]) -> Vec<(u32, [f64; 2])> {
    let (mut joint, mut rest) = (Vec::with_capacity(base.len() + other.len()), other);
    for &(path, h) in base {
        let before = rest.partition_point(|&(other, _)| other < path);
        joint.extend_from_slice(&rest[..before]);
        rest = &rest[before..];
        let met = rest.split_first().filter(|((other, _), _)| *other == path);
        let [value, shortfall] = met.map_or([0.0; 2], |((_, h), _)| *h);
        rest = met.map_or(rest, |(_, rest)| rest);
        joint.push((path, [value - h[0], shortfall - h[1]]));
    }
    joint.extend_from_slice(rest);
    joint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_either_tail_count_once() {
        let base = [(2, [1.0, 5.0]), (4, [1.0, 2.0])];
        let other = [(1, [2.0, 1.0]), (4, [2.0, 3.0]), (9, [2.0, 4.0])];
        let expected = [(1, [2.0, 1.0]), (2, [-1.0, -5.0]), (4, [1.0, 1.0]), (9, [2.0, 4.0])];
        assert_eq!(joint_influences(&base, &other), expected);
        assert_eq!(joint_influences(&base, &[]), [(2, [-1.0, -5.0]), (4, [-1.0, -2.0])]);
    }

    #[test]
    fn more_of_the_only_position_scales_every_measure_and_none_leaves_nothing() {
        let n = 2_003;
        let (mut tail, mut variants) = (TailRows::new(n, 0.95, 0), Variants::new(n, 0.95, 1));
        for path in 0..n {
            let loss = (path * 7919 % n) as f64 - 900.0;
            tail.push(path, loss, |_| ());
            variants.push(path, loss, std::iter::once(loss));
        }
        let (rows, sampling) = (tail.into_sorted(), Sampling { paths: n, replicate_paths: 1 });
        let base = TailPoint::new(&rows, 0.95).unwrap();
        let [without, with_more] = variants.into_sorted().next().unwrap();
        let error = |point: &TailPoint<'_>| point.components(|_| 0.0, sampling)[0].standard_error;
        assert_eq!(error(&base), 0.0, "nothing of the loss is nothing of its risk");
        for ((removed, scaled), total) in differences(&base, &TailPoint::new(&without, 0.95).unwrap(), sampling)
            .into_iter()
            .zip(differences(&base, &TailPoint::new(&with_more, 0.95).unwrap(), sampling))
            .zip(base.totals())
        {
            assert_eq!(removed.value, -total);
            assert!((scaled.value / (SCALE * total) - 1.0).abs() < 1e-12, "{scaled:?} {total}");
            assert!(
                (scaled.standard_error / (SCALE * removed.standard_error) - 1.0).abs() < 1e-9,
                "{scaled:?} {removed:?}"
            );
        }
    }
}
