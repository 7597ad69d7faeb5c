//! `taorisk run` and its run directory: what is left behind, what is refused, what an interruption does.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use taorisk::output::manifest::Manifest;
use taorisk::output::manifest::Runtime;
use taorisk::output::read::read_summary;
use taorisk::risk::measure::Basis;
use taorisk::risk::measure::Currency;
use taorisk::risk::measure::Measure;
use taorisk::risk::measure::SummaryRow;
use tempfile::TempDir;
use tempfile::tempdir;

const FILES: [&str; 11] = [
    "attribution.parquet",
    "credit.parquet",
    "events.parquet",
    "manifest.json",
    "paths.parquet",
    "quantiles.parquet",
    "runtime.json",
    "samples.parquet",
    "subnets.parquet",
    "summary.json",
    "summary.parquet",
];

/// A small run into `out`, with more arguments.
fn run_small(out: &Path, arguments: &[&str]) -> Output {
    run_of("40", out, arguments)
}

/// The same of so many paths.
fn run_of(paths: &str, out: &Path, arguments: &[&str]) -> Output {
    let small = ["run", "--paths", paths, "--horizon-days", "3", "--out"];
    taorisk().args(small).arg(out).args(arguments).output().expect("the program starts")
}

fn taorisk() -> Command {
    Command::new(env!("CARGO_BIN_EXE_taorisk"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Asserts a refusal: code 2, a message with `parts`, and nothing at `out`.
fn assert_refused(output: &Output, parts: &[&str]) {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    for part in parts {
        assert!(stderr(output).contains(part), "`{part}` is not in: {}", stderr(output));
    }
}

fn finished_run() -> (TempDir, std::path::PathBuf) {
    let parent = tempdir().unwrap();
    let out = parent.path().join("run");
    let output = run_small(&out, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    (parent, out)
}

#[test]
fn a_run_leaves_a_complete_directory_and_prints_its_table() {
    let (_parent, out) = finished_run();
    assert_eq!(names(&out), FILES);
    let again = taorisk().arg("summarize").arg(&out).output().unwrap();
    let table = String::from_utf8(again.stdout).unwrap();
    for part in ["40 paths", "value at risk 95%", "expected shortfall 99%", "SN64", "±"] {
        assert!(table.contains(part), "`{part}` is not in:\n{table}");
    }
    let widest = table.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 100, "a line has {widest} columns:\n{table}");
}

fn table_of(paths: &str, out: &Path, arguments: &[&str]) -> String {
    let output = run_of(paths, out, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Rows of mean P&L on a basis that a holder has at a horizon, and all others.
fn means_and_others(out: &Path) -> [Vec<SummaryRow>; 2] {
    let is_mean = |row: &SummaryRow| row.measure == Measure::MeanPnl && row.basis != Basis::Exit;
    read_summary(out).unwrap().into_iter().partition(is_mean).into()
}

/// Control variates where nothing forbids them, plain Monte Carlo of few paths or beside shocks; what is asked for otherwise stays.
/// Only means differ.
#[test]
fn the_estimator_in_use_is_the_best_that_may_be_and_is_said() {
    let parent = tempdir().unwrap();
    let of = |name: &str| parent.path().join(name);
    let enough = "1000";
    let default = table_of(enough, &of("default"), &[]);
    assert!(default.contains("Estimator control: means are worth "), "{default}");
    let asked = |name: &str, method: &str| {
        let set = format!("estimator.method={method}");
        table_of(enough, &of(name), &["--set", &set])
    };
    assert!(asked("plain", "plain").contains("Estimator plain: "));
    assert!(asked("control", "control").contains("Estimator control: "));
    assert!(asked("auto", "auto").contains("Estimator control: "));
    let shock = table_of(enough, &of("shock"), &["--overlay", "tao-usd-crash"]);
    assert!(shock.contains("Estimator plain: "), "{shock}");
    assert!(table_of("999", &of("few"), &[]).contains("Estimator plain: "), "of 999 paths");

    let manifest = |name: &str| Manifest::read(&of(name)).unwrap().unwrap();
    assert_eq!(manifest("default"), manifest("auto"), "auto says nothing");
    assert_eq!(manifest("default").result_hash, manifest("control").result_hash);
    assert_ne!(manifest("default").scenario_hash, manifest("control").scenario_hash);
    let [[means, others], [plain_means, plain_others]] = ["default", "plain"].map(|name| means_and_others(&of(name)));
    assert_eq!(others, plain_others);
    assert!(means.len() >= 4 && means.len() == plain_means.len());
    for (mean, plain) in means.iter().zip(&plain_means) {
        assert_ne!(mean.estimate, plain.estimate, "{mean:?}");
        if mean.currency == Currency::Usd {
            assert!(mean.estimate.standard_error < 0.7 * plain.estimate.standard_error, "{mean:?} {plain:?}");
        }
    }
}

/// A manifest from before `auto` says nothing of the estimator, and means plain Monte Carlo; its paths are what they were.
#[test]
fn runs_from_before_auto_are_read_as_plain() {
    let parent = tempdir().unwrap();
    let out = parent.path().join("run");
    table_of("1000", &out, &[]);
    let file = out.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    manifest.as_object_mut().unwrap().remove("estimator").expect("a key that is new");
    fs::write(&file, manifest.to_string()).unwrap();
    for (arguments, said) in
        [(&["summarize"][..], "Estimator plain: "), (&["replay", "--path", "7"], "path 7"), (&["report"], "")]
    {
        let output = taorisk().args(arguments).arg(&out).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(String::from_utf8_lossy(&output.stdout).to_lowercase().contains(&said.to_lowercase()));
    }
    let page = fs::read_to_string(out.with_extension("html")).unwrap();
    assert!(page.contains("<dt>Estimator</dt><dd>plain: "), "the footer");
}

#[test]
fn a_target_for_a_tail_is_told_of_importance_sampling() {
    let parent = tempdir().unwrap();
    let hint = |target: &str| {
        let output = run_of("3000", &parent.path().join(target), &["--target-error", target]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output).lines().find(|line| line.contains("estimator.method=importance")).map(str::to_owned)
    };
    let found = hint("es95-usd=50%").expect("a hint");
    assert!(found.contains("estimator.currency=USD") && found.contains("--paths"), "{found}");
    assert_eq!((hint("mean=500"), hint("es90=50%")), (None, None), "what it was not measured to serve");
}

/// 1 / (error^2 x seconds) of what is published at the last report day.
#[test]
fn figures_of_merit_are_those_of_the_published_errors() {
    let (_parent, out) = finished_run();
    let runtime = Runtime::read(&out).unwrap();
    let summary = read_summary(&out).unwrap();
    assert!(runtime.figures_of_merit.len() > 20);
    for figure in &runtime.figures_of_merit {
        let is_it = |row: &&SummaryRow| {
            let names = (row.measure.name(), row.basis.name(), row.currency.name());
            names == (figure.measure.as_str(), figure.basis.as_str(), figure.currency.as_str())
                && (row.level, row.horizon_days) == (figure.level, figure.horizon_days)
        };
        let error = summary.iter().find(is_it).unwrap().estimate.standard_error;
        let found = figure.figure_of_merit * error * error * runtime.simulation_seconds;
        assert!((found - 1.0).abs() < 1e-9 && figure.horizon_days == 3.0, "{figure:?}");
    }
}

#[test]
fn the_same_run_is_not_simulated_twice() {
    let (_parent, out) = finished_run();
    let before = fs::read(out.join("runtime.json")).unwrap();
    let output = run_small(&out, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(output.stdout, fs::read(out.join("summary.json")).unwrap());
    assert_eq!(fs::read(out.join("runtime.json")).unwrap(), before);
}

/// The file and the table of revenue come with a subnet that has some, and go with it.
#[test]
fn revenue_is_reported_where_there_is_some() {
    let parent = tempdir().unwrap();
    let (out, scenario) = (parent.path().join("run"), parent.path().join("my.toml"));
    fs::write(&scenario, "[[revenue]]\nnetuid = 93\nmedian_usd_per_day = 900\nbuyback = 1\n").unwrap();
    let output = run_small(&out, &[scenario.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(names(&out).contains(&"revenue.parquet".to_owned()), "{:?}", names(&out));
    let table = String::from_utf8(output.stdout).unwrap();
    for part in
        ["Revenue of SN93", "revenue, USD a day", "900.0 ± 0.0", "bought back over paid", "miner emission withheld"]
    {
        assert!(table.contains(part), "`{part}` is not in:\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert_eq!(run_small(&out, &["--force"]).status.code(), Some(0));
    assert_eq!(names(&out), FILES);
}

#[test]
fn another_run_needs_force() {
    let (_parent, out) = finished_run();
    let manifest = fs::read(out.join("manifest.json")).unwrap();
    assert_refused(&run_small(&out, &["--seed", "5"]), &["already holds a finished run", "--force"]);
    assert_eq!(fs::read(out.join("manifest.json")).unwrap(), manifest);
    assert_eq!(run_small(&out, &["--seed", "5", "--force"]).status.code(), Some(0));
    assert_ne!(fs::read(out.join("manifest.json")).unwrap(), manifest);
    assert_eq!(names(&out), FILES);
}

#[test]
fn a_foreign_directory_is_left_alone() {
    let parent = tempdir().unwrap();
    fs::write(parent.path().join("thesis.txt"), "years of work").unwrap();
    assert_refused(&run_small(parent.path(), &["--force"]), &["thesis.txt", "choose an empty or new directory"]);
    assert_eq!(names(parent.path()), ["thesis.txt"]);
}

#[test]
fn a_place_that_cannot_be_written_to_is_refused_at_once() {
    let parent = tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    assert_refused(&run_small(&file.join("run"), &[]), &["cannot write to", "--out"]);
    assert_eq!(names(parent.path()), ["file"]);
    if cfg!(target_os = "linux") {
        assert_refused(&run_small(Path::new("/proc/taorisk/run"), &[]), &["cannot write to", "/proc/taorisk/run"]);
    }
}

/// A file system of 16 kB that is full, and one of 200 kB that fills up in the middle of the run, each mounted in a
/// namespace of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_refused_and_nothing_stays() {
    let parent = tempdir().unwrap();
    let mount = parent.path().join("disk");
    fs::create_dir(&mount).unwrap();
    let script = |size: &str, fill: &str| {
        let steps = format!(
            "mount -t tmpfs -o size={size} none \"$1\" && head -c {fill} /dev/zero > \"$1/fill\"; \
             \"$0\" run --paths 4000 --horizon-days 3 --quiet --out \"$1/run\"; code=$?; ls \"$1\"; exit $code"
        );
        let arguments = ["-rm", "sh", "-c", &steps, env!("CARGO_BIN_EXE_taorisk")];
        Command::new("unshare").args(arguments).arg(&mount).output().expect("unshare (util-linux) is installed")
    };
    for (size, fill) in [("16k", "16384"), ("200k", "1")] {
        let output = script(size, fill);
        assert_refused(&output, &["No space left"]);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "fill", "disk of {size}");
    }
}

/// So many paths keep no journal, and their files find room on a small disk.
#[test]
fn an_interruption_leaves_nothing_and_says_how_to_go_on() {
    let parent = tempdir().unwrap();
    let out = parent.path().join("run");
    let mut child = taorisk()
        .args(["run", "--paths", "200000", "--out"])
        .arg(&out)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !out.join(".paths.parquet.partial").exists() {
        let has_ended = child.try_wait().unwrap().is_some();
        assert!(!has_ended, "the run ended before it began: {}", stderr(&child.wait_with_output().unwrap()));
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("nothing was left behind"), "{}", stderr(&output));
    assert!(!out.exists());
}

#[test]
fn instructions_that_the_machine_lacks_are_refused() {
    let lacking = if cfg!(target_arch = "aarch64") { "avx512" } else { "neon" };
    let parent = tempdir().unwrap();
    let out = parent.path().join("run");
    assert_refused(&run_small(&out, &["--simd", lacking]), &[lacking, "allowed here", "portable"]);
    assert!(!out.exists());
}

#[test]
fn only_a_finished_run_is_summarized() {
    let parent = tempdir().unwrap();
    let output = taorisk().arg("summarize").arg(parent.path()).output().unwrap();
    assert_refused(&output, &["holds no finished run"]);
}
