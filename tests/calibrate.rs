//! From a history to organic flows and parameters.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use flate2::read::GzDecoder;
use taorisk::calibration::calibrate;
use taorisk::calibration::calibrate::Calibration;
use taorisk::calibration::calibrate::CalibrationOptions;
use taorisk::calibration::flow_law::FitOptions;
use taorisk::calibration::history::History;
use taorisk::calibration::history::Observation;
use taorisk::calibration::organic;
use taorisk::calibration::organic::OrganicFlows;
use taorisk::calibration::organic::OrganicOptions;
use taorisk::config::scenario::Overrides;
use taorisk::config::scenario::Scenario;
use taorisk::input::document::Document;
use taorisk::input::history;
use taorisk::input::history::HistoryDocuments;
use taorisk::input::history::HistoryReport;
use taorisk::model::params::SaleParams;
use taorisk::protocol::upgrades;

const SALES: SaleParams =
    SaleParams { owner: 0.1, miner: 0.2, validator: 0.05, root_swap_fraction: 0.5, root_claim_delay_days: 2.0 };

fn embedded() -> History {
    HistoryDocuments::embedded().read().expect("the built-in history is good").0
}

/// Total flow by subnet and block, from the reference of the facts table.
fn reference_flows() -> BTreeMap<(u16, u64, u64), f64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/daily_flows.csv.gz");
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap().split(',').collect();
    let place = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let names = ["netuid", "registration_block", "block", "net_trade_flow_tao", "tao_in_previous"].map(place);
    let flow = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let [netuid, registered_at, block, net, reserve] = names.map(|index| cells[index].parse::<f64>().unwrap());
        ((netuid as u16, registered_at as u64, block as u64), (net / reserve).ln_1p())
    };
    lines.map(flow).collect()
}

#[test]
fn rows_are_those_of_the_facts_table() {
    let flows: OrganicFlows = organic::organic_flows(&embedded(), &OrganicOptions::new(SALES));
    let reference = reference_flows();
    assert_eq!((flows.panel.rows.len(), flows.panel.subnets.len()), (reference.len(), 159));
    let mut worst = 0.0_f64;
    for ((row, known), block) in flows.panel.rows.iter().zip(&flows.known).zip(&flows.blocks) {
        let subnet = flows.panel.subnets[row.subnet as usize];
        let expected = reference[&(subnet.netuid.0, subnet.registered_at, *block)];
        worst = worst.max((row.flow + known.total() - expected).abs());
        assert_eq!(row.known, known.total());
    }
    // Reserves in single precision, flows in the reference rounded to 1e-4 TAO, pools from 100 TAO: 5e-6 in the worst row.
    assert!(worst < 1e-5, "{worst:e}");
    for rows in flows.panel.by_subnet() {
        assert!(rows.windows(2).all(|pair| pair[0].day < pair[1].day));
    }
}

#[test]
fn chain_buys_are_what_was_emitted_and_not_injected() {
    let history = embedded();
    let rates = organic::chain_rates(&history, 0.3);
    let mut by_block: BTreeMap<u64, (f64, f64, usize)> = BTreeMap::new();
    for (seen, rates) in history.observations.iter().zip(&rates) {
        let sums = by_block.entry(seen.block).or_default();
        sums.0 += seen.injected_tao_per_block.expect("observed");
        sums.1 += rates.chain_buy_tao;
        sums.2 += 1;
    }
    // From the cap at the alpha emission on (spec 342), which is when the chain buys much.
    let whole = by_block.range(6_860_000..).filter(|(_, sums)| sums.2 >= 126);
    let errors: Vec<f64> = whole
        .map(|(block, (injected, bought, _))| (injected + bought) / upgrades::block_emission_tao(*block) - 1.0)
        .collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let far = errors.iter().filter(|error| error.abs() > 0.03).count();
    println!("{} days, mean {mean:.4}, {far} far", errors.len());
    assert!(errors.len() > 150 && mean.abs() < 0.005 && 20 * far < errors.len());
}

#[test]
fn the_report_of_the_built_in_history() {
    let (history, report) = HistoryDocuments::embedded().read().unwrap();
    let expected = HistoryReport {
        rows: 54_157,
        repeated: 0,
        startup: 2_658,
        empty_pools: 9,
        subnets: 163,
        short_subnets: 3,
        gaps: 707,
        computed_flows: 53_994,
    };
    assert_eq!(report, expected);
    assert_eq!((history.registrations.len(), history.tao_usd.len(), history.root_stake.len()), (186, 730, 98));
}

/// What the default parameters say of their own estimation (`configs/base.toml`), and that of the built-in history.
#[test]
fn the_built_in_history_gives_what_was_known_of_it() {
    let prior = Scenario::load(None, &Overrides::default()).expect("the base is good").model;
    let fit = FitOptions { simulations: 40, ..FitOptions::default() };
    let options = CalibrationOptions { fit, ..CalibrationOptions::default() };
    let found: Calibration = calibrate::calibrate(&embedded(), &prior, &options).expect("a fit");
    let used = |key: &str| found.figures.iter().find(|figure| figure.used && figure.key == key);
    for (key, known, error) in [
        // Median of 1,144 replayed months of subnets (`protocol/HISTORY.md`).
        ("sales.root_swap_fraction", 0.84, 0.05),
        ("tao_usd.volatility_per_sqrt_day", 0.0358, 0.0068),
        ("tao_usd.jump_mean", 0.009, 0.008),
        ("tao_usd.jump_sd", 0.0668, 0.014),
        ("registration.elasticity", 6.7, 1.5),
        ("registration.willingness_median_tao", 517.0, 140.0),
        ("registration.willingness_sd_log", 0.405, 0.16),
        ("registration.willingness_start_tao", 630.0, 60.0),
    ] {
        let figure = used(key).expect(key);
        assert!((figure.value - known).abs() <= error, "{key}: {} against {known}", figure.value);
        assert!(figure.standard_error > 0.0 && figure.standard_error < figure.value.abs().max(0.01), "{figure:?}");
    }
    // The history ends before today's rules: what depends on them stays.
    assert!(used("flow.drift_per_day").is_none() && used("entrants.start_delay_mean_days").is_none());
    assert_eq!(found.model.flow.drift_per_day, prior.flow.drift_per_day);
    assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
    assert_eq!(found.law.parameters.len(), found.figures.iter().filter(|figure| figure.used).count());
}

const HEAD: &str = "netuid,registration_block,block,price,tao_in,alpha_in,alpha_out\n";

/// A history of these rows, each `netuid,registration_block,block,price,tao_in,alpha_in,alpha_out`.
fn read(rows: &str) -> Result<(Vec<Observation>, HistoryReport), String> {
    let text: &'static str = format!("{HEAD}{rows}").leak();
    history::read_observations(&Document::embedded("h.csv", text)).map_err(|error| error.to_string())
}

fn refusal(rows: &str) -> String {
    read(rows).expect_err("the rows must be refused")
}

#[test]
fn rows_may_come_in_any_order_and_twice() {
    let rows = "2,100,9000,0.01,1000,100000,5\n1,100,16200,0.02,200,10000,5\n1,100,9000,0.01,100,10000,5\n";
    let (seen, report) = read(rows).unwrap();
    let order: Vec<(u16, u64)> = seen.iter().map(|seen| (seen.subnet.netuid.0, seen.block)).collect();
    assert_eq!(order, [(1, 9_000), (1, 16_200), (2, 9_000)]);
    assert_eq!((report.repeated, report.subnets, report.short_subnets, report.gaps), (0, 2, 2, 0));
    // 100 to 200 TAO at constant alpha: L = 1000, 1414; root of the price 0.1, 0.1414.
    let expected = 0.5 * (1e3 + 2e6_f64.sqrt()) * (0.02_f64.sqrt() - 0.1);
    assert!((seen[1].net_flow_tao.unwrap() - expected).abs() < 1e-9);
    assert_eq!((seen[0].net_flow_tao, seen[2].net_flow_tao, report.computed_flows), (None, None, 1));
    let (twice, report) = read(&format!("{rows}1,100,9000,0.01,100,10000,5\n")).unwrap();
    assert_eq!((twice, report.repeated), (seen, 1));
}

#[test]
fn startup_and_empty_pools_are_kept_apart() {
    let rows = "1,100,200,0.01,100,10000,0\n1,100,7400,96688,1,0.00001,5\n1,100,14600,0,0,10,5\n1,100,21800,0.01,100,10000,5\n";
    let (seen, report) = read(rows).unwrap();
    assert_eq!(seen.iter().map(|seen| seen.is_startup).collect::<Vec<_>>(), [true, true, true, false]);
    assert_eq!((report.startup, report.empty_pools), (3, 1));
    // Through a pool without TAO no flow is known.
    assert_eq!((seen[2].net_flow_tao, seen[3].net_flow_tao), (None, None));
}

#[test]
fn bad_rows_are_refused_with_their_place() {
    let good = "1,100,9000,0.01,100,10000,5\n";
    assert_eq!(
        refusal(&format!("{good}1,100,9000,0.01,101,10000,5\n")),
        "h.csv:3: SN1 at block 9000 stands differently in h.csv:2; keep one"
    );
    assert_eq!(
        refusal(&format!("1,8000,8100,0.01,100,10000,5\n{good}")),
        "h.csv:3: SN1 registered at block 100 is seen at block 9000, but its slot was taken at block 8000"
    );
    assert_eq!(refusal("1,100,50,0.01,100,10000,5\n"), "h.csv:2: block 50 is before the registration at block 100");
    // TAO in rao, price in USD, time for a block, a fraction of a netuid.
    let reserves = "(must be a number of tokens from 0 to 21 million, not of rao)";
    assert_eq!(refusal("1,100,9000,0.01,1e11,1e13,5\n"), format!("h.csv:2: tao_in = 100000000000 {reserves}"));
    assert_eq!(
        refusal("1,100,9000,0.22,100,10000,5\n"),
        "h.csv:2: price = 0.22 is 22.000 times tao_in / alpha_in (must be within a factor of 10): is it in TAO per alpha?"
    );
    assert!(
        refusal("1,100,1758000000,0.01,100,10000,5\n").contains("h.csv:2: block = 1758000000 (must be a whole number")
    );
    assert!(
        refusal("0,100,9000,0.01,100,10000,5\n").contains("h.csv:2: netuid = 0 (must be a whole number from 1 to 256)")
    );
    assert!(
        refusal("1,100,9000,-0.01,100,10000,5\n").contains("h.csv:2: price = -0.01 (must be a finite number >= 0)")
    );
    assert!(refusal("1,100,9000,NaN,100,10000,5\n").contains("h.csv:2: price = NaN"));
    assert!(refusal("1,100,9000,0.01,100,10000\n").contains("h.csv:2: not a whole CSV table"));
    assert!(refusal("").contains("h.csv: has no rows"));
}

#[test]
fn bad_rows_of_the_other_tables_are_refused() {
    let registrations = |rows: &str| {
        let text: &'static str =
            format!("netuid,registration_block,lock_cost_tao,replaced_registration_block\n{rows}").leak();
        history::read_registrations(&Document::embedded("r.csv", text)).map_err(|error| error.to_string())
    };
    let good = registrations("3,900,,\n2,800,300.5,100\n").unwrap();
    assert_eq!(good.iter().map(|seen| seen.subnet.registered_at).collect::<Vec<_>>(), [800, 900]);
    assert_eq!(
        (good[0].lock_cost_tao, good[0].replaced_registered_at, good[1].lock_cost_tao),
        (Some(300.5), Some(100), None)
    );
    assert!(
        registrations("3,900,1,\n2,900,1,\n").unwrap_err().contains("r.csv:3: block 900 has a registration already")
    );
    assert!(registrations("3,900,1,901\n").unwrap_err().contains("r.csv:2: the replaced subnet was registered later"));
    assert!(
        registrations("3,900,3e11,\n").unwrap_err().contains("lock_cost_tao = 300000000000 (must be a positive number")
    );
    let closes = |rows: &str| {
        let text: &'static str = format!("date,close\n{rows}").leak();
        history::read_tao_usd(&Document::embedded("u.csv", text)).map_err(|error| error.to_string())
    };
    assert_eq!(closes("1970-01-03,5\n1970-01-02,4\n").unwrap()[0].day, 1);
    assert!(
        closes("1970-01-02,4\n1970-01-02,4\n").unwrap_err().contains("u.csv:3: 1970-01-02 stands already in u.csv:2")
    );
    assert!(
        closes("2.1.1970,4\n").unwrap_err().contains("u.csv:2: date = `2.1.1970` (must be a date such as 2025-11-20)")
    );
    assert!(closes("1970-01-02,0\n").unwrap_err().contains("u.csv:2: close = 0 (must be a positive number of USD)"));
}

/// From a part of the network the emission of capped subnets is found by what the others got.
#[test]
fn half_of_the_network_gives_the_same_chain_buys() {
    let whole = embedded();
    let mut half = whole.clone();
    half.observations.retain(|seen| seen.subnet.netuid.0 % 2 == 0);
    let bought = |history: &History| -> BTreeMap<u64, f64> {
        let mut by_block = BTreeMap::new();
        for (seen, rates) in history.observations.iter().zip(organic::chain_rates(history, 0.3)) {
            if seen.subnet.netuid.0 % 2 == 0 && seen.block > 7_110_000 {
                *by_block.entry(seen.block).or_default() += rates.chain_buy_tao;
            }
        }
        by_block
    };
    let (of_whole, of_half) = (bought(&whole), bought(&half));
    let worst = of_whole.iter().map(|(block, tao)| (of_half[block] - tao).abs() / tao).fold(0.0, f64::max);
    assert!(of_whole.len() > 100 && worst < 0.1, "{worst}");
}

/// A single subnet tells nothing of shares; its flows are there, and chain buys stay in them.
#[test]
fn a_single_subnet_has_flows() {
    let mut history = embedded();
    history.observations.retain(|seen| seen.subnet.netuid.0 == 64);
    let flows = organic::organic_flows(&history, &OrganicOptions::new(SALES));
    assert!(flows.panel.rows.len() > 250 && flows.panel.subnets.len() == 1);
    assert!(flows.known.iter().all(|known| known.chain_buys == 0.0 && known.sales < 0.0));
}

fn taorisk(directory: &Path, arguments: &[&str]) -> Output {
    Command::cargo_bin("taorisk").unwrap().current_dir(directory).args(arguments).output().unwrap()
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_calibration_is_written_once_and_read_by_scenarios() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let calibrate =
        ["calibrate", "--from", "2026-02-01", "--rules", "2026-02-01", "--simulations", "40", "--out", "found"];
    let output = taorisk(here, &[&calibrate[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", error_of(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<&str> =
        json["parameters"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    for key in ["flow.scale_median", "flow.drift_per_day", "registration.elasticity", "entrants.start_delay_mean_days"]
    {
        assert!(keys.contains(&key), "{key}");
    }
    assert_eq!(json["provenance"]["flows"], serde_json::json!(["2026-02-01", "2026-05-19"]));
    let text = std::fs::read_to_string(here.join("found/calibrated.toml")).unwrap();
    let file: toml::Table = text.parse().unwrap();
    assert!(file["flow"]["scale_median"].as_float().unwrap() > 0.005);
    let size = file["uncertainty"]["parameters"].as_array().unwrap().len();
    assert_eq!(file["uncertainty"]["correlation"].as_array().unwrap().len(), size);
    assert_eq!(file["provenance"]["inputs"].as_array().unwrap().len(), 4);
    // What is there is not gone over.
    let again = taorisk(here, &calibrate);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        error_of(&again).contains("found/diagnostics.parquet exists already")
            || error_of(&again).contains("found/calibrated.toml exists already")
    );
    let checked = taorisk(here, &["check", "--quiet", "--parameters", "found/calibrated.toml"]);
    assert_eq!(checked.status.code(), Some(0), "{}", error_of(&checked));
    let complete: toml::Table = String::from_utf8(checked.stdout).unwrap().parse().unwrap();
    assert_eq!(complete["flow"]["scale_median"], file["flow"]["scale_median"]);
    let page = std::fs::read_to_string(here.join("found/diagnostics.html")).unwrap();
    assert_eq!((page.matches("<svg").count(), page.matches("</svg>").count(), page.matches("NaN").count()), (4, 4, 0));
}

#[test]
fn input_that_cannot_be_used_ends_with_code_2_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    // A subnet with five days of history.
    let day = |day: u64| format!("1,5000000,{},0.01,{},100000,5\n", 6_000_000 + 7_200 * day, 1_000 + day);
    std::fs::write(here.join("short.csv"), HEAD.to_owned() + &(0..5).map(day).collect::<String>()).unwrap();
    std::fs::write(here.join("wrong.csv"), "netuid,blok\n1,2\n").unwrap();
    for (arguments, message) in [
        (&["calibrate", "short.csv"][..], "short.csv: 4 rows of flows are too few to fit a flow law"),
        (&["calibrate", "wrong.csv"], "wrong.csv: unknown column `blok`"),
        (&["calibrate", "none.csv"], "cannot read none.csv"),
        (&["calibrate", "--from", "2026-02-30x"], "must be a date such as 2025-11-24"),
        (&["calibrate", "--from", "2026-02-02", "--to", "2026-02-01"], "--from is after --to"),
        (&["calibrate", "--simulations", "3"], "--simulations = 3 (must be at least 40)"),
    ] {
        let output = taorisk(here, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(error_of(&output).contains(message), "{arguments:?}: {}", error_of(&output));
    }
    assert!(!here.join("calibration").exists());
}
