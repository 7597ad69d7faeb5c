//! Importance sampling from the command line: the same bytes whatever way a run takes, a tilt that comes back, what is left out.

use serde_json::Value;
use tempfile::TempDir;

use crate::done;
use crate::hash;
use crate::json;
use crate::place_of;
use crate::taorisk;

const SCENARIO: &str = "\
[run]\npaths = 3000\nhorizon_days = 7\nseed = 11\nconfidence = [0.9]\nevent_paths = 0\nsample_paths = 0\n\
[estimator]\nmethod = \"importance\"\nlevel = 0.9\npilot_paths = 2000\n";

fn place() -> TempDir {
    place_of(SCENARIO)
}

/// The rows of a measure at spot in TAO at the last horizon.
fn rows(place: &TempDir, run: &str, measure: &str) -> Vec<Value> {
    let summary = json(&place.path().join(run).join("summary.json"));
    let rows = summary["rows"].as_array().expect("rows").clone();
    let is_asked = |row: &Value| {
        row["measure"] == measure && row["basis"] == "mark" && row["currency"] == "TAO" && row["horizon_days"] == 7.0
    };
    rows.into_iter().filter(is_asked).collect()
}

fn value(place: &TempDir, run: &str, measure: &str) -> (f64, f64) {
    let found = rows(place, run, measure);
    assert_eq!(found.len(), 1, "{measure}: {found:?}");
    (found[0]["value"].as_f64().unwrap(), found[0]["standard_error"].as_f64().unwrap())
}

#[test]
fn threads_batches_journals_and_shards_change_no_byte() {
    let place = place();
    done(&place, &["run", "my.toml", "--out", "one", "--threads", "1", "-q"]);
    let expected = hash(&place, "one");
    done(&place, &["run", "my.toml", "--out", "two", "--threads", "2", "--batch", "7", "-q"]);
    done(&place, &["run", "my.toml", "--out", "kept", "--resume", "-q"]);
    for shard in ["1/2", "2/2"] {
        done(&place, &["run", "my.toml", "--shard", shard, "--out", "parts", "-q"]);
    }
    done(&place, &["merge", "parts/shard-1-of-2", "parts/shard-2-of-2", "--out", "merged", "-q"]);
    for run in ["two", "kept", "merged"] {
        assert_eq!(hash(&place, run), expected, "{run}");
    }
}

#[test]
fn the_tilt_stands_in_the_manifest_and_estimates_agree_with_plain_ones() {
    let place = place();
    done(&place, &["run", "my.toml", "--out", "tilted", "-q"]);
    let manifest = json(&place.path().join("tilted/manifest.json"));
    let tilt = &manifest["scenario"]["estimator"]["tilt"];
    assert_eq!(tilt["subnets"].as_array().expect("subnets").len(), 10);
    assert!(tilt["subnets"].as_array().unwrap().iter().any(|subnet| subnet["normal_sd"].as_f64() < Some(-0.05)));
    // The story of a path is told with the tilt under which it was drawn, or would not match its record.
    done(&place, &["replay", "tilted", "--path", "7"]);
    done(&place, &["report", "tilted"]);
    let table = done(&place, &["summarize", "tilted"]);
    assert!(table.contains("hortfall"), "{table}");

    let (weight, error) = value(&place, "tilted", "likelihood_weight_mean");
    assert!((weight - 1.0).abs() < 4.0 * error && error < 0.1, "{weight} +- {error}");
    let plain = ["run", "my.toml", "--set", "estimator.method=plain", "--paths", "20000", "--out", "plain", "-q"];
    done(&place, &plain);
    for measure in ["mean_pnl", "loss_probability", "value_at_risk", "expected_shortfall", "max_drawdown_mean"] {
        let [(one, one_error), (other, other_error)] = ["tilted", "plain"].map(|run| value(&place, run, measure));
        let error = one_error.hypot(other_error);
        assert!((one - other).abs() < 4.0 * error, "{measure}: {one}, not {other}, +- {error}");
    }
    assert!(rows(&place, "tilted", "sd_pnl").is_empty() && !rows(&place, "plain", "sd_pnl").is_empty());
    let (effective, _) = value(&place, "tilted", "expected_shortfall_effective_samples");
    assert!(effective > 300.0 && effective < 3000.0, "{effective}");
}

#[test]
fn a_pilot_that_sees_too_little_says_so() {
    let place = place();
    let few = ["run", "my.toml", "--set", "estimator.level=0.999", "--set", "estimator.pilot_paths=1000", "-q"];
    let output = taorisk(&place, &few);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && message.contains("the pilot finds no tilt"), "{message}");
}

#[test]
fn too_few_paths_leave_measures_out_and_say_so() {
    let place = place();
    let output = taorisk(&place, &["run", "my.toml", "--paths", "150", "--out", "few", "-q"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    assert!(message.contains("not estimated: ") && message.contains("weights degenerate"), "{message}");
    assert!(rows(&place, "few", "expected_shortfall").is_empty());
}
