//! The backtest itself: unbiased where the parameters are the true ones, blind to what came later, the same bytes however it runs.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use assert_cmd::Command;
use taorisk::calibration::backtest;
use taorisk::calibration::backtest::BacktestOptions;
use taorisk::calibration::backtest::Forecast;
use taorisk::calibration::backtest::Forecasts;
use taorisk::calibration::backtest::Subject;
use taorisk::calibration::history::History;
use taorisk::calibration::history::Observation;
use taorisk::calibration::history::RootStake;
use taorisk::calibration::observed;
use taorisk::calibration::past;
use taorisk::calibration::past::Depth;
use taorisk::calibration::past::PastOptions;
use taorisk::calibration::score;
use taorisk::calibration::verdict;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::drivers::Drivers;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::plan::locate;
use taorisk::engine::recorder::Recorder;
use taorisk::engine::recorder::StepView;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::input::history::HistoryDocuments;
use taorisk::model::params::ModelParams;
use taorisk::model::params::VolatilityPart;
use taorisk::protocol::calendar;
use taorisk::protocol::slots::SlotValues;
use taorisk::protocol::upgrades;
use taorisk::simd::Backend;
use taorisk::units::NetUid;
use taorisk::units::SubnetId;
use tempfile::TempDir;

/// Days of the simulated history, and of the windows that its forecasts are for.
const DAYS: u32 = 300;
const WINDOW: u32 = 10;

fn run_options(paths: u64, threads: usize) -> RunOptions {
    RunOptions { first_path: 0, paths, batch_paths: 32, threads, backend: Backend::detect() }
}

fn options(days: [i64; 2], every_days: u32, horizons_days: &[u32], paths: u64) -> BacktestOptions {
    BacktestOptions {
        days,
        every_days,
        horizons_days: horizons_days.to_vec(),
        books: 20,
        book_size: 10,
        rival_paths: 50,
        seed: 3,
        run: run_options(paths, 2),
        rules: upgrades::params_at_block,
    }
}

/// Keeps every step of a path as a history would tell of it.
struct Chronicle(History);

impl Chronicle {
    fn write(&mut self, view: &StepView<'_>) {
        for (slot, occupant) in view.path.occupants.iter().enumerate() {
            let Some(occupant) = occupant else { continue };
            let (chunk, lane) = locate(slot);
            let chain = &view.path.chain[chunk];
            self.0.observations.push(Observation {
                subnet: SubnetId { netuid: NetUid::from_slot(slot), registered_at: occupant.registered_at },
                block: view.block,
                price: view.path.price(slot),
                moving_price: Some(chain.moving_price[lane]),
                reserve_tao: chain.reserve_tao[lane],
                reserve_alpha: chain.reserve_alpha[lane],
                outstanding_alpha: chain.outstanding_alpha(lane),
                injected_tao_per_block: None,
                is_startup: chain.started[lane] == 0.0,
                flow_average_tao_per_block: None,
                miner_burned: Some(chain.miner_burned[lane]),
                net_flow_tao: None,
            });
        }
        self.0.root_stake.push(RootStake { block: view.block, stake_tao: view.path.root_stake_tao });
    }
}

impl Recorder for Chronicle {
    type Batch = History;

    fn open(&mut self, _index: usize, view: &StepView<'_>, held: &mut SlotValues) {
        *held = SlotValues::splat(0.0);
        self.write(view);
    }

    fn step(&mut self, _index: usize, view: &StepView<'_>, _held: &mut SlotValues) {
        self.write(view);
    }

    fn close(&mut self, _first_path: u64, _count: usize) -> History {
        let mut history = std::mem::take(&mut self.0);
        history.observations.sort_by_key(|seen| (seen.subnet, seen.block));
        history
    }
}

/// The built-in parameters, but subnets move by themselves and volatility forgets soon, so that windows are as good as
/// independent; and nobody registers, for a history that has all in it that paths start from.
fn true_model(scenario: &Scenario) -> ModelParams {
    let mut model = scenario.model.clone();
    model.flow.loading_mean = 1e-3;
    model.flow.common_jump.rate_per_day = 0.0;
    model.flow.volatility =
        [VolatilityPart { sd_log: 0.5, half_life_days: 1.0 }, VolatilityPart { sd_log: 0.4, half_life_days: 4.0 }];
    model.registration.hazard_per_day = 0.0;
    model.entrants.never_start_probability_incumbent = 1.0;
    model
}

/// One path of the network as a history.
fn simulated_history(scenario: &Scenario, model: &ModelParams) -> History {
    let mut start = scenario.start.clone();
    start.subnets.iter_mut().for_each(|subnet| subnet.emission_enabled = true);
    let plan = Plan::new(PlanInput {
        seed: 11,
        protocol: scenario.protocol,
        switches: Vec::new(),
        model: model.clone(),
        start,
        tao_usd: 1.0,
        blocks_per_step: 7_200,
        draw_refinement: 1,
        replicates: None,
        steps: DAYS,
        drivers: Drivers::ALL,
    });
    let mut history = History::default();
    let keep = |told| {
        history = told;
        ControlFlow::Continue(())
    };
    let stop = AtomicBool::new(false);
    run::run(&plan, &run_options(1, 1), || Chronicle(History::default()), keep, &stop).expect("a sound path");
    history
}

fn forecasts_with(history: &History, model: &ModelParams) -> Forecasts {
    let first = calendar::day_of_block(history.observations[0].block) + 1;
    let options = options([first, first + i64::from(DAYS - WINDOW)], WINDOW, &[1, WINDOW], 300);
    let mut calibrate = |_: &History, _: &_| vec![model.clone()];
    backtest::backtest(history, &options, &mut calibrate, &AtomicBool::new(false), |_| ()).expect("sound paths")
}

fn pits(forecasts: &Forecasts, subject: Subject, horizon_days: u32) -> Vec<f64> {
    let of = |seen: &&Forecast| seen.subject == subject && seen.horizon_days == horizon_days;
    forecasts.numbers.iter().filter(of).map(|seen| seen.pit).collect()
}

/// A history simulated with parameters that the backtest is told: every outcome is one more draw from the forecast law.
///
/// Some 3,300 windows, four standard errors: an interval of 95 % that holds 1.5 points more or less fails.
#[test]
fn true_parameters_give_uniform_places() {
    let scenario = Scenario::load(None, &Overrides::default()).expect("the built-in scenario");
    let model = true_model(&scenario);
    let history = simulated_history(&scenario, &model);
    let forecasts = forecasts_with(&history, &model);
    assert_eq!(forecasts.starts.len(), 30);
    for subject in [Subject::Price, Subject::PoolTao] {
        for horizon_days in [1, WINDOW] {
            let pits = pits(&forecasts, subject, horizon_days);
            let n = pits.len() as f64;
            assert!(n > 3_000.0, "{n}");
            for level in verdict::COVERAGE_LEVELS {
                let covered = pits.iter().filter(|pit| score::is_covered(**pit, level)).count() as f64 / n;
                let error = (level * (1.0 - level) / n).sqrt();
                assert!((covered - level).abs() < 4.0 * error, "{subject:?} {horizon_days} {level}: {covered}");
            }
            let mean = pits.iter().sum::<f64>() / n;
            assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12.0 / n).sqrt(), "{subject:?} {horizon_days}: {mean}");
        }
    }
    // Books of a date share subnets; dates do not share chance.
    for score in verdict::scores(&forecasts, WINDOW, 1).iter().filter(|score| score.measure == "exceedance_rate") {
        assert!(score.p_value.is_some_and(|p| p > 1e-3), "{score:?}");
    }
    let beaten = |measure: &str, subject: &str| {
        let all = verdict::scores(&forecasts, WINDOW, 1);
        let of = all.into_iter().filter(|score| score.measure == measure && score.subject == subject);
        of.map(|score| score.value).collect::<Vec<_>>()
    };
    assert!(beaten("crps_difference", "pool_tao").iter().all(|gain| *gain < 0.0), "the true law beats plain rivals");
    let narrow = ModelParams {
        flow: taorisk::model::params::FlowParams { scale_median: 0.5 * model.flow.scale_median, ..model.flow.clone() },
        ..model.clone()
    };
    let pits = pits(&forecasts_with(&history, &narrow), Subject::Price, WINDOW);
    let covered = pits.iter().filter(|pit| score::is_covered(**pit, 0.9)).count() as f64 / pits.len() as f64;
    assert!(covered < 0.8, "half the volatility must be seen: {covered}");
}

fn embedded() -> History {
    HistoryDocuments::embedded().read().expect("the built-in history").0
}

fn forecast_of_a_day(history: &History, depth: Depth) -> Forecasts {
    let scenario = Scenario::load(None, &Overrides::default()).expect("the built-in scenario");
    let day = calendar::parse_day("2026-01-14").expect("a date");
    let past = PastOptions { depth, window_days: 60, sets: 2, seed: 3 };
    let mut calibrate = |known: &History, chain: &_| past::parameters(known, chain, &scenario.model, &past);
    let options = options([day, day], 7, &[1, 7], 64);
    backtest::backtest(history, &options, &mut calibrate, &AtomicBool::new(false), |_| ()).expect("sound paths")
}

/// Everything after the start may be another: forecasts stay, outcomes do not.
#[test]
fn the_future_is_not_known() {
    let history = embedded();
    let forecasts = forecast_of_a_day(&history, Depth::Drift);
    let start = forecasts.starts[0].block;
    let mut other = history.clone();
    for seen in other.observations.iter_mut().filter(|seen| seen.block > start) {
        seen.price *= 2.0;
        seen.reserve_tao *= 2.0;
    }
    other.registrations.retain(|seen| seen.subnet.registered_at <= start);
    other.root_stake.retain(|seen| seen.block <= start);
    let others = forecast_of_a_day(&other, Depth::Drift);
    assert!(forecasts.numbers.len() > 500);
    let mut compared = 0;
    for seen in &forecasts.numbers {
        let key = |of: &&Forecast| {
            (of.subject, of.horizon_days, of.subnet, of.book)
                == (seen.subject, seen.horizon_days, seen.subnet, seen.book)
        };
        let Some(twin) = others.numbers.iter().find(key) else { continue };
        assert_eq!(seen.quantiles, twin.quantiles, "{:?} {:?}", seen.subject, seen.subnet);
        assert!((twin.outcome - seen.outcome - 2.0_f64.ln()).abs() < 1e-9, "{seen:?}");
        compared += 1;
    }
    assert!(compared > 500, "{compared}");
}

/// Known answers: the network of a day as its rows say, the costs and the rules of the day.
#[test]
fn a_start_is_the_observed_day() {
    let history = embedded();
    let forecasts = forecast_of_a_day(&history, Depth::Given);
    let start = forecasts.starts[0].block;
    let chain = observed::chain_at(&history.until(start, i64::MAX), start, &upgrades::params_at_block(start));
    assert_eq!(chain.subnets.len(), 128);
    let seen = history.observations.iter().filter(|seen| seen.block == start).collect::<Vec<_>>();
    assert_eq!(seen.len(), 128);
    for (subnet, seen) in chain.subnets.iter().zip(seen.iter().filter(|seen| !seen.is_startup)) {
        let seen = if seen.subnet.netuid == subnet.netuid { seen } else { continue };
        assert_eq!((subnet.reserve_tao, subnet.moving_price), (seen.reserve_tao, seen.moving_price.unwrap()));
        assert!((subnet.outstanding_alpha() / seen.outstanding_alpha - 1.0).abs() < 1e-12);
    }
    let last = history.registrations.iter().rfind(|seen| seen.subnet.registered_at <= start).expect("a registration");
    assert_eq!((chain.last_lock_block, Some(chain.last_lock_tao)), (last.subnet.registered_at, last.lock_cost_tao));
    // 2026-01-14: a month after the halving, 0.42 TAO a block net of what was recycled.
    assert!((chain.issuance_tao - 10.59e6).abs() < 0.02e6, "{}", chain.issuance_tao);
    // SN128's first occupants: a deregistration of that week is an event.
    let came = forecasts.deregistrations.iter().filter(|seen| seen.horizon_days == 7 && seen.came).count();
    let between = |block: u64| block > start && block <= start + 7 * 7_200;
    let registered = history.registrations.iter().filter(|seen| between(seen.subnet.registered_at)).count();
    assert!(came == registered && came > 0, "{came} {registered}");
}

fn taorisk(directory: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let output = command.current_dir(directory).arg("backtest").args(arguments).output().expect("the program starts");
    (output.status.code().expect("it ends by itself"), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn files_are_the_same_for_any_threads() {
    let directory = TempDir::new().expect("a directory");
    let common = ["--from", "2026-02-03", "--to", "2026-02-12", "--paths", "100", "--sets", "2", "--window", "30"];
    for (threads, out) in [("1", "one"), ("3", "three")] {
        let (code, error) =
            taorisk(directory.path(), &[&common[..], &["--threads", threads, "--out", out, "--quiet"]].concat());
        assert_eq!(code, 0, "{error}");
    }
    for file in ["backtest.parquet", "scores.parquet", "report.md"] {
        let [one, three] = ["one", "three"].map(|out| fs::read(directory.path().join(out).join(file)).expect("a file"));
        assert!(one == three && one.len() > 1_000, "{file}");
    }
    let files = fs::read_dir(directory.path().join("one")).expect("a directory").count();
    assert_eq!(files, 3, "nothing partial stays");
    let (code, error) = taorisk(directory.path(), &[&common[..], &["--out", "one", "--quiet"]].concat());
    assert!(code == 2 && error.contains("exists already"), "{error}");
}

#[test]
fn bad_input_is_refused() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("h.csv"), "netuid,block\n1,2\n").expect("a file");
    for (arguments, expected) in [
        (&["--from", "yesterday"][..], "--from yesterday (must be a date such as 2025-11-20)"),
        (&["--from", "2026-01-02", "--to", "2026-01-01"], "--from 2026-01-02 (must not be after --to 2026-01-01)"),
        (&["--from", "2027-01-01", "--to", "2027-02-01"], "nothing was observed on a day to start from"),
        (&["gone.csv"], "cannot read gone.csv"),
        (&["h.csv"], "h.csv: column `registration_block` is missing"),
        (&["--every", "0"], "--every"),
    ] {
        let (code, error) = taorisk(directory.path(), arguments);
        assert!(code == 2 && error.contains(expected), "{arguments:?}: {code} {error}");
    }
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1, "nothing was written");
}
