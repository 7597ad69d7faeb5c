//! What each book can lose: statistics of P&L rows per book and report horizon.
//!
//! Not modelled: likelihood weights other than 1; a row that carries one is refused ([`crate::risk::weighted_book`] takes them).

use crate::engine::parallel;
use crate::engine::record::PathRow;
use crate::risk::clusters::ClusterSample;
use crate::risk::clusters::Clusters;
use crate::risk::deviation::with_known_error;
use crate::risk::entropic::EntropicLanes;
use crate::risk::entropic::EntropicRisk;
use crate::risk::estimate::Estimate;
use crate::risk::further::Finding;
use crate::risk::further::FurtherWay;
use crate::risk::further::KeptPnl;
use crate::risk::further::MeasureSettings;
use crate::risk::further::WaySamples;
use crate::risk::histogram::Buckets;
use crate::risk::histogram::Histogram;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::PNL_KINDS;
use crate::risk::measure::RowWriter;
use crate::risk::measure::SummaryRow;
use crate::risk::moments::MomentLanes;
use crate::risk::moments::Moments;
use crate::risk::performance::PartialMoments;
use crate::risk::tail::WorstTail;
use crate::simd;
use crate::simd::Backend;
use crate::simd::Kernel;
use crate::simd::LANES;
use crate::simd::Vector;

/// Levels of the published P&L quantiles.
pub const PNL_QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// Level of the published drawdown quantile.
pub const DRAWDOWN_QUANTILE: f64 = 0.95;

/// A book at the start.
#[derive(Clone, Debug, PartialEq)]
pub struct BookOpening {
    /// Its name.
    pub name: String,
    /// Value (TAO) at spot.
    pub mark_tao: f64,
    /// Value (TAO) sold through the pools at once.
    pub liquidation_tao: f64,
    /// TAO/USD price at the start.
    pub usd_per_tao: f64,
}

impl BookOpening {
    /// `None` for an exit, which ends after the start.
    pub(crate) fn value(&self, basis: Basis, currency: Currency) -> Option<f64> {
        let tao = match basis {
            Basis::Mark => self.mark_tao,
            Basis::Liquidation => self.liquidation_tao,
            Basis::Exit => return None,
        };
        Some(match currency {
            Currency::Tao => tao,
            Currency::Usd => tao * self.usd_per_tao,
        })
    }

    /// Leaves its values at the start of `paths` paths.
    pub(crate) fn push_values(&self, kinds: &[(Basis, Currency)], paths: u64, rows: &mut Vec<SummaryRow>) {
        let mut rows = RowWriter { book: &self.name, horizon_days: 0.0, rows };
        for &(basis, currency) in kinds {
            let value = self.value(basis, currency).map(|value| Estimate::exact(value, paths));
            rows.push(Measure::OpeningValue, (basis, currency), None, value);
        }
    }
}

/// Statistics of every book at every report horizon.
#[derive(Clone, Debug)]
pub struct BookStatistics {
    books: Vec<BookOpening>,
    horizons_days: Vec<f64>,
    confidence: Vec<f64>,
    further: Option<MeasureSettings>,
    paths: u64,
    /// Indexed `book * horizons + horizon`.
    cells: Vec<Cell>,
}

impl BookStatistics {
    /// Statistics of `paths` paths; `confidence` are the levels, in (0.5, 1), of value at risk and expected shortfall.
    ///
    /// # Panics
    /// If a level lies outside (0.5, 1), or `paths` exceeds `u32::MAX`, the largest histogram count.
    pub fn new(books: &[BookOpening], horizons_days: &[f64], confidence: &[f64], paths: u64) -> Self {
        assert!(paths <= u64::from(u32::MAX), "{paths} paths (must be <= {})", u32::MAX);
        assert!(confidence.iter().all(|&level| level > 0.5 && level < 1.0), "confidence {confidence:?}");
        let confidence_min = confidence.iter().copied().fold(1.0 - 1e-9, f64::min);
        let cell = || Cell::new(paths, confidence_min);
        let cells = (0..books.len() * horizons_days.len()).map(|_| cell()).collect();
        Self {
            books: books.to_vec(),
            horizons_days: horizons_days.to_vec(),
            confidence: confidence.to_vec(),
            further: None,
            paths,
            cells,
        }
    }

    /// The same with the further measures of `settings`, before anything is counted.
    pub fn with_further(mut self, settings: MeasureSettings) -> Self {
        let confidence_min = self.confidence.iter().copied().fold(1.0 - 1e-9, f64::min);
        let tail_from = confidence_min.min(settings.confidence_min());
        for (cells, book) in self.cells.chunks_mut(self.horizons_days.len()).zip(&self.books) {
            for cell in cells {
                cell.way = Some(FurtherWay::new(&settings, book.mark_tao, self.paths, confidence_min));
                cell.lanes.entropic =
                    settings.entropic_aversions.iter().map(|aversion| entropic(book, *aversion)).collect();
                for statistics in &mut cell.pnl {
                    statistics.tail = WorstTail::new(self.paths, tail_from);
                }
            }
        }
        Self { further: Some(settings), ..self }
    }

    /// The same for paths of which each `replicate_paths` share parameters drawn for them: errors are those of replicates, and
    /// the last horizon has what the parameters' errors add ([`crate::risk::clusters`]).
    pub fn in_replicates(mut self, replicate_paths: u64) -> Self {
        self.cells.iter_mut().for_each(|cell| cell.clusters = Some(CellClusters::new(replicate_paths)));
        self
    }

    /// Adds the rows of batches of paths, each by path, book and horizon: book by book and horizon by horizon, as each of these has
    /// tables of its own that a processor does not hold all at once.
    ///
    /// # Panics
    /// If a row's weight is not 1, or a P&L is NaN.
    pub fn push_all<'a>(&mut self, batches: impl Iterator<Item = &'a [PathRow]> + Clone) {
        let cells = self.cells.len();
        for cell in 0..cells {
            batches.clone().flat_map(|rows| rows.iter().skip(cell).step_by(cells)).for_each(|row| self.push(row));
        }
    }

    /// Adds a row; rows of a book and horizon come in path order.
    ///
    /// # Panics
    /// If the row's weight is not 1, or a P&L is NaN.
    pub fn push(&mut self, row: &PathRow) {
        assert!(row.weight == 1.0, "path {} has likelihood weight {}, which is not supported", row.path, row.weight);
        debug_assert!(usize::from(row.horizon) < self.horizons_days.len());
        let cell = usize::from(row.book) * self.horizons_days.len() + usize::from(row.horizon);
        self.cells[cell].push(row);
    }

    /// All measures: book by book, its opening values first, then by horizon.
    pub fn finish(self) -> Vec<SummaryRow> {
        self.finish_on(1)
    }

    /// The same on so many threads.
    pub fn finish_on(self, threads: usize) -> Vec<SummaryRow> {
        let Self { books, horizons_days, confidence, further, paths, cells } = self;
        let of_cell = |(index, cell): (usize, Cell)| {
            let (book, horizon) = (&books[index / horizons_days.len()], index % horizons_days.len());
            let is_last = horizon + 1 == horizons_days.len();
            let wanted = Wanted { confidence: &confidence, further: further.as_ref(), is_last };
            let mut rows = Vec::new();
            if horizon == 0 {
                book.push_values(&PNL_KINDS, paths, &mut rows);
            }
            cell.finish(&wanted, RowWriter { book: &book.name, horizon_days: horizons_days[horizon], rows: &mut rows });
            rows
        };
        parallel::map(threads, cells.into_iter().enumerate().collect(), of_cell).concat()
    }
}

/// Entropic risks of all P&L of a book at an aversion to losses of its opening value.
fn entropic(book: &BookOpening, aversion: f64) -> EntropicLanes {
    let mut theta = [0.0; LANES];
    for (theta, (_, currency)) in theta.iter_mut().zip(PNL_KINDS) {
        *theta = aversion / book.value(Basis::Mark, currency).expect("a value at spot");
    }
    EntropicLanes::new(theta)
}

/// Outcomes of paths that wait until their lanes are added.
const WAITING_MAX: usize = 256;
/// Lanes of what is not P&L.
const DRAWDOWN: usize = PNL_KINDS.len();
const DEREGISTERED: usize = DRAWDOWN + 1;

/// Moments of the outcomes of a book at one horizon, side by side in lanes: P&L in the order of [`PNL_KINDS`], drawdown, deregistered
/// holdings.
#[derive(Clone, Debug)]
struct OutcomeLanes {
    moments: MomentLanes,
    /// By aversion, of the losses.
    entropic: Vec<EntropicLanes>,
    waiting: Vec<[f64; LANES]>,
    /// Of all instruction sets the result is the same.
    backend: Backend,
}

impl OutcomeLanes {
    fn new() -> Self {
        let waiting = Vec::with_capacity(WAITING_MAX);
        Self { moments: MomentLanes::default(), entropic: Vec::new(), waiting, backend: Backend::detect() }
    }

    fn push(&mut self, row: &PathRow) {
        let mut lanes = [0.0; LANES];
        lanes.iter_mut().zip(pnl_values(row)).for_each(|(lane, pnl)| *lane = pnl.unwrap_or(0.0));
        (lanes[DRAWDOWN], lanes[DEREGISTERED]) = (row.max_drawdown, f64::from(row.deregistered_holdings));
        self.waiting.push(lanes);
        if self.waiting.len() == WAITING_MAX {
            self.add_waiting();
        }
    }

    fn add_waiting(&mut self) {
        simd::dispatch(self.backend, AddWaiting(self));
        self.waiting.clear();
    }
}

struct AddWaiting<'a>(&'a mut OutcomeLanes);

impl Kernel for AddWaiting<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let OutcomeLanes { moments, entropic, waiting, .. } = self.0;
        for lanes in waiting {
            let outcomes = V::load(lanes);
            moments.push(outcomes);
            entropic.iter_mut().for_each(|risks| risks.push(-outcomes));
        }
    }
}

/// What rows a cell is to leave.
struct Wanted<'a> {
    confidence: &'a [f64],
    further: Option<&'a MeasureSettings>,
    /// Whether this is the last horizon.
    is_last: bool,
}

/// Statistics of one book at one horizon.
#[derive(Clone, Debug)]
struct Cell {
    pnl: [PnlStatistics; 6],
    lanes: OutcomeLanes,
    drawdown_histogram: Histogram,
    way: Option<FurtherWay>,
    clusters: Option<CellClusters>,
}

/// The same outcomes in replicates.
#[derive(Clone, Debug)]
struct CellClusters {
    pnl: [Clusters; 6],
    drawdown: Clusters,
    deregistered: Clusters,
    under_water: Clusters,
    lowest_pnl: Clusters,
}

/// The same, ready for errors.
struct CellSamples {
    pnl: [ClusterSample; 6],
    drawdown: ClusterSample,
    deregistered: ClusterSample,
    under_water: ClusterSample,
    lowest_pnl: ClusterSample,
}

impl CellSamples {
    fn of_way(&self) -> WaySamples<'_> {
        WaySamples { drawdown: &self.drawdown, under_water: &self.under_water, lowest_pnl: &self.lowest_pnl }
    }
}

impl CellClusters {
    fn new(replicate_paths: u64) -> Self {
        let empty = || Clusters::new(replicate_paths);
        let pnl = PNL_KINDS.map(|_| empty());
        Self { pnl, drawdown: empty(), deregistered: empty(), under_water: empty(), lowest_pnl: empty() }
    }

    fn push(&mut self, row: &PathRow) {
        for (clusters, value) in self.pnl.iter_mut().zip(pnl_values(row)) {
            value.into_iter().for_each(|value| clusters.push(row.path, value));
        }
        self.drawdown.push(row.path, row.max_drawdown);
        self.deregistered.push(row.path, f64::from(row.deregistered_holdings));
        self.under_water.push(row.path, row.longest_under_water_days);
        self.lowest_pnl.push(row.path, row.lowest_pnl_tao);
    }

    fn into_samples(self) -> CellSamples {
        CellSamples {
            pnl: self.pnl.map(Clusters::into_sample),
            drawdown: self.drawdown.into_sample(),
            deregistered: self.deregistered.into_sample(),
            under_water: self.under_water.into_sample(),
            lowest_pnl: self.lowest_pnl.into_sample(),
        }
    }
}

/// P&L in the order of [`PNL_KINDS`].
pub(crate) fn pnl_values(row: &PathRow) -> [Option<f64>; 6] {
    let [mark, liquidation] = [row.pnl_mark_tao, row.pnl_liquidation_tao].map(Some);
    let [mark_usd, liquidation_usd] = [row.pnl_mark_usd, row.pnl_liquidation_usd].map(Some);
    [mark, liquidation, mark_usd, liquidation_usd, row.pnl_exit_tao, row.pnl_exit_usd]
}

impl Cell {
    fn new(paths: u64, confidence_min: f64) -> Self {
        Self {
            pnl: PNL_KINDS.map(|_| PnlStatistics::new(paths, confidence_min)),
            lanes: OutcomeLanes::new(),
            drawdown_histogram: Histogram::new(Buckets::AMOUNT),
            way: None,
            clusters: None,
        }
    }

    fn push(&mut self, row: &PathRow) {
        for (statistics, value) in self.pnl.iter_mut().zip(pnl_values(row)) {
            value.into_iter().for_each(|value| statistics.push(value));
        }
        if let Some(clusters) = &mut self.clusters {
            clusters.push(row);
        }
        if let Some(way) = &mut self.way {
            way.push(row);
        }
        self.lanes.push(row);
        self.drawdown_histogram.push(row.max_drawdown);
    }

    fn finish(mut self, wanted: &Wanted, mut rows: RowWriter) {
        self.lanes.add_waiting();
        let OutcomeLanes { moments, entropic, .. } = self.lanes;
        let samples = self.clusters.map(CellClusters::into_samples);
        let kinds = self.pnl.into_iter().zip(PNL_KINDS).enumerate();
        for (index, (statistics, kind)) in kinds.filter(|(_, (statistics, _))| statistics.histogram.samples() > 0) {
            let sample = samples.as_ref().map(|samples| &samples.pnl[index]);
            let entropic: Vec<EntropicRisk> = entropic.iter().map(|risks| risks.of(index)).collect();
            let streams = Streams { moments: &moments.of(index), entropic: &entropic, sample };
            let further = statistics.finish(wanted, kind, &streams, &mut rows);
            if let Some(sample) = sample.filter(|_| wanted.is_last) {
                push_parameter_errors(sample, wanted.confidence, kind, &mut rows);
            }
            rows.extend(kind, further);
        }
        let kind = (Basis::Mark, Currency::Tao);
        let drawdown = samples.as_ref().map(|samples| &samples.drawdown);
        let deregistered = samples.as_ref().map(|samples| &samples.deregistered);
        let mean = corrected(drawdown, moments.of(DRAWDOWN).mean(), ClusterSample::mean);
        rows.push(Measure::MaxDrawdownMean, kind, None, mean);
        let quantile = corrected(drawdown, self.drawdown_histogram.quantile(DRAWDOWN_QUANTILE), |sample, plain| {
            sample.quantile(plain, DRAWDOWN_QUANTILE)
        });
        rows.push(Measure::MaxDrawdownQuantile, kind, Some(DRAWDOWN_QUANTILE), quantile);
        let mean = corrected(deregistered, moments.of(DEREGISTERED).mean(), ClusterSample::mean);
        rows.push(Measure::DeregisteredHoldings, kind, None, mean.map(of_events));
        if let (Some(way), Some(settings)) = (self.way, wanted.further) {
            rows.extend(kind, way.finish(settings, wanted.confidence, samples.as_ref().map(CellSamples::of_way)));
        }
    }
}

/// A mean of counts: where nothing was counted on any path it is not known to be 0, but to be at most some 3 / n.
fn of_events(mean: Estimate) -> Estimate {
    if mean.value == 0.0 { Estimate::rate(0, mean.samples as f64, mean.samples) } else { mean }
}

/// An estimate with the error of replicates, where there are any.
fn corrected(
    sample: Option<&ClusterSample>,
    plain: Option<Estimate>,
    correct: impl Fn(&ClusterSample, Estimate) -> Estimate,
) -> Option<Estimate> {
    match sample {
        None => plain,
        Some(sample) => plain.map(|plain| correct(sample, plain)),
    }
}

/// What the errors of the parameters add to the error of each headline measure.
fn push_parameter_errors(sample: &ClusterSample, confidence: &[f64], kind: (Basis, Currency), rows: &mut RowWriter) {
    rows.push(Measure::MeanPnlParameterError, kind, None, sample.mean_parameter_error());
    rows.push(Measure::LossProbabilityParameterError, kind, None, sample.loss_parameter_error());
    for &level in confidence {
        let error = sample.value_at_risk_parameter_error(level);
        rows.push(Measure::ValueAtRiskParameterError, kind, Some(level), error);
        let error = sample.shortfall_parameter_error(level);
        rows.push(Measure::ExpectedShortfallParameterError, kind, Some(level), error);
    }
    rows.push(Measure::ParameterVarianceShare, kind, None, sample.parameter_variance_share());
}

/// What is known of one P&L besides its [`PnlStatistics`].
struct Streams<'a> {
    moments: &'a Moments,
    /// By aversion.
    entropic: &'a [EntropicRisk],
    /// The same outcomes in replicates, if any.
    sample: Option<&'a ClusterSample>,
}

/// Statistics of one P&L.
#[derive(Clone, Debug)]
struct PnlStatistics {
    losses: u64,
    tail: WorstTail,
    histogram: Histogram,
    parts: PartialMoments,
}

impl PnlStatistics {
    fn new(paths: u64, confidence_min: f64) -> Self {
        Self {
            losses: 0,
            tail: WorstTail::new(paths, confidence_min),
            histogram: Histogram::new(Buckets::AMOUNT),
            parts: PartialMoments::default(),
        }
    }

    fn push(&mut self, pnl: f64) {
        self.losses += u64::from(pnl < 0.0);
        self.tail.push(-pnl);
        self.histogram.push(pnl);
        self.parts.push(pnl);
    }

    /// Leaves the rows of this P&L and returns its further measures; errors are those of replicates where there are any.
    fn finish(self, wanted: &Wanted, kind: (Basis, Currency), streams: &Streams, rows: &mut RowWriter) -> Vec<Finding> {
        let Streams { moments, entropic, sample } = *streams;
        let samples = moments.samples();
        let probability = (samples > 0).then(|| Estimate::proportion(self.losses, samples));
        let deviation = corrected(sample, moments.standard_deviation(), ClusterSample::deviation)
            .map(|deviation| with_known_error(deviation, &self.histogram));
        rows.push(Measure::MeanPnl, kind, None, corrected(sample, moments.mean(), ClusterSample::mean));
        rows.push(Measure::SdPnl, kind, None, deviation);
        rows.push(Measure::LossProbability, kind, None, corrected(sample, probability, ClusterSample::probability));
        let tail = self.tail.into_sorted();
        for &level in wanted.confidence {
            let plain = tail.value_at_risk(level);
            let value_at_risk = corrected(sample, plain, |sample, plain| sample.value_at_risk(plain, level));
            let at = plain.map_or(f64::NAN, |estimate| estimate.value);
            let plain = tail.expected_shortfall(level);
            let expected_shortfall =
                corrected(sample, plain, |sample, plain| sample.expected_shortfall(plain, at, level));
            rows.push(Measure::ValueAtRisk, kind, Some(level), value_at_risk);
            rows.push(Measure::ExpectedShortfall, kind, Some(level), expected_shortfall);
        }
        for level in PNL_QUANTILES {
            let plain = self.histogram.quantile(level);
            let quantile = corrected(sample, plain, |sample, plain| sample.quantile(plain, level));
            rows.push(Measure::PnlQuantile, kind, Some(level), quantile);
        }
        let (histogram, parts) = (&self.histogram, &self.parts);
        let kept = KeptPnl { moments, histogram, tail: &tail, parts, entropic, sample };
        wanted.further.map_or_else(Vec::new, |settings| kept.finish(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: u64, horizon: u16, pnl: f64) -> PathRow {
        PathRow {
            path,
            book: 0,
            horizon,
            pnl_mark_tao: pnl,
            pnl_liquidation_tao: pnl - 1.0,
            pnl_mark_usd: 250.0 * pnl,
            pnl_liquidation_usd: 250.0 * (pnl - 1.0),
            max_drawdown: 0.25,
            deregistered_holdings: (path % 2) as u16,
            ..PathRow::EMPTY
        }
    }

    fn statistics(paths: u64) -> BookStatistics {
        let book = BookOpening { name: "desk".into(), mark_tao: 1e3, liquidation_tao: 990.0, usd_per_tao: 250.0 };
        BookStatistics::new(&[book], &[7.0, 30.0], &[0.9], paths)
    }

    fn find(rows: &[SummaryRow], measure: Measure, kind: (Basis, Currency), horizon_days: f64) -> Estimate {
        let matches = |row: &&SummaryRow| {
            row.measure == measure && (row.basis, row.currency) == kind && row.horizon_days == horizon_days
        };
        rows.iter().find(matches).unwrap().estimate
    }

    #[test]
    fn measures_of_a_hand_made_sample() {
        let mut statistics = statistics(100);
        for path in 0..100 {
            // P&L -49.5, -48.5, ..., 49.5 at the first horizon; twice that at the second.
            let pnl = path as f64 - 49.5;
            statistics.push(&row(path, 0, pnl));
            statistics.push(&row(path, 1, 2.0 * pnl));
        }
        let rows = statistics.finish();
        let mark_tao = (Basis::Mark, Currency::Tao);
        assert_eq!(find(&rows, Measure::OpeningValue, (Basis::Liquidation, Currency::Usd), 0.0).value, 247_500.0);
        assert!(find(&rows, Measure::MeanPnl, mark_tao, 7.0).value.abs() < 1e-12);
        assert_eq!(find(&rows, Measure::LossProbability, mark_tao, 7.0).value, 0.5);
        // The 90th of 100 losses -49.5..49.5 is 39.5; the mean of the ten beyond is 45.
        assert_eq!(find(&rows, Measure::ValueAtRisk, mark_tao, 7.0).value, 39.5);
        assert!((find(&rows, Measure::ExpectedShortfall, mark_tao, 7.0).value - 45.0).abs() < 1e-12);
        assert!((find(&rows, Measure::ExpectedShortfall, mark_tao, 30.0).value - 90.0).abs() < 1e-12);
        assert_eq!(find(&rows, Measure::ValueAtRisk, (Basis::Liquidation, Currency::Usd), 7.0).value, 40.5 * 250.0);
        assert!((find(&rows, Measure::MaxDrawdownQuantile, mark_tao, 7.0).value / 0.25 - 1.0).abs() <= 1.0 / 256.0);
        assert_eq!(find(&rows, Measure::DeregisteredHoldings, mark_tao, 7.0).value, 0.5);
        let quantiles: Vec<_> =
            rows.iter().filter(|row| row.measure == Measure::PnlQuantile && row.horizon_days == 7.0).collect();
        assert_eq!(quantiles.len(), 4 * PNL_QUANTILES.len());
    }

    #[test]
    fn every_row_has_an_error_unless_it_is_known() {
        let mut statistics = statistics(50);
        (0..50).for_each(|path| statistics.push(&row(path, 0, (path * path % 17) as f64 - 5.0)));
        for row in statistics.finish() {
            let known = row.measure == Measure::OpeningValue || row.measure == Measure::MaxDrawdownMean;
            assert!(known || row.estimate.standard_error > 0.0, "{row:?}");
            assert!(row.estimate.ci_low <= row.estimate.value && row.estimate.value <= row.estimate.ci_high, "{row:?}");
        }
    }

    #[test]
    fn no_deregistration_on_any_path_is_a_bound() {
        let mut statistics = statistics(100);
        (0..100).for_each(|path| statistics.push(&row(2 * path, 0, 0.0)));
        let none = find(&statistics.finish(), Measure::DeregisteredHoldings, (Basis::Mark, Currency::Tao), 7.0);
        assert_eq!((none.value, none.ci_low), (0.0, 0.0));
        assert!((none.ci_high - 0.029957).abs() < 1e-6 && (none.standard_error - 0.01).abs() < 1e-12, "{none:?}");
    }

    #[test]
    #[should_panic(expected = "likelihood weight 0.5")]
    fn a_weighted_path_is_refused() {
        statistics(1).push(&PathRow { weight: 0.5, ..row(0, 0, 1.0) });
    }
}
