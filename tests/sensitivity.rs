//! Sensitivities: slopes against closed forms, exactly 0 where nothing acts, sizes of positions, designs, same bytes, refusals.

use std::fs;

use assert_cmd::Command;
use serde_json::Value;
use statrs::distribution::Continuous;
use statrs::distribution::ContinuousCDF;
use statrs::distribution::Normal;
use tempfile::TempDir;

/// Eight subnets at the supply cap, which are emitted nothing, TAO or alpha.
fn snapshot() -> String {
    let header = "netuid,block,registration_block,tao_in,alpha_in,miner_burned_fraction,emission_enabled,\
                  alpha_staked_by_wallets,alpha_protocol_owned,alpha_burned,price\n";
    let row = |netuid: u32| {
        let price = f64::from(netuid) / 100.0;
        format!("{netuid},9184186,5000000,{netuid}0000,1000000,0.0,1,20000000,0,0,{price}\n")
    };
    header.to_owned() + &(1..=8).map(row).collect::<String>()
}

/// Worth 30 TAO at spot.
const BOOK: &str = "netuid,alpha\n3,1000\n";
const VALUE_USD: f64 = 30.0 * 220.52;
const DAYS: f64 = 10.0;
const VOLATILITY: f64 = 0.05;

/// Only TAO/USD moves: no flow, no emission, no registration.
const QUIET: &str = r#"
[run]
paths = 2000
horizon_days = 10
confidence = [0.95]
[input]
snapshot = "snapshot.csv"
positions = "book.csv"
[chain]
issuance_tao = 21000000.0
last_lock_tao = 315.0
tao_usd = 220.52
[protocol]
subnet_limit = 8
[flow]
scale_median = 1e-30
scale_sd_log = 0.0
drift_per_day = 0.0
loading_mean = 0.0
loading_sd = 0.0
[flow.jumps]
rate_per_day = 0.0
[flow.common_jump]
rate_per_day = 0.0
[tao_usd]
drift_per_day = 0.0
volatility_per_sqrt_day = 0.05
jump_rate_per_day = 0.0
[registration]
hazard_per_day = 0.0
"#;

fn directory() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    for (name, content) in [("s.toml", QUIET), ("snapshot.csv", &snapshot()), ("book.csv", BOOK)] {
        fs::write(directory.path().join(name), content).expect("a file");
    }
    directory
}

fn output(directory: &TempDir, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.current_dir(directory.path()).arg("sensitivity").args(arguments).output().expect("the program starts")
}

fn text(directory: &TempDir, arguments: &[&str]) -> String {
    let output = output(directory, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn table(directory: &TempDir, arguments: &[&str]) -> Value {
    serde_json::from_str(&text(directory, &[arguments, &["--json"]].concat())).expect("JSON")
}

/// Value and standard error of a statistic.
fn found(table: &Value, measure: &str, key: &str, statistic: &str) -> [f64; 2] {
    let rows = table["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["measure"] == measure && row["key"] == key && row["statistic"] == statistic);
    let row = row.unwrap_or_else(|| panic!("{measure} {key} {statistic}: {table}"));
    ["value", "standard_error"].map(|name| row[name].as_f64().expect("a number"))
}

fn assert_near([value, error]: [f64; 2], truth: f64, allowed: f64, what: &str) {
    assert!((value - truth).abs() < 4.0 * error + allowed, "{what}: {value} +- {error}, not {truth}");
}

const TAILS: [&str; 2] = ["value_at_risk", "expected_shortfall"];

/// Log-normal rate: `VaR = V (1 - exp(-s^2 / 2 - s z))`, `ES = V (1 - Phi(-z - s) / (1 - c))`, s the volatility of ten days.
#[test]
fn slopes_to_the_volatility_of_the_rate_are_those_of_the_closed_form() {
    let directory = directory();
    let arguments = ["s.toml", "--basis", "mark", "--keys", "tao_usd.volatility_per_sqrt_day,flow.jumps.up_mean"];
    let table = table(&directory, &arguments);
    let normal = Normal::standard();
    let (s, z) = (VOLATILITY * DAYS.sqrt(), normal.inverse_cdf(0.95));
    let slopes = [VALUE_USD * (-0.5 * s * s - s * z).exp() * (s + z) * s, VALUE_USD * normal.pdf(z + s) / 0.05 * s];
    for (measure, slope) in TAILS.into_iter().zip(slopes) {
        let key = "tao_usd.volatility_per_sqrt_day";
        // The step's own bias is of third order: 0.1 % of the slope.
        assert_near(found(&table, measure, key, "per_percent"), 0.01 * slope, 1e-5 * slope, measure);
        // 4.75 % is a standard error of the built-in law.
        assert_near(found(&table, measure, key, "per_standard_error"), 0.0475 * slope, 1e-4 * slope, measure);
        assert!(found(&table, measure, key, "per_percent")[1] < 0.1 * 0.01 * slope, "{measure}: a paired error");
    }
    // Without jumps their size is idle, in every measure, and exactly.
    for row in table["rows"].as_array().unwrap().iter().filter(|row| row["key"] == "flow.jumps.up_mean") {
        assert_eq!(row["value"], 0.0, "{row}");
    }
}

/// What a dollar measure has of the rate at the start, set by its key in the text, is in proportion to it.
#[test]
fn a_key_outside_of_the_model_is_moved_in_the_text() {
    let directory = directory();
    let table = table(&directory, &["s.toml", "--keys", "chain.tao_usd,protocol.immunity_period_blocks"]);
    for measure in ["mean_loss", "value_at_risk", "expected_shortfall", "exit_cost"] {
        let [value, _] = found(&table, measure, "", "value");
        let [slope, _] = found(&table, measure, "chain.tao_usd", "per_percent");
        assert!((slope / (0.01 * value) - 1.0).abs() < 1e-9, "{measure}: {slope} {value}");
        assert_eq!(found(&table, measure, "protocol.immunity_period_blocks", "per_percent")[0], 0.0, "{measure}");
    }
}

#[test]
fn the_size_of_the_only_position_scales_every_measure_at_spot() {
    let directory = directory();
    let spot = table(&directory, &["s.toml", "--basis", "mark", "--keys", "positions"]);
    let sold = table(&directory, &["s.toml", "--keys", "positions"]);
    for measure in ["mean_loss", "value_at_risk", "expected_shortfall"] {
        let whole = found(&spot, measure, "", "value")[0];
        let slope = found(&spot, measure, "SN3", "per_percent")[0];
        assert!((slope / (0.01 * whole) - 1.0).abs() < 1e-9, "{measure}: {slope} {whole}");
        // A larger position is sold for less each: a slope above the loss itself.
        let [slope, _] = found(&sold, measure, "SN3", "per_percent");
        let whole = found(&sold, measure, "", "value")[0];
        assert!(slope > 0.01 * whole && slope < 0.012 * whole.abs() + 0.1, "{measure}: {slope} {whole}");
    }
    let method = |table: &Value| {
        let rows = table["rows"].as_array().unwrap();
        rows.iter().find(|row| row["kind"] == "position").unwrap()["method"].clone()
    };
    assert_eq!((method(&spot), method(&sold)), ("euler".into(), "bump".into()));
}

/// Mean loss `V (1 - exp(10 d))`: in effect a line in the drift d; the size of jumps that do not come is idle.
#[test]
fn screening_and_indices_of_a_line() {
    let directory = directory();
    let keys = "tao_usd.drift_per_day=-0.002..0.002,flow.jumps.up_mean";
    let common = ["s.toml", "--measure", "mean", "--basis", "mark", "--keys", keys, "--paths", "200"];
    let morris = table(&directory, &[&common[..], &["--method", "morris", "--trajectories", "6"]].concat());
    let slope = VALUE_USD * DAYS * 0.004 / 12_f64.sqrt();
    let [mu_star, _] = found(&morris, "mean_loss", "tao_usd.drift_per_day", "mu_star");
    let [mu, _] = found(&morris, "mean_loss", "tao_usd.drift_per_day", "mu");
    let [sigma, _] = found(&morris, "mean_loss", "tao_usd.drift_per_day", "sigma");
    // The mean rate of 200 paths is off by 16 % / sqrt(200) at most four times.
    assert!((mu_star / slope - 1.0).abs() < 0.05 && mu == -mu_star && sigma < 0.02 * mu_star, "{mu_star} {mu} {sigma}");
    for statistic in ["mu_star", "mu", "sigma"] {
        assert_eq!(found(&morris, "mean_loss", "flow.jumps.up_mean", statistic), [0.0, 0.0]);
    }
    let sobol = table(&directory, &[&common[..], &["--method", "sobol", "--rows", "200"]].concat());
    for statistic in ["first_order", "total"] {
        assert_near(found(&sobol, "mean_loss", "tao_usd.drift_per_day", statistic), 1.0, 0.0, statistic);
        assert_eq!(found(&sobol, "mean_loss", "flow.jumps.up_mean", statistic), [0.0, 0.0]);
    }
    assert_near(found(&sobol, "mean_loss", "", "first_order_sum"), 1.0, 0.0, "sum");
    assert_near(found(&sobol, "mean_loss", "", "standard_deviation"), mu_star, 0.05 * mu_star, "sd");
}

#[test]
fn results_do_not_depend_on_threads_and_tables_fit_a_hundred_columns() {
    let directory = directory();
    let common = ["--paths", "1000", "--horizon-days", "7", "--threads"];
    let keys = "flow.scale_median,sales.miner,protocol.fee_rate=0.0003..0.0008";
    for method in [
        &["--method", "bump", "--keys", "flow.scale_median,protocol.fee_rate,positions"][..],
        &["--method", "morris", "--trajectories", "2", "--keys", keys],
        &["--method", "sobol", "--rows", "3", "--keys", keys],
    ] {
        let run = |threads, last: &[&str]| text(&directory, &[method, &common, &[threads], last].concat());
        assert_eq!(run("1", &["--json"]), run("2", &["--json", "--quiet"]), "{method:?}");
        let out = run("2", &["--out", "t.csv"]);
        let widths: Vec<usize> = out.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|&width| width <= 100), "{out}");
        let shown = out.lines().filter(|line| line.starts_with(' '));
        assert!(shown.clone().count() >= 3 && shown.clone().all(|line| line.contains('±')), "{out}");
        assert!(fs::read_to_string(directory.path().join("t.csv")).unwrap().starts_with("method,book,horizon_days,"));
    }
}

/// Of the sample book: probabilities of single holdings add up to the mean number of holdings that go, and so do their slopes.
#[test]
fn deregistrations_of_holdings_add_up() {
    let directory = directory();
    let arguments = ["--paths", "1000", "--horizon-days", "30", "--keys", "flow.drift_per_day"];
    let table = table(&directory, &arguments);
    for statistic in ["per_standard_error", "per_percent"] {
        let rows = table["rows"].as_array().unwrap().iter();
        let of_holdings = rows
            .filter(|row| row["measure"] == "deregistration_probability" && row["statistic"] == statistic)
            .map(|row| row["value"].as_f64().unwrap());
        let slopes: Vec<f64> = of_holdings.collect();
        let [sum, _] = found(&table, "deregistered_holdings", "flow.drift_per_day", statistic);
        assert_eq!(slopes.len(), 10);
        assert!((slopes.iter().sum::<f64>() - sum).abs() < 1e-12 && sum != 0.0, "{statistic}: {slopes:?} {sum}");
    }
}

#[test]
fn what_cannot_be_studied_is_refused() {
    let directory = directory();
    let cases: [(&[&str], &str); 16] = [
        (&["--keys", "flow.speed"], "--keys flow.speed: no key of the scenario that is a number"),
        (&["--keys", "run.name"], "--keys run.name: no key of the scenario that is a number"),
        (&["--keys", "run.confidence"], "no key of the scenario that is a number, outside of lists"),
        (&["--keys", "run.horizon_days"], "run.horizon_days"),
        (&["--keys", "flow.jumps.rate_per_day"], "stays where it is"),
        (&["--keys", "flow.sector_loading"], "is 0, of unknown error: say how far it may go, KEY=LOW..HIGH"),
        (&["--keys", "sales.owner=0.3..0.1"], "the range must be LOW..HIGH, LOW below HIGH"),
        (&["--keys", "sales.miner,sales.miner"], "--keys sales.miner: named twice"),
        (&["--keys", "protocol.owner_cut=0.5..2", "--method", "morris"], "protocol.owner_cut"),
        (&["--keys", "sales.owner", "--method", "sobol"], "--keys sales.owner: of unknown error"),
        (&["--keys", "positions", "--method", "morris"], "--keys positions: only with --method bump"),
        (&["--level", "0.9"], "--level 0.9: not in run.confidence of the scenario (95%)"),
        (&["--book", "desk"], "--book desk: no book of the scenario"),
        (&["--paths", "100"], "--paths 100: needs at least 200"),
        (&["--set", "run.parameter_uncertainty=true"], "sensitivity compares independent paths"),
        (&["--out", "t.txt"], "--out t.txt: must end in .csv or .parquet"),
    ];
    for (arguments, expected) in cases {
        let refused = output(&directory, &[&["s.toml"], arguments].concat());
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected) && refused.stdout.is_empty(), "{arguments:?}: {message}");
    }
    for arguments in [["--step", "0"], ["--rows", "1"], ["--method", "guess"]] {
        assert_eq!(output(&directory, &arguments).status.code(), Some(2), "{arguments:?}");
    }
}
