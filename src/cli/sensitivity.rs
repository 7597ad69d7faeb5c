//! `taorisk sensitivity`: what a book's losses gain or lose with each parameter and position, on the same chance.
//!
//! # What the runs share
//! Every run of a study has the same seed, so that the chance of its paths is common to all: a difference between two runs is that of
//! their parameters, with the error of the differences path by path ([`crate::risk::contrast`]).
//!
//! Morris' effects and Sobol's indices are those of the measure *of these paths*, a function of the parameters without noise: their
//! errors are those of the design alone. With other paths the function is another: an index moves by the Monte Carlo error of the
//! measure's changes over its range, which falls with the square root of the paths, and not by that of the measure itself. Common
//! chance hides this and does not remove it; `--design-seed` measures it: the same design on the paths of another seed. On the
//! built-in scenario (shortfall at 99 %, 1,000 paths, 32 rows of four parameters) indices of three seeds of the paths are within 0.07
//! of each other, where the design's own errors are up to 0.19; the standard deviation over the law is within 20 %, the mean
//! within 4 %.
//!
//! # Not modelled
//! - Dependence of parameters' errors on each other: correlations of `[uncertainty]` are left out.
//! - The error of the density at a value at risk, as in [`crate::risk::paired`]: a parameter that only rescales losses has an error of
//!   its slope that falls with the number of paths, too fast from some 15,000 on. At 8,000 intervals cover 94 to 99 %.
//! - What a step of half a standard error adds to a slope: of third order in the step.
//! - What a parameter does to the start of paths where it is set in the model, as for drawn parameters
//!   ([`mod@crate::model::uncertainty`]).

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;
use clap::value_parser;

use crate::cli::args::ScenarioOptions;
use crate::cli::attribute::book_named;
use crate::cli::check;
use crate::cli::error::BadInput;
use crate::cli::outcome;
use crate::cli::outcome::BookOutcome;
use crate::cli::outcome::Outcome;
use crate::cli::print_result;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::sensitivity_bump;
use crate::cli::sensitivity_global;
use crate::cli::sensitivity_inputs::Bench;
use crate::cli::sensitivity_inputs::Bump;
use crate::cli::sensitivity_inputs::Input;
use crate::cli::sensitivity_table::SensitivityTable;
use crate::cli::study::BasisChoice;
use crate::cli::study::CurrencyChoice;
use crate::cli::study::StudyFlags;
use crate::cli::table;
use crate::cli::table::Style;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::engine::drivers::Drivers;
use crate::output::sensitivity::SensitivityRow;
use crate::output::table_file;
use crate::portfolio::policy::BookPolicy;
use crate::portfolio::policy::Policy;
use crate::portfolio::position::Book;
use crate::risk::contrast::Contrast;
use crate::risk::contrast::ContrastMeasure;
use crate::risk::contrast::PathLosses;
use crate::risk::contrast::contrasts;
use crate::risk::estimate::Estimate;
use crate::risk::measure::Basis;
use crate::risk::measure::Currency;

/// Paths of each run where `--paths` does not say, by method.
const BUMP_PATHS: i64 = 8_000;
const MORRIS_PATHS: i64 = 2_000;
const SOBOL_PATHS: i64 = 1_000;
/// The word among keys for all positions.
const POSITIONS: &str = "positions";
/// Shown below the help.
pub const EXAMPLES: &str = "\
Every run has the same chance: a difference is that of the parameters. Parameters are those of [uncertainty], where their errors and \
the scales of these stand, or those of --keys: any number of the scenario by its dotted key. KEY=LOW..HIGH gives one a uniform law.

  bump     slopes by central differences, half a standard error to either side (--step), 5 % of the value where no error is
           known (--relative): of every measure, per standard error of the parameter and per 1 % of its value; and per 1 % of
           the size of each position, which at spot is its Euler component, and on liquidation is simulated
  morris   mean absolute effect (mu*), mean and spread (sigma) of effects over the law of the parameters, per standard error:
           what matters at all; sigma shows curvature and interactions
  sobol    parts of the variance of the measure over the law of the parameters: first order, and total with interactions

Runs: 1 + 2 a parameter + 1 for four positions on liquidation (bump), trajectories x (parameters + 1) (morris), rows x
(parameters + 2) (sobol). Laws are taken as independent of each other. Effects and indices are of the measure on these paths:
compare with another --seed at the same --design-seed. Position slopes are those of books that hold.

Examples:
  taorisk sensitivity                                               slopes for all of [uncertainty] and the sample book
  taorisk sensitivity --keys protocol.fee_rate,feedback.momentum=-0.05..0.05,positions
  taorisk sensitivity my/scenario.toml --method morris --measure var --level 0.95
  taorisk sensitivity --method sobol --keys flow.scale_median,sales.miner --rows 256 --out sobol.csv";

/// Arguments of `sensitivity`.
#[derive(Clone, Debug, Args)]
pub struct SensitivityArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags that go before keys of the scenario; where `--paths` is not given 8,000 (bump), 2,000 (morris), 1,000 (sobol) paths.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// How sensitivity is measured
    #[arg(long, value_enum, default_value_t = Method::Bump)]
    pub method: Method,
    /// Parameters, each KEY or KEY=LOW..HIGH, and `positions` for those [default: all of `[uncertainty]`, and positions]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub keys: Vec<String>,
    /// What is measured by morris and sobol, and what slopes are sorted by
    #[arg(long, value_enum, default_value_t = MeasureChoice::Es)]
    pub measure: MeasureChoice,
    /// Confidence of var and es, one of the scenario's [default: the highest]
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<f64>,
    /// Book whose losses are measured [default: the first]
    #[arg(long, value_name = "NAME")]
    pub book: Option<String>,
    /// Money that losses are counted in
    #[arg(long, value_enum, default_value_t = CurrencyChoice::Usd, ignore_case = true)]
    pub currency: CurrencyChoice,
    /// What holdings are worth: sold through the pools now, or at spot
    #[arg(long, value_enum, default_value_t = BasisChoice::Liquidation)]
    pub basis: BasisChoice,
    /// Standard errors that a bump goes to either side
    #[arg(long, value_name = "ERRORS", value_parser = step, default_value = "0.5", help_heading = "Design")]
    pub step: f64,
    /// Part of its value that a parameter of unknown error goes to either side
    #[arg(long, value_name = "FRACTION", value_parser = step, default_value = "0.05", help_heading = "Design")]
    pub relative: f64,
    /// Trajectories of morris
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(2..=100_000), default_value = "10", help_heading = "Design")]
    pub trajectories: u32,
    /// Rows of sobol
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(2..=100_000), default_value = "64", help_heading = "Design")]
    pub rows: u32,
    /// Seed of the points of morris and sobol [default: that of the paths]
    #[arg(long, value_name = "N", help_heading = "Design")]
    pub design_seed: Option<u64>,
    /// Flags of a study.
    #[command(flatten)]
    pub study: StudyFlags,
}

fn step(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| "must be a finite number > 0".to_owned())
}

impl SensitivityArgs {
    fn overrides(&self) -> Overrides {
        let overrides = self.options.overrides();
        let paths = match self.method {
            Method::Bump => BUMP_PATHS,
            Method::Morris => MORRIS_PATHS,
            Method::Sobol => SOBOL_PATHS,
        };
        Overrides { paths: overrides.paths.or(Some(paths)), ..overrides }
    }
}

/// How sensitivity is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Slopes at the scenario: central differences
    Bump,
    /// Screening over the law of the parameters
    Morris,
    /// Parts of the variance over the law of the parameters
    Sobol,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MeasureChoice {
    /// Mean loss
    Mean,
    /// Value at risk
    Var,
    /// Expected shortfall
    Es,
    /// Mean number of holdings deregistered
    Deregistered,
}

/// Runs a study and prints what matters most first.
///
/// # Errors
/// A scenario, key, book, level, number of paths or file that is refused; an interruption; a failed simulation or write.
pub fn sensitivity(args: &SensitivityArgs) -> anyhow::Result<()> {
    args.study.check_file()?;
    let study = Study::new(args)?;
    let machine = Machine::with_threads(args.study.answer.threads);
    run::remark(args.study.answer.quiet, &study.announcement(args.study.answer.threads));
    let total_paths = study.runs() * study.scenario().paths;
    let (stop, progress) = (run::stop_flag()?, run::progress_bar(total_paths, "paths", args.study.answer.quiet));
    let simulate = |scenario: &Scenario| outcome::simulate(scenario, Drivers::ALL, &machine, &stop, &progress);
    let rows = study.rows(&simulate);
    progress.finish_and_clear();
    let (rows, identity) = (rows?, run::identity(study.scenario()));
    args.study.write_file(&identity, &rows)?;
    let text = if args.study.answer.json {
        table_file::json(&identity, &rows)
    } else {
        study.table(&rows).text(Style::detect())
    };
    print_result(text.as_bytes())
}

/// Simulates a scenario on the chance of the study.
pub(super) type Simulate<'a> = dyn Fn(&Scenario) -> anyhow::Result<Outcome> + 'a;

/// Whose losses are studied, against what, and how.
pub(super) struct Study {
    pub bench: Bench,
    pub inputs: Vec<Input>,
    pub measure: ContrastMeasure,
    pub design_seed: u64,
    pub book: usize,
    pub currency: Currency,
    pub basis: Basis,
    /// Whether the book does nothing on a path.
    pub holds: bool,
    design: Design,
}

/// What is run.
enum Design {
    /// A bump of each input; and whether positions are moved.
    Bump(Vec<Bump>, bool),
    /// So many trajectories.
    Morris(u32),
    /// So many rows.
    Sobol(u32),
}

/// What a number of a study is of.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Book,
    Parameter(&'a Input),
    /// Of this number in the book.
    Position(usize),
}

impl Study {
    fn new(args: &SensitivityArgs) -> anyhow::Result<Self> {
        let bench = Bench::load(args.scenario.clone(), args.overrides())?;
        let scenario = &bench.scenario;
        outcome::check(scenario, "sensitivity")?;
        let book = book_named(scenario, args.book.as_deref())?;
        let measure = measure(scenario, args)?;
        let (inputs, names_positions) = inputs(scenario, &args.keys)?;
        let holds = scenario.policies.get(book).and_then(Option::as_ref).is_none_or(is_idle);
        if names_positions && !(holds && args.method == Method::Bump) {
            Err(BadInput(format!("--keys {POSITIONS}: only with --method bump and a book that holds")))?;
        }
        let design = match args.method {
            Method::Bump => {
                let bumps = inputs.iter().map(|input| input.bump(args.step, args.relative));
                let bumps = bumps.collect::<Result<_, BadInput>>()?;
                Design::Bump(bumps, holds && (names_positions || args.keys.is_empty()))
            }
            Method::Morris => Design::Morris(args.trajectories),
            Method::Sobol => Design::Sobol(args.rows),
        };
        let design_seed = args.design_seed.unwrap_or(scenario.seed);
        let (currency, basis) = (args.currency.into(), args.basis.into());
        let study = Self { inputs, measure, design_seed, book, currency, basis, holds, design, bench };
        study.check_ends()?;
        Ok(study)
    }

    /// Whether the scenario takes every parameter at the ends of where it is moved.
    fn check_ends(&self) -> anyhow::Result<()> {
        for (index, input) in self.inputs.iter().enumerate() {
            let ends = match &self.design {
                Design::Bump(bumps, _) => [bumps[index].low, bumps[index].high],
                Design::Morris(_) | Design::Sobol(_) => sensitivity_global::ends(input)?,
            };
            for end in ends {
                self.bench
                    .with(&[(input, end)])
                    .with_context(|| format!("--keys {}: {end} is out of bounds", input.key))?;
            }
        }
        Ok(())
    }

    pub fn scenario(&self) -> &Scenario {
        &self.bench.scenario
    }

    pub fn held(&self) -> &Book {
        &self.scenario().books[self.book]
    }

    fn runs(&self) -> u64 {
        let inputs = self.inputs.len() as u64;
        match &self.design {
            Design::Bump(_, positions) => 1 + 2 * inputs + sensitivity_bump::position_runs(self, *positions) as u64,
            Design::Morris(trajectories) => u64::from(*trajectories) * (inputs + 1),
            Design::Sobol(rows) => u64::from(*rows) * (inputs + 2),
        }
    }

    fn announcement(&self, threads: Option<NonZeroUsize>) -> String {
        let (scenario, runs) = (self.scenario(), self.runs());
        let threads = threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        format!(
            "taorisk: {runs} runs of {} paths over {} days, seed {}: {} on {threads} threads",
            scenario.paths,
            scenario.horizon_days(),
            scenario.seed,
            check::simulation_time(scenario, runs * scenario.paths, threads)
        )
    }

    fn rows(&self, simulate: &Simulate<'_>) -> anyhow::Result<Vec<SensitivityRow>> {
        match &self.design {
            Design::Bump(bumps, positions) => sensitivity_bump::bump(self, bumps, *positions, simulate),
            Design::Morris(trajectories) => sensitivity_global::morris(self, *trajectories, simulate),
            Design::Sobol(rows) => sensitivity_global::sobol(self, *rows, simulate),
        }
    }

    pub fn losses<'a>(&self, book: &'a BookOutcome) -> PathLosses<'a> {
        book.of(self.currency, self.basis)
    }

    pub fn contrasts(&self, base: &BookOutcome, other: &BookOutcome) -> Vec<Contrast> {
        contrasts(self.losses(base), self.losses(other), &self.scenario().confidence)
    }

    /// The study's measure of an outcome.
    pub fn measured(&self, outcome: &Outcome) -> f64 {
        let losses = self.losses(&outcome.books[self.book]);
        let levels: Vec<f64> = self.measure.level().into_iter().collect();
        let found = contrasts(losses, losses, &levels).into_iter().find(|found| found.measure == self.measure);
        found.expect("one of the measures").base.value
    }

    pub fn row(
        &self,
        method: &'static str,
        measure: ContrastMeasure,
        subject: Subject<'_>,
        statistic: &'static str,
        estimate: &Estimate,
    ) -> SensitivityRow {
        let scenario = self.scenario();
        let (kind, key, name, at, law) = match subject {
            Subject::Book => ("book", String::new(), String::new(), None, None),
            Subject::Parameter(input) => ("parameter", input.key.clone(), String::new(), Some(input.value), input.law),
            Subject::Position(position) => {
                let held = &self.held().positions[position];
                let place = scenario.start.subnets.iter().position(|subnet| subnet.netuid == held.netuid);
                let name = place.map_or(String::new(), |place| scenario.subnet_names[place].clone());
                ("position", held.netuid.to_string(), name, Some(held.alpha), None)
            }
        };
        SensitivityRow {
            method,
            book: self.held().name.clone(),
            horizon_days: scenario.horizon_days(),
            currency: self.currency.name(),
            basis: self.basis.name(),
            paths: scenario.paths,
            measure: measure.name(),
            holding: String::new(),
            level: measure.level(),
            kind,
            key,
            name,
            at,
            scale: law.map_or("", |law| law.scale.name()),
            input_standard_error: law.map(|law| law.standard_error),
            statistic,
            value: estimate.value,
            standard_error: estimate.standard_error,
            ci_low: estimate.ci_low,
            ci_high: estimate.ci_high,
            samples: estimate.samples,
        }
    }

    fn table<'a>(&self, rows: &'a [SensitivityRow]) -> SensitivityTable<'a> {
        let top = self.scenario().confidence.iter().copied().fold(0.0, f64::max);
        let others =
            [ContrastMeasure::MeanLoss, ContrastMeasure::ExpectedShortfall(top), ContrastMeasure::DeregisteredHoldings];
        let others = others.into_iter().filter(|other| *other != self.measure);
        SensitivityTable { rows, runs: self.runs(), measures: [self.measure].into_iter().chain(others).collect() }
    }
}

fn is_idle(policy: &BookPolicy) -> bool {
    policy.policy == Policy::Hold
}

/// The parameters of the flag, and whether positions are among what it names; without it, those of `[uncertainty]`.
fn inputs(scenario: &Scenario, keys: &[String]) -> Result<(Vec<Input>, bool), BadInput> {
    if keys.is_empty() {
        return Ok((Input::uncertain(scenario)?, false));
    }
    let (positions, keys): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| key.as_str() == POSITIONS);
    let mut inputs: Vec<Input> = Vec::new();
    for given in keys {
        let input = Input::new(scenario, given)?;
        if inputs.iter().any(|other| other.key == input.key) {
            return Err(BadInput(format!("--keys {given}: named twice")));
        }
        inputs.push(input);
    }
    Ok((inputs, !positions.is_empty()))
}

fn measure(scenario: &Scenario, args: &SensitivityArgs) -> Result<ContrastMeasure, BadInput> {
    let levels = &scenario.confidence;
    let level = args.level.unwrap_or(levels.iter().copied().fold(0.0, f64::max));
    if !levels.contains(&level) {
        let known = levels.iter().map(|level| table::percent_label(*level)).collect::<Vec<_>>().join(", ");
        return Err(BadInput(format!("--level {level}: not in run.confidence of the scenario ({known})")));
    }
    Ok(match args.measure {
        MeasureChoice::Mean => ContrastMeasure::MeanLoss,
        MeasureChoice::Var => ContrastMeasure::ValueAtRisk(level),
        MeasureChoice::Es => ContrastMeasure::ExpectedShortfall(level),
        MeasureChoice::Deregistered => ContrastMeasure::DeregisteredHoldings,
    })
}
