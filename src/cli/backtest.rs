//! `taorisk backtest`: forecasts from past dates against what came.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use clap::value_parser;
use sha2::Digest;
use sha2::Sha256;

use crate::calibration::backtest;
use crate::calibration::backtest::BacktestOptions;
use crate::calibration::history::History;
use crate::calibration::past;
use crate::calibration::past::Depth;
use crate::calibration::past::PastOptions;
use crate::calibration::verdict;
use crate::cli::error::BadInput;
use crate::cli::history::HistoryArgs;
use crate::cli::print_result;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::input::history::HistoryDocuments;
use crate::output::backtest as output;
use crate::output::backtest::BacktestDirectory;
use crate::output::backtest_report::report;
use crate::output::parquet::Identity;
use crate::protocol::calendar;
use crate::protocol::state::ChainState;
use crate::protocol::upgrades;

/// Shown below the help.
pub const EXAMPLES: &str = "\
For each start the parameters are estimated on what was known by then, the network as observed is simulated 1, 7, 30 and \
90 days on under the rules then in force, and prices, pools, random books and deregistrations are compared with what came. \
Files: backtest.parquet (every forecast), scores.parquet, report.md.

Examples:
  taorisk backtest                                                  the built-in history, a start a week
  taorisk backtest --from 2026-01-01 --to 2026-03-01 --paths 200    a first look
  taorisk backtest panel.parquet --registrations registrations.csv --out my-backtest";

/// Arguments of `backtest`.
#[derive(Clone, Debug, Args)]
pub struct BacktestArgs {
    /// What is scored against.
    #[command(flatten)]
    pub history: HistoryArgs,
    /// First day to start from (UTC)
    #[arg(long, value_name = "DATE", default_value = "2025-07-01")]
    pub from: String,
    /// Last day to start from (UTC)
    #[arg(long, value_name = "DATE", default_value = "2026-05-19")]
    pub to: String,
    /// Days from one start to the next
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = value_parser!(u32).range(1..))]
    pub every: u32,
    /// What of the parameters is estimated from each start's past; the rest is the scenario's
    #[arg(long, value_name = "DEPTH", value_enum, default_value_t = Estimate::Drift)]
    pub estimate: Estimate,
    /// Days of flows before a start that are estimated from
    #[arg(long, value_name = "DAYS", default_value_t = 180, value_parser = value_parser!(u32).range(30..))]
    pub window: u32,
    /// Sets of parameters that are drawn for each start, its paths shared out among them
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u32).range(1..))]
    pub sets: u32,
    /// Scenario whose parameters are taken where nothing is estimated [default: the built-in one]
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Paths from each start
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u32).range(1..))]
    pub paths: u32,
    /// Seed of all chance: same inputs and seed, same files
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Directory for the files
    #[arg(long, value_name = "DIR", default_value = "backtest")]
    pub out: PathBuf,
    /// Replace another backtest that the directory holds
    #[arg(long)]
    pub force: bool,
    /// Print the scores as JSON instead of the report
    #[arg(long)]
    pub json: bool,
    /// No progress bar and no remarks; results and errors only
    #[arg(long, short)]
    pub quiet: bool,
    /// Worker threads [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// How much is estimated from the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Estimate {
    /// Nothing
    Given,
    /// Laws of flows, registrations and entrants that all subnets share
    Laws,
    /// Scale, loading and volatility of each subnet too
    Subnets,
    /// And how far the drift of the days to come may be from that of the past
    Drift,
}

impl Estimate {
    /// The same for [`crate::calibration::past`].
    pub fn depth(self) -> Depth {
        match self {
            Self::Given => Depth::Given,
            Self::Laws => Depth::Laws,
            Self::Subnets => Depth::Subnets,
            Self::Drift => Depth::Drift,
        }
    }
}

/// Horizons (days).
const HORIZONS_DAYS: [u32; 4] = [1, 7, 30, 90];
/// Random books of a date, and subnets in each.
const BOOKS: u32 = 100;
const BOOK_SIZE: usize = 10;
/// Paths of the block bootstrap, the plain rival.
const RIVAL_PATHS: u32 = 1_000;

/// Forecasts from past dates, scores them against what came, writes forecasts, scores and report, and prints the report.
///
/// # Errors
/// A file, date or directory that is refused; an interruption; a failed simulation or write.
pub fn backtest(args: &BacktestArgs) -> anyhow::Result<()> {
    let documents = args.history.documents()?;
    let (history, _) = documents.read()?;
    let machine = Machine::with_threads(args.threads);
    let options = options(args, &machine)?;
    let starts = backtest::starts(&history, &options);
    if starts.is_empty() {
        Err(BadInput(format!(
            "{}: nothing was observed on a day to start from, {} to {}",
            documents.observations.name, args.from, args.to
        )))?;
    }
    let target = BacktestDirectory::create(&args.out, args.force)?;
    let base = Scenario::load(args.scenario.as_deref(), &Overrides::default())?;
    let announcement = format!(
        "taorisk: {} starts from {} to {}, {} paths each, seed {}, into {}",
        starts.len(),
        calendar::date_text(starts[0].day),
        calendar::date_text(starts[starts.len() - 1].day),
        args.paths,
        args.seed,
        args.out.display()
    );
    run::remark(args.quiet, &announcement);
    let (stop, progress) = (run::stop_flag()?, run::progress_bar(starts.len() as u64, "starts", args.quiet));
    let past = PastOptions { depth: args.estimate.depth(), window_days: args.window, sets: args.sets, seed: args.seed };
    let mut calibrate = |known: &History, chain: &ChainState| past::parameters(known, chain, &base.model, &past);
    let forecasts = backtest::backtest(&history, &options, &mut calibrate, &stop, |_| progress.inc(1));
    progress.finish_and_clear();
    let forecasts = forecasts.map_err(run::explain)?;
    let scores = verdict::scores(&forecasts, options.every_days, options.seed);
    let identity = Identity { scenario_hash: inputs_hash(args, &documents, base.hash()), seed: options.seed };
    let report = report(&forecasts, &scores);
    target.write(&identity, &forecasts, &scores, &report)?;
    let text = if args.json { output::json(&identity, &forecasts, &scores) } else { report };
    print_result(text.as_bytes())
}

fn options(args: &BacktestArgs, machine: &Machine) -> Result<BacktestOptions, BadInput> {
    let day = |flag: &str, text: &str| {
        calendar::parse_day(text)
            .ok_or_else(|| BadInput(format!("--{flag} {text} (must be a date such as 2025-11-20)")))
    };
    let days = [day("from", &args.from)?, day("to", &args.to)?];
    if days[0] > days[1] {
        return Err(BadInput(format!("--from {} (must not be after --to {})", args.from, args.to)));
    }
    Ok(BacktestOptions {
        days,
        every_days: args.every,
        horizons_days: HORIZONS_DAYS.to_vec(),
        books: BOOKS,
        book_size: BOOK_SIZE,
        rival_paths: RIVAL_PATHS,
        seed: args.seed,
        run: machine.options(0, u64::from(args.paths)),
        rules: upgrades::params_at_block,
    })
}

/// Hash of all that results depend on but the seed.
fn inputs_hash(args: &BacktestArgs, documents: &HistoryDocuments, base: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(format!(
        "taorisk-backtest/1 {base} {} {} {} {} {:?} {} {}",
        args.from, args.to, args.every, args.paths, args.estimate, args.window, args.sets
    ));
    let optional = [&documents.registrations, &documents.tao_usd, &documents.root_stake];
    for document in [&documents.observations].into_iter().chain(optional.into_iter().flatten()) {
        hash.update(Sha256::digest(&document.bytes));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
