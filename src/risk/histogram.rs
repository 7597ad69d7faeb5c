//! Integer counts on logarithmic buckets: quantiles of many values in fixed memory, merged by adding.
//!
//! A bucket is read off the bits of the value: its exponent and the first bits of its mantissa, so each octave `[2^e,
//! 2^(e+1))` is cut into equal parts. That is a shift and a subtraction, and the same everywhere (no logarithm).
//! Counts are `u32`: up to 4.29e9 values.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::Array3;
use ndarray::s;

use crate::risk::estimate::Estimate;
use crate::risk::estimate::quantile_rank;
use crate::risk::estimate::quantile_rank_interval;
use crate::simd::math;

/// Bits of an `f64` mantissa.
const MANTISSA_BITS: u32 = 52;
/// Bits of an `f64` that no bucket of a [`Metric`] reads.
pub(crate) const WORD_BITS: u32 = MANTISSA_BITS - 5;
/// Bias of an `f64` exponent.
const EXPONENT_BIAS: i32 = 1023;

/// How positive values are cut into buckets: `2^part_bits` equal parts of each octave, from `2^exponent_min` up.
///
/// Bucket 0 holds what is smaller (zero, negative and NaN too), the last one what is larger. Within the range the
/// middle of a bucket is within `relative_error()` of every value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    exponent_min: i32,
    octaves: u32,
    part_bits: u32,
}

impl Buckets {
    /// Amounts of money: 1e-6 to 1.1e12, within 0.4 %.
    pub const AMOUNT: Self = Self { exponent_min: -20, octaves: 60, part_bits: 7 };
    /// Spot prices (TAO per alpha): 1.9e-6 to 16, within 1.6 %.
    pub const PRICE: Self = Self { exponent_min: -19, octaves: 23, part_bits: 5 };
    /// Emission shares: 1.5e-5 to 1, within 1.6 %.
    pub const SHARE: Self = Self { exponent_min: -16, octaves: 16, part_bits: 5 };

    /// Number of buckets.
    pub const fn len(self) -> usize {
        ((self.octaves as usize) << self.part_bits) + 2
    }

    /// Never: there are always the two outer buckets.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// Largest relative distance between a value in the range and the middle of its bucket.
    pub fn relative_error(self) -> f64 {
        0.5 / f64::from(1_u32 << self.part_bits)
    }

    /// Bucket of `value`.
    pub fn index(self, value: f64) -> usize {
        if value >= self.minimum() {
            let parts = (value.to_bits() >> (MANTISSA_BITS - self.part_bits)) - self.first_part();
            (parts as usize + 1).min(self.len() - 1)
        } else {
            0
        }
    }

    /// Edges `[low, high)` of a bucket; the outer ones end at 0 and infinity.
    pub fn edges(self, index: usize) -> (f64, f64) {
        let edge =
            |index: usize| f64::from_bits((index as u64 - 1 + self.first_part()) << (MANTISSA_BITS - self.part_bits));
        let low = if index == 0 { 0.0 } else { edge(index) };
        let high = if index + 1 == self.len() { f64::INFINITY } else { edge(index + 1) };
        (low, high)
    }

    /// Their values' leading bits, all but [`WORD_BITS`]: those below the range, and those above.
    pub(crate) const fn outer_words(self) -> [u64; 2] {
        assert!(self.part_bits + WORD_BITS == MANTISSA_BITS, "as fine as those that are read off in vectors");
        [self.first_part() - 1, self.first_part() + ((self.octaves as u64) << self.part_bits)]
    }

    const fn first_part(self) -> u64 {
        ((self.exponent_min + EXPONENT_BIAS) as u64) << self.part_bits
    }

    fn minimum(self) -> f64 {
        f64::from_bits(((self.exponent_min + EXPONENT_BIAS) as u64) << MANTISSA_BITS)
    }
}

/// Counts of values of either sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    buckets: Buckets,
    samples: u64,
    /// Negative values from the largest size to the smallest, then positive ones from the smallest.
    counts: Vec<u32>,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(buckets: Buckets) -> Self {
        Self { buckets, samples: 0, counts: vec![0; 2 * buckets.len()] }
    }

    /// Counts one value.
    pub fn push(&mut self, value: f64) {
        let middle = self.buckets.len();
        let position =
            if value < 0.0 { middle - 1 - self.buckets.index(-value) } else { middle + self.buckets.index(value) };
        self.counts[position] += 1;
        self.samples += 1;
    }

    /// Values counted.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The middle of each bucket that holds values, ascending, and how many it holds; of an outer bucket the finite edge.
    pub fn filled(&self) -> impl Iterator<Item = (f64, u32)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(position, &count)| (middle(self.edges(position)), count))
    }

    /// The quantile at `level`: the middle of the bucket of rank `ceil(n * level)`, in an interval of ranks widened
    /// to bucket edges. `None` without values.
    pub fn quantile(&self, level: f64) -> Option<Estimate> {
        quantile_of_counts(&self.counts, self.samples, level, &Ranks::default(), |position| self.edges(position))
    }

    /// Index of the tail of the sizes of values, of either sign, and how many of the largest it rests on, at least `values`: a size is
    /// above a large `t` with a probability like `t^-index`, and its moments of that order and above are infinite. Infinite where
    /// these sizes are all in one bucket, or there are none.
    ///
    /// Hill's estimator over the fewest whole buckets, `k / sum ln(size / smallest)`; its relative error is `1 / sqrt(k)`.
    /// Source: Hill (1975), doi:10.1214/aos/1176343247.
    pub fn tail_index(&self, values: u64) -> (f64, u64) {
        let first_positive = self.buckets.len();
        let (mut seen, mut logs) = (0, 0.0);
        for index in (1..first_positive).rev() {
            let count = u64::from(self.counts[first_positive + index] + self.counts[first_positive - 1 - index]);
            let edges = self.buckets.edges(index);
            if count > 0 {
                seen += count;
                logs += count as f64 * math::ln(middle(edges));
            }
            if seen >= values.max(1) {
                let spread = logs - seen as f64 * math::ln(middle(edges));
                return (seen as f64 / spread, seen);
            }
        }
        (f64::INFINITY, seen)
    }

    fn edges(&self, position: usize) -> (f64, f64) {
        let first_positive = self.buckets.len();
        if position < first_positive {
            let (low, high) = self.buckets.edges(first_positive - 1 - position);
            (-high, -low)
        } else {
            self.buckets.edges(position - first_positive)
        }
    }
}

/// The middle between two edges, or the one that is finite.
fn middle((low, high): (f64, f64)) -> f64 {
    match (low.is_finite(), high.is_finite()) {
        (true, true) => 0.5 * (low + high),
        (true, false) => low,
        _ => high,
    }
}

/// Intervals of ranks found before. One takes longer than to read a quantile off its counts, and most subnets have as many
/// samples as others: all paths.
#[derive(Debug, Default)]
pub struct Ranks {
    /// By samples and the bits of the level.
    known: RefCell<BTreeMap<(u64, u64), (u64, u64)>>,
}

impl Ranks {
    fn interval(&self, samples: u64, level: f64) -> (u64, u64) {
        let find = || quantile_rank_interval(samples, level);
        *self.known.borrow_mut().entry((samples, level.to_bits())).or_insert_with(find)
    }
}

/// Quantile of bucket counts: the middle of the bucket that holds rank `ceil(n * level)`.
///
/// The interval reaches from the lower edge of the bucket of its lower rank to the upper edge of the bucket of its
/// upper rank, so it holds both the sampling error and the width of the buckets. In an outer bucket the value is its
/// finite edge. `None` without samples.
fn quantile_of_counts(
    counts: &[u32],
    samples: u64,
    level: f64,
    ranks: &Ranks,
    edges: impl Fn(usize) -> (f64, f64),
) -> Option<Estimate> {
    if samples == 0 {
        return None;
    }
    let (low_rank, high_rank) = ranks.interval(samples, level);
    let value = middle(edges(position_of_rank(counts, quantile_rank(samples, level))));
    let ci_low = if low_rank == 0 { f64::NEG_INFINITY } else { edges(position_of_rank(counts, low_rank)).0 };
    let ci_high = if high_rank > samples { f64::INFINITY } else { edges(position_of_rank(counts, high_rank)).1 };
    Some(Estimate::between(value, ci_low, ci_high, samples))
}

/// Bucket that holds the value of `rank`, from 1.
fn position_of_rank(counts: &[u32], rank: u64) -> usize {
    let mut seen = 0;
    let position = counts.iter().position(|&count| {
        seen += u64::from(count);
        seen >= rank
    });
    position.expect("the rank is at most the number of counted values")
}

/// What is counted per subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Spot price (TAO per alpha).
    Price,
    /// Share of the TAO emission.
    EmissionShare,
}

impl Metric {
    /// All metrics, in the order of files.
    pub const ALL: [Self; 2] = [Self::Price, Self::EmissionShare];

    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::EmissionShare => "emission_share",
        }
    }

    /// How its values are cut.
    pub fn buckets(self) -> Buckets {
        match self {
            Self::Price => Buckets::PRICE,
            Self::EmissionShare => Buckets::SHARE,
        }
    }

    /// Place of `value` among the buckets of all metrics side by side.
    #[inline]
    pub fn place(self, value: f64) -> u16 {
        (self.range().start + self.buckets().index(value)) as u16
    }

    /// Its buckets within those of all metrics side by side.
    pub(crate) fn range(self) -> Range<usize> {
        match self {
            Self::Price => 0..Buckets::PRICE.len(),
            Self::EmissionShare => Buckets::PRICE.len()..CUBE_BUCKETS,
        }
    }
}

/// Buckets of all metrics side by side.
const CUBE_BUCKETS: usize = Buckets::PRICE.len() + Buckets::SHARE.len();
/// Place, beside them, of a metric of a subnet that is no more.
pub(crate) const GONE: u16 = CUBE_BUCKETS as u16;

/// A count of a [`SubnetCube`] and its cell, in the order of slot, horizon and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellCount {
    /// Number of the cell.
    pub cell: u32,
    /// Its count.
    pub count: u32,
}

/// Histograms of every metric for every slot and report horizon: 5.1 MB for 256 slots and 4 horizons.
///
/// Counts are integers, so merging gives the same cube in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct SubnetCube {
    /// Indexed by slot, horizon and place: the buckets of the metrics side by side, and [`GONE`].
    counts: Array3<u32>,
}

impl SubnetCube {
    /// An empty cube.
    pub fn new(slots: usize, horizons: usize) -> Self {
        Self { counts: Array3::zeros((slots, horizons, CUBE_BUCKETS + 1)) }
    }

    /// Counts a value of the subnet of the snapshot in `slot`, alive at `horizon` (index) on one path.
    pub fn record(&mut self, slot: usize, horizon: usize, metric: Metric, value: f64) {
        self.counts[[slot, horizon, usize::from(metric.place(value))]] += 1;
    }

    /// Counts what was gathered of many paths at one horizon.
    fn count(&mut self, horizon: usize, waiting: &[PlacePair]) {
        let (slots, horizons, width) = self.counts.dim();
        let counts = self.counts.as_slice_mut().expect("the cube was made in one piece");
        for slot in 0..slots {
            let cell = &mut counts[(slot * horizons + horizon) * width..][..width];
            for path in waiting.chunks_exact(slots) {
                path[slot].iter().for_each(|&place| cell[usize::from(place)] += 1);
            }
        }
    }

    /// Counts the places that a batch gave up: by horizon, those of one path after the other.
    pub fn count_batch(&mut self, places: &[Vec<PlacePair>]) {
        places.iter().enumerate().for_each(|(horizon, places)| self.count(horizon, places));
    }

    /// All counts but those that are 0; the cube is empty after it.
    pub fn take_counts(&mut self) -> Vec<CellCount> {
        let cells = self.counts.iter().zip(0_u32..).filter(|(count, _)| **count > 0);
        let counts = cells.map(|(&count, cell)| CellCount { cell, count }).collect();
        self.counts.fill(0);
        counts
    }

    /// Adds counts of a cube of the same shape; `None` where one is of no cell.
    pub fn add_counts(&mut self, counts: &[CellCount]) -> Option<()> {
        let cells = self.counts.as_slice_mut()?;
        counts.iter().try_for_each(|CellCount { cell, count }| {
            let own = cells.get_mut(*cell as usize)?;
            *own = own.checked_add(*count)?;
            Some(())
        })
    }

    /// Adds the counts of another cube of the same shape.
    pub fn merge(&mut self, other: &Self) {
        self.counts += &other.counts;
    }

    /// Quantile of a metric among the paths counted; `None` if there are none.
    pub fn quantile(&self, slot: usize, horizon: usize, metric: Metric, level: f64, ranks: &Ranks) -> Option<Estimate> {
        let counts = self.counts.slice(s![slot, horizon, metric.range()]);
        let counts = counts.as_slice().expect("buckets are contiguous");
        let samples = counts.iter().map(|&count| u64::from(count)).sum();
        quantile_of_counts(counts, samples, level, ranks, |index| metric.buckets().edges(index))
    }
}

/// A cube, and the paths that are still to be counted in it.
///
/// A count is a random access to megabytes. So places are gathered for `TALLY_PATHS` paths and then counted slot by slot: the slot's
/// counts stay in the first-level cache, and so do the lines of places that it shares with its neighbours.
/// Memory beside the cube: 2.1 MB for 256 slots and 4 horizons.
#[derive(Clone, Debug)]
pub struct SubnetTally {
    cube: SubnetCube,
    /// By horizon: the places of one path after the other, by slot and metric.
    waiting: Vec<Vec<PlacePair>>,
    /// Whether they wait until [`SubnetTally::take_places`].
    gives_up: bool,
}

/// Places of the metrics of one slot, in the order of [`Metric::ALL`].
pub type PlacePair = [u16; Metric::ALL.len()];

/// Paths whose places are gathered.
const TALLY_PATHS: usize = 512;

impl SubnetTally {
    /// Nothing counted yet.
    pub fn new(slots: usize, horizons: usize) -> Self {
        let waiting = vec![Vec::with_capacity(TALLY_PATHS * slots); horizons];
        Self { cube: SubnetCube::new(slots, horizons), waiting, gives_up: false }
    }

    /// The same for one whose places are taken batch by batch.
    pub fn giving_up(self) -> Self {
        Self { gives_up: true, ..self }
    }

    /// Counts one path at `horizon`: the `places` of each slot in turn, of which there may be more than are counted.
    pub fn push(&mut self, horizon: usize, places: &[PlacePair]) {
        let slots = self.cube.counts.dim().0;
        let waiting = &mut self.waiting[horizon];
        waiting.extend_from_slice(&places[..slots]);
        if !self.gives_up && waiting.len() >= TALLY_PATHS * slots {
            self.cube.count(horizon, waiting);
            waiting.clear();
        }
    }

    /// Gives up the places of the paths counted since it last did, by horizon; they are then counted by others.
    pub fn take_places(&mut self) -> Vec<Vec<PlacePair>> {
        self.waiting.iter_mut().map(std::mem::take).collect()
    }

    /// All counts.
    pub fn into_cube(mut self) -> SubnetCube {
        for (horizon, waiting) in self.waiting.iter().enumerate() {
            self.cube.count(horizon, waiting);
        }
        self.cube
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_lies_within_its_bucket(value in 1e-7..20.0_f64) {
            for buckets in [Buckets::PRICE, Buckets::SHARE, Buckets::AMOUNT] {
                let (low, high) = buckets.edges(buckets.index(value));
                prop_assert!(low <= value && value < high);
                if low > 0.0 && high.is_finite() {
                    let middle = 0.5 * (low + high);
                    prop_assert!((middle - value).abs() <= buckets.relative_error() * value);
                }
            }
        }

        #[test]
        fn buckets_are_in_order(a in 1e-12..1e13_f64, b in 1e-12..1e13_f64) {
            let buckets = Buckets::AMOUNT;
            prop_assert!((a <= b) <= (buckets.index(a) <= buckets.index(b)));
        }
    }

    #[test]
    fn edges_of_the_range() {
        let buckets = Buckets::SHARE;
        for value in [0.0, -1.0, f64::NAN, f64::MIN_POSITIVE, 2.0_f64.powi(-16) * (1.0 - f64::EPSILON)] {
            assert_eq!(buckets.index(value), 0, "{value}");
        }
        assert_eq!(buckets.index(2.0_f64.powi(-16)), 1);
        assert_eq!(buckets.index(1.0 - f64::EPSILON), buckets.len() - 2);
        for value in [1.0, 7.0, f64::INFINITY] {
            assert_eq!(buckets.index(value), buckets.len() - 1, "{value}");
        }
        assert_eq!(buckets.edges(buckets.len() - 2).1, 1.0);
        assert_eq!(buckets.relative_error(), 1.0 / 64.0);
    }

    #[test]
    fn quantiles_of_both_signs() {
        let mut histogram = Histogram::new(Buckets::AMOUNT);
        (-500..=500).for_each(|value| histogram.push(f64::from(value)));
        for (level, truth) in [(0.05, -450.0), (0.25, -250.0), (0.75, 250.0), (0.95, 450.0)] {
            let quantile = histogram.quantile(level).unwrap();
            assert!((quantile.value - truth).abs() <= 450.0 / 256.0, "{level}: {quantile:?}");
            assert!(quantile.ci_low <= truth && truth <= quantile.ci_high, "{level}: {quantile:?}");
            // Interval of 1001 equally spaced values: 2 * 1.96 * sqrt(n p (1 - p)) ranks, and two bucket widths.
            let width = 2.0 * 1.96 * (1001.0 * level * (1.0 - level)).sqrt();
            assert!((quantile.ci_high - quantile.ci_low - width).abs() < 8.0, "{level}: {quantile:?}");
        }
        let median = histogram.quantile(0.5).unwrap();
        assert!(median.value.abs() < 1e-6, "{median:?}");
        assert_eq!(Histogram::new(Buckets::AMOUNT).quantile(0.5), None);
    }

    /// Of sizes above 1 with probability `t^-3`, at the middles of equal shares: the index is 3, within the share of a bucket.
    #[test]
    fn the_index_of_a_pareto_tail() {
        let mut histogram = Histogram::new(Buckets::AMOUNT);
        let n = 100_000;
        for i in 0..n {
            let size = ((f64::from(i) + 0.5) / f64::from(n)).powf(-1.0 / 3.0);
            histogram.push(if i % 2 == 0 { size } else { -size });
        }
        let (index, seen) = histogram.tail_index(1_000);
        assert!((1_000..1_040).contains(&seen) && (index - 3.0).abs() < 0.05, "{index} {seen}");
        let mut same = Histogram::new(Buckets::AMOUNT);
        (0..100).for_each(|_| same.push(-3.0));
        assert_eq!(same.tail_index(25), (f64::INFINITY, 100));
        assert_eq!(Histogram::new(Buckets::AMOUNT).tail_index(25), (f64::INFINITY, 0));
    }

    #[test]
    fn values_beyond_the_range_give_open_intervals() {
        let mut histogram = Histogram::new(Buckets::PRICE);
        (0..100).for_each(|_| histogram.push(100.0));
        let median = histogram.quantile(0.5).unwrap();
        assert_eq!((median.value, median.ci_high), (16.0, f64::INFINITY));
    }

    #[test]
    fn cubes_merge_by_adding() {
        let mut parts = [SubnetCube::new(2, 2), SubnetCube::new(2, 2)];
        let mut whole = SubnetCube::new(2, 2);
        for i in 0..1000_usize {
            let value = 0.001 * (i + 1) as f64;
            parts[i % 2].record(1, i % 2, Metric::EmissionShare, value);
            whole.record(1, i % 2, Metric::EmissionShare, value);
        }
        let [mut merged, other] = parts;
        merged.merge(&other);
        assert_eq!(merged, whole);
        let median = merged.quantile(1, 0, Metric::EmissionShare, 0.5, &Ranks::default()).unwrap();
        assert_eq!(median.samples, 500);
        assert!((median.value / 0.499 - 1.0).abs() < 1.0 / 64.0 + 0.002, "{median:?}");
        assert_eq!(merged.quantile(1, 0, Metric::Price, 0.5, &Ranks::default()), None);
        assert_eq!(merged.quantile(0, 0, Metric::EmissionShare, 0.5, &Ranks::default()), None);
    }

    /// 1200 paths: twice as many as are gathered, and some that wait at the end.
    #[test]
    fn a_tally_counts_what_the_cube_would() {
        let value = |path: usize, slot: usize| 0.001 * ((path * 7919 + slot * 31) % 997 + 1) as f64;
        let is_alive = |path: usize, slot: usize| !(path + slot).is_multiple_of(5);
        let (slots, horizons) = (37, 2);
        let mut cube = SubnetCube::new(slots, horizons);
        let mut tally = SubnetTally::new(slots, horizons);
        for (path, horizon) in (0..1200).flat_map(|path| [(path, 0), (path, 1)]) {
            let places = (0..slots).map(|slot| {
                let price = value(path, slot);
                let places = [Metric::Price.place(price), Metric::EmissionShare.place(0.1 * price)];
                if is_alive(path + horizon, slot) { places } else { [GONE; 2] }
            });
            tally.push(horizon, &places.collect::<Vec<_>>());
            for slot in (0..slots).filter(|&slot| is_alive(path + horizon, slot)) {
                cube.record(slot, horizon, Metric::Price, value(path, slot));
                cube.record(slot, horizon, Metric::EmissionShare, 0.1 * value(path, slot));
            }
        }
        let tallied = tally.into_cube();
        let counted = |cube: &SubnetCube| cube.counts.slice(s![.., .., ..CUBE_BUCKETS]).to_owned();
        assert_eq!(counted(&tallied), counted(&cube));
        let gone = tallied.counts.slice(s![.., .., CUBE_BUCKETS]).sum();
        assert_eq!(gone, 2 * 2 * 1200 * slots as u32 / 5);
    }

    #[test]
    fn the_cube_stays_small() {
        assert!(SubnetCube::new(256, 4).counts.len() * size_of::<u32>() < 5_200_000);
    }
}
