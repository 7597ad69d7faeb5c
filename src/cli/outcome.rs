//! What every book of a scenario lost on every path, kept for comparison with other runs on the same chance.

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use indicatif::ProgressBar;

use crate::cli::error::BadInput;
use crate::cli::reduction;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::table;
use crate::config::scenario::Scenario;
use crate::engine::drivers::Drivers;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::run as engine_run;
use crate::risk::attribution;
use crate::risk::contrast::PathLosses;
use crate::risk::contrast_parts::PartLosses;
use crate::risk::holding::HeldBook;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::RecordPlan;
use crate::risk::recorder::RunRecorder;

/// Fewest losses beyond a value at risk.
const TAIL_MIN: f64 = 10.0;

/// What every book lost on every path at the last horizon. Memory: 74 bytes a path and book, and 24 a position.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// In the order of the scenario's.
    pub books: Vec<BookOutcome>,
}

/// What one book lost, by path.
#[derive(Clone, Debug)]
pub(super) struct BookOutcome {
    /// The book at the start.
    pub held: HeldBook,
    /// Holdings deregistered.
    pub deregistered: Vec<u16>,
    /// By money (TAO, USD) and basis (mark, liquidation).
    losses: [[Vec<f64>; 2]; 2],
    /// Value at spot less value on liquidation, by money.
    exit_costs: [Vec<f64>; 2],
    tao_usd: Vec<f64>,
    tao_usd_start: f64,
    /// By path and position.
    positions: Vec<PositionValue>,
}

impl Outcome {
    fn new(scenario: &Scenario) -> Self {
        let book = |held| BookOutcome {
            held,
            deregistered: Vec::new(),
            losses: Default::default(),
            exit_costs: Default::default(),
            tao_usd: Vec::new(),
            tao_usd_start: scenario.tao_usd_start,
            positions: Vec::new(),
        };
        Self { books: reduction::held_books(scenario).into_iter().map(book).collect() }
    }

    /// Adds rows of one horizon, by path and book, with the values of positions in the same order.
    fn push_all(&mut self, batch: &BatchRecord) {
        let mut values = &batch.positions[..];
        for row in &batch.paths {
            let book = &mut self.books[usize::from(row.book)];
            let (own, rest) = values.split_at(book.parts());
            book.push(row, own);
            values = rest;
        }
    }
}

impl BookOutcome {
    /// What a measure is made of; a basis other than at spot is liquidation.
    pub fn of(&self, currency: Currency, basis: Basis) -> PathLosses<'_> {
        let money = index_of(currency);
        PathLosses {
            losses: &self.losses[money][usize::from(basis != Basis::Mark)],
            exit_costs: &self.exit_costs[money],
            deregistered: &self.deregistered,
        }
    }

    /// Number of parts whose losses add up to the book's: its positions, and cash with what a policy may buy where it has any.
    pub fn parts(&self) -> usize {
        self.held.holdings.len() + usize::from(self.held.other_tao.is_some())
    }

    /// What the parts lost on a path, in the order of the book's positions.
    pub fn part_losses(&self, path: usize, currency: Currency, basis: Basis) -> impl Iterator<Item = f64> {
        let rates = [self.tao_usd_start, self.tao_usd[path]];
        let openings = self.held.holdings.iter().map(|holding| holding.mark_tao).chain(self.held.other_tao);
        let values = self.positions[path * self.parts()..].iter();
        openings.zip(values).map(move |(opening, value)| attribution::loss(opening, value, (basis, currency), rates))
    }

    /// Whether the subnet of a position was deregistered, 1 or 0 by path. Of books that hold: others may have sold it.
    pub fn deregistrations(&self, position: usize) -> Vec<u16> {
        let values = self.positions.iter().skip(position).step_by(self.parts());
        values.map(|value| u16::from(value.mark_tao == 0.0)).collect()
    }

    /// The book's losses with those of its parts.
    pub fn with_parts(&self, currency: Currency, basis: Basis) -> PartLosses {
        let losses = self.of(currency, basis).losses.to_vec();
        let parts = (0..losses.len()).flat_map(|path| self.part_losses(path, currency, basis)).collect();
        PartLosses { losses, parts }
    }

    fn push(&mut self, row: &PathRow, values: &[PositionValue]) {
        let pnl = [
            [row.pnl_mark_tao, row.pnl_liquidation_tao], // TAO
            [row.pnl_mark_usd, row.pnl_liquidation_usd],
        ];
        for ((losses, costs), [mark, liquidation]) in self.losses.iter_mut().zip(&mut self.exit_costs).zip(pnl) {
            losses[0].push(-mark);
            losses[1].push(-liquidation);
            costs.push(mark - liquidation);
        }
        self.deregistered.push(row.deregistered_holdings);
        self.tao_usd.push(row.tao_usd);
        self.positions.extend_from_slice(values);
    }
}

fn index_of(currency: Currency) -> usize {
    match currency {
        Currency::Tao => 0,
        Currency::Usd => 1,
    }
}

/// Simulates all paths of a scenario with the given drivers; `progress` counts them. Nothing beyond the last horizon is simulated:
/// there is no exit basis.
///
/// # Errors
/// An interruption; a failed simulation.
pub(super) fn simulate(
    scenario: &Scenario,
    drivers: Drivers,
    machine: &Machine,
    stop: &AtomicBool,
    progress: &ProgressBar,
) -> anyhow::Result<Outcome> {
    let steps = scenario.horizon_steps;
    let plan = Plan::new(PlanInput { drivers, steps, ..run::plan_of(scenario).input });
    let record = RecordPlan { horizon_steps: vec![steps], event_paths: 0, sample_paths: 0, slots: 0 };
    let recorder = || RunRecorder::new(record.clone(), run::tracker_of(scenario, &record.horizon_steps));
    let mut outcome = Outcome::new(scenario);
    let consume = |batch: BatchRecord| {
        outcome.push_all(&batch);
        progress.inc(batch.count as u64);
        ControlFlow::Continue(())
    };
    engine_run::run(&plan, &machine.options(0, scenario.paths), recorder, consume, stop).map_err(run::explain)?;
    Ok(outcome)
}

/// What `command` can compare: independent paths, enough of them for the tail.
pub(super) fn check(scenario: &Scenario, command: &str) -> Result<(), BadInput> {
    if scenario.replication.is_some() {
        return Err(BadInput(format!(
            "{}: {command} compares independent paths; set run.parameter_uncertainty = false (the parts are those under the \
             scenario's own parameters)",
            scenario.name
        )));
    }
    let level = scenario.confidence.iter().copied().fold(0.0, f64::max);
    let least = (TAIL_MIN / (1.0 - level) - 1e-6).ceil();
    if !(scenario.paths as f64 >= least) {
        return Err(BadInput(format!(
            "--paths {}: needs at least {least}, {TAIL_MIN} beyond the value at risk at {}",
            scenario.paths,
            table::percent_label(level)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::config::scenario::Overrides;

    fn scenario(text: &str) -> Scenario {
        Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default()).expect("a valid scenario")
    }

    fn outcome(text: &str) -> Outcome {
        let (stop, progress) = (AtomicBool::new(false), ProgressBar::hidden());
        simulate(&scenario(text), Drivers::ALL, &Machine::with_threads(None), &stop, &progress).expect("an outcome")
    }

    /// The parts, cash among them, lose what the book loses, on every path and basis and in every money.
    #[test]
    fn parts_add_up_to_the_book() {
        let text = "[run]\npaths = 40\nhorizon_days = 20\n[exit]\ndays = 5\n\
                    [[policies]]\nname = \"weekly\"\nkind = \"rebalance\"\nevery_days = 7\ncash_tao = 50";
        let found = outcome(text);
        assert_eq!(found.books.iter().map(BookOutcome::parts).collect::<Vec<_>>(), [10, 11]);
        for book in &found.books {
            for (currency, basis) in [Currency::Tao, Currency::Usd].into_iter().zip([Basis::Mark, Basis::Liquidation]) {
                let losses = book.of(currency, basis).losses;
                assert_eq!(losses.len(), 40);
                for (path, loss) in losses.iter().enumerate() {
                    let sum: f64 = book.part_losses(path, currency, basis).sum();
                    assert!((sum - loss).abs() < 1e-6, "{}, path {path}: {sum} {loss}", book.held.name);
                }
            }
            assert!(book.of(Currency::Tao, Basis::Mark).exit_costs.iter().all(|&cost| cost > 0.0));
        }
    }

    #[test]
    fn few_paths_and_drawn_parameters_are_refused() {
        let message = |text| check(&scenario(text), "stress").expect_err("a refusal").to_string();
        assert_eq!(
            message("[run]\npaths = 199\nconfidence = [0.9, 0.95]"),
            "--paths 199: needs at least 200, 10 beyond the value at risk at 95%"
        );
        assert!(message("[run]\nparameter_uncertainty = true").starts_with("base: stress compares independent paths;"));
        assert!(check(&scenario("[run]\npaths = 1000"), "stress").is_ok());
    }
}
