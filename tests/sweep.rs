//! `taorisk sweep`: the grid and its order, differences on the same chance, the three forms of the table, and what is refused.

use std::fs;
use std::fs::File;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use assert_cmd::Command;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use taorisk::output::sweep::SWEEP;
use tempfile::TempDir;

/// 100 paths of 3 days: ten losses beyond the only level.
const SMALL: [&str; 9] =
    ["sweep", "--quiet", "--paths", "100", "--horizon-days", "3", "--set", "run.confidence=[0.9]", "--currency=TAO"];

fn sweep(directory: &TempDir, flags: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let output = command.current_dir(directory.path()).args(SMALL).args(flags).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

fn rows(directory: &TempDir, flags: &[&str]) -> Vec<Value> {
    let (code, text, errors) = sweep(directory, &[flags, &["--json"]].concat());
    assert_eq!(code, 0, "{errors}");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    document["rows"].as_array().expect("rows").clone()
}

fn number(row: &Value, column: &str) -> f64 {
    row[column].as_f64().unwrap_or_else(|| panic!("{column} of {row}"))
}

#[test]
fn points_without_effect_differ_by_nothing_and_others_do() {
    let directory = TempDir::new().expect("a directory");
    // The day of a factor that is 1 is another scenario with the same paths; 0.2 is the base's own value.
    let flags = ["--vary", "sales.miner=0.2,0.6", "--vary", "validators.dividend_factor_day=0,2"];
    let found = rows(&directory, &flags);
    // Four losses in two moneys and bases, two exit costs, a count.
    assert_eq!(found.len(), 4 * (4 * 4 + 2 + 1));
    let settings: Vec<[&str; 2]> = found
        .iter()
        .map(|row| [row["setting"].as_str().expect("text"), row["second_setting"].as_str().expect("text")])
        .collect();
    let expected = [["0.2", "0"], ["0.2", "2"], ["0.6", "0"], ["0.6", "2"]];
    assert!(settings.chunks(19).zip(expected).all(|(chunk, point)| chunk.iter().all(|found| *found == point)));
    for row in &found {
        let (value, base) = (number(row, "value"), number(row, "base_value"));
        let is_mean = row["measure"] == "mean_loss";
        assert_eq!(number(row, "paths"), 100.0);
        assert_eq!(number(row, "setting_number").to_string(), row["setting"].as_str().expect("text"));
        match row["setting"].as_str() {
            Some("0.2") => assert_eq!((number(row, "difference"), value), (0.0, base), "{row}"),
            _ if is_mean => {
                let (difference, error) = (number(row, "difference"), number(row, "difference_standard_error"));
                assert!(difference > 4.0 * error, "miners that sell more cost money: {row}");
                assert!((value - base - difference).abs() < 1e-9 * base.abs().max(1.0), "{row}");
                assert!(3.0 * error < number(row, "standard_error"), "paired: {row}");
            }
            _ => {}
        }
    }
}

#[test]
fn a_point_is_the_scenario_with_the_key_set() {
    let directory = TempDir::new().expect("a directory");
    let varied = rows(&directory, &["--vary", "factors.flow.scale_median=0.5..2:2"]);
    let set = rows(&directory, &["--set", "flow.scale_median=0.0356", "--vary", "flow.drift_per_day=0"]);
    let (doubled, base) = (&varied[19..], &set[..]);
    assert_eq!((doubled.len(), base.len()), (19, 19));
    for (point, own) in doubled.iter().zip(base) {
        assert_eq!((number(point, "value"), &point["measure"]), (number(own, "base_value"), &own["measure"]));
    }
}

#[test]
fn every_form_holds_the_columns_of_the_schema() {
    let directory = TempDir::new().expect("a directory");
    let names: Vec<&str> = SWEEP.columns.iter().map(|column| column.name).collect();
    let vary = ["--vary", "protocol.share_rule=E2H,E1"];
    let found = rows(&directory, &[&vary[..], &["--out", "table.parquet"]].concat());
    assert_eq!(found[0].as_object().expect("a row").keys().map(String::as_str).collect::<Vec<_>>(), names);
    let file = File::open(directory.path().join("table.parquet")).expect("a table");
    let batch = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().last().unwrap().unwrap();
    assert_eq!(batch.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), names);
    let values: Vec<f64> = found.iter().map(|row| number(row, "value")).collect();
    assert_eq!(batch["value"].as_primitive::<Float64Type>().values().to_vec(), values);
    assert!(found[0]["setting_number"].is_null() && found[0]["second_key"] == "");
    let flags = [&vary[..], &["--out", "table.csv", "--measure", "value-at-risk", "--basis", "mark"]].concat();
    let (code, text, errors) = sweep(&directory, &flags);
    assert_eq!(code, 0, "{errors}");
    let csv = fs::read_to_string(directory.path().join("table.csv")).expect("a table");
    assert_eq!(csv.lines().next(), Some(names.join(",").as_str()));
    assert_eq!(csv.lines().count(), 1 + found.len());
    assert!(text.starts_with("Book main: value at risk 90% after 3 days, TAO, mark\n"), "{text}");
    assert!(text.contains("\nprotocol.share_rule\n") && text.contains("\n E2H ") && text.contains("\n E1 "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn bad_sweeps_are_refused_before_anything_is_simulated() {
    let directory = TempDir::new().expect("a directory");
    let cases: [(&[&str], &str); 12] = [
        (&["--vary", "flow.speed=1,2"], "error: --vary flow.speed=1: unknown key `flow.speed` (allowed: scale_median,"),
        (
            &["--vary", "flow.flow_cap=1,90"],
            "error: flow.flow_cap = 90 (must be above 0 and at most 80) in --vary flow.flow_cap=90",
        ),
        (
            &["--vary", "run.seed=1,2"],
            "error: --vary run.seed=1: `run.seed` cannot be varied: scenarios are compared on",
        ),
        (&["--vary", "factors.run.paths=2"], "error: --vary factors.run.paths=2: --paths sets `run.paths` already"),
        (&["--vary", "flow.flow_cap"], "error: --vary flow.flow_cap: must be KEY=VALUES"),
        (&["--vary", "flow.flow_cap=1..2"], "error: --vary flow.flow_cap=1..2: a range must be FROM..TO:N"),
        (
            &["--vary", "sales.miner=0,1", "--vary", "sales.miner=0"],
            "sales.miner = 0.0 (must be given once; --vary sales.miner=0",
        ),
        (
            &["--vary", "sales.miner=0", "--set", "sales.miner=1"],
            "(must be given once; --set sales.miner=1 gives it too)",
        ),
        (&["--vary", "sales.miner=0", "--level", "0.95"], "error: --level 0.95: run.confidence has 0.9"),
        (&["--vary", "sales.miner=0", "--book", "x"], "error: --book x: no book of the scenario, which has main"),
        (&["--vary", "sales.miner=0", "--out", "x.txt"], "error: --out x.txt: must end in .csv or .parquet"),
        (
            &["--vary", "sales.miner=0", "--vary", "sales.owner=0", "--vary", "sales.validator=0"],
            "error: --vary: at most 2 keys and 1000 points; given are 3 and 1",
        ),
    ];
    for (flags, expected) in cases {
        let (code, text, errors) = sweep(&directory, flags);
        assert_eq!((code, text.as_str()), (2, ""), "{flags:?}: {errors}");
        assert!(errors.contains(expected), "{flags:?}: {errors}");
    }
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
}
