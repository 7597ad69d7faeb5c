//! The program from outside: help, exit codes, and that each bad input is refused with a message that says where.
//!
//! Bad input ends with code 2, names the file and the line or row and what is allowed, and leaves no file behind.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::BooleanArray;
use arrow::array::Float64Array;
use arrow::array::Int64Array;
use arrow::array::StringArray;
use arrow::datatypes::Float64Type;
use arrow::record_batch::RecordBatch;
use assert_cmd::Command;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

/// What a run of the program gave.
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn taorisk(directory: &TempDir, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taorisk"));
    let output = command.current_dir(directory.path()).args(arguments).output().expect("the program starts");
    Outcome {
        code: output.status.code().expect("the program ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn directory_with(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    for (name, content) in files {
        fs::write(directory.path().join(name), content).expect("a file in it");
    }
    directory
}

fn entries(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("a readable directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Both `check` and `run` refuse the input, with the same message and without a trace.
fn assert_refused(directory: &TempDir, arguments: &[&str], expected: &[&str]) {
    let before = entries(directory);
    for command in ["check", "run"] {
        let arguments = [&[command], arguments].concat();
        let outcome = taorisk(directory, &arguments);
        assert_eq!(outcome.code, 2, "{arguments:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
        for part in expected {
            assert!(outcome.stderr.contains(part), "{arguments:?} lacks `{part}`: {}", outcome.stderr);
        }
        assert_eq!(entries(directory), before, "{arguments:?} wrote something");
    }
}

const SNAPSHOT: &str = include_str!("../configs/snapshot-2026-09-30.csv");

#[test]
fn unknown_keys_are_refused() {
    let directory = directory_with(&[("s.toml", "[run]\npaths = 10\n\n[flow]\nvolatilty_cap = 8\n")]);
    let expected = ["error: s.toml:5: unknown key `flow.volatilty_cap` (allowed: scale_median,", "volatility_cap"];
    assert_refused(&directory, &["s.toml"], &expected);
}

#[test]
fn broken_toml_is_refused() {
    let directory = directory_with(&[("s.toml", "[run]\npaths = 10\nseed = = 3\n")]);
    assert_refused(&directory, &["s.toml"], &["error: s.toml:3: "]);
}

#[test]
fn values_out_of_range_are_refused() {
    let cases = [
        ("[run]\npaths = 0\n", "run.paths = 0 (must be a whole number from 1 to 4294967295) in s.toml:2"),
        ("[run]\nhorizon_days = 0\n", "run.horizon_days = 0 (must be above 0 and at most 3650 days) in s.toml:2"),
        ("[run]\nhorizon_days = -3\n", "run.horizon_days = -3 (must be above 0"),
        ("[run]\nblocks_per_step = 7\n", "run.blocks_per_step = 7 (must be a divisor of 7200"),
        ("[run]\npaths = \"many\"\n", "run.paths = \"many\" (must be a whole number) in s.toml:2"),
        ("[chain]\nroot_stake_tao = -1\n", "chain.root_stake_tao = -1 (must be a finite number >= 0) in s.toml:2"),
        ("[chain]\ntao_usd = nan\n", "chain.tao_usd = NaN (must be a finite number > 0) in s.toml:2"),
        ("[flow]\nflow_cap = 90.0\n", "flow.flow_cap = 90 (must be above 0 and at most 80) in s.toml:2"),
        (
            "[flow.jumps]\nrate_per_day = 1e9\n",
            "flow.jumps.rate_per_day = 1000000000 (must be from 0 to 100) in s.toml:2",
        ),
        ("\n[chain]\nissuance_tao = inf\n", "chain.issuance_tao = inf (must be from 7462945"),
    ];
    for (text, expected) in cases {
        assert_refused(&directory_with(&[("s.toml", text)]), &["s.toml"], &[expected]);
    }
}

#[test]
fn flags_out_of_range_are_refused() {
    let cases = [
        (["--paths", "0"], "run.paths = 0 (must be a whole number from 1 to 4294967295) in --paths"),
        (["--paths", "-1"], "run.paths = -1 (must be a whole number from 1 to 4294967295) in --paths"),
        (["--horizon-days", "0"], "run.horizon_days = 0 (must be above 0 and at most 3650 days) in --horizon-days"),
        (["--horizon-days", "nan"], "run.horizon_days = NaN (must be above 0"),
        (["--blocks-per-step", "5000"], "run.blocks_per_step = 5000 (must be a divisor of 7200"),
        (["--seed", "-2"], "run.seed = -2 (must be a whole number from 0 to"),
    ];
    for (flags, expected) in cases {
        assert_refused(&directory_with(&[]), &flags, &[expected]);
    }
}

#[test]
fn bad_positions_are_refused() {
    let too_much = "p.csv:2: holds 9000000.000000 alpha of netuid 4, more than is outstanding (at most 2873275";
    let cases = [
        ("netuid,alpha\n4,-1\n", "p.csv:2: alpha = -1 (must be a finite number > 0"),
        ("netuid,alpha\n3,1\n4,NaN\n", "p.csv:3: alpha = NaN (must be a finite number > 0"),
        ("netuid,value_tao\n4,inf\n", "p.csv:2: value_tao = inf (must be a finite number > 0"),
        ("netuid,alpha\n200,1\n", "p.csv:2: netuid = 200 (must be one of the 128 subnets of the snapshot)"),
        ("netuid,alpha\n4,1\n3,1\n4,2\n", "p.csv:4: netuid 4 is in book `main` already"),
        ("netuid,alpha\n4,9000000\n", too_much),
        ("netuid,alpha\n4,much\n", "p.csv:2: alpha = `much` (must be a number)"),
        ("netuid,amount\n4,1\n", "p.csv: unknown column `amount` (allowed: netuid, alpha, value_tao,"),
        ("netuid,alpha\n", "p.csv: has no rows"),
        ("netuid,alpha\n4\n", "p.csv:2: not a whole CSV table: 1 comma-separated cells, but the header has 2"),
    ];
    for (text, expected) in cases {
        assert_refused(&directory_with(&[("p.csv", text)]), &["--positions", "p.csv"], &[expected]);
    }
}

#[test]
fn bad_snapshots_are_refused() {
    let change = |from: &str, to: &str| SNAPSHOT.replacen(from, to, 1);
    let cases = [
        (change("133983.301190101", "-5"), "n.csv:5: tao_in = -5 (must be a finite number > 0)"),
        (change("133983.301190101", "nan"), "n.csv:5: tao_in = NaN (must be a finite number > 0)"),
        (change("133983.301190101", ""), "n.csv:5: tao_in = nothing (must be a finite number > 0)"),
        (change("4,Targon", "3,Targon"), "n.csv:5: netuid 3 stands in an earlier row already"),
        (change(",tao_in,", ",tao,"), "n.csv: unknown column `tao` (allowed: netuid, block,"),
        (
            change("\n4,Targon,", "\n4,"),
            "n.csv:5: not a whole CSV table: 12 comma-separated cells, but the header has 13",
        ),
        (SNAPSHOT.replace("9184186", "9184187"), "chain.block = 9184186 (must be 9184187, the snapshot's"),
    ];
    for (text, expected) in cases {
        assert_refused(&directory_with(&[("n.csv", &text)]), &["--snapshot", "n.csv"], &[expected]);
    }
}

#[test]
fn missing_files_are_refused() {
    let directory = directory_with(&[("s.toml", "[input]\npositions = \"gone.csv\"\n")]);
    let no_such_file = "because: No such file or directory";
    assert_refused(&directory, &["no.toml"], &["error: cannot read the scenario no.toml", no_such_file]);
    assert_refused(&directory, &["s.toml"], &["error: cannot read gone.csv", no_such_file]);
    assert_refused(&directory, &["--snapshot", "n.parquet"], &["error: cannot read n.parquet", no_such_file]);
}

/// The shipped snapshot as columns, one of them replaced.
fn snapshot_batch(replace: Option<(&str, ArrayRef)>) -> RecordBatch {
    let mut reader = csv::Reader::from_reader(SNAPSHOT.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.expect("a row")).collect();
    let columns = header.iter().enumerate().map(|(index, name)| {
        let cells = records.iter().map(|record| &record[index]);
        let column: ArrayRef = match (name, &replace) {
            (_, Some((replaced, other))) if *replaced == name => Arc::clone(other),
            ("name", _) => {
                Arc::new(cells.map(|cell| Some(cell).filter(|cell| !cell.is_empty())).collect::<StringArray>())
            }
            ("emission_enabled", _) => Arc::new(cells.map(|cell| Some(cell == "1")).collect::<BooleanArray>()),
            ("netuid" | "block" | "registration_block", _) => {
                let whole = cells.map(|cell| cell.parse::<i64>().expect("a whole number"));
                Arc::new(Int64Array::from(whole.collect::<Vec<_>>()))
            }
            _ => {
                let numbers = cells.map(|cell| cell.parse::<f64>().expect("a number"));
                Arc::new(Float64Array::from(numbers.collect::<Vec<_>>()))
            }
        };
        (name, column, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
}

fn write_parquet(path: &Path, batch: &RecordBatch) {
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a Parquet writer");
    writer.write(batch).expect("rows written");
    writer.close().expect("a footer written");
}

#[test]
fn parquet_and_csv_snapshots_are_the_same_scenario() {
    let directory = directory_with(&[]);
    write_parquet(&directory.path().join("n.parquet"), &snapshot_batch(None));
    let from_parquet = taorisk(&directory, &["check", "--snapshot", "n.parquet"]);
    let embedded = taorisk(&directory, &["check"]);
    assert_eq!((from_parquet.code, embedded.code), (0, 0), "{}", from_parquet.stderr);
    assert_eq!(from_parquet.stdout.lines().next(), embedded.stdout.lines().next(), "the line with the hash");
}

#[test]
fn bad_parquet_is_refused() {
    let directory = directory_with(&[("text.parquet", "netuid,block\n1,2\n")]);
    let file = |name: &str| directory.path().join(name);
    let whole = snapshot_batch(None);
    write_parquet(&file("whole.parquet"), &whole);

    let bytes = fs::read(file("whole.parquet")).expect("the file just written");
    fs::write(file("cut.parquet"), &bytes[..bytes.len() / 2]).expect("half of it");
    let foreign: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    write_parquet(&file("foreign.parquet"), &RecordBatch::try_from_iter([("path", foreign)]).expect("a batch"));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1.5"; whole.num_rows()]));
    write_parquet(&file("type.parquet"), &snapshot_batch(Some(("tao_in", text))));
    let reserves = whole.column_by_name("tao_in").expect("tao_in").as_primitive::<Float64Type>();
    let changed = |at: usize, to: Option<f64>| -> ArrayRef {
        let cells = (0..reserves.len()).map(|row| if row == at { to } else { Some(reserves.value(row)) });
        Arc::new(cells.collect::<Float64Array>())
    };
    write_parquet(&file("nan.parquet"), &snapshot_batch(Some(("tao_in", changed(6, Some(f64::NAN))))));
    write_parquet(&file("null.parquet"), &snapshot_batch(Some(("tao_in", changed(7, None)))));

    let cases = [
        ("text.parquet", "text.parquet: is named .parquet but does not begin as a Parquet file does"),
        ("cut.parquet", "cut.parquet: not a whole Parquet file"),
        ("foreign.parquet", "foreign.parquet: unknown column `path` (allowed: netuid, block,"),
        ("type.parquet", "type.parquet: column `tao_in` is of type Utf8 (must hold numbers)"),
        ("nan.parquet", "nan.parquet, row 7: tao_in = NaN (must be a finite number > 0)"),
        ("null.parquet", "null.parquet, row 8: tao_in = nothing (must be a finite number > 0)"),
    ];
    for (name, expected) in cases {
        assert_refused(&directory, &["--snapshot", name], &[expected]);
    }
}

#[test]
fn checked_scenario_reads_back_with_the_same_hash() {
    let directory = directory_with(&[("p.csv", "netuid,alpha\n4,10\n")]);
    fs::create_dir(directory.path().join("sub")).expect("a directory");
    fs::write(directory.path().join("sub/s.toml"), "[input]\npositions = \"../p.csv\"\n").expect("a scenario");
    let first = taorisk(&directory, &["check", "sub/s.toml", "--horizon-days", "12", "--seed", "7"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    for part in ["seed 7", "main: 1 position,", "x 12 steps of 7,200 blocks", "estimate "] {
        assert!(first.stderr.contains(part), "lacks `{part}`: {}", first.stderr);
    }
    let elsewhere = directory_with(&[("full.toml", &first.stdout)]);
    let second = taorisk(&elsewhere, &["check", "full.toml", "--quiet"]);
    assert_eq!((second.code, second.stderr.as_str()), (0, ""));
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn shipped_scenarios_are_valid() {
    let directory = directory_with(&[]);
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for name in ["base.toml", "smoke.toml", "starter/scenario.toml"] {
        let path = configs.join(name).display().to_string();
        let outcome = taorisk(&directory, &["check", &path]);
        assert_eq!(outcome.code, 0, "{name}: {}", outcome.stderr);
    }
}

#[test]
fn base_file_is_the_built_in_scenario() {
    let directory = directory_with(&[]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/base.toml").display().to_string();
    assert_eq!(taorisk(&directory, &["check", &path]).stdout, taorisk(&directory, &["check"]).stdout);
}

#[test]
fn init_writes_a_scenario_that_checks_and_overwrites_only_by_force() {
    let directory = directory_with(&[]);
    assert_eq!(taorisk(&directory, &["init", "my"]).code, 0);
    assert_eq!(entries(&directory), ["my"]);
    let checked = taorisk(&directory, &["check", "my/scenario.toml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stderr.contains("main: 3 positions"), "{}", checked.stderr);

    let scenario = directory.path().join("my/scenario.toml");
    fs::write(&scenario, "mine").expect("a changed scenario");
    let again = taorisk(&directory, &["init", "my"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("my/scenario.toml exists already; --force overwrites it"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&scenario).expect("the scenario"), "mine");
    assert_eq!(taorisk(&directory, &["init", "my", "--force"]).code, 0);
    assert_ne!(fs::read_to_string(&scenario).expect("the scenario"), "mine");
}

#[test]
fn help_mentions_every_flag_and_command() {
    let directory = directory_with(&[]);
    let flags = "--paths --seed --horizon-days --blocks-per-step --positions --snapshot --out --force --threads --batch \
                 --simd avx512 avx2 neon portable --json --detail --quiet";
    for arguments in [&["--help"][..], &["run", "--help"]] {
        let help = taorisk(&directory, arguments);
        assert_eq!(help.code, 0);
        for flag in flags.split_whitespace() {
            assert!(help.stdout.contains(flag), "{arguments:?} lacks {flag}");
        }
    }
    let help = taorisk(&directory, &["--help"]).stdout;
    for command in ["run", "check", "summarize", "replay", "init", "completions", "man", "Exit codes:"] {
        assert!(help.contains(command), "help lacks {command}");
    }
}

#[test]
fn unknown_flags_end_with_code_2() {
    let directory = directory_with(&[]);
    for arguments in [&["--path", "5"][..], &["simulate"], &["run", "--simd", "mmx"], &["--threads", "0"]] {
        assert_eq!(taorisk(&directory, arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn completions_and_manual_page_are_printed() {
    let directory = directory_with(&[]);
    for (shell, part) in [("bash", "_taorisk()"), ("zsh", "#compdef taorisk"), ("fish", "complete -c taorisk")] {
        let completions = taorisk(&directory, &["completions", shell]);
        assert_eq!(completions.code, 0);
        assert!(completions.stdout.contains(part), "{shell}: {}", completions.stdout);
    }
    let man = taorisk(&directory, &["man"]);
    assert_eq!(man.code, 0);
    assert!(man.stdout.contains(".TH taorisk 1"), "{}", man.stdout);
    assert!(man.stdout.contains("\\-\\-blocks\\-per\\-step"), "{}", man.stdout);
    assert!(taorisk(&directory, &["--version"]).stdout.contains("(commit "));
}

#[test]
fn levels_that_cannot_be_compared_are_refused() {
    let cases = [
        (["--levels", "7200,5000"], "--levels 7200,5000: 5000 is no divisor of 7200"),
        (["--levels", "360,1200"], "--levels 360,1200: 1200 is not less than 360"),
        (["--levels", "7200"], "--levels 7200: needs at least two levels"),
        (["--levels", "7200,0"], "--levels 7200,0: 0 is no divisor of 7200"),
        (["--levels", "day,hour"], "invalid value 'day'"),
        (["--paths", "19"], "--paths 19: needs at least 20"),
        (["--paths", "40,50"], "--paths: 2 numbers for 4 pairs of levels"),
        (["--horizon-days", "0.5"], "run.horizon_days = 0.5"),
        (["--out", "table.txt"], "--out table.txt: must end in .csv or .parquet"),
        (["--out", "no/table.csv"], "--out no/table.csv: no is no directory"),
    ];
    for (flags, expected) in cases {
        let directory = directory_with(&[]);
        let outcome = taorisk(&directory, &[&["converge"], &flags[..]].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{flags:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{flags:?} lacks `{expected}`: {}", outcome.stderr);
        assert!(entries(&directory).is_empty());
    }
}

/// Levels that do not divide each other share the draws of 240 blocks. The same table on one thread and on two.
#[test]
fn levels_are_compared_on_the_same_chance() {
    let directory = directory_with(&[]);
    let common = ["converge", "--levels", "7200,1200,720", "--paths", "40,20", "--horizon-days", "5", "--quiet"];
    let printed = taorisk(&directory, &[&common[..], &["--threads", "1", "--out", "table.csv"]].concat());
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    for expected in
        ["1200 - 7200", "720 - 1200", "40 paths", "SN64 deregistered", "\n7200 blocks per step: bias against 720"]
    {
        assert!(printed.stdout.contains(expected), "{expected}: {}", printed.stdout);
    }
    let again = taorisk(&directory, &[&common[..], &["--threads", "2", "--out", "again.csv", "--json"]].concat());
    let [table, copy] =
        ["table.csv", "again.csv"].map(|name| fs::read_to_string(directory.path().join(name)).expect("a table"));
    assert_eq!(table, copy);
    // Mean, two tails of two levels, any holding, registrations, ten subnets held, the largest: 18 of each pair and level.
    assert_eq!(table.lines().count(), 1 + 2 * 2 * 18);
    let json: serde_json::Value = serde_json::from_str(&again.stdout).expect("JSON");
    let rows = json["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2 * 2 * 18);
    let mean = rows[0].as_object().expect("a row");
    assert_eq!((mean["measure"].as_str(), mean["paths"].as_u64()), (Some("mean_pnl"), Some(40)));
    // The same chance: a difference of some TAO, where two runs of 40 paths differ by tens.
    let [difference, error] = ["difference", "standard_error"].map(|key| mean[key].as_f64().expect("a number"));
    assert!(difference != 0.0 && difference.abs() < 4.0 * error && error < 5.0, "{difference} ({error})");
}
