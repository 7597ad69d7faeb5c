//! `taorisk run`: simulates a scenario, writes its run directory, prints the risk table.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Context;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

use crate::cli::args::RunArgs;
use crate::cli::args::SimdChoice;
use crate::cli::error::BadInput;
use crate::cli::error::Interrupted;
use crate::cli::summarize::summarize;
use crate::config::scenario::Scenario;
use crate::config::uncertainty::Replication;
use crate::engine::drivers::Drivers;
use crate::engine::plan::Plan;
use crate::engine::plan::PlanInput;
use crate::engine::replicates::Replicates;
use crate::engine::run;
use crate::engine::run::RunError;
use crate::engine::run::RunOptions;
use crate::model::uncertainty::ParameterSampler;
use crate::output::error::OutputError;
use crate::output::hash::ResultHash;
use crate::output::manifest;
use crate::output::manifest::Manifest;
use crate::output::manifest::Runtime;
use crate::output::parquet::Identity;
use crate::output::run_dir::RunDirectory;
use crate::output::writer::Labels;
use crate::output::writer::ResultWriter;
use crate::output::writer::RowBlock;
use crate::portfolio::position::Book;
use crate::portfolio::position::Position;
use crate::portfolio::tracker::BookTracker;
use crate::portfolio::valuation;
use crate::protocol::pool::Pool;
use crate::protocol::state::ChainState;
use crate::risk::attribution::AttributionStatistics;
use crate::risk::book::BookOpening;
use crate::risk::book::BookStatistics;
use crate::risk::credit::CreditStatistics;
use crate::risk::histogram::SubnetCube;
use crate::risk::holding::HeldBook;
use crate::risk::holding::Holding;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::RecordPlan;
use crate::risk::recorder::RunRecorder;
use crate::risk::revenue::RevenueStatistics;
use crate::risk::standing::Standing;
use crate::risk::subnet::SubnetOpening;
use crate::risk::subnet::SubnetStatistics;
use crate::simd::Backend;
use crate::units::SubnetId;

/// Paths of a batch: their states fit a second-level cache of 1 MB.
const BATCH_PATHS: usize = 32;
/// Where runs go by default.
const RUNS_DIRECTORY: &str = "runs";
/// Characters of the scenario hash in a default directory name.
const HASH_DIGITS: usize = 8;

/// Simulates a scenario into a run directory and prints its risk table.
///
/// # Errors
/// A scenario, file or directory that is refused; an interruption; a failed simulation or write. No partial run stays.
pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let started_at = chrono::Utc::now();
    let options = &args.options;
    let scenario = Scenario::load(args.scenario.as_deref(), &options.scenario.overrides())?;
    let directory = options.out.clone().unwrap_or_else(|| default_directory(&scenario));
    if !options.force && holds_this_run(&directory, &scenario)? {
        remark(options.quiet, &format!("{} holds this run already; --force simulates it again", directory.display()));
        return summarize(&directory, options.show());
    }
    let machine = Machine::choose(args)?;
    let target = RunDirectory::create(&directory, options.force)?;
    remark(options.quiet, &announcement(&scenario, &machine, &directory));
    let (stop, progress) = (stop_flag()?, progress_bar(scenario.paths, "paths", options.quiet));
    let options_of_run = machine.options(0, scenario.paths);
    let simulated = simulate(&scenario, &options_of_run, &target, &stop, |paths| progress.inc(paths));
    progress.finish_and_clear();
    let simulated = simulated?;
    let manifest = Manifest::new(
        &identity(&scenario),
        scenario.to_json(),
        inputs(&scenario),
        0,
        scenario.paths,
        simulated.result_hash,
    );
    let runtime = Runtime {
        started: started_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        elapsed_seconds: started.elapsed().as_secs_f64(),
        simulation_seconds: simulated.seconds,
        host: host_name(),
        threads: machine.threads,
        simd_backend: machine.backend.name().to_owned(),
        peak_memory_bytes: manifest::peak_memory_bytes(),
        paths_per_second: scenario.paths as f64 / simulated.seconds,
    };
    target.finish(&manifest, &runtime)?;
    summarize(&directory, options.show())?;
    remark(options.quiet, &conclusion(&scenario, &runtime, &directory));
    Ok(())
}

pub(super) fn remark(quiet: bool, text: &str) {
    if !quiet {
        eprintln!("{text}");
    }
}

fn default_directory(scenario: &Scenario) -> PathBuf {
    Path::new(RUNS_DIRECTORY).join(format!("{}-{}", &scenario.hash()[..HASH_DIGITS], scenario.seed))
}

/// Whether the directory holds the finished run that is asked for.
fn holds_this_run(directory: &Path, scenario: &Scenario) -> Result<bool, OutputError> {
    Ok(Manifest::read(directory)?.is_some_and(|manifest| {
        manifest.scenario_hash == scenario.hash()
            && manifest.seed == scenario.seed
            && (manifest.first_path, manifest.end_path) == (0, scenario.paths)
            && manifest.version == env!("CARGO_PKG_VERSION")
    }))
}

/// How the run is spread over the machine; results do not depend on it.
pub(super) struct Machine {
    threads: usize,
    batch_paths: usize,
    backend: Backend,
}

impl Machine {
    fn choose(args: &RunArgs) -> anyhow::Result<Self> {
        let options = &args.options;
        let backend = options.simd.map_or_else(Backend::detect, backend_of);
        if !backend.is_available() {
            let available = Backend::available().iter().map(|b| b.name()).collect::<Vec<_>>().join(", ");
            Err(BadInput(format!(
                "--simd {backend}: this machine has no such instructions (allowed here: {available})"
            )))?;
        }
        let batch_paths = options.batch.map_or(BATCH_PATHS, usize::from);
        Ok(Self { batch_paths, backend, ..Self::with_threads(options.threads) })
    }

    /// The best of this machine on so many threads, or one per core.
    pub(super) fn with_threads(threads: Option<NonZeroUsize>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.map_or(cores, usize::from);
        Self { threads, batch_paths: BATCH_PATHS, backend: Backend::detect() }
    }

    /// Options of a run of so many paths on it.
    pub(super) fn options(&self, first_path: u64, paths: u64) -> RunOptions {
        RunOptions { first_path, paths, batch_paths: self.batch_paths, threads: self.threads, backend: self.backend }
    }
}

fn backend_of(choice: SimdChoice) -> Backend {
    match choice {
        SimdChoice::Avx512 => Backend::Avx512,
        SimdChoice::Avx2 => Backend::Avx2,
        SimdChoice::Neon => Backend::Neon,
        SimdChoice::Portable => Backend::Portable,
    }
}

/// A flag that Ctrl-C and SIGTERM raise.
pub(super) fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    ctrlc::set_handler(move || raised.store(true, Ordering::Relaxed)).context("cannot watch for Ctrl-C")?;
    Ok(flag)
}

/// A bar on standard error that counts to `total`, in `unit`; silent where there is no terminal.
pub(super) fn progress_bar(total: u64, unit: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let template = format!("{{bar:40}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}

/// What result files of a scenario say of where they come from.
pub(super) fn identity(scenario: &Scenario) -> Identity {
    Identity { scenario_hash: scenario.hash().to_owned(), seed: scenario.seed }
}

fn inputs(scenario: &Scenario) -> BTreeMap<String, String> {
    let parameters = scenario.parameters_file.as_ref().map(|file| ("parameters", file));
    [("snapshot", &scenario.snapshot_file), ("positions", &scenario.positions_file)]
        .into_iter()
        .chain(parameters)
        .map(|(role, file)| (role.to_owned(), file.sha256.clone()))
        .collect()
}

/// The plan of a scenario.
pub fn plan_of(scenario: &Scenario) -> Plan {
    Plan::new(PlanInput {
        seed: scenario.seed,
        protocol: scenario.protocol,
        switches: scenario.switches.clone(),
        model: scenario.model.clone(),
        replicates: scenario.replication.as_ref().map(replicates_of),
        start: scenario.start.clone(),
        tao_usd: scenario.tao_usd_start,
        blocks_per_step: scenario.blocks_per_step,
        draw_refinement: 1,
        steps: scenario.horizon_steps + scenario.exit.map_or(0, |exit| exit.steps),
        drivers: Drivers::ALL,
    })
}

fn replicates_of(replication: &Replication) -> Replicates {
    let sampler = ParameterSampler::new(&replication.law).expect("a law that the scenario's checks let pass");
    Replicates::new(replication.paths, sampler)
}

/// What the numbers of books and horizons stand for.
pub(crate) fn labels(scenario: &Scenario) -> Labels {
    Labels {
        books: scenario.books.iter().map(|book| book.name.clone()).collect(),
        horizons_days: scenario.report_horizons.iter().map(|horizon| horizon.days).collect(),
    }
}

/// A recorder of all that a run directory holds.
pub fn recorder_of(scenario: &Scenario) -> RunRecorder {
    let horizon_steps: Vec<u32> = scenario.report_horizons.iter().map(|horizon| horizon.step).collect();
    let slots = scenario.start.subnets.iter().map(|subnet| subnet.netuid.slot() + 1).max().unwrap_or(0);
    let tracker = tracker_of(scenario, &horizon_steps).with_exit(scenario.exit);
    let (event_paths, sample_paths) = (scenario.event_paths, scenario.sample_paths);
    RunRecorder::new(RecordPlan { horizon_steps, event_paths, sample_paths, slots }, tracker)
}

/// The books of a scenario and what they do.
pub(super) fn tracker_of(scenario: &Scenario, horizon_steps: &[u32]) -> BookTracker {
    let (books, mut policies) = (scenario.books.clone(), scenario.policies.clone());
    policies.resize(books.len(), None);
    BookTracker::with_policies(books, policies, horizon_steps.to_vec(), scenario.protocol.fee_rate)
}

/// A finished simulation, its files written and not yet named.
pub struct Simulated {
    /// Hash of all results.
    pub result_hash: ResultHash,
    /// Wall time (s), without what is done once when all paths are there.
    pub seconds: f64,
}

/// Simulates the paths of `options` and writes all result files but the manifest; `count` is told of every batch.
///
/// The calling thread takes batches in path order and adds to the statistics; the writer's thread encodes and writes.
///
/// # Errors
/// An interruption; a failed simulation or write.
pub fn simulate(
    scenario: &Scenario,
    options: &RunOptions,
    target: &RunDirectory,
    stop: &AtomicBool,
    mut count: impl FnMut(u64),
) -> anyhow::Result<Simulated> {
    let plan = plan_of(scenario);
    let labels = labels(scenario);
    let openings = book_openings(scenario);
    let mut books = BookStatistics::new(&openings, &labels.horizons_days, &scenario.confidence, options.paths)
        .with_further(scenario.measures.clone());
    let subnets = SubnetStatistics::new(
        &subnet_openings(scenario),
        scenario.start.block,
        &labels.horizons_days,
        &scenario.quantile_probabilities,
        options.paths,
    );
    let earners = scenario.model.revenue.iter().map(|revenue| revenue.subnet).collect();
    let mut revenue = RevenueStatistics::new(earners, &labels.horizons_days);
    let (mut attribution, mut credit) = position_statistics(scenario, &labels.horizons_days, options.paths);
    let mut subnets = match &scenario.replication {
        None => subnets,
        Some(Replication { paths, .. }) => {
            books = books.in_replicates(*paths);
            attribution = attribution.in_replicates(*paths);
            credit = credit.in_replicates(*paths);
            subnets.in_replicates(*paths)
        }
    };
    let mut writer = ResultWriter::start(target, labels, identity(scenario))?;
    let mut refused = None;
    let consume = |batch: BatchRecord| {
        batch.paths.iter().for_each(|row| books.push(row));
        attribution.push_all(&batch.paths, &batch.positions);
        credit.push_paths(batch.first_path, batch.count, &batch.settlements);
        batch.deregistrations.iter().for_each(|row| subnets.push_deregistration(row));
        batch.revenue.iter().for_each(|row| revenue.push(row));
        count(batch.count as u64);
        let BatchRecord { paths, events, samples, .. } = batch;
        match writer.send(RowBlock { paths, events, samples }) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    let clock = Instant::now();
    let outcome = run::run(&plan, options, || recorder_of(scenario), consume, stop);
    let seconds = clock.elapsed().as_secs_f64();
    if let Some(error) = refused {
        return Err(error.into());
    }
    let cube = merge_cubes(scenario, outcome.map_err(explain)?);
    let (subnet_rows, quantile_rows) = subnets.finish(&cube);
    writer.add_revenue(revenue.finish());
    writer.add_attribution(attribution.finish());
    writer.add_credit(credit.finish(&subnet_rows));
    let result_hash = writer.finish(target, &books.finish(), &subnet_rows, &quantile_rows)?;
    Ok(Simulated { result_hash, seconds })
}

pub(super) fn explain(error: RunError) -> anyhow::Error {
    match error {
        RunError::Interrupted => {
            Interrupted("interrupted; nothing was left behind: run the same command to start again".to_owned()).into()
        }
        error => error.into(),
    }
}

fn merge_cubes(scenario: &Scenario, recorders: Vec<RunRecorder>) -> SubnetCube {
    let mut cube = recorder_of(scenario).into_cube();
    recorders.into_iter().for_each(|recorder| cube.merge(&recorder.into_cube()));
    cube
}

fn pool_at_start(start: &ChainState, book: &Book, position: usize) -> Option<(Pool, f64)> {
    let position = &book.positions[position];
    let subnet = start.subnets.iter().find(|subnet| subnet.netuid == position.netuid)?;
    Some((Pool::from(subnet), position.alpha))
}

fn book_openings(scenario: &Scenario) -> Vec<BookOpening> {
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
    (
        AttributionStatistics::new(&books, horizons_days, confidence, paths, scenario.tao_usd_start),
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

fn announcement(scenario: &Scenario, machine: &Machine, directory: &Path) -> String {
    format!(
        "taorisk: {} paths of {} subnets over {} days from block {}, seed {}, {} threads ({}), into {}",
        scenario.paths,
        scenario.start.subnets.len(),
        scenario.horizon_days(),
        scenario.start.block,
        scenario.seed,
        machine.threads,
        machine.backend,
        directory.display()
    )
}

fn conclusion(scenario: &Scenario, runtime: &Runtime, directory: &Path) -> String {
    let subnet_steps = scenario.paths as f64 * f64::from(scenario.horizon_steps) * scenario.start.subnets.len() as f64;
    format!(
        "{} paths in {:.1} s: {:.0} paths/s, {:.1} ns per subnet-step and core; files in {}",
        scenario.paths,
        runtime.simulation_seconds,
        runtime.paths_per_second,
        runtime.simulation_seconds * 1e9 * runtime.threads as f64 / subnet_steps,
        directory.display()
    )
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
