//! `taorisk allocate` from outside: what it prints, keeps and refuses.

use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

/// A few subnets, paths and days: a second.
const SMALL: [&str; 10] =
    ["--paths", "400", "--points", "4", "--horizon-days", "7", "--level", "0.9", "--candidates", "64,51,4,107,90"];

fn allocate(directory: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.current_dir(directory.path()).arg("allocate").args(arguments).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Rows of one measure: portfolio, point, netuid, value.
fn rows(json: &serde_json::Value, measure: &str, paths: &str) -> Vec<(String, u64, Option<u64>, f64)> {
    let rows = json["rows"].as_array().expect("rows").iter();
    let wanted = rows.filter(|row| row["measure"] == measure && row["paths"] == paths);
    let read = |row: &serde_json::Value| {
        let portfolio = row["portfolio"].as_str().expect("a name").to_owned();
        (
            portfolio,
            row["point"].as_u64().expect("a number"),
            row["netuid"].as_u64(),
            row["value"].as_f64().expect("a number"),
        )
    };
    wanted.map(read).collect()
}

fn result(directory: &TempDir, more: &[&str]) -> serde_json::Value {
    let output = allocate(directory, &[&SMALL, more, &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn weights_are_whole_and_the_same_on_any_number_of_threads() {
    let directory = TempDir::new().expect("a directory");
    let run = |threads: &str| {
        allocate(&directory, &[&SMALL[..], &["--quiet", "--threads", threads, "--out", "a.csv"]].concat())
    };
    let (one, two) = (run("1"), run("2"));
    assert!(one.status.success(), "{}", text(&one.stderr));
    assert_eq!(text(&one.stdout), text(&two.stdout));
    for line in ["present", "weights, %", "Capacity-aware against size-blind", "SN64"] {
        assert!(text(&one.stdout).contains(line), "{line}: {}", text(&one.stdout));
    }
    let header = std::fs::read_to_string(directory.path().join("a.csv")).expect("a table");
    assert!(header.starts_with("portfolio,point,paths,measure,netuid,value,standard_error\n"));
}

#[test]
fn limits_are_kept_and_means_rise_along_the_frontier() {
    let directory = TempDir::new().expect("a directory");
    let json = result(&directory, &["--max-weight", "0.4", "--currency", "usd"]);
    let weights = rows(&json, "weight", "start");
    for portfolio in ["capacity_aware", "size_blind"] {
        for point in 1..=4 {
            let of_point = weights.iter().filter(|row| row.0 == portfolio && row.1 == point);
            let held: Vec<f64> = of_point.map(|row| row.3).collect();
            assert!(held.len() == 5 && (held.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{portfolio} {point}: {held:?}");
            assert!(held.iter().all(|weight| (0.0..=0.4 + 1e-5).contains(weight)), "{portfolio} {point}: {held:?}");
        }
    }
    let column = |measure: &str| -> Vec<f64> {
        rows(&json, measure, "chosen_on").into_iter().filter(|row| row.0 == "capacity_aware").map(|row| row.3).collect()
    };
    let (means, shortfalls) = (column("mean_pnl"), column("expected_shortfall"));
    assert!(means.windows(2).all(|pair| pair[0] < pair[1]), "{means:?}");
    assert!(shortfalls.windows(2).all(|pair| pair[0] < pair[1] + 1e-3), "{shortfalls:?}");
    assert_eq!(json["currency"], "USD");
}

/// The pool of 107 holds 20,900 TAO, that of 64 holds 203,000.
#[test]
fn a_large_book_keeps_out_of_small_pools() {
    let directory = TempDir::new().expect("a directory");
    let in_107 = |value_tao: &str| -> f64 {
        let json = result(&directory, &["--value-tao", value_tao]);
        let weights = rows(&json, "weight", "start").into_iter();
        weights.filter(|row| row.0 == "capacity_aware" && row.2 == Some(107)).map(|row| row.3).sum()
    };
    let (small, large) = (in_107("10"), in_107("100000"));
    assert!(
        small > large + 0.5 && large < 0.5,
        "weight of 107 over the frontier: {small} of 10 TAO, {large} of 100,000 TAO"
    );
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("s.toml"), "[[subnets]]\nnetuid = 64\nsector = \"compute\"\n")
        .expect("a file");
    for (arguments, expected) in [
        (&["--candidates", "64,51,4", "--max-weight", "0.2"][..], "--max-weight 0.3334 is enough for 3 candidates"),
        (&["--candidates", "64,999"], "no subnet 999 in the snapshot that has started"),
        (&["--all-above", "1e9"], "0 candidates: choosing needs at least two"),
        (&["--sector", "compute=0.5"], "no such sector in [[subnets]] of the scenario (there: none)"),
        (&["s.toml", "--sector", "training=0.5"], "(there: compute)"),
        (&["s.toml", "--candidates", "64,51", "--max-weight", "0.6", "--sector", "compute=0.3"], "room for 0.9000"),
        (&["--level", "0.5"], "must be above 0.5 and below 1"),
        (&["--out", "a.txt"], "must end in .csv or .parquet"),
    ] {
        let output = allocate(&directory, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
}
