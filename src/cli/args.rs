//! The command line: commands, flags and their help.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap_complete::Shell;

use crate::cli::allocate;
use crate::cli::allocate::AllocateArgs;
use crate::cli::attribute;
use crate::cli::attribute::AttributeArgs;
use crate::cli::backtest;
use crate::cli::backtest::BacktestArgs;
use crate::cli::calibrate;
use crate::cli::calibrate::CalibrateArgs;
use crate::cli::converge::ConvergeArgs;
use crate::cli::ingest;
use crate::cli::ingest::IngestArgs;
use crate::cli::liquidity;
use crate::cli::liquidity::LiquidityArgs;
use crate::cli::multilevel;
use crate::cli::multilevel::MultilevelArgs;
use crate::cli::rare;
use crate::cli::rare::RareArgs;
use crate::cli::replay::ReplayArgs;
use crate::cli::report;
use crate::cli::report::ReportArgs;
use crate::cli::reverse;
use crate::cli::reverse::ReverseArgs;
use crate::cli::sensitivity;
use crate::cli::sensitivity::SensitivityArgs;
use crate::cli::shards;
use crate::cli::shards::MergeArgs;
use crate::cli::shards::Shard;
use crate::cli::stress;
use crate::cli::stress::StressArgs;
use crate::cli::summarize::Show;
use crate::cli::sweep;
use crate::cli::sweep::SweepArgs;
use crate::cli::target_error::TargetError;
use crate::cli::yuma::YumaArgs;
use crate::config::scenario::Overrides;

const LONG_ABOUT: &str = "\
Monte Carlo risk of a portfolio of Bittensor subnet tokens (alpha).

taorisk simulates many futures of the whole network under the chain's own rules - stake flows, pools, emissions, \
registrations, deregistration of the subnet with the lowest moving price - and says what a portfolio can lose, with the \
error of every number. Without a command it runs the built-in scenario: mainnet as of 2026-09-30 and a sample book. \
It needs no file and no network.";

const EXAMPLES: &str = "\
Examples:
  taorisk                                      the built-in scenario, 100,000 futures of 90 days
  taorisk --positions book.csv --paths 5000    your book, a first look
  taorisk init my && taorisk run my/scenario.toml
  taorisk check my/scenario.toml > full.toml   the complete scenario, every default filled in
  taorisk summarize runs/1a2b3c4d-1            the risk table of an earlier run

Exit codes: 0 done, 1 failed, 2 bad input, 3 interrupted.";

const RUN_EXAMPLES: &str = "\
Examples:
  taorisk run my/scenario.toml
  taorisk run my/scenario.toml --seed 2 --horizon-days 30
  taorisk run my/scenario.toml --json > table.json
  taorisk run my/scenario.toml --detail        spectral and entropic risk, ratios, drawdown, ruin as well
  taorisk run my/scenario.toml --resume        goes on where Ctrl-C or a kill stopped it
  taorisk run my/scenario.toml --shard 2/8     one part of eight, for a machine of its own; see `taorisk merge`

The run goes to runs/HASH-SEED (the first 8 digits of the scenario's hash, and the seed) unless --out names a directory. A flag goes before the key of \
the same name in the scenario.";

const CHECK_EXAMPLES: &str = "\
Examples:
  taorisk check my/scenario.toml
  taorisk check my/scenario.toml > full.toml && taorisk run full.toml";

const REPLAY_EXAMPLES: &str = "\
The path is simulated again from the scenario in the run's manifest and compared with the run's record, bit by bit. \
Amounts are in TAO, prices in TAO per alpha, days count from the start, flows and states are those after each step.

Examples:
  taorisk replay runs/1a2b3c4d-1 --path 17                              the story of path 17
  taorisk replay runs/1a2b3c4d-1 --path 17 --events --days 10..20       who came and went from day 10 to 20
  taorisk replay runs/1a2b3c4d-1 --path 17 --netuid 64,3                two subnets step by step
  taorisk replay runs/1a2b3c4d-1 --path 17 --netuid 64 --days 4..5 --blocks
  taorisk replay runs/1a2b3c4d-1 --path 17 --json > path-17.json
  taorisk replay runs/1a2b3c4d-1 --path 17 --out path-17.parquet        every subnet after every step

--blocks shows the way within each step that the step's closed form implies: the price moves evenly in logs and the \
moving price follows it block by block. It is no finer simulation: chance is drawn once per step. At the step's end the \
moving price so reached is within 6e-4 of the step's own on a subnet's first day, within 1e-4 later, both times the square \
of the step's log price move where that is above 1.";

const INIT_EXAMPLES: &str = "\
Examples:
  taorisk init           scenario.toml and positions.csv here
  taorisk init my-book   the same in the directory my-book";

const CONVERGE_EXAMPLES: &str = "\
Each pair of consecutive levels is simulated on paths of its own with the draws of the finer level (or of the longest \
step that both are made of), and compared path by path. A level's bias against the finest is the sum of the pairs between them.

Examples:
  taorisk converge                                            the built-in scenario, a first look
  taorisk converge --levels 7200,1200 --paths 20000           one pair, more paths
  taorisk converge my/scenario.toml --levels 7200,360,60 --paths 20000,500 --out table.csv";

const YUMA_EXAMPLES: &str = "\
The matrix is CSV or Parquet with a row per uid, in order from 0, and the columns
  stake       stake of the row's uid that counts in consensus: alpha plus weighted root stake, any unit
  0, 1, ...   weight that the row's uid gives to uid 0, 1, ...; relative within the row, empty is 0
  uid         optional, for the reader; counts up from 0
The uids with the largest stakes have permits. Every uid is active and registered long ago.

Examples:
  taorisk yuma weights.csv                                 what each uid earns under Yuma2
  taorisk yuma weights.parquet --yuma3 --liquid-alpha      the same with bonds of newer subnets
  taorisk yuma weights.csv --stake stakes.csv --kappa 0.6  stakes from a file of their own
  taorisk yuma weights.csv --owner 0 --json > epoch.json
  taorisk yuma --law                                       how far dividends of validators differ
  taorisk yuma --law --yuma2 --copiers 0.5 --noise 0.1     the same where half of them copy
  taorisk yuma --collusion --kappa 0.6                     what a cartel gains below and above kappa";

/// The version, with the commit where the build knew it.
const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("TAORISK_COMMIT"), ")");

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "taorisk",
    version,
    long_version = LONG_VERSION,
    about = "Monte Carlo risk of a portfolio of Bittensor subnet tokens",
    long_about = LONG_ABOUT,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    max_term_width = 110
)]
pub struct Cli {
    /// What to do; `None` runs the built-in scenario.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of that run.
    #[command(flatten)]
    pub run: RunOptions,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate a scenario, write a run directory and print the risk table
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Validate a scenario, print it complete as TOML and estimate time and memory; simulate nothing
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Make one run of all its shards, byte for byte the same as if it had never been in parts
    #[command(after_help = shards::EXAMPLES)]
    Merge(MergeArgs),
    /// Print the risk table of a finished run again, from its files
    Summarize(SummarizeArgs),
    /// Tell the story of one path of a finished run: its steps, its events, and when the book lost what
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Make one HTML page of a finished run: tables, pictures, and what moved the tail
    #[command(after_help = report::EXAMPLES)]
    Report(ReportArgs),
    /// Write a scenario and a positions file to start from
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
    /// Compare results at several step lengths on the same chance
    #[command(after_help = CONVERGE_EXAMPLES)]
    Converge(ConvergeArgs),
    /// Estimate means without the bias of long steps, at nearly their cost
    #[command(after_help = multilevel::EXAMPLES)]
    Multilevel(MultilevelArgs),
    /// Tell what part of a book's losses each driver makes: TAO/USD, flows, jumps, emission, deregistration, rules, slippage
    #[command(after_help = attribute::EXAMPLES)]
    Attribute(AttributeArgs),
    /// Tell which parameters and positions move a book's losses: slopes, Morris screening, Sobol indices
    #[command(after_help = sensitivity::EXAMPLES)]
    Sensitivity(SensitivityArgs),
    /// Run the scenario and what may befall it on the same chance, and tell what each of the library's scenarios changes
    #[command(after_help = stress::EXAMPLES)]
    Stress(StressArgs),
    /// Find the most likely way to lose a given part of a book, and write it as an overlay that reproduces the loss
    #[command(after_help = reverse::EXAMPLES)]
    Reverse(ReverseArgs),
    /// Tell the probability that a subnet is deregistered where it is too small for plain paths, by splitting
    #[command(after_help = rare::EXAMPLES)]
    Rare(RareArgs),
    /// Vary one or two keys of the scenario over values, on the same chance, and tell what each does to the losses
    #[command(after_help = sweep::EXAMPLES)]
    Sweep(SweepArgs),
    /// Tell what leaving costs against size and days, in the tail as well, and how large the book may be
    #[command(after_help = liquidity::EXAMPLES)]
    Liquidity(LiquidityArgs),
    /// Forecast from past dates with what was known then, and score the forecasts against what came
    #[command(after_help = backtest::EXAMPLES)]
    Backtest(BacktestArgs),
    /// Choose weights: mean against expected shortfall, leaving through the pools included
    #[command(after_help = allocate::EXAMPLES)]
    Allocate(AllocateArgs),
    /// Run one epoch of Yuma consensus on a matrix of weights and print what each uid earns; or simulate validator sets
    #[command(after_help = YUMA_EXAMPLES)]
    Yuma(YumaArgs),
    /// Make a snapshot or positions file of what taostats, btcli, the Bittensor SDK or a table of your own gives
    #[command(after_help = ingest::EXAMPLES)]
    Ingest(IngestArgs),
    /// Estimate the parameters from a history, each with its error, and write them as a file that scenarios read
    #[command(after_help = calibrate::EXAMPLES)]
    Calibrate(CalibrateArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page (roff): taorisk man | man -l -
    Man,
}

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags.
    #[command(flatten)]
    pub options: RunOptions,
}

/// Flags of a run.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Flags that go before keys of the scenario.
    #[command(flatten)]
    pub scenario: ScenarioOptions,
    /// Directory for the run's files [default: runs/HASH-SEED, from the scenario's hash and the seed]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Replace another run that the directory holds
    #[arg(long, help_heading = "Output")]
    pub force: bool,
    /// Go on with an interrupted run in the directory, if there is one, and keep a journal [long runs keep one anyway]
    #[arg(long, help_heading = "Output")]
    pub resume: bool,
    /// Stop after so long (90s, 10m, 2h) with the paths that are done; the files are those of a run of so many paths
    #[arg(long, value_name = "TIME", conflicts_with = "shard", help_heading = "Execution")]
    pub time_budget: Option<humantime::Duration>,
    /// Stop when MEASURE is known to ERROR (es99=1%, mean=2, var95-liquidation-usd=500, loss=0.5%: of the first book at the last
    /// horizon) by an interval that holds at all looks, or after all paths; again for more, all to be met; the files are those of a run of
    /// so many paths
    #[arg(long, value_name = "MEASURE=ERROR", conflicts_with = "shard", help_heading = "Execution")]
    pub target_error: Vec<TargetError>,
    /// Simulate part I of N only, into the directory shard-I-of-N; `taorisk merge` makes the run of all parts
    #[arg(long, value_name = "I/N", help_heading = "Execution")]
    pub shard: Option<Shard>,
    /// Print the results as JSON to standard output instead of the table
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// After the table, print the further measures of each book; --json has them anyway
    #[arg(long, help_heading = "Output")]
    pub detail: bool,
    /// No progress bar and no remarks; results and errors only
    #[arg(long, short, help_heading = "Output")]
    pub quiet: bool,
    /// Worker threads [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N", help_heading = "Execution")]
    pub threads: Option<NonZeroUsize>,
    /// Paths that a worker advances together [default: chosen by size]; results do not depend on it
    #[arg(long, value_name = "N", help_heading = "Execution")]
    pub batch: Option<NonZeroUsize>,
    /// Vector instructions [default: the best that this machine has]; results do not depend on it
    #[arg(long, value_name = "BACKEND", help_heading = "Execution")]
    pub simd: Option<SimdChoice>,
}

impl RunOptions {
    /// What is to be printed.
    pub fn show(&self) -> Show {
        Show::asked(self.json, self.detail)
    }
}

/// Flags that go before keys of the scenario.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Scenario")]
pub struct ScenarioOptions {
    /// Simulated futures [key: run.paths]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub paths: Option<i64>,
    /// Seed of all chance: same scenario and seed, same files [key: run.seed]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// How far each path goes, in days [key: run.horizon_days]
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
    pub horizon_days: Option<f64>,
    /// Blocks advanced at once, a divisor of 7200 [key: run.blocks_per_step]
    #[arg(long, value_name = "BLOCKS", allow_negative_numbers = true)]
    pub blocks_per_step: Option<i64>,
    /// Positions, CSV or Parquet with netuid and alpha or value_tao [key: input.positions]
    #[arg(long, value_name = "FILE")]
    pub positions: Option<PathBuf>,
    /// Chain snapshot, CSV or Parquet, one row per subnet [key: input.snapshot]
    #[arg(long, value_name = "FILE")]
    pub snapshot: Option<PathBuf>,
    /// Parameter file, TOML; the scenario's own keys go before its [key: input.parameters]
    #[arg(long, value_name = "FILE")]
    pub parameters: Option<PathBuf>,
    /// Overlay over the scenario; give it again for more, which may not set the same keys
    #[arg(long, value_name = "FILE")]
    pub overlay: Vec<String>,
    /// Any key, such as flow.jumps.rate_per_day=0.2, over scenario and overlays; give it again for more
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ScenarioOptions {
    /// The same for [`crate::config::scenario::Scenario::load`].
    pub fn overrides(&self) -> Overrides {
        Overrides {
            paths: self.paths,
            seed: self.seed,
            horizon_days: self.horizon_days,
            blocks_per_step: self.blocks_per_step,
            snapshot: self.snapshot.clone(),
            positions: self.positions.clone(),
            parameters: self.parameters.clone(),
            overlays: self.overlay.clone(),
            set: self.set.clone(),
            vary: Vec::new(),
        }
    }

    /// The same with so many paths where no flag says how many.
    pub fn overrides_with_paths(&self, default: i64) -> Overrides {
        let key = |given: &String| given.split('=').next().unwrap_or_default().trim().to_owned();
        let is_set = self.set.iter().map(key).any(|key| key == "run.paths" || key == "factors.run.paths");
        let paths = self.paths.or((!is_set).then_some(default));
        Overrides { paths, ..self.overrides() }
    }
}

/// Vector instructions that a run may be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SimdChoice {
    /// AVX-512 (x86-64 servers, recent desktops)
    Avx512,
    /// AVX2 with FMA (x86-64 since 2013)
    Avx2,
    /// NEON (64-bit ARM)
    Neon,
    /// No vector instructions: any machine
    Portable,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Flags that go before keys of the scenario.
    #[command(flatten)]
    pub options: ScenarioOptions,
    /// Worker threads that the estimates assume [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// No remarks and estimates; the scenario only
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `summarize`.
#[derive(Clone, Debug, Args)]
pub struct SummarizeArgs {
    /// Run directory
    #[arg(value_name = "RUN")]
    pub run_directory: PathBuf,
    /// Print the results as JSON instead of the table
    #[arg(long)]
    pub json: bool,
    /// After the table, print the further measures of each book; --json has them anyway
    #[arg(long)]
    pub detail: bool,
}

impl SummarizeArgs {
    /// What is asked for.
    pub fn show(&self) -> Show {
        Show::asked(self.json, self.detail)
    }
}

/// Arguments of `init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Directory to write to; made where it does not exist
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
    /// Overwrite scenario.toml and positions.csv
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_without_a_command_are_those_of_run() {
        let cli = Cli::try_parse_from(["taorisk", "--paths", "5", "--simd", "avx2", "--quiet"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!((cli.run.scenario.paths, cli.run.simd, cli.run.quiet), (Some(5), Some(SimdChoice::Avx2), true));
        let cli = Cli::try_parse_from(["taorisk", "run", "a.toml", "--paths", "-5", "--threads", "2"]).unwrap();
        let Some(Command::Run(args)) = cli.command else { panic!("not a run: {:?}", cli.command) };
        assert_eq!(args.scenario.as_deref(), Some("a.toml".as_ref()));
        assert_eq!(args.options.scenario.overrides(), Overrides { paths: Some(-5), ..Overrides::default() });
    }

    #[test]
    fn wrong_flags_are_refused() {
        for line in [
            &["taorisk", "--threads", "0"][..],
            &["taorisk", "--simd", "mmx"],
            &["taorisk", "no-such-command"],
            &["taorisk", "summarize"],
            &["taorisk", "--paths", "5", "check"],
            &["taorisk", "yuma"],
            &["taorisk", "yuma", "m.csv", "--kappa", "1.1"],
            &["taorisk", "yuma", "m.csv", "--kappa", "NaN"],
            &["taorisk", "yuma", "m.csv", "--liquid-alpha"],
            &["taorisk", "yuma", "m.csv", "--law"],
            &["taorisk", "yuma", "m.csv", "--sets", "5"],
            &["taorisk", "yuma", "--law", "--collusion"],
            &["taorisk", "yuma", "--law", "--owner", "0"],
            &["taorisk", "yuma", "--law", "--stake", "x"],
            &["taorisk", "yuma", "--law", "--honest-weight", "0.1"],
            &["taorisk", "yuma", "--law", "--yuma2", "--liquid-alpha"],
            &["taorisk", "yuma", "--law", "--sets", "1"],
            &["taorisk", "yuma", "--law", "--copiers", "1.5"],
            &["taorisk", "yuma", "--collusion", "--honest-weight", "1"],
            &["taorisk", "yuma", "m.csv", "--stake-threshold", "inf"],
        ] {
            assert!(Cli::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}
