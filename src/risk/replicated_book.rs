//! What each book can lose, from paths in replicates of a point set: the rows of [`crate::risk::book`] that replicates have an error for.
//!
//! Means, standard deviations and probabilities of a loss of P&L, value at risk and expected shortfall, on all bases; means of drawdown,
//! deregistered holdings and time under water; the probability of ruin. All by [`crate::risk::replicated`].
//!
//! # Not modelled
//! Quantiles from histograms, drawdown tails, spectral and entropic risk, ratios, return levels; attribution and credit: left out.

use crate::engine::record::PathRow;
use crate::risk::book::BookOpening;
use crate::risk::book::pnl_values;
use crate::risk::deviation::with_known_error;
use crate::risk::histogram::Buckets;
use crate::risk::histogram::Histogram;
use crate::risk::measure::Measure;
use crate::risk::measure::PNL_KINDS;
use crate::risk::measure::RowWriter;
use crate::risk::measure::SummaryRow;
use crate::risk::replicated::ReplicateSums;
use crate::risk::replicated::ReplicatedPnl;
use crate::rng::PointSet;

/// Statistics of every book at every report horizon.
#[derive(Clone, Debug)]
pub struct ReplicatedBooks {
    books: Vec<BookOpening>,
    horizons_days: Vec<f64>,
    confidence: Vec<f64>,
    ruin_fraction: f64,
    set: PointSet,
    paths: u64,
    /// Indexed `book * horizons + horizon`.
    cells: Vec<Cell>,
}

impl ReplicatedBooks {
    /// Statistics of `paths` paths of a point set; `confidence` are the levels of the tail measures.
    pub fn new(
        books: &[BookOpening],
        horizons_days: &[f64],
        confidence: &[f64],
        ruin_fraction: f64,
        (set, paths): (PointSet, u64),
    ) -> Self {
        let confidence_min = confidence.iter().copied().fold(1.0 - 1e-9, f64::min);
        Self {
            books: books.to_vec(),
            horizons_days: horizons_days.to_vec(),
            confidence: confidence.to_vec(),
            ruin_fraction,
            set,
            paths,
            cells: vec![Cell::new(paths, confidence_min); books.len() * horizons_days.len()],
        }
    }

    /// Adds a row; rows come in path order.
    pub fn push(&mut self, row: &PathRow) {
        let (book, horizon) = (usize::from(row.book), usize::from(row.horizon));
        let ruin_tao = -self.ruin_fraction * self.books[book].mark_tao;
        self.cells[book * self.horizons_days.len() + horizon].push(self.set.replicate(row.path), row, ruin_tao);
    }

    /// All measures, book by book, its opening values first, then by horizon.
    pub fn finish(self) -> Vec<SummaryRow> {
        let mut rows = Vec::new();
        let mut cells = self.cells.into_iter();
        for book in &self.books {
            book.push_values(&PNL_KINDS, self.paths, &mut rows);
            for &horizon_days in &self.horizons_days {
                let cell = cells.next().expect("a cell for every book and horizon");
                let rows = RowWriter { book: &book.name, horizon_days, rows: &mut rows };
                cell.finish(&self.confidence, self.ruin_fraction, rows);
            }
        }
        rows
    }
}

/// Statistics of one book at one horizon.
#[derive(Clone, Debug)]
struct Cell {
    pnl: [ReplicatedPnl; PNL_KINDS.len()],
    /// The same outcomes, counted: what their tails are like.
    outcomes: [Histogram; PNL_KINDS.len()],
    drawdown: ReplicateSums,
    deregistered: ReplicateSums,
    under_water: ReplicateSums,
    ruin: ReplicateSums,
}

impl Cell {
    fn new(paths: u64, confidence_min: f64) -> Self {
        Self {
            pnl: PNL_KINDS.map(|_| ReplicatedPnl::new(paths, confidence_min)),
            outcomes: PNL_KINDS.map(|_| Histogram::new(Buckets::AMOUNT)),
            drawdown: ReplicateSums::default(),
            deregistered: ReplicateSums::default(),
            under_water: ReplicateSums::default(),
            ruin: ReplicateSums::default(),
        }
    }

    fn push(&mut self, replicate: usize, row: &PathRow, ruin_tao: f64) {
        for ((statistics, outcomes), value) in self.pnl.iter_mut().zip(&mut self.outcomes).zip(pnl_values(row)) {
            let Some(pnl) = value else { continue };
            statistics.push(replicate, pnl);
            outcomes.push(pnl);
        }
        self.drawdown.push(replicate, row.max_drawdown);
        self.deregistered.push(replicate, f64::from(row.deregistered_holdings));
        self.under_water.push(replicate, row.longest_under_water_days);
        self.ruin.push(replicate, if row.lowest_pnl_tao < ruin_tao { 1.0 } else { 0.0 });
    }

    fn finish(self, confidence: &[f64], ruin_fraction: f64, mut rows: RowWriter) {
        for ((statistics, outcomes), kind) in self.pnl.into_iter().zip(self.outcomes).zip(PNL_KINDS) {
            let deviation = statistics.standard_deviation();
            rows.push(Measure::MeanPnl, kind, None, statistics.mean());
            rows.push(Measure::SdPnl, kind, None, deviation.map(|deviation| with_known_error(deviation, &outcomes)));
            rows.push(Measure::LossProbability, kind, None, statistics.loss_probability());
            for (tail, level) in statistics.tails(confidence).into_iter().zip(confidence) {
                let [value_at_risk, shortfall] = tail.map(Some);
                rows.push(Measure::ValueAtRisk, kind, Some(*level), value_at_risk);
                rows.push(Measure::ExpectedShortfall, kind, Some(*level), shortfall);
            }
        }
        let kind = PNL_KINDS[0];
        rows.push(Measure::MaxDrawdownMean, kind, None, self.drawdown.mean());
        // None on any path: known to be rare and no more.
        let deregistered = self.deregistered.mean().filter(|mean| mean.value > 0.0);
        rows.push(Measure::DeregisteredHoldings, kind, None, deregistered);
        rows.push(Measure::TimeUnderWaterMean, kind, None, self.under_water.mean());
        rows.push(Measure::ProbabilityOfRuin, kind, Some(ruin_fraction), self.ruin.probability());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::book::BookStatistics;

    fn row(path: u64, book: u16) -> PathRow {
        let pnl = (path * 7919 % 1_000) as f64 - 400.5 + f64::from(book);
        PathRow {
            path,
            book,
            pnl_mark_tao: pnl,
            pnl_liquidation_tao: pnl - 1.0,
            pnl_mark_usd: 250.0 * pnl,
            pnl_liquidation_usd: 250.0 * (pnl - 1.0),
            max_drawdown: 0.001 * (path % 7) as f64,
            deregistered_holdings: (path % 2) as u16,
            longest_under_water_days: (path % 5) as f64,
            lowest_pnl_tao: pnl.min(0.0),
            ..PathRow::EMPTY
        }
    }

    #[test]
    fn values_are_those_of_plain_statistics_and_every_one_has_an_error() {
        let opening = |name: &str| BookOpening {
            name: name.to_owned(),
            mark_tao: 500.0,
            liquidation_tao: 490.0,
            usd_per_tao: 250.0,
        };
        let (openings, levels) = ([opening("desk"), opening("other")], [0.95, 0.99]);
        let mut books = ReplicatedBooks::new(&openings, &[7.0], &levels, 0.5, (PointSet::Sobol, 1_000));
        let mut plain = BookStatistics::new(&openings, &[7.0], &levels, 1_000);
        for row in (0..1_000).flat_map(|path| [row(path, 0), row(path, 1)]) {
            books.push(&row);
            plain.push(&row);
        }
        let (rows, plain) = (books.finish(), plain.finish());
        let mut compared = 0;
        for found in &rows {
            let is_same = |other: &&SummaryRow| {
                (&other.book, other.measure, other.basis, other.currency, other.level, other.horizon_days)
                    == (&found.book, found.measure, found.basis, found.currency, found.level, found.horizon_days)
            };
            let Some(other) = plain.iter().find(is_same) else {
                assert!(matches!(found.measure, Measure::TimeUnderWaterMean | Measure::ProbabilityOfRuin), "{found:?}");
                continue;
            };
            let (a, b) = (found.estimate.value, other.estimate.value);
            assert!((a - b).abs() <= 1e-12 * b.abs(), "{found:?} {other:?}");
            assert!(found.estimate.standard_error > 0.0 || found.horizon_days == 0.0, "{found:?}");
            compared += 1;
        }
        // Of two books four opening values, seven measures of four kinds, and two more.
        assert_eq!(compared, 2 * (4 + 7 * 4 + 2));
        let ruin = rows.iter().find(|row| row.measure == Measure::ProbabilityOfRuin).expect("a row").estimate;
        assert_eq!(ruin.value, 0.151);
    }
}
