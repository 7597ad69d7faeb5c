//! What leaving costs, from the command line: the built-in book against the pools' own arithmetic, and what is refused.

use assert_cmd::Command;
use serde_json::Value;

fn output(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    command.arg("liquidity").args(arguments).arg("--quiet").output().unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = output(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A column of all rows, by days, then size.
fn column(table: &Value, name: &str) -> Vec<f64> {
    table["rows"].as_array().unwrap().iter().map(|row| row[name].as_f64().unwrap()).collect()
}

#[test]
fn larger_books_pay_more_and_capacity_lies_between() {
    let table = json(&["--paths", "1000", "--after", "7", "--days", "0,10", "--size", "1,0.1,4"]);
    let (cost, error) = (column(&table, "cost"), column(&table, "cost_standard_error"));
    assert_eq!(column(&table, "size"), [0.1, 1.0, 4.0, 0.1, 1.0, 4.0]);
    assert!(cost[..3].is_sorted() && cost[3..].is_sorted(), "{cost:?}");
    // Ten tokens in each pool: the fee and little else.
    assert!(cost[0] > 0.0005 && cost[0] < 0.02 && error[0] < 1e-3, "{cost:?}");
    let (crowding, tail_cost) = (column(&table, "crowding"), column(&table, "tail_cost"));
    assert!((0..6).all(|row| (crowding[row] - (tail_cost[row] - cost[row])).abs() < 1e-12), "{crowding:?}");
    let capacity = &table["capacity"][0];
    assert_eq!(capacity["verdict"], "found");
    let size = capacity["size"].as_f64().unwrap();
    let around = cost[..3].iter().position(|cost| *cost > 0.1).unwrap();
    assert!(size > [0.1, 1.0, 4.0][around - 1] && size < [0.1, 1.0, 4.0][around], "{size} {cost:?}");
}

#[test]
fn at_once_is_the_liquidation_of_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let flags = ["run", "--paths", "400", "--horizon-days", "7", "--quiet", "--json", "--out"];
    let summary = command.args(flags).arg(&run).output().unwrap();
    let summary: Value = serde_json::from_slice(&summary.stdout).unwrap();
    let mean = |basis: &str| {
        let rows = summary["rows"].as_array().unwrap().iter();
        let mut rows = rows.filter(|row| {
            row["measure"] == "mean_pnl"
                && row["basis"] == basis
                && row["currency"] == "TAO"
                && row["horizon_days"] == 7.0
        });
        rows.next().unwrap()["value"].as_f64().unwrap()
    };
    let table = json(&["--paths", "400", "--after", "7", "--days", "0", "--size", "1"]);
    let expected = (mean("mark") - mean("liquidation")) / column(&table, "sold_tao")[0];
    assert!((column(&table, "cost")[0] / expected - 1.0).abs() < 1e-9, "{expected} {table}");
}

#[test]
fn threads_do_not_matter_and_the_table_fits_a_hundred_columns() {
    let arguments = ["--paths", "400", "--after", "2", "--days", "0,2", "--size", "0.5,2"];
    let text = |threads| String::from_utf8(output(&[&arguments[..], &["--threads", threads]].concat()).stdout).unwrap();
    assert_eq!(text("1"), text("2"));
    assert!(text("1").lines().all(|line| line.chars().count() <= 100), "{}", text("1"));
    assert!(
        text("1").contains("At once") && text("1").contains("Over 2 days") && text("1").contains("capacity at 10%")
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let cases: [(&[&str], &str); 7] = [
        (&["--size", "0"], "--size 0: must be numbers above 0"),
        (&["--size", "1e9"], "than is staked there (allowed: up to"),
        (&["--days", "400"], "--days 400: must be days from 0 to 365"),
        (&["--days", "0.3"], "--days 0.3: must be a whole number of steps of 7200 blocks"),
        (&["--after", "0"], "--after 0: must be from one step to 365 days"),
        (&["--paths", "100"], "--paths 100: needs at least 400, 20 in the tail"),
        (&["--book", "nobody"], "--book nobody: no book of the scenario, which has main"),
    ];
    for (arguments, expected) in cases {
        let output = output(arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && message.contains(expected), "{arguments:?}: {message}");
    }
}
