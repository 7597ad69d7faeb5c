//! From a history to organic flows and parameters.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use taorisk::calibration::history::History;
use taorisk::calibration::organic;
use taorisk::calibration::organic::OrganicFlows;
use taorisk::calibration::organic::OrganicOptions;
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
