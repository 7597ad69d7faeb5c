//! What recording costs: the recorder per path, the writer in rows and bytes per second, and both as a share of a run.
//!
//! Throughput of `recorder` is in paths, without their simulation. That of `writer` is in rows and in bytes before encoding, from
//! the first row to durable files. The share is of processor time: runs of the embedded scenario as `taorisk run` does them,
//! against runs with a recorder that keeps nothing, in turns; medians are printed. Each case asserts its result.
//!
//! On two shared cores with AVX-512 and 20,000 paths, recording took 9.6 and 14.6 % of the processor time with one thread (0.5 s of
//! 5.2 s) and 12.9 and 16.7 % with two (0.9 s of 5.4 s): two measurements each. A recorder takes 15 us for each path, most of them
//! the books' value in every step; the rest is the writer's, some 0.7 us per row, and what does not grow with the paths: the rows of
//! the sampled paths, and memory touched for the first time.

use std::fs;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use criterion::BatchSize;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;
use taorisk::cli::run::plan_of;
use taorisk::cli::run::recorder_of;
use taorisk::cli::run::simulate;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::advance::Workspace;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::record::PathRow;
use taorisk::engine::recorder::Recorder;
use taorisk::engine::recorder::StepView;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::engine::step;
use taorisk::output::hash::ResultHash;
use taorisk::output::hash::hash_run;
use taorisk::output::manifest::Manifest;
use taorisk::output::manifest::Runtime;
use taorisk::output::parquet::Identity;
use taorisk::output::parquet::ROW_GROUP_ROWS;
use taorisk::output::run_dir::RunDirectory;
use taorisk::output::writer::Labels;
use taorisk::output::writer::ResultWriter;
use taorisk::output::writer::RowBlock;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::protocol::slots::StepBuffers;
use taorisk::risk::recorder::BatchRecord;
use taorisk::risk::recorder::RunRecorder;
use taorisk::simd::Backend;
use tempfile::TempDir;

const BATCH_PATHS: usize = 32;
/// Paths whose last state is recorded over and over.
const WATCHED_PATHS: usize = 32;
/// Paths whose rows are written.
const WRITTEN_PATHS: u64 = 512;
/// Runs of each kind behind the share.
const REPEATS: usize = 7;
/// Paths of such a run.
const SHARE_PATHS: i64 = 20_000;
/// Ticks of `/proc` in a second, on any Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

fn scenario(paths: i64) -> Scenario {
    Scenario::load(None, &Overrides { paths: Some(paths), ..Overrides::default() })
        .expect("the embedded scenario is valid")
}

fn options(paths: u64, threads: usize) -> RunOptions {
    RunOptions { first_path: 0, paths, batch_paths: BATCH_PATHS, threads, backend: Backend::detect() }
}

/// A path at its end, and what its last step left behind.
type Watched = (PathState, StepBuffers);

fn watched(plan: &Plan) -> Vec<Watched> {
    let backend = Backend::detect();
    let held = SlotValues::splat(0.0);
    let mut row = [AgeChunk::frozen(); MAX_CHUNKS];
    let mut work = Workspace::default();
    let mut simulate = |path| {
        let mut state = PathState::new(plan);
        step::reset(backend, plan, &mut state, path);
        for number in 0..plan.input.steps {
            step::fill_ages(backend, plan, number, &mut row);
            step::advance(backend, plan, number, &row, &mut state, &held, &mut work).expect("the scenario is sound");
        }
        (state, work.buffers.clone())
    };
    (0..WATCHED_PATHS as u32).map(&mut simulate).collect()
}

/// Records paths that stand still at their end.
fn record(plan: &Plan, recorder: &mut RunRecorder, paths: &[Watched]) -> Vec<PathRow> {
    let view =
        |(path, buffers), step| StepView { plan, path, buffers, events: &[], step, block: plan.opening_block(step) };
    let mut held = SlotValues::splat(0.0);
    for (index, (path, buffers)) in paths.iter().enumerate() {
        recorder.open(index, &view((path, buffers), 0), &mut held);
    }
    for step in 1..=plan.input.steps {
        for (index, (path, buffers)) in paths.iter().enumerate() {
            recorder.step(index, &view((path, buffers), step), &mut held);
        }
    }
    recorder.close(0, paths.len()).paths
}

fn bench_recorder(criterion: &mut Criterion) {
    let mut scenario = scenario(WATCHED_PATHS as i64);
    (scenario.sample_paths, scenario.event_paths) = (0, 0);
    let plan = plan_of(&scenario);
    let paths = watched(&plan);
    let expected = record(&plan, &mut recorder_of(&scenario), &paths);
    assert_eq!(expected.len(), paths.len() * scenario.report_horizons.len() * scenario.books.len());
    assert!(expected.iter().all(|row| row.pnl_mark_tao.is_finite() && row.pnl_liquidation_tao < row.pnl_mark_tao));
    let mut recorder = recorder_of(&scenario);
    let mut group = criterion.benchmark_group("recorder");
    group.throughput(Throughput::Elements(paths.len() as u64));
    group.bench_function("default", |bencher| {
        bencher.iter(|| assert_eq!(record(&plan, &mut recorder, black_box(&paths)).len(), expected.len()));
    });
    group.finish();
    assert_eq!(record(&plan, &mut recorder, &paths), expected, "a recorder keeps nothing from batch to batch");
}

/// The rows of a few paths, in blocks as a run sends them.
fn simulated_blocks(scenario: &Scenario) -> Vec<RowBlock> {
    let mut blocks = Vec::new();
    let consume = |batch: BatchRecord| {
        blocks.push(RowBlock { paths: batch.paths, events: batch.events, samples: batch.samples });
        ControlFlow::Continue(())
    };
    let options = options(scenario.paths, 1);
    run::run(&plan_of(scenario), &options, || recorder_of(scenario), consume, &AtomicBool::new(false))
        .expect("the embedded scenario runs");
    blocks
}

/// Path rows alone, `copies` times over: of later paths, and scaled so that no copy resembles another.
fn path_blocks(blocks: &[RowBlock], copies: u64) -> Vec<RowBlock> {
    let scaled = |row: &PathRow, copy: u64| {
        let scale = 1.0 + 1e-3 * copy as f64;
        PathRow {
            path: row.path + copy * WRITTEN_PATHS,
            pnl_mark_tao: scale * row.pnl_mark_tao,
            pnl_liquidation_tao: scale * row.pnl_liquidation_tao,
            pnl_mark_usd: scale * row.pnl_mark_usd,
            pnl_liquidation_usd: scale * row.pnl_liquidation_usd,
            max_drawdown: scale * row.max_drawdown,
            ..*row
        }
    };
    let copied = |copy| {
        let rows = move |block: &RowBlock| block.paths.iter().map(|row| scaled(row, copy)).collect();
        blocks.iter().map(move |block| RowBlock { paths: rows(block), ..RowBlock::default() })
    };
    (0..copies).flat_map(copied).collect()
}

fn identity(scenario: &Scenario) -> Identity {
    Identity { scenario_hash: scenario.hash().to_owned(), seed: scenario.seed }
}

/// Opens a run directory in `parent`.
fn create(parent: &TempDir) -> RunDirectory {
    RunDirectory::create(&parent.path().join("run"), true).expect("a directory to write to")
}

fn write(scenario: &Scenario, directory: &RunDirectory, blocks: Vec<RowBlock>) -> ResultHash {
    let labels = Labels {
        books: scenario.books.iter().map(|book| book.name.clone()).collect(),
        horizons_days: scenario.report_horizons.iter().map(|horizon| horizon.days).collect(),
    };
    let mut writer = ResultWriter::start(directory, labels, identity(scenario)).expect("files are created");
    blocks.into_iter().for_each(|block| writer.send(block).expect("the disk is not full"));
    writer.finish(directory, &[], &[], &[]).expect("the disk is not full")
}

/// Makes what was written a finished run, and checks that it reads back as the hash says; bytes of its files.
fn finish(scenario: &Scenario, directory: RunDirectory, hash: ResultHash) -> u64 {
    let path = directory.path().to_owned();
    let manifest = Manifest::new(&identity(scenario), scenario.to_json(), [].into(), 0, WRITTEN_PATHS, hash);
    let runtime = Runtime {
        started: String::new(),
        elapsed_seconds: 0.0,
        simulation_seconds: 0.0,
        host: String::new(),
        threads: 1,
        simd_backend: String::new(),
        peak_memory_bytes: None,
        paths_per_second: 0.0,
        targets: Vec::new(),
        figures_of_merit: Vec::new(),
    };
    directory.finish(&manifest, &runtime).expect("the disk is not full");
    assert_eq!(hash_run(&path).expect("readable files"), hash);
    let entries = fs::read_dir(path).expect("a directory");
    entries.map(|entry| entry.and_then(|entry| entry.metadata()).expect("an entry").len()).sum()
}

fn bench_writer(criterion: &mut Criterion) {
    let scenario = scenario(WRITTEN_PATHS as i64);
    let blocks = simulated_blocks(&scenario);
    let rows_per_copy: usize = blocks.iter().map(|block| block.paths.len()).sum();
    let paths = path_blocks(&blocks, (2 * ROW_GROUP_ROWS / rows_per_copy) as u64);
    let events = blocks.iter().map(|block| RowBlock { events: block.events.clone(), ..RowBlock::default() }).collect();
    let samples = blocks.into_iter().map(|block| RowBlock { samples: block.samples, ..RowBlock::default() }).collect();
    let mut group = criterion.benchmark_group("writer");
    group.sample_size(10);
    // Bytes of a row before encoding, names counted as 4.
    for (name, bytes_per_row, blocks) in [("paths", 80, paths), ("events", 56, events), ("samples", 92, samples)] {
        let blocks: Vec<RowBlock> = blocks;
        let rows =
            blocks.iter().map(|block| block.paths.len() + block.events.len() + block.samples.len()).sum::<usize>();
        let parent = TempDir::new().expect("a temporary directory");
        let directory = create(&parent);
        let expected = write(&scenario, &directory, blocks.clone());
        let bytes = finish(&scenario, directory, expected);
        println!("writer/{name}: {rows} rows in {:.1} bytes each of {bytes_per_row}", bytes as f64 / rows as f64);
        group.throughput(Throughput::ElementsAndBytes { elements: rows as u64, bytes: (rows * bytes_per_row) as u64 });
        group.bench_function(name, |bencher| {
            let setup = || (create(&parent), blocks.clone());
            bencher.iter_batched(
                setup,
                |(directory, blocks)| {
                    assert_eq!(write(&scenario, &directory, blocks), expected);
                    directory
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Keeps nothing; books hold nothing.
struct Blind;

impl Recorder for Blind {
    type Batch = usize;

    fn open(&mut self, _index: usize, _view: &StepView<'_>, held: &mut SlotValues) {
        *held = SlotValues::splat(0.0);
    }

    fn step(&mut self, _index: usize, _view: &StepView<'_>, _held: &mut SlotValues) {}

    fn close(&mut self, _first_path: u64, count: usize) -> usize {
        count
    }
}

/// Processor seconds of this process so far, all its threads taken together; `None` where `/proc` does not tell.
fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// Processor seconds that `work` takes.
fn spent(work: impl FnOnce()) -> Option<f64> {
    let before = processor_seconds()?;
    work();
    Some(processor_seconds()? - before)
}

fn run_blind(scenario: &Scenario, threads: usize) {
    let mut paths = 0;
    let consume = |count| {
        paths += count as u64;
        ControlFlow::Continue(())
    };
    run::run(&plan_of(scenario), &options(scenario.paths, threads), || Blind, consume, &AtomicBool::new(false))
        .expect("the embedded scenario runs");
    assert_eq!(paths, scenario.paths);
}

fn run_recorded(scenario: &Scenario, threads: usize) -> ResultHash {
    let parent = TempDir::new().expect("a temporary directory");
    let stop = AtomicBool::new(false);
    let simulated = simulate(scenario, &options(scenario.paths, threads), &create(&parent), &stop, |_| ());
    simulated.expect("the embedded scenario runs").result_hash()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Not criterion's: it would measure one kind after the other, and a difference of two needs them in turns.
fn print_share(_: &mut Criterion) {
    let is_test = std::env::args().any(|argument| argument == "--test");
    if std::env::args().skip(1).any(|filter| !filter.starts_with('-') && !"share".contains(&filter)) {
        return;
    }
    let (paths, repeats) = if is_test { (64, 1) } else { (SHARE_PATHS, REPEATS) };
    let scenario = scenario(paths);
    let expected = run_recorded(&scenario, 1);
    for threads in [1, 2] {
        let pair = |_| {
            let blind = spent(|| run_blind(&scenario, threads))?;
            let recorded = spent(|| assert_eq!(run_recorded(&scenario, threads), expected))?;
            Some((blind, recorded))
        };
        let Some((blind, recorded)) = (0..repeats).map(pair).collect::<Option<(Vec<f64>, Vec<f64>)>>() else {
            println!("share: this system does not tell processor time");
            return;
        };
        let (blind, recorded) = (median(blind), median(recorded));
        println!(
            "share/{threads} threads: {recorded:.2} s of processor time, {blind:.2} s with nothing recorded: {:.1} %",
            100.0 * (recorded - blind) / recorded
        );
    }
}

criterion_group!(benches, bench_recorder, bench_writer, print_share);
criterion_main!(benches);
