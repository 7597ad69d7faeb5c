//! What each book can lose, from paths with likelihood weights: the rows of [`crate::risk::book`] that weights have an estimator for.
//!
//! | measure | estimator ([`crate::risk::importance`]) |
//! |---|---|
//! | value at risk, expected shortfall | by the number of paths |
//! | means of P&L, drawdown, deregistered holdings, time under water; probabilities of a loss and of ruin | by the sum of weights |
//! | mean weight, effective samples of all paths, of each tail measure | - |
//!
//! What rests on few paths is left out and listed. So is all P&L in another currency than that of the tilt: under a tilt for losses in
//! one, few paths gain in the other, with large weights, and a mean that misses them is biased by a part of its error
//! (ESTIMATORS.md).
//!
//! Memory: of each P&L the worst losses whose weights reach the lower end of the lowest level's interval, 16 bytes each. A tilt puts more
//! paths there than there are without: with four in five tilted, some 40 % of all at 95 %.
//!
//! # Not modelled
//! - Standard deviations, quantiles from histograms, drawdown tails, spectral and entropic risk, ratios, return levels; attribution and
//!   credit; the exit basis, whose P&L is known only after the horizon of the weight: left out.
//! - That the number of untilted paths is fixed: errors are those of a random one, hence somewhat too wide.

use crate::engine::record::PathRow;
use crate::risk::book::BookOpening;
use crate::risk::book::pnl_values;
use crate::risk::estimate::Estimate;
use crate::risk::importance::Degenerate;
use crate::risk::importance::Norm;
use crate::risk::importance::WeightSums;
use crate::risk::importance::Weighted;
use crate::risk::importance::WeightedLoss;
use crate::risk::importance::WeightedMean;
use crate::risk::importance::WeightedTail;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::measure::Measure;
use crate::risk::measure::POSITION_KINDS;
use crate::risk::measure::RowWriter;
use crate::risk::measure::SummaryRow;

/// Standard errors of a probability, as plain Monte Carlo has it, by which the tail that is kept reaches beyond the level.
const TAIL_MARGIN: f64 = 4.0;
/// Losses that are kept before the first cut.
const FIRST_CUT: usize = 4096;

/// Statistics of every book at every report horizon.
#[derive(Clone, Debug)]
pub struct WeightedBooks {
    books: Vec<BookOpening>,
    horizons_days: Vec<f64>,
    confidence: Vec<f64>,
    ruin_fraction: f64,
    paths: u64,
    /// The currency that the tilt is made for; `None`: every one.
    currency: Option<Currency>,
    /// Indexed `book * horizons + horizon`.
    cells: Vec<Cell>,
}

impl WeightedBooks {
    /// Statistics of `paths` paths; `confidence` are the levels of the tail measures.
    pub fn new(
        books: &[BookOpening],
        horizons_days: &[f64],
        confidence: &[f64],
        ruin_fraction: f64,
        paths: u64,
    ) -> Self {
        let confidence_min = confidence.iter().copied().fold(1.0 - 1e-9, f64::min);
        Self {
            books: books.to_vec(),
            horizons_days: horizons_days.to_vec(),
            confidence: confidence.to_vec(),
            ruin_fraction,
            paths,
            currency: None,
            cells: vec![Cell::new(paths, confidence_min); books.len() * horizons_days.len()],
        }
    }

    /// The same with P&L in `currency` alone, which the tilt is made for.
    #[must_use]
    pub fn only_in(self, currency: Currency) -> Self {
        Self { currency: Some(currency), ..self }
    }

    /// Adds a row; rows come in path order.
    pub fn push(&mut self, row: &PathRow) {
        let (book, horizon) = (usize::from(row.book), usize::from(row.horizon));
        let ruin_tao = -self.ruin_fraction * self.books[book].mark_tao;
        self.cells[book * self.horizons_days.len() + horizon].push(row, ruin_tao);
    }

    /// All measures, book by book, its opening values first, then by horizon; and what weights have degenerated for.
    pub fn finish(self) -> (Vec<SummaryRow>, Vec<String>) {
        let (mut rows, mut refusals) = (Vec::new(), Vec::new());
        if let Some(currency) = self.currency {
            refusals
                .push(format!("profit and loss in other money than {}, for which the tilt is made", currency.name()));
        }
        let wanted =
            Wanted { confidence: &self.confidence, ruin_fraction: self.ruin_fraction, currency: self.currency };
        let mut cells = self.cells.into_iter();
        for book in &self.books {
            book.push_values(&POSITION_KINDS, self.paths, &mut rows);
            for &horizon_days in &self.horizons_days {
                let cell = cells.next().expect("a cell for every book and horizon");
                let rows = RowWriter { book: &book.name, horizon_days, rows: &mut rows };
                cell.finish(&wanted, WeightedRows { rows, refusals: &mut refusals });
            }
        }
        (rows, refusals)
    }
}

/// What rows a cell is to leave.
struct Wanted<'a> {
    confidence: &'a [f64],
    ruin_fraction: f64,
    /// As in [`WeightedBooks`].
    currency: Option<Currency>,
}

/// Statistics of one book at one horizon.
#[derive(Clone, Debug)]
struct Cell {
    pnl: [Pnl; POSITION_KINDS.len()],
    weights: WeightSums,
    drawdown: WeightedMean,
    deregistered: WeightedMean,
    under_water: WeightedMean,
    ruin: WeightedMean,
}

#[derive(Clone, Debug)]
struct Pnl {
    mean: WeightedMean,
    loss: WeightedMean,
    tail: WeightedWorst,
}

impl Cell {
    fn new(paths: u64, confidence_min: f64) -> Self {
        let pnl = || Pnl {
            mean: WeightedMean::default(),
            loss: WeightedMean::default(),
            tail: WeightedWorst::new(paths, confidence_min),
        };
        Self {
            pnl: POSITION_KINDS.map(|_| pnl()),
            weights: WeightSums::default(),
            drawdown: WeightedMean::default(),
            deregistered: WeightedMean::default(),
            under_water: WeightedMean::default(),
            ruin: WeightedMean::default(),
        }
    }

    fn push(&mut self, row: &PathRow, ruin_tao: f64) {
        let weight = row.weight;
        for (statistics, value) in self.pnl.iter_mut().zip(pnl_values(row)) {
            let Some(pnl) = value else { continue };
            statistics.mean.push(pnl, weight);
            statistics.loss.push(indicator(pnl < 0.0), weight);
            statistics.tail.push(WeightedLoss { loss: -pnl, weight });
        }
        self.weights.push(weight);
        self.drawdown.push(row.max_drawdown, weight);
        self.deregistered.push(f64::from(row.deregistered_holdings), weight);
        self.under_water.push(row.longest_under_water_days, weight);
        self.ruin.push(indicator(row.lowest_pnl_tao < ruin_tao), weight);
    }

    fn finish(self, wanted: &Wanted, mut rows: WeightedRows) {
        let Self { pnl, weights, drawdown, deregistered, under_water, ruin } = self;
        let is_wanted = |(_, currency): (Basis, Currency)| wanted.currency.is_none_or(|only| only == currency);
        for (statistics, kind) in pnl.into_iter().zip(POSITION_KINDS).filter(|(_, kind)| is_wanted(*kind)) {
            rows.push(Measure::MeanPnl, kind, None, statistics.mean.mean(Norm::Own));
            rows.push(Measure::LossProbability, kind, None, statistics.loss.mean(Norm::Own));
            let worst = statistics.tail.into_sorted();
            let tail = WeightedTail { weights: &weights, worst: &worst, norm: Norm::Plain };
            for &level in wanted.confidence {
                let value_at_risk = tail.value_at_risk(level);
                rows.push(Measure::ValueAtRisk, kind, Some(level), value_at_risk);
                rows.push_effective(Measure::ValueAtRiskEffectiveSamples, kind, level, value_at_risk);
                let shortfall = tail.expected_shortfall(level);
                rows.push(Measure::ExpectedShortfall, kind, Some(level), shortfall);
                rows.push_effective(Measure::ExpectedShortfallEffectiveSamples, kind, level, shortfall);
            }
        }
        let kind = POSITION_KINDS[0];
        rows.push(Measure::MaxDrawdownMean, kind, None, drawdown.mean(Norm::Own));
        rows.push(Measure::DeregisteredHoldings, kind, None, deregistered.mean(Norm::Own));
        rows.push(Measure::TimeUnderWaterMean, kind, None, under_water.mean(Norm::Own));
        rows.push(Measure::ProbabilityOfRuin, kind, Some(wanted.ruin_fraction), ruin.mean(Norm::Own));
        rows.rows.push(Measure::LikelihoodWeightMean, kind, None, Some(weights.mean()));
        let effective = Estimate::exact(weights.effective(), weights.samples());
        rows.rows.push(Measure::EffectiveSamples, kind, None, Some(effective));
    }
}

fn indicator(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// Rows of one book and horizon, and a line for each that there is none of.
struct WeightedRows<'a> {
    rows: RowWriter<'a>,
    refusals: &'a mut Vec<String>,
}

impl WeightedRows<'_> {
    /// A figure that is 0 on all paths is known to be rare and no more: it has no row and no line.
    fn push(
        &mut self,
        measure: Measure,
        kind: (Basis, Currency),
        level: Option<f64>,
        found: Result<Weighted, Degenerate>,
    ) {
        match found {
            Ok(found) => self.rows.push(measure, kind, level, Some(found.estimate)),
            Err(Degenerate::FewPaths(0.0)) => {}
            Err(refusal) => {
                let RowWriter { book, horizon_days, .. } = &self.rows;
                let (basis, currency) = kind;
                let at = level.map_or(String::new(), |level| format!(" {level}"));
                let what = format!("{}{at}, {} {}", measure.name(), basis.name(), currency.name());
                self.refusals.push(format!("{book}, day {horizon_days}, {what}: {refusal}"));
            }
        }
    }

    fn push_effective(
        &mut self,
        measure: Measure,
        kind: (Basis, Currency),
        level: f64,
        found: Result<Weighted, Degenerate>,
    ) {
        let exact = |found: Weighted| Estimate::exact(found.effective_samples, found.estimate.samples);
        self.rows.push(measure, kind, Some(level), found.ok().map(exact));
    }
}

/// The largest losses of a stream, as many as have the weight that is needed.
///
/// Losses at or below the last one kept are dropped at once; what is kept is cut back when it has doubled.
#[derive(Clone, Debug)]
pub struct WeightedWorst {
    needed: f64,
    threshold: f64,
    cut_at: usize,
    losses: Vec<WeightedLoss>,
}

impl WeightedWorst {
    /// Losses that serve every level in `[confidence_min, 1)` of up to `paths` paths.
    pub fn new(paths: u64, confidence_min: f64) -> Self {
        let expected = paths as f64 * (1.0 - confidence_min);
        Self {
            needed: expected + TAIL_MARGIN * expected.sqrt() + TAIL_MARGIN,
            threshold: f64::NEG_INFINITY,
            cut_at: FIRST_CUT,
            losses: Vec::new(),
        }
    }

    /// Adds a loss. Panics on NaN.
    pub fn push(&mut self, point: WeightedLoss) {
        assert!(!point.loss.is_nan(), "a loss that is NaN");
        if point.loss > self.threshold {
            self.losses.push(point);
            if self.losses.len() >= self.cut_at {
                self.cut_back();
            }
        }
    }

    /// The losses, largest first; equal ones as they came.
    pub fn into_sorted(mut self) -> Vec<WeightedLoss> {
        self.sort();
        self.losses
    }

    fn sort(&mut self) {
        self.losses.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    }

    fn cut_back(&mut self) {
        self.sort();
        let mut sum = 0.0;
        let passes = self.losses.iter().position(|point| {
            sum += point.weight;
            sum > self.needed
        });
        if let Some(last) = passes {
            self.losses.truncate(last + 1);
            self.threshold = self.losses[last].loss;
        }
        self.cut_at = FIRST_CUT.max(2 * self.losses.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::book::BookStatistics;
    use crate::rng;
    use crate::rng::Address;
    use crate::rng::Purpose;

    fn normal(path: u32) -> f64 {
        rng::normals4(rng::words(31, Address { path, step: 0, slot: 0, purpose: Purpose::Design, index: 0 }))[0]
    }

    fn row(path: u32, pnl: f64, weight: f64) -> PathRow {
        PathRow {
            path: u64::from(path),
            pnl_mark_tao: pnl,
            pnl_liquidation_tao: pnl - 1.0,
            pnl_mark_usd: 250.0 * pnl,
            pnl_liquidation_usd: 250.0 * (pnl - 1.0),
            max_drawdown: 0.25,
            deregistered_holdings: (path % 2) as u16,
            weight,
            ..PathRow::EMPTY
        }
    }

    fn openings() -> [BookOpening; 1] {
        [BookOpening { name: "desk".into(), mark_tao: 2.0, liquidation_tao: 1.9, usd_per_tao: 250.0 }]
    }

    fn find(rows: &[SummaryRow], measure: Measure, kind: (Basis, Currency), level: Option<f64>) -> Estimate {
        let matches = |row: &&SummaryRow| {
            row.measure == measure && (row.basis, row.currency) == kind && row.level == level && row.horizon_days > 0.0
        };
        rows.iter().find(matches).unwrap_or_else(|| panic!("{measure:?}")).estimate
    }

    #[test]
    fn with_weights_of_one_it_says_what_plain_statistics_say() {
        let paths = 40_000;
        let mut weighted = WeightedBooks::new(&openings(), &[7.0], &[0.95, 0.99], 0.5, paths);
        let mut plain = BookStatistics::new(&openings(), &[7.0], &[0.95, 0.99], paths);
        for path in 0..paths as u32 {
            let row = row(path, normal(path), 1.0);
            weighted.push(&row);
            plain.push(&row);
        }
        let ((weighted, refusals), plain) = (weighted.finish(), plain.finish());
        assert!(refusals.is_empty(), "{refusals:?}");
        for kind in POSITION_KINDS {
            for (measure, level) in [
                (Measure::MeanPnl, None),
                (Measure::LossProbability, None),
                (Measure::ValueAtRisk, Some(0.95)),
                (Measure::ValueAtRisk, Some(0.99)),
                (Measure::ExpectedShortfall, Some(0.99)),
            ] {
                let [one, other] = [&weighted, &plain].map(|rows| find(rows, measure, kind, level));
                assert!((one.value - other.value).abs() <= 1e-12 * other.value.abs().max(1.0), "{measure:?}");
                // Ranks of intervals are by the normal law here and by the binomial there: they may differ by one of twenty.
                assert!((one.standard_error / other.standard_error - 1.0).abs() < 0.2, "{measure:?}");
            }
        }
        let effective = find(&weighted, Measure::EffectiveSamples, POSITION_KINDS[0], None).value;
        assert!((effective - 4e4).abs() < 1e-6, "{effective}");
    }

    #[test]
    fn tails_of_a_tilted_sample_and_what_is_refused() {
        let (paths, shift) = (20_000, 2.5);
        let mut books = WeightedBooks::new(&openings(), &[7.0], &[0.9, 0.999], 0.5, paths);
        for path in 0..paths as u32 {
            let is_plain = path % 5 == 0;
            let loss = normal(path) + if is_plain { 0.0 } else { shift };
            let weight = 1.0 / (0.2 + 0.8 * (shift * loss - 0.5 * shift * shift).exp());
            books.push(&row(path, -loss, weight));
        }
        let (rows, refusals) = books.finish();
        let kind = POSITION_KINDS[0];
        // Quantile and tail mean of the standard normal law at 99.9 %.
        for (measure, truth) in [(Measure::ValueAtRisk, 3.090_232_306), (Measure::ExpectedShortfall, 3.367_089_969_962)]
        {
            let found = find(&rows, measure, kind, Some(0.999));
            assert!((found.value - truth).abs() < 4.0 * found.standard_error, "{found:?}");
            assert!(found.standard_error < 0.03, "{found:?}");
        }
        let mean = find(&rows, Measure::MeanPnl, kind, None);
        assert!(mean.value.abs() < 4.0 * mean.standard_error && mean.standard_error < 0.03, "{mean:?}");
        let weight = find(&rows, Measure::LikelihoodWeightMean, kind, None);
        assert!((weight.value - 1.0).abs() < 4.0 * weight.standard_error, "{weight:?}");
        assert!(refusals.is_empty(), "{refusals:?}");
        // A hundred paths are too few for any tail.
        let mut few = WeightedBooks::new(&openings(), &[7.0], &[0.9], 0.5, 100);
        (0..100).for_each(|path| few.push(&row(path, normal(path), 1.0)));
        let (rows, refusals) = few.finish();
        assert!(rows.iter().all(|row| row.measure != Measure::ExpectedShortfall));
        let line = "desk, day 7, expected_shortfall 0.9, mark TAO: weights degenerate: the estimate rests on ";
        assert!(refusals.iter().any(|refusal| refusal.starts_with(line)), "{refusals:?}");
    }

    #[test]
    fn a_tilt_for_one_currency_says_nothing_of_the_other() {
        let mut books = WeightedBooks::new(&openings(), &[7.0], &[0.9], 0.5, 4_000).only_in(Currency::Usd);
        (0..4_000).for_each(|path| books.push(&row(path, normal(path), 1.0)));
        let (rows, refusals) = books.finish();
        let has = |kind: (Basis, Currency)| {
            rows.iter().any(|row| row.measure == Measure::MeanPnl && (row.basis, row.currency) == kind)
        };
        assert_eq!(POSITION_KINDS.map(has), POSITION_KINDS.map(|(_, currency)| currency == Currency::Usd));
        assert_eq!(refusals, ["profit and loss in other money than USD, for which the tilt is made"]);
        find(&rows, Measure::MaxDrawdownMean, POSITION_KINDS[0], None);
    }

    #[test]
    fn the_worst_are_kept_as_far_as_weights_need() {
        let paths = 60_000;
        let mut worst = WeightedWorst::new(paths, 0.95);
        let mut all: Vec<_> = (0..paths as u32)
            .map(|path| WeightedLoss { loss: normal(path), weight: if path % 3 == 0 { 2.5 } else { 0.25 } })
            .collect();
        all.iter().for_each(|point| worst.push(*point));
        let needed = worst.needed;
        let kept = worst.into_sorted();
        all.sort_by(|a, b| b.loss.total_cmp(&a.loss));
        assert_eq!(kept[..], all[..kept.len()]);
        assert!(kept.iter().map(|point| point.weight).sum::<f64>() > needed);
        assert!(kept.len() < 3 * FIRST_CUT, "{}", kept.len());
    }
}
