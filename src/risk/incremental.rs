//! What the tail measures of a book would be without a position, with more of it, or with another one besides, on the same paths.
//!
//! The book without position i loses `L - L_i`, with a tenth more of it `L + 0.1 L_i`, with a candidate c, paid for by money from
//! outside, `L + L_c`. All are of the same paths: a position keeps the market impact that it had in them, and what is added has none of
//! its own. A path is kept while any of these books may have it in its tail. Memory: twice as many rows as a tail of
//! [`crate::risk::tail_rows`] needs, more where the tails of these books differ much, each of 16 bytes and 8 more for each position.

use crate::risk::estimate::Estimate;
use crate::risk::euler::Sampling;
use crate::risk::euler::TailPoint;
use crate::risk::tail_rows::SortedRows;
use crate::risk::tail_rows::kept_rows;

/// Part of a position that is added to it.
pub const SCALE: f64 = 0.1;
/// Without a position, and with more of it.
pub(crate) const REMOVED_AND_SCALED: [f64; 2] = [-1.0, SCALE];
/// With a position that the book has not.
pub(crate) const ADDED: [f64; 1] = [1.0];
/// Rows before a cut, in multiples of those that a tail needs.
const ROOM: usize = 2;
/// The same where the tails of a book differ much: what memory is told of.
const ROOM_TOLD: usize = 3;

/// Tails of a book that has more or less of positions, of one at a time: each of them in `N` ways.
#[derive(Clone, Debug)]
pub(crate) struct Variants<const N: usize> {
    /// How much of a position is added.
    added: [f64; N],
    /// Losses that each tail needs.
    keep: usize,
    /// Rows before a cut.
    room: usize,
    /// Path and loss of the book, by row.
    totals: Vec<(u32, f64)>,
    /// Losses of positions, by row.
    parts: Vec<f64>,
    positions: usize,
    /// Losses up to this are in no tail, by position.
    thresholds: Vec<[f64; N]>,
    /// The lowest of them.
    threshold: f64,
    pushed: u64,
}

impl<const N: usize> Variants<N> {
    /// Tails of `paths` paths for so many positions, of each of which so much is `added`.
    pub(crate) fn new(paths: u64, confidence_min: f64, positions: usize, added: [f64; N]) -> Self {
        let keep = kept_rows(paths, confidence_min);
        Self {
            added,
            keep,
            room: ROOM * keep,
            totals: Vec::new(),
            parts: Vec::new(),
            positions,
            thresholds: vec![[f64::NEG_INFINITY; N]; positions],
            threshold: f64::NEG_INFINITY,
            pushed: 0,
        }
    }

    /// Memory of them (bytes).
    pub(crate) fn bytes(paths: u64, confidence_min: f64, positions: usize) -> f64 {
        let rows = ROOM_TOLD * kept_rows(paths, confidence_min);
        (rows * (size_of::<(u32, f64)>() + positions * size_of::<f64>())) as f64
    }

    /// Adds a path on which the book lost `total`, and the positions `parts`; paths ascend.
    pub(crate) fn push(&mut self, path: u64, total: f64, parts: impl Iterator<Item = f64> + Clone) {
        self.pushed += 1;
        let worst = |most: f64, part: f64| self.added.iter().fold(most, |most, added| most.max(added * part));
        let most = parts.clone().fold(0.0, worst);
        if total + most <= self.threshold {
            return;
        }
        self.totals.push((path as u32, total));
        self.parts.extend(parts);
        if self.totals.len() == self.room {
            self.cut();
        }
    }

    /// Keeps the rows that are in any tail so far.
    fn cut(&mut self) {
        let mut losses = Vec::with_capacity(self.room);
        for position in 0..self.positions {
            for variant in 0..N {
                losses.clear();
                losses.extend((0..self.totals.len()).map(|row| self.loss(row, position)[variant]));
                let (_, last, _) = losses.select_nth_unstable_by(self.keep - 1, |a, b| b.total_cmp(a));
                self.thresholds[position][variant] = *last;
            }
        }
        self.threshold = self.thresholds.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let mut kept = 0;
        for row in 0..self.totals.len() {
            if self.is_in_a_tail(row) {
                self.totals[kept] = self.totals[row];
                self.parts.copy_within(row * self.positions..(row + 1) * self.positions, kept * self.positions);
                kept += 1;
            }
        }
        self.totals.truncate(kept);
        self.parts.truncate(kept * self.positions);
        self.room = self.room.max(kept + self.keep / 2);
    }

    fn is_in_a_tail(&self, row: usize) -> bool {
        let is_in = |(position, thresholds): (usize, &[f64; N])| {
            self.loss(row, position).iter().zip(thresholds).any(|(loss, threshold)| loss >= threshold)
        };
        self.thresholds.iter().enumerate().any(is_in)
    }

    /// Losses of a row with so much more of a position.
    fn loss(&self, row: usize, position: usize) -> [f64; N] {
        let (total, part) = (self.totals[row].1, self.parts[row * self.positions + position]);
        self.added.map(|added| total + added * part)
    }

    /// The tails in order, for each position.
    pub(crate) fn into_sorted(self) -> impl Iterator<Item = [SortedRows; N]> {
        (0..self.positions).map(move |position| std::array::from_fn(|variant| self.tail(position, variant)))
    }

    fn tail(&self, position: usize, variant: usize) -> SortedRows {
        let row = |(row, (path, _)): (usize, &(u32, f64))| (*path, self.loss(row, position)[variant]);
        SortedRows::of(self.pushed, self.keep, self.totals.iter().enumerate().map(row))
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
    use crate::risk::tail_rows::TailRows;

    #[test]
    fn paths_of_either_tail_count_once() {
        let base = [(2, [1.0, 5.0]), (4, [1.0, 2.0])];
        let other = [(1, [2.0, 1.0]), (4, [2.0, 3.0]), (9, [2.0, 4.0])];
        let expected = [(1, [2.0, 1.0]), (2, [-1.0, -5.0]), (4, [1.0, 1.0]), (9, [2.0, 4.0])];
        assert_eq!(joint_influences(&base, &other), expected);
        assert_eq!(joint_influences(&base, &[]), [(2, [-1.0, -5.0]), (4, [-1.0, -2.0])]);
    }

    /// Positions that hedge each other, and one that is most of the book: their tails have few paths in common.
    #[test]
    fn tails_are_those_of_all_losses() {
        let (n, confidence) = (6_011, 0.95);
        let mut variants = Variants::new(n, confidence, 3, REMOVED_AND_SCALED);
        let parts = |path: u64| {
            let large = (path * 7919 % n) as f64 - 2_000.0;
            // Ties on purpose.
            [large, -0.9 * large + (path * 31 % 97) as f64, (path * 271 % 1_009) as f64 / 8.0]
        };
        let total = |path| parts(path).iter().sum::<f64>();
        (0..n).for_each(|path| variants.push(path, total(path), parts(path).into_iter()));
        let (room, rows) = (variants.room, variants.totals.len());
        assert!(room < 4 * variants.keep && rows < room, "{rows} of {room}, {} needed", variants.keep);
        for (position, tails) in variants.into_sorted().enumerate() {
            for (variant, tail) in tails.into_iter().enumerate() {
                let mut all = TailRows::new(n, confidence, 0);
                let loss = |path| [total(path) - parts(path)[position], total(path) + SCALE * parts(path)[position]];
                (0..n).for_each(|path| all.push(path, loss(path)[variant], |_| ()));
                let all = all.into_sorted();
                assert_eq!((tail.samples(), tail.len()), (all.samples(), all.len()));
                assert!((0..all.len()).all(|at| (tail.loss(at), tail.path(at)) == (all.loss(at), all.path(at))));
            }
        }
    }

    #[test]
    fn more_of_the_only_position_scales_every_measure_and_none_leaves_nothing() {
        let n = 2_003;
        let (mut tail, mut variants) = (TailRows::new(n, 0.95, 0), Variants::new(n, 0.95, 1, REMOVED_AND_SCALED));
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
