//! Stress scenarios from the command line: the library, directions and sizes that are known, rules apart from the market, what
//! is refused.

use std::fs;
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;
use taorisk::config::library::LIBRARY;
use tempfile::TempDir;

/// A scenario whose level of 90 % wants no more than a hundred paths.
const SMALL: &str = "[run]\nconfidence = [0.9]\n";
/// The same where no rate, flow, jump or registration is left to chance, but starts of subnets are.
const CALM: &str = "\
[run]\nhorizon_days = 10\nconfidence = [0.9]\n\
[flow]\nscale_median = 1e-30\nscale_sd_log = 0.0\nloading_mean = 0.0\nloading_sd = 0.0\n\
[flow.jumps]\nrate_per_day = 0.0\n[flow.common_jump]\nrate_per_day = 0.0\n\
[tao_usd]\nvolatility_per_sqrt_day = 0.0\njump_rate_per_day = 0.0\n\
[registration]\nhazard_per_day = 0.0\n";

fn directory_with(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    files.iter().for_each(|(name, text)| fs::write(directory.path().join(name), text).expect("a file"));
    directory
}

fn stress(directory: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let few = ["--paths", "100", "--quiet"];
    command.current_dir(directory.path()).arg("stress").args(arguments).args(few).output().expect("a run")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("a text")
}

fn json(directory: &TempDir, arguments: &[&str]) -> Value {
    serde_json::from_str(&text(&stress(directory, &[&["base.toml"], arguments, &["--json"]].concat()))).expect("JSON")
}

/// Rows of a part of a scenario.
fn rows<'a>(table: &'a Value, scenario: &'a str, part: &'a str) -> impl Iterator<Item = &'a Value> {
    let rows = table["rows"].as_array().expect("rows").iter();
    rows.filter(move |row| row["scenario"] == scenario && row["part"] == part)
}

/// Base, difference and its standard error of a measure.
fn found(table: &Value, scenario: &str, part: &str, measure: &str) -> [f64; 3] {
    let row = rows(table, scenario, part).find(|row| row["measure"] == measure);
    let row = row.unwrap_or_else(|| panic!("{measure} of {scenario}, {part}: {table}"));
    ["base", "difference", "difference_standard_error"].map(|column| row[column].as_f64().expect("a number"))
}

const MEASURES: [&str; 6] =
    ["mean_loss", "loss_probability", "value_at_risk", "expected_shortfall", "exit_cost", "deregistered_holdings"];

#[test]
fn the_list_has_a_line_for_every_scenario() {
    let list = text(&stress(&directory_with(&[]), &["--list"]));
    for member in LIBRARY {
        let line = list.lines().find(|line| line.trim_start().starts_with(&format!("{} ", member.name)));
        assert!(line.is_some_and(|line| line.ends_with(member.description()) && line.len() <= 100), "{}", member.name);
    }
    assert_eq!(list.lines().count(), LIBRARY.len() + 2);
}

/// All of them at small size, with their rules; what is known of them.
#[test]
fn every_scenario_of_the_library_runs_and_says_what_it_changes() {
    let directory = directory_with(&[("base.toml", SMALL)]);
    let names = LIBRARY.map(|member| member.name);
    let file = directory.path().join("stress.csv");
    let table = json(&directory, &["--rules", "--scenarios", &names.join(","), "--out", "stress.csv"]);
    let run: Vec<&str> = table["scenarios"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!((run, table["left_out"].as_array().unwrap().len()), (names.to_vec(), 0));
    for name in names {
        let [_, mean, _] = found(&table, name, "book", "mean_loss");
        let parts = rows(&table, name, "position").filter(|row| row["measure"] == "mean_loss");
        let parts: Vec<f64> = parts.map(|row| row["difference"].as_f64().unwrap()).collect();
        assert_eq!(parts.len(), 10, "{name}");
        assert!((parts.iter().sum::<f64>() - mean).abs() < 1e-6, "{name}: {mean} {parts:?}");
    }
    let difference = |name, measure| found(&table, name, "book", measure)[1];
    for (name, measure) in [
        ("tao-usd-crash", "mean_loss"),
        ("top-subnet-collapse", "mean_loss"),
        ("top-10-unwinding", "mean_loss"),
        ("stake-freeze", "mean_loss"),
        ("incentive-churn", "mean_loss"),
        ("burn-penalty", "mean_loss"),
        ("sponsor-loss", "mean_loss"),
        ("cartel-above-kappa", "mean_loss"),
        ("registration-run", "deregistered_holdings"),
        ("price-manipulation", "deregistered_holdings"),
    ] {
        assert!(difference(name, measure) > 0.0, "{name}: {measure} {}", difference(name, measure));
    }
    for (name, measure) in [
        ("institutional-inflow", "mean_loss"),
        ("inflow-spike", "mean_loss"),
        ("cartel-below-kappa", "mean_loss"),
        ("limit-256", "deregistered_holdings"),
    ] {
        assert!(difference(name, measure) < 0.0, "{name}: {measure} {}", difference(name, measure));
    }
    let csv = fs::read_to_string(file).expect("the table");
    assert_eq!(csv.lines().count(), table["rows"].as_array().unwrap().len() + 1);
}

#[test]
fn nothing_changed_is_a_difference_of_exactly_nothing() {
    let same = "[flow]\ndrift_per_day = -0.0012\n";
    let directory = directory_with(&[("base.toml", SMALL), ("same.toml", same)]);
    let table = json(&directory, &["--scenarios", "same.toml", "--horizon-days", "20"]);
    for measure in MEASURES {
        assert_eq!(found(&table, "same", "book", measure)[1], 0.0, "{measure}");
    }
    for row in rows(&table, "same", "position") {
        assert_eq!((row["difference"].as_f64(), row["difference_standard_error"].as_f64()), (Some(0.0), Some(0.0)));
    }
    assert_eq!(table["scenarios"][0]["notes"][0], "no path of the book differs from the base");
}

/// Of two scenarios with the same end, one by switches and one by keys, the first is all rules and the second all market.
#[test]
fn what_switches_do_is_the_rules_part() {
    let switches = "[[switches]]\nday = 2\nowner_cut = 0.0\n[[switches]]\nday = 12\nshare_rule = \"N\"\n";
    let both = format!("{switches}[[shocks]]\nday = 1\nall = true\npool_fraction = -0.2\n");
    let directory = directory_with(&[
        ("base.toml", SMALL),
        ("switches.toml", switches),
        ("both.toml", &both),
        ("market.toml", "[[shocks]]\nday = 1\nall = true\npool_fraction = -0.2\n"),
    ]);
    let chosen = "switches.toml,both.toml,market.toml";
    let table = json(&directory, &["--scenarios", chosen, "--rules", "--horizon-days", "20"]);
    for measure in MEASURES {
        let of = |name, part| found(&table, name, part, measure);
        assert_eq!(of("switches", "market")[1], 0.0, "{measure}");
        assert_eq!(of("switches", "rules"), of("switches", "book"), "{measure}");
        assert_eq!(of("both", "market"), of("market", "book"), "{measure}");
        let gap = of("both", "market")[1] + of("both", "rules")[1] - of("both", "book")[1];
        assert!(gap.abs() < 1e-9 * of("both", "book")[0].abs().max(1.0), "{measure}: {gap}");
    }
    let [_, mean, error] = found(&table, "switches", "book", "mean_loss");
    assert!(mean != 0.0 && error > 0.0, "{mean} {error}");
    assert_eq!(rows(&table, "market", "rules").count(), 0);
}

/// A fall of the rate by 60 % takes 60 % of what the book is worth, whatever else happens.
#[test]
fn a_fall_of_the_rate_takes_its_part_of_the_value() {
    let fall = "[[shocks]]\nday = 0\ntao_usd_change = -0.6\n";
    let directory = directory_with(&[("base.toml", CALM), ("fall.toml", fall)]);
    for basis in ["mark", "liquidation"] {
        let table = json(&directory, &["--scenarios", "fall.toml", "--basis", basis]);
        // 100 TAO in each of ten subnets.
        let opening = 1_000.0 * 220.52;
        for measure in ["mean_loss", "value_at_risk", "expected_shortfall"] {
            let [base, difference, _] = found(&table, "fall", "book", measure);
            let expected = 0.6 * (opening - base);
            assert!((difference / expected - 1.0).abs() < 1e-9, "{measure}: {difference} {expected}");
        }
        assert_eq!(found(&table, "fall", "book", "deregistered_holdings")[1], 0.0);
        let table = json(&directory, &["--scenarios", "fall.toml", "--basis", basis, "--currency", "TAO"]);
        assert_eq!(found(&table, "fall", "book", "mean_loss")[1], 0.0);
    }
}

#[test]
fn threads_do_not_matter_and_the_table_fits_a_hundred_columns() {
    let directory = directory_with(&[("base.toml", SMALL)]);
    let arguments = ["base.toml", "--horizon-days", "20", "--rules", "--scenarios", "top-10-unwinding,hill-gate"];
    let with = |threads| {
        let out = format!("{threads}.parquet");
        let text = text(&stress(&directory, &[&arguments[..], &["--threads", threads, "--out", &out]].concat()));
        (text, fs::read(directory.path().join(out)).expect("the table"))
    };
    let (text, file) = with("1");
    assert!((&text, &file) == (&with("2").0, &with("2").1));
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("top-10-unwinding: positions that make it") && !text.contains('\x1b'), "{text}");
    assert!(text.contains("its rules of day 30 come after the last step has begun: they cannot act"), "{text}");
}

#[test]
fn what_does_not_go_with_the_base_is_left_out_unless_it_was_chosen() {
    let directory = directory_with(&[("base.toml", SMALL)]);
    let late = ["base.toml", "--horizon-days", "5", "--scenarios", "stake-freeze"];
    let refused = stress(&directory, &late);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("shocks[0].day = 10") && message.contains("stake-freeze (built in):"), "{message}");
    let table = json(&directory, &["--horizon-days", "5"]);
    let left_out: Vec<&str> =
        table["left_out"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!(left_out, ["stake-freeze"]);
    let cases: [(&[&str], &str); 6] = [
        (&["--scenarios", "none"], "no scenario `none` in the library (there are tao-usd-crash,"),
        (&["--scenarios", "none.toml"], "cannot read the overlay none.toml"),
        (&["--scenarios", "hill-gate,hill-gate"], "--scenarios: hill-gate is there twice"),
        (&["--level", "0.4"], "--level 0.4: must be above 0.5 and below 1"),
        (&["--level", "0.99"], "--paths 100: needs at least 1000, 10 beyond the value at risk at 99%"),
        (&["--out", "table.txt"], "--out table.txt: must end in .csv or .parquet"),
    ];
    for (arguments, expected) in cases {
        let refused = stress(&directory, &[&["base.toml"], arguments].concat());
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}
