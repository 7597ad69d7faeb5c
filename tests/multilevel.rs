//! Multilevel estimates: the law of coupled steps, plain paths of short steps, the same bits on any machine, the command line.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::AtomicBool;

use assert_cmd::Command;
use serde_json::Value;
use taorisk::cli::multilevel::known_rate;
use taorisk::cli::multilevel::plan_of;
use taorisk::cli::multilevel::recorder_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::recorder::Recorder;
use taorisk::engine::recorder::StepView;
use taorisk::engine::run;
use taorisk::engine::run::RunError;
use taorisk::engine::run::RunOptions;
use taorisk::model::params::SubnetParams;
use taorisk::output::multilevel::MULTILEVEL;
use taorisk::protocol::slots::SlotValues;
use taorisk::risk::ladder::Ladder;
use taorisk::risk::ladder::Measure;
use taorisk::risk::moments::Moments;
use taorisk::risk::multilevel::LevelSums;
use taorisk::simd::Backend;
use tempfile::TempDir;

const SLOTS: usize = 128;

fn scenario(blocks_per_step: i64, days: f64) -> Scenario {
    let overrides =
        Overrides { blocks_per_step: Some(blocks_per_step), horizon_days: Some(days), ..Overrides::default() };
    Scenario::from_text("my.toml", "", Path::new(""), &overrides).expect("a valid scenario")
}

fn options(batch_paths: usize, threads: usize) -> RunOptions {
    RunOptions { first_path: 0, paths: 0, batch_paths, threads, backend: Backend::detect() }
}

/// Squares of the flows of the last two steps, by path: sums over subnets that have started.
struct Squares {
    before: Vec<Vec<f64>>,
    /// Of each path: the last step's squares, and their products with those of the step before.
    sums: Vec<[f64; 2]>,
}

impl Recorder for Squares {
    type Batch = Vec<[f64; 2]>;

    fn open(&mut self, index: usize, _view: &StepView<'_>, _held: &mut SlotValues) {
        self.before.resize(index + 1, Vec::new());
        self.sums.resize(index + 1, [0.0; 2]);
    }

    fn step(&mut self, index: usize, view: &StepView<'_>, _held: &mut SlotValues) {
        let slots = (0..SLOTS).filter(|&slot| view.path.chain[locate(slot).0].started[locate(slot).1] > 0.0);
        let squares: Vec<f64> = slots.map(|slot| view.buffers.flow(slot).powi(2)).collect();
        let products = squares.iter().zip(&self.before[index]).map(|(now, before)| now * before).sum();
        self.sums[index] = [squares.iter().sum(), products];
        self.before[index] = squares;
    }

    fn close(&mut self, _first_path: u64, count: usize) -> Vec<[f64; 2]> {
        self.sums[..count].to_vec()
    }
}

const SCALE: f64 = 1e-3;
const SPREADS: [f64; 2] = [0.35, 0.25];
const HALF_LIVES: [f64; 2] = [0.8, 6.0];

/// Flows of unit scale that volatility alone moves, over days of `draws` drawn steps each.
fn volatile(draws: u32, days: u32, known: Option<[f64; 2]>) -> Plan {
    let mut input = plan_of(&scenario(7_200, 3.0)).input;
    let flow = &mut input.model.flow;
    (flow.scale_median, flow.scale_sd_log, flow.size_exponent, flow.age_exponent) = (SCALE, 0.0, 0.0, 0.0);
    (flow.jumps.rate_per_day, flow.common_jump.rate_per_day, flow.drift_per_day) = (0.0, 0.0, 0.0);
    (flow.volatility_cap, flow.loading_mean, flow.loading_sd) = (1e6, 0.4, 0.0);
    for (part, (sd_log, half_life)) in flow.volatility.iter_mut().zip(SPREADS.into_iter().zip(HALF_LIVES)) {
        (part.sd_log, part.half_life_days) = (sd_log, half_life);
    }
    input.model.registration.hazard_per_day = 0.0;
    input.model.entrants.never_start_probability_incumbent = 1.0;
    let subnet = |netuid| SubnetParams {
        netuid,
        scale: None,
        loading: None,
        drift_per_day: None,
        log_volatility: known,
        sector: None,
    };
    input.model.subnets = input.start.subnets.iter().map(|start| subnet(start.netuid)).collect();
    Plan::new(PlanInput { seed: 77, draw_refinement: draws, steps: days, ..input })
}

/// Means over paths and subnets of the last day's squared flow and of its product with the day's before, in units of the scale.
fn squares(plan: &Plan, paths: u64) -> [Moments; 2] {
    let started = plan.input.start.subnets.iter().filter(|subnet| subnet.is_started()).count() as f64;
    let mut moments = [Moments::default(); 2];
    let consume = |batch: Vec<[f64; 2]>| {
        for path in batch {
            let units = [started * SCALE.powi(2), started * SCALE.powi(4)];
            moments.iter_mut().zip(path.iter().zip(units)).for_each(|(of, (sum, unit))| of.push(sum / unit));
        }
        ControlFlow::Continue(())
    };
    let recorder = || Squares { before: Vec::new(), sums: Vec::new() };
    run::run(plan, &RunOptions { paths, ..options(16, 2) }, recorder, consume, &AtomicBool::new(false)).expect("a run");
    moments
}

fn assert_near(what: &str, found: &Moments, expected: f64) {
    let found = found.mean().expect("paths");
    let errors = (found.value - expected) / found.standard_error;
    assert!(errors.abs() < 3.5, "{what}: {} ± {}, not {expected}", found.value, found.standard_error);
    assert!(found.standard_error < 0.02 * expected, "{what}: {found:?} tells nothing");
}

/// Own flows weighted by what volatility does within the day, and volatility taken in its middle: the law of a day with draws of its
/// own. With h = h_1 + h_2 of variance v and covariance c from day to day,
/// `E f^2 = e^(2v - v) = e^v` and `E f^2 f'^2 = e^(2v + 4c)` but for the common factor's part, which is normal too.
///
/// 4,000 paths of 128 subnets: some 1 % of either. The volatility of the wrong time, its persistence over half a day or weights that
/// are not normed move them by 10 % and more.
#[test]
fn flows_of_drawn_steps_have_the_law_of_the_whole_step() {
    let variance: f64 = SPREADS.iter().map(|sd| sd * sd).sum();
    let kept = |part: usize| 0.5_f64.powf(1.0 / HALF_LIVES[part]);
    let covariance: f64 = (0..2).map(|part| SPREADS[part].powi(2) * kept(part)).sum();
    for draws in [1, 2, 5] {
        let [square, product] = squares(&volatile(draws, 3, None), 4_000);
        assert_near(&format!("{draws} draws: square"), &square, variance.exp());
        assert_near(&format!("{draws} draws: product"), &product, (2.0 * variance + 4.0 * covariance).exp());
    }
}

/// Where volatility starts at a known value the first day's is not that of any other time.
#[test]
fn a_known_volatility_fades_over_whole_steps() {
    let start = [0.5, 0.4];
    let kept = |part: usize| 0.5_f64.powf(1.0 / HALF_LIVES[part]);
    let mean: f64 = (0..2).map(|part| kept(part) * start[part]).sum();
    let (all, left): (f64, f64) = (0..2).fold((0.0, 0.0), |(all, left), part| {
        let variance = SPREADS[part].powi(2);
        (all + variance, left + variance * (1.0 - kept(part).powi(2)))
    });
    for draws in [1, 5] {
        let [square, _] = squares(&volatile(draws, 1, Some(start)), 2_000);
        assert_near(&format!("{draws} draws"), &square, (2.0 * mean + 2.0 * left - all).exp());
    }
}

fn ladder(lengths: &[i64], days: f64, with_rate: bool) -> (Vec<Scenario>, Ladder) {
    let scenarios: Vec<Scenario> = lengths.iter().map(|&blocks| scenario(blocks, days)).collect();
    let rate = known_rate(&scenarios[0]).filter(|_| with_rate);
    let ladder = Ladder::new(scenarios.iter().map(plan_of).collect(), scenarios[0].books.len(), rate);
    (scenarios, ladder)
}

fn simulate(ladder: &(Vec<Scenario>, Ladder), level: usize, paths: u64, options: &RunOptions) -> Vec<LevelSums> {
    let (scenarios, ladder) = ladder;
    let mut sums: Vec<LevelSums> =
        ladder.units().into_iter().map(|unit| LevelSums { unit, ..LevelSums::default() }).collect();
    let recorder = |steps| {
        recorder_of(scenarios.iter().find(|level| level.horizon_steps == steps).expect("a level of these steps"))
    };
    let stop = AtomicBool::new(false);
    ladder.simulate((level, 0..paths), options, recorder, &stop, |_| (), &mut sums).expect("sound paths");
    sums
}

/// The sum of three levels, against plain paths of the shortest steps and of another seed.
#[test]
fn levels_add_up_to_plain_paths_of_the_shortest_steps() {
    let levels = ladder(&[7_200, 1_440, 360], 4.0, true);
    let found: Vec<Vec<LevelSums>> = [2_400, 800, 400]
        .into_iter()
        .enumerate()
        .map(|(level, n)| simulate(&levels, level, n, &options(16, 2)))
        .collect();
    let mut plain = ladder(&[360], 4.0, false);
    plain.0[0] = scenario(360, 4.0);
    let input = PlanInput { seed: 2, ..plan_of(&plain.0[0]).input };
    plain.1 = Ladder::new(vec![Plan::new(input)], plain.0[0].books.len(), None);
    let expected = simulate(&plain, 0, 1_500, &options(16, 2));
    for (number, measure) in Measure::ALL.into_iter().enumerate() {
        let means: Vec<_> = found.iter().map(|level| level[number].mean().expect("paths")).collect();
        let value: f64 = means.iter().map(|mean| mean.value).sum();
        let variance: f64 = means.iter().map(|mean| mean.standard_error.powi(2)).sum();
        let truth = expected[number].mean().expect("paths");
        let error = (variance + truth.standard_error.powi(2)).sqrt();
        assert!((value - truth.value).abs() < 3.0 * error, "{measure:?}: {value}, not {} ({error})", truth.value);
    }
    // What makes it pay: a day and its fifths differ by little of what a path is, and their quarters by less.
    let variance = |level: usize| found[level][0].variance();
    assert!(variance(1) < 0.08 * variance(0), "{} of {}", variance(1), variance(0));
    assert!(variance(2) < 0.5 * variance(1), "{} of {}", variance(2), variance(1));
}

/// Expectations over TAO/USD have the means of the figures themselves, and less variance.
#[test]
fn dollars_given_the_flows() {
    let [given, plain] =
        [true, false].map(|with_rate| simulate(&ladder(&[7_200], 20.0, with_rate), 0, 4_000, &options(32, 2)));
    for (number, measure) in Measure::ALL.into_iter().enumerate() {
        let [found, expected] = [&given, &plain].map(|sums| sums[number].mean().expect("paths"));
        if measure.kind().is_some_and(|(_, currency)| currency.name() == "USD") {
            // The same paths: the error of the difference is what the expectation takes away.
            let error = (expected.standard_error.powi(2) - found.standard_error.powi(2)).sqrt();
            assert!((found.value - expected.value).abs() < 3.0 * error, "{measure:?}: {found:?}, not {expected:?}");
            assert!(found.standard_error < 0.8 * expected.standard_error, "{measure:?}: {found:?}, not {expected:?}");
        } else {
            assert_eq!(found, expected, "{measure:?}");
        }
    }
}

#[test]
fn sums_are_the_same_for_any_threads_and_batches() {
    let levels = ladder(&[7_200, 1_440], 3.0, true);
    let found = simulate(&levels, 1, 70, &options(32, 2));
    assert!(found[0].variance() > 0.0);
    assert_eq!(found, simulate(&levels, 1, 70, &options(7, 1)));
}

#[test]
fn an_interruption_is_told() {
    let (scenarios, levels) = ladder(&[7_200, 1_440], 3.0, true);
    let mut sums = vec![LevelSums::default(); levels.units().len()];
    let recorder = |_| recorder_of(&scenarios[0]);
    let stopped = levels.simulate((0, 0..40), &options(8, 1), recorder, &AtomicBool::new(true), |_| (), &mut sums);
    assert!(matches!(stopped, Err(RunError::Interrupted)), "{stopped:?}");
}

fn taorisk(directory: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.current_dir(directory.path()).arg("multilevel").args(arguments).arg("--quiet").output().expect("a run")
}

#[test]
fn the_command_meets_its_error_with_the_same_table_on_any_machine() {
    let directory = TempDir::new().expect("a temporary directory");
    let common = ["--horizon-days", "3", "--error", "3", "--finest", "1440", "--factor", "5", "--pilot", "60"];
    let printed = taorisk(&directory, &[&common[..], &["--threads", "1", "--out", "a.csv"]].concat());
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(printed.status.success(), "{text} {}", String::from_utf8_lossy(&printed.stderr));
    for part in
        ["After 3 days, at 1,440 blocks per step", "mean P&L if sold, USD", "chance of a loss, TAO", "1440 less 7200"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = taorisk(&directory, &[&common[..], &["--threads", "2", "--out", "b.csv", "--json"]].concat());
    let [table, copy] =
        ["a.csv", "b.csv"].map(|name| fs::read_to_string(directory.path().join(name)).expect("a table"));
    assert_eq!(table, copy);
    let columns: Vec<&str> = MULTILEVEL.columns.iter().map(|column| column.name).collect();
    assert_eq!(table.lines().next().expect("a header"), columns.join(","));
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let rows = json["rows"].as_array().expect("rows");
    // Seven measures of one book: the estimate and two levels each.
    assert_eq!(rows.len(), 7 * 3);
    let error = rows[0]["standard_error"].as_f64().expect("an error");
    assert!(error < 1.01 * 3.0 / 2.0_f64.sqrt() && error > 0.5, "{error}");
    let spent: f64 = rows[1..3].iter().map(|row| row["subnet_steps"].as_f64().expect("steps")).sum();
    assert_eq!(rows[0]["subnet_steps"].as_f64(), Some(spent));
}

#[test]
fn what_cannot_be_estimated_is_refused() {
    let cases = [
        (&["--paths", "100"][..], "--paths: levels have as many as the error takes"),
        (&["--finest", "7200"], "--finest 7200: must divide the scenario's 7200 blocks per step"),
        (&["--finest", "700"], "--finest 700: must divide"),
        (&["--error", "0"], "must be a finite number > 0"),
        (&["--error", "1", "--relative", "0.1"], "cannot be used with"),
        (&["--set", "run.blocks_per_step=3600"], "say --blocks-per-step"),
        (&["--set", "run.parameter_uncertainty=true"], "set run.parameter_uncertainty = false"),
        (&["--out", "table.txt"], "--out table.txt: must end in .csv or .parquet"),
    ];
    for (flags, expected) in cases {
        let directory = TempDir::new().expect("a temporary directory");
        let output = taorisk(&directory, flags);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{flags:?}: {stderr}");
        assert!(stderr.contains(expected), "{flags:?} lacks `{expected}`: {stderr}");
    }
}
