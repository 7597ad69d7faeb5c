//! `taorisk allocate`: weights of least expected shortfall for each mean, leaving through the pools included.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::Args;
use clap::value_parser;
use indicatif::ProgressBar;

use crate::cli::allocation_table::Report;
use crate::cli::error::BadInput;
use crate::cli::print_result;
use crate::cli::run;
use crate::cli::run::Machine;
use crate::cli::study::CurrencyChoice;
use crate::cli::study::StudyFlags;
use crate::config::scenario::Overrides;
use crate::config::scenario::Scenario;
use crate::engine::record::PathRow;
use crate::engine::run as engine_run;
use crate::output::allocation as output;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::portfolio::tracker::BookTracker;
use crate::protocol::pool::Pool;
use crate::protocol::state::SubnetState;
use crate::risk::allocation::Allocation;
use crate::risk::measure::Currency;
use crate::risk::program::Group;
use crate::risk::program::Limits;
use crate::risk::program::ProgramError;
use crate::risk::program::ROOM_TOLERANCE;
use crate::risk::program::Returns;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::RecordPlan;
use crate::risk::recorder::RunRecorder;
use crate::units::NetUid;

/// Pools that a book may be put into where none are named.
const CANDIDATES: usize = 30;
/// Paths in the tail below which weights follow single paths.
const TAIL_PATHS_MIN: f64 = 100.0;

/// Shown below the help.
pub const EXAMPLES: &str = "\
Each candidate is simulated as a small position, held to the horizon with its dividends and payouts. Weights are chosen on these paths \
so that the expected shortfall is least for each mean, both after the cost of selling the book through its pools. Then every portfolio is a \
book of its own on as many fresh paths: what was gained by choosing on the first ones is gone there, and it is sold through the pools of \
the path. The size-blind portfolio has the largest mean at spot at the same shortfall at spot.

Examples:
  taorisk allocate                                             the 30 largest pools, the value of the sample book
  taorisk allocate my/scenario.toml --value-tao 20000 --max-weight 0.1
  taorisk allocate --all-above 20000 --horizon-days 30 --level 0.99 --paths 20000
  taorisk allocate --candidates 64,51,4,3 --currency usd --out frontier.csv
  taorisk allocate my/scenario.toml --sector compute=0.3       sectors are those of [[subnets]] in the scenario";

/// Arguments of `allocate`.
#[derive(Clone, Debug, Args)]
pub struct AllocateArgs {
    /// Scenario file (TOML); without it, the built-in scenario
    pub scenario: Option<PathBuf>,
    /// Paths that weights are chosen on; as many fresh ones judge them
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = value_parser!(u32).range(100..=1_000_000))]
    pub paths: u32,
    /// Confidence of the expected shortfall, above 0.5 and below 1
    #[arg(long, value_name = "LEVEL", default_value = "0.95", value_parser = level)]
    pub level: f64,
    /// Points of the frontier
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(2..=100))]
    pub points: u32,
    /// Largest weight of a subnet
    #[arg(long, value_name = "WEIGHT", default_value = "1", value_parser = weight)]
    pub max_weight: f64,
    /// Largest weight of the subnets of a sector; may be given for several
    #[arg(long, value_name = "NAME=WEIGHT", value_parser = sector_limit)]
    pub sector: Vec<(String, f64)>,
    /// Subnets to choose from [default: the 30 largest pools]
    #[arg(long, value_name = "NETUID,..", value_delimiter = ',', conflicts_with = "all_above")]
    pub candidates: Vec<u16>,
    /// Choose from all subnets with more TAO in their pool
    #[arg(long, value_name = "TAO", value_parser = positive)]
    pub all_above: Option<f64>,
    /// Value of the book (TAO) [default: that of the scenario's first book; another one scales that book for comparison]
    #[arg(long, value_name = "TAO", value_parser = positive)]
    pub value_tao: Option<f64>,
    /// Currency of P&L
    #[arg(long, value_enum, default_value_t = CurrencyChoice::Tao, ignore_case = true)]
    pub currency: CurrencyChoice,
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

/// P&L of a book on a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pnl {
    /// At spot.
    pub mark: f64,
    /// Sold through the pools.
    pub liquidation: f64,
}

impl Pnl {
    fn of(row: &PathRow, currency: Currency) -> Self {
        match currency {
            Currency::Tao => Self { mark: row.pnl_mark_tao, liquidation: row.pnl_liquidation_tao },
            Currency::Usd => Self { mark: row.pnl_mark_usd, liquidation: row.pnl_liquidation_usd },
        }
    }
}

/// P&L of each book, by path.
pub(super) type Outcomes = Vec<Vec<Pnl>>;

fn level(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| *value > 0.5 && *value < 1.0);
    value.ok_or_else(|| "must be above 0.5 and below 1".to_owned())
}

fn weight(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| *value > 0.0 && *value <= 1.0);
    value.ok_or_else(|| "must be above 0 and at most 1".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| *value > 0.0 && value.is_finite());
    value.ok_or_else(|| "must be a finite number > 0".to_owned())
}

fn sector_limit(text: &str) -> Result<(String, f64), String> {
    let (name, share) = text.rsplit_once('=').ok_or("must be NAME=WEIGHT")?;
    Ok((name.to_owned(), weight(share)?))
}

/// Simulates the candidates, chooses weights, judges them on fresh paths and prints the frontier.
///
/// # Errors
/// Flags, a scenario or limits that are refused; an interruption; a failed simulation, program or write.
pub fn allocate(args: &AllocateArgs) -> anyhow::Result<()> {
    args.study.check_file()?;
    let study = Study::new(args)?;
    let tail_paths = f64::from(args.paths) * (1.0 - args.level);
    if tail_paths < TAIL_PATHS_MIN {
        let enough = (TAIL_PATHS_MIN / (1.0 - args.level)).ceil();
        run::remark(
            args.study.answer.quiet,
            &format!("{tail_paths:.0} paths in the tail: weights follow single paths; --paths {enough} or more"),
        );
    }
    let machine = Machine::with_threads(args.study.answer.threads);
    let (stop, progress) =
        (run::stop_flag()?, run::progress_bar(2 * u64::from(args.paths), "paths", args.study.answer.quiet));
    let driver = Driver { study: &study, machine: &machine, stop: &stop, progress: &progress };
    let chosen_on = driver.simulate(study.candidate_books(), 0)?;
    let returns = study.returns(&chosen_on);
    let allocation = Allocation {
        book_tao: study.book_tao,
        pools: &study.pools,
        fee_rate: study.scenario.protocol.fee_rate,
        returns: &returns,
        confidence: args.level,
        limits: &study.limits,
    };
    let clock = Instant::now();
    let points = allocation.frontier(args.points as usize).map_err(|error| study.refuse(error))?;
    let seconds = clock.elapsed().as_secs_f64();
    let portfolios = points.iter().map(|point| &point.aware).chain(points.iter().map(|point| &point.blind));
    let books = [study.present.clone()].into_iter().chain(portfolios.map(|weights| study.book(weights)));
    let fresh = driver.simulate(books.collect(), u64::from(args.paths))?;
    progress.finish_and_clear();
    let report = Report::new(&study, &allocation, &points, &chosen_on[0], &fresh);
    let (rows, identity) = (report.rows(), run::identity(&study.scenario));
    args.study.write_file(&identity, &rows)?;
    let json = || output::json(&identity, study.currency.name(), &rows);
    let text = if args.study.answer.json { json() } else { report.text() };
    print_result(text.as_bytes())?;
    run::remark(args.study.answer.quiet, &format!("{} programs solved in {seconds:.1} s", 2 * points.len()));
    Ok(())
}

/// What is asked for.
pub(super) struct Study {
    pub scenario: Scenario,
    pub currency: Currency,
    pub paths: u64,
    /// Value of the book (TAO).
    pub book_tao: f64,
    /// The scenario's first book, scaled to that value.
    pub present: Book,
    pub netuids: Vec<NetUid>,
    /// Pools of the candidates at the start.
    pub pools: Vec<Pool>,
    limits: Limits,
    take: f64,
}

impl Study {
    fn new(args: &AllocateArgs) -> anyhow::Result<Self> {
        let overrides = Overrides {
            seed: args.seed,
            horizon_days: args.horizon_days,
            snapshot: args.snapshot.clone(),
            positions: args.positions.clone(),
            ..Overrides::default()
        };
        let scenario = Scenario::load(args.scenario.as_deref(), &overrides)?;
        if scenario.replication.is_some() {
            Err(BadInput(format!(
                "{}: allocate takes paths for independent; set run.parameter_uncertainty = false",
                scenario.name
            )))?;
        }
        let chosen = candidates(&scenario, args)?;
        let netuids: Vec<NetUid> = chosen.iter().map(|subnet| subnet.netuid).collect();
        let pools = chosen.into_iter().map(Pool::from).collect();
        let limits = Limits { weight_max: args.max_weight, groups: groups(&scenario, &netuids, &args.sector)? };
        let mut present = scenario.books[0].clone();
        let present_tao = value_tao(&scenario, &present);
        let book_tao = args.value_tao.unwrap_or(present_tao);
        present.positions.iter_mut().for_each(|position| position.alpha *= book_tao / present_tao);
        let take = scenario.to_json()["input"]["default_take"].as_f64().expect("a number, or no scenario");
        let (currency, paths) = (args.currency.into(), u64::from(args.paths));
        let study = Self { scenario, currency, paths, book_tao, present, netuids, pools, limits, take };
        let room = study.limits.room(study.netuids.len());
        if room < 1.0 - ROOM_TOLERANCE {
            Err(study.refuse(ProgramError::NoRoom { room }))?;
        }
        Ok(study)
    }

    /// An error of the program, with what would be allowed where limits are to blame.
    fn refuse(&self, error: ProgramError) -> anyhow::Error {
        let ProgramError::NoRoom { .. } = error else { return error.into() };
        let (count, cap) = (self.netuids.len(), self.limits.weight_max);
        BadInput(format!(
            "--max-weight {cap} and --sector: {error}; raise them (--max-weight {:.4} is enough for {count} candidates without \
             sector limits) or allow more candidates",
            (1e4 / count as f64).ceil() / 1e4
        ))
        .into()
    }

    /// Value (TAO) of a candidate's own book: an equal part of the whole, since a last staker gains the more the less it has.
    fn part_tao(&self) -> f64 {
        self.book_tao / self.netuids.len() as f64
    }

    /// The present book, then each candidate alone, worth an equal part.
    fn candidate_books(&self) -> Vec<Book> {
        let position = |index| self.position(index, self.part_tao());
        let alone = |index: usize| Book { name: self.netuids[index].to_string(), positions: vec![position(index)] };
        [self.present.clone()].into_iter().chain((0..self.netuids.len()).map(alone)).collect()
    }

    fn position(&self, index: usize, value_tao: f64) -> Position {
        let alpha = value_tao / self.pools[index].spot_price();
        Position { netuid: self.netuids[index], alpha, take: self.take, cost_tao: None }
    }

    /// The book of these weights.
    fn book(&self, weights: &[f64]) -> Book {
        let held = weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
        let positions = held.map(|(index, weight)| self.position(index, weight * self.book_tao)).collect();
        Book { name: "weights".to_owned(), positions }
    }

    /// Units of the currency in a TAO at the start.
    pub fn rate(&self) -> f64 {
        match self.currency {
            Currency::Tao => 1.0,
            Currency::Usd => self.scenario.tao_usd_start,
        }
    }

    /// Returns at spot of the candidates, whose books follow the present one.
    fn returns(&self, outcomes: &Outcomes) -> Returns {
        let (assets, part) = (&outcomes[1..], self.part_tao() * self.rate());
        let paths = 0..self.paths as usize;
        let values = paths.flat_map(|path| assets.iter().map(move |asset| asset[path].mark / part));
        Returns::new(assets.len(), values.collect())
    }

    /// Present value of each position of a book (TAO), with the pool it is in.
    pub fn present_values(&self) -> Vec<(Pool, f64)> {
        let held = self.present.positions.iter();
        held.filter_map(|position| Some((pool_of(&self.scenario, position.netuid)?, position.alpha))).collect()
    }
}

fn pool_of(scenario: &Scenario, netuid: NetUid) -> Option<Pool> {
    scenario.start.subnets.iter().find(|subnet| subnet.netuid == netuid).map(Pool::from)
}

fn value_tao(scenario: &Scenario, book: &Book) -> f64 {
    let value = |position: &Position| Some(position.alpha * pool_of(scenario, position.netuid)?.spot_price());
    book.positions.iter().filter_map(value).sum()
}

/// The subnets to choose from, ascending by netuid.
fn candidates<'a>(scenario: &'a Scenario, args: &AllocateArgs) -> Result<Vec<&'a SubnetState>, BadInput> {
    let mut started: Vec<&SubnetState> = scenario.start.subnets.iter().filter(|subnet| subnet.is_started()).collect();
    if let Some(missing) =
        args.candidates.iter().find(|netuid| started.iter().all(|subnet| subnet.netuid.0 != **netuid))
    {
        return Err(BadInput(format!("--candidates: no subnet {missing} in the snapshot that has started")));
    }
    match (args.candidates.as_slice(), args.all_above) {
        ([], None) => {
            started.sort_by(|a, b| b.reserve_tao.total_cmp(&a.reserve_tao));
            started.truncate(CANDIDATES);
            started.sort_by_key(|subnet| subnet.netuid);
        }
        ([], Some(floor)) => started.retain(|subnet| subnet.reserve_tao > floor),
        (named, _) => started.retain(|subnet| named.contains(&subnet.netuid.0)),
    }
    if started.len() < 2 {
        return Err(BadInput(format!("{} candidates: choosing needs at least two", started.len())));
    }
    Ok(started)
}

/// Caps of sectors over the candidates in them.
fn groups(scenario: &Scenario, netuids: &[NetUid], limits: &[(String, f64)]) -> Result<Vec<Group>, BadInput> {
    let tagged: Vec<(NetUid, &str)> = scenario.sectors().collect();
    let mut groups = Vec::new();
    for (number, (name, weight_max)) in limits.iter().enumerate() {
        if limits[..number].iter().any(|(other, _)| other == name) {
            return Err(BadInput(format!("--sector {name}: given twice")));
        }
        let of_sector: Vec<NetUid> =
            tagged.iter().filter(|(_, sector)| sector == name).map(|(netuid, _)| *netuid).collect();
        if of_sector.is_empty() {
            let mut known: Vec<&str> = tagged.iter().map(|(_, sector)| *sector).collect();
            known.sort_unstable();
            known.dedup();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(BadInput(format!(
                "--sector {name}: no such sector in [[subnets]] of the scenario (there: {known})"
            )));
        }
        let members = (0..netuids.len()).filter(|&index| of_sector.contains(&netuids[index])).collect();
        groups.push(Group { members, weight_max: *weight_max });
    }
    Ok(groups)
}

/// Simulates books of a study.
struct Driver<'a> {
    study: &'a Study,
    machine: &'a Machine,
    stop: &'a AtomicBool,
    progress: &'a ProgressBar,
}

impl Driver<'_> {
    /// Outcomes of books at the horizon, on as many paths as are asked for from `first_path` on.
    fn simulate(&self, books: Vec<Book>, first_path: u64) -> anyhow::Result<Outcomes> {
        let Study { scenario, currency, paths, .. } = self.study;
        let horizon_steps = vec![scenario.horizon_steps];
        let mut outcomes: Outcomes = vec![Vec::with_capacity(*paths as usize); books.len()];
        let tracker = BookTracker::new(books, horizon_steps.clone(), scenario.protocol.fee_rate);
        let record = RecordPlan { horizon_steps, event_paths: 0, sample_paths: 0, slots: 0 };
        let consume = |batch: BatchRecord| {
            batch.paths.iter().for_each(|row| outcomes[usize::from(row.book)].push(Pnl::of(row, *currency)));
            self.progress.inc(batch.count as u64);
            ControlFlow::Continue(())
        };
        let recorder = || RunRecorder::new(record.clone(), tracker.clone());
        let options = self.machine.options(first_path, *paths);
        engine_run::run(&run::plain_plan_of(scenario), &options, recorder, consume, self.stop).map_err(run::explain)?;
        Ok(outcomes)
    }
}
