//! From batches in path order to the statistics and files of a run: what running, resuming and merging have in common.

use crate::cli::replicated::ReplicatedStatistics;
use crate::cli::run::identity;
use crate::cli::run::labels;
use crate::cli::run::recorder_of;
use crate::cli::run::tracker_of;
use crate::cli::weighted::WeightedStatistics;
use crate::config::estimator::Estimator;
use crate::config::scenario::Scenario;
use crate::config::uncertainty::Replication;
use crate::model::outside::RateMoments;
use crate::output::error::OutputError;
use crate::output::hash::ResultHash;
use crate::output::run_dir::RunDirectory;
use crate::output::writer::ResultWriter;
use crate::output::writer::RowBlock;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::portfolio::valuation;
use crate::protocol::pool::Pool;
use crate::protocol::state::ChainState;
use crate::risk::attribution::AttributionStatistics;
use crate::risk::book::BookOpening;
use crate::risk::book::BookStatistics;
use crate::risk::controlled_book::ControlledBooks;
use crate::risk::credit::CreditStatistics;
use crate::risk::histogram::SubnetCube;
use crate::risk::holding::HeldBook;
use crate::risk::holding::Holding;
use crate::risk::measure::SummaryRow;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::PathBlock;
use crate::risk::revenue::RevenueStatistics;
use crate::risk::standing::Standing;
use crate::risk::subnet::SubnetOpening;
use crate::risk::subnet::SubnetStatistics;
use crate::units::SubnetId;

/// Paths that wait until they are taken together: statistics have tables of their own, which a processor that simulates in between
/// has lost each time.
const PATHS_AT_ONCE: usize = 256;

/// Statistics of paths that have weights, or depend on each other through a point set.
enum OtherStatistics {
    Weighted(Box<WeightedStatistics>),
    Replicated(Box<ReplicatedStatistics>),
}

/// Statistics and files of a run in the making.
pub(super) struct Reduction {
    pending: Vec<BatchRecord>,
    pending_paths: usize,
    books: BookStatistics,
    subnets: SubnetStatistics,
    revenue: RevenueStatistics,
    attribution: AttributionStatistics,
    credit: CreditStatistics,
    cube: SubnetCube,
    /// Better means than those of `books`, where they are asked for.
    controlled: Option<ControlledBooks>,
    /// In place of all these where paths are not independent with the same weight.
    other: Option<OtherStatistics>,
    writer: ResultWriter,
}

/// What came of it.
pub(super) struct Reduced {
    /// Hash of all results.
    pub result_hash: ResultHash,
    /// The measures of the books.
    pub summary: Vec<SummaryRow>,
}

impl Reduction {
    /// Nothing seen yet of all the paths of `scenario`; result files are begun in `target`.
    ///
    /// # Errors
    /// If a file cannot be created.
    pub fn start(scenario: &Scenario, target: &RunDirectory) -> Result<Self, OutputError> {
        let (labels, paths) = (labels(scenario), scenario.paths);
        let horizons_days = &labels.horizons_days;
        let (openings, of_subnets) = (book_openings(scenario), subnet_openings(scenario));
        let other = match &scenario.estimator {
            Estimator::Plain | Estimator::Control => None,
            Estimator::Importance(sampling) => {
                let currency = sampling.target.currency;
                let weighted = WeightedStatistics::new(scenario, currency, &openings, &of_subnets, horizons_days);
                Some(OtherStatistics::Weighted(Box::new(weighted)))
            }
            Estimator::Leading(set) => {
                let replicated = ReplicatedStatistics::new(scenario, *set, &openings, &of_subnets, horizons_days);
                Some(OtherStatistics::Replicated(Box::new(replicated)))
            }
        };
        let books = BookStatistics::new(&openings, horizons_days, &scenario.confidence, paths);
        let subnets = SubnetStatistics::new(
            &of_subnets,
            scenario.start.block,
            horizons_days,
            &scenario.quantile_probabilities,
            paths,
        );
        let earners = scenario.model.revenue.iter().map(|revenue| revenue.subnet).collect();
        let (attribution, credit) = position_statistics(scenario, horizons_days, paths);
        let begun = Self {
            pending: Vec::new(),
            pending_paths: 0,
            books: books.with_further(scenario.measures.clone()),
            subnets,
            revenue: RevenueStatistics::new(earners, horizons_days),
            attribution,
            credit,
            cube: recorder_of(scenario).into_cube(),
            controlled: (scenario.estimator == Estimator::Control).then(|| controlled_books(scenario)),
            other,
            writer: ResultWriter::start(target, labels, identity(scenario))?,
        };
        Ok(match &scenario.replication {
            None => begun,
            Some(Replication { paths, .. }) => begun.in_replicates(*paths),
        })
    }

    fn in_replicates(self, paths: u64) -> Self {
        Self {
            books: self.books.in_replicates(paths),
            attribution: self.attribution.in_replicates(paths),
            credit: self.credit.in_replicates(paths),
            subnets: self.subnets.in_replicates(paths),
            ..self
        }
    }

    /// Adds the next paths.
    ///
    /// # Errors
    /// If the writer has failed.
    pub fn push(&mut self, mut batch: BatchRecord) -> Result<(), OutputError> {
        // The most of a record, and read but once: while it waited it would leave the caches.
        let positions = std::mem::take(&mut batch.positions);
        if self.other.is_none() {
            self.attribution.push_all(&batch.paths, &positions);
        }
        self.pending_paths += batch.count;
        self.pending.push(batch);
        if self.pending_paths < PATHS_AT_ONCE { Ok(()) } else { self.push_pending() }
    }

    fn push_pending(&mut self) -> Result<(), OutputError> {
        let batches = std::mem::take(&mut self.pending);
        self.pending_paths = 0;
        match &mut self.other {
            Some(OtherStatistics::Weighted(weighted)) => batches.iter().for_each(|batch| weighted.push(batch)),
            Some(OtherStatistics::Replicated(replicated)) => batches.iter().for_each(|batch| replicated.push(batch)),
            None => self.push_plain(&batches),
        }
        batches.into_iter().try_for_each(|BatchRecord { paths, events, samples, .. }| {
            self.writer.send(RowBlock { paths, events, samples })
        })
    }

    fn push_plain(&mut self, batches: &[BatchRecord]) {
        self.books.push_all(batches.iter().map(|batch| &batch.paths[..]));
        for batch in batches {
            if let Some(controlled) = &mut self.controlled {
                controlled.push(&batch.paths, &batch.factors);
            }
            self.credit.push_paths(batch.first_path, batch.count, &batch.settlements);
            batch.deregistrations.iter().for_each(|row| self.subnets.push_deregistration(row));
            batch.revenue.iter().for_each(|row| self.revenue.push(row));
        }
    }

    /// Adds the next paths, with what was counted of them; `false` if the counts are of another run.
    ///
    /// # Errors
    /// If the writer has failed.
    pub fn push_block(&mut self, block: PathBlock) -> Result<bool, OutputError> {
        if self.cube.add_counts(&block.counts).is_none() {
            return Ok(false);
        }
        self.push(block.record).map(|()| true)
    }

    /// Adds prices and emission shares of paths that were pushed.
    pub fn add_cube(&mut self, cube: &SubnetCube) {
        self.cube.merge(cube);
    }

    /// Writes what is known when all paths are there; estimates are made on `threads` threads.
    ///
    /// # Errors
    /// If a file could not be written, now or since the start.
    pub fn finish(mut self, target: &RunDirectory, threads: usize) -> Result<Reduced, OutputError> {
        self.push_pending()?;
        if let Some(other) = self.other {
            let (summary, subnet_rows) = match other {
                OtherStatistics::Weighted(weighted) => weighted.finish(),
                OtherStatistics::Replicated(replicated) => replicated.finish(),
            };
            let result_hash = self.writer.finish(target, &summary, &subnet_rows, &[])?;
            return Ok(Reduced { result_hash, summary });
        }
        let (subnet_rows, quantile_rows) = self.subnets.finish(&self.cube);
        self.writer.add_revenue(self.revenue.finish());
        let (attribution_rows, liquidity_rows) = self.attribution.finish(threads);
        self.writer.add_attribution(attribution_rows);
        self.writer.add_credit(self.credit.finish(&subnet_rows));
        let mut summary = self.books.finish_on(threads);
        liquidity_rows.into_iter().for_each(|row| row.insert_into(&mut summary));
        if let Some(controlled) = &self.controlled {
            controlled.improve(&mut summary);
        }
        let result_hash = self.writer.finish(target, &summary, &subnet_rows, &quantile_rows)?;
        Ok(Reduced { result_hash, summary })
    }
}

/// Controlled means of all books, where the estimator has them; nothing seen yet.
pub(super) fn controlled_books(scenario: &Scenario) -> ControlledBooks {
    let books = scenario.books.iter().map(|book| book.name.clone()).collect();
    let known = |days: f64| (days, RateMoments::new(&scenario.model.tao_usd, days));
    let horizons = scenario.report_horizons.iter().map(|horizon| known(horizon.days)).collect();
    ControlledBooks::new(books, scenario.tao_usd_start, horizons)
}

fn pool_at_start(start: &ChainState, book: &Book, position: usize) -> Option<(Pool, f64)> {
    let position = &book.positions[position];
    let subnet = start.subnets.iter().find(|subnet| subnet.netuid == position.netuid)?;
    Some((Pool::from(subnet), position.alpha))
}

pub(super) fn book_openings(scenario: &Scenario) -> Vec<BookOpening> {
    let fee_rate = scenario.protocol.fee_rate;
    let opening = |(index, book): (usize, &Book)| {
        let cash_tao = opening_cash_tao(scenario, index);
        let pools = (0..book.positions.len()).filter_map(|index| pool_at_start(&scenario.start, book, index));
        let (mark_tao, liquidation_tao) = pools.fold((cash_tao, cash_tao), |(mark, liquidation), (pool, alpha)| {
            let paid = valuation::sale_proceeds(&pool, alpha, fee_rate);
            (mark + alpha * pool.spot_price(), liquidation + paid)
        });
        BookOpening { name: book.name.clone(), mark_tao, liquidation_tao, usd_per_tao: scenario.tao_usd_start }
    };
    scenario.books.iter().enumerate().map(opening).collect()
}

/// TAO that a book has besides its positions at the start.
fn opening_cash_tao(scenario: &Scenario, book: usize) -> f64 {
    scenario.policies.get(book).and_then(Option::as_ref).map_or(0.0, |of| of.cash_tao)
}

/// Statistics of what positions do to their books.
fn position_statistics(
    scenario: &Scenario,
    horizons_days: &[f64],
    paths: u64,
) -> (AttributionStatistics, CreditStatistics) {
    let books = held_books(scenario);
    let standing = |holding: &Holding| Standing::of(&scenario.protocol, &scenario.start, holding.id.netuid);
    let standings = books.iter().map(|book| book.holdings.iter().map(standing).collect()).collect();
    let (confidence, block) = (&scenario.confidence, scenario.start.block);
    let attribution = AttributionStatistics::new(&books, horizons_days, confidence, paths, scenario.tao_usd_start);
    (
        scenario.candidates.into_iter().fold(attribution, AttributionStatistics::with_candidates),
        CreditStatistics::new(&books, standings, block, horizons_days, confidence, paths),
    )
}

/// The books with what is known of the subnets that they hold.
///
/// # Panics
/// If a position is in no subnet of the snapshot, which the scenario's checks refuse.
pub(super) fn held_books(scenario: &Scenario) -> Vec<HeldBook> {
    let subnets = || scenario.start.subnets.iter().zip(&scenario.subnet_names);
    let holding = |position: &Position| {
        let known = subnets().find(|(subnet, _)| subnet.netuid == position.netuid);
        let (subnet, name) = known.expect("a position is in a subnet of the snapshot");
        Holding {
            id: SubnetId { netuid: subnet.netuid, registered_at: subnet.registered_at },
            name: name.clone(),
            sector: scenario.sector(subnet.netuid).map(str::to_owned),
            mark_tao: position.alpha * Pool::from(subnet).spot_price(),
        }
    };
    let tracker = tracker_of(scenario, &[]);
    let held = |(index, book): (usize, &Book)| HeldBook {
        name: book.name.clone(),
        holdings: book.positions.iter().map(holding).collect(),
        other_tao: (tracker.values_of(index) > book.positions.len()).then(|| opening_cash_tao(scenario, index)),
    };
    scenario.books.iter().enumerate().map(held).collect()
}

fn subnet_openings(scenario: &Scenario) -> Vec<SubnetOpening> {
    let held = |netuid| scenario.books.iter().any(|book| book.positions.iter().any(|p| p.netuid == netuid));
    let subnets = scenario.start.subnets.iter().zip(&scenario.subnet_names);
    subnets
        .map(|(subnet, name)| SubnetOpening {
            id: SubnetId { netuid: subnet.netuid, registered_at: subnet.registered_at },
            name: name.clone(),
            price: Pool::from(subnet).spot_price(),
            held: held(subnet.netuid),
        })
        .collect()
}
