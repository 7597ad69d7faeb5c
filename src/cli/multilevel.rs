//! `taorisk multilevel`: means at short steps from many paths of long steps and few of short ones.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;
use clap::value_parser;
use indicatif::ProgressBar;

use crate::cli::args::ScenarioOptions;
use crate::cli::error::BadInput;
use crate::cli::multilevel_table;
use crate::cli::print_result;
use crate::cli::reduction;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::study::StudyFlags;
use crate::cli::table;
use crate::cli::table::Style;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::output::multilevel::MultilevelRow;
use crate::output::table_file;
use crate::risk::estimate::Estimate;
use crate::risk::ladder;
use crate::risk::ladder::KnownRate;
use crate::risk::ladder::LEVELS_MAX;
use crate::risk::ladder::Ladder;
use crate::risk::ladder::Measure;
use crate::risk::multilevel as estimator;
use crate::risk::multilevel::Goal;
use crate::risk::multilevel::LevelSums;
use crate::risk::multilevel::Multilevel;
use crate::risk::multilevel::Tolerance;
use crate::risk::rate_law::RateLaw;
use crate::risk::recorder::RecordPlan;
use crate::risk::recorder::RunRecorder;

/// Relative error that is asked for where no flag says what.
const RELATIVE_DEFAULT: f64 = 0.1;

/// Shown below the help.
pub const EXAMPLES: &str = "\
Level 0 has the scenario's steps. Each further level has shorter ones and adds the mean of what they change, on paths that are \
simulated with both lengths of step on the same chance: these differ little, so that few of the dear ones are needed. The sum has the \
mean of the finest level. Levels are added until what the last two say of still shorter steps is within the error, or to --finest.

--error and --relative bound the root mean square error of one measure of the first book, half of its square for chance and half for \
the bias of the steps; the other measures come from the same paths. Paths are shared out by cost in steps, never by the clock: the \
result depends on nothing but the command.

Examples:
  taorisk multilevel                                             mean P&L to 10 % of itself
  taorisk multilevel my/scenario.toml --error 2 --finest 60      to 2 TAO, steps of 12 minutes at the finest
  taorisk multilevel --measure loss-usd --error 0.005            a probability
  taorisk multilevel --error 2 --json > table.json";

/// Measures that an error may be asked for, in the order of [`Measure::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Asked {
    /// Mean P&L at spot (TAO)
    Pnl,
    /// Mean P&L sold through the pools (TAO)
    Liquidation,
    /// Mean P&L at spot (USD)
    PnlUsd,
    /// Mean P&L sold through the pools (USD)
    LiquidationUsd,
    /// Probability of a loss at spot in TAO
    Loss,
    /// Probability of a loss at spot in USD
    LossUsd,
    /// Probability that any holding is deregistered
    Deregistered,
}

/// Arguments of `multilevel`.
#[derive(Clone, Debug, Args)]
pub struct MultilevelArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags that go before keys of the scenario; `--paths` is refused.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// What the error is of
    #[arg(long, value_enum, default_value = "pnl")]
    pub measure: Asked,
    /// Largest root mean square error, in the unit of the measure
    #[arg(long, value_name = "ERROR", value_parser = positive, conflicts_with = "relative")]
    pub error: Option<f64>,
    /// The same as a fraction of the measure [default: 0.1]
    #[arg(long, value_name = "PART", value_parser = positive)]
    pub relative: Option<f64>,
    /// Blocks per step of the finest level that may be needed, a divisor of the scenario's
    #[arg(long, value_name = "BLOCKS", default_value_t = 360, value_parser = value_parser!(u64).range(1..))]
    pub finest: u64,
    /// By how much steps are shortened from level to level where that divides them; else by 5, 4, 3 or 2
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u64).range(2..=6))]
    pub factor: u64,
    /// Paths of each level to begin with
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = value_parser!(u64).range(20..=100_000))]
    pub pilot: u64,
    /// Flags of a study.
    #[command(flatten)]
    pub study: StudyFlags,
}

fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| "must be a finite number > 0".to_owned())
}

impl MultilevelArgs {
    fn sets(&self, key: &str) -> bool {
        self.options.set.iter().any(|given| given.split('=').next().unwrap_or_default().trim() == key)
    }

    fn goal(&self) -> Goal {
        let relative = Tolerance::Relative(self.relative.unwrap_or(RELATIVE_DEFAULT));
        let error = self.error.map_or(relative, Tolerance::Absolute);
        Goal { measure: self.measure as usize, error, pilot: self.pilot }
    }
}

/// Estimates means at short steps and prints them.
///
/// # Errors
/// Levels, a scenario or file that are refused; an interruption; a failed simulation or write.
pub fn multilevel(args: &MultilevelArgs) -> anyhow::Result<()> {
    args.study.check_file()?;
    let study = Study::new(args)?;
    let machine = Machine::with_threads(args.study.answer.threads);
    run::remark(args.study.answer.quiet, &study.announcement());
    let (stop, progress) = (run::stop_flag()?, run::progress_bar(0, "path-steps", args.study.answer.quiet));
    let found = study.estimate(args.goal(), &machine, &stop, &progress)?;
    progress.finish_and_clear();
    if !found.is_met {
        run::remark(args.study.answer.quiet, &study.unmet(&found));
    }
    let (rows, identity) = (study.rows(&found), run::identity(study.scenario()));
    args.study.write_file(&identity, &rows)?;
    let text = match args.study.answer.json {
        true => table_file::json(&identity, &rows),
        false => multilevel_table::text(&rows, args.measure as usize, Style::detect()),
    };
    print_result(text.as_bytes())
}

/// A scenario at each length of steps.
struct Study {
    scenarios: Vec<Scenario>,
    ladder: Ladder,
}

impl Study {
    fn new(args: &MultilevelArgs) -> anyhow::Result<Self> {
        if args.options.paths.is_some() || args.sets("run.paths") {
            Err(BadInput("--paths: levels have as many as the error takes; say --error or --relative".to_owned()))?;
        }
        if args.sets("run.blocks_per_step") {
            Err(BadInput("--set run.blocks_per_step: say --blocks-per-step, which levels go below".to_owned()))?;
        }
        let first = Scenario::load(args.scenario.as_deref(), &args.options.overrides())?;
        if first.replication.is_some() {
            Err(BadInput(format!(
                "{}: multilevel couples paths under one set of parameters; set run.parameter_uncertainty = false",
                first.name
            )))?;
        }
        let lengths = lengths(first.blocks_per_step, args)?;
        let shorter = lengths[1..].iter().map(|&blocks| at_length(args, blocks));
        let scenarios: Vec<Scenario> = std::iter::once(Ok(first)).chain(shorter).collect::<anyhow::Result<_>>()?;
        let plans = scenarios.iter().map(plan_of).collect();
        let ladder = Ladder::new(plans, scenarios[0].books.len(), known_rate(&scenarios[0]));
        Ok(Self { ladder, scenarios })
    }

    fn scenario(&self) -> &Scenario {
        &self.scenarios[0]
    }

    fn estimate(
        &self,
        goal: Goal,
        machine: &Machine,
        stop: &AtomicBool,
        progress: &ProgressBar,
    ) -> anyhow::Result<Multilevel> {
        let options = machine.options(0, 0);
        let simulate = |level: usize, paths: Range<u64>, sums: &mut [LevelSums]| {
            progress.inc_length((paths.end - paths.start) * self.ladder.path_steps(level));
            let recorder = |steps| recorder_of(self.scenario_of(steps));
            let simulated = self.ladder.simulate((level, paths), &options, recorder, stop, |n| progress.inc(n), sums);
            let blocks = self.scenarios[level].blocks_per_step;
            simulated.map_err(run::explain).with_context(|| format!("at {blocks} blocks per step"))
        };
        estimator::estimate(&self.ladder.rungs(), &self.ladder.units(), goal, simulate)
    }

    fn scenario_of(&self, steps: u32) -> &Scenario {
        let found = self.scenarios.iter().find(|scenario| scenario.horizon_steps == steps);
        found.expect("a level has these steps")
    }

    fn announcement(&self) -> String {
        let lengths: Vec<String> = self.scenarios.iter().map(|level| level.blocks_per_step.to_string()).collect();
        format!(
            "taorisk: paths of {} at up to {} lengths of steps (blocks): {}",
            table::days_label(self.scenario().horizon_days()),
            lengths.len(),
            lengths.join(", ")
        )
    }

    fn unmet(&self, found: &Multilevel) -> String {
        let finest = self.scenarios[found.rungs.len() - 1].blocks_per_step;
        format!(
            "taorisk: at {finest} blocks per step, the shortest, the bias may still be larger than asked; see its bound, or --finest"
        )
    }

    /// Of each measure the estimate, then the levels.
    fn rows(&self, found: &Multilevel) -> Vec<MultilevelRow> {
        (0..self.ladder.units().len())
            .flat_map(|measure| {
                let levels = (0..found.rungs.len()).map(move |level| self.level_row(found, measure, level));
                std::iter::once(self.estimate_row(found, measure)).chain(levels)
            })
            .collect()
    }

    fn estimate_row(&self, found: &Multilevel, measure: usize) -> MultilevelRow {
        let subnets = self.scenario().start.subnets.len() as f64;
        let row = self.row(measure, found.rungs.len() - 1, found.sum(measure));
        MultilevelRow {
            part: "estimate",
            bias_bound: Some(found.bias(measure)),
            variance: found.levels[0][measure].variance(),
            variance_rate: found.variance_rate(measure),
            subnet_steps: subnets * found.spent(),
            plain_subnet_steps: found.plain_cost(measure).map(|cost| subnets * cost),
            ..row
        }
    }

    fn level_row(&self, found: &Multilevel, measure: usize, level: usize) -> MultilevelRow {
        let (sums, subnets) = (&found.levels[level][measure], self.scenario().start.subnets.len() as f64);
        MultilevelRow {
            coarse_blocks_per_step: level.checked_sub(1).map(|before| self.scenarios[before].blocks_per_step as f64),
            variance: sums.variance(),
            subnet_steps: subnets * found.paths(level) as f64 * found.rungs[level].cost,
            ..self.row(measure, level, sums.mean())
        }
    }

    fn row(&self, measure: usize, level: usize, value: Option<Estimate>) -> MultilevelRow {
        let (book, measure) = (measure / Measure::ALL.len(), Measure::ALL[measure % Measure::ALL.len()]);
        let Estimate { value, standard_error, ci_low, ci_high, samples } = value.expect("a pilot of two paths or more");
        let kind = measure.kind();
        MultilevelRow {
            part: "level",
            book: self.scenario().books[book].name.clone(),
            horizon_days: self.scenario().horizon_days(),
            measure: measure.name(),
            currency: kind.map_or("", |(_, currency)| currency.name()),
            basis: kind.map_or("", |(basis, _)| basis.name()),
            blocks_per_step: self.scenarios[level].blocks_per_step,
            coarse_blocks_per_step: None,
            paths: samples,
            value,
            standard_error,
            ci_low,
            ci_high,
            bias_bound: None,
            variance: 0.0,
            variance_rate: None,
            subnet_steps: 0.0,
            plain_subnet_steps: None,
        }
    }
}

/// Lengths of steps of the levels.
fn lengths(coarsest: u64, args: &MultilevelArgs) -> Result<Vec<u64>, BadInput> {
    let finest = args.finest;
    let found =
        ladder::lengths(coarsest, finest, args.factor).filter(|lengths| (2..=LEVELS_MAX).contains(&lengths.len()));
    found.ok_or_else(|| {
        BadInput(format!(
            "--finest {finest}: must divide the scenario's {coarsest} blocks per step into more than one, by 2, 3, 4 or 5 at a time"
        ))
    })
}

/// The scenario with steps of `blocks` blocks.
fn at_length(args: &MultilevelArgs, blocks: u64) -> anyhow::Result<Scenario> {
    let overrides = Overrides { blocks_per_step: blocks.try_into().ok(), ..args.options.overrides() };
    Ok(Scenario::load(args.scenario.as_deref(), &overrides)?)
}

/// The plan of a level: paths to the horizon, without what a run does besides.
pub fn plan_of(scenario: &Scenario) -> Plan {
    Plan::new(PlanInput { steps: scenario.horizon_steps, ..run::plain_plan_of(scenario).input })
}

/// A recorder of the ends of a level's paths.
pub fn recorder_of(scenario: &Scenario) -> RunRecorder {
    let steps = vec![scenario.horizon_steps];
    let tracker = run::tracker_of(scenario, &steps);
    let plan = RecordPlan { horizon_steps: steps, event_paths: 0, sample_paths: 0, slots: 0 };
    RunRecorder::new(plan, tracker).with_factors()
}

/// The law of TAO/USD given the flows, where nothing but the common factor ties them.
pub fn known_rate(scenario: &Scenario) -> Option<KnownRate> {
    let model = &scenario.model;
    let is_known = model.market.is_none() && model.shocks.is_empty() && model.revenue.is_empty();
    is_known.then(|| KnownRate {
        law: RateLaw::new(&model.tao_usd, scenario.tao_usd_start, scenario.horizon_days()),
        openings_tao: reduction::book_openings(scenario).iter().map(|opening| opening.mark_tao).collect(),
    })
}
