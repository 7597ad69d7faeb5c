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
use crate::cli::args::RunOptions as RunFlags;
use crate::cli::args::SimdChoice;
use crate::cli::error::BadInput;
use crate::cli::error::Interrupted;
use crate::cli::journaled;
use crate::cli::journaled::BLOCK_PATHS;
use crate::cli::journaled::JournaledWork;
use crate::cli::journaled::Watch;
use crate::cli::needs;
use crate::cli::pilot;
use crate::cli::reduction::Reduced;
use crate::cli::reduction::Reduction;
use crate::cli::replicated;
use crate::cli::shards;
use crate::cli::summarize::summarize;
use crate::cli::target_error;
use crate::config::estimator::Estimator;
use crate::config::estimator::ImportanceSampling;
use crate::config::scenario::Overrides;
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
use crate::output::journal::JournalHeader;
use crate::output::manifest;
use crate::output::manifest::FigureOfMerit;
use crate::output::manifest::Manifest;
use crate::output::manifest::Runtime;
use crate::output::manifest::TargetReached;
use crate::output::parquet::Identity;
use crate::output::run_dir::RunDirectory;
use crate::output::writer::Labels;
use crate::portfolio::tracker::BookTracker;
use crate::risk::recorder::BatchRecord;
use crate::risk::recorder::PathBlock;
use crate::risk::recorder::RecordPlan;
use crate::risk::recorder::RunRecorder;
use crate::risk::stopping::Look;
use crate::risk::stopping::StopRule;
use crate::simd::Backend;

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
    let clock = RunClock::start();
    let options = &args.options;
    let scenario = Scenario::load(args.scenario.as_deref(), &options.scenario.overrides())?;
    let (machine, stop) = (Machine::choose(args)?, stop_flag()?);
    let scenario = pilot::complete(scenario, &machine, &stop)?;
    if let Some(shard) = options.shard {
        return shards::run_shard(args, &scenario, shard, &machine, &stop);
    }
    let directory = options.out.clone().unwrap_or_else(|| default_directory(&scenario));
    let rule = target_error::stop_rule(&scenario, &options.target_error)?;
    replicated::check_budget(&scenario, options.time_budget.is_some())?;
    if !options.force && holds_what_is_asked(&directory, &scenario, options)? {
        RunDirectory::tidy(&directory);
        remark(options.quiet, &format!("{} holds this run already; --force simulates it again", directory.display()));
        return summarize(&directory, options.show());
    }
    let machine = if rule.is_some() { machine.in_even_blocks() } else { machine };
    let may_be_shorter = options.time_budget.is_some() || rule.is_some();
    let has_journal = options.resume || may_be_shorter || journaled::is_long(&scenario);
    let journal = if has_journal { needs::journal_bytes(&scenario, scenario.paths) } else { 0.0 };
    let memory = needs::memory_bytes(&scenario, machine.threads);
    needs::check_room(&directory, needs::file_bytes(&scenario) + journal, memory)?;
    let target = directory_for(&directory, options)?;
    remark(options.quiet, &announcement(&scenario, scenario.paths, &machine, &directory));
    let progress = progress_bar(scenario.paths, "paths", options.quiet);
    let outcome = if has_journal {
        let manifest = manifest_of(&scenario, 0, scenario.paths, None);
        let header = JournalHeader { manifest, run_paths: scenario.paths, shard: None };
        let deadline = options.time_budget.map(|budget| clock.started + *budget);
        let (machine, stop, progress) = (&machine, &stop, &progress);
        let work = JournaledWork { scenario: &scenario, header: &header, machine, stop, progress, deadline };
        run_journaled(args, &work, &target, rule)
    } else {
        let options_of_run = machine.options(0, scenario.paths);
        simulate(&scenario, &options_of_run, &target, &stop, |paths| progress.inc(paths)).map(Ended::of_all)
    };
    progress.finish_and_clear();
    let Ended { simulated, shorter, looks } = outcome?;
    if let Some(shorter) = &shorter {
        remark(options.quiet, &early_end(shorter.paths, scenario.paths, &looks));
    }
    let lines = target_error::conclusions(&options.target_error, &looks);
    let scenario = shorter.unwrap_or(scenario);
    let targets = target_error::reached(&options.target_error, &looks);
    let runtime = clock.finish(target, &scenario, &simulated, &machine, targets)?;
    summarize(&directory, options.show())?;
    lines.iter().for_each(|line| remark(options.quiet, line));
    remark(options.quiet, &conclusion(&scenario, &runtime, &directory));
    Ok(())
}

/// What came of a run.
struct Ended {
    simulated: Simulated,
    /// The scenario with fewer paths, where it ended before all.
    shorter: Option<Scenario>,
    /// What was last seen of its targets.
    looks: Vec<Look>,
}

impl Ended {
    fn of_all(simulated: Simulated) -> Self {
        Self { simulated, shorter: None, looks: Vec::new() }
    }
}

fn run_journaled(
    args: &RunArgs,
    work: &JournaledWork<'_>,
    target: &RunDirectory,
    mut rule: Option<StopRule>,
) -> anyhow::Result<Ended> {
    let options = &args.options;
    let shorten = |paths: u64| {
        let overrides = Overrides { paths: Some(paths as i64), ..options.scenario.overrides() };
        let shorter = Scenario::load(args.scenario.as_deref(), &overrides)?;
        let tilt = work.scenario.estimator.importance().and_then(|importance| importance.tilt.as_ref());
        Ok(tilt.map_or(Ok(shorter.clone()), |tilt| shorter.with_tilt(tilt))?)
    };
    let mut watch = rule.as_mut().map(|rule| {
        |block: &PathBlock| {
            let has_enough = rule.push_all(&block.record.paths, &block.record.factors);
            work.progress.set_message(target_error::falling(&options.target_error, rule.last()));
            has_enough
        }
    });
    let watch = watch.as_mut().map(|watch| watch as &mut Watch<'_>);
    let (simulated, shorter) = journaled::simulate(work, target, watch, shorten)?;
    let looks = rule.map_or_else(Vec::new, |mut rule| {
        rule.look();
        rule.last().to_vec()
    });
    Ok(Ended { simulated, shorter, looks })
}

fn early_end(paths: u64, all: u64, looks: &[Look]) -> String {
    let is_known = !looks.is_empty() && looks.iter().all(Look::is_met);
    let why = if is_known { "the errors are as small as asked" } else { "the time was up" };
    format!("{why} after {paths} of {all} paths: these are the files of --paths {paths}")
}

/// The directory of a run that starts, or goes on where it was asked to.
pub(super) fn directory_for(path: &Path, options: &RunFlags) -> Result<RunDirectory, OutputError> {
    if options.resume && !options.force {
        RunDirectory::resume(path, options.force)
    } else {
        RunDirectory::create(path, options.force)
    }
}

/// When a command began.
pub(super) struct RunClock {
    started: Instant,
    started_at: chrono::DateTime<chrono::Utc>,
}

impl RunClock {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), started_at: chrono::Utc::now() }
    }

    /// Makes a run visible, with its manifest and runtime.
    pub(super) fn finish(
        &self,
        target: RunDirectory,
        scenario: &Scenario,
        simulated: &Simulated,
        machine: &Machine,
        targets: Vec<TargetReached>,
    ) -> anyhow::Result<Runtime> {
        let manifest = manifest_of(scenario, 0, scenario.paths, Some(simulated.result_hash()));
        let runtime = Runtime {
            started: self.started_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            elapsed_seconds: self.started.elapsed().as_secs_f64(),
            simulation_seconds: simulated.seconds,
            host: host_name(),
            threads: machine.threads,
            simd_backend: machine.backend.name().to_owned(),
            peak_memory_bytes: manifest::peak_memory_bytes(),
            paths_per_second: simulated.paths as f64 / simulated.seconds,
            targets,
            figures_of_merit: figures_of_merit(simulated, scenario.paths),
        };
        target.finish(&manifest, &runtime)?;
        Ok(runtime)
    }
}

/// Those of the measures at the last report day. The time is that of all `paths`, though some may come from a journal.
fn figures_of_merit(simulated: &Simulated, paths: u64) -> Vec<FigureOfMerit> {
    let seconds = simulated.seconds * paths as f64 / simulated.paths as f64;
    let rows = &simulated.reduced.summary;
    let last = rows.iter().map(|row| row.horizon_days).fold(0.0, f64::max);
    let at_last = rows.iter().filter(|row| row.horizon_days == last);
    at_last.filter_map(|row| FigureOfMerit::new(row, seconds)).collect()
}

/// The manifest of some paths of a scenario; without a hash, as a journal has it.
pub(super) fn manifest_of(scenario: &Scenario, first: u64, end: u64, result_hash: Option<ResultHash>) -> Manifest {
    let result_hash = result_hash.unwrap_or(ResultHash([0; 32]));
    let manifest = Manifest::new(&identity(scenario), scenario.to_json(), inputs(scenario), first, end, result_hash);
    Manifest { estimator: Some(scenario.estimator.method().to_owned()), ..manifest }
}

pub(super) fn remark(quiet: bool, text: &str) {
    if !quiet {
        eprintln!("{text}");
    }
}

pub(super) fn default_directory(scenario: &Scenario) -> PathBuf {
    Path::new(RUNS_DIRECTORY).join(format!("{}-{}", &scenario.hash()[..HASH_DIGITS], scenario.seed))
}

/// Whether the directory holds the finished run that is asked for, or one of other paths where that will do.
pub(super) fn holds_this_run(directory: &Path, scenario: &Scenario, may_be_shorter: bool) -> Result<bool, OutputError> {
    Ok(Manifest::read(directory)?.is_some_and(|manifest| {
        manifest.scenario_hash == scenario.hash()
            && manifest.seed == scenario.seed
            && manifest.first_path == 0
            && (manifest.end_path == scenario.paths || may_be_shorter)
            && manifest.version == env!("CARGO_PKG_VERSION")
    }))
}

/// Whether the directory holds a finished run that needs not be done again: of the same paths, or shorter where the time may be up,
/// or ended by the same targets.
fn holds_what_is_asked(directory: &Path, scenario: &Scenario, options: &RunFlags) -> anyhow::Result<bool> {
    let targets = &options.target_error;
    if targets.is_empty() {
        return Ok(holds_this_run(directory, scenario, options.time_budget.is_some())?);
    }
    let is_same = |runtime: &Runtime| {
        runtime.targets.len() == targets.len()
            && runtime
                .targets
                .iter()
                .zip(targets)
                .all(|(reached, asked)| reached.is_met && reached.target == asked.to_string())
    };
    Ok(holds_this_run(directory, scenario, true)? && is_same(&Runtime::read(directory)?))
}

/// How the run is spread over the machine; results do not depend on it.
pub(super) struct Machine {
    pub(super) threads: usize,
    batch_paths: usize,
    backend: Backend,
}

impl Machine {
    pub(super) fn choose(args: &RunArgs) -> anyhow::Result<Self> {
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

    /// The same with batches that fill blocks of paths evenly: looks at their ends are then at the same paths for any size.
    fn in_even_blocks(self) -> Self {
        Self { batch_paths: 1 << self.batch_paths.min(BLOCK_PATHS).ilog2(), ..self }
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
    let template = format!("{{bar:40}} {{human_pos}}/{{human_len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}");
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

/// The plan of a run of a scenario, with the tilt or the leading draws that it has.
pub fn plan_of(scenario: &Scenario) -> Plan {
    let (plan, steps) = (plain_plan_of(scenario), scenario.horizon_steps);
    match &scenario.estimator {
        Estimator::Importance(ImportanceSampling { tilt: Some(tilt), .. }) => plan.with_tilt(tilt.clone(), steps),
        Estimator::Leading(set) => plan.with_leading(&replicated::leading(scenario, *set), steps),
        _ => plan,
    }
}

/// The same without.
pub(super) fn plain_plan_of(scenario: &Scenario) -> Plan {
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
    let recorder = RunRecorder::new(RecordPlan { horizon_steps, event_paths, sample_paths, slots }, tracker);
    if scenario.estimator == Estimator::Control { recorder.with_factors() } else { recorder }
}

/// The books of a scenario and what they do.
pub(super) fn tracker_of(scenario: &Scenario, horizon_steps: &[u32]) -> BookTracker {
    let (books, mut policies) = (scenario.books.clone(), scenario.policies.clone());
    policies.resize(books.len(), None);
    BookTracker::with_policies(books, policies, horizon_steps.to_vec(), scenario.protocol.fee_rate)
}

/// A finished simulation, its files written and not yet named.
pub struct Simulated {
    /// Hash of all results, and the measures of the books.
    pub(super) reduced: Reduced,
    /// Paths that were simulated, not read from a journal.
    pub paths: u64,
    /// Wall time of these (s), without what is done once when all paths are there.
    pub seconds: f64,
}

impl Simulated {
    /// Hash of all results.
    pub fn result_hash(&self) -> ResultHash {
        self.reduced.result_hash
    }
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
    let mut reduction = Reduction::start(scenario, target)?;
    let mut refused = None;
    let consume = |batch: BatchRecord| {
        count(batch.count as u64);
        match reduction.push(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    let clock = Instant::now();
    let outcome = run::run(&plan, options, || recorder_of(scenario).on(options.backend), consume, stop);
    let seconds = clock.elapsed().as_secs_f64();
    if let Some(error) = refused {
        return Err(error.into());
    }
    outcome.map_err(explain)?.into_iter().for_each(|recorder| reduction.add_cube(&recorder.into_cube()));
    Ok(Simulated { reduced: reduction.finish(target, options.threads)?, paths: options.paths, seconds })
}

pub(super) fn explain(error: RunError) -> anyhow::Error {
    match error {
        RunError::Interrupted => {
            Interrupted("interrupted; nothing was left behind: run the same command to start again".to_owned()).into()
        }
        error => error.into(),
    }
}

pub(super) fn announcement(scenario: &Scenario, paths: u64, machine: &Machine, directory: &Path) -> String {
    format!(
        "taorisk: {} paths of {} subnets over {} days from block {}, seed {}, {} threads ({}), into {}",
        paths,
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
    let paths = runtime.paths_per_second * runtime.simulation_seconds;
    let subnet_steps = paths * f64::from(scenario.horizon_steps) * scenario.start.subnets.len() as f64;
    format!(
        "{:.0} paths in {:.1} s: {:.0} paths/s, {:.1} ns per subnet-step and core; files in {}",
        paths,
        runtime.simulation_seconds,
        runtime.paths_per_second,
        runtime.simulation_seconds * 1e9 * runtime.threads as f64 / subnet_steps,
        directory.display()
    )
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
