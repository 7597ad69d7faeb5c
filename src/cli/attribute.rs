//! `taorisk attribute`: the same chance under every set of drivers, and what part of a book's losses each driver makes.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;

use crate::cli::args::ScenarioOptions;
use crate::cli::attribute_table;
use crate::cli::attribute_table::DriverTable;
use crate::cli::error::BadInput;
use crate::cli::outcome;
use crate::cli::print_result;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::study::BasisChoice;
use crate::cli::study::CurrencyChoice;
use crate::cli::study::StudyFlags;
use crate::cli::table::Style;
use crate::config::scenario::Scenario;
use crate::engine::drivers::Driver;
use crate::engine::drivers::Drivers;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::engine::record::PathRow;
use crate::engine::run as engine_run;
use crate::output::drivers;
use crate::output::drivers::DriverRow;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;
use crate::risk::recorder::BatchRecord;
use crate::risk::shapley::Attribution;
use crate::risk::shapley::Coalitions;
use crate::risk::shapley::LossMeasure;

/// Paths where `--paths` does not say.
const PATHS_DEFAULT: i64 = 10_000;

/// Shown below the help.
pub const EXAMPLES: &str = "\
Every set of drivers is simulated on the same paths: where a driver is off, nothing of it moves prices, stakes or holdings; where \
all are, prices stand still and nothing is lost. A driver's part is the mean, over all orders in which the drivers can be switched \
on, of what it changes when its turn comes (Shapley); the parts add up to the measure as `taorisk run` prints it. Drivers that a \
scenario gives nothing to do, such as rules without switches, are left out and named.

  TAO/USD           the rate at the horizon against that of the start
  common factor     the shock that all flows share, those of sectors, common jumps, states of the market
  own flow          each subnet's own shock and the moves of volatilities; drifts; answers of flows to prices and dividends
  jumps             jumps of single subnets and of clusters
  emission          injections, chain buys, alpha emission and its sales, dividends, root claims, revenue, flows of root stake
  deregistration    registrations, prunes and their payouts, entrants
  slippage          sale through the pools against spot
  rules             the scenario's switches of rules

Up to 64 runs: a little less than 64 times the time of `taorisk run` with as many paths, and 2 KB of memory a path.

Examples:
  taorisk attribute                                               the built-in scenario, 10,000 paths
  taorisk attribute my/scenario.toml --paths 2000                 a first look
  taorisk attribute my/scenario.toml --currency TAO --basis mark  without TAO/USD and slippage
  taorisk attribute my/scenario.toml --book desk --out drivers.csv";

/// Arguments of `attribute`.
#[derive(Clone, Debug, Args)]
pub struct AttributeArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags that go before keys of the scenario; 10,000 paths where `--paths` is not given.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// Book whose losses are attributed [default: the first]
    #[arg(long, value_name = "NAME")]
    pub book: Option<String>,
    /// Money that losses are counted in
    #[arg(long, value_enum, default_value_t = CurrencyChoice::Usd, ignore_case = true)]
    pub currency: CurrencyChoice,
    /// What holdings are worth: sold through the pools now, or at spot
    #[arg(long, value_enum, default_value_t = BasisChoice::Liquidation)]
    pub basis: BasisChoice,
    /// Flags of a study.
    #[command(flatten)]
    pub study: StudyFlags,
}

/// Simulates every set of drivers and prints the part of each driver.
///
/// # Errors
/// A scenario, book, number of paths or file that is refused; an interruption; a failed simulation or write.
pub fn attribute(args: &AttributeArgs) -> anyhow::Result<()> {
    args.study.check_file()?;
    let study = Study::new(args)?;
    let machine = Machine::with_threads(args.study.answer.threads);
    run::remark(args.study.answer.quiet, &study.announcement());
    let (stop, progress) =
        (run::stop_flag()?, run::progress_bar(study.total_paths(), "paths", args.study.answer.quiet));
    let coalitions = study.simulate(&machine, &stop, &progress)?;
    progress.finish_and_clear();
    let found: Vec<Attribution> = study.measures().into_iter().map(|measure| coalitions.attribute(measure)).collect();
    let (rows, identity) = (study.rows(&found), run::identity(&study.scenario));
    args.study.write_file(&identity, &rows)?;
    let absent: Vec<&str> = attribute_table::absent(&study.drivers).map(Driver::name).collect();
    let text = if args.study.answer.json {
        drivers::json(&identity, &absent, &rows)
    } else {
        study.table(&found).text(Style::detect())
    };
    print_result(text.as_bytes())
}

/// Whose losses are attributed, and to what.
struct Study {
    scenario: Scenario,
    book: usize,
    currency: Currency,
    basis: Basis,
    /// Those that act in the scenario, in the order of tables. A set of them is a mask of as many bits.
    drivers: Vec<Driver>,
}

impl Study {
    fn new(args: &AttributeArgs) -> anyhow::Result<Self> {
        let scenario = Scenario::load(args.scenario.as_deref(), &args.options.overrides_with_paths(PATHS_DEFAULT))?;
        outcome::check(&scenario, "attribute")?;
        let book = book_named(&scenario, args.book.as_deref())?;
        let (currency, basis) = (args.currency.into(), args.basis.into());
        let input = run::plan_of(&scenario).input;
        let is_asked = |driver: &Driver| match driver {
            Driver::TaoUsd => currency == Currency::Usd,
            Driver::Slippage => basis == Basis::Liquidation,
            driver => driver.is_present(&input),
        };
        Ok(Self { book, currency, basis, drivers: Driver::ALL.into_iter().filter(is_asked).collect(), scenario })
    }

    fn measures(&self) -> Vec<LossMeasure> {
        LossMeasure::all(&self.scenario.confidence)
    }

    /// Sets of drivers in which none is a valuation: those that are simulated, from none to all.
    fn simulated_sets(&self) -> impl Iterator<Item = usize> {
        let valued = self.valuation_mask();
        (0..1 << self.drivers.len()).filter(move |set| set & valued == 0)
    }

    fn valuation_mask(&self) -> usize {
        let bits = self.drivers.iter().enumerate().filter(|(_, driver)| !driver.is_simulated());
        bits.fold(0, |mask, (bit, _)| mask | 1 << bit)
    }

    fn acts(&self, set: usize, driver: Driver) -> bool {
        self.drivers.iter().position(|other| *other == driver).is_some_and(|bit| set >> bit & 1 == 1)
    }

    fn total_paths(&self) -> u64 {
        self.simulated_sets().count() as u64 * self.scenario.paths
    }

    /// Losses of the book under every set of drivers.
    fn simulate(&self, machine: &Machine, stop: &AtomicBool, progress: &ProgressBar) -> anyhow::Result<Coalitions> {
        let input = run::plan_of(&self.scenario).input;
        let mut losses = vec![Vec::new(); 1 << self.drivers.len()];
        for set in self.simulated_sets() {
            let drivers = self.drivers.iter().filter(|driver| !self.acts(set, **driver));
            let drivers = drivers.fold(Drivers::ALL, |set, driver| set.without(*driver));
            let plan = Plan::new(PlanInput { drivers, ..input.clone() });
            self.simulate_set(&plan, set, machine, stop, progress, &mut losses)
                .with_context(|| format!("with {}", self.names(set)))?;
        }
        Ok(Coalitions::new(self.drivers.len(), losses))
    }

    /// Adds the losses under the drivers of `plan`, valued with every set of the others.
    fn simulate_set(
        &self,
        plan: &Plan,
        simulated: usize,
        machine: &Machine,
        stop: &AtomicBool,
        progress: &ProgressBar,
        losses: &mut [Vec<f64>],
    ) -> anyhow::Result<()> {
        let valued = self.valuation_mask();
        let sets: Vec<usize> = (0..losses.len()).filter(|set| set & !valued == simulated).collect();
        let last = self.scenario.report_horizons.len() - 1;
        let is_ours = |row: &&PathRow| usize::from(row.book) == self.book && usize::from(row.horizon) == last;
        sets.iter().for_each(|&set| losses[set].reserve_exact(self.scenario.paths as usize));
        let consume = |batch: BatchRecord| {
            for row in batch.paths.iter().filter(is_ours) {
                sets.iter().for_each(|&set| losses[set].push(self.loss(set, row)));
            }
            progress.inc(batch.count as u64);
            ControlFlow::Continue(())
        };
        let recorder = || run::recorder_of(&self.scenario);
        engine_run::run(plan, &machine.options(0, self.scenario.paths), recorder, consume, stop)
            .map(|_| ())
            .map_err(run::explain)
    }

    /// Loss of a row, valued with the drivers of `set`.
    fn loss(&self, set: usize, row: &PathRow) -> f64 {
        let (tao, usd) = match self.acts(set, Driver::Slippage) {
            true => (row.pnl_liquidation_tao, row.pnl_liquidation_usd),
            false => (row.pnl_mark_tao, row.pnl_mark_usd),
        };
        match self.currency {
            Currency::Tao => -tao,
            Currency::Usd if self.acts(set, Driver::TaoUsd) => -usd,
            Currency::Usd => -tao * self.scenario.tao_usd_start,
        }
    }

    fn names(&self, set: usize) -> String {
        let acting =
            self.drivers.iter().filter(|driver| self.acts(set, **driver)).map(|driver| attribute_table::label(*driver));
        let names = acting.collect::<Vec<_>>().join(", ");
        if names.is_empty() { "no driver".to_owned() } else { names }
    }

    fn announcement(&self) -> String {
        let (sets, paths) = (self.simulated_sets().count(), self.scenario.paths);
        format!(
            "taorisk: {sets} runs of {paths} paths over {} days, one for each set of drivers, seed {}; {:.0} MB of losses kept",
            self.scenario.horizon_days(),
            self.scenario.seed,
            (8 << self.drivers.len()) as f64 * paths as f64 / 1e6
        )
    }

    fn rows(&self, found: &[Attribution]) -> Vec<DriverRow> {
        found.iter().flat_map(|attribution| self.measure_rows(attribution)).collect()
    }

    fn measure_rows(&self, found: &Attribution) -> Vec<DriverRow> {
        let row = |driver, part: &Estimate, others: Option<[&Estimate; 2]>| DriverRow {
            book: self.scenario.books[self.book].name.clone(),
            horizon_days: self.scenario.horizon_days(),
            currency: self.currency.name(),
            basis: self.basis.name(),
            paths: part.samples,
            measure: found.measure.name(),
            level: found.measure.level(),
            driver,
            part: part.value,
            part_standard_error: part.standard_error,
            alone: others.map(|[alone, _]| alone.value),
            alone_standard_error: others.map(|[alone, _]| alone.standard_error),
            last: others.map(|[_, last]| last.value),
            last_standard_error: others.map(|[_, last]| last.standard_error),
        };
        let parts = self.drivers.iter().zip(&found.parts);
        let parts = parts.map(|(driver, part)| row(driver.name(), &part.shapley, Some([&part.alone, &part.last])));
        parts.chain([row("none", &found.none, None), row("total", &found.total, None)]).collect()
    }

    fn table<'a>(&'a self, found: &'a [Attribution]) -> DriverTable<'a> {
        DriverTable {
            book: &self.scenario.books[self.book].name,
            horizon_days: self.scenario.horizon_days(),
            currency: self.currency,
            basis: self.basis,
            paths: self.scenario.paths,
            drivers: &self.drivers,
            found,
        }
    }
}

/// The number of the book of that name; the first without one.
pub(super) fn book_named(scenario: &Scenario, name: Option<&str>) -> Result<usize, BadInput> {
    let Some(name) = name else { return Ok(0) };
    scenario.books.iter().position(|book| book.name == name).ok_or_else(|| {
        let names = scenario.books.iter().map(|book| book.name.as_str()).collect::<Vec<_>>().join(", ");
        BadInput(format!("--book {name}: no book of the scenario, which has {names}"))
    })
}
