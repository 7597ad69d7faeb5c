//! `taorisk liquidity`: what leaving costs against size and days, in the tail as well, and how large the book may be.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Args;
use indicatif::ProgressBar;

use crate::cli::args::ScenarioOptions;
use crate::cli::attribute::book_named;
use crate::cli::error::BadInput;
use crate::cli::print_result;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::study::StudyFlags;
use crate::cli::table;
use crate::cli::table::Style;
use crate::config::scenario::Scenario;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::engine::record::PathRow;
use crate::engine::record::PositionValue;
use crate::engine::run as engine_run;
use crate::output::liquidity;
use crate::output::liquidity::CapacityRow;
use crate::output::liquidity::LiquidityRow;
use crate::portfolio::exit::ExitPlan;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::portfolio::tracker::BookTracker;
use crate::protocol::pool::Pool;
use crate::risk::estimate::Estimate;
use crate::risk::liquidity as costs;
use crate::risk::liquidity::Capacity;
use crate::risk::liquidity::ExitCost;
use crate::risk::liquidity::Leaving;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::RecordPlan;
use crate::risk::recorder::RunRecorder;
use crate::units::BLOCKS_PER_DAY;
use crate::units::NetUid;

/// Paths where `--paths` does not say.
const PATHS_DEFAULT: i64 = 5_000;
/// Most days of an exit, and before it.
const DAYS_MAX: f64 = 365.0;
/// Multiples of the book where `--size` does not say.
const SIZES_DEFAULT: [f64; 6] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Fewest paths in the tail.
const TAIL_MIN: f64 = 20.0;

/// Shown below the help.
pub const EXAMPLES: &str = "\
The book, and multiples of it, begins to leave on a day and sells its positions over so many days, at most a part of each pool's alpha \
a day and what is left at the end of the last, each size in copies of the pools, while flows, emission and deregistrations go on. The \
cost is what that brings less the value at spot when it begins; with 0 days all is sold at once. In the tail: on the paths where the \
book has lost most by then, where others have left before it. Policies are not followed.

Examples:
  taorisk liquidity                                            the built-in book after 30 days, 5,000 paths
  taorisk liquidity my/scenario.toml --size 1,2,5 --days 0,10  three sizes, at once and over ten days
  taorisk liquidity my/scenario.toml --limit 0.05              the largest book that leaves for 5 %
  taorisk liquidity my/scenario.toml --after 7 --out exit.csv";

/// Arguments of `liquidity`.
#[derive(Clone, Debug, Args)]
pub struct LiquidityArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags that go before keys of the scenario; 5,000 paths where `--paths` is not given.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// Book that leaves [default: the first]
    #[arg(long, value_name = "NAME")]
    pub book: Option<String>,
    /// Multiples of the book [default: those of 0.1, 0.5, 1, 2, 5, 10 that do not hold more than is staked]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub size: Vec<f64>,
    /// Days over which it leaves; 0 is at once
    #[arg(long, value_name = "DAYS,...", value_delimiter = ',', default_values_t = [0.0, 1.0, 5.0, 10.0, 30.0])]
    pub days: Vec<f64>,
    /// Most alpha sold a day, as a fraction of the pool's
    #[arg(long, value_name = "FRACTION", default_value_t = 0.01)]
    pub participation: f64,
    /// Days after the start on which it begins to leave, in whole steps
    #[arg(long, value_name = "DAYS", default_value_t = 30.0)]
    pub after: f64,
    /// Largest cost of the book whose size is asked for (fraction)
    #[arg(long, value_name = "FRACTION", default_value_t = 0.1)]
    pub limit: f64,
    /// The tail is the 1 - LEVEL share of paths with the largest losses
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    pub level: f64,
    /// Flags of a study.
    #[command(flatten)]
    pub study: StudyFlags,
}

/// Simulates exits of every length and prints what they cost.
///
/// # Errors
/// A scenario, book, size, time or file that is refused; an interruption; a failed simulation or write.
pub fn liquidity(args: &LiquidityArgs) -> anyhow::Result<()> {
    args.study.check_file()?;
    let study = Study::new(args)?;
    let machine = Machine::with_threads(args.study.answer.threads);
    run::remark(args.study.answer.quiet, &study.announcement());
    let total = study.scenario.paths * study.exit_steps.len() as u64;
    let (stop, progress) = (run::stop_flag()?, run::progress_bar(total, "paths", args.study.answer.quiet));
    let found = study.simulate(&machine, &stop, &progress)?;
    progress.finish_and_clear();
    let (rows, capacity) = (study.rows(&found), study.capacities(&found));
    let identity = run::identity(&study.scenario);
    args.study.write_file(&identity, &rows)?;
    let text = if args.study.answer.json {
        liquidity::json(&identity, &capacity, &rows)
    } else {
        study.text(&found, Style::detect())
    };
    print_result(text.as_bytes())
}

/// Who leaves, when, and how.
struct Study {
    scenario: Scenario,
    /// The book, then each multiple of it.
    books: Vec<Book>,
    /// Value (TAO) of the book at spot at the start.
    opening_tao: f64,
    sizes: Vec<f64>,
    days: Vec<f64>,
    exit_steps: Vec<u32>,
    begin_step: u32,
    after_days: f64,
    participation: f64,
    level: f64,
    limit: f64,
}

impl Study {
    fn new(args: &LiquidityArgs) -> anyhow::Result<Self> {
        let overrides = args.options.overrides_with_paths(PATHS_DEFAULT);
        let scenario = Scenario::load(args.scenario.as_deref(), &overrides)?;
        let book = &scenario.books[book_named(&scenario, args.book.as_deref())?];
        let sizes = sizes(&scenario, book, &args.size)?;
        let allowed = format!("days from 0 to {DAYS_MAX}");
        let days = ascending("--days", &args.days, |days| (0.0..=DAYS_MAX).contains(&days), &allowed)?;
        let fraction = |flag: &str, value: f64| match value > 0.0 && value <= 1.0 {
            true => Ok(value),
            false => Err(BadInput(format!("{flag} {value}: must be above 0 and at most 1"))),
        };
        let exit_steps = days.iter().map(|days| steps_of("--days", *days, scenario.blocks_per_step));
        let begin_step = steps_of("--after", args.after, scenario.blocks_per_step)?;
        if begin_step == 0 || args.after > DAYS_MAX {
            Err(BadInput(format!("--after {}: must be from one step to {DAYS_MAX} days", args.after)))?;
        }
        check_tail(args.level, scenario.paths)?;
        let scaled = std::iter::once(book.clone()).chain(sizes.iter().map(|size| scaled(book, *size)));
        Ok(Self {
            books: scaled.collect(),
            opening_tao: opening_tao(&scenario, book),
            exit_steps: exit_steps.collect::<Result<_, _>>()?,
            begin_step,
            after_days: args.after,
            participation: fraction("--participation", args.participation)?,
            limit: fraction("--limit", args.limit)?,
            level: args.level,
            sizes,
            days,
            scenario,
        })
    }

    /// Costs by days, then size.
    fn simulate(
        &self,
        machine: &Machine,
        stop: &AtomicBool,
        progress: &ProgressBar,
    ) -> anyhow::Result<Vec<Vec<ExitCost>>> {
        let exits = self.exit_steps.iter().map(|&steps| self.simulate_exit(steps, machine, stop, progress));
        exits.collect()
    }

    /// Costs of an exit of so many steps, by size.
    fn simulate_exit(
        &self,
        exit_steps: u32,
        machine: &Machine,
        stop: &AtomicBool,
        progress: &ProgressBar,
    ) -> anyhow::Result<Vec<ExitCost>> {
        let input = run::plan_of(&self.scenario).input;
        let plan = Plan::new(PlanInput { steps: self.begin_step + exit_steps, ..input });
        let mut losses = Vec::with_capacity(self.scenario.paths as usize);
        let mut leaving = vec![Vec::with_capacity(self.scenario.paths as usize); self.sizes.len()];
        let consume = |batch: BatchRecord| {
            let of_book = batch.positions.chunks_exact(self.books[0].positions.len());
            for (row, values) in batch.paths.iter().zip(of_book) {
                match usize::from(row.book).checked_sub(1) {
                    None => losses.push(-row.pnl_mark_tao),
                    Some(size) => leaving[size].push(self.leaving(size, row, values)),
                }
            }
            progress.inc(batch.count as u64);
            ControlFlow::Continue(())
        };
        let options = machine.options(0, self.scenario.paths);
        engine_run::run(&plan, &options, || self.recorder(exit_steps), consume, stop).map_err(run::explain)?;
        let is_tail = costs::largest_losses(&losses, self.level);
        let costs = leaving.iter().map(|paths| ExitCost::new(paths, &is_tail));
        let worthless = || BadInput("the book is worth nothing when it begins to leave".to_owned());
        Ok(costs.collect::<Option<Vec<_>>>().ok_or_else(worthless)?)
    }

    fn recorder(&self, exit_steps: u32) -> RunRecorder {
        let days_per_step = self.scenario.blocks_per_step as f64 / BLOCKS_PER_DAY as f64;
        let exit = ExitPlan { steps: exit_steps, participation_per_step: self.participation * days_per_step };
        let horizon_steps = vec![self.begin_step];
        let tracker = BookTracker::new(self.books.clone(), horizon_steps.clone(), self.scenario.protocol.fee_rate)
            .with_exit((exit_steps > 0).then_some(exit));
        RunRecorder::new(RecordPlan { horizon_steps, event_paths: 0, sample_paths: 0, slots: 0 }, tracker)
    }

    /// What is held is sold; what was paid for deregistered holdings before is not part of it.
    fn leaving(&self, size: usize, row: &PathRow, values: &[PositionValue]) -> Leaving {
        let earned_tao: f64 = values.iter().map(|value| value.earned_tao).sum();
        let opening_tao = self.opening_tao * self.sizes[size];
        let brought_tao = opening_tao + row.pnl_exit_tao.unwrap_or(row.pnl_liquidation_tao);
        Leaving { mark_tao: values.iter().map(|value| value.mark_tao).sum(), proceeds_tao: brought_tao - earned_tao }
    }

    fn announcement(&self) -> String {
        format!(
            "taorisk: {} of {} paths, exits of {} sizes that begin after {}",
            if self.days.len() == 1 { "one run".to_owned() } else { format!("{} runs", self.days.len()) },
            self.scenario.paths,
            self.sizes.len(),
            table::days_label(self.after_days)
        )
    }

    fn rows(&self, found: &[Vec<ExitCost>]) -> Vec<LiquidityRow> {
        let of_days = self.days.iter().zip(found);
        of_days
            .flat_map(|(&days, costs)| {
                self.sizes.iter().zip(costs).map(move |(&size, cost)| self.row(days, size, cost))
            })
            .collect()
    }

    fn row(&self, exit_days: f64, size: f64, found: &ExitCost) -> LiquidityRow {
        LiquidityRow {
            book: self.books[0].name.clone(),
            after_days: self.after_days,
            exit_days,
            participation: self.participation,
            size,
            opening_tao: size * self.opening_tao,
            paths: found.mean.samples,
            sold_tao: found.sold_tao,
            cost: found.mean.value,
            cost_standard_error: found.mean.standard_error,
            level: self.level,
            tail_cost: found.in_tail.value,
            tail_cost_standard_error: found.in_tail.standard_error,
            crowding: found.crowding.value,
            crowding_standard_error: found.crowding.standard_error,
        }
    }

    fn capacity(&self, found: &[ExitCost]) -> Capacity {
        let means: Vec<Estimate> = found.iter().map(|cost| cost.mean).collect();
        Capacity::new(&self.sizes, &means, self.limit)
    }

    fn capacities(&self, found: &[Vec<ExitCost>]) -> Vec<CapacityRow> {
        let of_days = |(&exit_days, costs): (&f64, &Vec<ExitCost>)| {
            let (verdict, size) = match self.capacity(costs) {
                Capacity::Multiple(size) => ("found", Some(size)),
                Capacity::BelowSmallest => ("below_smallest", None),
                Capacity::AboveLargest => ("above_largest", None),
            };
            CapacityRow {
                exit_days,
                limit: self.limit,
                verdict,
                size: size.map(|size| size.value),
                ci_low: size.map(|size| size.ci_low),
                ci_high: size.map(|size| size.ci_high),
                opening_tao: size.map(|size| size.value * self.opening_tao),
            }
        };
        self.days.iter().zip(found).map(of_days).collect()
    }

    fn text(&self, found: &[Vec<ExitCost>], style: Style) -> String {
        let title = format!(
            "Book {}: what leaving costs that begins after {}, {} TAO at spot at the start",
            table::printable(&self.books[0].name),
            table::days_label(self.after_days),
            table::grouped(self.opening_tao, 0)
        );
        let legend = [
            format!(
                "{} paths. Cost: value at spot when it begins, less what it brings, in percent of it. At most",
                table::grouped(self.scenario.paths as f64, 0)
            ),
            format!(
                "{} of a pool's alpha a day. In the tail: the {} of paths on which the book has lost most by then.",
                table::percent_label(self.participation),
                table::percent_label(1.0 - self.level)
            ),
            "Of holdings deregistered before nothing is left to sell. A number after ± is half the width of its"
                .to_owned(),
            "95 % confidence interval.".to_owned(),
        ];
        let head = style.bold(&title) + "\n" + &legend.map(|line| style.dim(&line) + "\n").concat();
        let blocks = self.days.iter().zip(found).map(|(&days, costs)| self.block(days, costs, style));
        head + &blocks.collect::<String>()
    }

    fn block(&self, days: f64, costs: &[ExitCost], style: Style) -> String {
        let title = if days == 0.0 { "At once".to_owned() } else { format!("Over {}", table::days_label(days)) };
        let heads = ["mean cost", "in the tail", "crowding"].map(str::to_owned);
        let mut text = "\n".to_owned() + &style.bold(&table::line(&title, heads));
        for (size, cost) in self.sizes.iter().zip(costs) {
            let label = format!(" x {size}, {} TAO", table::grouped(size * self.opening_tao, 0));
            text.push_str(&table::line(&label, [cost.mean, cost.in_tail, cost.crowding].map(|cost| cost_text(&cost))));
        }
        text + &format!(" {}\n", self.capacity_text(costs))
    }

    fn capacity_text(&self, costs: &[ExitCost]) -> String {
        let limit = table::percent_label(self.limit);
        match self.capacity(costs) {
            Capacity::Multiple(size) => format!(
                "capacity at {limit}: {} TAO [{}, {}]",
                table::grouped(size.value * self.opening_tao, 0),
                table::grouped(size.ci_low * self.opening_tao, 0),
                table::grouped(size.ci_high * self.opening_tao, 0)
            ),
            Capacity::BelowSmallest => format!("capacity at {limit}: below the smallest size"),
            Capacity::AboveLargest => format!("capacity at {limit}: above the largest size"),
        }
    }
}

/// A cost in percent with its error.
fn cost_text(cost: &Estimate) -> String {
    table::with_error(&cost.scaled(100.0), "%")
}

fn scaled(book: &Book, size: f64) -> Book {
    let mut book = book.clone();
    book.name = format!("{} x {size}", book.name);
    book.positions.iter_mut().for_each(|position| position.alpha *= size);
    book
}

fn opening_tao(scenario: &Scenario, book: &Book) -> f64 {
    let subnets = &scenario.start.subnets;
    let value = |position: &Position| {
        let subnet = subnets.iter().find(|subnet| subnet.netuid == position.netuid);
        subnet.map_or(0.0, |subnet| position.alpha * Pool::from(subnet).spot_price())
    };
    book.positions.iter().map(value).sum()
}

/// Distinct values of a flag in ascending order, at least one.
fn ascending(
    flag: &str,
    values: &[f64],
    is_allowed: impl Fn(f64) -> bool,
    allowed: &str,
) -> Result<Vec<f64>, BadInput> {
    if let Some(value) = values.iter().find(|value| !is_allowed(**value)) {
        return Err(BadInput(format!("{flag} {value}: must be {allowed}")));
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    Ok(sorted)
}

/// Steps of a number of days, which must be whole.
fn steps_of(flag: &str, days: f64, blocks_per_step: u64) -> Result<u32, BadInput> {
    let steps = days * BLOCKS_PER_DAY as f64 / blocks_per_step as f64;
    match (steps - steps.round()).abs() < 1e-6 && steps >= 0.0 {
        true => Ok(steps.round() as u32),
        false => Err(BadInput(format!("{flag} {days}: must be a whole number of steps of {blocks_per_step} blocks"))),
    }
}

fn check_tail(level: f64, paths: u64) -> Result<(), BadInput> {
    if !(level > 0.5 && level < 1.0) {
        return Err(BadInput(format!("--level {level}: must be above 0.5 and below 1")));
    }
    let least = (TAIL_MIN / (1.0 - level) - 1e-6).ceil();
    match paths as f64 >= least {
        true => Ok(()),
        false => Err(BadInput(format!("--paths {paths}: needs at least {least}, {TAIL_MIN} in the tail"))),
    }
}

/// Multiples of `book`: those `asked` for, or all default ones that can be.
fn sizes(scenario: &Scenario, book: &Book, asked: &[f64]) -> Result<Vec<f64>, BadInput> {
    let (largest, netuid) = largest_size(scenario, book);
    if asked.is_empty() {
        return Ok(SIZES_DEFAULT.into_iter().filter(|size| *size <= largest).collect());
    }
    let sizes = ascending("--size", asked, |size| size > 0.0 && size.is_finite(), "numbers above 0")?;
    match sizes.iter().find(|size| !(**size <= largest)) {
        None => Ok(sizes),
        Some(size) => {
            Err(BadInput(format!("--size {size}: more of {netuid} than is staked there (allowed: up to {largest:.2})")))
        }
    }
}

/// The largest multiple of a book that holds no more than is staked, and where it ends.
fn largest_size(scenario: &Scenario, book: &Book) -> (f64, NetUid) {
    let limit = |position: &Position| {
        let subnet = scenario.start.subnets.iter().find(|subnet| subnet.netuid == position.netuid);
        (subnet.map_or(0.0, |subnet| subnet.staked_alpha) / position.alpha, position.netuid)
    };
    let limits = book.positions.iter().map(limit);
    limits.min_by(|a, b| a.0.total_cmp(&b.0)).expect("a book has a position")
}
