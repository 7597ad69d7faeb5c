//! The page of a run: whole, of the run's numbers, without anything fetched, and no name in it is markup.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;
use std::sync::OnceLock;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

const SCENARIO: &str = "[run]\nname = \"two <books>\"\npaths = 200\nhorizon_days = 12\nreport_days = [1, 7]\nsample_paths = 4\n\
                        [input]\nsnapshot = \"snapshot.csv\"\npositions = \"books.csv\"\n";
const BOOKS: &str = "book,netuid,value_tao\nlong&<b>,64,100\nlong&<b>,4,50\nlong&<b>,16,20\nrisky,16,30\nrisky,92,10\n";
/// Name given to subnet 64.
const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>";
const LIBRARY: &str = include_str!("../src/output/report/echarts.min.js");
const BYTES_MAX: usize = 5_000_000;
const STRESS: &str = "scenario,book,horizon_days,currency,basis,paths,part,netuid,registered_at,name,measure,level,base,\
                      base_standard_error,value,value_standard_error,difference,difference_standard_error\n\
                      <u>crash</u>,risky,12,USD,liquidation,500,book,,,,expected_shortfall,0.95,10,0.5,14,0.6,4,0.25\n\
                      <u>crash</u>,risky,12,USD,liquidation,500,position,16,1,TC,mean_loss,,,,,,1,0.1\n";
const LIQUIDITY: &str = "book,after_days,exit_days,participation,size,opening_tao,paths,sold_tao,cost,cost_standard_error,level,\
                         tail_cost,tail_cost_standard_error,crowding,crowding_standard_error\n\
                         risky,5,0,0.01,1,40,500,38,0.0311,0.001,0.95,0.02,0.001,-0.0111,0.001\n\
                         risky,5,10,0.01,1,40,500,38,0.0123,0.001,0.95,0.01,0.001,-0.0023,0.001\n";

fn taorisk() -> Command {
    Command::new(env!("CARGO_BIN_EXE_taorisk"))
}

/// A directory with a run, its scenario and its inputs; one for all tests that only read it.
fn finished_run() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    RUN.get_or_init(make_run).path()
}

fn make_run() -> TempDir {
    let directory = TempDir::new().unwrap();
    let snapshot = fs::read_to_string("configs/snapshot-2026-09-30.csv").unwrap();
    let named = snapshot.lines().map(|line| if line.starts_with("64,") { rename(line) } else { line.to_owned() });
    fs::write(directory.path().join("snapshot.csv"), named.collect::<Vec<_>>().join("\n")).unwrap();
    fs::write(directory.path().join("scenario.toml"), SCENARIO).unwrap();
    fs::write(directory.path().join("books.csv"), BOOKS).unwrap();
    let (scenario, run) = (directory.path().join("scenario.toml"), directory.path().join("run"));
    taorisk().arg("run").arg(scenario).args(["--quiet", "--out"]).arg(run).assert().success();
    directory
}

/// A line of the snapshot with another name; the name is its third cell.
fn rename(line: &str) -> String {
    let mut cells: Vec<&str> = line.split(',').collect();
    let at = cells.iter().position(|cell| *cell == "Chutes").expect("the name of subnet 64");
    cells[at] = HOSTILE;
    cells.join(",")
}

fn report(run: &Path, out: &Path, flags: &[&str]) -> Output {
    taorisk().arg("report").arg(run).arg("--out").arg(out).args(flags).output().unwrap()
}

fn assert_refused(output: &Output, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    parts.iter().for_each(|part| assert!(stderr.contains(part), "`{part}` is not in: {stderr}"));
}

/// The page of the run with `flags`, without the charting library, which must be in it once.
fn page(flags: &[&str]) -> String {
    let directory = TempDir::new().unwrap();
    let out = directory.path().join("page.html");
    let output = report(&finished_run().join("run"), &out, flags);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "one file, whole");
    let html = fs::read_to_string(out).unwrap();
    assert!(html.len() < BYTES_MAX, "{} bytes", html.len());
    assert_eq!(html.matches(LIBRARY).count(), 1);
    html.replace(LIBRARY, "")
}

fn data(html: &str) -> Value {
    let (_, rest) = html.split_once("id=\"data\">").expect("numbers");
    serde_json::from_str(rest.split_once("</script>").expect("their end").0).expect("JSON")
}

fn written(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_page_has_all_its_sections_and_closes_what_it_opens() {
    let html = page(&[]);
    for id in [
        "headline",
        "horizons",
        "books",
        "distribution",
        "value",
        "prices",
        "drawdown",
        "components",
        "deregistration",
        "exit",
        "tail",
        "reading",
    ] {
        assert_eq!(html.matches(&format!("<section id=\"{id}\">")).count(), 1, "{id}");
    }
    assert!(!html.contains("id=\"stress\""), "no table of stress scenarios was given");
    for tag in
        ["html", "head", "body", "main", "section", "table", "thead", "tbody", "tr", "td", "div", "p", "ul", "span"]
    {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let script = include_str!("../src/output/report/page.js");
    for id in html.split("id=\"chart-").skip(1).map(|rest| rest.split(['"', '-']).next().unwrap()) {
        assert!(
            script.contains(&format!("add('{id}'")) || script.contains(&format!("add(`{id}-")),
            "{id} is not drawn"
        );
    }
}

#[test]
fn nothing_is_fetched_and_no_script_but_its_own_may_run() {
    let html = page(&[]);
    for attribute in ["src=", "href=", "action=", "url(", "@import"] {
        let values = html.split(attribute).skip(1).map(|rest| rest.chars().take(8).collect::<String>());
        // The icon is empty, and the hostile name is text.
        values.for_each(|value| {
            assert!(
                value.starts_with("\"data:,\"") || value.starts_with("\"#") || value.starts_with("x onerr"),
                "{attribute}{value}"
            )
        });
    }
    assert!(html.contains("default-src 'none'") && !html.contains("unsafe-"));
    let policy = html.split("script-src '").nth(1).unwrap().split('\'').next().unwrap();
    let nonce = policy.strip_prefix("nonce-").expect("a nonce");
    assert_eq!(html.matches("<script").count(), 3);
    assert_eq!(html.matches(&format!("<script nonce=\"{nonce}\">")).count(), 2);
}

#[test]
fn names_are_text() {
    let html = page(&[]);
    assert!(!html.contains("<script>alert") && !html.contains("<img") && !html.contains("<b>&co"), "a name is markup");
    assert!(html.contains("&lt;/script&gt;&lt;script&gt;alert(1)") && html.contains("Book long&amp;&lt;b&gt;"));
    assert!(html.contains("Scenario two &lt;books&gt;"));
    assert_eq!(data(&html)["prices"][0]["name"], format!("SN64 {HOSTILE}"));
}

#[test]
fn the_numbers_are_the_runs() {
    let html = page(&["--book", "risky"]);
    assert!(html.contains("<h1>Book risky</h1>"));
    let run = finished_run().join("run");
    let text = fs::read_to_string(run.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    let rows = summary.as_array().or_else(|| summary["rows"].as_array()).expect("rows");
    let tail = rows.iter().find(|row| {
        row["book"] == "risky"
            && row["measure"] == "value_at_risk"
            && row["basis"] == "mark"
            && row["currency"] == "TAO"
            && row["level"] == 0.95
            && row["horizon_days"] == 12.0
    });
    let expected = tail.expect("a value at risk")["value"].as_f64().unwrap();
    let data = data(&html);
    let drawn = data["distribution"][0]["lines"][0]["loss"][0].as_f64().unwrap();
    assert!((drawn / expected - 1.0).abs() < 1e-5, "{drawn} is not {expected}");
    let spot = &data["distribution"][0];
    let counts: u64 = spot["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(spot["samples"], 200);
    assert!((196..=200).contains(&counts), "{counts} of 200 paths are drawn");
    let parts = data["components"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    let shares: f64 = parts.iter().map(|part| part["share"].as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 1e-4, "{shares}");
    // The story of the worst path ends where the run's record of it does.
    let tail = &data["tail"].as_array().unwrap()[0]["values"];
    let end = tail.as_array().unwrap().last().unwrap()[1].as_f64().unwrap();
    assert!(html.contains(&format!("{:.1} TAO at spot", end - 40.0).replace('-', "\u{2212}")), "{end}");
    assert_eq!(tail.as_array().unwrap().len(), 13);
}

#[test]
fn tables_of_other_commands_have_their_sections() {
    let directory = TempDir::new().unwrap();
    let stress = written(directory.path(), "stress.csv", STRESS);
    let liquidity = written(directory.path(), "exit.csv", LIQUIDITY);
    let flags = ["--stress", stress.to_str().unwrap(), "--liquidity", liquidity.to_str().unwrap()];
    let html = page(&[&["--book", "risky"], flags.as_slice()].concat());
    assert!(
        html.contains("<section id=\"stress\">") && html.contains("&lt;u&gt;crash&lt;/u&gt;") && !html.contains("<u>")
    );
    assert!(html.contains("+4.00 ± 0.49"), "the difference with its error");
    let data = data(&html);
    assert_eq!(data["stress"]["bars"].as_array().unwrap().len(), 1);
    assert_eq!(data["exit"].as_array().unwrap().len(), 2);
    assert!(html.contains("1.23\u{a0}%"));
    // Of another book they hold nothing.
    let out = directory.path().join("page.html");
    assert_refused(&report(&finished_run().join("run"), &out, &flags[..2]), &["holds no line of book long&<b>"]);
    let broken = written(directory.path(), "broken.csv", &STRESS.replace("difference,", "delta,"));
    let run = finished_run().join("run");
    assert_refused(
        &report(&run, &out, &["--book", "risky", "--stress", broken.to_str().unwrap()]),
        &["broken.csv", "difference"],
    );
    let words = written(directory.path(), "words.csv", &STRESS.replace(",500,book", ",many,book"));
    assert_refused(&report(&run, &out, &["--book", "risky", "--stress", words.to_str().unwrap()]), &["paths", "many"]);
    assert_refused(&report(&run, &out, &["--stress", "absent.csv"]), &["cannot read absent.csv"]);
    assert_refused(&report(&run, &out, &["--stress", "stress.xlsx"]), &["must end in .csv or .parquet"]);
    assert!(!out.exists());
}

#[test]
fn bad_input_is_refused_and_says_what_is_wrong() {
    let directory = TempDir::new().unwrap();
    let out = directory.path().join("page.html");
    assert_refused(&report(directory.path(), &out, &[]), &["holds no finished run"]);
    let run = finished_run().join("run");
    assert_refused(&report(&run, &out, &["--book", "short"]), &["--book short", "long&<b>, risky"]);
    fs::write(&out, "mine").unwrap();
    assert_refused(&report(&run, &out, &[]), &["exists already", "--force"]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
    assert!(report(&run, &out, &["--force"]).status.success());
    assert!(fs::read_to_string(&out).unwrap().starts_with("<!DOCTYPE html>"));
}

#[test]
fn without_its_inputs_a_run_is_told_as_recorded_and_stays_as_it_was() {
    let directory = make_run();
    let run = directory.path().join("run");
    let names = || {
        let mut names: Vec<_> = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    fs::remove_file(directory.path().join("books.csv")).unwrap();
    let output = taorisk().arg("report").arg(&run).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.contains("told as recorded only"), "{stderr}");
    assert_eq!(names(), before, "nothing is added to a run");
    let html = fs::read_to_string(directory.path().join("run.html")).unwrap();
    assert!(html.contains("Only what the run recorded is told") && html.contains("TAO at spot"));
}
