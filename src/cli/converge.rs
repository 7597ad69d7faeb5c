//! `taorisk converge`: the same chance at several step lengths, and how far results depend on the step.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;

use crate::cli::error::BadInput;
use crate::cli::print_result;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::study::StudyFlags;
use crate::cli::table;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::engine::run as engine_run;
use crate::output::convergence::ConvergenceRow;
use crate::output::table_file;
use crate::risk::convergence::BOUND_ERRORS;
use crate::risk::convergence::Comparison;
use crate::risk::convergence::Measure;
use crate::risk::convergence::Outcomes;
use crate::risk::convergence::compare;
use crate::risk::convergence::published;
use crate::risk::convergence::telescope;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::RecordPlan;
use crate::risk::recorder::RunRecorder;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;

/// Fewest paths of a pair; errors of so few are already rough.
const PATHS_MIN: u64 = 20;
/// Width of the labels at the left.
const LABEL_WIDTH: usize = 28;
/// Width of a cell; three of them and a label are 97 columns.
const CELL_WIDTH: usize = 23;
/// Pairs of levels side by side.
const CELLS: usize = 3;

/// Arguments of `converge`.
#[derive(Clone, Debug, Args)]
pub struct ConvergeArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Paths of each pair of levels, or a number for every pair, the coarsest first
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1000")]
    pub paths: Vec<u64>,
    /// Blocks per step of the levels, the coarsest first; divisors of 7200
    #[arg(long, value_name = "BLOCKS", value_delimiter = ',', default_value = "7200,3600,1200,360,60")]
    pub levels: Vec<u64>,
    /// Seed of all chance [key: run.seed]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// How far each path goes, in days [key: run.horizon_days]
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
    pub horizon_days: Option<f64>,
    /// Positions, CSV or Parquet with netuid and alpha or value_tao [key: input.positions]
    #[arg(long, value_name = "FILE")]
    pub positions: Option<PathBuf>,
    /// Chain snapshot, CSV or Parquet, one row per subnet [key: input.snapshot]
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// Flags of a study.
    #[command(flatten)]
    pub study: StudyFlags,
}

impl ConvergeArgs {
    /// What goes before keys of the scenario: flags, and the coarsest level's steps.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            seed: self.seed,
            horizon_days: self.horizon_days,
            blocks_per_step: self.levels.first().and_then(|&blocks| blocks.try_into().ok()),
            snapshot: self.snapshot.clone(),
            positions: self.positions.clone(),
            ..Overrides::default()
        }
    }
}

/// Simulates consecutive levels in pairs and prints how far they differ and how far each is from the finest.
///
/// # Errors
/// Levels, paths, a scenario or file that are refused; an interruption; a failed simulation or write.
pub fn converge(args: &ConvergeArgs) -> anyhow::Result<()> {
    args.study.check_file()?;
    let study = Study::new(args)?;
    let machine = Machine::with_threads(args.study.answer.threads);
    run::remark(args.study.answer.quiet, &study.announcement());
    let (stop, progress) =
        (run::stop_flag()?, run::progress_bar(study.path_steps(), "path-steps", args.study.answer.quiet));
    let pairs = study.simulate(&machine, &stop, &progress)?;
    progress.finish_and_clear();
    let tables = Tables::new(&study, &pairs);
    let (rows, identity) = (tables.rows(), run::identity(&study.scenario));
    args.study.write_file(&identity, &rows)?;
    let text = if args.study.answer.json { table_file::json(&identity, &rows) } else { tables.text() };
    print_result(text.as_bytes())
}

/// What is simulated: levels from the coarsest to the finest, and paths of each pair of them.
struct Study {
    scenario: Scenario,
    levels: Vec<u64>,
    paths: Vec<u64>,
}

impl Study {
    fn new(args: &ConvergeArgs) -> anyhow::Result<Self> {
        check_levels(&args.levels)?;
        let paths = paths_of_pairs(&args.paths, args.levels.len() - 1)?;
        let scenario = Scenario::load(args.scenario.as_deref(), &args.overrides())?;
        if scenario.replication.is_some() {
            Err(BadInput(format!(
                "{}: converge compares independent paths; set run.parameter_uncertainty = false (the bias of a step is that \
                 of the scenario's own parameters)",
                scenario.name
            )))?;
        }
        let blocks = u64::from(scenario.horizon_steps) * scenario.blocks_per_step;
        if let Some(level) = args.levels.iter().find(|&&level| !blocks.is_multiple_of(level)) {
            Err(BadInput(format!("--levels: {level} does not divide the horizon of {blocks} blocks")))?;
        }
        Ok(Self { scenario, levels: args.levels.clone(), paths })
    }

    /// Pairs of consecutive levels, with the first path and the number of paths of each: no path serves twice.
    fn pairs(&self) -> impl Iterator<Item = (u64, u64, u64, u64)> {
        let pairs = self.levels.windows(2).zip(&self.paths);
        pairs.scan(0, |first, (pair, &paths)| {
            *first += paths;
            Some((pair[0], pair[1], *first - paths, paths))
        })
    }

    fn steps(&self, blocks: u64) -> u32 {
        (u64::from(self.scenario.horizon_steps) * self.scenario.blocks_per_step / blocks) as u32
    }

    fn path_steps(&self) -> u64 {
        let steps = |blocks| u64::from(self.steps(blocks));
        self.pairs().map(|(coarse, fine, _, paths)| paths * (steps(coarse) + steps(fine))).sum()
    }

    /// Every subnet of the snapshot.
    fn subnets(&self) -> Vec<NetUid> {
        self.scenario.start.subnets.iter().map(|subnet| subnet.netuid).collect()
    }

    /// Those that a book holds.
    fn held(&self) -> Vec<NetUid> {
        let positions = self.scenario.books.iter().flat_map(|book| &book.positions);
        positions.map(|position| position.netuid).collect()
    }

    /// All measures of each pair.
    fn simulate(
        &self,
        machine: &Machine,
        stop: &AtomicBool,
        progress: &ProgressBar,
    ) -> anyhow::Result<Vec<Vec<Comparison>>> {
        let subnets = self.subnets();
        let pairs = self.pairs().map(|(coarse, fine, first_path, paths)| {
            let drawn = shared_draw(coarse, fine);
            let level = |blocks: u64| {
                let draws = (blocks / drawn) as u32;
                self.simulate_level(machine, stop, progress, (blocks, draws), (first_path, paths))
            };
            let outcomes = [level(coarse)?, level(fine)?];
            Ok(compare(&outcomes[0], &outcomes[1], &self.scenario.confidence, &subnets))
        });
        pairs.collect()
    }

    /// One level with steps of `blocks` blocks that take their chance from `draws` shorter ones.
    fn simulate_level(
        &self,
        machine: &Machine,
        stop: &AtomicBool,
        progress: &ProgressBar,
        (blocks, draws): (u64, u32),
        (first_path, paths): (u64, u64),
    ) -> anyhow::Result<Outcomes> {
        let steps = self.steps(blocks);
        let input = run::plan_of(&self.scenario).input;
        let plan = Plan::new(PlanInput { blocks_per_step: blocks, draw_refinement: draws, steps, ..input });
        let mut outcomes = Outcomes::new(self.scenario.books.len());
        let consume = |batch: BatchRecord| {
            outcomes.push(&batch);
            progress.inc(batch.count as u64 * u64::from(steps));
            ControlFlow::Continue(())
        };
        let recorder = || recorder(&self.scenario, steps);
        engine_run::run(&plan, &machine.options(first_path, paths), recorder, consume, stop)
            .map_err(run::explain)
            .with_context(|| format!("at {blocks} blocks per step"))?;
        Ok(outcomes)
    }

    fn announcement(&self) -> String {
        let pairs = self.pairs().map(|(coarse, fine, _, paths)| format!("{paths} of {coarse} and {fine}"));
        format!(
            "taorisk: paths of {} days at two lengths of steps (blocks) each: {}; {:.1e} path-steps",
            self.scenario.horizon_days(),
            pairs.collect::<Vec<_>>().join(", "),
            self.path_steps() as f64
        )
    }
}

/// Levels that a study can be made of.
fn check_levels(levels: &[u64]) -> Result<(), BadInput> {
    let listed = levels.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let refuse = |why: String| Err(BadInput(format!("--levels {listed}: {why}")));
    if levels.len() < 2 {
        return refuse("needs at least two levels to compare".to_owned());
    }
    if let Some(level) = levels.iter().find(|&&level| level == 0 || !BLOCKS_PER_DAY.is_multiple_of(level)) {
        return refuse(format!("{level} is no divisor of {BLOCKS_PER_DAY}"));
    }
    match levels.windows(2).find(|pair| pair[0] <= pair[1]) {
        Some(pair) => refuse(format!("{} is not less than {}, the level before", pair[1], pair[0])),
        None => Ok(()),
    }
}

/// Length of the steps whose draws two levels can share: both are made of whole ones.
fn shared_draw(coarse: u64, fine: u64) -> u64 {
    if fine == 0 { coarse } else { shared_draw(fine, coarse % fine) }
}

/// Paths of each pair of levels, from one number for all or one for each.
fn paths_of_pairs(paths: &[u64], pairs: usize) -> Result<Vec<u64>, BadInput> {
    let paths = if let [one] = *paths { vec![one; pairs] } else { paths.to_vec() };
    if paths.len() != pairs {
        return Err(BadInput(format!("--paths: {} numbers for {pairs} pairs of levels", paths.len())));
    }
    if let Some(few) = paths.iter().find(|&&paths| paths < PATHS_MIN) {
        return Err(BadInput(format!("--paths {few}: needs at least {PATHS_MIN}")));
    }
    let total = paths.iter().fold(0, |sum: u64, &paths| sum.saturating_add(paths));
    if total > u64::from(u32::MAX) {
        return Err(BadInput(format!("--paths: {total} in all, more than {}", u32::MAX)));
    }
    Ok(paths)
}

/// Keeps the ends of all paths, their registrations and deregistrations.
fn recorder(scenario: &Scenario, steps: u32) -> RunRecorder {
    let tracker = run::tracker_of(scenario, &[steps]);
    let plan = RecordPlan { horizon_steps: vec![steps], event_paths: u64::MAX, sample_paths: 0, slots: 0 };
    RunRecorder::new(plan, tracker)
}

/// Two levels and their measures.
struct LevelTable {
    coarse: u64,
    fine: u64,
    comparisons: Vec<Comparison>,
}

/// What is printed and written: pairs of levels, and levels against the finest.
struct Tables<'a> {
    study: &'a Study,
    pairs: Vec<LevelTable>,
    levels: Vec<LevelTable>,
}

impl<'a> Tables<'a> {
    fn new(study: &'a Study, pairs: &[Vec<Comparison>]) -> Self {
        let held = study.held();
        let tables = |comparisons: &[Vec<Comparison>], finest: Option<u64>| {
            let levels = study.levels.windows(2).zip(comparisons);
            let table = |(pair, comparisons): (&[u64], &Vec<Comparison>)| LevelTable {
                coarse: pair[0],
                fine: finest.unwrap_or(pair[1]),
                comparisons: published(comparisons, &held),
            };
            levels.map(table).collect::<Vec<_>>()
        };
        let finest = study.levels.last().copied();
        Self { study, pairs: tables(pairs, None), levels: tables(&telescope(pairs), finest) }
    }

    fn rows(&self) -> Vec<ConvergenceRow> {
        let rows = |comparison, tables: &[LevelTable]| -> Vec<ConvergenceRow> {
            let rows = tables.iter().flat_map(|table| table.comparisons.iter().map(move |found| (table, found)));
            rows.map(|(table, found)| self.row(comparison, table, found)).collect()
        };
        [rows("pair", &self.pairs), rows("level", &self.levels)].concat()
    }

    fn row(&self, comparison: &'static str, table: &LevelTable, found: &Comparison) -> ConvergenceRow {
        let scenario = &self.study.scenario;
        ConvergenceRow {
            comparison,
            coarse_blocks_per_step: table.coarse,
            fine_blocks_per_step: table.fine,
            paths: found.difference.samples,
            horizon_days: scenario.horizon_days(),
            measure: found.measure.name(),
            book: found.measure.book().map_or(String::new(), |book| scenario.books[book].name.clone()),
            netuid: found.measure.netuid().map_or(0, |netuid| u32::from(netuid.0)),
            level: found.measure.level(),
            difference: found.difference.value,
            standard_error: found.difference.standard_error,
            monte_carlo_error: found.monte_carlo_error,
            verdict: found.verdict().name(),
        }
    }

    fn text(&self) -> String {
        let mut text = "Finer minus coarser level on the same chance (one standard error)\n".to_owned();
        for pairs in self.pairs.chunks(CELLS) {
            text.push_str(&self.pairs_text(pairs));
        }
        for level in &self.levels {
            text.push_str(&self.level_text(level));
        }
        text
    }

    fn pairs_text(&self, pairs: &[LevelTable]) -> String {
        let heads = pairs.iter().map(|pair| format!("{} - {}", pair.fine, pair.coarse));
        let paths = pairs.iter().map(|pair| format!("{} paths", pair.comparisons[0].difference.samples));
        let mut text = line("blocks per step", heads) + &line("", paths);
        for (index, first) in pairs[0].comparisons.iter().enumerate() {
            let cells = pairs.iter().map(|pair| cell(&pair.comparisons[index]));
            text.push_str(&line(&self.label(first.measure), cells));
        }
        text + "\n"
    }

    fn level_text(&self, level: &LevelTable) -> String {
        let mut text = format!(
            "{} blocks per step: bias against {} ± {BOUND_ERRORS} standard errors, and Monte Carlo error at 1e6 paths\n",
            level.coarse, level.fine
        );
        for found in &level.comparisons {
            let (bias, margin) = (-found.difference.value, BOUND_ERRORS * found.difference.standard_error);
            let decimals = table::decimals(margin);
            let bias = format!("{} ± {}", table::grouped(bias, decimals), known(margin, decimals));
            let error = found.monte_carlo_error;
            let cells = [bias, known(error, table::decimals(error)), found.verdict().name().to_owned()];
            let subnet = match found.measure {
                Measure::LargestSubnetDeregistered(netuid) => format!(", {netuid}"),
                _ => String::new(),
            };
            text.push_str(&line(&(self.label(found.measure) + &subnet), cells));
        }
        text + "\n"
    }

    fn label(&self, measure: Measure) -> String {
        let books = &self.study.scenario.books;
        let book = measure.book().filter(|_| books.len() > 1).map(|book| table::printable(&books[book].name) + ": ");
        let what = match measure {
            Measure::MeanPnl(_) => "mean P&L, TAO".to_owned(),
            Measure::ValueAtRisk(_, level) => format!("value at risk {}, TAO", table::percent_label(level)),
            Measure::ExpectedShortfall(_, level) => format!("shortfall {}, TAO", table::percent_label(level)),
            Measure::HoldingDeregistered(_) => "any holding deregistered".to_owned(),
            Measure::Registrations => "registrations".to_owned(),
            Measure::SubnetDeregistered(netuid) => format!("{netuid} deregistered"),
            Measure::LargestSubnetDeregistered(_) => "largest of all".to_owned(),
        };
        book.unwrap_or_default() + &what
    }
}

/// Difference and standard error to two digits of the latter.
fn cell(found: &Comparison) -> String {
    let error = found.difference.standard_error;
    let decimals = table::decimals(error);
    let subnet = match found.measure {
        Measure::LargestSubnetDeregistered(netuid) => format!("{netuid} "),
        _ => String::new(),
    };
    format!("{subnet}{} ({})", table::grouped(found.difference.value, decimals), known(error, decimals))
}

/// An error, where there are paths enough to say.
fn known(error: f64, decimals: usize) -> String {
    if error.is_finite() { table::grouped(error, decimals) } else { "n/a".to_owned() }
}

/// A label at the left and cells flush right.
fn line(label: &str, cells: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("{label:<LABEL_WIDTH$}");
    for cell in cells {
        let _ = write!(text, "{cell:>CELL_WIDTH$}");
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}
