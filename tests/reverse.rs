//! Reverse stress from the command line: known answers, a shock that reproduces its loss when run, what is refused.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use taorisk::cli::run::plan_of;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::engine::advance::Workspace;
use taorisk::engine::drivers::Driver;
use taorisk::engine::drivers::Drivers;
use taorisk::engine::path::PathState;
use taorisk::engine::plan::Plan;
use taorisk::engine::plan::PlanInput;
use taorisk::engine::step;
use taorisk::protocol::moving_price_table::AgeChunk;
use taorisk::protocol::slots::MAX_CHUNKS;
use taorisk::protocol::slots::SlotValues;
use taorisk::simd::Backend;
use tempfile::TempDir;

const SMALL: &str = "[run]\nconfidence = [0.9]\nhorizon_days = 30\n";
/// TAO/USD moves, nothing else that a shift could act on.
const RATE_ONLY: &str = "\
[run]\nhorizon_days = 10\nconfidence = [0.9]\n\
[flow]\nscale_median = 1e-30\nscale_sd_log = 0.0\nloading_mean = 0.0\nloading_sd = 0.0\n\
[flow.jumps]\nrate_per_day = 0.0\n[flow.common_jump]\nrate_per_day = 0.0\n\
[tao_usd]\nvolatility_per_sqrt_day = 0.05\njump_rate_per_day = 0.0\ncorrelation_with_flow = 0.6\n\
[registration]\nhazard_per_day = 0.0\n";

fn directory_with(text: &str) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join("base.toml"), text).expect("a file");
    directory
}

fn taorisk(directory: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.current_dir(directory.path()).args(arguments).arg("--quiet").output().expect("a run")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn reverse(directory: &TempDir, arguments: &[&str]) -> Value {
    json(&taorisk(directory, &[&["reverse", "base.toml", "--paths", "400", "--json"], arguments].concat()))
}

fn number(found: &Value, key: &str) -> f64 {
    found[key].as_f64().unwrap_or_else(|| panic!("{key}: {found}"))
}

/// Value at the end is in proportion to the rate, path by path: the factor on it is known, and so is the distance.
#[test]
fn where_only_the_rate_moves_the_shift_is_known() {
    let directory = directory_with(RATE_ONLY);
    let mut last = 0.0;
    for loss in ["0.1", "0.3", "0.5"] {
        let found = reverse(&directory, &["--loss", loss, "--basis", "mark"]);
        let loss: f64 = loss.parse().unwrap();
        let expected = ((1.0 - loss) / (1.0 - number(&found, "base_loss"))).ln() / (0.05 * 10.0_f64.sqrt());
        let error = 2e-5 / (1.0 - loss) / (0.05 * 10.0_f64.sqrt());
        assert!((number(&found, "tao_usd_sd") - expected).abs() < error, "{found} {expected}");
        // The factor goes along as far as it is correlated, so that the distance is that of the rate alone.
        let distance = number(&found, "distance");
        assert!((distance + expected).abs() < 2e-3 * distance, "{distance} {expected}");
        assert!((number(&found, "common_factor_sd") - 0.6 * expected).abs() < 0.03 * distance, "{found}");
        assert!(distance > last, "{distance} {last}");
        last = distance;
    }
}

/// The file alone, run on the scenario, loses what it says; another run of the search writes the same bytes.
#[test]
fn the_overlay_reproduces_the_loss() {
    let directory = directory_with(SMALL);
    let search = ["--loss", "0.3", "--paths", "1000"];
    let arguments = [&["reverse", "base.toml", "--json"], &search[..]].concat();
    let found = json(&taorisk(&directory, &[&arguments[..], &["--out", "way.toml"]].concat()));
    let text = fs::read_to_string(directory.path().join("way.toml")).expect("the overlay");
    assert_eq!(found["overlay"], text);
    assert!((number(&found, "found_loss") - 0.3).abs() < 2e-4, "{found}");
    let errors = number(&found, "found_loss_standard_error").hypot(number(&found, "fresh_loss_standard_error"));
    assert!((number(&found, "fresh_loss") - 0.3).abs() < 3.0 * errors, "{found}");
    assert!(number(&found, "base_loss") < 0.3 && number(&found, "distance") > 0.5, "{found}");
    let added: f64 = found["positions"].as_array().unwrap().iter().map(|position| number(position, "added_loss")).sum();
    assert!((added - number(&found, "found_loss") + number(&found, "base_loss")).abs() < 1e-9, "{found}");

    let table =
        json(&taorisk(&directory, &["stress", "base.toml", "--paths", "1000", "--scenarios", "way.toml", "--json"]));
    let rows = table["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["part"] == "book" && row["measure"] == "mean_loss").expect("a row");
    let opening = number(row, "base") / number(&found, "base_loss");
    let (loss, error) = (number(row, "value") / opening, number(row, "value_standard_error") / opening);
    assert!((loss - 0.3).abs() < 2.0 * error && (loss - number(&found, "found_loss")).abs() < 1e-9, "{loss} {error}");

    let again = taorisk(&directory, &[&arguments[..], &["--threads", "1"]].concat());
    assert_eq!(json(&again), found);
}

#[test]
fn a_file_is_not_overwritten_and_can_be_run() {
    let directory = directory_with(RATE_ONLY);
    let arguments = ["reverse", "base.toml", "--paths", "100", "--loss", "0.2", "--out", "way.toml"];
    assert!(taorisk(&directory, &arguments).status.success());
    let refused = taorisk(&directory, &arguments);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("way.toml exists already; --force overwrites it"));
    assert!(taorisk(&directory, &[&arguments[..], &["--force"]].concat()).status.success());
    let run = ["run", "base.toml", "--paths", "100", "--overlay", "way.toml", "--out", "run"];
    assert!(taorisk(&directory, &run).status.success());
}

#[test]
fn bad_input_is_refused() {
    let directory = directory_with(RATE_ONLY);
    for (arguments, message) in [
        (&["--loss", "0"][..], "--loss 0: must be above 0 and below 1"),
        (&["--loss", "1.2"], "--loss 1.2: must be above 0 and below 1"),
        (&["--loss", "nan"], "--loss NaN: must be above 0 and below 1"),
        (&["--book", "none"], "--book none: no book of the scenario"),
        (&["--days", "11"], "--days 11: must be above 0 and at most the horizon of 10 days"),
        (&["--days", "0"], "--days 0: must be above 0"),
        (&["--loss", "0.3", "--currency", "tao"], "--loss 0.3: no shift of the common factor and TAO/USD within 10"),
    ] {
        let output = taorisk(&directory, &[&["reverse", "base.toml", "--paths", "100"], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && error.contains(message), "{arguments:?}: {error}");
    }
}

/// TAO in the pool of subnet 64 at the end of path 0, with nothing but flows, whose scale is 0.02 and loading 0.5.
fn final_reserve(blocks_per_step: u64, shock: &str) -> f64 {
    let text = format!(
        "[run]\nhorizon_days = 8\nreport_days = []\nblocks_per_step = {blocks_per_step}\n\
         [flow]\nscale_median = 0.02\nscale_sd_log = 0.0\nsize_exponent = 0.0\nage_exponent = 0.0\nloading_mean = 0.5\nloading_sd = 0.0\n\
         [flow.volatility_fast]\nsd_log = 0.0\n[flow.volatility_slow]\nsd_log = 0.0\n\
         [flow.jumps]\nrate_per_day = 0.0\n[flow.common_jump]\nrate_per_day = 0.0\n[registration]\nhazard_per_day = 0.0\n{shock}"
    );
    let scenario = Scenario::from_text("s", &text, Path::new(""), &Overrides::default()).expect("a scenario");
    let drivers = Drivers::ALL.without(Driver::Emission);
    let plan = Plan::new(PlanInput { drivers, ..plan_of(&scenario).input });
    let (backend, held) = (Backend::detect(), SlotValues::splat(0.0));
    let (mut path, mut work) = (PathState::new(&plan), Workspace::default());
    step::reset(backend, &plan, &mut path, 0);
    let mut ages = [AgeChunk::frozen(); MAX_CHUNKS];
    for number in 0..scenario.horizon_steps {
        step::fill_ages(backend, &plan, number, &mut ages);
        step::advance(backend, &plan, number, &ages, &mut path, &held, &mut work).expect("a sound step");
    }
    path.chain[7].reserve_tao[7]
}

/// On the same chance the log of a pool moves by scale x loading x shift x sqrt(days), whatever the steps; a common jump by its size
/// in scales.
#[test]
fn a_shift_moves_logs_of_pools_by_what_it_says() {
    for blocks in [7_200, 1_800] {
        let base = final_reserve(blocks, "");
        let moved = |shock: &str| (final_reserve(blocks, shock) / base).ln();
        let shifted = moved("[[shocks]]\nday = 1.5\ndays = 5\ncommon_factor_sd = -1.5\n");
        assert!((shifted + 0.02 * 0.5 * 1.5 * 5.0_f64.sqrt()).abs() < 2e-6, "{blocks}: {shifted}");
        let jumped = moved("[[shocks]]\nday = 2\ncommon_jump = -1.7\n");
        assert!((jumped + 0.02 * 1.7).abs() < 2e-6, "{blocks}: {jumped}");
    }
}
