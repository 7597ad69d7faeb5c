//! Point sets from the command line: the same bytes whatever way a run takes, agreement with plain runs, what is left out or refused.

use serde_json::Value;
use tempfile::TempDir;

use crate::done;
use crate::hash;
use crate::json;
use crate::place_of;
use crate::taorisk;

const SCENARIO: &str = "\
[run]\npaths = 3000\nhorizon_days = 12\nreport_days = [5]\nseed = 11\nconfidence = [0.9]\nevent_paths = 0\nsample_paths = 0\n\
[estimator]\nmethod = \"sobol\"\n";
const METHODS: [&str; 3] = ["sobol", "stratified", "antithetic"];

fn place() -> TempDir {
    place_of(SCENARIO)
}

/// Runs the scenario with a method into a directory of this name.
fn run(place: &TempDir, method: &str, name: &str, further: &[&str]) {
    let method = format!("estimator.method={method}");
    done(place, &[&["run", "my.toml", "--set", &method, "--out", name, "-q"], further].concat());
}

/// Rows of the last horizon.
fn rows(place: &TempDir, run: &str) -> Vec<Value> {
    let summary = json(&place.path().join(run).join("summary.json"));
    let rows = summary["rows"].as_array().expect("rows").clone();
    rows.into_iter().filter(|row| row["horizon_days"] == 12.0).collect()
}

fn key(row: &Value) -> String {
    ["measure", "basis", "currency", "level"].map(|name| row[name].to_string()).join(" ")
}

#[test]
fn threads_batches_journals_and_shards_change_no_byte() {
    let place = place();
    for method in METHODS {
        let of = |name: &str| format!("{method}-{name}");
        run(&place, method, &of("one"), &["--threads", "1"]);
        let expected = hash(&place, &of("one"));
        run(&place, method, &of("two"), &["--threads", "2", "--batch", "7"]);
        run(&place, method, &of("kept"), &["--resume"]);
        // Shards that begin within a replicate's round, and within a pair.
        for shard in ["1/7", "2/7", "3/7", "4/7", "5/7", "6/7", "7/7"] {
            run(&place, method, &of("parts"), &["--shard", shard]);
        }
        let parts: Vec<String> = (1..=7).map(|i| format!("{}/shard-{i}-of-7", of("parts"))).collect();
        let merged = of("merged");
        let merge = ["merge", "--out", &merged, "-q"].into_iter().chain(parts.iter().map(String::as_str));
        done(&place, &merge.collect::<Vec<_>>());
        for name in ["two", "kept", "merged"] {
            assert_eq!(hash(&place, &of(name)), expected, "{method}, {name}");
        }
    }
}

#[test]
fn estimates_agree_with_plain_ones() {
    let place = place();
    run(&place, "plain", "plain", &["--paths", "20000"]);
    let plain = rows(&place, "plain");
    for method in METHODS {
        run(&place, method, method, &[]);
        let found = rows(&place, method);
        let measures = found.iter().map(|row| row["measure"].as_str().unwrap()).collect::<Vec<_>>();
        assert!(["sd_pnl", "expected_shortfall", "probability_of_ruin"].iter().all(|name| measures.contains(name)));
        assert!(!measures.contains(&"pnl_quantile") && !measures.contains(&"spectral_risk"), "{measures:?}");
        for row in &found {
            let other = plain.iter().find(|other| key(other) == key(row)).unwrap_or_else(|| panic!("{row}"));
            let [(one, one_error), (other, other_error)] = [row, other].map(|row| {
                // Of a deviation so few paths may not know it.
                let is_known = row["measure"] != "sd_pnl" || row["standard_error"].is_number();
                let error = if is_known { row["standard_error"].as_f64().expect("an error") } else { f64::INFINITY };
                (row["value"].as_f64().expect("a value"), error)
            });
            let error = one_error.hypot(other_error);
            assert!((one - other).abs() < 4.0 * error, "{method} {}: {one}, not {other}, +- {error}", key(row));
        }
        // The story of a path is told with the point that it had, or would not match its record.
        done(&place, &["replay", method, "--path", "7"]);
        done(&place, &["report", method]);
        assert!(done(&place, &["summarize", method]).contains("hortfall"));
    }
}

#[test]
fn what_has_no_right_error_is_refused() {
    let place = place();
    for (method, flags, expected) in [
        ("sobol", ["--target-error", "es90=5%"], "does not go with the point sets of [estimator]"),
        ("stratified", ["--time-budget", "1h"], "does not go with the estimator stratified"),
    ] {
        let method = format!("estimator.method={method}");
        let output = taorisk(&place, &[&["run", "my.toml", "--set", &method, "-q"], &flags[..]].concat());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && message.contains(expected), "{message}");
    }
}
