//! Attribution by driver: with none nothing moves, each alone makes all of it, parts add up to what a run publishes, errors cover.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use assert_cmd::Command;
use serde_json::Value;
use taorisk::cli::run::plan_of;
use taorisk::cli::run::recorder_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::drivers::Driver;
use taorisk::engine::drivers::Drivers;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::record::PathRow;
use taorisk::engine::run;
use taorisk::engine::run::RunOptions;
use taorisk::risk::recorder::BatchRecord;
use taorisk::risk::shapley::Coalitions;
use taorisk::risk::shapley::LossMeasure;
use taorisk::rng;
use taorisk::rng::Address;
use taorisk::rng::Purpose;
use taorisk::simd::Backend;
use tempfile::TempDir;

/// Eight subnets at the supply cap, which are emitted nothing, TAO or alpha. The first has the lowest moving price.
fn snapshot(price_factor: f64) -> String {
    let header = "netuid,block,registration_block,tao_in,alpha_in,miner_burned_fraction,emission_enabled,\
                  alpha_staked_by_wallets,alpha_protocol_owned,alpha_burned,price\n";
    let row = |netuid: u32| {
        let price = price_factor * f64::from(netuid) / 100.0;
        format!("{netuid},9184186,5000000,{}0000,1000000,0.0,1,20000000,0,0,{price}\n", netuid)
    };
    header.to_owned() + &(1..=8).map(row).collect::<String>()
}

const BOOK: &str = "netuid,alpha\n1,2000\n3,1000\n6,500\n";

/// Nothing acts: no flow, no emission, no registration, a constant rate. Words in capitals are for the tests to replace.
const QUIET: &str = r#"
SWITCHES
CLUSTERS
[run]
paths = 1000
horizon_days = 10
confidence = [0.95]
[input]
snapshot = "snapshot.csv"
positions = "book.csv"
[chain]
issuance_tao = 21000000.0
last_lock_tao = 315.0
[protocol]
subnet_limit = 8
dissolve_rule = "D0"
[flow]
scale_median = SCALE
scale_sd_log = 0.0
drift_per_day = 0.0
loading_mean = LOADING
loading_sd = 0.0
[flow.volatility_fast]
sd_log = VOLATILITY
[flow.volatility_slow]
sd_log = VOLATILITY
[flow.jumps]
rate_per_day = JUMPS
up_mean = SIZE
down_mean = SIZE
[flow.common_jump]
rate_per_day = 0.0
[tao_usd]
volatility_per_sqrt_day = RATE
jump_rate_per_day = 0.0
[registration]
hazard_per_day = HAZARD
[entrants]
never_start_probability = 1.0
"#;

/// What stands in the place of each word where nothing else does.
const DEFAULTS: [(&str, &str); 9] = [
    ("SWITCHES", ""),
    ("CLUSTERS", ""),
    ("SCALE", "1e-30"),
    ("LOADING", "0.0"),
    ("VOLATILITY", "0.0"),
    ("JUMPS", "0.0"),
    ("SIZE", "1.0"),
    ("RATE", "0.0"),
    ("HAZARD", "0.0"),
];

fn quiet(changes: &[(&str, &str)]) -> String {
    let changed = changes.iter().fold(QUIET.to_owned(), |text, (word, value)| text.replace(word, value));
    DEFAULTS.iter().fold(changed, |text, (word, value)| text.replace(word, value))
}

fn directory_with(scenario: &str, price_factor: f64) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let files = [("s.toml", scenario), ("snapshot.csv", &snapshot(price_factor)), ("book.csv", BOOK)];
    files.iter().for_each(|(name, content)| fs::write(directory.path().join(name), content).expect("a file"));
    directory
}

fn output(directory: &TempDir, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.current_dir(directory.path()).args(arguments).output().expect("the program starts")
}

fn json(directory: &TempDir, arguments: &[&str]) -> Value {
    let output = output(directory, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Value and standard error of a driver's `column` in a measure.
fn found(table: &Value, measure: &str, driver: &str, column: &str) -> [f64; 2] {
    let rows = table["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["measure"] == measure && row["driver"] == driver);
    let row = row.unwrap_or_else(|| panic!("{measure} of {driver}: {table}"));
    [column.to_owned(), format!("{column}_standard_error")].map(|name| row[name].as_f64().expect("a number"))
}

const MEASURES: [&str; 4] = ["mean_loss", "sd_pnl", "value_at_risk", "expected_shortfall"];

fn drivers(table: &Value) -> Vec<&str> {
    let rows = table["rows"].as_array().expect("rows").iter().filter(|row| row["measure"] == "mean_loss");
    rows.map(|row| row["driver"].as_str().expect("a name")).filter(|name| !["none", "total"].contains(name)).collect()
}

/// `only` makes all of every measure; the others nothing, or `rest` of the total at most. Where the chain acts on pools and has
/// nothing to emit, its arithmetic rounds all the same: 1e-15 of the book in each of ten steps.
fn assert_only(table: &Value, only: &str, rest: f64) {
    let usd = if table["rows"][0]["currency"] == "USD" { 220.52 } else { 1.0 };
    let rounding = 1e-14 * 80.0 * usd;
    assert!(drivers(table).contains(&only), "{table}");
    for measure in MEASURES {
        let [total, total_error] = found(table, measure, "total", "part");
        assert_eq!(found(table, measure, "none", "part"), [0.0, 0.0], "{measure}");
        for driver in drivers(table) {
            let expected = if driver == only { [total, total_error] } else { [0.0, 0.0] };
            for column in ["part", "alone", "last"] {
                let [value, error] = found(table, measure, driver, column);
                let margin = rest * total.abs() + rounding;
                assert!((value - expected[0]).abs() <= margin, "{measure}, {driver} {column}: {value} of {total}");
                let margin = rest * total_error + rounding;
                assert!((error - expected[1]).abs() <= margin, "{measure}, {driver} {column}: error {error}");
            }
        }
    }
}

/// Attribution at spot in TAO where only `changes` act.
fn attribute_at_spot(changes: &[(&str, &str)]) -> Value {
    let directory = directory_with(&quiet(changes), 1.0);
    let flags = ["attribute", "s.toml", "--currency", "tao", "--basis", "mark", "--json", "--quiet"];
    let table = json(&directory, &flags);
    let [spread, _] = found(&table, "sd_pnl", "total", "part");
    assert!(spread > 1.0, "a book of 110 TAO moves: {spread}");
    table
}

#[test]
fn only_the_common_factor() {
    let table = attribute_at_spot(&[("SCALE", "0.05"), ("LOADING", "1.0")]);
    assert_only(&table, "common_factor", 0.0);
    assert_eq!(drivers(&table), ["common_factor", "own_flow", "emission"]);
    assert_eq!(table["absent"], serde_json::json!(["tao_usd", "jumps", "deregistration", "slippage", "rules"]));
}

#[test]
fn only_own_flow() {
    let table = attribute_at_spot(&[("SCALE", "0.05"), ("VOLATILITY", "0.6")]);
    assert_only(&table, "own_flow", 0.0);
}

/// Jumps a billion times the scale of the diffusion; and jumps of a cluster, which have none.
#[test]
fn only_jumps() {
    let table = attribute_at_spot(&[("SCALE", "1e-10"), ("JUMPS", "0.3"), ("SIZE", "1e9")]);
    assert_only(&table, "jumps", 1e-6);
    let cluster =
        "[[clusters]]\nnetuids = [1, 3, 6]\nrate_per_day = 0.1\nlog_reserve_mean = -0.4\nlog_reserve_sd = 0.1";
    assert_only(&attribute_at_spot(&[("CLUSTERS", cluster)]), "jumps", 0.0);
}

/// A doomed subnet: registrations come, the first subnet has the lowest moving price, its stake is twenty times its pool's alpha.
#[test]
fn only_deregistration() {
    let table = attribute_at_spot(&[("HAZARD", "0.05")]);
    assert_only(&table, "deregistration", 0.0);
    // 2,000 alpha at 0.01 are worth 20 TAO, and a twentieth of that when the pool's 10,000 TAO are shared by 20 million alpha; the
    // shortfall at 95 % is that of paths on which the subnet is gone.
    let [shortfall, _] = found(&table, "expected_shortfall", "deregistration", "part");
    assert!(shortfall > 18.99, "{shortfall}");
}

/// The switch of pools to equal weights moves the spot price of pools whose weights were not.
#[test]
fn only_rules() {
    let switch = "[[switches]]\nday = 3\nprobability = 0.5\npool_rule = \"A0\"";
    let directory = directory_with(&quiet(&[("SWITCHES", switch)]), 1.2);
    let flags = ["attribute", "s.toml", "--currency", "tao", "--basis", "mark", "--json", "--quiet"];
    let table = json(&directory, &flags);
    assert_only(&table, "rules", 0.0);
    // A fall of the price from 1.2 to 1 times the ratio of reserves, on half of the paths.
    let [worst, _] = found(&table, "value_at_risk", "rules", "part");
    assert!((worst - 0.2 * 80.0).abs() < 1e-9, "{worst}");
}

#[test]
fn only_tao_usd() {
    let directory = directory_with(&quiet(&[("RATE", "0.04")]), 1.0);
    let flags = ["attribute", "s.toml", "--basis", "mark", "--json", "--quiet"];
    let table = json(&directory, &flags);
    assert_only(&table, "tao_usd", 0.0);
    let [spread, error] = found(&table, "sd_pnl", "tao_usd", "part");
    // 80 TAO at 220.52 USD, a log-normal rate over ten days.
    let expected = 80.0 * 220.52 * (f64::exp(0.04 * 0.04 * 10.0) - 1.0).sqrt();
    assert!((spread - expected).abs() < 4.0 * error, "{spread} +- {error}, not {expected}");
}

#[test]
fn only_slippage() {
    let directory = directory_with(&quiet(&[]), 1.0);
    let table = json(&directory, &["attribute", "s.toml", "--currency", "tao", "--json", "--quiet"]);
    assert_only(&table, "slippage", 0.0);
    let [loss, error] = found(&table, "mean_loss", "slippage", "part");
    // Each pool has a million alpha: a sale of a alpha costs the fee of 5 in 10,000 and a millionth part a.
    let expected: f64 = [(1, 2_000.0), (3, 1_000.0), (6, 500.0)]
        .iter()
        .map(|&(netuid, alpha): &(u32, f64)| {
            let sold = alpha * (1.0 - 33.0 / 65_535.0);
            f64::from(netuid) * (alpha / 100.0 - 10_000.0 * sold / (1e6 + sold))
        })
        .sum();
    assert!((loss - expected).abs() < 1e-9 && error == 0.0, "{loss}, not {expected}");
}

/// Mainnet without flows and registrations: the chain alone, which no chance moves.
#[test]
fn only_emission() {
    let changed = quiet(&[]).replace("snapshot = \"snapshot.csv\"\npositions = \"book.csv\"\n", "");
    let chain = "[chain]\nissuance_tao = 21000000.0\nlast_lock_tao = 315.0\n[protocol]\nsubnet_limit = 8\ndissolve_rule = \"D0\"\n";
    assert!(changed.contains(chain));
    let directory = directory_with(&changed.replace(chain, ""), 1.0);
    let table = json(&directory, &["attribute", "s.toml", "--currency", "tao", "--basis", "mark", "--json", "--quiet"]);
    for driver in drivers(&table) {
        let [total, _] = found(&table, "mean_loss", "total", "part");
        let [part, _] = found(&table, "mean_loss", driver, "part");
        let expected = if driver == "emission" { total } else { 0.0 };
        assert!(total.abs() > 1.0 && (part - expected).abs() < 1e-12, "{driver}: {part} of {total}");
    }
}

/// All that a scenario can have.
const EVERYTHING: &str = r#"
[[switches]]
day = 2
probability = 0.6
share_rule = "P0"
owner_cut = 0.3
[[clusters]]
netuids = [3, 39, 81]
rate_per_day = 0.05
log_reserve_mean = -0.4
log_reserve_sd = 0.1
[[subnets]]
netuid = 64
sector = "inference"
drift_per_day = 0.01
log_volatility = 0.5
[[subnets]]
netuid = 4
sector = "inference"
[[revenue]]
netuid = 64
median_usd_per_day = 2000.0
buyback = 0.5
[run]
paths = 1000
horizon_days = 5
report_days = [1]
[flow]
sector_loading = 0.3
[feedback]
momentum = 0.02
[market_states]
enabled = true
[root_stake]
drift_per_day = 0.001
[registration]
hazard_per_day = 20.0
[validators]
spread_sd_log = 0.1
"#;

fn rows_of(plan: &Plan, scenario: &Scenario) -> Vec<PathRow> {
    let mut rows = Vec::new();
    let consume = |batch: BatchRecord| {
        rows.extend(batch.paths);
        ControlFlow::Continue(())
    };
    let options = RunOptions { first_path: 0, paths: 96, batch_paths: 7, threads: 1, backend: Backend::detect() };
    run::run(plan, &options, || recorder_of(scenario), consume, &AtomicBool::new(false)).expect("a run");
    rows
}

/// Whatever the scenario has, the rules of pools and the length of steps.
#[test]
fn nothing_is_lost_where_no_driver_acts() {
    for (rule, blocks_per_step) in [("A2", 7_200), ("A0", 7_200), ("A2", 360)] {
        let text = format!("{EVERYTHING}[protocol]\npool_rule = \"{rule}\"\n");
        let overrides = Overrides { blocks_per_step: Some(blocks_per_step), ..Overrides::default() };
        let scenario = Scenario::from_text("all", &text, Path::new(""), &overrides).expect("a scenario");
        let input = plan_of(&scenario).input;
        assert!(Driver::ALL.iter().all(|driver| driver.is_present(&input)));
        let mut still = PlanInput { drivers: Drivers::NONE, ..input };
        // Weights that are not equal, so that powers stand where quotients do else.
        if rule == "A2" {
            still.start.subnets.iter_mut().for_each(|subnet| subnet.weight_tao = 0.45);
        }
        for row in rows_of(&Plan::new(still), &scenario) {
            assert_eq!((row.pnl_mark_tao, row.max_drawdown, row.deregistered_holdings), (0.0, 0.0, 0), "{rule}");
            assert!(row.pnl_liquidation_tao < 0.0 && row.tao_usd != 220.52);
        }
    }
}

/// Each simulated driver acts where all do, and where it is alone; the rate of TAO in USD is the same whoever acts.
#[test]
fn every_driver_does_something_on_the_same_chance() {
    let scenario = Scenario::from_text("all", EVERYTHING, Path::new(""), &Overrides::default()).expect("a scenario");
    let input = plan_of(&scenario).input;
    let rows = |drivers| rows_of(&Plan::new(PlanInput { drivers, ..input.clone() }), &scenario);
    let all = rows(Drivers::ALL);
    let pnl = |rows: &[PathRow]| rows.iter().map(|row| row.pnl_mark_tao).collect::<Vec<_>>();
    let rates = |rows: &[PathRow]| rows.iter().map(|row| row.tao_usd).collect::<Vec<_>>();
    for driver in Driver::ALL.into_iter().filter(|driver| driver.is_simulated()) {
        let without = rows(Drivers::ALL.without(driver));
        assert_ne!(pnl(&without), pnl(&all), "{driver:?}");
        // States of the market scale its volatility, and are the common factor's.
        assert_eq!(rates(&without) == rates(&all), driver != Driver::CommonFactor, "{driver:?}");
        let others = Driver::ALL.into_iter().filter(|other| *other != driver);
        let alone = rows(others.fold(Drivers::ALL, |set, other| set.without(other)));
        // New shares of an emission that there is not do nothing, and no subnet is held that goes within five days.
        let is_idle = matches!(driver, Driver::Deregistration | Driver::Rules);
        assert_eq!(alone.iter().all(|row| row.pnl_mark_tao == 0.0), is_idle, "{driver:?}");
    }
}

/// Everybody sells: stakes that no emission refills come down to the rounding of the pool's alpha, which is no fault.
#[test]
fn stakes_can_be_sold_out_without_emission() {
    let text = "[run]\nhorizon_days = 20\n[flow]\ndrift_per_day = -1.0\n";
    let scenario = Scenario::from_text("sold", text, Path::new(""), &Overrides::default()).expect("a scenario");
    let input = PlanInput { drivers: Drivers::ALL.without(Driver::Emission), ..plan_of(&scenario).input };
    let last = scenario.report_horizons.len() as u16 - 1;
    let rows = rows_of(&Plan::new(input), &scenario);
    assert!(rows.iter().filter(|row| row.horizon == last).all(|row| row.pnl_mark_tao < -100.0));
}

/// The table's totals are what a run publishes, its parts add up to them, and threads do not matter.
#[test]
fn parts_add_up_to_what_a_run_publishes() {
    let directory = directory_with(EVERYTHING, 1.0);
    let flags = ["attribute", "s.toml", "--paths", "1000", "--json", "--quiet", "--threads"];
    let table = json(&directory, &[&flags[..], &["1", "--out", "drivers.csv"]].concat());
    assert_eq!(drivers(&table), Driver::ALL.map(Driver::name));
    assert_eq!(table["absent"], serde_json::json!([]));
    assert_eq!(table, json(&directory, &[&flags[..], &["2"]].concat()));
    let published = json(&directory, &["run", "s.toml", "--paths", "1000", "--json", "--quiet"]);
    let published = published["rows"].as_array().expect("rows");
    for row in table["rows"].as_array().expect("rows").iter().filter(|row| row["driver"] == "total") {
        let number = |row: &Value, key: &str| row[key].as_f64().expect("a number");
        let measure = if row["measure"] == "mean_loss" { "mean_pnl" } else { row["measure"].as_str().expect("a name") };
        let is_same = |other: &&Value| {
            let texts = other["measure"] == measure && other["currency"] == "USD" && other["basis"] == "liquidation";
            texts && other["level"] == row["level"] && other["horizon_days"] == row["horizon_days"]
        };
        let same = published.iter().find(is_same).unwrap_or_else(|| panic!("{row}"));
        let sign = if measure == "mean_pnl" { -1.0 } else { 1.0 };
        assert_eq!(number(row, "part"), sign * number(same, "value"), "{row}");
        // Of a spread so few paths may not know the error.
        let error = number(row, "part_standard_error");
        let expected = if measure == "sd_pnl" {
            same["standard_error"].as_f64().unwrap_or(error)
        } else {
            number(same, "standard_error")
        };
        // Five spacings of losses give the density at 99 %.
        let ratio_max = if measure == "value_at_risk" { 2.0 } else { 1.3 };
        assert!((error / expected).ln().abs() < f64::ln(ratio_max), "{row}: error {error}, published {expected}");
        let parts = table["rows"].as_array().expect("rows").iter();
        let parts = parts.filter(|other| other["measure"] == row["measure"] && other["level"] == row["level"]);
        let sum: f64 = parts.filter(|other| other["driver"] != "total").map(|other| number(other, "part")).sum();
        assert!((sum - number(row, "part")).abs() < 1e-10 * number(row, "part").abs(), "{row}: {sum}");
    }
    let csv = fs::read_to_string(directory.path().join("drivers.csv")).expect("a table");
    // Mean, spread and two tails at two levels of eight drivers, none and all.
    assert_eq!(csv.lines().count(), 1 + 6 * 10);
}

#[test]
fn the_table_fits_a_hundred_columns_and_says_that_the_parts_add_up() {
    let directory = directory_with(EVERYTHING, 1.0);
    let printed = output(&directory, &["attribute", "s.toml", "--paths", "1000", "--quiet"]);
    let text = String::from_utf8(printed.stdout).expect("UTF-8");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert_eq!(text.matches(" sum of parts = total").count(), 6, "{text}");
    assert!(text.contains("No driver is left out.") && text.contains("256 sets of drivers"), "{text}");
}

#[test]
fn what_cannot_be_attributed_is_refused() {
    let drawn = EVERYTHING.replace("paths = 1000", "parameter_uncertainty = true");
    for (scenario, flags, expected) in [
        (drawn.as_str(), &[][..], "set run.parameter_uncertainty = false"),
        (EVERYTHING, &["--paths", "999"], "--paths 999: needs at least 1000, 10 beyond the value at risk at 99%"),
        (EVERYTHING, &["--book", "desk"], "--book desk: no book of the scenario, which has main"),
        (EVERYTHING, &["--out", "table.txt"], "--out table.txt: must end in .csv or .parquet"),
    ] {
        let directory = directory_with(scenario, 1.0);
        let output = output(&directory, &[&["attribute", "s.toml"], flags].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && output.stdout.is_empty(), "{flags:?}: {message}");
        assert!(message.contains(expected), "{flags:?} lacks `{expected}`: {message}");
    }
}

const REPLICATIONS: u32 = 500;
const PATHS: u32 = 2_000;
/// Standard deviations of the toy's three drivers.
const SPREADS: [f64; 3] = [1.0, 2.0, 3.0];

/// Three normal drivers that add up, and do more than that where the first two act: any coalition's loss is normal.
fn toy(replication: u32) -> Coalitions {
    let normals = |path: u32| {
        let address = Address { path, step: replication, slot: 0, purpose: Purpose::SlotNormals, index: 0 };
        rng::normals4(rng::words(2_027, address))
    };
    let draws: Vec<[f64; 4]> = (0..PATHS).map(normals).collect();
    let losses = (0..8).map(|set| draws.iter().map(|draw| toy_loss(set, draw)).collect());
    Coalitions::new(3, losses.collect())
}

fn toy_loss(set: usize, draw: &[f64; 4]) -> f64 {
    let sum: f64 = (0..3).filter(|driver| set >> driver & 1 == 1).map(|driver| SPREADS[driver] * draw[driver]).sum();
    if set & 3 == 3 { sum + draw[3] + 0.5 } else { sum }
}

/// A measure of a coalition's normal loss.
fn toy_value(measure: LossMeasure, set: usize) -> f64 {
    let variance: f64 = (0..3).filter(|driver| set >> driver & 1 == 1).map(|driver| SPREADS[driver].powi(2)).sum();
    let (mean, variance) = if set & 3 == 3 { (0.5, variance + 1.0) } else { (0.0, variance) };
    // Quantile and tail mean of the standard normal law at 95 %.
    match measure {
        LossMeasure::Mean => mean,
        LossMeasure::StandardDeviation => variance.sqrt(),
        LossMeasure::ValueAtRisk(_) => mean + 1.6448536269514722 * variance.sqrt(),
        LossMeasure::ExpectedShortfall(_) => mean + 2.0627128075074256 * variance.sqrt(),
    }
}

/// The part of a driver by its definition: the mean over the six orders.
fn toy_part(measure: LossMeasure, driver: usize) -> f64 {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let change = |order: &[usize; 3]| {
        let before = order.iter().take_while(|other| **other != driver).fold(0, |set, other| set | 1 << other);
        toy_value(measure, before | 1 << driver) - toy_value(measure, before)
    };
    ORDERS.iter().map(change).sum::<f64>() / 6.0
}

/// 500 replications at 95 %: a coverage of 92 to 98 % is within three standard errors of it.
#[test]
fn intervals_cover_the_parts() {
    let measures = LossMeasure::all(&[0.95]);
    let mut covered = vec![[0; 3]; measures.len()];
    for replication in 0..REPLICATIONS {
        let game = toy(replication);
        for (measure, covered) in measures.iter().zip(&mut covered) {
            let found = game.attribute(*measure);
            for (driver, part) in found.parts.iter().enumerate() {
                let truth = toy_part(*measure, driver);
                covered[driver] += u32::from(part.shapley.ci_low <= truth && truth <= part.shapley.ci_high);
            }
        }
    }
    println!("{measures:?}: {covered:?} of {REPLICATIONS}");
    for (measure, covered) in measures.iter().zip(&covered) {
        for hits in covered {
            let coverage = f64::from(*hits) / f64::from(REPLICATIONS);
            assert!((0.92..=0.98).contains(&coverage), "{measure:?}: {coverage}");
        }
    }
}
