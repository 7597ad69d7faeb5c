//! What a run on a point set leads, and measures in place of the statistics of plain runs.

use crate::cli::error::BadInput;
use crate::config::scenario::Scenario;
use crate::engine::leading::Leading;
use crate::portfolio::position::Position;
use crate::risk::book::BookOpening;
use crate::risk::measure::SummaryRow;
use crate::risk::recorder::BatchRecord;
use crate::risk::replicated_book::ReplicatedBooks;
use crate::risk::replicated_subnet::ReplicatedSubnets;
use crate::risk::subnet::SubnetOpening;
use crate::risk::subnet::SubnetRow;
use crate::rng::PointSet;

/// What of the paths of a scenario is led by its point set: the holdings of the first book among it.
pub(super) fn leading(scenario: &Scenario, set: PointSet) -> Leading {
    let mut holdings: Vec<(u16, f64)> = Vec::new();
    for Position { netuid, alpha, .. } in &scenario.books[0].positions {
        let Some(subnet) = scenario.start.subnets.iter().find(|subnet| subnet.netuid == *netuid) else { continue };
        let (slot, value) = (netuid.slot() as u16, alpha * subnet.reserve_tao / subnet.reserve_alpha);
        match holdings.iter_mut().find(|(other, _)| *other == slot) {
            Some((_, sum)) => *sum += value,
            None => holdings.push((slot, value)),
        }
    }
    Leading { set, paths: scenario.paths, holdings }
}

/// Refuses a run that may end before all its paths where strata are made for these.
///
/// # Errors
/// A time budget with strata.
pub(super) fn check_budget(scenario: &Scenario, has_budget: bool) -> anyhow::Result<()> {
    if has_budget && scenario.estimator.points() == Some(PointSet::Stratified) {
        let problem = "does not go with the estimator stratified, whose strata are made for all paths (give --paths)";
        return Err(BadInput(format!("--time-budget {problem}")).into());
    }
    Ok(())
}

/// Statistics of paths in replicates.
pub(super) struct ReplicatedStatistics {
    books: ReplicatedBooks,
    subnets: ReplicatedSubnets,
}

impl ReplicatedStatistics {
    pub fn new(
        scenario: &Scenario,
        set: PointSet,
        books: &[BookOpening],
        subnets: &[SubnetOpening],
        horizons_days: &[f64],
    ) -> Self {
        let (confidence, ruin_fraction) = (&scenario.confidence, scenario.measures.ruin_fraction);
        Self {
            books: ReplicatedBooks::new(books, horizons_days, confidence, ruin_fraction, (set, scenario.paths)),
            subnets: ReplicatedSubnets::new(subnets, horizons_days, set),
        }
    }

    pub fn push(&mut self, batch: &BatchRecord) {
        batch.paths.iter().for_each(|row| self.books.push(row));
        self.subnets.push(batch.first_path, batch.count, &batch.deregistrations);
    }

    pub fn finish(self) -> (Vec<SummaryRow>, Vec<SubnetRow>) {
        (self.books.finish(), self.subnets.finish())
    }
}
