//! What a run with likelihood weights measures, in place of the statistics of plain runs.

use crate::config::scenario::Scenario;
use crate::risk::book::BookOpening;
use crate::risk::measure::Currency;
use crate::risk::measure::SummaryRow;
use crate::risk::recorder::BatchRecord;
use crate::risk::subnet::SubnetOpening;
use crate::risk::subnet::SubnetRow;
use crate::risk::weighted_book::WeightedBooks;
use crate::risk::weighted_subnet::WeightedSubnets;

/// Most refusals that are printed one by one.
const LINES_MAX: usize = 8;

/// Statistics of paths with weights, of P&L in the currency that their tilt is made for.
pub(super) struct WeightedStatistics {
    books: WeightedBooks,
    subnets: WeightedSubnets,
}

impl WeightedStatistics {
    pub fn new(
        scenario: &Scenario,
        currency: Currency,
        books: &[BookOpening],
        subnets: &[SubnetOpening],
        horizons_days: &[f64],
    ) -> Self {
        let ruin_fraction = scenario.measures.ruin_fraction;
        let books = WeightedBooks::new(books, horizons_days, &scenario.confidence, ruin_fraction, scenario.paths);
        Self { books: books.only_in(currency), subnets: WeightedSubnets::new(subnets, horizons_days) }
    }

    pub fn push(&mut self, batch: &BatchRecord) {
        batch.paths.iter().for_each(|row| self.books.push(row));
        self.subnets.push(&batch.paths, &batch.deregistrations);
    }

    /// All figures; says on standard error what there is none of.
    pub fn finish(self) -> (Vec<SummaryRow>, Vec<SubnetRow>) {
        let (rows, refusals) = self.books.finish();
        let (subnet_rows, refused) = self.subnets.finish();
        for line in refusals.iter().take(LINES_MAX) {
            eprintln!("not estimated: {line}");
        }
        if refusals.len() > LINES_MAX {
            eprintln!("not estimated: {} more measures of books, for the same reason", refusals.len() - LINES_MAX);
        }
        if refused > 0 {
            eprintln!("not estimated: {refused} probabilities of deregistration that rest on few effective paths");
        }
        (rows, subnet_rows)
    }
}
