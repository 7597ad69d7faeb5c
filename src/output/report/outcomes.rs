//! What the page draws from the rows of paths: distributions, drawdowns, what leaving costs, the worst paths.
//!
//! The file is read twice, batch by batch: once for ranges and the worst paths, once for counts.

use std::path::Path;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::array::Float64Array;
use arrow::array::RecordBatch;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt32Type;
use arrow::datatypes::UInt64Type;

use crate::output::error::OutputError;
use crate::output::read::read_batches;
use crate::output::schema::PATHS;
use crate::risk::estimate::Estimate;
use crate::risk::histogram::Buckets;
use crate::risk::histogram::Histogram;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::moments::Moments;

/// Most bars of a distribution; it has at least two fifths of them.
const BARS: f64 = 100.0;
/// Probability of the largest gain drawn: few paths gain many times more, and would leave the rest no room.
const GAIN_LEVEL: f64 = 0.99;
/// Steps of drawdown, from 0 to 1.
const DRAWDOWN_STEPS: usize = 100;
/// Paths told of.
pub const WORST_PATHS: usize = 3;

/// P&L columns by basis and currency.
const KINDS: [(&str, Basis, Currency); 6] = [
    ("pnl_mark_tao", Basis::Mark, Currency::Tao),
    ("pnl_liquidation_tao", Basis::Liquidation, Currency::Tao),
    ("pnl_exit_tao", Basis::Exit, Currency::Tao),
    ("pnl_mark_usd", Basis::Mark, Currency::Usd),
    ("pnl_liquidation_usd", Basis::Liquidation, Currency::Usd),
    ("pnl_exit_usd", Basis::Exit, Currency::Usd),
];

/// What the paths of one book came to.
#[derive(Clone, Debug, Default)]
pub struct Outcomes {
    /// P&L at the last horizon; an exit basis only where the run has one.
    pub distributions: Vec<Distribution>,
    /// Maximum drawdowns by horizon.
    pub drawdowns: Vec<DrawdownCounts>,
    /// Cost of selling all at once by horizon.
    pub exit_costs: Vec<ExitAtOnce>,
    /// The paths with the largest losses at spot in TAO at the last horizon, the worst first.
    pub worst: Vec<WorstPath>,
}

/// Counts of P&L in bars of one width.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// How holdings are valued.
    pub basis: Basis,
    /// In which money.
    pub currency: Currency,
    /// Lower edge of the first bar.
    pub low: f64,
    /// Width of a bar.
    pub width: f64,
    /// Paths by bar.
    pub counts: Vec<u64>,
    /// Paths above the last bar.
    pub above: u64,
    /// Largest P&L.
    pub largest: f64,
    /// All paths.
    pub samples: u64,
}

/// How many paths fell so far from a peak.
#[derive(Clone, Debug)]
pub struct DrawdownCounts {
    /// Days from the start.
    pub horizon_days: f64,
    /// By step of drawdown: paths whose maximum drawdown is at least so many steps.
    pub at_least: Vec<u64>,
    /// All paths.
    pub samples: u64,
}

impl DrawdownCounts {
    /// Drawdown (fraction), and the probability of at least that.
    pub fn points(&self) -> impl Iterator<Item = (f64, Estimate)> {
        let step = 1.0 / DRAWDOWN_STEPS as f64;
        let point =
            move |(index, &hits): (usize, &u64)| (index as f64 * step, Estimate::proportion(hits, self.samples));
        self.at_least.iter().enumerate().map(point)
    }
}

/// What selling all at once costs.
#[derive(Clone, Debug)]
pub struct ExitAtOnce {
    /// Days from the start.
    pub horizon_days: f64,
    /// Value at spot less value on liquidation (TAO), mean.
    pub cost_tao: Estimate,
    /// That over the mean value at spot.
    pub cost: Estimate,
}

/// A path of the tail, as recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorstPath {
    /// Path index.
    pub path: u64,
    /// P&L (TAO) at spot.
    pub pnl_mark_tao: f64,
    /// P&L (TAO) on liquidation.
    pub pnl_liquidation_tao: f64,
    /// P&L (USD) at spot.
    pub pnl_mark_usd: f64,
    /// USD per TAO.
    pub tao_usd: f64,
    /// Maximum drawdown (fraction).
    pub max_drawdown: f64,
    /// Holdings deregistered.
    pub deregistered_holdings: u32,
}

/// Columns of a batch of path rows.
struct Rows<'a> {
    batch: &'a RecordBatch,
    book: &'a str,
}

impl Rows<'_> {
    fn f64(&self, name: &str) -> &Float64Array {
        self.batch.column_by_name(name).expect("a column of the schema").as_primitive::<Float64Type>()
    }

    /// Rows of the book and their horizons (days).
    fn of_book(&self) -> impl Iterator<Item = (usize, f64)> {
        let books = self.batch.column_by_name("book").expect("a column of the schema").as_string::<i32>();
        let days = self.f64("horizon_days");
        (0..self.batch.num_rows()).filter(|&row| books.value(row) == self.book).map(|row| (row, days.value(row)))
    }
}

/// Reads the rows of `book`, whose opening value (TAO, at spot) and report horizons are given.
///
/// # Errors
/// As [`read_batches`].
pub(super) fn read(
    directory: &Path,
    book: &str,
    opening_tao: f64,
    horizons_days: &[f64],
) -> Result<Outcomes, OutputError> {
    let mut ranges = Ranges::new(horizons_days);
    read_batches(directory, &PATHS, |batch| {
        ranges.push(&Rows { batch, book }, opening_tao);
        Ok(())
    })?;
    let mut counts = Counts::new(&ranges);
    read_batches(directory, &PATHS, |batch| {
        counts.push(&Rows { batch, book }, opening_tao, &ranges);
        Ok(())
    })?;
    Ok(counts.finish(ranges))
}

/// The first reading.
struct Ranges {
    horizons: Vec<HorizonRange>,
    pnl: [PnlRange; KINDS.len()],
    worst: Vec<WorstPath>,
}

struct HorizonRange {
    days: f64,
    value_tao: Moments,
    cost_tao: Moments,
}

#[derive(Clone)]
struct PnlRange {
    histogram: Histogram,
    least: f64,
    most: f64,
}

impl Ranges {
    fn new(horizons_days: &[f64]) -> Self {
        let horizon = |&days: &f64| HorizonRange { days, value_tao: Moments::default(), cost_tao: Moments::default() };
        let pnl =
            PnlRange { histogram: Histogram::new(Buckets::AMOUNT), least: f64::INFINITY, most: f64::NEG_INFINITY };
        Self {
            horizons: horizons_days.iter().map(horizon).collect(),
            pnl: std::array::from_fn(|_| pnl.clone()),
            worst: Vec::new(),
        }
    }

    /// Place of a horizon, and whether it is the last.
    fn horizon(&self, days: f64) -> Option<(usize, bool)> {
        let index = self.horizons.iter().position(|horizon| horizon.days == days)?;
        Some((index, index + 1 == self.horizons.len()))
    }

    fn push(&mut self, rows: &Rows<'_>, opening_tao: f64) {
        let [mark, liquidation] = ["pnl_mark_tao", "pnl_liquidation_tao"].map(|name| rows.f64(name));
        for (row, days) in rows.of_book() {
            let Some((index, is_last)) = self.horizon(days) else { continue };
            let horizon = &mut self.horizons[index];
            horizon.value_tao.push(opening_tao + mark.value(row));
            horizon.cost_tao.push(mark.value(row) - liquidation.value(row));
            if is_last {
                self.push_last(rows, row);
            }
        }
    }

    fn push_last(&mut self, rows: &Rows<'_>, row: usize) {
        for (range, (name, _, _)) in self.pnl.iter_mut().zip(KINDS) {
            let column = rows.f64(name);
            if column.is_valid(row) {
                let value = column.value(row);
                range.histogram.push(value);
                range.least = range.least.min(value);
                range.most = range.most.max(value);
            }
        }
        let pnl_mark_tao = rows.f64("pnl_mark_tao").value(row);
        if self.worst.len() < WORST_PATHS || self.worst.last().is_some_and(|last| pnl_mark_tao < last.pnl_mark_tao) {
            self.worst.push(worst_path(rows, row));
            self.worst.sort_by(|a, b| a.pnl_mark_tao.total_cmp(&b.pnl_mark_tao).then(a.path.cmp(&b.path)));
            self.worst.truncate(WORST_PATHS);
        }
    }
}

fn worst_path(rows: &Rows<'_>, row: usize) -> WorstPath {
    let f64 = |name| rows.f64(name).value(row);
    let column = |name| rows.batch.column_by_name(name).expect("a column of the schema");
    WorstPath {
        path: column("path").as_primitive::<UInt64Type>().value(row),
        pnl_mark_tao: f64("pnl_mark_tao"),
        pnl_liquidation_tao: f64("pnl_liquidation_tao"),
        pnl_mark_usd: f64("pnl_mark_usd"),
        tao_usd: f64("tao_usd"),
        max_drawdown: f64("max_drawdown"),
        deregistered_holdings: column("deregistered_holdings").as_primitive::<UInt32Type>().value(row),
    }
}

/// The second reading.
struct Counts {
    distributions: Vec<(usize, Distribution)>,
    drawdowns: Vec<Vec<u64>>,
    /// Cost less the cost of the mean times the value: its spread is that of the ratio.
    residuals: Vec<Moments>,
}

impl Counts {
    fn new(ranges: &Ranges) -> Self {
        let distributions = ranges
            .pnl
            .iter()
            .enumerate()
            .filter_map(|(kind, range)| Some((kind, distribution(kind, range)?)))
            .collect();
        let horizons = ranges.horizons.len();
        Self {
            distributions,
            drawdowns: vec![vec![0; DRAWDOWN_STEPS + 1]; horizons],
            residuals: vec![Moments::default(); horizons],
        }
    }

    fn push(&mut self, rows: &Rows<'_>, opening_tao: f64, ranges: &Ranges) {
        let [mark, liquidation, drawdown] =
            ["pnl_mark_tao", "pnl_liquidation_tao", "max_drawdown"].map(|name| rows.f64(name));
        let ratios: Vec<f64> = ranges.horizons.iter().map(HorizonRange::ratio).collect();
        for (row, days) in rows.of_book() {
            let Some((index, is_last)) = ranges.horizon(days) else { continue };
            let step = (drawdown.value(row) * DRAWDOWN_STEPS as f64).floor() as usize;
            self.drawdowns[index][step.min(DRAWDOWN_STEPS)] += 1;
            let cost = mark.value(row) - liquidation.value(row);
            self.residuals[index].push(cost - ratios[index] * (opening_tao + mark.value(row)));
            if is_last {
                for (kind, distribution) in &mut self.distributions {
                    distribution.push(rows.f64(KINDS[*kind].0).value(row));
                }
            }
        }
    }

    fn finish(self, ranges: Ranges) -> Outcomes {
        let horizons = ranges.horizons.iter();
        let drawdowns = horizons.clone().zip(self.drawdowns).map(|(horizon, counts)| horizon.drawdowns(counts));
        let exit_costs = horizons.zip(&self.residuals).filter_map(|(horizon, residual)| horizon.exit_cost(residual));
        Outcomes {
            drawdowns: drawdowns.collect(),
            exit_costs: exit_costs.collect(),
            distributions: self.distributions.into_iter().map(|(_, distribution)| distribution).collect(),
            worst: ranges.worst,
        }
    }
}

impl HorizonRange {
    fn mean(moments: &Moments) -> f64 {
        moments.mean().map_or(f64::NAN, |mean| mean.value)
    }

    fn ratio(&self) -> f64 {
        Self::mean(&self.cost_tao) / Self::mean(&self.value_tao)
    }

    /// Counts by step summed from the largest drawdown down.
    fn drawdowns(&self, mut counts: Vec<u64>) -> DrawdownCounts {
        let mut sum = 0;
        for count in counts.iter_mut().rev() {
            sum += *count;
            *count = sum;
        }
        DrawdownCounts { horizon_days: self.days, at_least: counts, samples: self.value_tao.samples() }
    }

    /// The ratio of means, its error by the delta method.
    fn exit_cost(&self, residual: &Moments) -> Option<ExitAtOnce> {
        let standard_error = residual.mean()?.standard_error / Self::mean(&self.value_tao);
        let cost = Estimate::normal(self.ratio(), standard_error, residual.samples());
        Some(ExitAtOnce { horizon_days: self.days, cost_tao: self.cost_tao.mean()?, cost })
    }
}

/// Empty bars over the losses and all but the largest gains; `None` where no path has a value.
fn distribution(kind: usize, range: &PnlRange) -> Option<Distribution> {
    let (_, basis, currency) = KINDS[kind];
    let high = range.histogram.quantile(GAIN_LEVEL)?.value;
    let rough = (high - range.least) / BARS;
    let width = if rough > 0.0 && rough.is_finite() { round_width(rough) } else { 1.0 };
    let low = (range.least / width).floor() * width;
    let bars = ((high - low) / width).ceil().max(1.0) as usize;
    let samples = range.histogram.samples();
    Some(Distribution { basis, currency, low, width, counts: vec![0; bars], above: 0, largest: range.most, samples })
}

/// The next of 1, 2, 2.5 and 5 times a power of ten.
fn round_width(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    step.unwrap_or(10.0 * power)
}

impl Distribution {
    fn push(&mut self, value: f64) {
        match self.counts.get_mut(((value - self.low) / self.width).floor().max(0.0) as usize) {
            Some(count) => *count += 1,
            None => self.above += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_in_one_bar_or_above() {
        let mut range = PnlRange { histogram: Histogram::new(Buckets::AMOUNT), least: -50.0, most: 1e6 };
        let values = || (0..1000).map(|i| f64::from(i % 200) - 50.0).chain([1e6]);
        values().for_each(|value| range.histogram.push(value));
        let mut found = distribution(0, &range).unwrap();
        values().for_each(|value| found.push(value));
        assert_eq!((found.low, found.width), (-50.0, 2.0));
        assert_eq!(found.counts.iter().sum::<u64>() + found.above, found.samples);
        assert!(found.above >= 1 && found.above < 20, "{}", found.above);
        assert_eq!(found.counts[0], 10);
    }

    #[test]
    fn drawdowns_are_summed_from_the_largest() {
        let mut horizon = HorizonRange { days: 7.0, value_tao: Moments::default(), cost_tao: Moments::default() };
        (0..4).for_each(|_| horizon.value_tao.push(1.0));
        let found = horizon.drawdowns(vec![1, 2, 0, 1]);
        assert_eq!(found.at_least, [4, 3, 1, 1]);
        let (at, probability) = found.points().nth(1).unwrap();
        assert_eq!((at, probability.value), (0.01, 0.75));
    }
}
