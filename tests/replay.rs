//! A path simulated again is what the run recorded of it, to the bit; steps unfold into blocks that end where they do.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use arrow::array::Array;
use arrow::array::AsArray;
use arrow::datatypes::DataType;
use arrow::datatypes::Float64Type;
use arrow::datatypes::UInt32Type;
use arrow::datatypes::UInt64Type;
use assert_cmd::Command;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use taorisk::cli::replay::FinishedRun;
use taorisk::cli::run::plan_of;
use taorisk::cli::run::recorder_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::record::EventKind;
use taorisk::engine::record::EventRow;
use taorisk::engine::record::PathRow;
use taorisk::engine::record::SampleRow;
use taorisk::engine::unfold::BlockRow;
use taorisk::risk::replay::ReplayPlan;
use taorisk::risk::replay::replay;
use taorisk::simd::Backend;
use tempfile::TempDir;

const PATHS: u64 = 300;
const STEPS: u32 = 12;
const SCENARIO: &str = "[run]\npaths = 300\nhorizon_days = 12\nreport_days = [1, 7]\nevent_paths = 300\n\
                        sample_paths = 300\n[input]\npositions = \"books.csv\"\n";
/// Two books; of the second, all subnets are near deregistration.
const BOOKS: &str =
    "book,netuid,value_tao\nlong,64,100\nlong,4,50\nlong,16,20\nrisky,16,30\nrisky,92,10\nrisky,99,10\n";

/// One run for all tests, in a directory of its own with its inputs.
fn finished_run() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    RUN.get_or_init(|| {
        let directory = TempDir::new().expect("a temporary directory");
        make_run(directory.path());
        directory
    })
    .path()
}

/// A run in `directory`/run, with absolute paths of its inputs.
fn make_run(directory: &Path) {
    fs::write(directory.join("scenario.toml"), SCENARIO).expect("a scenario");
    fs::write(directory.join("books.csv"), BOOKS).expect("positions");
    let (scenario, run) = (directory.join("scenario.toml"), directory.join("run"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.arg("run").arg(scenario).args(["--quiet", "--out"]).arg(run).assert().success();
}

/// A value of a result file; numbers by their bits.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Bits(u64),
    Text(String),
    Null,
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Bits(value.to_bits())
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Bits(value)
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

fn cell(array: &dyn Array, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::UInt32 => u64::from(array.as_primitive::<UInt32Type>().value(row)).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        other => panic!("no column is of type {other}"),
    }
}

type Rows = Vec<Vec<Cell>>;

/// The rows of a result file of some paths, by its first column, the path.
fn rows_of(file: &Path, paths: &[u64]) -> BTreeMap<u64, Rows> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).expect("a file")).expect("Parquet");
    let mut found: BTreeMap<u64, Rows> = BTreeMap::new();
    for batch in reader.build().expect("a reader") {
        let batch = batch.expect("rows");
        for row in 0..batch.num_rows() {
            let path = batch.column(0).as_primitive::<UInt64Type>().value(row);
            if paths.contains(&path) {
                let cells = batch.columns().iter().map(|array| cell(array, row));
                found.entry(path).or_default().push(cells.collect());
            }
        }
    }
    found
}

fn path_cells(row: &PathRow) -> Vec<Cell> {
    let book = ["long", "risky"][usize::from(row.book)];
    let horizon_days = [1.0, 7.0, 12.0][usize::from(row.horizon)];
    vec![
        row.path.into(),
        book.into(),
        horizon_days.into(),
        row.pnl_mark_tao.into(),
        row.pnl_liquidation_tao.into(),
        row.pnl_mark_usd.into(),
        row.pnl_liquidation_usd.into(),
        row.pnl_exit_tao.into(),
        row.pnl_exit_usd.into(),
        row.tao_usd.into(),
        row.max_drawdown.into(),
        row.longest_under_water_days.into(),
        row.lowest_pnl_tao.into(),
        u64::from(row.deregistered_holdings).into(),
        row.weight.into(),
    ]
}

fn event_cells(row: &EventRow) -> Vec<Cell> {
    vec![
        row.path.into(),
        row.block.into(),
        u64::from(row.netuid.0).into(),
        row.registered_at.into(),
        row.kind.name().into(),
        row.moving_price.into(),
        row.lock_cost_tao.into(),
        row.payout_tao_per_alpha.into(),
    ]
}

fn sample_cells(row: &SampleRow) -> Vec<Cell> {
    vec![
        row.path.into(),
        u64::from(row.step).into(),
        row.block.into(),
        u64::from(row.netuid.0).into(),
        row.registered_at.into(),
        row.reserve_tao.into(),
        row.reserve_alpha.into(),
        row.price.into(),
        row.moving_price.into(),
        row.emission_share.into(),
        row.staked_alpha.into(),
        row.outstanding_alpha.into(),
        row.flow.into(),
    ]
}

fn everything(steps: u32) -> ReplayPlan {
    ReplayPlan { steps: 0..=steps, netuids: Vec::new(), states: true, moves: true }
}

/// `count` different paths of the run, by a shuffle with steps of splitmix64.
fn random_paths(count: usize) -> Vec<u64> {
    let mut state = 20_261_121_u64;
    let mut draw = |bound: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    };
    let mut paths: Vec<u64> = (0..PATHS).collect();
    for place in 0..count {
        let other = place + draw(PATHS - place as u64) as usize;
        paths.swap(place, other);
    }
    paths.truncate(count);
    paths
}

#[test]
fn a_hundred_random_paths_are_what_the_run_recorded() {
    let directory = finished_run().join("run");
    let run = FinishedRun::open(&directory, &Overrides::default()).expect("a finished run");
    let chosen = random_paths(100);
    let [paths, events, samples] =
        ["paths.parquet", "events.parquet", "samples.parquet"].map(|file| rows_of(&directory.join(file), &chosen));
    let (mut deregistered, mut settled) = (0, 0);
    for path in chosen {
        let story = run.replay(path, &everything(STEPS)).expect("a sound path");
        assert_eq!(story.horizons.iter().map(path_cells).collect::<Rows>(), paths[&path], "P&L of path {path}");
        let told: Rows = story.events.iter().map(|event| event_cells(&event.row)).collect();
        assert_eq!(told, events.get(&path).cloned().unwrap_or_default(), "events of path {path}");
        assert_eq!(story.states.iter().map(sample_cells).collect::<Rows>(), samples[&path], "states of path {path}");
        deregistered += story.events.iter().filter(|event| event.row.kind == EventKind::Deregistered).count();
        settled += story.events.iter().map(|event| event.settlements.len()).sum::<usize>();
        // The outcome of a step is that of the horizon that ends with it.
        for row in &story.horizons {
            let step = [1, 7, 12][usize::from(row.horizon)];
            let outcome = story.steps[step].books[usize::from(row.book)];
            assert_eq!(PathRow { horizon: row.horizon, ..outcome }, *row, "path {path}, step {step}");
        }
    }
    assert!(deregistered > 50 && settled > 10, "{deregistered} deregistrations and {settled} payouts test little");
}

/// Value of a book = value of its positions, and days add up to the P&L: nothing of the story is missing.
#[test]
fn days_and_positions_add_up_to_the_outcome() {
    let run = FinishedRun::open(&finished_run().join("run"), &Overrides::default()).expect("a finished run");
    for path in random_paths(20) {
        let story = run.replay(path, &everything(STEPS)).expect("a sound path");
        for book in 0..2 {
            for row in &story.steps {
                let holdings = story.holdings.iter().filter(|held| (held.step, held.book) == (row.step, book));
                let value: f64 = holdings.map(|held| held.value_tao).sum();
                let expected = story.openings_tao[book] + row.books[book].pnl_mark_tao;
                assert!((value - expected).abs() <= 1e-12 * expected, "path {path}, step {}: {value}", row.step);
            }
            for day in story.worst_days(book, 3) {
                let pnl = |step: u32| story.steps[step as usize].books[book].pnl_mark_tao;
                let loss = pnl(day.step - 1) - pnl(day.step);
                assert!((loss - day.loss_tao).abs() < 1e-9 && loss > 0.0, "path {path}, step {}: {loss}", day.step);
            }
        }
        for (event, (_, paid)) in story.events.iter().flat_map(|e| e.settlements.iter().map(move |paid| (e, paid))) {
            let payout = event.row.payout_tao_per_alpha.expect("only deregistrations pay");
            assert_eq!((paid.paid_tao, paid.mark_tao), (paid.alpha * payout, paid.alpha * event.price));
        }
    }
}

/// A window and a choice of subnets leave out rows, and change none.
#[test]
fn windows_and_subnets_only_leave_out() {
    let run = FinishedRun::open(&finished_run().join("run"), &Overrides::default()).expect("a finished run");
    let netuids = [16, 64].map(taorisk::units::NetUid).to_vec();
    for path in random_paths(10) {
        let whole = run.replay(path, &everything(STEPS)).expect("a sound path");
        let kept = ReplayPlan { steps: 4..=8, netuids: netuids.clone(), states: true, moves: true };
        let part = run.replay(path, &kept).expect("a sound path");
        assert_eq!(part.horizons, whole.horizons);
        let states = whole.states.iter().filter(|row| (4..=8).contains(&row.step) && netuids.contains(&row.netuid));
        assert!(part.states.iter().eq(states), "path {path}");
        let events =
            whole.events.iter().filter(|event| (5..=8).contains(&event.step) && netuids.contains(&event.row.netuid));
        assert!(part.events.iter().eq(events), "path {path}");
        let moves = whole.moves.iter().filter(|step| (5..=8).contains(&step.step));
        assert!(part.moves.iter().eq(moves.filter(|step| netuids.contains(&step.opening.id.netuid))), "path {path}");
        assert!(part.steps.iter().map(|row| &row.books).eq(whole.steps[4..=8].iter().map(|row| &row.books)));
    }
}

/// Largest relative gaps between the last block of a step and the step's end; those of moving prices over the square of
/// the log price move where that is above 1.
#[derive(Debug, Default)]
struct Gaps {
    price: f64,
    first_step: f64,
    later: f64,
    first_steps: usize,
    steps: usize,
}

/// Unfolds every step of some paths under rules that let many subnets come and start.
fn gaps(blocks_per_step: u64, horizon_days: f64) -> Gaps {
    let rules = "[protocol]\nregistration_rate_limit_blocks = 0\nimmunity_period_blocks = 50000\nsubnet_limit = 160\n\
                 lock_reduction_interval_blocks = 14400\n[registration]\nhazard_per_day = 1.0\nelasticity = 0.0\n\
                 [entrants]\nstart_delay_mean_days = 0.5\nenable_delay_mean_days = 0.5\n";
    let text = format!("[run]\nhorizon_days = {horizon_days}\nblocks_per_step = {blocks_per_step}\n{rules}");
    let scenario = Scenario::from_text("rules", &text, Path::new(""), &Overrides::default()).expect("a scenario");
    let (plan, recorder) = (plan_of(&scenario), recorder_of(&scenario));
    let mut gaps = Gaps::default();
    for path in 0..4 {
        let kept = everything(scenario.horizon_steps);
        let story = replay(&plan, path, Backend::detect(), &kept, &recorder).expect("a sound path");
        let states =
            story.states.iter().map(|row| ((row.step, row.netuid, row.registered_at), (row.price, row.moving_price)));
        let mut ends: BTreeMap<_, (f64, f64)> = states.collect();
        for event in story.events.iter().filter(|event| event.row.kind == EventKind::Deregistered) {
            let row = event.row;
            ends.insert((event.step, row.netuid, row.registered_at), (event.price, row.moving_price));
        }
        for step in &story.moves {
            let blocks: Vec<BlockRow> = step.unfold(&scenario.protocol).collect();
            let (first, last) = (blocks[0], blocks[blocks.len() - 1]);
            let id = step.opening.id;
            assert_eq!((blocks.len() as u64, first.block), (blocks_per_step, step.opening_block + 1));
            let (price, moving_price) = ends[&(step.step, id.netuid, id.registered_at)];
            gaps.price = gaps.price.max((last.price / price - 1.0).abs());
            let Some(start) = step.opening.first_emission_block else {
                assert_eq!(last.moving_price, moving_price);
                continue;
            };
            let size = (step.coinbase_move + step.trade_move).powi(2).max(1.0);
            let gap = (last.moving_price / moving_price - 1.0).abs() / size;
            gaps.steps += 1;
            if start == first.block && step.opening.moving_price == 0.0 {
                gaps.first_step = gaps.first_step.max(gap);
                gaps.first_steps += 1;
            } else {
                gaps.later = gaps.later.max(gap);
            }
        }
    }
    println!("{blocks_per_step} blocks: {gaps:?}");
    gaps
}

/// The first step of a subnet, whose smoothing grows from nothing, is the closed form's worst: 6.0e-4 where the price falls
/// by a factor e within the day, 3.3e-3 where it falls by e^3. Later steps: 7e-5 and 4.4e-4 where it rises as far.
#[test]
fn blocks_end_where_their_step_does() {
    for blocks_per_step in [7_200, 1_200] {
        let gaps = gaps(blocks_per_step, 10.0);
        assert!(gaps.first_steps > 10 && gaps.steps > 1_000, "{gaps:?}");
        assert!(gaps.price <= 1e-12 && gaps.first_step <= 6.1e-4 && gaps.later <= 1e-4, "{gaps:?}");
    }
    let exact = gaps(1, 0.05);
    assert!(exact.steps > 1_000 && exact.price <= 1e-12 && exact.later <= 1e-12, "{exact:?}");
}

/// What the program said.
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn taorisk(run: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let output = command.arg("replay").arg(run).args(arguments).output().expect("the program starts");
    Outcome {
        code: output.status.code().expect("the program ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A path of the run with a payout to the second book.
fn eventful_path() -> u64 {
    let run = FinishedRun::open(&finished_run().join("run"), &Overrides::default()).expect("a finished run");
    let pays = |path: &u64| {
        let story = run.replay(*path, &everything(STEPS)).expect("a sound path");
        story.events.iter().any(|event| event.settlements.iter().any(|(book, _)| *book == 1))
    };
    (0..PATHS).find(pays).expect("a payout on some path")
}

#[test]
fn the_program_tells_the_story_in_a_hundred_columns() {
    let run = finished_run().join("run");
    let path = eventful_path().to_string();
    let story = taorisk(&run, &["--path", &path, "--book", "risky", "--netuid", "16,92,99"]);
    assert_eq!((story.code, story.stderr.as_str()), (0, ""));
    for part in
        ["Book risky: 50", "deregistered: moving price 0.00", "registered for", "When book risky lost most", "pool TAO"]
    {
        assert!(story.stdout.contains(part), "`{part}` is not in:\n{}", story.stdout);
    }
    assert!(story.stdout.contains("; book risky: ") || story.stdout.contains("book risky:"), "{}", story.stdout);
    let blocks = taorisk(&run, &["--path", &path, "--netuid", "64", "--days", "3..4", "--blocks"]);
    assert_eq!(blocks.stdout.lines().count(), 7_200 + 3, "{}", blocks.stderr);
    let events = taorisk(&run, &["--path", &path, "--events"]);
    assert!(events.stdout.starts_with("Events\n"), "{}", events.stdout);
    for line in [story.stdout, blocks.stdout, events.stdout].iter().flat_map(|text| text.lines()) {
        assert!(line.chars().count() <= 100 && !line.contains("NaN"), "{line}");
    }
}

#[test]
fn json_and_parquet_hold_the_record() {
    let directory = finished_run();
    let run = directory.join("run");
    let path = eventful_path();
    let json = taorisk(&run, &["--path", &path.to_string(), "--json"]);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("one JSON document");
    let recorded = &rows_of(&run.join("paths.parquet"), &[path])[&path];
    for (row, recorded) in document["horizons"].as_array().expect("rows").iter().zip(recorded) {
        assert_eq!(Cell::from(row["pnl_mark_usd"].as_f64().expect("a number")), recorded[5]);
    }
    let samples = &rows_of(&run.join("samples.parquet"), &[path])[&path];
    assert_eq!(document["states"].as_array().expect("rows").len(), samples.len());
    let out = directory.join("states.parquet");
    let arguments = |out: &Path| ["--path".to_owned(), path.to_string(), "--out".to_owned(), out.display().to_string()];
    let write = |out: PathBuf, more: &[&str]| {
        let arguments = arguments(&out);
        let all: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        taorisk(&run, &all)
    };
    assert_eq!(write(out.clone(), &[]).code, 0);
    assert_eq!(&rows_of(&out, &[path])[&path], samples);
    let events = directory.join("events.parquet");
    assert_eq!(write(events.clone(), &["--events"]).code, 0);
    assert_eq!(rows_of(&events, &[path])[&path], rows_of(&run.join("events.parquet"), &[path])[&path]);
    let refused = write(out, &[]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("states.parquet exists already"), "{}", refused.stderr);
}

/// Code 2, nothing on standard output, and one line with `part`.
#[test]
fn shocks_are_told_when_they_begin() {
    let text = "[run]\nhorizon_days = 5\nreport_days = []\n[[shocks]]\nday = 2.5\nhours = 9\nnetuids = [64]\nflow_tao = 2740\n\
                [[shocks]]\nday = 1\nminer_sales = 1\n[[shocks]]\nday = 1\nprobability = 0\nminer_sales = 0\n";
    let scenario = Scenario::from_text("my.toml", text, Path::new(""), &Overrides::default()).expect("a scenario");
    let told = |first: u32, last: u32| {
        let kept = ReplayPlan { steps: first..=last, netuids: Vec::new(), states: false, moves: false };
        replay(&plan_of(&scenario), 3, Backend::detect(), &kept, &recorder_of(&scenario)).expect("a sound path").shocks
    };
    let start = scenario.start.block;
    assert_eq!(told(0, 5), [(1, start + 7_200), (0, start + 18_000)]);
    assert_eq!((told(1, 2), told(3, 5)), (vec![(1, start + 7_200)], Vec::new()));
}

fn assert_refused(run: &Path, arguments: &[&str], part: &str) {
    let outcome = taorisk(run, arguments);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{arguments:?}: {}", outcome.stderr);
    assert!(outcome.stderr.contains(part), "{arguments:?} lacks `{part}`: {}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
}

#[test]
fn what_the_run_does_not_have_is_refused() {
    let run = finished_run().join("run");
    assert_refused(&run, &["--path", "300"], "--path 300 (must be from 0 to 299, the paths of");
    assert_refused(&run, &["--path", "-1"], "--path -1 (must be from 0 to 299");
    assert_refused(&run, &["--path", "1", "--netuid", "129"], "--netuid 129 (must be from 1 to 128");
    assert_refused(
        &run,
        &["--path", "1", "--days", "5..13"],
        "--days 5..13 (must be FROM..TO with 0 <= FROM < TO <= 12)",
    );
    assert_refused(&run, &["--path", "1", "--book", "x"], "--book x (must be one of the run's: long, risky)");
    assert_refused(&run.join("absent"), &["--path", "1"], "holds no finished run");
    let unfinished = TempDir::new().expect("a temporary directory");
    fs::write(unfinished.path().join(".paths.parquet.partial"), "half").expect("a file");
    assert_refused(unfinished.path(), &["--path", "1"], "holds no finished run");
}

#[test]
fn a_run_that_cannot_be_repeated_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    make_run(directory.path());
    let run = directory.path().join("run");
    let (books, kept) = (directory.path().join("books.csv"), directory.path().join("kept.csv"));
    fs::copy(&books, &kept).expect("a copy");
    fs::write(&books, BOOKS.replace("100", "101")).expect("other positions");
    assert_refused(&run, &["--path", "1"], "books.csv is not the positions of the run in");
    let moved = taorisk(&run, &["--path", "1", "--positions", &kept.display().to_string()]);
    assert_eq!(moved.code, 0, "{}", moved.stderr);
    fs::remove_file(&books).expect("no positions");
    let missing = taorisk(&run, &["--path", "1"]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("cannot read") && missing.stderr.contains("made by taorisk"), "{}", missing.stderr);
    fs::rename(&kept, &books).expect("the positions back");

    let manifest = fs::read_to_string(run.join("manifest.json")).expect("a manifest");
    let refused_with = |from: &str, to: &str, part: &str| {
        assert!(manifest.contains(from), "{from}");
        fs::write(run.join("manifest.json"), manifest.replace(from, to)).expect("another manifest");
        assert_refused(&run, &["--path", "1"], part);
    };
    refused_with("\"immunity_period_blocks\": ", "\"immunity_period_blocks\": 1", "has hash");
    refused_with("\"seed\": 1", "\"seed\": 2", "path 1 comes out otherwise than");
    fs::write(run.join("manifest.json"), manifest.replace("\"fee_rate\"", "\"fee\"")).expect("another manifest");
    let foreign = taorisk(&run, &["--path", "1"]);
    assert_eq!(foreign.code, 2);
    for part in ["manifest.json is of another version of this program", "unknown field `fee`"] {
        assert!(foreign.stderr.contains(part), "`{part}` is not in: {}", foreign.stderr);
    }
}
